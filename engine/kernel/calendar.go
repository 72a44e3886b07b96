package kernel

import "time"

const (
	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour
)

// The dates that MySQL knows, as days and µs since 1970.
var (
	minDay    = daysFromCivil(0, 1, 1)
	maxDay    = daysFromCivil(9999, 12, 31)
	minMicros = int64(minDay) * microsPerDay
	maxMicros = (int64(maxDay)+1)*microsPerDay - 1
)

// maxUnixSeconds is as far as UNIX_TIMESTAMP and FROM_UNIXTIME reach,
// 3001-01-18 23:59:59. (A TIMESTAMP may be later: MySQL's end in 2038 comes from
// how it stores them.)
const maxUnixSeconds = 32536771199

// daysFromCivil counts days since 1970-01-01 in the proleptic Gregorian
// calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
func daysFromCivil(y, m, d int) int32 {
	if m <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	shifted := m - 3
	if m <= 2 {
		shifted = m + 9
	}
	doy := (153*shifted+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int32(era*146097 + doe - 719468)
}

// civilFromDays is the inverse of daysFromCivil (Neri and Schneider, "Euclidean
// affine functions and their application to calendar algorithms", 2022).
func civilFromDays(days int32) (y, m, d int) {
	const eras = 82 // of 400 years, so that nothing is negative
	n := uint32(days) + 719468 + 146097*eras
	n1 := 4*n + 3
	century := n1 / 146097
	n2 := n1%146097 | 3
	product := uint64(n2) * 2939745
	yearOfCentury := uint32(product >> 32)
	dayOfYear := uint32(product) / 2939745 / 4
	n3 := 2141*dayOfYear + 197913
	y = int(100*century+yearOfCentury) - 400*eras
	m, d = int(n3>>16), int(n3&0xFFFF)/2141+1
	if dayOfYear >= 306 { // January and February belong to the year before
		return y + 1, m - 12, d
	}
	return y, m, d
}

func floorDiv[T ~int | ~int32 | ~int64](a, b T) T {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// splitMicros splits µs since 1970 into days and the µs of the day.
func splitMicros(t int64) (days int32, micros int64) {
	d := floorDiv(t, microsPerDay)
	return int32(d), t - d*microsPerDay
}

func isLeap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func daysInMonth(y, m int) int {
	if m == 2 && isLeap(y) {
		return 29
	}
	return monthDays[m]
}

// clock is a date and time of day.
type clock struct {
	year, month, day     int
	hour, minute, second int
	micros               int
}

// clockOf takes µs since 1970 apart.
func clockOf(t int64) (c clock) {
	days, micros := splitMicros(t)
	c.year, c.month, c.day = civilFromDays(days)
	c.setTime(micros)
	return c
}

// setTime sets what is below the day to µs since midnight.
func (c *clock) setTime(micros int64) {
	c.hour = int(micros / microsPerHour)
	c.minute = int(micros / microsPerMinute % 60)
	c.second = int(micros / microsPerSecond % 60)
	c.micros = int(micros % microsPerSecond)
}

// valid reports whether the clock is one of MySQL's dates; month and day 0 are not.
func (c clock) valid() bool {
	return c.year >= 0 && c.year <= 9999 && c.month >= 1 && c.month <= 12 &&
		c.day >= 1 && c.day <= daysInMonth(c.year, c.month) &&
		c.hour >= 0 && c.hour < 24 && c.minute >= 0 && c.minute < 60 && c.second >= 0 && c.second < 60
}

// timeOfDay is the µs since midnight.
func (c clock) timeOfDay() int64 {
	return int64(c.hour)*microsPerHour + int64(c.minute)*microsPerMinute + int64(c.second)*microsPerSecond + int64(c.micros)
}

// micros is the µs since 1970, as if the clock showed UTC.
func (c clock) total() int64 {
	return int64(daysFromCivil(c.year, c.month, c.day))*microsPerDay + c.timeOfDay()
}

// roundMicros rounds µs half up to fsp fractional digits.
func roundMicros(t int64, fsp int) int64 {
	if fsp >= 6 {
		return t
	}
	unit := microUnits[fsp]
	return floorDiv(t+unit/2, unit) * unit
}

// truncateMicros cuts µs to fsp fractional digits.
func truncateMicros(t int64, fsp int) int64 {
	return floorDiv(t, microUnits[fsp]) * microUnits[fsp]
}

// microUnits is the length of the last digit, by number of fractional digits.
var microUnits = [7]int64{1_000_000, 100_000, 10_000, 1000, 100, 10, 1}

// weekday counts from Monday = 0.
func weekday(days int32) int { return int(floorMod(int64(days)+3, 7)) }

func floorMod[T ~int | ~int32 | ~int64](a, b T) T { return a - floorDiv(a, b)*b }

func dayOfYear(days int32) int {
	y, _, _ := civilFromDays(days)
	return int(days-daysFromCivil(y, 1, 1)) + 1
}

// weekMode are the flags of WEEK's mode argument (MySQL's calc_week).
type weekMode uint8

const (
	weekMonday  weekMode = 1 // weeks begin on Monday
	weekYear    weekMode = 2 // a week before the first belongs to the last year
	weekWeekday weekMode = 4 // the first week is the one with the first such day
)

// weekModeOf is the flags of a mode, 0 to 7.
func weekModeOf(mode int64) weekMode {
	m := weekMode(mode & 7)
	if m&weekMonday == 0 {
		m ^= weekWeekday
	}
	return m
}

// week is the week of the year and the year it belongs to.
func week(days int32, mode weekMode) (number, year int) {
	y, month, day := civilFromDays(days)
	first := daysFromCivil(y, 1, 1)
	monday, firstWeekday := mode&weekMonday != 0, mode&weekWeekday != 0
	withYear := mode&weekYear != 0
	dow := weekdayFrom(first, monday)
	year = y
	if month == 1 && day <= 7-dow {
		if !withYear && (firstWeekday && dow != 0 || !firstWeekday && dow >= 4) {
			return 0, year
		}
		withYear = true
		year--
		length := 365
		if isLeap(year) {
			length = 366
		}
		first -= int32(length)
		dow = (dow + 53*7 - length) % 7
	}
	var since int
	if firstWeekday && dow != 0 || !firstWeekday && dow >= 4 {
		since = int(days-first) - (7 - dow)
	} else {
		since = int(days-first) + dow
	}
	if withYear && since >= 52*7 {
		length := 365
		if isLeap(year) {
			length = 366
		}
		dow = (dow + length) % 7
		if !firstWeekday && dow < 4 || firstWeekday && dow == 0 {
			return 1, year + 1
		}
	}
	return since/7 + 1, year
}

func weekdayFrom(days int32, monday bool) int {
	if monday {
		return weekday(days)
	}
	return (weekday(days) + 1) % 7
}

// zoneSpan is a stretch of instants in which a zone has one offset.
type zoneSpan struct {
	zone       *time.Location
	start, end int64 // seconds since 1970, end exclusive
	offset     int64 // seconds east of UTC
}

const (
	distantPast   = -1 << 60
	distantFuture = 1 << 60
)

// at makes the span cover an instant.
func (z *zoneSpan) at(zone *time.Location, second int64) {
	if z.zone == zone && second >= z.start && second < z.end {
		return
	}
	z.zone, z.start, z.end, z.offset = zone, distantPast, distantFuture, 0
	if zone == time.UTC {
		return
	}
	t := time.Unix(second, 0).In(zone)
	_, offset := t.Zone()
	z.offset = int64(offset)
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		z.start = start.Unix()
	}
	if !end.IsZero() {
		z.end = end.Unix()
	}
}

// toWall turns an instant into what clocks of the zone show, both in µs.
func (z *zoneSpan) toWall(zone *time.Location, instant int64) int64 {
	z.at(zone, floorDiv(instant, microsPerSecond))
	return instant + z.offset*microsPerSecond
}

// toInstant is the instant at which clocks of the zone show a time. A time that
// they show twice is the first of the two; one that they skip becomes the
// instant at which they skip it, as in MySQL's UNIX_TIMESTAMP.
func (z *zoneSpan) toInstant(zone *time.Location, wall int64) int64 {
	if zone == time.UTC {
		return wall
	}
	// Offsets are below a day: look from a day before.
	second := floorDiv(wall, microsPerSecond)
	z.at(zone, second-86400)
	for {
		instant := second - z.offset
		switch {
		case instant < z.start:
			return z.start * microsPerSecond
		case instant < z.end:
			return instant*microsPerSecond + floorMod(wall, microsPerSecond)
		}
		z.at(zone, z.end)
	}
}
