package iceberg

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/sql/sqlerror"
)

// ScanArrow reads the columns with these indices in the schema, without the rows that
// other writers have deleted from data files. The caller releases the reader.
func (v *tableVersion) ScanArrow(ctx context.Context, columns []int) (array.RecordReader, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = v.schema[c].Name
	}
	act := "read " + v.Name()
	schema, batches, err := v.table.Scan(table.WithSelectedFields(names...), table.WithCaseSensitive(true)).ToArrowRecords(ctx)
	if err != nil {
		return nil, catalogError(act, err)
	}
	// They come in the table's order.
	places, fields := make([]int, len(names)), make([]arrow.Field, len(names))
	for i, name := range names {
		found := schema.FieldIndices(name)
		if len(found) != 1 {
			return nil, sqlerror.Userf(sqlerror.CodeConflict, "table %s has %d columns %s", v.Name(), len(found), name)
		}
		places[i], fields[i] = found[0], schema.Field(found[0])
	}
	schema = arrow.NewSchema(fields, nil)
	return array.ReaderFromIter(schema, func(yield func(arrow.RecordBatch, error) bool) {
		for batch, err := range batches {
			if err != nil {
				yield(nil, catalogError(act, err))
				return
			}
			if !yield(arranged(schema, batch, places), nil) {
				return
			}
		}
	}), nil
}

// arranged is a batch with its columns in another order, in exchange for the batch.
func arranged(schema *arrow.Schema, batch arrow.RecordBatch, places []int) arrow.RecordBatch {
	defer batch.Release()
	columns := make([]arrow.Array, len(places))
	for i, place := range places {
		columns[i] = batch.Column(place)
	}
	return array.NewRecordBatch(schema, columns, batch.NumRows())
}
