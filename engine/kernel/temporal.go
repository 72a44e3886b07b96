package kernel

import (
	"bytes"
	"strings"
	"time"

	"github.com/leatdb/leat/sql/types"
)

// moment is a date, with or without a time, that was found in a text.
type moment struct {
	// t is in µs since 1970: what a clock shows, or with an offset from UTC the
	// instant. It is cut, nanos are the rest.
	t         int64
	nanos     int
	hasTime   bool
	hasOffset bool
	// truncated says that something follows that does not belong to it.
	truncated bool
}

// wall is what clocks of the zone show.
func (m moment) wall(ctx *Context) int64 {
	if m.hasOffset {
		return ctx.scratch.zone.toWall(ctx.location(), m.t)
	}
	return m.t
}

// instant is the moment in UTC.
func (m moment) instant(ctx *Context) int64 {
	if m.hasOffset {
		return m.t
	}
	return ctx.scratch.zone.toInstant(ctx.location(), m.t)
}

// parseDateTime reads a date, with or without a time, as MySQL reads strings
// (and more of ISO 8601): fields of digits with any punctuation between them or
// none at all, two-digit years, a fraction of a second, and behind it Z or an
// offset from UTC. ok says that there is a valid date.
func parseDateTime(s []byte) (m moment, ok bool) {
	s = trimSpaces(s)
	if len(s) == 0 || !isDigit(s[0]) {
		return m, false
	}
	if c, end, ok := scanISO(s); ok {
		return finishDateTime(s, end, c, end > 10)
	}
	digits := digitsAt(s, 0)
	if digits >= 5 && (digits == len(s) || bytes.IndexByte([]byte(".,TtZz+"), s[digits]) >= 0) {
		return parseCompact(s, digits)
	}
	var fields [6]int
	i, field, yearDigits := 0, 0, 0
	for field < 6 {
		width := 2
		if field == 0 {
			width = 4
		}
		j := min(digitsAt(s, i), i+width)
		if field == 0 {
			yearDigits = j
		}
		for _, d := range s[i:j] {
			fields[field] = fields[field]*10 + int(d-'0')
		}
		i = j
		field++
		if field == 6 || i == len(s) {
			break
		}
		// What separates this field from the next.
		k := i
		switch {
		case field == 3 && (s[k] == 'T' || s[k] == 't'):
			k++
		case field == 3:
			for k < len(s) && (isSpace(s[k]) || isPunct(s[k])) {
				k++
			}
		case field > 3 && (s[k] == '+' || s[k] == '-' || s[k] == '.'):
		default:
			for k < len(s) && isPunct(s[k]) {
				k++
			}
		}
		if k == i || k == len(s) || !isDigit(s[k]) {
			break
		}
		i = k
	}
	if field < 3 {
		return m, false
	}
	c := clock{year: fields[0], month: fields[1], day: fields[2], hour: fields[3], minute: fields[4], second: fields[5]}
	if yearDigits <= 2 {
		c.year = twoDigitYear(c.year)
	}
	return finishDateTime(s, i, c, field > 3)
}

func trimSpaces(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// scanISO reads YYYY-MM-DD, alone or with hh:mm:ss behind a space or T: the
// beginning of nearly all values.
func scanISO(s []byte) (c clock, end int, ok bool) {
	if len(s) != 10 && len(s) < 19 || s[4] != '-' || s[7] != '-' {
		return c, 0, false
	}
	var ok1, ok2, ok3 bool
	c.year, ok1 = fourDigits(s)
	c.month, ok2 = twoDigits(s[5:])
	c.day, ok3 = twoDigits(s[8:])
	if !ok1 || !ok2 || !ok3 {
		return c, 0, false
	}
	if len(s) == 10 {
		return c, 10, true
	}
	if s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return c, 0, false
	}
	c.hour, ok1 = twoDigits(s[11:])
	c.minute, ok2 = twoDigits(s[14:])
	c.second, ok3 = twoDigits(s[17:])
	return c, 19, ok1 && ok2 && ok3
}

func twoDigits(s []byte) (int, bool) {
	a, b := s[0]-'0', s[1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func fourDigits(s []byte) (int, bool) {
	a, ok1 := twoDigits(s)
	b, ok2 := twoDigits(s[2:])
	return a*100 + b, ok1 && ok2
}

// fractionDigits reads the digits behind the second: µs, and ns beyond.
func fractionDigits(s []byte) (micros, nanos, end int) {
	unit := 100_000_000
	total := 0
	for end < len(s) && isDigit(s[end]) {
		total += int(s[end]-'0') * unit
		unit /= 10
		end++
	}
	return total / 1000, total % 1000, end
}

func isPunct(c byte) bool {
	return c >= '!' && c <= '/' || c >= ':' && c <= '@' || c >= '[' && c <= '`' || c >= '{' && c <= '~'
}

func twoDigitYear(y int) int {
	if y < 70 {
		return 2000 + y
	}
	return 1900 + y
}

// parseCompact reads YYYYMMDD[hhmmss] and YYMMDD[hhmmss], where T may stand
// before the time. digits is how many s begins with.
func parseCompact(s []byte, digits int) (m moment, ok bool) {
	var run [14]byte
	n := copy(run[:], s[:digits])
	if digits > len(run) {
		return m, false
	}
	end := digits
	if end < len(s) && s[end]|0x20 == 't' && (digits == 8 || digits == 6) {
		if last := digitsAt(s, end+1); last > end+1 {
			n += copy(run[n:], s[end+1:last])
			end = last
		}
	}
	var c clock
	at := 0
	next := func(width int) (v int) {
		for ; width > 0 && at < n; width-- {
			v = v*10 + int(run[at]-'0')
			at++
		}
		return v
	}
	if digits == 8 || digits == 14 {
		c.year = next(4)
	} else {
		c.year = twoDigitYear(next(2))
	}
	c.month, c.day = next(2), next(2)
	hasTime := at < n
	c.hour, c.minute, c.second = next(2), next(2), next(2)
	return finishDateTime(s, end, c, hasTime)
}

// finishDateTime reads the fraction and the offset that may follow the fields.
func finishDateTime(s []byte, i int, c clock, hasTime bool) (m moment, ok bool) {
	if hasTime && i < len(s) && (s[i] == '.' || s[i] == ',') {
		micros, nanos, n := fractionDigits(s[i+1:])
		c.micros, m.nanos = micros, nanos
		i += 1 + n
	}
	if !c.valid() {
		return m, false
	}
	m.t, m.hasTime = c.total(), hasTime
	if offset, end, found := parseOffset(s, i); found && hasTime {
		m.t -= offset * microsPerSecond
		m.hasOffset = true
		i = end
	}
	m.truncated = i < len(s)
	return m, m.t >= minMicros && m.t <= maxMicros
}

// parseOffset reads Z, +hh:mm, +hhmm or +hh at s[i:], in seconds east of UTC.
func parseOffset(s []byte, i int) (seconds int64, end int, ok bool) {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	if i == len(s) {
		return 0, i, false
	}
	if s[i] == 'Z' || s[i] == 'z' {
		return 0, i + 1, true
	}
	if s[i] != '+' && s[i] != '-' || i+3 > len(s) {
		return 0, i, false
	}
	negative := s[i] == '-'
	hours, ok := twoDigits(s[i+1:])
	if !ok || hours > 14 {
		return 0, i, false
	}
	end = i + 3
	minutes := 0
	if end < len(s) && s[end] == ':' {
		end++
	}
	if end+2 <= len(s) {
		if m, ok := twoDigits(s[end:]); ok && m < 60 {
			minutes = m
			end += 2
		}
	}
	seconds = int64(hours)*3600 + int64(minutes)*60
	if negative {
		seconds = -seconds
	}
	return seconds, end, true
}

// parseTime reads a time of day as MySQL reads strings: [days ]hh:mm[:ss][.f],
// hh:mm, hhmmss, ss, or the time of a date and time. truncated says that
// something follows; ok that there is a time, in µs, perhaps out of a day's range.
func parseTime(ctx *Context, s []byte) (t int64, nanos int, truncated, ok bool) {
	s = trimSpaces(s)
	// A text of 12 bytes and more may be a date and time.
	if len(s) >= 12 {
		if m, ok := parseDateTime(s); ok && m.hasTime {
			_, micros := splitMicros(m.wall(ctx))
			return micros, m.nanos, m.truncated, true
		}
	}
	negative := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	field := func(i int) (n int64, end int) {
		for end = i; end < len(s) && isDigit(s[end]); end++ {
			n = min(n*10+int64(s[end]-'0'), 1e12)
		}
		return n, end
	}
	first, i := field(0)
	if i == 0 {
		return 0, 0, false, false
	}
	var days, hours, minutes, seconds int64
	switch {
	case i+1 < len(s) && s[i] == ' ' && isDigit(s[i+1]): // days hh[:mm[:ss]]
		days = first
		hours, i = field(i + 1)
		minutes, seconds, i = minutesAndSeconds(s, i, field)
	case i+1 < len(s) && s[i] == ':' && isDigit(s[i+1]):
		hours = first
		minutes, seconds, i = minutesAndSeconds(s, i, field)
	default:
		hours, minutes, seconds = first/10000, first/100%100, first%100
	}
	micros := 0
	if i < len(s) && s[i] == '.' {
		var n int
		micros, nanos, n = fractionDigits(s[i+1:])
		i += 1 + n
	}
	if minutes > 59 || seconds > 59 || days > 1e6 || hours > 1e8 {
		return 0, 0, false, false
	}
	if _, end, found := parseOffset(s, i); found {
		i = end // a time of day has no instant that an offset could move
	}
	t = days*microsPerDay + hours*microsPerHour + minutes*microsPerMinute + seconds*microsPerSecond + int64(micros)
	if negative {
		t = -t
	}
	return t, nanos, i < len(s), true
}

func minutesAndSeconds(s []byte, i int, field func(int) (int64, int)) (minutes, seconds int64, end int) {
	if i+1 < len(s) && s[i] == ':' && isDigit(s[i+1]) {
		minutes, i = field(i + 1)
		if i+1 < len(s) && s[i] == ':' && isDigit(s[i+1]) {
			seconds, i = field(i + 1)
		}
	}
	return minutes, seconds, i
}

// dateTimeFromNumber reads YYYYMMDD[hhmmss] or YYMMDD[hhmmss].
func dateTimeFromNumber(n int64) (c clock, hasTime, ok bool) {
	switch {
	case n < 101:
		return c, false, false
	case n <= 691231:
		n = (n + 20000000) * 1000000
	case n < 700101:
		return c, false, false
	case n <= 991231:
		n = (n + 19000000) * 1000000
	case n < 10000101:
		return c, false, false
	case n <= 99991231:
		n *= 1000000
	case n < 101000000:
		return c, false, false
	case n <= 691231235959:
		n += 20000000000000
		hasTime = true
	case n < 700101000000:
		return c, false, false
	case n <= 991231235959:
		n += 19000000000000
		hasTime = true
	default:
		hasTime = true
	}
	date, clockPart := n/1000000, n%1000000
	if date > 99991231 {
		return c, false, false
	}
	c.year, c.month, c.day = int(date/10000), int(date/100%100), int(date%100)
	c.hour, c.minute, c.second = int(clockPart/10000), int(clockPart/100%100), int(clockPart%100)
	return c, hasTime, c.valid()
}

// appendDigits appends n with leading zeros to the width.
func appendDigits(dst []byte, n, width int) []byte {
	switch {
	case width == 2 && n < 100:
		return append(dst, byte('0'+n/10), byte('0'+n%10))
	case width == 4 && n < 10000:
		return append(dst, byte('0'+n/1000), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
	}
	var buf [20]byte
	at := len(buf)
	for n > 0 || len(buf)-at < width {
		at--
		buf[at] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, buf[at:]...)
}

// appendDate prints YYYY-MM-DD.
func appendDate(dst []byte, days int32) []byte {
	y, m, d := civilFromDays(days)
	dst = append(appendDigits(dst, y, 4), '-')
	dst = append(appendDigits(dst, m, 2), '-')
	return appendDigits(dst, d, 2)
}

// AppendTime prints hh:mm:ss of a TIME, or of a time of day, and fsp fractional digits.
func AppendTime(dst []byte, micros int64, fsp int) []byte {
	if micros < 0 {
		dst = append(dst, '-')
		micros = -micros
	}
	dst = append(appendDigits(dst, int(micros/microsPerHour), 2), ':')
	dst = append(appendDigits(dst, int(micros/microsPerMinute%60), 2), ':')
	dst = appendDigits(dst, int(micros/microsPerSecond%60), 2)
	if fsp > 0 {
		dst = append(dst, '.')
		dst = appendDigits(dst, int(micros%microsPerSecond/microUnits[fsp]), fsp)
	}
	return dst
}

// appendDateTime prints YYYY-MM-DD hh:mm:ss and fsp fractional digits.
func appendDateTime(dst []byte, t int64, fsp int) []byte {
	days, micros := splitMicros(t)
	dst = append(appendDate(dst, days), ' ')
	return AppendTime(dst, micros, fsp)
}

// LoadZone finds a time zone as MySQL names them: SYSTEM (system), an offset
// such as +05:30, or a name of the IANA database. The error names the zone.
func LoadZone(name string, system *time.Location) (*time.Location, error) {
	if strings.EqualFold(name, "SYSTEM") {
		return system, nil
	}
	if name == "" || strings.EqualFold(name, "Local") {
		return nil, errIncorrect("time zone", name)
	}
	if name[0] == '+' || name[0] == '-' {
		if len(name) == 5 && name[2] == ':' { // +5:30
			name = name[:1] + "0" + name[1:]
		}
		seconds, end, ok := parseOffset([]byte(name), 0)
		if !ok || end != len(name) || len(name) != 6 || seconds < -(13*3600+59*60) || seconds > 14*3600 {
			return nil, errIncorrect("time zone", name)
		}
		return time.FixedZone(name, int(seconds)), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errIncorrect("time zone", name)
	}
	return zone, nil
}

// IsDateOnly reports whether a text is a date without a time of day.
func IsDateOnly(s string) bool {
	m, ok := parseDateTime([]byte(s))
	return ok && !m.hasTime && !m.truncated
}

// IsTemporal reports whether a text is a time, if k is Time, else a date with or
// without a time of day; more may follow it.
func IsTemporal(s string, k types.Kind) bool {
	if k != types.Time {
		_, ok := parseDateTime([]byte(s))
		return ok
	}
	_, _, _, ok := parseTime(&Context{}, []byte(s))
	return ok
}
