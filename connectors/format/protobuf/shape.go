package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatdb/leat/internal/mysqljson"
)

// meaning is what a message stands for.
type meaning uint8

const (
	meansMessage meaning = iota
	meansWrapped         // the value that it wraps
	meansTimestamp
	meansDuration
	meansStruct // google.protobuf.Struct, Value and ListValue
	meansValue
	meansList
)

// message is a message type as the walk over its fields needs it. Types that
// contain themselves are circles.
type message struct {
	name    string
	meaning meaning
	fields  []*field // by number
	near    []int16  // index of the field of a small number + 1
}

// nearFields is how many numbers are looked up in a table.
const nearFields = 128

// field is a field of a message type.
type field struct {
	number   protowire.Number
	name     string
	jsonName string
	member   []byte // `"name":`
	kind     protoreflect.Kind
	repeated bool // also maps
	presence bool // a missing field is NULL, not the default
	oneof    int  // −1 if it is in none
	wire     protowire.Type
	message  *message // of messages and groups
	key      *field   // of maps
	value    *field
	enum     map[int32][]byte
}

// messages turns descriptors into message types, each of them once.
type messages map[protoreflect.FullName]*message

func (m messages) of(d protoreflect.MessageDescriptor) *message {
	if known := m[d.FullName()]; known != nil {
		return known
	}
	out := &message{name: string(d.FullName())}
	m[d.FullName()] = out
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		out.meaning = meansTimestamp
	case "google.protobuf.Duration":
		out.meaning = meansDuration
	case "google.protobuf.Struct":
		out.meaning = meansStruct
	case "google.protobuf.Value":
		out.meaning = meansValue
	case "google.protobuf.ListValue":
		out.meaning = meansList
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		out.meaning = meansWrapped
	}
	for i := range d.Fields().Len() {
		out.fields = append(out.fields, m.field(d.Fields().Get(i)))
	}
	slices.SortFunc(out.fields, func(a, b *field) int { return cmp.Compare(a.number, b.number) })
	for i, f := range out.fields {
		if f.number < nearFields {
			for len(out.near) <= int(f.number) {
				out.near = append(out.near, 0)
			}
			out.near[f.number] = int16(i + 1)
		}
	}
	return out
}

func (m messages) field(d protoreflect.FieldDescriptor) *field {
	f := &field{
		number: d.Number(), name: string(d.Name()), jsonName: d.JSONName(), kind: d.Kind(),
		repeated: d.Cardinality() == protoreflect.Repeated, presence: d.HasPresence(), oneof: -1, wire: wireType(d.Kind()),
	}
	f.member = append(mysqljson.AppendQuoted(nil, []byte(f.name)), ':')
	if o := d.ContainingOneof(); o != nil {
		f.oneof = o.Index()
	}
	switch {
	case d.IsMap():
		f.key, f.value = m.field(d.MapKey()), m.field(d.MapValue())
	case d.Kind() == protoreflect.MessageKind, d.Kind() == protoreflect.GroupKind:
		f.message = m.of(d.Message())
	case d.Kind() == protoreflect.EnumKind:
		f.enum = map[int32][]byte{}
		values := d.Enum().Values()
		for i := values.Len() - 1; i >= 0; i-- { // of aliases the first counts
			f.enum[int32(values.Get(i).Number())] = []byte(values.Get(i).Name())
		}
	}
	return f
}

// find is the index of the field of a number, −1 if there is none.
func (m *message) find(number protowire.Number) int {
	if int(number) < len(m.near) {
		return int(m.near[number]) - 1
	}
	i, ok := slices.BinarySearchFunc(m.fields, number, func(f *field, n protowire.Number) int { return cmp.Compare(f.number, n) })
	if !ok {
		return -1
	}
	return i
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}

// takes reports whether a field of a wire type may be one of f: of its own, or
// packed.
func (f *field) takes(t protowire.Type) bool {
	return t == f.wire || f.repeated && t == protowire.BytesType && f.message == nil && f.key == nil && f.wire != protowire.StartGroupType
}
