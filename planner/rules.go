package planner

import (
	"time"

	"github.com/leatdb/leat/planner/logical"
)

// rule is one rewriting of a plan; it returns the very node it was given where
// it changes nothing.
type rule struct {
	name  string
	apply func(o *optimizer, root logical.Node) logical.Node
}

// rules are applied in this order, over and over until none changes the plan.
var rules = []rule{
	{"fold constants", foldConstants},
	{"simplify casts", simplifyCasts},
	{"drop filters that are always true", dropTrueFilters},
	{"split conjunctions", splitConjunctions},
	{"push filters down", pushFilters},
	{"pull projections above flattening", pullProjections},
	{"merge projections", mergeProjects},
	{"push JSON paths into the decoder", pushJSONPaths},
	{"show scans their filters", showFilters},
	{"prune columns", pruneColumns},
}

// maxPasses bounds the repetition; plans of ordinary queries are stable after
// three.
const maxPasses = 20

type optimizer struct {
	loc  *time.Location
	last logical.ColumnID
}

func (o *optimizer) newID() logical.ColumnID {
	o.last++
	return o.last
}

// Optimize rewrites a plan into one that gives the same rows with less work.
// Constants are evaluated in loc (nil: UTC).
func Optimize(root logical.Node, loc *time.Location) (logical.Node, error) {
	o := &optimizer{loc: loc, last: lastID(root)}
	for range maxPasses {
		before := root
		for _, r := range rules {
			root = r.apply(o, root)
		}
		if root == before {
			break
		}
	}
	return root, logical.Check(root)
}

// lastID is the highest column id in a plan.
func lastID(root logical.Node) logical.ColumnID {
	var last logical.ColumnID
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		for _, c := range n.Output() {
			last = max(last, c.ID)
		}
		return n
	})
	return last
}

// mapExprs applies f to every expression of a plan, from the leaves up.
func mapExprs(root logical.Node, f func(logical.Expr) logical.Expr) logical.Node {
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		return logical.MapExprs(n, func(e logical.Expr) logical.Expr { return logical.Transform(e, f) })
	})
}
