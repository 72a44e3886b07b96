package function

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// registry holds every function by its name, aliases by another one.
var (
	registry = make(map[string]*Function)
	aliases  = map[string]string{
		"!=": "<>", "==": "=", "mod": "%", "&&": "and", "||": "or", "!": "not",
		"isnull": "is null", "rlike": "regexp_like", "regexp": "regexp_like",
		"substr": "substring", "mid": "substring", "lcase": "lower", "ucase": "upper",
		"character_length": "char_length", "octet_length": "length", "position": "locate",
		"ceiling": "ceil", "power": "pow", "sha": "sha1",
		"day": "dayofmonth", "adddate": "date_add", "subdate": "date_sub",
		"current_timestamp": "now", "localtime": "now", "localtimestamp": "now",
		"current_date": "curdate", "current_time": "curtime",
	}
)

func register(fs ...*Function) {
	for _, f := range fs {
		if _, ok := registry[f.Name]; ok || f.Kernel == nil || f.Bind == nil || f.Doc == "" {
			panic("function: incomplete or second registration of " + f.Name)
		}
		registry[f.Name] = f
		if spell := f.DuckDB; spell != nil {
			f.DuckDB = func(args []string, b Binding) string {
				if b.hasQuotient() {
					return ""
				}
				return spell(args, b)
			}
		}
	}
}

// Lookup finds a function or operator by its name or an alias of it, in any case.
func Lookup(name string) (*Function, bool) {
	name = strings.ToLower(name)
	if to, ok := aliases[name]; ok {
		name = to
	}
	f, ok := registry[name]
	return f, ok
}

// All lists the functions by name, without aliases.
func All() []*Function {
	all := make([]*Function, 0, len(registry))
	for _, f := range registry {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *Function) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Resolve checks the number of arguments and binds their types. The error names
// the function and what is wrong with the call.
func (f *Function) Resolve(args []Arg) (Binding, error) {
	if len(args) < f.MinArgs || f.MaxArgs >= 0 && len(args) > f.MaxArgs {
		return Binding{}, fmt.Errorf("function %s takes %s arguments, found %d", f.Name, f.argCount(), len(args))
	}
	b, err := f.Bind(args)
	if err != nil {
		return b, fmt.Errorf("function %s: %w", f.Name, err)
	}
	b.Literals, b.Units = make([]any, len(args)), make([]string, len(args))
	for i, a := range args {
		b.Literals[i], b.Units[i] = a.Literal, a.Unit
	}
	return b, nil
}

func (f *Function) argCount() string {
	switch {
	case f.MaxArgs < 0:
		return fmt.Sprintf("at least %d", f.MinArgs)
	case f.MinArgs == f.MaxArgs:
		return fmt.Sprint(f.MinArgs)
	}
	return fmt.Sprintf("%d to %d", f.MinArgs, f.MaxArgs)
}

// Call binds and compiles a call of a function by name over expressions, with
// the casts that MySQL makes by itself.
func Call(name string, args ...kernel.Expr) (kernel.Expr, error) {
	f, ok := Lookup(name)
	if !ok {
		return nil, fmt.Errorf("unknown function %s", name)
	}
	known := make([]Arg, len(args))
	for i, e := range args {
		known[i] = argOf(e)
	}
	b, err := f.Resolve(known)
	if err != nil {
		return nil, err
	}
	cast := make([]kernel.Expr, len(args))
	for i, e := range args {
		cast[i] = kernel.Cast(e, b.Args[i])
	}
	return f.Compile(cast, b.Result)
}

// argOf is what is known of an expression. Whether it can be NULL is not.
func argOf(e kernel.Expr) Arg {
	a := Arg{Type: e.Type(), Nullable: true}
	if value, unit, ok := kernel.IntervalUnit(e); ok {
		a.Unit = unit.String()
		e = value
	}
	a.Literal, a.IsLiteral = kernel.ConstantValue(e)
	return a
}

// strict is the Bind of functions whose result is NULL if an argument is, with
// the types that the arguments are cast to and the result's.
func strict(result types.Type, args ...types.Type) func([]Arg) (Binding, error) {
	return func(given []Arg) (Binding, error) {
		return Binding{Args: args[:len(given)], Result: result, Nullable: anyNullable(given)}, nil
	}
}

// orNull is strict for functions that are NULL in other cases too.
func orNull(bind func([]Arg) (Binding, error)) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b, err := bind(args)
		b.Nullable = true
		return b, err
	}
}
