package kinesis

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/internal/sched"
)

// maxPutRecords is how many records a call of PutRecords may have
// (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html).
const maxPutRecords = 500

// batch is records that were made together, and their memory, which is used again
// when all of them have been acknowledged.
type batch struct {
	epoch   int64
	buffer  []byte // their data
	records []record
	left    int   // not acknowledged
	bytes   int64 // that are counted for it
}

// record is a row on its way.
type record struct {
	key  string
	hash uint64 // of key
	data []byte
	free bool    // order means nothing to it
	next *record // which waits for this one, since it has the same key
	of   *batch
}

func (r *record) size() int { return len(r.key) + len(r.data) }

// call is the memory of a worker's calls of PutRecords.
type call struct {
	records []*record
	refused []*record
	entries []types.PutRecordsRequestEntry
}

// sender sends the records of all lanes, several calls at a time. PutRecords may
// take any of a call's records and refuse others, so a call has no two records of
// one key, and a key's next record waits until the one before is acknowledged. Keys
// are told apart by their hash: two that share one wait for each other.
type sender struct {
	s       *streamSink
	ctx     context.Context
	cancel  context.CancelFunc
	limit   int64
	most    int // bytes of a call
	put     func(context.Context, *call) error
	seed    maphash.Seed
	health  *health
	batches sync.Pool

	m       sched.Monitor      // guards all below
	workers int                // that have not ended
	gathers bool               // a worker waits for more records
	ready   fifo               // what can be sent, one record of each key
	last    map[uint64]*record // the last of those that wait for each other; present while one is ready or under way
	bytes   int64              // of batches that are not acknowledged
	waiting map[int64]int      // how many these are, by epoch
}

// fifo is a queue.
type fifo struct {
	list []*record
	from int
}

func (q *fifo) push(r *record) { q.list = append(q.list, r) }

func (q *fifo) len() int { return len(q.list) - q.from }

func (q *fifo) pop() *record {
	r := q.list[q.from]
	q.list[q.from] = nil
	if q.from++; q.from == len(q.list) {
		q.list, q.from = q.list[:0], 0
	} else if q.from > 1024 && q.from > len(q.list)/2 {
		n := copy(q.list, q.list[q.from:])
		clear(q.list[n:])
		q.list, q.from = q.list[:n], 0
	}
	return r
}

// newSender sends by put, which leaves in a call the records that were not taken,
// and says why the first was not.
func newSender(s *streamSink, put func(context.Context, *call) error) *sender {
	o := s.sink.cfg.Options
	memory := s.spec.MemoryBytes
	if memory <= 0 {
		memory = 256 << 20
	}
	q := &sender{
		s: s, limit: memory / 2, most: int(o.Size("max_call_bytes")), put: put, seed: maphash.MakeSeed(),
		last: map[uint64]*record{}, waiting: map[int64]int{}, m: s.sink.scheduler.NewMonitor(),
		batches: sync.Pool{New: func() any { return new(batch) }},
		health:  &health{retrying: s.spec.Retrying, failing: map[string]bool{}, mu: s.sink.scheduler.NewMonitor()},
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.workers = int(o.Int("calls_in_flight"))
	for n := range q.workers {
		name := fmt.Sprintf("call %d", n)
		s.sink.scheduler.Go(s.spec.Stream+" "+name, func() {
			q.work(name)
			q.m.Lock()
			defer q.m.Unlock()
			q.workers--
			q.m.Broadcast()
		})
	}
	return q
}

// close ends the calls under way; what is not acknowledged is thrown away.
func (q *sender) close() {
	q.cancel()
	q.m.Lock()
	q.m.Broadcast()
	for q.workers > 0 {
		q.m.Wait()
	}
	q.m.Unlock()
	q.health.close()
}

func (q *sender) held() int64 {
	q.m.Lock()
	defer q.m.Unlock()
	return q.bytes
}

// push queues the records of a batch. It waits while too much is not
// acknowledged.
func (q *sender) push(ctx context.Context, b *batch) error {
	for i := range b.records {
		if r := &b.records[i]; !r.free {
			r.hash = maphash.String(q.seed, r.key)
		}
	}
	q.m.Lock()
	defer q.m.Unlock()
	if err := q.await(ctx, func() bool { return q.bytes <= q.limit }); err != nil {
		return err
	}
	q.bytes += b.bytes
	q.waiting[b.epoch]++
	before := q.ready.len()
	for i := range b.records {
		r := &b.records[i]
		if !r.free && !q.s.sink.rules.lacks(RuleOneOfKey) {
			last := q.last[r.hash]
			q.last[r.hash] = r
			if last != nil {
				last.next = r
				continue
			}
		}
		q.ready.push(r)
	}
	if n := q.ready.len(); before == 0 && n > 0 || n/maxPutRecords > before/maxPutRecords {
		q.m.Broadcast()
	}
	return nil
}

// await gives up the lock until what the caller waits for has come.
func (q *sender) await(ctx context.Context, ready func() bool) error {
	if ready() {
		return nil
	}
	defer q.m.BroadcastAfter(ctx)()
	for {
		switch {
		case ready():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case q.ctx.Err() != nil:
			return errClosed
		}
		q.m.Wait()
	}
}

var errClosed = errors.New("the sink is closed")

// acknowledged waits until all records of an epoch, of which no more come, are
// acknowledged.
func (q *sender) acknowledged(ctx context.Context, epoch int64) error {
	q.m.Lock()
	defer q.m.Unlock()
	return q.await(ctx, func() bool { return q.waiting[epoch] == 0 })
}

// gather is how long a call waits for more records when there are few.
const gather = 5 * time.Millisecond

// work makes one call after the other.
func (q *sender) work(name string) {
	failures := 0
	var c call
	for {
		if !q.take(&c) {
			return
		}
		ctx, cancel := context.WithTimeout(q.ctx, q.s.sink.cfg.Options.Duration("request_timeout"))
		err := q.put(ctx, &c)
		cancel()
		refused, all := len(c.refused), len(c.records)
		q.settle(&c)
		if refused == 0 {
			failures = 0
			q.health.succeeded(name)
			continue
		}
		failures++
		// That a shard is asked for too much now and then is no trouble.
		if err != nil && (!isThrottled(err) || failures > throttledQuietly) {
			q.health.failed(name, q.s.sink.explain(q.s.spec.Table, "write to stream "+q.s.spec.Table, err))
		}
		random := sched.Float64(q.s.sink.scheduler)
		delay := backoffAt(failures-1, random)
		if refused < all {
			failures, delay = 0, backoffAt(0, random)/2 // other shards have room
		}
		if sched.Sleep(q.ctx, q.s.sink.scheduler, delay) != nil {
			return
		}
	}
}

// take waits for records and takes a call's. It returns false when the sender is
// closed.
func (q *sender) take(c *call) bool {
	c.records, c.refused = c.records[:0], c.refused[:0]
	q.m.Lock()
	defer q.m.Unlock()
	for {
		for q.ctx.Err() == nil && (q.ready.len() == 0 || q.gathers && q.ready.len() < maxPutRecords) {
			q.m.Wait()
		}
		if q.ready.len() < maxPutRecords {
			q.gather()
		}
		if q.ctx.Err() != nil {
			return false
		}
		if q.ready.len() > 0 {
			break
		}
	}
	for bytes := 0; q.ready.len() > 0 && len(c.records) < maxPutRecords; {
		next := q.ready.list[q.ready.from]
		if bytes += next.size(); bytes > q.most && len(c.records) > 0 {
			break
		}
		c.records = append(c.records, q.ready.pop())
	}
	if q.ready.len() > 0 {
		q.m.Broadcast() // somebody else gathers
	}
	return true
}

// gather waits a moment for more records, one worker at a time. The caller holds
// the lock.
func (q *sender) gather() {
	q.gathers = true
	until := q.s.sink.scheduler.Now().Add(gather)
	for q.ctx.Err() == nil && q.ready.len() < maxPutRecords && q.s.sink.scheduler.Now().Before(until) {
		q.m.WaitUntil(until)
	}
	q.gathers = false
}

// putRecords makes a call.
func (s *streamSink) putRecords(ctx context.Context, c *call) error {
	c.entries = c.entries[:0]
	for _, r := range c.records {
		c.entries = append(c.entries, types.PutRecordsRequestEntry{Data: r.data, PartitionKey: &r.key})
	}
	out, err := s.sink.service.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &s.spec.Table, Records: c.entries}, once)
	clear(c.entries)
	if err == nil && len(out.Records) != len(c.records) {
		err = fmt.Errorf("the service answers for %d of %d records", len(out.Records), len(c.records))
	}
	if err != nil {
		c.refused = append(c.refused, c.records...)
		return err
	}
	for i := range out.Records {
		if code := aws.ToString(out.Records[i].ErrorCode); code != "" {
			c.refused = append(c.refused, c.records[i])
			if err == nil {
				err = &refusedError{code, aws.ToString(out.Records[i].ErrorMessage)}
			}
		}
	}
	return err
}

// refusedError is why a record of a call was not taken.
type refusedError struct{ code, message string }

func (e *refusedError) Error() string { return e.code + ": " + e.message }

// settle notes what became of a call's records: those that were taken make room
// for the next of their keys, the others are sent again, before the next.
func (q *sender) settle(c *call) {
	q.m.Lock()
	defer q.m.Unlock()
	refused := c.refused
	for _, r := range refused {
		q.ready.push(r)
	}
	for _, r := range c.records {
		if len(refused) > 0 && refused[0] == r {
			refused = refused[1:]
			continue
		}
		if !r.free && !q.s.sink.rules.lacks(RuleOneOfKey) {
			if r.next != nil {
				q.ready.push(r.next)
			} else {
				delete(q.last, r.hash)
			}
		}
		if b := r.of; b.left > 1 {
			b.left--
		} else {
			q.release(b)
		}
	}
	clear(c.records)
	clear(c.refused)
	q.m.Broadcast()
}

// release takes the memory of a batch back that is acknowledged. The caller holds
// the lock.
func (q *sender) release(b *batch) {
	q.bytes -= b.bytes
	if q.waiting[b.epoch]--; q.waiting[b.epoch] == 0 {
		delete(q.waiting, b.epoch)
	}
	if cap(b.buffer) > 4*batchBytes {
		return // it had an unusually large record
	}
	clear(b.records)
	b.buffer, b.records = b.buffer[:0], b.records[:0]
	q.batches.Put(b)
}
