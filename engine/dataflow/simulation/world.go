// Package simulation runs a stream's own code, from the source's records to the
// commits of its table, its topic or its data stream, in a world that is made up: a
// source, an object store, a catalog, a cluster of brokers and the shards of Kinesis
// that fail, are slow and lie, and processes that die, are paused and run twice. One
// seed decides everything, also who goes on at each step, so that what went wrong
// once goes wrong again.
//
// A model looks at every commit at the moment when it happens, and at the tables,
// or at what readers with isolation read_committed find, after every recovery: each
// record's rows, or its dead letter, must be there once, or in shards, which promise
// no more, at least once and in order; counters must reconcile; positions only go
// forward.
package simulation

import (
	"context"
	"strconv"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors/kafka"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/internal/sched/seeded"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Config says what is simulated.
type Config struct {
	Seed uint64
	// Rules are the protocol's; tests leave one out.
	Rules protocol.Rules
	// Impatient lets the stream send an epoch before the outcome of the last one
	// is known.
	Impatient bool
	// Unpinned takes the requirements away from all commits.
	Unpinned bool
	// Transactions are the rules by which streams write to a topic.
	Transactions kafka.Rules
	// Sending are the rules by which streams write to a data stream.
	Sending kinesis.Rules
	// Unfenced lets a transactional id be taken from nobody, Uncommitted lets
	// positions be read that are not committed, Unordered lets lanes write without
	// taking turns.
	Unfenced, Uncommitted, Unordered bool
	// Mixed lets all lanes of a stream into a table share files.
	Mixed bool
	// Long makes the run several times longer, with worse weather and more streams.
	Long bool
}

// Report is what a run was like.
type Report struct {
	Err     error  // what was wrong, nil for nothing
	Trace   []byte // a line per step
	Steps   int
	Calls   int // to store, catalog and source
	Commits int // of epochs
	// Instances of the stream, and how many of them ended fenced, or by the limit of
	// dead letters.
	Instances, Fenced, Limited int
	// Replays that have begun, and the letters that they took.
	Replays, Letters int
	// Virtual is how long it took by the world's clock.
	Virtual time.Duration
}

// world is what there is besides the processes.
type world struct {
	cfg     Config
	s       *seeded.Scheduler
	p       *seeded.Process // the driver's
	bucket  *bucket
	catalog *service
	topic   *topic
	cluster *cluster // nil unless the streams write to a topic
	shards  *shards  // nil unless they write to a data stream of Kinesis
	model   *model
	weather map[part]weather

	// How the stream is set up.
	streams   []*definition
	hive      bool // the table format
	lanes     int
	few       bool // no more lanes read than are needed
	latest    bool // the source's start option
	bounded   bool // … and its stop option
	interval  time.Duration
	discovery time.Duration
	deadLimit int64

	made  []made // by id, which begins with 1
	calls int
	hosts int
	all   []*instance
}

// Run runs a seed. It must be called within a bubble of testing/synctest.
func Run(cfg Config) Report {
	s := seeded.New(cfg.Seed)
	began := time.Now()
	w := &world{cfg: cfg, s: s, bucket: newBucket(), weather: map[part]weather{}}
	w.hive = s.Chance(0.4)
	w.catalog = newService(w, s.Chance(0.4))
	if s.Chance(0.25) && !cfg.Impatient && !cfg.Unpinned {
		w.cluster = newCluster(w)
	} else if s.Chance(0.2) && !cfg.Impatient && !cfg.Unpinned {
		w.shards = newShards(w)
	}
	w.model = newModel(w)
	w.lanes = 1 + s.IntN(3)
	w.latest = s.Chance(0.1)
	w.bounded = s.Chance(0.15)
	w.few = s.Chance(0.5)
	w.interval = s.Between(500*time.Millisecond, 10*time.Second)
	if cfg.Long {
		w.interval = s.Between(100*time.Millisecond, 30*time.Second)
	}
	w.discovery = s.Between(2*time.Second, 30*time.Second)
	if s.Chance(0.1) {
		w.deadLimit = int64(1 + s.IntN(10))
	}
	w.newTopic(1 + s.IntN(3))
	w.streams = []*definition{{name: "s"}}
	if s.Chance(0.3) {
		w.streams = append(w.streams, &definition{name: "s2"})
		if cfg.Long {
			w.streams = append(w.streams, &definition{name: "s3"})
		}
	}
	err := s.Run(func(p *seeded.Process) {
		w.p = p
		w.drive()
	})
	r := Report{
		Err: err, Trace: s.Trace(), Steps: s.Steps(), Calls: w.calls, Commits: w.model.epochs,
		Instances: len(w.all), Replays: len(w.model.replays), Letters: len(w.model.taken), Virtual: time.Since(began),
	}
	for _, i := range w.all {
		switch {
		case sqlerror.HasCode(i.err, sqlerror.CodeFenced):
			r.Fenced++
		case i.limited():
			r.Limited++
		}
	}
	return r
}

func (w *world) newTopic(partitions int) {
	number := 1
	if w.topic != nil {
		number = w.topic.number + 1
	}
	w.topic = &topic{number: number}
	w.model.topics[number] = w.topic
	w.addPartitions(partitions)
}

func (w *world) addPartitions(n int) {
	for range n {
		w.topic.partitions = append(w.topic.partitions, &partition{})
	}
}

// made is a value, and the number of the topic that had it.
type made struct {
	value
	topic int
}

// produce writes some records.
func (w *world) produce(n int) {
	for range n {
		v := value{id: int64(len(w.made) + 1), kind: good}
		if w.s.Chance(0.5) {
			v.kind = kind(w.s.IntN(int(kinds)))
		}
		if v.kind == exploding {
			v.rows = w.s.IntN(4)
		}
		n := w.s.IntN(len(w.topic.partitions))
		v.split = strconv.Itoa(n)
		p := w.topic.partitions[n]
		p.values = append(p.values, v)
		w.made = append(w.made, made{v, w.topic.number})
	}
}

// sleep lets time go by.
func (w *world) sleep(d time.Duration) {
	w.p.Until(w.p.Context(), "sleep", time.Now().Add(d), nil)
}

// check compares what a reader of the tables finds with the model.
func (w *world) check() error {
	ctx := context.Background()
	h := &host{w: w, p: w.p, m: w.p.NewMonitor()}
	sink, err := h.open(ctx)
	if err != nil {
		return err
	}
	plan := func(table string) ([]fileRef, error) {
		t, err := sink.Lake().Table(ctx, table)
		if err != nil {
			return nil, err
		}
		planned, err := t.Plan(ctx, nil)
		files := make([]fileRef, len(planned))
		for n, f := range planned {
			if files[n].key, err = keyOf(f.Path); err != nil {
				return nil, err
			}
		}
		return files, err
	}
	if w.cluster != nil {
		if err := w.checkTopic(); err != nil {
			return err
		}
	} else if w.shards == nil { // what is in the shards was looked at by each commit
		files, err := plan(tableName)
		if err != nil {
			return err
		}
		rows, err := w.model.readRows(files)
		if err != nil {
			return err
		}
		if err := compare("rows of the table", counted(rows), w.model.rows); err != nil {
			return err
		}
	}
	files, err := plan(catalog.DeadLetterTable)
	if err != nil {
		return err
	}
	letters, marks, err := w.model.readLetters(files)
	if err != nil {
		return err
	}
	if err := compare("dead letters of the table", letters, w.model.published); err != nil {
		return err
	}
	if err := compare("marks of the table", marks, w.model.marked); err != nil {
		return err
	}
	if w.hive {
		if err := w.model.checkFolders(); err != nil {
			return err
		}
	}
	return sink.Close()
}

// checkTopic compares what a reader of the streams' topic finds with the model,
// when the last transaction of whoever died has timed out.
func (w *world) checkTopic() error {
	w.sleep(transactionTimeout + time.Second)
	w.cluster.expire()
	w.sleep(markerDelay + time.Second)
	rows, err := w.cluster.readCommitted()
	if err != nil {
		return err
	}
	return compare("rows of the topic", rows, w.model.rows)
}
