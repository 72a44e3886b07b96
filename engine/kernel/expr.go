package kernel

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// column is a column of the batch.
type column struct {
	index int
	t     types.Type
}

// Column reads column i of the batch.
func Column(i int, t types.Type) Expr { return &column{i, t} }

func (c *column) Type() types.Type { return c.t }

func (c *column) Eval(_ *Context, in *Batch) (Vector, error) {
	if c.index >= len(in.Columns) {
		return Vector{}, fmt.Errorf("read column %d of a batch of %d", c.index, len(in.Columns))
	}
	arr := in.Columns[c.index]
	if arr.Len() != in.Rows {
		return Vector{}, fmt.Errorf("column %d has %d rows in a batch of %d", c.index, arr.Len(), in.Rows)
	}
	if !holds(arr.DataType(), c.t) {
		return Vector{}, fmt.Errorf("column %d is %s, want %s for %s", c.index, arr.DataType(), c.t.Arrow(), c.t)
	}
	arr.Retain()
	return Vector{Array: arr}, nil
}

// holds reports whether arrays of an Arrow type hold a column's values: those of
// text may be dictionaries.
func holds(dt arrow.DataType, t types.Type) bool {
	if d, ok := dt.(*arrow.DictionaryType); ok && t.Kind == types.String {
		return d.IndexType.ID() == arrow.INT32 && d.ValueType.ID() == arrow.STRING
	}
	return arrow.TypeEqual(dt, t.Arrow())
}

// retyped is an expression of another type that has the same representation.
type retyped struct {
	Expr
	t types.Type
}

func (r *retyped) Type() types.Type { return r.t }

// constant is the same value in every row.
type constant struct {
	value any
	array arrow.Array
	t     types.Type
}

// Constant is a value of type t: nil, or the Go value of a logical.Literal. The
// error says that the value is not one of t.
func Constant(v any, t types.Type) (Expr, error) {
	b := array.NewBuilder(memory.NewGoAllocator(), t.Arrow())
	defer b.Release()
	if err := AppendValue(b, v); err != nil {
		return nil, fmt.Errorf("constant of type %s: %w", t, err)
	}
	return &constant{v, b.NewArray(), t}, nil
}

// nullConstant is the constant NULL of a type.
func nullConstant(t types.Type) Expr {
	return &constant{array: array.MakeArrayOfNull(memory.NewGoAllocator(), t.Arrow(), 1), t: t}
}

func (c *constant) Type() types.Type { return c.t }

func (c *constant) Eval(*Context, *Batch) (Vector, error) {
	c.array.Retain()
	return Vector{Array: c.array, Const: true}, nil
}

// ConstantValue is the Go value of a Constant, and whether e is one.
func ConstantValue(e Expr) (value any, ok bool) {
	if c, ok := e.(*constant); ok {
		return c.value, true
	}
	return nil, false
}

// interval is the number of an INTERVAL operand with its unit.
type interval struct {
	Expr
	unit Unit
}

// Interval is the operand INTERVAL value unit of date arithmetic; only the
// functions that take one know what to do with it.
func Interval(value Expr, unit string) (Expr, error) {
	u, err := ParseUnit(unit)
	if err != nil {
		return nil, err
	}
	return &interval{value, u}, nil
}

// IntervalUnit is the number and the unit of an Interval, and whether e is one.
func IntervalUnit(e Expr) (value Expr, unit Unit, ok bool) {
	if i, ok := e.(*interval); ok {
		return i.Expr, i.unit, true
	}
	return nil, 0, false
}

// call is a vectorised function with its arguments.
type call struct {
	f     Func
	out   types.Type
	args  []Expr
	quick bool
}

// Call applies f to its arguments, each row with a failed argument failing too.
// A call of constants is evaluated once per batch; one of a single dictionary
// column beside constants once per distinct value.
func Call(f Func, out types.Type, args ...Expr) Expr {
	c := &call{f: f, out: out, args: args, quick: fixedWidth(out)}
	for _, a := range args {
		c.quick = c.quick && fixedWidth(a.Type()) && isQuick(a)
	}
	return c
}

// isQuick reports whether evaluating e for a whole batch costs less than
// finding out for which rows it is needed.
func isQuick(e Expr) bool {
	switch e := e.(type) {
	case *column, *constant:
		return true
	case *interval:
		return isQuick(e.Expr)
	case *rounded:
		return isQuick(e.Expr)
	case *retyped:
		return isQuick(e.Expr)
	case *call:
		return e.quick
	case *Shared:
		return isQuick(e.Expr)
	}
	return false
}

func fixedWidth(t types.Type) bool { return !t.Kind.IsText() && t.Kind != types.Binary }

func (c *call) Type() types.Type { return c.out }

func (c *call) Eval(ctx *Context, in *Batch) (Vector, error) {
	mark := len(ctx.scratch.vectors)
	defer func() {
		for _, v := range ctx.scratch.vectors[mark:] {
			v.Release()
		}
		clear(ctx.scratch.vectors[mark:])
		ctx.scratch.vectors = ctx.scratch.vectors[:mark]
	}()
	for _, a := range c.args {
		v, err := a.Eval(ctx, in)
		if err != nil {
			return Vector{}, err
		}
		ctx.scratch.vectors = append(ctx.scratch.vectors, v)
	}
	args := ctx.scratch.vectors[mark:]

	var errs *Errors
	dictionaries, constants := 0, 0
	for i := range args {
		errs = errs.merge(args[i].Errors)
		args[i].Errors = nil
		switch {
		case args[i].Const:
			constants++
		case isDictionary(args[i].Array):
			dictionaries++
		}
	}
	var v Vector
	var err error
	switch {
	case constants == len(args):
		if errs != nil { // there is no value to compute with
			return Vector{Array: array.MakeArrayOfNull(ctx.Alloc, c.out.Arrow(), 1), Const: true, Errors: errs}, nil
		}
		if v, err = c.apply(ctx, 1, nil, args); err == nil {
			v.Const = true
			if failed := v.Errors.Row(0); failed != nil {
				v.Errors = &Errors{all: failed}
			}
		}
	case dictionaries == 1 && constants == len(args)-1:
		v, err = c.perDistinct(ctx, in, args)
	default:
		if dictionaries > 0 {
			if err := decodeAll(ctx, args); err != nil {
				return Vector{}, err
			}
		}
		v, err = c.apply(ctx, in.Rows, in.Sel, args)
	}
	if err != nil {
		return Vector{}, err
	}
	v.Errors = errs.merge(v.Errors)
	return v, nil
}

// apply calls the function with the selection where it can see it.
func (c *call) apply(ctx *Context, rows int, sel []int32, args []Vector) (Vector, error) {
	outer := ctx.sel
	ctx.sel = sel
	v, err := c.f(ctx, rows, args, c.out)
	ctx.sel = outer
	return v, err
}

// evaluated is an expression whose vector is known already. Evaluating it takes
// a reference; the failures go along with the first evaluation.
type evaluated struct {
	v Vector
	t types.Type
}

func (e *evaluated) Type() types.Type { return e.t }

func (e *evaluated) Eval(*Context, *Batch) (Vector, error) {
	v := e.v
	v.Array.Retain()
	e.v.Errors = nil
	return v, nil
}
