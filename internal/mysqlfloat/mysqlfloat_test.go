package mysqlfloat_test

import (
	"math"
	"testing"

	"github.com/leatdb/leat/internal/mysqlfloat"
)

func TestAppendDouble(t *testing.T) {
	for want, f := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "1": 1, "-1.5": -1.5, "434316075": 434316075, "1000000": 1e6,
		"123456789012345": 123456789012345, "1e15": 1e15, "1.5e300": 1.5e300, "0.1": 0.1, "0.000001": 1e-6,
		"0.000000000000001": 1e-15, "1e-16": 1e-16, "0.30000000000000004": 0.30000000000000004, "inf": math.Inf(1),
	} {
		if got := string(mysqlfloat.AppendDouble(nil, f)); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}

func TestAppendFloat(t *testing.T) {
	for want, f := range map[string]float32{"1.5": 1.5, "0.1": 0.1, "16777200": 16777217, "3.14159": math.Pi, "1e20": 1e20} {
		if got := string(mysqlfloat.AppendFloat(nil, f)); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}
