package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// maxPutRecords is how many records a call of PutRecords may have
// (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html).
const maxPutRecords = 500

// record is a row on its way.
type record struct {
	key   string
	data  []byte
	epoch int64
	free  bool // order means nothing to it
}

func (r *record) size() int { return len(r.key) + len(r.data) }

// sender sends the records of all lanes, several calls at a time. PutRecords may
// take any of a call's records and refuse others, so a call has no two records of
// one key, and a key's next record waits until the one before is acknowledged.
type sender struct {
	s       *streamSink
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
	limit   int64
	call    int // bytes of a call
	health  *health

	mu      sync.Mutex
	ready   fifo             // what can be sent, one record of each key
	behind  map[string]*fifo // the records behind it, by key; present while one is ready or under way
	bytes   int64            // not acknowledged
	waiting map[int64]int    // records that are not, by epoch
	changed chan struct{}    // closed when one of these changes
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

func newSender(s *streamSink) *sender {
	o := s.sink.cfg.Options
	memory := s.spec.MemoryBytes
	if memory <= 0 {
		memory = 256 << 20
	}
	q := &sender{
		s: s, limit: memory / 2, call: int(o.Size("max_call_bytes")), behind: map[string]*fifo{}, waiting: map[int64]int{},
		changed: make(chan struct{}), health: &health{retrying: s.spec.Retrying, failing: map[string]bool{}},
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	for n := range o.Int("calls_in_flight") {
		q.workers.Go(func() { q.work(fmt.Sprintf("call %d", n)) })
	}
	return q
}

// close ends the calls under way; what is not acknowledged is thrown away.
func (q *sender) close() {
	q.cancel()
	q.workers.Wait()
	q.health.close()
}

// notify tells all who wait to look again. The caller holds mu.
func (q *sender) notify() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *sender) held() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// push queues a record. It waits while too much is not acknowledged.
func (q *sender) push(ctx context.Context, r *record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes > q.limit {
		if err := q.wait(ctx); err != nil {
			return err
		}
	}
	q.bytes += int64(r.size())
	q.waiting[r.epoch]++
	if !r.free {
		if behind := q.behind[r.key]; behind != nil {
			behind.push(r)
			return nil
		}
		q.behind[r.key] = &fifo{}
	}
	q.ready.push(r)
	if n := q.ready.len(); n == 1 || n%maxPutRecords == 0 {
		q.notify()
	}
	return nil
}

// wait gives up mu until something changes.
func (q *sender) wait(ctx context.Context) error {
	changed := q.changed
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-q.ctx.Done():
		return errClosed
	}
}

var errClosed = errors.New("the sink is closed")

// acknowledged waits until all records of an epoch, of which no more come, are
// acknowledged.
func (q *sender) acknowledged(ctx context.Context, epoch int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting[epoch] > 0 {
		if err := q.wait(ctx); err != nil {
			return err
		}
	}
	delete(q.waiting, epoch)
	return nil
}

// gather is how long a call waits for more records when there are few.
const gather = 5 * time.Millisecond

// work makes one call after the other.
func (q *sender) work(name string) {
	failures := 0
	for {
		batch := q.take()
		if batch == nil {
			return
		}
		refused, err := q.put(batch)
		q.settle(batch, refused)
		if len(refused) == 0 {
			failures = 0
			q.health.succeeded(name)
			continue
		}
		failures++
		// That a shard is asked for too much now and then is no trouble.
		if err != nil && (!isThrottled(err) || failures > throttledQuietly) {
			q.health.failed(name, q.s.sink.explain(q.s.spec.Table, "write to stream "+q.s.spec.Table, err))
		}
		delay := backoff(failures - 1)
		if len(refused) < len(batch) {
			failures, delay = 0, backoff(0)/2 // other shards have room
		}
		if !pause(q.ctx, delay) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// take waits for records and takes a call's. It returns nil when the sender is
// closed.
func (q *sender) take() []*record {
	q.mu.Lock()
	defer q.mu.Unlock()
	waited := false
	for {
		if q.ctx.Err() != nil {
			return nil
		}
		n := q.ready.len()
		if n >= maxPutRecords || n > 0 && waited {
			break
		}
		if n == 0 {
			waited = false
			if q.wait(q.ctx) != nil {
				return nil
			}
			continue
		}
		waited = true
		q.mu.Unlock()
		ok := pause(q.ctx, gather)
		q.mu.Lock()
		if !ok {
			return nil
		}
	}
	var batch []*record
	for bytes := 0; q.ready.len() > 0 && len(batch) < maxPutRecords; {
		next := q.ready.list[q.ready.from]
		if bytes += next.size(); bytes > q.call && len(batch) > 0 {
			break
		}
		batch = append(batch, q.ready.pop())
	}
	return batch
}

// put makes a call and returns the records that were not taken, and why the first
// was not.
func (q *sender) put(batch []*record) ([]*record, error) {
	in := &kinesis.PutRecordsInput{StreamName: &q.s.spec.Table, Records: make([]types.PutRecordsRequestEntry, len(batch))}
	for i, r := range batch {
		in.Records[i] = types.PutRecordsRequestEntry{Data: r.data, PartitionKey: &r.key}
	}
	ctx, cancel := context.WithTimeout(q.ctx, q.s.sink.cfg.Options.Duration("request_timeout"))
	defer cancel()
	out, err := q.s.sink.client.PutRecords(ctx, in, once)
	if err == nil && len(out.Records) != len(batch) {
		err = fmt.Errorf("the service answers for %d of %d records", len(out.Records), len(batch))
	}
	if err != nil {
		return batch, err
	}
	var refused []*record
	for i := range out.Records {
		if code := aws.ToString(out.Records[i].ErrorCode); code != "" {
			refused = append(refused, batch[i])
			if err == nil {
				err = &refusedError{code, aws.ToString(out.Records[i].ErrorMessage)}
			}
		}
	}
	return refused, err
}

// refusedError is why a record of a call was not taken.
type refusedError struct{ code, message string }

func (e *refusedError) Error() string { return e.code + ": " + e.message }

// settle notes what became of a call's records: those that were taken make room
// for the next of their keys, the others are sent again, before the next.
func (q *sender) settle(batch, refused []*record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range refused {
		q.ready.push(r)
	}
	for _, r := range batch {
		if len(refused) > 0 && refused[0] == r {
			refused = refused[1:]
			continue
		}
		q.bytes -= int64(r.size())
		if q.waiting[r.epoch]--; q.waiting[r.epoch] == 0 {
			delete(q.waiting, r.epoch)
		}
		if r.free {
			continue
		}
		if behind := q.behind[r.key]; behind.len() > 0 {
			q.ready.push(behind.pop())
		} else {
			delete(q.behind, r.key)
		}
	}
	q.notify()
}
