package columns

import "github.com/leatdb/leat/internal/mysqljson"

// The functions here look at eight bytes of text at a time, the first in the
// lowest byte.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
	zeros = '0' * ones
)

// NonDigits has the high bit of each byte set that is no digit.
func NonDigits(x uint64) uint64 {
	x ^= zeros
	return ((x&^highs + 0x76*ones) | x) & highs
}

// ParseDigits is the number that eight bytes of digits spell; zero bytes in front
// count as 0.
func ParseDigits(x uint64) uint64 {
	x = x & (0x0f * ones) * 2561 >> 8
	x = x & 0x00ff00ff00ff00ff * 6553601 >> 16
	return x & 0x0000ffff0000ffff * 42949672960001 >> 32
}

// month is a month of a year.
type month struct {
	name   uint64 // "YYYY-MM-"
	before int32  // days from 1970 to the day before its first
	length uint32 // days
}

// Days reads the ten characters of "YYYY-MM-DD": x are the first eight, y begins
// with the others. ok is false when they are no date.
func (c *Builder) Days(x, y uint64) (days int32, ok bool) {
	m := &c.months[(x>>40&1*10+x>>48)&0xf]
	if m.name != x && !m.set(x) {
		return 0, false
	}
	tens, units := uint32(y)&0xff-'0', uint32(y)>>8&0xff-'0'
	day := tens*10 + units
	if tens > 3 || units > 9 || day-1 >= m.length {
		return 0, false
	}
	return m.before + int32(day), true
}

// set makes m the month that x names, false if it names none.
func (m *month) set(x uint64) bool {
	const dashes, mask = '-'<<32 | '-'<<56, 0xff<<32 | 0xff<<56
	if x&mask != dashes || NonDigits(x&^uint64(mask)|'0'<<32|'0'<<56) != 0 {
		return false
	}
	d := x & (0x0f * ones)
	year := int(d&0xf)*1000 + int(d>>8&0xf)*100 + int(d>>16&0xf)*10 + int(d>>24&0xf)
	number := int(d>>40&0xf)*10 + int(d>>48&0xf)
	if !mysqljson.ValidDate(year, number, 1) {
		return false
	}
	length := uint32(31)
	for !mysqljson.ValidDate(year, number, int(length)) {
		length--
	}
	*m = month{x, int32(mysqljson.DaysFromCivil(year, number, 1)) - 1, length}
	return true
}
