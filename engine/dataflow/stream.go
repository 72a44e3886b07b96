// Package dataflow runs a stream: lanes that read, decode, compute and write in
// steps, and epochs that commit what the steps have done.
//
// A lane repeats one step: poll a chunk, decode it, push it through the
// operators, hand the rows to its writer. Between two steps a lane holds no
// row that is in neither its writer nor the past, so an epoch ends by letting
// every lane finish its step, seal its files, and noting how far the source
// has been polled. The lanes then go on while the epoch is committed. Any
// failure throws away what was not committed and begins again from the last
// committed positions.
package dataflow

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Config is what a stream is made of.
type Config struct {
	Stream string
	// SourceName names the source in the committed positions.
	SourceName string
	// OpenSource opens the source anew; retrying is to be handed on to it.
	OpenSource func(ctx context.Context, retrying func(error)) (connectors.Source, error)
	// OpenSink prepares the table; called until it succeeds.
	OpenSink    func(ctx context.Context, retrying func(error)) (connectors.StreamSink, error)
	NewDecoder  func() (connectors.Decoder, error)
	NewPipeline func() (*operator.Pipeline, error)
	// Hidden are the types of the hidden columns that the source was asked for;
	// the pipeline finds them behind the decoded ones.
	Hidden []types.Type
	// HiddenNames are their names, by which dead letters keep them.
	HiddenNames []string
	// SkipDataLoss goes on without dead letters that were to be read again and are
	// gone.
	SkipDataLoss bool
	// MoveTo, where it is set, gives the positions from which the stream goes on
	// instead of the committed ones (START STREAM … FROM). They are committed
	// before anything is read.
	MoveTo func(ctx context.Context, src connectors.Source) (connectors.Positions, error)

	Lanes int
	// FewLanes lets no more lanes read than keep up with the source: each writes
	// files of its own where rows of a split have an order. Where the sink keeps order
	// all do.
	FewLanes  bool
	BatchRows int // rows that are decoded and computed at a time; default 16,384

	// CommitInterval is asked for each epoch, so that it can be changed while
	// running; CommitBytes ends an epoch early when that many encoded bytes are
	// written (0: never).
	CommitInterval func() time.Duration
	CommitBytes    func() int64
	// DiscoveryInterval is how often new splits are looked for; 0 is never.
	DiscoveryInterval time.Duration
	// DeadLetterLimit fails the stream when more values a minute are rejected
	// (0: never).
	DeadLetterLimit func() int64

	Scheduler sched.Scheduler
	Logger    connectors.Logger
	// Jitter spreads retries; it returns numbers in [0, 1). Default random.
	Jitter func() float64
}

// Retry delays: doubled from the first to the last, each jittered by half.
const (
	firstDelay = 200 * time.Millisecond
	lastDelay  = 15 * time.Second
)

// Stream is one run of a stream, from start to stop.
type Stream struct {
	cfg  Config
	sink connectors.StreamSink

	life life

	m sched.Monitor // guards everything below

	resumed  bool
	stopping bool

	source connectors.Source
	lanes  []*lane
	alive  int // lanes whose goroutine has not ended

	pollCtx     context.Context
	cancelPolls context.CancelFunc
	sealEpoch   int64 // the epoch that lanes are asked to seal, 0 for none
	parked      int   // lanes that have sealed it
	quit        bool  // lanes shall end
	laneErr     error
	polling     bool             // a lane polls, where turns are kept
	turns       map[string]*turn // by split; nil unless the sink keeps order
	fewLanes    bool             // lanes rest that are not needed
	eofEpoch    int64            // counts discoveries, so that lanes at the end look again

	committed   connectors.State
	inFlight    connectors.Counters // of steps since the last seal
	uncommitted connectors.Counters // of the epoch that is being committed
	chunks      int64               // polled since the last seal
	committing  bool
	commitErr   error
	acknowledge connectors.Positions // committed but not yet told to the source
	flushes     []*flush
	dataLoss    []connectors.DataLoss
	replays     []connectors.Replay // those of the state, as far as they are read
	requests    []*replayRequest

	// What the epoch that was sealed last will commit.
	epochPositions connectors.Positions
	epochLoss      []connectors.DataLoss
	epochReplays   []connectors.Replay

	epochStart time.Time
	commits    int64
	files      int64
	bytesIn    int64
	bytesOut   int64
	commitTime time.Duration
	rate       rate
	deadMinute time.Time
	deadCount  int64
	deadFirst  []string
	// ending is what the stream fails with when it has committed what was read
	// before; endSealed says that it has ended an epoch since.
	ending    error
	endSealed bool
}

// flush is one caller of Flush.
type flush struct {
	ends      connectors.Positions // nil until asked of the source
	short     string               // a split that had not reached its end at the last look
	replays   []string             // that had begun when it was asked
	asked     bool
	sealed    bool // everything is in an epoch that is sealed or committed
	committed bool // everything is committed; the source is still to be told
	done      bool
	err       error
}

// New prepares a stream; Run runs it.
func New(cfg Config) *Stream {
	if cfg.BatchRows == 0 {
		cfg.BatchRows = 16384
	}
	if cfg.Lanes < 1 {
		cfg.Lanes = 1
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.CommitBytes == nil {
		cfg.CommitBytes = func() int64 { return 0 }
	}
	if cfg.DeadLetterLimit == nil {
		cfg.DeadLetterLimit = func() int64 { return 0 }
	}
	return &Stream{
		cfg: cfg, m: cfg.Scheduler.NewMonitor(),
		life: life{
			stream: cfg.Stream, now: cfg.Scheduler.Now, logger: cfg.Logger,
			state: Starting, since: cfg.Scheduler.Now(), troubles: map[string]error{},
		},
	}
}

// Run runs the stream until its bounded source is finished or Stop is called
// (nil), ctx ends (what was not committed is thrown away), or it fails. An
// error carrying sqlerror.CodeFenced means that a newer generation runs
// elsewhere; any other error needs the user.
func (s *Stream) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.m.BroadcastAfter(ctx)()

	err := s.run(ctx)
	if s.sink != nil {
		if closeErr := s.sink.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close sink of stream %s: %w", s.cfg.Stream, closeErr)
		}
	}
	s.m.Lock()
	defer s.m.Unlock()
	switch {
	case err == nil && !s.stopping:
		s.life.end(Finished, nil)
	case err == nil || ctx.Err() != nil:
		s.life.end(Stopped, nil)
	case sqlerror.HasCode(err, sqlerror.CodeFenced):
		s.life.end(Fenced, err)
	default:
		s.life.end(Failed, err)
	}
	for _, f := range s.flushes {
		if f.done {
			continue
		}
		f.done = true
		if finished := err == nil && !s.stopping; !f.committed && !finished {
			f.err = s.endedError(err)
		}
	}
	s.flushes = nil
	s.endRequests(err)
	s.m.Broadcast()
	return err
}

func (s *Stream) endedError(err error) error {
	if err == nil {
		err = sqlerror.Userf(sqlerror.CodeState, "stream %s stopped before the flush was done", s.cfg.Stream)
	}
	return err
}

func (s *Stream) run(ctx context.Context) error {
	begun := false
	for attempt := 0; ; attempt++ {
		before := s.commitCount()
		var err error
		if !begun {
			err = s.begin(ctx)
			begun = err == nil
		}
		if begun {
			if err = s.generation(ctx); err == nil {
				return nil
			}
			// What was not committed is read again. Where the sink cannot throw it
			// away, because the outcome of a commit is unknown, the next generation
			// finds out.
			if retryable(ctx, err) {
				if abortErr := s.sink.Abort(ctx); abortErr != nil {
					s.cfg.Logger.Warn("cannot throw away uncommitted output, beginning again", "stream", s.cfg.Stream, "error", abortErr)
					begun = false
				}
			}
		}
		if s.commitCount() != before {
			attempt = 0
		}
		if stop, err := s.pause(ctx, "start", err, attempt); stop {
			return err
		}
	}
}

func (s *Stream) commitCount() int64 {
	s.m.Lock()
	defer s.m.Unlock()
	return s.commits
}

// pause waits before the next attempt after err. It reports true, with the
// error to end with, when there shall be none.
func (s *Stream) pause(ctx context.Context, part string, err error, attempt int) (stop bool, _ error) {
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	if !sqlerror.IsRetryable(err) {
		return true, err
	}
	s.life.trouble(part, err)
	until := s.cfg.Scheduler.Now().Add(s.delay(attempt))
	s.m.Lock()
	for ctx.Err() == nil && !s.stopping && s.cfg.Scheduler.Now().Before(until) {
		s.m.WaitUntil(until)
	}
	stopping := s.stopping
	s.m.Unlock()
	switch {
	case ctx.Err() != nil:
		return true, ctx.Err()
	case stopping:
		return true, nil
	}
	return false, nil
}

func (s *Stream) delay(attempt int) time.Duration {
	d := lastDelay
	if attempt < 10 {
		d = min(lastDelay, firstDelay<<attempt)
	}
	return d/2 + time.Duration(s.cfg.Jitter()*float64(d/2))
}

// begin opens the sink and the source and takes the next generation.
func (s *Stream) begin(ctx context.Context) error {
	if s.sink == nil {
		sink, err := s.cfg.OpenSink(ctx, func(err error) { s.life.trouble("sink", err) })
		if err != nil {
			err = fmt.Errorf("open sink of stream %s: %w", s.cfg.Stream, err)
			s.notOpened(ctx, "sink", err)
			return err
		}
		s.life.trouble("sink", nil) // what was told on the way is over
		s.sink = sink
	}
	initial := func(ctx context.Context) (map[string]connectors.Positions, error) {
		src, err := s.openSource(ctx)
		if err != nil {
			return nil, err
		}
		splits, err := src.Splits(ctx, true, nil)
		if err != nil {
			return nil, s.aboutSource("list splits of", err)
		}
		positions := connectors.Positions{}
		for _, split := range splits {
			positions[split.ID] = split.Start
		}
		return map[string]connectors.Positions{s.cfg.SourceName: positions}, nil
	}
	state, resumed, err := s.sink.Begin(ctx, initial)
	if err != nil {
		err = fmt.Errorf("begin stream %s: %w", s.cfg.Stream, err)
		s.givenUp(ctx, err)
		s.closeSource()
		return err
	}
	s.m.Lock()
	s.committed, s.resumed = state, resumed
	s.foundBegun()
	s.m.Unlock()
	if err := s.move(ctx); err != nil {
		return err
	}
	s.life.begin()
	s.life.trouble("start", nil)
	s.cfg.Logger.Info("stream begun", "stream", s.cfg.Stream, "generation", state.Generation, "epoch", state.Epoch, "resumed", resumed)
	return nil
}

// move commits the positions that MoveTo asks for, once.
func (s *Stream) move(ctx context.Context) error {
	if s.cfg.MoveTo == nil {
		return nil
	}
	src, err := s.openSource(ctx)
	if err != nil {
		return err
	}
	positions, err := s.cfg.MoveTo(ctx, src)
	if err != nil {
		err = fmt.Errorf("find where stream %s shall go on: %w", s.cfg.Stream, err)
		s.givenUp(ctx, err)
		s.closeSource()
		return err
	}
	next := s.committed
	next.Epoch++
	next.Positions = map[string]connectors.Positions{s.cfg.SourceName: positions}
	// This is an epoch like any other: also one without rows ends for each lane.
	sealed := make([]connectors.Sealed, s.cfg.Lanes)
	for i := range sealed {
		if sealed[i], err = s.sink.Writer(i).Seal(ctx); err != nil {
			return fmt.Errorf("move stream %s: %w", s.cfg.Stream, err)
		}
	}
	result, err := s.sink.Commit(ctx, next, sealed, connectors.CommitInfo{})
	if err != nil {
		return fmt.Errorf("move stream %s: %w", s.cfg.Stream, err)
	}
	next.CommittedAt = result.CommittedAt
	s.m.Lock()
	s.committed = next
	s.m.Unlock()
	s.cfg.MoveTo = nil
	s.closeSource()
	return nil
}

func (s *Stream) openSource(ctx context.Context) (connectors.Source, error) {
	if s.source != nil {
		return s.source, nil
	}
	src, err := s.cfg.OpenSource(ctx, func(err error) { s.life.trouble("source", err) })
	if err != nil {
		err = fmt.Errorf("open source %s: %w", s.cfg.SourceName, err)
		s.notOpened(ctx, "source", err)
		return nil, err
	}
	s.life.trouble("source", nil)
	s.m.Lock()
	s.source = src
	s.m.Unlock()
	return src, nil
}

// notOpened notes that a part could not be opened, instead of what it has told
// of itself meanwhile: nobody is left who would say that this is over.
func (s *Stream) notOpened(ctx context.Context, part string, err error) {
	s.givenUp(ctx, err)
	s.life.trouble(part, nil)
}

// givenUp notes why an attempt ends that is made again, before its parts are
// closed, which have no trouble any more then: the stream stays RETRYING.
func (s *Stream) givenUp(ctx context.Context, err error) {
	if retryable(ctx, err) {
		s.life.trouble("start", err)
	}
}

// retryable reports whether an attempt that ends with err is made again.
func retryable(ctx context.Context, err error) bool {
	return err != nil && sqlerror.IsRetryable(err) && ctx.Err() == nil
}

func (s *Stream) closeSource() {
	s.m.Lock()
	src := s.source
	s.source = nil
	s.m.Unlock()
	if src == nil {
		return
	}
	if err := src.Close(); err != nil {
		s.cfg.Logger.Warn("cannot close source", "stream", s.cfg.Stream, "error", err)
	}
	s.life.trouble("source", nil)
}

// generation reads from the committed positions until the stream is finished,
// stopped or broken. Whatever it returns, no goroutine of it is left.
func (s *Stream) generation(ctx context.Context) (err error) {
	defer s.closeSource()
	end := func() {}
	defer func() {
		s.givenUp(ctx, err)
		end()
	}()
	// What was skipped and not committed is skipped and noted again.
	s.m.Lock()
	s.dataLoss = nil
	s.m.Unlock()
	src, err := s.openSource(ctx)
	if err != nil {
		return err
	}
	if err := s.assign(ctx, src, maps.Clone(s.committed.Positions[s.cfg.SourceName])); err != nil {
		return err
	}
	lanesCtx, cancel := context.WithCancel(ctx)
	end = cancel
	if err := s.startLanes(lanesCtx); err != nil {
		return err
	}
	end = func() { s.endLanes(cancel) }
	s.life.trouble("start", nil)
	return s.coordinate(lanesCtx, src)
}

// aboutSource says what was done with the source when err came, unless err is
// about the source as it is.
func (s *Stream) aboutSource(act string, err error) error {
	if e := sqlerror.As(err); e != nil && e.Object == "source "+s.cfg.SourceName {
		return err
	}
	return fmt.Errorf("%s source %s: %w", act, s.cfg.SourceName, err)
}

// assign hands the source everything it has to read: the known splits from
// their positions, the others from their start.
func (s *Stream) assign(ctx context.Context, src connectors.Source, known connectors.Positions) error {
	splits, err := src.Splits(ctx, false, known)
	if err != nil {
		return s.aboutSource("list splits of", err)
	}
	if known == nil {
		known = connectors.Positions{}
	}
	for _, split := range splits {
		if _, ok := known[split.ID]; !ok {
			known[split.ID] = split.Start
		}
	}
	if err := src.Assign(ctx, known); err != nil {
		return fmt.Errorf("assign splits of source %s: %w", s.cfg.SourceName, err)
	}
	s.m.Lock()
	s.takeDataLoss(src)
	s.m.Unlock()
	return nil
}

// takeDataLoss asks the source what it has skipped. The caller holds the lock.
func (s *Stream) takeDataLoss(src connectors.Source) {
	r, ok := src.(connectors.DataLossRecorder)
	if !ok {
		return
	}
	for _, l := range r.TakeDataLoss() {
		s.cfg.Logger.Warn("records lost", "stream", s.cfg.Stream, "split", l.Split, "records", l.Records, "reason", l.Reason)
		s.dataLoss = append(s.dataLoss, l)
	}
}

func (s *Stream) startLanes(ctx context.Context) error {
	lanes := make([]*lane, s.cfg.Lanes)
	for i := range lanes {
		l, err := newLane(s, i)
		if err != nil {
			for _, made := range lanes[:i] {
				made.close()
			}
			return fmt.Errorf("compile stream %s: %w", s.cfg.Stream, err)
		}
		lanes[i] = l
	}
	s.m.Lock()
	s.lanes, s.alive = lanes, len(lanes)
	s.quit, s.laneErr, s.commitErr, s.sealEpoch, s.parked = false, nil, nil, 0, 0
	s.polling, s.turns = false, nil
	if o, ok := s.sink.(connectors.Ordered); ok && o.Ordered() && len(lanes) > 1 {
		s.turns = map[string]*turn{}
	}
	s.fewLanes = s.cfg.FewLanes && s.turns == nil && len(lanes) > 1
	if s.fewLanes && s.source.Bounded() {
		// There is something to read, and an end to it.
		for _, l := range lanes {
			l.help(s.cfg.Scheduler.Now())
		}
	}
	s.chunks = 0
	s.replays = slices.Clone(s.committed.Replays)
	for _, f := range s.flushes {
		f.sealed = false // in an epoch that did not come about
	}
	s.ending, s.endSealed = nil, false
	s.deadCount, s.deadFirst = 0, nil
	s.epochStart = s.cfg.Scheduler.Now()
	s.pollCtx, s.cancelPolls = context.WithCancel(ctx)
	s.m.Unlock()
	for _, l := range lanes {
		s.cfg.Scheduler.Go(fmt.Sprintf("%s lane %d", s.cfg.Stream, l.index), func() {
			err := l.run(ctx)
			s.m.Lock()
			if err != nil && s.laneErr == nil && ctx.Err() == nil {
				s.laneErr = err
			}
			s.alive--
			s.m.Broadcast()
			s.m.Unlock()
		})
	}
	return nil
}

// endLanes waits until the lanes and a running commit have ended.
func (s *Stream) endLanes(cancel context.CancelFunc) {
	cancel()
	s.m.Lock()
	s.quit = true
	s.cancelPolls()
	s.m.Broadcast()
	for s.alive > 0 || s.committing {
		s.m.Wait()
	}
	lanes := s.lanes
	s.lanes = nil
	// What was not committed is thrown away.
	s.inFlight, s.uncommitted = connectors.Counters{}, connectors.Counters{}
	s.m.Unlock()
	s.life.trouble("lane", nil)
	s.life.trouble("discovery", nil)
	for _, l := range lanes {
		l.close()
	}
}

// protect turns a panic into an error that names the goroutine, so that a fault
// in one stream does not take the others down.
func protect(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &sqlerror.Error{Code: sqlerror.CodeInternal, Object: what, Message: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	return f()
}

// Wake makes the stream look again at its intervals and limits.
func (s *Stream) Wake() {
	s.m.Lock()
	s.m.Broadcast()
	s.m.Unlock()
}

// SinkTrouble notes why the sink cannot go on for the moment, or with nil that
// it can, for a sink that was opened before the stream was made.
func (s *Stream) SinkTrouble(err error) { s.life.trouble("sink", err) }

// Stop asks the stream to commit what it has read and to end; Run then returns.
func (s *Stream) Stop() {
	s.m.Lock()
	s.stopping = true
	s.m.Broadcast()
	s.m.Unlock()
}

// Flush returns when everything that the source held when it was called is
// committed, as it is when the stream has finished. It fails when the stream ends
// otherwise before, or ctx does.
func (s *Stream) Flush(ctx context.Context) error {
	defer s.m.BroadcastAfter(ctx)()
	f := &flush{}
	s.m.Lock()
	defer s.m.Unlock()
	switch state, _, reason := s.life.get(); state {
	case Finished:
		return nil
	case Stopped, Failed, Fenced:
		if reason != nil {
			return reason
		}
		return s.endedError(nil)
	}
	s.flushes = append(s.flushes, f)
	s.m.Broadcast()
	for !f.done && ctx.Err() == nil {
		s.m.Wait()
	}
	if !f.done {
		f.done, f.err = true, ctx.Err()
	}
	return f.err
}
