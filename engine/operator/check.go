package operator

import (
	"errors"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/kernel"
)

// Check lets values die whose rows the sink cannot land. It is the last operator
// of a pipeline.
type Check struct{ Rows connectors.RowCheck }

// Apply implements Operator.
func (c *Check) Apply(_ *kernel.Context, r *rows) error {
	checked := connectors.CheckedRows{Columns: r.Columns, N: r.Rows, Sel: r.Sel, Values: r.values, Position: r.position}
	c.Rows.Check(checked, func(row int32, err error) {
		class := connectors.ClassPartition
		if e, ok := errors.AsType[*connectors.RejectError](err); ok {
			class = e.Class
		}
		r.failures = append(r.failures, Failure{r.value(row), class, err})
	})
	return nil
}
