//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql/types"
)

// result is what one of our statements returns: rows, and notes beside them.
type result struct {
	columns types.Schema
	rows    [][]any // values as in logical.Literal
	notes   []string
}

func (r *result) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *result) add(values ...any) { r.rows = append(r.rows, values) }

// iter is the result for the MySQL engine. A result without columns is "OK".
func (r *result) iter(ctx *gms.Context) (gms.RowIter, error) {
	if r.columns == nil {
		return gms.RowsToRowIter(), nil
	}
	loc := sessionLocation(ctx)
	rows := make([]gms.Row, len(r.rows))
	for i, values := range r.rows {
		row := make(gms.Row, len(values))
		for j, v := range values {
			converted, err := planner.GMSValue(v, r.columns[j].Type, loc)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", r.columns[j].Name, err)
			}
			row[j] = converted
		}
		rows[i] = row
	}
	return gms.RowsToRowIter(rows...), nil
}

// gmsSchema is a schema for the MySQL engine.
func gmsSchema(columns types.Schema, table string) (gms.Schema, error) {
	return planner.GMSSchema(planner.Relation{Name: table, Schema: columns})
}

// sessionLocation is the session's time zone; SYSTEM means UTC.
func sessionLocation(ctx *gms.Context) *time.Location {
	v, err := ctx.GetSessionVariable(ctx, "time_zone")
	name, _ := v.(string)
	if err != nil || name == "" {
		return time.UTC
	}
	loc, err := kernel.LoadZone(name, time.UTC)
	if err != nil {
		return time.UTC
	}
	return loc
}

// readerIter gives the rows of Arrow batches to the MySQL engine.
type readerIter struct {
	reader  array.RecordReader
	columns types.Schema
	loc     *time.Location
	batch   arrow.RecordBatch
	row     int
}

func newReaderIter(ctx *gms.Context, reader array.RecordReader) (*readerIter, error) {
	it := &readerIter{reader: reader, loc: sessionLocation(ctx)}
	for _, f := range reader.Schema().Fields() {
		c, err := types.FromArrow(f)
		if err != nil {
			reader.Release()
			return nil, err
		}
		it.columns = append(it.columns, c)
	}
	return it, nil
}

// Next implements gms.RowIter.
func (it *readerIter) Next(ctx *gms.Context) (gms.Row, error) {
	for it.batch == nil || it.row == int(it.batch.NumRows()) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !it.reader.Next() {
			if err := it.reader.Err(); err != nil {
				return nil, edgeError(ctx, err)
			}
			return nil, io.EOF
		}
		it.batch, it.row = it.reader.RecordBatch(), 0
	}
	row := make(gms.Row, len(it.columns))
	for i := range row {
		v, err := planner.GMSValue(kernel.Value(it.batch.Column(i), it.row), it.columns[i].Type, it.loc)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", it.columns[i].Name, err)
		}
		row[i] = v
	}
	it.row++
	return row, nil
}

// Close implements gms.RowIter.
func (it *readerIter) Close(*gms.Context) error {
	it.reader.Release()
	return nil
}

// rowReader gives the rows of the MySQL engine as Arrow batches.
type rowReader struct {
	refs    int64
	ctx     *gms.Context
	iter    gms.RowIter
	columns types.Schema
	loc     *time.Location
	schema  *arrow.Schema
	builder *array.RecordBuilder
	batch   arrow.RecordBatch
	err     error
	done    bool
}

// rowBatch is how many rows a batch of a rowReader has.
const rowBatch = 4096

func newRowReader(ctx *gms.Context, schema gms.Schema, iter gms.RowIter) (*rowReader, error) {
	r := &rowReader{refs: 1, ctx: ctx, iter: iter, loc: sessionLocation(ctx)}
	for _, c := range schema {
		t, err := planner.FromGMSType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		r.columns = append(r.columns, types.Column{Name: c.Name, Type: t, NotNull: !c.Nullable})
	}
	r.schema = r.columns.Arrow()
	r.builder = array.NewRecordBuilder(memory.DefaultAllocator, r.schema)
	return r, nil
}

// Retain implements array.RecordReader.
func (r *rowReader) Retain() { r.refs++ }

// Release implements array.RecordReader.
func (r *rowReader) Release() {
	if r.refs--; r.refs > 0 {
		return
	}
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
	r.builder.Release()
	r.close()
}

func (r *rowReader) close() {
	if r.iter == nil {
		return
	}
	if err := r.iter.Close(r.ctx); err != nil && r.err == nil {
		r.err = err
	}
	r.iter = nil
}

// Schema implements array.RecordReader.
func (r *rowReader) Schema() *arrow.Schema { return r.schema }

// RecordBatch implements array.RecordReader.
func (r *rowReader) RecordBatch() arrow.RecordBatch { return r.batch }

// Record implements array.RecordReader.
func (r *rowReader) Record() arrow.RecordBatch { return r.batch }

// Err implements array.RecordReader.
func (r *rowReader) Err() error { return r.err }

// Next implements array.RecordReader.
func (r *rowReader) Next() bool {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
	n := 0
	for n < rowBatch && !r.done && r.err == nil {
		row, err := r.iter.Next(r.ctx)
		if errors.Is(err, io.EOF) {
			r.done = true
			r.close()
			break
		}
		if err == nil {
			err = r.append(row)
		}
		if err != nil {
			r.err = err
			r.close()
			break
		}
		n++
	}
	if r.err != nil || n == 0 {
		return false
	}
	r.batch = r.builder.NewRecordBatch()
	return true
}

func (r *rowReader) append(row gms.Row) error {
	for i, v := range row {
		value, err := planner.FromGMSValue(r.ctx, v, r.columns[i].Type, r.loc)
		if err != nil {
			return fmt.Errorf("column %s: %w", r.columns[i].Name, err)
		}
		if err := kernel.AppendValue(r.builder.Field(i), value); err != nil {
			return fmt.Errorf("column %s: %w", r.columns[i].Name, err)
		}
	}
	return nil
}

// resultReader is a result as Arrow batches.
func (r *result) reader() (array.RecordReader, error) {
	schema := r.columns.Arrow()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, row := range r.rows {
		for i, v := range row {
			if err := kernel.AppendValue(b.Field(i), v); err != nil {
				return nil, fmt.Errorf("column %s: %w", r.columns[i].Name, err)
			}
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	return array.NewRecordReader(schema, []arrow.RecordBatch{batch})
}

var _ array.RecordReader = (*rowReader)(nil)

// drain reads an iterator to its end.
func drain(ctx *gms.Context, iter gms.RowIter) error {
	for {
		if _, err := iter.Next(ctx); errors.Is(err, io.EOF) {
			return iter.Close(ctx)
		} else if err != nil {
			_ = iter.Close(ctx)
			return err
		}
	}
}

// cancelled reports whether an error is only the end of a context.
func cancelled(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }
