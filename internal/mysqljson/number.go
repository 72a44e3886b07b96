package mysqljson

import (
	"math"
	"strconv"
	"unsafe"
)

// AppendDouble appends a number as MySQL prints a DOUBLE: the shortest digits
// that read back as it, written out where the decimal point is near them, else
// with an exponent (its my_gcvt). f must be finite.
func AppendDouble(dst []byte, f float64) []byte {
	var scratch [32]byte
	sci := strconv.AppendFloat(scratch[:0], math.Abs(f), 'e', -1, 64)
	// sci is d[.ddd]e±dd; point is where the decimal point lies behind the digits.
	e := len(sci) - 1
	for sci[e] != 'e' {
		e--
	}
	exp, _ := strconv.Atoi(string(sci[e+1:]))
	digits := e
	if e > 1 {
		digits = e - 1
	}
	point := exp + 1
	if math.Signbit(f) {
		dst = append(dst, '-')
	}
	if point >= -14 && (point <= 15 || digits > point) {
		return strconv.AppendFloat(dst, math.Abs(f), 'f', -1, 64)
	}
	dst = append(dst, sci[:e+1]...)
	return strconv.AppendInt(dst, int64(exp), 10)
}

// appendNumber appends a valid JSON number in normal form: integers of 64 bits
// as they are, others as doubles, always to be told from integers.
func appendNumber(dst, number []byte) ([]byte, error) {
	if i, ok := normalInteger(number); ok {
		return append(dst, i...), nil
	}
	if isNormalFixed(number) {
		return append(dst, number...), nil
	}
	f, err := strconv.ParseFloat(text(number), 64)
	if err != nil {
		return dst, syntaxError(0, "number %s is too big for a double", shorten(number))
	}
	start := len(dst)
	dst = AppendDouble(dst, f)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst, nil
		}
	}
	return append(dst, '.', '0'), nil
}

// isNormalFixed reports whether a valid JSON number with a fraction is certainly
// in normal form already: without an exponent, without zeros at its end, and of
// no more than the 15 digits that every double keeps.
func isNormalFixed(number []byte) bool {
	if len(number) > 16 {
		return false
	}
	last := len(number) - 1
	point := -1
	for i, c := range number {
		switch {
		case c|0x20 == 'e':
			return false
		case c == '.':
			point = i
		}
	}
	return point > 0 && (number[last] != '0' || last == point+1)
}

// normalInteger reports whether a valid JSON number is one that MySQL keeps as
// a 64-bit integer, and how it prints it.
func normalInteger(number []byte) ([]byte, bool) {
	digits := number
	if digits[0] == '-' {
		digits = digits[1:]
	}
	for _, c := range digits {
		if !isDigit(c) {
			return nil, false
		}
	}
	switch {
	case digits[0] == '0':
		return digits, true // −0 is 0
	case len(digits) < 19:
	case len(digits) > 20:
		return nil, false
	case len(digits) < len(number):
		if _, err := strconv.ParseInt(text(number), 10, 64); err != nil {
			return nil, false
		}
	default:
		if _, err := strconv.ParseUint(text(number), 10, 64); err != nil {
			return nil, false
		}
	}
	return number, true
}

// text views bytes as a string for the standard library's parsers, which do
// not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func shorten(b []byte) string {
	const most = 40
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
