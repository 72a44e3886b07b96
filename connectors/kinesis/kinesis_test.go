package kinesis_test

import (
	"context"
	"errors"
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

// A consumer has one reader; one of the same name in another region is another.
func TestConnector_Exclusive(t *testing.T) {
	const arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/trips"
	f := func(want string, options ...string) {
		t.Helper()
		what, hint := kinesis.Connector.Exclusive(kinesis.Connector.Spec.MustOptions(options...), "s")
		if what != want || (hint == "") != (want == "") {
			t.Errorf("%q: %q (%s), want %q", options, what, hint, want)
		}
	}
	f("", "stream", "trips")
	f("consumer c of trips", "stream", "trips", "consumer", "c")
	f("consumer c-s of trips", "stream", "trips", "consumer", "c-{stream}")
	f("consumer c of trips in eu-west-1", "stream", "trips", "region", "eu-west-1", "consumer", "c")
	f("consumer c of trips in eu-west-1", "stream", arn, "consumer", "c")
	f("consumer c of trips in us-east-1", "stream", "trips", "region", "us-east-1", "consumer", "c")
	f("consumer c of trips at http://127.0.0.1:4567", "stream", "trips", "endpoint", "http://127.0.0.1:4567", "consumer", "c")
	f("consumer "+arn+"/consumer/c:1", "stream", "trips", "consumer", arn+"/consumer/c:1")
}

func TestSource_Start(t *testing.T) { eachWay(t, testStart) }

func testStart(t *testing.T, way ...string) {
	t.Run("TrimHorizon", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		put(s, 0, 25)
		r := open(t, s, nil, way...)
		defer r.close()
		r.read(25)
		put(s, 25, 30)
		r.read(30)
		r.want(numbers(0, 30))
	})
	t.Run("Latest", func(t *testing.T) {
		s := server(t)
		now := newClock()
		s.SetClock(now.Now)
		s.CreateStream("trips", 2)
		put(s, 0, 20)
		if err := s.Split("trips", "shardId-000000000001"); err != nil {
			t.Fatal(err)
		}
		now.advance(time.Minute)
		put(s, 20, 40)
		now.advance(2 * time.Second)
		// The place is a time, resolved at the first start and kept from then on.
		r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), append(way, "start", "latest")...), Lanes: 1, Now: now.Now})
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		known := r.src.Positions()
		r.close()
		put(s, 40, 60)
		now.advance(time.Minute)
		r = newReader(t, connectors.SourceConfig{Options: options(s.URL(), append(way, "start", "latest")...), Lanes: 1, Now: now.Now})
		defer r.close()
		if err := r.discover(false, known); err != nil {
			t.Fatal(err)
		}
		put(s, 60, 80)
		r.flush()
		r.wantAll(numbers(40, 80))
	})
	t.Run("Time", func(t *testing.T) {
		s := server(t)
		now := newClock()
		s.SetClock(now.Now)
		s.CreateStream("trips", 3)
		put(s, 0, 30)
		now.advance(time.Hour)
		at := now.Now()
		put(s, 30, 60)
		now.advance(time.Hour)
		r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), "start", strconv.FormatInt(at.UnixMilli(), 10)), Lanes: 1, Now: now.Now})
		defer r.close()
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		r.flush()
		r.wantAll(numbers(30, 60))
	})
	t.Run("TimeToCome", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), append(way, "start", "2999-01-01")...)})
		defer r.close()
		if err := r.discover(true, nil); err == nil || !strings.Contains(err.Error(), "still to come") || sqlerror.IsRetryable(err) {
			t.Errorf("err=%v", err)
		}
	})
}

// A position is committed at any moment: what comes after it is read from there,
// once.
func TestSource_Resume(t *testing.T) { eachWay(t, testResume) }

func testResume(t *testing.T, way ...string) {
	s := server(t)
	s.CreateStream("trips", 1)
	put(s, 0, 100)
	r := open(t, s, nil, append(way, "chunk_bytes", "1024")...)
	r.read(100)
	known := r.src.Positions()
	for range 5 { // again without anything new
		r.close()
		r = open(t, s, known, way...)
		r.flush()
		known = r.src.Positions()
		r.want(nil)
	}
	put(s, 100, 110)
	r.read(10)
	r.want(numbers(100, 110))
	r.close()
}

// Chunks end between records, and the position is that of their end.
func TestSource_ChunksAndPositions(t *testing.T) { eachWay(t, testChunksAndPositions) }

func testChunksAndPositions(t *testing.T, way ...string) {
	s := server(t)
	s.CreateStream("trips", 1)
	const n = 1000
	value := strings.Repeat("x", 100)
	for range n {
		s.Put("trips", "k", []byte(value))
	}
	known := connectors.Positions(nil)
	total := 0
	for total < n {
		r := open(t, s, known, append(way, "chunk_bytes", "8KiB")...)
		var c connectors.Chunk
		if err := r.poll(0, &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Data) < 8<<10 && total+r.count() < n || len(c.Data) > 8<<10+len(value) {
			t.Errorf("a chunk of %d bytes", len(c.Data))
		}
		known = r.src.Positions()
		total += r.count()
		r.close()
	}
	if total != n {
		t.Errorf("%d records, want %d", total, n)
	}
}

// One hot shard is read by several lanes; each record comes once.
func TestSource_Lanes(t *testing.T) { eachWay(t, testLanes) }

func testLanes(t *testing.T, way ...string) {
	s := server(t)
	s.CreateStream("trips", 5)
	put(s, 0, 3000)
	r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), append(way, "chunk_bytes", "1024")...), Lanes: 4})
	defer r.close()
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	r.flush()
	r.wantAll(numbers(0, 3000))
}

// order fails when a record of a child came before one of its parent.
func order(t *testing.T, parents map[string][]string, records []seen) {
	t.Helper()
	done := map[string]bool{}
	var finish func(shard string)
	finish = func(shard string) {
		for _, p := range parents[shard] {
			if !done[p] {
				done[p] = true
				finish(p)
			}
		}
	}
	last := map[string]string{}
	for _, rec := range records {
		if done[rec.shard] {
			t.Fatalf("%s of %s came after records of a shard that follows it", rec.value, rec.shard)
		}
		if rec.name <= last[rec.shard] {
			t.Fatalf("%s came after %s", rec.name, last[rec.shard])
		}
		last[rec.shard] = rec.name
		finish(rec.shard)
	}
}

// parentsOf is the parents of each shard that is listed.
func parentsOf(s *kinesistest.Server) map[string][]string {
	parents := map[string][]string{}
	for _, sh := range s.Shards("trips") {
		parents[sh.ID] = sh.Parents
	}
	return parents
}

func TestSource_Reshard(t *testing.T) { eachWay(t, testReshard) }

func testReshard(t *testing.T, way ...string) {
	split := func(t *testing.T, s *kinesistest.Server, id string) {
		t.Helper()
		if err := s.Split("trips", id); err != nil {
			t.Fatal(err)
		}
	}
	merge := func(t *testing.T, s *kinesistest.Server, a, b string) {
		t.Helper()
		if err := s.Merge("trips", a, b); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("WhileStopped", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 2)
		put(s, 0, 50)
		r := open(t, s, nil, way...)
		r.flush()
		known := r.src.Positions()
		put(s, 50, 100)
		r.close()
		split(t, s, "shardId-000000000000")
		put(s, 100, 200)
		merge(t, s, "shardId-000000000003", "shardId-000000000001")
		put(s, 200, 300)
		split(t, s, "shardId-000000000004")
		put(s, 300, 400)
		resumed := open(t, s, known, way...)
		defer resumed.close()
		resumed.flush()
		order(t, parentsOf(s), resumed.records)
		all := append(r.values(), resumed.values()...)
		resumed.records = nil
		for _, v := range all {
			resumed.records = append(resumed.records, seen{value: v})
		}
		resumed.wantAll(numbers(0, 400))
	})
	t.Run("WhileRunning", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 2)
		put(s, 0, 50)
		r := open(t, s, nil, way...)
		defer r.close()
		r.read(50)
		split(t, s, "shardId-000000000000")
		put(s, 50, 100)
		r.read(100) // without a listing: the shard names its children
		merge(t, s, "shardId-000000000003", "shardId-000000000001")
		put(s, 100, 200)
		r.read(200)
		order(t, parentsOf(s), r.records)
		r.wantAll(numbers(0, 200))
		if got := s.Calls("ListShards"); got != 1 {
			t.Errorf("%d calls of ListShards, want 1", got)
		}
	})
	// A child waits until its parents have been handed out, not only fetched.
	t.Run("ChildWaits", func(t *testing.T) {
		s := server(t)
		s.CreateStream("trips", 1)
		put(s, 0, 1000)
		split(t, s, "shardId-000000000000")
		put(s, 1000, 2000)
		r := open(t, s, nil, append(way, "chunk_bytes", "1024")...)
		defer r.close()
		r.read(2000)
		order(t, parentsOf(s), r.records)
		p := r.src.Progress()
		if p.Splits != 3 || p.Finished != 1 {
			t.Errorf("progress %+v", p)
		}
	})
	// The listing comes in pages.
	t.Run("ManyShards", func(t *testing.T) {
		s := server(t)
		shards := 1500
		if way != nil {
			shards = 200 // each has a connection here, and a call of its own
		}
		s.CreateStream("trips", shards)
		put(s, 0, 300)
		r := open(t, s, nil, append(way, "poll_interval", "1m")...)
		defer r.close()
		if n := len(r.src.Positions()); n != shards {
			t.Errorf("%d shards", n)
		}
		r.flush()
		r.wantAll(numbers(0, 300))
	})
}

func TestSource_Faults(t *testing.T) {
	f := func(name string, fault kinesistest.Fault, told bool) {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			s.CreateStream("trips", 2)
			put(s, 0, 200)
			remove := s.Inject(fault)
			defer remove()
			r := open(t, s, nil, "chunk_bytes", "1024")
			defer r.close()
			r.read(200)
			put(s, 200, 400)
			r.read(400)
			r.flush()
			r.wantAll(numbers(0, 400))
			r.mu.Lock()
			defer r.mu.Unlock()
			if told != (len(r.told) > 0) {
				t.Errorf("told %v", r.told)
			}
		})
	}
	f("Throttling", kinesistest.Fault{Operation: "GetRecords", Every: 2, Code: "ProvisionedThroughputExceededException"}, false)
	f("ThrottlingOfIterators", kinesistest.Fault{Operation: "GetShardIterator", Every: 2, Code: "ProvisionedThroughputExceededException"}, false)
	f("ThrottlingOfListing", kinesistest.Fault{Operation: "ListShards", Every: 2, Code: "LimitExceededException"}, false)
	f("InternalFailure", kinesistest.Fault{Operation: "GetRecords", Every: 3, Times: 6, Code: "InternalFailure", Status: 500}, true)
	f("Cut", kinesistest.Fault{Operation: "GetRecords", Every: 3, Times: 6, Cut: true}, true)
	f("Slow", kinesistest.Fault{Operation: "GetRecords", Every: 5, Times: 10, Delay: 20 * time.Millisecond}, false)
	f("ExpiredIterators", kinesistest.Fault{Operation: "GetRecords", Every: 2, Code: "ExpiredIteratorException"}, false)
	f("InvalidIterators", kinesistest.Fault{Operation: "GetRecords", Every: 4, Times: 5, Code: "InvalidArgumentException"}, true)
}

// Iterators that expire while a shard is being read make nothing come twice.
func TestSource_ExpiredIterators(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	for range 20 {
		s.Put("trips", "k", make([]byte, 1<<20))
	}
	r := open(t, s, nil, "chunk_bytes", "1MiB", "compression", "none")
	defer r.close()
	var c connectors.Chunk
	for i := range 20 {
		if err := r.poll(0, &c); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			s.ExpireIterators()
		}
	}
	s.Put("trips", "k", []byte("last"))
	r.read(21)
	names := map[string]bool{}
	for _, rec := range r.records {
		names[rec.name] = true
	}
	if len(names) != 21 {
		t.Errorf("%d different records, want 21", len(names))
	}
}

// At the pace that is the default, the limits of a shard are no trouble.
func TestSource_LimitsEnforced(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	s.EnforceLimits(true)
	for i := range 4 {
		s.Put("trips", "k", []byte(strings.Repeat(strconv.Itoa(i), 500_000)))
	}
	r := open(t, s, nil, "shard_calls_per_second", "", "shard_bytes_per_second", "", "poll_interval", "")
	defer r.close()
	r.read(4)
	s.Put("trips", "k", []byte("5"))
	r.flush()
	throttled := func(err error) bool { return err != nil && strings.Contains(err.Error(), "Rate exceeded") }
	if r.count() != 5 || slices.ContainsFunc(r.told, throttled) {
		t.Errorf("%d records, told %v", r.count(), r.told)
	}
}

func TestSource_TellsTrouble(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	put(s, 0, 5)
	remove := s.Inject(kinesistest.Fault{Operation: "GetRecords", Code: "AccessDeniedException"})
	r := open(t, s, nil)
	defer r.close()
	var err error
	r.tellings(func(told error) bool {
		err = told
		return told != nil
	})
	if !sqlerror.HasCode(err, sqlerror.CodeAuth) || !sqlerror.IsRetryable(err) || !strings.Contains(sqlerror.As(err).Hint, "kinesis:GetRecords") {
		t.Errorf("told %v", err)
	}
	remove()
	r.tellings(func(err error) bool { return err == nil })
	r.read(5)
}

// Cancelling a poll consumes nothing, and a source can be closed while it waits
// for an answer.
func TestSource_Cancel(t *testing.T) { eachWay(t, testCancel) }

func testCancel(t *testing.T, way ...string) {
	s := server(t)
	s.CreateStream("trips", 3)
	r := open(t, s, nil, way...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		var c connectors.Chunk
		done <- r.src.Poll(ctx, 0, &c)
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err=%v", err)
	}
	r.close()
	asked := make(chan struct{}, 100)
	operation := "GetRecords"
	if way != nil {
		operation = "SubscribeToShard"
	}
	s.Inject(kinesistest.Fault{Operation: operation, Then: func() { asked <- struct{}{} }})
	s.Inject(kinesistest.Fault{Operation: operation, Delay: patience})
	r = open(t, s, nil, way...)
	for range 3 {
		<-asked
	}
	r.close()
}

func TestSource_Flush(t *testing.T) { eachWay(t, testFlush) }

func testFlush(t *testing.T, way ...string) {
	s := server(t)
	s.CreateStream("trips", 4)
	r := open(t, s, nil, append(way, "poll_interval", "1m")...) // a flush does not wait for it
	defer r.close()
	for i := range 5 {
		put(s, 100*i, 100*(i+1))
		r.flush()
		r.wantAll(numbers(0, 100*(i+1)))
	}
	before := r.src.Positions()
	r.flush()
	if after := r.src.Positions(); !mapsEqual(before, after) {
		t.Errorf("a flush without records moved the positions: %v, %v", before, after)
	}
}

func mapsEqual(a, b connectors.Positions) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func TestSource_Hidden(t *testing.T) { eachWay(t, testHidden) }

func testHidden(t *testing.T, way ...string) {
	s := server(t)
	now := newClock()
	s.SetClock(now.Now)
	s.CreateStream("trips", 1)
	first := s.Put("trips", "key \u00e9\"", []byte("{}"))
	second := s.PutExplicit("trips", "a", "0", kinesistest.Aggregate(
		kinesistest.UserRecord{PartitionKey: "x", ExplicitHashKey: "0", Data: []byte("{}")},
		kinesistest.UserRecord{PartitionKey: "y", ExplicitHashKey: "1", Data: []byte("{}")}))
	r := newReader(t, connectors.SourceConfig{
		Options: options(s.URL(), way...), Lanes: 1, Hidden: []string{"_shard", "_sequence", "_subsequence", "_partition_key", "_arrival"},
	})
	defer r.close()
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	var c connectors.Chunk
	for len(got) < 3 {
		if err := r.poll(0, &c); err != nil {
			t.Fatal(err)
		}
		for i, rec := range c.Records {
			h := c.Hidden
			if h[4].Ints[i] != rec.Arrived || rec.Arrived == 0 || h[4].Null[i] {
				t.Errorf("arrival %d, %d", h[4].Ints[i], rec.Arrived)
			}
			got = append(got, strings.Join([]string{string(h[0].Bytes[i]), string(h[1].Bytes[i]), strconv.FormatInt(h[2].Ints[i], 10), string(h[3].Bytes[i])}, " "))
		}
	}
	want := []string{
		"shardId-000000000000 " + first + " 0 key \u00e9\"",
		"shardId-000000000000 " + second + " 0 x",
		"shardId-000000000000 " + second + " 1 y",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if names := []string{r.records[0].name, r.records[1].name, r.records[2].name}; !slices.Equal(names, []string{first, second + "/0", second + "/1"}) {
		t.Errorf("names %q", names)
	}
}

func TestSource_SplitLag(t *testing.T) { eachWay(t, testSplitLag) }

func testSplitLag(t *testing.T, way ...string) {
	s := server(t)
	s.CreateStream("trips", 1)
	put(s, 0, 10)
	r := open(t, s, nil, way...)
	defer r.close()
	r.flush()
	lag := r.src.(connectors.SplitLagReporter).SplitLag()
	if d, ok := lag["shardId-000000000000"]; !ok || d != 0 {
		t.Errorf("lag %v", lag)
	}
	if p := r.src.Progress(); p.Behind.IsZero() || p.Lag != -1 || p.BytesRead != 10 {
		t.Errorf("progress %+v", p)
	}
}

func TestCheck(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	f := func(want string, retryable bool, more ...string) {
		t.Helper()
		cfg := connectors.SourceConfig{Name: "trips", Options: options(s.URL(), more...)}
		err := kinesis.Connector.Check(t.Context(), cfg)
		text := ""
		if err != nil {
			text = err.Error()
			if e := sqlerror.As(err); e != nil {
				text += " " + e.Hint
			}
		}
		if want == "" && err != nil || want != "" && (!strings.Contains(text, want) || sqlerror.IsRetryable(err) != retryable) {
			t.Errorf("%v: err=%v, retryable %t, want %q", more, text, sqlerror.IsRetryable(err), want)
		}
		if strings.Contains(text, "SECRET") {
			t.Errorf("the secret is in %s", text)
		}
	}
	f("", false)
	f("", false, "stream", "arn:aws:kinesis:eu-west-1:123456789012:stream/trips", "region", "")
	f(`did you mean "trips"?`, false, "stream", "trip")
	f("create it", false, "stream", "something_else")
	f("not the ARN", false, "stream", "arn:aws:s3:::trips")
	f("", false, "consumer", "c.{stream}")
	f("is no name of a consumer", false, "consumer", "two words")
	f("not the ARN of a consumer", false, "consumer", "arn:aws:kinesis:eu-west-1:123456789012:stream/trips")
	f("is not one of stream", false, "consumer", "arn:aws:kinesis:eu-west-1:123456789012:stream/others/consumer/c:1")
	f("does not exist", false, "consumer", "arn:aws:kinesis:eu-west-1:123456789012:stream/trips/consumer/c:1")
	f("no http or https URL", false, "endpoint", "localhost:4567")
	f("given together", false, "secret_access_key", "")
	f("exclude each other", false, "profile", "p")
	f("no place to start", false, "start", "yesterday")
	f("did you mean \"latest\"?", false, "start", "lates")

	remove := s.Inject(kinesistest.Fault{Operation: "GetShardIterator", Code: "AccessDeniedException"})
	f("kinesis:GetRecords", false)
	remove()
	remove = s.Inject(kinesistest.Fault{Code: "UnrecognizedClientException"})
	f("the credentials were refused", false)
	remove()
	remove = s.Inject(kinesistest.Fault{Cut: true})
	f("check that this machine may reach", true)
	remove()

	remove = s.Inject(kinesistest.Fault{Operation: "DescribeStreamConsumer", Code: "AccessDeniedException"})
	f("kinesis:SubscribeToShard", false, "consumer", "c")
	remove()
	if consumers := s.Consumers("trips"); len(consumers) != 0 {
		t.Errorf("checking has registered %q", consumers)
	}

	f("check that this machine may reach", true, "endpoint", "http://127.0.0.1:1")
	f("does not speak TLS", true, "endpoint", "https"+strings.TrimPrefix(s.URL(), "http"))
}
