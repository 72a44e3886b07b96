//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// stream is a defined stream and, while it is at work, its run.
type stream struct {
	db    *DB
	name  string
	sink  string
	table string

	limits atomic.Pointer[limits] // ALTER STREAM replaces them
	doing  atomic.Value           // string: what of many parts its sink is at

	mu         sync.Mutex
	def        *sql.CreateStream // ALTER STREAM replaces it
	wanted     bool              // STOP survives a restart
	sourceName string            // as far as it could be planned
	opened     connectors.StreamSink
	failed     error
	run        *dataflow.Stream
	cancel     context.CancelFunc
	done       chan struct{}
	plan       *planner.StreamPlan
	ended      *dataflow.Status // of the last run, once it was stopped
	stored     connectors.State // of the last commit, for when no run knows it
	recalls    int              // of stored, and runs: the answer to a recall counts until the next of them
}

// streamOptions are the options of CREATE STREAM beside those of its sink.
var streamOptions = connectors.Spec{
	{Name: "lanes", Kind: connectors.OptionInt, Min: 1, Max: 1024, Doc: "How many lanes may read, compute and write side by side; the default is the number of cores. Of a source whose records have an order no more of them read than keep up."},
	{Name: "sql_mode", Default: "STRICT_TRANS_TABLES", Doc: "'' relaxes the evaluation: what does not fit becomes NULL or is cut, instead of a dead letter."},
	{Name: "timezone", Default: "UTC", Doc: "The zone in which the stream turns instants into dates and text."},
	{Name: "dead_letter_limit", Kind: connectors.OptionInt, Default: "0", Max: 1 << 40, Runtime: true, Doc: "The stream commits what it has read and fails when more values than this are rejected within a minute; 0 is never."},
}

// limits are the options of a stream that can be changed while it runs, and
// among all of them, which its sink takes.
type limits struct {
	options         connectors.Options
	commitInterval  time.Duration
	commitSize      int64
	deadLetterLimit int64
}

func newLimits(o connectors.Options) *limits {
	return &limits{o, o.Duration("commit_interval"), o.Size("commit_size"), o.Int("dead_letter_limit")}
}

// setLimits takes changed options: the sink from its next file and commit on.
func (s *stream) setLimits(l *limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.Store(l)
	s.tellSink()
}

// useSink keeps the sink that the stream has opened with options that may have
// been changed since.
func (s *stream) useSink(opened connectors.StreamSink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = opened
	s.tellSink()
}

func (s *stream) setDoing(text string) { s.doing.Store(text) }

// tellSink hands the options to a sink that can change them. The caller holds
// mu.
func (s *stream) tellSink() {
	if sink, ok := s.opened.(interface{ SetOptions(connectors.Options) }); ok {
		sink.SetOptions(s.limits.Load().options)
	}
}

// definition is the stream's CREATE statement.
func (s *stream) definition() *sql.CreateStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.def
}

// source is the name of the source that the stream reads, as far as it could be
// planned.
func (s *stream) source() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sourceName
}

// shallRun reports whether the stream is not stopped by a statement.
func (s *stream) shallRun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted
}

func (s *stream) setWanted(wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = wanted
}

// planned is a stream definition with everything it refers to.
type planned struct {
	plan    *planner.StreamPlan
	source  *source
	sink    *sink
	options connectors.Options
	// location is the zone in which the stream evaluates.
	location *time.Location
}

// planStream binds a stream's definition.
func (db *DB) planStream(ctx context.Context, def *sql.CreateStream) (*planned, error) {
	about := "stream " + def.Name.Name
	sinkName, _ := def.Target()
	sink := db.sink(sinkName)
	if sink == nil {
		at := def.Name.Pos
		if def.Into != nil {
			at = def.Into.Sink.Pos
		}
		return nil, sqlerror.As(db.unknown(sql.KindSink, sinkName, at)).About(about)
	}
	if sink.err != nil {
		return nil, sink.err
	}
	spec := streamOptions.With(sink.connector.StreamSpec)
	own, err := spec.NewOptions(plainOptions(def.Options))
	if err != nil {
		if e := sqlerror.As(err); e != nil {
			return nil, e.At(def.Name.Pos).About(about)
		}
		return nil, fmt.Errorf("%s: %w", about, err)
	}
	options, err := sink.streamOptions(own)
	if err != nil {
		return nil, aboutStream(err, db.newStream(def))
	}
	loc, err := kernel.LoadZone(own.String("timezone"), time.UTC)
	if err != nil {
		o, _ := optionValue(def.Options, "timezone")
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"timezone\": %w", err).At(o.Pos).About(about)
	}
	session := db.NewSession()
	gctx := session.context(ctx, def.Query, def.QueryPos)
	plan, err := planner.BindStream(gctx, db.mysql.Analyzer.Catalog, planner.StreamInput{
		Stream: def, Strict: own.String("sql_mode") != "", Location: loc,
		TableFormat: sink.options.String("table_format"), Exprs: optionExprs(sink.connector.StreamSpec, def.Options), Names: db.names(sql.KindSource),
	})
	if err != nil {
		return nil, err
	}
	source, ok := plan.Source.Handle.(*source)
	if !ok {
		return nil, fmt.Errorf("plan %s: source %s has handle %T", about, plan.Source.Name, plan.Source.Handle)
	}
	return &planned{plan: plan, source: source, sink: sink, options: options, location: loc}, nil
}

// alone refuses a stream that would take from another what only one can read, at the
// place in the statement that would start it.
func (db *DB) alone(s *stream, p *planned, at sqlerror.Position) error {
	mine, hint := p.source.exclusive(s.name)
	if mine == "" {
		return nil
	}
	for _, other := range db.allStreams() {
		if strings.EqualFold(other.name, s.name) || !other.shallRun() {
			continue
		}
		source := db.source(other.source())
		if source == nil || source.err != nil || source.connector != p.source.connector {
			continue
		}
		if theirs, _ := source.exclusive(other.name); theirs == mine {
			return sqlerror.Userf(sqlerror.CodeInUse, "%s is read by stream %s, and what one reader is given the other is not", mine, other.name).
				At(at).About("stream "+s.name).WithHint("%s; or STOP STREAM %s", hint, other.name)
		}
	}
	return nil
}

// optionExprs are the options whose values are expressions.
func optionExprs(spec connectors.Spec, options []sql.Option) []planner.OptionExpr {
	var exprs []planner.OptionExpr
	for _, o := range options {
		if s := spec.Find(o.Name); s != nil && s.Kind == connectors.OptionExpression {
			exprs = append(exprs, planner.OptionExpr{Option: s.Name, Text: o.Value, Pos: o.Pos})
		}
	}
	return exprs
}

// newStream makes a stream that does not run yet.
func (db *DB) newStream(def *sql.CreateStream) *stream {
	s := &stream{db: db, name: def.Name.Name, def: def}
	s.sink, s.table = def.Target()
	return s
}

func (p *planned) lanes(db *DB) int {
	if n := p.options.Int("lanes"); n > 0 {
		return int(n)
	}
	return db.cfg.Threads
}

// streamSpec is what the sink has to know.
func (db *DB) streamSpec(s *stream, p *planned, retrying func(error)) connectors.StreamSpec {
	return connectors.StreamSpec{
		Stream: s.name, Table: s.table, Schema: p.plan.Output, Selected: p.plan.Selected, Partition: p.plan.Partition, Exprs: p.plan.Exprs, Doing: s.setDoing,
		Options: p.options, Lanes: p.lanes(db), Unordered: p.source.connector.Unordered, Adopt: p.options.Bool("adopt"),
		MemoryBytes: db.cfg.StreamMemory, Retrying: retrying, Location: p.location, Now: db.scheduler.Now, Logger: db.cfg.Logger,
	}
}

// start begins to run a stream that has been planned. first, if it is not nil,
// is the stream's sink as CREATE has opened it; move gives other positions to go
// on from. The caller holds no lock of the stream.
func (s *stream) start(p *planned, first connectors.StreamSink, move func(context.Context, connectors.Source) (connectors.Positions, error)) {
	s.startWith(p, first, move, nil)
}

// predicates are what the source may leave rows out by: nothing where the sink
// keeps all of them.
func (p *planned) predicates() []connectors.Predicate {
	if p.options.String("backup") != "" {
		return nil
	}
	return p.plan.Source.Predicates
}

// startWith is start with something to ask of the run before it begins.
func (s *stream) startWith(p *planned, first connectors.StreamSink, move func(context.Context, connectors.Source) (connectors.Positions, error), ask func(*dataflow.Stream)) {
	db := s.db
	s.limits.Store(newLimits(p.options))
	hidden := make([]types.Type, 0, len(p.plan.Source.Hidden))
	for _, name := range p.plan.Source.Hidden {
		i := slices.IndexFunc(p.source.connector.Hidden, func(h connectors.Hidden) bool { return strings.EqualFold(h.Name, name) })
		hidden = append(hidden, p.source.connector.Hidden[i].Type)
	}
	cfg := dataflow.Config{
		Stream: s.name, SourceName: p.source.name, Lanes: p.lanes(db), FewLanes: !p.source.connector.Unordered, Hidden: hidden, HiddenNames: p.plan.Source.Hidden, MoveTo: move,
		SkipDataLoss: p.source.connector.Spec.Find("on_data_loss") == nil || p.source.options.String("on_data_loss") == "skip",
		OpenSource: func(ctx context.Context, retrying func(error)) (connectors.Source, error) {
			cfg := db.sourceConfig(p.source)
			cfg.Stream, cfg.Lanes, cfg.Hidden, cfg.Fields, cfg.Retrying = s.name, p.lanes(db), p.plan.Source.Hidden, p.plan.Source.Fields, retrying
			cfg.Predicates = p.predicates()
			return p.source.connector.Open(ctx, cfg)
		},
		OpenSink: func(ctx context.Context, retrying func(error)) (connectors.StreamSink, error) {
			opened := first
			if first = nil; opened == nil {
				handle, err := p.sink.open(objectstore.NewStalls(retrying).Context(ctx))
				if err != nil {
					return nil, err
				}
				spec := db.streamSpec(s, p, retrying)
				spec.Options = s.limits.Load().options
				if opened, err = handle.Stream(ctx, spec); err != nil {
					return nil, err
				}
			}
			s.useSink(opened)
			return opened, nil
		},
		NewDecoder: func() (connectors.Decoder, error) {
			cfg := p.source.decoderConfig()
			cfg.Fields, cfg.Alloc = p.plan.Source.Fields, memory.DefaultAllocator
			return p.source.format.NewDecoder(cfg)
		},
		NewPipeline: func() (*operator.Pipeline, error) {
			check, err := db.rowCheck(s, p)
			if err != nil {
				return nil, err
			}
			return newPipeline(p.plan, check, &kernel.Context{
				Alloc: memory.DefaultAllocator, Location: p.location, Mode: kernel.Mode{Strict: p.options.String("sql_mode") != ""},
			})
		},
		CommitInterval:    func() time.Duration { return s.limits.Load().commitInterval },
		CommitBytes:       func() int64 { return s.limits.Load().commitSize },
		DeadLetterLimit:   func() int64 { return s.limits.Load().deadLetterLimit },
		DiscoveryInterval: p.source.options.Duration("discovery_interval"),
		Scheduler:         db.scheduler, Logger: db.cfg.Logger,
	}
	run := dataflow.New(cfg)
	if ask != nil {
		ask(run)
	}
	ctx, cancel := context.WithCancel(db.ctx)
	done := make(chan struct{})
	s.mu.Lock()
	s.run, s.cancel, s.done, s.failed, s.plan, s.sourceName = run, cancel, done, nil, p.plan, p.source.name
	s.recalls++
	s.mu.Unlock()
	db.runs.Add(1)
	go func() {
		defer db.runs.Done()
		defer close(done)
		defer cancel()
		if err := run.Run(ctx); err != nil && !cancelled(ctx, err) {
			db.cfg.Logger.Error("stream ended", "stream", s.name, "error", err)
		}
		s.mu.Lock()
		s.opened = nil
		s.mu.Unlock()
		if p.source.hub != nil {
			p.source.hub.Detach(s.name)
		}
	}()
}

// rowCheck is the sink's check of the rows of a lane, nil if it takes them all.
func (db *DB) rowCheck(s *stream, p *planned) (connectors.RowCheck, error) {
	handle, err := p.sink.open(db.ctx)
	if err != nil {
		return nil, err
	}
	checker, ok := handle.(connectors.RowChecker)
	if !ok {
		return nil, nil
	}
	return checker.RowCheck(db.streamSpec(s, p, nil))
}

// newPipeline makes the operators of one lane. check may be nil.
func newPipeline(plan *planner.StreamPlan, check connectors.RowCheck, ctx *kernel.Context) (*operator.Pipeline, error) {
	lane, err := plan.Compile()
	if err != nil {
		return nil, err
	}
	operators, err := operatorsOf(lane.Steps)
	if err != nil {
		return nil, err
	}
	if check != nil {
		operators = append(operators, &operator.Check{Rows: check})
	}
	return operator.NewPipeline(ctx, operators, plan.Output), nil
}

// operatorsOf makes the operators of compiled steps.
func operatorsOf(steps []planner.Step) ([]operator.Operator, error) {
	var operators []operator.Operator
	for _, step := range steps {
		switch step := step.(type) {
		case *planner.FilterStep:
			operators = append(operators, &operator.Filter{Predicate: step.Predicate})
		case *planner.ProjectStep:
			operators = append(operators, &operator.Project{Exprs: step.Exprs})
		case *planner.FlattenStep:
			flatten, err := operator.NewFlatten(step.Table, step.Outer)
			if err != nil {
				return nil, err
			}
			operators = append(operators, &operator.Explode{Data: step.Data, Flatten: flatten, Keep: step.Keep})
		case *planner.LimitStep:
			operators = append(operators, &operator.Limit{Count: step.Count, Offset: step.Offset})
		default:
			return nil, fmt.Errorf("no operator for step %T", step)
		}
	}
	return operators, nil
}

// running is the stream's run, or nil.
func (s *stream) running() *dataflow.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// starting reports whether the stream has neither started nor shown why not.
func (s *stream) starting() bool {
	run := s.running()
	return run != nil && run.Status().State == dataflow.Starting
}

// status is the stream's status, whether it runs or not.
func (s *stream) status() dataflow.Status {
	s.mu.Lock()
	run, failed, wanted, ended, stored := s.run, s.failed, s.wanted, s.ended, s.stored
	s.mu.Unlock()
	st := dataflow.Status{State: dataflow.Stopped, Progress: connectors.Progress{Lag: -1, BytesRead: -1, BytesTotal: -1}}
	switch {
	case run != nil:
		st = run.Status()
	case ended != nil && failed == nil:
		st = *ended
	case failed != nil && wanted:
		st.State, st.Reason = dataflow.Failed, failed
	}
	if st.Committed.Generation == 0 {
		st.Committed = stored
	}
	return st
}

// recall reads in the background what the stream's table says of it, for as long
// as no run does.
func (s *stream) recall() {
	number := s.beginRecall()
	s.db.runs.Go(func() {
		backoff := objectstore.Backoff{Cap: time.Minute, Scheduler: s.db.scheduler}
		err := backoff.Retry(s.db.ctx, nil, func(ctx context.Context) error {
			if !s.recalling(number) {
				return nil
			}
			stored, err := s.db.storedState(ctx, s)
			if err == nil {
				s.setStored(number, stored)
			}
			return err
		})
		if err != nil && s.db.ctx.Err() == nil {
			s.db.cfg.Logger.Debug("what the stream has committed is not known", "stream", s.name, "error", err)
		}
	})
}

// beginRecall forgets what was known of the stream's table. Answers to earlier
// recalls, which may be those of another sink, no longer count.
func (s *stream) beginRecall() (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.ended = connectors.State{}, nil
	s.recalls++
	return s.recalls
}

// recalling reports whether the answer to a recall still matters: a later one, or
// a run, has more to say.
func (s *stream) recalling(number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recalls == number
}

// setStored notes what a recall has found, if it still matters.
func (s *stream) setStored(number int, state connectors.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recalls == number {
		s.stored = state
	}
}

// storedState is what the sink says that a stream has committed.
func (db *DB) storedState(ctx context.Context, s *stream) (connectors.State, error) {
	sink, release := db.heldSink(s.sink)
	defer release()
	if sink == nil {
		return connectors.State{}, nil
	}
	tables, err := sink.lake(ctx)
	if errors.Is(err, errNoTables) {
		return sink.keptState(ctx, s.name)
	}
	if err != nil {
		return connectors.State{}, err
	}
	t, err := tables.Table(ctx, s.table)
	if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return connectors.State{}, nil
	}
	if err != nil {
		return connectors.State{}, err
	}
	return lake.StateIn(t.Properties(), s.name)
}

// fail notes why a stream could not be started.
func (s *stream) fail(err error) {
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	s.db.cfg.Logger.Error("stream cannot start", "stream", s.name, "error", err)
}

// How long a stream that shall stop may take to commit; one that is retrying
// has nothing to wait for.
const retryingGrace = 5 * time.Second

// stop commits what the stream has read and waits for its end. A commit that
// does not come through in time is given up; it is read again when the stream
// is started.
func (s *stream) stop(ctx context.Context) error {
	s.mu.Lock()
	run, cancel, done := s.run, s.cancel, s.done
	s.mu.Unlock()
	if run == nil {
		return nil
	}
	run.Stop()
	begun := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			st := run.Status()
			s.mu.Lock()
			s.run, s.ended = nil, &st
			if st.Committed.Generation > 0 {
				s.stored = st.Committed
			}
			s.mu.Unlock()
			return nil
		case <-ctx.Done():
			cancel()
			<-done
			return ctx.Err()
		case <-tick.C:
			waited := time.Since(begun)
			if waited > stopTimeout || waited > retryingGrace && run.Status().State == dataflow.Retrying {
				s.db.cfg.Logger.Warn("stream stopped without committing", "stream", s.name, "reason", run.Status().Reason)
				cancel()
			}
		}
	}
}

// StartStreams starts the streams that do not run and that no statement has stopped:
// those of a directory that was opened Paused, or after StopStreams. ctx bounds only
// how long it takes to begin.
func (db *DB) StartStreams(ctx context.Context) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	if db.closedError() == nil {
		db.startStored(ctx)
	}
}

// StopStreams commits what the streams have read and stops them until StartStreams,
// or until the directory is opened again; their definitions are untouched.
func (db *DB) StopStreams() { db.stopAll() }

// stopAll stops all streams at once.
func (db *DB) stopAll() {
	var wait sync.WaitGroup
	for _, s := range db.allStreams() {
		wait.Go(func() {
			if err := s.stop(context.Background()); err != nil {
				db.cfg.Logger.Warn("cannot stop stream", "stream", s.name, "error", err)
			}
		})
	}
	wait.Wait()
}

// stream finds a stream by name, or nil.
func (db *DB) stream(name string) *stream {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.streams[strings.ToLower(name)]
}

func (db *DB) allStreams() []*stream {
	db.mu.RLock()
	defer db.mu.RUnlock()
	all := make([]*stream, 0, len(db.streams))
	for _, s := range db.streams {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *stream) int { return strings.Compare(a.name, b.name) })
	return all
}

// Flush returns when everything that the stream's source held when it was
// called is committed and can be read.
func (db *DB) Flush(ctx context.Context, name string) error {
	s := db.stream(name)
	if s == nil {
		return db.unknown(sql.KindStream, name, sqlerror.Position{})
	}
	return s.flush(ctx)
}

func (s *stream) flush(ctx context.Context) error {
	run := s.running()
	if run == nil {
		st := s.status()
		e := sqlerror.Userf(sqlerror.CodeState, "stream is %s", st.State).About("stream " + s.name)
		if st.Reason != nil {
			return e.WithHint("%v", st.Reason)
		}
		return e.WithHint("START STREAM %s", s.name)
	}
	if err := run.Flush(ctx); err != nil {
		return fmt.Errorf("flush stream %s: %w", s.name, err)
	}
	return nil
}

// StreamStatus is how a stream is doing.
type StreamStatus = dataflow.Status

// Status tells how a stream is doing. The error says that there is none of that
// name.
func (db *DB) Status(name string) (StreamStatus, error) {
	s := db.stream(name)
	if s == nil {
		return StreamStatus{}, db.unknown(sql.KindStream, name, sqlerror.Position{})
	}
	return s.status(), nil
}

// Streams lists the names of the streams.
func (db *DB) Streams() []string { return db.names(sql.KindStream) }

// Wait waits until every stream that is meant to run has ended by itself:
// finished, failed or been fenced. It returns at once when there is none, and
// with ctx.Err() when ctx ends first.
func (db *DB) Wait(ctx context.Context) error {
	for _, s := range db.allStreams() {
		s.mu.Lock()
		done := s.done
		s.mu.Unlock()
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
