package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// probeBytes is how much of a partition a probe looks at.
const probeBytes = 1 << 20

// waitedFor lists the partitions of which nothing is queued and that have not
// reached their stop, or what a flush waits for.
func (s *source) waitedFor() (list []*partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.order {
		if p.fetching && len(p.queue) == 0 && p.next < max(p.want, p.stop) {
			list = append(list, p)
		}
	}
	return list
}

// probe looks whether there are records at all up to where somebody waits. The
// client keeps silent about a partition whose rest was compacted away, or
// belongs to aborted transactions, so that waiting for its records would never
// end. It reports whether it moved on in one. The leader calls it.
func (s *source) probe(ctx context.Context, waited []*partition) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := fetchMetadata(ctx, s.client, s.topic)
	if err != nil {
		return false, s.failed(ctx, "look up topic "+s.topic, err)
	}
	s.mu.Lock()
	same := sameTopic(s.id, m.id)
	s.mu.Unlock()
	if !same {
		return true, s.replace(ctx, m)
	}
	for _, p := range waited {
		s.mu.Lock()
		next := p.next
		s.mu.Unlock()
		clear, err := s.emptyUpTo(ctx, m, p.number, next)
		if err != nil {
			return moved, s.failed(ctx, "look for records of topic "+s.topic, err)
		}
		s.mu.Lock()
		// Nothing was fetched meanwhile: only the leader does.
		if p.stop >= 0 {
			clear = min(clear, p.stop)
		}
		if clear > p.next && len(p.queue) == 0 {
			p.next, moved = clear, true
			s.fetches.settle(p.number, clear)
			s.reach(p, clear)
		}
		s.mu.Unlock()
	}
	return moved, nil
}

// emptyUpTo is the offset up to which a partition holds no record to read,
// from next on.
func (s *source) emptyUpTo(ctx context.Context, m metadata, number int32, next int64) (int64, error) {
	leader := m.leader(number) // the client's own may be a broker that is gone
	if leader < 0 {
		return next, nil // the client waits for one
	}
	isolation := kgo.ReadUncommitted()
	req := fetchRequest(s.topic, m, number, next)
	if s.committed {
		isolation = kgo.ReadCommitted()
		req.IsolationLevel = 1
	}
	answer, err := s.client.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return next, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return next, err
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			rp := &resp.Topics[i].Partitions[j]
			if rp.Partition != number {
				continue
			}
			if rp.ErrorCode != 0 {
				return next, nil // the client gets the same answer and acts on it
			}
			end := rp.HighWatermark
			if s.committed && rp.LastStableOffset >= 0 {
				end = rp.LastStableOffset
			}
			if len(rp.RecordBatches) == 0 {
				return max(next, end), nil
			}
			got, behind := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
				Offset: next, IsolationLevel: isolation, Topic: s.topic, Partition: number,
			}, rp, kgo.DefaultDecompressor(), nil)
			if got.Err != nil || len(got.Records) > 0 {
				return next, nil // the client will hand them over
			}
			return max(next, min(behind, end)), nil
		}
	}
	return next, nil
}
