package planner

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/sql/types"
)

// castTarget is the type of a CAST as it was written. keepCast puts it between
// a CAST and its operand; the MySQL engine then sees an operand that has the
// type already and leaves out its own conversion.
type castTarget struct {
	name          string // lower case: char, decimal, signed, …
	length, scale int
	operand       string // for printing
}

func (t castTarget) String() string { return t.operand }

// WithResolvedChildren is called by the MySQL engine's binder.
func (t castTarget) WithResolvedChildren(_ context.Context, children []any) (any, error) {
	if len(children) == 1 {
		if e, ok := children[0].(gms.Expression); ok {
			return &castExpr{Child: e, target: t}, nil
		}
	}
	return nil, fmt.Errorf("bind CAST of %d operands", len(children))
}

func keepCast(e *sqlparser.ConvertExpr) {
	if in, ok := e.Expr.(sqlparser.InjectedExpr); ok {
		if _, ok := in.Expression.(castTarget); ok {
			return
		}
	}
	length, okLength := castNumber(e.Type.Length)
	scale, okScale := castNumber(e.Type.Scale)
	if !okLength || !okScale {
		return // the engine reports it
	}
	t := castTarget{strings.ToLower(e.Type.Type), length, scale, sqlparser.String(e.Expr)}
	e.Expr = inject(t, e.Expr)
}

func castNumber(v *sqlparser.SQLVal) (int, bool) {
	if v == nil {
		return 0, true
	}
	n, err := strconv.Atoi(string(v.Val))
	return n, err == nil
}

// sqlType is our type for the target.
func (t castTarget) sqlType() (types.Type, error) {
	switch t.name {
	case expression.ConvertToChar, expression.ConvertToNChar:
		if t.length == 0 {
			return types.TypeText, nil
		}
		return types.NewVarchar(t.length), nil
	case expression.ConvertToBinary:
		if t.length == 0 {
			return types.TypeBlob, nil
		}
		return types.Type{Kind: types.Binary, Name: "BINARY", Length: t.length}, nil
	case expression.ConvertToDate:
		return types.TypeDate, nil
	case expression.ConvertToDatetime:
		return types.Type{Kind: types.DateTime, Fsp: t.length}, nil
	case expression.ConvertToTime:
		return types.Type{Kind: types.Time, Fsp: t.length}, nil
	case expression.ConvertToDecimal:
		precision := t.length
		if precision == 0 {
			precision = 10
		}
		return types.Parse(fmt.Sprintf("DECIMAL(%d,%d)", precision, t.scale))
	case expression.ConvertToFloat:
		if t.length > 24 {
			return types.TypeFloat64, nil
		}
		return types.Type{Kind: types.Float32}, nil
	case expression.ConvertToDouble, expression.ConvertToReal:
		return types.TypeFloat64, nil
	case expression.ConvertToJSON:
		return types.TypeJSON, nil
	case expression.ConvertToSigned:
		return types.TypeInt64, nil
	case expression.ConvertToUnsigned:
		return types.TypeUint64, nil
	case expression.ConvertToYear:
		return types.Type{Kind: types.Int16}, nil
	}
	return types.Type{}, fmt.Errorf("no type %s to cast to", strings.ToUpper(t.name))
}

// castExpr is a bound CAST that still knows its target. The MySQL engine
// evaluates it as its own conversion.
type castExpr struct {
	Child  gms.Expression
	target castTarget
}

func (e *castExpr) convert() *expression.Convert {
	return expression.NewConvertWithLengthAndScale(e.Child, e.target.name, e.target.length, e.target.scale)
}

func (e *castExpr) Resolved() bool                                { return e.Child.Resolved() }
func (e *castExpr) String() string                                { return e.convert().String() }
func (e *castExpr) Type(ctx *gms.Context) gms.Type                { return e.convert().Type(ctx) }
func (e *castExpr) IsNullable(ctx *gms.Context) bool              { return true }
func (e *castExpr) Children() []gms.Expression                    { return []gms.Expression{e.Child} }
func (e *castExpr) Eval(c *gms.Context, row gms.Row) (any, error) { return e.convert().Eval(c, row) }

func (e *castExpr) CollationCoercibility(ctx *gms.Context) (gms.CollationID, byte) {
	return e.convert().CollationCoercibility(ctx)
}

func (e *castExpr) WithChildren(_ *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	if len(children) != 1 {
		return nil, gms.ErrInvalidChildrenNumber.New(e, len(children), 1)
	}
	return &castExpr{Child: children[0], target: e.target}, nil
}
