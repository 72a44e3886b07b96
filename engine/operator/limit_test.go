package operator_test

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/sql/types"
)

func TestLimit(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	// f runs batches of two rows, and tells what passes and when it is reached.
	f := func(count, offset int64, want string) {
		t.Helper()
		limit := &operator.Limit{Count: count, Offset: offset}
		p := operator.NewPipeline(&kernel.Context{Alloc: mem}, []operator.Operator{limit}, types.Schema{{Name: "s", Type: types.TypeText}})
		got := ""
		for batch := range 3 {
			column := texts(mem, fmt.Sprint(2*batch), fmt.Sprint(2*batch+1))
			out, err := p.Run([]arrow.Array{column}, 2)
			if err != nil {
				t.Fatal(err)
			}
			values := out.Delta.Batch.Column(0).(*array.String)
			for i := range values.Len() {
				got += values.Value(i)
			}
			if limit.Reached() {
				got += "."
			}
			out.Delta.Batch.Release()
			p.Release()
			column.Release()
		}
		if got != want {
			t.Errorf("limit %d offset %d: %q, want %q", count, offset, got, want)
		}
	}
	f(-1, 0, "012345")
	f(-1, 3, "345")
	f(3, 0, "012..")
	f(2, 1, "12..")
	f(0, 0, "...")
	f(10, 4, "45")
}
