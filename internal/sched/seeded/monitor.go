package seeded

import (
	"context"
	"slices"
	"time"
)

// monitor is a lock whose every taking and waiting is a turn of the scheduler.
type monitor struct {
	p    *Process
	name string

	// Guarded by the scheduler.
	locked  bool
	waiters []*waiter
}

type waiter struct{ woken bool }

// Lock implements sched.Monitor.
func (m *monitor) Lock() {
	s := m.p.s
	s.await(m.p.task(), "lock "+m.name, time.Time{}, func() bool { return !m.locked })
	m.take()
}

func (m *monitor) take() {
	s := m.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.locked {
		panic("seeded: monitor " + m.name + " is taken twice")
	}
	m.locked = true
}

// Unlock implements sched.Monitor.
func (m *monitor) Unlock() {
	s := m.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	m.locked = false
}

// Wait implements sched.Monitor.
func (m *monitor) Wait() { m.WaitUntil(time.Time{}) }

// WaitUntil implements sched.Monitor.
func (m *monitor) WaitUntil(t time.Time) {
	s := m.p.s
	w := &waiter{}
	s.mu.Lock()
	m.locked = false
	m.waiters = append(m.waiters, w)
	s.mu.Unlock()
	s.await(m.p.task(), "wait "+m.name, t, func() bool {
		return !m.locked && (w.woken || !t.IsZero() && !m.p.now().Before(t))
	})
	m.take()
	s.mu.Lock()
	m.waiters = slices.DeleteFunc(m.waiters, func(other *waiter) bool { return other == w })
	s.mu.Unlock()
}

// Broadcast implements sched.Monitor.
func (m *monitor) Broadcast() {
	s := m.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range m.waiters {
		w.woken = true
	}
	m.waiters = nil
}

// BroadcastAfter implements sched.Monitor. The broadcast has a turn of its own.
func (m *monitor) BroadcastAfter(ctx context.Context) (stop func()) {
	s := m.p.s
	t := s.newTask(m.p, "end of context")
	cancel := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.live++
		s.mu.Unlock()
		defer m.p.ended()
		s.await(t, "broadcast "+m.name, time.Time{}, func() bool { return !m.locked })
		m.Broadcast()
	})
	return func() { cancel() }
}
