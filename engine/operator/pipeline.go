// Package operator holds the operators of a stream: what a lane does with each
// batch of decoded rows before the sink takes them.
package operator

import (
	"cmp"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// Operator is one step of a pipeline. It belongs to one lane.
type Operator interface {
	// Apply changes rows in place. Rows that fail are noted with rows.fail; the
	// error is a fault of the operator itself.
	Apply(ctx *kernel.Context, rows *rows) error
}

// rows is the working set that operators hand to each other.
type rows struct {
	kernel.Batch
	// values maps rows to decoded values; nil means row i is value i.
	values   []int32
	position func(dst []byte, value int32) []byte
	failures []Failure
	filtered int
	owned    []arrow.Array // to be released when the batch is done
}

// Failure is a decoded value that cannot land.
type Failure struct {
	Value int32
	Class connectors.ErrorClass
	Err   error
}

func (r *rows) value(row int32) int32 {
	if r.values == nil {
		return row
	}
	return r.values[row]
}

// failAll notes every selected row that errs names.
func (r *rows) failAll(errs *kernel.Errors) {
	if errs.Len() == 0 {
		return
	}
	note := func(row int32) {
		if err := errs.Row(int(row)); err != nil {
			r.failures = append(r.failures, Failure{r.value(row), connectors.ClassEvaluation, err})
		}
	}
	if r.Sel != nil {
		for _, row := range r.Sel {
			note(row)
		}
		return
	}
	for row := range r.Rows {
		note(int32(row))
	}
}

func (r *rows) selected() int {
	if r.Sel != nil {
		return len(r.Sel)
	}
	return r.Rows
}

// Pipeline is the operators of one lane, in order.
type Pipeline struct {
	ctx       *kernel.Context
	operators []Operator
	schema    *connectors.BatchSchema
	flattens  bool
	// Position appends the place of a decoded value in the source; it may be nil.
	Position func(dst []byte, value int32) []byte

	rows rows
	live []int32
	// measures are those of the operators, nil unless they are measured.
	measures []Measure
}

// Measure is what an operator has done.
type Measure struct {
	Rows, Batches int64 // that it passed on
	Time          time.Duration
}

// Add counts a batch of rows, or what another lane has done.
func (m *Measure) Add(more Measure) {
	m.Rows += more.Rows
	m.Batches += more.Batches
	m.Time += more.Time
}

// NewPipeline makes a pipeline whose output has the given columns.
func NewPipeline(ctx *kernel.Context, operators []Operator, output types.Schema) *Pipeline {
	p := &Pipeline{ctx: ctx, operators: operators, schema: connectors.NewBatchSchema(output.Arrow())}
	for _, o := range operators {
		if _, ok := o.(*Explode); ok {
			p.flattens = true
		}
	}
	return p
}

// Measure has the pipeline measure its operators, whose measures it gives: they
// are added to by each Run.
func (p *Pipeline) Measure() []Measure {
	p.measures = make([]Measure, len(p.operators))
	return p.measures
}

// apply is Apply of operator i.
func (p *Pipeline) apply(i int) error {
	if p.measures == nil {
		return p.operators[i].Apply(p.ctx, &p.rows)
	}
	begin := time.Now()
	err := p.operators[i].Apply(p.ctx, &p.rows)
	p.measures[i].Add(Measure{Rows: int64(p.rows.selected()), Batches: 1, Time: time.Since(begin)})
	return err
}

// Context is the evaluation context of the lane; its Now is set for each step.
func (p *Pipeline) Context() *kernel.Context { return p.ctx }

// Output is what a batch became.
type Output struct {
	// Delta has the rows that land; it is valid until the next Run.
	Delta connectors.Delta
	// Failures has each value that cannot land once, in order of the values.
	Failures []Failure
	// Filtered counts rows that a WHERE dropped, of values that did not fail;
	// Exploded the rows that flattening added, less those it took away.
	Filtered, Exploded int
}

// Run pushes n decoded values, whose columns are given, through the operators.
// A value any of whose rows fails does not land at all. Release has to be
// called before the next Run.
func (p *Pipeline) Run(columns []arrow.Array, n int) (Output, error) {
	var failures []Failure
	sel := []int32(nil)
	for {
		p.rows = rows{Batch: kernel.Batch{Columns: columns, Rows: n, Sel: sel}, owned: p.rows.owned[:0], failures: p.rows.failures[:0], position: p.Position}
		for i, o := range p.operators {
			p.ctx.Remember(p.rows.selected())
			err := p.apply(i)
			if _, narrows := o.(*Filter); err != nil || !narrows {
				p.ctx.Forget()
			}
			if err != nil {
				p.Release()
				return Output{}, err
			}
		}
		p.ctx.Forget()
		if len(p.rows.failures) == 0 {
			break
		}
		failures = append(failures, p.rows.failures...)
		failures = distinct(failures)
		if !p.flattens {
			p.dropFailed(failures)
			break
		}
		// Other rows of the failed values are already among the rows, or were
		// counted as filtered: compute the batch again without these values.
		sel = p.without(failures, n)
		p.Release()
	}
	out := Output{Failures: failures, Filtered: p.rows.filtered}
	landed := p.rows.selected()
	out.Exploded = landed + out.Filtered - (n - len(failures))
	batch := array.NewRecordBatch(p.schema.Of(p.rows.Columns), p.rows.Columns, int64(p.rows.Rows))
	out.Delta = connectors.Delta{Batch: batch, Sel: p.rows.Sel, Values: p.rows.values}
	return out, nil
}

// Release gives back what the last Run made.
func (p *Pipeline) Release() {
	for i, a := range p.rows.owned {
		a.Release()
		p.rows.owned[i] = nil
	}
	p.rows.owned = p.rows.owned[:0]
}

// distinct keeps the first failure of each value, ordered by value.
func distinct(failures []Failure) []Failure {
	slices.SortStableFunc(failures, func(a, b Failure) int { return cmp.Compare(a.Value, b.Value) })
	return slices.CompactFunc(failures, func(a, b Failure) bool { return a.Value == b.Value })
}

// dropFailed takes the rows of failed values out of the selection. Rows are
// values here. A value that failed in one filter cannot have been counted by
// another, since it left the selection there.
func (p *Pipeline) dropFailed(failures []Failure) {
	kept := make([]int32, 0, p.rows.selected())
	next := 0
	keep := func(row int32) {
		for next < len(failures) && failures[next].Value < row {
			next++
		}
		if next == len(failures) || failures[next].Value != row {
			kept = append(kept, row)
		}
	}
	if p.rows.Sel != nil {
		for _, row := range p.rows.Sel {
			keep(row)
		}
	} else {
		for row := range p.rows.Rows {
			keep(int32(row))
		}
	}
	p.rows.Sel = kept
}

// without selects the values that have not failed.
func (p *Pipeline) without(failures []Failure, n int) []int32 {
	if p.live == nil {
		p.live = make([]int32, 0, n) // nil would mean all rows
	}
	live := p.live[:0]
	next := 0
	for v := range int32(n) {
		if next < len(failures) && failures[next].Value == v {
			next++
			continue
		}
		live = append(live, v)
	}
	p.live = live
	return live
}
