package simulation

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/internal/sched/seeded"
)

// Names within the lake.
const (
	lakeName   = "lake"
	tableName  = "t"
	sourceName = "src"
)

// definition is a stream as the user has declared it.
type definition struct {
	name    string
	version int  // of its query
	skip    bool // on_data_loss
}

// keepEntries is how many entries a Hive log keeps here: zombies shall wake
// after their numbers are free again.
const keepEntries = 4

func (w *world) format() string {
	if w.hive {
		return "hive"
	}
	return "iceberg"
}

// host is a process that runs streams, with the lake that it has opened.
type host struct {
	w       *world
	p       *seeded.Process
	m       sched.Monitor
	sink    *lake.Sink
	streams map[string]bool // that have run in it
}

// newHost starts a process.
func (w *world) newHost() *host {
	w.hosts++
	h := &host{w: w, p: w.s.NewProcess(fmt.Sprintf("p%d", w.hosts)), streams: map[string]bool{}}
	if w.s.Chance(0.05) {
		d := w.s.Between(-48*time.Hour, 48*time.Hour)
		w.s.Note("the clock of %s is wrong by %v", h.p.Name(), d)
		h.p.TurnClock(d)
	}
	h.m = h.p.NewMonitor()
	return h
}

// open opens the lake, once.
func (h *host) open(ctx context.Context) (*lake.Sink, error) {
	h.m.Lock()
	defer h.m.Unlock()
	if h.sink != nil {
		return h.sink, nil
	}
	store := &client{w: h.w, p: h.p}
	sink, err := lake.Open(ctx, lake.Config{
		Name: lakeName, Store: store, Scheduler: h.p, Logger: logger{h}, Rules: h.w.cfg.Rules,
		Catalog:            &connection{s: h.w.catalog, p: h.p, store: store},
		ComparesProperties: !h.w.catalog.rest,
		TableFormat:        h.w.format(), KeepEntries: keepEntries,
	})
	h.sink = sink
	return sink, err
}

// instance is a stream that runs in a process.
type instance struct {
	*host
	definition // as it was when the stream was started
	stream     *dataflow.Stream
	source     *source // as opened last
	// moveTo is where START STREAM … FROM sends the stream.
	moveTo connectors.Positions
	link   *shardLink // to the shards; nil for none
	// replays are those of which the user was told that they have begun.
	replays []string

	ctx      context.Context
	shutDown context.CancelFunc

	ended bool
	err   error
}

// sender is an instance as it was when it sent a commit.
type sender struct {
	process string
	version int
	moveTo  connectors.Positions
	route   route
	run     *shardRun // of its link to the shards
}

// start lets a stream run, in a process of its own or in one that runs others,
// as the engine does.
func (w *world) start(d *definition) *instance {
	i := &instance{definition: *d}
	for _, other := range w.running() {
		if !other.streams[d.name] && !other.p.Paused() && w.s.Chance(0.5) {
			i.host = other.host
			break
		}
	}
	if i.host == nil {
		i.host = w.newHost()
	}
	i.host.streams[d.name] = true
	i.ctx, i.shutDown = context.WithCancel(i.p.Context())
	w.s.Note("start %s in %s, version %d", d.name, i.p.Name(), i.version)
	w.all = append(w.all, i)
	return i
}

// run lets the stream go.
func (i *instance) run() {
	w := i.w
	i.p.Go("main of "+i.name, func() {
		err := i.main(i.ctx)
		i.ended, i.err = true, err
		w.s.Note("%s ends in %s: %v", i.name, i.p.Name(), err)
	})
}

func (i *instance) spec(retrying func(error)) connectors.StreamSpec {
	c, err := connectors.LookupSink("s3")
	if err != nil {
		panic(err)
	}
	o := c.StreamSpec.MustOptions("compression", "none", "snapshot_retention", "1m")
	if i.w.cluster != nil {
		return connectors.StreamSpec{
			Stream: i.name, Table: tableName, Schema: landed, Selected: len(landed), Options: topicOptions(), Lanes: i.w.lanes,
			Exprs: map[string]int{"key": 1}, Retrying: retrying, Now: i.p.Now, Logger: logger{i.host},
		}
	}
	if i.w.shards != nil {
		return connectors.StreamSpec{
			Stream: i.name, Table: tableName, Schema: landed, Selected: len(landed), Options: shardOptions(), Lanes: i.w.lanes,
			Exprs: map[string]int{"partition_key": 1}, Retrying: retrying, Now: i.p.Now, Logger: logger{i.host},
		}
	}
	return connectors.StreamSpec{
		Stream: i.name, Table: tableName, Schema: landed, Options: o, Lanes: i.w.lanes, MemoryBytes: 16 << 20,
		Partition: []connectors.PartitionField{{Name: "part", Column: 1, Transform: "identity"}},
		Unordered: i.w.cfg.Mixed, Retrying: retrying, Now: i.p.Now, Logger: logger{i.host},
	}
}

func (i *instance) main(ctx context.Context) error {
	sink, err := i.sinkOf(ctx)
	if err != nil {
		return err
	}
	cfg := dataflow.Config{
		Stream: i.name, SourceName: sourceName, Lanes: i.w.lanes, FewLanes: i.w.few, BatchRows: 3, Scheduler: i.p, Logger: logger{i.host},
		Jitter: func() float64 { return sched.Float64(i.p) },
		OpenSource: func(context.Context, func(error)) (connectors.Source, error) {
			i.source = &source{w: i.w, p: i.p, skip: i.skip, m: i.p.NewMonitor(), route: route{starts: map[string]position{}}}
			return i.source, nil
		},
		OpenSink: func(ctx context.Context, retrying func(error)) (connectors.StreamSink, error) {
			opened, err := sink.Stream(ctx, i.spec(retrying))
			if err != nil {
				return nil, err
			}
			named := &named{StreamSink: opened, i: i}
			switch {
			case i.w.cfg.Impatient:
				return &impatient{named}, nil
			case i.w.cluster != nil && !i.w.cfg.Unordered:
				return &ordered{named}, nil
			case i.w.shards != nil:
				return &sharded{ordered{named}}, nil
			}
			return named, nil
		},
		NewDecoder:        func() (connectors.Decoder, error) { return newDecoder(i.version) },
		NewPipeline:       newPipeline,
		CommitInterval:    func() time.Duration { return i.w.interval },
		DiscoveryInterval: i.w.discovery,
		DeadLetterLimit:   func() int64 { return i.w.deadLimit },
	}
	if i.moveTo != nil {
		cfg.MoveTo = func(context.Context, connectors.Source) (connectors.Positions, error) {
			return maps.Clone(i.moveTo), nil
		}
	}
	i.stream = dataflow.New(cfg)
	return i.stream.Run(ctx)
}

// drop removes the stream's state, as DROP STREAM does.
func (i *instance) drop(ctx context.Context) error {
	sink, err := i.sinkOf(ctx)
	if err != nil {
		return err
	}
	spec := i.spec(nil)
	spec.Dropping = true
	opened, err := sink.Stream(ctx, spec)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Drop(ctx)
}

// sinkOf is the lake, or what writes to a topic or to shards and keeps dead letters
// there.
func (i *instance) sinkOf(ctx context.Context) (connectors.Sink, error) {
	sink, err := i.open(ctx)
	switch {
	case err != nil:
		return nil, err
	case i.w.cluster != nil:
		return i.topicSink(sink), nil
	case i.w.shards != nil:
		return i.shardSink(sink), nil
	}
	return sink, nil
}

// ordered is a sink whose lanes take turns.
type ordered struct{ *named }

// Ordered implements connectors.Ordered.
func (s *ordered) Ordered() bool { return s.StreamSink.(connectors.Ordered).Ordered() }

// named tells the model whose commits they are.
type named struct {
	connectors.StreamSink
	i *instance
}

// ReadReplay implements connectors.Replayer.
func (s *named) ReadReplay(ctx context.Context, r connectors.Replay, letters []connectors.DeadLetter) ([]connectors.DeadLetter, connectors.Replay, error) {
	return s.StreamSink.(connectors.Replayer).ReadReplay(ctx, r, letters)
}

type senderKey struct{}

// Commit implements connectors.StreamSink.
func (s *named) Commit(ctx context.Context, state connectors.State, sealed []connectors.Sealed, info connectors.CommitInfo) (connectors.CommitResult, error) {
	from := &sender{process: s.i.p.Name(), version: s.i.version, moveTo: s.i.moveTo}
	if s.i.source != nil {
		from.route = s.i.source.route.clone()
	}
	if s.i.link != nil {
		from.run = s.i.link.run
	}
	return s.StreamSink.Commit(context.WithValue(ctx, senderKey{}, from), state, sealed, info)
}

// impatient is a sink whose commits are not waited for: the next epoch is sent
// before the outcome of the last is known.
type impatient struct{ *named }

// Commit implements connectors.StreamSink.
func (s *impatient) Commit(ctx context.Context, state connectors.State, sealed []connectors.Sealed, info connectors.CommitInfo) (connectors.CommitResult, error) {
	s.i.p.Go("commit in the background", func() {
		// What the sink has for the epoch may be thrown away meanwhile, which no sink
		// expects.
		defer func() {
			if r := recover(); r != nil {
				s.i.w.s.Note("commit in the background: %v", r)
			}
		}()
		_, err := s.named.Commit(ctx, state, sealed, info)
		s.i.w.s.Note("commit in the background: %v", err)
	})
	return connectors.CommitResult{CommittedAt: s.i.p.Now()}, nil
}

// logger writes to the trace.
type logger struct{ h *host }

func (l logger) Debug(msg string, args ...any) { l.log(msg, args) }
func (l logger) Info(msg string, args ...any)  { l.log(msg, args) }
func (l logger) Warn(msg string, args ...any)  { l.log(msg, args) }

func (l logger) log(msg string, args []any) {
	var b strings.Builder
	b.WriteString(msg)
	for n := 0; n+1 < len(args); n += 2 {
		fmt.Fprintf(&b, " %v=%v", args[n], args[n+1])
	}
	l.h.w.s.Note("%s: %s", l.h.p.Name(), b.String())
}
