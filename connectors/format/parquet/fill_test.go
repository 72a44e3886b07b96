package parquet_test

import (
	"bytes"
	"fmt"
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
	"github.com/leatdb/leat/connectors/format/parquet"
	"github.com/leatdb/leat/sql/types"
)

// Columns that are filled whole give what rows that are taken one by one give, also
// where some are rejected, and where batches are shorter than what is read at once.
func TestFill_Differential(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	batch, _ := record(r, 1500)
	defer batch.Release()
	content := encode(t, batch, 700, compress.Codecs.Snappy)
	plain := encode(t, batch, 700, compress.Codecs.Snappy, pq.WithDictionaryDefault(false))
	more := moreRecord(r, 1500)
	defer more.Release()
	moreContent := encode(t, more, 700, compress.Codecs.Uncompressed)
	some := fields(t)
	for _, c := range formattest.Schema(t, "small SMALLINT NOT NULL", "id INT", "name CHAR(11)", "name ENUM('a','12')", "name VARCHAR(3)", "day DATETIME", "ts3 DATETIME", "tsn TIMESTAMP(3)",
		"ul BIGINT", "price DECIMAL(18,6)", "price DECIMAL(9,4)", "fare DOUBLE NOT NULL", "flag INT", "missing INT NOT NULL", "data VARBINARY(30)", "data TEXT") {
		some = append(some, connectors.Field{Column: c, Path: []string{c.Name}})
	}
	var others []connectors.Field
	for _, c := range formattest.Schema(t, "i8 INT", "i8 BIGINT NOT NULL", "i16 BIGINT", "i32 INT", "i32 SMALLINT", "u8 TINYINT UNSIGNED", "u16 INT", "u32 INT UNSIGNED", "u32 BIGINT", "b BOOLEAN", "us TIMESTAMP(6)",
		"us TIMESTAMP(3)", "us DATETIME", "far DATETIME(6)", "s DATETIME", "s TIMESTAMP(6)", "in.x DOUBLE", "in.t VARCHAR(20)", "in.n INT", "in.m DATETIME(6) NOT NULL") {
		others = append(others, connectors.Field{Column: c, Path: strings.Split(c.Name, ".")})
	}
	for _, path := range []string{"in.x", "in.t"} {
		others = append(others, connectors.Field{Column: types.Column{Name: path, Type: types.TypeText}, Path: strings.Split(path, "."), Mode: connectors.FieldUnquote})
	}
	for i := range 200 {
		content, some := content, some
		switch i % 4 {
		case 1, 3:
			content, some = moreContent, others
		case 2:
			content = plain
		}
		var chosen []connectors.Field
		for range 1 + r.IntN(6) {
			f := some[r.IntN(len(some))]
			if f.Mode == connectors.FieldUnquote && (f.Path[len(f.Path)-1] == "score" || f.Path[len(f.Path)-1] == "x") {
				f.Cast = types.TypeFloat64
			}
			chosen = append(chosen, f)
		}
		config := connectors.DecoderConfig{Fields: chosen, OnFieldError: connectors.OnFieldError(r.IntN(2))}
		list, err := chunks(t, content, chosen)
		if err != nil {
			t.Fatal(err)
		}
		maxRows := []int{90, 256, 1000, 8192}[r.IntN(4)]
		if formattest.CompareGeneric(t, parquet.NewDecoder, config, maxRows, list...); t.Failed() {
			t.Fatalf("columns %+v", chosen)
		}
	}
}

// moreRecord makes rows of types that testSchema lacks, with a part that is never
// NULL but where what it is a part of is.
func moreRecord(r *rand.Rand, rows int) arrow.RecordBatch {
	inside := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64}, arrow.Field{Name: "t", Type: arrow.BinaryTypes.String}, arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		arrow.Field{Name: "m", Type: arrow.FixedWidthTypes.Timestamp_ms})
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "i8", Type: arrow.PrimitiveTypes.Int8, Nullable: true}, {Name: "i16", Type: arrow.PrimitiveTypes.Int16}, {Name: "i32", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "u8", Type: arrow.PrimitiveTypes.Uint8, Nullable: true}, {Name: "u16", Type: arrow.PrimitiveTypes.Uint16}, {Name: "u32", Type: arrow.PrimitiveTypes.Uint32},
		{Name: "b", Type: arrow.FixedWidthTypes.Boolean, Nullable: true}, {Name: "us", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true}, {Name: "far", Type: arrow.FixedWidthTypes.Timestamp_ms},
		{Name: "s", Type: arrow.FixedWidthTypes.Timestamp_ms, Nullable: true}, {Name: "in", Type: inside, Nullable: true}}, nil))
	defer b.Release()
	for row := range rows {
		null := func(i int) bool {
			if row < 300 || r.IntN(5) > 0 { // the first batches have none
				return false
			}
			b.Field(i).AppendNull()
			return true
		}
		if !null(0) {
			b.Field(0).(*array.Int8Builder).Append(int8(r.Uint32()))
		}
		b.Field(1).(*array.Int16Builder).Append(int16(r.Uint32()))
		if !null(2) {
			b.Field(2).(*array.Int32Builder).Append(int32(r.Uint32()) >> r.IntN(32))
		}
		if !null(3) {
			b.Field(3).(*array.Uint8Builder).Append(uint8(r.Uint32()))
		}
		b.Field(4).(*array.Uint16Builder).Append(uint16(r.Uint32()))
		b.Field(5).(*array.Uint32Builder).Append(r.Uint32())
		if !null(6) {
			b.Field(6).(*array.BooleanBuilder).Append(r.IntN(2) == 0)
		}
		if !null(7) {
			unit := int64(1000)
			if row > 1000 {
				unit = 1
			}
			b.Field(7).(*array.TimestampBuilder).Append(arrow.Timestamp((r.Int64N(4e15) - 1e15) / unit * unit))
		}
		far := r.Int64N(4e12)
		if row > 800 && r.IntN(100) == 0 {
			far = r.Int64() - r.Int64()
		}
		b.Field(8).(*array.TimestampBuilder).Append(arrow.Timestamp(far))
		if !null(9) {
			b.Field(9).(*array.TimestampBuilder).Append(arrow.Timestamp(r.Int64N(4e9) * 1000))
		}
		if !null(10) {
			s := b.Field(10).(*array.StructBuilder)
			s.Append(true)
			s.FieldBuilder(0).(*array.Float64Builder).Append(float64(r.IntN(1000)) / 8)
			s.FieldBuilder(1).(*array.StringBuilder).Append([]string{"", "one", "two", "more than sixteen bytes", "Zürich"}[r.IntN(5)])
			s.FieldBuilder(2).(*array.Int32Builder).Append(r.Int32())
			s.FieldBuilder(3).(*array.TimestampBuilder).Append(arrow.Timestamp(r.Int64N(4e12)))
		}
	}
	return b.NewRecordBatch()
}

// Columns of few strings are read as numbers of their dictionary, also where that
// was given up in the middle of a row group, where a path leads into its strings,
// and where a number is damaged.
func TestDecoder_Words(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "w", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "j", Type: arrow.BinaryTypes.String},
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "w", Type: arrow.BinaryTypes.String, Nullable: true}), Nullable: true}}, nil))
	defer b.Release()
	var texts []string
	for row := range 20_000 {
		word := fmt.Sprint("word ", r.IntN(20))
		if row > 10_000 {
			word = fmt.Sprint("w", row)
		}
		n, s := r.IntN(3), b.Field(2).(*array.StructBuilder)
		if n == 0 {
			b.Field(0).AppendNull()
			s.AppendNull()
			texts = append(texts, fmt.Sprintf(`{"w":null,"j":{"x":%d},"s":null}`, n))
		} else {
			b.Field(0).(*array.StringBuilder).Append(word)
			s.Append(true)
			s.FieldBuilder(0).(*array.StringBuilder).Append(word)
			texts = append(texts, fmt.Sprintf(`{"w":%q,"j":{"x":%d},"s":{"w":%q}}`, word, n, word))
		}
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf(`{"x":%d}`, n))
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(batch.Schema(), &out, pq.NewWriterProperties(pq.WithDictionaryPageSizeLimit(2000), pq.WithDataPageSize(500)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	w.NewBufferedRowGroup()
	for at := int64(0); at < 20_000; at += 200 {
		part := batch.NewSlice(at, at+200)
		if err := w.WriteBuffered(part); err != nil {
			t.Fatal(err)
		}
		part.Release()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := out.Bytes()
	text := types.Type{Kind: types.String, Name: "LONGTEXT"}
	for _, f := range []connectors.Field{
		{Column: types.Column{Name: "w", Type: text}, Path: []string{"w"}}, {Column: types.Column{Name: "w", Type: types.TypeJSON}, Path: []string{"s"}},
		{Column: types.Column{Name: "w", Type: text}, Path: []string{"s", "w"}}, {Column: types.Column{Name: "x", Type: text}, Path: []string{"j", "x"}, Mode: connectors.FieldUnquote},
		{Column: types.Column{Name: "w", Type: text}, Path: []string{"s", "w"}, Mode: connectors.FieldUnquote},
	} {
		list, err := chunks(t, content, []connectors.Field{f})
		if err != nil {
			t.Fatal(err)
		}
		got, want := decode(t, "parquet", f, list...), decode(t, "json", f, formattest.Messages(texts...))
		if !slices.Equal(got, want) {
			t.Errorf("%v: %d rows, want %d", f.Path, len(got), len(want))
		}
	}
	few := batch.NewSlice(0, 400)
	defer few.Release()
	content = encode(t, few, 400, compress.Codecs.Uncompressed)
	config := formattest.Config(t, "parquet", formattest.Schema(t, "w TEXT", "s JSON"))
	beyond := 0
	for at := 230; at < 480; at += 5 { // in the pages of w
		damaged := bytes.Clone(content)
		damaged[at] ^= 0xff
		list, err := chunks(t, damaged, config.Fields)
		if err != nil {
			continue
		}
		if strings.Contains(strings.Join(formattest.Decode(t, "parquet", config, 500, list...), "\n"), "a number beyond its dictionary") {
			beyond++
		}
	}
	if beyond == 0 {
		t.Error("no number was beyond its dictionary")
	}
}

// Columns that are filled whole have nothing of a row that was rejected last.
func TestFill_AfterRejectedRow(t *testing.T) {
	config := formattest.Config(t, "parquet", formattest.Schema(t, "n INT"))
	config.OnFieldError = connectors.FieldErrorDeadLetter
	var list []*connectors.Chunk
	for _, v := range []int64{1 << 40, 7} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil))
		b.Field(0).(*array.Int64Builder).Append(v)
		batch := b.NewRecordBatch()
		file, err := chunks(t, encode(t, batch, 10, compress.Codecs.Uncompressed), config.Fields)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, file...)
		batch.Release()
		b.Release()
	}
	got := formattest.Decode(t, "parquet", config, 100, list...)
	if len(got) != 2 || got[1] != "7" {
		t.Errorf("got %q, want a rejection and 7", got)
	}
}
