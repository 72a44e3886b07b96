package kernel

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// u128 is the magnitude of a decimal.
type u128 struct{ hi, lo uint64 }

// pow10 are the powers of ten that a decimal of 38 digits reaches.
var pow10 = func() (p [39]u128) {
	p[0] = u128{lo: 1}
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1].mulAdd10(0)
	}
	return p
}()

// magnitude is |d| and whether d is negative.
func magnitude(d decimal128.Num) (u u128, negative bool) {
	hi, lo := uint64(d.HighBits()), d.LowBits()
	if d.HighBits() < 0 {
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		return u128{^hi + carry, lo}, true
	}
	return u128{hi, lo}, false
}

// signed is the decimal of the magnitude, which has to be below 2¹²⁷.
func (u u128) signed(negative bool) decimal128.Num {
	if !negative {
		return decimal128.New(int64(u.hi), u.lo)
	}
	lo, carry := bits.Add64(^u.lo, 1, 0)
	return decimal128.New(int64(^u.hi+carry), lo)
}

func (u u128) isZero() bool { return u.hi|u.lo == 0 }

func (u u128) cmp(v u128) int {
	switch {
	case u.hi != v.hi:
		if u.hi < v.hi {
			return -1
		}
		return 1
	case u.lo != v.lo:
		if u.lo < v.lo {
			return -1
		}
		return 1
	}
	return 0
}

func (u u128) add(v u128) u128 {
	lo, carry := bits.Add64(u.lo, v.lo, 0)
	hi, _ := bits.Add64(u.hi, v.hi, carry)
	return u128{hi, lo}
}

func (u u128) sub(v u128) u128 {
	lo, borrow := bits.Sub64(u.lo, v.lo, 0)
	hi, _ := bits.Sub64(u.hi, v.hi, borrow)
	return u128{hi, lo}
}

func (u u128) add64(x uint64) u128 { return u.add(u128{lo: x}) }

func (u u128) minus1() u128 { return u.sub(u128{lo: 1}) }

// mulAdd10 is 10·u + digit, modulo 2¹²⁸.
func (u u128) mulAdd10(digit uint64) u128 {
	hi, lo := bits.Mul64(u.lo, 10)
	lo, carry := bits.Add64(lo, digit, 0)
	return u128{u.hi*10 + hi + carry, lo}
}

// mul is u·v and whether that has at most 128 bits.
func (u u128) mul(v u128) (u128, bool) {
	if u.hi != 0 && v.hi != 0 {
		return u128{}, false
	}
	hi, lo := bits.Mul64(u.lo, v.lo)
	over1, cross1 := bits.Mul64(u.hi, v.lo)
	over2, cross2 := bits.Mul64(u.lo, v.hi)
	hi, carry1 := bits.Add64(hi, cross1, 0)
	hi, carry2 := bits.Add64(hi, cross2, 0)
	return u128{hi, lo}, over1|over2|carry1|carry2 == 0
}

// divmod64 divides by d, which is not 0.
func (u u128) divmod64(d uint64) (q u128, r uint64) {
	q.hi, r = u.hi/d, u.hi%d
	q.lo, r = bits.Div64(r, u.lo, d)
	return q, r
}

// divmod divides by d, which is not 0.
func (u u128) divmod(d u128) (q, r u128) {
	if d.hi == 0 {
		q, rest := u.divmod64(d.lo)
		return q, u128{lo: rest}
	}
	// The quotient has at most 64 bits: estimate it from the leading 64 bits of
	// the divisor; it is then at most one too great.
	shift := bits.LeadingZeros64(d.hi)
	lead := d.shl(shift).hi
	half := u.shr1()
	estimate, _ := bits.Div64(half.hi, half.lo, lead)
	estimate >>= 63 - shift
	if estimate > 0 {
		estimate--
	}
	product, _ := d.mul(u128{lo: estimate})
	r = u.sub(product)
	for r.cmp(d) >= 0 {
		r = r.sub(d)
		estimate++
	}
	return u128{lo: estimate}, r
}

func (u u128) shl(n int) u128 {
	return u128{u.hi<<n | u.lo>>(64-n), u.lo << n}
}

func (u u128) shr1() u128 { return u128{u.hi >> 1, u.lo>>1 | u.hi<<63} }

// divRound is u/10^k, rounded half up.
func (u u128) divRound(k int) u128 {
	if k <= 0 {
		return u
	}
	if k >= len(pow10) {
		return u128{}
	}
	q, r := u.divmod(pow10[k])
	if r.cmp(pow10[k].shr1()) >= 0 {
		q = q.add64(1)
	}
	return q
}

// rescale moves a decimal from one scale to another, rounding half away from
// zero; fits is false when it then has more digits than the precision.
func rescale(d decimal128.Num, from, to, precision int) (_ decimal128.Num, fits bool) {
	u, negative := magnitude(d)
	if to < from {
		u = u.divRound(from - to)
	} else if to > from && !u.isZero() {
		if to-from >= len(pow10) {
			return d, false
		}
		var ok bool
		if u, ok = u.mul(pow10[to-from]); !ok {
			return d, false
		}
	}
	return u.signed(negative), u.cmp(pow10[precision]) < 0
}

// maxDecimal is the greatest decimal of a precision, or the least.
func maxDecimal(precision int, negative bool) decimal128.Num {
	return pow10[precision].minus1().signed(negative)
}

// decimalFromFloat is the decimal nearest to the digits that f prints as.
func decimalFromFloat(f float64, precision, scale int) (d decimal128.Num, fits bool) {
	if !finite(f) {
		return maxDecimal(precision, f < 0), false
	}
	var buf [32]byte
	n, _ := scanNumber(strconv.AppendFloat(buf[:0], f, 'e', -1, 64))
	d, _, fits = n.decimal(precision, scale)
	return d, fits
}

// decimalToFloat is the double nearest to a decimal.
func decimalToFloat(d decimal128.Num, scale int) float64 {
	u, negative := magnitude(d)
	var f float64
	if u.hi == 0 && u.lo < 1<<53 && scale <= 22 {
		f = float64(u.lo) / exactPow10[scale] // both exact: rounded once
		if negative {
			f = -f
		}
		return f
	}
	var buf [48]byte
	n, _ := scanNumber(appendDecimal(buf[:0], d, scale))
	return n.float64()
}

// exactPow10 are the powers of ten that are doubles.
var exactPow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// decimalToInt rounds half away from zero; fits says whether the magnitude has
// at most 64 bits.
func decimalToInt(d decimal128.Num, scale int) (u uint64, negative, fits bool) {
	m, negative := magnitude(d)
	m = m.divRound(scale)
	return m.lo, negative && m.lo != 0, m.hi == 0
}

// appendDecimal prints a decimal with scale digits after the point.
func appendDecimal(dst []byte, d decimal128.Num, scale int) []byte {
	u, negative := magnitude(d)
	if negative {
		dst = append(dst, '-')
	}
	var buf [48]byte
	at := len(buf)
	written := 0
	for {
		var chunk uint64
		if u.hi == 0 {
			chunk, u.lo = u.lo%1e18, u.lo/1e18
		} else {
			u, chunk = u.divmod64(1e18)
		}
		last := u.isZero()
		for i := 0; i < 18 && (!last || chunk > 0 || written <= scale); i++ {
			if written == scale && scale > 0 {
				at--
				buf[at] = '.'
			}
			at--
			buf[at] = byte('0' + chunk%10)
			chunk /= 10
			written++
		}
		if last && written > scale {
			return append(dst, buf[at:]...)
		}
	}
}

// divideDecimal is a/b·10^shift, cut to a whole number; b is not 0. fits is false
// if it does not have at most 38 digits.
func divideDecimal(a, b decimal128.Num, shift int) (_ decimal128.Num, fits bool) {
	u, negative := magnitude(a)
	v, vNegative := magnitude(b)
	negative = negative != vNegative
	if shift < 0 {
		var ok bool
		if v, ok = v.mul(pow10[-shift]); !ok {
			return decimal128.Num{}, true
		}
		shift = 0
	}
	var q u128
	if scaled, ok := u.mul(pow10[min(shift, 38)]); ok && shift <= 38 {
		q, _ = scaled.divmod(v)
	} else {
		wide := u.big()
		wide.Mul(wide, bigPow10(shift)).Quo(wide, v.big())
		if wide.BitLen() > 127 {
			return decimal128.Num{}, false
		}
		q = fromBig(wide)
	}
	return q.signed(negative), q.cmp(pow10[38]) < 0
}

func bigPow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

func (u u128) big() *big.Int {
	x := new(big.Int).SetUint64(u.hi)
	return x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(u.lo))
}

// fromBig takes the low 128 bits of x, which is not negative.
func fromBig(x *big.Int) u128 {
	low := new(big.Int).And(x, new(big.Int).SetUint64(math.MaxUint64))
	return u128{new(big.Int).Rsh(x, 64).Uint64(), low.Uint64()}
}

// compareDecimals compares decimals of different scales.
func compareDecimals(a decimal128.Num, aScale int, b decimal128.Num, bScale int) int {
	u, negative := magnitude(a)
	v, vNegative := magnitude(b)
	if u.isZero() {
		negative = false
	}
	if v.isZero() {
		vNegative = false
	}
	if negative != vNegative {
		if negative {
			return -1
		}
		return 1
	}
	c := 0
	switch {
	case aScale < bScale:
		w, ok := u.mul(pow10[bScale-aScale])
		if c = 1; ok {
			c = w.cmp(v)
		}
	case aScale > bScale:
		w, ok := v.mul(pow10[aScale-bScale])
		if c = -1; ok {
			c = u.cmp(w)
		}
	default:
		c = u.cmp(v)
	}
	if negative {
		return -c
	}
	return c
}
