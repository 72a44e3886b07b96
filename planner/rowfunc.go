package planner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/internal/mysqljson"
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
	field := func(a logical.Expr) (gms.Expression, error) {
		t, err := GMSType(a.Type())
		if err != nil {
			return nil, unsupported("%s of %s", strings.ToUpper(name), a.Type())
		}
		args = append(args, a)
		i := len(args) - 1
		return expression.NewGetField(i, t, logical.OperandMark(i), a.Nullable()), nil
	}
	operand = func(c gms.Expression) (gms.Expression, error) {
		if isConstant(c) {
			return c, nil
		}
		switch c.(type) {
		case *expression.Interval, expression.Tuple, *expression.CollatedExpression:
			return inside(c)
		case *plan.Subquery:
			return nil, unsupported("a subquery in %s", strings.ToUpper(name))
		}
		a, err := l.expr(c, s)
		if err != nil {
			return nil, err
		}
		return field(a)
	}
	var template gms.Expression
	var err error
	if roles, ok := jsonEdits[name]; ok {
		f.exact = true
		template, err = l.jsonEdit(e, roles, s, field)
	} else {
		template, err = inside(e)
	}
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
	t.Printed = f.exact
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
	exact    bool // numbers in JSON keep their digits
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
			if text, ok := v.(string); ok && f.exact && f.args[i].Kind == types.JSON {
				values[i], failed = exactDocument(text, f.args[i])
			} else {
				values[i], failed = GMSValue(v, f.args[i], f.loc)
			}
			if failed != nil {
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
		if f.exact && v != nil {
			return exactText(ctx, v)
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

func isConstant(e gms.Expression) bool {
	switch e.(type) {
	case *expression.Literal, *exactLiteral:
		return true
	}
	return false
}

// jsonEdits are the functions that make one JSON document of others, with what
// their arguments are in turn; the last two repeat. The engine edits documents as
// maps and slices, and would read numbers as doubles.
var jsonEdits = map[string][]jsonRole{
	"json_set": {jsonDocument, jsonPath, jsonValue}, "json_insert": {jsonDocument, jsonPath, jsonValue}, "json_replace": {jsonDocument, jsonPath, jsonValue},
	"json_array_append": {jsonDocument, jsonPath, jsonValue}, "json_array_insert": {jsonDocument, jsonPath, jsonValue},
	"json_remove":         {jsonDocument, jsonPath, jsonPath},
	"json_merge_preserve": {jsonDocument, jsonDocument, jsonDocument},
	"json_merge":          {jsonDocument, jsonDocument, jsonDocument},
}

type jsonRole uint8

const (
	jsonDocument jsonRole = iota
	jsonPath
	jsonValue
)

// jsonEdit gives the call of an edit its documents and values as JSON.
func (l *lowerer) jsonEdit(e gms.Expression, roles []jsonRole, s *scope, field func(logical.Expr) (gms.Expression, error)) (gms.Expression, error) {
	children := e.Children()
	replaced := make([]gms.Expression, len(children))
	for i, c := range children {
		role := roles[min(i, len(roles)-1)]
		if i >= len(roles) {
			role = roles[1+(i-1)%2]
		}
		a, err := l.expr(c, s)
		if err != nil {
			return nil, err
		}
		k := a.Type().Kind
		asIs := k == types.Null || role == jsonPath || role == jsonValue && (k == types.String || k == types.Binary)
		switch {
		case asIs && isConstant(c):
			replaced[i] = c
		case asIs || k == types.JSON:
			replaced[i], err = field(a)
		default:
			replaced[i], err = field(castToJSON(a))
		}
		if err != nil {
			return nil, err
		}
	}
	return e.WithChildren(l.ctx, replaced...)
}

// numberMark begins a string that stands for a number, in the digits that it is
// printed with: the engine copies no numbers but Go's. It is in no UTF-8 text.
const numberMark = "\xff"

// exactDocument is a JSON value for the engine, whose numbers keep their digits.
func exactDocument(text string, t types.Type) (any, error) {
	printed := []byte(text)
	if !t.Printed {
		if normal, err := mysqljson.AppendNormal(nil, printed); err == nil {
			printed = normal
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(printed))
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return gmstypes.JSONDocument{Val: withNumbers(doc)}, nil
}

func withNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return numberMark + string(v)
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withNumbers(v[name])
		}
	}
	return v
}

// exactText prints what the engine made of exactDocuments.
func exactText(ctx *gms.Context, v any) (any, error) {
	converted, _, err := gmstypes.JSON.Convert(ctx, v)
	if err != nil {
		return nil, err
	}
	wrapper, ok := converted.(gms.JSONWrapper)
	if !ok {
		return nil, fmt.Errorf("value %v (%T) is not JSON", v, v)
	}
	doc, err := wrapper.ToInterface(ctx)
	if err != nil {
		return nil, err
	}
	text, err := appendExact(nil, doc)
	if err != nil {
		return nil, err
	}
	text, err = mysqljson.AppendOrdered(nil, text)
	return string(text), err
}

func appendExact(dst []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		if number, ok := strings.CutPrefix(v, numberMark); ok {
			return append(dst, number...), nil
		}
		return mysqljson.AppendQuoted(dst, []byte(v)), nil
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if dst, err = appendExact(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for name, e := range v {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ", "...)
			}
			dst = append(mysqljson.AppendQuoted(dst, []byte(name)), ": "...)
			if dst, err = appendExact(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, fmt.Errorf("print a %T as JSON", v)
}
