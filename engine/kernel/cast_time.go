package kernel

import (
	"math"

	"github.com/leatdb/leat/internal/mysqlfloat"
	"github.com/leatdb/leat/sql/types"
)

// walls is the view of a DATE, DATETIME or TIMESTAMP argument as what clocks
// show, in µs since 1970.
type walls struct {
	days    view[int32]
	micros  view[int64]
	ctx     *Context
	instant bool
}

func wallsOf(ctx *Context, v Vector, t types.Type) walls {
	if t.Kind == types.Date {
		return walls{days: viewOf[int32](v)}
	}
	// TIMESTAMP in UTC shows what it is.
	instant := t.Kind == types.Timestamp && ctx.location().String() != "UTC"
	return walls{micros: viewOf[int64](v), ctx: ctx, instant: instant}
}

func (w *walls) at(i int) int64 {
	switch {
	case w.days.values != nil:
		return int64(w.days.at(i)) * microsPerDay
	case w.instant:
		return w.ctx.scratch.zone.toWall(w.ctx.location(), w.micros.at(i))
	}
	return w.micros.at(i)
}

// dayOf is the date of row i.
func (w *walls) dayOf(i int) int32 {
	if w.days.values != nil {
		return w.days.at(i)
	}
	d, _ := splitMicros(w.at(i))
	return d
}

// moments is the view of an argument that is no date as dates: at reads a row,
// text prints it for an error message.
type moments struct {
	at   func(i int) (m moment, ok bool)
	text func(i int) []byte
}

// momentsOf reads texts, JSON strings and numbers; it is nil for other types.
func momentsOf(from types.Type) func(v Vector) moments {
	switch from.Kind {
	case types.String, types.Binary:
		return func(v Vector) moments {
			x := textsOf(v)
			return moments{func(i int) (moment, bool) { return parseDateTime(x.at(i)) }, x.at}
		}
	case types.JSON:
		return func(v Vector) moments {
			x := textsOf(v)
			return moments{func(i int) (moment, bool) { return parseDateTime(jsonText(x.at(i))) }, x.at}
		}
	case types.Int64, types.Uint64:
		return func(v Vector) moments {
			x := widesOf(v)
			return moments{func(i int) (m moment, ok bool) {
				n := x.at(i)
				if n.negative || n.magnitude > math.MaxInt64 {
					return m, false
				}
				c, hasTime, ok := dateTimeFromNumber(int64(n.magnitude))
				return moment{t: c.total(), hasTime: hasTime}, ok
			}, func(i int) []byte {
				return appendDecimal(nil, u128{lo: x.at(i).magnitude}.signed(x.at(i).negative), 0)
			}}
		}
	case types.Decimal:
		return func(v Vector) moments {
			x := decimalsOf(v)
			return moments{
				func(i int) (moment, bool) { return momentFromDecimal(x.at(i), x.scale) },
				func(i int) []byte { return appendDecimal(nil, x.at(i), x.scale) },
			}
		}
	case types.Float64:
		return func(v Vector) moments {
			x := viewOf[float64](v)
			return moments{func(i int) (m moment, ok bool) {
				d, fits := decimalFromFloat(x.at(i), types.MaxDecimalPrecision, 9)
				if !fits {
					return m, false
				}
				return momentFromDecimal(d, 9)
			}, func(i int) []byte { return mysqlfloat.AppendDouble(nil, x.at(i)) }}
		}
	}
	return nil
}

// momentFromDecimal reads YYYYMMDDhhmmss.ffffff.
func momentFromDecimal(d decimalValue, scale int) (m moment, ok bool) {
	u, negative := magnitude(d)
	if negative {
		return m, false
	}
	whole, rest := u.divmod(pow10[scale])
	if whole.hi != 0 || whole.lo > math.MaxInt64 {
		return m, false
	}
	c, hasTime, ok := dateTimeFromNumber(int64(whole.lo))
	m.t, m.hasTime = c.total(), hasTime
	nanos := int64(rest.divRoundTo(scale, 9).lo)
	m.t += nanos / 1000
	m.nanos = int(nanos % 1000)
	return m, ok
}

// divRoundTo brings a fraction of scale digits to another number of digits.
func (u u128) divRoundTo(scale, digits int) u128 {
	if scale > digits {
		q, _ := u.divmod(pow10[scale-digits])
		return q
	}
	q, _ := u.mul(pow10[digits-scale])
	return q
}

// roundTime is µs rounded half away from 0 to fsp digits, with what exceeds µs.
func roundTime(t int64, nanos, fsp int) int64 {
	if t < 0 {
		return -roundTime(-t, nanos, fsp)
	}
	if fsp >= 6 {
		if nanos >= 500 {
			t++
		}
		return t
	}
	return roundMicros(t, fsp)
}

func castToDate(from types.Type) Func {
	switch from.Kind {
	case types.DateTime, types.Timestamp:
		return propagate(func(f *frame, args []Vector) error {
			x := wallsOf(f.ctx, args[0], from)
			out := fixedOut[int32](f)
			for i := range f.live {
				out[i] = x.dayOf(i)
			}
			return nil
		})
	case types.Time: // today's
		return propagate(func(f *frame, args []Vector) error {
			out := fixedOut[int32](f)
			x := viewOf[int64](args[0])
			today := int64(f.ctx.today()) * microsPerDay
			for i := range f.live {
				out[i], _ = splitMicros(today + x.at(i))
			}
			return nil
		})
	}
	read := momentsOf(from)
	if read == nil {
		return nil
	}
	return propagate(func(f *frame, args []Vector) error {
		x := read(args[0])
		out := fixedOut[int32](f)
		for i := range f.live {
			m, ok := x.at(i)
			if !ok {
				out[i] = 0
				f.failOrNull(i, errIncorrect("datetime", x.text(i)))
				continue
			}
			if m.truncated {
				f.warn(i, errTruncated("date", x.text(i)))
			}
			out[i], _ = splitMicros(m.wall(f.ctx))
		}
		return nil
	})
}

// today is the current date in the context's zone.
func (c *Context) today() int32 {
	d, _ := splitMicros(c.scratch.zone.toWall(c.location(), c.Now.UnixMicro()))
	return d
}

func castToDateTime(from, to types.Type) Func {
	toInstant := to.Kind == types.Timestamp
	store := func(f *frame, wall int64) int64 {
		if toInstant {
			return f.ctx.scratch.zone.toInstant(f.ctx.location(), wall)
		}
		return wall
	}
	switch from.Kind {
	case types.Date, types.DateTime, types.Timestamp:
		return propagate(func(f *frame, args []Vector) error {
			x := wallsOf(f.ctx, args[0], from)
			if toInstant && from.Kind == types.Timestamp {
				x.instant = false // instants stay
			}
			out := fixedOut[int64](f)
			fsp := to.Fsp
			if from.Kind == types.Date || from.Fsp <= fsp {
				fsp = 6 // nothing to round
			}
			for i := range f.live {
				t := roundMicros(x.at(i), fsp)
				if t > maxMicros {
					f.failOrNull(i, errDatetimeOverflow)
					continue
				}
				if !toInstant || from.Kind != types.Timestamp {
					t = store(f, t)
				}
				out[i] = t
			}
			return nil
		})
	case types.Time: // today's
		return propagate(func(f *frame, args []Vector) error {
			x := fixedValues[int64](args[0].Array)
			out := fixedOut[int64](f)
			today := int64(f.ctx.today()) * microsPerDay
			for i := range f.live {
				out[i] = store(f, today+roundMicros(x[i], to.Fsp))
			}
			return nil
		})
	}
	read := momentsOf(from)
	if read == nil {
		return nil
	}
	return propagate(func(f *frame, args []Vector) error {
		x := read(args[0])
		out := fixedOut[int64](f)
		for i := range f.live {
			m, ok := x.at(i)
			m.t = roundTime(m.t, m.nanos, to.Fsp)
			if !ok || m.t > maxMicros {
				out[i] = 0
				f.failOrNull(i, errIncorrect("datetime", x.text(i)))
				continue
			}
			if m.truncated {
				f.warn(i, errTruncated("datetime", x.text(i)))
			}
			if toInstant {
				out[i] = m.instant(f.ctx)
			} else {
				out[i] = m.wall(f.ctx)
			}
		}
		return nil
	})
}

// castToTime makes a time, of a date and time that of the day. Texts and numbers
// may be longer, and negative.
func castToTime(from types.Type) Func {
	// reading gives a row's time, rounded, and prints it for an error message.
	type reading struct {
		at   func(i int) (t int64, ok, truncated bool)
		text func(i int) []byte
	}
	var read func(f *frame, v Vector) reading
	switch from.Kind {
	case types.Date, types.DateTime, types.Timestamp, types.Time:
		read = func(f *frame, v Vector) reading {
			x := temporalView(f.ctx, v, from)
			return reading{func(i int) (int64, bool, bool) {
				t := x(i)
				if from.Kind != types.Time {
					_, t = splitMicros(t)
				}
				return roundTime(t, 0, f.out.Fsp), true, false
			}, func(i int) []byte { return AppendTime(nil, x(i), from.Fsp) }}
		}
	case types.String, types.Binary, types.JSON:
		read = func(f *frame, v Vector) reading {
			x := textsOf(v)
			return reading{func(i int) (int64, bool, bool) {
				s := x.at(i)
				if from.Kind == types.JSON {
					s = jsonText(s)
				}
				t, nanos, truncated, ok := parseTime(f.ctx, s)
				return roundTime(t, nanos, f.out.Fsp), ok, truncated
			}, x.at}
		}
	case types.Int64, types.Uint64:
		read = func(_ *frame, v Vector) reading {
			x := widesOf(v)
			return reading{func(i int) (int64, bool, bool) {
				n := x.at(i)
				t, ok := timeFromNumber(n.magnitude)
				if n.negative {
					t = -t
				}
				return t, ok, false
			}, func(i int) []byte {
				return appendDecimal(nil, u128{lo: x.at(i).magnitude}.signed(x.at(i).negative), 0)
			}}
		}
	case types.Decimal:
		read = func(f *frame, v Vector) reading {
			x := decimalsOf(v)
			return reading{func(i int) (int64, bool, bool) {
				u, negative := magnitude(x.at(i))
				whole, rest := u.divmod(pow10[x.scale])
				t, ok := timeFromNumber(whole.lo)
				nanos := int64(rest.divRoundTo(x.scale, 9).lo)
				t = roundTime(t+nanos/1000, int(nanos%1000), f.out.Fsp)
				if negative {
					t = -t
				}
				return t, ok && whole.hi == 0, false
			}, func(i int) []byte { return appendDecimal(nil, x.at(i), x.scale) }}
		}
	default:
		return nil
	}
	return propagate(func(f *frame, args []Vector) error {
		x := read(f, args[0])
		out := fixedOut[int64](f)
		for i := range f.live {
			t, ok, truncated := x.at(i)
			out[i] = clampTime(t)
			switch {
			case !ok:
				out[i] = 0
				f.failOrNull(i, errIncorrect("time", x.text(i)))
			case truncated || out[i] != t:
				f.warn(i, errTruncated("time", x.text(i)))
			}
		}
		return nil
	})
}

// timeFromNumber reads hhmmss, or the time of YYYYMMDDhhmmss.
func timeFromNumber(n uint64) (t int64, ok bool) {
	if n > 10_000_000_000 && n < math.MaxInt64 {
		c, _, ok := dateTimeFromNumber(int64(n))
		return c.timeOfDay(), ok
	}
	h, m, s := n/10000, n/100%100, n%100
	if n > 8385959 || m > 59 || s > 59 {
		return 0, false
	}
	return int64(h)*microsPerHour + int64(m)*microsPerMinute + int64(s)*microsPerSecond, true
}

// temporalNumber is a date or time as the number MySQL makes of it, without
// the fraction of a second: YYYYMMDD, YYYYMMDDhhmmss or hhmmss.
func temporalNumber(kind types.Kind, t int64) int64 {
	c, negative := clockIn(kind, t)
	n := int64(c.year)*10000 + int64(c.month)*100 + int64(c.day) // 0 of a TIME
	if kind != types.Date {
		n = n*1000000 + int64(c.hour)*10000 + int64(c.minute)*100 + int64(c.second)
	}
	if negative {
		return -n
	}
	return n
}

// temporalView reads any date or time in µs.
func temporalView(ctx *Context, v Vector, from types.Type) func(i int) int64 {
	if from.Kind == types.Time {
		return viewOf[int64](v).at
	}
	x := wallsOf(ctx, v, from)
	return x.at
}

func temporalToInteger(from types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := temporalView(f.ctx, args[0], from)
		out := fixedOut[int64](f)
		for i := range f.live {
			t := x(i)
			if from.Kind == types.Time {
				t = roundTime(t, 0, 0)
			} else {
				t = roundMicros(t, 0)
			}
			out[i] = temporalNumber(from.Kind, t)
		}
		return nil
	})
}

func temporalToFloat(from types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := temporalView(f.ctx, args[0], from)
		out := fixedOut[float64](f)
		for i := range f.live {
			t := x(i)
			whole := temporalNumber(from.Kind, t)
			fraction := floorMod(t, microsPerSecond)
			if from.Kind == types.Time {
				fraction = t % microsPerSecond
			}
			out[i] = float64(whole) + float64(fraction)/microsPerSecond
		}
		return nil
	})
}

func temporalToDecimal(from types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := temporalView(f.ctx, args[0], from)
		out := fixedOut[decimalValue](f)
		for i := range f.live {
			t := x(i)
			negative := from.Kind == types.Time && t < 0
			if negative {
				t = -t
			}
			u, _ := u128{lo: uint64(temporalNumber(from.Kind, t))}.mul(pow10[6])
			d, ok := rescale(u.add64(uint64(floorMod(t, microsPerSecond))).signed(negative), 6, f.out.Scale, f.out.Precision)
			if out[i] = d; !ok {
				out[i] = maxDecimal(f.out.Precision, negative)
				f.warn(i, errOutOfRange(appendDateTime(nil, t, 6)))
			}
		}
		return nil
	})
}
