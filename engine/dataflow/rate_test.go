package dataflow

import (
	"testing"
	"time"
)

// TestRate_ClockTurnedBack: rates stood still, and grew, until the clock had
// caught up.
func TestRate_ClockTurnedBack(t *testing.T) {
	var r rate
	at := func(d time.Duration) time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(d) }
	check := func(d time.Duration, want float64) {
		t.Helper()
		if rows, bytes := r.perSecond(at(d)); rows != want || bytes != 8*want {
			t.Errorf("%v rows and %v bytes a second, want %v", rows, bytes, want)
		}
	}
	for i := range 20 {
		r.add(at(time.Duration(i)*time.Second), 5, 40)
	}
	check(19*time.Second, 5)
	check(21*time.Second, 4)
	back := -time.Hour
	check(back, 4) // none is younger than it was
	for i := range 3 {
		r.add(at(back+time.Duration(i+1)*time.Second), 5, 40)
	}
	check(back+4*time.Second, 3.5)
	check(back+30*time.Second, 0)
}
