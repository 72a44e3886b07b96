package push

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/sql/types"
)

// appendRows appends rows as JSON objects, each with a line break. Numbers keep
// all their digits, times are ISO 8601 with Z for instants, NULL is null. Text is
// a string, unless the column's metadata declares it as JSON (types.MetadataKey).
func appendRows(dst []byte, rows arrow.RecordBatch) ([]byte, error) {
	columns := make([]appendValue, rows.NumCols())
	leads := make([][]byte, rows.NumCols())
	for i := range columns {
		name := rows.ColumnName(i)
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		leads[i] = append(quoted, ':')
		appender := valueAppender
		if declared, ok := rows.Schema().Field(i).Metadata.GetValue(types.MetadataKey); ok && declared == types.TypeJSON.String() {
			appender = jsonAppender
		}
		if columns[i], err = appender(rows.Column(i)); err != nil {
			return nil, fmt.Errorf("column %s: %w", name, err)
		}
	}
	for row := range int(rows.NumRows()) {
		dst = append(dst, '{')
		for i, appendColumn := range columns {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, leads[i]...)
			var err error
			if dst, err = appendColumn(dst, row); err != nil {
				return nil, fmt.Errorf("column %s, row %d: %w", rows.ColumnName(i), row, err)
			}
		}
		dst = append(dst, '}', '\n')
	}
	return dst, nil
}

// appendValue appends a value of a column as JSON.
type appendValue func(dst []byte, row int) ([]byte, error)

// valueAppender chooses how a column's values are written, once for all rows.
func valueAppender(column arrow.Array) (appendValue, error) {
	f, err := plainAppender(column)
	if err != nil || column.NullN() == 0 && column.DataType().ID() != arrow.NULL {
		return f, err
	}
	return func(dst []byte, row int) ([]byte, error) {
		if column.IsNull(row) {
			return append(dst, "null"...), nil
		}
		return f(dst, row)
	}, nil
}

func plainAppender(column arrow.Array) (appendValue, error) {
	switch a := column.(type) {
	case *array.Null:
		return func(dst []byte, _ int) ([]byte, error) { return append(dst, "null"...), nil }, nil
	case *array.Boolean:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendBool(dst, a.Value(i)), nil }, nil
	case *array.Int8:
		return integers(a.Value), nil
	case *array.Int16:
		return integers(a.Value), nil
	case *array.Int32:
		return integers(a.Value), nil
	case *array.Int64:
		return integers(a.Value), nil
	case *array.Uint8:
		return integers(a.Value), nil
	case *array.Uint16:
		return integers(a.Value), nil
	case *array.Uint32:
		return integers(a.Value), nil
	case *array.Uint64:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendUint(dst, a.Value(i), 10), nil }, nil
	case *array.Float32:
		return func(dst []byte, i int) ([]byte, error) { return appendFloat(dst, float64(a.Value(i)), 32) }, nil
	case *array.Float64:
		return func(dst []byte, i int) ([]byte, error) { return appendFloat(dst, a.Value(i), 64) }, nil
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return func(dst []byte, i int) ([]byte, error) { return append(dst, a.Value(i).ToString(scale)...), nil }, nil
	case *array.Decimal256:
		scale := a.DataType().(*arrow.Decimal256Type).Scale
		return func(dst []byte, i int) ([]byte, error) { return append(dst, a.Value(i).ToString(scale)...), nil }, nil
	case *array.String:
		return texts(func(i int) []byte { return []byte(a.Value(i)) }), nil
	case *array.LargeString:
		return texts(func(i int) []byte { return []byte(a.Value(i)) }), nil
	case *array.StringView:
		return texts(func(i int) []byte { return []byte(a.Value(i)) }), nil
	case *array.Binary:
		return texts(a.Value), nil
	case *array.LargeBinary:
		return texts(a.Value), nil
	case *array.BinaryView:
		return texts(a.Value), nil
	case *array.FixedSizeBinary:
		return texts(a.Value), nil
	case *array.Date32:
		return times(func(i int) time.Time { return a.Value(i).ToTime() }, "2006-01-02"), nil
	case *array.Date64:
		return times(func(i int) time.Time { return a.Value(i).ToTime() }, "2006-01-02"), nil
	case *array.Time32:
		unit := a.DataType().(*arrow.Time32Type).Unit
		return times(func(i int) time.Time { return a.Value(i).ToTime(unit) }, "15:04:05.999999999"), nil
	case *array.Time64:
		unit := a.DataType().(*arrow.Time64Type).Unit
		return times(func(i int) time.Time { return a.Value(i).ToTime(unit) }, "15:04:05.999999999"), nil
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		layout := "2006-01-02T15:04:05.999999999"
		if t.TimeZone != "" {
			layout += "Z"
		}
		return times(func(i int) time.Time { return a.Value(i).ToTime(t.Unit).UTC() }, layout), nil
	case *array.Dictionary:
		f, err := valueAppender(a.Dictionary())
		return func(dst []byte, i int) ([]byte, error) { return f(dst, a.GetValueIndex(i)) }, err
	case *array.Struct:
		return members(a)
	case array.ListLike:
		return elements(a)
	}
	return nil, fmt.Errorf("values of Arrow type %s cannot be sent", column.DataType())
}

func integers[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](value func(int) T) appendValue {
	return func(dst []byte, i int) ([]byte, error) { return strconv.AppendInt(dst, int64(value(i)), 10), nil }
}

func appendFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is no number in JSON", f)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits), nil
}

func texts(value func(int) []byte) appendValue {
	return func(dst []byte, i int) ([]byte, error) { return appendText(dst, value(i)) }
}

const hexDigits = "0123456789abcdef"

// appendText appends bytes as a JSON string.
func appendText(dst, text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("bytes that are no UTF-8 cannot be sent as JSON")
	}
	dst = append(dst, '"')
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"'), nil
}

// jsonAppender writes the texts of a column that its metadata declares as JSON
// as the values that they are.
func jsonAppender(column arrow.Array) (appendValue, error) {
	a, ok := column.(array.StringLike)
	if !ok {
		return valueAppender(column)
	}
	return func(dst []byte, row int) ([]byte, error) {
		if a.IsNull(row) {
			return append(dst, "null"...), nil
		}
		text := []byte(a.Value(row))
		if !json.Valid(text) {
			return nil, fmt.Errorf("%.100q is no JSON", text)
		}
		if bytes.IndexByte(text, '\n') < 0 {
			return append(dst, text...), nil
		}
		var line bytes.Buffer // a row is one line
		if err := json.Compact(&line, text); err != nil {
			return nil, err
		}
		return append(dst, line.Bytes()...), nil
	}, nil
}

func times(value func(int) time.Time, layout string) appendValue {
	return func(dst []byte, i int) ([]byte, error) {
		t := value(i)
		if y := t.Year(); y < 0 || y > 9999 {
			return nil, fmt.Errorf("year %d has no four digits", y)
		}
		return append(t.AppendFormat(append(dst, '"'), layout), '"'), nil
	}
}

func members(a *array.Struct) (appendValue, error) {
	t := a.DataType().(*arrow.StructType)
	fields := make([]appendValue, a.NumField())
	leads := make([][]byte, a.NumField())
	for i := range fields {
		quoted, err := json.Marshal(t.Field(i).Name)
		if err != nil {
			return nil, err
		}
		leads[i] = append(quoted, ':')
		if fields[i], err = valueAppender(a.Field(i)); err != nil {
			return nil, fmt.Errorf("member %s: %w", t.Field(i).Name, err)
		}
	}
	return func(dst []byte, row int) ([]byte, error) {
		dst = append(dst, '{')
		for i, f := range fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = f(append(dst, leads[i]...), row); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}, nil
}

func elements(a array.ListLike) (appendValue, error) {
	f, err := valueAppender(a.ListValues())
	if err != nil {
		return nil, fmt.Errorf("elements: %w", err)
	}
	return func(dst []byte, row int) ([]byte, error) {
		from, to := a.ValueOffsets(row)
		dst = append(dst, '[')
		for i := from; i < to; i++ {
			if i > from {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = f(dst, int(i)); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}, nil
}
