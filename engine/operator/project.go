package operator

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/engine/kernel"
)

// Project replaces the columns by computed ones. It computes all rows of the
// batch, selected or not, so that columns stay aligned with the selection.
type Project struct {
	Exprs []kernel.Expr
}

// Apply computes the columns.
func (p *Project) Apply(ctx *kernel.Context, r *rows) error {
	columns := make([]arrow.Array, len(p.Exprs))
	for i, e := range p.Exprs {
		v, err := e.Eval(ctx, &r.Batch)
		if err != nil {
			return err
		}
		r.failAll(v.Errors)
		column := v.Array
		if v.Const {
			column, err = kernel.Expand(ctx, v, r.Rows)
			v.Release()
			if err != nil {
				return err
			}
		}
		r.owned = append(r.owned, column)
		columns[i] = column
	}
	r.Columns = columns
	return nil
}
