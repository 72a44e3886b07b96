package adhoc

import (
	"slices"
	"strings"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// typed spells e as a value of type t, which a column declares.
func (s *speller) typed(e logical.Expr, t types.Type) (string, error) {
	if l, ok := e.(*logical.Literal); ok && l.Value == nil {
		return literal(nil, t)
	}
	if function.DuckDBType(e.Type()) == function.DuckDBType(t) {
		return s.expr(e)
	}
	return s.cast(&logical.Cast{Arg: e, T: t, Null: e.Nullable(), Implicit: true})
}

// expr spells an expression; what it gives has DuckDB's type of e.Type().
func (s *speller) expr(e logical.Expr) (string, error) {
	sql, err := s.spellExpr(e)
	if err == nil && len(sql) > maxStatement {
		return "", unsupported("its spelling is too long")
	}
	return sql, err
}

func (s *speller) spellExpr(e logical.Expr) (string, error) {
	switch e := e.(type) {
	case *logical.Column:
		return columnName(e.ID), nil
	case *logical.Literal:
		if v, ok := e.Value.(int64); ok && e.T.Kind == types.Time && !inDay(v) {
			return s.kernel(e)
		}
		return literal(e.Value, e.T)
	case *logical.Call:
		return s.call(e)
	case *logical.Cast:
		return s.cast(e)
	case *logical.Case:
		return s.caseWhen(e)
	case *logical.Subquery:
		return s.subquery(e)
	case *logical.RowFunc:
		return s.rowByRow(e)
	}
	return "", unsupported("it has a %T", e)
}

// condition spells e as a truth value.
func (s *speller) condition(e logical.Expr) (string, error) {
	return s.typed(e, types.TypeBool)
}

// call spells a call. DuckDB's doubles become infinite where MySQL's leave their
// range: that is found out where what +, −, * and / make of them is used, and in
// divisors, of which an infinite one would leave no trace.
func (s *speller) call(e *logical.Call) (string, error) {
	if !s.hasSpelling(e) {
		return s.kernel(e)
	}
	sql, err := s.spellCall(e)
	if err != nil {
		return "", err
	}
	if sql == "" {
		return s.kernel(e)
	}
	if overflows(e) {
		sql = function.Finite(sql)
	}
	return sql, nil
}

// spellCall is "" for what DuckDB has not.
func (s *speller) spellCall(e *logical.Call) (string, error) {
	args := make([]string, len(e.Args))
	for i, a := range e.Args {
		if interval, ok := a.(*logical.Interval); ok {
			a = interval.Value // the unit is in the binding
		}
		sql := ""
		if inner, ok := a.(*logical.Call); ok && overflows(e) && overflows(inner) && s.hasSpelling(inner) && (i == 0 || e.Func.Name != "/" && e.Func.Name != "%") {
			var err error
			if sql, err = s.spellCall(inner); err != nil {
				return "", err
			}
		}
		if sql == "" {
			var err error
			if sql, err = s.expr(a); err != nil {
				return "", err
			}
		}
		args[i] = sql
	}
	sql := e.Func.DuckDB(args, e.Binding())
	if sql == "" || e.T.Kind == types.Bool {
		return sql, nil
	}
	return "CAST(" + sql + " AS " + function.DuckDBType(e.T) + ")", nil
}

// overflows reports whether a call is arithmetic that may give an infinite
// double.
func overflows(e *logical.Call) bool {
	if e.Func == nil || e.T.Kind != types.Float64 {
		return false
	}
	switch e.Func.Name {
	case "+", "-", "*", "/", "%":
		return true
	}
	return false
}

// hasSpelling reports whether DuckDB itself evaluates the call.
func (s *speller) hasSpelling(e *logical.Call) bool {
	if e.Func == nil || e.Func.DuckDB == nil {
		return false
	}
	if isZoned(e) {
		_, ok := zoneName(s.session.Location)
		return ok
	}
	return true
}

// unzoned are the functions of dates and times that mean the same in every time
// zone.
var unzoned = map[string]bool{
	"=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true, "<=>": true, "in": true, "between": true,
	"not in": true, "not between": true, "is null": true, "is not null": true, "isnull": true,
	"if": true, "ifnull": true, "nullif": true, "coalesce": true, "greatest": true, "least": true,
}

// isZoned reports whether the session's time zone may decide what a call gives.
func isZoned(e *logical.Call) bool {
	if unzoned[e.Func.Name] {
		return false
	}
	if e.T.Kind.IsTemporal() {
		return true
	}
	for _, a := range e.Args {
		if a.Type().Kind.IsTemporal() {
			return true
		}
	}
	return false
}

func (s *speller) caseWhen(e *logical.Case) (string, error) {
	var b strings.Builder
	b.WriteString("CASE")
	for _, w := range e.Whens {
		condition, err := s.condition(w.Cond)
		if err != nil {
			return "", err
		}
		then, err := s.typed(w.Then, e.T)
		if err != nil {
			return "", err
		}
		b.WriteString(" WHEN " + condition + " THEN " + then)
	}
	if e.Else != nil {
		otherwise, err := s.typed(e.Else, e.T)
		if err != nil {
			return "", err
		}
		b.WriteString(" ELSE " + otherwise)
	}
	b.WriteString(" END")
	return b.String(), nil
}

func (s *speller) subquery(e *logical.Subquery) (string, error) {
	q, err := s.node(e.Plan, nil)
	if err != nil {
		return "", err
	}
	if e.Op == logical.SubqueryExists {
		return "EXISTS (" + q.render() + ")", nil
	}
	out := e.Plan.Output()
	if len(out) != 1 {
		return "", unsupported("a subquery compares rows of %d columns", len(out))
	}
	if e.Op == logical.SubqueryScalar {
		sql := "(" + q.render() + ")"
		if function.DuckDBType(out[0].Type) == function.DuckDBType(e.T) {
			return sql, nil
		}
		cast, ok := s.plainCast(sql, out[0].Type, e.T)
		if !ok {
			return "", unsupported("a subquery's %s is used as %s", out[0].Type, e.T)
		}
		return cast, nil
	}
	t := e.Arg.Type()
	if t.Kind == types.JSON || out[0].Type.Kind == types.JSON {
		return "", unsupported("IN compares JSON documents")
	}
	if function.DuckDBType(t) != function.DuckDBType(out[0].Type) && (!t.Kind.IsInteger() || !out[0].Type.Kind.IsInteger()) {
		return "", unsupported("IN compares %s with %s", t, out[0].Type)
	}
	arg, err := s.expr(e.Arg)
	if err != nil {
		return "", err
	}
	return "(" + arg + " IN (" + q.render() + "))", nil
}

// cast spells a conversion: as DuckDB's own where that gives what MySQL does for
// every value, else as the kernel that streams use.
func (s *speller) cast(e *logical.Cast) (string, error) {
	if l, ok := e.Arg.(*logical.Literal); ok && l.Value == nil {
		return literal(nil, e.T)
	}
	if s.castsPlainly(e) {
		arg, err := s.expr(e.Arg)
		if err != nil {
			return "", err
		}
		sql, _ := s.plainCast(arg, e.Arg.Type(), e.T)
		return sql, nil
	}
	return s.kernel(e)
}

func (s *speller) castsPlainly(e *logical.Cast) bool {
	_, ok := s.plainCast("", e.Arg.Type(), e.T)
	return ok && !logical.HasQuotient(e.Arg) // DuckDB has only the digits of its type
}

// volatile reports whether e may give another value each time it is evaluated, or
// may fail: of a function that does neither DuckDB evaluates whole dictionaries,
// with entries that belong to no row of the query.
func volatile(e logical.Expr) bool {
	found := false
	logical.Walk(e, func(e logical.Expr) bool {
		switch e := e.(type) {
		case *logical.Call:
			found = found || e.Func != nil && (e.Func.Volatile || mayFail(e))
		case *logical.RowFunc:
			found = true
		}
		return !found
	})
	return found
}

// mayFail reports whether a call fails for some values also where sql_mode is not
// strict. Patterns and paths that are constants were looked at when the plan was
// made.
func mayFail(e *logical.Call) bool {
	return e.Func.Fails == function.FailsForValues || e.Func.Fails == function.FailsForPatterns &&
		slices.ContainsFunc(e.Args[min(1, len(e.Args)):], func(a logical.Expr) bool {
			_, constant := a.(*logical.Literal)
			return !constant
		})
}
