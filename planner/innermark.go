package planner

import (
	"context"
	"fmt"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// innerMark stands between an aggregate function of a sub-select and its operand.
// The MySQL engine's binder finds aggregates by their text, those of the enclosing
// query too: SUM(a) / (SELECT SUM(a) FROM t) would have its sub-select show the sum
// of the group.
type innerMark struct {
	depth   int // of the sub-select
	operand string
}

func (m innerMark) String() string { return m.operand }

// WithResolvedChildren is called by the MySQL engine's binder.
func (m innerMark) WithResolvedChildren(_ context.Context, children []any) (any, error) {
	if len(children) == 1 {
		if e, ok := children[0].(gms.Expression); ok {
			return &innerOperand{Expression: e, depth: m.depth}, nil
		}
	}
	return nil, fmt.Errorf("bind %s: %d operands", m.operand, len(children))
}

// innerOperand is its operand under another text.
type innerOperand struct {
	gms.Expression
	depth int
}

func (e *innerOperand) String() string { return fmt.Sprintf("%s@%d", e.Expression, e.depth) }

func (e *innerOperand) Children() []gms.Expression { return []gms.Expression{e.Expression} }

func (e *innerOperand) WithChildren(_ *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	if len(children) != 1 {
		return nil, gms.ErrInvalidChildrenNumber.New(e, len(children), 1)
	}
	return &innerOperand{Expression: children[0], depth: e.depth}, nil
}

// markInner has the aggregates of a sub-select at a depth print differently from
// those of the queries around it.
func markInner(exprs sqlparser.SelectExprs, depth int) {
	for _, e := range exprs {
		a, ok := e.(*sqlparser.AliasedExpr)
		if !ok {
			continue
		}
		if x, ok := a.Expr.(sqlparser.InjectedExpr); ok {
			if _, ok := x.Expression.(innerMark); ok {
				continue
			}
		}
		a.Expr = inject(innerMark{depth, sqlparser.String(a.Expr)}, a.Expr)
	}
}
