package parquet_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	_ "github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/connectors/format/parquet"
	"github.com/leatdb/leat/sql/types"
)

var riderType = arrow.StructOf(
	arrow.Field{Name: "os", Type: arrow.BinaryTypes.String, Nullable: true},
	arrow.Field{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	arrow.Field{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true})

var testSchema = arrow.NewSchema([]arrow.Field{
	{Name: "id", Type: arrow.PrimitiveTypes.Int64},
	{Name: "Small", Type: arrow.PrimitiveTypes.Int16, Nullable: true},
	{Name: "ul", Type: arrow.PrimitiveTypes.Uint64},
	{Name: "flag", Type: arrow.FixedWidthTypes.Boolean},
	{Name: "ratio", Type: arrow.PrimitiveTypes.Float32},
	{Name: "fare", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "data", Type: arrow.BinaryTypes.Binary},
	{Name: "price", Type: &arrow.Decimal128Type{Precision: 18, Scale: 4}},
	{Name: "day", Type: arrow.FixedWidthTypes.Date32},
	{Name: "at", Type: arrow.FixedWidthTypes.Time64us},
	{Name: "ts3", Type: &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}},
	{Name: "tsn", Type: &arrow.TimestampType{Unit: arrow.Nanosecond}},
	{Name: "rider", Type: riderType, Nullable: true},
	{Name: "legs", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32), Nullable: true},
	{Name: "labels", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), Nullable: true},
}, nil)

// record makes rows, and the same as JSON texts.
func record(r *rand.Rand, rows int) (arrow.RecordBatch, []string) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, testSchema)
	defer b.Release()
	var texts []string
	for range rows {
		var members []string
		add := func(i int, text string) {
			members = append(members, fmt.Sprintf("%q:%s", testSchema.Field(i).Name, text))
		}
		word := func() string {
			return []string{"", "a", "night rider", "Zürich", "12", "2024-02-29", "a longer text with more than sixteen bytes"}[r.IntN(7)]
		}
		null := func(i int) bool {
			if r.IntN(4) > 0 {
				return false
			}
			b.Field(i).AppendNull()
			add(i, "null")
			return true
		}
		id := r.Int64() >> r.IntN(63)
		b.Field(0).(*array.Int64Builder).Append(id)
		add(0, fmt.Sprint(id))
		if !null(1) {
			b.Field(1).(*array.Int16Builder).Append(int16(id))
			add(1, fmt.Sprint(int16(id)))
		}
		b.Field(2).(*array.Uint64Builder).Append(uint64(-id))
		add(2, fmt.Sprint(uint64(-id)))
		b.Field(3).(*array.BooleanBuilder).Append(id%2 == 0)
		add(3, fmt.Sprint(id%2 == 0))
		ratio := float32(r.IntN(1000)) + 0.5
		b.Field(4).(*array.Float32Builder).Append(ratio)
		add(4, fmt.Sprint(ratio))
		if !null(5) {
			fare := float64(r.IntN(100000)) + 0.25
			b.Field(5).(*array.Float64Builder).Append(fare)
			add(5, fmt.Sprint(fare))
		}
		if !null(6) {
			s := word()
			b.Field(6).(*array.StringBuilder).Append(s)
			add(6, fmt.Sprintf("%q", s))
		}
		data := word()
		b.Field(7).(*array.BinaryBuilder).AppendString(data)
		add(7, fmt.Sprintf("%q", base64.StdEncoding.EncodeToString([]byte(data))))
		cents := r.Int64N(1e12)
		b.Field(8).(*array.Decimal128Builder).Append(decimal128.FromI64(cents))
		add(8, fmt.Sprintf("%d.%04d", cents/10000, cents%10000))
		moment := time.Unix(r.Int64N(4e9), r.Int64N(1e9)).UTC()
		b.Field(9).(*array.Date32Builder).Append(arrow.Date32FromTime(moment))
		add(9, moment.Format(`"2006-01-02"`))
		b.Field(10).(*array.Time64Builder).Append(arrow.Time64(moment.Sub(moment.Truncate(24 * time.Hour)).Microseconds()))
		add(10, moment.Format(`"15:04:05.000000"`))
		b.Field(11).(*array.TimestampBuilder).Append(arrow.Timestamp(moment.UnixMilli()))
		add(11, moment.Truncate(time.Millisecond).Format(`"2006-01-02 15:04:05.000000"`))
		b.Field(12).(*array.TimestampBuilder).Append(arrow.Timestamp(moment.UnixNano()))
		add(12, moment.Format(`"2006-01-02 15:04:05.000000"`))
		if !null(13) {
			s := b.Field(13).(*array.StructBuilder)
			s.Append(true)
			os, score, tags := "null", "null", "null"
			if r.IntN(3) == 0 {
				s.FieldBuilder(0).AppendNull()
			} else {
				w := word()
				s.FieldBuilder(0).(*array.StringBuilder).Append(w)
				os = fmt.Sprintf("%q", w)
			}
			if r.IntN(3) == 0 {
				s.FieldBuilder(1).AppendNull()
			} else {
				s.FieldBuilder(1).(*array.Float64Builder).Append(7.5)
				score = "7.5"
			}
			list := s.FieldBuilder(2).(*array.ListBuilder)
			if r.IntN(3) == 0 {
				list.AppendNull()
			} else {
				list.Append(true)
				var items []string
				for range r.IntN(3) {
					w := word()
					list.ValueBuilder().(*array.StringBuilder).Append(w)
					items = append(items, fmt.Sprintf("%q", w))
				}
				tags = "[" + strings.Join(items, ",") + "]"
			}
			add(13, fmt.Sprintf(`{"os":%s,"score":%s,"tags":%s}`, os, score, tags))
		}
		if !null(14) {
			list := b.Field(14).(*array.ListBuilder)
			list.Append(true)
			var items []string
			for range r.IntN(4) {
				n := r.Int32()
				list.ValueBuilder().(*array.Int32Builder).Append(n)
				items = append(items, fmt.Sprint(n))
			}
			add(14, "["+strings.Join(items, ",")+"]")
		}
		if !null(15) {
			m := b.Field(15).(*array.MapBuilder)
			m.Append(true)
			m.KeyBuilder().(*array.StringBuilder).Append("k")
			m.ItemBuilder().(*array.Int64Builder).Append(id)
			add(15, fmt.Sprintf(`{"k":%d}`, id))
		}
		texts = append(texts, "{"+strings.Join(members, ",")+"}")
	}
	return b.NewRecordBatch(), texts
}

// encode writes a file of row groups of up to groupRows rows.
func encode(tb testing.TB, batch arrow.RecordBatch, groupRows int64, codec compress.Compression, options ...pq.WriterProperty) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(batch.Schema(), &out, pq.NewWriterProperties(append(options, pq.WithCompression(codec), pq.WithMaxRowGroupLength(groupRows))...), pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		tb.Fatal(err)
	}
	for at := int64(0); at < batch.NumRows(); at += groupRows {
		part := batch.NewSlice(at, min(batch.NumRows(), at+groupRows))
		if err := w.Write(part); err != nil {
			tb.Fatal(err)
		}
		part.Release()
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// chunks are what a source reads of a file.
func chunks(tb testing.TB, content []byte, fields []connectors.Field) (list []*connectors.Chunk, err error) {
	tb.Helper()
	format, err := connectors.LookupFormat("parquet")
	if err != nil {
		tb.Fatal(err)
	}
	layout, err := format.Blocks(connectors.Options{}, fields, nil)
	if err != nil {
		tb.Fatal(err)
	}
	header, blocks, err := layout.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	base := int64(0)
	for i, b := range blocks {
		c := &connectors.Chunk{Header: header, Block: i, Ranges: b.Ranges, Base: base}
		for _, r := range b.Ranges {
			c.Data = append(c.Data, content[r.Offset:r.Offset+r.Length]...)
		}
		base += b.Rows
		list = append(list, c)
	}
	return list, nil
}

var testColumns = []string{
	"id BIGINT", "ID VARCHAR(20)", "small SMALLINT", "small TINYINT", "ul BIGINT UNSIGNED", "flag BOOLEAN", "flag TEXT", "ratio FLOAT", "ratio DOUBLE", "fare DOUBLE", "fare DECIMAL(10,2)",
	"name TEXT", "name VARCHAR(10)", "name DATE", "price DECIMAL(18,4)", "price DECIMAL(12,1)", "price DOUBLE", "day DATE", "day TIMESTAMP", "day TEXT", "at TIME(6)", "at TIME", "ts3 TIMESTAMP(3)", "ts3 DATE",
	"tsn DATETIME(6)", "tsn DATETIME", "rider JSON", "legs JSON", "labels JSON", "labels TEXT", "data JSON", "missing INT",
}

var testPaths = []string{"rider.os", "rider.score", "rider.tags", "rider.tags.[0]", "rider.nothing", "rider.os.x", "rider.[0].os", "legs.[1]", "labels.k", "labels.x", "id.[0]", "ts3", "price", "flag"}

func fields(tb testing.TB) (list []connectors.Field) {
	for _, c := range testColumns {
		column := formattest.Schema(tb, c)[0]
		list = append(list, connectors.Field{Column: column, Path: []string{column.Name}})
	}
	for _, p := range testPaths {
		for _, mode := range []connectors.FieldMode{connectors.FieldExtract, connectors.FieldUnquote} {
			list = append(list, connectors.Field{Column: types.Column{Name: p, Type: types.Type{Kind: types.String, Name: "LONGTEXT"}}, Path: strings.Split(p, "."), Mode: mode})
		}
	}
	return list
}

func decode(tb testing.TB, format string, field connectors.Field, list ...*connectors.Chunk) []string {
	tb.Helper()
	config := connectors.DecoderConfig{Schema: types.Schema{field.Column}, Fields: []connectors.Field{field}, Framing: connectors.FramingDocument}
	var lines []string
	for _, line := range formattest.Decode(tb, format, config, 100, list...) {
		if !strings.HasPrefix(line, "field ") { // where it lies among the others is not told
			lines = append(lines, line)
		}
	}
	return lines
}

// Every column and path of random rows is what the JSON format makes of the same
// rows as JSON, whatever the codec and the row groups.
func TestDecoder_Reference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	batch, texts := record(r, 500)
	defer batch.Release()
	for i, f := range fields(t) {
		content := encode(t, batch, []int64{64, 500}[i%2], []compress.Compression{compress.Codecs.Zstd, compress.Codecs.Snappy, compress.Codecs.Uncompressed, compress.Codecs.Gzip}[i%4])
		list, err := chunks(t, content, []connectors.Field{f})
		if err != nil {
			t.Fatal(err)
		}
		got, want := decode(t, "parquet", f, list...), decode(t, "json", f, formattest.Messages(texts...))
		if len(got) == 0 {
			t.Errorf("%v as %v: no rows", f.Path, f.Column.Type)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			bad := 0
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] && bad < 3 {
					bad++
					t.Errorf("%v as %v (mode %d): got %s, want %s", f.Path, f.Column.Type, f.Mode, got[i], want[i])
				}
			}
			if bad == 0 {
				t.Errorf("%v as %v (mode %d): %d rows, want %d", f.Path, f.Column.Type, f.Mode, len(got), len(want))
			}
		}
	}
}

// A column without a type, as pyarrow writes one that has no value, is NULL; it
// was the text "(null)".
func TestDecoder_NullType(t *testing.T) {
	inside := arrow.StructOf(arrow.Field{Name: "n", Type: arrow.Null, Nullable: true}, arrow.Field{Name: "i", Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.Null, Nullable: true}, {Name: "s", Type: inside, Nullable: true}}, nil))
	defer b.Release()
	for i := range 2 {
		b.Field(0).AppendNull()
		s := b.Field(1).(*array.StructBuilder)
		s.Append(true)
		s.FieldBuilder(0).AppendNull()
		s.FieldBuilder(1).(*array.Int64Builder).Append(int64(i))
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	content := encode(t, batch, 100, compress.Codecs.Snappy)
	f := func(column string, path []string, want ...string) {
		t.Helper()
		field := connectors.Field{Column: formattest.Schema(t, column)[0], Path: path}
		list, err := chunks(t, content, []connectors.Field{field})
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(t, "parquet", field, list...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", column, got, want)
		}
	}
	f("n INT", []string{"n"}, "(null)", "(null)")
	f("n INT", []string{"s", "n"}, "(null)", "(null)")
	f("s JSON", []string{"s"}, `{"n":null,"i":0}`, `{"n":null,"i":1}`)
}

// Only the column chunks of wanted fields are read.
func TestBlocks_Projection(t *testing.T) {
	batch, _ := record(rand.New(rand.NewPCG(1, 2)), 2000)
	defer batch.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(batch.Schema(), &out, pq.NewWriterProperties(pq.WithDictionaryDefault(false)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.NewBufferedRowGroup()
		for range 50 {
			if err := w.WriteBuffered(batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := out.Bytes()
	read := func(columns ...string) (n int) {
		var wanted []connectors.Field
		for _, c := range columns {
			wanted = append(wanted, connectors.Field{Path: strings.Split(c, ".")})
		}
		if columns == nil {
			wanted = []connectors.Field{}
		}
		list, err := chunks(t, content, wanted)
		if err != nil || len(list) != 2 || list[1].Base != 100_000 {
			t.Fatal(list, err)
		}
		for _, c := range list {
			n += len(c.Data)
		}
		return n
	}
	for _, test := range []struct {
		most    int
		columns []string
	}{{300_000, nil}, {300_000, []string{"flag"}}, {2_000_000, []string{"id"}}, {900_000, []string{"rider.score"}}, {300_000, []string{"nothing"}}} {
		if n := read(test.columns...); n > test.most {
			t.Errorf("%v reads %d of %d bytes", test.columns, n, len(content))
		}
	}
}

func TestInfer(t *testing.T) {
	batch, _ := record(rand.New(rand.NewPCG(1, 2)), 10)
	defer batch.Release()
	list, err := chunks(t, encode(t, batch, 100, compress.Codecs.Snappy), nil)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := parquet.Infer(list, connectors.DecoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "id BIGINT, Small SMALLINT, ul BIGINT UNSIGNED, flag BOOLEAN, ratio FLOAT, fare DOUBLE, name LONGTEXT, data LONGBLOB, price DECIMAL(18,4), day DATE, at TIME(6), " +
		"ts3 TIMESTAMP(3), tsn DATETIME(6), rider JSON, legs JSON, labels JSON"
	if got := formattest.Columns(schema); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A row that does not fit is a dead letter with its number and its values.
func TestDecoder_DeadLetter(t *testing.T) {
	batch, _ := record(rand.New(rand.NewPCG(1, 2)), 300)
	defer batch.Release()
	config := formattest.Config(t, "parquet", formattest.Schema(t, "id TINYINT", "flag BOOLEAN"))
	list, err := chunks(t, encode(t, batch, 100, compress.Codecs.Snappy), config.Fields)
	if err != nil {
		t.Fatal(err)
	}
	d, err := parquet.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ids := batch.Column(0).(*array.Int64)
	seen := 0
	for _, c := range list {
		d.Reset(c)
		for {
			out, err := d.Next(37)
			if err != nil {
				t.Fatal(err)
			}
			if out == nil {
				break
			}
			seen += len(out.Values)
			for _, r := range out.Rejected {
				raw, row, _ := out.Locate(r.Value)
				if want := fmt.Sprintf(`{"id":%d,"flag":`, ids.Value(int(row))); !strings.HasPrefix(string(raw), want) {
					t.Errorf("row %d: %s, want %s", row, raw, want)
				}
				seen++
			}
		}
	}
	if seen != 300 {
		t.Errorf("%d rows", seen)
	}
}

// FuzzFile changes a file in two places: nothing panics, and what is wrong is an
// error or a rejection. Pages that are not compressed are reached behind the footer.
func FuzzFile(f *testing.F) {
	batch, _ := record(rand.New(rand.NewPCG(1, 2)), 20)
	defer batch.Release()
	var files [][]byte
	for _, options := range [][]pq.WriterProperty{
		nil,
		{pq.WithDictionaryDefault(false)},
		{pq.WithDataPageVersion(pq.DataPageV2), pq.WithDictionaryDefault(false)},
		{pq.WithDataPageVersion(pq.DataPageV2)},
		{pq.WithVersion(pq.V1_0), pq.WithBatchSize(3), pq.WithDataPageSize(20)},
		{pq.WithDictionaryDefault(false), pq.WithEncodingFor("id", pq.Encodings.DeltaBinaryPacked), pq.WithEncodingFor("name", pq.Encodings.DeltaByteArray), pq.WithEncodingFor("data", pq.Encodings.DeltaLengthByteArray)},
	} {
		files = append(files, encode(f, batch, 10, compress.Codecs.Uncompressed, options...))
	}
	for _, codec := range []compress.Compression{compress.Codecs.Snappy, compress.Codecs.Gzip, compress.Codecs.Zstd, compress.Codecs.Brotli} {
		files = append(files, encode(f, batch, 10, codec))
	}
	columns := formattest.Schema(f, testColumns...)
	for kind, content := range files {
		f.Add(uint8(kind), uint8(0), len(content)-20, []byte("x"), 4, []byte("\x15"))
		for i := range columns {
			f.Add(uint8(kind), uint8(i), 40+i*(len(content)-80)/len(columns), []byte("\xff\xff\xff"), len(content)-100-20*i, []byte("\x00"))
		}
	}
	f.Fuzz(func(t *testing.T, kind, column uint8, at int, with []byte, and int, other []byte) {
		changed := bytes.Clone(files[int(kind)%len(files)])
		for at, with := range map[int][]byte{at: with, and: other} {
			if at < 0 || at >= len(changed) {
				return
			}
			copy(changed[at:], with)
		}
		var schema types.Schema
		for i := range 3 {
			schema = append(schema, columns[(int(column)+11*i)%len(columns)])
			schema[i].Name = fmt.Sprint("c", i)
		}
		config := formattest.Config(t, "parquet", schema)
		for i := range config.Fields {
			config.Fields[i].Path = []string{columns[(int(column)+11*i)%len(columns)].Name}
		}
		list, err := chunks(t, changed, config.Fields)
		if err != nil {
			return
		}
		// Not with an allocator that is checked: the library keeps what it had of a
		// damaged page with deltas.
		d, err := parquet.NewDecoder(config)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, c := range list {
			d.Reset(c)
			for {
				out, err := d.Next(100)
				if err != nil {
					t.Fatal(err)
				}
				if out == nil {
					break
				}
			}
		}
	})
}

// BenchmarkDecode reads all or two columns; MB/s are of Parquet.
func BenchmarkDecode(b *testing.B) {
	parquet.Spoil(false)
	defer parquet.Spoil(true)
	batch, _ := record(rand.New(rand.NewPCG(1, 2)), 50_000)
	defer batch.Release()
	content := encode(b, batch, 50_000, compress.Codecs.Snappy)
	for name, columns := range map[string][]string{
		"Flat": {"id BIGINT", "small SMALLINT", "ul BIGINT UNSIGNED", "flag BOOLEAN", "ratio FLOAT", "fare DOUBLE", "name TEXT", "price DECIMAL(18,4)", "day DATE", "ts3 TIMESTAMP(3)"},
		"Two":  {"id BIGINT", "price DECIMAL(18,4)"}, "Nested": {"rider JSON", "legs JSON"},
	} {
		b.Run(name, func(b *testing.B) {
			var wanted []connectors.Field
			for _, c := range formattest.Schema(b, columns...) {
				wanted = append(wanted, connectors.Field{Column: c, Path: []string{c.Name}})
			}
			list, err := chunks(b, content, wanted)
			if err != nil {
				b.Fatal(err)
			}
			formattest.Benchmark(b, "parquet", wanted, list[0], 50_000)
		})
	}
}
