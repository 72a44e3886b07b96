// Package function is the one registry of scalar functions and operators: what
// each is called, which types it takes and gives under MySQL's rules, which
// kernel computes it in a stream, and how DuckDB spells it.
package function

import (
	"slices"
	"strings"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// Function is one row of the registry.
type Function struct {
	// Name in lower case; operators are named as in SQL ("+", "<=>", "not",
	// "is null", "in", "like").
	Name string
	// Doc is one line for the function reference.
	Doc string
	// MinArgs and MaxArgs bound the number of arguments; MaxArgs −1 is no bound.
	MinArgs, MaxArgs int
	// Bind checks the argument types and gives the result type, whether it can
	// be NULL, and the types to which the arguments have to be cast first (as
	// many as there are arguments; MySQL's implicit conversions).
	Bind func(args []Arg) (Binding, error)
	// Kernel computes it over Arrow arrays. Never nil in the registry. Compile
	// is what a planner calls: some functions need more than their arguments'
	// vectors.
	Kernel kernel.Func
	// Build compiles a call of a function that evaluates its arguments
	// conditionally (AND, IF), or prepares something from constant arguments.
	// Nil means kernel.Call of Kernel.
	Build func(args []kernel.Expr, out types.Type) (kernel.Expr, error)
	// DuckDB spells the call for DuckDB with MySQL's meaning outside strict mode,
	// given the spelled arguments, already cast. Nil if DuckDB has nothing that
	// means the same, "" if it has not for these types or literals: then the
	// kernel or the MySQL engine evaluates it. It counts on DuckDB's TimeZone
	// being the session's, and on JSON being VARCHAR, DATETIME a TIMESTAMP and
	// TIMESTAMP a TIMESTAMPTZ. Of an INTERVAL the argument is the number.
	DuckDB func(args []string, bound Binding) string
	// Volatile functions (RAND, UUID) are not folded.
	Volatile bool
	// Fails says for which values a call fails also where sql_mode is not strict.
	Fails Failing
	// Compares says that the call compares its first argument with each other one.
	Compares bool
	// Infix prints the call between its arguments; others print as name(args).
	Infix bool
}

// Failing says when a function fails also where sql_mode is not strict.
type Failing uint8

const (
	// FailsNever: what has no result is NULL, or 0, and a warning.
	FailsNever Failing = iota
	// FailsForValues: for some values, as those whose sum is out of range.
	FailsForValues
	// FailsForPatterns: if an argument behind the first, a pattern or a path, is
	// none. Constants are looked at when the call is bound.
	FailsForPatterns
)

// Arg is what is known of an argument at binding.
type Arg struct {
	Type     types.Type
	Nullable bool
	// Literal is the constant's value (as in logical.Literal) when IsLiteral.
	Literal   any
	IsLiteral bool
	// Unit is set for an INTERVAL operand, "DAY", "HOUR_SECOND", …; Type and the
	// literal are then those of the interval's number.
	Unit string
}

// Binding is a resolved call.
type Binding struct {
	Args     []types.Type
	Result   types.Type
	Nullable bool
	// Literals are the values of the arguments that are constants, nil for the
	// others, and Units the units of INTERVAL arguments. A planner that rebuilds
	// a Binding for DuckDB fills them; each may be shorter than Args.
	Literals []any
	Units    []string
	// Quotients marks the arguments that carry more digits than their DECIMAL
	// type tells, because there is a division in them: MySQL computes with all of
	// them (see kernel.Rounded). DuckDB cannot.
	Quotients []bool
}

// hasQuotient reports whether an argument carries more digits than its type.
func (b Binding) hasQuotient() bool { return slices.Contains(b.Quotients, true) }

// Literal is the constant value of argument i, or nil.
func (b Binding) Literal(i int) any {
	if i < len(b.Literals) {
		return b.Literals[i]
	}
	return nil
}

// Unit is the unit of argument i where that is an INTERVAL.
func (b Binding) Unit(i int) string {
	if i < len(b.Units) {
		return b.Units[i]
	}
	return ""
}

// Compile makes the call's expression over arguments that have been cast to
// the types that Bind asked for. An INTERVAL operand is a kernel.Interval.
func (f *Function) Compile(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
	if f.Build != nil {
		return f.Build(args, out)
	}
	return kernel.Call(f.Kernel, out, args...), nil
}

// Format prints a call with its spelled arguments as SQL.
func (f *Function) Format(args []string) string {
	switch {
	case f.Infix && len(args) == 2:
		return "(" + args[0] + " " + strings.ToUpper(f.Name) + " " + args[1] + ")"
	case f.Name == "not" || f.Name == "neg" || f.Name == "~":
		op := map[string]string{"not": "NOT ", "neg": "-", "~": "~"}[f.Name]
		return "(" + op + args[0] + ")"
	case strings.HasPrefix(f.Name, "is "):
		return "(" + args[0] + " " + strings.ToUpper(f.Name) + ")"
	case f.Name == "in" && len(args) > 0:
		return "(" + args[0] + " IN (" + strings.Join(args[1:], ", ") + "))"
	case f.Name == "between" && len(args) == 3:
		return "(" + args[0] + " BETWEEN " + args[1] + " AND " + args[2] + ")"
	case f.Name == "like" && len(args) == 3:
		return "(" + args[0] + " LIKE " + args[1] + " ESCAPE " + args[2] + ")"
	case f.Name == "extract" && len(args) == 2:
		return "EXTRACT(" + strings.Trim(args[0], "'") + " FROM " + args[1] + ")"
	}
	return strings.ToUpper(f.Name) + "(" + strings.Join(args, ", ") + ")"
}
