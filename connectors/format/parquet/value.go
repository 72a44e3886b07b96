package parquet

import (
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// set writes column i from its cell in a row.
func (d *Decoder) set(i int, c *cell, row int) (connectors.ErrorClass, string) {
	if c.values == nil {
		return "", ""
	}
	for _, s := range c.above {
		if s.IsNull(row) {
			return "", ""
		}
	}
	values := c.values
	if c.below != nil {
		if text, ok := textOf(values, row); ok && c.column {
			return d.batch.Set(i, text) // the path leads into a text that is JSON
		}
		d.json = appendJSON(d.json[:0], values, row)
		raw, found, err := mysqljson.Lookup(d.json, *c.below)
		switch {
		case err != nil:
			return connectors.ClassField, err.Error()
		case found:
			return d.batch.SetJSON(i, raw)
		}
		return "", ""
	}
	if isNull(values, row) {
		return d.batch.SetJSON(i, jsonNull)
	}
	return d.value(i, values, row, c.column)
}

// isNull is IsNull also of arrays without a type, which say that nothing is NULL.
func isNull(values arrow.Array, row int) bool {
	return values.DataType().ID() == arrow.NULL || values.IsNull(row)
}

var jsonNull = []byte("null")

// value writes a value that is not NULL.
func (d *Decoder) value(i int, values arrow.Array, row int, column bool) (connectors.ErrorClass, string) {
	b := d.batch
	switch a := values.(type) {
	case *array.Boolean:
		return b.SetBool(i, a.Value(row))
	case *array.Int8:
		return b.SetInt(i, int64(a.Value(row)))
	case *array.Int16:
		return b.SetInt(i, int64(a.Value(row)))
	case *array.Int32:
		return b.SetInt(i, int64(a.Value(row)))
	case *array.Int64:
		return b.SetInt(i, a.Value(row))
	case *array.Uint8:
		return b.SetUint(i, uint64(a.Value(row)))
	case *array.Uint16:
		return b.SetUint(i, uint64(a.Value(row)))
	case *array.Uint32:
		return b.SetUint(i, uint64(a.Value(row)))
	case *array.Uint64:
		return b.SetUint(i, a.Value(row))
	case *array.Float16:
		return b.SetFloat(i, a.Value(row).Float32())
	case *array.Float32:
		return b.SetFloat(i, a.Value(row))
	case *array.Float64:
		return b.SetDouble(i, a.Value(row))
	case *array.Decimal32:
		return b.SetDecimal(i, decimal128.FromI64(int64(a.Value(row))), scaleOf(a))
	case *array.Decimal64:
		return b.SetDecimal(i, decimal128.FromI64(int64(a.Value(row))), scaleOf(a))
	case *array.Decimal128:
		return b.SetDecimal(i, a.Value(row), scaleOf(a))
	case *array.Date32:
		return b.SetDate(i, int64(a.Value(row)))
	case *array.Date64:
		return b.SetDate(i, floorDiv(int64(a.Value(row)), 86_400_000))
	case *array.Time32:
		return b.SetTimeOfDay(i, micros(int64(a.Value(row)), a.DataType().(*arrow.Time32Type).Unit))
	case *array.Time64:
		return b.SetTimeOfDay(i, micros(int64(a.Value(row)), a.DataType().(*arrow.Time64Type).Unit))
	case *array.Timestamp:
		return b.SetMoment(i, micros(int64(a.Value(row)), a.DataType().(*arrow.TimestampType).Unit))
	case *array.Binary:
		return b.SetBytes(i, a.Value(row))
	case *array.LargeBinary:
		return b.SetBytes(i, a.Value(row))
	case *array.FixedSizeBinary:
		return b.SetBytes(i, a.Value(row))
	case *array.Dictionary:
		return d.value(i, a.Dictionary(), a.GetValueIndex(row), column)
	}
	if text, ok := textOf(values, row); ok {
		switch {
		case column:
			return b.Set(i, text)
		case !utf8.Valid(text):
			return connectors.ClassField, "field " + b.Columns[i].Path + ": not valid UTF-8"
		}
		return b.SetString(i, text)
	}
	d.json = appendJSON(d.json[:0], values, row)
	if c := b.Columns[i]; c.Field.Mode == connectors.FieldColumn && c.Type.Kind == types.JSON {
		if err := mysqljson.Valid(d.json); err != nil {
			return connectors.ClassField, c.Misfit(d.json, err)
		}
	}
	return b.SetJSON(i, d.json)
}

// textOf is the text of an array of strings or UUIDs.
func textOf(values arrow.Array, row int) ([]byte, bool) {
	if isNull(values, row) {
		return nil, false
	}
	switch a := values.(type) {
	case *array.String:
		return view(a.Value(row)), true
	case *array.LargeString:
		return view(a.Value(row)), true
	case *array.Dictionary:
		return textOf(a.Dictionary(), a.GetValueIndex(row))
	case array.ExtensionArray:
		if storage, ok := a.Storage().(*array.FixedSizeBinary); ok && a.ExtensionType().ExtensionName() == "arrow.uuid" {
			return appendUUID(nil, storage.Value(row)), true
		}
		return textOf(a.Storage(), row)
	}
	return nil, false
}

// view is the bytes of a string, which nobody writes to.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func scaleOf(a arrow.Array) int { return int(a.DataType().(arrow.DecimalType).GetScale()) }

// micros are the µs of a time; those that no column can hold stay far away.
func micros(v int64, unit arrow.TimeUnit) int64 {
	factor := microsIn(unit)
	switch {
	case factor == 0:
		return floorDiv(v, 1000)
	case v > math.MaxInt64/factor:
		return math.MaxInt64
	case v < math.MinInt64/factor:
		return math.MinInt64
	}
	return v * factor
}

// microsIn is how many µs a unit has, 0 for nanoseconds.
func microsIn(unit arrow.TimeUnit) int64 {
	switch unit {
	case arrow.Second:
		return 1_000_000
	case arrow.Millisecond:
		return 1000
	case arrow.Nanosecond:
		return 0
	}
	return 1
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func appendUUID(dst, b []byte) []byte {
	if len(b) != 16 {
		return hex.AppendEncode(dst, b)
	}
	at := 0
	for i, end := range []int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[at:end])
		at = end
	}
	return dst
}

// appendJSON appends a value as JSON; times beyond the years 1 to 9999 are null.
func appendJSON(dst []byte, values arrow.Array, row int) []byte {
	if isNull(values, row) {
		return append(dst, jsonNull...)
	}
	switch a := values.(type) {
	case *array.Boolean:
		return strconv.AppendBool(dst, a.Value(row))
	case *array.Int8:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10)
	case *array.Int16:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10)
	case *array.Int32:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10)
	case *array.Int64:
		return strconv.AppendInt(dst, a.Value(row), 10)
	case *array.Uint8:
		return strconv.AppendUint(dst, uint64(a.Value(row)), 10)
	case *array.Uint16:
		return strconv.AppendUint(dst, uint64(a.Value(row)), 10)
	case *array.Uint32:
		return strconv.AppendUint(dst, uint64(a.Value(row)), 10)
	case *array.Uint64:
		return strconv.AppendUint(dst, a.Value(row), 10)
	case *array.Float16:
		return columns.AppendJSONFloat(dst, a.Value(row).Float32())
	case *array.Float32:
		return columns.AppendJSONFloat(dst, a.Value(row))
	case *array.Float64:
		return columns.AppendJSONDouble(dst, a.Value(row))
	case *array.Decimal32:
		return columns.AppendJSONDecimal(dst, decimal128.FromI64(int64(a.Value(row))), scaleOf(a))
	case *array.Decimal64:
		return columns.AppendJSONDecimal(dst, decimal128.FromI64(int64(a.Value(row))), scaleOf(a))
	case *array.Decimal128:
		return columns.AppendJSONDecimal(dst, a.Value(row), scaleOf(a))
	case *array.Decimal256:
		return append(dst, a.ValueStr(row)...)
	case *array.Date32:
		return appendDay(dst, int64(a.Value(row)))
	case *array.Date64:
		return appendDay(dst, floorDiv(int64(a.Value(row)), 86_400_000))
	case *array.Time32:
		return columns.AppendJSONTimeOfDay(dst, micros(int64(a.Value(row)), a.DataType().(*arrow.Time32Type).Unit))
	case *array.Time64:
		return columns.AppendJSONTimeOfDay(dst, micros(int64(a.Value(row)), a.DataType().(*arrow.Time64Type).Unit))
	case *array.Timestamp:
		v := micros(int64(a.Value(row)), a.DataType().(*arrow.TimestampType).Unit)
		if !columns.IsMoment(v) {
			return append(dst, jsonNull...)
		}
		return columns.AppendJSONMoment(dst, v)
	case *array.Binary:
		return columns.AppendJSONBytes(dst, a.Value(row))
	case *array.LargeBinary:
		return columns.AppendJSONBytes(dst, a.Value(row))
	case *array.FixedSizeBinary:
		return columns.AppendJSONBytes(dst, a.Value(row))
	case *array.Dictionary:
		return appendJSON(dst, a.Dictionary(), a.GetValueIndex(row))
	case *array.Struct:
		dst = append(dst, '{')
		for i, f := range a.DataType().(*arrow.StructType).Fields() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, []byte(f.Name)), ':')
			dst = appendJSON(dst, a.Field(i), row)
		}
		return append(dst, '}')
	case *array.Map:
		dst = append(dst, '{')
		start, end := a.ValueOffsets(row)
		for i := start; i < end; i++ {
			if i > start {
				dst = append(dst, ',')
			}
			key, ok := textOf(a.Keys(), int(i))
			if !ok {
				key = []byte(a.Keys().ValueStr(int(i)))
			}
			dst = append(appendText(dst, key), ':')
			dst = appendJSON(dst, a.Items(), int(i))
		}
		return append(dst, '}')
	case array.ListLike:
		dst = append(dst, '[')
		start, end := a.ValueOffsets(row)
		for i := start; i < end; i++ {
			if i > start {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, a.ListValues(), int(i))
		}
		return append(dst, ']')
	}
	if text, ok := textOf(values, row); ok {
		return appendText(dst, text)
	}
	return appendText(dst, []byte(values.ValueStr(row)))
}

func appendDay(dst []byte, days int64) []byte {
	if !columns.IsDate(days) {
		return append(dst, jsonNull...)
	}
	return columns.AppendJSONDate(dst, days)
}

func appendText(dst, text []byte) []byte {
	if !utf8.Valid(text) {
		return columns.AppendJSONBytes(dst, text)
	}
	return mysqljson.AppendQuoted(dst, text)
}
