package kernel

import (
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// DatePart is a number that a date or time has.
type DatePart uint8

// The parts of dates and times.
const (
	PartYear DatePart = iota
	PartQuarter
	PartMonth
	PartDay
	PartDayOfWeek // 1 is Sunday
	PartDayOfYear
	PartWeekday // 0 is Monday
	PartToDays  // days since year 0
	PartHour
	PartMinute
	PartSecond
	PartMicrosecond
	PartTimeToSec
	PartToSeconds // seconds since year 0
)

// daysToYear0 is how many days lie between MySQL's day 0 and 1970-01-01.
const daysToYear0 = 719528

// FuncDatePart takes a part of a DATE, DATETIME or TIMESTAMP, the parts from the
// hour on also of a TIME. The result is INT or BIGINT.
func FuncDatePart(part DatePart, t types.Type) Func {
	byDay := map[DatePart]func(int32) int64{
		PartYear:      func(d int32) int64 { y, _, _ := civilFromDays(d); return int64(y) },
		PartQuarter:   func(d int32) int64 { _, m, _ := civilFromDays(d); return int64(m+2) / 3 },
		PartMonth:     func(d int32) int64 { _, m, _ := civilFromDays(d); return int64(m) },
		PartDay:       func(d int32) int64 { _, _, d2 := civilFromDays(d); return int64(d2) },
		PartDayOfWeek: func(d int32) int64 { return int64(weekdayFrom(d, false)) + 1 },
		PartDayOfYear: func(d int32) int64 { return int64(dayOfYear(d)) },
		PartWeekday:   func(d int32) int64 { return int64(weekday(d)) },
		PartToDays:    func(d int32) int64 { return int64(d) + daysToYear0 },
	}
	if of := byDay[part]; of != nil {
		return propagate(func(f *frame, args []Vector) error {
			x := wallsOf(f.ctx, args[0], t)
			put := integers(f)
			// Days are few, in whichever order they come.
			var known [512]struct{ day, v int32 }
			known[0].v = int32(of(0))
			for i := range f.live {
				d := x.dayOf(i)
				k := &known[d&511]
				if k.day != d {
					k.day, k.v = d, int32(of(d))
				}
				put(i, int64(k.v))
			}
			return nil
		})
	}
	byTime := map[DatePart]func(int64) int64{
		PartHour:        func(t int64) int64 { return floorMod(t, microsPerDay) / microsPerHour },
		PartMinute:      func(t int64) int64 { return floorMod(t, microsPerHour) / microsPerMinute },
		PartSecond:      func(t int64) int64 { return floorMod(t, microsPerMinute) / microsPerSecond },
		PartMicrosecond: func(t int64) int64 { return floorMod(t, microsPerSecond) },
		PartTimeToSec:   func(t int64) int64 { return floorMod(t, microsPerDay) / microsPerSecond },
		PartToSeconds:   func(t int64) int64 { return floorDiv(t, microsPerSecond) + daysToYear0*86400 },
	}
	of := byTime[part]
	if t.Kind == types.Time {
		of = map[DatePart]func(int64) int64{
			PartHour:        func(t int64) int64 { c, _ := clockOfTime(t); return int64(c.hour) },
			PartMinute:      func(t int64) int64 { c, _ := clockOfTime(t); return int64(c.minute) },
			PartSecond:      func(t int64) int64 { c, _ := clockOfTime(t); return int64(c.second) },
			PartMicrosecond: func(t int64) int64 { c, _ := clockOfTime(t); return int64(c.micros) },
			PartTimeToSec:   func(t int64) int64 { return t / microsPerSecond },
		}[part]
	}
	return propagate(func(f *frame, args []Vector) error {
		x := temporalView(f.ctx, args[0], t)
		put := integers(f)
		for i := range f.live {
			put(i, of(x(i)))
		}
		return nil
	})
}

// integers gives a function that stores an INT or BIGINT result.
func integers(f *frame) func(i int, v int64) {
	if f.out.Kind == types.Int32 {
		out := fixedOut[int32](f)
		return func(i int, v int64) { out[i] = int32(v) }
	}
	out := fixedOut[int64](f)
	return func(i int, v int64) { out[i] = v }
}

// FuncWeek is WEEK(date, mode), or YEARWEEK when withYear.
func FuncWeek(t types.Type, withYear bool) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := wallsOf(f.ctx, args[0], t)
		modes := viewOf[int64](args[1])
		put := integers(f)
		for i := range f.live {
			mode := weekModeOf(modes.at(i))
			if withYear {
				mode |= weekYear
			}
			w, y := week(x.dayOf(i), mode)
			if withYear {
				w += y * 100
			}
			put(i, int64(w))
		}
		return nil
	})
}

// FuncExtract is EXTRACT(unit FROM x): of compound units the numbers one after
// another, as hhmmss.
func FuncExtract(u Unit, t types.Type) Func {
	if u == Week {
		return propagate(func(f *frame, args []Vector) error {
			x := wallsOf(f.ctx, args[0], t)
			put := integers(f)
			for i := range f.live {
				w, _ := week(x.dayOf(i), weekModeOf(0))
				put(i, int64(w))
			}
			return nil
		})
	}
	return propagate(func(f *frame, args []Vector) error {
		x := temporalView(f.ctx, args[0], t)
		put := integers(f)
		for i := range f.live {
			c, negative := clockIn(t.Kind, x(i))
			n := extract(u, c)
			if negative {
				n = -n
			}
			put(i, n)
		}
		return nil
	})
}

func extract(u Unit, c clock) int64 {
	day := int64(c.day) // 0 of a TIME
	h, m, s, us := int64(c.hour), int64(c.minute), int64(c.second), int64(c.micros)
	switch u {
	case Year:
		return int64(c.year)
	case YearMonth:
		return int64(c.year)*100 + int64(c.month)
	case Quarter:
		return int64(c.month+2) / 3
	case Month:
		return int64(c.month)
	case Day:
		return day
	case DayHour:
		return day*100 + h
	case DayMinute:
		return day*10000 + h*100 + m
	case DaySecond:
		return day*1000000 + h*10000 + m*100 + s
	case Hour:
		return h
	case HourMinute:
		return h*100 + m
	case HourSecond:
		return h*10000 + m*100 + s
	case Minute:
		return m
	case MinuteSecond:
		return m*100 + s
	case Second:
		return s
	case DayMicrosecond:
		return (day*1000000+h*10000+m*100+s)*1000000 + us
	case HourMicrosecond:
		return (h*10000+m*100+s)*1000000 + us
	case MinuteMicrosecond:
		return (m*100+s)*1000000 + us
	case SecondMicrosecond:
		return s*1000000 + us
	}
	return us
}

// FuncDateDiff is DATEDIFF of two DATEs.
var FuncDateDiff = propagate(func(f *frame, args []Vector) error {
	x, y := viewOf[int32](args[0]), viewOf[int32](args[1])
	put := integers(f)
	for i := range f.rows {
		put(i, int64(x.at(i))-int64(y.at(i)))
	}
	return nil
})

// FuncLastDay is LAST_DAY of a DATE.
var FuncLastDay = propagate(func(f *frame, args []Vector) error {
	x := viewOf[int32](args[0])
	out := fixedOut[int32](f)
	for i := range f.live {
		y, m, d := civilFromDays(x.at(i))
		out[i] = x.at(i) + int32(daysInMonth(y, m)-d)
	}
	return nil
})

// FuncMakeDate is MAKEDATE(year, day of the year), NULL where there is no such date.
var FuncMakeDate = propagate(func(f *frame, args []Vector) error {
	years, days := viewOf[int64](args[0]), viewOf[int64](args[1])
	out := fixedOut[int32](f)
	for i := range f.live {
		y, n := years.at(i), days.at(i)
		out[i] = 0
		if y < 0 || y > 9999 || n < 1 || n > 4_000_000 {
			f.null(i)
			continue
		}
		if y < 100 {
			y = int64(twoDigitYear(int(y)))
		}
		d := int64(daysFromCivil(int(y), 1, 1)) + n - 1
		if d > int64(maxDay) {
			f.null(i)
			continue
		}
		out[i] = int32(d)
	}
	return nil
})

// FuncFromDays is FROM_DAYS, the inverse of TO_DAYS.
var FuncFromDays = propagate(func(f *frame, args []Vector) error {
	x := viewOf[int64](args[0])
	out := fixedOut[int32](f)
	for i := range f.live {
		n := x.at(i)
		// Days before the year 1 are MySQL's 0000-00-00, which is no date.
		if n < 366 || n > int64(maxDay)+daysToYear0 {
			out[i] = 0
			f.null(i)
			continue
		}
		out[i] = int32(n - daysToYear0)
	}
	return nil
})

// FuncSecToTime is SEC_TO_TIME of seconds, BIGINT or DECIMAL.
var FuncSecToTime = propagate(func(f *frame, args []Vector) error {
	spans := spansOf(args[0], Second)
	out := fixedOut[int64](f)
	for i := range f.live {
		t := roundTime(spans(i).micros, 0, f.out.Fsp)
		out[i] = clampTime(t)
		if out[i] != t {
			f.warn(i, errTruncated("time", secondsText(args[0], i, f.out.Fsp)))
		}
	}
	return nil
})

// secondsText prints BIGINT, or DECIMAL with fsp digits behind the point.
func secondsText(v Vector, i, fsp int) []byte {
	if _, ok := v.Array.DataType().(*arrow.Decimal128Type); !ok {
		return strconv.AppendInt(nil, viewOf[int64](v).at(i), 10)
	}
	x := decimalsOf(v)
	d, _ := rescale(x.at(i), x.scale, fsp, types.MaxDecimalPrecision)
	return appendDecimal(nil, d, fsp)
}

// FuncFromUnixTime is FROM_UNIXTIME of BIGINT or DECIMAL seconds: a DATETIME in
// the context's zone, NULL before 1970 and from the year 3001-01-19 on.
var FuncFromUnixTime = propagate(func(f *frame, args []Vector) error {
	spans := spansOf(args[0], Second)
	out := fixedOut[int64](f)
	for i := range f.live {
		p := spans(i)
		t := roundMicros(p.micros, f.out.Fsp)
		if p.over || t < 0 || t > maxUnixSeconds*microsPerSecond+microsPerSecond-1 {
			out[i] = 0
			f.null(i)
			continue
		}
		out[i] = f.ctx.scratch.zone.toWall(f.ctx.location(), t)
	}
	return nil
})

// FuncUnixTimestamp is UNIX_TIMESTAMP of a DATE, DATETIME or TIMESTAMP: BIGINT
// or DECIMAL seconds, 0 outside of what FROM_UNIXTIME takes.
func FuncUnixTimestamp(t types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := wallsOf(f.ctx, args[0], t)
		x.instant = false
		var ints []int64
		var decimals []decimalValue
		if f.out.Kind == types.Decimal {
			decimals = fixedOut[decimalValue](f)
		} else {
			ints = fixedOut[int64](f)
		}
		for i := range f.live {
			at := x.at(i)
			if t.Kind != types.Timestamp {
				at = f.ctx.scratch.zone.toInstant(f.ctx.location(), at)
			}
			if at < 0 || at > maxUnixSeconds*microsPerSecond+microsPerSecond-1 {
				at = 0
			}
			if ints != nil {
				ints[i] = at / microsPerSecond
				continue
			}
			decimals[i], _ = rescale(u128{lo: uint64(truncateMicros(at, min(f.out.Scale, 6)))}.signed(false), 6, f.out.Scale, f.out.Precision)
		}
		return nil
	})
}

// FuncNow is the time of the step, as the result's type and fractional digits
// say: NOW, CURDATE, CURTIME and the UTC_ ones (when utc).
func FuncNow(utc bool) Func {
	return func(ctx *Context, rows int, _ []Vector, out types.Type) (Vector, error) {
		f := frame{ctx: ctx, rows: rows, out: out}
		now := ctx.Now.UnixMicro()
		if !utc && out.Kind != types.Timestamp {
			now = ctx.scratch.zone.toWall(ctx.location(), now)
		}
		days, micros := splitMicros(now)
		switch out.Kind {
		case types.Date:
			to := fixedOut[int32](&f)
			for i := range to {
				to[i] = days
			}
		case types.Time:
			to := fixedOut[int64](&f)
			for i := range to {
				to[i] = truncateMicros(micros, out.Fsp)
			}
		default:
			to := fixedOut[int64](&f)
			for i := range to {
				// With no digits asked for it is UNIX_TIMESTAMP()'s BIGINT.
				if to[i] = truncateMicros(now, out.Fsp); out.Kind == types.Int64 {
					to[i] = floorDiv(now, microsPerSecond)
				}
			}
		}
		return f.finish(nil)
	}
}

// FuncConvertTZ is CONVERT_TZ(datetime, from, to); NULL if a zone is unknown, and
// the time as it is where the instant is none that a TIMESTAMP has.
var FuncConvertTZ = propagate(func(f *frame, args []Vector) error {
	x := viewOf[int64](args[0])
	from, to := textsOf(args[1]), textsOf(args[2])
	out := fixedOut[int64](f)
	var fromSpan, toSpan zoneSpan
	for i := range f.live {
		a, b := f.ctx.zone(from.at(i)), f.ctx.zone(to.at(i))
		out[i] = x.at(i)
		if a == nil || b == nil {
			f.null(i)
			continue
		}
		if instant := fromSpan.toInstant(a, x.at(i)); instant >= 0 && instant <= maxUnixSeconds*microsPerSecond+microsPerSecond-1 {
			out[i] = toSpan.toWall(b, instant)
		}
	}
	return nil
})

// maxZones bounds how many zones are remembered.
const maxZones = 1000

// zone finds a zone by its name, nil if there is none.
func (c *Context) zone(name []byte) *time.Location {
	if z, ok := c.scratch.zones[string(name)]; ok {
		return z
	}
	z, err := LoadZone(string(name), c.location())
	if err != nil {
		z = nil
	}
	if c.scratch.zones == nil || len(c.scratch.zones) >= maxZones {
		c.scratch.zones = make(map[string]*time.Location)
	}
	c.scratch.zones[string(name)] = z
	return z
}

// FuncMakeTime is MAKETIME(hour, minute, second) for BIGINT hours and minutes
// and DECIMAL seconds; NULL where they are no time.
var FuncMakeTime = propagate(func(f *frame, args []Vector) error {
	hours, minutes := viewOf[int64](args[0]), viewOf[int64](args[1])
	seconds := spansOf(args[2], Second)
	out := fixedOut[int64](f)
	for i := range f.live {
		h, m, s := hours.at(i), minutes.at(i), seconds(i)
		out[i] = 0
		if m < 0 || m > 59 || s.over || s.micros < 0 || s.micros >= microsPerMinute {
			f.null(i)
			continue
		}
		h = max(min(h, math.MaxInt32), -math.MaxInt32)
		t := m*microsPerMinute + s.micros
		if h < 0 {
			t = -t
		}
		out[i] = f.timeOf(i, h*microsPerHour+t)
	}
	return nil
})
