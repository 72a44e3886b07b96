package avro

import (
	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/sql/types"
)

// Infer gives the columns of the schemas with which the sample was written; of
// two types of one field that of the registry's newest schema, or of the first file.
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
	for n, c := range chunks {
		if c.Header != nil {
			err := versions.Add(c.Header, -n, func() (types.Schema, string, error) {
				h, _, err := parseHeader(c.Header)
				if err != nil {
					return nil, "", err
				}
				s, err := parse(h.schema, nil)
				if err != nil {
					return nil, "", err
				}
				return columnsOf(s), "", nil
			})
			if err != nil {
				return nil, err
			}
			continue
		}
		for _, r := range c.Records {
			if r.Null {
				continue
			}
			payload := c.Data[r.Start:r.End]
			id, value, err := schemaregistry.SplitHeader(payload)
			if err != nil {
				versions.Unreadable(err.Error())
				continue
			}
			err = versions.Add(payload[:len(payload)-len(value)], id, func() (types.Schema, string, error) {
				s, why, err := d.schemaOf(id)
				if s == nil {
					return nil, why, err
				}
				return columnsOf(s), why, err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return versions.Schema()
}

// columnsOf gives the columns of a schema. All may be NULL, since another
// version of the schema may lack them.
func columnsOf(schema hamba.Schema) types.Schema {
	record, ok := deref(schema).(*hamba.RecordSchema)
	if !ok {
		return types.Schema{{Name: valueColumn, Type: typeOf(schema)}}
	}
	var columns types.Schema
	for _, f := range record.Fields() {
		if columns.Index(f.Name()) < 0 {
			columns = append(columns, types.Column{Name: f.Name(), Type: typeOf(f.Type())})
		}
	}
	return columns
}

func deref(schema hamba.Schema) hamba.Schema {
	if ref, ok := schema.(*hamba.RefSchema); ok {
		return ref.Schema()
	}
	return schema
}

var typeLongText = types.Type{Kind: types.String, Name: "LONGTEXT"}

// typeOf is the column type of a schema.
func typeOf(schema hamba.Schema) types.Type {
	schema = deref(schema)
	switch logicalName(schema) {
	case hamba.Decimal:
		if d, ok := schema.(hamba.LogicalTypeSchema).Logical().(*hamba.DecimalLogicalSchema); ok {
			if d.Precision() <= types.MaxDecimalPrecision && d.Scale() <= min(30, d.Precision()) {
				return types.NewDecimal(d.Precision(), d.Scale())
			}
			return typeLongText
		}
	case hamba.UUID:
		return types.NewVarchar(36)
	case hamba.Date:
		return types.TypeDate
	case hamba.TimeMillis:
		return types.Type{Kind: types.Time, Fsp: 3}
	case hamba.TimeMicros:
		return types.Type{Kind: types.Time, Fsp: 6}
	case hamba.TimestampMillis:
		return types.Type{Kind: types.Timestamp, Fsp: 3}
	case hamba.TimestampMicros, timestampNanos:
		return types.Type{Kind: types.Timestamp, Fsp: 6}
	case hamba.LocalTimestampMillis:
		return types.Type{Kind: types.DateTime, Fsp: 3}
	case hamba.LocalTimestampMicros, localTimestampNanos:
		return types.Type{Kind: types.DateTime, Fsp: 6}
	case hamba.Duration:
		return types.TypeJSON
	}
	switch schema.Type() {
	case hamba.Boolean:
		return types.TypeBool
	case hamba.Int:
		return types.Type{Kind: types.Int32}
	case hamba.Long:
		return types.TypeInt64
	case hamba.Float:
		return types.Type{Kind: types.Float32}
	case hamba.Double:
		return types.TypeFloat64
	case hamba.Bytes:
		return types.Type{Kind: types.Binary, Name: "LONGBLOB"}
	case hamba.Fixed:
		return types.Type{Kind: types.Binary, Name: "VARBINARY", Length: schema.(*hamba.FixedSchema).Size()}
	case hamba.Record, hamba.Error, hamba.Array, hamba.Map:
		return types.TypeJSON
	case hamba.Union:
		return typeOfUnion(schema.(*hamba.UnionSchema))
	}
	return typeLongText
}

// typeOfUnion is that of its only branch beside null; of several kinds it is
// text, and JSON where one of them is.
func typeOfUnion(union *hamba.UnionSchema) types.Type {
	var found []types.Type
	for _, branch := range union.Types() {
		if branch.Type() != hamba.Null {
			found = append(found, typeOf(branch))
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	for _, t := range found {
		if t.Kind == types.JSON {
			return types.TypeJSON
		}
	}
	return typeLongText
}
