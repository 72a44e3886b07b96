package kinesis_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Whatever becomes of subscriptions, each record comes once.
func TestSubscribe_Faults(t *testing.T) {
	f := func(name string, fault kinesistest.Fault, told bool) {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			// Events are counted over all shards: only one alone never loses its first
			// event twice in turn, which would be told.
			shards := 2
			if fault.Operation == "SubscribeToShardEvent" && !told {
				shards = 1
			}
			s.CreateStream("trips", shards)
			put(s, 0, 200)
			remove := s.Inject(fault)
			defer remove()
			r := open(t, s, nil, append(pushedWay, "chunk_bytes", "1024")...)
			defer r.close()
			r.read(200)
			for i := range 10 {
				put(s, 200+20*i, 220+20*i)
				r.read(220 + 20*i)
			}
			r.flush()
			r.wantAll(numbers(0, 400))
			r.mu.Lock()
			defer r.mu.Unlock()
			if told != (len(r.told) > 0) {
				t.Errorf("told %v", r.told)
			}
		})
	}
	f("Throttled", kinesistest.Fault{Operation: "SubscribeToShard", Times: 2, Code: "LimitExceededException"}, false)
	f("InUse", kinesistest.Fault{Operation: "SubscribeToShard", Times: 2, Code: "ResourceInUseException"}, false)
	f("KeyOutOfReach", kinesistest.Fault{Operation: "SubscribeToShard", Times: 2, Code: "KMSDisabledException"}, true)
	f("CutAtOnce", kinesistest.Fault{Operation: "SubscribeToShard", Times: 2, Cut: true}, true)
	f("Ended", kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 2, End: true}, false)
	f("TornWithinAnEvent", kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 3, Cut: true}, false)
	f("InternalFailure", kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 3, Code: "InternalFailureException"}, false)
	f("TakenOver", kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 5, Times: 3, Code: "ResourceInUseException"}, true)
	f("PollsThrottled", kinesistest.Fault{Operation: "GetRecords", Every: 2, Code: "ProvisionedThroughputExceededException"}, false)
}

// A subscription that has ended goes on behind the last event, whose number need
// not be a record's.
func TestSubscribe_Renewed(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	s.SetSubscriptionLife(5 * time.Millisecond)
	put(s, 0, 10)
	r := open(t, s, nil, pushedWay...)
	r.read(10)
	for s.Calls("SubscribeToShard") < 10 { // meanwhile nothing comes
		<-time.After(time.Millisecond)
	}
	put(s, 10, 20)
	r.read(20)
	known := r.src.Positions()
	r.close()
	eventually(t, "subscriptions are left", func() bool { return s.Subscriptions() == 0 })
	put(s, 20, 30)
	r = open(t, s, known, pushedWay...)
	defer r.close()
	r.read(10)
	r.want(numbers(20, 30))
	if n := s.Calls("GetRecords"); n != 0 {
		t.Errorf("%d calls of GetRecords, and nobody has waited", n)
	}
}

func TestSubscribe_Consumer(t *testing.T) {
	t.Run("Registered", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		s.SetConsumerCreation(1)
		put(s, 0, 10)
		r := open(t, s, nil, pushedWay...)
		r.read(10)
		known := r.src.Positions()
		r.close()
		put(s, 10, 20)
		r = open(t, s, known, pushedWay...)
		defer r.close()
		r.read(10)
		if got := s.Consumers("trips"); !slices.Equal(got, []string{"leat-s"}) || s.Calls("RegisterStreamConsumer") != 1 {
			t.Errorf("consumers %q, registered %d times", got, s.Calls("RegisterStreamConsumer"))
		}
	})
	t.Run("TooMany", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		remove := s.Inject(kinesistest.Fault{Operation: "RegisterStreamConsumer", Code: "LimitExceededException"})
		defer remove()
		r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), pushedWay...), Lanes: 1})
		defer r.close()
		err := r.discover(true, nil)
		if err == nil || !sqlerror.IsRetryable(err) || !strings.Contains(sqlerror.As(err).Hint, "deregister one") {
			t.Errorf("err=%v", err)
		}
	})
	// While it is used.
	t.Run("Deregistered", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 2)
		put(s, 0, 10)
		r := open(t, s, nil, pushedWay...)
		defer r.close()
		r.read(10)
		if err := s.Deregister("trips", "leat-s"); err != nil {
			t.Fatal(err)
		}
		put(s, 10, 20)
		r.read(20)
		r.wantAll(numbers(0, 20))
		if got := s.Consumers("trips"); !slices.Equal(got, []string{"leat-s"}) {
			t.Errorf("consumers %q", got)
		}
	})
	t.Run("ByARN", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		put(s, 0, 10)
		arn, err := s.Register("trips", "theirs")
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, s, nil, "consumer", arn)
		defer r.close()
		r.read(10)
		if got := s.Consumers("trips"); !slices.Equal(got, []string{"theirs"}) {
			t.Errorf("consumers %q", got)
		}
	})
	// Two readers with one consumer take it from each other, which is told.
	t.Run("Shared", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		put(s, 0, 10)
		one := open(t, s, nil, "consumer", "shared")
		defer one.close()
		one.read(10)
		other := open(t, s, nil, "consumer", "shared")
		defer other.close()
		other.read(10)
		one.tellings(func(err error) bool {
			e := sqlerror.As(err)
			return e != nil && strings.Contains(e.Hint, "needs one of its own")
		})
	})
	// Who peeks does not take the shards from who reads.
	t.Run("Peeked", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		put(s, 0, 10)
		r := open(t, s, nil, pushedWay...)
		r.read(10)
		r.close()
		subscribed, polled := s.Calls("SubscribeToShard"), s.Calls("GetRecords")
		src, err := kinesis.Connector.Open(t.Context(), connectors.SourceConfig{Name: "trips", Options: options(s.URL(), pushedWay...), Lanes: 1, Retrying: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		peek := &reader{t: t, src: src}
		defer peek.close()
		if err := peek.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		peek.read(10)
		subscribed, polled = s.Calls("SubscribeToShard")-subscribed, s.Calls("GetRecords")-polled
		if subscribed > 0 || polled == 0 {
			t.Errorf("%d calls of SubscribeToShard, %d of GetRecords", subscribed, polled)
		}
	})
}

// While nobody takes records, no more than the queue, and what the connection
// holds, is read; subscriptions that end meanwhile go on where records were
// taken.
func TestSubscribe_BackPressure(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 2)
	const n, size = 400, 100 << 10
	value := strings.Repeat("x", size)
	for i := range n {
		s.Put("trips", strconv.Itoa(i), []byte(value))
	}
	r := newReader(t, connectors.SourceConfig{
		Options: options(s.URL(), append(pushedWay, "chunk_bytes", "64KiB")...), Lanes: 1, PrefetchBytes: 4 << 20,
	})
	defer r.close()
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	var c connectors.Chunk
	names := map[string]bool{}
	for i := 0; len(names) < n; i++ {
		if err := r.src.Poll(t.Context(), 0, &c); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.Names {
			if names[string(name)] {
				t.Fatalf("%s came twice", name)
			}
			names[string(name)] = true
		}
		if used := kinesis.BudgetUsed(r.src); used > 6<<20 { // an event too many
			t.Fatalf("%d bytes are held", used)
		}
		if i%50 == 0 {
			s.EndSubscriptions()
		}
	}
	if p := r.src.Progress(); p.BytesRead != n*size {
		t.Errorf("%d bytes read, want %d", p.BytesRead, n*size)
	}
}

// A connection that is dead without having ended is given up.
func TestSubscribe_Silent(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	put(s, 0, 10)
	remove := s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 2, Times: 1, Delay: patience})
	defer remove()
	r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), pushedWay...), Lanes: 1})
	defer r.close()
	kinesis.SetSilence(r.src, time.Second)
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	r.read(10)
	put(s, 10, 20)
	r.read(20)
	r.want(numbers(0, 20))
}

// As AWS has it: each shard's events are a stream of one HTTP/2 connection.
func TestSubscribe_HTTP2(t *testing.T) {
	s := kinesistest.NewTLS()
	t.Cleanup(s.Close)
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, s.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", trusted)
	s.CreateStream("trips", 20)
	put(s, 0, 500)
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 30, Cut: true})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 50, End: true})
	r := open(t, s, nil, pushedWay...)
	defer r.close()
	r.read(500)
	if err := s.Split("trips", "shardId-000000000003"); err != nil {
		t.Fatal(err)
	}
	put(s, 500, 1000)
	r.flush()
	r.wantAll(numbers(0, 1000))
	if p := s.Protocols(); len(p) != 1 || p["HTTP/2.0"] == 0 {
		t.Errorf("protocols %v", p)
	}
}

// Taking an aggregate apart, and what comes of it, does not depend on how it came.
func TestSubscribe_Aggregates(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	var packed []kinesistest.UserRecord
	for i := range 100 {
		packed = append(packed, kinesistest.UserRecord{PartitionKey: "k", Data: []byte(strconv.Itoa(i))})
	}
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 2, Cut: true})
	r := open(t, s, nil, append(pushedWay, "chunk_bytes", "1024")...)
	defer r.close()
	for i := range 10 {
		s.Put("trips", "a", kinesistest.Aggregate(packed[10*i:10*i+10]...))
		r.read(10*i + 10)
	}
	r.want(numbers(0, 100))
}

// eventually waits until something holds; otherwise says what is the matter.
func eventually(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatal(otherwise)
		}
		<-time.After(time.Millisecond)
	}
}

// A flush does not wait for memory that is held by records which have come.
func TestSubscribe_FlushWithoutFreeMemory(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	for range 4 {
		s.Put("trips", "key", []byte(strings.Repeat("x", 50<<10)))
	}
	r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), pushedWay...), Lanes: 1, PrefetchBytes: 300 << 10})
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	defer r.close()
	eventually(t, "the records have not come", func() bool { return kinesis.BudgetUsed(r.src) > 200<<10 })
	calls := s.Calls("GetRecords")
	if _, err := r.src.Ends(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody asked whether that is all", func() bool { return s.Calls("GetRecords") > calls })
	r.flush()
	if r.count() != 4 {
		t.Errorf("%d records", r.count())
	}
}
