package kernel

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/sql/types"
)

type decimalValue = decimal128.Num

// decimals is the view of a DECIMAL argument.
type decimals struct {
	view[decimalValue]
	scale int
}

func decimalsOf(v Vector) decimals {
	return decimals{viewOf[decimalValue](v), int(v.Array.DataType().(*arrow.Decimal128Type).Scale)}
}

// magnitudes are row i's operands without their signs, and the sign of their
// product.
func (d decimals) magnitudes(e decimals, i int) (u, v u128, negative bool) {
	u, a := magnitude(d.at(i))
	v, b := magnitude(e.at(i))
	return u, v, a != b
}

func addSigned(a, b decimalValue) decimalValue {
	lo, carry := bits.Add64(a.LowBits(), b.LowBits(), 0)
	return decimal128.New(a.HighBits()+b.HighBits()+int64(carry), lo)
}

func subSigned(a, b decimalValue) decimalValue {
	lo, borrow := bits.Sub64(a.LowBits(), b.LowBits(), 0)
	return decimal128.New(a.HighBits()-b.HighBits()-int64(borrow), lo)
}

// addDecimals adds or subtracts. The result's scale is the greater of the
// operands', unless its type has been cut to 38 digits.
func addDecimals(f *frame, args []Vector, subtract bool) error {
	x, y := decimalsOf(args[0]), decimalsOf(args[1])
	out := fixedOut[decimalValue](f)
	// Types below the greatest precision were made wide enough for any result.
	exact := f.out.Precision < types.MaxDecimalPrecision
	if exact && x.scale == f.out.Scale && y.scale == f.out.Scale {
		if subtract {
			for i := range out {
				out[i] = subSigned(x.at(i), y.at(i))
			}
		} else {
			for i := range out {
				out[i] = addSigned(x.at(i), y.at(i))
			}
		}
		return nil
	}
	if up, down := f.out.Scale-x.scale, f.out.Scale-y.scale; exact && max(up, down) <= 18 && min(up, down) >= 0 {
		byX, byY := int64(pow10[up].lo), int64(pow10[down].lo)
		if subtract {
			byY = -byY
		}
		var notSmall int64
		for i := range out {
			a, b := x.at(i), y.at(i)
			u, v := int64(a.LowBits()), int64(b.LowBits())
			notSmall |= a.HighBits() ^ u>>63 | b.HighBits() ^ v>>63
			aHi, aLo := mulSigned(u, byX)
			bHi, bLo := mulSigned(v, byY)
			out[i] = addSigned(decimal128.New(aHi, uint64(aLo)), decimal128.New(bHi, uint64(bLo)))
		}
		if notSmall == 0 {
			return nil
		}
	}
	common := max(x.scale, y.scale)
	for i := range f.live {
		a, b := x.at(i), y.at(i)
		if subtract {
			b = b.Negate()
		}
		r, ok := sumDecimals(a, x.scale, b, y.scale, common)
		if ok {
			r, ok = rescale(r, common, f.out.Scale, f.out.Precision)
		}
		if out[i] = r; !ok {
			f.fail(i, errDecimal)
		}
	}
	return nil
}

// sumDecimals is a+b at the common scale, if it has 38 digits at most.
func sumDecimals(a decimalValue, aScale int, b decimalValue, bScale, common int) (decimalValue, bool) {
	a, aFits := rescale(a, aScale, common, types.MaxDecimalPrecision)
	b, bFits := rescale(b, bScale, common, types.MaxDecimalPrecision)
	if !aFits || !bFits {
		return a, false
	}
	r := addSigned(a, b)
	u, _ := magnitude(r)
	return r, u.cmp(pow10[types.MaxDecimalPrecision]) < 0
}

// multiplyDecimals multiplies; the product has the sum of the scales, unless
// the result's type has been cut.
func multiplyDecimals(f *frame, args []Vector) error {
	x, y := decimalsOf(args[0]), decimalsOf(args[1])
	out := fixedOut[decimalValue](f)
	scale := x.scale + y.scale
	if scale == f.out.Scale {
		// The product of two int64 has at most 38 digits; only of the greatest
		// precision may the result's type be narrower than any product.
		big := f.out.Precision == types.MaxDecimalPrecision
		if !big {
			var notSmall int64 // any bit of a high half that is not the sign of the low
			for i := range out {
				a, b := x.at(i), y.at(i)
				u, v := int64(a.LowBits()), int64(b.LowBits())
				notSmall |= a.HighBits() ^ u>>63 | b.HighBits() ^ v>>63
				hi, lo := mulSigned(u, v)
				out[i] = decimal128.New(hi, uint64(lo))
			}
			big = notSmall != 0
		}
		if !big {
			return nil
		}
	}
	for i := range f.live {
		u, v, negative := x.magnitudes(y, i)
		r, ok := productDecimal(u, v, negative, scale, f.out)
		if out[i] = r; !ok {
			f.fail(i, errDecimal)
		}
	}
	return nil
}

func productDecimal(u, v u128, negative bool, scale int, out types.Type) (decimalValue, bool) {
	if p, ok := u.mul(v); ok && p.hi>>63 == 0 {
		return rescale(p.signed(negative), scale, out.Scale, out.Precision)
	}
	wide := u.big()
	wide.Mul(wide, v.big())
	// Half up: half the divisor more.
	unit := bigPow10(scale - out.Scale)
	wide.Quo(wide.Add(wide, new(big.Int).Rsh(unit, 1)), unit)
	if wide.Cmp(pow10[out.Precision].big()) >= 0 {
		return decimalValue{}, false
	}
	return fromBig(wide).signed(negative), true
}

// divisionIncrement is MySQL's div_precision_increment: how many digits a
// quotient's type has more than the dividend's.
const divisionIncrement = 4

// DivisionScale is to how many digits behind the point MySQL divides before it
// rounds to the type's (do_div_mod in its decimal library, which computes with
// groups of nine digits).
func DivisionScale(dividend, divisor int) int {
	groups := func(digits int) int { return (digits + 8) / 9 * 9 }
	a, b := groups(dividend), groups(divisor)
	more := max(0, divisionIncrement-(a-dividend)-(b-divisor))
	return groups(a + b + more)
}

// divideDecimals cuts the quotient after the digits that MySQL computes, or that
// there is room for, and rounds it to out's.
func divideDecimals(f *frame, args []Vector) error {
	x, y := decimalsOf(args[0]), decimalsOf(args[1])
	out := fixedOut[decimalValue](f)
	all := max(f.out.Scale, DivisionScale(x.scale, y.scale))
	fewer := max(f.out.Scale, min(all, types.MaxDecimalPrecision-(f.out.Precision-f.out.Scale)))
	for i := range f.live {
		b := y.at(i)
		if b.LowBits() == 0 && b.HighBits() == 0 {
			f.failOrNull(i, errDivision)
			continue
		}
		digits := all
		r, ok := divideDecimal(x.at(i), b, digits-x.scale+y.scale)
		if !ok && fewer < all {
			digits = fewer
			r, ok = divideDecimal(x.at(i), b, digits-x.scale+y.scale)
		}
		if ok {
			r, ok = rescale(r, digits, f.out.Scale, f.out.Precision)
		}
		if out[i] = r; !ok {
			f.fail(i, errDecimal)
		}
	}
	return nil
}

// quotient is the whole part of u/v, at most 2¹²⁸−1, and what remains, at the
// greater of the scales.
func quotient(u u128, uScale int, v u128, vScale int) (q, r u128) {
	if uScale > vScale {
		scaled, ok := v.mul(pow10[uScale-vScale])
		if !ok {
			return u128{}, u // the divisor is the greater
		}
		return u.divmod(scaled)
	}
	scaled, ok := u.mul(pow10[vScale-uScale])
	if ok {
		return scaled.divmod(v)
	}
	wide, rest := new(big.Int), new(big.Int)
	wide.Mul(u.big(), bigPow10(vScale-uScale))
	wide.QuoRem(wide, v.big(), rest)
	if wide.BitLen() > 128 {
		return u128{math.MaxUint64, math.MaxUint64}, fromBig(rest)
	}
	return fromBig(wide), fromBig(rest)
}

func moduloDecimals(f *frame, args []Vector) error {
	x, y := decimalsOf(args[0]), decimalsOf(args[1])
	out := fixedOut[decimalValue](f)
	common := max(x.scale, y.scale)
	for i := range f.live {
		u, negative := magnitude(x.at(i))
		v, _ := magnitude(y.at(i))
		if v.isZero() {
			f.failOrNull(i, errDivision)
			continue
		}
		_, r := quotient(u, x.scale, v, y.scale)
		d, ok := rescale(r.signed(negative), common, f.out.Scale, f.out.Precision)
		if out[i] = d; !ok {
			f.fail(i, errDecimal)
		}
	}
	return nil
}
