package mysqljson

import (
	"errors"
)

// What is wrong with a text that should be a date or time.
var (
	ErrNotDate = errors.New("not a date")
	ErrNotTime = errors.New("not a time")
)

// MaxTime is the longest TIME that MySQL has, 838:59:59, in µs.
const MaxTime = (838*3600 + 59*60 + 59) * microsPerSecond

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
	// The years 0001 to 9999 as days since 1970-01-01.
	minDays = -719162
	maxDays = 2932896
)

// DaysFromCivil is the number of days from 1970-01-01 to a date of the
// proleptic Gregorian calendar. (The algorithm is Howard Hinnant's
// days_from_civil, https://howardhinnant.github.io/date_algorithms.html.)
func DaysFromCivil(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// ValidDate reports whether a date exists, within the years 1 to 9999.
func ValidDate(year, month, day int) bool {
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 {
		return false
	}
	switch month {
	case 4, 6, 9, 11:
		return day <= 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return day <= 29
		}
		return day <= 28
	}
	return day <= 31
}

// moment is a date and time taken apart.
type moment struct {
	days   int   // since 1970-01-01
	micros int64 // since midnight, rounded; may be a whole day
	offset int64 // µs east of UTC
	zoned  bool
}

// temporalParser reads a text from front to back.
type temporalParser struct {
	s []byte
	i int
}

// number reads between min and max digits.
func (p *temporalParser) number(least, most int) (n, digits int, ok bool) {
	for p.i < len(p.s) && digits < most && isDigit(p.s[p.i]) {
		n = n*10 + int(p.s[p.i]-'0')
		digits++
		p.i++
	}
	return n, digits, digits >= least
}

func (p *temporalParser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *temporalParser) done() bool { return p.i == len(p.s) }

// date reads YYYY-MM-DD, its relaxed forms in MySQL (one-digit months and days,
// two-digit years, / and . between), or YYYYMMDD.
func (p *temporalParser) date() (days int, ok bool) {
	year, digits, ok := p.number(2, 8)
	if !ok {
		return 0, false
	}
	var month, day int
	switch digits {
	case 8:
		year, month, day = year/10000, year/100%100, year%100
	case 2, 4:
		if digits == 2 {
			year += 1900
			if year < 1970 {
				year += 100
			}
		}
		if p.i >= len(p.s) {
			return 0, false
		}
		separator := p.s[p.i]
		if separator != '-' && separator != '/' && separator != '.' {
			return 0, false
		}
		p.i++
		if month, _, ok = p.number(1, 2); !ok || !p.take(separator) {
			return 0, false
		}
		if day, _, ok = p.number(1, 2); !ok {
			return 0, false
		}
	default:
		return 0, false
	}
	if !ValidDate(year, month, day) {
		return 0, false
	}
	return DaysFromCivil(year, month, day), true
}

// clock reads hh:mm:ss with a fraction (rounded to fsp digits), hh:mm, hh, or
// hhmmss.
func (p *temporalParser) clock(fsp int) (micros int64, ok bool) {
	h, digits, ok := p.number(1, 6)
	if !ok {
		return 0, false
	}
	var m, s int
	seconds := false
	switch {
	case digits == 6:
		h, m, s = h/10000, h/100%100, h%100
		seconds = true
	case digits <= 2:
		if p.take(':') {
			if m, _, ok = p.number(1, 2); !ok {
				return 0, false
			}
			if seconds = p.take(':'); seconds {
				if s, _, ok = p.number(1, 2); !ok {
					return 0, false
				}
			}
		}
	default:
		return 0, false
	}
	if h > 23 || m > 59 || s > 59 {
		return 0, false
	}
	micros = int64(h*3600+m*60+s) * microsPerSecond
	if seconds && (p.take('.') || p.take(',')) {
		fraction, ok := p.fraction(fsp)
		if !ok {
			return 0, false
		}
		micros += fraction
	}
	return micros, true
}

// fraction reads the digits of a fraction of a second and rounds them, half up,
// to fsp digits. It may give a whole second.
func (p *temporalParser) fraction(fsp int) (micros int64, ok bool) {
	unit := int64(microsPerSecond)
	digits := 0
	for ; p.i < len(p.s) && isDigit(p.s[p.i]); p.i++ {
		n := int64(p.s[p.i] - '0')
		switch digits++; {
		case digits <= fsp:
			unit /= 10
			micros += n * unit
		case digits == fsp+1 && n >= 5:
			micros += unit
		}
	}
	return micros, digits > 0
}

// zone reads Z, ±hh:mm, ±hhmm or ±hh.
func (p *temporalParser) zone() (offset int64, ok bool) {
	if p.take('Z') || p.take('z') {
		return 0, true
	}
	sign := int64(1)
	if !p.take('+') {
		if !p.take('-') {
			return 0, false
		}
		sign = -1
	}
	h, digits, ok := p.number(2, 4)
	if !ok || digits == 3 {
		return 0, false
	}
	m := 0
	if digits == 4 {
		h, m = h/100, h%100
	} else if p.take(':') {
		if m, _, ok = p.number(2, 2); !ok {
			return 0, false
		}
	}
	if h > 18 || m > 59 {
		return 0, false
	}
	return sign * int64(h*3600+m*60) * microsPerSecond, true
}

// moment reads a date, optionally with a time of day and a zone.
func (p *temporalParser) moment(fsp int) (m moment, ok bool) {
	start := p.i
	if len(p.s) >= 14 && allDigits(p.s[:14]) { // YYYYMMDDhhmmss
		date := temporalParser{s: p.s[:8]}
		if m.days, ok = date.date(); !ok {
			return m, false
		}
		p.i = start + 8
	} else {
		if m.days, ok = p.date(); !ok {
			return m, false
		}
		if p.done() {
			return m, true
		}
		if !p.take('T') && !p.take('t') {
			if !p.take(' ') {
				return m, false
			}
			for p.take(' ') {
			}
		}
	}
	if m.micros, ok = p.clock(fsp); !ok {
		return m, false
	}
	if !p.done() {
		p.take(' ')
		if m.offset, ok = p.zone(); !ok {
			return m, false
		}
		m.zoned = true
	}
	return m, p.done()
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// ParseDateTime reads a date and time in ISO-8601 (T or a space between, a
// fraction rounded to fsp digits, Z or an offset; a date alone is its midnight)
// or in MySQL's relaxed forms, as µs since 1970-01-01 00:00. With an offset it
// is the time in UTC, and zoned is set. It returns ErrNotTime, or ErrOutOfRange
// outside the years 1 to 9999.
func ParseDateTime(text []byte, fsp int) (micros int64, zoned bool, err error) {
	p := temporalParser{s: trimSpace(text)}
	m, ok := p.moment(fsp)
	if !ok {
		return 0, false, ErrNotTime
	}
	micros, err = checkRange(int64(m.days)*microsPerDay + m.micros - m.offset)
	return micros, m.zoned, err
}

func checkRange(micros int64) (int64, error) {
	if micros < minDays*microsPerDay || micros >= (maxDays+1)*microsPerDay {
		return 0, ErrOutOfRange
	}
	return micros, nil
}

// ParseDate reads a date as days since 1970-01-01. Of a text with a time of day
// it is the date, in UTC where an offset is given. Errors as ParseDateTime,
// with ErrNotDate.
func ParseDate(text []byte) (days int32, err error) {
	p := temporalParser{s: trimSpace(text)}
	m, ok := p.moment(6)
	if !ok {
		return 0, ErrNotDate
	}
	if !m.zoned {
		return int32(m.days), nil // MySQL does not round up to the next day
	}
	micros, err := checkRange(int64(m.days)*microsPerDay + m.micros - m.offset)
	if err != nil {
		return 0, err
	}
	return int32(floorDiv(int(micros), microsPerDay)), nil
}

// ParseTime reads a time of day as µs since midnight, 24:00 included: hh:mm:ss
// with a fraction rounded to fsp digits, hh:mm, MySQL's hhmmss, or the time of a
// date and time. It returns ErrNotTime, or ErrOutOfRange for MySQL's times
// beyond a day: as ErrBeyondDay up to 838:59:59, which is as far as they go.
func ParseTime(text []byte, fsp int) (micros int64, err error) {
	s := trimSpace(text)
	if p := (temporalParser{s: s}); len(s) > 10 {
		if m, ok := p.moment(fsp); ok {
			micros = (m.micros - m.offset) % microsPerDay
			if micros < 0 {
				micros += microsPerDay
			}
			return micros, nil
		}
	}
	p := temporalParser{s: s}
	negative := p.take('-')
	var h, m, sec, digits int
	n, digits, ok := p.number(1, 7)
	if !ok {
		return 0, ErrNotTime
	}
	switch {
	case p.take(':'):
		if h = n; digits > 3 {
			return 0, ErrNotTime
		}
		if m, _, ok = p.number(1, 2); !ok {
			return 0, ErrNotTime
		}
		if p.take(':') {
			if sec, _, ok = p.number(1, 2); !ok {
				return 0, ErrNotTime
			}
		}
	default:
		h, m, sec = n/10000, n/100%100, n%100
	}
	if m > 59 || sec > 59 {
		return 0, ErrNotTime
	}
	micros = int64(h*3600+m*60+sec) * microsPerSecond
	if p.take('.') {
		fraction, ok := p.fraction(fsp)
		if !ok {
			return 0, ErrNotTime
		}
		micros += fraction
	}
	if !p.done() {
		return 0, ErrNotTime
	}
	switch {
	case micros > MaxTime:
		return 0, ErrOutOfRange
	case negative && micros != 0, micros > microsPerDay:
		return 0, ErrBeyondDay
	}
	return micros, nil
}

// EpochMicros reads a number as time since 1970-01-01 00:00 UTC, in µs rounded
// to fsp digits of a second. Its unit is told by its magnitude: below 10¹¹
// seconds (perhaps with a fraction), below 10¹⁴ milliseconds, below 10¹⁷
// microseconds, else nanoseconds. It returns ErrNotNumber, or ErrOutOfRange
// outside the years 1 to 9999.
func EpochMicros(number []byte, fsp int) (int64, error) {
	d, ok := takeApart(number)
	if !ok {
		return 0, ErrNotNumber
	}
	unit := 0 // seconds are 10^unit of the number's
	switch magnitude := d.count + d.exp; {
	case d.count == 0:
		return 0, nil
	case magnitude > 20:
		return 0, ErrOutOfRange
	case magnitude > 17:
		unit = 9
	case magnitude > 14:
		unit = 6
	case magnitude > 11:
		unit = 3
	}
	hi, lo, ok := d.scaled(fsp - unit)
	if !ok || hi != 0 || lo > 1<<62 {
		return 0, ErrOutOfRange
	}
	micros := int64(lo)
	for i := fsp; i < 6; i++ {
		if micros > 1<<58 {
			return 0, ErrOutOfRange
		}
		micros *= 10
	}
	if d.negative {
		micros = -micros
	}
	return checkRange(micros)
}

func appendTwo(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// CivilFromDays is the date of the proleptic Gregorian calendar that is so many
// days from 1970-01-01, the reverse of DaysFromCivil.
func CivilFromDays(days int64) (year, month, day int64) {
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// AppendDate appends a day since 1970-01-01 as YYYY-MM-DD.
func AppendDate(dst []byte, days int64) []byte {
	year, month, day := CivilFromDays(days)
	if year < 0 {
		dst, year = append(dst, '-'), -year
	}
	dst = appendTwo(appendTwo(dst, year/100%100), year%100)
	return appendTwo(append(appendTwo(append(dst, '-'), month), '-'), day)
}

// AppendClock appends microseconds as hh:mm:ss, with fsp digits behind the point.
func AppendClock(dst []byte, micros int64, fsp int) []byte {
	if micros < 0 {
		dst, micros = append(dst, '-'), -micros
	}
	seconds := micros / 1_000_000
	dst = appendTwo(dst, seconds/3600)
	dst = appendTwo(append(dst, ':'), seconds/60%60)
	dst = appendTwo(append(dst, ':'), seconds%60)
	if fsp <= 0 {
		return dst
	}
	dst = append(dst, '.')
	rest := micros % 1_000_000
	for scale := int64(100_000); fsp > 0; fsp, scale = fsp-1, scale/10 {
		dst = append(dst, byte('0'+rest/scale%10))
	}
	return dst
}
