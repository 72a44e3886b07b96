package operator

import "github.com/leatdb/leat/engine/kernel"

// Filter keeps the rows for which a predicate is true. It copies nothing: the
// rows that stay are a selection.
type Filter struct {
	Predicate kernel.Expr

	sel []int32
}

// Apply narrows the selection.
func (f *Filter) Apply(ctx *kernel.Context, r *rows) error {
	before := r.selected()
	sel, errs, err := kernel.Filter(ctx, f.Predicate, &r.Batch, f.sel[:0])
	if err != nil {
		return err
	}
	failed := len(r.failures)
	r.failAll(errs)
	r.filtered += before - len(sel) - (len(r.failures) - failed)
	f.sel, r.Sel = sel, sel
	return nil
}
