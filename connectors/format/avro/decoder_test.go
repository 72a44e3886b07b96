package avro_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/avro"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	_ "github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/connectors/format/schemaregistry/registrytest"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// columns of testSchema, as they are and converted.
var testColumns = []string{
	"id BIGINT", "ID VARCHAR(20)", "small SMALLINT", "flag BOOLEAN", "flag TEXT", "ratio FLOAT", "ratio DECIMAL(10,4)", "fare DOUBLE", "fare DECIMAL(10,2)", "fare JSON",
	"name TEXT", "name VARCHAR(10)", "name DATE", "name BINARY(16)", "color TEXT", "color ENUM('GREEN','RED')", "color JSON",
	"price DECIMAL(18,4)", "price DECIMAL(20,6)", "price DECIMAL(12,2)", "price DOUBLE", "price VARCHAR(30)", "price BIGINT", "wide DECIMAL(38,10)", "wide JSON",
	"day DATE", "day TIMESTAMP", "day TEXT", "day JSON", "at TIME(3)", "at TIME", "at6 TIME(6)", "at6 VARCHAR(20)",
	"ts3 TIMESTAMP(3)", "ts3 DATETIME", "ts3 DATE", "ts6 TIMESTAMP(6)", "ts6 TIMESTAMP(3)", "ts6 JSON",
	"rider JSON", "rider TEXT", "legs JSON", "labels JSON", "missing BIGINT", "id BIT(64)", "small BIGINT UNSIGNED",
}

// paths that are pushed down into testSchema.
var testPaths = []string{"car.plate", "car.speed", "car.seats", "car.at.x",
	"rider.os", "rider.tags", "rider.tags.[0]", "rider.tags.[1]", "rider.score", "rider.next.os", "rider.next.next.score", "rider.nothing", "rider.os.deeper",
	"legs.[0].to", "legs.[1]", "legs.[0].[0].n", "labels.a0", "labels", "id", "id.[0]", "id.x", "price", "ts6", "day", "at", "rider.[0].os", "rider.score.[0]", "wide",
}

func testFields(tb testing.TB) (schema types.Schema, fields []connectors.Field) {
	for _, c := range testColumns {
		column := formattest.Schema(tb, c)[0]
		schema = append(schema, column)
		fields = append(fields, connectors.Field{Column: column, Path: []string{column.Name}})
	}
	for _, p := range testPaths {
		for _, mode := range []connectors.FieldMode{connectors.FieldExtract, connectors.FieldUnquote} {
			fields = append(fields, connectors.Field{Column: types.Column{Name: p, Type: typeLongText}, Path: strings.Split(p, "."), Mode: mode})
		}
	}
	return schema, fields
}

var typeLongText = types.Type{Kind: types.String, Name: "LONGTEXT"}

// decodeField decodes with one field at a time, so that what one rejects does not
// hide another's value.
func decodeField(tb testing.TB, format string, options []string, field connectors.Field, chunk *connectors.Chunk) []string {
	tb.Helper()
	f, err := connectors.LookupFormat(format)
	if err != nil {
		tb.Fatal(err)
	}
	config := connectors.DecoderConfig{Schema: types.Schema{field.Column}, Fields: []connectors.Field{field}, Options: f.Spec.MustOptions(options...), Framing: connectors.FramingDocument}
	lines := formattest.Decode(tb, format, config, 300, chunk) // as many as make dictionaries
	for i, line := range lines {
		if strings.HasPrefix(line, "field ") {
			lines[i] = "rejected"
		}
	}
	return lines
}

// Every column and path of random records is what the JSON format makes of the
// records' JSON.
func TestDecoder_Reference(t *testing.T) {
	schema := hamba.MustParse(testSchema)
	r := rand.New(rand.NewPCG(1, 2))
	var records, texts []string
	for range 400 {
		data, err := hamba.Marshal(schema, random(r, schema, 0))
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := hamba.Unmarshal(schema, data, &tree); err != nil {
			t.Fatal(err)
		}
		records, texts = append(records, string(data)), append(texts, textOf(schema, tree))
	}
	_, fields := testFields(t)
	for _, f := range fields {
		got := decodeField(t, "avro", []string{"schema", testSchema}, f, formattest.Messages(records...))
		want := decodeField(t, "json", nil, f, formattest.Messages(texts...))
		if len(got) != len(want) {
			t.Fatalf("%v %v: %d lines, want %d", f.Path, f.Column.Type, len(got), len(want))
		}
		bad := 0
		for i := range got {
			if got[i] != want[i] && bad < 3 {
				bad++
				t.Errorf("%v as %v (mode %d): got %s\nwant %s\nof %s", f.Path, f.Column.Type, f.Mode, got[i], want[i], texts[i])
			}
		}
	}
}

func avroConfig(t *testing.T, columns []string, options ...string) connectors.DecoderConfig {
	t.Helper()
	return formattest.Config(t, "avro", formattest.Schema(t, columns...), options...)
}

func encode(t testing.TB, schema string, v any) string {
	t.Helper()
	data, err := hamba.Marshal(hamba.MustParse(schema), v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDecoder_Registry(t *testing.T) {
	r := registrytest.Start(t)
	const v1 = `{"type":"record","name":"u","fields":[{"name":"id","type":"int"}]}`
	const v2 = `{"type":"record","name":"u","fields":[{"name":"name","type":["null","string"]},{"name":"id","type":"long"}]}`
	const part = `{"type":"enum","name":"parts.kind","symbols":["A","B"]}`
	const v3 = `{"type":"record","name":"u","fields":[{"name":"id","type":"long"},{"name":"kind","type":"parts.kind"}]}`
	id1 := r.Add("u-value", schemaregistry.Schema{Type: "AVRO", Text: v1})
	id2 := r.Add("u-value", schemaregistry.Schema{Type: "AVRO", Text: v2})
	r.Add("parts", schemaregistry.Schema{Type: "AVRO", Text: part})
	id3 := r.Add("u-value", schemaregistry.Schema{Type: "AVRO", Text: v3, References: []schemaregistry.Reference{{Name: "parts.kind", Subject: "parts", Version: 1}}})
	proto := r.Add("p", schemaregistry.Schema{Type: "PROTOBUF", Text: "syntax = \"proto3\";"})
	bad := r.Add("bad", schemaregistry.Schema{Type: "AVRO", Text: `{"type":"record","name":"u","fields":[{"name":"id","type":"nothing"}]}`})
	payload := func(id int, value string) string { return string(schemaregistry.AppendHeader(nil, id)) + value }
	one := payload(id1, encode(t, v1, map[string]any{"id": 1}))
	two := payload(id2, encode(t, v2, map[string]any{"id": int64(2), "name": "b"}))
	three := payload(id3, encode(t, strings.Replace(v3, `"parts.kind"`, part, 1), map[string]any{"id": int64(3), "kind": "B"}))
	config := avroConfig(t, []string{"id BIGINT NOT NULL", "name TEXT", "kind TEXT"}, "schema_registry", r.URL)
	chunk := formattest.Messages(one, two, "", three, payload(proto, ""), payload(bad, "\x02"), payload(99, "\x02"), "{}", "\x00\x00", one[:5], one+"!", two)
	got := formattest.Decode(t, "avro", config, 100, chunk)
	for i, line := range got {
		line, _, _ = strings.Cut(line, "not Avro of its schema: ")
		got[i], _, _ = strings.Cut(line, ": avro: unknown type")
	}
	formattest.Check(t, got,
		"1|(null)|(null)", "2|b|(null)", "3|(null)|B", "2|b|(null)",
		`decode "\x00\x00\x00\x00\x05": schema 5 is not one of Avro but of type PROTOBUF`,
		`decode "\x00\x00\x00\x00\x06\x02": schema 6: read Avro schema`,
		`decode "\x00\x00\x00\x00c\x02": schema 99: not in the schema registry: Schema not found`,
		`decode "{}": `, `decode "\x00\x00": `, `decode "\x00\x00\x00\x00\x01": `, `decode "\x00\x00\x00\x00\x01\x02!": `,
		"1 empty",
	)
	schema, err := avro.Infer([]*connectors.Chunk{chunk}, connectors.DecoderConfig{Options: config.Options})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := formattest.Columns(schema), "id BIGINT, kind LONGTEXT, name LONGTEXT"; got != want {
		t.Errorf("inferred %s, want %s", got, want)
	}
}

// While the registry is away nothing is decoded and nothing becomes a dead
// letter.
func TestDecoder_RegistryAway(t *testing.T) {
	r := registrytest.Start(t)
	id := r.Add("v", schemaregistry.Schema{Type: "AVRO", Text: `"int"`})
	config := avroConfig(t, []string{"value INT"}, "schema_registry", r.URL)
	d, err := avro.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	chunk := formattest.Messages(string(schemaregistry.AppendHeader(nil, id)) + "\x02")
	r.Away.Store(true)
	d.Reset(chunk)
	if out, err := d.Next(10); out != nil || !sqlerror.IsRetryable(err) {
		t.Fatalf("%v, %v", out, err)
	}
	r.Away.Store(false)
	d.Reset(chunk)
	if out, err := d.Next(10); err != nil || out.Batch.NumRows() != 1 {
		t.Fatalf("%v, %v", out, err)
	}
}

func TestDecoder_Values(t *testing.T) {
	const schema = `{"type":"record","name":"r","fields":[
		{"name":"u","type":["null","long","string",{"type":"array","items":"int"}]},
		{"name":"f","type":"double"},{"name":"n","type":{"type":"long","logicalType":"timestamp-nanos"}},
		{"name":"d","type":{"type":"fixed","name":"d","size":12,"logicalType":"duration"}},
		{"name":"id","type":{"type":"fixed","name":"id","size":16,"logicalType":"uuid"}},{"name":"doc","type":"string"}]}`
	record := func(u string, f float64, n int64, doc string) string {
		b := []byte(u)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		b = binary.AppendVarint(b, n)
		b = append(b, "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x000123456789abcdef"...)
		b = binary.AppendVarint(b, int64(len(doc)))
		return string(b) + doc
	}
	config := avroConfig(t, []string{"u JSON", "U TEXT", "f DOUBLE", "f TEXT", "n TIMESTAMP(6)", "d JSON", "id CHAR(36)", "doc JSON", "doc TEXT"}, "schema", schema)
	config.Fields = append(config.Fields, connectors.Field{Column: types.Column{Name: "a", Type: typeLongText}, Path: []string{"doc", "a"}, Mode: connectors.FieldUnquote})
	config.OnFieldError = connectors.FieldErrorNull
	formattest.Check(t, formattest.Decode(t, "avro", config, 100, formattest.Messages(
		record("\x00", 1, 1_700_000_000_123_456_789, `{"a": "x"}`),
		record("\x02\x54", math.NaN(), -1, `[]`),
		record("\x04\x04hi", math.Inf(-1), 0, `not JSON`),
		record("\x06\x03\x04\x02\x04\x00", 1e300, math.MaxInt64, ` 1`),
	)),
		`(null)|(null)|1|1.0|2023-11-14T22:13:20.123456Z|{"months":1,"days":2,"millis":3}|30313233-3435-3637-3839-616263646566|{"a": "x"}|{"a": "x"}|x`,
		`42|42|(null)|NaN|1969-12-31T23:59:59.999999Z|{"months":1,"days":2,"millis":3}|30313233-3435-3637-3839-616263646566|[]|[]|(null)`,
		`"hi"|hi|(null)|-Infinity|1970-01-01T00:00:00Z|{"months":1,"days":2,"millis":3}|30313233-3435-3637-3839-616263646566|(null)|not JSON|(null)`,
		`[1,2]|[1,2]|1e+300|1e300|2262-04-11T23:47:16.854775Z|{"months":1,"days":2,"millis":3}|30313233-3435-3637-3839-616263646566|1| 1|(null)`,
	)
}

const blockSchema = `{"type":"record","name":"r","fields":[{"name":"n","type":"int"},{"name":"s","type":"string"}]}`

func file(tb testing.TB, codec ocf.CodecName, blockLength int, n int) string {
	tb.Helper()
	var b strings.Builder
	enc, err := ocf.NewEncoder(blockSchema, &b, ocf.WithCodec(codec), ocf.WithBlockLength(blockLength),
		ocf.WithSyncBlock([16]byte([]byte("synchronisation!"))))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		if err := enc.Encode(map[string]any{"n": i, "s": "text " + fmt.Sprint(i)}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestDecoder_Container(t *testing.T) {
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard} {
		t.Run(string(codec), func(t *testing.T) {
			content := file(t, codec, 7, 100)
			config := avroConfig(t, []string{"n INT", "s TEXT"})
			for _, rows := range []int{1, 5, 7, 1000} {
				got := formattest.Decode(t, "avro", config, rows, formattest.File(t, "avro", config, content))
				if len(got) != 100 || got[0] != "0|text 0" || got[99] != "99|text 99" {
					t.Errorf("%d rows at a time: %d, %q", rows, len(got), got)
				}
			}
			format, err := connectors.LookupFormat("avro")
			if err != nil {
				t.Fatal(err)
			}
			schema, err := format.Infer([]*connectors.Chunk{formattest.File(t, "avro", config, content)}, config)
			if got := formattest.Columns(schema); got != "n INT, s LONGTEXT" || err != nil {
				t.Error(got, err)
			}
			// A damaged block costs its records, and not those of others.
			at := strings.Index(content, "synchronisation!")
			for i := range 2 { // the second block's marker, then its beginning
				at += 16 + strings.Index(content[at+16:], "synchronisation!")*(1-i)
				damaged := content[:at] + "\xff\xff" + content[at+2:]
				chunk := formattest.File(t, "avro", config, damaged)
				rows, dead := 0, 0
				for _, line := range formattest.Decode(t, "avro", config, 50, &connectors.Chunk{Data: chunk.Data, Header: chunk.Header, Base: chunk.Base}) {
					if strings.HasPrefix(line, "decode") {
						dead++
					} else {
						rows++
					}
				}
				if dead < 1 || rows < 100-2*7 || rows == 100 {
					t.Errorf("damaged at %d: %d rows, %d rejected", at, rows, dead)
				}
			}
		})
	}
}

// How large a block may be when it is decompressed does not depend on the blocks
// that lie before it in the batch.
func TestDecoder_ContainerLargeBlocks(t *testing.T) {
	const limit = 64 << 20 // of a block
	var b strings.Builder
	enc, err := ocf.NewEncoder(blockSchema, &b, ocf.WithCodec(ocf.ZStandard), ocf.WithBlockLength(1000))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("leat", 2<<20/4-3) // 2 MiB with what is before it
	n := 0
	for _, records := range []int{1, limit / (2 << 20), 1, limit/(2<<20) + 1} {
		for range records {
			if err := enc.Encode(map[string]any{"n": n % 50, "s": text}); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if err := enc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	config := avroConfig(t, []string{"n INT"})
	list := formattest.Decode(t, "avro", config, 1000, formattest.File(t, "avro", config, b.String()))
	if len(list) != 35 || list[33] != "33" || !strings.HasSuffix(list[34], "a block of the Avro file cannot be read: it has too many bytes when it is decompressed") {
		t.Errorf("%d rows and rejections, want 34 and one; the last begins with %.60s", len(list), list[len(list)-1])
	}
}

// The dead letter of a record in a compressed block has the record's own bytes.
func TestDecoder_ContainerDeadLetter(t *testing.T) {
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate} {
		config := avroConfig(t, []string{"n TINYINT"})
		chunk := formattest.File(t, "avro", config, file(t, codec, 10, 130))
		d, err := avro.NewDecoder(config)
		if err != nil {
			t.Fatal(err)
		}
		d.Reset(chunk)
		again := &connectors.Chunk{Header: chunk.Header} // the letters alone
		for found := 0; ; {
			out, err := d.Next(64)
			if err != nil {
				t.Fatal(err)
			}
			if out == nil {
				if found != 2 {
					t.Errorf("%s: %d rejected", codec, found)
				}
				break
			}
			for _, r := range out.Rejected {
				raw, offset := chunk.Data[r.Value.Start:r.Value.End], chunk.Base+int64(r.Value.Start)
				if out.Locate != nil {
					raw, offset, _ = out.Locate(r.Value)
				}
				start := int32(len(again.Data))
				again.Data = append(again.Data, raw...)
				again.Records = append(again.Records, connectors.Record{Start: start, End: int32(len(again.Data))})
				if want := fmt.Sprintf("text %d", 128+found); !strings.HasSuffix(string(raw), want) || offset <= chunk.Base {
					t.Errorf("%s: %q at %d, want …%q", codec, raw, offset, want)
				}
				found++
			}
		}
		d.Close()
		if got := formattest.Decode(t, "avro", avroConfig(t, []string{"n INT"}), 10, again); !slices.Equal(got, []string{"128", "129"}) {
			t.Errorf("%s: read alone the records are %q", codec, got)
		}
		if got := formattest.Decode(t, "avro", avroConfig(t, []string{"n TINYINT"}), 10, again); len(got) != 2 || !strings.HasPrefix(got[1], "field") {
			t.Errorf("%s: read alone the records are %q", codec, got)
		}
	}
}

// What a payload claims to hold costs no more than the bytes that it has.
func TestDecoder_Hostile(t *testing.T) {
	const nested = `{"type":"record","name":"n","fields":[{"name":"next","type":["null","n"]}]}`
	huge := string(binary.AppendVarint(nil, math.MaxInt64))
	least := string(binary.AppendVarint(nil, math.MinInt64))
	for _, test := range []struct{ schema, payload string }{
		{`{"type":"array","items":"null"}`, huge + "\x00"},
		{`{"type":"array","items":"null"}`, least + "\x02\x00"},
		{`{"type":"array","items":{"type":"record","name":"e","fields":[]}}`, huge},
		{`{"type":"map","values":"null"}`, huge},
		{`"string"`, huge + "x"}, {`"bytes"`, "\x01"}, {`"string"`, "\x02\xff"},
		{nested, strings.Repeat("\x02", 100_000) + "\x00"},
		{`"long"`, strings.Repeat("\xff", 11)}, {`"boolean"`, "\x02"}, {`["null"]`, "\x02"},
		{`{"type":"bytes","logicalType":"decimal","precision":9}`, "\x2a" + strings.Repeat("\x7f", 21)},
	} {
		for _, column := range []string{"value JSON", "value TEXT", "next JSON", "other INT"} {
			got := formattest.Decode(t, "avro", avroConfig(t, []string{column}, "schema", test.schema), 10, formattest.Messages(test.payload))
			if len(got) != 1 || !strings.HasPrefix(got[0], "decode") && column != "other INT" && column != "next JSON" && test.schema != nested {
				t.Errorf("%s as %s: %.200q", test.schema, column, got)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	format, err := connectors.LookupFormat("avro")
	if err != nil {
		t.Fatal(err)
	}
	spec := format.Spec.With(connectors.SourceOptions)
	for _, options := range [][]string{
		{"connector", "kafka"},
		{"connector", "kafka", "schema", `{"type":"nothing"}`},
		{"connector", "kafka", "schema", `"int"`, "schema_registry", "http://x"},
		{"connector", "kafka", "schema", `"int"`, "schema_file", "x"},
		{"connector", "kafka", "schema_file", "/nonexistent"},
		{"connector", "files", "schema", `"int"`},
		{"connector", "files", "schema_registry", "http://x"},
	} {
		if _, err := format.Check(spec.MustOptions(options...)); !sqlerror.HasCode(err, sqlerror.CodeBadOption) {
			t.Errorf("%v: %v", options, err)
		}
	}
	schema, err := format.Check(spec.MustOptions("connector", "kafka", "schema", testSchema))
	if err != nil {
		t.Fatal(err)
	}
	const want = "id BIGINT, small INT, flag BOOLEAN, ratio FLOAT, fare DOUBLE, name LONGTEXT, data LONGBLOB, color LONGTEXT, price DECIMAL(18,4), wide DECIMAL(38,10), " +
		"day DATE, at TIME(3), at6 TIME(6), ts3 TIMESTAMP(3), ts6 TIMESTAMP(6), rider JSON, car JSON, legs JSON, labels JSON"
	if got := formattest.Columns(schema); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
