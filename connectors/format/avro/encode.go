package avro

import (
	"encoding/binary"
	stdjson "encoding/json"
	"fmt"
	"math"
	"regexp"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors/format/internal/cells"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Encoder writes rows as Avro records in binary encoding. It belongs to one lane.
//
// Integers are int or long, BIGINT UNSIGNED decimal(20,0); DECIMAL is bytes with
// the logical type decimal, DATE int with date, TIME long with time-micros,
// DATETIME long with local-timestamp-micros, TIMESTAMP long with timestamp-micros;
// JSON is its text. A column that may be NULL is a union of null and its type,
// with null as default, so that columns may come and go by the usual rules of
// compatibility.
type Encoder struct {
	columns []cells.Column
	members []int // columns that are fields, in order
	union   []bool
}

// fieldName is what Avro allows as a name:
// https://avro.apache.org/docs/1.12.0/specification/#names
var fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

var badLetters = regexp.MustCompile(`[^A-Za-z0-9_]`)

// NewEncoder makes an encoder of the columns of a schema whose numbers are members,
// and the Avro schema of its records, which are named after name.
func NewEncoder(name string, schema types.Schema, members []int) (*Encoder, string, error) {
	e := &Encoder{columns: make([]cells.Column, len(schema)), members: members, union: make([]bool, len(schema))}
	type field struct {
		Name    string              `json:"name"`
		Type    any                 `json:"type"`
		Default *stdjson.RawMessage `json:"default,omitempty"`
	}
	null := stdjson.RawMessage("null")
	fields := []field{}
	for i, c := range schema {
		e.columns[i].Type = c.Type
	}
	for _, i := range members {
		c := schema[i]
		if !fieldName.MatchString(c.Name) {
			return nil, "", sqlerror.Userf(sqlerror.CodeUnsupported, "column %s cannot be a field of an Avro record", c.Name).
				WithHint("name it with letters, digits and _ by AS")
		}
		t, err := avroType(c.Type)
		if err != nil {
			return nil, "", err
		}
		f := field{Name: c.Name, Type: t}
		if e.union[i] = !c.NotNull; e.union[i] {
			f.Type, f.Default = []any{"null", t}, &null
		}
		fields = append(fields, f)
	}
	name = badLetters.ReplaceAllString(name, "_")
	if !fieldName.MatchString(name) {
		name = "_" + name
	}
	text, err := stdjson.Marshal(struct {
		Type   string  `json:"type"`
		Name   string  `json:"name"`
		Fields []field `json:"fields"`
	}{"record", name, fields})
	if err != nil {
		return nil, "", fmt.Errorf("make an Avro schema: %w", err)
	}
	return e, string(text), nil
}

func avroType(t types.Type) (any, error) {
	logical := func(base, name string) any { return map[string]any{"type": base, "logicalType": name} }
	decimal := func(precision, scale int) any {
		return map[string]any{"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
	}
	switch t.Kind {
	case types.Bool:
		return "boolean", nil
	case types.Int8, types.Int16, types.Int32, types.Uint8, types.Uint16:
		return "int", nil
	case types.Int64, types.Uint32:
		return "long", nil
	case types.Uint64:
		return decimal(20, 0), nil
	case types.Float32:
		return "float", nil
	case types.Float64:
		return "double", nil
	case types.Decimal:
		return decimal(t.Precision, t.Scale), nil
	case types.String, types.JSON:
		return "string", nil
	case types.Binary:
		return "bytes", nil
	case types.Date:
		return logical("int", "date"), nil
	case types.Time:
		return logical("long", "time-micros"), nil
	case types.DateTime:
		return logical("long", "local-timestamp-micros"), nil
	case types.Timestamp:
		return logical("long", "timestamp-micros"), nil
	}
	return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "a column of type %s cannot be written as Avro", t)
}

// Bind makes arrays the source of what follows, one per column of the schema. They
// are lent until the next Bind.
func (e *Encoder) Bind(columns []arrow.Array) error {
	if len(columns) != len(e.columns) {
		return fmt.Errorf("encode rows: %d columns of %d", len(columns), len(e.columns))
	}
	for i, a := range columns {
		if err := e.columns[i].Bind(a); err != nil {
			return fmt.Errorf("encode column %d: %w", i+1, err)
		}
	}
	return nil
}

// AppendRow appends a row of the bound batch. NULL in a column that may not be
// NULL is written as the zero of its type.
func (e *Encoder) AppendRow(dst []byte, row int) []byte {
	for _, i := range e.members {
		c := &e.columns[i]
		null := c.IsNull(row)
		if e.union[i] {
			if null {
				dst = append(dst, 0)
				continue
			}
			dst = append(dst, 2) // the second branch
		}
		dst = appendValue(dst, c, row, null)
	}
	return dst
}

func appendValue(dst []byte, c *cells.Column, row int, null bool) []byte {
	switch c.Type.Kind {
	case types.Bool:
		if !null && (c.Form == cells.Bool && c.Bool(row) || c.Form != cells.Bool && c.Integer(row) != 0) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case types.Float32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(floatOf(c, row, null))))
	case types.Float64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(floatOf(c, row, null)))
	case types.String, types.JSON, types.Binary:
		if null {
			return append(dst, 0)
		}
		text := c.Bytes(row)
		return append(binary.AppendVarint(dst, int64(len(text))), text...)
	case types.Decimal, types.Uint64:
		var n decimal128.Num
		switch {
		case null:
		case c.Form == cells.Decimal:
			n = c.Decimal(row)
		case c.Form == cells.U64:
			n = decimal128.FromU64(c.Unsigned(row))
		default:
			n = decimal128.FromI64(c.Integer(row))
		}
		return appendTwosComplement(dst, n)
	}
	if null {
		return append(dst, 0)
	}
	// Avro's zig-zag encoding is that of Go's varints.
	return binary.AppendVarint(dst, c.Integer(row))
}

func floatOf(c *cells.Column, row int, null bool) float64 {
	if null {
		return 0
	}
	return c.Float(row)
}

// appendTwosComplement appends a number as bytes, the highest first, as few as
// hold it, with their count before them.
func appendTwosComplement(dst []byte, n decimal128.Num) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(n.HighBits()))
	binary.BigEndian.PutUint64(b[8:], n.LowBits())
	from := 0
	for from < 15 && (b[from] == 0 && b[from+1] < 0x80 || b[from] == 0xff && b[from+1] >= 0x80) {
		from++
	}
	return append(binary.AppendVarint(dst, int64(16-from)), b[from:]...)
}
