package protobuf

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/sql/types"
)

// Infer gives the columns of the message types of the sample; of two types of one
// field that of the newest schema.
func Infer(chunks []*connectors.Chunk, config connectors.DecoderConfig) (types.Schema, error) {
	d, err := NewDecoder(connectors.DecoderConfig{Options: config.Options})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if d.given != nil {
		return columnsOf(d.given), nil
	}
	var versions columns.Versions
	for _, c := range chunks {
		for _, r := range c.Records {
			if r.Null {
				continue
			}
			payload := c.Data[r.Start:r.End]
			id, indexes, value, err := splitPayload(payload, nil)
			if err != nil {
				versions.Unreadable(err.Error())
				continue
			}
			err = versions.Add(payload[:len(payload)-len(value)], id, func() (types.Schema, string, error) {
				m, why, err := d.messageOf(id, indexes)
				if m == nil {
					return nil, why, err
				}
				return columnsOf(m), why, err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return versions.Schema()
}

// splitPayload takes the id and the path to the message type off a payload.
func splitPayload(payload []byte, indexes []int) (id int, path []int, value []byte, err error) {
	id, value, err = schemaregistry.SplitHeader(payload)
	if err != nil {
		return 0, indexes, nil, err
	}
	path, value, err = schemaregistry.SplitIndexes(value, indexes)
	return id, path, value, err
}

// columnsOf gives the columns of a message type.
func columnsOf(m protoreflect.MessageDescriptor) types.Schema {
	var schema types.Schema
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if schema.Index(string(f.Name())) < 0 {
			schema = append(schema, types.Column{Name: string(f.Name()), Type: typeOf(f)})
		}
	}
	return schema
}

// typeOf is the column type of a field.
func typeOf(f protoreflect.FieldDescriptor) types.Type {
	if f.Cardinality() == protoreflect.Repeated {
		return types.TypeJSON
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return types.TypeBool
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return types.Type{Kind: types.Int32}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return types.Type{Kind: types.Uint32}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return types.TypeInt64
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return types.TypeUint64
	case protoreflect.FloatKind:
		return types.Type{Kind: types.Float32}
	case protoreflect.DoubleKind:
		return types.TypeFloat64
	case protoreflect.BytesKind:
		return types.Type{Kind: types.Binary, Name: "LONGBLOB"}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		switch (messages{}).of(f.Message()).meaning {
		case meansTimestamp:
			return types.Type{Kind: types.Timestamp, Fsp: 6}
		case meansDuration:
			return types.NewDecimal(21, 9)
		case meansWrapped:
			return typeOf(f.Message().Fields().Get(0))
		}
		return types.TypeJSON
	}
	return types.Type{Kind: types.String, Name: "LONGTEXT"}
}
