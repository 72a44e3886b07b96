package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kafka"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/internal/sched/seeded"
)

// What the simulated cluster is like.
const (
	outPartitions      = 2
	positionsTopic     = "__leat_positions"
	transactionalIDs   = "leat-" // begins them
	transactionTimeout = 45 * time.Second
	// markerDelay is how long the end of a transaction may need at most to be
	// known to all partitions.
	markerDelay = 5 * time.Second
)

// cluster is what brokers hold of the topics that streams write to, and the
// coordinator of their transactions, as Kafka has them since KIP-890: each end of
// a transaction is a new epoch of its producer, so that nothing late can come
// into the next one.
type cluster struct {
	w         *world
	out       [outPartitions][]entry
	positions []entry
	ids       map[string]*producerState
}

// entry is a record.
type entry struct {
	row        row
	key, state string // in the topic of positions
	txn        *transaction
}

// producerState is what the coordinator knows of a transactional id.
type producerState struct {
	epoch int
	next  int          // sequence number of the next batch
	open  *transaction // nil for none
	last  *transaction // decided last
	state string       // that was committed last
}

type transaction struct {
	id        string
	epoch     int
	began     time.Time
	rows      []placed
	state     *string // nil for none
	by        *sender
	committed bool
	resolved  bool // readers know
}

// placed is a row in a partition of a topic, or in a file of a commit.
type placed struct {
	row
	place int
}

func newCluster(w *world) *cluster { return &cluster{w: w, ids: map[string]*producerState{}} }

func (c *cluster) of(id string) *producerState {
	if c.ids[id] == nil {
		c.ids[id] = &producerState{}
	}
	return c.ids[id]
}

// expire gives up transactions that are open for too long.
func (c *cluster) expire() {
	for _, id := range slices.Sorted(maps.Keys(c.ids)) {
		if s := c.ids[id]; s.open != nil && time.Since(s.open.began) > transactionTimeout {
			c.w.s.Note("the transaction of %s is given up", id)
			c.decide(s, false)
		}
	}
}

// decide ends the open transaction of a producer.
func (c *cluster) decide(s *producerState, commit bool) {
	t := s.open
	s.open, s.last, t.committed = nil, t, commit
	s.epoch++
	s.next = 0
	if c.w.s.Chance(0.7) {
		t.resolved = true
	} else {
		c.w.later(c.w.s.Between(0, markerDelay), "markers of "+t.id, func() error { t.resolved = true; return nil })
	}
	c.w.s.Note("the transaction of %s ends, committed: %v, %d rows", t.id, commit, len(t.rows))
	if !commit {
		return
	}
	key := protocol.Key(t.id[len(transactionalIDs):])
	ch := change{table: tableName, before: map[string]string{}, after: map[string]string{}, placed: t.rows, by: t.by}
	if s.state != "" {
		ch.before[key] = s.state
	}
	if t.state != nil {
		s.state = *t.state
	}
	if s.state != "" {
		ch.after[key] = s.state
	}
	if err := c.w.model.committed(ch); err != nil {
		c.w.s.Fail(err)
	}
}

// init takes a transactional id. A producer that does so again, after an end
// whose outcome it does not know, gives its epoch.
func (c *cluster) init(id string, prior *int) (int, error) {
	s := c.of(id)
	if c.w.cfg.Unfenced && prior == nil {
		// Nobody's epoch ends by this.
		if s.last != nil && !s.last.resolved {
			return 0, kerr.ConcurrentTransactions
		}
		return s.epoch, nil
	}
	if prior != nil && *prior != s.epoch && (s.last == nil || s.last.epoch != *prior || s.epoch != *prior+1) {
		return 0, kerr.InvalidProducerEpoch
	}
	if s.open != nil {
		c.decide(s, false)
	}
	if s.last != nil && !s.last.resolved {
		return 0, kerr.ConcurrentTransactions
	}
	s.epoch++
	s.next = 0
	return s.epoch, nil
}

// produce takes a batch of records.
func (c *cluster) produce(id string, epoch, sequence int, batch []buffered) error {
	s := c.of(id)
	switch {
	case epoch != s.epoch:
		return kerr.InvalidProducerEpoch
	case s.last != nil && !s.last.resolved:
		return kerr.ConcurrentTransactions
	case sequence < s.next:
		return nil // it is there
	case sequence > s.next:
		return kerr.OutOfOrderSequenceNumber
	}
	s.next++
	if s.open == nil {
		s.open = &transaction{id: id, epoch: epoch, began: time.Now()}
	}
	t := s.open
	for _, b := range batch {
		if b.record.Topic == positionsTopic {
			state := string(b.record.Value)
			t.state, t.by = &state, b.by
			c.positions = append(c.positions, entry{key: string(b.record.Key), state: state, txn: t})
			continue
		}
		var v struct{ ID, Part, N int64 }
		if err := json.Unmarshal(b.record.Value, &v); err != nil || string(b.record.Key) != fmt.Sprint(v.Part) {
			c.w.s.Fail(fmt.Errorf("record %q with key %q: %w", b.record.Value, b.record.Key, err))
			return nil
		}
		p := int(v.Part) % outPartitions
		t.rows = append(t.rows, placed{row{v.ID, v.N}, p})
		c.out[p] = append(c.out[p], entry{row: row{v.ID, v.N}, txn: t})
	}
	return nil
}

// end ends a transaction and says which epoch the producer has then.
func (c *cluster) end(id string, epoch int, commit bool) (int, error) {
	s := c.of(id)
	switch {
	case epoch == s.epoch && s.open != nil:
		c.decide(s, commit)
		return s.epoch, nil
	case epoch == s.epoch && commit:
		return 0, kerr.InvalidTxnState
	case epoch == s.epoch:
		s.epoch++
		s.next = 0
		return s.epoch, nil
	case epoch+1 == s.epoch && s.last != nil && s.last.epoch == epoch && s.last.committed == commit:
		return s.epoch, nil // asked again
	}
	return 0, kerr.InvalidProducerEpoch
}

// readCommitted is what a reader with that isolation finds in the streams' topic.
func (c *cluster) readCommitted() (map[row]int, error) {
	c.expire()
	rows := map[row]int{}
	for p, log := range c.out {
		for at, e := range log {
			if !e.txn.resolved {
				return nil, fmt.Errorf("readers of partition %d wait at offset %d of %d", p, at, len(log))
			}
			if e.txn.committed {
				rows[e.row]++
			}
		}
	}
	return rows, nil
}

// link is a process's way to the cluster. It implements kafka.Cluster.
type link struct {
	c *cluster
	p *seeded.Process
}

func (l *link) call(ctx context.Context, what string, effect func() error) error {
	return l.c.w.call(ctx, l.p, theBroker, what, func() error {
		l.c.expire()
		return effect()
	}, nil)
}

// request is a call that the client repeats by itself, a few times.
func (l *link) request(ctx context.Context, what string, effect func() error) error {
	for attempts := 1 + l.c.w.s.IntN(4); ; {
		err := l.call(ctx, what, effect)
		concurrent := errors.Is(err, kerr.ConcurrentTransactions)
		if !concurrent {
			attempts--
		}
		if kafkaError := (*kerr.Error)(nil); err == nil || ctx.Err() != nil || attempts <= 0 || errors.As(err, &kafkaError) && !concurrent {
			return err
		}
		l.p.Until(ctx, "repeat "+what, l.p.Now().Add(l.c.w.s.Between(100*time.Millisecond, 2*time.Second)), nil)
	}
}

// Producer implements kafka.Cluster.
func (l *link) Producer(id string) (kafka.Producer, error) {
	return &producer{link: l, id: id, m: l.p.NewMonitor()}, nil
}

// Positions implements kafka.Cluster.
func (l *link) Positions(context.Context) (kafka.PositionsLog, error) { return positionsLog{l}, nil }

// positionsLog implements kafka.PositionsLog.
type positionsLog struct{ *link }

// Close implements kafka.PositionsLog.
func (l positionsLog) Close() {}

// Bounds implements kafka.PositionsLog.
func (l positionsLog) Bounds(ctx context.Context) (begin, end int64, err error) {
	err = l.call(ctx, "ask where the positions end", func() error {
		end = int64(len(l.c.positions))
		return nil
	})
	return 0, end, err
}

// Fetch implements kafka.PositionsLog.
func (l positionsLog) Fetch(ctx context.Context, at int64) (records []*kgo.Record, next int64, err error) {
	next = at
	err = l.call(ctx, "fetch positions", func() error {
		records, next = nil, at
		for ; next < int64(len(l.c.positions)); next++ {
			e := l.c.positions[next]
			if !l.c.w.cfg.Uncommitted && !e.txn.resolved {
				break
			}
			if l.c.w.cfg.Uncommitted || e.txn.committed {
				records = append(records, &kgo.Record{Topic: positionsTopic, Key: []byte(e.key), Value: []byte(e.state)})
			}
		}
		return nil
	})
	if err == nil && next == at {
		l.p.Until(ctx, "wait for a transaction", l.p.Now().Add(time.Second), func() bool { return l.c.positions[at].txn.resolved })
		err = ctx.Err()
	}
	return records, next, err
}

// producer is a client. It implements kafka.Producer as the real one does: it
// keeps records for a while, sends them in order, tries again by itself, and is
// of no use after it has given up.
type producer struct {
	*link
	id string
	m  sched.Monitor // guards all below

	epoch    int
	sequence int
	buffer   []buffered
	failed   error
	open     bool // a transaction
	sent     bool // something of it, maybe
	// unknown says that the end of the transaction was not answered.
	unknown bool
}

// buffered is a record that waits to be sent.
type buffered struct {
	record  *kgo.Record
	promise func(*kgo.Record, error)
	by      *sender
}

var errNoTransaction = errors.New("the client is in no transaction (simulated)")

// ProducerID implements kafka.Producer.
func (c *producer) ProducerID(ctx context.Context) (int64, int16, error) {
	c.m.Lock()
	defer c.m.Unlock()
	return 1, 0, c.take(ctx, nil)
}

// take takes the transactional id. The caller holds the lock.
func (c *producer) take(ctx context.Context, prior *int) error {
	epoch := 0
	err := c.request(ctx, "take "+c.id, func() (err error) {
		epoch, err = c.c.init(c.id, prior)
		return err
	})
	if err == nil {
		c.epoch, c.sequence = epoch, 0
	}
	return err
}

// BeginTransaction implements kafka.Producer.
func (c *producer) BeginTransaction() error {
	c.m.Lock()
	defer c.m.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.open, c.sent, c.unknown = true, false, false
	return nil
}

// Produce implements kafka.Producer.
func (c *producer) Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	c.m.Lock()
	defer c.m.Unlock()
	if c.failed != nil || !c.open {
		promise(r, errors.Join(c.failed, errNoTransaction))
		return
	}
	by, _ := ctx.Value(senderKey{}).(*sender)
	c.buffer = append(c.buffer, buffered{r, promise, by})
	if c.c.w.s.Chance(0.2) {
		c.send(ctx)
	}
}

// send sends what is buffered. The caller holds the lock.
func (c *producer) send(ctx context.Context) {
	batch, epoch, sequence := c.buffer, c.epoch, c.sequence
	if len(batch) == 0 {
		return
	}
	c.buffer, c.sent = nil, true
	// What arrives late is what was sent, whatever has become of the memory.
	for i := range batch {
		r := *batch[i].record
		r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
		batch[i].record = &r
	}
	err := c.request(ctx, fmt.Sprintf("produce %d records", len(batch)), func() error { return c.c.produce(c.id, epoch, sequence, batch) })
	if err != nil {
		c.failed = err
	} else {
		c.sequence++
	}
	for _, b := range batch {
		b.promise(b.record, err)
	}
}

// ProduceSync implements kafka.Producer.
func (c *producer) ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults {
	results := make(kgo.ProduceResults, 0, len(rs))
	for _, r := range rs {
		c.Produce(ctx, r, func(r *kgo.Record, err error) { results = append(results, kgo.ProduceResult{Record: r, Err: err}) })
	}
	c.m.Lock()
	defer c.m.Unlock()
	c.send(ctx)
	return results
}

// Flush implements kafka.Producer: that records failed is told to their promises.
func (c *producer) Flush(ctx context.Context) error {
	c.m.Lock()
	defer c.m.Unlock()
	c.send(ctx)
	return ctx.Err()
}

// AbortBufferedRecords implements kafka.Producer.
func (c *producer) AbortBufferedRecords(ctx context.Context) error {
	c.m.Lock()
	defer c.m.Unlock()
	batch := c.buffer
	c.buffer = nil
	for _, b := range batch {
		b.promise(b.record, kgo.ErrAborting)
	}
	return ctx.Err()
}

// EndTransaction implements kafka.Producer.
func (c *producer) EndTransaction(ctx context.Context, commit kgo.TransactionEndTry) error {
	c.m.Lock()
	defer c.m.Unlock()
	switch {
	case !c.open:
		return nil
	case c.failed != nil && bool(commit):
		return kerr.OperationNotAttempted
	case c.unknown && bool(commit):
		return errors.New("the outcome of the last commit is not known (simulated)")
	case c.unknown:
		prior := c.epoch
		if err := c.take(ctx, &prior); err != nil {
			return err
		}
		c.open = false
		return nil
	case !c.sent:
		c.open = false
		return nil
	}
	from, epoch := c.epoch, 0
	err := c.request(ctx, fmt.Sprintf("end the transaction of %s, commit: %v", c.id, commit), func() (err error) {
		epoch, err = c.c.end(c.id, from, bool(commit))
		return err
	})
	if err != nil {
		c.unknown = true
		return err
	}
	c.epoch, c.sequence, c.open = epoch, 0, false
	return nil
}

// BufferedProduceBytes implements kafka.Producer.
func (c *producer) BufferedProduceBytes() int64 { return 0 }

// Close implements kafka.Producer.
func (c *producer) Close() {}

// topicSink is the sink of streams into a topic, in a process.
func (i *instance) topicSink(ledger connectors.Ledger) connectors.Sink {
	return kafka.Open(kafka.Config{
		Name: "topics", Options: topicOptions(), Ledger: ledger, Scheduler: i.p, Logger: logger{i.host}, Rules: i.w.cfg.Transactions,
		Cluster: &link{c: i.w.cluster, p: i.p},
	})
}

func topicOptions() connectors.Options {
	c := kafka.SinkConnector
	return c.Spec.MustOptions("brokers", "simulated:9092", "positions_topic", positionsTopic, "transactional_id_prefix", transactionalIDs).Over(c.StreamSpec.MustOptions())
}
