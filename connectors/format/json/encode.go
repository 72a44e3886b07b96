package json

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors/format/internal/cells"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Encoder writes rows as JSON objects, and single values as text. It belongs to
// one lane.
//
// Numbers are numbers, also wide ones, which a reader may have to take as text:
// DecimalText writes DECIMAL as strings instead. Times are ISO 8601: an instant
// in UTC with a Z, a wall clock without zone, both with as many digits of seconds
// as are declared. Bytes are in base64. JSON columns are embedded as they are,
// NULL is null.
type Encoder struct {
	columns []outColumn
	options EncoderOptions
}

// EncoderOptions say how values are written.
type EncoderOptions struct {
	DecimalText bool // DECIMAL as strings
}

// outColumn is a column of the bound batch.
type outColumn struct {
	key []byte // ,"name":
	cells.Column
}

// NewEncoder makes an encoder for rows of a schema.
func NewEncoder(schema types.Schema, options EncoderOptions) *Encoder {
	e := &Encoder{columns: make([]outColumn, len(schema)), options: options}
	for i, c := range schema {
		key := AppendString([]byte{','}, []byte(c.Name))
		e.columns[i] = outColumn{key: append(key, ':'), Column: cells.Column{Type: c.Type}}
	}
	return e
}

// Bind makes arrays the source of what follows, one per column of the schema.
// They are lent until the next Bind.
func (e *Encoder) Bind(columns []arrow.Array) error {
	if len(columns) != len(e.columns) {
		return fmt.Errorf("encode rows: %d columns of %d", len(columns), len(e.columns))
	}
	for i, a := range columns {
		if err := e.columns[i].Bind(a); err != nil {
			return fmt.Errorf("encode column %s: %w", e.columns[i].key, err)
		}
	}
	return nil
}

// AppendRow appends a row of the bound batch as an object with the columns in
// their order.
func (e *Encoder) AppendRow(dst []byte, row int) []byte {
	dst = append(dst, '{')
	for i := range e.columns {
		dst = e.AppendMember(dst, i, row)
	}
	return append(dst, '}')
}

// AppendMember appends a column of a row as a member of an object that has begun,
// separated from what stands there by a comma unless that is its opening brace.
func (e *Encoder) AppendMember(dst []byte, column, row int) []byte {
	c := &e.columns[column]
	key := c.key
	if len(dst) > 0 && dst[len(dst)-1] == '{' {
		key = key[1:]
	}
	dst = append(dst, key...)
	if c.IsNull(row) {
		return append(dst, "null"...)
	}
	return e.appendValue(dst, c, row)
}

func (e *Encoder) appendValue(dst []byte, c *outColumn, row int) []byte {
	switch c.Type.Kind {
	case types.String:
		return AppendString(dst, c.Bytes(row))
	case types.JSON:
		// A line break can only stand between the tokens of a value.
		for _, ch := range c.Bytes(row) {
			if ch == '\n' || ch == '\r' {
				ch = ' '
			}
			dst = append(dst, ch)
		}
		return dst
	case types.Binary:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, c.Bytes(row))
		return append(dst, '"')
	case types.Decimal:
		if !e.options.DecimalText {
			return c.appendText(dst, row)
		}
		return append(c.appendText(append(dst, '"'), row), '"')
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return append(c.appendText(append(dst, '"'), row), '"')
	case types.Float32, types.Float64:
		if f := c.Float(row); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(dst, "null"...)
		}
	}
	return c.appendText(dst, row)
}

// AppendText appends the value of a column as plain text: strings and bytes as
// they are. null reports that it is NULL.
func (e *Encoder) AppendText(dst []byte, column, row int) (text []byte, null bool) {
	c := &e.columns[column]
	if c.IsNull(row) {
		return dst, true
	}
	return c.appendText(dst, row), false
}

func (c *outColumn) appendText(dst []byte, row int) []byte {
	switch c.Form {
	case cells.Bool:
		return strconv.AppendBool(dst, c.Bool(row))
	case cells.U64:
		return strconv.AppendUint(dst, c.Unsigned(row), 10)
	case cells.F32:
		return appendFloat(dst, c.Float(row), 32)
	case cells.F64:
		return appendFloat(dst, c.Float(row), 64)
	case cells.Decimal:
		return appendDecimal(dst, c.Decimal(row), c.Type.Scale)
	case cells.Bytes:
		return append(dst, c.Bytes(row)...)
	}
	n := c.Integer(row)
	switch c.Type.Kind {
	case types.Bool:
		return strconv.AppendBool(dst, n != 0)
	case types.Date:
		return mysqljson.AppendDate(dst, n)
	case types.Time:
		return mysqljson.AppendClock(dst, n, c.Type.Fsp)
	case types.DateTime, types.Timestamp:
		day := n / dayMicros
		rest := n % dayMicros
		if rest < 0 {
			day, rest = day-1, rest+dayMicros
		}
		dst = mysqljson.AppendClock(append(mysqljson.AppendDate(dst, day), 'T'), rest, c.Type.Fsp)
		if c.Type.Kind == types.Timestamp {
			dst = append(dst, 'Z')
		}
		return dst
	case types.Decimal: // narrower numbers
		return appendDecimal(dst, decimal128.FromI64(n), c.Type.Scale)
	}
	return strconv.AppendInt(dst, n, 10)
}

const dayMicros = 86_400_000_000

// appendFloat writes the shortest text that reads back as f, as ECMAScript does.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

func appendDecimal(dst []byte, d decimal128.Num, scale int) []byte {
	if hi := d.HighBits(); hi != int64(d.LowBits())>>63 {
		return append(dst, d.ToString(int32(scale))...)
	}
	n := int64(d.LowBits())
	u := uint64(n)
	if n < 0 {
		dst, u = append(dst, '-'), -u
	}
	var digits [48]byte
	i := len(digits)
	for written := 0; u > 0 || written <= scale; written++ {
		if written == scale && scale > 0 {
			i--
			digits[i] = '.'
		}
		i--
		digits[i] = byte('0' + u%10)
		u /= 10
	}
	return append(dst, digits[i:]...)
}

const hexDigits = "0123456789abcdef"

// AppendString appends text as a JSON string; bytes that are no UTF-8 become U+FFFD.
func AppendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	plain := 0 // from where on nothing was appended
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			dst = utf8.AppendRune(append(dst, s[plain:i]...), utf8.RuneError)
			i++
			plain = i
			continue
		}
		dst = append(dst, s[plain:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		plain = i
	}
	return append(append(dst, s[plain:]...), '"')
}

// Fixed is the most bytes that a row takes beside the text of its strings, bytes
// and JSON.
func (e *Encoder) Fixed() int {
	n := 2
	for i := range e.columns {
		n += len(e.columns[i].key) + 48
	}
	return n
}

// AddText adds to each of sizes, one per row, an upper bound of what the text of
// the row's strings, bytes and JSON takes.
func (e *Encoder) AddText(sizes []int) {
	for i := range e.columns {
		c := &e.columns[i]
		if c.Form != cells.Bytes {
			continue
		}
		factor := 6 // \u0000
		if c.Type.Kind != types.String {
			factor = 2
		}
		for row := range sizes {
			if !c.IsNull(row) {
				sizes[row] += factor * len(c.Bytes(row))
			}
		}
	}
}
