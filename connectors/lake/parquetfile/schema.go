// Package parquetfile writes the Parquet files of a lake: it takes rows of
// Arrow batches into column buffers that already have Parquet's layout, encodes
// a page of each column as soon as enough rows are there, and keeps only the
// compressed pages until a row group is full. So a file that is open for long
// costs its compressed size and one page of each column.
//
// The format is that of https://parquet.apache.org/docs/file-format/, with the
// types and field ids of Iceberg's specification (appendix A, "Parquet"). The
// footer's metadata is built and written by Arrow's package.
package parquetfile

import (
	"fmt"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// Type is one of Iceberg's primitive types.
type Type uint8

// The types.
const (
	Boolean Type = iota
	Int
	Long
	Float
	Double
	Decimal
	Date
	Time        // µs since midnight
	Timestamp   // µs, a wall clock
	TimestampTZ // µs, an instant in UTC
	String
	Binary
)

var typeNames = [...]string{"boolean", "int", "long", "float", "double", "decimal", "date", "time", "timestamp", "timestamptz", "string", "binary"}

// String is Iceberg's name of the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// Column is one column of a file.
type Column struct {
	Name             string
	ID               int // Iceberg's field id
	Type             Type
	Precision, Scale int // of a Decimal, precision 1 to 38
	Required         bool
}

// layout is how Parquet holds a type.
type layout uint8

const (
	layoutBool  layout = iota // one byte a value in buffers, one bit in pages
	layout32                  // INT32, FLOAT
	layout64                  // INT64, DOUBLE
	layoutBytes               // BYTE_ARRAY
	layoutFixed               // FIXED_LEN_BYTE_ARRAY, decimals of more than 18 digits
)

// Schema is the columns of files.
type Schema struct {
	columns []Column
	layouts []layout
	widths  []int // bytes of a value in a buffer, 0 for layoutBytes
	parquet *schema.Schema
}

// NewSchema is the schema of files with these columns.
func NewSchema(columns []Column) (*Schema, error) {
	s := &Schema{columns: columns}
	fields := make(schema.FieldList, len(columns))
	for i, c := range columns {
		l, width, err := c.layout()
		if err != nil {
			return nil, err
		}
		s.layouts, s.widths = append(s.layouts, l), append(s.widths, width)
		if fields[i], err = c.node(l, width); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	root, err := schema.NewGroupNode("table", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		return nil, fmt.Errorf("build Parquet schema: %w", err)
	}
	s.parquet = schema.NewSchema(root)
	return s, nil
}

// Columns lists the columns.
func (s *Schema) Columns() []Column { return s.columns }

func (c Column) layout() (l layout, width int, err error) {
	switch c.Type {
	case Boolean:
		return layoutBool, 1, nil
	case Int, Date, Float:
		return layout32, 4, nil
	case Long, Double, Time, Timestamp, TimestampTZ:
		return layout64, 8, nil
	case String, Binary:
		return layoutBytes, 0, nil
	case Decimal:
		switch {
		case c.Precision < 1 || c.Precision > 38 || c.Scale < 0 || c.Scale > c.Precision:
			return 0, 0, fmt.Errorf("column %s: no decimal(%d,%d)", c.Name, c.Precision, c.Scale)
		case c.Precision <= 9:
			return layout32, 4, nil
		case c.Precision <= 18:
			return layout64, 8, nil
		}
		return layoutFixed, decimalBytes(c.Precision), nil
	}
	return 0, 0, fmt.Errorf("column %s: unknown type %s", c.Name, c.Type)
}

// decimalBytes is how many bytes hold a number of so many decimal digits and
// its sign.
func decimalBytes(precision int) int {
	n := 9
	// 10^precision <= 2^(8n-1) by their logarithms, exact enough up to 38.
	for float64(8*n-1) < float64(precision)*3.3219280948873626 {
		n++
	}
	return n
}

func (c Column) node(l layout, width int) (schema.Node, error) {
	repetition := parquet.Repetitions.Optional
	if c.Required {
		repetition = parquet.Repetitions.Required
	}
	var logical schema.LogicalType = schema.NoLogicalType{}
	switch c.Type {
	case Decimal:
		logical = schema.NewDecimalLogicalType(int32(c.Precision), int32(c.Scale))
	case Date:
		logical = schema.DateLogicalType{}
	case Time:
		logical = schema.NewTimeLogicalType(false, schema.TimeUnitMicros)
	case Timestamp, TimestampTZ:
		logical = schema.NewTimestampLogicalType(c.Type == TimestampTZ, schema.TimeUnitMicros)
	case String:
		logical = schema.StringLogicalType{}
	}
	var physical parquet.Type
	switch l {
	case layoutBool:
		physical = parquet.Types.Boolean
	case layout32:
		physical = parquet.Types.Int32
		if c.Type == Float {
			physical = parquet.Types.Float
		}
	case layout64:
		physical = parquet.Types.Int64
		if c.Type == Double {
			physical = parquet.Types.Double
		}
	case layoutBytes:
		physical = parquet.Types.ByteArray
	case layoutFixed:
		return schema.NewPrimitiveNodeLogical(c.Name, repetition, logical, parquet.Types.FixedLenByteArray, width, int32(c.ID))
	}
	return schema.NewPrimitiveNodeLogical(c.Name, repetition, logical, physical, -1, int32(c.ID))
}
