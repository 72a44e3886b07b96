package avro

import (
	"fmt"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/internal/mysqljson"
)

// kind is how a value is written, and what it means.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt // int and long
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindFixed
	kindEnum
	kindRecord
	kindArray
	kindMap
	kindUnion

	// Logical types. Those of a fixed have size > 0.
	kindDecimal
	kindUUID // of a fixed
	kindDate
	kindTimeMillis
	kindTimeMicros
	kindMillis // timestamps, local ones too
	kindMicros
	kindNanos
	kindDuration
)

// shape is a schema as the walk over a value needs it. Recursive schemas are
// circles of shapes.
type shape struct {
	kind     kind
	typeName string
	size     int // bytes of a fixed, and of a decimal in one; 0 if the length precedes
	scale    int
	symbols  [][]byte // of an enum
	names    []string // of a record's fields
	members  [][]byte // `"name":` of them
	parts    []*shape // fields of a record, branches of a union, the element of an array or map
	simple   bool     // a union of null and one other type
}

// shapes turns schemas into shapes, each of them once.
type shapes map[hamba.Schema]*shape

func (m shapes) of(schema hamba.Schema) (*shape, error) {
	if ref, ok := schema.(*hamba.RefSchema); ok {
		schema = ref.Schema()
	}
	if s := m[schema]; s != nil {
		return s, nil
	}
	s := &shape{typeName: string(schema.Type())}
	m[schema] = s
	part := func(of hamba.Schema) error {
		p, err := m.of(of)
		s.parts = append(s.parts, p)
		return err
	}
	switch schema := schema.(type) {
	case *hamba.NullSchema:
		s.kind = kindNull
	case *hamba.PrimitiveSchema:
		s.primitive(schema)
	case *hamba.FixedSchema:
		s.kind, s.size = kindFixed, schema.Size()
		switch logical := logicalName(schema); {
		case logical == hamba.Decimal:
			s.kind = kindDecimal
			s.scale = schema.Logical().(*hamba.DecimalLogicalSchema).Scale()
		case logical == hamba.Duration && s.size == 12:
			s.kind = kindDuration
		case logical == hamba.UUID && s.size == 16:
			s.kind = kindUUID
		}
	case *hamba.EnumSchema:
		s.kind = kindEnum
		for _, symbol := range schema.Symbols() {
			s.symbols = append(s.symbols, []byte(symbol))
		}
	case *hamba.ArraySchema:
		s.kind = kindArray
		return s, part(schema.Items())
	case *hamba.MapSchema:
		s.kind = kindMap
		return s, part(schema.Values())
	case *hamba.UnionSchema:
		s.kind = kindUnion
		s.simple = schema.Nullable() && len(schema.Types()) == 2
		for _, branch := range schema.Types() {
			if err := part(branch); err != nil {
				return nil, err
			}
		}
	case *hamba.RecordSchema:
		s.kind = kindRecord
		for _, f := range schema.Fields() {
			s.names = append(s.names, f.Name())
			s.members = append(s.members, append(mysqljson.AppendQuoted(nil, []byte(f.Name())), ':'))
			if err := part(f.Type()); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("read Avro schema: type %s is not known", schema.Type())
	}
	return s, nil
}

func (s *shape) primitive(schema *hamba.PrimitiveSchema) {
	logical := logicalName(schema)
	switch schema.Type() {
	case hamba.Boolean:
		s.kind = kindBool
	case hamba.Float:
		s.kind = kindFloat
	case hamba.Double:
		s.kind = kindDouble
	case hamba.String:
		s.kind = kindString
	case hamba.Bytes:
		s.kind = kindBytes
		if d, ok := schema.Logical().(*hamba.DecimalLogicalSchema); ok {
			s.kind, s.scale = kindDecimal, d.Scale()
		}
	case hamba.Int:
		s.kind = kindInt
		switch logical {
		case hamba.Date:
			s.kind = kindDate
		case hamba.TimeMillis:
			s.kind = kindTimeMillis
		}
	case hamba.Long:
		s.kind = kindInt
		switch logical {
		case hamba.TimeMicros:
			s.kind = kindTimeMicros
		case hamba.TimestampMillis, hamba.LocalTimestampMillis:
			s.kind = kindMillis
		case hamba.TimestampMicros, hamba.LocalTimestampMicros:
			s.kind = kindMicros
		case timestampNanos, localTimestampNanos:
			s.kind = kindNanos
		}
	}
}

// Logical types that the library leaves as they are.
const (
	timestampNanos      hamba.LogicalType = "timestamp-nanos"
	localTimestampNanos hamba.LogicalType = "local-timestamp-nanos"
)

// logicalName is the logical type of a schema, "" if it has none.
func logicalName(schema hamba.Schema) hamba.LogicalType {
	if l, ok := schema.(hamba.LogicalTypeSchema); ok && l.Logical() != nil {
		return l.Logical().Type()
	}
	if p, ok := schema.(hamba.PropertySchema); ok {
		if name, ok := p.Prop("logicalType").(string); ok {
			return hamba.LogicalType(name)
		}
	}
	return ""
}
