package planner

import (
	"errors"
	"fmt"
	"slices"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// errNoFunction says that the registry has no function, or none for these
// arguments; the expression is then evaluated row by row.
var errNoFunction = errors.New("no such function in the registry")

// bindCall makes a call of the first of names that the registry has, with the
// casts that MySQL makes by itself. It fails with errNoFunction where the
// registry cannot do it and with *sqlerror.Error where nothing can.
func bindCall(args []logical.Expr, names ...string) (logical.Expr, error) {
	var f *function.Function
	for _, name := range names {
		if found, ok := function.Lookup(name); ok {
			f = found
			break
		}
	}
	if f == nil || len(args) < f.MinArgs || f.MaxArgs >= 0 && len(args) > f.MaxArgs {
		return nil, errNoFunction
	}
	bound, err := f.Bind(describeArgs(args))
	if numbered, ok := hexNumbers(args, bound.Args); ok && err == nil {
		args = numbered
		bound, err = f.Bind(describeArgs(args))
	}
	if err != nil {
		if sqlerror.As(err) != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errNoFunction, err)
	}
	cast := make([]logical.Expr, len(args))
	for i, a := range args {
		cast[i] = coerce(a, bound.Args[i])
	}
	return &logical.Call{Func: f, Args: cast, T: bound.Result, Null: bound.Nullable}, nil
}

// hexNumbers makes numbers of the literals of bytes, 0xFF or X'FF', for which a
// function wants numbers: MySQL takes them as BIGINT UNSIGNED there, of their last
// eight bytes.
func hexNumbers(args []logical.Expr, wanted []types.Type) (numbered []logical.Expr, ok bool) {
	for i, a := range args {
		if i < len(wanted) && wanted[i].Kind.IsNumeric() && isHex(a) {
			if !ok {
				numbered, ok = slices.Clone(args), true
			}
			numbered[i] = hexNumber(a)
		}
	}
	return numbered, ok
}

func isHex(e logical.Expr) bool {
	l, ok := e.(*logical.Literal)
	if !ok {
		return false
	}
	_, ok = l.Value.([]byte)
	return ok
}

func hexNumber(e logical.Expr) logical.Expr {
	n := uint64(0)
	for _, b := range e.(*logical.Literal).Value.([]byte) {
		n = n<<8 | uint64(b)
	}
	return &logical.Literal{Value: n, T: types.TypeUint64}
}

func describeArgs(args []logical.Expr) []function.Arg {
	out := make([]function.Arg, len(args))
	for i, a := range args {
		out[i] = function.Arg{Type: a.Type(), Nullable: a.Nullable()}
		if interval, ok := a.(*logical.Interval); ok {
			out[i].Unit = interval.Unit
			a = interval.Value
		}
		if lit, ok := a.(*logical.Literal); ok {
			out[i].Literal, out[i].IsLiteral = lit.Value, true
		}
	}
	return out
}

// coerce is e as type t, by an implicit cast where the representation or the
// declared bounds differ.
func coerce(e logical.Expr, t types.Type) logical.Expr {
	if fits(e.Type(), t) {
		return e
	}
	switch x := e.(type) {
	case *logical.Interval:
		return &logical.Interval{Value: coerce(x.Value, t), Unit: x.Unit}
	case *logical.Literal:
		if x.Value == nil {
			return &logical.Literal{T: t}
		}
	}
	return &logical.Cast{Arg: e, T: t, Null: castNullable(e, t), Implicit: true}
}

// fits reports whether a value of one type is one of another without being
// touched.
func fits(from, to types.Type) bool {
	if from.Kind != to.Kind {
		return false
	}
	switch to.Kind {
	case types.Decimal:
		return from.Scale == to.Scale && from.Precision == to.Precision
	case types.String:
		return to.Length == 0 || from.Length > 0 && from.Length <= to.Length
	case types.Binary:
		return to.Name != "BINARY" && (to.Length == 0 || from.Length > 0 && from.Length <= to.Length) ||
			to.Name == from.Name && to.Length == from.Length
	case types.Time, types.DateTime, types.Timestamp:
		return from.Fsp <= to.Fsp
	}
	return true
}

// castNullable reports whether a cast can be NULL: a value that does not
// convert gives NULL where sql_mode is not strict.
func castNullable(e logical.Expr, t types.Type) bool {
	return e.Nullable() || !(t.Kind.IsNumeric() && e.Type().Kind.IsNumeric() || t.Kind == types.String)
}

// commonType is the type that CASE, VALUES and UNION give to values of several
// types.
func commonType(exprs ...logical.Expr) types.Type {
	all := make([]types.Type, len(exprs))
	for i, e := range exprs {
		all[i] = e.Type()
	}
	return function.Common(all...)
}
