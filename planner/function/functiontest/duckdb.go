package functiontest

import (
	"strings"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// DuckDB spells the expression for DuckDB and lists the functions that were
// spelled; ok is false if something in it has no spelling.
func (e *Expr) DuckDB(schema types.Schema, used map[string]bool) (sql string, ok bool) {
	switch {
	case e.Column >= 0:
		return `"` + schema[e.Column].Name + `"`, true
	case e.Literal:
		return DuckDBLiteral(e.Value, e.Type), true
	}
	args := make([]string, len(e.Args))
	for i, a := range e.Args {
		if args[i], ok = a.DuckDB(schema, used); !ok {
			return "", false
		}
	}
	switch {
	case e.Unit != "":
		return args[0], true
	case e.Cast:
		return duckDBCast(args[0], e.Args[0].Type, e.Type)
	case e.Case:
		var b strings.Builder
		b.WriteString("CASE")
		for ; len(args) >= 2; args = args[2:] {
			b.WriteString(" WHEN " + args[0] + " THEN " + args[1])
		}
		if len(args) == 1 {
			b.WriteString(" ELSE " + args[0])
		}
		return b.String() + " END", true
	case e.Func.DuckDB == nil:
		return "", false
	}
	binding := e.Binding
	binding.Quotients = make([]bool, len(e.Args))
	for i, a := range e.Args {
		binding.Quotients[i] = a.quotient()
	}
	if sql = e.Func.DuckDB(args, binding); sql == "" {
		return "", false
	}
	used[e.Func.Name] = true
	return sql, true
}

// quotient reports whether there is a division in a DECIMAL.
func (e *Expr) quotient() bool {
	if e.Type.Kind != types.Decimal {
		return false
	}
	for _, a := range e.Args {
		if a.quotient() {
			return true
		}
	}
	return e.Func != nil && e.Func.Name == "/"
}

// duckDBCast spells the conversions that no value is in doubt of.
func duckDBCast(arg string, from, to types.Type) (string, bool) {
	a, b := from.Kind, to.Kind
	cast := "CAST(" + arg + " AS " + function.DuckDBType(to) + ")"
	switch {
	case a == types.Null:
	case a == b && (a == types.String || a == types.DateTime || a == types.Timestamp):
		return arg, from.Fsp <= to.Fsp && to.Length == 0
	case b == types.Bool && a.IsNumeric():
		return "(" + arg + " <> 0)", true
	case a == types.Bool && (b.IsInteger() || b.IsFloat() || b == types.Decimal):
	case a.IsInteger() && (b == types.Float64 || b == types.Decimal && to.Precision-to.Scale >= 19 || a.Bits() < b.Bits() && !b.IsUnsigned()):
	case a.IsInteger() && b == types.String && to.Length == 0:
	case a == types.Decimal && (b == types.Float64 || b == types.Decimal && to.Scale >= from.Scale && to.Precision-to.Scale >= from.Precision-from.Scale):
	case a == types.Date && b == types.DateTime, (a == types.DateTime || a == types.Timestamp) && b == types.Date:
	case a == types.Timestamp && b == types.DateTime:
	default:
		return "", false
	}
	return cast, true
}

// DuckDBLiteral writes a constant with its type.
func DuckDBLiteral(v any, t types.Type) string {
	if v == nil {
		return "CAST(NULL AS " + function.DuckDBType(t) + ")"
	}
	s := Literal(v, t)
	if text, ok := v.(string); ok && t.Kind != types.Decimal {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	if t.Kind == types.Binary {
		var b strings.Builder
		for _, c := range v.([]byte) {
			const digits = "0123456789ABCDEF"
			b.WriteString(`\x` + string(digits[c>>4]) + string(digits[c&15]))
		}
		s = "'" + b.String() + "'"
	}
	return "CAST(" + s + " AS " + function.DuckDBType(t) + ")"
}
