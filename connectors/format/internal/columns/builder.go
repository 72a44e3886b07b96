// Package columns builds the Arrow columns of decoders: what a value of JSON or
// of plain text becomes in a column of a declared type, for every format alike.
package columns

import (
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Builder builds one output column. Values are written at a row and may be
// written again until the row is done; NULLs are set when it is. The buffers
// are reused from batch to batch.
//
// The exported slices are views of the buffers for decoders that write values
// of the type in question themselves; they change with Begin and Room.
type Builder struct {
	Field connectors.Field
	Type  types.Type
	Path  string // for messages: rider.device.os

	Int32s   []int32 // INT, DATE
	Int64s   []int64 // BIGINT and times
	Float64s []float64
	Decimals []decimal128.Num
	Offsets  []int32 // of text: row i is Content[Offsets[i]:Offsets[i+1]]
	Content  []byte
	// Codes are set while the text of a batch is built as numbers of a
	// dictionary: row i is what Intern gave Codes[i] for. Text that is written
	// otherwise ends that for the batch.
	Codes []int32

	// Integer range, and for DECIMAL the bound of the unscaled value where that
	// has at most 18 digits (0 where it has more).
	Low, High int64
	Bound     uint64
	// Limit is how many bytes of a string fit whatever they are.
	Limit int
	// Padded is set for CHAR, whose values lose the spaces at their end.
	Padded bool

	i8   []int8
	i16  []int16
	f32  []float32
	bits []byte

	months [16]month // the last of each name that was read

	// cast builds batches of text as what Field.Cast makes of it, when typed is set.
	// spoilt says that the batch has a text of which that is not so; it is not
	// tried again for pause batches. With retext, the values so far become text.
	cast          *Builder
	typed, spoilt bool
	retext        bool
	pause         int

	below     mysqljson.Path // from the column's JSON text to the value, where that is below it
	arrowType arrow.DataType
	alloc     memory.Allocator
	values    *memory.Buffer // fixed-width values, bits, or offsets of text
	text      *memory.Buffer // contents of text, one after the other
	valid     *memory.Buffer // validity, made with the first NULL of a batch
	nulls     int
	rows      int // for which there is room

	dictionary dictionary
}

// slack is how many bytes more than it needs a column of text has room for, so
// that short strings can be copied in words.
const slack = 32

// castPause is for how many batches nothing is cast after one was spoilt.
const castPause = 64

// New makes the builder of a field. It fails for a type that nothing converts
// to.
func New(f connectors.Field, alloc memory.Allocator) (*Builder, error) {
	c := &Builder{Field: f, Type: f.Column.Type, Path: formatPath(f.Path), Limit: math.MaxInt32, alloc: alloc}
	if f.Mode != connectors.FieldColumn && !c.Type.Kind.IsText() {
		return nil, fmt.Errorf("field %s: a JSON value cannot be extracted as %s", c.Path, c.Type)
	}
	if c.Type.Kind == types.Null {
		return nil, fmt.Errorf("field %s: a column needs a type", c.Path)
	}
	c.arrowType = c.Type.Arrow()
	c.values = memory.NewResizableBuffer(alloc)
	if c.isText() {
		c.text = memory.NewResizableBuffer(alloc)
	}
	if c.Type.Length > 0 && c.Type.Name != "BIT" && f.Mode == connectors.FieldColumn {
		c.Limit = c.Type.Length
	}
	c.Padded = c.Type.Name == "CHAR" && f.Mode == connectors.FieldColumn
	switch c.Type.Kind {
	case types.Bool:
		c.Low, c.High = 0, 1
	case types.Int8, types.Int16, types.Int32, types.Int64:
		c.High = 1<<(c.Type.Kind.Bits()-1) - 1
		c.Low = -c.High - 1
		if c.Type.Name == "MEDIUMINT" {
			c.Low, c.High = -1<<23, 1<<23-1
		}
	case types.Uint8, types.Uint16, types.Uint32:
		c.High = 1<<c.Type.Kind.Bits() - 1
		if strings.HasPrefix(c.Type.Name, "MEDIUMINT") {
			c.High = 1<<24 - 1
		}
	case types.Uint64:
		c.High = math.MaxInt64
	case types.Decimal:
		if c.Type.Precision <= 18 {
			c.Bound = 1
			for range c.Type.Precision {
				c.Bound *= 10
			}
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

func (c *Builder) isText() bool { return c.Type.Kind.IsText() || c.Type.Kind == types.Binary }

// Begin makes room for a batch of rows and starts it anew.
func (c *Builder) Begin(rows int) {
	c.nulls = 0
	if c.cast != nil {
		c.spoilt, c.typed = false, c.pause == 0
		c.pause = max(c.pause-1, 0)
		if c.typed {
			c.Codes = nil
			c.cast.Begin(rows)
			return
		}
	}
	if rows > c.rows {
		c.values.Reserve(c.width(rows))
		c.view(c.values.Buf())
		c.rows = rows
	}
	if c.isText() {
		c.Offsets[0] = 0
		c.dictionary.begin(c, rows)
	}
}

// width is how many bytes rows values take.
func (c *Builder) width(rows int) int {
	switch c.Type.Kind {
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

func (c *Builder) view(b []byte) {
	switch c.Type.Kind {
	case types.Bool:
		c.bits = b
	case types.String, types.JSON, types.Binary:
		c.Offsets = arrow.Int32Traits.CastFromBytes(b)
	case types.Decimal:
		c.Decimals = arrow.Decimal128Traits.CastFromBytes(b)
	case types.Int8, types.Uint8:
		c.i8 = arrow.Int8Traits.CastFromBytes(b)
	case types.Int16, types.Uint16:
		c.i16 = arrow.Int16Traits.CastFromBytes(b)
	case types.Int32, types.Uint32, types.Date:
		c.Int32s = arrow.Int32Traits.CastFromBytes(b)
	case types.Float32:
		c.f32 = arrow.Float32Traits.CastFromBytes(b)
	case types.Float64:
		c.Float64s = arrow.Float64Traits.CastFromBytes(b)
	default:
		c.Int64s = arrow.Int64Traits.CastFromBytes(b)
	}
}

// SetInt writes an integer that fits, whatever the width.
func (c *Builder) SetInt(row int, v int64) {
	switch c.Type.Kind {
	case types.Bool:
		c.setBool(row, v != 0)
	case types.Int8, types.Uint8:
		c.i8[row] = int8(v)
	case types.Int16, types.Uint16:
		c.i16[row] = int16(v)
	case types.Int32, types.Uint32, types.Date:
		c.Int32s[row] = int32(v)
	default:
		c.Int64s[row] = v
	}
}

func (c *Builder) setBool(row int, v bool) {
	var bit byte
	if v {
		bit = 1
	}
	c.SetBit(row, bit)
}

// SetBit writes a BOOLEAN, 1 or 0.
func (c *Builder) SetBit(row int, v byte) {
	b := &c.bits[row>>3]
	*b = *b&^(1<<(row&7)) | v<<(row&7)
}

// Room gives the place of the row's text, with room for at least n bytes and
// slack behind them. It fails where a batch would hold more than 2 GiB of one
// column.
func (c *Builder) Room(row, n int) ([]byte, error) {
	if c.Codes != nil {
		if err := c.Plain(row); err != nil {
			return nil, err
		}
	}
	start := int(c.Offsets[row])
	if start+n+slack > len(c.Content) {
		if start+n+slack > math.MaxInt32 {
			return nil, errTooLong
		}
		c.text.Reserve(min(max(start+n+slack, 2*len(c.Content), 1<<12), math.MaxInt32))
		c.Content = c.text.Buf()
	}
	return c.Content[start:], nil
}

// SetText writes the row's text.
func (c *Builder) SetText(row int, text []byte) error {
	if c.typed {
		if !c.retext {
			c.spoilt = true
			return nil
		}
		if err := c.untype(row); err != nil {
			return err
		}
	}
	if c.Codes != nil && c.setCode(row, text) {
		return nil
	}
	dst, err := c.Room(row, len(text))
	if err != nil {
		return err
	}
	c.Offsets[row+1] = c.Offsets[row] + int32(copy(dst, text))
	return nil
}

// SetNull makes the row NULL, as the last thing that is written to it.
func (c *Builder) SetNull(row int) {
	if c.typed {
		c.cast.SetNull(row)
		return
	}
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
	switch c.Type.Kind {
	case types.String, types.JSON, types.Binary:
		if c.Codes != nil {
			c.Codes[row] = 0
			return
		}
		c.Offsets[row+1] = c.Offsets[row]
	case types.Decimal:
		c.Decimals[row] = decimal128.Num{}
	case types.Float32:
		c.f32[row] = 0
	case types.Float64:
		c.Float64s[row] = 0
	default:
		c.SetInt(row, 0)
	}
}

// Array is the column's first rows rows. It shares the column's buffers.
func (c *Builder) Array(rows int) arrow.Array {
	if c.typed {
		return c.cast.Array(rows)
	}
	if c.Codes != nil {
		return c.dictionary.array(c, rows)
	}
	buffers := make([]*memory.Buffer, 2, 3)
	buffers[0] = c.validity(rows)
	c.values.ResizeNoShrink(c.width(rows))
	buffers[1] = c.values
	if c.isText() {
		c.text.ResizeNoShrink(int(c.Offsets[rows]))
		buffers = append(buffers, c.text)
		if c.dictionary.allowed {
			c.dictionary.learn(c, rows)
		}
	}
	data := array.NewData(c.arrowType, rows, buffers, nil, c.nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

// validity is the bitmap of rows that are not NULL, nil if none is.
func (c *Builder) validity(rows int) *memory.Buffer {
	if c.nulls == 0 {
		return nil
	}
	c.valid.ResizeNoShrink((rows + 7) / 8)
	return c.valid
}

// AllowCast lets batches of text become what Field.Cast makes of it, which the
// builder cast is made for. Text spoils the batch, or, in the builders of a Batch,
// turns it back to one of text. allowed is false where there is no such type.
func (c *Builder) AllowCast(cast *Builder) (allowed bool, err error) {
	f := c.Field
	if f.Mode != connectors.FieldUnquote || f.Cast.Kind == types.Null {
		return false, nil
	}
	f.Mode, f.Column.Type, f.Column.NotNull = connectors.FieldColumn, f.Cast, false
	b, err := New(f, c.alloc)
	if err != nil {
		return false, err
	}
	*cast, c.cast = *b, cast
	return true, nil
}

// untype turns the DOUBLEs before row into their text, with which the batch goes on.
func (c *Builder) untype(row int) error {
	c.typed, c.pause = false, castPause
	c.Begin(c.cast.rows)
	var text [32]byte
	for i, v := range c.cast.Float64s[:row] {
		if err := c.SetText(i, AppendJSONDouble(text[:0], v)); err != nil {
			return err
		}
		if c.cast.nulls > 0 && c.cast.valid.Buf()[i>>3]>>(i&7)&1 == 0 {
			c.SetNull(i)
		}
	}
	return nil
}

// Typed reports whether the batch is built in the builder of AllowCast.
func (c *Builder) Typed() bool { return c.typed }

// Spoilt reports whether a text was written to a batch that is typed, which has to
// be built anew: as text, as those that follow are for a while.
func (c *Builder) Spoilt() bool {
	if c.spoilt {
		c.pause = castPause
	}
	return c.spoilt
}

// Release frees the buffers.
func (c *Builder) Release() {
	if c.cast != nil {
		c.cast.Release()
	}
	for _, b := range []*memory.Buffer{c.values, c.text, c.valid, c.dictionary.codes} {
		if b != nil {
			b.Release()
		}
	}
	c.dictionary.release()
}
