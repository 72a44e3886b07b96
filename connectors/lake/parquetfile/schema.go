// Package parquetfile writes the Parquet files of a lake: it takes rows of
// Arrow batches into column buffers that already have Parquet's layout, encodes
// a page of each column as soon as enough rows are there, and keeps only the
// compressed pages until a row group is full. So a file that is open for long
// costs its compressed size and one page of each column.
//
// The format is that of https://parquet.apache.org/docs/file-format/, with the
// types and field ids of Iceberg's specification (appendix A, "Parquet").
package parquetfile

import "fmt"

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
	// physical are Parquet's numbers of the types, encoded its SchemaElements, of
	// the root and of the columns.
	physical []int
	encoded  []byte
}

// NewSchema is the schema of files with these columns.
func NewSchema(columns []Column) (*Schema, error) {
	s := &Schema{columns: columns}
	w := thriftWriter{}
	root := w.open(0)
	w.bytes(4, []byte("table"))
	w.i32(5, len(columns))
	w.close(root)
	for _, c := range columns {
		l, width, err := c.layout()
		if err != nil {
			return nil, err
		}
		physical := c.physical(l)
		s.layouts, s.widths, s.physical = append(s.layouts, l), append(s.widths, width), append(s.physical, physical)
		c.appendElement(&w, physical, width)
	}
	s.encoded = w.out
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

// Parquet's numbers of its physical types.
const (
	physicalBoolean = 0
	physicalInt32   = 1
	physicalInt64   = 2
	physicalFloat   = 4
	physicalDouble  = 5
	physicalBytes   = 6
	physicalFixed   = 7
)

func (c Column) physical(l layout) int {
	switch {
	case l == layoutBool:
		return physicalBoolean
	case c.Type == Float:
		return physicalFloat
	case c.Type == Double:
		return physicalDouble
	case l == layout32:
		return physicalInt32
	case l == layout64:
		return physicalInt64
	case l == layoutFixed:
		return physicalFixed
	}
	return physicalBytes
}

// appendElement appends Parquet's SchemaElement, with the logical type and, for
// old readers, the converted type that says the same.
func (c Column) appendElement(w *thriftWriter, physical, width int) {
	const (
		convertedText      = 0
		convertedDecimal   = 5
		convertedDate      = 6
		convertedTimestamp = 10 // µs of an instant; wall clocks have none
	)
	outer := w.open(0)
	w.i32(1, physical)
	if physical == physicalFixed {
		w.i32(2, width)
	}
	if c.Required {
		w.i32(3, 0)
	} else {
		w.i32(3, 1)
	}
	w.bytes(4, []byte(c.Name))
	switch c.Type {
	case String:
		w.i32(6, convertedText)
	case Decimal:
		w.i32(6, convertedDecimal)
		w.i32(7, c.Scale)
		w.i32(8, c.Precision)
	case Date:
		w.i32(6, convertedDate)
	case TimestampTZ:
		w.i32(6, convertedTimestamp)
	}
	w.i32(9, c.ID)
	switch c.Type {
	case String:
		logical := w.open(10)
		w.empty(1)
		w.close(logical)
	case Decimal:
		logical := w.open(10)
		decimal := w.open(5)
		w.i32(1, c.Scale)
		w.i32(2, c.Precision)
		w.close(decimal)
		w.close(logical)
	case Date:
		logical := w.open(10)
		w.empty(6)
		w.close(logical)
	case Time, Timestamp, TimestampTZ:
		logical := w.open(10)
		kind := 8
		if c.Type == Time {
			kind = 7
		}
		time := w.open(kind)
		w.bool(1, c.Type == TimestampTZ)
		unit := w.open(2)
		w.empty(2) // µs
		w.close(unit)
		w.close(time)
		w.close(logical)
	}
	w.close(outer)
}
