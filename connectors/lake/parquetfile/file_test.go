package parquetfile_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// sink keeps a file in memory.
type sink struct{ bytes.Buffer }

func (s *sink) Write(_ context.Context, p []byte) error {
	_, err := s.Buffer.Write(p)
	return err
}

// kind is a column of every test: its Parquet column, the Arrow type that is
// written and the text of a value as it is read back.
type kind struct {
	column parquetfile.Column
	arrow  arrow.DataType
}

var dictionaryType = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

func kinds() []kind {
	column := func(name string, t parquetfile.Type) parquetfile.Column {
		return parquetfile.Column{Name: name, Type: t}
	}
	decimal := func(p, s int) parquetfile.Column {
		return parquetfile.Column{Name: fmt.Sprintf("dec%d_%d", p, s), Type: parquetfile.Decimal, Precision: p, Scale: s}
	}
	ts, tz := &arrow.TimestampType{Unit: arrow.Microsecond}, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	list := []kind{
		{column("bool", parquetfile.Boolean), arrow.FixedWidthTypes.Boolean},
		{column("i8", parquetfile.Int), arrow.PrimitiveTypes.Int8},
		{column("i16", parquetfile.Int), arrow.PrimitiveTypes.Int16},
		{column("u8", parquetfile.Int), arrow.PrimitiveTypes.Uint8},
		{column("u16", parquetfile.Int), arrow.PrimitiveTypes.Uint16},
		{column("i32", parquetfile.Int), arrow.PrimitiveTypes.Int32},
		{column("u32", parquetfile.Long), arrow.PrimitiveTypes.Uint32},
		{column("i64", parquetfile.Long), arrow.PrimitiveTypes.Int64},
		{column("i8_wide", parquetfile.Long), arrow.PrimitiveTypes.Int8},
		{column("i32_wide", parquetfile.Long), arrow.PrimitiveTypes.Int32},
		{decimal(20, 0), arrow.PrimitiveTypes.Uint64},
		{column("f32", parquetfile.Float), arrow.PrimitiveTypes.Float32},
		{column("f64", parquetfile.Double), arrow.PrimitiveTypes.Float64},
		{column("f32_wide", parquetfile.Double), arrow.PrimitiveTypes.Float32},
		{decimal(5, 2), &arrow.Decimal128Type{Precision: 5, Scale: 2}},
		{decimal(15, 3), &arrow.Decimal128Type{Precision: 15, Scale: 3}},
		{decimal(38, 10), &arrow.Decimal128Type{Precision: 38, Scale: 10}},
		{decimal(12, 2), &arrow.Decimal128Type{Precision: 8, Scale: 2}},
		{column("date", parquetfile.Date), arrow.FixedWidthTypes.Date32},
		{column("time", parquetfile.Time), arrow.FixedWidthTypes.Time64us},
		{column("ts", parquetfile.Timestamp), ts},
		{column("tz", parquetfile.TimestampTZ), tz},
		{column("str", parquetfile.String), arrow.BinaryTypes.String},
		{column("dict", parquetfile.String), dictionaryType},
		{column("bin", parquetfile.Binary), arrow.BinaryTypes.Binary},
	}
	for i := range list {
		list[i].column.ID = 101 + i
	}
	return list
}

// generator makes random arrays, from few distinct values or many.
type generator struct {
	*rand.Rand
	alloc    memory.Allocator
	distinct int     // 0: anything
	nulls    float64 // share
}

func (g *generator) pick() int64 {
	if g.distinct > 0 {
		return int64(g.IntN(g.distinct)) - int64(g.distinct/2)
	}
	switch g.IntN(8) {
	case 0:
		return math.MaxInt64
	case 1:
		return math.MinInt64
	}
	return int64(g.Uint64())
}

func (g *generator) text() string {
	if g.distinct > 0 {
		return fmt.Sprint("v", g.pick(), strings.Repeat("é", int(uint64(g.pick())%5)))
	}
	return strings.Repeat(fmt.Sprint(g.pick()), g.IntN(4)) + strings.Repeat("\u00ff𐍈", g.IntN(3))
}

func (g *generator) decimal(t *arrow.Decimal128Type) decimal128.Num {
	n := decimal128.New(g.pick()>>min(g.Int(), 3), g.Uint64())
	if g.distinct > 0 {
		n = decimal128.FromI64(g.pick() % 1000)
	}
	for !n.FitsInPrecision(t.Precision) {
		n, _ = n.Div(decimal128.FromI64(10))
	}
	return n
}

func (g *generator) array(t arrow.DataType, n int) arrow.Array {
	b := array.NewBuilder(g.alloc, t)
	defer b.Release()
	for range n {
		if g.Float64() < g.nulls {
			b.AppendNull()
			continue
		}
		switch b := b.(type) {
		case *array.BooleanBuilder:
			b.Append(g.pick()&1 == 1)
		case *array.Int8Builder:
			b.Append(int8(g.pick()))
		case *array.Int16Builder:
			b.Append(int16(g.pick()))
		case *array.Int32Builder:
			b.Append(int32(g.pick()))
		case *array.Int64Builder:
			b.Append(g.pick())
		case *array.Uint8Builder:
			b.Append(uint8(g.pick()))
		case *array.Uint16Builder:
			b.Append(uint16(g.pick()))
		case *array.Uint32Builder:
			b.Append(uint32(g.pick()))
		case *array.Uint64Builder:
			b.Append(uint64(g.pick()))
		case *array.Float32Builder:
			b.Append(float32(g.pick()) / 8)
		case *array.Float64Builder:
			b.Append(float64(g.pick()) / 8)
		case *array.Decimal128Builder:
			b.Append(g.decimal(t.(*arrow.Decimal128Type)))
		case *array.Date32Builder:
			b.Append(arrow.Date32(g.pick() % 1_000_000))
		case *array.Time64Builder:
			b.Append(arrow.Time64(uint64(g.pick()) % 86_400_000_000))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(g.pick() >> 5))
		case *array.StringBuilder:
			b.Append(g.text())
		case *array.BinaryBuilder:
			b.Append([]byte(g.text() + "\xff\x00"))
		case *array.BinaryDictionaryBuilder:
			if err := b.AppendString(g.text()); err != nil {
				panic(err)
			}
		default:
			panic(fmt.Sprintf("%T", b))
		}
	}
	return b.NewArray()
}

// text is a value in a form that does not depend on how wide its type is.
func text(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "NULL"
	}
	switch a := a.(type) {
	case *array.Decimal128:
		return a.Value(i).ToString(a.DataType().(*arrow.Decimal128Type).Scale)
	case *array.Float32:
		return fmt.Sprint(float64(a.Value(i)))
	case *array.Float64:
		return fmt.Sprint(a.Value(i))
	case *array.Dictionary:
		return text(a.Dictionary(), a.GetValueIndex(i))
	}
	return a.ValueStr(i)
}

// readBack gives the texts of each column of a file, by Arrow's reader.
func readBack(t *testing.T, data []byte) [][]string {
	t.Helper()
	tbl, err := pqarrow.ReadTable(t.Context(), bytes.NewReader(data), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatalf("read back: %v", err)
	}
	defer tbl.Release()
	columns := make([][]string, tbl.NumCols())
	for i := range columns {
		for _, chunk := range tbl.Column(i).Data().Chunks() {
			for row := range chunk.Len() {
				columns[i] = append(columns[i], text(chunk, row))
			}
		}
	}
	return columns
}

func newSchema(t testing.TB, list []kind, required bool) *parquetfile.Schema {
	t.Helper()
	columns := make([]parquetfile.Column, len(list))
	for i, k := range list {
		columns[i] = k.column
		columns[i].Required = required
	}
	s, err := parquetfile.NewSchema(columns)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writeColumn writes a file of one column with so many of the values in each
// page, all in one without pages.
func writeColumn(t *testing.T, column parquetfile.Column, options parquetfile.Options, values arrow.Array, pages ...int) ([]byte, parquetfile.Footer) {
	t.Helper()
	column.Name, column.ID = "c", 7
	schema, err := parquetfile.NewSchema([]parquetfile.Column{column})
	if err != nil {
		t.Fatal(err)
	}
	pool := &parquetfile.Pool{}
	encoder, err := parquetfile.NewEncoder(schema, pool, options)
	if err != nil {
		t.Fatal(err)
	}
	appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, pool)
	if err := appender.Bind([]arrow.Array{values}); err != nil {
		t.Fatal(err)
	}
	if pages == nil {
		pages = []int{values.Len()}
	}
	var out sink
	w := encoder.NewFile(&out)
	row := int32(0)
	for _, n := range pages {
		some := make([]int32, n)
		for i := range some {
			some[i] = row
			row++
		}
		appender.Append(rows, some)
		if err := w.WriteRows(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	footer, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), footer
}

// openFile opens a file with Arrow's reader.
func openFile(t *testing.T, data []byte) *file.Reader {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// firstChunk is what the footer of a file says of the first column's first chunk.
func firstChunk(t *testing.T, data []byte) *metadata.ColumnChunkMetaData {
	t.Helper()
	chunk, err := openFile(t, data).MetaData().RowGroup(0).ColumnChunk(0)
	if err != nil {
		t.Fatal(err)
	}
	return chunk
}

func float64s(v ...float64) arrow.Array {
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(v, nil)
	return b.NewArray()
}

func float32s(v ...float64) arrow.Array {
	b := array.NewFloat32Builder(memory.DefaultAllocator)
	defer b.Release()
	for _, f := range v {
		b.Append(float32(f))
	}
	return b.NewArray()
}

func int64s(v ...int64) arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(v, nil)
	return b.NewArray()
}

// TestFile_RoundTrip writes random batches in pages and row groups of random
// size and reads them with Arrow's reader.
func TestFile_RoundTrip(t *testing.T) {
	list := kinds()
	f := func(seed uint64, compression parquetfile.Compression) {
		t.Helper()
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), alloc: alloc}
		required := seed%4 == 0
		schema := newSchema(t, list, required)
		pool := &parquetfile.Pool{Most: 1 << 20}
		encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{Compression: compression, RowGroupBytes: 200_000, ByteStreamSplit: true, CreatedBy: "leat version 1"})
		if err != nil {
			t.Fatal(err)
		}
		appender := parquetfile.NewAppender(schema)
		rows := parquetfile.NewRows(schema, pool)
		var out sink
		w := encoder.NewFile(&out)
		want := make([][]string, len(list))
		total := 0
		for range 1 + g.IntN(10) {
			g.distinct = []int{0, 1, 3, 500, 20_000}[g.IntN(5)]
			if !required {
				g.nulls = []float64{0, 0, 0.02, 0.7, 1}[g.IntN(5)]
			}
			n := g.IntN(3000)
			columns := make([]arrow.Array, len(list))
			for i, k := range list {
				columns[i] = g.array(k.arrow, n+5)
				cut := array.NewSlice(columns[i], 3, int64(n+3))
				columns[i].Release()
				columns[i] = cut
			}
			if err := appender.Bind(columns); err != nil {
				t.Fatal(err)
			}
			var chosen []int32
			for row := range n {
				if g.IntN(10) > 0 {
					chosen = append(chosen, int32(row))
				}
			}
			for len(chosen) > 0 {
				some := chosen[:1+g.IntN(len(chosen))]
				chosen = chosen[len(some):]
				if g.IntN(2) == 0 {
					appender.Append(rows, some)
				} else {
					for i := range list {
						appender.AppendColumn(rows, i, some)
					}
					appender.Appended(rows, len(some))
				}
				for i := range list {
					for _, row := range some {
						want[i] = append(want[i], text(columns[i], int(row)))
					}
				}
				total += len(some)
				if g.IntN(3) == 0 {
					if err := w.WriteRows(t.Context(), rows); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, c := range columns {
				c.Release()
			}
		}
		if err := w.WriteRows(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		footer, err := w.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if footer.Bytes != int64(out.Len()) || footer.Rows != int64(total) {
			t.Errorf("seed %d: footer says %d bytes and %d rows, the file has %d and %d", seed, footer.Bytes, footer.Rows, out.Len(), total)
		}
		checkPageIndex(t, out.Bytes(), list, want)
		got := readBack(t, out.Bytes())
		for i, k := range list {
			if len(got[i]) != len(want[i]) {
				t.Fatalf("seed %d: column %s has %d values, want %d", seed, k.column.Name, len(got[i]), len(want[i]))
			}
			nulls := int64(0)
			for row := range want[i] {
				if got[i][row] != want[i][row] {
					t.Fatalf("seed %d: column %s row %d is %q, want %q", seed, k.column.Name, row, got[i][row], want[i][row])
				}
				if want[i][row] == "NULL" {
					nulls++
				}
			}
			stats := footer.Columns[i]
			if stats.ID != k.column.ID || stats.Values != int64(total) || stats.Nulls != nulls || total > 0 && stats.Bytes == 0 {
				t.Errorf("seed %d: column %s has statistics %+v, want %d values, %d NULL", seed, k.column.Name, stats, total, nulls)
			}
		}
	}
	codecs := []parquetfile.Compression{parquetfile.Zstd, parquetfile.None, parquetfile.Snappy, parquetfile.Gzip}
	for seed := range uint64(40) {
		f(seed, codecs[seed%4])
	}
}

// TestFile_Statistics compares what the footer says with Arrow's reading of it.
func TestFile_Statistics(t *testing.T) {
	f := func(t *testing.T, typ parquetfile.Type, arr arrow.Array, groups int, lower, upper string) {
		t.Helper()
		column := parquetfile.Column{Type: typ}
		if typ == parquetfile.Decimal {
			dt := arr.DataType().(*arrow.Decimal128Type)
			column.Precision, column.Scale = int(dt.Precision), int(dt.Scale)
		}
		var pages []int
		for i := range groups {
			pages = append(pages, (i+1)*arr.Len()/groups-i*arr.Len()/groups)
		}
		_, footer := writeColumn(t, column, parquetfile.Options{RowGroupBytes: 1}, arr, pages...)
		got := footer.Columns[0]
		if string(got.Lower) != lower || string(got.Upper) != upper {
			t.Errorf("%s: bounds are %q and %q, want %q and %q", typ, got.Lower, got.Upper, lower, upper)
		}
	}
	strs := func(v ...string) arrow.Array {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		for _, s := range v {
			if s == "NULL" {
				b.AppendNull()
			} else {
				b.Append(s)
			}
		}
		return b.NewArray()
	}
	decimals := func(precision int32, v ...int64) arrow.Array {
		b := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: precision, Scale: 2})
		defer b.Release()
		for _, n := range v {
			b.Append(decimal128.FromI64(n))
		}
		return b.NewArray()
	}
	long := func(v int64) string {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		return string(b)
	}
	double := func(v float64) string { return long(int64(math.Float64bits(v))) }
	f(t, parquetfile.Long, int64s(5, -3, 9, 7), 2, long(-3), long(9))
	f(t, parquetfile.Double, float64s(1, 2.5, -4, 0), 2, double(-4), double(2.5))
	f(t, parquetfile.Double, float64s(0, 0), 1, double(math.Copysign(0, -1)), double(0))
	// A NaN in one row group says nothing of the whole column.
	f(t, parquetfile.Double, float64s(1, 2, math.NaN(), 3), 2, "", "")
	f(t, parquetfile.Decimal, decimals(9, 5, -300), 1, "\xfe\xd4", "\x05")
	f(t, parquetfile.Decimal, decimals(18, 128, -128), 1, "\x80", "\x00\x80")
	f(t, parquetfile.Decimal, decimals(38, 5, -300, 70000), 3, "\xfe\xd4", "\x01\x11\x70")
	f(t, parquetfile.String, strs("b", "NULL", "a", "c"), 2, "a", "c")
	f(t, parquetfile.String, strs("NULL", "NULL"), 1, "", "")
	f(t, parquetfile.String, strs(""), 1, "", "")
	f(t, parquetfile.String, strs("NULL", "NULL", "x", "y"), 2, "x", "y")
	f(t, parquetfile.String, strs(strings.Repeat("ab", 20)), 1, strings.Repeat("ab", 8), strings.Repeat("ab", 7)+"ac")
	f(t, parquetfile.String, strs(strings.Repeat("\U0010ffff", 17)), 1, strings.Repeat("\U0010ffff", 16), "")
	f(t, parquetfile.String, strs(strings.Repeat("x", 15)+"\ud7ff\ud7ff"), 1, strings.Repeat("x", 15)+"\ud7ff", strings.Repeat("x", 15)+"\ue000")
	// Of strings that are too long the beginning counts.
	f(t, parquetfile.String, strs("a", "b", strings.Repeat("0", 2000), "c"), 2, strings.Repeat("0", 16), "c")
	f(t, parquetfile.String, strs("a", strings.Repeat("\U0010ffff", 500)), 2, "", "")
	f(t, parquetfile.Binary, strs(strings.Repeat("\x7e", 20)), 1, strings.Repeat("\x7e", 16), strings.Repeat("\x7e", 15)+"\x7f")
}

// TestFile_Encodings pins which encoding is chosen for which kind of data.
func TestFile_Encodings(t *testing.T) {
	const n = 20_000
	f := func(name, want string, value func(i int) int64) {
		t.Helper()
		values := make([]int64, n)
		for i := range values {
			values[i] = value(i)
		}
		data, _ := writeColumn(t, parquetfile.Column{Type: parquetfile.Long, Required: true}, parquetfile.Options{}, int64s(values...))
		if got := fmt.Sprint(firstChunk(t, data).Encodings()); !strings.Contains(got, want) {
			t.Errorf("%s: encodings %s, want %s", name, got, want)
		}
		got := readBack(t, data)[0]
		for i := range n {
			if got[i] != fmt.Sprint(values[i]) {
				t.Fatalf("%s: row %d is %s, want %d", name, i, got[i], values[i])
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	wild := make([]int64, n)
	for i := range wild {
		wild[i] = int64(random.Uint64())
	}
	f("constant", "RLE_DICTIONARY", func(int) int64 { return 42 })
	f("few", "RLE_DICTIONARY", func(i int) int64 { return int64(i * 7919 % 265) })
	f("runs", "RLE_DICTIONARY", func(i int) int64 { return int64(i / 1001) })
	f("rising", "DELTA_BINARY_PACKED", func(i int) int64 { return 1_700_000_000_000_000 + int64(i)*1000 + wild[i]%500 })
	f("random", "PLAIN", func(i int) int64 { return wild[i] })
}

// TestFile_FloatsSplitByBytes pins that floats are split by bytes where that is
// smaller, unless it is switched off or nothing is compressed.
func TestFile_FloatsSplitByBytes(t *testing.T) {
	const n = 20_000
	f := func(name, want string, options parquetfile.Options, typ parquetfile.Type, value func(i int) float64) {
		t.Helper()
		values := make([]float64, n)
		for i := range values {
			values[i] = value(i)
		}
		column := float64s(values...)
		if typ == parquetfile.Float {
			column = float32s(values...)
		}
		data, _ := writeColumn(t, parquetfile.Column{Type: typ}, options, column)
		if got := fmt.Sprint(firstChunk(t, data).Encodings()); !strings.Contains(got, want) {
			t.Errorf("%s: encodings %s, want %s", name, got, want)
		}
		for i, got := range readBack(t, data)[0] {
			if got != text(column, i) {
				t.Fatalf("%s: row %d is %s, want %s", name, i, got, text(column, i))
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	noise := make([]float64, n)
	for i := range noise {
		noise[i] = random.Float64()
	}
	smooth := func(i int) float64 { return 100 + noise[i] }
	f("smooth", "BYTE_STREAM_SPLIT", parquetfile.Options{ByteStreamSplit: true}, parquetfile.Double, smooth)
	f("smooth", "BYTE_STREAM_SPLIT", parquetfile.Options{ByteStreamSplit: true}, parquetfile.Float, smooth)
	f("switched off", "PLAIN", parquetfile.Options{}, parquetfile.Double, smooth)
	f("not compressed", "PLAIN", parquetfile.Options{Compression: parquetfile.None, ByteStreamSplit: true}, parquetfile.Double, smooth)
	f("few", "RLE_DICTIONARY", parquetfile.Options{ByteStreamSplit: true}, parquetfile.Double, func(i int) float64 { return float64(i%50) / 10 })
}

// TestFile_Widths writes numbers of every size, after smaller and before larger
// ones, so that they are packed by every count of bits and widened in buffers.
func TestFile_Widths(t *testing.T) {
	columns := []parquetfile.Column{
		{Name: "long", ID: 1, Type: parquetfile.Long}, {Name: "int", ID: 2, Type: parquetfile.Int},
		{Name: "decimal", ID: 3, Type: parquetfile.Decimal, Precision: 18, Scale: 0}, {Name: "unsigned", ID: 4, Type: parquetfile.Long},
		{Name: "small", ID: 5, Type: parquetfile.Long}, {Name: "code", ID: 6, Type: parquetfile.String},
	}
	schema, err := parquetfile.NewSchema(columns)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	appender := parquetfile.NewAppender(schema)
	pool := &parquetfile.Pool{Most: 1 << 20}
	encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{Compression: parquetfile.None})
	if err != nil {
		t.Fatal(err)
	}
	for size := range 64 {
		rows := parquetfile.NewRows(schema, pool)
		var out sink
		w := encoder.NewFile(&out)
		want := make([][]string, len(columns))
		add := func(size, n int) {
			long, whole := array.NewInt64Builder(memory.DefaultAllocator), array.NewInt32Builder(memory.DefaultAllocator)
			decimal := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 18})
			unsigned, small, code := array.NewUint32Builder(memory.DefaultAllocator), array.NewInt16Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
			for range n {
				v := int64(r.Uint64()) >> (63 - size) // of size bits and a sign
				long.Append(v)
				whole.Append(int32(v))
				decimal.Append(decimal128.FromI64(v % 1_000_000_000_000_000_000))
				unsigned.Append(uint32(v))
				small.Append(int16(v))
				code.Append(fmt.Sprint(uint16(v) & 0x3ff))
			}
			batch := []arrow.Array{long.NewArray(), whole.NewArray(), decimal.NewArray(), unsigned.NewArray(), small.NewArray(), code.NewArray()}
			if err := appender.Bind(batch); err != nil {
				t.Fatal(err)
			}
			var chosen []int32
			for row := range n {
				if row%7 > 0 {
					chosen = append(chosen, int32(row))
				}
			}
			appender.Append(rows, chosen)
			for i, a := range batch {
				for _, row := range chosen {
					want[i] = append(want[i], a.ValueStr(int(row)))
				}
			}
		}
		for page := range 4 {
			add(size/2, 100)
			add(size, 100+page*300)
			add(min(size+page*8, 63), 20)
			add(size/3, 50)
			if err := w.WriteRows(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, got := range readBack(t, out.Bytes()) {
			if !slices.Equal(got, want[i]) {
				t.Errorf("size %d: column %s differs", size, columns[i].Name)
			}
		}
	}
}

// TestFile_Strings writes strings of all lengths up to beyond what is copied by
// words, those that share prefixes and those that do not.
func TestFile_Strings(t *testing.T) {
	schema, err := parquetfile.NewSchema([]parquetfile.Column{{Name: "text", ID: 1, Type: parquetfile.String}})
	if err != nil {
		t.Fatal(err)
	}
	pool := &parquetfile.Pool{Most: 1 << 20}
	encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{Compression: parquetfile.None})
	if err != nil {
		t.Fatal(err)
	}
	f := func(seed uint64, prefix, longest int) {
		t.Helper()
		r := rand.New(rand.NewPCG(seed, 2))
		appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, pool)
		var out sink
		w := encoder.NewFile(&out)
		var want []string
		for range 3 {
			texts := array.NewStringBuilder(memory.DefaultAllocator)
			var chosen []int32
			for row := range int32(1200) {
				text := strings.Repeat("p", prefix)
				for range r.IntN(longest + 1) {
					text += string(rune('a' + r.IntN(26)))
				}
				texts.Append(text)
				if row%5 > 0 {
					chosen, want = append(chosen, row), append(want, text)
				}
			}
			if err := appender.Bind([]arrow.Array{texts.NewArray()}); err != nil {
				t.Fatal(err)
			}
			appender.Append(rows, chosen[:700])
			appender.Append(rows, chosen[700:])
			if err := w.WriteRows(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := readBack(t, out.Bytes())[0]; !slices.Equal(got, want) {
			t.Errorf("%d bytes after a prefix of %d: the strings differ", longest, prefix)
		}
	}
	for seed, longest := range []int{6, 15, 16, 17, 40, 63, 64, 65, 130} {
		for _, prefix := range []int{0, 3, 20, 70} {
			f(uint64(seed), prefix, longest)
		}
	}
}

func TestAppender_Refuses(t *testing.T) {
	f := func(typ parquetfile.Type, required bool, arr arrow.Array, want string) {
		t.Helper()
		schema, err := parquetfile.NewSchema([]parquetfile.Column{{Name: "c", ID: 1, Type: typ, Precision: 10, Scale: 2, Required: required}})
		if err != nil {
			t.Fatal(err)
		}
		err = parquetfile.NewAppender(schema).Bind([]arrow.Array{arr})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s from %s: %v, want %q", typ, arr.DataType(), err, want)
		}
	}
	g := &generator{Rand: rand.New(rand.NewPCG(1, 1)), alloc: memory.DefaultAllocator}
	f(parquetfile.Int, false, g.array(arrow.PrimitiveTypes.Int64, 3), "does not fit")
	f(parquetfile.Int, false, g.array(arrow.BinaryTypes.String, 3), "does not fit")
	f(parquetfile.Decimal, false, g.array(&arrow.Decimal128Type{Precision: 12, Scale: 2}, 3), "does not fit")
	f(parquetfile.Decimal, false, g.array(&arrow.Decimal128Type{Precision: 9, Scale: 3}, 3), "does not fit")
	f(parquetfile.Timestamp, false, g.array(&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, 3), "does not fit")
	f(parquetfile.TimestampTZ, false, g.array(&arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}, 3), "does not fit")
	f(parquetfile.String, false, g.array(arrow.PrimitiveTypes.Int64, 3), "does not fit")
	g.nulls = 1
	f(parquetfile.Long, true, g.array(arrow.PrimitiveTypes.Int64, 3), "NULL")
}

func TestFile_SinkFails(t *testing.T) {
	schema, err := parquetfile.NewSchema([]parquetfile.Column{{Name: "c", ID: 1, Type: parquetfile.Long}})
	if err != nil {
		t.Fatal(err)
	}
	pool := &parquetfile.Pool{}
	encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{RowGroupBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := encoder.NewFile(failing{})
	rows := parquetfile.NewRows(schema, pool)
	rows.AppendInt(0, 1)
	rows.EndRow()
	if err := w.WriteRows(t.Context(), rows); !errors.Is(err, errSink) {
		t.Errorf("WriteRows: %v", err)
	}
	if _, err := w.Finish(t.Context()); !errors.Is(err, errSink) {
		t.Errorf("Finish: %v", err)
	}
	w.Discard()
}

var errSink = errors.New("sink is full")

type failing struct{}

func (failing) Write(context.Context, []byte) error { return errSink }

// FuzzNumbers writes the bytes of its input as numbers and NULLs, in pages of
// any size, and reads them with Arrow's reader.
func FuzzNumbers(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(3), uint8(0))
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 300), uint8(200), uint8(5))
	f.Add(bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0x80}, 100), uint8(255), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, page, nulls uint8) {
		columns := []parquetfile.Column{
			{Name: "long", ID: 1, Type: parquetfile.Long}, {Name: "int", ID: 2, Type: parquetfile.Int}, {Name: "text", ID: 3, Type: parquetfile.Binary},
		}
		schema, err := parquetfile.NewSchema(columns)
		if err != nil {
			t.Fatal(err)
		}
		pool := &parquetfile.Pool{Most: 1 << 20}
		encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{RowGroupBytes: 4000})
		if err != nil {
			t.Fatal(err)
		}
		rows := parquetfile.NewRows(schema, pool)
		var out sink
		w := encoder.NewFile(&out)
		var want [3][]string
		for i := 0; i+8 <= len(data); i += 8 {
			v := int64(binary.LittleEndian.Uint64(data[i:]))
			for column := range columns {
				if nulls > 0 && (i/8+column)%int(nulls) == 0 {
					rows.AppendNull(column)
					want[column] = append(want[column], "NULL")
					continue
				}
				switch column {
				case 0:
					rows.AppendInt(0, v)
					want[0] = append(want[0], fmt.Sprint(v))
				case 1:
					rows.AppendInt(1, int64(int32(v)))
					want[1] = append(want[1], fmt.Sprint(int32(v)))
				case 2:
					text := data[i : i+1+int(data[i]%8)]
					rows.AppendBytes(2, text)
					want[2] = append(want[2], base64.StdEncoding.EncodeToString(text))
				}
			}
			rows.EndRow()
			if rows.Len() > int(page)*4 {
				if err := w.WriteRows(t.Context(), rows); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.WriteRows(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(want[0]) == 0 {
			return
		}
		for column, got := range readBack(t, out.Bytes()) {
			if !slices.Equal(got, want[column]) {
				t.Errorf("column %s is %q, want %q", columns[column].Name, got, want[column])
			}
		}
	})
}

// TestFile_LongStatistics checks the bounds of columns of long strings: within
// them lie all values, and they say whether they are values.
func TestFile_LongStatistics(t *testing.T) {
	type bound struct {
		low, high           string
		lowExact, highExact bool
	}
	f := func(kind parquetfile.Type, want *bound, values ...string) {
		t.Helper()
		b := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
		defer b.Release()
		for _, v := range values {
			b.Append([]byte(v))
		}
		arr := b.NewArray()
		defer arr.Release()
		data, _ := writeColumn(t, parquetfile.Column{Type: kind}, parquetfile.Options{}, arr, slices.Repeat([]int{1}, len(values))...)
		s, err := firstChunk(t, data).Statistics()
		if err != nil {
			t.Fatal(err)
		}
		var got *bound
		if s.HasMinMax() {
			raw := openFile(t, data).MetaData().RowGroups[0].Columns[0].MetaData.Statistics
			got = &bound{string(s.EncodeMin()), string(s.EncodeMax()), raw.IsMinValueExact == nil || *raw.IsMinValueExact, raw.IsMaxValueExact == nil || *raw.IsMaxValueExact}
			for _, v := range values {
				if v < got.low || v > got.high {
					t.Errorf("%.20q is not within %q and %q", v, got.low, got.high)
				}
			}
		}
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%.80q: got %+v, want %+v", values, got, want)
		}
	}
	a := strings.Repeat("a", 2000)
	f(parquetfile.String, &bound{a[:64], a[:63] + "b", false, false}, a)
	f(parquetfile.String, &bound{"A", a[:63] + "b", true, false}, "A", a)
	f(parquetfile.String, &bound{a[:64], "b", false, true}, "b", a)
	f(parquetfile.String, &bound{a[:64], a[:63] + "b", true, false}, a, a[:64])
	f(parquetfile.String, &bound{a[:64], a[:63] + "b", false, true}, a, a[:63]+"b")
	f(parquetfile.String, &bound{a[:1024], a[:1024], true, true}, a[:1024])
	// Characters stay whole.
	e := "x" + strings.Repeat("é", 1000)
	f(parquetfile.String, &bound{e[:63], e[:61] + "ê", false, false}, e)
	// There are no characters above the last.
	f(parquetfile.String, nil, "a", strings.Repeat("\U0010ffff", 500))
	f(parquetfile.String, &bound{"a", "a\uffff", true, false}, "a", "a\ufffe"+strings.Repeat("\U0010ffff", 500))
	f(parquetfile.Binary, nil, strings.Repeat("\xff", 2000))
	f(parquetfile.Binary, &bound{"\xfe" + strings.Repeat("\xff", 63), "\xff", false, false}, "\xfe"+strings.Repeat("\xff", 2000))
}

// TestFile_FloatStatistics pins what a chunk and its page index say of floats:
// zeros of both signs are within the bounds whichever the values have, and nothing
// is said where one is NaN, which some readers have above all and others nowhere.
func TestFile_FloatStatistics(t *testing.T) {
	negative, nan, inf := math.Copysign(0, -1), math.NaN(), math.Inf(1)
	// A page each; want has the bounds of the chunk, nil for none, then of the pages.
	f := func(want [][2]float64, pages ...[]float64) {
		t.Helper()
		var sizes []int
		for _, page := range pages {
			sizes = append(sizes, len(page))
		}
		values := slices.Concat(pages...)
		for _, typ := range []parquetfile.Type{parquetfile.Float, parquetfile.Double} {
			column := float64s(values...)
			if typ == parquetfile.Float {
				column = float32s(values...)
			}
			data, _ := writeColumn(t, parquetfile.Column{Type: typ}, parquetfile.Options{}, column, sizes...)
			for i, got := range readBack(t, data)[0] {
				if got != text(column, i) {
					t.Errorf("%v as %s: value %d is %s", values, typ, i, got)
				}
			}
			var got [][2]float64
			s, err := firstChunk(t, data).Statistics()
			if err != nil {
				t.Fatal(err)
			}
			if s.HasMinMax() {
				got = append(got, [2]float64{plainFloat(s.EncodeMin()), plainFloat(s.EncodeMax())})
			}
			indexes, err := openFile(t, data).GetPageIndexReader().RowGroup(0)
			if err != nil {
				t.Fatal(err)
			}
			index, err := indexes.GetColumnIndex(0)
			if err != nil {
				t.Fatal(err)
			}
			switch index := index.(type) {
			case *metadata.TypedColumnIndex[float32]:
				for i, low := range index.MinValues() {
					got = append(got, [2]float64{float64(low), float64(index.MaxValues()[i])})
				}
			case *metadata.TypedColumnIndex[float64]:
				for i, low := range index.MinValues() {
					got = append(got, [2]float64{low, index.MaxValues()[i]})
				}
			}
			// As texts, which tell the signs of zeros.
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v as %s has the bounds %v, want %v", pages, typ, got, want)
			}
		}
	}
	f([][2]float64{{-2, 3}, {-2, 1}, {0.5, 3}}, []float64{1, -2}, []float64{3, 0.5})
	f([][2]float64{{negative, 0}, {negative, 0}}, []float64{0})
	f([][2]float64{{negative, 0}, {negative, 0}}, []float64{negative})
	f([][2]float64{{negative, 3}, {negative, 0}, {1, 3}}, []float64{0}, []float64{1, 3})
	f([][2]float64{{-3, 0}, {-3, -1}, {negative, 0}}, []float64{-3, -1}, []float64{negative})
	f([][2]float64{{-inf, inf}, {-inf, 1}, {2, inf}}, []float64{-inf, 1}, []float64{2, inf})
	f(nil, []float64{nan})
	f(nil, []float64{1, 2}, []float64{3, nan})
	f(nil, []float64{nan, -inf}, []float64{3, inf})
}

func plainFloat(b []byte) float64 {
	if len(b) == 4 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// TestFile_NegativeZeroInDictionary writes zeros that Spark did not find: it takes a
// chunk whose dictionary has −0.0 for one without 0.0.
func TestFile_NegativeZeroInDictionary(t *testing.T) {
	negative := math.Copysign(0, -1)
	f := func(pages, dictionaries int, values ...float64) {
		t.Helper()
		for _, typ := range []parquetfile.Type{parquetfile.Float, parquetfile.Double} {
			column := float64s(values...)
			if typ == parquetfile.Float {
				column = float32s(values...)
			}
			data, _ := writeColumn(t, parquetfile.Column{Type: typ}, parquetfile.Options{}, column, slices.Repeat([]int{len(values) / pages}, pages)...)
			got := 0
			for _, s := range openFile(t, data).MetaData().RowGroups[0].Columns[0].MetaData.EncodingStats {
				if s.PageType.String() == "DATA_PAGE" && s.Encoding.String() == "RLE_DICTIONARY" {
					got += int(s.Count)
				}
			}
			if got != dictionaries {
				t.Errorf("%v as %s: %d pages by a dictionary, want %d", values, typ, got, dictionaries)
			}
			for i, got := range readBack(t, data)[0] {
				if got != text(column, i) {
					t.Errorf("%v as %s: value %d is %s", values, typ, i, got)
				}
			}
		}
	}
	f(2, 2, 0, 0, 1, 1, 0, 0, 1, 1)
	f(1, 0, negative, negative, negative, negative)
	f(1, 0, 0, negative, 0, negative, 1, 1, 1, 1)
	f(2, 1, 0, 0, 1, 1, 0, 0, 1, negative)
}
