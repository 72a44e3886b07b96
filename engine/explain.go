//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
)

// explainer executes EXPLAIN of a query, and leaves every other statement to the
// MySQL engine. It implements gms.NodeExecBuilder.
type explainer struct{ db *DB }

// Build implements gms.NodeExecBuilder.
func (x explainer) Build(ctx *gms.Context, n gms.Node, _ gms.Row) (gms.RowIter, error) {
	d, ok := n.(*plan.DescribeQuery)
	if !ok {
		return nil, nil
	}
	e, err := x.explain(ctx, d)
	if err != nil {
		return nil, err
	}
	if d.Format.Estimates { // the parser's word for JSON
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(e); err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
		return gms.RowsToRowIter(gms.NewRow(strings.TrimSpace(text.String()))), nil
	}
	var rows []gms.Row
	for _, line := range e.lines() {
		rows = append(rows, gms.NewRow(line))
	}
	return gms.RowsToRowIter(rows...), nil
}

func (x explainer) explain(ctx *gms.Context, d *plan.DescribeQuery) (*explanation, error) {
	query := d.Child
	if into, ok := query.(*plan.Into); ok {
		query = into.Child // what is measured is stored nowhere
	}
	n, ok := query.(*adhocNode)
	switch {
	case !ok && d.Format.Analyze:
		return x.rowByRow(ctx, query)
	case !ok:
		return &explanation{Plan: explainedRows(query)}, nil
	case !d.Format.Analyze:
		return n.explained(), nil
	}
	e, err := n.analyze(ctx)
	if unsupported := (*adhoc.Unsupported)(nil); errors.As(err, &unsupported) {
		ctx, analyzed, err := n.rowByRow(ctx)
		if err != nil {
			return nil, err
		}
		return x.rowByRow(ctx, analyzed)
	}
	return e, edgeError(ctx, err)
}

// rowByRow measures what the MySQL engine evaluates: how many rows it gives, and
// when the last one came.
func (x explainer) rowByRow(ctx *gms.Context, n gms.Node) (*explanation, error) {
	begin := time.Now()
	iter, err := x.db.mysql.Analyzer.ExecBuilder.Build(ctx, n, nil)
	if err != nil {
		return nil, err
	}
	counted := &countedIter{RowIter: iter}
	if err := drain(ctx, counted); err != nil {
		return nil, err
	}
	return &explanation{ExecutedBy: "MySQL engine, row by row", measured: measuredOf(counted.rows, 0, time.Since(begin)), Plan: explainedRows(n)}, nil
}

type countedIter struct {
	gms.RowIter
	rows int64
}

// Next implements gms.RowIter.
func (it *countedIter) Next(ctx *gms.Context) (gms.Row, error) {
	row, err := it.RowIter.Next(ctx)
	if err == nil {
		it.rows++
	}
	return row, err
}

// explanation is what EXPLAIN shows of a query.
type explanation struct {
	ExecutedBy string `json:"executed_by,omitempty"` // empty for the MySQL engine
	measured
	Plan *explained `json:"plan"`
	// Relations and Operators are what DuckDB was given and what it ran.
	Relations []*explained `json:"relations,omitempty"`
	Operators *explained   `json:"operators,omitempty"`
}

// explained is an operator of a plan.
type explained struct {
	Operator string `json:"operator"`
	measured
	Inputs []*explained `json:"inputs,omitempty"`
}

// measured is what EXPLAIN ANALYZE has found.
type measured struct {
	Rows    *int64   `json:"actual_rows,omitempty"`    // that were given; nil unless it was measured
	Batches int64    `json:"actual_batches,omitempty"` // that they came in, where it is known
	Millis  *float64 `json:"actual_time_ms,omitempty"`
}

func measuredOf(rows, batches int64, took time.Duration) measured {
	millis := float64(took.Microseconds()) / 1000
	return measured{&rows, batches, &millis}
}

// String is what follows a line of a tree.
func (m measured) String() string {
	switch {
	case m.Rows == nil:
		return ""
	case m.Batches == 0:
		return fmt.Sprintf("  (actual rows=%d time=%.3fms)", *m.Rows, *m.Millis)
	}
	return fmt.Sprintf("  (actual rows=%d batches=%d time=%.3fms)", *m.Rows, m.Batches, *m.Millis)
}

func (e *explanation) lines() []string {
	var lines []string
	if e.ExecutedBy != "" {
		lines = append(lines, e.ExecutedBy+e.measured.String())
	}
	lines = e.Plan.lines(lines, 0)
	for _, r := range e.Relations {
		lines = r.lines(lines, 0)
	}
	if e.Operators != nil {
		lines = e.Operators.lines(append(lines, "Operators of DuckDB"), 1)
	}
	return lines
}

// lines appends the tree, the operator on top.
func (e *explained) lines(lines []string, depth int) []string {
	lines = append(lines, strings.Repeat("  ", depth)+e.Operator+e.measured.String())
	for _, input := range e.Inputs {
		lines = input.lines(lines, depth+1)
	}
	return lines
}

// attribute is a line in the print of a node of the MySQL engine that says something
// of the node itself, as " ├─ columns: [a]".
var attribute = regexp.MustCompile(`^ [├└]─ \w+: .*\S`)

// explainedRows is a plan of the MySQL engine.
func explainedRows(n gms.Node) *explained {
	e := &explained{}
	for i, line := range strings.Split(n.String(), "\n") {
		about := attribute.FindString(line)
		switch {
		case i == 0:
			e.Operator = strings.TrimRight(line, " ")
		case about != "":
			e.Operator += "; " + strings.TrimLeft(about, " ├└─")
		}
	}
	for _, child := range n.Children() {
		e.Inputs = append(e.Inputs, explainedRows(child))
	}
	return e
}

// explainedPlan is a logical plan, each sub-select below the operator that it is of.
func explainedPlan(n logical.Node) *explained {
	e := &explained{Operator: n.String()}
	for _, x := range logical.Exprs(n) {
		logical.Walk(x, func(x logical.Expr) bool {
			if s, ok := x.(*logical.Subquery); ok {
				e.Inputs = append(e.Inputs, &explained{Operator: "Subquery", Inputs: []*explained{explainedPlan(s.Plan)}})
			}
			return true
		})
	}
	for _, input := range n.Inputs() {
		e.Inputs = append(e.Inputs, explainedPlan(input))
	}
	return e
}

func (n *adhocNode) explained() *explanation {
	by := "DuckDB"
	if n.db.isDirect(n.plan, n.reads) {
		by = "Kernels"
	}
	return &explanation{ExecutedBy: by, Plan: explainedPlan(planner.Prune(n.plan))}
}

// analyze runs the query, drops its rows, and says what it took; an
// *adhoc.Unsupported says that only the MySQL engine can.
func (n *adhocNode) analyze(ctx *gms.Context) (*explanation, error) {
	e := n.explained()
	begin := time.Now()
	if !n.reads.lake {
		if q, ok := planner.CompileQuery(n.plan); ok {
			m := &directMeasures{}
			rows, err := m.run(ctx, n.db, q)
			if err != nil {
				return nil, err
			}
			e.measured, e.Plan = measuredOf(rows, 0, time.Since(begin)), m.explained(q)
			return e, nil
		}
	}
	plan, session, w := n.onDuckDB(ctx)
	a, err := n.db.queries.Analyze(ctx, plan, session)
	w.tell(ctx)
	if err != nil {
		return nil, err
	}
	e.measured = measuredOf(a.Root.Rows, 0, time.Since(begin))
	for _, r := range a.Relations {
		read := &explained{Operator: fmt.Sprintf("Read %s: %s, %s", r.Name, files(r.Files), bytesText(r.Bytes))}
		if r.Loaded {
			read = &explained{Operator: "Read " + r.Name + " into memory", measured: measuredOf(r.Rows, r.Batches, r.Time)}
		}
		e.Relations = append(e.Relations, read)
	}
	e.Operators = explainedOperator(a.Root)
	return e, nil
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func explainedOperator(o *adhoc.Operator) *explained {
	e := &explained{Operator: o.Text, measured: measuredOf(o.Rows, 0, o.Time)}
	for _, input := range o.Inputs {
		e.Inputs = append(e.Inputs, explainedOperator(input))
	}
	return e
}

// directMeasures are what the operators of a direct query have done. A nil one
// measures nothing.
type directMeasures struct {
	mu     sync.Mutex
	lanes  []*stepMeasures // of the steps below the aggregates
	totals time.Duration   // of the aggregates
	top    *stepMeasures   // of the steps above them
}

// stepMeasures are what the operators of one run of steps have done.
type stepMeasures struct {
	input     operator.Measure
	operators []operator.Measure
}

// below is for the steps of one more lane.
func (m *directMeasures) below() *stepMeasures {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	lane := &stepMeasures{}
	m.lanes = append(m.lanes, lane)
	return lane
}

// above is for the steps above the aggregates.
func (m *directMeasures) above() *stepMeasures {
	if m == nil {
		return nil
	}
	m.top = &stepMeasures{}
	return m.top
}

// adding counts the time since an aggregate began to take a batch.
func (m *directMeasures) adding(begin time.Time) {
	took := time.Since(begin)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.totals += took
}

// reading measures an input.
func (m *stepMeasures) reading(input func() ([]arrow.Array, int, error)) func() ([]arrow.Array, int, error) {
	return func() ([]arrow.Array, int, error) {
		begin := time.Now()
		columns, rows, err := input()
		read := operator.Measure{Time: time.Since(begin)}
		if err == nil {
			read.Rows, read.Batches = int64(rows), 1
		}
		m.input.Add(read)
		return columns, rows, err
	}
}

// run runs a query and counts its rows.
func (m *directMeasures) run(ctx *gms.Context, db *DB, q *planner.Query) (rows int64, err error) {
	r, err := db.direct(ctx, q, m)
	if err != nil {
		return 0, err
	}
	defer r.Release()
	for r.Next() {
		rows += r.RecordBatch().NumRows()
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return rows, nil
}

// explained is the plan of a query that was run, with what its operators have done
// on all lanes; times are added up.
func (m *directMeasures) explained(q *planner.Query) *explained {
	read := "One row without columns"
	if q.Scan != nil {
		read = q.Scan.String()
	}
	e := &explained{Operator: read}
	var input operator.Measure
	steps := make([]operator.Measure, len(q.Steps))
	for _, lane := range m.lanes {
		input.Add(lane.input)
		for i, done := range stepsOf(q.Steps, lane.operators) {
			steps[i].Add(done)
		}
	}
	if q.Scan != nil {
		e.measured = measuredOf(input.Rows, input.Batches, input.Time)
	}
	e = e.below(q.StepNodes, steps)
	if q.Totals == nil {
		return e
	}
	e = &explained{Operator: q.Aggregate.String(), measured: measuredOf(m.top.input.Rows, m.top.input.Batches, m.totals), Inputs: []*explained{e}}
	if n := len(m.lanes); n > 1 {
		e.Operator += fmt.Sprintf(" on %d lanes", n)
	}
	return e.below(q.AboveNodes, stepsOf(q.Above, m.top.operators))
}

// below is the plan of nodes, from the lowest, over e.
func (e *explained) below(nodes []logical.Node, done []operator.Measure) *explained {
	for i, n := range nodes {
		e = &explained{Operator: n.String(), measured: measuredOf(done[i].Rows, done[i].Batches, done[i].Time), Inputs: []*explained{e}}
	}
	return e
}

// stepsOf is what steps have done: compacted adds an operator to each filter.
func stepsOf(steps []planner.Step, done []operator.Measure) []operator.Measure {
	out := make([]operator.Measure, len(steps))
	i := 0
	for k, s := range steps {
		out[k] = done[i]
		i++
		if _, ok := s.(*planner.FilterStep); ok {
			out[k].Time += done[i].Time
			i++
		}
	}
	return out
}
