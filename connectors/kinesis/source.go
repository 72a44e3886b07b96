package kinesis

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// source reads a data stream for one stream of Leat.
//
// Each shard that can be read has a goroutine that asks for records at the
// shard's pace (fetch.go), or has them pushed (subscribe.go), and queues the
// answers as they came. The lanes take
// them from there (poll.go); one lane at a time takes from a shard. What is
// queued or under way is bounded by prefetch_bytes.
type source struct {
	cfg      connectors.SourceConfig
	stream   target
	start    startAt
	client   *kinesis.Client
	hangUp   func()
	timeout  time.Duration
	consumer *consumer     // of enhanced fan-out; nil if shards are polled
	silence  time.Duration // after which a subscription counts as dead
	pace     pace
	inflates bool
	strays   string // the option aggregate_strays
	health   *health
	budget   budget
	pages    sync.Pool // of *page
	lanes    []laneBuffers

	ctx      context.Context // of the goroutines; Close ends it
	cancel   context.CancelFunc
	fetchers sync.WaitGroup

	mu        sync.Mutex
	id        identity // the stream's, once known
	retention time.Duration
	listed    map[string]shardInfo // what the newest listing held
	shards    map[string]*shard
	order     []*shard // by id
	// What Splits found out for Assign: positions to use instead of those given,
	// and shards to leave out.
	overrides map[string]position
	dropped   map[string]bool
	replaced  map[identity]bool // streams whose loss has been noted
	fatal     error             // ends the stream of Leat
	lost      []connectors.DataLoss
	wake      chan struct{} // closed when lanes that wait should look again
	bytesRead int64
}

// shard is a split. The source's mu guards it but where said.
type shard struct {
	id     string
	hashes hashRange // constant

	pos     position // as Positions gives it
	through int64    // µs: what arrived before has been handed out
	seen    int64    // the same to show, see page
	behind  int64    // ms that reading was behind the shard's newest record; −1 if unknown

	pages   []*page // fetched and not yet handed out
	queued  int     // bytes in pages
	filling bool    // a lane is taking from pages, without the lock
	ended   bool    // fetched to its end
	touched bool    // pos.Through is worth a commit though there are no records

	started bool
	cancel  context.CancelFunc // of the goroutine
	taken   chan struct{}      // holds a token when pages have been taken
	kick    chan struct{}      // holds a token when somebody waits for the shard's end
}

func (sh *shard) finished() bool { return sh.pos.Finished > 0 }

func newSource(ctx context.Context, cfg connectors.SourceConfig) (*source, error) {
	cfg = cfg.WithDefaults()
	o := cfg.Options
	start, err := parseStart(o.String("start"))
	if err != nil {
		return nil, sqlerror.As(err).About("source " + cfg.Name)
	}
	consumer, err := newConsumer(cfg)
	if err != nil {
		return nil, err
	}
	client, stream, hangUp, err := newClient(ctx, "source "+cfg.Name, o, o.String("stream"))
	if err != nil {
		return nil, err
	}
	s := &source{
		cfg: cfg, stream: stream, start: start, client: client, hangUp: hangUp,
		timeout:   o.Duration("request_timeout"),
		consumer:  consumer,
		silence:   max(leastSilence, o.Duration("request_timeout")),
		pace:      pace{calls: o.Int("shard_calls_per_second"), bytes: o.Size("shard_bytes_per_second"), idle: o.Duration("poll_interval")},
		inflates:  o.String("compression") == "auto",
		strays:    o.String("aggregate_strays"),
		health:    &health{retrying: cfg.Retrying, failing: map[string]bool{}, mu: &sync.Mutex{}},
		budget:    budget{limit: cfg.PrefetchBytes},
		pages:     sync.Pool{New: func() any { return new(page) }},
		lanes:     make([]laneBuffers, cfg.Lanes),
		shards:    map[string]*shard{},
		listed:    map[string]shardInfo{},
		overrides: map[string]position{},
		dropped:   map[string]bool{},
		replaced:  map[identity]bool{},
		wake:      make(chan struct{}),
	}
	for i := range s.lanes {
		s.lanes[i].decompressor.limit = cfg.MaxRecordBytes()
	}
	// The context given is of the opening only.
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

func (s *source) Bounded() bool { return false }

func (s *source) nowMillis() int64 { return s.cfg.Now().UnixMilli() }

// Assign begins to read shards.
func (s *source) Assign(_ context.Context, positions connectors.Positions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for split, at := range positions {
		if s.shards[split] != nil || s.dropped[split] {
			continue
		}
		pos, ok := s.overrides[split]
		if !ok {
			var err error
			if pos, err = parsePosition(split, at); err != nil {
				return err
			}
			if at == "" {
				pos = position{identity: s.id, Parents: s.listed[split].parents, Since: s.nowMillis()}
			}
		}
		s.add(split, pos, s.listed[split].hashes)
	}
	clear(s.overrides)
	s.startReady()
	s.wakeAll()
	return nil
}

// add makes a shard one of those that are read. The caller holds mu.
func (s *source) add(id string, pos position, hashes hashRange) {
	sh := &shard{
		id: id, hashes: hashes, pos: pos, through: pos.Through * 1000, behind: -1,
		ended: pos.Finished > 0, taken: make(chan struct{}, 1), kick: make(chan struct{}, 1),
	}
	s.shards[id] = sh
	i, _ := slices.BinarySearchFunc(s.order, id, func(sh *shard, id string) int { return strings.Compare(sh.id, id) })
	s.order = slices.Insert(s.order, i, sh)
}

// remove forgets a shard. The caller holds mu.
func (s *source) remove(sh *shard) {
	delete(s.shards, sh.id)
	s.order = slices.DeleteFunc(s.order, func(o *shard) bool { return o == sh })
}

// startReady starts the shards whose parents are finished. The caller holds mu.
func (s *source) startReady() {
	if s.ctx.Err() != nil {
		return
	}
	for _, sh := range s.order {
		unread := func(parent string) bool {
			p := s.shards[parent]
			return p != nil && !p.finished()
		}
		if sh.started || sh.finished() || slices.ContainsFunc(sh.pos.Parents, unread) {
			continue
		}
		sh.started = true
		var ctx context.Context
		ctx, sh.cancel = context.WithCancel(s.ctx)
		f := &fetcher{s: s, sh: sh, id: sh.pos.identity, after: sh.pos.After, at: sh.pos.At, until: sh.pos.readUntil(), estimate: maxAnswer}
		run := f.run
		if s.subscribes() {
			run = f.runSubscribed
		}
		s.fetchers.Go(func() { run(ctx) })
	}
}

// finish notes that a shard that was fetched to its end has been handed out, and
// lets its children begin. The caller holds mu.
func (s *source) finish(sh *shard) {
	if !sh.ended || len(sh.pages) > 0 || sh.filling || sh.finished() {
		return
	}
	sh.pos.Finished = s.nowMillis()
	s.startReady()
	s.wakeAll()
}

func (s *source) wakeAll() {
	close(s.wake)
	s.wake = make(chan struct{})
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (s *source) Positions() connectors.Positions {
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := make(connectors.Positions, len(s.order))
	for _, sh := range s.order {
		positions[sh.id] = sh.pos.encode()
	}
	return positions
}

// Ends gives a time for each shard: the service does not tell where a shard
// ends, but whether all has been read that it held when it was asked.
func (s *source) Ends(ctx context.Context) (connectors.Positions, error) {
	now := s.cfg.Now().UnixMicro()
	list, err := s.listShards(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := connectors.Positions{}
	for _, info := range list {
		if sh := s.shards[info.id]; sh == nil || !sh.finished() {
			ends[info.id] = position{identity: s.id, By: now}.encode()
		}
	}
	for _, sh := range s.order {
		signal(sh.kick)
	}
	return ends, nil
}

func (s *source) Reached(split string, at, end connectors.Position) bool {
	want, err := parsePosition(split, end)
	if err != nil || at == "" {
		return false
	}
	pos, err := parsePosition(split, at)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if pos.identity != want.identity {
		// One of them is of a stream that was deleted since. When it is the end,
		// nothing of it is left to wait for.
		return pos.identity == s.id
	}
	if pos.Finished > 0 || pos.Through*1000 > want.By {
		return true
	}
	// That a shard has nothing new does not show in its position.
	sh := s.shards[split]
	return sh != nil && sh.pos.identity == pos.identity && sh.pos.After == pos.After && sh.through > want.By
}

// Progress takes for Behind the time through which all shards have been read:
// now less the MillisBehindLatest of the shard that is furthest behind.
func (s *source) Progress() connectors.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	progress := connectors.Progress{Lag: -1, BytesRead: s.bytesRead, BytesTotal: -1, Splits: len(s.order)}
	oldest := int64(-1)
	for _, sh := range s.order {
		switch {
		case sh.finished():
			progress.Finished++
		case sh.started && (oldest < 0 || max(sh.seen, sh.through) < oldest):
			oldest = max(sh.seen, sh.through)
		}
	}
	if oldest > 0 {
		progress.Behind = time.UnixMicro(oldest).UTC()
	}
	return progress
}

// SplitLag is how far reading of each shard was behind its newest record when
// the service was asked last.
func (s *source) SplitLag() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	lag := make(map[string]time.Duration, len(s.order))
	for _, sh := range s.order {
		switch {
		case sh.finished():
			lag[sh.id] = 0
		case sh.behind >= 0:
			lag[sh.id] = time.Duration(sh.behind) * time.Millisecond
		}
	}
	return lag
}

func (s *source) TakeDataLoss() []connectors.DataLoss {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

func (s *source) Close() error {
	s.health.close()
	s.cancel()
	s.fetchers.Wait()
	for i := range s.lanes {
		s.lanes[i].decompressor.close()
	}
	s.hangUp()
	return nil
}
