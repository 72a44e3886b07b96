package protobuf_test

import (
	stdcontext "context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	_ "github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/connectors/format/protobuf"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/connectors/format/schemaregistry/registrytest"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

var context = stdcontext.Background()

var testColumns = []string{
	"id BIGINT", "id VARCHAR(20)", "small SMALLINT", "si INT", "sl BIGINT", "u INT UNSIGNED", "ul BIGINT UNSIGNED", "ul BIGINT", "f32 BIGINT", "f64 DECIMAL(20,0)", "s32 INT", "s64 BIGINT",
	"flag BOOLEAN", "flag TEXT", "ratio FLOAT", "fare DOUBLE", "fare DECIMAL(10,2)", "name TEXT", "NAME VARCHAR(10)", "name DATE", "color TEXT", "maybe TEXT", "color ENUM('GREEN','RED')",
	"at TIMESTAMP(6)", "at TIMESTAMP(3)", "at DATE", "at JSON", "took DECIMAL(21,9)", "took DOUBLE", "took TEXT", "note TEXT", "count BIGINT", "count JSON", "extra JSON", "any JSON", "any TEXT",
	"rider JSON", "riders JSON", "legs JSON", "loose JSON", "loose TEXT", "labels JSON", "byId JSON", "flags JSON", "card TEXT", "cash BIGINT", "friend JSON", "a_long_name TEXT", "missing INT",
}

var testPaths = []string{
	"rider.os", "rider.tags", "rider.tags.[0]", "rider.score", "rider.next.os", "rider.next.next.score", "rider.since", "rider.card", "rider.cash", "rider.nothing", "rider.os.deeper", "rider.[0].os",
	"riders.[0].os", "riders.[1].tags", "riders.[0]", "labels.a", "byId", "flags.true", "legs.[1]", "loose.[0]", "friend.os", "friend.card", "extra.a", "any", "any.[0]", "at", "took", "took.[0]", "count", "id.[0]", "id.x", "color", "data",
}

func testFields(tb testing.TB) (fields []connectors.Field) {
	for _, c := range testColumns {
		column := formattest.Schema(tb, c)[0]
		fields = append(fields, connectors.Field{Column: column, Path: []string{column.Name}})
	}
	for _, p := range testPaths {
		for _, mode := range []connectors.FieldMode{connectors.FieldExtract, connectors.FieldUnquote} {
			fields = append(fields, connectors.Field{Column: types.Column{Name: p, Type: types.Type{Kind: types.String, Name: "LONGTEXT"}}, Path: strings.Split(p, "."), Mode: mode})
		}
	}
	return fields
}

func decodeField(tb testing.TB, format string, options []string, field connectors.Field, chunk *connectors.Chunk) []string {
	tb.Helper()
	f, err := connectors.LookupFormat(format)
	if err != nil {
		tb.Fatal(err)
	}
	config := connectors.DecoderConfig{Schema: types.Schema{field.Column}, Fields: []connectors.Field{field}, Options: f.Spec.MustOptions(options...), Framing: connectors.FramingDocument}
	lines := formattest.Decode(tb, format, config, 1000, chunk)
	for i, line := range lines {
		if strings.HasPrefix(line, "field ") {
			lines[i] = "rejected"
		}
	}
	return lines
}

// normal is a reference's value as the decoder may spell it: doubles of JSON
// texts have no other exponent.
func normal(line string) string { return strings.ReplaceAll(line, "e+", "e") }

// Every column and path of random messages is what the JSON format makes of the
// messages' JSON. Two messages one after the other are one, in which fields
// repeat and lie in no order.
func TestDecoder_Reference(t *testing.T) {
	d := testType()
	r := rand.New(rand.NewPCG(1, 2))
	var records, texts []string
	for i := range 400 {
		data := marshal(random(r, d, 0))
		if i%2 == 1 {
			more := random(r, d, 2)
			for _, name := range []protoreflect.Name{"labels", "byId", "flags", "extra"} {
				more.Clear(d.Fields().ByName(name)) // a JSON text keeps members of one name
			}
			data = append(data, marshal(more)...)
		}
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 || severalMembers(m) {
			continue
		}
		records, texts = append(records, string(data)), append(texts, textOf(m))
	}
	for _, f := range testFields(t) {
		got := decodeField(t, "protobuf", []string{"schema", testProto, "message", "t.Trip"}, f, formattest.Messages(records...))
		want := decodeField(t, "json", nil, f, formattest.Messages(texts...))
		if len(got) != len(want) {
			t.Fatalf("%v %v: %d lines, want %d", f.Path, f.Column.Type, len(got), len(want))
		}
		bad := 0
		for i := range got {
			if normal(got[i]) != normal(want[i]) && bad < 3 {
				bad++
				t.Errorf("%v as %v (mode %d): got %s\nwant %s\nof %s", f.Path, f.Column.Type, f.Mode, got[i], want[i], texts[i])
			}
		}
	}
}

// severalMembers reports whether a map has more than one member, whose order is
// not told.
func severalMembers(m protoreflect.Message) bool {
	extra := m.Descriptor().Fields().ByName("extra")
	if m.Get(extra).Message().Get(extra.Message().Fields().Get(0)).Map().Len() > 1 {
		return true
	}
	several := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		several = several || f.IsMap() && v.Map().Len() > 1
		return true
	})
	return several
}

func protoConfig(t testing.TB, columns []string, options ...string) connectors.DecoderConfig {
	t.Helper()
	return formattest.Config(t, "protobuf", formattest.Schema(t, columns...), options...)
}

func TestDecoder_Registry(t *testing.T) {
	r := registrytest.Start(t)
	const common = `syntax = "proto3"; package c; message Money { int64 cents = 1; }`
	const v1 = `syntax = "proto3"; import "common/money.proto"; message A { string name = 1; } message B { message C { int32 id = 1; c.Money fee = 2; } }`
	const v2 = `syntax = "proto3"; message A { string name = 1; bool ok = 2; }`
	r.Add("common", schemaregistry.Schema{Type: "PROTOBUF", Text: common})
	id1 := r.Add("x-value", schemaregistry.Schema{Type: "PROTOBUF", Text: v1, References: []schemaregistry.Reference{{Name: "common/money.proto", Subject: "common", Version: 1}}})
	id2 := r.Add("x-value", schemaregistry.Schema{Type: "PROTOBUF", Text: v2})
	avro := r.Add("a", schemaregistry.Schema{Type: "AVRO", Text: `"int"`})
	bad := r.Add("b", schemaregistry.Schema{Type: "PROTOBUF", Text: `message {`})
	payload := func(id int, value string, indexes ...int) string {
		return string(schemaregistry.AppendIndexes(schemaregistry.AppendHeader(nil, id), indexes...)) + value
	}
	chunk := formattest.Messages(
		payload(id1, "\x0a\x01x", 0), payload(id1, "\x08\x07\x12\x02\x08\x2a", 1, 0), payload(id2, "\x0a\x01y\x10\x01", 0), "",
		payload(id1, "", 5), payload(id1, "", 0, 0), payload(avro, "", 0), payload(bad, "", 0), payload(99, "", 0), "\x01", payload(id1, "\xff", 0), payload(id1, "\x0a\x01\xff", 0), payload(id2, "", 0),
	)
	config := protoConfig(t, []string{"name TEXT", "id INT", "fee JSON", "ok BOOLEAN"}, "schema_registry", r.URL)
	got := formattest.Decode(t, "protobuf", config, 100, chunk)
	for i, line := range got {
		got[i], _, _ = strings.Cut(line, "\": ")
	}
	formattest.Check(t, got, "x|(null)|(null)|(null)", `(null)|7|{"cents":42}|(null)`, "y|(null)|(null)|true", "|(null)|(null)|false",
		`decode "\x00\x00\x00\x00\x02\x02\n`, `decode "\x00\x00\x00\x00\x02\x04\x00\x00`, `decode "\x00\x00\x00\x00\x04\x00`, `decode "\x00\x00\x00\x00\x05\x00`, `decode "\x00\x00\x00\x00c\x00`,
		`decode "\x01`, `decode "\x00\x00\x00\x00\x02\x00\xff`, `decode "\x00\x00\x00\x00\x02\x00\n\x01\xff`, "1 empty")
	schema, err := protobuf.Infer([]*connectors.Chunk{chunk}, connectors.DecoderConfig{Options: config.Options})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := formattest.Columns(schema), "name LONGTEXT, ok BOOLEAN, id INT, fee JSON"; got != want {
		t.Errorf("inferred %s, want %s", got, want)
	}

	dec, err := protobuf.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	r.Away.Store(true)
	dec.Reset(formattest.Messages(payload(id1, "\x0a\x01x", 0)))
	if out, err := dec.Next(10); out != nil || !sqlerror.IsRetryable(err) {
		t.Errorf("registry away: %v, %v", out, err)
	}
}

// A registry may hand out a file as its descriptor in base64, as Confluent's
// clients of Python and Go register them: without the JSON names.
func TestDecoder_RegistryDescriptors(t *testing.T) {
	encode := func(d *descriptorpb.FileDescriptorProto) string {
		content, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(content)
	}
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, typeName string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), JsonName: proto.String("")}
		if typeName != "" {
			f.TypeName = &typeName
		}
		return f
	}
	const integer, message = descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	money := &descriptorpb.FileDescriptorProto{Name: proto.String("common/money.proto"), Package: proto.String("c"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Money"), Field: []*descriptorpb.FieldDescriptorProto{field("in_cents", 1, integer, ""), field("other_one", 2, integer, "")}}}}
	order := &descriptorpb.FileDescriptorProto{Name: proto.String("shop/order.proto"), Syntax: proto.String("proto3"), Dependency: []string{"common/money.proto", "google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Order"), Field: []*descriptorpb.FieldDescriptorProto{
			field("order_id", 1, integer, ""), field("fee", 2, message, ".c.Money"), field("placed_at", 3, message, ".google.protobuf.Timestamp")}}}}
	r := registrytest.Start(t)
	r.Add("common", schemaregistry.Schema{Type: "PROTOBUF", Text: encode(money)})
	id := r.Add("x-value", schemaregistry.Schema{Type: "PROTOBUF", Text: encode(order), References: []schemaregistry.Reference{{Name: "common/money.proto", Subject: "common", Version: 1}}})
	chunk := formattest.Messages(string(schemaregistry.AppendIndexes(schemaregistry.AppendHeader(nil, id), 0)) + "\x08\x07\x12\x02\x08\x2a\x1a\x02\x08\x01")
	config := protoConfig(t, []string{"order_id BIGINT", "orderId BIGINT", "fee JSON", "placed_at TIMESTAMP"}, "schema_registry", r.URL)
	formattest.Check(t, formattest.Decode(t, "protobuf", config, 100, chunk), `7|7|{"in_cents":42,"other_one":0}|1970-01-01T00:00:01Z`)
	schema, err := protobuf.Infer([]*connectors.Chunk{chunk}, connectors.DecoderConfig{Options: config.Options})
	if got, want := formattest.Columns(schema), "order_id BIGINT, fee JSON, placed_at TIMESTAMP(6)"; err != nil || got != want {
		t.Errorf("inferred %s, %v, want %s", got, err, want)
	}
}

// Columns of a sample of which nothing can be read are an error that says why.
func TestInfer_Unreadable(t *testing.T) {
	r := registrytest.Start(t)
	bad := r.Add("b", schemaregistry.Schema{Type: "PROTOBUF", Text: `message {`})
	config := protoConfig(t, []string{"id INT"}, "schema_registry", r.URL)
	for payload, want := range map[string]string{
		string(schemaregistry.AppendHeader(nil, bad)) + "\x00": "compile .proto",
		string(schemaregistry.AppendHeader(nil, 99)) + "\x00":  "schema 99",
		"{}": "zero byte",
	} {
		_, err := protobuf.Infer([]*connectors.Chunk{formattest.Messages(payload)}, connectors.DecoderConfig{Options: config.Options})
		if err == nil || !strings.Contains(err.Error(), "no record of the sample can be read: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", payload, err, want)
		}
	}
}

// Files hold messages with their length before each.
func TestDecoder_Files(t *testing.T) {
	const schema = `syntax = "proto3"; message A { int32 id = 1; string name = 2; }`
	var content []byte
	for i := range 100 {
		m := protowire.AppendVarint([]byte{8}, uint64(i))
		m = protowire.AppendString(append(m, 18), fmt.Sprint("n", i))
		content = protowire.AppendBytes(content, m)
	}
	content = append(content, 0)           // a message of defaults
	content = append(content, 2, 0x12, 50) // a broken one
	config := protoConfig(t, []string{"id TINYINT", "name TEXT"}, "schema", schema)
	got := formattest.Decode(t, "protobuf", config, 7, formattest.File(t, "protobuf", config, string(content)))
	if len(got) != 102 || got[0] != "0|n0" || got[99] != "99|n99" {
		t.Errorf("%d: %q", len(got), got)
	}
	for _, line := range got {
		if strings.HasPrefix(line, "decode") && !strings.HasPrefix(line, `decode "\x122": not Protobuf`) {
			t.Error(line)
		}
	}
}

// What a payload claims to hold costs no more than the bytes that it has.
func TestDecoder_Hostile(t *testing.T) {
	deep := []byte{}
	for range 5000 {
		deep = protowire.AppendBytes(append([]byte{}, 0x22), deep) // Rider.next
	}
	rider := protowire.AppendBytes(protowire.AppendTag(nil, 24, protowire.BytesType), deep)
	for _, payload := range []string{
		string(rider), "\xc3\x01" + strings.Repeat("\xc3\x01", 20000), string(binary.AppendUvarint([]byte{0x72}, math.MaxUint64)), "\x00", "\x07",
		string(protowire.AppendBytes(protowire.AppendTag(nil, 26, protowire.BytesType), []byte("\xff\xff"))),
	} {
		for _, column := range []string{"rider JSON", "legs JSON", "id INT"} {
			got := formattest.Decode(t, "protobuf", protoConfig(t, []string{column}, "schema", testProto, "message", "t.Trip"), 10, formattest.Messages(payload))
			if len(got) != 1 {
				t.Errorf("%.20q as %s: %.200q", payload, column, got)
			}
		}
	}
	got := formattest.Decode(t, "protobuf", protoConfig(t, []string{"rider JSON"}, "schema", testProto, "message", "t.Trip"), 10, formattest.Messages(string(rider)))
	if !strings.Contains(got[0], "100 levels") {
		t.Errorf("%.200q", got)
	}
}

func TestOptions(t *testing.T) {
	format, err := connectors.LookupFormat("protobuf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write("part.proto", `syntax = "proto3"; package p; message Part { int32 n = 1; }`)
	main := write("main.proto", `syntax = "proto3"; import "part.proto"; message Main { p.Part part = 1; uint64 id = 2; }`)
	set := &descriptorpb.FileDescriptorSet{}
	for _, f := range []string{"google/protobuf/timestamp.proto", "google/protobuf/duration.proto", "google/protobuf/wrappers.proto", "google/protobuf/struct.proto"} {
		for i := range testType().ParentFile().Imports().Len() {
			if imported := testType().ParentFile().Imports().Get(i); imported.Path() == f {
				set.File = append(set.File, protodesc.ToFileDescriptorProto(imported.FileDescriptor))
			}
		}
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(testType().ParentFile()))
	descriptors := write("set.bin", string(marshal(set)))
	spec := format.Spec.With(connectors.SourceOptions)
	for _, options := range [][]string{
		{}, {"message", "x"}, {"schema", "message {"}, {"schema", testProto, "message", "t.Trap"}, {"schema", `syntax = "proto3"; message A {} message B {}`},
		{"schema", testProto, "schema_registry", "http://x"}, {"schema_registry", "http://x", "message", "t.Trip"}, {"schema_file", main, "schema", testProto},
		{"schema_file", "/nonexistent"}, {"descriptor_file", main}, {"descriptor_file", descriptors, "message", "nothing"}, {"schema", `syntax = "proto3"; import "part.proto";`},
	} {
		if _, err := format.Check(spec.MustOptions(options...)); !sqlerror.HasCode(err, sqlerror.CodeBadOption) {
			t.Errorf("%v: %v", options, err)
		}
	}
	columns := func(options ...string) string {
		schema, err := format.Check(spec.MustOptions(options...))
		if err != nil {
			t.Fatal(err)
		}
		return formattest.Columns(schema)
	}
	if got := columns("schema_file", main); got != "part JSON, id BIGINT UNSIGNED" {
		t.Error(got)
	}
	const want = "id BIGINT, small INT, si INT, sl BIGINT, u INT UNSIGNED, ul BIGINT UNSIGNED, f32 INT UNSIGNED, f64 BIGINT UNSIGNED, s32 INT, s64 BIGINT, flag BOOLEAN, ratio FLOAT, fare DOUBLE, " +
		"name LONGTEXT, data LONGBLOB, color LONGTEXT, maybe LONGTEXT, at TIMESTAMP(6), took DECIMAL(21,9), note LONGTEXT, count BIGINT, extra JSON, any JSON, rider JSON, riders JSON, legs JSON, loose JSON, " +
		"labels JSON, byId JSON, flags JSON, card LONGTEXT, cash BIGINT, friend JSON, a_long_name LONGTEXT"
	if got := columns("descriptor_file", descriptors, "message", "t.Trip"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := columns("schema", testProto); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
