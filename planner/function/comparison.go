package function

import (
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

func compareFunction(name, doc string, op kernel.Comparison) *Function {
	return &Function{
		Name: name, Doc: doc, MinArgs: 2, MaxArgs: 2, Infix: true, Compares: true,
		Bind: func(args []Arg) (Binding, error) {
			a, b, _ := comparison(args[0], args[1])
			return Binding{Args: []types.Type{a, b}, Result: types.TypeBool, Nullable: anyNullable(args)}, nil
		},
		Kernel: kernel.FuncCompare(op),
		Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
			if isJSON(args...) {
				return kernel.Call(kernel.FuncCompareJSON(op), out, jsonValues(args)...), nil
			}
			return buildUnrounded(kernel.FuncCompare(op))(args, out)
		},
		DuckDB: duckCompare(name),
	}
}

func isJSON(args ...kernel.Expr) bool {
	for _, a := range args {
		if a.Type().Kind == types.JSON {
			return true
		}
	}
	return false
}

// jsonValues makes JSON values of what is compared with JSON: a text becomes a
// JSON string.
func jsonValues(args []kernel.Expr) []kernel.Expr {
	out := make([]kernel.Expr, len(args))
	for i, a := range args {
		if k := a.Type().Kind; isString(k) {
			out[i] = kernel.Call(kernel.FuncJSONQuote, types.TypeJSON, a)
		} else {
			out[i] = kernel.Cast(a, types.TypeJSON)
		}
	}
	return out
}

func init() {
	register(
		compareFunction("=", "Equal.", kernel.Equal),
		compareFunction("<>", "Not equal.", kernel.NotEqual),
		compareFunction("<", "Less.", kernel.Less),
		compareFunction("<=", "Less or equal.", kernel.LessEqual),
		compareFunction(">", "Greater.", kernel.Greater),
		compareFunction(">=", "Greater or equal.", kernel.GreaterEqual),
		&Function{
			Name: "<=>", Doc: "Equal, where NULL is equal to NULL.", MinArgs: 2, MaxArgs: 2, Infix: true, Compares: true,
			Bind: func(args []Arg) (Binding, error) {
				a, b, _ := comparison(args[0], args[1])
				return Binding{Args: []types.Type{a, b}, Result: types.TypeBool}, nil
			},
			Kernel: kernel.FuncNullSafeEqual,
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				if !isJSON(args...) {
					return buildUnrounded(kernel.FuncNullSafeEqual)(args, out)
				}
				bothNull := kernel.And(isNull(args[0]), isNull(args[1]))
				equal := kernel.Call(kernel.FuncCompareJSON(kernel.Equal), out, jsonValues(args)...)
				return kernel.Or(bothNull, kernel.Call(kernel.FuncIsTrue, types.TypeBool, equal)), nil
			},
			DuckDB: duckCompare("IS NOT DISTINCT FROM"),
		},
		&Function{
			Name: "in", Doc: "Equal to one of a list.", MinArgs: 2, MaxArgs: -1, Compares: true,
			Bind: bindIn, Kernel: kernel.FuncIn, Build: buildIn, DuckDB: duckIn,
		},
		&Function{
			Name: "between", Doc: "Not below the second and not above the third argument.", MinArgs: 3, MaxArgs: 3, Compares: true,
			Bind: bindBetween, Kernel: kernel.FuncBetween, Build: buildBetween, DuckDB: duckBetween,
		},
		&Function{
			Name: "strcmp", Doc: "−1, 0 or 1 as the first text is before, equal to or behind the second.",
			MinArgs: 2, MaxArgs: 2,
			Bind: func(args []Arg) (Binding, error) {
				return Binding{Args: []types.Type{textType(args[0]), textType(args[1])}, Result: typeInt, Nullable: anyNullable(args)}, nil
			},
			Kernel: kernel.FuncStrcmp,
			DuckDB: duckFormat("CASE WHEN %[1]s < %[2]s THEN -1 WHEN %[1]s > %[2]s THEN 1 WHEN %[1]s = %[2]s THEN 0 END"),
		},
		&Function{
			Name: "field", Doc: "Which of the later arguments is equal to the first, 0 if none.", MinArgs: 2, MaxArgs: -1,
			Bind: bindField, Kernel: kernel.FuncField,
		},
	)
}

func isNull(e kernel.Expr) kernel.Expr { return kernel.Call(kernel.FuncIsNull, types.TypeBool, e) }

// together finds one type for each argument such that the first compares with
// all the others as it would with each alone; ok is false if there is none.
func together(args []Arg) (ts []types.Type, ok bool) {
	ts = make([]types.Type, len(args))
	var first types.Type
	for i, a := range args[1:] {
		ta, tb, ok := comparison(args[0], a)
		if !ok {
			return nil, false
		}
		ts[i+1] = tb
		if a.Type.Kind == types.Null {
			continue // any type does
		}
		switch {
		case first.Kind == types.Null || first.Equal(ta):
			first = ta
		case isString(first.Kind) && isString(ta.Kind):
		case first.Kind.IsInteger() && ta.Kind.IsInteger():
			first = numeric(args[0])
		case exactNumber(first.Kind) && exactNumber(ta.Kind):
			first = asDecimal(args[0])
		default:
			return nil, false
		}
	}
	if first.Kind == types.Null {
		first = args[0].Type
		if first.Kind == types.Null {
			first = types.TypeInt64
		}
	}
	ts[0] = first
	for i, a := range args[1:] {
		switch {
		case a.Type.Kind == types.Null:
			ts[i+1] = first
		case first.Kind == types.Decimal && ts[i+1].Kind != types.Decimal:
			ts[i+1] = asDecimal(a)
		case first.Kind == types.Int64 || first.Kind == types.Uint64:
			if ts[i+1].Kind.IsInteger() {
				ts[i+1] = numeric(a)
			}
		case first.Kind != ts[i+1].Kind && !(isString(first.Kind) && isString(ts[i+1].Kind)):
			return nil, false
		}
	}
	return ts, true
}

func exactNumber(k types.Kind) bool { return k.IsInteger() || k == types.Decimal }

// asTheyAre is the binding of a call that makes the casts itself.
func asTheyAre(args []Arg, result types.Type) Binding {
	b := Binding{Result: result, Nullable: anyNullable(args)}
	for _, a := range args {
		b.Args = append(b.Args, a.Type)
	}
	return b
}

func bindIn(args []Arg) (Binding, error) {
	b := asTheyAre(args, types.TypeBool)
	if ts, ok := together(args); ok {
		b.Args = ts
	}
	return b, nil
}

// comparesWith reports whether the kernel compares the two types without a cast.
func comparesWith(a, b types.Type) bool {
	switch {
	case a.Kind == types.JSON || b.Kind == types.JSON:
		return false
	case a.Kind == b.Kind, isString(a.Kind) && isString(b.Kind):
		return true
	}
	wide := func(k types.Kind) bool { return k == types.Int64 || k == types.Uint64 }
	return wide(a.Kind) && wide(b.Kind)
}

func allCompare(args []kernel.Expr) bool {
	for _, a := range args[1:] {
		if !comparesWith(args[0].Type(), a.Type()) {
			return false
		}
	}
	return true
}

func buildIn(args []kernel.Expr, _ types.Type) (kernel.Expr, error) {
	if allCompare(args) {
		args, _ = unrounded(args)
		return kernel.In(args[0], args[1:]...), nil
	}
	var any []kernel.Expr
	for _, a := range args[1:] {
		equal, err := Call("=", args[0], a)
		if err != nil {
			return nil, err
		}
		any = append(any, equal)
	}
	return kernel.Or(any...), nil
}

func bindBetween(args []Arg) (Binding, error) {
	b := asTheyAre(args, types.TypeBool)
	if textsAmongNumbers(args) { // one of the bounds alone would be compared as text
		for i := range b.Args {
			b.Args[i] = types.TypeFloat64
		}
		return b, nil
	}
	if ts, ok := together(args); ok {
		b.Args = ts
	}
	return b, nil
}

// textsAmongNumbers reports whether arguments are texts and numbers, at least one of
// each, which MySQL compares as DOUBLE, all of them.
func textsAmongNumbers(args []Arg) bool {
	texts, numbers := false, false
	for _, a := range args {
		k := a.Type.Kind
		switch {
		case isString(k):
			texts = true
		case k.IsNumeric():
			numbers = true
		case k != types.Null:
			return false
		}
	}
	return texts && numbers
}

func buildBetween(args []kernel.Expr, _ types.Type) (kernel.Expr, error) {
	if allCompare(args) {
		args, _ = unrounded(args)
		return kernel.Between(args[0], args[1], args[2]), nil
	}
	low, err := Call(">=", args[0], args[1])
	if err != nil {
		return nil, err
	}
	high, err := Call("<=", args[0], args[2])
	if err != nil {
		return nil, err
	}
	return kernel.And(low, high), nil
}

// bindField compares as texts if all are, as exact numbers if all are, else as
// doubles.
func bindField(args []Arg) (Binding, error) {
	texts, integers := true, true
	for _, a := range args {
		k := a.Type.Kind
		texts = texts && (isString(k) || k == types.Null)
		integers = integers && (k.IsInteger() || k == types.Bool || k == types.Null)
	}
	t := types.TypeFloat64
	switch {
	case texts:
		t = types.TypeText
	case integers:
		t = types.TypeInt64
	}
	b := Binding{Result: typeInt}
	for range args {
		b.Args = append(b.Args, t)
	}
	return b, nil
}
