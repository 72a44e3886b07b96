package kernel

import (
	"github.com/leatdb/leat/sql/types"
)

// operandTime is an operand of ADDTIME or TIMEDIFF: a length of time, or with dated what a clock
// shows, in µs since 1970.
type operandTime struct {
	micros    int64
	dated     bool
	truncated bool
}

// timesOf reads an operand of ADDTIME or TIMEDIFF: TIME, DATETIME, or text that is either.
func timesOf(ctx *Context, v Vector, t types.Type) (at func(i int) (operandTime, bool), text func(i int) []byte) {
	if t.Kind == types.Time || t.Kind == types.DateTime {
		x := viewOf[int64](v)
		return func(i int) (operandTime, bool) {
			return operandTime{micros: x.at(i), dated: t.Kind == types.DateTime}, true
		}, func(int) []byte { return nil }
	}
	x := textsOf(v)
	return func(i int) (operandTime, bool) {
		s := trimSpaces(x.at(i))
		if len(s) >= 12 {
			if m, ok := parseDateTime(s); ok && m.hasTime {
				return operandTime{micros: roundTime(m.wall(ctx), m.nanos, 6), dated: true, truncated: m.truncated}, true
			}
		}
		t, nanos, truncated, ok := parseTime(ctx, s)
		return operandTime{micros: roundTime(t, nanos, 6), truncated: truncated}, ok
	}, x.at
}

// timePairs reads the two operands of each row; what cannot be read fails, and what
// does not go together is NULL.
func timePairs(f *frame, args []Vector, first, second types.Type, together func(a, b operandTime) bool) func(i int) (a, b operandTime, ok bool) {
	x, xText := timesOf(f.ctx, args[0], first)
	y, yText := timesOf(f.ctx, args[1], second)
	return func(i int) (a, b operandTime, ok bool) {
		if a, ok = x(i); !ok {
			f.failOrNull(i, errTruncated("time", xText(i)))
			return a, b, false
		}
		if b, ok = y(i); !ok {
			f.failOrNull(i, errTruncated("time", yText(i)))
			return a, b, false
		}
		switch {
		case !together(a, b):
			f.null(i)
			return a, b, false
		case a.truncated:
			f.warn(i, errTruncated("time", xText(i)))
		case b.truncated:
			f.warn(i, errTruncated("time", yText(i)))
		}
		return a, b, true
	}
}

// FuncAddTime is ADDTIME(first, second), or SUBTIME, of operands of the types
// TIME, DATETIME or text; first tells whether it gives a TIME, a DATETIME or a
// text that is one of them. The result is NULL where the second operand is a date
// and time, or the sum no date.
func FuncAddTime(first, second types.Type, subtract bool) Func {
	return propagate(func(f *frame, args []Vector) error {
		operands := timePairs(f, args, first, second, func(_, add operandTime) bool { return !add.dated })
		earliest := int64(daysFromCivil(1, 1, 1)) * microsPerDay // MySQL computes no dates before
		sum := func(i int) (operandTime, bool) {
			s, add, ok := operands(i)
			if !ok {
				return s, false
			}
			if subtract {
				add.micros = -add.micros
			}
			s.micros += add.micros
			if s.dated && (s.micros < earliest || s.micros > maxMicros) {
				f.null(i)
				return s, false
			}
			return s, true
		}
		if f.out.Kind == types.String {
			out := newTextOut(f)
			for i := range f.live {
				out.start(i)
				s, ok := sum(i)
				if !ok {
					continue
				}
				fsp := 0
				if s.micros%microsPerSecond != 0 {
					fsp = 6
				}
				if s.dated {
					out.buf = appendDateTime(out.buf, s.micros, fsp)
					continue
				}
				t := f.boundTime(i, s.micros, fsp)
				if t != s.micros {
					fsp = 0
				}
				out.buf = AppendTime(out.buf, t, fsp)
			}
			return out.finish()
		}
		out := fixedOut[int64](f)
		for i := range f.live {
			out[i] = 0
			s, ok := sum(i)
			switch {
			case !ok:
			case f.out.Kind == types.Time:
				out[i] = f.timeOf(i, s.micros)
			default:
				out[i] = roundMicros(s.micros, f.out.Fsp)
			}
		}
		return nil
	})
}

// FuncTimeDiff is TIMEDIFF(first, second), a TIME, of operands of the types TIME,
// DATETIME or text; NULL where one is a date and time and the other none.
func FuncTimeDiff(first, second types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		operands := timePairs(f, args, first, second, func(a, b operandTime) bool { return a.dated == b.dated })
		out := fixedOut[int64](f)
		for i := range f.live {
			out[i] = 0
			a, b, ok := operands(i)
			if !ok {
				continue
			}
			out[i] = f.timeOf(i, a.micros-b.micros)
		}
		return nil
	})
}

// errArguments is MySQL's word for arguments that a function cannot have.
func errArguments(function string) error {
	return failure("Incorrect arguments to " + function)
}

// monthsOfPeriod counts the months of a period YYYYMM or YYMM.
func monthsOfPeriod(p int64) (months int64, ok bool) {
	year, month := p/100, p%100
	if p <= 0 || month < 1 || month > 12 || year > 1e12 {
		return 0, false
	}
	switch {
	case year < 70:
		year += 2000
	case year < 100:
		year += 1900
	}
	return year*12 + month - 1, true
}

// FuncPeriodAdd is PERIOD_ADD(period, months).
var FuncPeriodAdd = propagate(func(f *frame, args []Vector) error {
	periods, months := viewOf[int64](args[0]), viewOf[int64](args[1])
	out := fixedOut[int64](f)
	for i := range f.live {
		m, ok := monthsOfPeriod(periods.at(i))
		n := months.at(i)
		if !ok || n > 1e12 || m+n < 0 {
			out[i] = 0
			f.fail(i, errArguments("period_add"))
			continue
		}
		m += n
		year := m / 12
		switch {
		case year < 70:
			year += 2000
		case year < 100:
			year += 1900
		}
		out[i] = year*100 + m%12 + 1
	}
	return nil
})

// FuncPeriodDiff is PERIOD_DIFF(period, period), in months.
var FuncPeriodDiff = propagate(func(f *frame, args []Vector) error {
	x, y := viewOf[int64](args[0]), viewOf[int64](args[1])
	out := fixedOut[int64](f)
	for i := range f.live {
		a, ok1 := monthsOfPeriod(x.at(i))
		b, ok2 := monthsOfPeriod(y.at(i))
		out[i] = a - b
		if !ok1 || !ok2 {
			f.fail(i, errArguments("period_diff"))
		}
	}
	return nil
})
