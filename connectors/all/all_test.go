package all_test

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	_ "github.com/leatdb/leat/connectors/all"
	"github.com/leatdb/leat/connectors/push"
	"github.com/leatdb/leat/sql/types"
)

func TestRegistered(t *testing.T) {
	var sources []string
	for _, c := range connectors.Sources() {
		sources = append(sources, c.Name)
	}
	if want := []string{"datagen", "files", "kafka", "kinesis", "push"}; !slices.Equal(sources, want) {
		t.Errorf("sources %v, want %v", sources, want)
	}
	for _, name := range []string{"json", "csv", "tsv", "raw", "regex", "combined_log", "s3_access_log", "alb_log", "vpc_flow_log"} {
		if _, err := connectors.LookupFormat(name); err != nil {
			t.Error(err)
		}
	}
}

// Every option is documented, has a default that it accepts, and none hides
// another. The generated reference is made of these.
func TestSpecifications(t *testing.T) {
	specs := map[string]connectors.Spec{}
	for _, c := range connectors.Sources() {
		specs["source "+c.Name] = c.Spec
		if c.Doc == "" || c.Open == nil {
			t.Errorf("source %s: no doc or no Open", c.Name)
		}
		for _, o := range connectors.SourceOptions {
			if c.Spec.Find(o.Name) == nil {
				t.Errorf("source %s does not take %s", c.Name, o.Name)
			}
		}
		for _, h := range c.Hidden {
			if !strings.HasPrefix(h.Name, "_") || h.Doc == "" {
				t.Errorf("source %s: hidden column %q", c.Name, h.Name)
			}
		}
	}
	for _, c := range connectors.Sinks() {
		specs["sink "+c.Name] = c.Spec
		specs["stream into "+c.Name] = c.StreamSpec
	}
	for _, f := range connectors.Formats() {
		specs["format "+f.Name] = f.Spec
	}
	for where, spec := range specs {
		seen := map[string]bool{}
		for _, o := range spec {
			if o.Doc == "" || seen[o.Name] || o.Name != strings.ToLower(o.Name) {
				t.Errorf("%s: option %q: doc %q, given twice: %t", where, o.Name, o.Doc, seen[o.Name])
			}
			seen[o.Name] = true
			if o.Default == "" {
				continue
			}
			alone := o
			alone.Required = false
			if _, err := (connectors.Spec{alone}).NewOptions([]connectors.RawOption{{Name: o.Name, Value: o.Default}}); err != nil {
				t.Errorf("%s: default of %s: %v", where, o.Name, err)
			}
		}
	}
}

func decoder(t *testing.T, alloc memory.Allocator, columns types.Schema, framing connectors.Framing) connectors.Decoder {
	t.Helper()
	format, err := connectors.LookupFormat("json")
	if err != nil {
		t.Fatal(err)
	}
	cfg := connectors.DecoderConfig{Schema: columns, Framing: framing, MaxRecordBytes: connectors.DefaultMaxRecordBytes, Alloc: alloc}
	for _, c := range columns {
		cfg.Fields = append(cfg.Fields, connectors.Field{Column: c, Path: []string{c.Name}})
	}
	d, err := format.NewDecoder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var columns = types.Schema{
	{Name: "b", Type: types.TypeBool},
	{Name: "i", Type: types.TypeInt64},
	{Name: "u", Type: types.TypeUint64},
	{Name: "f", Type: types.TypeFloat64},
	{Name: "dec", Type: types.NewDecimal(38, 10)},
	{Name: "s", Type: types.TypeText},
	{Name: "bin", Type: types.TypeBlob},
	{Name: "d", Type: types.TypeDate},
	{Name: "t", Type: types.Type{Kind: types.Time, Fsp: 6}},
	{Name: "at", Type: types.Type{Kind: types.Timestamp, Fsp: 6}},
	{Name: "wall", Type: types.TypeDateTime},
	{Name: "j", Type: types.TypeJSON},
}

// What SendRecord takes comes out of the decoder as it went in.
func TestSendRecord_RoundTrip(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	b := array.NewRecordBuilder(alloc, columns.Arrow())
	defer b.Release()
	dec, err := decimal128.FromString("-9999999999999999999999999999.9999999999", 38, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, micros := range []int64{0, -1, 1709251199123456, time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro()} {
		b.Field(0).(*array.BooleanBuilder).Append(micros != 0)
		b.Field(1).(*array.Int64Builder).Append(math.MinInt64 + max(micros, 0))
		b.Field(2).(*array.Uint64Builder).Append(math.MaxUint64 - uint64(max(micros, 0)))
		b.Field(3).(*array.Float64Builder).Append(math.SmallestNonzeroFloat64 + float64(micros)/3)
		b.Field(4).(*array.Decimal128Builder).Append(dec)
		b.Field(5).(*array.StringBuilder).Append("é\"\\\n\x00\u2028</\U0001F600")
		b.Field(6).(*array.BinaryBuilder).Append([]byte("bytes\x00\x01"))
		b.Field(7).(*array.Date32Builder).Append(arrow.Date32FromTime(time.UnixMicro(micros)))
		b.Field(8).(*array.Time64Builder).Append(arrow.Time64(((micros % 86400e6) + 86400e6) % 86400e6))
		b.Field(9).(*array.TimestampBuilder).Append(arrow.Timestamp(micros))
		b.Field(10).(*array.TimestampBuilder).Append(arrow.Timestamp(micros))
		b.Field(11).(*array.StringBuilder).Append(`{"k":1}`)
	}
	for i := range columns {
		b.Field(i).AppendNull()
	}
	rows := b.NewRecordBatch()
	defer rows.Release()

	hub := push.NewHub(0)
	src, err := push.Connector.Open(t.Context(), connectors.SourceConfig{Name: "s", Stream: "a", Handle: hub, Options: push.Connector.Spec.MustOptions()})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Assign(t.Context(), connectors.Positions{"push": ""}); err != nil {
		t.Fatal(err)
	}
	if err := hub.SendRecord(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	var c connectors.Chunk
	if err := src.Poll(t.Context(), 0, &c); err != nil {
		t.Fatal(err)
	}
	d := decoder(t, alloc, columns, connectors.FramingDocument)
	defer d.Close()
	d.Reset(&c)
	got, err := d.Next(100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Rejected {
		t.Errorf("rejected: %s", r.Message)
	}
	if int(got.Batch.NumRows()) != int(rows.NumRows()) {
		t.Fatalf("%d rows, want %d", got.Batch.NumRows(), rows.NumRows())
	}
	for i, column := range columns {
		for row := range int(rows.NumRows()) {
			want := rows.Column(i).ValueStr(row)
			if have := got.Batch.Column(i).ValueStr(row); have != want {
				t.Errorf("column %s, row %d: %s, want %s", column.Name, row, have, want)
			}
		}
	}
}

// Every value that datagen makes fits the column that it is made for.
func TestDatagen_RowsDecode(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	connector, err := connectors.LookupSource("datagen")
	if err != nil {
		t.Fatal(err)
	}
	all := append(slices.Clone(columns),
		types.Column{Name: "tiny", Type: types.Type{Kind: types.Int8}},
		types.Column{Name: "bits", Type: types.Type{Kind: types.Binary, Name: "BIT", Length: 5}},
		types.Column{Name: "e", Type: types.Type{Kind: types.String, Name: "ENUM", Members: []string{"x", "y,z"}}},
		types.Column{Name: "c", Type: types.Type{Kind: types.String, Name: "CHAR", Length: 3}},
		types.Column{Name: "sec", Type: types.Type{Kind: types.DateTime}},
	)
	src, err := connector.Open(t.Context(), connectors.SourceConfig{Name: "g", Columns: all, Options: connector.Spec.MustOptions(
		"rows", "2000", "fields.j.x[].min", "0", "fields.s.null_ratio", "0.1", "fields.d.min", "1970-01-01", "fields.d.max", "2100-01-01",
		"fields.wall.start", "2024-01-01", "fields.wall.jitter", "1h")})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Assign(t.Context(), connectors.Positions{"0": ""}); err != nil {
		t.Fatal(err)
	}
	d := decoder(t, alloc, all, connectors.FramingDocument)
	defer d.Close()
	n := 0
	var c connectors.Chunk
	for {
		if err := src.Poll(t.Context(), 0, &c); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		d.Reset(&c)
		for {
			got, err := d.Next(1000)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				break
			}
			for _, r := range got.Rejected {
				t.Fatalf("rejected %s: %s", c.Data[r.Value.Start:r.Value.End], r.Message)
			}
			n += int(got.Batch.NumRows())
		}
	}
	if n != 2000 {
		t.Errorf("%d rows, want 2000", n)
	}
}
