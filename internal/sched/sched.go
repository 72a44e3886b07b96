// Package sched is what a running stream sees of time and of other goroutines:
// a clock, a way to start a goroutine, and monitors to wait on. The program
// runs on System; a simulation puts its own Scheduler in the place of it and
// decides, from a seed, who goes on when.
package sched

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"
)

// Scheduler starts goroutines, tells the time and draws random numbers.
type Scheduler interface {
	// Now is the time of the clock.
	Now() time.Time
	// Go runs f in a goroutine of its own. The caller waits for it by means of a
	// monitor.
	Go(name string, f func())
	// NewMonitor makes a monitor.
	NewMonitor() Monitor
	// Random is 64 random bits, for names that must not be given twice and to
	// spread retries; not for secrets.
	Random() uint64
}

// Monitor is a mutex with one condition. Everything that goroutines of a stream
// tell each other goes through one, so that no hand-over escapes a simulation.
type Monitor interface {
	Lock()
	Unlock()
	// Wait gives up the lock until Broadcast and takes it again. As with any
	// condition, the caller looks again at what it waits for.
	Wait()
	// WaitUntil is Wait that also ends at a time; the zero time means never.
	WaitUntil(t time.Time)
	// Broadcast wakes all who wait. The caller holds the lock.
	Broadcast()
	// BroadcastAfter arranges a Broadcast for when ctx ends. The returned
	// function takes that back.
	BroadcastAfter(ctx context.Context) (stop func())
}

// Sleep waits until d has passed or ctx ends, and returns ctx.Err() then.
func Sleep(ctx context.Context, s Scheduler, d time.Duration) error {
	m := s.NewMonitor()
	defer m.BroadcastAfter(ctx)()
	until := s.Now().Add(d)
	m.Lock()
	defer m.Unlock()
	for ctx.Err() == nil && s.Now().Before(until) {
		m.WaitUntil(until)
	}
	return ctx.Err()
}

// ID is a name of 128 random bits.
func ID(s Scheduler) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.Random())
	binary.BigEndian.PutUint64(b[8:], s.Random())
	return hex.EncodeToString(b[:])
}

// Float64 is a random number in [0, 1).
func Float64(s Scheduler) float64 { return float64(s.Random()>>11) / (1 << 53) }

// System is the scheduler of the real world.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// Go is the go statement.
func (System) Go(_ string, f func()) { go f() }

// Random is seeded by the operating system.
func (System) Random() uint64 { return rand.Uint64() }

// NewMonitor makes a monitor on a sync.Cond.
func (System) NewMonitor() Monitor {
	m := &systemMonitor{}
	m.cond.L = &m.mu
	return m
}

type systemMonitor struct {
	mu   sync.Mutex
	cond sync.Cond
}

func (m *systemMonitor) Lock()      { m.mu.Lock() }
func (m *systemMonitor) Unlock()    { m.mu.Unlock() }
func (m *systemMonitor) Wait()      { m.cond.Wait() }
func (m *systemMonitor) Broadcast() { m.cond.Broadcast() }

func (m *systemMonitor) WaitUntil(t time.Time) {
	if t.IsZero() {
		m.cond.Wait()
		return
	}
	d := time.Until(t)
	if d <= 0 {
		return
	}
	timer := time.AfterFunc(d, m.wake)
	m.cond.Wait()
	timer.Stop()
}

func (m *systemMonitor) BroadcastAfter(ctx context.Context) (stop func()) {
	cancel := context.AfterFunc(ctx, m.wake)
	return func() { cancel() }
}

// wake takes the lock, so that nobody who has looked but not yet waits misses it.
func (m *systemMonitor) wake() {
	m.mu.Lock()
	m.cond.Broadcast()
	m.mu.Unlock()
}
