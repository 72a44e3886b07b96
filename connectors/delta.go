package connectors

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Delta is what flows between operators: rows, each with a weight. +1 is a row
// inserted, −1 one taken back; nil Weights mean +1 for all.
//
// A Delta lent to a function is valid until the function returns: its buffers
// are reused for the next step. Who keeps rows copies them.
type Delta struct {
	Batch   arrow.RecordBatch
	Weights *array.Int64
	// Sel lists, ascending, the rows of Batch that belong to the delta, so that a
	// filter copies nothing; nil means all. Weights and Values are indexed by
	// Batch's rows.
	Sel []int32
	// Values says for each row which decoded value of the chunk it was made
	// from, as an index into Decoded.Values: rows of one value land together or
	// not at all. Nil means row i is of value i.
	Values []int32
	// Position appends the place of a value, by its number in Values, within the
	// source: split@offset or the like, as a dead letter of it has it, and the same
	// whenever the source is read again. Nil where nobody knows.
	Position func(dst []byte, value int32) []byte
}

// Rows is how many rows the delta has.
func (d Delta) Rows() int {
	if d.Sel != nil {
		return len(d.Sel)
	}
	return int(d.Batch.NumRows())
}

// OnlyInserts is an error when the delta takes rows back, for sinks that cannot;
// target is what they write to, such as "a topic".
func (d Delta) OnlyInserts(stream, target string) error {
	if d.Weights == nil {
		return nil
	}
	weights := d.Weights.Int64Values()
	for i := range d.Rows() {
		row := i
		if d.Sel != nil {
			row = int(d.Sel[i])
		}
		if weights[row] != 1 {
			return sqlerror.Userf(sqlerror.CodeUnsupported, "stream %s takes rows back, which %s cannot", stream, target).
				WithHint("write a query that only adds rows")
		}
	}
	return nil
}
