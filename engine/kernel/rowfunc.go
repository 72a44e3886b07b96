package kernel

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/sql/types"
)

// rowFunc evaluates row by row.
type rowFunc struct {
	eval func([]any) (any, error)
	out  types.Type
	args []Expr
	row  []any
}

// RowFunc calls a function once for each row that is wanted, with the Go values
// of a logical.Literal (DECIMAL as string); an error fails the row. newEval is
// called once: the expression belongs to one lane.
func RowFunc(newEval func() func(row []any) (any, error), out types.Type, args ...Expr) Expr {
	return &rowFunc{eval: newEval(), out: out, args: args, row: make([]any, len(args))}
}

func (r *rowFunc) Type() types.Type { return r.out }

func (r *rowFunc) Eval(ctx *Context, in *Batch) (Vector, error) {
	args := make([]Vector, 0, len(r.args))
	defer func() {
		for _, v := range args {
			v.Release()
		}
	}()
	var errs *Errors
	for _, a := range r.args {
		v, err := a.Eval(ctx, in)
		if err != nil {
			return Vector{}, err
		}
		errs = errs.merge(v.Errors)
		args = append(args, v)
	}
	constants := make([]any, len(args))
	for k, v := range args {
		if v.Const {
			constants[k] = Value(v.Array, 0)
		}
	}
	b := array.NewBuilder(ctx.Alloc, r.out.Arrow())
	defer b.Release()
	b.Reserve(in.Rows)
	next := 0
	for i := range in.Rows {
		if in.Sel != nil {
			if next == len(in.Sel) || int(in.Sel[next]) != i {
				b.AppendNull()
				continue
			}
			next++
		}
		if errs.Row(i) != nil {
			b.AppendNull()
			continue
		}
		for k, v := range args {
			if v.Const {
				r.row[k] = constants[k]
			} else {
				r.row[k] = Value(v.Array, i)
			}
		}
		result, err := r.eval(r.row)
		if err == nil {
			if err = AppendValue(b, result); err != nil {
				err = fmt.Errorf("result: %w", err)
			}
		}
		if err != nil {
			errs = errs.Set(i, err)
			b.AppendNull()
		}
	}
	clear(r.row)
	return Vector{Array: b.NewArray(), Errors: errs}, nil
}
