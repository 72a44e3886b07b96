// Package types is Leat's SQL type system: what a column was declared as in
// MySQL's words, and how that is held in Arrow.
//
// It is a leaf: the parser, the decoders, the planner, the kernels and the
// catalog all speak of types through it, so that TIMESTAMP(3) or BIGINT
// UNSIGNED mean the same everywhere.
package types

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Kind is the family of a type: what decides its Arrow representation and
// which kernels apply.
type Kind uint8

// The kinds, in the order of MySQL's numeric tower and then the rest.
const (
	Null Kind = iota // the type of the literal NULL; fits everywhere
	Bool             // BOOLEAN and TINYINT(1)
	Int8
	Int16
	Int32 // also MEDIUMINT
	Int64
	Uint8
	Uint16
	Uint32 // also MEDIUMINT UNSIGNED
	Uint64
	Float32
	Float64
	Decimal
	String // CHAR, VARCHAR, TEXT, ENUM, SET
	Binary // BINARY, VARBINARY, BLOB, BIT
	Date
	Time
	DateTime  // a wall clock, without zone
	Timestamp // an instant, UTC
	JSON      // text that is valid JSON
)

var kindNames = [...]string{
	"NULL", "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT",
	"TINYINT UNSIGNED", "SMALLINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED",
	"FLOAT", "DOUBLE", "DECIMAL", "VARCHAR", "VARBINARY", "DATE", "TIME", "DATETIME", "TIMESTAMP", "JSON",
}

// String is the kind's plainest MySQL name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MaxDecimalPrecision is the widest DECIMAL that Arrow's decimal128, Parquet
// and Iceberg hold.
const MaxDecimalPrecision = 38

// Type is a declared SQL type. The zero value is the NULL type. Types are
// compared with Equal (Members makes == impossible).
type Type struct {
	Kind Kind
	// Name is the declared word where several share a kind: CHAR, VARCHAR,
	// TINYTEXT, TEXT, MEDIUMTEXT, LONGTEXT, ENUM, SET; BINARY, VARBINARY,
	// TINYBLOB, BLOB, MEDIUMBLOB, LONGBLOB, BIT; MEDIUMINT. Empty means the
	// kind's own name.
	Name string
	// Length bounds CHAR(n) and VARCHAR(n) in characters, BINARY(n) and
	// VARBINARY(n) in bytes, BIT(n) in bits; 0 is unbounded.
	Length int
	// Precision and Scale of a DECIMAL, in decimal digits.
	Precision, Scale int
	// Fsp is the number of fractional second digits, 0 to 6, of TIME,
	// DATETIME and TIMESTAMP.
	Fsp int
	// Members of an ENUM or SET, in declared order.
	Members []string
	// Printed marks JSON that a function has put together, as JSON_OBJECT does: it
	// is printed as it is, DECIMALs with all their digits, where other JSON is read
	// and printed as MySQL does. It is no part of the declared type.
	Printed bool
}

// Shorthands for the types that code most often asks for.
var (
	TypeNull     = Type{Kind: Null}
	TypeBool     = Type{Kind: Bool}
	TypeInt64    = Type{Kind: Int64}
	TypeUint64   = Type{Kind: Uint64}
	TypeFloat64  = Type{Kind: Float64}
	TypeText     = Type{Kind: String, Name: "TEXT"}
	TypeBlob     = Type{Kind: Binary, Name: "BLOB"}
	TypeJSON     = Type{Kind: JSON}
	TypeDate     = Type{Kind: Date}
	TypeDateTime = Type{Kind: DateTime, Fsp: 6}
)

// NewDecimal is DECIMAL(precision, scale).
func NewDecimal(precision, scale int) Type {
	return Type{Kind: Decimal, Precision: precision, Scale: scale}
}

// NewVarchar is VARCHAR(n), n in characters.
func NewVarchar(n int) Type { return Type{Kind: String, Name: "VARCHAR", Length: n} }

// Equal reports whether two types are declared alike.
func (t Type) Equal(u Type) bool { return t.String() == u.String() }

var memberEscapes = strings.NewReplacer("'", "''", `\`, `\\`)

// String is the type as SHOW CREATE prints it and Parse reads it.
func (t Type) String() string {
	name := t.Name
	if name == "" {
		name = t.Kind.String()
	}
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case Time, DateTime, Timestamp:
		if t.Fsp > 0 {
			return fmt.Sprintf("%s(%d)", name, t.Fsp)
		}
	case String, Binary:
		if name == "ENUM" || name == "SET" {
			quoted := make([]string, len(t.Members))
			for i, m := range t.Members {
				quoted[i] = "'" + memberEscapes.Replace(m) + "'"
			}
			return name + "(" + strings.Join(quoted, ",") + ")"
		}
		if t.Length > 0 {
			return fmt.Sprintf("%s(%d)", name, t.Length)
		}
	}
	return name
}

// Arrow is the in-memory representation of the type:
// decimals are decimal128, all times have microsecond units, JSON is utf8.
func (t Type) Arrow() arrow.DataType {
	switch t.Kind {
	case Null:
		return arrow.Null
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	case Int8:
		return arrow.PrimitiveTypes.Int8
	case Int16:
		return arrow.PrimitiveTypes.Int16
	case Int32:
		return arrow.PrimitiveTypes.Int32
	case Int64:
		return arrow.PrimitiveTypes.Int64
	case Uint8:
		return arrow.PrimitiveTypes.Uint8
	case Uint16:
		return arrow.PrimitiveTypes.Uint16
	case Uint32:
		return arrow.PrimitiveTypes.Uint32
	case Uint64:
		return arrow.PrimitiveTypes.Uint64
	case Float32:
		return arrow.PrimitiveTypes.Float32
	case Float64:
		return arrow.PrimitiveTypes.Float64
	case Decimal:
		return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	case String, JSON:
		return arrow.BinaryTypes.String
	case Binary:
		return arrow.BinaryTypes.Binary
	case Date:
		return arrow.FixedWidthTypes.Date32
	case Time:
		return arrow.FixedWidthTypes.Time64us
	case DateTime:
		return DateTimeArrow
	case Timestamp:
		return TimestampArrow
	}
	panic(fmt.Sprintf("types: no Arrow type for kind %d", t.Kind))
}

// The two Arrow timestamp types: without a zone a wall clock, with UTC an instant.
var (
	DateTimeArrow  = &arrow.TimestampType{Unit: arrow.Microsecond}
	TimestampArrow = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
)

// IsInteger reports whether the kind is one of the integer kinds (not BOOLEAN).
func (k Kind) IsInteger() bool { return k >= Int8 && k <= Uint64 }

// IsUnsigned reports whether the kind is an unsigned integer.
func (k Kind) IsUnsigned() bool { return k >= Uint8 && k <= Uint64 }

// IsFloat reports whether the kind is FLOAT or DOUBLE.
func (k Kind) IsFloat() bool { return k == Float32 || k == Float64 }

// IsNumeric reports whether MySQL computes with the kind as a number without
// converting it (BOOLEAN is TINYINT(1), so it counts).
func (k Kind) IsNumeric() bool { return k >= Bool && k <= Decimal }

// IsTemporal reports whether the kind is a date or time.
func (k Kind) IsTemporal() bool { return k >= Date && k <= Timestamp }

// IsText reports whether the kind is held as utf8 text.
func (k Kind) IsText() bool { return k == String || k == JSON }

// Bits is the width of an integer kind in bits, 0 for the others.
func (k Kind) Bits() int {
	switch k {
	case Int8, Uint8:
		return 8
	case Int16, Uint16:
		return 16
	case Int32, Uint32:
		return 32
	case Int64, Uint64:
		return 64
	}
	return 0
}

// Column is one named, typed column: of a source, of an operator's output or
// of a table.
type Column struct {
	Name    string
	Type    Type
	NotNull bool
}

// Schema is an ordered list of columns.
type Schema []Column

// Index finds a column as MySQL does, without regard to case; -1 if there is none.
func (s Schema) Index(name string) int {
	for i := range s {
		if strings.EqualFold(s[i].Name, name) {
			return i
		}
	}
	return -1
}

// MetadataKey is the key of an Arrow field's metadata that keeps the declared
// type of the column (as Type.String), so that it survives Arrow and Parquet.
const MetadataKey = "leat.type"

// Arrow is the schema's Arrow twin; each field's metadata keeps the declared type.
func (s Schema) Arrow() *arrow.Schema {
	fields := make([]arrow.Field, len(s))
	for i, c := range s {
		fields[i] = arrow.Field{
			Name: c.Name, Type: c.Type.Arrow(), Nullable: !c.NotNull,
			Metadata: arrow.NewMetadata([]string{MetadataKey}, []string{c.Type.String()}),
		}
	}
	return arrow.NewSchema(fields, nil)
}

// FromArrow is the column that an Arrow field holds: its declared type where
// the metadata keeps one, else the plainest type of its representation.
func FromArrow(f arrow.Field) (Column, error) {
	c := Column{Name: f.Name, NotNull: !f.Nullable}
	if s, ok := f.Metadata.GetValue(MetadataKey); ok {
		t, err := Parse(s)
		if err != nil {
			return c, fmt.Errorf("read declared type of column %s: %w", f.Name, err)
		}
		c.Type = t
		return c, nil
	}
	t, err := fromArrowType(f.Type)
	if err != nil {
		return c, fmt.Errorf("column %s: %w", f.Name, err)
	}
	c.Type = t
	return c, nil
}

func fromArrowType(dt arrow.DataType) (Type, error) {
	switch dt := dt.(type) {
	case *arrow.NullType:
		return TypeNull, nil
	case *arrow.BooleanType:
		return TypeBool, nil
	case *arrow.Int8Type:
		return Type{Kind: Int8}, nil
	case *arrow.Int16Type:
		return Type{Kind: Int16}, nil
	case *arrow.Int32Type:
		return Type{Kind: Int32}, nil
	case *arrow.Int64Type:
		return Type{Kind: Int64}, nil
	case *arrow.Uint8Type:
		return Type{Kind: Uint8}, nil
	case *arrow.Uint16Type:
		return Type{Kind: Uint16}, nil
	case *arrow.Uint32Type:
		return Type{Kind: Uint32}, nil
	case *arrow.Uint64Type:
		return Type{Kind: Uint64}, nil
	case *arrow.Float32Type:
		return Type{Kind: Float32}, nil
	case *arrow.Float64Type:
		return Type{Kind: Float64}, nil
	case *arrow.Decimal128Type:
		return NewDecimal(int(dt.Precision), int(dt.Scale)), nil
	case *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType:
		return TypeText, nil
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.BinaryViewType, *arrow.FixedSizeBinaryType:
		return TypeBlob, nil
	case *arrow.Date32Type:
		return TypeDate, nil
	case *arrow.Time64Type, *arrow.Time32Type:
		return Type{Kind: Time, Fsp: 6}, nil
	case *arrow.TimestampType:
		if dt.TimeZone == "" {
			return TypeDateTime, nil
		}
		return Type{Kind: Timestamp, Fsp: 6}, nil
	case *arrow.DictionaryType:
		return fromArrowType(dt.ValueType)
	}
	return Type{}, fmt.Errorf("no SQL type for Arrow type %s", dt)
}
