package seeded

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/leatdb/leat/internal/sched"
)

// Process is a program that can be paused and killed. It implements
// sched.Scheduler for what runs in it.
type Process struct {
	s      *Scheduler
	name   string
	ctx    context.Context
	cancel context.CancelFunc

	dead atomic.Bool

	// Guarded by the scheduler.
	pausedUntil time.Time
	skew        time.Duration
	monitors    int
	names       map[string]int
}

var _ sched.Scheduler = (*Process)(nil)

// NewProcess makes a process, whose name begins the names of its goroutines.
func (s *Scheduler) NewProcess(name string) *Process {
	p := &Process{s: s, name: name, names: map[string]int{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	return p
}

// Name is the process's name.
func (p *Process) Name() string { return p.name }

// Context ends with the process.
func (p *Process) Context() context.Context { return p.ctx }

func (p *Process) now() time.Time { return time.Now().Add(p.skew) }

// Now implements sched.Scheduler.
func (p *Process) Now() time.Time {
	p.Step("clock")
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.now()
}

// Random implements sched.Scheduler.
func (p *Process) Random() uint64 {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.random.Uint64()
}

// Go implements sched.Scheduler. In a dead process nothing starts.
func (p *Process) Go(name string, f func()) {
	p.s.mu.Lock()
	p.names[name]++
	if n := p.names[name]; n > 1 {
		name += "#" + strconv.Itoa(n)
	}
	dead := p.dead.Load()
	if !dead {
		p.s.live++
	}
	p.s.mu.Unlock()
	if dead {
		return
	}
	t := p.s.newTask(p, name)
	go func() {
		defer p.ended()
		p.s.await(t, "start", time.Time{}, nil)
		f()
	}()
}

func (p *Process) ended() {
	p.s.mu.Lock()
	p.s.live--
	p.s.mu.Unlock()
}

// Step is a point at which others may go on instead.
func (p *Process) Step(what string) { p.s.await(p.task(), what, time.Time{}, nil) }

// Until waits for ready, which the scheduler asks again and again while
// everything rests, for the end of the context, or for a time by the process's
// clock (zero: never). ready may ask a process whether it is dead, and nothing
// else of this package.
func (p *Process) Until(ctx context.Context, what string, until time.Time, ready func() bool) {
	if ctx.Done() != nil {
		// The end of a context may come with time alone.
		defer context.AfterFunc(ctx, func() {
			select {
			case p.s.wake <- struct{}{}:
			default:
			}
		})()
	}
	p.s.await(p.task(), what, until, func() bool {
		return ctx.Err() != nil || ready != nil && ready() || !until.IsZero() && !p.now().Before(until)
	})
}

// task is whose turn it is, if it is of this process.
func (p *Process) task() *task {
	if t := p.s.current(); t != nil && t.process == p {
		return t
	}
	if p.Dead() {
		runtime.Goexit()
	}
	panic("seeded: process " + p.name + " goes on without a turn")
}

// Kill ends the process where it stands, as kill -9 does: what it has started
// elsewhere stays, nothing of it goes on. A goroutine that kills its own
// process does not return.
func (p *Process) Kill() {
	own := p.s.current()
	p.s.Note("kill %s", p.name)
	p.kill()
	if own != nil && own.process == p {
		runtime.Goexit()
	}
}

func (p *Process) kill() {
	p.dead.Store(true)
	p.cancel()
}

// Dead reports whether the process was killed.
func (p *Process) Dead() bool { return p.dead.Load() }

// Pause stops the process for a while, as SIGSTOP and SIGCONT do.
func (p *Process) Pause(d time.Duration) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.pausedUntil = time.Now().Add(d)
}

// Resume ends a pause.
func (p *Process) Resume() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.pausedUntil = time.Time{}
}

// Paused reports whether the process is paused.
func (p *Process) Paused() bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.pausedUntil.After(time.Now())
}

// TurnClock puts the process's clock forward or back.
func (p *Process) TurnClock(d time.Duration) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.skew += d
}

// NewMonitor implements sched.Scheduler.
func (p *Process) NewMonitor() sched.Monitor {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.monitors++
	return &monitor{p: p, name: "m" + strconv.Itoa(p.monitors)}
}
