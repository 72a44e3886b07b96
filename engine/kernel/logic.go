package kernel

import (
	"github.com/leatdb/leat/sql/types"
)

// logic is AND or OR over any number of operands, evaluated from the left. A
// row is decided by its first FALSE (of AND) or TRUE (of OR): later operands
// are not evaluated for it, so it does not matter whether they fail.
type logic struct {
	or   bool
	args []Expr
}

// And is the three-valued AND of its operands, which count as conditions: what
// is not zero is TRUE.
func And(args ...Expr) Expr { return &logic{args: conditions(args)} }

// Or is the three-valued OR of its operands, which count as conditions.
func Or(args ...Expr) Expr { return &logic{or: true, args: conditions(args)} }

func conditions(args []Expr) []Expr {
	out := make([]Expr, len(args))
	for i, a := range args {
		out[i] = truth(a)
	}
	return out
}

func (l *logic) Type() types.Type { return types.TypeBool }

func (l *logic) Eval(ctx *Context, in *Batch) (Vector, error) {
	n := wordCount(in.Rows)
	// decided rows have the value that ends the evaluation, neutral ones have
	// had only the other value, the rest are NULL so far.
	decided, neutral := ctx.scratch.takeWords(n), ctx.scratch.takeWords(n)
	open := ctx.scratch.takeWords(n)
	sel := ctx.scratch.takeSelection()
	defer func() {
		ctx.scratch.giveWords(decided)
		ctx.scratch.giveWords(neutral)
		ctx.scratch.giveWords(open)
		ctx.scratch.giveSelection(sel)
	}()
	clear(decided)
	fillWords(neutral, ^uint64(0))

	var errs *Errors
	allConst := true
	for nth, arg := range l.args {
		batch := in
		if nth > 0 {
			for k := range open {
				open[k] = ^decided[k]
			}
			if !anySet(open, in.Rows) {
				break
			}
			if !isQuick(arg) {
				sel = narrow(sel[:0], in, open)
				if len(sel) == 0 {
					break
				}
				batch = &Batch{Columns: in.Columns, Rows: in.Rows, Sel: sel}
			}
		}
		v, err := arg.Eval(ctx, batch)
		if err != nil {
			return Vector{}, err
		}
		allConst = allConst && v.Const
		if v.Errors != nil {
			errs = errs.merge(v.Errors.keep(in.Rows, func(i int) bool { return !wordBit(decided, i) }))
		}
		value, valid := boolsOrNull(v)
		if l.or {
			for k := range decided {
				t, ok := value.word(k), valid.word(k)
				decided[k] |= t & ok
				neutral[k] &= ^t & ok
			}
		} else {
			for k := range decided {
				t, ok := value.word(k), valid.word(k)
				decided[k] |= ^t & ok
				neutral[k] &= t & ok
			}
		}
		v.Release()
	}

	rows := in.Rows
	constant := allConst && rows > 0 && (errs == nil || errs.all != nil)
	if constant {
		rows = 1
	}
	f := frame{ctx: ctx, rows: rows, out: types.TypeBool, errs: errs}
	out := boolOut(&f)
	f.valid = ctx.scratch.takeWords(len(out))
	for k := range out {
		f.valid[k] = decided[k] | neutral[k]
		if l.or {
			out[k] = decided[k]
		} else {
			out[k] = neutral[k]
		}
	}
	v, err := f.finish(nil)
	v.Const = constant
	return v, err
}

// narrow appends to dst the rows of in that are set in open.
func narrow(dst []int32, in *Batch, open []uint64) []int32 {
	if in.Sel == nil {
		return appendSet(dst, open, in.Rows)
	}
	for _, i := range in.Sel {
		if wordBit(open, int(i)) {
			dst = append(dst, i)
		}
	}
	return dst
}

// Not is the three-valued NOT of a condition.
func Not(e Expr) Expr { return Call(FuncNot, types.TypeBool, truth(e)) }

// FuncNot inverts a BOOLEAN.
var FuncNot = propagate(func(f *frame, args []Vector) error {
	x := boolsOf(args[0])
	out := boolOut(f)
	for k := range out {
		out[k] = ^x.word(k)
	}
	return nil
})

// FuncXor is XOR of two BOOLEANs.
var FuncXor = propagate(func(f *frame, args []Vector) error {
	x, y := boolsOf(args[0]), boolsOf(args[1])
	out := boolOut(f)
	for k := range out {
		out[k] = x.word(k) ^ y.word(k)
	}
	return nil
})

// FuncIsNull is IS NULL of any type.
var FuncIsNull Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	return testBits(ctx, rows, out, func(k int) uint64 { return ^validsOf(args[0]).word(k) })
}

// FuncIsNotNull is IS NOT NULL of any type.
var FuncIsNotNull Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	return testBits(ctx, rows, out, func(k int) uint64 { return validsOf(args[0]).word(k) })
}

// FuncIsTrue is IS TRUE of a BOOLEAN.
var FuncIsTrue Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	value, valid := boolsOrNull(args[0])
	return testBits(ctx, rows, out, func(k int) uint64 { return value.word(k) & valid.word(k) })
}

// FuncIsFalse is IS FALSE of a BOOLEAN.
var FuncIsFalse Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	value, valid := boolsOrNull(args[0])
	return testBits(ctx, rows, out, func(k int) uint64 { return ^value.word(k) & valid.word(k) })
}

// testBits makes a BOOLEAN or integer result, never NULL, of words.
func testBits(ctx *Context, rows int, out types.Type, word func(k int) uint64) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	to := boolOut(&f)
	for k := range to {
		to[k] = word(k)
	}
	return f.finish(nil)
}

// Conditional makes a plain Func of an expression that evaluates its arguments
// conditionally: all of them have been evaluated then, but the failures of
// those that SQL would not have looked at still do not count among the result's
// own. It is what the registry names as the kernel of such a function.
func Conditional(build func(args []Expr) Expr) Func {
	return func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
		exprs := make([]Expr, len(args))
		for i, a := range args {
			exprs[i] = &evaluated{a, typeOfArray(a.Array, out)}
		}
		return build(exprs).Eval(ctx, &Batch{Rows: rows, Sel: ctx.sel})
	}
}
