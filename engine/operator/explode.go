package operator

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/engine/kernel"
)

// Explode makes of each row the rows of a JSON_TABLE over one of its documents.
// The columns that later steps need stay beside the new ones.
type Explode struct {
	Data    kernel.Expr
	Flatten *Flatten
	// Keep lists the input columns that stay, in order; the table's follow.
	Keep []int

	values []int32
}

// Apply replaces the rows.
func (e *Explode) Apply(ctx *kernel.Context, r *rows) error {
	data, err := e.Data.Eval(ctx, &r.Batch)
	if err != nil {
		return err
	}
	defer data.Release()
	r.failAll(data.Errors)
	if len(r.failures) > 0 {
		// The batch is computed again without the failed values anyway.
		data.Errors = nil
	}
	parents, columns, errs, err := e.Flatten.Expand(ctx, data, r.Rows, r.Sel)
	if err != nil {
		return err
	}
	r.owned = append(r.owned, columns...)
	r.failAll(errs)
	out := make([]arrow.Array, 0, len(e.Keep)+len(columns))
	for _, k := range e.Keep {
		taken, err := kernel.Take(ctx.Alloc, r.Columns[k], parents)
		if err != nil {
			return err
		}
		r.owned = append(r.owned, taken)
		out = append(out, taken)
	}
	e.values = e.values[:0]
	for _, parent := range parents {
		e.values = append(e.values, r.value(parent))
	}
	r.Columns = append(out, columns...)
	r.Rows, r.Sel, r.values = len(parents), nil, append([]int32(nil), e.values...)
	return nil
}
