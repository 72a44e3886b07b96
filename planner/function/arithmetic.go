package function

import (
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// bindArithmetic casts both operands to what they are computed with; decimals
// gives the DECIMAL result of DECIMAL operands.
func bindArithmetic(decimals func(a, b types.Type) types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		a, b := numeric(args[0]), numeric(args[1])
		bound := Binding{Args: []types.Type{a, b}, Nullable: anyNullable(args)}
		switch {
		case a.Kind == types.Float64 || b.Kind == types.Float64:
			bound.Result = types.TypeFloat64
			bound.Args = []types.Type{types.TypeFloat64, types.TypeFloat64}
		case a.Kind == types.Decimal || b.Kind == types.Decimal:
			a, b = asDecimal(args[0]), asDecimal(args[1])
			bound.Args = []types.Type{a, b}
			bound.Result = decimals(a, b)
		case a.Kind == types.Uint64 || b.Kind == types.Uint64:
			bound.Result = types.TypeUint64
		default:
			bound.Result = types.TypeInt64
		}
		return bound, nil
	}
}

func sumType(a, b types.Type) types.Type {
	return decimalType(max(a.Precision-a.Scale, b.Precision-b.Scale)+1, max(a.Scale, b.Scale))
}

func productType(a, b types.Type) types.Type {
	scale := min(a.Scale+b.Scale, maxScale)
	return types.NewDecimal(min(a.Precision+b.Precision, types.MaxDecimalPrecision), scale)
}

// buildDecimal compiles an operation that computes with all digits its operands
// have; scale is how many the result has then.
func buildDecimal(f kernel.Func, scale func(a, b int) int) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		full, more := unrounded(args)
		if out.Kind != types.Decimal {
			return kernel.Call(f, out, full...), nil
		}
		a, b := full[0].Type().Scale, full[len(full)-1].Type().Scale
		wide := kernel.WithScale(out, scale(a, b))
		if !more && wide.Equal(out) {
			return kernel.Call(f, out, args...), nil
		}
		return kernel.Rounded(kernel.Call(f, out, full...), kernel.Call(f, wide, full...)), nil
	}
}

// buildSigned compiles a function whose result has the digits of its one operand,
// which its kernel leaves as they are: that of all digits has to say so in its type.
func buildSigned(f kernel.Func) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		result := kernel.Call(f, out, args...)
		full, more := unrounded(args)
		if !more || out.Kind != types.Decimal {
			return result, nil
		}
		return kernel.Rounded(result, kernel.Call(f, kernel.WithScale(out, full[0].Type().Scale), full...)), nil
	}
}

// unrounded gives operands all their digits; more says whether one has more than
// its type tells.
func unrounded(args []kernel.Expr) (full []kernel.Expr, more bool) {
	full = make([]kernel.Expr, len(args))
	for i, a := range args {
		full[i] = kernel.Unrounded(a)
		more = more || full[i] != a
	}
	return full, more
}

// buildUnrounded compiles a function that takes its operands with all digits.
func buildUnrounded(f kernel.Func) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		full, _ := unrounded(args)
		return kernel.Call(f, out, full...), nil
	}
}

func sumScale(a, b int) int { return max(a, b) }

func productScale(a, b int) int { return min(a+b, maxScale) }

// divisionScale is MySQL's div_precision_increment.
const divisionScale = 4

func bindDivide(args []Arg) (Binding, error) {
	a, b := numeric(args[0]), numeric(args[1])
	if a.Kind == types.Float64 || b.Kind == types.Float64 {
		t := types.TypeFloat64
		return Binding{Args: []types.Type{t, t}, Result: t, Nullable: true}, nil
	}
	a, b = asDecimal(args[0]), asDecimal(args[1])
	scale := min(a.Scale+divisionScale, maxScale)
	// The quotient has as many digits before the point as the dividend, and as
	// the divisor has after it.
	result := types.NewDecimal(min(a.Precision+b.Scale+divisionScale, types.MaxDecimalPrecision), scale)
	return Binding{Args: []types.Type{a, b}, Result: result, Nullable: true}, nil
}

func bindIntegerDivide(args []Arg) (Binding, error) {
	a, b := numeric(args[0]), numeric(args[1])
	result := types.TypeInt64
	if a.Kind == types.Uint64 || b.Kind == types.Uint64 {
		result = types.TypeUint64
	}
	integers := func(t types.Type) bool { return t.Kind.IsInteger() }
	switch {
	case a.Kind == types.Float64 || b.Kind == types.Float64:
		a, b = types.TypeFloat64, types.TypeFloat64
	case !integers(a) || !integers(b):
		a, b = asDecimal(args[0]), asDecimal(args[1])
	}
	return Binding{Args: []types.Type{a, b}, Result: result, Nullable: true}, nil
}

func bindModulo(args []Arg) (Binding, error) {
	bound, err := bindArithmetic(func(a, b types.Type) types.Type {
		scale := max(a.Scale, b.Scale)
		return decimalType(max(a.Precision-a.Scale, b.Precision-b.Scale), scale)
	})(args)
	if bound.Result.Kind.IsInteger() {
		bound.Result = bound.Args[0] // signed as the dividend is
	}
	bound.Nullable = true
	return bound, err
}

func bindNegate(args []Arg) (Binding, error) {
	t := numeric(args[0])
	bound := Binding{Args: []types.Type{t}, Result: t, Nullable: args[0].Nullable}
	if t.Kind == types.Uint64 {
		bound.Result = types.TypeInt64
	}
	return bound, nil
}

// bindBits casts to 64-bit integers of either sign, which the bit operators take
// as they are.
func bindBits(result types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		bound := Binding{Result: result, Nullable: anyNullable(args)}
		for _, a := range args {
			bound.Args = append(bound.Args, integerType(a))
		}
		return bound, nil
	}
}

// integerType is BIGINT, or BIGINT UNSIGNED for what is unsigned.
func integerType(a Arg) types.Type {
	if numeric(a).Kind == types.Uint64 {
		return types.TypeUint64
	}
	return types.TypeInt64
}

func init() {
	register(
		orDateAdd(&Function{
			Name: "+", Doc: "Sum.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForValues,
			Bind:  bindArithmetic(sumType), Kernel: kernel.FuncAdd, Build: buildDecimal(kernel.FuncAdd, sumScale), DuckDB: duckArithmetic("+"),
		}, false),
		orDateAdd(&Function{
			Name: "-", Doc: "Difference.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForValues,
			Bind:  bindArithmetic(sumType), Kernel: kernel.FuncSubtract, Build: buildDecimal(kernel.FuncSubtract, sumScale), DuckDB: duckArithmetic("-"),
		}, true),
		&Function{
			Name: "*", Doc: "Product.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForValues,
			Bind:  bindArithmetic(productType), Kernel: kernel.FuncMultiply, Build: buildDecimal(kernel.FuncMultiply, productScale), DuckDB: duckArithmetic("*"),
		},
		&Function{
			Name: "/", Doc: "Quotient: a DECIMAL with four digits more than the dividend, a DOUBLE if an operand is one.",
			Fails:   FailsForValues,
			MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind: bindDivide, Kernel: kernel.FuncDivide, Build: buildDecimal(kernel.FuncDivide, kernel.DivisionScale), DuckDB: duckDivide,
		},
		&Function{
			Name: "div", Doc: "Whole part of the quotient.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForValues,
			Bind:  bindIntegerDivide, Kernel: kernel.FuncIntegerDivide, Build: buildUnrounded(kernel.FuncIntegerDivide), DuckDB: duckIntegerDivide,
		},
		&Function{
			Name: "%", Doc: "Remainder, with the sign of the dividend.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForValues,
			Bind:  bindModulo, Kernel: kernel.FuncModulo, Build: buildDecimal(kernel.FuncModulo, sumScale), DuckDB: duckModulo,
		},
		&Function{
			Name: "neg", Doc: "Unary minus.", MinArgs: 1, MaxArgs: 1,
			Fails: FailsForValues,
			Bind:  bindNegate, Kernel: kernel.FuncNegate, Build: buildSigned(kernel.FuncNegate), DuckDB: duckNegate,
		},
		&Function{
			Name: "&", Doc: "Bitwise AND of BIGINT UNSIGNED.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind:   bindBits(types.TypeUint64),
			Kernel: kernel.FuncBits(func(x, y uint64) uint64 { return x & y }), DuckDB: duckBits("(%s & %s)"),
		},
		&Function{
			Name: "|", Doc: "Bitwise OR of BIGINT UNSIGNED.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind:   bindBits(types.TypeUint64),
			Kernel: kernel.FuncBits(func(x, y uint64) uint64 { return x | y }), DuckDB: duckBits("(%s | %s)"),
		},
		&Function{
			Name: "^", Doc: "Bitwise exclusive OR of BIGINT UNSIGNED.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind:   bindBits(types.TypeUint64),
			Kernel: kernel.FuncBits(func(x, y uint64) uint64 { return x ^ y }), DuckDB: duckBits("xor(%s, %s)"),
		},
		&Function{
			Name: "~", Doc: "Bitwise complement of a BIGINT UNSIGNED.", MinArgs: 1, MaxArgs: 1,
			Bind:   bindBits(types.TypeUint64),
			Kernel: kernel.FuncBits(func(x, _ uint64) uint64 { return ^x }), DuckDB: duckBits("(~%s)"),
		},
		&Function{
			Name: "<<", Doc: "Bits shifted to the left.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind:   bindBits(types.TypeUint64),
			Kernel: kernel.FuncBits(func(x, y uint64) uint64 { return x << y }),
		},
		&Function{
			Name: ">>", Doc: "Bits shifted to the right.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Bind:   bindBits(types.TypeUint64),
			Kernel: kernel.FuncBits(func(x, y uint64) uint64 { return x >> y }),
		},
		&Function{
			Name: "bit_count", Doc: "Number of bits that are set.", MinArgs: 1, MaxArgs: 1,
			Bind: bindBits(typeInt), Kernel: kernel.FuncBitCount, DuckDB: duckBitCount,
		},
		&Function{
			Name: "abs", Doc: "Absolute value.", MinArgs: 1, MaxArgs: 1,
			Fails: FailsForValues,
			Bind:  bindSame, Kernel: kernel.FuncAbs, Build: buildSigned(kernel.FuncAbs), DuckDB: duckPlain("abs"),
		},
		&Function{
			Name: "sign", Doc: "−1, 0 or 1.", MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				return Binding{Args: []types.Type{numeric(args[0])}, Result: typeInt, Nullable: args[0].Nullable}, nil
			},
			Kernel: kernel.FuncSign, Build: buildUnrounded(kernel.FuncSign),
			DuckDB: duckFormat("CAST(sign(%s) AS INTEGER)"),
		},
		&Function{
			Name: "ceil", Doc: "Least whole number not below.", MinArgs: 1, MaxArgs: 1,
			Fails: FailsForValues,
			Bind:  bindWhole, Kernel: kernel.FuncCeil, Build: buildWhole(kernel.FuncCeil), DuckDB: duckWhole("ceil"),
		},
		&Function{
			Name: "floor", Doc: "Greatest whole number not above.", MinArgs: 1, MaxArgs: 1,
			Fails: FailsForValues,
			Bind:  bindWhole, Kernel: kernel.FuncFloor, Build: buildWhole(kernel.FuncFloor), DuckDB: duckWhole("floor"),
		},
		&Function{
			Name: "round", Doc: "Rounded to so many digits after the point (0 if not given; before it if negative).",
			Fails:   FailsForValues,
			MinArgs: 1, MaxArgs: 2,
			Bind: bindRound(1), Kernel: kernel.FuncRound, Build: buildRound(kernel.FuncRound), DuckDB: duckRound,
		},
		&Function{
			Name: "truncate", Doc: "Cut to so many digits after the point.", MinArgs: 2, MaxArgs: 2,
			Fails: FailsForValues,
			Bind:  bindRound(0), Kernel: kernel.FuncTruncate, Build: buildRound(kernel.FuncTruncate), DuckDB: duckTruncate,
		},
	)
}

func bindSame(args []Arg) (Binding, error) {
	t := numeric(args[0])
	return Binding{Args: []types.Type{t}, Result: t, Nullable: args[0].Nullable}, nil
}

// bindWhole is CEILING's and FLOOR's: of a DECIMAL a BIGINT, if that holds it.
func bindWhole(args []Arg) (Binding, error) {
	t := numeric(args[0])
	bound := Binding{Args: []types.Type{t}, Result: t, Nullable: args[0].Nullable}
	if t.Kind == types.Decimal {
		bound.Result = types.TypeInt64
		if whole := t.Precision - t.Scale; whole >= 18 {
			bound.Result = decimalType(whole+1, 0)
		}
	}
	return bound, nil
}

func buildWhole(f kernel.Func) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		if args[0].Type().Kind.IsInteger() {
			return args[0], nil // it is whole already
		}
		return buildUnrounded(f)(args, out)
	}
}

// bindRound is ROUND's and TRUNCATE's; carry is how many digits rounding up adds.
func bindRound(carry int) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		t := numeric(args[0])
		bound := Binding{Args: []types.Type{t}, Result: t, Nullable: anyNullable(args)}
		digits, known := int64(0), true
		if len(args) == 2 {
			bound.Args = append(bound.Args, types.TypeInt64)
			switch v := args[1].Literal.(type) {
			case int64:
				digits = v
			case uint64:
				digits = int64(maxScale) // beyond any scale
				if v < 1<<31 {
					digits = int64(v)
				}
			default:
				known = false
			}
		}
		if t.Kind == types.Decimal && known {
			scale := int(min(max(digits, 0), maxScale))
			whole := t.Precision - t.Scale
			if scale < t.Scale {
				whole += carry
			}
			bound.Result = decimalType(whole, min(scale, max(types.MaxDecimalPrecision-whole, t.Scale)))
		}
		return bound, nil
	}
}

func buildRound(f kernel.Func) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		if len(args) == 1 {
			zero, err := kernel.Constant(int64(0), types.TypeInt64)
			if err != nil {
				return nil, err
			}
			args = []kernel.Expr{args[0], zero}
		}
		return buildUnrounded(f)(args, out)
	}
}
