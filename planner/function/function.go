// Package function is the one registry of scalar functions and operators: what
// each is called, which types it takes and gives under MySQL's rules, which
// kernel computes it in a stream, and how DuckDB spells it.
package function

import (
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
	// Kernel computes it over Arrow arrays. Never nil in the registry.
	Kernel kernel.Func
	// DuckDB spells the call for DuckDB with MySQL's meaning, given the spelled
	// arguments, already cast. Nil if DuckDB has nothing that means the same:
	// then the MySQL engine evaluates the query.
	DuckDB func(args []string, bound Binding) string
	// Volatile functions (RAND, UUID) are not folded.
	Volatile bool
	// Infix prints the call between its arguments; others print as name(args).
	Infix bool
}

// Arg is what is known of an argument at binding.
type Arg struct {
	Type     types.Type
	Nullable bool
	// Literal is the constant's value (as in logical.Literal) when IsLiteral.
	Literal   any
	IsLiteral bool
}

// Binding is a resolved call.
type Binding struct {
	Args     []types.Type
	Result   types.Type
	Nullable bool
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
	}
	return strings.ToUpper(f.Name) + "(" + strings.Join(args, ", ") + ")"
}
