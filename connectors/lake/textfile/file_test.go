package textfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/klauspost/compress/zstd"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/connectors/lake/textfile"
)

type buffer struct{ bytes.Buffer }

func (b *buffer) Write(_ context.Context, p []byte) error {
	b.Buffer.Write(p)
	return nil
}

// encode writes batches of arrays to a file and returns it uncompressed.
func encode(t testing.TB, options textfile.Options, columns []parquetfile.Column, text []textfile.Column, batches ...[]arrow.Array) string {
	t.Helper()
	schema, err := parquetfile.NewSchema(columns)
	if err != nil {
		t.Fatal(err)
	}
	if options.Compression == "" {
		options.Compression = parquetfile.None
	}
	e, err := textfile.NewEncoder(text, options)
	if err != nil {
		t.Fatal(err)
	}
	var out buffer
	f := e.NewFile(&out)
	appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, &parquetfile.Pool{Most: 1 << 20})
	n := int64(0)
	for _, batch := range batches {
		if err := appender.Bind(batch); err != nil {
			t.Fatal(err)
		}
		all := make([]int32, batch[0].Len())
		for i := range all {
			all[i] = int32(i)
		}
		for c := range batch {
			appender.AppendColumn(rows, c, all)
		}
		appender.Appended(rows, len(all))
		n += int64(len(all))
		if err := f.WriteRows(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	footer, err := f.Finish(t.Context())
	if err != nil || footer.Rows != n || footer.Bytes != int64(out.Len()) || f.Size() != footer.Bytes {
		t.Fatalf("footer %+v, %v; %d rows, %d bytes", footer, err, n, out.Len())
	}
	var r io.Reader = &out.Buffer
	switch options.Compression {
	case parquetfile.Gzip:
		r, err = gzip.NewReader(r)
	case parquetfile.Zstd:
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// allTypes is a row of NULL, and one of values, of each type.
func allTypes() (columns []parquetfile.Column, text []textfile.Column, arrays []arrow.Array) {
	add := func(c parquetfile.Column, t arrow.DataType, set func(array.Builder), embedded bool) {
		b := array.NewBuilder(memory.DefaultAllocator, t)
		b.AppendNull()
		set(b)
		c.ID = len(columns) + 1
		text = append(text, textfile.Column{Name: c.Name, Type: c.Type, Precision: c.Precision, Scale: c.Scale, Embedded: embedded, Source: len(columns)})
		columns, arrays = append(columns, c), append(arrays, b.NewArray())
	}
	at := time.Date(1969, 12, 31, 23, 59, 59, 500_000_000, time.UTC).UnixMicro()
	add(parquetfile.Column{Name: "bool", Type: parquetfile.Boolean}, arrow.FixedWidthTypes.Boolean, func(b array.Builder) { b.(*array.BooleanBuilder).Append(true) }, false)
	add(parquetfile.Column{Name: "int", Type: parquetfile.Int}, arrow.PrimitiveTypes.Int32, func(b array.Builder) { b.(*array.Int32Builder).Append(-7) }, false)
	add(parquetfile.Column{Name: "long", Type: parquetfile.Long}, arrow.PrimitiveTypes.Int64, func(b array.Builder) { b.(*array.Int64Builder).Append(math.MinInt64) }, false)
	add(parquetfile.Column{Name: "float", Type: parquetfile.Float}, arrow.PrimitiveTypes.Float32, func(b array.Builder) { b.(*array.Float32Builder).Append(0.1) }, false)
	add(parquetfile.Column{Name: "double", Type: parquetfile.Double}, arrow.PrimitiveTypes.Float64, func(b array.Builder) { b.(*array.Float64Builder).Append(1e300) }, false)
	add(parquetfile.Column{Name: "nan", Type: parquetfile.Double}, arrow.PrimitiveTypes.Float64, func(b array.Builder) { b.(*array.Float64Builder).Append(math.NaN()) }, false)
	for _, p := range []int{5, 15, 30} {
		add(parquetfile.Column{Name: "dec" + string(rune('0'+p/5)), Type: parquetfile.Decimal, Precision: p, Scale: 3},
			&arrow.Decimal128Type{Precision: int32(p), Scale: 3}, func(b array.Builder) { b.(*array.Decimal128Builder).Append(decimal128.FromI64(-45)) }, false)
	}
	add(parquetfile.Column{Name: "unsigned", Type: parquetfile.Decimal, Precision: 20}, arrow.PrimitiveTypes.Uint64, func(b array.Builder) { b.(*array.Uint64Builder).Append(math.MaxUint64) }, false)
	add(parquetfile.Column{Name: "date", Type: parquetfile.Date}, arrow.FixedWidthTypes.Date32, func(b array.Builder) { b.(*array.Date32Builder).Append(-1) }, false)
	add(parquetfile.Column{Name: "time", Type: parquetfile.Time}, arrow.FixedWidthTypes.Time64us, func(b array.Builder) { b.(*array.Time64Builder).Append(3_661_000_001) }, false)
	add(parquetfile.Column{Name: "wall", Type: parquetfile.Timestamp}, &arrow.TimestampType{Unit: arrow.Microsecond}, func(b array.Builder) { b.(*array.TimestampBuilder).Append(arrow.Timestamp(at)) }, false)
	add(parquetfile.Column{Name: "instant", Type: parquetfile.TimestampTZ}, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, func(b array.Builder) { b.(*array.TimestampBuilder).Append(arrow.Timestamp(at)) }, false)
	add(parquetfile.Column{Name: "text", Type: parquetfile.String}, arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("a,\"b\"\n\x01é") }, false)
	add(parquetfile.Column{Name: "empty", Type: parquetfile.String}, arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("") }, false)
	add(parquetfile.Column{Name: "doc", Type: parquetfile.String}, arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("{\"a\":\r\n 2.50}") }, true)
	add(parquetfile.Column{Name: "bytes", Type: parquetfile.Binary}, arrow.BinaryTypes.Binary, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0, 0xff}) }, false)
	text = append(text, textfile.Column{Name: "missing", Source: -1})
	return columns, text, arrays
}

func TestJSON(t *testing.T) {
	columns, text, arrays := allTypes()
	want := `{"bool":null,"int":null,"long":null,"float":null,"double":null,"nan":null,"dec1":null,"dec3":null,"dec6":null,"unsigned":null,"date":null,"time":null,"wall":null,"instant":null,"text":null,"empty":null,"doc":null,"bytes":null,"missing":null}
{"bool":true,"int":-7,"long":-9223372036854775808,"float":0.1,"double":1e+300,"nan":"NaN","dec1":-0.045,"dec3":-0.045,"dec6":"-0.045","unsigned":18446744073709551615,"date":"1969-12-31","time":"01:01:01.000001","wall":"1969-12-31 23:59:59.5","instant":"1969-12-31T23:59:59.5Z","text":"a,\"b\"\n\u0001é","empty":"","doc":{"a":   2.50},"bytes":"AP8=","missing":null}
`
	for _, compression := range []parquetfile.Compression{parquetfile.None, parquetfile.Gzip, parquetfile.Zstd} {
		got := encode(t, textfile.Options{Format: textfile.JSON, Compression: compression}, columns, text, arrays, arrays)
		if got != want+want {
			t.Errorf("%s:\n%s\nwant\n%s", compression, got, want+want)
		}
	}
	for line := range strings.Lines(want) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

func TestCSV(t *testing.T) {
	columns, text, arrays := allTypes()
	header := "bool,int,long,float,double,nan,dec1,dec3,dec6,unsigned,date,time,wall,instant,text,empty,doc,bytes,missing\n"
	want := `,,,,,,,,,,,,,,,,,,
true,-7,-9223372036854775808,0.1,1e+300,NaN,-0.045,-0.045,-0.045,18446744073709551615,1969-12-31,01:01:01.000001,1969-12-31 23:59:59.5,1969-12-31T23:59:59.5Z,"a,""b""
` + "\x01" + `é","","{""a"":` + "\r\n" + ` 2.50}",AP8=,
`
	if got := encode(t, textfile.Options{Format: textfile.CSV, Header: true}, columns, text, arrays, arrays); got != header+want+want {
		t.Errorf("%q\nwant\n%q", got, header+want+want)
	}
	if got := encode(t, textfile.Options{Format: textfile.CSV}, columns, text, arrays); got != want {
		t.Errorf("without a header %q", got)
	}
}

// FuzzStrings reads strings back with the standard library's decoders.
func FuzzStrings(f *testing.F) {
	f.Add("a,b", "\"\n\r\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		builder := array.NewStringBuilder(memory.DefaultAllocator)
		builder.Append(a)
		builder.Append(b)
		columns := []parquetfile.Column{{Name: "a\"\n", ID: 1, Type: parquetfile.String}, {Name: "n", ID: 2, Type: parquetfile.Int}}
		text := []textfile.Column{{Name: "a\"\n", Type: parquetfile.String}, {Name: "n", Type: parquetfile.Int, Source: 1}}
		numbers := array.NewInt32Builder(memory.DefaultAllocator)
		numbers.AppendValues([]int32{1, 2}, nil)
		arrays := []arrow.Array{builder.NewArray(), numbers.NewArray()}
		lines := strings.Split(strings.TrimSuffix(encode(t, textfile.Options{Format: textfile.JSON}, columns, text, arrays), "\n"), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines of JSON", len(lines))
		}
		for i, want := range []string{a, b} {
			var got map[string]any
			if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
				t.Fatalf("%q: %v", lines[i], err)
			}
			if got["a\"\n"] != strings.ToValidUTF8(string([]rune(want)), "\uFFFD") {
				t.Errorf("JSON: %q became %q", want, got["a\"\n"])
			}
		}
		r := csv.NewReader(strings.NewReader(encode(t, textfile.Options{Format: textfile.CSV, Header: true}, columns, text, arrays)))
		records, err := r.ReadAll()
		if err != nil || len(records) != 3 {
			t.Fatalf("%d records of CSV, %v", len(records), err)
		}
		for i, want := range []string{"a\"\n", a, b} {
			// The standard library makes CR LF one line break, in quotes too.
			if got := records[i][0]; got != strings.ReplaceAll(want, "\r\n", "\n") {
				t.Errorf("CSV: %q became %q", want, got)
			}
		}
	})
}

// TestDecimal compares wide decimals with Arrow's text of them.
func TestDecimal(t *testing.T) {
	values := []decimal128.Num{decimal128.FromI64(0), decimal128.MaxDecimal128, decimal128.MaxDecimal128.Negate()}
	n := decimal128.FromI64(1)
	for range 37 {
		values = append(values, n, n.Negate(), n.Sub(decimal128.FromI64(1)), n.Add(decimal128.FromI64(1)))
		n = n.Mul(decimal128.FromI64(10))
	}
	for _, scale := range []int32{0, 1, 20, 38} {
		typ := &arrow.Decimal128Type{Precision: 38, Scale: scale}
		b := array.NewDecimal128Builder(memory.DefaultAllocator, typ)
		b.AppendValues(values, nil)
		columns := []parquetfile.Column{{Name: "d", ID: 1, Type: parquetfile.Decimal, Precision: 38, Scale: int(scale)}}
		text := []textfile.Column{{Name: "d", Type: parquetfile.Decimal, Precision: 38, Scale: int(scale)}}
		lines := strings.Split(encode(t, textfile.Options{Format: textfile.CSV}, columns, text, []arrow.Array{b.NewArray()}), "\n")
		for i, v := range values {
			back, err := decimal128.FromString(lines[i], 38, scale)
			if err != nil || back != v {
				t.Errorf("scale %d: %s became %s, %v", scale, v.BigInt(), lines[i], err)
			}
			if digits := strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(lines[i]), "0"); digits != strings.TrimLeft(strings.TrimPrefix(v.BigInt().String(), "-"), "0") {
				t.Errorf("scale %d: %s became %s", scale, v.BigInt(), lines[i])
			}
		}
	}
}

func BenchmarkWriteRows(b *testing.B) {
	columns, text, arrays := allTypes()
	schema, err := parquetfile.NewSchema(columns)
	if err != nil {
		b.Fatal(err)
	}
	e, err := textfile.NewEncoder(text, textfile.Options{Format: textfile.JSON, Compression: parquetfile.None})
	if err != nil {
		b.Fatal(err)
	}
	appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, &parquetfile.Pool{Most: 1 << 24})
	if err := appender.Bind(arrays); err != nil {
		b.Fatal(err)
	}
	sel := make([]int32, 1000)
	for i := range sel {
		sel[i] = 1
	}
	var out buffer
	f := e.NewFile(&out)
	b.ReportAllocs()
	for b.Loop() {
		for c := range arrays {
			appender.AppendColumn(rows, c, sel)
		}
		appender.Appended(rows, len(sel))
		out.Reset()
		if err := f.WriteRows(b.Context(), rows); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(out.Len()))
	}
}
