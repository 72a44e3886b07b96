package kafka

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// note is lose for callers that hold mu.
func (s *source) note(loss connectors.DataLoss) error {
	if !s.cfg.SkipsDataLoss() {
		return connectors.NewDataLossError(loss)
	}
	s.lost = append(s.lost, loss)
	return nil
}

// jump moves a partition to where reading goes on after a loss. The caller
// holds mu, and nothing is queued.
func (s *source) jump(p *partition, offset int64, epoch int32) {
	was := p.finished()
	p.clear()
	s.fetches.settle(p.number, math.MaxInt64)
	p.offset, p.next, p.epoch = offset, offset, epoch
	if !was && p.finished() {
		s.unfinished--
	}
}

// truncated takes note that the log was cut before what was read: another
// replica, without those records, has become the leader. The client goes on at
// the cut.
func (s *source) truncated(p *partition, e *kgo.ErrDataLoss) error {
	to := position{TopicID: p.topicID, Offset: e.ResetTo}
	err := s.note(connectors.DataLoss{
		Split: p.split, From: p.position().encode(), To: to.encode(), Records: -1,
		Reason: fmt.Sprintf("the log was cut at offset %d, before what was read", e.ResetTo),
	})
	if err == nil {
		s.jump(p, e.ResetTo, e.ResetToEpoch)
	}
	return err
}

// inflated takes note of a batch that would fill the memory, of which the records up to
// an offset are skipped. The caller holds mu.
func (s *source) inflated(p *partition, from, to int64) error {
	at, next := position{TopicID: p.topicID, Offset: from}, position{TopicID: p.topicID, Offset: to}
	return s.note(connectors.DataLoss{
		Split: p.split, From: at.encode(), To: next.encode(), Records: to - from,
		Reason: fmt.Sprintf("the batch at offset %d decompresses to more than %d bytes", from, mostInflated),
	})
}

// mend finds out where the partitions lie whose offset was out of range, and
// has the client fetch them again. The leader calls it.
func (s *source) mend(ctx context.Context) error {
	s.mu.Lock()
	var broken []*partition
	var numbers []int32
	for _, p := range s.order {
		if p.broken {
			broken, numbers = append(broken, p), append(numbers, p.number)
		}
	}
	s.mu.Unlock()
	if len(broken) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := fetchMetadata(ctx, s.client, s.topic)
	if err != nil {
		return s.failed(ctx, "look up topic "+s.topic, err)
	}
	s.mu.Lock()
	replaced := !sameTopic(s.id, m.id)
	s.mu.Unlock()
	if replaced {
		return s.replace(ctx, m)
	}
	starts, err := s.listStarts(ctx, numbers)
	var highs offsets
	if err == nil {
		highs, err = s.listHighs(ctx, numbers)
	}
	if err != nil {
		return s.failed(ctx, "ask where topic "+s.topic+" begins", err)
	}
	add := map[int32]kgo.Offset{}
	s.mu.Lock()
	for _, p := range broken {
		start, high := starts[p.number], highs[p.number]
		loss := connectors.DataLoss{Split: p.split, From: p.position().encode(), Records: -1}
		to := p.offset
		switch {
		case p.offset < start:
			to = start
			loss.Records = start - p.offset
			loss.Reason = fmt.Sprintf("the brokers have removed the records before offset %d", start)
		case p.offset > high:
			to = high
			loss.Reason = fmt.Sprintf("the partition ends at offset %d, before what was read", high)
		}
		if to != p.offset {
			loss.To = position{TopicID: p.topicID, Offset: to}.encode()
			if err := s.note(loss); err != nil {
				s.mu.Unlock()
				return err
			}
			s.jump(p, to, -1)
		}
		p.broken = false
		if !p.finished() {
			add[p.number] = p.startAt(false)
		}
	}
	s.mu.Unlock()
	s.client.RemoveConsumePartitions(map[string][]int32{s.topic: numbers})
	s.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: add})
	return nil
}

// topicMissing is called by the leader when the brokers do not know the topic.
func (s *source) topicMissing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := fetchMetadata(ctx, s.client, s.topic)
	if err != nil {
		return s.failed(ctx, "look up topic "+s.topic, err)
	}
	s.mu.Lock()
	replaced := !sameTopic(s.id, m.id)
	s.mu.Unlock()
	if !replaced {
		return sqlerror.Externalf(sqlerror.CodeExternal, "the brokers do not agree on topic %s yet", s.topic).About("source " + s.cfg.Name)
	}
	return s.replace(ctx, m)
}

// checkTopic looks whether the topic is still the one that is being read.
func (s *source) checkTopic(ctx context.Context, m metadata) error {
	s.mu.Lock()
	replaced := len(s.order) > 0 && !sameTopic(s.id, m.id)
	s.mu.Unlock()
	if !replaced {
		return nil
	}
	if err := s.takeLead(ctx); err != nil {
		return err
	}
	defer s.release()
	return s.replace(ctx, m)
}

// replace goes over to a topic that was created under the name of the one that
// was read. The caller leads, so that no records of the old one are under way.
func (s *source) replace(ctx context.Context, m metadata) error {
	starts, err := s.listStarts(ctx, m.partitions)
	if err != nil {
		return s.failed(ctx, "ask where topic "+s.topic+" begins", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sameTopic(s.id, m.id) {
		return nil
	}
	add := map[int32]kgo.Offset{}
	for _, p := range s.order {
		if p.finished() {
			continue
		}
		to := position{TopicID: m.id, Offset: starts[p.number]}
		err := s.note(connectors.DataLoss{
			Split: p.split, From: p.position().encode(), To: to.encode(), Records: -1,
			Reason: "the topic was deleted and created again",
		})
		if err != nil {
			return err
		}
	}
	for _, p := range s.order {
		was := p.finished()
		p.broken, p.fetching, p.want, p.end = false, false, 0, -1
		switch {
		case was:
		case p.stop >= 0:
			s.jump(p, p.stop, -1) // what it had to read up to is gone
		case !slices.Contains(m.partitions, p.number):
			p.clear()
			p.gone = true
			s.unfinished--
		default:
			p.topicID = m.id
			s.jump(p, starts[p.number], -1)
			p.fetching = true
			add[p.number] = p.startAt(false)
		}
	}
	s.id = m.id
	s.client.PurgeTopicsFromClient(s.topic)
	s.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: add})
	return nil
}
