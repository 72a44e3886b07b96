package lake_test

import (
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
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

// TestFiles_DuckDBSkips asks DuckDB what it learns from Bloom filters and the
// page index, and whether it still finds everything.
func TestFiles_DuckDBSkips(t *testing.T) {
	files := writeReadings(t, t.TempDir(), "bloom_filter_columns", "ID, sensor, amount", "byte_stream_split", "true")
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	file := strings.TrimPrefix(files[0], "file://")
	ask := func(query string) (n int) {
		t.Helper()
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	excludes := func(column, value string) int {
		t.Helper()
		return ask(fmt.Sprintf("SELECT count(*) FROM parquet_bloom_probe('%s', '%s', %s) WHERE bloom_filter_excludes", file, column, value))
	}
	from := fmt.Sprintf(" FROM read_parquet('%s') WHERE ", file)
	for _, row := range []int{0, 1, 777, readings - 1} {
		for column, value := range map[string]string{
			"id": fmt.Sprint("CAST(", row*10, " AS BIGINT)"), "sensor": fmt.Sprintf("'sensor-%d'", row), "amount": fmt.Sprintf("CAST(%d.25 AS DECIMAL(12,2))", row),
		} {
			probe := value
			if column == "amount" { // the probe wants decimals without their point, also in DuckDB's own files
				probe = fmt.Sprint(row*100 + 25)
			}
			if excludes(column, probe) != 0 {
				t.Errorf("the filter of %s excludes %s, which is there", column, probe)
			}
			if n := ask("SELECT count(*)" + from + column + " = " + value); n != 1 {
				t.Errorf("%s = %s finds %d rows", column, value, n)
			}
		}
	}
	absent := 0
	for i := range 50 {
		absent += excludes("id", fmt.Sprint("CAST(", i*10+5, " AS BIGINT)"))
		absent += excludes("sensor", fmt.Sprintf("'sensor-%d-'", i))
	}
	if absent < 90 {
		t.Errorf("%d of 100 absent values are excluded", absent)
	}
	if n := ask(fmt.Sprintf("SELECT count(*) FROM parquet_metadata('%s') WHERE bloom_filter_length > 0", file)); n != 3 {
		t.Errorf("%d columns have a filter, want 3", n)
	}
	if n := ask(fmt.Sprintf("SELECT count(*) FROM parquet_metadata('%s') WHERE encodings LIKE '%%BYTE_STREAM_SPLIT%%' AND path_in_schema = 'level'", file)); n != 1 {
		t.Error("the floats are not split by bytes")
	}
	if n := ask("SELECT count(*)" + from + "level BETWEEN 100 AND 101"); n != readings {
		t.Errorf("%d rows have their level", n)
	}
}

// readings is how many rows writeReadings writes.
const readings = 50_000

// writeReadings commits rows with an id of 0, 10, 20 …, a sensor, an amount and a
// level between 100 and 101, which is NULL never, and returns the files. Options
// are the stream's.
func writeReadings(t *testing.T, dir string, options ...string) (files []string) {
	t.Helper()
	sink := openSink(t, dir, nil)
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	spec := connectors.StreamSpec{Stream: "s1", Table: "readings", Lanes: 1, Options: c.StreamSpec.MustOptions(options...)}
	for _, column := range [][2]string{{"id", "BIGINT"}, {"sensor", "VARCHAR(40)"}, {"amount", "DECIMAL(12,2)"}, {"level", "DOUBLE"}} {
		typ, err := types.Parse(column[1])
		if err != nil {
			t.Fatal(err)
		}
		spec.Schema = append(spec.Schema, types.Column{Name: column[0], Type: typ})
	}
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	random := rand.New(rand.NewPCG(1, 1))
	for from := 0; from < readings; from += readings / 5 {
		b := array.NewRecordBuilder(memory.DefaultAllocator, spec.Schema.Arrow())
		for row := from; row < from+readings/5; row++ {
			b.Field(0).(*array.Int64Builder).Append(int64(row) * 10)
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("sensor-", row))
			b.Field(2).(*array.Decimal128Builder).Append(decimal128.FromI64(int64(row)*100 + 25))
			b.Field(3).(*array.Float64Builder).Append(100 + random.Float64())
		}
		batch := b.NewRecordBatch()
		if err := stream.Writer(0).Write(t.Context(), connectors.Delta{Batch: batch}); err != nil {
			t.Fatal(err)
		}
		batch.Release()
		b.Release()
	}
	one, err := stream.Writer(0).Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state.Epoch++
	if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
	tbl, err := sink.Lake().Table(t.Context(), "readings")
	if err != nil {
		t.Fatal(err)
	}
	planned, err := tbl.Plan(t.Context(), nil)
	if err != nil || len(planned) == 0 {
		t.Fatalf("%d files, %v", len(planned), err)
	}
	for _, f := range planned {
		files = append(files, f.Path)
	}
	return files
}

// TestStream_RefusesBloomColumns names the columns that there are.
func TestStream_RefusesBloomColumns(t *testing.T) {
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	sink := openSink(t, t.TempDir(), nil)
	spec := tripSpec("s1")
	spec.Options = c.StreamSpec.MustOptions("bloom_filter_columns", "id,town")
	_, err = sink.Stream(t.Context(), spec)
	if code(err) != sqlerror.CodeBadOption || !strings.Contains(err.Error(), "no column town, only id, city") {
		t.Errorf("%v", err)
	}
}
