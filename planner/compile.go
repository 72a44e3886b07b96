package planner

import (
	"fmt"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// Lane is a stream's plan compiled for one lane, which owns it: functions that
// are evaluated row by row may keep state. Steps run in order over a batch whose
// columns are those of StreamSource; the last is always a ProjectStep that makes
// the columns of StreamPlan.Output.
type Lane struct {
	Steps []Step
}

// Step is a *FilterStep, a *FlattenStep, a *ProjectStep or, in a Query, a
// *LimitStep.
type Step interface{ isStep() }

// FilterStep keeps the rows for which the predicate is true.
type FilterStep struct {
	Predicate kernel.Expr
}

// FlattenStep makes of each row as many as its JSON table has. Its output
// columns are those of Keep, which are input columns, then the table's columns in
// depth-first order.
type FlattenStep struct {
	Data  kernel.Expr // JSON text
	Table *logical.JSONTable
	Outer bool // a row for which the table is empty stays, with NULLs
	Keep  []int
	// Schema is the whole output.
	Schema types.Schema
}

// ProjectStep computes the output columns.
type ProjectStep struct {
	Exprs  []kernel.Expr
	Schema types.Schema
}

// LimitStep passes on Count rows after the first Offset ones; a Count of −1 is
// all of them.
type LimitStep struct {
	Count, Offset int64
}

func (*FilterStep) isStep()  {}
func (*FlattenStep) isStep() {}
func (*ProjectStep) isStep() {}
func (*LimitStep) isStep()   {}

// Query is an ad hoc SELECT of which each row comes from one row of its input, or
// its only row from all of them, compiled for one run.
type Query struct {
	// Scan is what is read; nil stands for one row without columns.
	Scan *logical.Scan
	// Predicates are what WHERE says of single columns of Scan.
	Predicates []connectors.Predicate
	// Steps work on what is read; the last is a *ProjectStep.
	Steps []Step
	// StepNodes and AboveNodes are what of the plan each of Steps and of Above does,
	// and Aggregate what Totals do.
	StepNodes, AboveNodes []logical.Node
	Aggregate             *logical.Aggregate
	// Totals are aggregates of all rows that Steps leave, and Above the steps from
	// their one row on, the last a *ProjectStep. Without Totals there are none.
	Totals []Total
	Above  []Step
	Output types.Schema
	// Alone is set where one lane has to see all rows: Steps have a LIMIT, or a
	// function that is evaluated row by row.
	Alone bool
}

// Total is an aggregate over all rows. kernel.NewTotal takes its function and
// types.
type Total struct {
	Function string
	// Column is what is aggregated of the output of the steps below; −1 stands for
	// the rows themselves, as COUNT(*) counts them.
	Column   int
	Arg, Out types.Type
}

// CompileQuery compiles a plan that Lower made. It reports false for plans that
// do more than filter, flatten, compute and cut off the rows of one relation, and
// perhaps aggregate them all.
func CompileQuery(root logical.Node) (*Query, bool) {
	root = pruneRoot(root)
	q := &Query{}
	c := &laneCompiler{query: q}
	if err := c.node(root, nil); err != nil {
		return nil, false
	}
	last, ok := lastProject(c.lane.Steps)
	if !ok {
		return nil, false
	}
	q.Scan, q.Output = c.scan, last.Schema
	if q.Scan != nil {
		q.Predicates = predicates(root)
	}
	if q.Totals == nil {
		q.Steps, q.StepNodes = c.lane.Steps, c.nodes
	} else {
		q.Above, q.AboveNodes = c.lane.Steps, c.nodes
	}
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		for _, e := range logical.Exprs(n) {
			logical.Walk(e, func(e logical.Expr) bool {
				_, rowByRow := e.(*logical.RowFunc)
				q.Alone = q.Alone || rowByRow
				return true
			})
		}
		return n
	})
	for _, s := range q.Steps {
		_, limited := s.(*LimitStep)
		q.Alone = q.Alone || limited
	}
	return q, true
}

func lastProject(steps []Step) (*ProjectStep, bool) {
	if len(steps) == 0 {
		return nil, false
	}
	last, ok := steps[len(steps)-1].(*ProjectStep)
	return last, ok
}

// Prune drops what nobody reads of a plan that Lower made: columns down to the
// scans, and expressions.
func Prune(root logical.Node) logical.Node { return pruneRoot(root) }

// Compile makes the steps of one lane. BindStream has compiled the plan once, so
// that an error is a fault of the planner.
func (p *StreamPlan) Compile() (*Lane, error) {
	lane, err := p.compile()
	if err != nil {
		return nil, fmt.Errorf("compile stream %s: %w", p.Name, err)
	}
	return lane, nil
}

func (p *StreamPlan) compile() (*Lane, error) {
	c := &laneCompiler{}
	if err := c.node(p.Logical, nil); err != nil {
		return nil, err
	}
	if last, ok := lastProject(c.lane.Steps); ok {
		last.Schema = p.Output
		return &c.lane, nil
	}
	return nil, fmt.Errorf("no projection on top of %s", p.Logical)
}

// laneCompiler compiles a plan from the scan up; exprs knows the batch after the
// steps so far.
type laneCompiler struct {
	query  *Query // nil for a stream
	lane   Lane
	nodes  []logical.Node // that the steps of the lane are made of
	scan   *logical.Scan
	exprs  exprCompiler
	schema types.Schema
}

// node compiles n with what is below it; above are the columns that the nodes
// above n read.
func (c *laneCompiler) node(n logical.Node, above columnSet) error {
	switch n := n.(type) {
	case *logical.Scan:
		c.scan = n
		c.reset(n.Columns)
		return nil
	case *logical.Values:
		if len(n.Columns) > 0 || len(n.Rows) != 1 {
			break
		}
		c.reset(nil)
		return nil
	case *logical.Limit:
		if p, ok := n.Input.(*logical.Project); ok { // nothing is computed for rows that are cut off
			return c.node(&logical.Project{Input: &logical.Limit{Input: p.Input, Count: n.Count, Offset: n.Offset}, Exprs: p.Exprs}, above)
		}
		if err := c.node(n.Input, above); err != nil {
			return err
		}
		c.add(&LimitStep{Count: n.Count, Offset: n.Offset}, n)
		return nil
	case *logical.Filter:
		if err := c.node(n.Input, above.plus(n.Predicate)); err != nil {
			return err
		}
		predicate, err := c.exprs.compile(n.Predicate)
		if err != nil {
			return err
		}
		c.add(&FilterStep{Predicate: predicate}, n)
		return nil
	case *logical.Project:
		if err := c.node(n.Input, columnSet{}.plus(logical.Exprs(n)...)); err != nil {
			return err
		}
		step := &ProjectStep{}
		for _, e := range n.Exprs {
			compiled, err := c.exprs.compile(e.Expr)
			if err != nil {
				return err
			}
			step.Exprs = append(step.Exprs, compiled)
		}
		c.reset(n.Output())
		step.Schema = c.schema
		c.add(step, n)
		return nil
	case *logical.Flatten:
		if err := c.node(n.Input, above.plus(n.Data)); err != nil {
			return err
		}
		return c.flatten(n, above)
	case *logical.Aggregate:
		if c.query != nil && c.query.Totals == nil && len(n.GroupBy) == 0 && len(n.Aggs) > 0 {
			return c.totals(n)
		}
	}
	return fmt.Errorf("no step for %s", n)
}

// totals compiles the aggregates of all rows. What comes after it are the steps
// above them.
func (c *laneCompiler) totals(n *logical.Aggregate) error {
	var totals []Total
	args := &logical.Project{Input: n.Input}
	for _, a := range n.Aggs {
		t := Total{Function: a.Name, Column: -1, Out: a.Column.Type}
		switch {
		case a.Distinct || len(a.Args) > 1:
			return fmt.Errorf("no total for %s", a)
		case len(a.Args) == 1:
			arg := a.Args[0]
			t.Column, t.Arg = len(args.Exprs), arg.Type()
			column := logical.OutputColumn{ID: a.Column.ID, Name: a.Column.Name, Type: arg.Type(), NotNull: !arg.Nullable()}
			args.Exprs = append(args.Exprs, logical.NamedExpr{Column: column, Expr: arg})
		case a.Name != "count":
			return fmt.Errorf("no total for %s", a)
		}
		if _, ok := kernel.NewTotal(t.Function, t.Arg, t.Out); !ok {
			return fmt.Errorf("no total for %s", a)
		}
		totals = append(totals, t)
	}
	if err := c.node(args, nil); err != nil {
		return err
	}
	c.query.Totals, c.query.Aggregate, c.query.Steps, c.query.StepNodes = totals, n, c.lane.Steps, c.nodes
	c.lane.Steps, c.nodes = nil, nil
	c.reset(n.Output())
	return nil
}

func (c *laneCompiler) flatten(n *logical.Flatten, above columnSet) error {
	data, err := c.exprs.compile(n.Data)
	if err != nil {
		return err
	}
	step := &FlattenStep{Data: data, Table: n.Table, Outer: n.Outer}
	var kept []logical.OutputColumn
	for _, col := range n.Input.Output() {
		if above[col.ID] {
			kept = append(kept, col)
			step.Keep = append(step.Keep, c.exprs.columns[col.ID])
		}
	}
	c.reset(append(kept, n.Columns...))
	step.Schema = c.schema
	c.add(step, n)
	return nil
}

// add adds the step that n is.
func (c *laneCompiler) add(step Step, n logical.Node) {
	c.lane.Steps = append(c.lane.Steps, step)
	c.nodes = append(c.nodes, n)
}

func (c *laneCompiler) reset(cols []logical.OutputColumn) {
	c.exprs = newExprCompiler(len(cols))
	c.schema = nil
	for i, col := range cols {
		c.exprs.columns[col.ID] = i
		c.schema = append(c.schema, types.Column{Name: col.Name, Type: col.Type, NotNull: col.NotNull})
	}
}

// exprCompiler makes the kernel expressions of the steps over one batch, in which
// columns says where each column is. What several of them have in common is
// computed once, unless nothing numbers expressions.
type exprCompiler struct {
	columns map[logical.ColumnID]int
	numbers map[string]exprNumber // by what the expressions of a number have in common
	known   map[logical.Expr]exprNumber
	shared  map[exprNumber]*kernel.Shared
}

// exprNumber tells expressions that are not the same apart.
type exprNumber struct {
	n         int // 0 if the expression has to be computed in each place that it stands in
	ofColumns bool
}

func newExprCompiler(columns int) exprCompiler {
	return exprCompiler{
		columns: make(map[logical.ColumnID]int, columns), numbers: map[string]exprNumber{},
		known: map[logical.Expr]exprNumber{}, shared: map[exprNumber]*kernel.Shared{},
	}
}

// compile makes an expression.
func (c *exprCompiler) compile(e logical.Expr) (kernel.Expr, error) {
	var number exprNumber
	if c.numbers != nil {
		number = c.number(e)
	}
	sharable := number.n > 0 && number.ofColumns
	if s := c.shared[number]; sharable && s != nil {
		s.Again()
		return s, nil
	}
	compiled, err := c.compileOne(e)
	if err != nil || !sharable {
		return compiled, err
	}
	if s := kernel.Share(compiled); s != nil {
		c.shared[number] = s
		return s, nil
	}
	return compiled, nil
}

// number numbers an expression and its operands, each of which it looks at once.
func (c *exprCompiler) number(e logical.Expr) exprNumber {
	if number, ok := c.known[e]; ok {
		return number
	}
	var key []byte
	var number exprNumber
	again := false
	switch e := e.(type) {
	case *logical.Column:
		number.ofColumns = true
		key = fmt.Appendf(key, "%d", e.ID)
	case *logical.Literal:
		key = fmt.Appendf(key, "%#v", e.Value)
	case *logical.Call:
		again = e.Func.Volatile
		key = append(key, e.Func.Name...)
	case *logical.Interval:
		key = append(key, e.Unit...)
	case *logical.Case:
		key = fmt.Appendf(key, "case %d", len(e.Whens))
	case *logical.Cast:
		key = append(key, "cast"...)
	default: // a RowFunc may count how often it is called
		again = true
	}
	key = fmt.Appendf(key, " %s(", e.Type())
	for _, child := range e.Children() {
		operand := c.number(child)
		number.ofColumns = number.ofColumns || operand.ofColumns
		again = again || operand.n == 0
		key = fmt.Appendf(key, "%d,", operand.n)
	}
	if same, ok := c.numbers[string(key)]; ok && !again {
		number = same
	} else if !again {
		number.n = len(c.numbers) + 1
		c.numbers[string(key)] = number
	}
	c.known[e] = number
	return number
}

func (c *exprCompiler) compileOne(e logical.Expr) (kernel.Expr, error) {
	children := e.Children()
	args := make([]kernel.Expr, len(children))
	for i, child := range children {
		compiled, err := c.compile(child)
		if err != nil {
			return nil, err
		}
		args[i] = compiled
	}
	switch e := e.(type) {
	case *logical.Column:
		i, ok := c.columns[e.ID]
		if !ok {
			return nil, fmt.Errorf("no column %s (id %d) in the batch", e.Name, e.ID)
		}
		return kernel.Column(i, e.T), nil
	case *logical.Literal:
		return kernel.Constant(e.Value, e.T)
	case *logical.Call:
		return e.Func.Compile(args, e.T)
	case *logical.Cast:
		return kernel.Cast(args[0], e.T), nil
	case *logical.Interval:
		return kernel.Interval(args[0], e.Unit)
	case *logical.RowFunc:
		return kernel.RowFunc(e.New, e.T, args...), nil
	case *logical.Case:
		whens := make([]kernel.When, len(e.Whens))
		for i := range whens {
			whens[i] = kernel.When{Cond: args[2*i], Then: args[2*i+1]}
		}
		var otherwise kernel.Expr
		if e.Else != nil {
			otherwise = args[len(args)-1]
		}
		return kernel.Case(whens, otherwise), nil
	}
	return nil, fmt.Errorf("no kernel for %s", e)
}
