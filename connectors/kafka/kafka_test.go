package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kafka"
	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/sqlerror"
)

// patience bounds what a test waits for; nothing depends on its length.
const patience = 4 * time.Minute

func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func client(t testing.TB, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes values "from" to "to" to a partition, one batch each ten.
func produce(t testing.TB, cl *kgo.Client, topic string, partition int32, from, to int) {
	t.Helper()
	for from < to {
		var records []*kgo.Record
		for range min(10, to-from) {
			records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(strconv.Itoa(from))})
			from++
		}
		if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// reader drives a source as a stream does.
type reader struct {
	t   testing.TB
	cfg connectors.SourceConfig
	src connectors.Source

	mu      sync.Mutex
	values  map[string][]string
	offsets map[string][]int64
	told    []error
	telling chan struct{} // gets one for each call of Retrying
}

func open(t testing.TB, c *kfake.Cluster, known connectors.Positions, options ...string) *reader {
	t.Helper()
	r := tryOpen(t, c, 1, options...)
	if err := r.discover(known == nil, known); err != nil {
		t.Fatal(err)
	}
	return r
}

func tryOpen(t testing.TB, c *kfake.Cluster, lanes int, options ...string) *reader {
	t.Helper()
	if c != nil {
		options = append([]string{"brokers", strings.Join(c.ListenAddrs(), ",")}, options...)
	}
	options = append([]string{"topic", "trips"}, options...)
	r := &reader{t: t, values: map[string][]string{}, offsets: map[string][]int64{}, telling: make(chan struct{}, 1000)}
	r.cfg = connectors.SourceConfig{
		Name: "trips", Stream: "s", Options: kafka.Connector.Spec.MustOptions(options...), Lanes: lanes,
		Retrying: func(err error) {
			r.mu.Lock()
			r.told = append(r.told, err)
			r.mu.Unlock()
			r.telling <- struct{}{}
		},
	}
	r.reopen()
	return r
}

func (r *reader) reopen() {
	r.t.Helper()
	src, err := kafka.Connector.Open(r.t.Context(), r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.src = src
}

func (r *reader) close() {
	r.t.Helper()
	if err := r.src.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *reader) discover(first bool, known connectors.Positions) error {
	r.t.Helper()
	splits, err := r.src.Splits(r.t.Context(), first, known)
	if err != nil {
		return err
	}
	all := connectors.Positions{}
	maps.Copy(all, known)
	for _, s := range splits {
		if _, ok := all[s.ID]; !ok {
			all[s.ID] = s.Start
		}
	}
	return r.src.Assign(r.t.Context(), all)
}

// poll takes one chunk on a lane.
func (r *reader) poll(lane int, c *connectors.Chunk) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	err := r.src.Poll(ctx, lane, c)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if cap(c.Data) < len(c.Data)+connectors.Padding {
		r.t.Errorf("no padding behind %d bytes", len(c.Data))
	}
	for _, rec := range c.Records {
		r.values[c.Split] = append(r.values[c.Split], string(c.Data[rec.Start:rec.End]))
		r.offsets[c.Split] = append(r.offsets[c.Split], rec.Offset)
	}
	return nil
}

func (r *reader) count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.values {
		n += len(v)
	}
	return n
}

// read polls until n records have come.
func (r *reader) read(n int) {
	r.t.Helper()
	var c connectors.Chunk
	for r.count() < n {
		if err := r.poll(0, &c); err != nil {
			r.t.Fatalf("after %d of %d records: %v", r.count(), n, err)
		}
	}
	if r.count() != n {
		r.t.Fatalf("%d records, want %d", r.count(), n)
	}
}

// readAll polls until the end.
func (r *reader) readAll() {
	r.t.Helper()
	if err := r.readUntilError(); !errors.Is(err, io.EOF) {
		r.t.Fatalf("after %d records: %v", r.count(), err)
	}
}

func (r *reader) readUntilError() error {
	var c connectors.Chunk
	for {
		if err := r.poll(0, &c); err != nil {
			return err
		}
	}
}

// flush polls until everything that the topic holds now is reached.
func (r *reader) flush() {
	r.t.Helper()
	ends, err := r.src.Ends(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	polling, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		var c connectors.Chunk
		for {
			// A chunk that comes in the moment of the end counts: the position is behind
			// it.
			if err := r.src.Poll(polling, 0, &c); err != nil {
				if polling.Err() == nil {
					r.t.Errorf("poll: %v", err)
				}
				return
			}
			r.mu.Lock()
			for _, rec := range c.Records {
				r.values[c.Split] = append(r.values[c.Split], string(c.Data[rec.Start:rec.End]))
			}
			r.mu.Unlock()
		}
	})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		p, reached := r.src.Positions(), true
		for split, end := range ends {
			reached = reached && r.src.Reached(split, p[split], end)
		}
		if reached {
			break
		}
		<-tick.C
	}
	stop()
	wg.Wait()
	if ctx.Err() != nil {
		r.t.Fatalf("the flush to %v was not reached: %v", ends, r.src.Positions())
	}
}

func (r *reader) lost() []connectors.DataLoss {
	return r.src.(connectors.DataLossRecorder).TakeDataLoss()
}

// tellings waits until Retrying was told what ok accepts.
func (r *reader) tellings(ok func(error) bool) {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		if n := len(r.told); n > 0 && ok(r.told[n-1]) {
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		select {
		case <-r.telling:
		case <-timeout:
			r.t.Fatalf("told %v", r.told)
		}
	}
}

func numbers(from, to int) []string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

func (r *reader) want(split string, values []string) {
	r.t.Helper()
	if !slices.Equal(r.values[split], values) {
		r.t.Errorf("partition %s: %d values %v, want %d", split, len(r.values[split]), r.values[split], len(values))
	}
}

func offset(t testing.TB, p connectors.Position) int64 {
	t.Helper()
	_, rest, ok := strings.Cut(string(p), `"offset":`)
	if !ok {
		t.Fatalf("position %q has no offset", p)
	}
	n, err := strconv.ParseInt(rest[:strings.IndexAny(rest, ",}")], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReads_RecordsOfAllKinds(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	at := time.UnixMilli(1700000000123)
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl := client(t, c, kgo.ProducerBatchCompression(codec))
		err := cl.ProduceSync(t.Context(),
			&kgo.Record{Topic: "trips", Key: []byte("k"), Value: []byte(strings.Repeat("value ", 100)), Timestamp: at, Headers: []kgo.RecordHeader{
				{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("\xff")}, {Key: "a", Value: nil}, {Key: "q\"é", Value: []byte("\n")},
			}},
			&kgo.Record{Topic: "trips", Key: nil, Value: nil, Timestamp: at},
			&kgo.Record{Topic: "trips", Key: []byte("x\xffy"), Value: []byte{}, Timestamp: at},
		).FirstErr()
		if err != nil {
			t.Fatal(err)
		}
	}
	r := tryOpen(t, c, 1)
	r.close()
	r.cfg.Hidden = []string{"_key", "_key_bytes", "_topic", "_partition", "_offset", "_timestamp", "_headers"}
	r.reopen()
	defer r.close()
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	var chunk connectors.Chunk
	seen := 0
	for seen < 15 {
		if err := r.poll(0, &chunk); err != nil {
			t.Fatal(err)
		}
		h := chunk.Hidden
		for i, rec := range chunk.Records {
			if rec.Offset != int64(seen) || rec.Arrived != at.UnixMicro() || h[4].Ints[i] != int64(seen) || h[3].Ints[i] != 0 ||
				h[5].Ints[i] != at.UnixMicro() || string(h[2].Bytes[i]) != "trips" {
				t.Errorf("record %d: %+v, hidden %+v", seen, rec, h)
			}
			value, key, exact, headers := string(chunk.Data[rec.Start:rec.End]), string(h[0].Bytes[i]), string(h[1].Bytes[i]), string(h[6].Bytes[i])
			switch seen % 3 {
			case 0:
				if len(value) != 600 || key != "k" || exact != "k" || headers != `{"a":["1",null],"b":{"base64":"/w=="},"q\"é":"\n"}` || rec.Null {
					t.Errorf("record %d: value of %d bytes, key %q, headers %s", seen, len(value), key, headers)
				}
			case 1:
				if !rec.Null || !h[0].Null[i] || !h[1].Null[i] || headers != "{}" {
					t.Errorf("tombstone %d: %+v, key null %t, headers %s", seen, rec, h[0].Null[i], headers)
				}
			case 2:
				if rec.Null || value != "" || key != "x\uFFFDy" || exact != "x\xffy" || h[0].Null[i] {
					t.Errorf("record %d: %+v, key %q, %q", seen, rec, key, exact)
				}
			}
			seen++
		}
	}
	p := r.src.Progress()
	if p.Lag != 0 || p.BytesRead != 3000 || p.BytesTotal != -1 || !p.Behind.Equal(at) || p.Splits != 1 || p.Finished != 0 {
		t.Errorf("progress %+v", p)
	}
}

func TestStart(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "trips"))
	cl := client(t, c)
	for i := range 10 {
		err := cl.ProduceSync(t.Context(), &kgo.Record{
			Topic: "trips", Value: []byte(strconv.Itoa(i)), Timestamp: time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC),
		}).FirstErr()
		if err != nil {
			t.Fatal(err)
		}
	}
	f := func(start string, want int64) {
		t.Helper()
		r := open(t, c, nil, "start", start)
		defer r.close()
		p := r.src.Positions()
		if got := offset(t, p["0"]); got != want {
			t.Errorf("start=%s: offset %d, want %d", start, got, want)
		}
		if got := offset(t, p["1"]); got != 0 {
			t.Errorf("start=%s: offset %d of the empty partition", start, got)
		}
	}
	f("earliest", 0)
	f("latest", 10)
	f("2024-01-01T00:00:05Z", 5)
	f("2024-01-01 01:00:04.5+01:00", 5)
	f("2024-01-01", 0)
	f(strconv.FormatInt(time.Date(2024, 1, 1, 0, 0, 3, 0, time.UTC).UnixMilli(), 10), 3)
	f("2030-01-01", 10)
}

func TestStop_Latest(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "trips"))
	cl := client(t, c)
	produce(t, cl, "trips", 0, 0, 25)
	produce(t, cl, "trips", 1, 100, 105)
	r := open(t, c, nil, "stop", "latest")
	produce(t, cl, "trips", 0, 25, 50)
	if !r.src.Bounded() {
		t.Error("not bounded")
	}
	r.read(25)
	known := r.src.Positions()
	r.close()

	// The stop is kept in the position; partitions that are new do not belong.
	again := open(t, c, known, "stop", "latest")
	defer again.close()
	again.readAll()
	total := append(r.values["0"], again.values["0"]...)
	if !slices.Equal(total, numbers(0, 25)) {
		t.Errorf("partition 0: %v", total)
	}
	if n := len(r.values["1"]) + len(again.values["1"]); n != 5 {
		t.Errorf("partition 1: %d values, want 5", n)
	}
	if p := again.src.Progress(); p.Finished != 3 || p.Lag != 0 {
		t.Errorf("progress %+v", p)
	}
	done := open(t, c, again.src.Positions(), "stop", "latest")
	defer done.close()
	done.readAll()
	if done.count() != 0 {
		t.Errorf("%d records read again", done.count())
	}
}

func TestResume_ExactlyWhereItStopped(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "trips"))
	cl := client(t, c)
	for p := range int32(3) {
		produce(t, cl, "trips", p, 1000*int(p), 1000*int(p)+400)
	}
	all := map[string][]string{}
	var known connectors.Positions
	for total := 0; total < 1200; {
		r := open(t, c, known, "chunk_bytes", "1024")
		var chunk connectors.Chunk
		if err := r.poll(0, &chunk); err != nil {
			t.Fatal(err)
		}
		for split, values := range r.values {
			all[split] = append(all[split], values...)
			total += len(values)
		}
		known = r.src.Positions()
		r.close()
	}
	for p := range 3 {
		if got := all[strconv.Itoa(p)]; !slices.Equal(got, numbers(1000*p, 1000*p+400)) {
			t.Errorf("partition %d: %d values, some lost or repeated", p, len(got))
		}
	}
}

func TestPoll_ContextEndsWithNothingConsumed(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c)
	r := open(t, c, nil, "chunk_bytes", "1024")
	defer r.close()
	produce(t, cl, "trips", 0, 0, 2000)
	var chunk connectors.Chunk
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for r.count() < 2000 {
		before := r.src.Positions()["0"]
		if err := r.src.Poll(ctx, 0, &chunk); !errors.Is(err, context.Canceled) {
			t.Fatalf("err=%v", err)
		}
		if got := r.src.Positions()["0"]; got != before {
			t.Fatalf("position moved from %s to %s", before, got)
		}
		if err := r.poll(0, &chunk); err != nil {
			t.Fatal(err)
		}
	}
	r.want("0", numbers(0, 2000))
}

func TestLanes(t *testing.T) {
	f := func(name string, partitions int32) {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, kfake.SeedTopics(partitions, "trips"))
			cl := client(t, c)
			for p := range partitions {
				produce(t, cl, "trips", p, 0, 3000/int(partitions))
			}
			const lanes = 3
			r := tryOpen(t, c, lanes, "stop", "latest", "chunk_bytes", "1024")
			defer r.close()
			if err := r.discover(true, nil); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			used := make([]int, lanes)
			for lane := range lanes {
				wg.Go(func() {
					var chunk connectors.Chunk
					for {
						err := r.poll(lane, &chunk)
						if errors.Is(err, io.EOF) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
						used[lane]++
						r.src.Positions()
						r.src.Progress()
					}
				})
			}
			wg.Wait()
			if r.count() != 3000 {
				t.Errorf("%d records, want 3000", r.count())
			}
			for split, offsets := range r.offsets {
				slices.Sort(offsets)
				if len(slices.Compact(offsets)) != 3000/int(partitions) {
					t.Errorf("partition %s: offsets repeat", split)
				}
			}
		})
	}
	f("OneHotPartition", 1)
	f("ManyPartitions", 20)
}

// TestLanes_ShareOnePartition lets each lane take the next chunk of the only
// partition while the others still hold theirs.
func TestLanes_ShareOnePartition(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	produce(t, client(t, c), "trips", 0, 0, 3000)
	const lanes = 3
	r := tryOpen(t, c, lanes, "stop", "latest", "chunk_bytes", "1024")
	defer r.close()
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for lane := range lanes {
		var chunk connectors.Chunk
		if err := r.poll(lane, &chunk); err != nil {
			t.Fatal(err)
		}
		if n := len(chunk.Records); n == 0 || chunk.Records[0].Offset != next {
			t.Fatalf("lane %d has %d records, want those from offset %d on", lane, n, next)
		}
		next = chunk.Records[len(chunk.Records)-1].Offset + 1
	}
	if next >= 3000 {
		t.Errorf("the lanes have read up to offset %d; they hold a part of the partition", next)
	}
}

func transaction(t testing.TB, cl *kgo.Client, commit kgo.TransactionEndTry, from, to int) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, cl, "trips", 0, from, to)
	if err := cl.EndTransaction(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

func TestTransactions(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c, kgo.TransactionalID("x"))
	transaction(t, cl, kgo.TryAbort, 0, 20)
	transaction(t, cl, kgo.TryCommit, 20, 40)
	transaction(t, cl, kgo.TryAbort, 40, 60) // what the topic ends with is no record

	t.Run("BoundedReadEnds", func(t *testing.T) {
		r := open(t, c, nil, "stop", "latest")
		defer r.close()
		r.readAll()
		r.want("0", numbers(20, 40))
		if got := offset(t, r.src.Positions()["0"]); got != 63 {
			t.Errorf("offset %d, want 63 behind the last marker", got)
		}
	})
	t.Run("AnyLaneSeesTheEnd", func(t *testing.T) {
		r := tryOpen(t, c, 2, "stop", "latest")
		defer r.close()
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		var chunk connectors.Chunk
		for {
			err := r.poll(1, &chunk) // whose partition it is not
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.want("0", numbers(20, 40))
	})
	t.Run("FlushIsReached", func(t *testing.T) {
		r := open(t, c, nil)
		defer r.close()
		r.flush()
		r.want("0", numbers(20, 40))
		r.flush()
	})
	t.Run("ReadUncommitted", func(t *testing.T) {
		r := open(t, c, nil, "stop", "latest", "isolation", "read_uncommitted")
		defer r.close()
		r.readAll()
		r.want("0", numbers(0, 60))
	})
	t.Run("OpenTransactionIsNotThereYet", func(t *testing.T) {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, cl, "trips", 0, 60, 70)
		r := open(t, c, nil, "stop", "latest")
		defer r.close()
		r.readAll()
		r.want("0", numbers(20, 40))
		live := open(t, c, nil)
		defer live.close()
		live.flush()
		live.want("0", numbers(20, 40))
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		live.flush()
		live.want("0", append(numbers(20, 40), numbers(60, 70)...))
	})
}

func TestCompaction_GapsCountAsRead(t *testing.T) {
	c := cluster(t)
	err := c.CreateTopic("trips", 1, map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "0", "delete.retention.ms": "0"})
	if err != nil {
		t.Fatal(err)
	}
	cl := client(t, c)
	put := func(key string, value []byte) {
		t.Helper()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "trips", Key: []byte(key), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put("first", []byte("0"))
	for i := range 20 {
		put(strconv.Itoa(i%2), []byte(strconv.Itoa(1+i)))
	}
	// The stop, 21, is in the middle of what compaction will take away.
	r := open(t, c, nil, "stop", "latest")
	defer r.close()
	known := r.src.Positions()
	for i := range 20 {
		put(strconv.Itoa(i%2), []byte(strconv.Itoa(21+i)))
	}
	c.Compact()
	read := func(r *reader, want []string, end int64) {
		t.Helper()
		defer r.close()
		r.readAll()
		r.want("0", want)
		if got := offset(t, r.src.Positions()["0"]); got != end {
			t.Errorf("offset %d, want %d", got, end)
		}
	}
	read(open(t, c, known, "stop", "latest"), []string{"0"}, 21)
	read(open(t, c, nil, "stop", "latest"), []string{"0", "38", "39", "40"}, 41)
	live := open(t, c, nil)
	defer live.close()
	live.flush()
	live.want("0", []string{"0", "38", "39", "40"})
}

// The cleaner may also take away what a log ends with: then the brokers have no
// record to show that the end was reached.
func TestCompaction_NothingLeftBeforeTheEnd(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	produce(t, client(t, c), "trips", 0, 0, 10)
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		fetch := req.(*kmsg.FetchRequest)
		resp := fetch.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range fetch.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.HighWatermark, rp.LastStableOffset = p.Partition, 10, 10
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	r := open(t, c, nil, "stop", "latest")
	defer r.close()
	r.readAll()
	live := open(t, c, nil)
	defer live.close()
	live.flush()
	for _, r := range []*reader{r, live} {
		if got := offset(t, r.src.Positions()["0"]); got != 10 || r.count() != 0 {
			t.Errorf("offset %d after %d records, want 10", got, r.count())
		}
	}
}

func TestRetention(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c)
	produce(t, cl, "trips", 0, 0, 100)
	first := open(t, c, nil, "chunk_bytes", "1024")
	first.read(100)
	first.close()
	at10 := connectors.Positions{"0": connectors.Position(strings.Replace(string(first.src.Positions()["0"]), `"offset":100`, `"offset":10`, 1))}
	running := open(t, c, at10, "on_data_loss", "skip")
	defer running.close()
	failing := open(t, c, at10)
	defer failing.close()
	if err := c.DeleteRecords("trips", 0, 60); err != nil {
		t.Fatal(err)
	}

	t.Run("FailsAtStart", func(t *testing.T) {
		r := tryOpen(t, c, 1)
		defer r.close()
		err := r.discover(false, at10)
		var loss *connectors.DataLossError
		if !errors.As(err, &loss) || loss.Loss.Records != 50 || loss.Loss.Split != "0" || sqlerror.IsRetryable(err) {
			t.Errorf("err=%v", err)
		}
	})
	t.Run("SkipsAtStart", func(t *testing.T) {
		r := open(t, c, at10, "on_data_loss", "skip")
		defer r.close()
		r.read(40)
		r.want("0", numbers(60, 100))
		if lost := r.lost(); len(lost) != 1 || lost[0].Records != 50 || offset(t, lost[0].From) != 10 || offset(t, lost[0].To) != 60 {
			t.Errorf("lost %+v", lost)
		}
	})
	t.Run("WhileRunning", func(t *testing.T) {
		// The client may have fetched before the records were removed: then
		// nothing is lost.
		running.flush()
		lost := running.lost()
		switch {
		case len(lost) == 0:
			running.want("0", numbers(10, 100))
		default:
			running.want("0", numbers(60, 100))
			if len(lost) != 1 || lost[0].Records != 50 {
				t.Errorf("lost %+v", lost)
			}
		}
	})
}

// The client is told to fetch from an offset that is gone by then.
func TestRetention_PassedWhileRunning(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c)
	produce(t, cl, "trips", 0, 0, 100)
	for _, skip := range []bool{false, true} {
		options := []string{"on_data_loss", "fail"}
		if skip {
			options[1] = "skip"
		}
		r := tryOpen(t, c, 1, options...)
		// Assigned without looking: as if the records were removed since.
		if err := r.src.Assign(t.Context(), connectors.Positions{"0": `{"offset":10}`}); err != nil {
			t.Fatal(err)
		}
		if err := c.DeleteRecords("trips", 0, 60); err != nil {
			t.Fatal(err)
		}
		if skip {
			r.flush()
			if lost := r.lost(); len(lost) > 0 {
				r.want("0", numbers(60, 100))
				if lost[0].Records != 50 || len(lost) != 1 {
					t.Errorf("lost %+v", lost)
				}
			}
		} else if err := r.readUntilError(); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) && r.count() == 0 {
			t.Errorf("err=%v", err)
		}
		r.close()
	}
}

func TestOffsetBehindTheEnd(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c)
	produce(t, cl, "trips", 0, 0, 10)
	known := connectors.Positions{"0": `{"offset":500}`}
	r := tryOpen(t, c, 1)
	defer r.close()
	if err := r.discover(false, known); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) {
		t.Errorf("err=%v", err)
	}
	s := open(t, c, known, "on_data_loss", "skip")
	defer s.close()
	produce(t, cl, "trips", 0, 10, 20)
	s.read(10)
	s.want("0", numbers(10, 20))
	if lost := s.lost(); len(lost) != 1 || lost[0].Records != -1 {
		t.Errorf("lost %+v", lost)
	}
}

func TestTopicCreatedAgain(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c)
	produce(t, cl, "trips", 0, 0, 100)
	failing := open(t, c, nil)
	defer failing.close()
	failing.read(100)
	running := open(t, c, nil, "on_data_loss", "skip")
	defer running.close()
	running.read(100)
	known := running.src.Positions()
	if err := c.DeleteTopic("trips"); err != nil {
		t.Fatal(err)
	}
	if err := failing.discover(false, failing.src.Positions()); !sqlerror.IsRetryable(err) || !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("while it is away: %v", err)
	}
	if err := c.CreateTopic("trips", 2, nil); err != nil {
		t.Fatal(err)
	}
	cl = client(t, c)
	produce(t, cl, "trips", 0, 1000, 1150)
	produce(t, cl, "trips", 1, 2000, 2010)

	check := func(r *reader) {
		t.Helper()
		r.flush()
		r.want("1", numbers(2000, 2010))
		if lost := r.lost(); len(lost) != 1 || !strings.Contains(lost[0].Reason, "created again") {
			t.Errorf("lost %+v", lost)
		}
	}
	t.Run("SkipsWhileRunning", func(t *testing.T) {
		if err := running.discover(false, running.src.Positions()); err != nil {
			t.Fatal(err)
		}
		check(running)
		running.want("0", append(numbers(0, 100), numbers(1000, 1150)...))
	})
	t.Run("SkipsAtStart", func(t *testing.T) {
		r := open(t, c, known, "on_data_loss", "skip")
		defer r.close()
		check(r)
		r.want("0", numbers(1000, 1150))
	})
	t.Run("FailsWhileRunning", func(t *testing.T) {
		if err := failing.discover(false, failing.src.Positions()); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) || sqlerror.IsRetryable(err) {
			t.Errorf("err=%v", err)
		}
	})
	t.Run("FailsAtStart", func(t *testing.T) {
		r := tryOpen(t, c, 1)
		defer r.close()
		if err := r.discover(false, known); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) || sqlerror.IsRetryable(err) {
			t.Errorf("err=%v", err)
		}
	})
}

// A bounded source is not asked for new splits: Poll has to notice.
func TestTopicCreatedAgain_WhileABoundedSourceReads(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	put := func() {
		t.Helper()
		cl := client(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
		for range 40 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "trips", Value: make([]byte, 100_000)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	put()
	options := []string{"stop", "latest", "prefetch_bytes", "1MiB", "chunk_bytes", "64KiB", "fetch_max_wait", "10ms"}
	failing, skipping := open(t, c, nil, options...), open(t, c, nil, append(options, "on_data_loss", "skip")...)
	defer failing.close()
	defer skipping.close()
	failing.read(1)
	skipping.read(1)
	if err := c.DeleteTopic("trips"); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic("trips", 1, nil); err != nil {
		t.Fatal(err)
	}
	put()
	last := func(r *reader) (err error) {
		for range 10 {
			if err = r.readUntilError(); errors.Is(err, io.EOF) || !sqlerror.IsRetryable(err) {
				break
			}
		}
		return err
	}
	err := last(failing)
	if !sqlerror.HasCode(err, sqlerror.CodeDataLoss) || failing.count() >= 40 {
		t.Errorf("%d records, err=%v", failing.count(), err)
	}
	err = last(skipping)
	if lost := skipping.lost(); !errors.Is(err, io.EOF) || len(lost) != 1 || skipping.count() >= 40 {
		t.Errorf("%d records, lost %+v, err=%v", skipping.count(), lost, err)
	}
}

func TestNewPartitions_StartAtTheirBeginning(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	cl := client(t, c)
	produce(t, cl, "trips", 0, 0, 10)
	r := open(t, c, nil, "start", "latest")
	defer r.close()
	known := r.src.Positions()
	addPartitions(t, cl, 3)
	fresh := client(t, c)
	produce(t, fresh, "trips", 2, 100, 110)
	if err := r.discover(false, r.src.Positions()); err != nil {
		t.Fatal(err)
	}
	r.read(10)
	r.want("2", numbers(100, 110))
	again := open(t, c, known, "start", "latest")
	defer again.close()
	again.read(10)
	again.want("2", numbers(100, 110))
}

func TestIdleTopicStaysAlive(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "trips"))
	cl := client(t, c)
	r := open(t, c, nil, "fetch_max_wait", "10ms")
	defer r.close()
	var chunk connectors.Chunk
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := r.src.Poll(ctx, 0, &chunk); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err=%v", err)
		}
		cancel()
		produce(t, cl, "trips", int32(i%2), i, i+1)
		r.read(i + 1)
	}
}

func TestBrokerAway(t *testing.T) {
	address := services.FreeAddresses(t, 1)[0]
	_, text, _ := net.SplitHostPort(address)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	start := func() *kfake.Cluster {
		t.Helper()
		return cluster(t, kfake.Ports(port), kfake.DataDir(dir), kfake.SeedTopics(1, "trips"))
	}

	r := tryOpen(t, nil, 1, "brokers", address, "connect_timeout", "1s", "fetch_max_wait", "10ms")
	defer r.close()
	if err := r.discover(true, nil); !sqlerror.IsRetryable(err) || sqlerror.As(err) == nil {
		t.Fatalf("err=%v", err)
	}
	r.tellings(func(err error) bool { return err != nil })
	c := start()
	for {
		if err := r.discover(true, nil); err == nil {
			break
		} else if !sqlerror.IsRetryable(err) {
			t.Fatal(err)
		}
	}
	r.tellings(func(err error) bool { return err == nil })
	produce(t, client(t, c), "trips", 0, 0, 50)
	r.read(50)

	// Away while running.
	done := make(chan struct{})
	go func() {
		defer close(done)
		var chunk connectors.Chunk
		for r.count() < 100 {
			if err := r.poll(0, &chunk); err != nil && !sqlerror.IsRetryable(err) {
				t.Errorf("poll: %v", err)
				return
			}
		}
	}()
	c.Close()
	r.tellings(func(err error) bool { return err != nil })
	c = start()
	produce(t, client(t, c), "trips", 0, 50, 100)
	<-done
	r.tellings(func(err error) bool { return err == nil })
	r.want("0", numbers(0, 100))
}

func TestCheck(t *testing.T) {
	plainCluster := cluster(t, kfake.SeedTopics(1, "trips", "drivers"))
	saslCluster := cluster(t, kfake.SeedTopics(1, "trips"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "alice", "secret"), kfake.Superuser("PLAIN", "bob", "secret"))
	ca, serverTLS := certificate(t)
	tlsCluster := cluster(t, kfake.SeedTopics(1, "trips"), kfake.TLS(serverTLS))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	const away = "127.0.0.1:1" // whose port no other test gets meanwhile

	f := func(name, brokers, want string, options ...string) {
		t.Run(name, func(t *testing.T) {
			options = append([]string{"brokers", brokers}, options...)
			if name == "Silent" || name == "TLSToPlaintext" { // nobody answers: others get all the time that they need
				options = append(options, "connect_timeout", "2s")
			}
			if !slices.Contains(options, "topic") {
				options = append(options, "topic", "trips")
			}
			cfg := connectors.SourceConfig{Name: "trips", Options: kafka.Connector.Spec.MustOptions(options...)}
			err := kafka.Connector.Check(t.Context(), cfg)
			if want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want, away := strings.CutPrefix(want, "away: ")
			if err == nil || !strings.Contains(err.Error(), want) || sqlerror.IsRetryable(err) != away || !strings.HasPrefix(err.Error(), "source trips: ") || strings.Contains(err.Error(), "secret") {
				t.Errorf("err=%v, want %q", err, want)
			}
		})
	}
	p, s, x := plainCluster.ListenAddrs()[0], saslCluster.ListenAddrs()[0], tlsCluster.ListenAddrs()[0]
	f("Fine", p, "")
	f("OneOfTwoBrokersAway", away+","+p, "")
	f("MissingTopic", p, `topic trisp does not exist (did you mean "trips"?)`, "topic", "trisp")
	f("MissingTopicUnlikeAny", p, "the cluster has 2 topics, none with a name like it", "topic", "zzzzzzzz")
	f("Away", away, "away: connection refused")
	f("Silent", silent.Addr().String(), "away: no answer in time")
	// Too long a name to be asked for: how soon a network denies others is its own affair.
	f("UnknownHost", strings.Repeat("x", 64)+".invalid:9092", "away: cannot be resolved")
	f("BadStart", p, `"erliest" is no place to start (did you mean "earliest"?)`, "start", "erliest")
	f("BadStartTime", p, "write 'earliest', 'latest', '2026-01-31T12:00:00Z'", "start", "2024-13-01")

	f("Scram", s, "", "security_protocol", "SASL_PLAINTEXT", "sasl_mechanism", "SCRAM-SHA-256", "sasl_username", "alice", "sasl_password", "secret")
	f("Plain", s, "", "security_protocol", "sasl_plaintext", "sasl_username", "bob", "sasl_password", "secret")
	f("WrongPassword", s, "check sasl_username, sasl_password", "security_protocol", "sasl_plaintext", "sasl_mechanism", "SCRAM-SHA-256", "sasl_username", "alice", "sasl_password", "secret2")
	f("WrongPlainPassword", s, "check sasl_username, sasl_password", "security_protocol", "sasl_plaintext", "sasl_username", "bob", "sasl_password", "secret2")
	f("LoginWanted", s, "they may expect TLS or a login")
	f("NoPassword", s, "needs sasl_username and sasl_password", "security_protocol", "sasl_plaintext", "sasl_username", "bob")
	f("LoginWithoutProtocol", s, "has no effect with security_protocol = 'plaintext'", "sasl_username", "bob")

	f("TLS", x, "", "security_protocol", "ssl", "tls_ca", ca)
	f("TLSUnverified", x, "", "security_protocol", "ssl", "tls_skip_verify", "true")
	f("UnknownAuthority", x, "give the authority's certificate as tls_ca", "security_protocol", "ssl")
	f("WrongName", x, "the brokers' certificate is for another name", "security_protocol", "ssl", "tls_ca", ca, "tls_server_name", "other.example")
	f("PlaintextToTLS", x, "they may expect TLS")
	f("TLSToPlaintext", p, "away: does it speak TLS on this port", "security_protocol", "ssl", "tls_skip_verify", "true")
	f("NoCertificate", x, "tls_ca holds no certificate", "security_protocol", "ssl", "tls_ca", "-----BEGIN NOTHING")
	f("MissingCA", x, "read tls_ca: open /dev/null/none", "security_protocol", "ssl", "tls_ca", "/dev/null/none")
	f("KeyWithoutCert", x, "tls_cert and tls_key belong together", "security_protocol", "ssl", "tls_key", "x")
}

func certificate(t *testing.T) (ca string, config *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestDamagedPositions(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	for _, known := range []connectors.Positions{{"0": "x"}, {"0": `{"offset":-1}`}, {"zero": ""}, {"-1": ""}} {
		r := tryOpen(t, c, 1)
		if err := r.discover(false, known); err == nil || sqlerror.IsRetryable(err) {
			t.Errorf("%v: err=%v", known, err)
		}
		r.close()
	}
}

// Payloads of large responses that are not compressed stay where they were fetched:
// empty ones and none at all among them, whatever lies between, to the last record
// of each response, and with the padding that decoders want.
func TestReads_PayloadsInPlace(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	var want []string
	var nulls []int64
	write := func(codec kgo.CompressionCodec, n int, value func(i int) []byte) {
		var records []*kgo.Record
		for i := range n {
			v := value(i)
			if v == nil {
				nulls = append(nulls, int64(len(want)))
			}
			want = append(want, string(v))
			records = append(records, &kgo.Record{Topic: "trips", Key: []byte("key"), Value: v, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("\"\xff")}}})
		}
		if err := client(t, c, kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(400_000)).ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	numbered := func(i int) []byte { return []byte(strings.Repeat(strconv.Itoa(i)+" ", 100)) }
	write(kgo.NoCompression(), 10_000, numbered)
	write(kgo.NoCompression(), 5_000, func(i int) []byte {
		switch i % 5 {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		return numbered(i)
	})
	write(kgo.ZstdCompression(), 2_000, numbered)
	write(kgo.NoCompression(), 2_000, numbered)
	write(kgo.NoCompression(), 30, func(int) []byte { return []byte{} })
	write(kgo.NoCompression(), 30, func(int) []byte { return []byte("x") })
	for _, hidden := range [][]string{nil, {"_offset", "_key"}} {
		r := tryOpen(t, c, 1, "stop", "latest", "chunk_bytes", "300kB")
		r.close()
		r.cfg.Hidden = hidden
		r.reopen()
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		var chunk connectors.Chunk
		inPlace, copied := 0, 0
		var none []int64
		for {
			err := r.poll(0, &chunk)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			size, end := 0, int32(0)
			for i, rec := range chunk.Records {
				if rec.Start < end {
					t.Fatalf("record %d begins at %d, before %d", i, rec.Start, end)
				}
				end = rec.End
				size += int(rec.End - rec.Start)
				if rec.Null {
					none = append(none, rec.Offset)
				}
				if hidden != nil && (chunk.Hidden[0].Ints[i] != rec.Offset || string(chunk.Hidden[1].Bytes[i]) != "key") {
					t.Fatalf("record %d has offset %d, key %q", rec.Offset, chunk.Hidden[0].Ints[i], chunk.Hidden[1].Bytes[i])
				}
			}
			if _ = chunk.Data[:len(chunk.Data)+connectors.Padding]; len(chunk.Data) > size {
				inPlace += size
			} else {
				copied += size
			}
		}
		r.close()
		if !slices.Equal(r.values["0"], want) {
			t.Errorf("%d values are not the %d that were written", len(r.values["0"]), len(want))
		}
		if !slices.Equal(none, nulls) {
			t.Errorf("%d records without a payload, want %d", len(none), len(nulls))
		}
		// What is compressed is copied, and little more.
		if inPlace < copied {
			t.Errorf("%d bytes stayed in place, %d were copied", inPlace, copied)
		}
	}
}

func BenchmarkPoll(b *testing.B) {
	const records, bytes = 1000, 500
	c := cluster(b, kfake.SeedTopics(2, "trips"), kfake.SyntheticFetch(kfake.SyntheticBatch{
		Records: records, RecordBytes: bytes, RandomFrac: 0.3, Compression: kgo.ZstdCompression(),
	}))
	r := tryOpen(b, c, 1)
	defer r.close()
	if err := r.src.Assign(b.Context(), connectors.Positions{"0": `{"offset":0}`, "1": `{"offset":0}`}); err != nil {
		b.Fatal(err)
	}
	var chunk connectors.Chunk
	b.ReportAllocs()
	n, size := 0, 0
	for b.Loop() {
		if err := r.src.Poll(b.Context(), 0, &chunk); err != nil {
			b.Fatal(err)
		}
		n += len(chunk.Records)
		size += len(chunk.Data)
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(n)/seconds, "records/s")
	b.ReportMetric(float64(size)/seconds/1e6, "MB/s")
}

func addPartitions(t testing.TB, cl *kgo.Client, total int) {
	t.Helper()
	resp, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), total, "trips")
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A partition whose leader moves from broker to broker, and back, is read on from
// where it was.
func TestLeaderChange(t *testing.T) {
	const brokers = 3
	c := cluster(t, kfake.NumBrokers(brokers), kfake.SeedTopics(2, "trips"))
	cl := client(t, c)
	r := open(t, c, nil, "fetch_max_wait", "10ms")
	defer r.close()
	for i := range 2 * brokers {
		for p := range int32(2) {
			if err := c.MoveTopicPartition("trips", p, int32(i+int(p))%brokers); err != nil {
				t.Fatal(err)
			}
			produce(t, cl, "trips", p, 20*i, 20*(i+1))
		}
		r.read(40 * (i + 1))
	}
	for _, p := range []string{"0", "1"} {
		r.want(p, numbers(0, 40*brokers))
	}
}
