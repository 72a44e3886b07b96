//go:build gms_pure_go && duckdb_arrow

package engine

import (
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
)

// keepLikes is the rule that names the escape character of each LIKE that has
// none: the MySQL engine makes a comparison of text of a LIKE without one, in
// which the backslash of 'a\_%' is a character like any other.
func keepLikes(ctx *gms.Context, _ *analyzer.Analyzer, n gms.Node, _ *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
	return transform.NodeExprsWithOpaque(ctx, n, func(_ *gms.Context, e gms.Expression) (gms.Expression, transform.TreeIdentity, error) {
		like, ok := e.(*expression.Like)
		if !ok || like.Escape != nil {
			return e, transform.SameTree, nil
		}
		return expression.NewLike(like.LeftChild, like.RightChild, expression.NewLiteral(`\`, gmstypes.LongText)), transform.NewTree, nil
	})
}
