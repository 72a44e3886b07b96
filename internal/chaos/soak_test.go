package chaos_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/chaos"
)

func TestMeasure_Growth(t *testing.T) {
	f := func(flat bool, value func(i int) float64) {
		t.Helper()
		m := chaos.Measure{Slack: 5}
		for i := range 100 {
			m.Values = append(m.Values, value(i))
		}
		if from, to, got := m.Growth(20); got != flat {
			t.Errorf("from %v to %v: flat=%v, want %v", from, to, got, flat)
		}
	}
	f(true, func(int) float64 { return 0 })
	f(true, func(i int) float64 { return float64(100 + i%20) })
	f(true, func(i int) float64 { return float64(min(i, 20) * 50) })  // warms up
	f(true, func(i int) float64 { return 1000 + float64(i) })         // within a tenth
	f(true, func(i int) float64 { return 1 + float64(i)/20 })         // within the slack
	f(true, func(i int) float64 { return float64(1000 - 9*i) })       // falls
	f(false, func(i int) float64 { return 20 + float64(i)/4 })        // leaks
	f(false, func(i int) float64 { return float64(100 + 2*i + i%9) }) // leaks, with noise
	spike := func(i int) float64 { return map[bool]float64{true: 1e6}[i%30 == 29] }
	f(true, spike)
}

func TestMeasure_Slope(t *testing.T) {
	f := func(want float64, value func(i int) float64) {
		t.Helper()
		m := chaos.Measure{}
		var times []time.Duration
		for i := range 60 {
			times = append(times, time.Duration(i)*30*time.Second)
			m.Values = append(m.Values, value(i))
		}
		if got := m.Slope(times, 10); math.Abs(got-want) > 0.01 {
			t.Errorf("slope %v, want %v", got, want)
		}
	}
	f(0, func(int) float64 { return 7 })
	f(3, func(i int) float64 { return 100 + 1.5*float64(i) })
	f(3, func(i int) float64 { return 100 + 1.5*float64(i) + map[bool]float64{true: 1e6}[i%20 == 19] })
	f(0, func(i int) float64 { return float64(min(i, 10)) }) // warms up
}

// TestSoak_Err does not call flat what it could not tell.
func TestSoak_Err(t *testing.T) {
	soak := func(settled, samples int, rise float64) *chaos.Soak {
		m := &chaos.Measure{Name: "memory", Slack: 5}
		s := &chaos.Soak{Settled: settled, Measures: []*chaos.Measure{m}}
		for i := range samples {
			s.Times = append(s.Times, time.Duration(i)*time.Minute)
			m.Values = append(m.Values, 10+rise*float64(i))
		}
		return s
	}
	for _, c := range []struct {
		soak *chaos.Soak
		want string
	}{
		{soak(-1, 100, 0), "tell nothing"},
		{soak(95, 100, 0), "tell nothing"},
		{soak(50, 100, 1), "memory: grown from"},
		{soak(50, 100, 0), "<nil>"},
	} {
		if got := fmt.Sprint(c.soak.Err()); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
