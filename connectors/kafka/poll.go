package kafka

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
)

// probeAfter is how long the leader waits for records of a partition whose end
// somebody waits for, before it looks whether there are any. Where there are, the
// broker is slow, and it waits longer the next time, up to probeLatest; each poll
// that brings records makes it a little bolder again.
const (
	probeAfter  = 250 * time.Millisecond
	probeLatest = 2 * time.Second
)

// idleAfter is how long a source without records keeps memory for the next ones.
const idleAfter = time.Second

// Poll prefers the partitions whose number is the lane's modulo the lanes, and
// takes from any other when those have nothing.
func (s *source) Poll(ctx context.Context, lane int, c *connectors.Chunk) error {
	b := &s.lanes[lane%len(s.lanes)]
	for {
		b.release()
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		p, busy := s.claim(lane%len(s.lanes), b)
		switch {
		case p != nil:
			s.mu.Unlock()
			n, err := s.fill(p, b, c)
			if s.take(p, b, n) && len(c.Records) > 0 || err != nil {
				return err
			}
			continue
		case s.bounded && s.unfinished == 0:
			s.mu.Unlock()
			return io.EOF
		case s.leading || s.leadWanted > 0 || busy:
			wake := s.wake
			s.mu.Unlock()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-wake:
			}
			continue
		}
		leadCtx, cancel := context.WithCancel(ctx)
		s.leading, s.interrupt = true, cancel
		s.mu.Unlock()
		err := s.lead(leadCtx)
		cancel()
		s.release()
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
}

// release lets another lead.
func (s *source) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leading, s.interrupt = false, nil
	s.wakeAll()
}

// takeLead interrupts the lane that polls and leads in its place until release.
func (s *source) takeLead(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leadWanted++
	defer func() { s.leadWanted-- }()
	for s.leading {
		if s.interrupt != nil {
			s.interrupt()
		}
		wake := s.wake
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-wake:
		}
		s.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	s.leading = true
	return nil
}

// laneBuffers are what a lane hands out until its next poll.
type laneBuffers struct {
	batches  []recordBatch // of one partition and one answer, one behind the other
	clears   int           // the partition's when they were claimed
	messages []message
	headers  []header
	arena    []byte // keys and headers
	plain    []byte // decompressed batches

	decompressor decompressor
}

// mostPlain is how much memory a lane keeps for decompressed batches, in bytes.
const mostPlain = 16 << 20

// release gives back what the lane has handed out.
func (b *laneBuffers) release() {
	b.keep(0)
	clear(b.messages)
	if cap(b.plain) > mostPlain {
		b.plain = nil
	}
}

// keep gives back all but the first n batches.
func (b *laneBuffers) keep(n int) {
	for i := range b.batches[n:] {
		b.batches[n+i].owner.release()
	}
	clear(b.batches[n:])
	b.batches = b.batches[:n]
}

// claim gives a lane about a chunk of the batches that a partition's queue begins with.
// They stay in the queue, which no other lane may take from, until take. It returns nil
// when there are none, and whether other lanes have claimed some. The caller holds mu.
func (s *source) claim(lane int, b *laneBuffers) (p *partition, busy bool) {
	most := 0
	for _, q := range s.order {
		busy = busy || q.filling
		if len(q.queue) == 0 || q.filling {
			continue
		}
		if int(q.number)%len(s.lanes) == lane {
			p = q
			break
		}
		if n := q.queued(); p == nil || n > most {
			p, most = q, n
		}
	}
	if p == nil {
		return nil, busy
	}
	size := 0
	for i := range p.queue {
		batch := &p.queue[i]
		if size >= min(s.cfg.ChunkBytes, inCache) || batch.owner != p.queue[0].owner || batch.codec != p.queue[0].codec {
			break
		}
		size += batch.size()
		batch.owner.refs.Add(1)
		b.batches = append(b.batches, *batch)
	}
	b.clears = p.clears
	p.filling = true
	return p, busy
}

// take takes the first n of the batches that a lane has claimed off the partition's
// queue, and moves the position behind them. It reports whether they were still there.
func (s *source) take(p *partition, b *laneBuffers, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.filling = false
	s.wakeAll()
	if p.clears != b.clears {
		b.keep(0)
		return false
	}
	b.keep(n)
	if n == 0 {
		return true // it could not be read
	}
	for i := range p.queue[:n] {
		s.newest = later(s.newest, time.UnixMilli(p.queue[i].maxTime))
		p.queue[i].owner.release() // the lane has one of its own
	}
	reached := p.queue[n-1].to
	p.epoch = p.queue[n-1].epoch
	clear(p.queue[:n])
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil
		reached = p.next
	}
	s.reach(p, reached)
	return true
}

// inCache is about how much a lane takes at a time: what it checks, splits into
// records and decodes, one after the other, stays in the core's cache.
const inCache = 512 << 10

// queued is how many bytes wait.
func (p *partition) queued() (n int) {
	for i := range p.queue {
		n += p.queue[i].size()
	}
	return n
}

// clear drops what is queued. What a lane has claimed of it is not handed out.
func (p *partition) clear() {
	p.clears++
	for i := range p.queue {
		p.queue[i].owner.release()
	}
	p.queue = nil
}

// reach moves a partition's position up to an offset. The caller holds mu.
func (s *source) reach(p *partition, offset int64) {
	was := p.finished()
	p.offset = max(p.offset, offset)
	if !was && p.finished() {
		s.unfinished--
		s.wakeAll()
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// lead polls the client once for all lanes.
func (s *source) lead(ctx context.Context) error {
	if err := s.mend(ctx); err != nil {
		return err
	}
	s.dropFinished()
	waited := s.waitedFor()
	patience := time.Duration(0)
	if s.fetches.keepsMemory() {
		patience = idleAfter
	}
	if len(waited) > 0 {
		patience = max(s.probeIn, probeAfter)
	}
	pollCtx, cancel := ctx, context.CancelFunc(func() {})
	if patience > 0 {
		pollCtx, cancel = context.WithTimeout(ctx, patience)
	}
	s.fetches.sleep(false)
	fetches := s.client.PollRecords(pollCtx, -1)
	cancel()
	fetched := fetches.NumRecords() > 0
	if fetched {
		// On a single core the client would ask for the next records only when these
		// are decoded.
		runtime.Gosched()
		s.fetches.sleep(true)
	}
	if !fetched && ctx.Err() == nil && patience >= idleAfter {
		s.fetches.trim()
	}
	err := s.enqueue(ctx, fetches)
	if fetched {
		s.probeIn -= s.probeIn / 8
	} else if err == nil && len(waited) > 0 && ctx.Err() == nil {
		var moved bool
		moved, err = s.probe(ctx, waited)
		s.probeIn = min(2*patience, probeLatest)
		if moved {
			s.probeIn = 0
		}
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// dropFinished stops fetching of partitions that are read to their stop.
func (s *source) dropFinished() {
	var finished []int32
	s.mu.Lock()
	for _, p := range s.order {
		if p.fetching && p.finished() {
			p.fetching = false
			finished = append(finished, p.number)
			s.fetches.settle(p.number, math.MaxInt64)
		}
	}
	s.mu.Unlock()
	if len(finished) > 0 {
		s.client.RemoveConsumePartitions(map[string][]int32{s.topic: finished})
	}
}

// enqueue hands fetched records over to the lanes. The queues are empty.
func (s *source) enqueue(ctx context.Context, fetches kgo.Fetches) error {
	var failed error
	recheck := false
	s.mu.Lock()
	for i := range fetches {
		for j := range fetches[i].Topics {
			t := &fetches[i].Topics[j]
			for k := range t.Partitions {
				fp := &t.Partitions[k]
				p := s.partitions[fp.Partition]
				if fp.Err == nil && t.Topic == s.topic && p != nil {
					s.queue(p, fp)
					continue
				}
				var loss *kgo.ErrDataLoss
				var large *kgo.ErrDecompressTooLarge
				var err error
				switch {
				case fp.Err == nil, errors.Is(fp.Err, context.Canceled), errors.Is(fp.Err, context.DeadlineExceeded):
				case errors.As(fp.Err, &loss) && p != nil:
					err = s.truncated(p, loss)
				case errors.As(fp.Err, &large) && p != nil:
					if err = s.inflated(p, large.Offset, large.NextOffset); err == nil {
						s.jump(p, large.NextOffset, large.Epoch)
						p.broken = true // to be fetched from there
					}
				case errors.Is(fp.Err, kerr.OffsetOutOfRange) && p != nil:
					p.broken = true
				case errors.Is(fp.Err, kerr.UnknownTopicID), errors.Is(fp.Err, kerr.UnknownTopicOrPartition):
					recheck = true
				default:
					err = explain(s.cfg, "read topic "+s.topic, fp.Err)
				}
				if failed == nil {
					failed = err
				}
			}
		}
	}
	s.wakeAll()
	s.mu.Unlock()
	if recheck && failed == nil {
		failed = s.topicMissing(ctx)
	}
	return failed
}

// queue appends what was fetched of a partition, up to its stop. The caller
// holds mu.
func (s *source) queue(p *partition, fp *kgo.FetchPartition) {
	if fp.HighWatermark >= 0 {
		p.end = fp.HighWatermark
		if s.committed && fp.LastStableOffset >= 0 {
			p.end = fp.LastStableOffset
		}
	}
	records := fp.Records
	for len(records) > 0 {
		r := records[0]
		n := 1
		b, standIn := s.fetches.take(r)
		if !standIn {
			for n < len(records) && !s.fetches.isStandIn(records[n]) {
				n++
			}
			b = batchOf(records[:n])
		}
		last := records[n-1]
		records = records[n:]
		if standIn && b.owner == nil && last.Offset >= p.next {
			// The client has kept it for longer than it should: it is fetched again.
			p.broken = true
			break
		}
		b.from, b.to = p.next, last.Offset+1
		if p.stop >= 0 {
			b.to = min(b.to, p.stop)
		}
		if b.owner != nil && b.from < b.to {
			p.queue = append(p.queue, b)
		} else if b.owner != nil {
			b.owner.release()
		}
		p.next = max(p.next, b.to)
	}
	s.fetches.settle(p.number, p.next)
	if len(p.queue) == 0 {
		s.reach(p, p.next)
	}
}
