package planner

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// foldConstants evaluates calls and casts whose operands are all constants, and
// drops TRUE from AND and FALSE from OR. What would fail is left to fail at run
// time: the row may never be reached.
func foldConstants(o *optimizer, root logical.Node) logical.Node {
	return mapExprs(root, func(e logical.Expr) logical.Expr {
		switch e := e.(type) {
		case *logical.Call:
			if lit, ok := o.foldLogic(e); ok {
				return lit
			}
			if constants(e.Args) && !e.Func.Volatile && !readsClock(e) {
				return o.fold(e)
			}
		case *logical.Cast:
			if constants(e.Children()) {
				return o.fold(e)
			}
		case *logical.Case:
			if constants(e.Children()) {
				return o.fold(e)
			}
		}
		return e
	})
}

// readsClock reports whether a call depends on the time of the step.
func readsClock(e *logical.Call) bool {
	return clockFunctions[e.Func.Name] && (e.Func.Name != "unix_timestamp" || len(e.Args) == 0)
}

func constants(exprs []logical.Expr) bool {
	for _, e := range exprs {
		if i, ok := e.(*logical.Interval); ok {
			e = i.Value
		}
		if _, ok := e.(*logical.Literal); !ok {
			return false
		}
	}
	return true
}

func isBool(e logical.Expr, value bool) bool {
	lit, ok := e.(*logical.Literal)
	return ok && lit.Value == value
}

// foldLogic removes the operands of AND and OR that say nothing, and the others
// where one decides.
func (o *optimizer) foldLogic(e *logical.Call) (logical.Expr, bool) {
	if e.Func.Name != "and" && e.Func.Name != "or" {
		return nil, false
	}
	neutral := e.Func.Name == "and"
	var rest []logical.Expr
	for _, a := range e.Args {
		switch {
		case isBool(a, !neutral):
			return a, true
		case !isBool(a, neutral):
			rest = append(rest, a)
		}
	}
	switch {
	case len(rest) == len(e.Args):
		return nil, false
	case len(rest) == 0:
		return &logical.Literal{Value: neutral, T: types.TypeBool}, true
	case len(rest) == 1 && rest[0].Type().Kind == types.Bool:
		return rest[0], true
	}
	return nil, false
}

// fold is the constant that e gives, or e where that is an error. A quotient
// stays: what is computed of it sees more digits than its type shows.
func (o *optimizer) fold(e logical.Expr) logical.Expr {
	if logical.HasQuotient(e) {
		return e
	}
	compiled, err := (&exprCompiler{}).compile(e)
	if err != nil {
		return e
	}
	alloc := memory.NewGoAllocator()
	ctx := &kernel.Context{Alloc: alloc, Mode: kernel.Mode{Strict: true}, Now: time.Unix(0, 0).UTC(), Location: o.loc}
	v, err := compiled.Eval(ctx, &kernel.Batch{Rows: 1})
	if err != nil {
		return e
	}
	defer v.Release()
	if v.Errors.Len() != 0 || v.Array.Len() == 0 {
		return e
	}
	return &logical.Literal{Value: kernel.Value(v.Array, 0), T: e.Type()}
}

// simplifyCasts drops casts to the type that the operand has, and the inner one
// of two that both only widen integers.
func simplifyCasts(_ *optimizer, root logical.Node) logical.Node {
	return mapExprs(root, func(e logical.Expr) logical.Expr {
		c, ok := e.(*logical.Cast)
		if !ok {
			return e
		}
		if c.Arg.Type().Equal(c.T) {
			return c.Arg
		}
		if inner, ok := c.Arg.(*logical.Cast); ok && widens(inner.Arg.Type().Kind, inner.T.Kind) && widens(inner.T.Kind, c.T.Kind) {
			return &logical.Cast{Arg: inner.Arg, T: c.T, Null: c.Null, Implicit: c.Implicit}
		}
		return e
	})
}

func widens(from, to types.Kind) bool {
	return from.IsInteger() && to.IsInteger() && from.IsUnsigned() == to.IsUnsigned() && from.Bits() <= to.Bits()
}
