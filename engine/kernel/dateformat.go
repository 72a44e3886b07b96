package kernel

import (
	"bytes"
	"strconv"

	"github.com/leatdb/leat/sql/types"
)

var (
	monthNames = [...]string{
		"January", "February", "March", "April", "May", "June",
		"July", "August", "September", "October", "November", "December",
	}
	dayNames = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

// FuncDateFormat is DATE_FORMAT(date, format) of a DATE, DATETIME or TIMESTAMP,
// with English names, and TIME_FORMAT of a TIME.
func FuncDateFormat(t types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := temporalView(f.ctx, args[0], t)
		formats := textsOf(args[1])
		unit := int64(0)
		if args[1].Const {
			unit = finestUnit(formats.at(0))
		}
		out := newTextOut(f)
		// The text of the row before, which is that of all times from since on for a
		// unit: times come more or less in their order.
		var since int64
		var begin, end int
		for i := range f.live {
			out.start(i)
			micros := x(i)
			if t.Kind == types.Time {
				if namesDay(formats.at(i)) {
					f.null(i)
					continue
				}
				c, negative := clockOfTime(micros)
				c.year, c.month, c.day = 0, 0, 0
				if negative {
					out.buf = append(out.buf, '-')
				}
				out.buf = appendFormatted(out.buf, c, formats.at(i))
				continue
			}
			if uint64(micros-since) < uint64(unit) && end > begin {
				out.buf = append(out.buf, out.buf[begin:end]...)
				continue
			}
			begin = len(out.buf)
			out.buf = appendFormatted(out.buf, clockOf(micros), formats.at(i))
			end = len(out.buf)
			if unit > 0 {
				since = floorDiv(micros, unit) * unit
			}
		}
		return out.finish()
	})
}

// namesDay reports whether a format has what a time without a date has not, as the
// name of its day; the numbers of its year, month and day are 0.
func namesDay(format []byte) bool {
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if bytes.IndexByte([]byte("abDjMUuVvWwXx"), format[i]) >= 0 {
			return true
		}
	}
	return false
}

// finestUnit is how long, in µs, a format's text stays the same.
func finestUnit(format []byte) int64 {
	unit := int64(microsPerDay)
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		switch format[i] {
		case 'f':
			unit = 1
		case 'r', 'S', 's', 'T':
			unit = min(unit, microsPerSecond)
		case 'i':
			unit = min(unit, microsPerMinute)
		case 'H', 'h', 'I', 'k', 'l', 'p':
			unit = min(unit, microsPerHour)
		}
	}
	return unit
}

// appendFormatted prints a clock as DATE_FORMAT's specifiers say.
func appendFormatted(dst []byte, c clock, format []byte) []byte {
	days := daysFromCivil(c.year, c.month, c.day)
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			dst = append(dst, format[i])
			continue
		}
		i++
		switch format[i] {
		case 'a':
			dst = append(dst, dayNames[weekday(days)][:3]...)
		case 'b':
			dst = append(dst, monthNames[c.month-1][:3]...)
		case 'c':
			dst = strconv.AppendInt(dst, int64(c.month), 10)
		case 'D':
			dst = strconv.AppendInt(dst, int64(c.day), 10)
			dst = append(dst, ordinal(c.day)...)
		case 'd':
			dst = appendDigits(dst, c.day, 2)
		case 'e':
			dst = strconv.AppendInt(dst, int64(c.day), 10)
		case 'f':
			dst = appendDigits(dst, c.micros, 6)
		case 'H':
			dst = appendDigits(dst, c.hour, 2)
		case 'h', 'I':
			dst = appendDigits(dst, (c.hour+11)%12+1, 2)
		case 'i':
			dst = appendDigits(dst, c.minute, 2)
		case 'j':
			dst = appendDigits(dst, dayOfYear(days), 3)
		case 'k':
			dst = strconv.AppendInt(dst, int64(c.hour), 10)
		case 'l':
			dst = strconv.AppendInt(dst, int64((c.hour+11)%12+1), 10)
		case 'M':
			dst = append(dst, monthNames[c.month-1]...)
		case 'm':
			dst = appendDigits(dst, c.month, 2)
		case 'p':
			dst = append(dst, half(c.hour)...)
		case 'r':
			dst = append(appendDigits(dst, (c.hour+11)%12+1, 2), ':')
			dst = append(appendDigits(dst, c.minute, 2), ':')
			dst = append(appendDigits(dst, c.second, 2), ' ')
			dst = append(dst, half(c.hour)...)
		case 'S', 's':
			dst = appendDigits(dst, c.second, 2)
		case 'T':
			dst = AppendTime(dst, c.timeOfDay(), 0)
		case 'U':
			dst = appendWeek(dst, days, 0)
		case 'u':
			dst = appendWeek(dst, days, 1)
		case 'V':
			dst = appendWeek(dst, days, 2)
		case 'v':
			dst = appendWeek(dst, days, 3)
		case 'W':
			dst = append(dst, dayNames[weekday(days)]...)
		case 'w':
			dst = append(dst, byte('0'+weekdayFrom(days, false)))
		case 'X':
			_, y := week(days, weekModeOf(2))
			dst = appendDigits(dst, y, 4)
		case 'x':
			_, y := week(days, weekModeOf(3))
			dst = appendDigits(dst, y, 4)
		case 'Y':
			dst = appendDigits(dst, c.year, 4)
		case 'y':
			dst = appendDigits(dst, c.year%100, 2)
		default: // %% among them
			dst = append(dst, format[i])
		}
	}
	return dst
}

func appendWeek(dst []byte, days int32, mode int64) []byte {
	w, _ := week(days, weekModeOf(mode))
	return appendDigits(dst, w, 2)
}

func half(hour int) string {
	if hour%24 < 12 {
		return "AM"
	}
	return "PM"
}

func ordinal(day int) string {
	if day >= 11 && day <= 13 {
		return "th"
	}
	switch day % 10 {
	case 1:
		return "st"
	case 2:
		return "nd"
	case 3:
		return "rd"
	}
	return "th"
}

// FuncDayName is DAYNAME, FuncMonthName is MONTHNAME of a DATE.
var (
	FuncDayName = propagate(func(f *frame, args []Vector) error {
		return appendNames(f, args, func(d int32) string { return dayNames[weekday(d)] })
	})
	FuncMonthName = propagate(func(f *frame, args []Vector) error {
		return appendNames(f, args, func(d int32) string { _, m, _ := civilFromDays(d); return monthNames[m-1] })
	})
)

func appendNames(f *frame, args []Vector, name func(int32) string) error {
	x := viewOf[int32](args[0])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		out.buf = append(out.buf, name(x.at(i))...)
	}
	return out.finish()
}

// FormatKind is what STR_TO_DATE makes by a format: DATE, TIME or DATETIME, and
// the fractional digits.
func FormatKind(format string) (kind types.Kind, fsp int) {
	date, clock := false, false
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		switch format[i] {
		case 'f':
			clock = true
			fsp = 6
		case 'H', 'h', 'I', 'i', 'k', 'l', 'p', 'r', 'S', 's', 'T':
			clock = true
		case 'M', 'm', 'b', 'c', 'D', 'd', 'e', 'j', 'Y', 'y', 'U', 'u', 'V', 'v', 'W', 'w', 'X', 'x', 'a':
			date = true
		}
	}
	switch {
	case date && clock:
		return types.DateTime, fsp
	case clock:
		return types.Time, fsp
	}
	return types.Date, 0
}

// FuncStrToDate is STR_TO_DATE(text, format). A text that does not match fails
// in strict mode and is NULL otherwise.
var FuncStrToDate = propagate(func(f *frame, args []Vector) error {
	x, formats := textsOf(args[0]), textsOf(args[1])
	var dates []int32
	var times []int64
	if f.out.Kind == types.Date {
		dates = fixedOut[int32](f)
	} else {
		times = fixedOut[int64](f)
	}
	for i := range f.live {
		var p dateParser
		rest, ok := p.parse(x.at(i), formats.at(i))
		c, ok2 := p.clock(f.out.Kind == types.Time)
		if !ok || !ok2 {
			f.failOrNull(i, errIncorrectFor("datetime", x.at(i), "str_to_date"))
			c = clock{year: 1970, month: 1, day: 1}
		} else if !onlySpaces(rest) {
			f.warn(i, errTruncated(kindWord(f.out.Kind), x.at(i)))
		}
		switch f.out.Kind {
		case types.Date:
			dates[i] = daysFromCivil(c.year, c.month, c.day)
		case types.Time:
			times[i] = c.timeOfDay()
		default:
			times[i] = c.total()
		}
	}
	return nil
})

func kindWord(k types.Kind) string {
	switch k {
	case types.Date:
		return "date"
	case types.Time:
		return "time"
	}
	return "datetime"
}

// dateParser collects what a text says by STR_TO_DATE's format (MySQL's
// extract_date_time).
type dateParser struct {
	c             clock
	twelve, pm    bool
	yearDay       int
	weekday       int // 1 is Monday, 7 Sunday
	week          int
	hasWeek       bool
	sundayFirst   bool
	strictWeek    bool
	weekYear      int
	hasWeekYear   bool
	weekYearStart bool // %X: of weeks that begin on Sunday
}

// parse reads s by the format and gives what is left of it.
func (p *dateParser) parse(s, format []byte) (rest []byte, ok bool) {
	number := func(width int) (n int, ok bool) {
		end := min(digitsAt(s, 0), width)
		for _, c := range s[:end] {
			n = n*10 + int(c-'0')
		}
		s = s[end:]
		return n, end > 0
	}
	for i := 0; i < len(format) && len(s) > 0; i++ {
		for len(s) > 0 && isSpace(s[0]) {
			s = s[1:]
		}
		if len(s) == 0 {
			break
		}
		if format[i] != '%' || i+1 == len(format) {
			if isSpace(format[i]) {
				continue
			}
			if s[0] != format[i] {
				return s, false
			}
			s = s[1:]
			continue
		}
		i++
		ok := true
		switch format[i] {
		case 'Y':
			before := len(s)
			p.c.year, ok = number(4)
			if before-len(s) <= 2 {
				p.c.year = twoDigitYear(p.c.year)
			}
		case 'y':
			p.c.year, ok = number(2)
			p.c.year = twoDigitYear(p.c.year)
		case 'm', 'c':
			p.c.month, ok = number(2)
		case 'd', 'e':
			p.c.day, ok = number(2)
		case 'D':
			if p.c.day, ok = number(2); ok {
				s = s[min(2, len(s)):]
			}
		case 'H', 'k':
			p.c.hour, ok = number(2)
		case 'h', 'I', 'l':
			p.twelve = true
			p.c.hour, ok = number(2)
		case 'i':
			p.c.minute, ok = number(2)
		case 's', 'S':
			p.c.second, ok = number(2)
		case 'f':
			n := min(digitsAt(s, 0), 6)
			p.c.micros, _, _ = fractionDigits(s[:n])
			s = s[n:]
			ok = n > 0
		case 'p':
			p.twelve = true
			if ok = len(s) >= 2 && s[1]|0x20 == 'm' && (s[0]|0x20 == 'a' || s[0]|0x20 == 'p'); ok {
				p.pm = s[0]|0x20 == 'p'
				s = s[2:]
			}
		case 'M':
			p.c.month, s, ok = matchName(s, monthNames[:], 0)
		case 'b':
			p.c.month, s, ok = matchName(s, monthNames[:], 3)
		case 'W':
			p.weekday, s, ok = matchName(s, dayNames[:], 0)
		case 'a':
			p.weekday, s, ok = matchName(s, dayNames[:], 3)
		case 'w':
			p.weekday, ok = number(1)
			if ok = ok && p.weekday < 7; p.weekday == 0 {
				p.weekday = 7
			}
		case 'j':
			p.yearDay, ok = number(3)
		case 'U', 'u', 'V', 'v':
			p.week, ok = number(2)
			p.hasWeek = true
			p.sundayFirst = format[i] == 'U' || format[i] == 'V'
			p.strictWeek = format[i]|0x20 == 'v'
			ok = ok && p.week <= 53 && (!p.strictWeek || p.week > 0)
		case 'X', 'x':
			p.weekYear, ok = number(4)
			p.hasWeekYear, p.weekYearStart = true, format[i] == 'X'
		case 'r':
			p.twelve = true
			if s, ok = p.parse(s, []byte("%h:%i:%S %p")); !ok {
				return s, false
			}
		case 'T':
			if s, ok = p.parse(s, []byte("%H:%i:%S")); !ok {
				return s, false
			}
		case '.':
			for len(s) > 0 && isPunct(s[0]) {
				s = s[1:]
			}
		case '@':
			for len(s) > 0 && s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z' {
				s = s[1:]
			}
		case '#':
			s = s[digitsAt(s, 0):]
		case '%':
			if ok = s[0] == '%'; ok {
				s = s[1:]
			}
		default:
			return s, false
		}
		if !ok {
			return s, false
		}
	}
	return s, true
}

// matchName finds which name s begins with, counted from 1; n is how many of
// its letters stand there, 0 for all.
func matchName(s []byte, names []string, n int) (number int, rest []byte, ok bool) {
	for i, name := range names {
		if n > 0 {
			name = name[:n]
		}
		if len(s) >= len(name) && equalFold(s[:len(name)], name) {
			return i + 1, s[len(name):], true
		}
	}
	return 0, s, false
}

func equalFold(s []byte, name string) bool {
	for i := range len(name) {
		if s[i]|0x20 != name[i]|0x20 {
			return false
		}
	}
	return true
}

// clock is the date and time that was read, without a date if timeOnly.
func (p *dateParser) clock(timeOnly bool) (c clock, ok bool) {
	c = p.c
	if p.twelve {
		if c.hour > 12 || c.hour < 1 {
			return c, false
		}
		c.hour %= 12
		if p.pm {
			c.hour += 12
		}
	}
	if timeOnly {
		c.year, c.month, c.day = 1970, 1, 1
		return c, c.valid()
	}
	if p.yearDay > 0 {
		d := daysFromCivil(c.year, 1, 1) + int32(p.yearDay) - 1
		c.year, c.month, c.day = civilFromDays(d)
	}
	if p.hasWeek && p.weekday > 0 {
		year := c.year
		if p.strictWeek {
			year = p.weekYear
			if !p.hasWeekYear || p.weekYearStart != p.sundayFirst {
				return c, false
			}
		} else if p.hasWeekYear {
			return c, false
		}
		first := daysFromCivil(year, 1, 1)
		begin := weekdayFrom(first, !p.sundayFirst)
		shift := -begin
		if p.sundayFirst {
			if begin != 0 {
				shift += 7
			}
			shift += (p.week-1)*7 + p.weekday%7
		} else {
			if begin > 3 {
				shift += 7
			}
			shift += (p.week-1)*7 + p.weekday - 1
		}
		c.year, c.month, c.day = civilFromDays(first + int32(shift))
	}
	return c, c.valid()
}
