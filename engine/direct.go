//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// direct runs a SELECT each of whose rows comes from one row of a source or a
// system table, or that has no FROM, by the operators and kernels of streams: it
// gives what a stream gives, but in MySQL's words for a SELECT, where values that
// do not fit are warnings. Aggregates of all rows of a source are computed on
// several lanes. measured is nil unless what the query takes is to be measured.
func (db *DB) direct(ctx *gms.Context, q *planner.Query, measured *directMeasures) (array.RecordReader, error) {
	w := &warnings{}
	session := adhocSession(ctx, w.add)
	input, end := oneRow(nil), func() error { return nil }
	var peek *peek
	lanes := 1
	if q.Scan != nil {
		var columns types.Schema
		for _, c := range q.Scan.Columns {
			columns = append(columns, types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull})
		}
		if q.Scan.Kind == logical.RelationSystem {
			rows, err := (&systemRows{db: db, name: q.Scan.Name, warn: w.addNumber}).read(ctx, columns)
			if err != nil {
				return nil, err
			}
			input, end = rows.next, rows.close
		} else {
			s, ok := q.Scan.Handle.(*source)
			if !ok {
				return nil, fmt.Errorf("peek at %s: it is no source", q.Scan.Name)
			}
			if q.Totals != nil && !q.Alone {
				lanes = db.cfg.Threads
			}
			var err error
			if peek, err = db.peek(ctx, s, columns, q.Predicates, lanes, w.addNumber); err != nil {
				return nil, err
			}
			input, end = func() ([]arrow.Array, int, error) { return peek.next(ctx) }, peek.close
		}
	}
	d, err := newDirectRun(session, q.Steps, measured.below(), input)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	for _, l := range d.limits {
		if peek != nil && l.Count >= 0 {
			peek.watch()
		}
	}
	if q.Totals != nil {
		t := &totalsRun{ctx: ctx, query: q, session: session, first: d, lanes: lanes, peek: peek, measured: measured}
		if d, err = newDirectRun(session, q.Above, measured.above(), t.next); err != nil {
			return nil, errors.Join(err, end())
		}
		above := d.pipeline
		d.release = func() {
			above.Release()
			t.release()
		}
	}
	as := q.Output.Arrow()
	return &warningReader{newBatchReader(as, ownBatches(as, d.next), end, d.release), ctx, w}, nil
}

// newDirectRun makes the operators of steps, the last of which is a projection.
// measured may be nil.
func newDirectRun(session adhoc.Session, steps []planner.Step, measured *stepMeasures, input func() ([]arrow.Array, int, error)) (*directRun, error) {
	operators, err := operatorsOf(compacted(steps))
	if err != nil {
		return nil, err
	}
	output := steps[len(steps)-1].(*planner.ProjectStep).Schema
	d := &directRun{input: input, pipeline: operator.NewPipeline(&kernel.Context{
		Alloc: memory.DefaultAllocator, Mode: kernel.Mode{JSONFails: true}, Now: session.Now, Location: session.Location, Warn: session.Warn,
	}, operators, output)}
	d.release = d.pipeline.Release
	if measured != nil {
		measured.operators = d.pipeline.Measure()
		d.input = measured.reading(input)
	}
	for _, o := range operators {
		if l, ok := o.(*operator.Limit); ok {
			d.limits = append(d.limits, l)
		}
	}
	return d, nil
}

// oneRow is an input of one row; without columns it is that of a SELECT without
// FROM.
func oneRow(columns []arrow.Array) func() ([]arrow.Array, int, error) {
	given := false
	return func() ([]arrow.Array, int, error) {
		if given {
			return nil, 0, io.EOF
		}
		given = true
		return columns, 1, nil
	}
}

// compacted gathers the rows that a filter leaves: nothing is computed of the
// others, which would give warnings.
func compacted(steps []planner.Step) []planner.Step {
	var out []planner.Step
	for _, s := range steps {
		out = append(out, s)
		if _, ok := s.(*planner.FilterStep); ok {
			out = append(out, &planner.LimitStep{Count: -1})
		}
	}
	return out
}

// directRun is one run of a direct query.
type directRun struct {
	input    func() ([]arrow.Array, int, error)
	pipeline *operator.Pipeline
	limits   []*operator.Limit
	release  func()
}

// next computes some more rows, at least one, or gives io.EOF.
func (d *directRun) next() ([]arrow.Array, int, error) {
	for {
		for _, l := range d.limits {
			if l.Reached() {
				return nil, 0, io.EOF
			}
		}
		columns, n, err := d.input()
		if err != nil {
			return nil, 0, err
		}
		d.pipeline.Release()
		out, err := d.pipeline.Run(columns, n)
		if err != nil {
			return nil, 0, err
		}
		batch := out.Delta.Batch
		result, rows := batch.Columns(), int(batch.NumRows())
		batch.Release() // the pipeline holds the columns
		if len(out.Failures) > 0 {
			return nil, 0, evaluationError(out.Failures[0].Err)
		}
		if rows > 0 {
			return result, rows, nil
		}
	}
}

// evaluationError is what a SELECT fails with where even without strict mode
// there is no result.
func evaluationError(err error) error {
	return sqlerror.Userf(adhoc.FailureCode(err.Error()), "%w", err)
}

// batchReader gives rows as batches of plain columns of their own.
type batchReader struct {
	refs    atomic.Int64
	schema  *arrow.Schema
	next    func() (arrow.RecordBatch, error) // which is the reader's; io.EOF at the end
	end     func() error
	release func() // may be nil

	batch arrow.RecordBatch
	err   error
	ended bool
}

var _ array.RecordReader = (*batchReader)(nil)

// newBatchReader reads what next gives, as batchReader says. The caller releases it.
func newBatchReader(schema *arrow.Schema, next func() (arrow.RecordBatch, error), end func() error, release func()) *batchReader {
	r := &batchReader{schema: schema, next: next, end: end, release: release}
	r.refs.Store(1)
	return r
}

// Schema implements array.RecordReader.
func (r *batchReader) Schema() *arrow.Schema { return r.schema }

// RecordBatch implements array.RecordReader.
func (r *batchReader) RecordBatch() arrow.RecordBatch { return r.batch }

// Record implements array.RecordReader.
func (r *batchReader) Record() arrow.RecordBatch { return r.batch }

// Err implements array.RecordReader.
func (r *batchReader) Err() error { return r.err }

// Retain implements array.RecordReader.
func (r *batchReader) Retain() { r.refs.Add(1) }

// Release implements array.RecordReader.
func (r *batchReader) Release() {
	if r.refs.Add(-1) == 0 {
		r.drop()
		r.close()
	}
}

func (r *batchReader) drop() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}

func (r *batchReader) close() {
	if r.ended {
		return
	}
	r.ended = true
	if r.release != nil {
		r.release()
	}
	if err := r.end(); err != nil && r.err == nil {
		r.err = err
	}
}

// Next implements array.RecordReader.
func (r *batchReader) Next() bool {
	r.drop()
	if r.ended {
		return false
	}
	var err error
	if r.batch, err = r.next(); err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = err
		}
		r.close()
		return false
	}
	return true
}

// ownBatches copies the columns of each batch, which are valid until the next.
func ownBatches(schema *arrow.Schema, next func() ([]arrow.Array, int, error)) func() (arrow.RecordBatch, error) {
	return func() (arrow.RecordBatch, error) {
		columns, rows, err := next()
		if err != nil {
			return nil, err
		}
		return ownBatch(schema, columns, rows)
	}
}

// ownBatch copies columns, with the values of dictionaries in their rows.
func ownBatch(schema *arrow.Schema, columns []arrow.Array, rows int) (arrow.RecordBatch, error) {
	if len(columns) != schema.NumFields() {
		return nil, fmt.Errorf("%d columns for a schema of %d", len(columns), schema.NumFields())
	}
	own := make([]arrow.Array, 0, len(columns))
	defer func() {
		for _, c := range own {
			c.Release()
		}
	}()
	indices := make([]int32, rows)
	for _, c := range columns {
		from := c
		d, isDictionary := c.(*array.Dictionary)
		for i := range indices {
			indices[i] = int32(i)
			if isDictionary {
				indices[i] = -1
				if d.IsValid(i) {
					indices[i] = int32(d.GetValueIndex(i))
				}
			}
		}
		if isDictionary {
			from = d.Dictionary()
		}
		copied, err := kernel.Take(memory.DefaultAllocator, from, indices)
		if err != nil {
			return nil, err
		}
		own = append(own, copied)
	}
	return array.NewRecordBatch(schema, own, int64(rows)), nil
}

// computes reports whether a plan evaluates anything that kernels or DuckDB know:
// what only names variables, constants and the session's functions is the MySQL
// engine's.
func computes(root logical.Node) bool {
	found := false
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		switch n.(type) {
		case *logical.SetOp, *logical.Sort, *logical.Aggregate, *logical.Window:
			found = true
		}
		for _, e := range logical.Exprs(n) {
			logical.Transform(e, func(e logical.Expr) logical.Expr {
				switch e.(type) {
				case *logical.Call, *logical.Cast, *logical.Case, *logical.Subquery:
					found = true
				}
				return e
			})
		}
		return n
	})
	return found
}

var _ interface {
	ScanArrow(context.Context, []int) (array.RecordReader, error)
} = (*peekTable)(nil)
