package dataflow

import "time"

// watchTime is how long a lane that rests watches the one before it.
const watchTime = 50 * time.Millisecond

// load is how a lane spends its time. The stream's monitor guards it.
type load struct {
	polling time.Time     // since when it is in Poll; zero outside
	waited  time.Duration // in Poll, before
}

// until is how long the lane has waited in Poll up to now.
func (l *load) until(now time.Time) time.Duration {
	if l.polling.IsZero() {
		return l.waited
	}
	return l.waited + now.Sub(l.polling)
}

// sight is a lane's load from a moment on.
type sight struct {
	from   time.Time
	waited time.Duration // by then
}

func (l *load) sight(now time.Time) sight { return sight{now, l.until(now)} }

// waits reports whether the lane has waited for more than one in so many parts of
// the time.
func (l *load) waits(s sight, now time.Time, parts int64) bool {
	return l.until(now)-s.waited > now.Sub(s.from)/time.Duration(parts)
}

// rests reports whether the lane is to leave the source to those before it, since
// these keep up with it (Config.FewLanes). It looks at the one before: a lane that
// has waited for records for less than a quarter of the last moments needs help,
// which it has until the epoch ends. wake is when to ask again; zero is after news.
// The caller holds the lock.
func (l *lane) rests() (rests bool, wake time.Time) {
	s := l.s
	if !s.fewLanes || l.index == 0 || l.helps {
		return false, time.Time{}
	}
	before := s.lanes[l.index-1]
	if before.index > 0 && !before.helps {
		l.watched = sight{}
		return true, time.Time{}
	}
	now := s.cfg.Scheduler.Now()
	if l.watched.from.IsZero() {
		l.watched = before.load.sight(now)
	}
	wake = l.watched.from.Add(watchTime)
	switch {
	case before.eof:
	case now.Before(wake):
		return true, wake
	case before.load.waits(l.watched, now, 4):
		l.watched = before.load.sight(now)
		if !before.load.polling.IsZero() && now.Sub(before.load.polling) >= watchTime {
			return true, time.Time{} // it tells when records come
		}
		return true, now.Add(watchTime)
	}
	l.help(now)
	return false, time.Time{}
}

// help lets the lane read. The caller holds the lock.
func (l *lane) help(now time.Time) {
	l.helps, l.helpedFrom, l.watched = true, l.load.sight(now), sight{}
	l.s.m.Broadcast()
}

// restAgain ends the help of a lane that has waited for records half of the time,
// at the end of an epoch. The caller holds the lock.
func (l *lane) restAgain() {
	now := l.s.cfg.Scheduler.Now()
	l.helps = l.helps && !l.load.waits(l.helpedFrom, now, 2)
	l.helpedFrom, l.watched = l.load.sight(now), sight{}
}

// polled notes that the lane has left Poll. Lanes that rest learn of it where it has
// waited long.
func (l *lane) polled() {
	s := l.s
	if !s.fewLanes {
		return
	}
	s.m.Lock()
	defer s.m.Unlock()
	now := s.cfg.Scheduler.Now()
	waited := l.load.until(now) - l.load.waited
	l.load = load{waited: l.load.waited + waited}
	if waited >= watchTime {
		s.m.Broadcast()
	}
}
