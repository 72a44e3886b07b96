package lake_test

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// typedColumn is a column with three values and NULL, and the text that DuckDB
// prints for them.
type typedColumn struct {
	declared string
	build    func(b array.Builder)
	want     []string
	duckdb   string // DuckDB's type
}

func allColumns() []typedColumn {
	return []typedColumn{
		{"BOOLEAN", func(b array.Builder) { b.(*array.BooleanBuilder).AppendValues([]bool{true, false, true}, nil) }, []string{"true", "false", "true"}, "BOOLEAN"},
		{"TINYINT", func(b array.Builder) { b.(*array.Int8Builder).AppendValues([]int8{-128, 0, 127}, nil) }, []string{"-128", "0", "127"}, "INTEGER"},
		{"SMALLINT UNSIGNED", func(b array.Builder) { b.(*array.Uint16Builder).AppendValues([]uint16{0, 1, 65535}, nil) }, []string{"0", "1", "65535"}, "INTEGER"},
		{"INT", func(b array.Builder) {
			b.(*array.Int32Builder).AppendValues([]int32{math.MinInt32, 0, math.MaxInt32}, nil)
		}, []string{"-2147483648", "0", "2147483647"}, "INTEGER"},
		{"INT UNSIGNED", func(b array.Builder) { b.(*array.Uint32Builder).AppendValues([]uint32{0, 1, math.MaxUint32}, nil) }, []string{"0", "1", "4294967295"}, "BIGINT"},
		{"BIGINT", func(b array.Builder) {
			b.(*array.Int64Builder).AppendValues([]int64{math.MinInt64, 0, math.MaxInt64}, nil)
		}, []string{"-9223372036854775808", "0", "9223372036854775807"}, "BIGINT"},
		{"BIGINT UNSIGNED", func(b array.Builder) {
			b.(*array.Uint64Builder).AppendValues([]uint64{0, 1 << 63, math.MaxUint64}, nil)
		}, []string{"0", "9223372036854775808", "18446744073709551615"}, "DECIMAL(20,0)"},
		{"FLOAT", func(b array.Builder) { b.(*array.Float32Builder).AppendValues([]float32{-1.5, 0, 3.25}, nil) }, []string{"-1.5", "0.0", "3.25"}, "FLOAT"},
		{"DOUBLE", func(b array.Builder) {
			b.(*array.Float64Builder).AppendValues([]float64{-1e300, math.Inf(1), math.NaN()}, nil)
		}, []string{"-1e+300", "inf", "nan"}, "DOUBLE"},
		{"DECIMAL(9,2)", decimals(-12345, 0, 999999999), []string{"-123.45", "0.00", "9999999.99"}, "DECIMAL(9,2)"},
		{"DECIMAL(18,4)", decimals(-12345, 0, 999999999999999999), []string{"-1.2345", "0.0000", "99999999999999.9999"}, "DECIMAL(18,4)"},
		{"DECIMAL(38,6)", decimals(-12345, 0, math.MaxInt64), []string{"-0.012345", "0.000000", "9223372036854.775807"}, "DECIMAL(38,6)"},
		{"VARCHAR(20)", func(b array.Builder) { b.(*array.StringBuilder).AppendValues([]string{"", "añb", "x'y\n"}, nil) }, []string{"", "añb", "x'y\n"}, "VARCHAR"},
		{"JSON", func(b array.Builder) { b.(*array.StringBuilder).AppendValues([]string{`{"a": 1}`, "[]", "null"}, nil) }, []string{`{"a": 1}`, "[]", "null"}, "VARCHAR"},
		{"BLOB", func(b array.Builder) {
			b.(*array.BinaryBuilder).AppendValues([][]byte{{}, {0, 255}, []byte("ab")}, nil)
		}, []string{"", `\x00\xFF`, "ab"}, "BLOB"},
		{"DATE", func(b array.Builder) { b.(*array.Date32Builder).AppendValues([]arrow.Date32{-1, 0, 19723}, nil) }, []string{"1969-12-31", "1970-01-01", "2024-01-01"}, "DATE"},
		{"TIME(6)", func(b array.Builder) { b.(*array.Time64Builder).AppendValues([]arrow.Time64{0, 1, 86399999999}, nil) }, []string{"00:00:00", "00:00:00.000001", "23:59:59.999999"}, "TIME"},
		{"DATETIME(6)", func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{-1, 0, 1704067200123456}, nil)
		}, []string{"1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2024-01-01 00:00:00.123456"}, "TIMESTAMP"},
		{"TIMESTAMP(3)", func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{-1000, 0, 1704067200123000}, nil)
		}, []string{"1969-12-31 23:59:59.999+00", "1970-01-01 00:00:00+00", "2024-01-01 00:00:00.123+00"}, "TIMESTAMP WITH TIME ZONE"},
	}
}

func decimals(values ...int64) func(array.Builder) {
	return func(b array.Builder) {
		for _, v := range values {
			b.(*array.Decimal128Builder).Append(decimal128.FromI64(v))
		}
	}
}

// TestFiles_DuckDB reads what the sink wrote with DuckDB: types, values, NULLs,
// and comparisons that its own statistics pruning must not get wrong.
func TestFiles_DuckDB(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	columns := allColumns()
	sink := openSink(t, t.TempDir(), nil)
	spec := tripSpec("s1")
	spec.Table, spec.Lanes, spec.Partition = "types", 1, nil
	spec.Schema = nil
	for i, c := range columns {
		typ, err := types.Parse(c.declared)
		if err != nil {
			t.Fatal(err)
		}
		spec.Schema = append(spec.Schema, types.Column{Name: fmt.Sprint("c", i), Type: typ})
	}
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	const times = 3000 // enough for dictionaries and several pages
	var arrays []arrow.Array
	for i, c := range columns {
		b := array.NewBuilder(alloc, spec.Schema[i].Type.Arrow())
		for range times {
			c.build(b)
			b.AppendNull()
		}
		arrays = append(arrays, b.NewArray())
		b.Release()
	}
	batch := array.NewRecordBatch(spec.Schema.Arrow(), arrays, 4*times)
	if err := stream.Writer(0).Write(t.Context(), connectors.Delta{Batch: batch}); err != nil {
		t.Fatal(err)
	}
	if err := stream.Writer(0).Write(t.Context(), connectors.Delta{Batch: batch, Sel: []int32{0, 1, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	batch.Release()
	for _, a := range arrays {
		a.Release()
	}
	one, err := stream.Writer(0).Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state.Epoch++
	if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
	tbl, err := sink.Lake().Table(t.Context(), "types")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range tbl.Schema() {
		if !c.Type.Equal(spec.Schema[i].Type) {
			t.Errorf("column %s is declared %s, want %s", c.Name, c.Type, spec.Schema[i].Type)
		}
	}
	files, err := tbl.Plan(t.Context(), nil)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("SET TimeZone = 'UTC'"); err != nil {
		t.Fatal(err)
	}
	from := " FROM read_parquet('" + strings.TrimPrefix(files[0].Path, "file://") + "')"
	for i, c := range columns {
		var kind string
		query := fmt.Sprintf("SELECT typeof(c%d)%s LIMIT 1", i, from)
		if err := db.QueryRow(query).Scan(&kind); err != nil || kind != c.duckdb {
			t.Errorf("%s is %s in DuckDB, %v, want %s", c.declared, kind, err, c.duckdb)
		}
		counts := map[string]int{}
		for _, w := range c.want {
			counts[w] += times + 1
		}
		nulls, err := countValues(db, fmt.Sprintf("SELECT coalesce(c%d::VARCHAR, 'NULL'), count(*), count(c%d)%s GROUP BY c%d", i, i, from, i), func(text string, n int) {
			if counts[text] != n {
				t.Errorf("%s: %q comes %d times, want %d", c.declared, text, n, counts[text])
			}
			delete(counts, text)
		})
		if err != nil {
			t.Errorf("%s: %v", c.declared, err)
			continue
		}
		delete(counts, "NULL")
		if nulls != times+1 || len(counts) > 0 {
			t.Errorf("%s: %d NULLs, missing %v", c.declared, nulls, counts)
		}
		if c.declared == "BLOB" {
			continue
		}
		for _, w := range c.want {
			var n int
			condition := fmt.Sprintf("c%d = %s::%s", i, "'"+strings.ReplaceAll(w, "'", "''")+"'", c.duckdb)
			if err := db.QueryRow("SELECT count(*)" + from + " WHERE " + condition).Scan(&n); err != nil || n%(times+1) != 0 || n == 0 {
				t.Errorf("%s: %s holds for %d rows, %v", c.declared, condition, n, err)
			}
		}
	}
}

// countValues reads rows of text, how often it comes, and 0 where it stands for
// NULL. It gives f the texts and returns how often NULL comes.
func countValues(db *sql.DB, query string, f func(text string, n int)) (nulls int, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var n, some int
		if err := rows.Scan(&text, &n, &some); err != nil {
			return 0, err
		}
		if some == 0 {
			nulls = n
			continue
		}
		f(text, n)
	}
	return nulls, rows.Err()
}
