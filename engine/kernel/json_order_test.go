package kernel_test

import (
	"bytes"
	"cmp"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// TestJSONOrder has the keys of values compare as the values do.
func TestJSONOrder(t *testing.T) {
	ascending := []string{
		"null", "-1e308", "-10.5", "-10", "-9.99", "-1e-5", "0", "1e-7", "0.05", "0.5", "1", "1.25", "9", "10", "10.05", "100", "100.25", "18446744073709551615", "1e300", "1e308",
		`""`, `"a"`, `"a\u0000"`, `"a\u0001"`, `"ab"`, `"b"`, "{}", `{"a": 1}`, `{"a": 2}`, "[]", "[1]", "[1, 2]", "[2]", `["a"]`, "false", "true",
	}
	key := func(v string) []byte {
		alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer alloc.AssertSize(t, 0)
		c, err := kernel.Constant(v, types.TypeJSON)
		if err != nil {
			t.Fatal(err)
		}
		r, err := kernel.Call(kernel.FuncJSONOrder, types.TypeBlob, c).Eval(&kernel.Context{Alloc: alloc}, &kernel.Batch{Rows: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		return bytes.Clone(r.Array.(*array.Binary).Value(0))
	}
	for i, a := range ascending {
		for j, b := range ascending {
			if got, want := bytes.Compare(key(a), key(b)), cmp.Compare(i, j); got != want {
				t.Errorf("%s and %s compare as %d, want %d", a, b, got, want)
			}
		}
	}
	for _, same := range [][2]string{{"1", "1.0"}, {"100", "1e2"}, {"10.50", "10.5"}, {"0.050", "5e-2"}, {"0", "-0.0"}, {`{"a":1,"b":2}`, `{"b": 2, "a": 1}`}} {
		if !bytes.Equal(key(same[0]), key(same[1])) {
			t.Errorf("%s and %s differ", same[0], same[1])
		}
	}
}
