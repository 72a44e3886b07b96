package kernel

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// Arithmetic works on what the registry casts its operands to: BIGINT and
// BIGINT UNSIGNED in any mix, DOUBLE and DOUBLE, DECIMAL and DECIMAL of any
// scales. A result out of range fails the row in every sql_mode, as in MySQL.

// FuncAdd is +.
var FuncAdd = propagate(func(f *frame, args []Vector) error {
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		return addFloats(f, args, false)
	case arrow.DECIMAL128:
		return addDecimals(f, args, false)
	}
	if !bothSigned(args) {
		return mixedIntegers(f, args, opAdd)
	}
	a, b := fixedValues[int64](args[0].Array), fixedValues[int64](args[1].Array)
	out := fixedOut[int64](f)
	var over int64
	switch {
	case args[0].Const == args[1].Const:
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			r := a[i] + b[i]
			out[i] = r
			over |= (a[i] ^ r) & (b[i] ^ r)
		}
	default:
		x, c := columnAndConstant(args, a, b)
		x = x[:len(out)]
		for i := range out {
			r := x[i] + c
			out[i] = r
			over |= (x[i] ^ r) & (c ^ r)
		}
	}
	if over < 0 {
		x, y := viewOf[int64](args[0]), viewOf[int64](args[1])
		for i := range f.live {
			if r := x.at(i) + y.at(i); (x.at(i)^r)&(y.at(i)^r) < 0 {
				f.fail(i, errBigint)
			}
		}
	}
	return nil
})

// FuncSubtract is −.
var FuncSubtract = propagate(func(f *frame, args []Vector) error {
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		return addFloats(f, args, true)
	case arrow.DECIMAL128:
		return addDecimals(f, args, true)
	}
	if !bothSigned(args) {
		return mixedIntegers(f, args, opSubtract)
	}
	a, b := fixedValues[int64](args[0].Array), fixedValues[int64](args[1].Array)
	out := fixedOut[int64](f)
	var over int64
	switch {
	case args[0].Const == args[1].Const:
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			r := a[i] - b[i]
			out[i] = r
			over |= (a[i] ^ b[i]) & (a[i] ^ r)
		}
	case args[1].Const:
		c := b[0]
		a = a[:len(out)]
		for i := range out {
			r := a[i] - c
			out[i] = r
			over |= (a[i] ^ c) & (a[i] ^ r)
		}
	default:
		c := a[0]
		b = b[:len(out)]
		for i := range out {
			r := c - b[i]
			out[i] = r
			over |= (c ^ b[i]) & (c ^ r)
		}
	}
	if over < 0 {
		x, y := viewOf[int64](args[0]), viewOf[int64](args[1])
		for i := range f.live {
			if r := x.at(i) - y.at(i); (x.at(i)^y.at(i))&(x.at(i)^r) < 0 {
				f.fail(i, errBigint)
			}
		}
	}
	return nil
})

// FuncMultiply is *.
var FuncMultiply = propagate(func(f *frame, args []Vector) error {
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		return multiplyFloats(f, args)
	case arrow.DECIMAL128:
		return multiplyDecimals(f, args)
	}
	if !bothSigned(args) {
		return mixedIntegers(f, args, opMultiply)
	}
	a, b := fixedValues[int64](args[0].Array), fixedValues[int64](args[1].Array)
	out := fixedOut[int64](f)
	var over int64
	switch {
	case args[0].Const == args[1].Const:
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			hi, lo := mulSigned(a[i], b[i])
			out[i] = lo
			over |= hi ^ lo>>63
		}
	default:
		x, c := columnAndConstant(args, a, b)
		x = x[:len(out)]
		for i := range out {
			hi, lo := mulSigned(x[i], c)
			out[i] = lo
			over |= hi ^ lo>>63
		}
	}
	if over != 0 {
		x, y := viewOf[int64](args[0]), viewOf[int64](args[1])
		for i := range f.live {
			if hi, lo := mulSigned(x.at(i), y.at(i)); hi != lo>>63 {
				f.fail(i, errBigint)
			}
		}
	}
	return nil
})

// mulSigned is the 128-bit product.
func mulSigned(a, b int64) (hi, lo int64) {
	h, l := bits.Mul64(uint64(a), uint64(b))
	return int64(h) - (a >> 63 & b) - (b >> 63 & a), int64(l)
}

// columnAndConstant tells the operands of a commutative operation apart.
func columnAndConstant[T any](args []Vector, a, b []T) (x []T, c T) {
	switch {
	case args[1].Const && len(b) > 0:
		return a, b[0]
	case len(a) > 0:
		return b, a[0]
	}
	return nil, c
}

func bothSigned(args []Vector) bool {
	for _, a := range args {
		if a.Array.DataType().ID() != arrow.INT64 {
			return false
		}
	}
	return true
}

type intOp uint8

const (
	opAdd intOp = iota
	opSubtract
	opMultiply
)

// wide is a BIGINT of either sign: a magnitude and a sign.
type wide struct {
	magnitude uint64
	negative  bool
}

// wides is the view of a BIGINT or BIGINT UNSIGNED argument.
type wides struct {
	view[uint64]
	signed bool
}

func widesOf(v Vector) wides {
	return wides{viewOf[uint64](v), v.Array.DataType().ID() == arrow.INT64}
}

func (w wides) at(i int) wide {
	x := w.view.at(i)
	if w.signed && int64(x) < 0 {
		return wide{-x, true}
	}
	return wide{x, false}
}

// mixedIntegers computes where an operand, and so the result, is unsigned.
func mixedIntegers(f *frame, args []Vector, op intOp) error {
	x, y := widesOf(args[0]), widesOf(args[1])
	out := fixedOut[uint64](f)
	for i := range out {
		a, b := x.at(i), y.at(i)
		var r uint64
		var ok bool
		switch op {
		case opMultiply:
			hi, lo := bits.Mul64(a.magnitude, b.magnitude)
			r, ok = lo, hi == 0 && (lo == 0 || a.negative == b.negative)
		case opSubtract:
			b.negative = !b.negative
			r, ok = addWide(a, b)
		default:
			r, ok = addWide(a, b)
		}
		out[i] = r
		if !ok && f.isValid(i) {
			f.fail(i, errBigintUnsigned)
		}
	}
	return nil
}

// addWide is a+b, and whether that is a BIGINT UNSIGNED.
func addWide(a, b wide) (uint64, bool) {
	if a.negative == b.negative {
		r, carry := bits.Add64(a.magnitude, b.magnitude, 0)
		return r, carry == 0 && (!a.negative || r == 0)
	}
	if a.negative {
		a, b = b, a
	}
	r, borrow := bits.Sub64(a.magnitude, b.magnitude, 0)
	return r, borrow == 0
}

const exponentMask = 0x7FF << 52

func addFloats(f *frame, args []Vector, subtract bool) error {
	a, b := fixedValues[float64](args[0].Array), fixedValues[float64](args[1].Array)
	out := fixedOut[float64](f)
	switch {
	case args[0].Const == args[1].Const && subtract:
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = a[i] - b[i]
		}
	case args[0].Const == args[1].Const:
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = a[i] + b[i]
		}
	case args[0].Const && subtract:
		_, c := columnAndConstant(args, a, b)
		b = b[:len(out)]
		for i := range out {
			out[i] = c - b[i]
		}
	default:
		x, c := columnAndConstant(args, a, b)
		if subtract {
			c = -c
		}
		x = x[:len(out)]
		for i := range out {
			out[i] = x[i] + c
		}
	}
	checkFloats(f, out)
	return nil
}

func multiplyFloats(f *frame, args []Vector) error {
	a, b := fixedValues[float64](args[0].Array), fixedValues[float64](args[1].Array)
	out := fixedOut[float64](f)
	if args[0].Const == args[1].Const {
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = a[i] * b[i]
		}
	} else {
		x, c := columnAndConstant(args, a, b)
		x = x[:len(out)]
		for i := range out {
			out[i] = x[i] * c
		}
	}
	checkFloats(f, out)
	return nil
}

// checkFloats fails the rows whose result is no finite number.
func checkFloats(f *frame, out []float64) {
	bad := uint64(0)
	for _, x := range out {
		// The sum carries into the sign's place just when all exponent bits are set.
		bad |= (math.Float64bits(x) & exponentMask) + 1<<52
	}
	if bad>>63 == 0 {
		return
	}
	for i := range f.live {
		if !finite(out[i]) {
			f.fail(i, errDouble)
		}
	}
}

// FuncDivide is /, of DOUBLEs, or of DECIMALs giving DECIMALs as DivisionScale says.
var FuncDivide = propagate(func(f *frame, args []Vector) error {
	if args[0].Array.DataType().ID() == arrow.DECIMAL128 {
		return divideDecimals(f, args)
	}
	x, y := viewOf[float64](args[0]), viewOf[float64](args[1])
	out := fixedOut[float64](f)
	zero := false
	for i := range out {
		d := y.at(i)
		zero = zero || d == 0
		out[i] = x.at(i) / d
	}
	if zero {
		for i := range f.live {
			if y.at(i) == 0 {
				f.failOrNull(i, errDivision)
				out[i] = 0
			}
		}
	}
	checkFloats(f, out)
	return nil
})

// FuncIntegerDivide is DIV, of BIGINTs of any sign, of DECIMALs, or of DOUBLEs,
// which are divided as the decimal numbers that they print as.
var FuncIntegerDivide = propagate(func(f *frame, args []Vector) error {
	out := fixedOut[uint64](f)
	unsigned := f.out.Kind.IsUnsigned()
	put := func(i int, q u128, negative bool) {
		switch {
		case unsigned && (q.hi != 0 || negative && q.lo != 0):
			f.fail(i, errBigintUnsigned)
		case !unsigned && (q.hi != 0 || q.lo > 1<<63 || q.lo == 1<<63 && !negative):
			f.fail(i, errBigint)
		case negative:
			out[i] = -q.lo
		default:
			out[i] = q.lo
		}
	}
	if args[0].Array.DataType().ID() == arrow.DECIMAL128 {
		x, y := decimalsOf(args[0]), decimalsOf(args[1])
		for i := range f.live {
			u, v, negative := x.magnitudes(y, i)
			if v.isZero() {
				f.failOrNull(i, errDivision)
				continue
			}
			q, _ := quotient(u, x.scale, v, y.scale)
			put(i, q, negative)
		}
		return nil
	}
	if args[0].Array.DataType().ID() == arrow.FLOAT64 {
		x, y := viewOf[float64](args[0]), viewOf[float64](args[1])
		for i := range f.live {
			if y.at(i) == 0 {
				f.failOrNull(i, errDivision)
				continue
			}
			put(i, floatQuotient(x.at(i), y.at(i)), math.Signbit(x.at(i)) != math.Signbit(y.at(i)))
		}
		return nil
	}
	x, y := widesOf(args[0]), widesOf(args[1])
	for i := range f.live {
		a, b := x.at(i), y.at(i)
		if b.magnitude == 0 {
			f.failOrNull(i, errDivision)
			continue
		}
		put(i, u128{lo: a.magnitude / b.magnitude}, a.negative != b.negative)
	}
	return nil
})

// floatScale is how many digits behind the point of a double DIV looks at in its
// fast way.
const floatScale = 15

// floatQuotient is the whole part of |x/y|, at most 2¹²⁸−1.
func floatQuotient(x, y float64) u128 {
	x, y = math.Abs(x), math.Abs(y)
	if !finite(x) || !finite(y) {
		return u128{math.MaxUint64, math.MaxUint64}
	}
	if x < 1e15 && y < 1e15 && y >= 1 {
		a, _ := decimalFromFloat(x, types.MaxDecimalPrecision, floatScale)
		b, _ := decimalFromFloat(y, types.MaxDecimalPrecision, floatScale)
		u, _ := magnitude(a)
		v, _ := magnitude(b)
		q, _ := u.divmod(v)
		return q
	}
	a, _ := new(big.Rat).SetString(strconv.FormatFloat(x, 'e', -1, 64))
	b, _ := new(big.Rat).SetString(strconv.FormatFloat(y, 'e', -1, 64))
	a.Quo(a, b)
	q := new(big.Int).Quo(a.Num(), a.Denom())
	if q.BitLen() > 128 {
		return u128{math.MaxUint64, math.MaxUint64}
	}
	return fromBig(q)
}

// FuncModulo is %, whose sign is the dividend's.
var FuncModulo = propagate(func(f *frame, args []Vector) error {
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		x, y := viewOf[float64](args[0]), viewOf[float64](args[1])
		out := fixedOut[float64](f)
		for i := range f.live {
			d := y.at(i)
			if d == 0 {
				f.failOrNull(i, errDivision)
				continue
			}
			out[i] = math.Mod(x.at(i), d)
		}
		return nil
	case arrow.DECIMAL128:
		return moduloDecimals(f, args)
	}
	x, y := widesOf(args[0]), widesOf(args[1])
	out := fixedOut[uint64](f)
	for i := range f.live {
		a, b := x.at(i), y.at(i)
		if b.magnitude == 0 {
			f.failOrNull(i, errDivision)
			continue
		}
		r := a.magnitude % b.magnitude
		if a.negative {
			r = -r
		}
		out[i] = r
	}
	return nil
})

// FuncNegate is the unary −, of BIGINT, BIGINT UNSIGNED, DOUBLE or DECIMAL.
var FuncNegate = propagate(func(f *frame, args []Vector) error {
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		x := fixedValues[float64](args[0].Array)
		for i, out := 0, fixedOut[float64](f); i < len(out); i++ {
			out[i] = -x[i]
		}
	case arrow.DECIMAL128:
		x := decimalsOf(args[0])
		for i, out := 0, fixedOut[decimalValue](f); i < len(out); i++ {
			out[i] = x.at(i).Negate()
		}
	case arrow.UINT64:
		x := fixedValues[uint64](args[0].Array)
		out := fixedOut[int64](f)
		for i := range f.live {
			out[i] = -int64(x[i])
			if x[i] > 1<<63 {
				f.fail(i, errBigint)
			}
		}
	default:
		x := fixedValues[int64](args[0].Array)
		out := fixedOut[int64](f)
		least := false
		for i := range out {
			out[i] = -x[i]
			least = least || x[i] == math.MinInt64
		}
		if least {
			for i := range f.live {
				if x[i] == math.MinInt64 {
					f.fail(i, errBigint)
				}
			}
		}
	}
	return nil
})
