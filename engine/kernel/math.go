package kernel

import (
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// FuncAbs is ABS of BIGINT, BIGINT UNSIGNED, DOUBLE or DECIMAL.
var FuncAbs = propagate(func(f *frame, args []Vector) error {
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		x := fixedValues[float64](args[0].Array)
		for i, out := 0, fixedOut[float64](f); i < len(out); i++ {
			out[i] = math.Abs(x[i])
		}
	case arrow.DECIMAL128:
		x := decimalsOf(args[0])
		for i, out := 0, fixedOut[decimalValue](f); i < len(out); i++ {
			u, _ := magnitude(x.at(i))
			out[i] = u.signed(false)
		}
	case arrow.UINT64:
		copy(fixedOut[uint64](f), fixedValues[uint64](args[0].Array))
	default:
		x := fixedValues[int64](args[0].Array)
		out := fixedOut[int64](f)
		for i := range out {
			out[i] = max(x[i], -x[i])
			if x[i] == math.MinInt64 && f.isValid(i) {
				f.fail(i, errBigint)
			}
		}
	}
	return nil
})

// FuncSign is SIGN of BIGINT, BIGINT UNSIGNED, DOUBLE or DECIMAL.
var FuncSign = propagate(func(f *frame, args []Vector) error {
	put := integers(f)
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		for i, x := range fixedValues[float64](args[0].Array) {
			switch {
			case x > 0:
				put(i, 1)
			case x < 0:
				put(i, -1)
			default:
				put(i, 0)
			}
		}
	case arrow.DECIMAL128:
		x := decimalsOf(args[0])
		for i := range f.rows {
			put(i, int64(x.at(i).Sign()))
		}
	default:
		x := widesOf(args[0])
		for i := range f.rows {
			switch v := x.at(i); {
			case v.negative:
				put(i, -1)
			case v.magnitude > 0:
				put(i, 1)
			default:
				put(i, 0)
			}
		}
	}
	return nil
})

// FuncCeil is CEILING of DOUBLE, or of DECIMAL giving BIGINT or DECIMAL.
var FuncCeil = wholeNumber(math.Ceil, true)

// FuncFloor is FLOOR of DOUBLE, or of DECIMAL giving BIGINT or DECIMAL.
var FuncFloor = wholeNumber(math.Floor, false)

func wholeNumber(ofFloat func(float64) float64, up bool) Func {
	return propagate(func(f *frame, args []Vector) error {
		if args[0].Array.DataType().ID() == arrow.FLOAT64 {
			x := fixedValues[float64](args[0].Array)
			for i, out := 0, fixedOut[float64](f); i < len(out); i++ {
				out[i] = ofFloat(x[i])
			}
			return nil
		}
		x := decimalsOf(args[0])
		var ints []uint64
		var decimals []decimalValue
		if f.out.Kind == types.Decimal {
			decimals = fixedOut[decimalValue](f)
		} else {
			ints = fixedOut[uint64](f)
		}
		for i := range f.live {
			u, negative := magnitude(x.at(i))
			q, r := u.divmod(pow10[x.scale])
			if !r.isZero() && negative != up {
				q = q.add64(1)
			}
			if decimals != nil {
				decimals[i] = q.signed(negative)
			} else if !putInteger(ints, i, q.lo, negative, false) || q.hi != 0 {
				f.fail(i, errBigint)
			}
		}
		return nil
	})
}

// FuncRound is ROUND(x, digits): DOUBLEs half to even, as MySQL's, DECIMALs and
// integers half away from zero. digits is a BIGINT; the result of a DECIMAL has
// out's scale.
var FuncRound = propagate(func(f *frame, args []Vector) error { return round(f, args, false) })

// FuncTruncate is TRUNCATE(x, digits).
var FuncTruncate = propagate(func(f *frame, args []Vector) error { return round(f, args, true) })

func round(f *frame, args []Vector, cut bool) error {
	digits := viewOf[int64](args[1])
	switch args[0].Array.DataType().ID() {
	case arrow.FLOAT64:
		x := viewOf[float64](args[0])
		out := fixedOut[float64](f)
		for i := range f.live {
			out[i] = roundFloat(x.at(i), digits.at(i), cut)
		}
	case arrow.DECIMAL128:
		x := decimalsOf(args[0])
		out := fixedOut[decimalValue](f)
		for i := range f.live {
			u, negative := magnitude(x.at(i))
			if drop := int64(x.scale) - digits.at(i); drop > 0 {
				u = dropDigits(u, drop, cut)
			}
			d, ok := rescale(u.signed(negative), x.scale, f.out.Scale, f.out.Precision)
			if out[i] = d; !ok {
				f.fail(i, errDecimal)
			}
		}
	default:
		x := widesOf(args[0])
		out := fixedOut[uint64](f)
		for i := range f.live {
			v := x.at(i)
			u := u128{lo: v.magnitude}
			if n := digits.at(i); n < 0 {
				u = dropDigits(u, -max(n, -100), cut)
			}
			if !putInteger(out, i, u.lo, v.negative, f.out.Kind.IsUnsigned()) || u.hi != 0 {
				f.fail(i, errBigint)
			}
		}
	}
	return nil
}

// dropDigits makes the last n digits zero.
func dropDigits(u u128, n int64, cut bool) u128 {
	if n >= int64(len(pow10)) {
		return u128{}
	}
	var q u128
	if cut {
		q, _ = u.divmod(pow10[n])
	} else {
		q = u.divRound(int(n))
	}
	u, _ = q.mul(pow10[n])
	return u
}

func roundFloat(x float64, digits int64, cut bool) float64 {
	unit := math.Pow10(int(min(max(digits, -digits), 1000)))
	scaled := x * unit
	if digits < 0 {
		scaled = x / unit
	}
	switch {
	case digits < 0 && math.IsInf(unit, 0):
		return 0
	case digits >= 0 && (math.IsInf(scaled, 0) || math.IsNaN(scaled)):
		return x
	case cut:
		scaled = math.Trunc(scaled)
	default:
		scaled = math.RoundToEven(scaled)
	}
	if digits < 0 {
		return scaled * unit
	}
	return scaled / unit
}

// FuncOfDouble is a function of one DOUBLE. Where it is not a number the result
// is NULL, where it is infinite the row fails.
func FuncOfDouble(of func(float64) float64) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := fixedValues[float64](args[0].Array)
		out := fixedOut[float64](f)
		for i := range f.live {
			out[i] = of(x[i])
			finishDouble(f, out, i)
		}
		return nil
	})
}

// FuncOfDoubles is a function of two DOUBLEs, as FuncOfDouble.
func FuncOfDoubles(of func(x, y float64) float64) Func {
	return propagate(func(f *frame, args []Vector) error {
		x, y := viewOf[float64](args[0]), viewOf[float64](args[1])
		out := fixedOut[float64](f)
		for i := range f.live {
			out[i] = of(x.at(i), y.at(i))
			finishDouble(f, out, i)
		}
		return nil
	})
}

func finishDouble(f *frame, out []float64, i int) {
	switch {
	case math.IsNaN(out[i]):
		out[i] = 0
		f.null(i)
	case math.IsInf(out[i], 0):
		f.fail(i, errDouble)
	}
}

// FuncLog is the logarithm of a DOUBLE; what is not above zero has none.
func FuncLog(of func(float64) float64) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := fixedValues[float64](args[0].Array)
		out := fixedOut[float64](f)
		for i := range f.live {
			if x[i] <= 0 {
				out[i] = 0
				f.failOrNull(i, errLogarithm)
				continue
			}
			out[i] = of(x[i])
		}
		return nil
	})
}

// FuncLogBase is LOG(base, x).
var FuncLogBase = propagate(func(f *frame, args []Vector) error {
	base, x := viewOf[float64](args[0]), viewOf[float64](args[1])
	out := fixedOut[float64](f)
	for i := range f.live {
		b, v := base.at(i), x.at(i)
		out[i] = 0
		switch {
		case b <= 0 || v <= 0:
			f.failOrNull(i, errLogarithm)
		case b == 1:
			f.failOrNull(i, errDivision)
		default:
			out[i] = math.Log(v) / math.Log(b)
		}
	}
	return nil
})

// FuncBits are the bit operators on 64-bit integers, read as unsigned.
func FuncBits(op func(x, y uint64) uint64) Func {
	return propagate(func(f *frame, args []Vector) error {
		x, y := viewOf[uint64](args[0]), viewOf[uint64](args[len(args)-1])
		out := fixedOut[uint64](f)
		for i := range out {
			out[i] = op(x.at(i), y.at(i))
		}
		return nil
	})
}

// FuncBitCount is BIT_COUNT of a 64-bit integer.
var FuncBitCount = propagate(func(f *frame, args []Vector) error {
	put := integers(f)
	for i, x := range fixedValues[uint64](args[0].Array) {
		put(i, int64(bits.OnesCount64(x)))
	}
	return nil
})

// FuncExtreme is GREATEST or LEAST of two or more arguments of the result's type.
func FuncExtreme(greatest bool) Func {
	op := Less
	if greatest {
		op = Greater
	}
	return propagate(func(f *frame, args []Vector) error {
		better := f.ctx.scratch.takeWords(wordCount(f.rows))
		defer f.ctx.scratch.giveWords(better)
		best := args[0]
		best.Array.Retain()
		defer func() { best.Release() }()
		for _, a := range args[1:] {
			clear(better)
			if err := compare(f, op, a, best, better); err != nil {
				return err
			}
			next, err := choose(f, better, a, best)
			if err != nil {
				return err
			}
			best.Release()
			best = next
		}
		// The last choice is an array made here: its values are the result's.
		buffers := best.Array.Data().Buffers()
		f.values = buffers[len(buffers)-1]
		f.values.Retain()
		if len(buffers) == 3 {
			f.offsets = buffers[1]
			f.offsets.Retain()
		}
		return nil
	})
}

// choose takes a where the bit is set, else b.
func choose(f *frame, rows []uint64, a, b Vector) (Vector, error) {
	m := newMerge(f.ctx, f.out, f.rows)
	defer m.close()
	a.Array.Retain()
	if err := m.take(Vector{Array: a.Array, Const: a.Const}, rows); err != nil {
		return Vector{}, err
	}
	for k := range rows {
		rows[k] = ^rows[k]
	}
	b.Array.Retain()
	if err := m.take(Vector{Array: b.Array, Const: b.Const}, rows); err != nil {
		return Vector{}, err
	}
	return m.finish()
}

// FuncConstant is a function without arguments that always gives the number.
func FuncConstant(v float64) Func {
	return func(ctx *Context, rows int, _ []Vector, out types.Type) (Vector, error) {
		f := frame{ctx: ctx, rows: rows, out: out}
		to := fixedOut[float64](&f)
		for i := range to {
			to[i] = v
		}
		return f.finish(nil)
	}
}
