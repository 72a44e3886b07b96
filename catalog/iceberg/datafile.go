package iceberg

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
)

// DataFile is a Parquet file that was written and is to be added to a table.
type DataFile = catalog.NewFile

// ColumnStats describe a column of a data file.
type ColumnStats = catalog.ColumnStats

// The names of Avro's logical types, by which manifests keep partition values.
var avroLogical = map[string]string{
	"date": "date", "time": "time-micros", "timestamp": "timestamp-micros", "timestamptz": "timestamp-micros",
}

func buildFile(f DataFile, t *table.Table) (iceberg.DataFile, error) {
	spec := t.Spec()
	if spec.NumFields() != len(f.Partition) {
		return nil, fmt.Errorf("file %s has %d partition values, the table %d partition fields", f.Path, len(f.Partition), spec.NumFields())
	}
	var values map[int]any
	logical := map[int]string{}
	for i, field := range spec.Fields() {
		if values == nil {
			values = map[int]any{}
		}
		source, ok := t.Schema().FindFieldByID(field.SourceIDs[0])
		if !ok {
			return nil, fmt.Errorf("partition field %s has no source column", field.Name)
		}
		result := field.Transform.ResultType(source.Type)
		value, err := partitionValue(f.Partition[i], result)
		if err != nil {
			return nil, fmt.Errorf("partition field %s of file %s: %w", field.Name, f.Path, err)
		}
		values[field.FieldID] = value
		if name, ok := avroLogical[result.Type()]; ok {
			logical[field.FieldID] = name
		} else if _, ok := result.(iceberg.DecimalType); ok {
			logical[field.FieldID] = "decimal"
		}
	}
	b, err := iceberg.NewDataFileBuilder(spec, iceberg.EntryContentData, f.Path, iceberg.ParquetFile, values, logical, nil, f.Rows, f.Bytes)
	if err != nil {
		return nil, fmt.Errorf("describe file %s: %w", f.Path, err)
	}
	if len(f.Columns) > 0 {
		sizes, counts, nulls := map[int]int64{}, map[int]int64{}, map[int]int64{}
		lower, upper := map[int][]byte{}, map[int][]byte{}
		for _, c := range f.Columns {
			sizes[c.ID], counts[c.ID], nulls[c.ID] = c.Bytes, c.Values, c.Nulls
			if c.Lower != nil {
				lower[c.ID] = c.Lower
			}
			if c.Upper != nil {
				upper[c.ID] = c.Upper
			}
		}
		b.ColumnSizes(sizes).ValueCounts(counts).NullValueCounts(nulls).LowerBoundValues(lower).UpperBoundValues(upper)
	}
	if len(f.SplitOffsets) > 0 {
		b.SplitOffsets(f.SplitOffsets)
	}
	return b.Build(), nil
}

// partitionValue is a value in the Go type that the library keeps for an
// Iceberg type.
func partitionValue(v any, t iceberg.Type) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch t := t.(type) {
	case iceberg.DateType:
		if v, ok := v.(int32); ok {
			return iceberg.Date(v), nil
		}
	case iceberg.TimeType:
		if v, ok := v.(int64); ok {
			return iceberg.Time(v), nil
		}
	case iceberg.TimestampType, iceberg.TimestampTzType:
		if v, ok := v.(int64); ok {
			return iceberg.Timestamp(v), nil
		}
	case iceberg.DecimalType:
		if v, ok := v.(decimal128.Num); ok {
			return iceberg.Decimal{Val: v, Scale: t.Scale()}, nil
		}
	case iceberg.BooleanType:
		if _, ok := v.(bool); ok {
			return v, nil
		}
	case iceberg.Int32Type:
		if _, ok := v.(int32); ok {
			return v, nil
		}
	case iceberg.Int64Type:
		if _, ok := v.(int64); ok {
			return v, nil
		}
	case iceberg.Float32Type:
		if _, ok := v.(float32); ok {
			return v, nil
		}
	case iceberg.Float64Type:
		if _, ok := v.(float64); ok {
			return v, nil
		}
	case iceberg.StringType:
		if _, ok := v.(string); ok {
			return v, nil
		}
	case iceberg.BinaryType:
		if _, ok := v.([]byte); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("value of Go type %T for Iceberg type %s", v, t)
}
