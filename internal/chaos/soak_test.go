package chaos_test

import (
	"testing"

	"github.com/leatdb/leat/internal/chaos"
)

func TestMeasure_Growth(t *testing.T) {
	f := func(flat bool, value func(i int) float64) {
		t.Helper()
		m := chaos.Measure{Slack: 5}
		for i := range 100 {
			m.Values = append(m.Values, value(i))
		}
		if from, to, got := m.Growth(); got != flat {
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
