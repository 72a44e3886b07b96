package planner

import (
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// dropTrueFilters removes filters that every row passes.
func dropTrueFilters(_ *optimizer, root logical.Node) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		if f, ok := n.(*logical.Filter); ok && isBool(f.Predicate, true) {
			return f.Input
		}
		return n
	})
}

// splitConjunctions makes a filter of each operand of AND, in their order, so
// that each can be pushed down by itself and later ones see fewer rows.
func splitConjunctions(_ *optimizer, root logical.Node) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		f, ok := n.(*logical.Filter)
		if !ok {
			return n
		}
		parts := conjuncts(f.Predicate)
		if len(parts) == 1 {
			return n
		}
		out := f.Input
		for _, p := range parts {
			out = &logical.Filter{Input: out, Predicate: p}
		}
		return out
	})
}

func conjuncts(e logical.Expr) []logical.Expr {
	c, ok := e.(*logical.Call)
	if !ok || c.Func.Name != "and" {
		return []logical.Expr{e}
	}
	var out []logical.Expr
	for _, a := range c.Args {
		if k := a.Type().Kind; k != types.Bool && !k.IsNumeric() {
			return []logical.Expr{e} // AND takes other operands as truth values, a filter does not
		}
		out = append(out, conjuncts(a)...)
	}
	return out
}

// pushFilters moves filters towards the scan, below projections, flattening,
// sorting, grouping and into the side of a join that they speak of. As in
// MySQL, where a derived table is merged into the query, an expression of the
// projection is then not evaluated for rows that the filter takes away.
func pushFilters(_ *optimizer, root logical.Node) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		f, ok := n.(*logical.Filter)
		if !ok || logical.IsVolatile(f.Predicate) {
			return n
		}
		if pushed, ok := pushPredicate(f.Predicate, f.Input); ok {
			return pushed
		}
		return n
	})
}

// pushPredicate filters n by p somewhere below n, if there is a place.
func pushPredicate(p logical.Expr, n logical.Node) (logical.Node, bool) {
	switch n := n.(type) {
	case *logical.Filter:
		if logical.IsVolatile(n.Predicate) {
			return nil, false
		}
		below, ok := pushPredicate(p, n.Input)
		if !ok {
			return nil, false
		}
		return &logical.Filter{Input: below, Predicate: n.Predicate}, true
	case *logical.Project:
		by := map[logical.ColumnID]logical.Expr{}
		refs := references(p)
		for _, e := range n.Exprs {
			if !refs[e.Column.ID] {
				continue
			}
			if logical.IsVolatile(e.Expr) {
				return nil, false
			}
			by[e.Column.ID] = e.Expr
		}
		return n.WithInputs([]logical.Node{filterBelow(logical.Substitute(p, by), n.Input)}), true
	case *logical.Flatten:
		if !reads(p, n.Input) {
			return nil, false
		}
		return n.WithInputs([]logical.Node{filterBelow(p, n.Input)}), true
	case *logical.Sort, *logical.Distinct:
		return n.WithInputs([]logical.Node{filterBelow(p, n.Inputs()[0])}), true
	case *logical.Aggregate:
		return pushBelowGroups(p, n)
	case *logical.Join:
		return pushIntoJoin(p, n)
	}
	return nil, false
}

func filterBelow(p logical.Expr, n logical.Node) logical.Node {
	if pushed, ok := pushPredicate(p, n); ok {
		return pushed
	}
	return &logical.Filter{Input: n, Predicate: p}
}

func pushBelowGroups(p logical.Expr, n *logical.Aggregate) (logical.Node, bool) {
	if n.Rollup { // its keys are NULL in some rows
		return nil, false
	}
	by := map[logical.ColumnID]logical.Expr{}
	for _, g := range n.GroupBy {
		by[g.Column.ID] = g.Expr
	}
	refs := references(p)
	made := map[logical.ColumnID]bool{}
	for _, c := range n.Output() {
		made[c.ID] = true
	}
	grouped := false
	for id := range refs {
		if by[id] != nil {
			grouped = true
		} else if made[id] {
			return nil, false
		}
	}
	if !grouped {
		return nil, false
	}
	return n.WithInputs([]logical.Node{filterBelow(logical.Substitute(p, by), n.Input)}), true
}

func pushIntoJoin(p logical.Expr, n *logical.Join) (logical.Node, bool) {
	switch {
	case (n.Kind == logical.JoinInner || n.Kind == logical.JoinCross || n.Kind == logical.JoinLeft) && reads(p, n.Left) && !touches(p, n.Right):
		return n.WithInputs([]logical.Node{filterBelow(p, n.Left), n.Right}), true
	case !n.Lateral && (n.Kind == logical.JoinInner || n.Kind == logical.JoinCross || n.Kind == logical.JoinRight) && reads(p, n.Right) && !touches(p, n.Left):
		return n.WithInputs([]logical.Node{n.Left, filterBelow(p, n.Right)}), true
	}
	return nil, false
}

func references(e logical.Expr) map[logical.ColumnID]bool {
	set := map[logical.ColumnID]bool{}
	logical.References(e, set)
	return set
}

// touches reports whether e reads a column of n.
func touches(e logical.Expr, n logical.Node) bool {
	refs := references(e)
	for _, c := range n.Output() {
		if refs[c.ID] {
			return true
		}
	}
	return false
}

// reads reports whether e reads columns of n, and, outside subqueries, no
// others.
func reads(e logical.Expr, n logical.Node) bool {
	has := map[logical.ColumnID]bool{}
	for _, c := range n.Output() {
		has[c.ID] = true
	}
	any, only := false, true
	logical.Walk(e, func(e logical.Expr) bool {
		switch e := e.(type) {
		case *logical.Column:
			any = true
			only = only && has[e.ID]
		case *logical.Subquery:
			only = false // it may be correlated with anything
		}
		return only
	})
	return any && only
}

// showFilters gives the scan of a lake table the conjuncts above it, so that
// files can be left out by them; they are evaluated all the same.
func showFilters(_ *optimizer, root logical.Node) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		f, ok := n.(*logical.Filter)
		if !ok {
			return n
		}
		var preds []logical.Expr
		var chain []*logical.Filter
		var below logical.Node = f
		for {
			g, ok := below.(*logical.Filter)
			if !ok {
				break
			}
			chain = append(chain, g)
			below = g.Input
		}
		scan, ok := below.(*logical.Scan)
		if !ok || scan.Kind != logical.RelationTable {
			return n
		}
		for i := len(chain) - 1; i >= 0; i-- {
			if p := chain[i].Predicate; !logical.IsVolatile(p) && reads(p, scan) {
				preds = append(preds, p)
			}
		}
		if len(preds) <= len(scan.Filter) {
			return n
		}
		shown := *scan
		shown.Filter = preds
		var out logical.Node = &shown
		for i := len(chain) - 1; i >= 0; i-- {
			out = &logical.Filter{Input: out, Predicate: chain[i].Predicate}
		}
		return out
	})
}
