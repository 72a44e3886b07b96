package seeded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/internal/sched/seeded"
)

// run runs main under a seed.
func run(t *testing.T, seed uint64, main func(s *seeded.Scheduler, p *seeded.Process)) (trace []byte, err error) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		s := seeded.New(seed)
		err = s.Run(func(p *seeded.Process) { main(s, p) })
		trace = s.Trace()
	})
	return trace, err
}

// race lets three goroutines append letters to a text, each under the lock.
func race(p *seeded.Process) string {
	var text strings.Builder
	m := p.NewMonitor()
	left := 3
	for _, letter := range []byte("abc") {
		p.Go("appender", func() {
			for range 3 {
				m.Lock()
				text.WriteByte(letter)
				m.Unlock()
			}
			m.Lock()
			left--
			m.Broadcast()
			m.Unlock()
		})
	}
	m.Lock()
	defer m.Unlock()
	for left > 0 {
		m.Wait()
	}
	return text.String()
}

func TestRun_SameSeedSameTrace(t *testing.T) {
	texts := map[string]bool{}
	for seed := range uint64(20) {
		var first, second string
		one, err := run(t, seed, func(_ *seeded.Scheduler, p *seeded.Process) { first = race(p) })
		if err != nil {
			t.Fatal(err)
		}
		two, err := run(t, seed, func(_ *seeded.Scheduler, p *seeded.Process) { second = race(p) })
		if err != nil {
			t.Fatal(err)
		}
		if first != second || !bytes.Equal(one, two) {
			t.Errorf("seed %d: %s and %s", seed, first, second)
		}
		texts[first] = true
	}
	if len(texts) < 10 {
		t.Errorf("20 seeds gave %d orders", len(texts))
	}
}

func TestRun_TellsWhoIsStuck(t *testing.T) {
	_, err := run(t, 1, func(_ *seeded.Scheduler, p *seeded.Process) {
		a, b := p.NewMonitor(), p.NewMonitor()
		p.Go("other", func() {
			b.Lock()
			_ = sched.Sleep(p.Context(), p, time.Second)
			a.Lock()
		})
		a.Lock()
		_ = sched.Sleep(p.Context(), p, time.Second)
		b.Lock()
	})
	if err == nil || !strings.Contains(err.Error(), "world/other: lock") || !strings.Contains(err.Error(), "world/main: lock") {
		t.Errorf("err=%v, want who waits for which lock", err)
	}
}

func TestMonitor_Time(t *testing.T) {
	_, err := run(t, 1, func(_ *seeded.Scheduler, p *seeded.Process) {
		start := p.Now()
		if err := sched.Sleep(p.Context(), p, time.Hour); err != nil {
			t.Error(err)
		}
		if d := p.Now().Sub(start); d != time.Hour {
			t.Errorf("slept %v, want 1h", d)
		}
		ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
		defer cancel()
		if err := sched.Sleep(ctx, p, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err=%v, want deadline exceeded", err)
		}
		if d := p.Now().Sub(start); d != time.Hour+time.Minute {
			t.Errorf("slept %v, want 1h1m", d)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestProcess_KilledAtEveryStep(t *testing.T) {
	steps := 0
	for n := 1; ; n++ {
		var done bool
		_, err := run(t, 7, func(s *seeded.Scheduler, world *seeded.Process) {
			victim := s.NewProcess("victim")
			victim.Go("main", func() {
				race(victim)
				done = true
			})
			for range n {
				world.Step("look on")
			}
			victim.Kill()
			_ = sched.Sleep(world.Context(), world, time.Minute)
		})
		if err != nil {
			t.Fatalf("killed after %d steps: %v", n, err)
		}
		if done {
			break
		}
		steps = n
	}
	if steps < 5 {
		t.Errorf("only %d steps to be killed at", steps)
	}
}

func TestProcess_Pause(t *testing.T) {
	_, err := run(t, 3, func(s *seeded.Scheduler, world *seeded.Process) {
		sleeper := s.NewProcess("sleeper")
		start := world.Now()
		var woke time.Time
		sleeper.Go("main", func() {
			_ = sched.Sleep(sleeper.Context(), sleeper, time.Second)
			woke = sleeper.Now()
		})
		_ = sched.Sleep(world.Context(), world, time.Second/2)
		sleeper.Pause(time.Minute)
		_ = sched.Sleep(world.Context(), world, 2*time.Minute)
		if want := time.Minute + time.Second/2; woke.Sub(start) != want {
			t.Errorf("woke after %v, want %v", woke.Sub(start), want)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestProcess_TurnClock(t *testing.T) {
	_, err := run(t, 3, func(s *seeded.Scheduler, world *seeded.Process) {
		start := world.Now()
		p := s.NewProcess("p")
		p.TurnClock(-time.Hour)
		woke := time.Duration(0)
		p.Go("main", func() {
			// A deadline of before the clock was put back comes an hour later.
			p.Until(p.Context(), "deadline", start.Add(time.Second), nil)
			woke = p.Now().Sub(start)
		})
		_ = sched.Sleep(world.Context(), world, 2*time.Hour)
		if woke != time.Second || world.Now().Sub(start) != 2*time.Hour {
			t.Errorf("woke at %v of its clock", woke)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRun_Fail(t *testing.T) {
	sad := errors.New("sad")
	trace, err := run(t, 3, func(s *seeded.Scheduler, p *seeded.Process) {
		s.Fail(sad)
		s.Fail(fmt.Errorf("sadder"))
		p.Step("never reached")
		t.Error("the run goes on")
	})
	if !errors.Is(err, sad) || !bytes.Contains(trace, []byte("FAIL sad")) {
		t.Errorf("err=%v, trace %s", err, trace)
	}
}
