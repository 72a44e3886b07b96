package adhoc_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/sql/types"
)

// allTypes has a column of every type, and rows at the edges of each.
func allTypes(t testing.TB) *table {
	return newTable(t, "alltypes", `b BOOLEAN, i8 TINYINT, i16 SMALLINT, i32 INT, i64 BIGINT, u8 TINYINT UNSIGNED, u16 SMALLINT UNSIGNED,
		u32 INT UNSIGNED, u64 BIGINT UNSIGNED, f32 FLOAT, f64 DOUBLE, d DECIMAL(10,2), big DECIMAL(38,10), s VARCHAR(20), bin VARBINARY(20),
		day DATE, tim TIME(6), dt DATETIME(6), ts TIMESTAMP(6), j JSON`,
		[]any{true, int64(-128), int64(-32768), int64(-2147483648), int64(-9223372036854775808), uint64(255), uint64(65535),
			uint64(4294967295), uint64(18446744073709551615), 1.5, -2.25, "-12345678.90", "1234567890123456789012345678.0123456789", "naïve\n", []byte{0, 255},
			int64(19723), int64(86399999999), int64(1704067200123456), int64(1704067200123456), `{"a": [1, "x"]}`},
		[]any{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		[]any{false, int64(127), int64(32767), int64(2147483647), int64(9223372036854775807), uint64(0), uint64(0),
			uint64(0), uint64(0), 0.0, 0.0, "0.00", "0.0000000000", "", []byte{},
			int64(-719162), int64(0), int64(-62135596800000000), int64(0), `null`},
	)
}

func TestScan_AllTypes(t *testing.T) {
	e := openEngine(t, adhoc.Config{})
	tab := allTypes(t)
	columns := make([]int, len(tab.columns))
	for i := range columns {
		columns[i] = i
	}
	r, err := e.Scan(context.Background(), tab, columns, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Schema().Fields() {
		c, err := types.FromArrow(f)
		if err != nil || !c.Type.Equal(tab.Schema()[i].Type) || !arrow.TypeEqual(f.Type, c.Type.Arrow()) {
			t.Errorf("column %d is %s (%s), want %s", i, c.Type, f.Type, tab.Schema()[i].Type)
		}
	}
	equalRows(t, mustRows(t, r, nil),
		`true|-128|-32768|-2147483648|-9223372036854775808|255|65535|4294967295|18446744073709551615|1.5|-2.25|-12345678.9|`+
			`1234567890123456789012345678.0123456789|naïve`+"\n"+`|AP8=|2024-01-01|23:59:59.999999|2024-01-01T00:00:00.123456|2024-01-01T00:00:00.123456Z|{"a": [1, "x"]}`,
		strings.TrimSuffix(strings.Repeat("NULL|", 20), "|"),
		`false|127|32767|2147483647|9223372036854775807|0|0|0|0|0|0|0|0|||0001-01-01|00:00:00.000000|0001-01-01T00:00:00|1970-01-01T00:00:00Z|null`)
}

func TestScan_Predicates(t *testing.T) {
	e := openEngine(t, adhoc.Config{})
	tab := newTable(t, "t", "id BIGINT, s VARCHAR(9), u BIGINT UNSIGNED, d DECIMAL(6,2), ts TIMESTAMP(6), x VARBINARY(9)",
		[]any{int64(1), "a", uint64(1 << 63), "1.50", int64(0), []byte("a")},
		[]any{int64(2), "it's", uint64(5), "-1.50", int64(1704067200000000), []byte{0}},
		[]any{int64(3), nil, nil, nil, nil, nil})
	f := func(want string, where ...catalog.Predicate) {
		t.Helper()
		r, err := e.Scan(context.Background(), tab, []int{0}, where)
		if got := strings.Join(mustRows(t, r, err), ","); got != want {
			t.Errorf("%v: ids %s, want %s", where, got, want)
		}
	}
	f("1,2,3")
	f("2", catalog.Predicate{Column: 0, Op: catalog.OpEqual, Values: []any{int64(2)}})
	f("2,3", catalog.Predicate{Column: 0, Op: catalog.OpNotEqual, Values: []any{int64(1)}})
	f("2", catalog.Predicate{Column: 1, Op: catalog.OpEqual, Values: []any{"it's"}})
	f("1", catalog.Predicate{Column: 2, Op: catalog.OpGreaterEqual, Values: []any{uint64(1 << 63)}})
	f("1", catalog.Predicate{Column: 3, Op: catalog.OpGreater, Values: []any{"-1.50"}})
	f("2", catalog.Predicate{Column: 3, Op: catalog.OpLess, Values: []any{"0"}})
	f("1", catalog.Predicate{Column: 4, Op: catalog.OpLessEqual, Values: []any{int64(0)}})
	f("2", catalog.Predicate{Column: 4, Op: catalog.OpEqual, Values: []any{int64(1704067200000000)}})
	f("2", catalog.Predicate{Column: 5, Op: catalog.OpEqual, Values: []any{[]byte{0}}})
	f("1,3", catalog.Predicate{Column: 0, Op: catalog.OpIn, Values: []any{int64(1), int64(3)}})
	f("", catalog.Predicate{Column: 0, Op: catalog.OpIn})
	f("3", catalog.Predicate{Column: 1, Op: catalog.OpIsNull})
	f("1,2", catalog.Predicate{Column: 1, Op: catalog.OpIsNotNull})
	f("2", catalog.Predicate{Column: 1, Op: catalog.OpIsNotNull}, catalog.Predicate{Column: 0, Op: catalog.OpGreater, Values: []any{int64(1)}})

	for _, p := range []catalog.Predicate{{Column: 9}, {Column: 0, Op: catalog.OpEqual}, {Column: 0, Op: catalog.OpEqual, Values: []any{"x"}}} {
		if _, err := e.Scan(context.Background(), tab, []int{0}, []catalog.Predicate{p}); err == nil {
			t.Errorf("%v is taken", p)
		}
	}
	if _, err := e.Scan(context.Background(), tab, []int{6}, nil); err == nil {
		t.Error("column 6 of 6 is taken")
	}
}

// A file written before columns were added, renamed, widened and dropped reads
// as the schema is now.
func TestScan_EvolvedSchema(t *testing.T) {
	dir := t.TempDir()
	old := []column{{"id", "INT", 1}, {"name", "VARCHAR(9)", 2}, {"price", "DECIMAL(6,2)", 3}, {"gone", "INT", 4}, {"f", "FLOAT", 5}}
	now := []column{{"title", "VARCHAR(99)", 2}, {"id", "BIGINT", 1}, {"price", "DECIMAL(12,2)", 3}, {"added", "BIGINT UNSIGNED", 6}, {"f", "DOUBLE", 5}, {"gone", "DATE", 7}}
	tab := &table{name: "t", columns: now, files: []catalog.DataFile{
		writeParquet(t, filepath.Join(dir, "1.parquet"), old, [][]any{{int64(1), "one", "1.25", int64(7), 0.5}}),
		writeParquet(t, filepath.Join(dir, "2.parquet"), now, [][]any{{"two", int64(1 << 40), "1234567890.12", uint64(1 << 63), 0.1, int64(1)}}),
	}}
	e := openEngine(t, adhoc.Config{})
	r, err := e.Scan(context.Background(), tab, []int{0, 1, 2, 3, 4, 5}, nil)
	equalRows(t, mustRows(t, r, err),
		"one|1|1.25|NULL|0.5|NULL",
		"two|1099511627776|1234567890.12|9223372036854775808|0.1|1970-01-02")
	r, err = e.Scan(context.Background(), tab, []int{5, 3, 3}, []catalog.Predicate{{Column: 3, Op: catalog.OpIsNull}})
	equalRows(t, mustRows(t, r, err), "NULL|NULL|NULL")
}

func TestScan_EmptyTable(t *testing.T) {
	e := openEngine(t, adhoc.Config{})
	tab := newTable(t, "t", "id BIGINT, u BIGINT UNSIGNED, ts TIMESTAMP(3)")
	r, err := e.Scan(context.Background(), tab, []int{2, 1}, []catalog.Predicate{{Column: 0, Op: catalog.OpEqual, Values: []any{int64(1)}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Schema().Field(0).Type; !arrow.TypeEqual(got, types.TimestampArrow) {
		t.Errorf("ts is %s", got)
	}
	equalRows(t, mustRows(t, r, nil))
}

// A path is a name, whatever characters are in it.
func TestScan_OddPaths(t *testing.T) {
	e := openEngine(t, adhoc.Config{})
	dir := t.TempDir()
	columns := columnsOf("id BIGINT")
	for i, name := range []string{"x*.parquet", "xy.parquet", "[x]y.parquet", "?y.parquet", "it's 100%.parquet", "a%20b.parquet", "a b.parquet", `b\s.parquet`, "k=ü", "#1;--.parquet"} {
		path := filepath.Join(dir, name)
		f := writeParquet(t, path, columns, [][]any{{int64(i)}})
		for _, uri := range []string{f.Path, path, "file://localhost" + f.Path[len("file://"):]} {
			f.Path = uri
			r, err := e.Scan(context.Background(), &table{name: "t", columns: columns, files: []catalog.DataFile{f}}, []int{0}, nil)
			if got := mustRows(t, r, err); len(got) != 1 || got[0] != string(rune('0'+i)) {
				t.Errorf("%s: rows %v, want %d", uri, got, i)
			}
		}
	}
	for _, uri := range []string{"file://elsewhere/x.parquet", "s3://bucket/x.parquet", filepath.Join(dir, "none.parquet"), "a\x00b"} {
		tab := &table{name: "t", columns: columns, files: []catalog.DataFile{{Path: uri, Bytes: 1}}}
		r, err := e.Scan(context.Background(), tab, []int{0}, nil)
		if err == nil {
			_, err = rowsOf(r)
		}
		if err == nil {
			t.Errorf("%s is read", uri)
		}
	}
}

func TestScan_ThousandsOfFiles(t *testing.T) {
	dir := t.TempDir()
	columns := columnsOf("id BIGINT")
	first := writeParquet(t, filepath.Join(dir, "0.parquet"), columns, [][]any{{int64(1)}})
	data, err := os.ReadFile(filepath.Join(dir, "0.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	tab := &table{name: "t", columns: columns, files: []catalog.DataFile{first}}
	for i := 1; i < 3000; i++ {
		path := filepath.Join(dir, strings.Repeat("d", 100)+string(rune('a'+i%26))+"-"+strings.Repeat("x", i/26)[:min(i/26, 100)]+".parquet")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		tab.files = append(tab.files, catalog.DataFile{Path: path, Bytes: first.Bytes})
	}
	e := openEngine(t, adhoc.Config{})
	r, err := e.Scan(context.Background(), tab, []int{0}, nil)
	if got := mustRows(t, r, err); len(got) != 3000 {
		t.Errorf("%d rows, want 3000", len(got))
	}
}
