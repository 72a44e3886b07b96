package kinesis

import (
	"context"
	"fmt"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// note records a loss, or makes it an error. The caller holds mu.
func (s *source) note(loss connectors.DataLoss) error {
	if !s.cfg.SkipsDataLoss() {
		return connectors.NewDataLossError(loss)
	}
	s.lost = append(s.lost, loss)
	return nil
}

// fail ends the stream of Leat with an error that no repeating mends. The caller
// holds mu.
func (s *source) fail(err error) {
	if s.fatal == nil {
		s.fatal = err
	}
	s.wakeAll()
}

// replace lets go of a stream that was deleted, when another one of its name has
// come. The caller holds mu.
func (s *source) replace(by identity) error {
	for _, sh := range s.order {
		if sh.finished() {
			continue
		}
		to := position{identity: by}
		loss := connectors.DataLoss{Split: sh.id, From: sh.pos.encode(), To: to.encode(), Records: -1, Reason: "the stream was deleted and created again"}
		if err := s.note(loss); err != nil {
			return err
		}
	}
	for _, sh := range s.order {
		if sh.cancel != nil {
			sh.cancel()
		}
		s.discard(sh)
	}
	s.replaced[s.id] = true
	s.id = by
	clear(s.shards)
	s.order = nil
	return nil
}

// discard throws away what was fetched of a shard and not yet taken. The caller
// holds mu.
func (s *source) discard(sh *shard) {
	if sh.filling {
		return // the lane frees what it has taken, and all that is left
	}
	for _, p := range sh.pages {
		s.free(p)
	}
	sh.pages, sh.queued = nil, 0
}

// overdue notes that records may have been lost: reading has got to until, and
// what arrived before the retention period is gone. Nobody can say whether there
// was anything in between. It returns the time from which on all is there.
func (f *fetcher) overdue(now time.Time) (time.Time, error) {
	s, sh := f.s, f.sh
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.until.IsZero() || now.Sub(f.until) <= s.retention {
		return f.until, nil
	}
	// What is removed next is included, lest each call notes a loss of its own while
	// reading goes on at this edge.
	horizon := now.Add(-s.retention).Add(time.Minute)
	to := position{identity: f.id, After: f.after, Through: horizon.UnixMilli()}
	return horizon, s.note(connectors.DataLoss{
		Split: sh.id, From: sh.pos.encode(), To: to.encode(), Records: -1,
		Reason: fmt.Sprintf("records that arrived between %s and %s may have been removed before they were read: the stream keeps them for %s",
			f.until.UTC().Format(time.RFC3339), horizon.UTC().Format(time.RFC3339), s.retention),
	})
}

// missing finds out what has become of a shard that the service does not know.
func (f *fetcher) missing(ctx context.Context) error {
	s := f.s
	sum, err := s.describe(ctx)
	if err != nil {
		return err
	}
	list, err := s.listShards(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if sum.id != f.id {
		if s.id == f.id {
			return s.replace(sum.id)
		}
		return nil
	}
	for _, info := range list {
		if info.id == f.sh.id {
			if s.subscribes() {
				return sqlerror.Externalf(sqlerror.CodeExternal, "the service knows shard %s or consumer %s no longer", f.sh.id, s.consumer).About("source " + s.cfg.Name)
			}
			return sqlerror.Externalf(sqlerror.CodeExternal, "the service lists shard %s and does not know it", f.sh.id).About("source " + s.cfg.Name)
		}
	}
	if err := s.note(expiredShard(f.sh.id, f.sh.pos.encode())); err != nil {
		return err
	}
	f.sh.ended = true
	s.finish(f.sh)
	return nil
}

// unknownSequence goes on at the shard's beginning when the service does not
// accept the sequence number behind which it should.
func (f *fetcher) unknownSequence(ctx context.Context, cause error) error {
	s := f.s
	sum, err := s.describe(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if sum.id != f.id {
		if s.id == f.id {
			return s.replace(sum.id)
		}
		return nil
	}
	to := position{identity: f.id}
	if err := s.note(connectors.DataLoss{
		Split: f.sh.id, From: f.sh.pos.encode(), To: to.encode(), Records: -1,
		Reason: fmt.Sprintf("the shard does not know the sequence number that was read last: %v", cause),
	}); err != nil {
		return err
	}
	f.after, f.at = "", 0
	return nil
}
