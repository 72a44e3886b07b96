package textfile

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// appendRows writes all rows to e.text.
func (e *Encoder) appendRows(rows *parquetfile.Rows) {
	for i, c := range e.columns {
		if c.Source >= 0 {
			e.cursors[i] = rows.Cursor(c.Source)
		}
	}
	b := e.text
	for range rows.Len() {
		if e.options.Format == JSON {
			b = append(b, '{')
		}
		for i := range e.columns {
			c := &e.columns[i]
			var value []byte
			ok := false
			if c.Source >= 0 {
				value, ok = e.cursors[i].Next()
			}
			if i > 0 {
				b = append(b, ',')
			}
			if e.options.Format == JSON {
				b = append(b, e.keys[i]...)
				if !ok {
					b = append(b, "null"...)
					continue
				}
				b = appendJSON(b, c, value)
			} else if ok {
				b = appendCSV(b, c, value)
			}
		}
		if e.options.Format == JSON {
			b = append(b, '}')
		}
		b = append(b, '\n')
	}
	e.text = b
}

func (e *Encoder) appendHeader(b []byte) []byte {
	for i, c := range e.columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCSVString(b, []byte(c.Name))
	}
	return append(b, '\n')
}

func appendJSON(b []byte, c *Column, value []byte) []byte {
	switch c.Type {
	case parquetfile.String:
		if !c.Embedded {
			return appendJSONString(b, value)
		}
		// A line break can only stand between the tokens of a value.
		for _, ch := range value {
			if ch == '\n' || ch == '\r' {
				ch = ' '
			}
			b = append(b, ch)
		}
		return b
	case parquetfile.Float, parquetfile.Double:
		if v := float(c, value); math.IsNaN(v) || math.IsInf(v, 0) {
			return append(appendValue(append(b, '"'), c, value), '"')
		}
	case parquetfile.Decimal:
		// Readers take numbers for doubles, or whole ones for 64 bits.
		if c.Precision > 15 && (c.Scale > 0 || c.Precision > 20) {
			return append(appendValue(append(b, '"'), c, value), '"')
		}
	case parquetfile.Boolean, parquetfile.Int, parquetfile.Long:
	default:
		return append(appendValue(append(b, '"'), c, value), '"')
	}
	return appendValue(b, c, value)
}

func appendCSV(b []byte, c *Column, value []byte) []byte {
	if c.Type == parquetfile.String || c.Type == parquetfile.Binary && len(value) == 0 {
		return appendCSVString(b, value)
	}
	return appendValue(b, c, value)
}

func float(c *Column, value []byte) float64 {
	if c.Type == parquetfile.Float {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(value)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(value))
}

// appendValue writes a value that is no string: times as ISO 8601 has them, an
// instant in UTC with a Z, a wall clock with a space and no zone; bytes in
// base64.
func appendValue(b []byte, c *Column, value []byte) []byte {
	switch c.Type {
	case parquetfile.Boolean:
		return strconv.AppendBool(b, value[0] != 0)
	case parquetfile.Int:
		return strconv.AppendInt(b, int64(int32(binary.LittleEndian.Uint32(value))), 10)
	case parquetfile.Long:
		return strconv.AppendInt(b, int64(binary.LittleEndian.Uint64(value)), 10)
	case parquetfile.Float:
		return strconv.AppendFloat(b, float(c, value), 'g', -1, 32)
	case parquetfile.Double:
		return strconv.AppendFloat(b, float(c, value), 'g', -1, 64)
	case parquetfile.Decimal:
		return appendDecimal(b, c, value)
	case parquetfile.Date:
		return time.Unix(int64(int32(binary.LittleEndian.Uint32(value)))*86400, 0).UTC().AppendFormat(b, "2006-01-02")
	case parquetfile.Time:
		return micros(value).AppendFormat(b, "15:04:05.999999")
	case parquetfile.Timestamp:
		return micros(value).AppendFormat(b, "2006-01-02 15:04:05.999999")
	case parquetfile.TimestampTZ:
		return micros(value).AppendFormat(b, "2006-01-02T15:04:05.999999Z")
	}
	return base64.StdEncoding.AppendEncode(b, value)
}

func micros(value []byte) time.Time {
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(value))).UTC()
}

func appendDecimal(b []byte, c *Column, value []byte) []byte {
	var digits []byte
	var scratch [48]byte
	switch len(value) {
	case 4:
		digits = strconv.AppendInt(scratch[:0], int64(int32(binary.LittleEndian.Uint32(value))), 10)
	case 8:
		digits = strconv.AppendInt(scratch[:0], int64(binary.LittleEndian.Uint64(value)), 10)
	default:
		digits = appendWide(scratch[:0], value)
	}
	if digits[0] == '-' {
		b, digits = append(b, '-'), digits[1:]
	}
	if c.Scale == 0 {
		return append(b, digits...)
	}
	if len(digits) <= c.Scale {
		b = append(b, '0', '.')
		for range c.Scale - len(digits) {
			b = append(b, '0')
		}
		return append(b, digits...)
	}
	point := len(digits) - c.Scale
	return append(append(append(b, digits[:point]...), '.'), digits[point:]...)
}

// appendWide writes a big-endian number of up to 128 bits.
func appendWide(b, value []byte) []byte {
	var hi, lo uint64
	if value[0]&0x80 != 0 {
		hi, lo = math.MaxUint64, math.MaxUint64
	}
	for _, c := range value {
		hi, lo = hi<<8|lo>>56, lo<<8|uint64(c)
	}
	if hi>>63 != 0 {
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		hi = ^hi + carry
		b = append(b, '-')
	}
	// Groups of 19 digits, the lowest first; 128 bits have at most three.
	const group = 10_000_000_000_000_000_000
	var groups [3]uint64
	n := 0
	for {
		var rest uint64
		hi, rest = hi/group, hi%group
		lo, rest = bits.Div64(rest, lo, group)
		groups[n] = rest
		n++
		if hi == 0 && lo == 0 {
			break
		}
	}
	b = strconv.AppendUint(b, groups[n-1], 10)
	for n -= 2; n >= 0; n-- {
		for least := uint64(group / 10); least > groups[n] && least > 1; least /= 10 {
			b = append(b, '0')
		}
		b = strconv.AppendUint(b, groups[n], 10)
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendJSONString quotes a string; bytes that are no UTF-8 become U+FFFD.
func appendJSONString(b, s []byte) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c >= 0x20:
				b = append(b, c)
			case c == '\n':
				b = append(b, '\\', 'n')
			case c == '\t':
				b = append(b, '\\', 't')
			case c == '\r':
				b = append(b, '\\', 'r')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		b = utf8.AppendRune(b, r)
		i += n
	}
	return append(b, '"')
}

// appendCSVString quotes what needs it, and the empty string, since NULL is
// nothing at all.
func appendCSVString(b, s []byte) []byte {
	quote := len(s) == 0
	for _, c := range s {
		if c == ',' || c == '"' || c == '\n' || c == '\r' {
			quote = true
			break
		}
	}
	if !quote {
		return append(b, s...)
	}
	b = append(b, '"')
	for _, c := range s {
		if c == '"' {
			b = append(b, '"')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
