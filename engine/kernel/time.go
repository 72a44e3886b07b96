package kernel

import (
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// A TIME is a length of time as well as a time of day: its values go from
// −838:59:59 to 838:59:59, in µs. Tables hold those of a day.

// maxTime is the longest TIME that MySQL has, 838:59:59.
const maxTime = mysqljson.MaxTime

// clampTime is the TIME that is nearest to t.
func clampTime(t int64) int64 { return max(min(t, maxTime), -maxTime) }

// timeOf is t as the TIME that a function gives: rounded, and bounded.
func (f *frame) timeOf(i int, t int64) int64 {
	return f.boundTime(i, roundTime(t, 0, f.out.Fsp), f.out.Fsp)
}

// boundTime is t as a TIME; of what is longer than MySQL's longest that, and a
// warning.
func (f *frame) boundTime(i int, t int64, fsp int) int64 {
	bounded := clampTime(t)
	if bounded != t {
		f.warn(i, errTruncated("time", AppendTime(nil, t, fsp)))
	}
	return bounded
}

// FuncTimeOfDay passes a TIME on that a table can hold: one within a day.
var FuncTimeOfDay = propagate(func(f *frame, args []Vector) error {
	x := viewOf[int64](args[0])
	out := fixedOut[int64](f)
	for i := range f.live {
		out[i] = x.at(i)
		if out[i] < 0 || out[i] > microsPerDay {
			f.failOrNull(i, errOutOfRange(AppendTime(nil, out[i], f.out.Fsp)))
			out[i] = 0
		}
	}
	return nil
})

// clockOfTime is the clock of a TIME's magnitude, whose hour may be beyond 23,
// and whether the TIME is negative.
func clockOfTime(t int64) (c clock, negative bool) {
	negative = t < 0
	if negative {
		t = -t
	}
	c.setTime(t)
	return c, negative
}

// clockIn is the clock of a date or time of a kind, of a TIME as clockOfTime.
func clockIn(kind types.Kind, t int64) (c clock, negative bool) {
	if kind == types.Time {
		return clockOfTime(t)
	}
	return clockOf(t), false
}
