package logical_test

import (
	"testing"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

func TestScansInAnyOrder(t *testing.T) {
	double := logical.OutputColumn{ID: 9, Name: "x", Type: types.TypeFloat64}
	aggregate := func(in logical.Node, name string, of logical.OutputColumn) logical.Node {
		return &logical.Aggregate{
			Input: in, GroupBy: []logical.NamedExpr{{Column: column(20, "g"), Expr: a.Ref()}},
			Aggs: []logical.AggregateExpr{{Column: column(21, "n"), Name: name, Args: []logical.Expr{of.Ref()}}},
		}
	}
	f := func(what string, want bool, plan func(logical.Node) logical.Node) {
		t.Helper()
		s := scan(a, b, double)
		if got := logical.ScansInAnyOrder(plan(s)); got[s] != want {
			t.Errorf("%s: %t, want %t", what, got[s], want)
		}
	}
	f("the rows themselves", false, func(s logical.Node) logical.Node { return s })
	f("sorted rows", false, func(s logical.Node) logical.Node {
		return &logical.Sort{Input: s, Keys: []logical.SortKey{{Expr: a.Ref()}}}
	})
	f("an exact sum", true, func(s logical.Node) logical.Node { return aggregate(s, "sum", b) })
	f("a sum of doubles", false, func(s logical.Node) logical.Node { return aggregate(s, "sum", double) })
	f("the largest double", true, func(s logical.Node) logical.Node { return aggregate(s, "max", double) })
	f("GROUP_CONCAT", false, func(s logical.Node) logical.Node { return aggregate(s, "group_concat", b) })
	f("a sum of the first rows", false, func(s logical.Node) logical.Node {
		return aggregate(&logical.Limit{Input: s, Count: 3}, "sum", b)
	})
	f("a sum, limited", true, func(s logical.Node) logical.Node {
		return &logical.Limit{Input: aggregate(&logical.Filter{Input: s, Predicate: less(a.Ref(), b.Ref())}, "sum", b), Count: 3}
	})
	f("a filter by chance", false, func(s logical.Node) logical.Node {
		random := &logical.RowFunc{Name: "rand", T: types.TypeInt64, Volatile: true}
		return aggregate(&logical.Filter{Input: s, Predicate: less(a.Ref(), random)}, "sum", b)
	})
	f("distinct rows", true, func(s logical.Node) logical.Node { return &logical.Distinct{Input: s} })
	f("a set", true, func(s logical.Node) logical.Node { return &logical.SetOp{Op: "UNION", Left: s, Right: scan(c)} })
	f("a bag", false, func(s logical.Node) logical.Node {
		return &logical.SetOp{Op: "UNION", All: true, Left: s, Right: scan(c)}
	})
	f("a join below a sum", true, func(s logical.Node) logical.Node {
		return aggregate(&logical.Join{Kind: logical.JoinCross, Left: s, Right: scan(c)}, "sum", b)
	})
	f("numbered rows below a sum", false, func(s logical.Node) logical.Node { return aggregate(&logical.Window{Input: s}, "sum", b) })
}
