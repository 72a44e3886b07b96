package parquetfile

import "encoding/binary"

// Cursor walks the values of one column of Rows, for formats that are written
// row by row.
type Cursor struct {
	data    []byte
	lengths []byte // of strings, an int32 each
	valid   []byte // empty when no value is NULL
	dict    *Dictionary
	width   int // 0 for strings
	row     int
}

// Cursor is before the first row of a column. It is valid until the rows change.
func (r *Rows) Cursor(column int) Cursor {
	b := &r.columns[column]
	var data, lengths []byte // copies, where the values lie in several blocks
	c := Cursor{data: b.data.bytes(&data), lengths: b.lengths.bytes(&lengths), dict: b.dict, width: r.schema.widths[column]}
	if b.nulls > 0 {
		c.valid = b.valid
	}
	return c
}

// Next is the value of the next row, as Rows holds it: numbers little-endian,
// decimals of more than 18 digits big-endian, a boolean as one byte; ok is false
// for NULL.
func (c *Cursor) Next() (value []byte, ok bool) {
	row := c.row
	c.row++
	if len(c.valid) > 0 && c.valid[row>>3]>>(row&7)&1 == 0 {
		return nil, false
	}
	switch {
	case c.dict != nil:
		value = c.dict.value(int32(binary.LittleEndian.Uint32(c.data)))
		c.data = c.data[4:]
	case c.width == 0:
		n := binary.LittleEndian.Uint32(c.lengths)
		value, c.data, c.lengths = c.data[:n], c.data[n:], c.lengths[4:]
	default:
		value, c.data = c.data[:c.width], c.data[c.width:]
	}
	return value, true
}

// Compressor compresses for one lane.
type Compressor struct{ codec codec }

// NewCompressor makes a compressor; level 0 is the codec's default.
func NewCompressor(c Compression, level int) (*Compressor, error) {
	codec, err := newCodec(c, level)
	if err != nil {
		return nil, err
	}
	return &Compressor{codec}, nil
}

// Compress appends the compressed src to dst: with gzip a member, with zstd a
// frame, which may be followed by others.
func (c *Compressor) Compress(dst, src []byte) ([]byte, error) { return c.codec.compress(dst, src) }
