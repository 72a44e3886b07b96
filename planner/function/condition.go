package function

import (
	"fmt"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	condition := func(args []Arg) (Binding, error) {
		b := Binding{Result: types.TypeBool, Nullable: anyNullable(args)}
		for range args {
			b.Args = append(b.Args, types.TypeBool)
		}
		return b, nil
	}
	test := func(name, doc string, t types.Type, f kernel.Func, duck string) *Function {
		return &Function{
			Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				u := t
				if t.Kind == types.Null {
					u = args[0].Type
				}
				return Binding{Args: []types.Type{u}, Result: types.TypeBool}, nil
			},
			Kernel: f, DuckDB: duckFormat(duck),
		}
	}
	not := func(f kernel.Func) kernel.Func {
		return kernel.Conditional(func(args []kernel.Expr) kernel.Expr {
			return kernel.Not(kernel.Call(f, types.TypeBool, args...))
		})
	}
	register(
		&Function{
			Name: "and", Doc: "Three-valued AND; what follows a FALSE is not evaluated.", MinArgs: 2, MaxArgs: -1, Infix: true,
			Bind: condition, Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr { return kernel.And(args...) }),
			Build:  func(args []kernel.Expr, _ types.Type) (kernel.Expr, error) { return kernel.And(args...), nil },
			DuckDB: duckJoin(" AND "),
		},
		&Function{
			Name: "or", Doc: "Three-valued OR; what follows a TRUE is not evaluated.", MinArgs: 2, MaxArgs: -1, Infix: true,
			Bind: condition, Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr { return kernel.Or(args...) }),
			Build:  func(args []kernel.Expr, _ types.Type) (kernel.Expr, error) { return kernel.Or(args...), nil },
			DuckDB: duckJoin(" OR "),
		},
		&Function{
			Name: "xor", Doc: "Three-valued exclusive OR.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind: bindXor, Kernel: kernel.FuncXor, Build: buildXor, DuckDB: duckXor,
		},
		&Function{
			Name: "not", Doc: "Three-valued NOT.", MinArgs: 1, MaxArgs: 1,
			Bind: condition, Kernel: kernel.FuncNot, DuckDB: duckFormat("(NOT %s)"),
		},
		test("is null", "Whether it is NULL.", types.TypeNull, kernel.FuncIsNull, "(%s IS NULL)"),
		test("is not null", "Whether it is not NULL.", types.TypeNull, kernel.FuncIsNotNull, "(%s IS NOT NULL)"),
		test("is true", "Whether it is TRUE.", types.TypeBool, kernel.FuncIsTrue, "coalesce(%s, FALSE)"),
		test("is false", "Whether it is FALSE.", types.TypeBool, kernel.FuncIsFalse, "coalesce(NOT %s, FALSE)"),
		test("is not true", "Whether it is FALSE or NULL.", types.TypeBool, not(kernel.FuncIsTrue), "(NOT coalesce(%s, FALSE))"),
		test("is not false", "Whether it is TRUE or NULL.", types.TypeBool, not(kernel.FuncIsFalse), "(NOT coalesce(NOT %s, FALSE))"),
		&Function{
			Name: "if", Doc: "The second argument if the first is TRUE, else the third.", MinArgs: 3, MaxArgs: 3,
			Bind: func(args []Arg) (Binding, error) {
				t := Common(args[1].Type, args[2].Type)
				return Binding{Args: []types.Type{types.TypeBool, t, t}, Result: t, Nullable: anyNullable(args[1:])}, nil
			},
			Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr { return kernel.If(args[0], args[1], args[2]) }),
			Build: func(args []kernel.Expr, _ types.Type) (kernel.Expr, error) {
				return kernel.If(args[0], args[1], args[2]), nil
			},
			DuckDB: duckFormat("CASE WHEN %s THEN %s ELSE %s END"),
		},
		&Function{
			Name: "coalesce", Doc: "The first argument that is not NULL.", MinArgs: 1, MaxArgs: -1,
			Bind: bindCoalesce, Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr { return kernel.Coalesce(args...) }),
			Build:  func(args []kernel.Expr, _ types.Type) (kernel.Expr, error) { return kernel.Coalesce(args...), nil },
			DuckDB: duckPlain("coalesce"),
		},
		&Function{
			Name: "ifnull", Doc: "The second argument if the first is NULL.", MinArgs: 2, MaxArgs: 2,
			Bind: bindCoalesce, Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr { return kernel.Coalesce(args...) }),
			Build:  func(args []kernel.Expr, _ types.Type) (kernel.Expr, error) { return kernel.Coalesce(args...), nil },
			DuckDB: duckPlain("coalesce"),
		},
		&Function{
			Name: "nullif", Doc: "NULL if the arguments are equal, else the first.", MinArgs: 2, MaxArgs: 2,
			Bind: func(args []Arg) (Binding, error) {
				b := asTheyAre(args, args[0].Type)
				b.Nullable = true
				return b, nil
			},
			Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr {
				return kernel.NullIf(args[0], kernel.Call(kernel.FuncCompare(kernel.Equal), types.TypeBool, args...))
			}),
			Build: func(args []kernel.Expr, _ types.Type) (kernel.Expr, error) {
				equal, err := Call("=", args...)
				if err != nil {
					return nil, err
				}
				return kernel.NullIf(args[0], equal), nil
			},
			DuckDB: func(args []string, b Binding) string {
				if !comparesWith(b.Args[0], b.Args[1]) {
					return ""
				}
				return duckFormat("nullif(%s, %s)")(args, b)
			},
		},
		&Function{
			Name: "elt", Doc: "The n-th of the later arguments.", MinArgs: 2, MaxArgs: -1,
			Bind: func(args []Arg) (Binding, error) {
				b := Binding{Args: []types.Type{types.TypeInt64}, Result: textResult(args[1:]...), Nullable: true}
				for range args[1:] {
					b.Args = append(b.Args, b.Result)
				}
				return b, nil
			},
			Kernel: kernel.Conditional(func(args []kernel.Expr) kernel.Expr {
				e, err := buildElt(args, types.TypeText)
				if err != nil { // it cannot be: the constants are int64
					panic(err)
				}
				return e
			}),
			Build: buildElt,
			DuckDB: func(args []string, _ Binding) string {
				s := "CASE " + args[0]
				for i, a := range args[1:] {
					s += fmt.Sprintf(" WHEN %d THEN %s", i+1, a)
				}
				return s + " END"
			},
		},
	)
}

func bindCoalesce(args []Arg) (Binding, error) {
	b := Binding{Nullable: true}
	ts := make([]types.Type, len(args))
	for i, a := range args {
		ts[i] = a.Type
		b.Nullable = b.Nullable && (a.Nullable || a.Type.Kind == types.Null)
	}
	b.Result = Common(ts...)
	for range args {
		b.Args = append(b.Args, b.Result)
	}
	return b, nil
}

func buildElt(args []kernel.Expr, _ types.Type) (kernel.Expr, error) {
	var whens []kernel.When
	for i, a := range args[1:] {
		n, err := kernel.Constant(int64(i+1), types.TypeInt64)
		if err != nil {
			return nil, err
		}
		is := kernel.Call(kernel.FuncCompare(kernel.Equal), types.TypeBool, args[0], n)
		whens = append(whens, kernel.When{Cond: is, Then: a})
	}
	return kernel.Case(whens, nil), nil
}

// bindXor makes integers of what is neither that nor a condition: MySQL's XOR sees
// 0.1 as 0, where AND and OR see that it is not zero.
func bindXor(args []Arg) (Binding, error) {
	b := asTheyAre(args, types.TypeBool)
	for i, a := range args {
		switch k := a.Type.Kind; {
		case k == types.Decimal, k.IsFloat(), isString(k):
			b.Args[i] = types.TypeInt64
		default:
			b.Args[i] = types.TypeBool
		}
	}
	return b, nil
}

func buildXor(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
	return kernel.Call(kernel.FuncXor, out, kernel.Cast(args[0], types.TypeBool), kernel.Cast(args[1], types.TypeBool)), nil
}

func duckXor(args []string, b Binding) string {
	for i, a := range args {
		if b.Args[i].Kind == types.Int64 {
			args[i] = "(" + a + " <> 0)"
		}
	}
	return "(" + args[0] + " <> " + args[1] + ")"
}
