package kernel

import (
	"math"
	"strconv"

	"github.com/leatdb/leat/internal/mysqlfloat"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// goNumber are the number types of arrays.
type goNumber interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// converting converts every value as Go does: from a type to a wider one, or
// between the two of 64 bits.
func converting[S, D goNumber]() Func {
	return propagate(func(f *frame, args []Vector) error {
		x := fixedValues[S](args[0].Array)
		out := fixedOut[D](f)
		x = x[:len(out)]
		for i := range out {
			out[i] = D(x[i])
		}
		return nil
	})
}

// widening converts integers and floats to a 64-bit type; nil if from is none.
func widening[D goNumber](from types.Kind) Func {
	switch from {
	case types.Bool:
		return propagate(func(f *frame, args []Vector) error {
			x := boolsOf(args[0])
			out := fixedOut[D](f)
			for i := range out {
				out[i] = 0
				if x.at(i) {
					out[i] = 1
				}
			}
			return nil
		})
	case types.Int8:
		return converting[int8, D]()
	case types.Int16:
		return converting[int16, D]()
	case types.Int32:
		return converting[int32, D]()
	case types.Int64:
		return converting[int64, D]()
	case types.Uint8:
		return converting[uint8, D]()
	case types.Uint16:
		return converting[uint16, D]()
	case types.Uint32:
		return converting[uint32, D]()
	case types.Uint64:
		return converting[uint64, D]()
	}
	return nil
}

func castToBool(from types.Type) Func {
	switch from.Kind {
	case types.Int8:
		return notZero[int8]()
	case types.Int16:
		return notZero[int16]()
	case types.Int32:
		return notZero[int32]()
	case types.Int64, types.Time:
		return notZero[int64]()
	case types.Uint8:
		return notZero[uint8]()
	case types.Uint16:
		return notZero[uint16]()
	case types.Uint32:
		return notZero[uint32]()
	case types.Uint64:
		return notZero[uint64]()
	case types.Float32:
		return notZero[float32]()
	case types.Float64:
		return notZero[float64]()
	case types.Decimal:
		return notZero[decimalValue]()
	case types.JSON:
		return propagate(func(f *frame, args []Vector) error {
			x := textsOf(args[0])
			out := boolOut(f)
			for i := range f.live {
				n, ok := jsonNumber(x.at(i))
				switch {
				case !ok && mysqljson.KindOf(x.at(i)) != mysqljson.Null:
					f.warn(i, errInvalidJSONCast("BOOLEAN", x.at(i)))
				case n.float64() != 0:
					setBit(out, i)
				}
			}
			return nil
		})
	case types.Date, types.DateTime, types.Timestamp: // as numbers they are never 0
		return propagate(func(f *frame, _ []Vector) error {
			fillWords(boolOut(f), ^uint64(0))
			return nil
		})
	}
	return nil
}

func notZero[T comparable]() Func {
	return propagate(func(f *frame, args []Vector) error {
		var zero T
		out := boolOut(f)
		for i, x := range fixedValues[T](args[0].Array) {
			if x != zero {
				setBit(out, i)
			}
		}
		return nil
	})
}

func castToInteger(from, to types.Type) Func {
	switch to.Kind {
	case types.Int64:
		if f := widening[int64](from.Kind); f != nil {
			return f
		}
	case types.Uint64:
		if f := widening[uint64](from.Kind); f != nil {
			return f
		}
	case types.Int8:
		return narrowing[int8](from.Kind, math.MinInt8, math.MaxInt8)
	case types.Int16:
		return narrowing[int16](from.Kind, math.MinInt16, math.MaxInt16)
	case types.Int32:
		return narrowing[int32](from.Kind, math.MinInt32, math.MaxInt32)
	case types.Uint8:
		return narrowing[uint8](from.Kind, 0, math.MaxUint8)
	case types.Uint16:
		return narrowing[uint16](from.Kind, 0, math.MaxUint16)
	case types.Uint32:
		return narrowing[uint32](from.Kind, 0, math.MaxUint32)
	}
	switch from.Kind {
	case types.Float64:
		return propagate(floatToInteger)
	case types.Decimal:
		return propagate(decimalToInteger)
	case types.String:
		return propagate(textToInteger)
	case types.Binary:
		if from.Name == "BIT" {
			return propagate(bitsToInteger)
		}
		return propagate(textToInteger)
	case types.JSON:
		return jsonToNumber(from, to)
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return temporalToInteger(from)
	}
	return nil
}

// narrowing stores a 64-bit integer in a narrower type; nil from others.
func narrowing[D goNumber](from types.Kind, low, high int64) Func {
	if from != types.Int64 && from != types.Uint64 {
		return nil
	}
	return propagate(func(f *frame, args []Vector) error {
		x := widesOf(args[0])
		out := fixedOut[D](f)
		values := x.values[:len(out)]
		bad := false
		for i, v := range values {
			out[i] = D(v)
			bad = bad || int64(v) < low || int64(v) > high
		}
		if !bad {
			return nil
		}
		for i := range f.live {
			v := x.at(i)
			switch {
			case v.negative && v.magnitude > uint64(-low):
				f.warn(i, errOutOfRange("-"+strconv.FormatUint(v.magnitude, 10)))
				out[i] = D(low)
			case !v.negative && v.magnitude > uint64(high):
				f.warn(i, errOutOfRange(strconv.FormatUint(v.magnitude, 10)))
				out[i] = D(high)
			}
		}
		return nil
	})
}

// putInteger stores a rounded magnitude as BIGINT or BIGINT UNSIGNED, the
// nearest where it does not fit.
func putInteger(out []uint64, i int, magnitude uint64, negative, unsigned bool) (fits bool) {
	switch {
	case unsigned && negative && magnitude != 0:
		out[i] = 0
		return false
	case unsigned || !negative && magnitude <= math.MaxInt64:
		out[i] = magnitude
	case negative && magnitude <= 1<<63:
		out[i] = -magnitude
	case negative:
		out[i] = 1 << 63
		return false
	default:
		out[i] = math.MaxInt64
		return false
	}
	return true
}

// floatToInteger rounds half to even, as MySQL does with doubles.
func floatToInteger(f *frame, args []Vector) error {
	x := fixedValues[float64](args[0].Array)
	out := fixedOut[uint64](f)
	unsigned := f.out.Kind.IsUnsigned()
	for i := range f.live {
		r := math.RoundToEven(x[i])
		m := math.Abs(r)
		fits := m < 1<<64
		if unsigned && r < 0 && r >= math.MinInt64 {
			out[i] = uint64(int64(r)) // CAST(-1.0 AS UNSIGNED) wraps around
			continue
		}
		if !fits {
			putInteger(out, i, math.MaxUint64, r < 0, unsigned)
		} else {
			fits = putInteger(out, i, uint64(m), r < 0, unsigned)
		}
		if !fits {
			f.warn(i, errTruncated("INTEGER", mysqlfloat.AppendDouble(nil, x[i])))
		}
	}
	return nil
}

func decimalToInteger(f *frame, args []Vector) error {
	x := decimalsOf(args[0])
	out := fixedOut[uint64](f)
	unsigned := f.out.Kind.IsUnsigned()
	for i := range f.live {
		m, negative, fits := decimalToInt(x.at(i), x.scale)
		if !fits {
			m = math.MaxUint64
		}
		if !putInteger(out, i, m, negative, unsigned) || !fits {
			f.warn(i, errTruncated("DECIMAL", appendDecimal(nil, x.at(i), x.scale)))
		}
	}
	return nil
}

// textToInteger reads the integer that a text begins with.
func textToInteger(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := fixedOut[uint64](f)
	unsigned := f.out.Kind.IsUnsigned()
	for i := range f.live {
		s := x.at(i)
		m, negative, end, over := scanInteger(s)
		fits := !over
		switch {
		case !unsigned:
			// A positive number that only an unsigned one can hold wraps around.
			if !negative && fits {
				out[i] = m
				fits = m <= math.MaxInt64
			} else {
				fits = putInteger(out, i, m, negative, false) && fits
			}
		case negative && fits && m <= 1<<63:
			out[i] = -m
			fits = m == 0
		default:
			fits = putInteger(out, i, m, negative, true) && fits
		}
		if !fits || end == 0 || !onlySpaces(s[end:]) {
			f.warn(i, errTruncated("INTEGER", s))
		}
	}
	return nil
}

// bitsToInteger reads a BIT as the number its bytes are, the greatest first.
func bitsToInteger(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := fixedOut[uint64](f)
	for i := range f.live {
		out[i] = 0
		for _, c := range x.at(i) {
			out[i] = out[i]<<8 | uint64(c)
		}
	}
	return nil
}

func castToFloat(from, to types.Type) Func {
	if to.Kind == types.Float32 {
		if from.Kind != types.Float64 {
			return nil
		}
		return propagate(func(f *frame, args []Vector) error {
			x := fixedValues[float64](args[0].Array)
			out := fixedOut[float32](f)
			for i := range out {
				out[i] = float32(x[i])
				if math.IsInf(float64(out[i]), 0) && f.isValid(i) {
					f.warn(i, errOutOfRange(mysqlfloat.AppendDouble(nil, x[i])))
					out[i] = float32(math.Copysign(math.MaxFloat32, x[i]))
				}
			}
			return nil
		})
	}
	if f := widening[float64](from.Kind); f != nil {
		return f
	}
	switch from.Kind {
	case types.Float32:
		return converting[float32, float64]()
	case types.Decimal:
		return propagate(func(f *frame, args []Vector) error {
			x := decimalsOf(args[0])
			out := fixedOut[float64](f)
			for i := range f.live {
				out[i] = decimalToFloat(x.at(i), x.scale)
			}
			return nil
		})
	case types.String, types.Binary:
		if from.Name == "BIT" {
			return nil
		}
		return propagate(textToFloat)
	case types.JSON:
		return jsonToNumber(from, to)
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return temporalToFloat(from)
	}
	return nil
}

func textToFloat(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := fixedOut[float64](f)
	for i := range f.live {
		s := x.at(i)
		if v, ok := shortFloat(s); ok {
			out[i] = v
			continue
		}
		n, end := scanNumber(s)
		v := n.float64()
		if math.IsInf(v, 0) {
			v = math.Copysign(math.MaxFloat64, v)
			end = 0
		}
		out[i] = v
		if !onlySpaces(s[end:]) { // text without anything is 0, and no error in MySQL
			f.warn(i, errTruncated("DOUBLE", s))
		}
	}
	return nil
}

func castToDecimal(from types.Type) Func {
	switch from.Kind {
	case types.Int64, types.Uint64:
		return propagate(func(f *frame, args []Vector) error {
			x := widesOf(args[0])
			out := fixedOut[decimalValue](f)
			scale, limit := pow10[f.out.Scale], pow10[f.out.Precision]
			for i := range f.live {
				v := x.at(i)
				u, ok := scale.mul(u128{lo: v.magnitude})
				out[i] = u.signed(v.negative)
				if !ok || u.cmp(limit) >= 0 {
					out[i] = maxDecimal(f.out.Precision, v.negative)
					f.warn(i, errOutOfRange(appendDecimal(nil, u128{lo: v.magnitude}.signed(v.negative), 0)))
				}
			}
			return nil
		})
	case types.Float64:
		return propagate(func(f *frame, args []Vector) error {
			x := fixedValues[float64](args[0].Array)
			out := fixedOut[decimalValue](f)
			for i := range f.live {
				var ok bool
				if out[i], ok = decimalFromFloat(x[i], f.out.Precision, f.out.Scale); !ok {
					f.warn(i, errOutOfRange(mysqlfloat.AppendDouble(nil, x[i])))
				}
			}
			return nil
		})
	case types.Decimal:
		return propagate(func(f *frame, args []Vector) error {
			x := decimalsOf(args[0])
			out := fixedOut[decimalValue](f)
			for i := range f.live {
				var ok bool
				if out[i], ok = rescale(x.at(i), x.scale, f.out.Scale, f.out.Precision); !ok {
					out[i] = maxDecimal(f.out.Precision, x.at(i).Sign() < 0)
					f.warn(i, errOutOfRange(appendDecimal(nil, x.at(i), x.scale)))
				}
			}
			return nil
		})
	case types.String, types.Binary:
		if from.Name == "BIT" {
			return nil
		}
		return propagate(func(f *frame, args []Vector) error {
			x := textsOf(args[0])
			out := fixedOut[decimalValue](f)
			for i := range f.live {
				s := x.at(i)
				n, end := scanNumber(s)
				d, _, fits := n.decimal(f.out.Precision, f.out.Scale)
				out[i] = d
				switch {
				case end == 0 || !onlySpaces(s[end:]):
					f.warn(i, errTruncated("DECIMAL", s))
				case !fits:
					f.warn(i, errOutOfRange(s))
				}
			}
			return nil
		})
	case types.JSON:
		return jsonToNumber(from, types.NewDecimal(types.MaxDecimalPrecision, 0))
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return temporalToDecimal(from)
	}
	return nil
}
