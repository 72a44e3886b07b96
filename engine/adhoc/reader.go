package adhoc

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// reader is a result: batches of a running query as their declared types.
type reader struct {
	ctx    context.Context
	schema *arrow.Schema
	stream *stream
	// free ends the query and gives back what it used.
	free func()

	refs    atomic.Int64
	current arrow.RecordBatch
	err     error
	ended   bool
}

var _ array.RecordReader = (*reader)(nil)

// newReader checks that the stream's columns hold what schema declares.
func newReader(ctx context.Context, s *stream, schema *arrow.Schema, free func()) (*reader, error) {
	if s.schema.NumFields() < schema.NumFields() {
		return nil, fmt.Errorf("duckdb gives %d columns, %d are declared", s.schema.NumFields(), schema.NumFields())
	}
	for i, f := range schema.Fields() {
		if got := s.schema.Field(i).Type; !holds(got, f.Type) {
			return nil, unsupported("column %s comes as %s where %s is declared", f.Name, got, f.Type)
		}
	}
	r := &reader{ctx: ctx, schema: schema, stream: s, free: free}
	r.refs.Store(1)
	return r, nil
}

// holds reports whether an array of type got is one of type want, up to the
// name of a time zone.
func holds(got, want arrow.DataType) bool {
	if want.ID() == arrow.NULL || arrow.TypeEqual(got, want) {
		return true
	}
	g, ok := got.(*arrow.TimestampType)
	w, isTimestamp := want.(*arrow.TimestampType)
	return ok && isTimestamp && g.Unit == w.Unit && (g.TimeZone == "") == (w.TimeZone == "")
}

func (r *reader) Schema() *arrow.Schema { return r.schema }

func (r *reader) Next() bool {
	r.drop()
	if r.ended {
		return false
	}
	batch, err := r.stream.next(r.ctx)
	if err != nil || batch == nil {
		r.ended, r.err = true, explain(r.ctx, err)
		return false
	}
	defer batch.Release()
	columns := make([]arrow.Array, r.schema.NumFields())
	for i, f := range r.schema.Fields() {
		columns[i] = r.column(batch.Column(i), f.Type)
	}
	r.current = array.NewRecordBatch(r.schema, columns, batch.NumRows())
	for _, c := range columns {
		c.Release()
	}
	return true
}

// column is arr under its declared type, without a copy.
func (r *reader) column(arr arrow.Array, t arrow.DataType) arrow.Array {
	switch {
	case t.ID() == arrow.NULL:
		return array.NewNull(arr.Len())
	case arrow.TypeEqual(arr.DataType(), t):
		arr.Retain()
		return arr
	}
	d := arr.Data()
	data := array.NewData(t, d.Len(), d.Buffers(), nil, d.NullN(), d.Offset())
	defer data.Release()
	return array.MakeFromData(data)
}

func (r *reader) drop() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

func (r *reader) RecordBatch() arrow.RecordBatch { return r.current }
func (r *reader) Record() arrow.RecordBatch      { return r.current }
func (r *reader) Err() error                     { return r.err }
func (r *reader) Retain()                        { r.refs.Add(1) }

func (r *reader) Release() {
	if r.refs.Add(-1) == 0 {
		r.drop()
		r.ended = true
		r.free()
	}
}
