package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// Of the numbered records, these are special.
const (
	brokenEvery    = 101 // no JSON
	tombstoneEvery = 97  // no value
	filteredEvery  = 7   // left out by the stream's WHERE
)

// transactionTimeout is when the broker aborts a transaction that goes on.
const transactionTimeout = 10 * time.Second

var codecs = []kgo.CompressionCodec{
	kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
}

// value is the record with a number; pad is the bytes to make it longer by.
func value(id int64, producer, pad int) []byte {
	switch {
	case id%tombstoneEvery == 0:
		return nil
	case id%brokenEvery == 0:
		return fmt.Appendf(nil, `{"id": %d, "kind": "broken", `, id)
	}
	kind := string(rune('a' + id%5))
	return fmt.Appendf(nil, `{"id": %d, "producer": %d, "kind": "%s", "nested": {"amount": "%d.%02d", "tags": ["x", "y\n"]}, "text": "grüß %d", "pad": "%s"}`,
		id, producer, kind, id, id%100, id, padding(pad))
}

// padding is random text of n bytes.
func padding(n int) string {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = strconv.AppendUint(b, rand.Uint64(), 36)
	}
	return string(b[:n])
}

// startProducers produces until the returned function is called, which returns
// when all that was accepted is acknowledged.
func startProducers(t services.TB, k *services.Kafka, cfg Config) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var (
		ids   atomic.Int64
		group sync.WaitGroup
	)
	interval := time.Duration(cfg.Producers+1) * 20 * time.Millisecond
	batch := max(1, cfg.Rate*20/1000)
	for n := range cfg.Producers {
		group.Go(func() {
			client := k.Client(
				kgo.ProducerBatchCompression(codecs[n%len(codecs)]), kgo.ProducerLinger(0), kgo.MetadataMaxAge(time.Second),
				kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
				kgo.RecordRetries(1<<30), kgo.MaxBufferedRecords(100_000), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					// Not ctx, which is over; what never comes through ends the run with
					// its own deadline.
					last, done := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
					defer done()
					if err := client.Flush(last); err != nil {
						t.Errorf("producer %d: %v", n, err)
					}
					return
				}
				for range batch {
					id := ids.Add(1)
					client.Produce(context.WithoutCancel(ctx), &kgo.Record{
						Topic: topic, Key: strconv.AppendInt(nil, id%10, 10), Value: value(id, n, cfg.Pad),
						Headers: []kgo.RecordHeader{{Key: "producer", Value: strconv.AppendInt(nil, int64(n), 10)}},
					}, func(_ *kgo.Record, err error) {
						if err != nil {
							t.Errorf("produce record %d: %v", id, err)
						}
					})
				}
			}
		})
	}
	group.Go(func() {
		for ctx.Err() == nil {
			// After an error, for which a dying broker is reason enough, another client
			// with the same id ends what the last one has begun.
			transactions(ctx, k, cfg, interval, batch, &ids)
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// transactions produces in transactions and aborts every other one, until the
// first error.
func transactions(ctx context.Context, k *services.Kafka, cfg Config, interval time.Duration, batch int, ids *atomic.Int64) {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Plaintext), kgo.TransactionalID("chaos"), kgo.TransactionTimeout(transactionTimeout),
		kgo.MetadataMaxAge(time.Second), kgo.MetadataMinAge(100*time.Millisecond), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return
	}
	defer client.Close()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		if client.BeginTransaction() != nil {
			break
		}
		for range 1 + rand.IntN(5*batch) {
			id := ids.Add(1)
			client.Produce(ctx, &kgo.Record{Topic: topic, Value: value(id, -1, cfg.Pad)}, nil)
		}
		last, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := client.Flush(last)
		if err == nil {
			err = client.EndTransaction(last, kgo.TransactionEndTry(rand.IntN(2) == 0))
		}
		done()
		if err != nil {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
