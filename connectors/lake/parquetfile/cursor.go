package parquetfile

import "encoding/binary"

// Cursor walks the values of one column of Rows, for formats that are written
// row by row.
type Cursor struct {
	data        []byte
	stored      int    // width of numbers and codes in data, 0 for what is none
	lengths     []byte // of strings, each of lengthWidth bytes
	lengthWidth int
	valid       []byte // empty when no value is NULL
	dict        *Dictionary
	width       int // 0 for strings
	row         int
	number      [8]byte
}

// Cursor is before the first row of a column. It is valid until the rows change.
func (r *Rows) Cursor(column int) Cursor {
	b := &r.columns[column]
	var data, lengths []byte // copies, where the values lie in several blocks
	c := Cursor{data: b.data.bytes(&data), lengths: b.lengths.bytes(&lengths), lengthWidth: b.lengthWidth, dict: b.dict, width: r.schema.widths[column]}
	if l := r.schema.layouts[column]; b.dict != nil || l == layout32 || l == layout64 {
		c.stored = b.width
	}
	if b.nulls > 0 {
		c.valid = b.valid
	}
	return c
}

// Next is the value of the next row, as Rows holds it: numbers little-endian,
// decimals of more than 18 digits big-endian, a boolean as one byte; ok is false
// for NULL. What it returns is valid until the next call.
func (c *Cursor) Next() (value []byte, ok bool) {
	row := c.row
	c.row++
	if len(c.valid) > 0 && c.valid[row>>3]>>(row&7)&1 == 0 {
		return nil, false
	}
	switch {
	case c.dict != nil:
		value = c.dict.value(int32(intAt(c.data, c.stored)))
		c.data = c.data[c.stored:]
	case c.width == 0:
		n := intAt(c.lengths, c.lengthWidth)
		value, c.data, c.lengths = c.data[:n], c.data[n:], c.lengths[c.lengthWidth:]
	case c.stored > 0:
		binary.LittleEndian.PutUint64(c.number[:], uint64(intAt(c.data, c.stored)))
		value, c.data = c.number[:c.width], c.data[c.stored:]
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
