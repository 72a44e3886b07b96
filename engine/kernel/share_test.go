package kernel_test

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

// TestShared counts how often an expression is computed.
func TestShared(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	table := &functiontest.Table{Schema: types.Schema{{Name: "s", Type: types.TypeText}}, Rows: [][]any{{"a"}, {"b"}, {"c"}}}
	batch := table.Batch(alloc, false, 0)
	defer functiontest.Release(batch)
	calls := 0
	var failed *kernel.Errors
	s := kernel.Share(kernel.Call(func(ctx *kernel.Context, rows int, args []kernel.Vector, out types.Type) (kernel.Vector, error) {
		calls++
		v, err := kernel.FuncUpper(ctx, rows, args, out)
		v.Errors = failed
		return v, err
	}, types.TypeText, kernel.Column(0, types.TypeText)))
	f := func(what string, want int, steps ...func(ctx *kernel.Context)) {
		t.Helper()
		ctx := &kernel.Context{Alloc: alloc}
		calls = 0
		for _, step := range steps {
			step(ctx)
		}
		ctx.Forget()
		if calls != want {
			t.Errorf("%s: computed %d times, want %d", what, calls, want)
		}
	}
	eval := func(sel []int32) func(*kernel.Context) {
		return func(ctx *kernel.Context) {
			in := *batch
			in.Sel = sel
			v, err := s.Eval(ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			if got := kernel.Value(v.Array, 2); got != "C" {
				t.Errorf("row 2 is %v", got)
			}
			v.Release()
		}
	}
	remember := func(rows int) func(*kernel.Context) {
		return func(ctx *kernel.Context) { ctx.Remember(rows) }
	}
	f("one place", 2, remember(3), eval(nil), eval(nil))
	s.Again()
	f("two places", 1, remember(3), eval(nil), eval(nil))
	f("not told to", 2, eval(nil), eval(nil))
	f("forgotten", 2, remember(3), eval(nil), (*kernel.Context).Forget, remember(3), eval(nil))
	f("fewer rows after all", 1, remember(3), eval(nil), remember(2), eval([]int32{1, 2}), eval([]int32{2}))
	f("all rows after some", 2, remember(3), eval([]int32{1, 2}), eval(nil), eval([]int32{2}))
	f("warnings", 2, func(ctx *kernel.Context) { ctx.Warn = func(error) {} }, remember(3), eval(nil), eval(nil))
	failed = failed.Set(0, errors.New("failed"))
	f("failures", 2, remember(3), eval(nil), eval(nil))
}
