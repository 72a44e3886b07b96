package kernel

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Value is row i of an array as the Go value of a logical.Literal: nil, bool,
// int64, uint64, float64, string (also for DECIMAL, as digits), []byte, and for
// dates and times int64 (days; µs). It is for slow paths; text is copied.
func Value(arr arrow.Array, i int) any {
	if arr.IsNull(i) {
		return nil
	}
	switch arr := arr.(type) {
	case *array.Boolean:
		return arr.Value(i)
	case *array.Int8:
		return int64(arr.Value(i))
	case *array.Int16:
		return int64(arr.Value(i))
	case *array.Int32:
		return int64(arr.Value(i))
	case *array.Int64:
		return arr.Value(i)
	case *array.Uint8:
		return uint64(arr.Value(i))
	case *array.Uint16:
		return uint64(arr.Value(i))
	case *array.Uint32:
		return uint64(arr.Value(i))
	case *array.Uint64:
		return arr.Value(i)
	case *array.Float32:
		return float64(arr.Value(i))
	case *array.Float64:
		return arr.Value(i)
	case *array.Decimal128:
		return string(appendDecimal(nil, arr.Value(i), int(arr.DataType().(*arrow.Decimal128Type).Scale)))
	case *array.String:
		return strings.Clone(arr.Value(i))
	case *array.Binary:
		return bytes.Clone(arr.Value(i))
	case *array.Date32:
		return int64(arr.Value(i))
	case *array.Time64:
		return int64(arr.Value(i))
	case *array.Timestamp:
		return int64(arr.Value(i))
	case *array.Dictionary:
		return Value(arr.Dictionary(), arr.GetValueIndex(i))
	}
	return nil
}

// AppendValue appends a Go value as Value gives it to a builder of one of our
// types. It takes any Go integer and float as well, as long as it fits, and for
// a DECIMAL numbers too. The error says which value does not fit which type.
func AppendValue(b array.Builder, v any) error {
	if v == nil {
		b.AppendNull()
		return nil
	}
	misfit := func() error { return fmt.Errorf("value %v (%T) does not fit %s", v, v, b.Type()) }
	switch b := b.(type) {
	case *array.BooleanBuilder:
		switch x := v.(type) {
		case bool:
			b.Append(x)
		default:
			i, ok := asInt64(v)
			if !ok {
				return misfit()
			}
			b.Append(i != 0)
		}
	case *array.Int8Builder:
		return appendInt(b.Append, v, math.MinInt8, math.MaxInt8, misfit)
	case *array.Int16Builder:
		return appendInt(b.Append, v, math.MinInt16, math.MaxInt16, misfit)
	case *array.Int32Builder:
		return appendInt(b.Append, v, math.MinInt32, math.MaxInt32, misfit)
	case *array.Int64Builder:
		return appendInt(b.Append, v, math.MinInt64, math.MaxInt64, misfit)
	case *array.Date32Builder:
		return appendInt(b.Append, v, math.MinInt32, math.MaxInt32, misfit)
	case *array.Time64Builder:
		return appendInt(b.Append, v, math.MinInt64, math.MaxInt64, misfit)
	case *array.TimestampBuilder:
		return appendInt(b.Append, v, math.MinInt64, math.MaxInt64, misfit)
	case *array.Uint8Builder:
		return appendUint(b.Append, v, math.MaxUint8, misfit)
	case *array.Uint16Builder:
		return appendUint(b.Append, v, math.MaxUint16, misfit)
	case *array.Uint32Builder:
		return appendUint(b.Append, v, math.MaxUint32, misfit)
	case *array.Uint64Builder:
		return appendUint(b.Append, v, math.MaxUint64, misfit)
	case *array.Float32Builder:
		f, ok := asFloat64(v)
		if !ok {
			return misfit()
		}
		b.Append(float32(f))
	case *array.Float64Builder:
		f, ok := asFloat64(v)
		if !ok {
			return misfit()
		}
		b.Append(f)
	case *array.Decimal128Builder:
		d, ok := asDecimal(v, b.Type().(*arrow.Decimal128Type))
		if !ok {
			return misfit()
		}
		b.Append(d)
	case *array.StringBuilder:
		switch x := v.(type) {
		case string:
			b.Append(x)
		case []byte:
			b.BinaryBuilder.Append(x)
		default:
			return misfit()
		}
	case *array.BinaryDictionaryBuilder:
		switch x := v.(type) {
		case string:
			return b.AppendString(x)
		case []byte:
			return b.Append(x)
		}
		return misfit()
	case *array.BinaryBuilder:
		switch x := v.(type) {
		case string:
			b.AppendString(x)
		case []byte:
			b.Append(x)
		default:
			return misfit()
		}
	default:
		return misfit()
	}
	return nil
}

func appendInt[T ~int8 | ~int16 | ~int32 | ~int64](push func(T), v any, low, high int64, misfit func() error) error {
	i, ok := asInt64(v)
	if !ok || i < low || i > high {
		return misfit()
	}
	push(T(i))
	return nil
}

func appendUint[T ~uint8 | ~uint16 | ~uint32 | ~uint64](push func(T), v any, high uint64, misfit func() error) error {
	u, ok := asUint64(v)
	if !ok || u > high {
		return misfit()
	}
	push(T(u))
	return nil
}

// asInt64 is a Go number or truth value that is exactly an int64.
func asInt64(v any) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int:
		return int64(v), true
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint:
		return int64(v), uint64(v) <= math.MaxInt64
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case float32:
		return asInt64(float64(v))
	case float64:
		return int64(v), v == math.Trunc(v) && v >= -1<<63 && v < 1<<63
	}
	return 0, false
}

func asUint64(v any) (uint64, bool) {
	switch v := v.(type) {
	case uint:
		return uint64(v), true
	case uint64:
		return v, true
	case float64:
		return uint64(v), v == math.Trunc(v) && v >= 0 && v < 1<<64
	}
	i, ok := asInt64(v)
	return uint64(i), ok && i >= 0
}

func asFloat64(v any) (float64, bool) {
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	case uint64:
		return float64(v), true
	case uint:
		return float64(v), true
	case string: // a DECIMAL's digits
		n, rest := scanNumber([]byte(v))
		return n.float64(), rest == len(v) && len(v) > 0
	}
	i, ok := asInt64(v)
	return float64(i), ok
}

// asDecimal is a number that has no more digits than the type's scale and precision.
func asDecimal(v any, t *arrow.Decimal128Type) (decimal128.Num, bool) {
	var digits string
	switch v := v.(type) {
	case string:
		digits = v
	case float32, float64:
		digits = fmt.Sprint(v)
	case bool:
		i, _ := asInt64(v)
		digits = fmt.Sprint(i)
	default:
		if _, ok := asFloat64(v); !ok {
			return decimal128.Num{}, false
		}
		digits = fmt.Sprint(v)
	}
	n, rest := scanNumber([]byte(digits))
	if rest != len(digits) || rest == 0 {
		return decimal128.Num{}, false
	}
	d, exact, fits := n.decimal(int(t.Precision), int(t.Scale))
	return d, exact && fits
}
