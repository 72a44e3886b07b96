package dataflow

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leatdb/leat/connectors"
)

// State is where a stream is in its life.
type State string

// The states of a stream.
const (
	Starting State = "STARTING"
	Running  State = "RUNNING"
	Retrying State = "RETRYING" // waits for a system outside, since and because
	Stopped  State = "STOPPED"
	Finished State = "FINISHED" // a bounded source is read and committed
	Failed   State = "FAILED"   // needs the user
	Fenced   State = "FENCED"   // a newer generation has taken over
)

// Status is what can be seen of a running stream at a moment.
type Status struct {
	State State
	// Since is when the stream came into the state; Reason says why it is
	// retrying or has failed.
	Since  time.Time
	Reason error
	// Resumed is set when the stream went on from a state that its table held.
	Resumed bool
	// Committed is the state of the last commit, of this process or an earlier
	// one; its Generation is 0 while it is not known. InFlight counts what was read
	// since: it is in no table yet, and is read again after a crash.
	Committed connectors.State
	InFlight  connectors.Counters
	// BytesIn is the payload bytes decoded since the stream was started here.
	BytesIn int64
	// RowsPerSecond and BytesPerSecond over the last ten seconds.
	RowsPerSecond, BytesPerSecond float64
	Buffered                      int64 // bytes in open files
	OpenPartitions                int64 // partitions of open files, over all lanes
	MaxOpenPartitions             int64 // when there are more, some are closed early; 0 is unknown
	Progress                      connectors.Progress
	Positions                     connectors.Positions
	SplitLag                      map[string]time.Duration // of the splits of which it is known
	Replays                       []connectors.Replay      // under way, and what the last epoch has finished
	Commits                       int64                    // since the stream was started here
	CommitTime                    time.Duration            // spent in them, and in commits that failed
	Files                         int64
	BytesOut                      int64
	LanesAtEnd, Lanes             int
}

// rate counts per second over a sliding window.
type rate struct {
	rows, bytes [window]int64
	began       time.Time // of what is counted
	second      int64     // of the newest bucket, since then
}

const window = 10

func (r *rate) add(now time.Time, rows, bytes int64) {
	i := r.turn(now)
	r.rows[i] += rows
	r.bytes[i] += bytes
}

// turn empties the buckets that have gone by and returns the current one.
func (r *rate) turn(now time.Time) int64 {
	if r.began.IsZero() {
		r.began = now
	}
	second := int64(now.Sub(r.began) / time.Second)
	if second < r.second {
		// The clock was turned back: what was counted ages from here on.
		second = r.second
		r.began = now.Add(-time.Duration(second) * time.Second)
	}
	for n := 0; r.second < second && n < window; n++ {
		r.second++
		r.rows[r.second%window], r.bytes[r.second%window] = 0, 0
	}
	if r.second < second {
		r.second = second
		r.rows[second%window], r.bytes[second%window] = 0, 0
	}
	return r.second % window
}

func (r *rate) perSecond(now time.Time) (rows, bytes float64) {
	r.turn(now)
	for i := range r.rows {
		rows += float64(r.rows[i])
		bytes += float64(r.bytes[i])
	}
	span := float64(min(window, max(1, r.second+1)))
	return rows / span, bytes / span
}

// Status tells how the stream is doing.
func (s *Stream) Status() Status {
	s.m.Lock()
	defer s.m.Unlock()
	now := s.cfg.Scheduler.Now()
	st := Status{
		Resumed: s.resumed, Committed: s.committed, InFlight: s.inFlight, BytesIn: s.bytesIn,
		Commits: s.commits, CommitTime: s.commitTime, Files: s.files, BytesOut: s.bytesOut,
		Lanes: len(s.lanes), LanesAtEnd: s.lanesAtEnd(),
	}
	st.State, st.Since, st.Reason = s.life.get()
	st.InFlight.Add(s.uncommitted)
	st.RowsPerSecond, st.BytesPerSecond = s.rate.perSecond(now)
	st.Committed.Positions = maps.Clone(s.committed.Positions)
	st.Replays = slices.Clone(s.replays)
	st.Progress = connectors.Progress{Lag: -1, BytesRead: -1, BytesTotal: -1}
	if s.source != nil {
		st.Progress = s.source.Progress()
		st.Positions = s.source.Positions()
		if l, ok := s.source.(connectors.SplitLagReporter); ok {
			st.SplitLag = l.SplitLag()
		}
		for _, l := range s.lanes {
			st.Buffered += l.writer.Buffered()
			if w, ok := l.writer.(connectors.Partitioned); ok {
				st.OpenPartitions += w.OpenPartitions()
				st.MaxOpenPartitions += w.MaxOpenPartitions()
			}
		}
	}
	return st
}

// life is the state of a stream and why it is in it. Its lock is a leaf, under
// which nobody waits and not even the clock is read: a source or sink may report
// trouble while it holds locks of its own.
type life struct {
	sync.Mutex
	stream string
	now    func() time.Time
	logger connectors.Logger

	state    State
	since    time.Time
	reason   error
	begun    bool             // a generation is ours
	troubles map[string]error // by the part of the stream that retries
	remind   time.Time        // when the log is told again of a stream that is RETRYING
	changed  chan struct{}    // closed when the state or its reason changes
}

// parts are the parts of a stream that can be in trouble, the most telling
// first.
var parts = [...]string{"source", "commit", "sink", "start", "lane", "discovery"}

// trouble notes why a part of the stream cannot go on, or with nil that it can
// again. The stream is RETRYING while any part is in trouble.
func (l *life) trouble(part string, err error) {
	now := l.now()
	l.Lock()
	defer l.Unlock()
	if err == nil {
		if _, ok := l.troubles[part]; !ok {
			return
		}
		delete(l.troubles, part)
	} else {
		l.troubles[part] = err
	}
	l.restate(now)
}

// begin notes that a generation is ours.
func (l *life) begin() {
	now := l.now()
	l.Lock()
	defer l.Unlock()
	l.begun = true
	l.restate(now)
}

// restate derives the state of a stream that is at work.
func (l *life) restate(now time.Time) {
	if l.state != Starting && l.state != Running && l.state != Retrying {
		return
	}
	next, reason := Starting, error(nil)
	if l.begun {
		next = Running
	}
	for _, part := range parts {
		if err := l.troubles[part]; err != nil {
			next, reason = Retrying, err
			break
		}
	}
	l.enter(next, reason, now)
}

// end enters a state that the stream does not leave.
func (l *life) end(state State, reason error) {
	now := l.now()
	l.Lock()
	defer l.Unlock()
	l.enter(state, reason, now)
}

// firstReminder is after how long the log tells again why a stream is RETRYING, and
// after twice that, and so on.
const firstReminder = time.Minute

func (l *life) enter(next State, reason error, now time.Time) {
	if l.state != next {
		l.state, l.since = next, now
		l.remind = now.Add(firstReminder)
		if reason != nil {
			l.logger.Warn("stream state changed", "stream", l.stream, "state", string(next), "reason", reason)
		} else {
			l.logger.Info("stream state changed", "stream", l.stream, "state", string(next))
		}
	} else if next == Retrying && !now.Before(l.remind) {
		// The reason may be another one by now.
		l.remind = now.Add(now.Sub(l.since))
		l.logger.Warn("stream is still retrying", "stream", l.stream, "since", l.since, "reason", reason)
	}
	l.reason = reason
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Settled waits until the stream has left STARTING, or ctx ends.
func (s *Stream) Settled(ctx context.Context) {
	for {
		s.life.Lock()
		settled := s.life.state != Starting
		if s.life.changed == nil {
			s.life.changed = make(chan struct{})
		}
		changed := s.life.changed
		s.life.Unlock()
		if settled {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (l *life) get() (State, time.Time, error) {
	l.Lock()
	defer l.Unlock()
	return l.state, l.since, l.reason
}
