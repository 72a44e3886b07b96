package mysqljson

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// What is wrong with a text that should be a number.
var (
	ErrNotNumber  = errors.New("not a number")
	ErrNotInteger = errors.New("not a whole number")
	ErrOutOfRange = errors.New("out of range")
	// ErrBeyondDay is the ErrOutOfRange of what MySQL's TIME can be, and a time of
	// day cannot.
	ErrBeyondDay = fmt.Errorf("%w", ErrOutOfRange)
)

// decimal is a number taken apart: its significant digits (without leading and
// trailing zeros, perhaps with the decimal point among them) and the power of
// ten of the last one.
type decimal struct {
	negative bool
	digits   []byte
	count    int // of digits, the point not counted; 0 for zero
	exp      int // value = digits × 10^exp
}

// maxExponent bounds exponents; what lies beyond overflows or vanishes anyway.
const maxExponent = 1 << 20

// takeApart reads a number as MySQL does in a string: an optional sign, digits
// with an optional decimal point, an optional exponent, spaces around. A JSON
// number is a special case of it.
func takeApart(text []byte) (d decimal, ok bool) {
	text = trimSpace(text)
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		d.negative = text[i] == '-'
		i++
	}
	start := i
	i = skipDigits(text, i)
	integer := i - start
	point, fraction := -1, 0
	if i < len(text) && text[i] == '.' {
		point = i
		i = skipDigits(text, i+1)
		fraction = i - point - 1
	}
	if integer+fraction == 0 {
		return d, false
	}
	end := i
	exp := 0
	if i < len(text) && text[i]|0x20 == 'e' {
		i++
		negative := false
		if i < len(text) && (text[i] == '-' || text[i] == '+') {
			negative = text[i] == '-'
			i++
		}
		first := i
		for ; i < len(text) && isDigit(text[i]); i++ {
			exp = min(exp*10+int(text[i]-'0'), maxExponent)
		}
		if i == first {
			return d, false
		}
		if negative {
			exp = -exp
		}
	}
	if i != len(text) {
		return d, false
	}
	d.exp = exp - fraction
	// Zeros at the end raise the exponent, those in front mean nothing.
	for end > start && (text[end-1] == '0' || text[end-1] == '.') {
		if text[end-1] == '0' {
			d.exp++
		}
		end--
	}
	for start < end && (text[start] == '0' || text[start] == '.') {
		start++
	}
	d.digits = text[start:end]
	d.count = len(d.digits)
	if point > start && point < end {
		d.count--
	}
	return d, true
}

// scaled is the magnitude of value × 10^scale, rounded half away from zero;
// false when it is 10³⁸ or more.
func (d *decimal) scaled(scale int) (hi, lo uint64, ok bool) {
	if d.count == 0 {
		return 0, 0, true
	}
	shift := d.exp + scale
	keep := d.count + min(shift, 0) // digits that stay
	if keep < 0 {
		return 0, 0, true
	}
	if keep+max(shift, 0) > 38 {
		return 0, 0, false
	}
	i := 0
	for n := 0; n < keep; i++ {
		if c := d.digits[i]; c != '.' {
			hi, lo = mulAdd(hi, lo, 10, uint64(c-'0'))
			n++
		}
	}
	if shift < 0 {
		if d.digits[i] == '.' {
			i++
		}
		if d.digits[i] >= '5' {
			hi, lo = mulAdd(hi, lo, 1, 1)
		}
	}
	for ; shift > 0; shift-- {
		hi, lo = mulAdd(hi, lo, 10, 0)
	}
	return hi, lo, true
}

// mulAdd is n×m + a in 128 bits.
func mulAdd(hi, lo, m, a uint64) (uint64, uint64) {
	carry, low := bits.Mul64(lo, m)
	low, c := bits.Add64(low, a, 0)
	return hi*m + carry + c, low
}

// ParseInteger reads a whole number exactly; 5.0, 5e0 and "5" are whole. It
// returns ErrNotNumber, ErrNotInteger, or ErrOutOfRange beyond 64 bits.
func ParseInteger(text []byte) (magnitude uint64, negative bool, err error) {
	d, ok := takeApart(text)
	switch {
	case !ok:
		return 0, false, ErrNotNumber
	case d.count == 0:
		return 0, false, nil
	case d.exp < 0:
		return 0, false, ErrNotInteger
	}
	hi, lo, ok := d.scaled(0)
	if !ok || hi != 0 {
		return 0, false, ErrOutOfRange
	}
	return lo, d.negative, nil
}

// powersOfTen are 10^0 to 10^19.
var powersOfTen = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// below10 reports whether a 128-bit number is less than 10^n.
func below10(hi, lo uint64, n int) bool {
	if n <= 19 {
		return hi == 0 && lo < powersOfTen[n]
	}
	limitHi, limitLo := bits.Mul64(powersOfTen[19], powersOfTen[n-19])
	return hi < limitHi || hi == limitHi && lo < limitLo
}

// ParseDecimal reads a number as DECIMAL(precision, scale), precision up to 38.
// Excess digits behind the point are rounded half away from zero. It returns
// ErrNotNumber, or ErrOutOfRange for too many digits in front of the point.
func ParseDecimal(text []byte, precision, scale int) (decimal128.Num, error) {
	d, ok := takeApart(text)
	if !ok {
		return decimal128.Num{}, ErrNotNumber
	}
	hi, lo, ok := d.scaled(scale)
	if !ok || !below10(hi, lo, precision) {
		return decimal128.Num{}, ErrOutOfRange
	}
	n := decimal128.New(int64(hi), lo)
	if d.negative {
		n = n.Negate()
	}
	return n, nil
}

// ParseDouble reads a number as a DOUBLE, correctly rounded. It returns
// ErrNotNumber, or ErrOutOfRange beyond the largest one.
func ParseDouble(number []byte) (float64, error) {
	number = trimSpace(number)
	if _, ok := takeApart(number); !ok {
		return 0, ErrNotNumber
	}
	f, err := strconv.ParseFloat(text(number), 64)
	if err != nil && math.IsInf(f, 0) {
		return 0, ErrOutOfRange
	}
	return f, nil
}
