package kernel

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/leatdb/leat/sql/types"
)

// Unit is the unit of an INTERVAL.
type Unit uint8

// The units, as MySQL names them.
const (
	Microsecond Unit = iota
	Second
	Minute
	Hour
	Day
	Week
	Month
	Quarter
	Year
	SecondMicrosecond
	MinuteMicrosecond
	MinuteSecond
	HourMicrosecond
	HourSecond
	HourMinute
	DayMicrosecond
	DaySecond
	DayMinute
	DayHour
	YearMonth
)

var unitNames = []string{
	"MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
	"SECOND_MICROSECOND", "MINUTE_MICROSECOND", "MINUTE_SECOND", "HOUR_MICROSECOND", "HOUR_SECOND", "HOUR_MINUTE",
	"DAY_MICROSECOND", "DAY_SECOND", "DAY_MINUTE", "DAY_HOUR", "YEAR_MONTH",
}

// String is the unit's name in SQL.
func (u Unit) String() string { return unitNames[u] }

// ParseUnit finds a unit by its name, in any case; TIMESTAMPDIFF's SQL_TSI_
// prefix is allowed.
func ParseUnit(name string) (Unit, error) {
	i := slices.Index(unitNames, strings.TrimPrefix(strings.ToUpper(name), "SQL_TSI_"))
	if i < 0 {
		return 0, fmt.Errorf("unknown interval unit %s; known are %s", name, strings.Join(unitNames, ", "))
	}
	return Unit(i), nil
}

// IsDate reports whether the unit counts whole days, so that a DATE moved by it
// stays a DATE.
func (u Unit) IsDate() bool { return u >= Day && u <= Year || u == YearMonth }

// HasMicros reports whether the unit goes below the second.
func (u Unit) HasMicros() bool {
	switch u {
	case Microsecond, SecondMicrosecond, MinuteMicrosecond, HourMicrosecond, DayMicrosecond:
		return true
	}
	return false
}

// IsCompound reports whether the interval is a text of several numbers.
func (u Unit) IsCompound() bool { return u >= SecondMicrosecond }

// inMonths is the unit's months, 0 if it has a length in time.
func (u Unit) inMonths() int64 {
	switch u {
	case Month:
		return 1
	case Quarter:
		return 3
	case Year:
		return 12
	}
	return 0
}

// inMicros is the length of a simple unit that has one.
func (u Unit) inMicros() int64 {
	switch u {
	case Microsecond:
		return 1
	case Second:
		return microsPerSecond
	case Minute:
		return microsPerMinute
	case Hour:
		return microsPerHour
	case Day:
		return microsPerDay
	case Week:
		return 7 * microsPerDay
	}
	return 0
}

// compound are the lengths of a compound unit's numbers, in µs (YEAR_MONTH: in
// months).
func (u Unit) compound() []int64 {
	all := []int64{microsPerDay, microsPerHour, microsPerMinute, microsPerSecond, 1}
	switch u {
	case SecondMicrosecond:
		return all[3:]
	case MinuteMicrosecond:
		return all[2:]
	case MinuteSecond:
		return all[2:4]
	case HourMicrosecond:
		return all[1:]
	case HourSecond:
		return all[1:4]
	case HourMinute:
		return all[1:3]
	case DayMicrosecond:
		return all
	case DaySecond:
		return all[:4]
	case DayMinute:
		return all[:3]
	case DayHour:
		return all[:2]
	}
	return []int64{12, 1}
}

// span is an interval: months and µs.
type span struct {
	months, micros int64
	// over says that it is longer than any date reaches; one of µs is then maxSpan
	// long, with its sign.
	over bool
}

// maxSpan bounds intervals so that adding one cannot overflow.
const maxSpan = math.MaxInt64 / 4

func (u Unit) times(n int64) span {
	if m := u.inMonths(); m != 0 {
		if n > 12*10000 || n < -12*10000 {
			return span{over: true}
		}
		return span{months: n * m}
	}
	switch hi, lo := mulSigned(n, u.inMicros()); {
	case hi == lo>>63 && lo <= maxSpan && lo >= -maxSpan:
		return span{micros: lo}
	case n < 0:
		return span{micros: -maxSpan, over: true}
	}
	return span{micros: maxSpan, over: true}
}

// parse reads a compound interval: numbers with anything between them. Where
// there are fewer than the unit has, the first ones are missing.
func (u Unit) parse(s []byte) (p span) {
	units := u.compound()
	negative := false
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	if i < len(s) && s[i] == '-' {
		negative = true
		i++
	}
	var numbers [5]int64
	var widths [5]int
	n := 0
	for n < len(units) {
		for i < len(s) && !isDigit(s[i]) {
			i++
		}
		if i == len(s) {
			break
		}
		for ; i < len(s) && isDigit(s[i]); i++ {
			numbers[n] = min(numbers[n]*10+int64(s[i]-'0'), 1e15)
			widths[n]++
		}
		n++
	}
	if n > 0 && u.HasMicros() {
		// The last number is a fraction: .5 is 500000 µs.
		for ; widths[n-1] < 6; widths[n-1]++ {
			numbers[n-1] *= 10
		}
	}
	total := int64(0)
	for k := range n {
		hi, lo := mulSigned(numbers[k], units[len(units)-n+k])
		if hi != 0 || lo < 0 || lo > maxSpan {
			return span{over: true}
		}
		if total += lo; total > maxSpan {
			return span{over: true}
		}
	}
	if negative {
		total = -total
	}
	if u == YearMonth {
		return span{months: total, over: total > 12*10000 || total < -12*10000}
	}
	return span{micros: total}
}

func (p span) negated() span { return span{-p.months, -p.micros, p.over} }

// add moves a date and time, to the month's last day where it has not so many.
// ok is false if it leaves the calendar.
func (p span) add(t int64) (_ int64, ok bool) {
	if p.over {
		return 0, false
	}
	if p.months != 0 {
		days, micros := splitMicros(t)
		y, m, d := civilFromDays(days)
		month := int64(y)*12 + int64(m) - 1 + p.months
		if month < 0 || month >= 12*10000 {
			return 0, false
		}
		y, m = int(month/12), int(month%12)+1
		t = int64(daysFromCivil(y, m, min(d, daysInMonth(y, m))))*microsPerDay + micros
	}
	t += p.micros
	return t, t >= minMicros && t <= maxMicros
}

// spansOf reads the number of an interval: BIGINT, DECIMAL for fractions of
// seconds, or text for compound units.
func spansOf(v Vector, u Unit) func(i int) span {
	if u.IsCompound() {
		x := textsOf(v)
		return func(i int) span { return u.parse(x.at(i)) }
	}
	if d, ok := v.Array.DataType().(interface{ GetScale() int32 }); ok {
		x := viewOf[decimalValue](v)
		return func(i int) span {
			micros, fits := rescale(x.at(i), int(d.GetScale()), 6, types.MaxDecimalPrecision)
			m, negative := magnitude(micros)
			p := span{micros: int64(m.lo)}
			if !fits || m.hi != 0 || m.lo > maxSpan {
				p = span{micros: maxSpan, over: true}
			}
			if negative {
				return p.negated()
			}
			return p
		}
	}
	x := viewOf[int64](v)
	return func(i int) span { return u.times(x.at(i)) }
}

// FuncDateAdd moves a date or time of type t (DATE, TIME, DATETIME, TIMESTAMP,
// or text, which stays text) by an interval: BIGINT, for SECOND also DECIMAL,
// for compound units text. Leaving the calendar fails in strict mode and is
// NULL otherwise.
func FuncDateAdd(t types.Type, u Unit, subtract bool) Func {
	signed := func(p span) span {
		if subtract {
			return p.negated()
		}
		return p
	}
	if t.Kind == types.String || t.Kind == types.Binary {
		return propagate(func(f *frame, args []Vector) error {
			return textDateAdd(f, textsOf(args[0]), u, func(read func(int) span) func(int) span {
				return func(i int) span { return signed(read(i)) }
			}(spansOf(args[1], u)))
		})
	}
	return propagate(func(f *frame, args []Vector) error {
		spans := spansOf(args[1], u)
		if t.Kind == types.Time && f.out.Kind == types.Time {
			x := viewOf[int64](args[0])
			out := fixedOut[int64](f)
			for i := range f.live {
				p := signed(spans(i))
				out[i] = x.at(i) + p.micros
				if p.over || out[i] > maxTime || out[i] < -maxTime {
					f.failOrNull(i, errTimeOverflow)
				}
			}
			return nil
		}
		x := wallsOf(f.ctx, args[0], t)
		if f.out.Kind == types.Date {
			out := fixedOut[int32](f)
			for i := range f.live {
				moved, ok := signed(spans(i)).add(x.at(i))
				if out[i], _ = splitMicros(moved); !ok {
					f.failOrNull(i, errDatetimeOverflow)
				}
			}
			return nil
		}
		out := fixedOut[int64](f)
		for i := range f.live {
			var ok bool
			if out[i], ok = signed(spans(i)).add(x.at(i)); !ok {
				f.failOrNull(i, errDatetimeOverflow)
			}
		}
		return nil
	})
}

// textDateAdd moves dates in text, which stay as precise as they are.
func textDateAdd(f *frame, x texts, u Unit, spans func(int) span) error {
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		m, ok := parseDateTime(x.at(i))
		if !ok {
			f.failOrNull(i, errIncorrect("datetime", x.at(i)))
			continue
		}
		t, ok := spans(i).add(m.wall(f.ctx))
		if !ok {
			f.failOrNull(i, errDatetimeOverflow)
			continue
		}
		switch {
		case !m.hasTime && u.IsDate():
			days, _ := splitMicros(t)
			out.buf = appendDate(out.buf, days)
		case floorMod(t, microsPerSecond) != 0:
			out.buf = appendDateTime(out.buf, t, 6)
		default:
			out.buf = appendDateTime(out.buf, t, 0)
		}
	}
	return out.finish()
}

// FuncTimestampDiff counts the whole units from the first DATETIME to the second.
func FuncTimestampDiff(u Unit) Func {
	return propagate(func(f *frame, args []Vector) error {
		from, to := viewOf[int64](args[0]), viewOf[int64](args[1])
		out := fixedOut[int64](f)
		months := u.inMonths()
		if months == 0 {
			unit := u.inMicros()
			for i := range out {
				out[i] = (to.at(i) - from.at(i)) / unit
			}
			return nil
		}
		for i := range f.live {
			out[i] = monthsBetween(from.at(i), to.at(i)) / months
		}
		return nil
	})
}

// monthsBetween counts the whole months from one time to another.
func monthsBetween(from, to int64) int64 {
	if to < from {
		return -monthsBetween(to, from)
	}
	fromDays, fromMicros := splitMicros(from)
	toDays, toMicros := splitMicros(to)
	y1, m1, d1 := civilFromDays(fromDays)
	y2, m2, d2 := civilFromDays(toDays)
	months := int64(y2-y1)*12 + int64(m2-m1)
	if d2 < d1 || d2 == d1 && toMicros < fromMicros {
		months--
	}
	return months
}
