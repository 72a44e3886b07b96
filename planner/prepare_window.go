package planner

import (
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// markWindows has the functions of addedWindows called by windowMark.
func markWindows(q *sqlparser.Select) {
	eachWindow(q, func(f *sqlparser.FuncExpr) {
		name := f.Name.Lowered()
		if args, ok := addedWindows[name]; !ok || len(f.Exprs) != args {
			return
		}
		f.Name = sqlparser.NewColIdent(windowMark)
		f.Exprs = append(sqlparser.SelectExprs{&sqlparser.AliasedExpr{Expr: sqlparser.NewStrVal([]byte(name))}}, f.Exprs...)
	})
}

// inlineWindows writes the windows of a WINDOW clause into the OVER clauses that
// name them: the engine drops their ORDER BY.
func inlineWindows(q *sqlparser.Select) {
	if len(q.Window) == 0 {
		return
	}
	named := namedWindows(q)
	complete := true
	eachWindow(q, func(f *sqlparser.FuncExpr) {
		over := *f.Over
		for range len(q.Window) + 1 { // a window may begin from another one
			def, ok := named[over.NameRef.Lowered()]
			if !ok {
				break
			}
			over.NameRef = def.NameRef
			if len(over.PartitionBy) == 0 {
				over.PartitionBy = append(sqlparser.Exprs(nil), def.PartitionBy...)
			}
			if len(over.OrderBy) == 0 {
				for _, o := range def.OrderBy {
					c := *o
					over.OrderBy = append(over.OrderBy, &c)
				}
			}
			if over.Frame == nil {
				over.Frame = def.Frame
			}
		}
		if !over.NameRef.IsEmpty() {
			complete = false // unknown, or a circle: the engine says so
			return
		}
		f.Over = &over
	})
	if complete {
		q.Window = nil
	}
}

// namedWindows are the windows of a WINDOW clause by their names, in lower case.
func namedWindows(q *sqlparser.Select) map[string]*sqlparser.WindowDef {
	named := make(map[string]*sqlparser.WindowDef, len(q.Window))
	for _, def := range q.Window {
		named[def.Name.Lowered()] = def
	}
	return named
}

// unboundedFrame stands for UNBOUNDED PRECEDING where the other end of a frame is
// bounded: such frames print alike in the engine, which takes functions over
// windows that print alike for one.
const unboundedFrame = 1_000_000_000_000_000

// markFrames makes frames that differ print differently.
func markFrames(q *sqlparser.Select) {
	eachWindow(q, func(f *sqlparser.FuncExpr) {
		frame := f.Over.Frame
		if frame == nil || frame.Extent == nil || frame.Extent.Start.Type != sqlparser.UnboundedPreceding {
			return
		}
		end := frame.Extent.End
		if end == nil {
			end = &sqlparser.FrameBound{Type: sqlparser.CurrentRow}
		}
		if end.Type == sqlparser.UnboundedFollowing {
			return
		}
		f.Over.Frame = &sqlparser.Frame{Unit: frame.Unit, Extent: &sqlparser.FrameExtent{
			Start: &sqlparser.FrameBound{Type: sqlparser.ExprPreceding, Expr: sqlparser.NewIntVal(strconv.AppendInt(nil, unboundedFrame, 10))},
			End:   end,
		}}
	})
}

// eachWindow calls f for the window functions of a query, not of its
// sub-selects.
func eachWindow(q *sqlparser.Select, f func(*sqlparser.FuncExpr)) {
	windowFunctions(f, q.SelectExprs, q.OrderBy)
}

// splitPrefix begins the names of the columns that splitWindows makes.
const splitPrefix = "leat grouped "

// splitWindows makes two queries of one that computes window functions over
// groups, which the engine cannot bind: the inner one groups, the outer one has
// the window functions.
func splitWindows(q *sqlparser.Select) {
	if len(q.Window) > 0 || !groupsAndWindows(q) {
		return
	}
	s := &splitter{names: map[string]string{}}
	var selects sqlparser.SelectExprs
	for _, e := range q.SelectExprs {
		a, ok := e.(*sqlparser.AliasedExpr)
		if !ok {
			return // a star
		}
		outer := &sqlparser.AliasedExpr{Expr: a.Expr, As: a.As}
		if outer.As.IsEmpty() {
			name := a.InputExpression
			if c, ok := a.Expr.(*sqlparser.ColName); ok {
				name = c.Name.String()
			}
			if name == "" {
				name = sqlparser.String(a.Expr)
			}
			outer.As = sqlparser.NewColIdent(name)
		}
		if !hasWindow(a.Expr) {
			outer.Expr = s.column(a.Expr, a.As)
		}
		selects = append(selects, outer)
	}
	// ORDER BY may name what is selected, GROUP BY its place.
	isSelected := func(e sqlparser.Expr) bool {
		c, ok := e.(*sqlparser.ColName)
		if !ok || !c.Qualifier.IsEmpty() {
			return false
		}
		for _, e := range q.SelectExprs {
			if a := e.(*sqlparser.AliasedExpr); a.As.Equal(c.Name) {
				return true
			}
		}
		return false
	}
	for i, g := range q.GroupBy {
		if e, ok := selectedAt(q, g); ok {
			q.GroupBy[i] = e
		}
	}
	var order sqlparser.OrderBy
	for _, o := range q.OrderBy {
		c := *o
		if _, isPlace := selectedAt(q, c.Expr); !isPlace && !isSelected(c.Expr) {
			c.Expr = s.outer(c.Expr, q.GroupBy)
		}
		order = append(order, &c)
	}
	for _, e := range selects {
		a := e.(*sqlparser.AliasedExpr)
		if hasWindow(a.Expr) {
			a.Expr = s.outer(a.Expr, q.GroupBy)
		}
	}
	inner := &sqlparser.Select{
		SelectExprs: s.selects, From: q.From, Where: q.Where, GroupBy: q.GroupBy, Having: q.Having,
	}
	q.SelectExprs, q.OrderBy, q.Where, q.GroupBy, q.Having = selects, order, nil, nil, nil
	q.From = sqlparser.TableExprs{&sqlparser.AliasedTableExpr{
		Expr: &sqlparser.Subquery{Select: inner}, As: sqlparser.NewTableIdent("leat_grouped"),
		Auth: sqlparser.AuthInformation{AuthType: sqlparser.AuthType_IGNORE},
	}}
}

// selectedAt is the select expression that a number in GROUP BY or ORDER BY
// means.
func selectedAt(q *sqlparser.Select, e sqlparser.Expr) (sqlparser.Expr, bool) {
	return expressionAt(q.SelectExprs, e)
}

// expressionAt is the one of a list that a number means.
func expressionAt(list sqlparser.SelectExprs, e sqlparser.Expr) (sqlparser.Expr, bool) {
	v, ok := e.(*sqlparser.SQLVal)
	if !ok || v.Type != sqlparser.IntVal {
		return nil, false
	}
	n, err := strconv.Atoi(string(v.Val))
	if err != nil || n < 1 || n > len(list) {
		return nil, false
	}
	a, ok := list[n-1].(*sqlparser.AliasedExpr)
	if !ok {
		return nil, false
	}
	return a.Expr, true
}

func groupsAndWindows(q *sqlparser.Select) bool {
	windows := false
	eachWindow(q, func(*sqlparser.FuncExpr) { windows = true })
	if !windows {
		return false
	}
	groups := len(q.GroupBy) > 0
	nodes := []sqlparser.SQLNode{q.SelectExprs, q.OrderBy}
	if q.Having != nil {
		nodes = append(nodes, q.Having)
	}
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		if _, ok := n.(*sqlparser.Subquery); ok {
			return false, nil
		}
		if e, ok := n.(sqlparser.Expr); ok && isAggregate(e) {
			groups = true
		}
		return !groups, nil
	}, nodes...)
	return groups
}

// isAggregate reports an aggregate function that is no window function, or what
// only stands beside such.
func isAggregate(e sqlparser.Expr) bool {
	switch e := e.(type) {
	case *sqlparser.FuncExpr:
		name := e.Name.Lowered()
		return e.Over == nil && (e.IsAggregate() || name == "any_value" || name == "grouping")
	case *sqlparser.GroupConcatExpr:
		return true
	}
	return false
}

func hasWindow(e sqlparser.Expr) bool {
	found := false
	windowFunctions(func(*sqlparser.FuncExpr) { found = true }, e)
	return found
}

// splitter collects the columns of the inner query.
type splitter struct {
	selects sqlparser.SelectExprs
	names   map[string]string // by the expression's text
}

// column is the reference to an expression that the inner query computes, under
// the name as where that is given.
func (s *splitter) column(e sqlparser.Expr, as sqlparser.ColIdent) *sqlparser.ColName {
	text := sqlparser.String(e)
	name, ok := s.names[text]
	if !ok || !as.IsEmpty() && !strings.EqualFold(name, as.String()) {
		name = as.String()
		if name == "" {
			name = splitPrefix + strconv.Itoa(len(s.selects))
		}
		if !ok {
			s.names[text] = name
		}
		s.selects = append(s.selects, &sqlparser.AliasedExpr{Expr: e, As: sqlparser.NewColIdent(name)})
	}
	return &sqlparser.ColName{Name: sqlparser.NewColIdent(name)}
}

// outer rewrites an expression for the outer query: aggregates, what is grouped
// by and columns become references.
func (s *splitter) outer(e sqlparser.Expr, groupBy sqlparser.GroupBy) sqlparser.Expr {
	grouped := map[string]bool{}
	for _, g := range groupBy {
		grouped[sqlparser.String(g)] = true
	}
	inner := func(e sqlparser.Expr) bool {
		_, isColumn := e.(*sqlparser.ColName)
		return isColumn || isAggregate(e) || grouped[sqlparser.String(e)]
	}
	var replace func(e sqlparser.Expr) sqlparser.Expr
	replace = func(e sqlparser.Expr) sqlparser.Expr {
		if inner(e) {
			return s.column(e, sqlparser.ColIdent{})
		}
		var found []sqlparser.Expr
		var windows []*sqlparser.FuncExpr
		_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
			switch n := n.(type) {
			case *sqlparser.Subquery, *sqlparser.Over:
				return false, nil
			case *sqlparser.FuncExpr:
				if n.Over != nil {
					windows = append(windows, n)
				}
			}
			if x, ok := n.(sqlparser.Expr); ok && inner(x) {
				found = append(found, x)
				return false, nil
			}
			return true, nil
		}, e)
		for _, x := range found {
			e = sqlparser.ReplaceExpr(e, x, s.column(x, sqlparser.ColIdent{}))
		}
		for _, w := range windows {
			for i, p := range w.Over.PartitionBy {
				w.Over.PartitionBy[i] = replace(p)
			}
			for _, o := range w.Over.OrderBy {
				o.Expr = replace(o.Expr)
			}
		}
		return e
	}
	return replace(e)
}
