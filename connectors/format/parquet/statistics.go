package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/sql/types"
)

// Statistics are believed where the format defines what they mean: min_value and
// max_value in the order of the column's type. They bound the values, and need
// be none of them: long texts are cut. NaN is in no bounds, and fulfils no
// predicate. What is unclear excludes nothing.
// https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift

// excludes reports whether no row of a row group can fulfil all predicates.
func (b blocks) excludes(f footer, group int) (excluded bool) {
	defer func() {
		if recover() != nil {
			excluded = false // the decoder says what is wrong with the footer
		}
	}()
	return slices.ContainsFunc(b.predicates, func(p connectors.Predicate) bool { return b.refutes(f, group, p) })
}

// refutes reports whether a predicate holds for no row of a row group.
func (b blocks) refutes(f footer, group int, p connectors.Predicate) bool {
	leaf, field := f.flat(p.Column.Name)
	if leaf < 0 {
		return false
	}
	rows := f.meta.RowGroups[group].NumRows
	stats := f.meta.RowGroups[group].Columns[leaf].MetaData.Statistics
	if stats == nil || rows <= 0 {
		return false
	}
	nulls := int64(-1) // unknown
	if stats.NullCount != nil && *stats.NullCount >= 0 && *stats.NullCount <= rows {
		nulls = *stats.NullCount
	}
	if p.Column.NotNull && nulls != 0 && f.meta.Schema.Column(leaf).MaxDefinitionLevel() > 0 {
		return false // NULLs are dead letters
	}
	switch {
	case p.Op == connectors.OpIsNull:
		return nulls == 0 && !b.nulls
	case nulls == rows:
		return true
	case p.Op == connectors.OpIsNotNull:
		return false
	}
	column := f.meta.Schema.Column(leaf)
	if orders := f.meta.ColumnOrders; leaf >= len(orders) || orders[leaf] == nil || orders[leaf].TYPE_ORDER == nil {
		return false
	}
	low, ok := boundOf(column, field.Type, p.Column.Type, stats.MinValue)
	if !ok {
		return false
	}
	high, ok := boundOf(column, field.Type, p.Column.Type, stats.MaxValue)
	if !ok {
		return false
	}
	return refuted(p, low.below(p.Column.Type, field.Type), high.above(p.Column.Type, field.Type))
}

// flat is the leaf of a column that is neither nested nor repeated; −1 if there
// is none.
func (f footer) flat(name string) (leaf int, field arrow.Field) {
	at := fieldNamed(f.schema.Fields(), name)
	if at < 0 {
		return -1, field
	}
	field = f.schema.Field(at)
	for i := range f.meta.Schema.NumColumns() {
		c := f.meta.Schema.Column(i)
		if path := c.ColumnPath(); len(path) == 1 && path[0] == field.Name && c.MaxRepetitionLevel() == 0 {
			return i, field
		}
	}
	return -1, field
}

// bound is the least or the greatest value of a column chunk: a number, which
// dates and times are too, or a text.
type bound struct {
	number *big.Rat
	text   []byte
}

// boundOf reads a bound as a value of a column of the declared type; false where
// the two do not order values alike, or it does not fit.
func boundOf(column *schema.Column, file arrow.DataType, declared types.Type, data []byte) (b bound, ok bool) {
	if data == nil {
		return b, false
	}
	if d, ok := file.(*arrow.DictionaryType); ok {
		file = d.ValueType
	}
	switch file := file.(type) {
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type, *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type:
		n, ok := wholeOf(column, data, !arrow.IsUnsignedInteger(file.ID()))
		if !ok {
			return b, false
		}
		return numberIn(declared, new(big.Rat).SetInt(n))
	case *arrow.Float64Type:
		if len(data) != 8 || column.PhysicalType() != parquet.Types.Double || declared.Kind != types.Float64 {
			return b, false
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(data))
		if v-v != 0 {
			return b, false
		}
		return bound{number: new(big.Rat).SetFloat64(v)}, true
	case arrow.DecimalType:
		if declared.Kind != types.Decimal || file.GetScale() < 0 {
			return b, false
		}
		n, ok := wholeOf(column, data, true)
		if !ok {
			return b, false
		}
		return numberIn(declared, new(big.Rat).SetFrac(n, powerOfTen(int(file.GetScale()))))
	case *arrow.Date32Type:
		if declared.Kind != types.Date {
			return b, false
		}
		n, ok := wholeOf(column, data, true)
		if !ok || !columns.IsDate(n.Int64()) {
			return b, false
		}
		return bound{number: new(big.Rat).SetInt(n)}, true
	case *arrow.TimestampType:
		unit, ok := unitOf(column)
		if !ok || declared.Kind != types.DateTime && declared.Kind != types.Timestamp {
			return b, false
		}
		n, ok := wholeOf(column, data, true)
		if !ok {
			return b, false
		}
		v := micros(n.Int64(), unit)
		if !columns.IsMoment(v) {
			return b, false
		}
		return bound{number: new(big.Rat).SetInt64(v)}, true
	case *arrow.StringType, *arrow.LargeStringType:
		_, text := column.LogicalType().(schema.StringLogicalType)
		if !text || column.PhysicalType() != parquet.Types.ByteArray || declared.Kind != types.String || len(declared.Members) > 0 {
			return b, false
		}
		return bound{text: data}, true
	}
	return b, false
}

// wholeOf is a whole number as statistics have it: little-endian where it is an
// INT32 or INT64, else big-endian in two's complement.
func wholeOf(column *schema.Column, data []byte, signed bool) (*big.Int, bool) {
	switch t := column.PhysicalType(); {
	case t == parquet.Types.Int32 && len(data) == 4:
		v := binary.LittleEndian.Uint32(data)
		if signed {
			return big.NewInt(int64(int32(v))), true
		}
		return big.NewInt(int64(v)), true
	case t == parquet.Types.Int64 && len(data) == 8:
		v := binary.LittleEndian.Uint64(data)
		if signed {
			return big.NewInt(int64(v)), true
		}
		return new(big.Int).SetUint64(v), true
	case (t == parquet.Types.FixedLenByteArray || t == parquet.Types.ByteArray) && signed && len(data) > 0 && len(data) <= 64:
		n := new(big.Int).SetBytes(data)
		if data[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(data))))
		}
		return n, true
	}
	return nil, false
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// integers are the bounds of the kinds of whole numbers.
var integers = map[types.Kind][2]*big.Int{
	types.Int8:   {big.NewInt(math.MinInt8), big.NewInt(math.MaxInt8)},
	types.Int16:  {big.NewInt(math.MinInt16), big.NewInt(math.MaxInt16)},
	types.Int32:  {big.NewInt(math.MinInt32), big.NewInt(math.MaxInt32)},
	types.Int64:  {big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)},
	types.Uint8:  {big.NewInt(0), big.NewInt(math.MaxUint8)},
	types.Uint16: {big.NewInt(0), big.NewInt(math.MaxUint16)},
	types.Uint32: {big.NewInt(0), big.NewInt(math.MaxUint32)},
	types.Uint64: {big.NewInt(0), new(big.Int).SetUint64(math.MaxUint64)},
}

// numberIn is a number of the file as a bound in a column of whole numbers or
// decimals, if it fits there: what does not is a dead letter.
func numberIn(declared types.Type, n *big.Rat) (bound, bool) {
	if declared.Kind == types.Decimal {
		limit := new(big.Rat).SetFrac(powerOfTen(declared.Precision), powerOfTen(declared.Scale))
		return bound{number: n}, new(big.Rat).Abs(n).Cmp(limit) < 0
	}
	r, ok := integers[declared.Kind]
	if !ok || declared.Name == "MEDIUMINT" || !n.IsInt() || n.Num().Cmp(r[0]) < 0 || n.Num().Cmp(r[1]) > 0 {
		return bound{}, false
	}
	return bound{number: n}, true
}

func unitOf(column *schema.Column) (arrow.TimeUnit, bool) {
	t, ok := column.LogicalType().(schema.TimestampLogicalType)
	if !ok || column.PhysicalType() != parquet.Types.Int64 {
		return 0, false
	}
	switch t.TimeUnit() {
	case schema.TimeUnitMillis:
		return arrow.Millisecond, true
	case schema.TimeUnitMicros:
		return arrow.Microsecond, true
	case schema.TimeUnitNanos:
		return arrow.Nanosecond, true
	}
	return 0, false
}

// below is the bound made so low that no value is below it after it was fitted to
// the declared type: rounded, or without the spaces at its end.
func (b bound) below(declared types.Type, file arrow.DataType) bound {
	if b.number != nil {
		return bound{number: new(big.Rat).Sub(b.number, rounding(declared, file))}
	}
	text := bytes.TrimRight(b.text, " ")
	if bytes.IndexFunc(text, func(r rune) bool { return r < ' ' }) >= 0 {
		text = nil // such characters sort before the spaces that are taken away
	}
	return bound{text: text}
}

// above is the bound made so high that no value is above it.
func (b bound) above(declared types.Type, file arrow.DataType) bound {
	if b.number != nil {
		return bound{number: new(big.Rat).Add(b.number, rounding(declared, file))}
	}
	return b
}

// rounding is by how much a value of the file changes at most in its column.
func rounding(declared types.Type, file arrow.DataType) *big.Rat {
	switch declared.Kind {
	case types.Decimal:
		if d, ok := file.(arrow.DecimalType); ok && int(d.GetScale()) > declared.Scale {
			return new(big.Rat).SetFrac(big.NewInt(1), powerOfTen(declared.Scale))
		}
	case types.DateTime, types.Timestamp:
		if declared.Fsp < 6 {
			return new(big.Rat).SetInt(powerOfTen(6 - declared.Fsp))
		}
	}
	return new(big.Rat)
}

// refuted reports whether a comparison holds for no value from low to high.
func refuted(p connectors.Predicate, low, high bound) bool {
	for _, v := range p.Values {
		c, ok := constant(p.Column.Type.Kind, v)
		if !ok || (c.number == nil) != (low.number == nil) {
			return false
		}
		var possible bool
		switch p.Op {
		case connectors.OpEqual:
			possible = low.compare(c) <= 0 && high.compare(c) >= 0
		case connectors.OpLess:
			possible = low.compare(c) < 0
		case connectors.OpLessEqual:
			possible = low.compare(c) <= 0
		case connectors.OpGreater:
			possible = high.compare(c) > 0
		case connectors.OpGreaterEqual:
			possible = high.compare(c) >= 0
		default:
			possible = true
		}
		if possible {
			return false
		}
	}
	return low.compare(high) <= 0 // else the statistics are wrong
}

func (b bound) compare(c bound) int {
	if b.number != nil {
		return b.number.Cmp(c.number)
	}
	return bytes.Compare(b.text, c.text)
}

// constant is a constant of a predicate on a column of a kind.
func constant(kind types.Kind, v any) (bound, bool) {
	switch v := v.(type) {
	case int64:
		return bound{number: new(big.Rat).SetInt64(v)}, true
	case uint64:
		return bound{number: new(big.Rat).SetInt(new(big.Int).SetUint64(v))}, true
	case float64:
		if v-v != 0 {
			return bound{}, false
		}
		return bound{number: new(big.Rat).SetFloat64(v)}, true
	case string:
		if kind == types.String {
			return bound{text: []byte(v)}, true
		}
		n, ok := new(big.Rat).SetString(v)
		return bound{number: n}, ok
	}
	return bound{}, false
}
