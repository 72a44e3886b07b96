package columns

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// A decoder of a format with types can know before it sees a value that a column
// takes it as it is. It begins a row by BeginDirect and writes such values to the
// builders; for what else comes it begins the row anew, with BeginRow and Set.

// BeginDirect begins a row in which the columns with nulls are NULL, none where
// that is nil.
func (b *Batch) BeginDirect(nulls []bool) {
	if b.anyNull {
		clear(b.nulls)
		b.anyNull = false
	}
	if nulls != nil {
		copy(b.nulls, nulls)
		b.anyNull = true
	}
}

// NullDirect makes a column NULL in the row that BeginDirect began. It reports false
// where the column is NOT NULL.
func (b *Batch) NullDirect(i int) bool {
	if b.Columns[i].Field.Column.NotNull {
		return false
	}
	b.nulls[i], b.anyNull = true, true
	return true
}

// DirectInt reports whether the column takes whole numbers within Low and High by
// SetInt.
func (c *Builder) DirectInt() bool {
	switch c.Type.Kind {
	case types.Bool, types.Int8, types.Int16, types.Int32, types.Int64, types.Uint8, types.Uint16, types.Uint32, types.Uint64:
		return c.Field.Mode == connectors.FieldColumn
	}
	return false
}

// DirectBool reports whether the column takes booleans by SetBit.
func (c *Builder) DirectBool() bool {
	return c.Field.Mode == connectors.FieldColumn && c.Type.Kind == types.Bool
}

// DirectText reports whether the column takes strings by SetString. inner is set
// for those that are a part of a column of the record.
func (c *Builder) DirectText(inner bool) bool {
	switch c.Field.Mode {
	case connectors.FieldColumn:
		return c.Type.Kind == types.String && len(c.Type.Members) == 0
	case connectors.FieldUnquote:
		return inner
	}
	return false
}

// ReadsText reports whether the column takes what is read of strings, by ConvertDirect.
func (c *Builder) ReadsText() bool {
	return c.Field.Mode == connectors.FieldColumn && !c.isText()
}

// ConvertDirect writes what is read of a string to a column that ReadsText. It
// reports false for what may not fit.
func (b *Batch) ConvertDirect(i int, text []byte) bool {
	null, err := b.Columns[i].ConvertText(text, len(b.out.Values), &b.scratch)
	return err == nil && !null
}

// DirectDouble reports whether the column takes finite numbers by SetDouble.
func (c *Builder) DirectDouble() bool {
	return c.Field.Mode == connectors.FieldColumn && c.Type.Kind == types.Float64 || c.cast != nil && c.cast.Type.Kind == types.Float64
}

// DirectDecimal gives, for numbers with scale digits behind the point, what their
// unscaled values have to be multiplied by, and the bound that these have to be
// below: then the products are the column's. ok is false where some digits do not
// fit.
func (c *Builder) DirectDecimal(scale int) (factor, below int64, ok bool) {
	if c.Field.Mode != connectors.FieldColumn || c.Type.Kind != types.Decimal || c.Bound == 0 || scale < 0 || scale > c.Type.Scale {
		return 0, 0, false
	}
	factor, below = 1, int64(c.Bound)
	for ; scale < c.Type.Scale; scale++ {
		factor *= 10
		below /= 10
	}
	return factor, below, true
}

// MomentUnit is what µs since 1970, within the years 1 to 9999, have to be multiples
// of for the column to take them; 0 if it does not.
func (c *Builder) MomentUnit() int64 {
	if c.Field.Mode != connectors.FieldColumn || c.Type.Kind != types.Timestamp && c.Type.Kind != types.DateTime {
		return 0
	}
	return fspUnits[c.Type.Fsp]
}

// IsMoment reports whether µs since 1970 are within the years 1 to 9999.
func IsMoment(micros int64) bool { return micros >= firstMicros && micros < endMicros }

// DirectDate reports whether the column takes days since 1970 within those years.
func (c *Builder) DirectDate() bool {
	return c.Field.Mode == connectors.FieldColumn && c.Type.Kind == types.Date
}

// IsDate reports whether days since 1970 are within the years 1 to 9999.
func IsDate(days int64) bool {
	return days >= firstMicros/microsPerDay && days < endMicros/microsPerDay
}

// SetDecimal64 writes a DECIMAL, given its unscaled value.
func (c *Builder) SetDecimal64(row int, unscaled int64) {
	c.Decimals[row] = decimal128.New(unscaled>>63, uint64(unscaled))
}

// SetDouble writes a number of a column with DirectDouble; false if it is not
// finite.
func (c *Builder) SetDouble(row int, v float64) bool {
	switch {
	case !isFinite(v):
		return false
	case c.typed:
		c.cast.Float64s[row] = v
		return true
	case c.cast == nil:
		c.Float64s[row] = v
		return true
	}
	var text [32]byte
	return c.SetText(row, AppendJSONDouble(text[:0], v)) == nil
}

// SetString writes text to a column with DirectText: the first n bytes of at,
// which has MostInterned more. It reports false for what is no UTF-8 and for what
// the column may have to cut or refuse.
func (c *Builder) SetString(row int, at []byte, n int) bool {
	if n > c.Limit || c.Padded && n > 0 && at[n-1] == ' ' {
		return false
	}
	if n > MostInterned || c.typed {
		return utf8.Valid(at[:n]) && c.SetText(row, at[:n:n]) == nil
	}
	x, y := firstBytes(binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:]), n)
	if (x|y)&highs != 0 && !utf8.Valid(at[:n]) {
		return false
	}
	if c.Codes != nil && c.setWords(row, x, y, n) {
		return true
	}
	dst, err := c.Room(row, n)
	if err != nil {
		return false
	}
	binary.LittleEndian.PutUint64(dst, x)
	binary.LittleEndian.PutUint64(dst[8:], y)
	c.Offsets[row+1] = c.Offsets[row] + int32(n)
	return true
}

// Uvarint reads a number of up to eight bytes in groups of seven bits, the lowest
// first, from the beginning of eight bytes (LEB128, as of Protocol Buffers and
// Avro). n is how many bytes it has; 0 for those that have more.
func Uvarint(x uint64) (v uint64, n int) {
	ends := ^x & highs
	if ends == 0 {
		return 0, 0
	}
	x &= (ends ^ (ends - 1)) & (0x7f * ones)
	x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
	x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
	x = x&0x000000000fffffff | x&0x0fffffff00000000>>4
	return x, bits.TrailingZeros64(ends)>>3 + 1
}
