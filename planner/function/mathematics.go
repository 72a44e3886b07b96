package function

import (
	"math"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// ofDouble registers a function of one DOUBLE; partial ones are NULL in places.
func ofDouble(name, doc string, of func(float64) float64, partial bool, duck func([]string, Binding) string) *Function {
	bind := strict(types.TypeFloat64, types.TypeFloat64)
	if partial {
		bind = orNull(bind)
	}
	return &Function{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1,
		Bind: bind, Kernel: kernel.FuncOfDouble(of), DuckDB: duck,
	}
}

// failing marks a function whose result may be out of range.
func failing(f *Function) *Function {
	f.Fails = FailsForValues
	return f
}

func logarithm(name, doc string, of func(float64) float64, duck string) *Function {
	return &Function{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1,
		Bind:   orNull(strict(types.TypeFloat64, types.TypeFloat64)),
		Kernel: kernel.FuncLog(of),
		DuckDB: duckFormat("CASE WHEN %[1]s > 0 THEN " + duck + "(%[1]s) END"),
	}
}

func init() {
	two := strict(types.TypeFloat64, types.TypeFloat64, types.TypeFloat64)
	register(
		ofDouble("sqrt", "Square root, NULL of a negative number.", math.Sqrt, true, duckFormat("CASE WHEN %[1]s >= 0 THEN sqrt(%[1]s) END")),
		failing(ofDouble("exp", "e to the power of.", math.Exp, false, duckFinite("exp"))),
		ofDouble("sin", "Sine of radians.", math.Sin, false, duckPlain("sin")),
		ofDouble("cos", "Cosine of radians.", math.Cos, false, duckPlain("cos")),
		failing(ofDouble("tan", "Tangent of radians.", math.Tan, false, duckPlain("tan"))),
		ofDouble("asin", "Arc sine, NULL outside of −1 to 1.", math.Asin, true, duckFormat("CASE WHEN abs(%[1]s) <= 1 THEN asin(%[1]s) END")),
		ofDouble("acos", "Arc cosine, NULL outside of −1 to 1.", math.Acos, true, duckFormat("CASE WHEN abs(%[1]s) <= 1 THEN acos(%[1]s) END")),
		failing(ofDouble("cot", "Cotangent of radians.", func(x float64) float64 { return 1 / math.Tan(x) }, false, nil)),
		failing(ofDouble("degrees", "Radians in degrees.", func(x float64) float64 { return x * (180 / math.Pi) }, false, duckFinite("degrees"))),
		failing(ofDouble("radians", "Degrees in radians.", func(x float64) float64 { return x * (math.Pi / 180) }, false, duckPlain("radians"))),
		logarithm("ln", "Natural logarithm.", math.Log, "ln"),
		logarithm("log2", "Logarithm to base 2.", math.Log2, "log2"),
		logarithm("log10", "Logarithm to base 10.", math.Log10, "log10"),
		&Function{
			Name: "log", Doc: "Natural logarithm, or with two arguments the logarithm of the second to the base of the first.",
			MinArgs: 1, MaxArgs: 2,
			Bind:   orNull(two),
			Kernel: kernel.FuncLogBase,
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				if len(args) == 1 {
					return kernel.Call(kernel.FuncLog(math.Log), out, args...), nil
				}
				return kernel.Call(kernel.FuncLogBase, out, args...), nil
			},
			DuckDB: func(args []string, b Binding) string {
				if len(args) == 1 {
					return duckFormat("CASE WHEN %[1]s > 0 THEN ln(%[1]s) END")(args, b)
				}
				return duckFormat("CASE WHEN %[1]s > 0 AND %[1]s <> 1 AND %[2]s > 0 THEN ln(%[2]s) / ln(%[1]s) END")(args, b)
			},
		},
		&Function{
			Name: "pow", Doc: "The first argument to the power of the second.", MinArgs: 2, MaxArgs: 2,
			Fails: FailsForValues,
			Bind:  orNull(two), Kernel: kernel.FuncOfDoubles(math.Pow), DuckDB: duckFinite("pow"),
		},
		&Function{
			Name: "atan", Doc: "Arc tangent, of two arguments as ATAN2.", MinArgs: 1, MaxArgs: 2,
			Bind: two, Kernel: kernel.FuncOfDoubles(math.Atan2),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				if len(args) == 1 {
					return kernel.Call(kernel.FuncOfDouble(math.Atan), out, args...), nil
				}
				return kernel.Call(kernel.FuncOfDoubles(math.Atan2), out, args...), nil
			},
			DuckDB: func(args []string, b Binding) string {
				if len(args) == 1 {
					return duckPlain("atan")(args, b)
				}
				return duckPlain("atan2")(args, b)
			},
		},
		&Function{
			Name: "atan2", Doc: "Angle of the point (second, first).", MinArgs: 2, MaxArgs: 2,
			Bind: two, Kernel: kernel.FuncOfDoubles(math.Atan2), DuckDB: duckPlain("atan2"),
		},
		&Function{
			Name: "pi", Doc: "The number π.", MinArgs: 0, MaxArgs: 0,
			Bind:   strict(types.TypeFloat64),
			Kernel: kernel.FuncConstant(math.Pi),
			DuckDB: duckPlain("pi"),
		},
		&Function{
			Name: "greatest", Doc: "Greatest of the arguments, NULL if one is NULL.", MinArgs: 2, MaxArgs: -1,
			Bind: bindExtreme, Kernel: kernel.FuncExtreme(true), DuckDB: duckExtreme("greatest"),
		},
		&Function{
			Name: "least", Doc: "Least of the arguments, NULL if one is NULL.", MinArgs: 2, MaxArgs: -1,
			Bind: bindExtreme, Kernel: kernel.FuncExtreme(false), DuckDB: duckExtreme("least"),
		},
	)
}

// bindExtreme brings all arguments to their common type; JSON counts as text.
func bindExtreme(args []Arg) (Binding, error) {
	t := types.TypeNull
	for _, a := range args {
		u := a.Type
		if u.Kind == types.JSON {
			u = types.TypeText
		}
		t = Common(t, u)
	}
	if t.Kind == types.Null {
		t = types.TypeInt64
	}
	bound := Binding{Result: t, Nullable: anyNullable(args)}
	for range args {
		bound.Args = append(bound.Args, t)
	}
	return bound, nil
}
