package kafka

import (
	"context"
	"errors"
	"io"
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

// Poll prefers the partitions whose number is the lane's modulo the lanes, and
// takes from any other when those have nothing.
func (s *source) Poll(ctx context.Context, lane int, c *connectors.Chunk) error {
	b := &s.lanes[lane%len(s.lanes)]
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		p := s.claim(lane%len(s.lanes), b)
		switch {
		case p != nil:
			s.mu.Unlock()
			s.fill(p, b, c)
			return nil
		case s.bounded && s.unfinished == 0:
			s.mu.Unlock()
			return io.EOF
		case s.leading || s.leadWanted > 0:
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
	runs    [][]*kgo.Record
	bytes   int
	inPlace bool   // the payloads of runs stay where they were fetched
	data    []byte // payloads that do not
	arena   []byte // keys and headers
}

// claim takes about a chunk of records off a partition's queue, and moves the
// position behind them. It returns nil when there are none. The caller holds mu.
func (s *source) claim(lane int, b *laneBuffers) *partition {
	for {
		var p *partition
		for _, q := range s.order {
			if len(q.runs) == 0 {
				continue
			}
			if int(q.number)%len(s.lanes) == lane {
				p = q
				break
			}
			if p == nil || q.queued() > p.queued() {
				p = q
			}
		}
		if p == nil {
			return nil
		}
		if s.cut(p, b) > 0 {
			return p
		}
	}
}

// queued is how many records wait.
func (p *partition) queued() (n int) {
	for _, run := range p.runs {
		n += len(run)
	}
	return n
}

// cut moves records from p's queue to b and returns how many of them are data.
func (s *source) cut(p *partition, b *laneBuffers) (records int) {
	b.runs, b.bytes, b.inPlace = b.runs[:0], 0, false
	if n := b.takeInPlace(p.runs[0], s.cfg.ChunkBytes); n > 0 {
		run := p.runs[0]
		last := run[n-1]
		p.epoch, p.runs[0] = last.LeaderEpoch, run[n:]
		s.newest = later(s.newest, last.Timestamp)
		s.bytesRead += int64(b.bytes)
		s.reach(p, last.Offset+1)
		return n
	}
	reached := p.offset
	for len(p.runs) > 0 && b.bytes < s.cfg.ChunkBytes {
		run := p.runs[0]
		n := 0
		for n < len(run) && b.bytes < s.cfg.ChunkBytes {
			if r := run[n]; !r.Attrs.IsControl() {
				b.bytes += len(r.Value)
				records++
			}
			n++
		}
		last := run[n-1]
		reached, p.epoch = last.Offset+1, last.LeaderEpoch
		s.newest = later(s.newest, last.Timestamp)
		b.runs = append(b.runs, run[:n])
		if n < len(run) {
			p.runs[0] = run[n:]
		} else {
			p.runs[0] = nil
			p.runs = p.runs[1:]
		}
	}
	s.bytesRead += int64(b.bytes)
	if len(p.runs) == 0 {
		p.runs = nil
		reached = p.next
	}
	s.reach(p, reached)
	return records
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
	waited, read := s.waitedFor()
	patience := s.slack.update(read, s.cfg.PrefetchBytes/4*3)
	if len(waited) > 0 {
		patience = max(s.probeIn, probeAfter)
	}
	pollCtx, cancel := ctx, context.CancelFunc(func() {})
	if patience > 0 {
		pollCtx, cancel = context.WithTimeout(ctx, patience)
	}
	fetches := s.client.PollRecords(pollCtx, -1)
	cancel()
	if fetches.NumRecords() == 0 && ctx.Err() == nil && patience >= slackFor {
		s.slack.idle()
	}
	err := s.enqueue(ctx, fetches)
	if fetches.NumRecords() > 0 {
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
					err = s.tooLarge(p, large)
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
	for len(records) > 0 && records[0].Offset < p.next {
		records[0].Recycle()
		records = records[1:]
	}
	n := len(records)
	for p.stop >= 0 && n > 0 && records[n-1].Offset >= p.stop {
		n--
		records[n].Recycle()
	}
	switch {
	case n < len(records):
		p.next = p.stop
	case n > 0:
		p.next = records[n-1].Offset + 1
	}
	if n == 0 {
		s.reach(p, p.next)
		return
	}
	p.runs = append(p.runs, records[:n])
}
