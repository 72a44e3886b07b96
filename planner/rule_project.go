package planner

import (
	"github.com/leatdb/leat/planner/logical"
)

// mergeProjects makes one projection of two, unless an expression of the lower
// one that costs something would be evaluated several times.
func mergeProjects(_ *optimizer, root logical.Node) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		upper, ok := n.(*logical.Project)
		if !ok {
			return n
		}
		lower, ok := upper.Input.(*logical.Project)
		if !ok {
			return n
		}
		uses := map[logical.ColumnID]int{}
		for _, e := range upper.Exprs {
			countUses(e.Expr, uses)
		}
		by := map[logical.ColumnID]logical.Expr{}
		for _, e := range lower.Exprs {
			if uses[e.Column.ID] > 1 && !trivial(e.Expr) {
				return n
			}
			by[e.Column.ID] = e.Expr
		}
		merged := &logical.Project{Input: lower.Input}
		for _, e := range upper.Exprs {
			merged.Exprs = append(merged.Exprs, logical.NamedExpr{Column: e.Column, Expr: logical.Substitute(e.Expr, by)})
		}
		return merged
	})
}

// countUses counts the references to columns; one within a subquery counts as
// many, since it may be evaluated for each of its rows.
func countUses(e logical.Expr, uses map[logical.ColumnID]int) {
	logical.Walk(e, func(e logical.Expr) bool {
		switch e := e.(type) {
		case *logical.Column:
			uses[e.ID]++
		case *logical.Subquery:
			for id := range references(e) {
				uses[id] += 2
			}
		}
		return true
	})
}

func trivial(e logical.Expr) bool {
	switch e.(type) {
	case *logical.Column, *logical.Literal:
		return true
	}
	return false
}

// pullProjections moves a projection that only renames and picks columns from
// below a flattening to above it, where it merges with the next one and JSON
// paths below the flattened column become visible.
func pullProjections(o *optimizer, root logical.Node) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		f, ok := n.(*logical.Flatten)
		if !ok {
			return n
		}
		p, ok := f.Input.(*logical.Project)
		if !ok {
			return n
		}
		by := map[logical.ColumnID]logical.Expr{}
		above := &logical.Project{}
		for _, e := range p.Exprs {
			if _, ok := e.Expr.(*logical.Column); !ok {
				return n
			}
			by[e.Column.ID] = e.Expr
			above.Exprs = append(above.Exprs, e)
		}
		for _, c := range f.Columns {
			above.Exprs = append(above.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
		}
		pulled := *f
		pulled.Input, pulled.Data = p.Input, logical.Substitute(f.Data, by)
		above.Input = &pulled
		return above
	})
}
