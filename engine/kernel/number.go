package kernel

import (
	"math"
	"strconv"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// number is a number found at the beginning of a text: what MySQL makes of a
// string in a numeric context.
type number struct {
	negative bool
	whole    []byte // digits before the point
	fraction []byte // digits after it
	exponent int
	text     []byte // all of it
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDigit(c byte) bool { return c-'0' <= 9 }

func digitsAt(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

// scanNumber reads the number that b begins with, after spaces. end is where it
// ends, or 0 if there is none (whose value is 0).
func scanNumber(b []byte) (n number, end int) {
	i := 0
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	start := i
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		n.negative = b[i] == '-'
		i++
	}
	j := digitsAt(b, i)
	n.whole = b[i:j]
	if j < len(b) && b[j] == '.' {
		k := digitsAt(b, j+1)
		n.fraction = b[j+1 : k]
		if k > j+1 || j > i {
			j = k
		}
	}
	if len(n.whole)+len(n.fraction) == 0 {
		return number{}, 0
	}
	end = j
	if j < len(b) && b[j]|0x20 == 'e' {
		k := j + 1
		negative := false
		if k < len(b) && (b[k] == '-' || b[k] == '+') {
			negative = b[k] == '-'
			k++
		}
		if last := digitsAt(b, k); last > k {
			for ; k < last; k++ {
				n.exponent = min(n.exponent*10+int(b[k]-'0'), 100_000)
			}
			if negative {
				n.exponent = -n.exponent
			}
			end = last
		}
	}
	n.text = b[start:end]
	return n, end
}

// onlySpaces reports whether nothing but spaces follows.
func onlySpaces(b []byte) bool {
	for _, c := range b {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// float64 is the nearest double, infinite when there is none.
func (n number) float64() float64 {
	if len(n.text) == 0 {
		return 0
	}
	f, _ := strconv.ParseFloat(unsafe.String(unsafe.SliceData(n.text), len(n.text)), 64)
	return f
}

// shortFloat reads a text that is a plain number of up to 15 digits, nothing
// before or behind them. A double holds the digits and the power of ten exactly,
// so that one division rounds correctly (W. D. Clinger, "How to read floating
// point numbers accurately", 1990).
func shortFloat(b []byte) (v float64, ok bool) {
	const most = 15
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > most {
		return 0, false
	}
	digits, fraction := int64(0), -1
	for i, c := range b {
		if isDigit(c) {
			digits = digits*10 + int64(c-'0')
			continue
		}
		if c != '.' || fraction >= 0 || len(b) == 1 {
			return 0, false
		}
		fraction = len(b) - 1 - i
	}
	v = float64(digits)
	if fraction > 0 {
		v /= exactPowers[fraction]
	}
	if negative {
		v = -v
	}
	return v, true
}

// exactPowers are powers of ten that a double holds exactly.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// decimal is the number with scale digits after the point, rounded half away
// from zero. exact is false if digits were lost, fits if the precision is
// too small; the value is then the greatest there is.
func (n number) decimal(precision, scale int) (d decimal128.Num, exact, fits bool) {
	var u u128
	exact = true
	// keep is how many of the digits, counted from the first, come before the
	// result's last place.
	keep := len(n.whole) + n.exponent + scale
	total := len(n.whole) + len(n.fraction)
	digit := func(i int) uint64 {
		if i < len(n.whole) {
			return uint64(n.whole[i] - '0')
		}
		return uint64(n.fraction[i-len(n.whole)] - '0')
	}
	limit := pow10[precision]
	for i := 0; i < min(keep, total); i++ {
		u = u.mulAdd10(digit(i))
		if u.cmp(limit) >= 0 {
			return limit.minus1().signed(n.negative), false, false
		}
	}
	if u != (u128{}) {
		for i := total; i < keep; i++ {
			u = u.mulAdd10(0)
			if u.cmp(limit) >= 0 {
				return limit.minus1().signed(n.negative), false, false
			}
		}
	}
	for i := max(keep, 0); i < total; i++ {
		if digit(i) != 0 {
			exact = false
			break
		}
	}
	if keep >= 0 && keep < total && digit(keep) >= 5 {
		u = u.add64(1)
		if u.cmp(limit) >= 0 {
			return limit.minus1().signed(n.negative), false, false
		}
	}
	return u.signed(n.negative), exact, true
}

// scanInteger reads the integer that b begins with, after spaces; end is where
// it ends, or 0 if there is none. overflow says that the magnitude has over 64
// bits; it is then the greatest.
func scanInteger(b []byte) (magnitude uint64, negative bool, end int, overflow bool) {
	i := 0
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	start := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		c := uint64(b[i] - '0')
		if magnitude > (math.MaxUint64-c)/10 {
			overflow = true
			magnitude = math.MaxUint64
			continue
		}
		if !overflow {
			magnitude = magnitude*10 + c
		}
	}
	if i == start {
		return 0, false, 0, false
	}
	return magnitude, negative, i, overflow
}

// finite reports whether f is a number of SQL; other systems' data may hold
// doubles that are not.
func finite(f float64) bool { return math.Float64bits(f)&exponentMask != exponentMask }
