package kernel_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// mergePatch is JSON_MERGE_PATCH of documents.
func mergePatch(tb testing.TB, documents ...string) string {
	tb.Helper()
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(tb, 0)
	args := make([]kernel.Expr, len(documents))
	for i, d := range documents {
		var err error
		if args[i], err = kernel.Constant(d, types.TypeJSON); err != nil {
			tb.Fatal(err)
		}
	}
	r, err := kernel.Call(kernel.FuncJSONMergePatch, types.TypeJSON, args...).Eval(&kernel.Context{Alloc: alloc}, &kernel.Batch{Rows: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Release()
	return r.Array.ValueStr(0)
}

// patched is RFC 7396's own algorithm.
func patched(value, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	of, ok := value.(map[string]any)
	if !ok {
		of = map[string]any{}
	}
	for name, change := range changes {
		if change == nil {
			delete(of, name)
		} else {
			of[name] = patched(of[name], change)
		}
	}
	return of
}

// Documents of few names, among them such as are written longer than they are.
func TestJSONMergePatch_Random(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"a", "b", "aa", "\n", "\x01", "\"", "é", "ab", "zzz", "", "\\a"}
	var build func(depth int) any
	build = func(depth int) any {
		switch n := random.IntN(8); {
		case n == 0:
			return nil
		case depth > 0 && n < 6:
			object := map[string]any{}
			for range random.IntN(7) {
				object[names[random.IntN(len(names))]] = build(depth - 1)
			}
			return object
		case n == 6:
			return []any{nil, map[string]any{"a": nil}}
		}
		return random.IntN(100)
	}
	for range 3000 {
		var documents []string
		var want any
		for k := range 2 + random.IntN(2) {
			text, err := json.Marshal(build(3))
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, string(text))
			var value any
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatal(err)
			}
			if k == 0 {
				want = value
			} else {
				want = patched(want, value)
			}
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		normal, err := mysqljson.AppendNormal(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := mergePatch(t, documents...); got != string(normal) {
			t.Fatalf("%q give %s, want %s", documents, got, normal)
		}
	}
}

func BenchmarkJSONMergePatch(b *testing.B) {
	for _, n := range []int{4, 1000} {
		value, patch := map[string]any{}, map[string]any{}
		for i := range n {
			value[fmt.Sprint("member", i)] = i
			patch[fmt.Sprint("member", i+n/2)] = i
		}
		var documents [2]kernel.Expr
		for k, object := range []any{value, patch} {
			text, err := json.Marshal(object)
			if err != nil {
				b.Fatal(err)
			}
			if documents[k], err = kernel.Constant(string(text), types.TypeJSON); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ctx := &kernel.Context{Alloc: memory.NewGoAllocator()}
			call := kernel.Call(kernel.FuncJSONMergePatch, types.TypeJSON, documents[:]...)
			for b.Loop() {
				r, err := call.Eval(ctx, &kernel.Batch{Rows: 1})
				if err != nil {
					b.Fatal(err)
				}
				r.Release()
			}
		})
	}
}
