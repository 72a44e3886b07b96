package kinesis_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
)

// patience bounds what a test waits for; nothing depends on its length.
const patience = 4 * time.Minute

func server(t testing.TB) *kinesistest.Server {
	t.Helper()
	s := kinesistest.New()
	t.Cleanup(s.Close)
	return s
}

// pushedWay are the options of a source that has its records pushed.
var pushedWay = []string{"consumer", "leat-{stream}"}

// eachWay runs a test of what is to hold however records are read: by asking for
// them, and by enhanced fan-out.
func eachWay(t *testing.T, test func(t *testing.T, way ...string)) {
	t.Run("Polled", func(t *testing.T) { test(t) })
	t.Run("Pushed", func(t *testing.T) { test(t, slices.Clip(pushedWay)...) })
}

// seen is a record as it came out of a source.
type seen struct {
	shard, name, value string
}

// reader drives a source as a stream does, and remembers what came.
type reader struct {
	t   testing.TB
	cfg connectors.SourceConfig
	src connectors.Source

	mu      sync.Mutex
	records []seen
	told    []error
	telling chan struct{} // gets one for each call of Retrying
}

// options are those of a source that reads the stream "trips" of a server as
// fast as it can. Later ones count.
func options(endpoint string, more ...string) connectors.Options {
	values := map[string]string{
		"stream": "trips", "region": kinesistest.Region, "endpoint": endpoint,
		"access_key_id": "AKID", "secret_access_key": "SECRET", "poll_interval": "1ms",
		"shard_calls_per_second": "10000", "shard_bytes_per_second": "100GB",
	}
	for i := 0; i+1 < len(more); i += 2 {
		values[more[i]] = more[i+1]
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] != "" {
			pairs = append(pairs, name, values[name])
		}
	}
	return kinesis.Connector.Spec.MustOptions(pairs...)
}

// open begins to read, at the start option when known is nil.
func open(t testing.TB, s *kinesistest.Server, known connectors.Positions, more ...string) *reader {
	t.Helper()
	r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), more...), Lanes: 1})
	if err := r.discover(known == nil, known); err != nil {
		t.Fatal(err)
	}
	return r
}

func newReader(t testing.TB, cfg connectors.SourceConfig) *reader {
	t.Helper()
	r := &reader{t: t, cfg: cfg, telling: make(chan struct{}, 1000)}
	r.cfg.Name, r.cfg.Stream = "trips", "s"
	r.cfg.Retrying = func(err error) {
		r.mu.Lock()
		r.told = append(r.told, err)
		r.mu.Unlock()
		select {
		case r.telling <- struct{}{}:
		default:
		}
	}
	src, err := kinesis.Connector.Open(t.Context(), r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.src = src
	t.Cleanup(func() { _ = src.Close() }) // again, for tests that fail
	return r
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

// take remembers a chunk's records.
func (r *reader) take(c *connectors.Chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cap(c.Data) < len(c.Data)+connectors.Padding {
		r.t.Errorf("no padding behind %d bytes", len(c.Data))
	}
	if len(c.Names) != len(c.Records) {
		r.t.Errorf("%d names for %d records", len(c.Names), len(c.Records))
	}
	for i, rec := range c.Records {
		if !rec.Null {
			r.records = append(r.records, seen{c.Split, string(c.Names[i]), string(c.Data[rec.Start:rec.End])})
		}
	}
}

// poll takes one chunk on a lane.
func (r *reader) poll(lane int, c *connectors.Chunk) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.src.Poll(ctx, lane, c); err != nil {
		return err
	}
	r.take(c)
	return nil
}

func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.records)
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

// flush polls on all lanes, looking for new shards meanwhile, until everything is
// reached that the stream holds now.
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
	for lane := range r.cfg.Lanes {
		wg.Go(func() {
			var c connectors.Chunk
			for {
				if err := r.src.Poll(polling, lane, &c); err != nil {
					if polling.Err() == nil {
						r.t.Errorf("poll: %v", err)
						stop()
					}
					return
				}
				r.take(&c) // also what came as the flush ended
			}
		})
	}
	reached := func() bool {
		p := r.src.Positions()
		for split, end := range ends {
			if !r.src.Reached(split, p[split], end) {
				return false
			}
		}
		return true
	}
	for n := 1; polling.Err() == nil; n++ {
		begun := time.Now()
		if reached() {
			break
		}
		// Who has many shards looks less often: it would be all that the cores do.
		<-time.After(max(time.Millisecond, 4*time.Since(begun)))
		if n%20 == 0 {
			if err := r.discover(false, r.src.Positions()); err != nil {
				r.t.Errorf("discover: %v", err)
				break
			}
		}
	}
	stop()
	wg.Wait()
	if ctx.Err() != nil {
		r.t.Fatalf("not reached: %v of %v", r.src.Positions(), ends)
	}
}

// values are what came, in the order in which it did.
func (r *reader) values() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var values []string
	for _, s := range r.records {
		values = append(values, s.value)
	}
	return values
}

// want compares all that came with values, in order.
func (r *reader) want(values []string) {
	r.t.Helper()
	if got := r.values(); !slices.Equal(got, values) {
		r.t.Errorf("read %d values %s, want %d: %s", len(got), shorten(got), len(values), shorten(values))
	}
}

// wantAll compares all that came with values, in any order.
func (r *reader) wantAll(values []string) {
	r.t.Helper()
	got := r.values()
	slices.Sort(got)
	slices.Sort(values)
	if !slices.Equal(got, values) {
		r.t.Errorf("read %d values, want %d: missing %s, too many %s", len(got), len(values), shorten(without(values, got)), shorten(without(got, values)))
	}
}

func without(a, b []string) []string {
	n := map[string]int{}
	for _, s := range b {
		n[s]++
	}
	var rest []string
	for _, s := range a {
		if n[s]--; n[s] < 0 {
			rest = append(rest, s)
		}
	}
	return rest
}

func shorten(values []string) string {
	if len(values) > 20 {
		return strings.Join(values[:20], " ") + " …"
	}
	return strings.Join(values, " ")
}

func (r *reader) lost() []connectors.DataLoss {
	return r.src.(connectors.DataLossRecorder).TakeDataLoss()
}

// tellings waits for a call of Retrying that f accepts.
func (r *reader) tellings(f func(error) bool) {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case <-r.telling:
		case <-deadline.C:
			r.t.Fatalf("not told: %v", r.told)
		}
		r.mu.Lock()
		last := r.told[len(r.told)-1]
		r.mu.Unlock()
		if f(last) {
			return
		}
	}
}

// put writes the numbers from "from" to "to", each under its own partition key.
func put(s *kinesistest.Server, from, to int) {
	for i := from; i < to; i++ {
		s.Put("trips", strconv.Itoa(i), []byte(strconv.Itoa(i)))
	}
}

func numbers(from, to int) []string {
	var values []string
	for i := from; i < to; i++ {
		values = append(values, strconv.Itoa(i))
	}
	return values
}

// clock is a wall clock that can be set forward.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond) // or else nothing that waits would end
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
