package planner

import (
	"context"
	"fmt"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

var gmsText = gmstypes.LongText

// sessionFunctions answer for a session, which a stream outlives.
var sessionFunctions = map[string]bool{
	"connection_id": true, "current_user": true, "user": true, "database": true, "found_rows": true,
	"row_count": true, "last_insert_id": true, "last_insert_uuid": true, "get_lock": true,
	"release_lock": true, "release_all_locks": true, "is_free_lock": true, "is_used_lock": true,
	"sleep": true, "load_file": true, "values": true,
}

// sessionValues are those that are the same during a statement.
var sessionValues = map[string]bool{
	"connection_id": true, "current_user": true, "user": true, "database": true, "found_rows": true,
	"row_count": true, "last_insert_id": true, "version": true,
}

// clockFunctions read the clock and are not constants of a plan. Row by row they
// are given the time of the step as one more operand, so that a batch sees one
// time whatever evaluates it.
var clockFunctions = map[string]bool{
	"now": true, "sysdate": true, "curdate": true, "current_date": true, "curtime": true, "current_time": true,
	"utc_timestamp": true, "utc_date": true, "utc_time": true, "unix_timestamp": true,
}

// rowFunc wraps an expression that has no kernel: its operands are lowered, and
// the engine evaluates the expression itself over their values, row by row.
// Constants stay inside, because many functions prepare something from them.
func (l *lowerer) rowFunc(e gms.Expression, s *scope) (logical.Expr, error) {
	name := rowFuncName(e)
	switch {
	case !l.continuous && sessionValues[name] && len(e.Children()) == 0:
		return l.sessionValue(e)
	case sessionFunctions[name]:
		return nil, &Unsupported{What: "the session's " + strings.ToUpper(name), Near: name}
	}
	f := &rowFunc{strict: l.strict, loc: l.loc}
	var args []logical.Expr
	var operand func(c gms.Expression) (gms.Expression, error)
	inside := func(e gms.Expression) (gms.Expression, error) {
		children := e.Children()
		replaced := make([]gms.Expression, len(children))
		for i, c := range children {
			r, err := operand(c)
			if err != nil {
				return nil, err
			}
			replaced[i] = r
		}
		return e.WithChildren(l.ctx, replaced...)
	}
	operand = func(c gms.Expression) (gms.Expression, error) {
		switch c.(type) {
		case *expression.Literal, *exactLiteral:
			return c, nil
		case *expression.Interval, expression.Tuple, *expression.CollatedExpression:
			return inside(c)
		case *plan.Subquery:
			return nil, unsupported("a subquery in %s", strings.ToUpper(name))
		}
		a, err := l.expr(c, s)
		if err != nil {
			return nil, err
		}
		t, err := GMSType(a.Type())
		if err != nil {
			return nil, unsupported("%s of %s", strings.ToUpper(name), a.Type())
		}
		args = append(args, a)
		i := len(args) - 1
		return expression.NewGetField(i, t, logical.OperandMark(i), a.Nullable()), nil
	}
	template, err := inside(e)
	if err != nil {
		return nil, err
	}
	t, err := FromGMSType(template.Type(l.ctx))
	if err != nil {
		return nil, unsupported("the result of %s: %s", e, err)
	}
	if t.Kind == types.String && t.Name == "LONGTEXT" {
		t = types.TypeText
	}
	f.template, f.out = template, t
	if clockFunctions[name] {
		now, err := bindCall([]logical.Expr{intLiteral(6)}, "now")
		if err != nil {
			return nil, fmt.Errorf("bind the clock of %s: %w", e, err)
		}
		args = append(args, now)
		f.clock = true
	}
	for _, a := range args {
		f.args = append(f.args, a.Type())
	}
	nd, ok := e.(gms.NonDeterministicExpression)
	return &logical.RowFunc{
		Name: name, Args: args, T: t, New: f.newEval,
		Volatile: ok && nd.IsNonDeterministic() && !f.clock,
		Spelling: template.String(),
	}, nil
}

func rowFuncName(e gms.Expression) string {
	if f, ok := e.(gms.FunctionExpression); ok {
		return strings.ToLower(f.FunctionName())
	}
	name := fmt.Sprintf("%T", e)
	return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
}

// rowFunc is an expression of the engine over the values of its operands.
type rowFunc struct {
	template gms.Expression
	args     []types.Type
	out      types.Type
	strict   bool
	clock    bool // the last operand is the time
	loc      *time.Location
}

// newEval makes the evaluation of one lane: its own copy of the expression,
// since some keep state, and its own session, where functions leave warnings.
func (f *rowFunc) newEval() func(row []any) (any, error) {
	session := gms.NewBaseSession()
	ctx := gms.NewContext(context.Background(), gms.WithSession(session))
	e, err := transform.Clone(ctx, f.template)
	if err == nil && f.loc != nil {
		err = session.SetSessionVariable(ctx, "time_zone", zoneName(f.loc))
	}
	values := make(gms.Row, len(f.args))
	return func(row []any) (out any, failed error) {
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", f.template, err)
		}
		defer func() {
			if r := recover(); r != nil {
				out, failed = nil, fmt.Errorf("evaluate %s: %v", f.template, r)
			}
		}()
		for i, v := range row {
			if values[i], failed = GMSValue(v, f.args[i], f.loc); failed != nil {
				return nil, failed
			}
		}
		if f.clock {
			now := values[len(values)-1].(time.Time)
			ctx.SetQueryTime(instant(now, f.loc).In(time.Local))
		}
		v, failed := e.Eval(ctx, values)
		if failed != nil {
			return nil, failed
		}
		if session.WarningCount() > 0 {
			warnings := session.Warnings()
			session.ClearWarnings()
			if f.strict {
				return nil, fmt.Errorf("%s", warnings[0].Message)
			}
		}
		return FromGMSValue(ctx, v, f.out, f.loc)
	}
}

// zoneName is a zone as the engine's time_zone variable takes it.
func zoneName(loc *time.Location) string {
	if loc == time.UTC {
		return "+00:00"
	}
	return loc.String()
}
