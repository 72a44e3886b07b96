package logical

import "fmt"

// Exprs are the expressions that a node evaluates over the columns of its
// inputs, in the order of the node's fields.
func Exprs(n Node) []Expr {
	var out []Expr
	keys := func(keys []SortKey) {
		for _, k := range keys {
			out = append(out, k.Expr)
		}
	}
	switch n := n.(type) {
	case *Scan:
		out = append(out, n.Filter...)
	case *Filter:
		out = append(out, n.Predicate)
	case *Project:
		for _, e := range n.Exprs {
			out = append(out, e.Expr)
		}
	case *Flatten:
		out = append(out, n.Data)
	case *Aggregate:
		for _, e := range n.GroupBy {
			out = append(out, e.Expr)
		}
		for _, a := range n.Aggs {
			out = append(out, a.Args...)
			keys(a.OrderBy)
		}
	case *Join:
		if n.On != nil {
			out = append(out, n.On)
		}
	case *Sort:
		keys(n.Keys)
	case *Window:
		for _, w := range n.Exprs {
			out = append(out, w.Args...)
			out = append(out, w.PartitionBy...)
			keys(w.OrderBy)
		}
	case *Values:
		for _, row := range n.Rows {
			out = append(out, row...)
		}
	}
	return out
}

// Check verifies what every rule has to preserve: each column reference names a
// column of the node's inputs (or, within a subquery or the right side of a
// lateral join, of an enclosing query) and has its type; each id is made by one
// node only; the inputs of a SetOp are equally wide. It is for tests and for
// catching a broken plan before it runs.
func Check(root Node) error {
	return check(root, map[ColumnID]OutputColumn{}, map[ColumnID]string{})
}

func check(n Node, outer map[ColumnID]OutputColumn, made map[ColumnID]string) error {
	visible := map[ColumnID]OutputColumn{}
	for id, c := range outer {
		visible[id] = c
	}
	inputs := n.Inputs()
	join, _ := n.(*Join)
	for i, in := range inputs {
		scope := outer
		if join != nil && join.Lateral && i == 1 {
			scope = visible
		}
		if err := check(in, scope, made); err != nil {
			return err
		}
		for _, c := range in.Output() {
			visible[c.ID] = c
		}
	}
	if s, ok := n.(*Scan); ok {
		for _, c := range s.Columns {
			visible[c.ID] = c
		}
	}
	if s, ok := n.(*SetOp); ok {
		if l, r := len(s.Left.Output()), len(s.Right.Output()); l != r || l != len(s.Columns) {
			return fmt.Errorf("check plan: %s has %d columns over inputs of %d and %d", s, len(s.Columns), l, r)
		}
	}
	for _, e := range Exprs(n) {
		if err := checkExpr(e, n, visible, made); err != nil {
			return err
		}
	}
	for _, c := range created(n) {
		if by, ok := made[c.ID]; ok {
			return fmt.Errorf("check plan: column %s (id %d) is made by both %s and %s", c.Name, c.ID, by, n)
		}
		made[c.ID] = n.String()
	}
	return nil
}

func checkExpr(e Expr, n Node, visible map[ColumnID]OutputColumn, made map[ColumnID]string) error {
	var failed error
	Walk(e, func(e Expr) bool {
		if failed != nil {
			return false
		}
		switch e := e.(type) {
		case *Column:
			c, ok := visible[e.ID]
			if !ok {
				failed = fmt.Errorf("check plan: %s refers to column %s (id %d), which its input does not have", n, e.Name, e.ID)
			} else if !c.Type.Equal(e.T) {
				failed = fmt.Errorf("check plan: %s refers to column %s (id %d) of type %s as %s", n, e.Name, e.ID, c.Type, e.T)
			}
		case *Subquery:
			failed = check(e.Plan, visible, made)
		}
		return failed == nil
	})
	return failed
}

// created are the columns that a node makes, as opposed to those it passes on.
func created(n Node) []OutputColumn {
	var out []OutputColumn
	named := func(exprs []NamedExpr) {
		for _, e := range exprs {
			if c, ok := e.Expr.(*Column); ok && c.ID == e.Column.ID {
				continue
			}
			out = append(out, e.Column)
		}
	}
	switch n := n.(type) {
	case *Scan:
		out = n.Columns
	case *Project:
		named(n.Exprs)
	case *Flatten:
		out = n.Columns
	case *Aggregate:
		named(n.GroupBy)
		for _, a := range n.Aggs {
			out = append(out, a.Column)
		}
	case *SetOp:
		out = n.Columns
	case *Window:
		for _, w := range n.Exprs {
			out = append(out, w.Column)
		}
	case *Values:
		out = n.Columns
	}
	return out
}
