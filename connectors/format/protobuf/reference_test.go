package protobuf_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatdb/leat/internal/mysqljson"
)

// The reference: the library reads a message, this file writes it as JSON, and
// the JSON format makes columns of it.

const testProto = `
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
message Trip {
  int64 id = 1;
  optional int32 small = 2;
  sint32 si = 3; sint64 sl = 4; uint32 u = 5; uint64 ul = 6; fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 s32 = 9; sfixed64 s64 = 10;
  bool flag = 11; float ratio = 12; double fare = 13; string name = 14; bytes data = 15;
  enum Color { RED = 0; GREEN = 1; BLUE = 2; }
  Color color = 16; optional Color maybe = 17;
  google.protobuf.Timestamp at = 18; google.protobuf.Duration took = 19;
  google.protobuf.StringValue note = 20; google.protobuf.Int64Value count = 21;
  google.protobuf.Struct extra = 22; google.protobuf.Value any = 23;
  message Rider { string os = 1; repeated string tags = 2; optional double score = 3; Rider next = 4; google.protobuf.Timestamp since = 5; oneof how { string card = 6; int32 cash = 7; } }
  Rider rider = 24;
  repeated Rider riders = 25;
  repeated int32 legs = 26;
  repeated double loose = 27 [packed = false];
  map<string, int64> labels = 28; map<int32, Rider> byId = 29; map<bool, Color> flags = 30;
  oneof paid { string card = 31; int64 cash = 32; Rider friend = 33; }
  string a_long_name = 200;
}`

func testType() protoreflect.MessageDescriptor {
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"t.proto": testProto})})}
	files, err := c.Compile(context, "t.proto")
	if err != nil {
		panic(err)
	}
	return files[0].Messages().Get(0)
}

// textOf is the JSON text of a message.
func textOf(m protoreflect.Message) string {
	quote := func(s string) string { return string(mysqljson.AppendQuoted(nil, []byte(s))) }
	get := func(name protoreflect.Name) protoreflect.Value { return m.Get(m.Descriptor().Fields().ByName(name)) }
	switch name := m.Descriptor().FullName(); {
	case name == "google.protobuf.Timestamp":
		return quote(time.Unix(get("seconds").Int(), get("nanos").Int()).UTC().Format("2006-01-02 15:04:05.000000"))
	case name == "google.protobuf.Duration":
		return fmt.Sprintf("%d.%09d", get("seconds").Int(), get("nanos").Int())
	case name == "google.protobuf.Struct", name == "google.protobuf.Value", name == "google.protobuf.ListValue":
		if name == "google.protobuf.Value" && m.WhichOneof(m.Descriptor().Oneofs().Get(0)) == nil {
			return "null"
		}
		text, err := protojson.Marshal(m.Interface())
		if err != nil {
			panic(err)
		}
		return decimals(text)
	case strings.HasPrefix(string(name), "google.protobuf."):
		return scalarText(m.Descriptor().Fields().Get(0), get("value"))
	}
	var members []string
	fields := m.Descriptor().Fields()
	var sorted []protoreflect.FieldDescriptor
	for i := range fields.Len() {
		sorted = append(sorted, fields.Get(i))
	}
	slices.SortFunc(sorted, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	for _, f := range sorted {
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		var text string
		switch v := m.Get(f); {
		case f.IsList():
			var items []string
			for i := range v.List().Len() {
				items = append(items, scalarText(f, v.List().Get(i)))
			}
			text = "[" + strings.Join(items, ",") + "]"
		case f.IsMap():
			var items []string
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				items = append(items, quote(k.String())+":"+scalarText(f.MapValue(), v))
				return true
			})
			slices.Sort(items)
			text = "{" + strings.Join(items, ",") + "}"
		default:
			text = scalarText(f, v)
		}
		members = append(members, quote(string(f.Name()))+":"+text)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// decimals writes every number of a JSON text as a double.
func decimals(text []byte) string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		panic(err)
	}
	var write func(v any) string
	write = func(v any) string {
		switch v := v.(type) {
		case float64:
			return decimalPoint(v)
		case string:
			return string(mysqljson.AppendQuoted(nil, []byte(v)))
		case []any:
			var items []string
			for _, item := range v {
				items = append(items, write(item))
			}
			return "[" + strings.Join(items, ",") + "]"
		case map[string]any:
			var items []string
			for k, item := range v {
				items = append(items, string(mysqljson.AppendQuoted(nil, []byte(k)))+":"+write(item))
			}
			return "{" + strings.Join(items, ",") + "}"
		case nil:
			return "null"
		}
		return fmt.Sprint(v)
	}
	return write(v)
}

func decimalPoint(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	if strings.ContainsAny(string(text), ".e") {
		return string(text)
	}
	return string(text) + ".0"
}

func scalarText(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	quote := func(s string) string { return string(mysqljson.AppendQuoted(nil, []byte(s))) }
	switch f.Kind() {
	case protoreflect.MessageKind:
		return textOf(v.Message())
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			return quote(string(e.Name()))
		}
		return fmt.Sprint(v.Enum())
	case protoreflect.StringKind:
		return quote(v.String())
	case protoreflect.BytesKind:
		return quote(base64.StdEncoding.EncodeToString(v.Bytes()))
	case protoreflect.FloatKind:
		return decimalPoint(float32(v.Float()))
	case protoreflect.DoubleKind:
		return decimalPoint(v.Float())
	}
	return v.String()
}

// random fills a message.
func random(r *rand.Rand, d protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	switch d.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		m.Set(d.Fields().ByName("seconds"), protoreflect.ValueOfInt64(r.Int64N(4e9)))
		m.Set(d.Fields().ByName("nanos"), protoreflect.ValueOfInt32(r.Int32N(1e9)))
		return m
	case "google.protobuf.Value":
		f := d.Fields().Get(r.IntN(4)) // no lists and objects: the order of members is not told
		m.Set(f, randomValue(r, f, depth))
		return m
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if r.IntN(3) == 0 || depth > 3 && f.Kind() == protoreflect.MessageKind {
			continue
		}
		switch {
		case f.IsMap():
			if r.IntN(2) == 0 { // one member at most: the order of more is not told
				m.Mutable(f).Map().Set(randomValue(r, f.MapKey(), depth).MapKey(), randomValue(r, f.MapValue(), depth))
			}
		case f.IsList():
			for range r.IntN(4) {
				m.Mutable(f).List().Append(randomValue(r, f, depth))
			}
		default:
			m.Set(f, randomValue(r, f, depth))
		}
	}
	return m
}

func randomValue(r *rand.Rand, f protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	number := r.Int64() >> r.IntN(63)
	if r.IntN(2) == 0 {
		number = -number
	}
	text := []string{"", "a", "night rider", "Zürich", "\"quoted\"\n", "12", "2024-02-29", "a longer text with more than sixteen bytes"}[r.IntN(8)]
	switch f.Kind() {
	case protoreflect.MessageKind:
		return protoreflect.ValueOfMessage(random(r, f.Message(), depth+1))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(f.Enum().Values().Len() + 1)))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(r.NormFloat64()))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(r.IntN(1e6)) / 100)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(number))
	}
	return protoreflect.ValueOfInt64(number)
}

func marshal(m proto.Message) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return data
}
