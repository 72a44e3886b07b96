package planner

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/apd/v3"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	gmsfunction "github.com/dolthub/go-mysql-server/sql/expression/function"
	gmsjson "github.com/dolthub/go-mysql-server/sql/expression/function/json"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// expr lowers a scalar expression over the columns of s.
func (l *lowerer) expr(e gms.Expression, s *scope) (logical.Expr, error) {
	if s != nil && len(s.computed) > 0 {
		if c, ok := s.computed[e.String()]; ok {
			return c.Ref(), nil
		}
	}
	switch e := e.(type) {
	case *expression.GetField:
		c, ok := s.resolve(e)
		switch {
		case !ok:
			return nil, l.unresolved(e)
		case c.ungrouped:
			return nil, l.ungrouped(c)
		}
		return c.col.Ref(), nil
	case *expression.Alias:
		// ORDER BY and the outermost projection repeat the expression of an alias
		// that a projection below has computed already.
		if c, ok := s.own(e.Id()); ok && !c.ungrouped {
			return c.col.Ref(), nil
		}
		return l.expr(e.Child, s)
	case *expression.Literal:
		return l.literal(e)
	case *exactLiteral:
		return l.literal(e.Literal)
	case *innerOperand:
		return l.expr(e.Expression, s)
	case *castExpr:
		return l.cast(e.Child, e.target, s)
	case *expression.Case:
		return l.caseExpr(e, s)
	case *expression.Interval:
		v, err := l.expr(e.Child, s)
		if err != nil {
			return nil, err
		}
		return &logical.Interval{Value: v, Unit: strings.ToUpper(e.Unit)}, nil
	case *expression.InTuple:
		return l.in(e, s)
	case *plan.Subquery:
		return l.subquery(logical.SubqueryScalar, e, s)
	case *plan.ExistsSubquery:
		return l.subquery(logical.SubqueryExists, e.Query, s)
	case *plan.InSubquery:
		return l.inSubquery(e, s)
	case *expression.UserVar, *expression.SystemVar:
		return l.variable(e)
	case *groupingMark:
		return l.groupingOf(e, s)
	case *expression.BindVar:
		return nil, &Unsupported{What: "a placeholder", Near: "?"}
	case gms.WindowAdaptableExpression:
		return nil, unsupported("the aggregate or window function %s here", e)
	case expression.Tuple:
		if len(e) == 1 {
			return l.expr(e[0], s)
		}
		return nil, unsupported("the row %s here", e)
	}
	if lowered, ok, err := l.comparison(e, s); ok || err != nil {
		return lowered, err
	}
	if names, children := l.callOf(e); len(names) > 0 && !collates(children) {
		args := make([]logical.Expr, len(children))
		for i, c := range children {
			a, err := l.operand(c, s)
			if err != nil {
				return nil, err
			}
			args[i] = a
		}
		call, err := bindCall(args, names...)
		if !errors.Is(err, errNoFunction) {
			l.warnOfTexts(call, args)
			return call, err
		}
	}
	return l.evaluated(e, s)
}

// warnOfTexts tells of the dates and times of a call that are compared with a
// constant text that is none.
func (l *lowerer) warnOfTexts(e logical.Expr, args []logical.Expr) {
	call, ok := e.(*logical.Call)
	if !ok || !call.Func.Compares {
		return
	}
	described := describeArgs(args)
	for _, a := range described[1:] {
		if !function.ComparesAsText(described[0], a) {
			continue
		}
		kind, text := described[0].Type.Kind, a.Literal
		if !kind.IsTemporal() {
			kind, text = a.Type.Kind, described[0].Literal
		}
		name := "datetime"
		switch kind {
		case types.Date:
			name = "date"
		case types.Time:
			name = "time"
		}
		l.ctx.Warn(incorrectValue, "Incorrect %s value: %s; it is compared as text", name, sql.QuoteString(fmt.Sprint(text)))
	}
}

// incorrectValue is MySQL's number of the warning of a value that is none of its
// type.
const incorrectValue = 1292

func (l *lowerer) unresolved(f *expression.GetField) error {
	return &Unsupported{What: "the reference to column " + f.String(), Near: f.Name()}
}

// callOf names the registry's function for an expression, best first, and gives
// its operands in the order of the SQL text.
func (l *lowerer) callOf(e gms.Expression) ([]string, []gms.Expression) {
	children := e.Children()
	switch e := e.(type) {
	case *expression.And:
		return []string{"and"}, children
	case *expression.Or:
		return []string{"or"}, children
	case *expression.Xor:
		return []string{"xor"}, children
	case *expression.Not:
		return l.negated(e, children)
	case *expression.Equals:
		return []string{"="}, children
	case *expression.NullSafeEquals:
		return []string{"<=>"}, children
	case *expression.LessThan:
		return []string{"<"}, children
	case *expression.LessThanOrEqual:
		return []string{"<="}, children
	case *expression.GreaterThan:
		return []string{">"}, children
	case *expression.GreaterThanOrEqual:
		return []string{">="}, children
	case *expression.Between:
		return []string{"between"}, children
	case *expression.IsNull:
		return []string{"is null"}, children
	case *expression.IsTrue:
		if strings.HasSuffix(e.String(), expression.IsFalseStr) {
			return []string{"is false"}, children
		}
		return []string{"is true"}, children
	case *expression.Like:
		if e.Escape != nil {
			children = append(append([]gms.Expression(nil), children...), e.Escape)
		}
		return []string{"like"}, children
	case *expression.Arithmetic:
		return arithmetic(e.Op, children)
	case *expression.Div:
		return []string{"/"}, children
	case *expression.IntDiv:
		return []string{"div"}, children
	case *expression.Mod:
		return []string{"%", "mod"}, children
	case *expression.UnaryMinus:
		return []string{"neg"}, children
	case *expression.BitOp:
		return []string{e.Op}, children
	case *gmsfunction.Quote:
		return []string{"quote"}, children
	case *gmsfunction.Trim:
		return l.trim(e, children)
	case *gmsjson.JSONUnquote:
		if x, ok := children[0].(*gmsjson.JSONExtract); ok && len(x.Paths) == 1 {
			return []string{"->>"}, x.Children()
		}
		return []string{"json_unquote"}, children
	case gms.FunctionExpression:
		name := strings.ToLower(e.FunctionName())
		return append([]string{name}, otherNames[name]...), children
	}
	return nil, nil
}

// otherNames are what functions are called beside the name that the engine
// gives them.
var otherNames = map[string][]string{
	"character_length": {"char_length"},
	"datetime":         {"timestamp"},
	"day":              {"dayofmonth"},
	"isnull":           {"is null"},
	"power":            {"pow"},
	"regexp_like":      {"regexp"},
	"substring":        {"substr"},
}

// negated prefers the operators that MySQL spells with a NOT of their own.
func (l *lowerer) negated(e *expression.Not, children []gms.Expression) ([]string, []gms.Expression) {
	switch c := e.Child.(type) {
	case *expression.Equals:
		if !isRow(c.Left()) {
			return []string{"<>", "!="}, c.Children()
		}
	case *expression.IsNull:
		return []string{"is not null"}, c.Children()
	}
	return []string{"not"}, children
}

func arithmetic(op string, children []gms.Expression) ([]string, []gms.Expression) {
	_, left := children[0].(*expression.Interval)
	_, right := children[1].(*expression.Interval)
	switch {
	case left: // INTERVAL n unit + date
		return []string{"date_add"}, []gms.Expression{children[1], children[0]}
	case right && op == "-":
		return []string{"date_sub"}, children
	case right:
		return []string{"date_add"}, children
	}
	return []string{op}, children
}

// trim finds out by example which ends a TRIM trims: the engine keeps it to
// itself. TRIM of blanks is one operand; other text is the second, and a third
// says LEADING or TRAILING.
func (l *lowerer) trim(e *gmsfunction.Trim, children []gms.Expression) ([]string, []gms.Expression) {
	text := func(s string) gms.Expression { return expression.NewLiteral(s, gmsText) }
	probe, err := e.WithChildren(l.ctx, text("xax"), text("x"))
	if err != nil {
		return nil, nil
	}
	trimmed, err := probe.Eval(l.ctx, nil)
	if err != nil {
		return nil, nil
	}
	blank := false
	if lit, ok := children[1].(*expression.Literal); ok {
		blank = lit.Value() == " "
	}
	switch trimmed {
	case "ax":
		if blank {
			return []string{"ltrim"}, children[:1]
		}
		return []string{"trim"}, append(append([]gms.Expression(nil), children...), text("LEADING"))
	case "xa":
		if blank {
			return []string{"rtrim"}, children[:1]
		}
		return []string{"trim"}, append(append([]gms.Expression(nil), children...), text("TRAILING"))
	}
	if blank {
		return []string{"trim"}, children[:1]
	}
	return []string{"trim"}, children
}

// collates reports whether an operand asks for a collation other than ours, by
// bytes; only the engine's evaluator knows others.
func collates(operands []gms.Expression) bool {
	for _, c := range operands {
		if ce, ok := c.(*expression.CollatedExpression); ok && !bytewise(ce) {
			return true
		}
	}
	return false
}

func bytewise(e *expression.CollatedExpression) bool {
	collation, _ := e.CollationCoercibility(nil)
	return strings.HasSuffix(collation.Name(), "_bin") || collation == gms.Collation_binary
}

// evaluated lowers what has no function in the registry: some expressions by
// others, the rest by the engine's evaluator.
func (l *lowerer) evaluated(e gms.Expression, s *scope) (logical.Expr, error) {
	switch e := e.(type) {
	case *expression.Not:
		// The operators with a NOT of their own are not all registered.
		return l.not(e.Child, s)
	case *expression.Convert:
		t, err := FromGMSType(e.Type(l.ctx))
		if err != nil {
			return nil, err
		}
		return l.castTo(e.Child, t, s)
	case *expression.ConvertUsing:
		switch e.TargetCharSet {
		case gms.CharacterSet_utf8mb4, gms.CharacterSet_utf8mb3:
			return l.castTo(e.Child, types.TypeText, s)
		case gms.CharacterSet_binary:
			return l.castTo(e.Child, types.TypeBlob, s)
		}
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "CONVERT … USING %s is not supported: text is utf8mb4", e.TargetCharSet.Name())
	case *gmsfunction.Charset, *gmsfunction.Collation:
		return l.charsetOf(e, s)
	case *expression.Binary:
		return l.castTo(e.UnaryChild(), types.TypeBlob, s)
	case *expression.CollatedExpression:
		if bytewise(e) {
			return l.expr(e.Child(), s)
		}
	}
	return l.rowFunc(e, s)
}

func (l *lowerer) not(e gms.Expression, s *scope) (logical.Expr, error) {
	arg, err := l.expr(e, s)
	if err != nil {
		return nil, err
	}
	return bindCall([]logical.Expr{arg}, "not")
}

func (l *lowerer) literal(e *expression.Literal) (logical.Expr, error) {
	switch v := e.Value().(type) {
	case nil:
		return &logical.Literal{T: types.TypeNull}, nil
	case bool:
		return &logical.Literal{Value: v, T: types.TypeBool}, nil
	case int8:
		return intLiteral(int64(v)), nil
	case int16:
		return intLiteral(int64(v)), nil
	case int32:
		return intLiteral(int64(v)), nil
	case int:
		return intLiteral(int64(v)), nil
	case int64:
		return intLiteral(v), nil
	case uint8:
		return intLiteral(int64(v)), nil
	case uint16:
		return intLiteral(int64(v)), nil
	case uint32:
		return intLiteral(int64(v)), nil
	case uint64:
		if v <= 1<<63-1 {
			return intLiteral(int64(v)), nil
		}
		return &logical.Literal{Value: v, T: types.TypeUint64}, nil
	case float32:
		return &logical.Literal{Value: float64(v), T: types.TypeFloat64}, nil
	case float64:
		return &logical.Literal{Value: v, T: types.TypeFloat64}, nil
	case string:
		return &logical.Literal{Value: v, T: types.NewVarchar(len([]rune(v)))}, nil
	case []byte:
		return &logical.Literal{Value: v, T: types.Type{Kind: types.Binary, Length: len(v)}}, nil
	case *apd.Decimal:
		return decimalLiteral(v)
	}
	t, err := FromGMSType(e.Type(l.ctx))
	if err != nil {
		return nil, err
	}
	v, err := FromGMSValue(l.ctx, e.Value(), t, l.loc)
	if err != nil {
		return nil, fmt.Errorf("lower literal %s: %w", e, err)
	}
	return &logical.Literal{Value: v, T: t}, nil
}

func intLiteral(n int64) *logical.Literal { return &logical.Literal{Value: n, T: types.TypeInt64} }

func decimalLiteral(d *apd.Decimal) (logical.Expr, error) {
	s := d.Text('f')
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	whole = strings.TrimLeft(whole, "0")
	precision := max(1, len(whole)+len(fraction))
	if precision > types.MaxDecimalPrecision {
		return nil, sqlerror.Userf(sqlerror.CodeType, "the number %s has more than %d digits", s, types.MaxDecimalPrecision).
			WithHint("write it with an exponent to compute with DOUBLE")
	}
	return &logical.Literal{Value: s, T: types.NewDecimal(precision, len(fraction))}, nil
}

func (l *lowerer) cast(e gms.Expression, target castTarget, s *scope) (logical.Expr, error) {
	t, err := target.sqlType()
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeType, "cannot cast %s: %w", target.operand, err)
	}
	return l.castTo(e, t, s)
}

func (l *lowerer) castTo(e gms.Expression, t types.Type, s *scope) (logical.Expr, error) {
	arg, err := l.expr(e, s)
	if err != nil {
		return nil, err
	}
	if t.Kind.IsNumeric() && isHex(arg) {
		arg = hexNumber(arg)
	}
	if t.Kind == types.JSON {
		return castToJSON(arg), nil
	}
	return &logical.Cast{Arg: arg, T: t, Null: castNullable(arg, t)}, nil
}

// castToJSON parses text, and prints other values.
func castToJSON(arg logical.Expr) logical.Expr {
	from, t := arg.Type(), types.TypeJSON
	switch from.Kind {
	case types.JSON:
		t.Printed = from.Printed
	case types.String, types.Binary:
	default:
		t.Printed = true
	}
	return &logical.Cast{Arg: arg, T: t, Null: castNullable(arg, t)}
}

func (l *lowerer) caseExpr(e *expression.Case, s *scope) (logical.Expr, error) {
	c := &logical.Case{}
	var operand logical.Expr
	var err error
	if e.Expr != nil {
		if operand, err = l.expr(e.Expr, s); err != nil {
			return nil, err
		}
	}
	var values []logical.Expr
	for _, b := range e.Branches {
		cond, err := l.expr(b.Cond, s)
		if err != nil {
			return nil, err
		}
		if operand != nil {
			if cond, err = bindCall([]logical.Expr{operand, cond}, "="); err != nil {
				return nil, err
			}
		}
		then, err := l.expr(b.Value, s)
		if err != nil {
			return nil, err
		}
		c.Whens = append(c.Whens, logical.When{Cond: cond, Then: then})
		values = append(values, then)
	}
	if e.Else != nil {
		if c.Else, err = l.expr(e.Else, s); err != nil {
			return nil, err
		}
		values = append(values, c.Else)
	}
	c.T = commonType(values...)
	for i := range c.Whens {
		c.Whens[i].Then = coerce(c.Whens[i].Then, c.T)
	}
	if c.Else != nil {
		c.Else = coerce(c.Else, c.T)
	}
	return c, nil
}

func isRow(e gms.Expression) bool {
	t, ok := e.(expression.Tuple)
	return ok && len(t) > 1
}

// in lowers "x IN (a, b)".
func (l *lowerer) in(e *expression.InTuple, s *scope) (logical.Expr, error) {
	list, ok := e.Right().(expression.Tuple)
	if !ok {
		return nil, unsupported("IN over %s", e.Right())
	}
	operands := append([]gms.Expression{e.Left()}, list...)
	if isRow(e.Left()) || collates(operands) {
		return l.equalsAny(e.Left(), list, s)
	}
	args := make([]logical.Expr, 0, len(operands))
	for _, c := range operands {
		a, err := l.expr(c, s)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	call, err := bindCall(args, "in")
	if errors.Is(err, errNoFunction) {
		return l.rowFunc(e, s)
	}
	l.warnOfTexts(call, args)
	return call, err
}

// equalsAny writes IN out for rows, which are compared column by column, and for
// collations, which the engine's own IN does not look at.
func (l *lowerer) equalsAny(e gms.Expression, list expression.Tuple, s *scope) (logical.Expr, error) {
	var any logical.Expr
	for _, item := range list {
		equal, err := l.expr(expression.NewEquals(e, item), s)
		if err != nil {
			return nil, err
		}
		if any == nil {
			any = equal
		} else if any, err = bindCall([]logical.Expr{any, equal}, "or"); err != nil {
			return nil, err
		}
	}
	return any, nil
}

func (l *lowerer) subquery(op logical.SubqueryOp, q *plan.Subquery, s *scope) (logical.Expr, error) {
	node, inner, err := l.query(q.Query, s)
	if err != nil {
		return nil, err
	}
	sub := &logical.Subquery{Op: op, Plan: node, T: types.TypeBool}
	if op == logical.SubqueryExists {
		return sub, nil
	}
	if len(inner.cols) != 1 {
		return nil, unsupported("a subquery of %d columns", len(inner.cols))
	}
	sub.Plan, _ = l.inOrder(node, inner)
	sub.T = inner.cols[0].col.Type
	return sub, nil
}

func (l *lowerer) inSubquery(e *plan.InSubquery, s *scope) (logical.Expr, error) {
	q, ok := e.Right().(*plan.Subquery)
	if !ok {
		return nil, unsupported("IN over %s", e.Right())
	}
	return l.quantified("=", false, e.Left(), q, s)
}

// variable is the value that a variable has now.
func (l *lowerer) variable(e gms.Expression) (logical.Expr, error) {
	if v, ok := e.(*expression.SystemVar); ok {
		// The engine takes a name that is no column for a variable: @@port for port.
		if _, named := sql.FindIdentifier(l.ctx.Query(), v.Name); named && !namesVariable(l.ctx.Query(), v.Name) {
			return nil, gms.ErrColumnNotFound.New(v.Name)
		}
	}
	if l.continuous {
		return nil, &Unsupported{What: "the session's variable " + e.String(), Near: e.String()}
	}
	return l.sessionValue(e)
}

// namesVariable reports whether a query has the system variable, as @@name or
// @@session.name.
func namesVariable(query, name string) bool {
	lex := sql.NewLexer(query, sqlerror.Position{})
	for {
		t, err := lex.Next()
		if err != nil || t.Kind == sql.EOF {
			return false
		}
		if t.Kind != sql.Variable {
			continue
		}
		of := t.Text[strings.LastIndexAny(t.Text, "@.")+1:]
		rest := *lex // of @@session.`name`
		if dot, err := rest.Next(); err == nil && dot.IsOperator(".") {
			if t, err = rest.Next(); err == nil {
				of = t.Text
			}
		}
		if strings.EqualFold(strings.Trim(of, "`"), name) {
			return true
		}
	}
}

// sessionValue is what an expression without operands is during the statement.
func (l *lowerer) sessionValue(e gms.Expression) (logical.Expr, error) {
	t, err := FromGMSType(e.Type(l.ctx))
	if err != nil {
		return nil, unsupported("the value of %s", e)
	}
	v, err := e.Eval(l.ctx, nil)
	if err != nil {
		return nil, err
	}
	if v, err = FromGMSValue(l.ctx, v, t, l.loc); err != nil {
		return nil, err
	}
	return &logical.Literal{Value: v, T: t}, nil
}
