package operator

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/engine/kernel"
)

// Limit passes on Count rows (−1: all) after the first Offset ones, over all
// batches. It gathers the selected rows, so that the operators above compute,
// and warn of, no others.
type Limit struct {
	Count, Offset int64

	passed, skipped int64
	indices         []int32
}

// Reached reports whether no more rows pass.
func (l *Limit) Reached() bool { return l.Count >= 0 && l.passed >= l.Count }

// Apply narrows the batch.
func (l *Limit) Apply(ctx *kernel.Context, r *rows) error {
	n := int64(r.selected())
	skip := min(l.Offset-l.skipped, n)
	pass := n - skip
	if l.Count >= 0 {
		pass = min(pass, l.Count-l.passed)
	}
	l.skipped += skip
	l.passed += pass
	if r.Sel == nil && pass == int64(r.Rows) {
		return nil
	}
	l.indices = l.indices[:0]
	for i := skip; i < skip+pass; i++ {
		row := int32(i)
		if r.Sel != nil {
			row = r.Sel[i]
		}
		l.indices = append(l.indices, row)
	}
	columns := make([]arrow.Array, len(r.Columns))
	for i, c := range r.Columns {
		taken, err := kernel.Take(ctx.Alloc, c, l.indices)
		if err != nil {
			return err
		}
		r.owned = append(r.owned, taken)
		columns[i] = taken
	}
	values := make([]int32, len(l.indices))
	for i, row := range l.indices {
		values[i] = r.value(row)
	}
	r.Columns, r.Rows, r.Sel, r.values = columns, len(l.indices), nil, values
	return nil
}
