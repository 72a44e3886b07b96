// Package cells reads single values of Arrow columns: what encoders make records
// of, which write row by row.
package cells

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/sql/types"
)

// Column reads an array of one declared type, also one of narrower numbers or with
// a dictionary of strings.
type Column struct {
	Type types.Type
	// Form is how the bound array holds its values.
	Form Form

	nulls   arrow.Array // nil when no value is NULL
	i8      []int8
	i16     []int16
	i32     []int32
	i64     []int64
	u8      []uint8
	u16     []uint16
	u32     []uint32
	u64     []uint64
	f32     []float32
	f64     []float64
	decimal []decimal128.Num
	boolean *array.Boolean
	// Value i of text lies at bytes[offsets[i]:offsets[i+1]]; indices lead to
	// them where the array has a dictionary.
	offsets []int32
	bytes   []byte
	dict    *array.Dictionary
}

// Form is how an array holds its values, and so by which method they are read.
type Form uint8

// The forms.
const (
	Null Form = iota
	Bool
	I8
	I16
	I32
	I64
	U8
	U16
	U32
	U64
	F32
	F64
	Decimal
	Bytes
)

// Bind makes an array the source of what follows. It is lent until the next Bind.
func (c *Column) Bind(a arrow.Array) error {
	c.nulls, c.dict = nil, nil
	if a.NullN() > 0 {
		c.nulls = a
	}
	switch a := a.(type) {
	case *array.Null:
		c.Form = Null
	case *array.Boolean:
		c.Form, c.boolean = Bool, a
	case *array.Int8:
		c.Form, c.i8 = I8, a.Int8Values()
	case *array.Int16:
		c.Form, c.i16 = I16, a.Int16Values()
	case *array.Int32:
		c.Form, c.i32 = I32, a.Int32Values()
	case *array.Int64:
		c.Form, c.i64 = I64, a.Int64Values()
	case *array.Uint8:
		c.Form, c.u8 = U8, a.Uint8Values()
	case *array.Uint16:
		c.Form, c.u16 = U16, a.Uint16Values()
	case *array.Uint32:
		c.Form, c.u32 = U32, a.Uint32Values()
	case *array.Uint64:
		c.Form, c.u64 = U64, a.Uint64Values()
	case *array.Float32:
		c.Form, c.f32 = F32, a.Float32Values()
	case *array.Float64:
		c.Form, c.f64 = F64, a.Float64Values()
	case *array.Decimal128:
		c.Form, c.decimal = Decimal, a.Values()
	case *array.Date32:
		c.Form, c.i32 = I32, arrow.Int32Traits.CastFromBytes(arrow.Date32Traits.CastToBytes(a.Date32Values()))
	case *array.Time64:
		c.Form, c.i64 = I64, arrow.Int64Traits.CastFromBytes(arrow.Time64Traits.CastToBytes(a.Time64Values()))
	case *array.Timestamp:
		c.Form, c.i64 = I64, arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues()))
	case *array.String:
		c.Form, c.offsets, c.bytes = Bytes, a.ValueOffsets(), bytesOf(a.Data())
	case *array.Binary:
		c.Form, c.offsets, c.bytes = Bytes, a.ValueOffsets(), bytesOf(a.Data())
	case *array.Dictionary:
		words, ok := a.Dictionary().(*array.String)
		if !ok {
			return fmt.Errorf("a dictionary of %s", a.Dictionary().DataType())
		}
		c.Form, c.dict, c.offsets, c.bytes = Bytes, a, words.ValueOffsets(), bytesOf(words.Data())
	default:
		return fmt.Errorf("an array of %s", a.DataType())
	}
	return nil
}

// bytesOf are the bytes that the offsets of an array point into.
func bytesOf(d arrow.ArrayData) []byte {
	if b := d.Buffers()[2]; b != nil {
		return b.Bytes()
	}
	return nil
}

// Bytes is a value of form Bytes.
func (c *Column) Bytes(row int) []byte {
	if c.dict != nil {
		row = c.dict.GetValueIndex(row)
	}
	return c.bytes[c.offsets[row]:c.offsets[row+1]]
}

// IsNull reports whether a value is NULL.
func (c *Column) IsNull(row int) bool {
	return c.Form == Null || c.nulls != nil && c.nulls.IsNull(row)
}

// Integer is a value of a form of integers, but for U64: also days and
// microseconds.
func (c *Column) Integer(row int) int64 {
	switch c.Form {
	case I8:
		return int64(c.i8[row])
	case I16:
		return int64(c.i16[row])
	case I32:
		return int64(c.i32[row])
	case U8:
		return int64(c.u8[row])
	case U16:
		return int64(c.u16[row])
	case U32:
		return int64(c.u32[row])
	}
	return c.i64[row]
}

// Float is a value of a form of floats.
func (c *Column) Float(row int) float64 {
	if c.Form == F32 {
		return float64(c.f32[row])
	}
	return c.f64[row]
}

// Bool is a value of form Bool.
func (c *Column) Bool(row int) bool { return c.boolean.Value(row) }

// Unsigned is a value of form U64.
func (c *Column) Unsigned(row int) uint64 { return c.u64[row] }

// Decimal is a value of form Decimal.
func (c *Column) Decimal(row int) decimal128.Num { return c.decimal[row] }
