package dataflow_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/engine/dataflow"
)

func few(cfg *dataflow.Config) { cfg.FewLanes = true }

// One lane reads what it keeps up with, and each commit has rows of one lane; they
// would have rows of both otherwise.
func TestFewLanes_OneIsEnough(t *testing.T) {
	f := func(few bool) []int {
		var used []int
		synctest.Test(t, func(t *testing.T) {
			w := &world{}
			s := w.stream(func(cfg *dataflow.Config) { cfg.FewLanes = few })
			wait := start(t.Context(), s)
			for n := range 400 {
				w.add(fmt.Sprintf("%04d", n), fmt.Sprintf("%04d again", n))
				time.Sleep(100 * time.Millisecond)
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.Stop()
			if err := wait(); err != nil {
				t.Fatal(err)
			}
			slices.Sort(w.records)
			w.check(t, w.records...)
			used = w.used
		})
		return used
	}
	if used := f(true); len(used) < 4 || slices.Max(used) != 1 {
		t.Errorf("commits have rows of %v lanes, want 1", used)
	}
	if used := f(false); slices.Max(used) != 2 {
		t.Errorf("commits have rows of %v lanes when all read, want 2", used)
	}
}

// A lane that is held up gets help, and the helper rests again when it is over.
func TestFewLanes_HelpOneThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		held := make(chan struct{})
		w.writeHook = func(row string) {
			if row == "slow" {
				<-held
			}
		}
		s := w.stream(few)
		wait := start(t.Context(), s)
		w.add("slow", "a", "b")
		time.Sleep(5 * time.Second)
		if got := s.Status().InFlight.RowsIn; got != 2 {
			t.Errorf("%d rows are read beside the lane that is held up, want 2", got)
		}
		close(held)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(11 * time.Second)
			w.add("c", "d")
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.Stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		w.check(t, "a", "b", "c", "c", "c", "d", "d", "d", "slow")
		if n := len(w.used); n < 4 || w.used[0] != 2 || w.used[n-1] != 1 || w.used[n-2] != 1 {
			t.Errorf("commits have rows of %v lanes, want 2 at first and 1 in the end", w.used)
		}
	})
}

// Of a source that ends all lanes read at once, and find its end.
func TestFewLanes_BoundedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{bounded: true}
		for n := range 50 {
			w.add(fmt.Sprintf("%04d", n))
		}
		w.writeHook = func(string) { time.Sleep(time.Millisecond) }
		began := time.Now()
		if err := w.stream(few).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(t, w.records...)
		if took := time.Since(began); took > 30*time.Millisecond {
			t.Errorf("two lanes take %v for what takes one 50 ms", took)
		}
	})
}
