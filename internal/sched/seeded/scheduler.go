// Package seeded is a scheduler that lets one goroutine go on at a time and
// draws from a seed which. The same seed gives the same run, step by step, so a
// run that went wrong can be had again.
//
// Goroutines belong to processes, which can be paused and killed like those of
// an operating system, and have clocks of their own. All of it happens within
// a bubble of testing/synctest: it tells when the goroutine whose turn it was
// has come to rest, wherever it rests, and its clock stands still until
// everybody waits for it. Order is never left to it: a goroutine that is to go
// on has asked for a turn.
package seeded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// patience is for how long nothing may happen before a run counts as stuck.
const patience = 24 * time.Hour

// Scheduler runs processes.
type Scheduler struct {
	random *rand.Rand
	start  time.Time
	wake   chan struct{} // somebody asked for a turn

	mu        sync.Mutex
	processes []*Process
	waiting   []*turn // by task, those of a task in the order of asking
	running   *task
	tasks     int // made so far
	live      int // goroutines of tasks that have not ended
	ended     bool
	err       error
	steps     int
	trace     []byte
}

// task is a goroutine of a process, with those that a library starts from it.
type task struct {
	process *Process
	id      int
	name    string
	weight  int
}

// turn is the wish of a task to go on.
type turn struct {
	task *task
	what string
	// ready is asked while everything rests; nil is always.
	ready func() bool
	// until is when, by the process's clock, it is worth asking at the latest;
	// zero is never.
	until time.Time
	come  chan struct{} // closed when it has come
}

// New is a scheduler. It must be made and used within one bubble of
// testing/synctest.
func New(seed uint64) *Scheduler {
	return &Scheduler{
		random: rand.New(rand.NewPCG(seed, 0x1ea7)), start: time.Now(), wake: make(chan struct{}, 1),
	}
}

// Run runs main as a process's first goroutine until it returns or somebody
// calls Fail. Then everything is killed. It returns the failure, or an error
// that lists who waits for what when nothing can go on.
func (s *Scheduler) Run(main func(p *Process)) error {
	p := s.NewProcess("world")
	done := false
	p.Go("main", func() {
		main(p)
		s.mu.Lock()
		done = true
		s.mu.Unlock()
	})
	for {
		synctest.Wait()
		s.bury()
		s.mu.Lock()
		if done || s.err != nil {
			break
		}
		next, sleep := s.choose()
		s.mu.Unlock()
		if next != nil {
			close(next.come)
			continue
		}
		if !s.sleep(sleep) {
			s.Fail(errors.New("nothing can go on:\n" + s.Waiting()))
		}
	}
	s.ended = true
	err := s.err
	all := slices.Clone(s.processes)
	s.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
	s.bury()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live > 0 && err == nil {
		err = fmt.Errorf("%d goroutines outlive their process", s.live)
	}
	return err
}

// choose draws who goes on, or says until when nobody can. The caller holds mu.
func (s *Scheduler) choose() (next *turn, sleep time.Duration) {
	sleep = patience
	total := 0
	now := time.Now()
	for _, t := range s.waiting {
		p := t.task.process
		if d := p.pausedUntil.Sub(now); d > 0 {
			sleep = min(sleep, d)
			continue
		}
		if t.ready != nil && !t.ready() {
			if d := t.until.Sub(p.now()); !t.until.IsZero() && d > 0 {
				sleep = min(sleep, d)
			}
			continue
		}
		// Reservoir sampling by weight.
		total += t.task.weight
		if s.random.IntN(total) < t.task.weight {
			next = t
		}
	}
	if next == nil {
		return nil, sleep
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(t *turn) bool { return t == next })
	s.running = next.task
	s.steps++
	s.log(next.task.name, next.what)
	return next, 0
}

// sleep lets time go by until d has passed, or a timer has brought somebody to
// ask for a turn. It reports false when nothing happened for all of patience.
func (s *Scheduler) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.wake:
		return true
	case <-timer.C:
		return d < patience
	}
}

// bury lets the goroutines of dead processes end, one after the other.
func (s *Scheduler) bury() {
	for {
		synctest.Wait()
		s.mu.Lock()
		i := slices.IndexFunc(s.waiting, func(t *turn) bool { return t.task.process.Dead() })
		if i < 0 {
			s.mu.Unlock()
			return
		}
		t := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.running = t.task
		s.mu.Unlock()
		close(t.come)
	}
}

// log appends to the trace. The caller holds mu.
func (s *Scheduler) log(task, what string) {
	s.trace = strconv.AppendInt(s.trace, int64(time.Since(s.start)/time.Microsecond), 10)
	s.trace = append(s.trace, ' ')
	s.trace = append(s.trace, task...)
	s.trace = append(s.trace, ": "...)
	s.trace = append(s.trace, what...)
	s.trace = append(s.trace, '\n')
}

// Note writes a line to the trace.
func (s *Scheduler) Note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := "-"
	if s.running != nil {
		name = s.running.name
	}
	s.log(name, "  "+strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

// Fail ends the run; the first error counts.
func (s *Scheduler) Fail(err error) {
	s.Note("FAIL %v", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// Trace is a line per step: microseconds since the start, the goroutine and
// what it goes on with.
func (s *Scheduler) Trace() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trace
}

// Steps is how many turns were given.
func (s *Scheduler) Steps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps
}

// Waiting lists who waits for what.
func (s *Scheduler) Waiting() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, t := range s.waiting {
		fmt.Fprintf(&b, "%s: %s", t.task.name, t.what)
		if !t.until.IsZero() {
			fmt.Fprintf(&b, ", until %v", t.until.Sub(s.start))
		}
		if t.task.process.pausedUntil.After(time.Now()) {
			b.WriteString(", paused")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// IntN draws a number of [0, n).
func (s *Scheduler) IntN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// Chance is true with probability p.
func (s *Scheduler) Chance(p float64) bool {
	if p <= 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64() < p
}

// Between draws a duration between two.
func (s *Scheduler) Between(least, most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return least + time.Duration(s.random.Int64N(int64(most-least)+1))
}

func (s *Scheduler) newTask(p *Process, name string) *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks++
	t := &task{process: p, id: s.tasks, name: p.name + "/" + name, weight: 8}
	// Some are slow, so that others get far ahead of them.
	if s.random.IntN(4) == 0 {
		t.weight = 1
	}
	return t
}

// current is the task whose turn it is.
func (s *Scheduler) current() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// await asks for a turn and returns when it has come. It does not return to a
// dead process: the goroutine ends.
func (s *Scheduler) await(t *task, what string, until time.Time, ready func() bool) {
	mine := &turn{task: t, what: what, ready: ready, until: until, come: make(chan struct{})}
	s.mu.Lock()
	if t.process.Dead() {
		s.mu.Unlock()
		runtime.Goexit()
	}
	i, _ := slices.BinarySearchFunc(s.waiting, t.id+1, func(w *turn, id int) int { return w.task.id - id })
	s.waiting = slices.Insert(s.waiting, i, mine)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	<-mine.come
	if t.process.Dead() {
		runtime.Goexit()
	}
}
