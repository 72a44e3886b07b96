package json

import (
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// column builds one output column. Values are written at a row and may be
// written again until the row is done; NULLs are set when it is. The buffers
// are reused from batch to batch.
type column struct {
	field     connectors.Field
	typ       types.Type
	arrowType arrow.DataType
	path      string // for messages: rider.device.os
	at        *node  // whose value it is built from

	alloc  memory.Allocator
	values *memory.Buffer // fixed-width values, bits, or offsets of text
	text   *memory.Buffer // contents of text, one after the other
	valid  *memory.Buffer // validity, made with the first NULL of a batch
	nulls  int
	rows   int // for which there is room

	// Views of values, of the type in question.
	i8      []int8
	i16     []int16
	i32     []int32
	i64     []int64
	f32     []float32
	f64     []float64
	dec     []decimal128.Num
	bits    []byte
	offsets []int32 // of text: row i is content[offsets[i]:offsets[i+1]]
	content []byte  // view of text

	// Integer range, and for DECIMAL the bound of the unscaled value where that
	// has at most 18 digits (0 where it has more).
	low, high int64
	bound     uint64
	// limit is how many bytes of a string fit whatever they are.
	limit int
	// padded is set for CHAR, whose values lose the spaces at their end.
	padded bool
	// The last date that was read, as its ten characters.
	lastDate [10]byte
	lastDays int32
}

// slack is how many bytes more than it needs a column of text has room for, so
// that short strings can be copied in words.
const slack = 32

func newColumn(f connectors.Field, alloc memory.Allocator) (*column, error) {
	c := &column{field: f, typ: f.Column.Type, path: formatPath(f.Path), limit: math.MaxInt32, alloc: alloc}
	if f.Mode != connectors.FieldColumn && !c.typ.Kind.IsText() {
		return nil, fmt.Errorf("field %s: a JSON value cannot be extracted as %s", c.path, c.typ)
	}
	if c.typ.Kind == types.Null {
		return nil, fmt.Errorf("field %s: a column needs a type", c.path)
	}
	c.arrowType = c.typ.Arrow()
	c.values = memory.NewResizableBuffer(alloc)
	if c.isText() {
		c.text = memory.NewResizableBuffer(alloc)
	}
	if c.typ.Length > 0 && c.typ.Name != "BIT" && f.Mode == connectors.FieldColumn {
		c.limit = c.typ.Length
	}
	c.padded = c.typ.Name == "CHAR" && f.Mode == connectors.FieldColumn
	switch c.typ.Kind {
	case types.Bool:
		c.low, c.high = 0, 1
	case types.Int8, types.Int16, types.Int32, types.Int64:
		c.high = 1<<(c.typ.Kind.Bits()-1) - 1
		c.low = -c.high - 1
		if c.typ.Name == "MEDIUMINT" {
			c.low, c.high = -1<<23, 1<<23-1
		}
	case types.Uint8, types.Uint16, types.Uint32:
		c.high = 1<<c.typ.Kind.Bits() - 1
		if strings.HasPrefix(c.typ.Name, "MEDIUMINT") {
			c.high = 1<<24 - 1
		}
	case types.Uint64:
		c.high = math.MaxInt64
	case types.Decimal:
		if c.typ.Precision <= 18 {
			c.bound = powersOfTen[c.typ.Precision]
		}
	}
	return c, nil
}

func formatPath(path []string) string {
	var b strings.Builder
	for i, p := range path {
		if i > 0 && !strings.HasPrefix(p, "[") {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

func (c *column) isText() bool { return c.typ.Kind.IsText() || c.typ.Kind == types.Binary }

// begin makes room for a batch of rows and starts it anew.
func (c *column) begin(rows int) {
	c.nulls = 0
	if rows > c.rows {
		c.values.Reserve(c.width(rows))
		c.view(c.values.Buf())
		c.rows = rows
	}
	if c.isText() {
		c.offsets[0] = 0
	}
}

// width is how many bytes rows values take.
func (c *column) width(rows int) int {
	switch c.typ.Kind {
	case types.Bool:
		return (rows + 7) / 8
	case types.String, types.JSON, types.Binary:
		return 4 * (rows + 1)
	case types.Decimal:
		return 16 * rows
	case types.Int8, types.Uint8:
		return rows
	case types.Int16, types.Uint16:
		return 2 * rows
	case types.Int32, types.Uint32, types.Float32, types.Date:
		return 4 * rows
	}
	return 8 * rows
}

func (c *column) view(b []byte) {
	switch c.typ.Kind {
	case types.Bool:
		c.bits = b
	case types.String, types.JSON, types.Binary:
		c.offsets = arrow.Int32Traits.CastFromBytes(b)
	case types.Decimal:
		c.dec = arrow.Decimal128Traits.CastFromBytes(b)
	case types.Int8, types.Uint8:
		c.i8 = arrow.Int8Traits.CastFromBytes(b)
	case types.Int16, types.Uint16:
		c.i16 = arrow.Int16Traits.CastFromBytes(b)
	case types.Int32, types.Uint32, types.Date:
		c.i32 = arrow.Int32Traits.CastFromBytes(b)
	case types.Float32:
		c.f32 = arrow.Float32Traits.CastFromBytes(b)
	case types.Float64:
		c.f64 = arrow.Float64Traits.CastFromBytes(b)
	default:
		c.i64 = arrow.Int64Traits.CastFromBytes(b)
	}
}

// setInt writes an integer that fits, whatever the width.
func (c *column) setInt(row int, v int64) {
	switch c.typ.Kind {
	case types.Bool:
		c.setBool(row, v != 0)
	case types.Int8, types.Uint8:
		c.i8[row] = int8(v)
	case types.Int16, types.Uint16:
		c.i16[row] = int16(v)
	case types.Int32, types.Uint32, types.Date:
		c.i32[row] = int32(v)
	default:
		c.i64[row] = v
	}
}

func (c *column) setBool(row int, v bool) {
	bit := byte(1) << (row & 7)
	if v {
		c.bits[row>>3] |= bit
	} else {
		c.bits[row>>3] &^= bit
	}
}

// room gives the place of the row's text, with room for at least n bytes and
// slack behind them. It fails where a batch would hold more than 2 GiB of one
// column.
func (c *column) room(row, n int) ([]byte, error) {
	start := int(c.offsets[row])
	if start+n+slack > len(c.content) {
		if start+n+slack > math.MaxInt32 {
			return nil, errTooLong
		}
		c.text.Reserve(min(max(start+n+slack, 2*len(c.content), 1<<12), math.MaxInt32))
		c.content = c.text.Buf()
	}
	return c.content[start:], nil
}

// setText writes the row's text.
func (c *column) setText(row int, text []byte) error {
	dst, err := c.room(row, len(text))
	if err != nil {
		return err
	}
	c.offsets[row+1] = c.offsets[row] + int32(copy(dst, text))
	return nil
}

// setNull makes the row NULL, as the last thing that is written to it.
func (c *column) setNull(row int) {
	if c.nulls == 0 {
		if c.valid == nil {
			c.valid = memory.NewResizableBuffer(c.alloc)
		}
		c.valid.Reserve((c.rows + 7) / 8)
		b := c.valid.Buf()
		for i := range b {
			b[i] = 0xff
		}
	}
	c.nulls++
	c.valid.Buf()[row>>3] &^= 1 << (row & 7)
	switch c.typ.Kind {
	case types.String, types.JSON, types.Binary:
		c.offsets[row+1] = c.offsets[row]
	case types.Decimal:
		c.dec[row] = decimal128.Num{}
	case types.Float32:
		c.f32[row] = 0
	case types.Float64:
		c.f64[row] = 0
	default:
		c.setInt(row, 0)
	}
}

// array is the column's first rows rows. It shares the column's buffers.
func (c *column) array(rows int) arrow.Array {
	buffers := make([]*memory.Buffer, 2, 3)
	if c.nulls > 0 {
		c.valid.ResizeNoShrink((rows + 7) / 8)
		buffers[0] = c.valid
	}
	c.values.ResizeNoShrink(c.width(rows))
	buffers[1] = c.values
	if c.isText() {
		c.text.ResizeNoShrink(int(c.offsets[rows]))
		buffers = append(buffers, c.text)
	}
	data := array.NewData(c.arrowType, rows, buffers, nil, c.nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

func (c *column) release() {
	for _, b := range []*memory.Buffer{c.values, c.text, c.valid} {
		if b != nil {
			b.Release()
		}
	}
}
