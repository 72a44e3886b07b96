package planner

import (
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// Comparisons with the rows of a sub-select have three values: x > ANY (q) is
// true where a row compares so, else NULL where a comparison is, else false; no
// rows make ANY false and ALL true, also of a NULL. A plan counts them.

// comparisonOf names the operator of a comparison.
func comparisonOf(e gms.Expression) (op string, left, right gms.Expression) {
	switch e := e.(type) {
	case *expression.Equals:
		return "=", e.Left(), e.Right()
	case *expression.NullSafeEquals:
		return "<=>", e.Left(), e.Right()
	case *expression.LessThan:
		return "<", e.Left(), e.Right()
	case *expression.LessThanOrEqual:
		return "<=", e.Left(), e.Right()
	case *expression.GreaterThan:
		return ">", e.Left(), e.Right()
	case *expression.GreaterThanOrEqual:
		return ">=", e.Left(), e.Right()
	}
	return "", nil, nil
}

// comparison lowers comparisons of rows, and those with ANY or ALL; it reports
// false for any other expression.
func (l *lowerer) comparison(e gms.Expression, s *scope) (logical.Expr, bool, error) {
	not, negated := e.(*expression.Not)
	if negated { // x <> y is NOT x = y
		e = not.Child
	}
	op, left, right := comparisonOf(e)
	if op == "" || negated && op != "=" {
		return nil, false, nil
	}
	if mark, ok := right.(*quantifierMark); ok {
		q, ok := mark.operands[0].(*plan.Subquery)
		if !ok {
			return nil, true, unsupported("%s of %s", mark.name, mark.operands[0])
		}
		if negated {
			op = "<>"
		}
		lowered, err := l.quantified(op, mark.all(), left, q, s)
		return lowered, true, err
	}
	if !isRow(left) || negated {
		return nil, false, nil
	}
	lowered, err := l.compareRows(op, left, right, s)
	return lowered, true, err
}

// compareRows lowers the comparison of rows, of which the right one may be that
// of a sub-select.
func (l *lowerer) compareRows(op string, a, b gms.Expression, s *scope) (logical.Expr, error) {
	left, err := l.rowOf(a, s)
	if err != nil {
		return nil, err
	}
	if q, ok := b.(*plan.Subquery); ok {
		node, right, err := l.subqueryColumns(q, len(left), s)
		if err != nil {
			return nil, err
		}
		cond, err := compareEach(op, left, right)
		if err != nil {
			return nil, err
		}
		c := l.newColumn("compared", types.TypeBool, false)
		return &logical.Subquery{
			Op: logical.SubqueryScalar, T: types.TypeBool,
			Plan: &logical.Project{Input: node, Exprs: []logical.NamedExpr{{Column: c, Expr: cond}}},
		}, nil
	}
	right, err := l.rowOf(b, s)
	if err != nil {
		return nil, err
	}
	if len(left) != len(right) {
		return nil, wrongColumns(len(left))
	}
	return compareEach(op, left, right)
}

// rowOf lowers the operands of a row, or one that is none.
func (l *lowerer) rowOf(e gms.Expression, s *scope) ([]logical.Expr, error) {
	row := expression.Tuple{e}
	if t, ok := e.(expression.Tuple); ok {
		row = t
	}
	return l.exprs(row, s)
}

// compareEach compares rows of the same width: as a whole for equality, else by
// the first operands that differ.
func compareEach(op string, left, right []logical.Expr) (logical.Expr, error) {
	if len(left) == 1 {
		return bindCall([]logical.Expr{left[0], right[0]}, op)
	}
	rest, err := compareEach(op, left[1:], right[1:])
	if err != nil {
		return nil, err
	}
	first := []logical.Expr{left[0], right[0]}
	switch op {
	case "=", "<=>":
		equal, err := bindCall(first, op)
		if err != nil {
			return nil, err
		}
		return bindCall([]logical.Expr{equal, rest}, "and")
	case "<>":
		differs, err := bindCall(first, op)
		if err != nil {
			return nil, err
		}
		return bindCall([]logical.Expr{differs, rest}, "or")
	}
	decides, err := bindCall(first, op[:1])
	if err != nil {
		return nil, err
	}
	equal, err := bindCall(first, "=")
	if err != nil {
		return nil, err
	}
	if equal, err = bindCall([]logical.Expr{equal, rest}, "and"); err != nil {
		return nil, err
	}
	return bindCall([]logical.Expr{decides, equal}, "or")
}

// subqueryColumns lowers a sub-select of a number of columns.
func (l *lowerer) subqueryColumns(q *plan.Subquery, width int, s *scope) (logical.Node, []logical.Expr, error) {
	node, inner, err := l.query(q.Query, s)
	if err != nil {
		return nil, nil, err
	}
	if len(inner.cols) != width {
		return nil, nil, wrongColumns(width)
	}
	node, inner = l.inOrder(node, inner)
	columns := make([]logical.Expr, width)
	for i, c := range inner.cols {
		columns[i] = c.col.Ref()
		if c.col.Type.Kind == types.Null {
			columns[i] = &logical.Literal{T: types.TypeNull}
		}
	}
	return node, columns, nil
}

// quantified lowers left op ANY (q), or ALL.
func (l *lowerer) quantified(op string, all bool, left gms.Expression, q *plan.Subquery, s *scope) (logical.Expr, error) {
	row, err := l.rowOf(left, s)
	if err != nil {
		return nil, err
	}
	node, columns, err := l.subqueryColumns(q, len(row), s)
	if err != nil {
		return nil, err
	}
	equality := op == "=" || op == "<>"
	switch {
	case len(row) > 1 && !equality:
		return nil, wrongColumns(1)
	case len(row) == 1 && op == "=" && !all && comparesAlike(row[0].Type(), columns[0].Type()):
		return &logical.Subquery{Op: logical.SubqueryIn, Arg: row[0], Plan: node, T: types.TypeBool}, nil
	case !equality && ordersAlike(row[0].Type(), columns[0].Type()):
		return l.comparedWithExtreme(op, all, row[0], node, columns[0])
	}
	cond, err := compareEach(op, row, columns)
	if err != nil {
		return nil, err
	}
	decides := cond // a row of which this is true decides
	if all {
		if decides, err = bindCall([]logical.Expr{cond}, "not"); err != nil {
			return nil, err
		}
	}
	compared := l.newColumn("compared", types.TypeBool, false)
	rows, known, decided := l.newColumn("rows", types.TypeInt64, true), l.newColumn("known", types.TypeInt64, true), l.newColumn("decided", types.TypeInt64, true)
	one := &logical.Case{Whens: []logical.When{{Cond: compared.Ref(), Then: intLiteral(1)}}, T: types.TypeInt64}
	counts := &logical.Aggregate{
		Input: &logical.Project{Input: node, Exprs: []logical.NamedExpr{{Column: compared, Expr: decides}}},
		Aggs: []logical.AggregateExpr{
			{Column: rows, Name: "count"},
			{Column: known, Name: "count", Args: []logical.Expr{compared.Ref()}},
			{Column: decided, Name: "count", Args: []logical.Expr{one}},
		},
	}
	isDecided, err := bindCall([]logical.Expr{decided.Ref(), intLiteral(0)}, ">")
	if err != nil {
		return nil, err
	}
	someUnknown, err := bindCall([]logical.Expr{known.Ref(), rows.Ref()}, "<")
	if err != nil {
		return nil, err
	}
	return l.truthOf(counts, &logical.Case{
		Whens: []logical.When{{Cond: isDecided, Then: truthValue(!all)}, {Cond: someUnknown, Then: unknownTruth()}},
		Else:  truthValue(all), T: types.TypeBool,
	}), nil
}

// comparedWithExtreme lowers x < ANY (q) and the like: the largest or the
// smallest value decides, so that x meets one row instead of all.
func (l *lowerer) comparedWithExtreme(op string, all bool, x logical.Expr, node logical.Node, column logical.Expr) (logical.Expr, error) {
	name := "min"
	if (op[0] == '>') == all {
		name = "max"
	}
	extreme := l.newColumn("extreme", column.Type(), false)
	rows, present := l.newColumn("rows", types.TypeInt64, true), l.newColumn("present", types.TypeInt64, true)
	counts := &logical.Aggregate{Input: node, Aggs: []logical.AggregateExpr{
		{Column: extreme, Name: name, Args: []logical.Expr{column}},
		{Column: rows, Name: "count"},
		{Column: present, Name: "count", Args: []logical.Expr{column}},
	}}
	none, err := bindCall([]logical.Expr{rows.Ref(), intLiteral(0)}, "=")
	if err != nil {
		return nil, err
	}
	cond, err := bindCall([]logical.Expr{x, extreme.Ref()}, op)
	if err != nil {
		return nil, err
	}
	compared := l.newColumn("compared", types.TypeBool, false) // x is evaluated once
	once := &logical.Project{Input: counts, Exprs: []logical.NamedExpr{
		{Column: rows, Expr: rows.Ref()}, {Column: present, Expr: present.Ref()}, {Column: compared, Expr: cond},
	}}
	var decides logical.Expr = compared.Ref()
	if all {
		if decides, err = bindCall([]logical.Expr{decides}, "not"); err != nil {
			return nil, err
		}
	}
	someNull, err := bindCall([]logical.Expr{present.Ref(), rows.Ref()}, "<")
	if err != nil {
		return nil, err
	}
	return l.truthOf(once, &logical.Case{
		Whens: []logical.When{{Cond: none, Then: truthValue(all)}, {Cond: decides, Then: truthValue(!all)}, {Cond: someNull, Then: unknownTruth()}},
		Else:  compared.Ref(), T: types.TypeBool,
	}), nil
}

// truthOf is a sub-select of an expression over the one row of a query.
func (l *lowerer) truthOf(counts logical.Node, e logical.Expr) logical.Expr {
	c := l.newColumn("truth", types.TypeBool, false)
	return &logical.Subquery{
		Op: logical.SubqueryScalar, T: types.TypeBool,
		Plan: &logical.Project{Input: counts, Exprs: []logical.NamedExpr{{Column: c, Expr: e}}},
	}
}

func wrongColumns(want int) error { return unsupported("a row of another width than %d here", want) }

func truthValue(v bool) logical.Expr { return &logical.Literal{Value: v, T: types.TypeBool} }

func unknownTruth() logical.Expr { return &logical.Literal{T: types.TypeBool} }

// ordersAlike reports whether a comparison of two types follows the order that
// MIN and MAX of the second have.
func ordersAlike(a, b types.Type) bool {
	switch {
	case a.Kind == types.Bool, b.Kind == types.Bool, b.Kind == types.JSON, b.Kind == types.Null:
		return false
	}
	return a.Kind.IsNumeric() && b.Kind.IsNumeric() || a.Kind == b.Kind
}

// comparesAlike reports whether IN compares values of two types as they are.
func comparesAlike(a, b types.Type) bool {
	switch {
	case a.Kind == types.JSON, b.Kind == types.JSON, a.Kind == types.Null, b.Kind == types.Null:
		return false
	case a.Kind == types.Decimal && b.Kind == types.Decimal:
		return a.Precision == b.Precision && a.Scale == b.Scale
	}
	return a.Kind == b.Kind || isSigned(a.Kind) && isSigned(b.Kind)
}

func isSigned(k types.Kind) bool {
	return k == types.Int8 || k == types.Int16 || k == types.Int32 || k == types.Int64
}
