package dataflow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// world is what survives a run: a source's records and a table with its state.
type world struct {
	mu        sync.Mutex
	records   []string
	bounded   bool
	pollErr   []error // handed out before records
	breakErr  error   // handed out instead of record breakAt and all behind it
	breakAt   int
	state     connectors.State
	table     []string
	dead      []string
	commits   int
	commitErr []error
	writeErr  []error
	writeHook func(row string)
	lost      int   // records that were skipped, as commits say
	used      []int // how many lanes had rows, by commit
	// commitTime is how long a commit takes.
	commitTime time.Duration
}

func (w *world) take(list *[]error) error {
	if len(*list) == 0 {
		return nil
	}
	err := (*list)[0]
	*list = (*list)[1:]
	return err
}

func (w *world) add(records ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, records...)
}

// source hands out one record a chunk, in one split.
type source struct {
	w    *world
	next int
	lost []connectors.DataLoss
}

func position(n int) connectors.Position { return connectors.Position(strconv.Itoa(n)) }

func number(p connectors.Position) int { n, _ := strconv.Atoi(string(p)); return n }

func (s *source) Splits(context.Context, bool, connectors.Positions) ([]connectors.Split, error) {
	return []connectors.Split{{ID: "0", Start: "0"}}, nil
}

func (s *source) Assign(_ context.Context, p connectors.Positions) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.next = max(s.next, number(p["0"]))
	return nil
}

func (s *source) Poll(ctx context.Context, _ int, c *connectors.Chunk) error {
	for {
		s.w.mu.Lock()
		err := s.w.take(&s.w.pollErr)
		for s.next < len(s.w.records) && s.w.records[s.next] == "gone" {
			s.lost = append(s.lost, connectors.DataLoss{Split: "0", Records: 1})
			s.next++
		}
		done := s.next >= len(s.w.records)
		if err == nil && s.w.breakErr != nil && s.next >= s.w.breakAt {
			err = s.w.breakErr
		}
		if err == nil && !done {
			data := s.w.records[s.next]
			c.Split, c.Base, c.Data = "0", int64(s.next), append(connectors.Grow(c.Data[:0], len(data))[:0], data...)
			s.next++
		}
		s.w.mu.Unlock()
		switch {
		case err != nil:
			return err
		case !done:
			return nil
		case s.w.bounded:
			return io.EOF
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (s *source) Positions() connectors.Positions {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return connectors.Positions{"0": position(s.next)}
}

func (s *source) Ends(context.Context) (connectors.Positions, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return connectors.Positions{"0": position(len(s.w.records))}, nil
}

func (s *source) Reached(_ string, pos, end connectors.Position) bool {
	return number(pos) >= number(end)
}
func (s *source) TakeDataLoss() []connectors.DataLoss {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

func (s *source) Progress() connectors.Progress { return connectors.Progress{} }
func (s *source) Bounded() bool                 { return s.w.bounded }
func (s *source) Close() error                  { return nil }

// decoder makes a row of each chunk; "bad" is rejected.
type decoder struct {
	c     *connectors.Chunk
	batch arrow.RecordBatch
}

func (d *decoder) Reset(c *connectors.Chunk) { d.c = c }

func (d *decoder) Next(int) (*connectors.Decoded, error) {
	d.Close()
	if d.c == nil {
		return nil, nil
	}
	c := d.c
	d.c = nil
	value := connectors.Value{End: int32(len(c.Data))}
	out := &connectors.Decoded{}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer b.Release()
	if string(c.Data) == "bad" {
		out.Rejected = []connectors.Rejection{{Value: value, Class: connectors.ClassDecode, Message: "bad value"}}
	} else {
		b.Field(0).(*array.StringBuilder).Append(string(c.Data))
		out.Values = []connectors.Value{value}
	}
	d.batch = b.NewRecordBatch()
	out.Batch = d.batch
	return out, nil
}

func (d *decoder) Close() {
	if d.batch != nil {
		d.batch.Release()
		d.batch = nil
	}
}

var schema = types.Schema{{Name: "v", Type: types.TypeText}}

// lanes is how many the streams have.
const lanes = 2

// sink keeps an epoch's rows apart until they are committed.
type sink struct {
	w       *world
	writers []*writer
}

type writer struct {
	w          *world
	rows, dead []string
}

type sealed struct{ rows, dead []string }

func (s *sealed) Rows() int64  { return int64(len(s.rows)) }
func (s *sealed) Bytes() int64 { return 0 }

func (s *sink) Begin(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (connectors.State, bool, error) {
	s.w.mu.Lock()
	resumed := s.w.state.Generation > 0
	s.w.mu.Unlock()
	if !resumed {
		p, err := initial(ctx)
		if err != nil {
			return connectors.State{}, false, err
		}
		s.w.state.Positions = p
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.state.Generation++
	return s.w.state, resumed, nil
}

func (s *sink) Writer(lane int) connectors.LaneWriter {
	for len(s.writers) <= lane {
		s.writers = append(s.writers, &writer{w: s.w})
	}
	return s.writers[lane]
}

func (s *sink) Commit(_ context.Context, state connectors.State, list []connectors.Sealed, info connectors.CommitInfo) (connectors.CommitResult, error) {
	time.Sleep(s.w.commitTime)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err := s.w.take(&s.w.commitErr); err != nil {
		return connectors.CommitResult{}, err
	}
	if state.Epoch != s.w.state.Epoch+1 {
		return connectors.CommitResult{}, fmt.Errorf("epoch %d after %d", state.Epoch, s.w.state.Epoch)
	}
	if len(list) != lanes {
		return connectors.CommitResult{}, fmt.Errorf("epoch %d ends for %d of %d lanes", state.Epoch, len(list), lanes)
	}
	for _, loss := range info.DataLoss {
		s.w.lost += int(loss.Records)
	}
	used := 0
	for _, one := range list {
		if len(one.(*sealed).rows) > 0 {
			used++
		}
		s.w.table = append(s.w.table, one.(*sealed).rows...)
		s.w.dead = append(s.w.dead, one.(*sealed).dead...)
	}
	s.w.state = state
	s.w.used = append(s.w.used, used)
	s.w.commits++
	return connectors.CommitResult{CommittedAt: time.Now()}, nil
}

func (s *sink) Abort(context.Context) error {
	for _, w := range s.writers {
		w.rows, w.dead = nil, nil
	}
	return nil
}
func (s *sink) Drop(context.Context) error { return nil }
func (s *sink) Close() error               { return nil }

func (w *writer) Write(_ context.Context, d connectors.Delta) error {
	w.w.mu.Lock()
	err := w.w.take(&w.w.writeErr)
	hook := w.w.writeHook
	w.w.mu.Unlock()
	if err != nil {
		return err
	}
	column := d.Batch.Column(0).(*array.String)
	for i := range int(d.Batch.NumRows()) {
		if d.Sel != nil && !slices.Contains(d.Sel, int32(i)) {
			continue
		}
		if hook != nil {
			hook(column.Value(i))
		}
		w.rows = append(w.rows, strings.Clone(column.Value(i)))
	}
	return nil
}

func (w *writer) DeadLetter(_ context.Context, letters []connectors.DeadLetter) error {
	for _, l := range letters {
		w.dead = append(w.dead, l.Position+"="+string(l.Raw))
	}
	return nil
}

func (w *writer) Seal(context.Context) (connectors.Sealed, error) {
	s := &sealed{w.rows, w.dead}
	w.rows, w.dead = nil, nil
	return s, nil
}
func (w *writer) Buffered() int64 { return 0 }
func (w *writer) Written() int64  { return 0 }

func (w *world) stream(change func(*dataflow.Config)) *dataflow.Stream {
	cfg := dataflow.Config{
		Stream: "s", SourceName: "src", Lanes: lanes, Scheduler: sched.System{}, Logger: slog.New(slog.DiscardHandler),
		OpenSource:     func(context.Context, func(error)) (connectors.Source, error) { return &source{w: w}, nil },
		OpenSink:       func(context.Context, func(error)) (connectors.StreamSink, error) { return &sink{w: w}, nil },
		NewDecoder:     func() (connectors.Decoder, error) { return &decoder{}, nil },
		NewPipeline:    func() (*operator.Pipeline, error) { return operator.NewPipeline(newContext(), nil, schema), nil },
		CommitInterval: func() time.Duration { return 10 * time.Second },
	}
	if change != nil {
		change(&cfg)
	}
	return dataflow.New(cfg)
}

func newContext() *kernel.Context { return &kernel.Context{Alloc: memory.DefaultAllocator} }

// start runs the stream in a goroutine; the returned function waits for its end.
func start(ctx context.Context, s *dataflow.Stream) func() error {
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error { return <-done }
}

func (w *world) check(t *testing.T, rows ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := slices.Clone(w.table)
	slices.Sort(got)
	if !slices.Equal(got, rows) {
		t.Errorf("table=%q, want %q", got, rows)
	}
	if !w.state.Counters.Reconciled() {
		t.Errorf("counters do not reconcile: %+v", w.state.Counters)
	}
	if want := int64(len(rows)); w.state.Counters.RowsLanded != want {
		t.Errorf("rows_landed=%d, want %d", w.state.Counters.RowsLanded, want)
	}
}

func TestRun_BoundedSourceFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a", "bad", "b"}, bounded: true}
		s := w.stream(nil)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b")
		if want := []string{"0@1=bad"}; !slices.Equal(w.dead, want) {
			t.Errorf("dead letters=%q, want %q", w.dead, want)
		}
		if st := s.Status(); st.State != dataflow.Finished {
			t.Errorf("state=%s, want FINISHED", st.State)
		}
	})
}

// closer is a sink that says when it is closed.
type closer struct {
	*sink
	closing func()
}

func (c *closer) Close() error {
	c.closing()
	return nil
}

func TestAskReplay_OfAStreamThatFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{bounded: true}
		var s *dataflow.Stream
		ask := func() func() (dataflow.ReplayBegun, error) { return s.AskReplay(t.Context(), "r", nil) }
		var whileItEnds func() (dataflow.ReplayBegun, error)
		s = w.stream(func(cfg *dataflow.Config) {
			cfg.OpenSink = func(context.Context, func(error)) (connectors.StreamSink, error) {
				return &closer{&sink{w: w}, func() { whileItEnds = ask() }}, nil
			}
		})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, wait := range []func() (dataflow.ReplayBegun, error){whileItEnds, ask()} {
			if _, err := wait(); !errors.Is(err, dataflow.ErrFinished) {
				t.Errorf("err=%v, want ErrFinished", err)
			}
		}
	})
}

func TestFlush_OfAStreamThatFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a"}, bounded: true}
		flushed := make(chan error, 1)
		var s *dataflow.Stream
		s = w.stream(func(cfg *dataflow.Config) {
			cfg.OpenSink = func(context.Context, func(error)) (connectors.StreamSink, error) {
				return &closer{&sink{w: w}, func() {
					go func() { flushed <- s.Flush(t.Context()) }()
					synctest.Wait()
				}}, nil
			}
		})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-flushed; err != nil {
			t.Errorf("flush: %v", err)
		}
		w.check(t, "a")
	})
}

func TestRun_CommitsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a"}}
		ctx, cancel := context.WithCancel(t.Context())
		wait := start(ctx, w.stream(nil))
		time.Sleep(8 * time.Second)
		w.check(t)
		time.Sleep(4 * time.Second)
		w.check(t, "a")
		time.Sleep(time.Hour)
		if w.commits != 1 {
			t.Errorf("%d commits while nothing came, want 1", w.commits)
		}
		cancel()
		if err := wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("err=%v, want canceled", err)
		}
	})
}

func TestRun_BoundedSourceDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A coordinator that is always due never lets the fake clock go on, and
		// the test would hang.
		w := &world{bounded: true, records: []string{"a"}, pollErr: []error{errors.New("not yet")}}
		s := w.stream(func(c *dataflow.Config) { c.DiscoveryInterval = time.Millisecond })
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a")
	})
}

func TestFlush_WaitsForWhatTheSourceHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a", "b", "c"}}
		// The first row takes long: the flush has to wait for a chunk that was
		// polled but not written.
		w.writeHook = func(string) { time.Sleep(time.Second) }
		s := w.stream(func(c *dataflow.Config) { c.CommitInterval = func() time.Duration { return time.Hour } })
		wait := start(t.Context(), s)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b", "c")
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// positioner is a source that counts how often all its positions are asked for.
type positioner struct {
	*source
	all int
}

func (p *positioner) Position(string) connectors.Position { return p.source.Positions()["0"] }

func (p *positioner) Positions() connectors.Positions {
	p.w.mu.Lock()
	p.all++
	p.w.mu.Unlock()
	return p.source.Positions()
}

// A flush that waits long does not look at all splits at each turn.
func TestFlush_LooksAtOneSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		for range 100 {
			w.records = append(w.records, "a")
		}
		w.writeHook = func(string) { time.Sleep(time.Second) }
		counting := &positioner{}
		s := w.stream(func(c *dataflow.Config) {
			c.CommitInterval = func() time.Duration { return time.Hour }
			c.OpenSource = func(context.Context, func(error)) (connectors.Source, error) {
				counting.source = &source{w: w}
				return counting, nil
			}
		})
		wait := start(t.Context(), s)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(w.table) != 100 || counting.all > 10 {
			t.Errorf("%d rows; all positions were asked for %d times", len(w.table), counting.all)
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFlush_CommitFails waits for rows whose epoch did not come about, though
// another one that holds a part of them is committed first.
func TestFlush_CommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
		w := &world{records: all, commitErr: []error{errors.New("no answer")}}
		var written atomic.Int64
		w.writeHook = func(string) {
			if int(written.Add(1)) > len(all) { // the second time they take long
				time.Sleep(8 * time.Second)
			}
		}
		s := w.stream(nil)
		wait := start(t.Context(), s)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, all...)
		if w.commits < 2 {
			t.Errorf("%d commits: none has a part", w.commits)
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFlush_NothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		s := w.stream(nil)
		wait := start(t.Context(), s)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFlush_FailsWithTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a"}, writeErr: []error{sqlerror.Userf(sqlerror.CodeType, "no such column")}}
		s := w.stream(nil)
		wait := start(t.Context(), s)
		if err := s.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "no such column") {
			t.Errorf("err=%v, want the stream's", err)
		}
		if err := wait(); err == nil {
			t.Error("the stream did not fail")
		}
		if st := s.Status(); st.State != dataflow.Failed {
			t.Errorf("state=%s, want FAILED", st.State)
		}
	})
}

func TestStop_CommitsWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a", "b"}}
		s := w.stream(nil)
		wait := start(t.Context(), s)
		time.Sleep(time.Second)
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b")
		if st := s.Status(); st.State != dataflow.Stopped {
			t.Errorf("state=%s, want STOPPED", st.State)
		}
	})
}

// While the last commit was under way the lanes read on, and there was a next
// last commit, and so on.
func TestStop_EndsThoughTheSourceGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a"}, commitTime: time.Second}
		w.writeHook = func(string) {
			time.Sleep(10 * time.Millisecond)
			w.add("a")
		}
		s := w.stream(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		wait := start(ctx, s)
		time.Sleep(100 * time.Millisecond)
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		if w.commits != 1 || len(w.table) == 0 {
			t.Errorf("%d rows in %d commits, want one commit of some", len(w.table), w.commits)
		}
	})
}

func TestRun_ResumesWithoutLossOrRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a", "b"}}
		s := w.stream(nil)
		ctx, cancel := context.WithCancel(t.Context())
		wait := start(ctx, s)
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		w.add("c")
		time.Sleep(time.Second)
		cancel() // as a crash: c was read, and not committed
		_ = wait()
		w.add("d")
		s = w.stream(nil)
		wait = start(t.Context(), s)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b", "c", "d")
		if st := s.Status(); !st.Resumed || st.Committed.Generation != 2 {
			t.Errorf("resumed=%v generation=%d, want true, 2", st.Resumed, st.Committed.Generation)
		}
		s.Stop()
		_ = wait()
	})
}

func TestRun_RetryableErrors(t *testing.T) {
	away := errors.New("broker is away")
	f := func(name string, break_ func(*world)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{records: []string{"a", "b", "c"}, bounded: true}
				break_(w)
				s := w.stream(nil)
				wait := start(t.Context(), s)
				synctest.Wait()
				if st := s.Status(); st.State != dataflow.Retrying || !errors.Is(st.Reason, away) {
					t.Errorf("state=%s because %v, want RETRYING", st.State, st.Reason)
				}
				if err := wait(); err != nil {
					t.Fatal(err)
				}
				w.check(t, "a", "b", "c")
			})
		})
	}
	f("Poll", func(w *world) { w.pollErr = []error{away, away} })
	f("Write", func(w *world) { w.writeErr = []error{away} })
	f("Commit", func(w *world) { w.commitErr = []error{away} })
}

// troubled is a source that tells why it cannot list its splits, for as long as
// it is open.
type troubled struct {
	source
	errs     *[]error
	retrying func(error)
}

func (s *troubled) Splits(ctx context.Context, first bool, known connectors.Positions) ([]connectors.Split, error) {
	if err := s.w.take(s.errs); err != nil {
		s.retrying(err)
		return nil, err
	}
	return s.source.Splits(ctx, first, known)
}

// stateLog keeps the states that a stream logs, and how often it says that it is
// still in one.
type stateLog struct {
	slog.Handler
	states    []string
	reminders []string // the reasons
}

func (l *stateLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "state":
			l.states = append(l.states, a.Value.String())
		case a.Key == "reason" && r.Message == "stream is still retrying":
			l.reminders = append(l.reminders, a.Value.String())
		}
		return true
	})
	return nil
}

func (*stateLog) Enabled(context.Context, slog.Level) bool { return true }

// TestRun_RetryingBetweenAttempts stays RETRYING while what an attempt has opened is
// closed: the stream was STARTING, or RUNNING, for a moment.
func TestRun_RetryingBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("broker is away")
		w, log := &world{records: []string{"a"}, bounded: true}, &stateLog{}
		errs := []error{away, away, nil, away, away}
		s := w.stream(func(cfg *dataflow.Config) {
			cfg.Logger = slog.New(log)
			cfg.OpenSource = func(_ context.Context, retrying func(error)) (connectors.Source, error) {
				return &troubled{source{w: w}, &errs, retrying}, nil
			}
		})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"RETRYING", "RUNNING", "RETRYING", "RUNNING", "FINISHED"}; !slices.Equal(log.states, want) {
			t.Errorf("states=%q, want %q", log.states, want)
		}
		w.check(t, "a")
	})
}

// TestRun_RemindsOfTrouble says in the log why a stream is still RETRYING, with the first
// attempts after one minute, two, four …, whose times are random in part.
func TestRun_RemindsOfTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stateLog{}
		begun := time.Now()
		s := (&world{}).stream(func(cfg *dataflow.Config) {
			cfg.Logger = slog.New(log)
			cfg.OpenSink = func(context.Context, func(error)) (connectors.StreamSink, error) {
				if time.Since(begun) > 3*time.Minute {
					return nil, errors.New("the bucket is gone")
				}
				return nil, errors.New("no answer")
			}
		})
		wait := start(t.Context(), s)
		time.Sleep(20 * time.Minute)
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		var reasons []string
		for _, r := range log.reminders {
			reasons = append(reasons, strings.TrimPrefix(r, "open sink of stream s: "))
		}
		if n := len(reasons); n < 3 || n > 5 || reasons[0] != "no answer" || reasons[n-1] != "the bucket is gone" {
			t.Errorf("reminders %q, want three to five, of which the first has no answer and the last no bucket", reasons)
		}
	})
}

// TestRun_CalmAfterError does not stay RETRYING where no record comes any more.
func TestRun_CalmAfterError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("broker is away")
		w := &world{pollErr: []error{away}}
		s := w.stream(nil)
		wait := start(t.Context(), s)
		time.Sleep(29 * time.Second)
		if st := s.Status(); st.State != dataflow.Retrying || !errors.Is(st.Reason, away) {
			t.Errorf("%s because %v, want RETRYING", st.State, st.Reason)
		}
		time.Sleep(3 * time.Second)
		if st := s.Status(); st.State != dataflow.Running || st.Reason != nil {
			t.Errorf("%s because %v, want RUNNING", st.State, st.Reason)
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRun_SinkSilentWhenOpened does not stay RETRYING for what was told of an
// attempt to open the sink that was given up.
func TestRun_SinkSilentWhenOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, away := errors.New("no byte has moved"), errors.New("no answer")
		w := &world{records: []string{"a"}}
		attempts := 0
		s := w.stream(func(cfg *dataflow.Config) {
			cfg.OpenSink = func(_ context.Context, retrying func(error)) (connectors.StreamSink, error) {
				if attempts++; attempts > 2 {
					return &sink{w: w}, nil
				}
				if attempts == 1 {
					retrying(silent)
				}
				time.Sleep(20 * time.Second)
				return nil, away
			}
		})
		wait := start(t.Context(), s)
		for _, want := range []error{silent, away} {
			time.Sleep(19 * time.Second)
			if st := s.Status(); st.State != dataflow.Retrying || !errors.Is(st.Reason, want) {
				t.Errorf("attempt %d: %s because %v, want RETRYING because %v", attempts, st.State, st.Reason, want)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Minute)
		if st := s.Status(); st.State != dataflow.Running || st.Reason != nil {
			t.Errorf("%s because %v, want RUNNING", st.State, st.Reason)
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a")
	})
}

// TestRun_CommitsWhatWasReadBeforeAFailure does not throw away what a source gave
// before it failed for good, also what another lane is still at.
func TestRun_CommitsWhatWasReadBeforeAFailure(t *testing.T) {
	f := func(name string, breakAt, commits int, first, last []string, change func(*world)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := sqlerror.Externalf(sqlerror.CodeDataLoss, "file is damaged").Final()
				w := &world{records: []string{"a", "b", "c", "d"}, bounded: true, breakErr: broken, breakAt: breakAt}
				w.writeHook = func(string) { time.Sleep(time.Second) }
				if change != nil {
					change(w)
				}
				s := w.stream(nil)
				wait := start(t.Context(), s)
				if err := s.Flush(t.Context()); !errors.Is(err, broken) {
					t.Errorf("flush: %v, want what the source fails with", err)
				}
				if err := wait(); !errors.Is(err, broken) {
					t.Errorf("run: %v, want what the source fails with", err)
				}
				if st := s.Status(); st.State != dataflow.Failed || !errors.Is(st.Reason, broken) {
					t.Errorf("%s because %v, want FAILED", st.State, st.Reason)
				}
				if w.commits != commits {
					t.Errorf("%d commits, want %d", w.commits, commits)
				}
				w.check(t, first...)
				w.breakErr = nil
				if err := w.stream(nil).Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.check(t, last...)
			})
		})
	}
	all := []string{"a", "b", "c", "d"}
	f("Some", 2, 1, []string{"a", "b"}, all, nil)
	f("None", 0, 0, nil, all, nil)
	f("CommitFailsOnce", 3, 1, []string{"a", "b", "c"}, all, func(w *world) { w.commitErr = []error{errors.New("not yet")} })
	// The loss that was skipped before is committed, too.
	f("Loss", 2, 1, []string{"a"}, []string{"a", "c", "d"}, func(w *world) { w.records[1] = "gone" })
}

func TestRun_Fenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a"}, bounded: true}
		w.commitErr = []error{sqlerror.Externalf(sqlerror.CodeFenced, "generation 7 has taken over").Final()}
		s := w.stream(nil)
		if err := s.Run(t.Context()); !sqlerror.HasCode(err, sqlerror.CodeFenced) {
			t.Errorf("err=%v, want fenced", err)
		}
		w.check(t)
		if st := s.Status(); st.State != dataflow.Fenced {
			t.Errorf("state=%s, want FENCED", st.State)
		}
	})
}

func TestRun_PanicFailsTheStreamOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a"}, writeHook: func(string) { panic("boom") }}
		s := w.stream(nil)
		if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("err=%v, want the panic", err)
		}
	})
}

func TestRun_DeadLetterLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"bad", "a", "bad", "bad", "b", "bad", "bad", "bad", "c"}, bounded: true}
		limit := int64(2)
		run := func() (dataflow.Status, error) {
			s := w.stream(func(c *dataflow.Config) { c.DeadLetterLimit = func() int64 { return limit } })
			err := s.Run(t.Context())
			return s.Status(), err
		}
		st, err := run()
		e := sqlerror.As(err)
		if e == nil || !strings.Contains(e.Message, "dead_letter_limit 2") || !strings.Contains(e.Hint, "bad value") || !strings.Contains(e.Hint, "START STREAM s") {
			t.Errorf("err=%v, want the limit and the first reason", err)
		}
		if st.State != dataflow.Failed {
			t.Errorf("state=%s, want FAILED", st.State)
		}
		// What was rejected can be looked at, and a start goes on behind it.
		if n := len(w.dead); n < 3 || n > 4 || w.state.Counters.RowsDead != int64(n) {
			t.Errorf("%d dead letters are committed, %d counted", n, w.state.Counters.RowsDead)
		}
		limit = 0
		if _, err := run(); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b", "c")
		slices.Sort(w.dead)
		if want := []string{"0@0=bad", "0@2=bad", "0@3=bad", "0@5=bad", "0@6=bad", "0@7=bad"}; !slices.Equal(w.dead, want) {
			t.Errorf("dead letters=%q, want %q", w.dead, want)
		}
	})
}

// TestRun_DeadLetterLimitByTheMinute: so many a minute are fine for ever.
func TestRun_DeadLetterLimitByTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		s := w.stream(func(c *dataflow.Config) { c.DeadLetterLimit = func() int64 { return 2 } })
		wait := start(t.Context(), s)
		for range 10 {
			w.add("bad", "bad")
			time.Sleep(time.Minute + 5*time.Second)
		}
		if st := s.Status(); st.State != dataflow.Running {
			t.Errorf("state=%s because %v, want RUNNING", st.State, st.Reason)
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		if len(w.dead) != 20 {
			t.Errorf("%d dead letters, want 20", len(w.dead))
		}
	})
}

func TestRun_MoveTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a", "b"}, bounded: true}
		if err := w.stream(nil).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := w.stream(func(c *dataflow.Config) {
			c.MoveTo = func(context.Context, connectors.Source) (connectors.Positions, error) {
				return connectors.Positions{"0": "1"}, nil
			}
		})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b", "b")
	})
}

// TestRun_DataLossBetweenDiscoveries: what a lane had to skip was committed with
// the discovery after it, or never, while its position was committed at once.
func TestRun_DataLossBetweenDiscoveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: []string{"a", "gone", "gone", "b"}, bounded: true}
		if err := w.stream(nil).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b")
		if w.lost != 2 {
			t.Errorf("commits tell of %d lost records, want 2", w.lost)
		}
	})
}
