package kernel

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// Total is an aggregate of all rows. Each lane has its own, to which it adds its
// batches; they are merged at the end. It holds no memory of the batches.
//
// COUNT, SUM, AVG, MIN and MAX mean what they mean in MySQL: sums and averages of
// exact numbers are exact, those of doubles are doubles, and of no values all but
// COUNT are NULL.
type Total struct {
	function totalFunction
	arg, out types.Type

	rows int64 // that count: those with a value, or all for COUNT(*)
	sum  wideSum
	f    float64 // a sum, or an extreme, of doubles
	// Extremes of the other types.
	i int64
	u uint64
	d decimal128.Num
	s []byte // of text
}

type totalFunction uint8

const (
	totalCount totalFunction = iota
	totalSum
	totalAvg
	totalMin
	totalMax
)

// NewTotal makes the total that an aggregate function gives of values of type
// arg, as type out. ok is false for functions and types without one.
func NewTotal(function string, arg, out types.Type) (t *Total, ok bool) {
	t = &Total{arg: arg, out: out}
	exact := arg.Kind.IsInteger() || arg.Kind == types.Decimal
	switch function {
	case "count":
		t.function, ok = totalCount, out.Kind == types.Int64
	case "sum":
		t.function = totalSum
		ok = arg.Kind.IsFloat() && out.Kind == types.Float64 || exact && out.Kind == types.Decimal
	case "avg":
		t.function = totalAvg
		ok = arg.Kind.IsFloat() && out.Kind == types.Float64 || exact && out.Kind == types.Decimal
	case "min", "max":
		t.function = totalMin
		if function == "max" {
			t.function = totalMax
		}
		ok = (exact || arg.Kind.IsFloat() || arg.Kind.IsTemporal() || arg.Kind == types.String) && arg.Kind == out.Kind && arg.Scale == out.Scale
	}
	return t, ok
}

// AddRows counts rows for COUNT(*).
func (t *Total) AddRows(n int) { t.rows += int64(n) }

// Add adds the values of a column. The error is one of SQL: the sum leaves the
// range of what can be added up.
func (t *Total) Add(arr arrow.Array) error {
	rows, nulls := arr.Len(), arr.NullN()
	if rows == nulls {
		return nil
	}
	if t.function == totalCount {
		t.rows += int64(rows - nulls)
		return nil
	}
	begun := t.rows > 0
	t.rows += int64(rows - nulls)
	valid := validity(arr)
	switch id := arr.DataType().ID(); id {
	case arrow.INT8:
		return totalSigned[int8](t, arr, valid, begun)
	case arrow.INT16:
		return totalSigned[int16](t, arr, valid, begun)
	case arrow.INT32, arrow.DATE32:
		return totalSigned[int32](t, arr, valid, begun)
	case arrow.INT64, arrow.TIME64, arrow.TIMESTAMP:
		return totalSigned[int64](t, arr, valid, begun)
	case arrow.UINT8:
		return totalUnsigned[uint8](t, arr, valid, begun)
	case arrow.UINT16:
		return totalUnsigned[uint16](t, arr, valid, begun)
	case arrow.UINT32:
		return totalUnsigned[uint32](t, arr, valid, begun)
	case arrow.UINT64:
		return totalUnsigned[uint64](t, arr, valid, begun)
	case arrow.FLOAT32:
		totalFloats[float32](t, arr, valid, begun)
		return nil
	case arrow.FLOAT64:
		totalFloats[float64](t, arr, valid, begun)
		return nil
	case arrow.DECIMAL128:
		return t.addDecimals(fixedValues[decimal128.Num](arr), valid, begun)
	case arrow.STRING:
		t.addTexts(textsOf(Vector{Array: arr}), rows, valid, begun)
		return nil
	case arrow.DICTIONARY:
		t.addCodes(arr.(*array.Dictionary), valid, begun)
		return nil
	}
	return fmt.Errorf("no total of %s", arr.DataType())
}

func totalSigned[T int8 | int16 | int32 | int64](t *Total, arr arrow.Array, valid bitmap, begun bool) error {
	values := fixedValues[T](arr)
	if t.function == totalMin || t.function == totalMax {
		if best, ok := extreme(values, valid, t.function); ok {
			t.i = better(t.i, int64(best), begun, t.function)
		}
		return nil
	}
	for i, v := range values {
		if valid.get(i) {
			t.sum.add(decimal128.New(int64(v)>>63, uint64(v)))
		}
	}
	return t.sum.err()
}

func totalUnsigned[T uint8 | uint16 | uint32 | uint64](t *Total, arr arrow.Array, valid bitmap, begun bool) error {
	values := fixedValues[T](arr)
	if t.function == totalMin || t.function == totalMax {
		if best, ok := extreme(values, valid, t.function); ok {
			t.u = better(t.u, uint64(best), begun, t.function)
		}
		return nil
	}
	for i, v := range values {
		if valid.get(i) {
			t.sum.add(decimal128.New(0, uint64(v)))
		}
	}
	return t.sum.err()
}

func totalFloats[T float32 | float64](t *Total, arr arrow.Array, valid bitmap, begun bool) {
	values := fixedValues[T](arr)
	if t.function == totalMin || t.function == totalMax {
		if best, ok := extreme(values, valid, t.function); ok {
			t.f = better(t.f, float64(best), begun, t.function)
		}
		return
	}
	sum := t.f
	for i, v := range values {
		if valid.get(i) {
			sum += float64(v)
		}
	}
	t.f = sum
}

// narrowDigits is how many digits a decimal has of which 2¹⁶ add up in 64 bits.
const narrowDigits = 14

func (t *Total) addDecimals(values []decimal128.Num, valid bitmap, begun bool) error {
	switch {
	case t.function == totalMin || t.function == totalMax:
		for i, v := range values {
			if valid.get(i) {
				if c := v.Cmp(t.d); !begun || c < 0 && t.function == totalMin || c > 0 && t.function == totalMax {
					t.d, begun = v, true
				}
			}
		}
		return nil
	case valid.bytes == nil && t.arg.Precision <= narrowDigits:
		for len(values) > 0 {
			n := min(len(values), 1<<16)
			var sum int64
			for i := range values[:n] {
				sum += int64(values[i].LowBits())
			}
			t.sum.add(decimal128.New(sum>>63, uint64(sum)))
			values = values[n:]
		}
	default:
		for i, v := range values {
			if valid.get(i) {
				t.sum.add(v)
			}
		}
	}
	return t.sum.err()
}

// addTexts compares text by its bytes, which is the order of code points.
func (t *Total) addTexts(values texts, rows int, valid bitmap, begun bool) {
	best := t.s
	for i := range rows {
		if valid.get(i) {
			best, begun = betterText(best, values.at(i), begun, t.function), true
		}
	}
	t.s = append(t.s[:0], best...) // best may be the batch's
}

// addCodes looks at each value of a dictionary that a row has, once where they come
// in runs: a dictionary may have values of other rows.
func (t *Total) addCodes(d *array.Dictionary, valid bitmap, begun bool) {
	values := textsOf(Vector{Array: d.Dictionary()})
	best, last := t.s, int32(-1)
	for i, code := range fixedValues[int32](d) {
		if code != last && valid.get(i) {
			best, begun, last = betterText(best, values.at(int(code)), begun, t.function), true, code
		}
	}
	t.s = append(t.s[:0], best...) // best may be the batch's
}

func betterText(best, v []byte, begun bool, f totalFunction) []byte {
	if c := bytes.Compare(v, best); !begun || c < 0 && f == totalMin || c > 0 && f == totalMax {
		return v
	}
	return best
}

// extreme is the least or greatest value.
func extreme[T cmp.Ordered](values []T, valid bitmap, f totalFunction) (best T, ok bool) {
	for i, v := range values {
		if valid.get(i) {
			best, ok = better(best, v, ok, f), true
		}
	}
	return best, ok
}

func better[T cmp.Ordered](best, v T, begun bool, f totalFunction) T {
	if !begun || v < best && f == totalMin || v > best && f == totalMax {
		return v
	}
	return best
}

// wideSum adds up in 128 bits.
type wideSum struct {
	lo   uint64
	hi   int64
	over bool
}

func (s *wideSum) add(d decimal128.Num) {
	lo, carry := bits.Add64(s.lo, d.LowBits(), 0)
	hi, _ := bits.Add64(uint64(s.hi), uint64(d.HighBits()), carry)
	// Out of two of one sign comes one of the other.
	s.over = s.over || (s.hi^int64(hi))&(d.HighBits()^int64(hi)) < 0
	s.lo, s.hi = lo, int64(hi)
}

func (s *wideSum) err() error {
	if s.over {
		return errDecimal
	}
	return nil
}

func (s *wideSum) num() decimal128.Num { return decimal128.New(s.hi, s.lo) }

// Merge adds what another total of the same function and types has.
func (t *Total) Merge(o *Total) error {
	if o.rows == 0 {
		return nil
	}
	begun := t.rows > 0
	t.rows += o.rows
	switch t.function {
	case totalSum, totalAvg:
		t.f += o.f
		t.sum.add(o.sum.num())
		t.sum.over = t.sum.over || o.sum.over
		return t.sum.err()
	case totalMin, totalMax:
		t.i, t.u, t.f = better(t.i, o.i, begun, t.function), better(t.u, o.u, begun, t.function), better(t.f, o.f, begun, t.function)
		if c := o.d.Cmp(t.d); !begun || c < 0 && t.function == totalMin || c > 0 && t.function == totalMax {
			t.d = o.d
		}
		t.s = append(t.s[:0], betterText(t.s, o.s, begun, t.function)...)
	}
	return nil
}

// Array is the result, as a column of one row that the caller releases. The
// error is one of SQL: the result is out of the range of its type.
func (t *Total) Array(alloc memory.Allocator) (arrow.Array, error) {
	b := array.NewBuilder(alloc, t.out.Arrow())
	defer b.Release()
	v, err := t.value()
	if err == nil {
		err = AppendValue(b, v)
	}
	if err != nil {
		return nil, err
	}
	return b.NewArray(), nil
}

// value is the result as AppendValue takes it.
func (t *Total) value() (any, error) {
	float := t.arg.Kind.IsFloat()
	switch {
	case t.function == totalCount:
		return t.rows, nil
	case t.rows == 0:
		return nil, nil
	case t.function == totalSum || t.function == totalAvg:
		if float {
			f := t.f
			if t.function == totalAvg {
				f /= float64(t.rows)
			}
			if math.IsInf(f, 0) || math.IsNaN(f) {
				return nil, errDouble
			}
			return f, nil
		}
		return t.exact()
	case float:
		return t.f, nil
	case t.arg.Kind == types.String:
		return string(t.s), nil
	case t.arg.Kind == types.Decimal:
		return string(appendDecimal(nil, t.d, t.out.Scale)), nil
	case t.arg.Kind.IsUnsigned():
		return t.u, nil
	}
	return t.i, nil
}

// exact is a sum or an average of exact numbers, rounded half away from zero.
func (t *Total) exact() (any, error) {
	total := t.sum.num().BigInt()
	power := func(scale int) *big.Int {
		return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, 0))), nil)
	}
	divisor := power(t.arg.Scale - t.out.Scale)
	if t.function == totalAvg {
		divisor.Mul(divisor, big.NewInt(t.rows))
	}
	total.Mul(total, power(t.out.Scale-t.arg.Scale))
	negative := total.Sign() < 0
	total.Abs(total).Lsh(total, 1).Add(total, divisor)
	total.Quo(total, divisor.Lsh(divisor, 1))
	if negative {
		total.Neg(total)
	}
	if limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.out.Precision)), nil); total.CmpAbs(limit) >= 0 {
		return nil, errDecimal
	}
	return string(appendDecimal(nil, decimal128.FromBigInt(total), t.out.Scale)), nil
}
