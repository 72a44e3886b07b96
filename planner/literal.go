package planner

import (
	"context"
	"fmt"

	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// exactLiteral is a literal that the MySQL engine's binder does not know for
// one.
type exactLiteral struct{ *expression.Literal }

// literalDigits makes an exactLiteral of a number; it is the number's text.
type literalDigits string

func (d literalDigits) String() string { return string(d) }

// WithResolvedChildren is called by the MySQL engine's binder.
func (d literalDigits) WithResolvedChildren(_ context.Context, children []any) (any, error) {
	if len(children) == 1 {
		if lit, ok := children[0].(*expression.Literal); ok {
			return &exactLiteral{lit}, nil
		}
	}
	return nil, fmt.Errorf("bind the number %s", string(d))
}

// keepDigits hides a literal with a decimal point from the engine's binder.
func keepDigits(e sqlparser.Expr) sqlparser.Expr {
	v, ok := withoutBrackets(e).(*sqlparser.SQLVal)
	if !ok || v.Type != sqlparser.FloatVal {
		return e
	}
	return inject(literalDigits(v.Val), v)
}

// inject has the engine's binder give an operand, once it is bound, to what is
// injected.
func inject(injected sqlparser.Injectable, operand sqlparser.Expr) sqlparser.Expr {
	return sqlparser.InjectedExpr{
		Auth:       sqlparser.AuthInformation{AuthType: sqlparser.AuthType_IGNORE},
		Expression: injected,
		Children:   sqlparser.Exprs{operand},
	}
}

// withoutBrackets is an expression without those around all of it.
func withoutBrackets(e sqlparser.Expr) sqlparser.Expr {
	for {
		paren, ok := e.(*sqlparser.ParenExpr)
		if !ok {
			return e
		}
		e = paren.Expr
	}
}
