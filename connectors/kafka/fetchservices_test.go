//go:build services

package kafka

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// counted is a connection of which is counted what it brings.
type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

// Where large and small batches take turns, brokers cut off much that they send again.
func TestApacheKafka_LittleIsFetchedTwice(t *testing.T) {
	k := services.StartKafka(t)
	const partitions, pairs = 3, 40
	k.CreateTopic("turns", partitions, nil)
	producer := k.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	size := 0
	for i := range pairs {
		for p := range int32(partitions) {
			for _, n := range []int{600_000 + 1000*i, 500} { // each waits for the one before
				if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "turns", Partition: p, Value: make([]byte, n)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
				size += n
			}
		}
	}
	var read atomic.Int64
	var dialer net.Dialer
	f := newFetches(64 << 20)
	most, each := fetchBytes(64<<20, 1, partitions)
	consumer := k.Client(kgo.ConsumeTopics("turns"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(most), kgo.FetchMaxPartitionBytes(each),
		kgo.Dialer(f.dial(func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			return counted{conn, &read}, err
		})))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for batches := 0; batches < partitions*pairs*2; {
		polled := consumer.PollFetches(ctx)
		if err := polled.Err(); err != nil {
			t.Fatal(err)
		}
		polled.EachRecord(func(r *kgo.Record) {
			b, standIn := f.take(r)
			if !standIn || b.check() != nil {
				t.Fatalf("partition %d, offset %d is no whole batch", r.Partition, r.Offset)
			}
			b.owner.release()
			batches += b.count
		})
	}
	if most := int64(size) * 108 / 100; read.Load() > most {
		t.Errorf("fetched %d bytes for %d, want at most %d", read.Load(), size, most)
	}
}
