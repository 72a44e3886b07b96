package operator_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// TestPipeline_EveryValueFails: when all values of a flattening pipeline's first
// batch failed, the batch was computed again with all of them, for ever.
func TestPipeline_EveryValueFails(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	flatten, err := operator.NewFlatten(&logical.JSONTable{Path: "$[*]", Columns: []logical.JSONTableColumn{ordinality("n")}}, false)
	if err != nil {
		t.Fatal(err)
	}
	p := operator.NewPipeline(&kernel.Context{Alloc: mem}, []operator.Operator{
		&operator.Explode{Data: kernel.Column(0, types.TypeText), Flatten: flatten, Keep: []int{0}},
	}, types.Schema{{Name: "doc", Type: types.TypeText}, {Name: "n", Type: mustType("INT")}})
	f := func(rows, failures int, documents ...string) {
		t.Helper()
		column := texts(mem, documents...)
		defer column.Release()
		out, err := p.Run([]arrow.Array{column}, len(documents))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		defer out.Delta.Batch.Release()
		if out.Delta.Rows() != rows || len(out.Failures) != failures || out.Exploded != rows-(len(documents)-failures) {
			t.Errorf("%q: %d rows, %d failures, %d exploded, want %d rows, %d failures", documents, out.Delta.Rows(), len(out.Failures), out.Exploded, rows, failures)
		}
	}
	f(0, 2, "[1", "{")
	f(2, 1, "[1", "[1,2]")
	f(0, 1, "nothing")
}
