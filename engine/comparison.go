//go:build gms_pure_go && duckdb_arrow

package engine

import (
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/planner"
)

// keepComparisons is the rule for comparisons that the MySQL engine evaluates row by
// row and makes something else of than MySQL. It compares text in a LIKE that names
// no escape character, in which the backslash of 'a\_%' is a character like any
// other; and it compares with each bound of a BETWEEN apart, where MySQL has one
// type for all three.
func keepComparisons(ctx *gms.Context, _ *analyzer.Analyzer, n gms.Node, _ *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
	return transform.NodeExprsWithOpaque(ctx, n, func(ctx *gms.Context, e gms.Expression) (gms.Expression, transform.TreeIdentity, error) {
		switch e := e.(type) {
		case *expression.Like:
			if e.Escape == nil {
				return expression.NewLike(e.LeftChild, e.RightChild, expression.NewLiteral(`\`, gmstypes.LongText)), transform.NewTree, nil
			}
		case *expression.Between:
			if call, ok := planner.MixedBetween(ctx, e); ok {
				return call, transform.NewTree, nil
			}
		}
		return e, transform.SameTree, nil
	})
}
