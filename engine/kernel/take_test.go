package kernel_test

import (
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

func TestTake(t *testing.T) {
	table := functiontest.Sample(3, 150)
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	for _, dictionaries := range []bool{false, true} {
		batch := table.Batch(alloc, dictionaries, 9)
		for _, indices := range [][]int32{{}, {0}, {149, 3, 3, 0, 77}, {5, -1, 6, -1}, upTo(150), upTo(70)} {
			for k, column := range batch.Columns {
				got, err := kernel.Take(alloc, column, indices)
				if err != nil {
					t.Fatal(err)
				}
				if !arrow.TypeEqual(got.DataType(), column.DataType()) || got.Len() != len(indices) {
					t.Fatalf("column %s: %d rows of %s", table.Schema[k].Name, got.Len(), got.DataType())
				}
				nulls := 0
				for i, index := range indices {
					var want any
					if index >= 0 {
						want = kernel.Value(column, int(index))
					}
					if want == nil {
						nulls++
					}
					if v := kernel.Value(got, i); !reflect.DeepEqual(v, want) {
						t.Fatalf("column %s row %d: %v, want %v", table.Schema[k].Name, i, v, want)
					}
				}
				if got.NullN() != nulls {
					t.Errorf("column %s has %d NULLs, want %d", table.Schema[k].Name, got.NullN(), nulls)
				}
				got.Release()
			}
		}
		functiontest.Release(batch)
	}
	null := array.NewNull(3)
	got, err := kernel.Take(alloc, null, []int32{2, 2})
	if err != nil || got.Len() != 2 {
		t.Errorf("NULLs: %v, %v", got, err)
	}
	list := array.NewListBuilder(alloc, arrow.PrimitiveTypes.Int64)
	defer list.Release()
	list.AppendNull()
	lists := list.NewArray()
	defer lists.Release()
	if _, err := kernel.Take(alloc, lists, []int32{0}); err == nil {
		t.Error("no error for a list")
	}
}

func upTo(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

func TestValueAndAppendValue(t *testing.T) {
	f := func(ty types.Type, v, want any) {
		t.Helper()
		b := array.NewBuilder(memory.DefaultAllocator, ty.Arrow())
		defer b.Release()
		if err := kernel.AppendValue(b, v); err != nil {
			if want != "error" {
				t.Errorf("%v as %s: %v", v, ty, err)
			}
			return
		}
		arr := b.NewArray()
		defer arr.Release()
		if got := kernel.Value(arr, 0); !reflect.DeepEqual(got, want) {
			t.Errorf("%v as %s is %v (%T), want %v", v, ty, got, got, want)
		}
	}
	f(types.TypeBool, true, true)
	f(types.TypeBool, int64(3), true)
	f(types.Type{Kind: types.Int8}, int64(-128), int64(-128))
	f(types.Type{Kind: types.Int8}, int64(128), "error")
	f(types.Type{Kind: types.Uint16}, 65535, uint64(65535))
	f(types.Type{Kind: types.Uint16}, -1, "error")
	f(types.TypeInt64, uint64(1<<63), "error")
	f(types.TypeInt64, 2.0, int64(2))
	f(types.TypeInt64, 2.5, "error")
	f(types.TypeUint64, uint64(1<<64-1), uint64(1<<64-1))
	f(types.TypeFloat64, int64(3), 3.0)
	f(types.TypeFloat64, "1.5", 1.5)
	f(types.TypeFloat64, "x", "error")
	f(types.Type{Kind: types.Float32}, 0.5, 0.5)
	f(types.NewDecimal(5, 2), "123.45", "123.45")
	f(types.NewDecimal(5, 2), "-0.5", "-0.50")
	f(types.NewDecimal(5, 2), int64(7), "7.00")
	f(types.NewDecimal(5, 2), 1.25, "1.25")
	f(types.NewDecimal(5, 2), "1234.5", "error")
	f(types.NewDecimal(5, 2), "1.005", "error")
	f(types.NewDecimal(5, 2), "1x", "error")
	f(types.NewDecimal(38, 0), "-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999")
	f(types.TypeText, "text", "text")
	f(types.TypeText, []byte("bytes"), "bytes")
	f(types.TypeText, 5, "error")
	f(types.TypeBlob, "bytes", []byte("bytes"))
	f(types.TypeDate, int64(19782), int64(19782))
	f(types.TypeDateTime, int64(-1), int64(-1))
	f(types.TypeJSON, `{"a": 1}`, `{"a": 1}`)
	f(types.TypeInt64, nil, nil)
}

func TestConstantOfAnotherType(t *testing.T) {
	if _, err := kernel.Constant("x", types.TypeInt64); err == nil {
		t.Error("no error")
	}
	if _, err := kernel.Interval(nil, "FORTNIGHT"); err == nil {
		t.Error("no error")
	}
}

func TestExpand(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx := &kernel.Context{Alloc: alloc}
	f := func(v any, ty types.Type) {
		t.Helper()
		e, err := kernel.Constant(v, ty)
		if err != nil {
			t.Fatal(err)
		}
		vector, err := e.Eval(ctx, &kernel.Batch{Rows: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer vector.Release()
		for _, rows := range []int{0, 1, 100} {
			arr, err := kernel.Expand(ctx, vector, rows)
			if err != nil {
				t.Fatal(err)
			}
			if arr.Len() != rows {
				t.Errorf("%v: %d rows, want %d", v, arr.Len(), rows)
			}
			for i := range rows {
				if got := kernel.Value(arr, i); !reflect.DeepEqual(got, v) {
					t.Errorf("%v: row %d is %v", v, i, got)
				}
			}
			arr.Release()
		}
	}
	f(int64(5), types.TypeInt64)
	f("text", types.TypeText)
	f(nil, types.TypeText)
	f(nil, types.NewDecimal(5, 2))
	f(true, types.TypeBool)
	f("1.50", types.NewDecimal(5, 2))
	f([]byte("b"), types.TypeBlob)
}

// A column of another Arrow type than its own is refused, not misread.
func TestColumnOfAnotherType(t *testing.T) {
	ctx := &kernel.Context{Alloc: memory.DefaultAllocator}
	b := array.NewInt32Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(1)
	arr := b.NewArray()
	defer arr.Release()
	batch := &kernel.Batch{Columns: []arrow.Array{arr}, Rows: 1}
	for _, e := range []kernel.Expr{kernel.Column(0, types.TypeInt64), kernel.Column(0, types.TypeText), kernel.Column(1, types.TypeInt64)} {
		if _, err := e.Eval(ctx, batch); err == nil {
			t.Errorf("no error for %s", e.Type())
		}
	}
	batch.Rows = 2
	if _, err := kernel.Column(0, types.Type{Kind: types.Int32}).Eval(ctx, batch); err == nil {
		t.Error("no error for a batch of another length")
	}
}
