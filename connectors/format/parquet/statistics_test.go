package parquet_test

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/sql/types"
)

// excluded says which row groups of a file predicates exclude.
func excluded(tb testing.TB, content []byte, o connectors.Options, predicates ...connectors.Predicate) []bool {
	tb.Helper()
	format, err := connectors.LookupFormat("parquet")
	if err != nil {
		tb.Fatal(err)
	}
	layout, err := format.Blocks(o, nil, predicates)
	if err != nil {
		tb.Fatal(err)
	}
	_, blocks, err := layout.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]bool, len(blocks))
	for i, b := range blocks {
		out[i] = b.Filtered
	}
	return out
}

// valuesOf are the values that the decoder gives of a chunk, as predicates have
// them; nil for NULL, none for dead letters.
func valuesOf(tb testing.TB, column types.Column, c *connectors.Chunk) (list []any) {
	tb.Helper()
	format, err := connectors.LookupFormat("parquet")
	if err != nil {
		tb.Fatal(err)
	}
	d, err := format.NewDecoder(connectors.DecoderConfig{
		Schema: types.Schema{column}, Fields: []connectors.Field{{Column: column, Path: []string{column.Name}}}, Alloc: memory.DefaultAllocator,
	})
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	d.Reset(c)
	for {
		out, err := d.Next(100)
		if err != nil {
			tb.Fatal(err)
		}
		if out == nil {
			return list
		}
		if out.Batch == nil || out.Batch.NumRows() == 0 {
			continue
		}
		a := out.Batch.Column(0)
		for row := range a.Len() {
			list = append(list, valueAt(tb, a, row))
		}
	}
}

func valueAt(tb testing.TB, a arrow.Array, row int) any {
	if a.IsNull(row) {
		return nil
	}
	switch a := a.(type) {
	case *array.Int8:
		return int64(a.Value(row))
	case *array.Int16:
		return int64(a.Value(row))
	case *array.Int32:
		return int64(a.Value(row))
	case *array.Uint32:
		return uint64(a.Value(row))
	case *array.Int64:
		return a.Value(row)
	case *array.Uint64:
		return a.Value(row)
	case *array.Float32:
		return float64(a.Value(row))
	case *array.Float64:
		return a.Value(row)
	case *array.Decimal128:
		return a.Value(row).ToString(a.DataType().(arrow.DecimalType).GetScale())
	case *array.Date32:
		return int64(a.Value(row))
	case *array.Timestamp:
		return int64(a.Value(row))
	case *array.String:
		return strings.Clone(a.Value(row))
	case *array.Dictionary:
		return valueAt(tb, a.Dictionary(), a.GetValueIndex(row))
	}
	tb.Fatalf("values of %s", a.DataType())
	return nil
}

func compareValues(tb testing.TB, kind types.Kind, a, b any) int {
	if kind == types.String {
		return strings.Compare(a.(string), b.(string))
	}
	number := func(v any) *big.Rat {
		n, ok := new(big.Rat).SetString(fmt.Sprint(v))
		if f, isFloat := v.(float64); isFloat {
			n, ok = new(big.Rat).SetFloat64(f), true
		}
		if !ok {
			tb.Fatalf("no number: %v", v)
		}
		return n
	}
	return number(a).Cmp(number(b))
}

func holds(tb testing.TB, p connectors.Predicate, v any) bool {
	switch {
	case p.Op == connectors.OpIsNull:
		return v == nil
	case v == nil:
		return false
	case p.Op == connectors.OpIsNotNull:
		return true
	}
	return slices.ContainsFunc(p.Values, func(c any) bool {
		d := compareValues(tb, p.Column.Type.Kind, v, c)
		switch p.Op {
		case connectors.OpLess:
			return d < 0
		case connectors.OpLessEqual:
			return d <= 0
		case connectors.OpGreater:
			return d > 0
		case connectors.OpGreaterEqual:
			return d >= 0
		}
		return d == 0
	})
}

// No row of an excluded row group fulfils the predicate, as the decoder gives its
// value; and where statistics can tell, row groups are excluded.
func TestStatistics_Reference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	batch, _ := record(r, 90)
	defer batch.Release()
	content := encode(t, batch, 3, compress.Codecs.Uncompressed)
	checkStatistics(t, r, content, []expectation{
		{"id BIGINT", yes}, {"ID BIGINT", yes}, {"id DECIMAL(30,2)", yes}, {"id DECIMAL(12,2)", yes}, {"small SMALLINT", yes}, {"small BIGINT", yes}, {"ul BIGINT UNSIGNED", yes},
		{"fare DOUBLE", yes}, {"name TEXT", yes}, {"name VARCHAR(10)", yes}, {"name CHAR(50)", yes},
		{"price DECIMAL(18,4)", yes}, {"price DECIMAL(12,1)", yes}, {"price DECIMAL(30,6)", yes}, {"day DATE", yes},
		{"ts3 TIMESTAMP(3)", yes}, {"ts3 TIMESTAMP", yes}, {"ts3 DATETIME", yes}, {"tsn DATETIME(6)", yes}, {"tsn DATETIME", yes}, {"tsn TIMESTAMP(3)", yes},
		{"small TINYINT", few}, {"ratio DOUBLE", no}, {"price DOUBLE", no}, {"day TIMESTAMP", no}, {"ts3 DATE", no}, {"data TEXT", no}, {"id TEXT", no}, {"missing INT", no}, {"id DOUBLE", no},
	})
}

// expectation says whether statistics can tell anything of a column; of few
// values it is chance.
type expectation struct {
	column string
	can    int
}

const (
	no = iota
	yes
	few
)

// checkStatistics compares what random predicates exclude with the rows that the
// decoder gives.
func checkStatistics(t *testing.T, r *rand.Rand, content []byte, columns []expectation) {
	t.Helper()
	for _, c := range columns {
		column := formattest.Schema(t, c.column)[0]
		list, err := chunks(t, content, []connectors.Field{{Column: column, Path: []string{column.Name}}})
		if err != nil {
			t.Fatal(err)
		}
		var rows [][]any
		var all []any
		for _, chunk := range list {
			values := valuesOf(t, column, chunk)
			rows = append(rows, values)
			for _, v := range values {
				if v != nil {
					all = append(all, v)
				}
			}
		}
		total := 0
		for range 12 {
			p := connectors.Predicate{Column: column, Op: connectors.PredicateOp(r.IntN(int(connectors.OpIsNotNull) + 1))}
			if p.Op < connectors.OpIsNull {
				if len(all) == 0 {
					continue
				}
				for range 1 + r.IntN(2)*int(1-min(1, p.Op)) {
					p.Values = append(p.Values, all[r.IntN(len(all))])
				}
			}
			for group, out := range excluded(t, content, connectors.Options{}, p) {
				if !out {
					continue
				}
				if p.Op < connectors.OpIsNull {
					total++
				}
				for _, v := range rows[group] {
					if holds(t, p, v) {
						t.Errorf("%s: row group %d with %v is excluded by %v", c.column, group, rows[group], p)
					}
				}
			}
		}
		if c.can != few && (c.can == yes) != (total > 0) {
			t.Errorf("%s: %d row groups were excluded", c.column, total)
		}
	}
}

// file writes a row group of each batch of values.
func file(t *testing.T, typ arrow.DataType, stats bool, groups ...func(array.Builder)) []byte {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ, Nullable: true}}, nil)
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(s, &out, pq.NewWriterProperties(pq.WithStats(stats)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for _, fill := range groups {
		b := array.NewRecordBuilder(memory.DefaultAllocator, s)
		fill(b.Field(0))
		batch := b.NewRecordBatch()
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
		batch.Release()
		b.Release()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestStatistics_Unclear(t *testing.T) {
	column := func(text string) types.Column { return formattest.Schema(t, text)[0] }
	doubles := func(values ...float64) func(array.Builder) {
		return func(b array.Builder) { b.(*array.Float64Builder).AppendValues(values, nil) }
	}
	nulls := func(n int) func(array.Builder) { return func(b array.Builder) { b.AppendNulls(n) } }
	f := func(content []byte, p connectors.Predicate, options connectors.Options, want string) {
		t.Helper()
		var got []string
		for _, out := range excluded(t, content, options, p) {
			got = append(got, map[bool]string{true: "out", false: "in"}[out])
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s of %s: %s, want %s", p, p.Column.Type, text, want)
		}
	}
	content := file(t, arrow.PrimitiveTypes.Float64, true, doubles(1, 2), doubles(math.NaN(), 5), doubles(math.NaN()), doubles(math.Inf(-1), 1), nulls(3), doubles(7, 8))
	greater := connectors.Predicate{Column: column("x DOUBLE"), Op: connectors.OpGreater, Values: []any{6.0}}
	f(content, greater, connectors.Options{}, "out out in in out in")
	notNull := greater
	notNull.Column.NotNull = true // NULLs are dead letters
	f(content, notNull, connectors.Options{}, "out out in in in in")
	f(content, connectors.Predicate{Column: column("x DOUBLE"), Op: connectors.OpIsNotNull}, connectors.Options{}, "in in in in out in")
	null := connectors.Predicate{Column: column("x DOUBLE"), Op: connectors.OpIsNull}
	f(content, null, connectors.Options{}, "out out out out in out")
	f(content, null, connectors.SourceOptions.MustOptions("on_field_error", "null"), "in in in in in in") // what does not fit is NULL
	f(file(t, arrow.PrimitiveTypes.Float64, false, doubles(1, 2)), greater, connectors.Options{}, "in")

	// Values that do not fit their column are dead letters, and stay so.
	whole := file(t, arrow.PrimitiveTypes.Int64, true, func(b array.Builder) { b.(*array.Int64Builder).AppendValues([]int64{1, 1 << 40}, nil) })
	f(whole, connectors.Predicate{Column: column("x INT"), Op: connectors.OpLess, Values: []any{int64(0)}}, connectors.Options{}, "in")
	f(whole, connectors.Predicate{Column: column("x BIGINT"), Op: connectors.OpLess, Values: []any{int64(0)}}, connectors.Options{}, "out")

	// Spaces at the end go in CHAR, and sort behind control characters.
	texts := file(t, arrow.BinaryTypes.String, true, func(b array.Builder) { b.(*array.StringBuilder).AppendValues([]string{"a ", "b"}, nil) },
		func(b array.Builder) { b.(*array.StringBuilder).AppendValues([]string{"a\t", "a  "}, nil) })
	f(texts, connectors.Predicate{Column: column("x CHAR(5)"), Op: connectors.OpEqual, Values: []any{"a"}}, connectors.Options{}, "in in")
	f(texts, connectors.Predicate{Column: column("x CHAR(5)"), Op: connectors.OpEqual, Values: []any{"c"}}, connectors.Options{}, "out out")

	// A nested value of the same name is another.
	nested := file(t, arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int64}), true, func(b array.Builder) {
		s := b.(*array.StructBuilder)
		s.Append(true)
		s.FieldBuilder(0).(*array.Int64Builder).Append(1)
	})
	f(nested, connectors.Predicate{Column: column("x BIGINT"), Op: connectors.OpGreater, Values: []any{int64(5)}}, connectors.Options{}, "in")
}
