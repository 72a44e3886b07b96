package planner

import (
	"github.com/leatdb/leat/planner/logical"
)

// pruneColumns drops the columns and expressions that nobody above reads, down
// to the scans, and projections that change nothing.
func pruneColumns(_ *optimizer, root logical.Node) logical.Node {
	return pruneRoot(root)
}

func pruneRoot(root logical.Node) logical.Node {
	needed := columnSet{}
	for _, c := range root.Output() {
		needed[c.ID] = true
	}
	return prune(root, needed)
}

type columnSet map[logical.ColumnID]bool

// plus adds what expressions read.
func (s columnSet) plus(exprs ...logical.Expr) columnSet {
	out := columnSet{}
	for id := range s {
		out[id] = true
	}
	for _, e := range exprs {
		if e != nil {
			logical.References(e, out)
		}
	}
	return out
}

func (s columnSet) plusColumns(cols []logical.OutputColumn) columnSet {
	out := s.plus()
	for _, c := range cols {
		out[c.ID] = true
	}
	return out
}

// prune is n without what needed does not hold; it keeps n where all is needed.
func prune(n logical.Node, needed columnSet) logical.Node {
	n = logical.MapExprs(n, func(e logical.Expr) logical.Expr {
		return logical.Transform(e, func(e logical.Expr) logical.Expr {
			if s, ok := e.(*logical.Subquery); ok {
				if p := pruneRoot(s.Plan); p != s.Plan {
					c := *s
					c.Plan = p
					return &c
				}
			}
			return e
		})
	})
	switch n := n.(type) {
	case *logical.Scan:
		return pruneScan(n, needed)
	case *logical.Project:
		return pruneProject(n, needed)
	case *logical.Aggregate:
		return pruneAggregate(n, needed)
	case *logical.Window:
		return pruneWindow(n, needed)
	case *logical.Join:
		return pruneJoin(n, needed)
	case *logical.SetOp, *logical.Distinct:
		// They compare whole rows.
		changed := false
		inputs := n.Inputs()
		for i, in := range inputs {
			inputs[i] = prune(in, columnSet{}.plusColumns(in.Output()))
			changed = changed || inputs[i] != in
		}
		if !changed {
			return n
		}
		return n.WithInputs(inputs)
	case *logical.Values:
		return n
	}
	return pruneInput(n, n.Inputs()[0], needed.plus(logical.Exprs(n)...))
}

func pruneInput(n, input logical.Node, needed columnSet) logical.Node {
	pruned := prune(input, needed)
	if p, ok := pruned.(*logical.Project); ok && identity(p) {
		pruned = p.Input
	}
	if pruned == input {
		return n
	}
	return n.WithInputs([]logical.Node{pruned})
}

// identity reports whether a projection passes on exactly its input's columns.
func identity(p *logical.Project) bool {
	if !sameColumns(p.Output(), p.Input.Output()) {
		return false
	}
	for _, e := range p.Exprs {
		c, ok := e.Expr.(*logical.Column)
		if !ok || c.ID != e.Column.ID {
			return false
		}
	}
	return true
}

func pruneScan(n *logical.Scan, needed columnSet) logical.Node {
	needed = needed.plus(n.Filter...)
	var keep []logical.OutputColumn
	for _, c := range n.Columns {
		if needed[c.ID] {
			keep = append(keep, c)
		}
	}
	if len(keep) == 0 && n.Kind == logical.RelationTable && len(n.Columns) > 0 {
		keep = n.Columns[:1] // a query over a file has to read something
	}
	if len(keep) == len(n.Columns) {
		return n
	}
	pruned := *n
	pruned.Columns, pruned.Paths = keep, nil
	for _, p := range n.Paths {
		if needed[p.ID] {
			pruned.Paths = append(pruned.Paths, p)
		}
	}
	return &pruned
}

func pruneProject(n *logical.Project, needed columnSet) logical.Node {
	var keep []logical.NamedExpr
	for _, e := range n.Exprs {
		if needed[e.Column.ID] {
			keep = append(keep, e)
		}
	}
	out := n
	if len(keep) < len(n.Exprs) {
		out = &logical.Project{Input: n.Input, Exprs: keep}
	}
	return pruneInput(out, n.Input, columnSet{}.plus(logical.Exprs(out)...))
}

func pruneAggregate(n *logical.Aggregate, needed columnSet) logical.Node {
	var keep []logical.AggregateExpr
	for _, a := range n.Aggs {
		if needed[a.Column.ID] {
			keep = append(keep, a)
		}
	}
	if len(keep) == 0 && len(n.GroupBy) == 0 && len(n.Aggs) > 0 {
		keep = n.Aggs[:1] // an aggregation of nothing would be no row or every row
	}
	out := n
	if len(keep) < len(n.Aggs) {
		out = &logical.Aggregate{Input: n.Input, GroupBy: n.GroupBy, Aggs: keep, Rollup: n.Rollup}
	}
	return pruneInput(out, n.Input, columnSet{}.plus(logical.Exprs(out)...))
}

func pruneWindow(n *logical.Window, needed columnSet) logical.Node {
	var keep []logical.WindowExpr
	for _, w := range n.Exprs {
		if needed[w.Column.ID] {
			keep = append(keep, w)
		}
	}
	if len(keep) == 0 {
		return prune(n.Input, needed)
	}
	out := n
	if len(keep) < len(n.Exprs) {
		out = &logical.Window{Input: n.Input, Exprs: keep}
	}
	return pruneInput(out, n.Input, needed.plus(logical.Exprs(out)...))
}

func pruneJoin(n *logical.Join, needed columnSet) logical.Node {
	needed = needed.plus(n.On)
	right := prune(n.Right, needed)
	if n.Lateral {
		outside := columnSet{}
		logical.References(&logical.Subquery{Plan: right}, outside)
		for id := range outside {
			needed[id] = true
		}
	}
	left := prune(n.Left, needed)
	if left == n.Left && right == n.Right {
		return n
	}
	return n.WithInputs([]logical.Node{left, right})
}
