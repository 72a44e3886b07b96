package hive_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/sql/types"
)

func TestEscape(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := hive.Escape(text); got != want {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("plain-text_1.2 é~!@$&()+;<>|,`", "plain-text_1.2 é~!@$&()+;<>|,`")
	f("a/b=c", "a%2Fb%3Dc")
	f(`"#%'*:?\{[]^`, "%22%23%25%27%2A%3A%3F%5C%7B%5B%5D%5E")
	f("}", "}")
	f("\x00\x01\n\x1f\x7f", "%00%01%0A%1F%7F")
	f("2026-07-01 10:00:00", "2026-07-01 10%3A00%3A00")
	if got := hive.Component("a=b", ""); got != "a%3Db=__HIVE_DEFAULT_PARTITION__" {
		t.Error(got)
	}
	for text, want := range map[string]string{"100%": "100%", "%zz": "%zz", "%41": "A", "%4": "%4", "a%2": "a%2"} {
		if got := hive.Unescape(text); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzEscape compares with a slow escape and reads back.
func FuzzEscape(f *testing.F) {
	f.Add("a/b=c%")
	f.Fuzz(func(t *testing.T, text string) {
		var want strings.Builder
		for _, c := range []byte(text) {
			if c < 0x20 || strings.IndexByte("\"#%'*/:=?\\\x7f{[]^", c) >= 0 {
				fmt.Fprintf(&want, "%%%02X", c)
			} else {
				want.WriteByte(c)
			}
		}
		got := hive.Escape(text)
		if got != want.String() {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want.String())
		}
		if back := hive.Unescape(got); back != text {
			t.Errorf("Unescape(%q) = %q, want %q", got, back, text)
		}
	})
}

// FuzzFileName takes names apart that were put together.
func FuzzFileName(f *testing.F) {
	f.Add("my-stream-1", int64(1), int64(2), int64(3), int64(4))
	f.Add("a.parquet", int64(0), int64(0), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, stream string, generation, epoch, lane, n int64) {
		want := hive.FileName{Stream: hive.Safe(stream), Generation: max(generation, 0), Epoch: max(epoch, 0), Lane: max(lane, 0), N: max(n, 0)}
		for _, extension := range []string{".parquet", ".json", ".json.gz", ".json.zst", ".csv", ".csv.gz", ".csv.zst"} {
			name := want.String() + extension
			if got, ok := hive.ParseFileName(name); !ok || got != want {
				t.Errorf("%s: %+v, %v", name, got, ok)
			}
			if len(name) > 200 {
				t.Errorf("%s has %d bytes", name, len(name))
			}
		}
		hive.ParseFileName(stream)
	})
}

func TestPathCheck(t *testing.T) {
	schema := types.Schema{{Name: "id", Type: types.TypeInt64}, {Name: "k", Type: types.TypeText}, {Name: "l", Type: types.TypeText}}
	rows := []struct {
		k, l string
		ok   bool
	}{
		{"", "", true},
		{strings.Repeat("x", 253), "", true},
		{strings.Repeat("x", 254), "", false},
		{strings.Repeat("/", 84), "", true},   // 252 bytes and k=
		{strings.Repeat("/", 85), "", false},  // 255 and k=
		{strings.Repeat("é", 126), "", true},  // 252 bytes
		{strings.Repeat("é", 127), "", false}, // 254
		{"a\xff", "", false},
		{strings.Repeat("x", 253), strings.Repeat("x", 253), false}, // together too long here
		{"ok", strings.Repeat("y", 253), true},
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ids, k, l := array.NewInt64Builder(alloc), array.NewStringBuilder(alloc), array.NewStringBuilder(alloc)
	defer ids.Release()
	defer k.Release()
	defer l.Release()
	for i, r := range rows {
		ids.Append(int64(i))
		k.Append(r.k)
		l.Append(r.l)
	}
	columns := []arrow.Array{ids.NewArray(), k.NewArray(), l.NewArray()}
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	check := hive.NewPathCheck(schema, []int{1, 2}, 1024-200-400, nil)
	for _, sel := range [][]int32{nil, {0, 2, 8}} {
		rejected := map[int32]error{}
		check.Check(columns, len(rows), sel, func(row int32, err error) { rejected[row] = err })
		looked := map[int32]bool{}
		for i := range rows {
			looked[int32(i)] = sel == nil
		}
		for _, row := range sel {
			looked[row] = true
		}
		for i, r := range rows {
			if err := rejected[int32(i)]; (err == nil) != (r.ok || !looked[int32(i)]) {
				t.Errorf("row %d of %v: %v", i, sel, err)
			}
		}
	}
}
