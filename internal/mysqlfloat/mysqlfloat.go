// Package mysqlfloat prints FLOAT and DOUBLE values as MySQL does, in text that
// is cast and in results on the wire.
package mysqlfloat

import (
	"math"
	"strconv"
)

// AppendDouble prints a double as MySQL does: the shortest digits that read
// back as the same number, with an exponent from 1e15 up and below 1e-15.
func AppendDouble(dst []byte, f float64) []byte { return appendShortest(dst, f, -1) }

// AppendFloat prints a FLOAT as MySQL does, with six significant digits.
func AppendFloat(dst []byte, f float32) []byte {
	// Six digits may be more than it takes to tell the number apart.
	short := strconv.FormatFloat(float64(f), 'e', -1, 32)
	if isFinite(float64(f)) && len(short) <= len("d.ddddde+dd") {
		v, _ := strconv.ParseFloat(short, 64)
		return appendShortest(dst, v, -1)
	}
	return appendShortest(dst, float64(f), 5)
}

// appendShortest prints f with so many digits after the first, −1 for as many as
// it takes.
func appendShortest(dst []byte, f float64, digits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0:
		// MySQL prints the sign of a negative zero.
		if math.Signbit(f) {
			return append(dst, "-0"...)
		}
		return append(dst, '0')
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', digits, 64) // d.ddde±dd
	if e[0] == '-' {
		dst = append(dst, '-')
		e = e[1:]
	}
	mark := len(e) - 1
	for e[mark] != 'e' {
		mark--
	}
	exponent, _ := strconv.Atoi(string(e[mark+1:]))
	mantissa := append(make([]byte, 0, 24), e[0])
	if mark > 2 {
		mantissa = append(mantissa, e[2:mark]...)
	}
	for len(mantissa) > 1 && mantissa[len(mantissa)-1] == '0' {
		mantissa = mantissa[:len(mantissa)-1]
	}
	switch point := exponent + 1; {
	case point > 15 || point < -14:
		dst = append(dst, mantissa[0])
		if len(mantissa) > 1 {
			dst = append(append(dst, '.'), mantissa[1:]...)
		}
		dst = append(dst, 'e')
		return strconv.AppendInt(dst, int64(exponent), 10)
	case point <= 0:
		dst = append(dst, "0."...)
		for ; point < 0; point++ {
			dst = append(dst, '0')
		}
		return append(dst, mantissa...)
	case point >= len(mantissa):
		dst = append(dst, mantissa...)
		for i := len(mantissa); i < point; i++ {
			dst = append(dst, '0')
		}
		return dst
	default:
		dst = append(dst, mantissa[:point]...)
		dst = append(dst, '.')
		return append(dst, mantissa[point:]...)
	}
}

func isFinite(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }
