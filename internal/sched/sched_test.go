package sched_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/internal/sched"
)

func TestSystem_WaitUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sched.System{}.NewMonitor()
		start := time.Now()
		m.Lock()
		for time.Since(start) < time.Second {
			m.WaitUntil(start.Add(time.Second))
		}
		m.Unlock()
		if got := time.Since(start); got != time.Second {
			t.Errorf("waited %v, want 1s", got)
		}
	})
}

func TestSystem_Broadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sched.System{}
		m := s.NewMonitor()
		ready, woken := false, 0
		for range 3 {
			s.Go("waiter", func() {
				m.Lock()
				defer m.Unlock()
				for !ready {
					m.Wait()
				}
				woken++
			})
		}
		synctest.Wait()
		m.Lock()
		ready = true
		m.Broadcast()
		m.Unlock()
		synctest.Wait()
		if woken != 3 {
			t.Errorf("woken=%d, want 3", woken)
		}
	})
}

func TestSleep_ContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := sched.Sleep(ctx, sched.System{}, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err=%v, want deadline exceeded", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("slept %v, want 1s", got)
		}
	})
}
