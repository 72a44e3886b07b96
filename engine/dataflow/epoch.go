package dataflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// flushPoll is how often a flush looks whether the lanes have caught up.
const flushPoll = 20 * time.Millisecond

// coordinate decides when epochs end. It returns nil when the stream is
// finished or was asked to stop and everything is committed.
func (s *Stream) coordinate(ctx context.Context, src connectors.Source) error {
	var discovery time.Time // when new splits are looked for next; zero is never
	if s.cfg.DiscoveryInterval > 0 && !src.Bounded() {
		discovery = s.cfg.Scheduler.Now().Add(s.cfg.DiscoveryInterval)
	}
	s.m.Lock()
	defer s.m.Unlock()
	for {
		s.tellSource(src)
		now := s.cfg.Scheduler.Now()
		s.calmDown(now)
		due := s.commitDue()
		dirty := s.chunks > 0 || len(s.dataLoss) > 0
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.commitErr != nil:
			return s.commitErr
		case s.laneErr != nil:
			return s.laneErr
		case s.committing:
			// Epochs commit strictly in order: nothing is sealed before the outcome
			// of the last one is known.
			s.m.Wait()
		case s.ending != nil && !dirty && (s.endSealed || s.isCommitted(src)):
			return s.ending
		case s.stopping || s.atEnd():
			done, err := s.commitLast(ctx, src, dirty)
			if done || err != nil {
				return err
			}
		case s.ending != nil || s.nextRequest() != nil:
			s.endSealed = s.ending != nil
			if err := s.seal(ctx, src); err != nil {
				return err
			}
			s.commit(ctx)
		case s.flushNeedsEnds():
			s.askEnds(ctx, src)
		case s.flushReached(src):
			// A chunk that a lane has polled and not yet finished shows in the
			// positions only; sealing waits for it.
			if !dirty && s.isCommitted(src) {
				s.finishFlushes(nil)
				continue
			}
			if err := s.seal(ctx, src); err != nil {
				return err
			}
			s.commit(ctx)
		case dirty && !now.Before(due):
			if err := s.seal(ctx, src); err != nil {
				return err
			}
			s.commit(ctx)
		case !discovery.IsZero() && !now.Before(discovery):
			discovery = now.Add(s.cfg.DiscoveryInterval)
			if err := s.discover(ctx, src); err != nil {
				if ctx.Err() != nil || s.laneErr != nil {
					return err
				}
				s.endAfterCommit(err)
			}
		default:
			if !dirty {
				due = time.Time{}
			}
			s.waitFor(due, discovery, s.calmAt())
		}
	}
}

// waitFor waits for news, or for the earliest of the times (zero: never).
func (s *Stream) waitFor(due time.Time, others ...time.Time) {
	for _, at := range others {
		if !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	if len(s.flushes) > 0 {
		if soon := s.cfg.Scheduler.Now().Add(flushPoll); due.IsZero() || soon.Before(due) {
			due = soon
		}
	}
	s.m.WaitUntil(due)
}

// commitDue is when the epoch has to end: at once when it is full or the source
// asks for it, else when its interval is over.
func (s *Stream) commitDue() time.Time {
	if s.overfull() {
		return time.Time{}
	}
	return s.epochStart.Add(s.cfg.CommitInterval())
}

func (s *Stream) lanesAtEnd() int {
	n := 0
	for _, l := range s.lanes {
		if l.eof {
			n++
		}
	}
	return n
}

// atEnd reports whether there is nothing left to read, nor anything asked for.
func (s *Stream) atEnd() bool {
	return len(s.lanes) > 0 && s.lanesAtEnd() == len(s.lanes) && !s.replaying() && len(s.requests) == 0
}

// isCommitted reports whether nothing was polled since the last commit.
func (s *Stream) isCommitted(src connectors.Source) bool {
	return slices.Equal(s.replays, s.committed.Replays) && maps.Equal(src.Positions(), s.committed.Positions[s.cfg.SourceName])
}

// commitLast commits what there is before the stream ends; done is true when
// everything has been committed.
func (s *Stream) commitLast(ctx context.Context, src connectors.Source, dirty bool) (done bool, err error) {
	if !dirty && s.isCommitted(src) {
		if s.atEnd() {
			s.finishFlushes(nil)
		}
		return true, nil
	}
	if err := s.seal(ctx, src); err != nil {
		return false, err
	}
	if s.atEnd() {
		for _, f := range s.flushes {
			f.sealed = true
		}
	}
	s.commit(ctx)
	return false, nil
}

// seal lets every lane finish its step and hand over its files. The caller
// holds the lock, which is given up meanwhile. On return the lanes go on.
func (s *Stream) seal(ctx context.Context, src connectors.Source) error {
	s.sealEpoch, s.parked = s.committed.Epoch+1, 0
	s.cancelPolls()
	s.m.Broadcast()
	for s.parked < len(s.lanes) && s.laneErr == nil && ctx.Err() == nil {
		s.m.Wait()
	}
	if s.laneErr != nil {
		return s.laneErr
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.uncommitted = s.inFlight
	s.inFlight = connectors.Counters{}
	s.chunks = 0
	for _, l := range s.lanes {
		l.handOver = l.sealed
		l.sealed = nil
	}
	s.epochPositions, s.epochReplays = src.Positions(), slices.Clone(s.replays)
	s.takeDataLoss(src) // lanes may have met it since the last discovery
	s.epochLoss, s.dataLoss = s.dataLoss, nil
	for _, f := range s.flushes {
		f.sealed = f.sealed || f.ends != nil && s.holds(src, s.epochPositions, f)
	}
	s.sealEpoch = 0
	s.epochStart = s.cfg.Scheduler.Now()
	s.pollCtx, s.cancelPolls = context.WithCancel(ctx)
	s.m.Broadcast()
	return nil
}

// commit sends the sealed epoch off. The caller holds the lock.
func (s *Stream) commit(ctx context.Context) {
	next := s.committed
	next.Epoch++
	next.Positions = maps.Clone(s.committed.Positions)
	if next.Positions == nil {
		next.Positions = map[string]connectors.Positions{}
	}
	next.Positions[s.cfg.SourceName] = s.epochPositions
	next.Counters.Add(s.uncommitted)
	next.Replays = s.replaysAfter(s.epochReplays)
	sealed := make([]connectors.Sealed, 0, len(s.lanes))
	for _, l := range s.lanes {
		sealed = append(sealed, l.handOver)
		l.handOver = nil
	}
	info := connectors.CommitInfo{DataLoss: s.epochLoss}
	request := s.nextRequest()
	if request != nil {
		info.Replay = &request.asked
	}
	s.committing = true
	s.cfg.Scheduler.Go(s.cfg.Stream+" commit", func() {
		var result connectors.CommitResult
		begun := s.cfg.Scheduler.Now()
		err := protect("commit of stream "+s.cfg.Stream, func() (err error) {
			if !next.Counters.Reconciled() {
				return &sqlerror.Error{Code: sqlerror.CodeInternal, Object: "stream " + s.cfg.Stream, Message: fmt.Sprintf("counters do not reconcile: %+v", next.Counters)}
			}
			result, err = s.sink.Commit(ctx, next, sealed, info)
			return err
		})
		took := s.cfg.Scheduler.Now().Sub(begun)
		s.m.Lock()
		defer s.m.Unlock()
		s.commitTime += took
		s.committing = false
		if err != nil {
			s.commitErr = fmt.Errorf("commit epoch %d of stream %s: %w", next.Epoch, s.cfg.Stream, err)
			s.m.Broadcast()
			return
		}
		next.CommittedAt = result.CommittedAt
		s.committed = next
		s.replayCommitted(ctx, request, result)
		s.uncommitted = connectors.Counters{}
		s.commits++
		s.files += int64(result.Files)
		s.bytesOut += result.Bytes
		s.acknowledge = next.Positions[s.cfg.SourceName]
		s.life.trouble("commit", nil)
		for _, f := range s.flushes {
			f.committed = f.sealed
		}
		s.m.Broadcast()
		s.cfg.Logger.Debug("epoch committed", "stream", s.cfg.Stream, "epoch", next.Epoch, "rows", next.Counters.RowsLanded, "files", result.Files, "bytes", result.Bytes)
	})
}

// tellSource passes on what was committed, then ends the flushes that waited for
// it: who asks the source after a flush is told about it. The caller holds the
// lock, which is given up meanwhile.
func (s *Stream) tellSource(src connectors.Source) {
	positions := s.acknowledge
	s.acknowledge = nil
	if a, ok := src.(connectors.Acknowledger); ok && positions != nil {
		s.m.Unlock()
		a.Committed(positions)
		s.m.Lock()
	}
	kept := s.flushes[:0]
	for _, f := range s.flushes {
		if f.committed {
			f.done = true
		} else if !f.done {
			kept = append(kept, f)
		}
	}
	if len(kept) < len(s.flushes) {
		s.flushes = kept
		s.m.Broadcast()
	}
}

func (s *Stream) flushNeedsEnds() bool {
	return slices.ContainsFunc(s.flushes, func(f *flush) bool { return !f.asked && !f.done })
}

// askEnds finds out how far the source reaches, for the flushes that are new.
func (s *Stream) askEnds(ctx context.Context, src connectors.Source) {
	var asking []*flush
	for _, f := range s.flushes {
		if !f.asked {
			f.asked = true
			for _, r := range s.replays {
				f.replays = append(f.replays, r.ID)
			}
			asking = append(asking, f)
		}
	}
	s.m.Unlock()
	ends, err := src.Ends(ctx)
	s.m.Lock()
	for _, f := range asking {
		if err != nil {
			f.done, f.err = true, fmt.Errorf("flush stream %s: find the end of source %s: %w", s.cfg.Stream, s.cfg.SourceName, err)
			continue
		}
		f.ends = ends
	}
	s.flushes = slices.DeleteFunc(s.flushes, func(f *flush) bool { return f.done })
	s.m.Broadcast()
}

// flushReached reports whether a flush waits for nothing but a commit.
func (s *Stream) flushReached(src connectors.Source) bool {
	if !slices.ContainsFunc(s.flushes, func(f *flush) bool { return f.ends != nil && !f.done }) {
		return false
	}
	var positions connectors.Positions
	return slices.ContainsFunc(s.flushes, func(f *flush) bool {
		if f.ends == nil || f.done || f.lacks(src) {
			return false
		}
		if positions == nil {
			positions = src.Positions()
		}
		return s.holds(src, positions, f)
	})
}

// lacks reports whether the split that was short of its end at the last look still
// is. That saves looking at all of them, which may be many.
func (f *flush) lacks(src connectors.Source) bool {
	p, ok := src.(connectors.SplitPositioner)
	return ok && f.short != "" && !src.Reached(f.short, p.Position(f.short), f.ends[f.short])
}

// holds reports whether what was read holds all that a flush waits for. The
// caller holds the lock.
func (s *Stream) holds(src connectors.Source, positions connectors.Positions, f *flush) bool {
	for _, r := range s.replays {
		if !r.Finished() && slices.Contains(f.replays, r.ID) {
			return false
		}
	}
	for split, end := range f.ends {
		if !src.Reached(split, positions[split], end) {
			f.short = split
			return false
		}
	}
	return true
}

// finishFlushes ends the flushes that are reached when nothing is uncommitted.
func (s *Stream) finishFlushes(err error) {
	positions := s.source.Positions()
	for _, f := range s.flushes {
		if f.ends == nil && !s.atEnd() || f.ends != nil && !s.holds(s.source, positions, f) {
			continue
		}
		f.done, f.err = true, err
	}
	s.flushes = slices.DeleteFunc(s.flushes, func(f *flush) bool { return f.done })
	s.m.Broadcast()
}

// discover looks for new splits. The caller holds the lock, which is given up
// meanwhile.
func (s *Stream) discover(ctx context.Context, src connectors.Source) error {
	s.m.Unlock()
	err := s.assign(ctx, src, src.Positions())
	if err != nil && ctx.Err() == nil && sqlerror.IsRetryable(err) {
		s.life.trouble("discovery", err)
		err = nil
	} else if err == nil {
		s.life.trouble("discovery", nil)
	}
	s.m.Lock()
	if errors.Is(err, context.Canceled) && s.laneErr != nil {
		err = s.laneErr
	}
	s.eofEpoch++
	s.m.Broadcast()
	return err
}

// countDead lets the stream commit what it has read, and fail then, when more
// values a minute are rejected than dead_letter_limit allows: the letters can be
// looked at, and a start goes on behind them. The caller holds the lock.
func (s *Stream) countDead(n int64, message string) {
	limit := s.cfg.DeadLetterLimit()
	if limit <= 0 || n == 0 {
		return
	}
	now := s.cfg.Scheduler.Now()
	if now.Sub(s.deadMinute) >= time.Minute || now.Before(s.deadMinute) {
		s.deadMinute, s.deadCount, s.deadFirst = now, 0, nil
	}
	s.deadCount += n
	if len(s.deadFirst) < 3 && !slices.Contains(s.deadFirst, message) {
		s.deadFirst = append(s.deadFirst, message)
	}
	if s.deadCount > limit {
		s.endAfterCommit(sqlerror.Userf(sqlerror.CodeState, "%d values were rejected within a minute, more than dead_letter_limit %d", s.deadCount, limit).
			About("stream "+s.cfg.Stream).
			WithHint("the first were: %s. They are in leat.dead_letters; mend the source or the query, then START STREAM %s, which goes on behind them, and REPLAY DEAD_LETTERS FOR STREAM %s",
				strings.Join(s.deadFirst, "; "), s.cfg.Stream, s.cfg.Stream))
	}
}

// endAfterCommit lets the stream commit what was read, and fail then. The caller
// holds the lock.
func (s *Stream) endAfterCommit(err error) {
	if s.ending == nil {
		s.ending = err
	}
	s.m.Broadcast()
}
