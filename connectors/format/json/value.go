package json

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// The functions here decode one value at data[i] in its usual form into a row
// and return the index behind it. They return 0, having changed nothing that
// matters, for other forms and for what is wrong; value and then the walker see
// to those.

// op is how the fast path decodes values of the column.
func (c *column) op() op {
	switch c.Field.Mode {
	case connectors.FieldExtract:
		return opValue
	case connectors.FieldUnquote:
		if c.Typed() {
			return c.cast.op()
		}
		return opUnquote
	}
	switch c.Type.Kind {
	case types.Int64, types.Uint64:
		return opInt64
	case types.Int32, types.Uint32:
		if c.High >= 9_999_999 {
			return opInt32
		}
		return opInteger
	case types.Bool:
		return opBool
	case types.Int8, types.Int16, types.Uint8, types.Uint16:
		return opInteger
	case types.Decimal:
		if c.Bound > 0 {
			return opDecimal
		}
	case types.Float64:
		return opFloat64
	case types.DateTime, types.Timestamp:
		return opTimestamp
	case types.Date:
		return opDate
	case types.String:
		switch c.Type.Name {
		case "ENUM":
			return opEnum
		case "SET":
			return opValue
		}
		return opText
	case types.Binary:
		if c.Type.Name == "VARBINARY" || c.Type.Length == 0 {
			return opText
		}
	}
	return opValue
}

// value decodes a value in any form for all columns of a slot.
func (p *predictor) value(s *slot, i, row int) int {
	if i >= p.limit {
		return 0
	}
	end, err := mysqljson.Scan(p.data[:p.limit], i)
	if err != nil {
		return 0
	}
	raw := p.data[i:end]
	if p.lines && (raw[0] == '{' || raw[0] == '[') && bytes.IndexByte(raw, '\n') >= 0 {
		return 0
	}
	nulls := 0
	for _, c := range s.node.columns {
		null, err := c.ConvertJSON(raw, row, p.scratch)
		if err != nil {
			return 0
		}
		if null {
			nulls++
		}
	}
	if nulls > 0 {
		if nulls < len(s.node.columns) {
			return 0
		}
		*s.nulls |= s.bit
	}
	return end
}

// castValue decodes what the text of a value, unquoted, is cast to.
func (p *predictor) castValue(c *column, i, row int) int {
	switch c.op() {
	case opInt64:
		return p.integer(c, i, row)
	case opDecimal:
		return p.decimal(c, i, row)
	case opFloat64:
		return p.float64(c, i, row)
	case opTimestamp:
		return p.timestamp(c, i, row)
	case opDate:
		return p.date(c, i, row)
	}
	return 0
}

// skip passes the value of a slot, which nobody wants.
func (p *predictor) skip(s *slot, i int) int {
	if p.full {
		if i >= p.limit {
			return 0
		}
		// Plain strings and numbers are as nearly always.
		if p.text.at(i) == '"' {
			if n := p.textLength(i + 1); n >= 0 {
				return i + n + 2
			}
		} else if _, _, _, end := p.text.fixed(i); end != 0 {
			return end
		}
		end, err := mysqljson.Scan(p.data[:p.limit], i)
		if err != nil || p.lines && bytes.IndexByte(p.data[i:end], '\n') >= 0 {
			return 0
		}
		return end
	}
	b := p.text
	switch b.at(i) {
	case '"':
		return p.skipString(i + 1)
	case '{', '[':
		if i >= p.limit {
			return 0
		}
		end, err := mysqljson.SkipWithin(p.data[:p.limit], i, mysqljson.MaxDepth-s.in.depth)
		if err != nil || p.lines && bytes.IndexByte(p.data[i:end], '\n') >= 0 {
			return 0
		}
		return end
	}
	start := i
	for i < p.limit {
		n := bits.TrailingZeros64(scalarEnds(b.word(i))) >> 3
		i += n
		if n < 8 {
			if endsScalar[b.at(i)] {
				break
			}
			i++
		}
	}
	if i == start {
		return 0
	}
	return i
}

// skipString passes a string from behind its opening quote.
func (p *predictor) skipString(i int) int {
	b := p.text
	m, more := controlBytes(b.word(i)), controlBytes(b.word(i+8))
	n, beyond := bits.TrailingZeros64(m)>>3, 8+bits.TrailingZeros64(more)>>3
	if m == 0 {
		n = beyond
	}
	if i += n; n < 16 && b.at(i) == '"' {
		return i + 1
	}
	for i < p.limit {
		m := controlBytes(b.word(i))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		switch b.at(i) {
		case '"':
			return i + 1
		case '\\':
			if b.at(i+1) < ' ' {
				return 0
			}
			i += 2
		default:
			return 0
		}
	}
	return 0
}

// scalarEnds has the high bit of each byte set that may end a number or word:
// those of endsScalar and some that do not occur in one. Only the lowest one is
// exact.
func scalarEnds(x uint64) uint64 {
	lower := x | 0x20*ones
	brackets := ((lower ^ '}'*ones) - ones) | ((lower ^ '{'*ones) - ones)
	return ((x - 0x2d*ones) | ((x ^ ':'*ones) - ones) | brackets) & highs &^ x
}

var endsScalar = [256]bool{
	' ': true, '\n': true, '\r': true, '\t': true, ',': true, ':': true, '"': true,
	'}': true, ']': true, '{': true, '[': true,
}

// integer decodes a whole number of up to 18 digits.
func (p *predictor) integer(c *column, i, row int) int {
	b := p.text
	negative := b.at(i) == '-'
	if negative {
		i++
	}
	v, n := b.digits(i)
	if n == 0 {
		switch x := b.word(i); {
		case negative, c.strict: // the text of true is no number
		case x&(1<<32-1) == wordTrue:
			c.SetInt(row, 1)
			return i + 4
		case x&(1<<40-1) == wordFalse:
			c.SetInt(row, 0)
			return i + 5
		}
		return 0
	}
	if n > 18 || n > 1 && b.at(i) == '0' {
		return 0
	}
	signed := int64(v)
	if negative {
		signed = -signed
	}
	if signed < c.Low || signed > c.High {
		return 0
	}
	c.SetInt(row, signed)
	return i + n
}

// digits reads the digits at i: how many there are (19 for more than 18), and
// the number that they spell.
func (b bytesAt) digits(i int) (v uint64, n int) {
	x := b.word(i)
	n = bits.TrailingZeros64(nonDigits(x)) >> 3
	if n < 8 {
		return columns.ParseDigits(x << (64 - 8*n)), n
	}
	v = columns.ParseDigits(x)
	x = b.word(i + 8)
	n = bits.TrailingZeros64(nonDigits(x)) >> 3
	v = v*powersOfTen[n] + columns.ParseDigits(x<<(64-8*n))
	if n < 8 {
		return v, 8 + n
	}
	for n = 16; n < 19; n++ {
		digit := b.at(i+n) - '0'
		if digit > 9 {
			break
		}
		v = v*10 + uint64(digit)
	}
	return v, n
}

// fixed reads a plain number: digits, perhaps a point and more digits, up to 18
// in all, no exponent. The value is digits / 10^fraction; end is 0 for others.
func (b bytesAt) fixed(i int) (digits uint64, fraction int, negative bool, end int) {
	if b.at(i) == '-' {
		negative = true
		i++
	}
	x := b.word(i)
	n := bits.TrailingZeros64(nonDigits(x)) >> 3
	if uint(n-1) >= 7 || n > 1 && byte(x) == '0' {
		return b.fixedLong(i, negative)
	}
	if byte(x>>(8*n&63)) != '.' {
		digits, end = columns.ParseDigits(x<<((64-8*n)&63)), i+n
	} else {
		// Take the point out; what follows moves one byte down.
		before := uint64(1)<<(8*n&63) - 1
		x = x&before | x>>8&^before
		all := bits.TrailingZeros64(nonDigits(x)) >> 3
		if fraction = all - n; fraction == 0 || all == 7 {
			return b.fixedLong(i, negative)
		}
		digits, end = columns.ParseDigits(x<<((64-8*all)&63)), i+all+1
	}
	if b.at(end)|0x20 == 'e' {
		return 0, 0, false, 0
	}
	return digits, fraction, negative, end
}

// fixedLong is fixed for numbers that do not end within eight bytes, behind the
// sign.
func (b bytesAt) fixedLong(i int, negative bool) (digits uint64, fraction int, _ bool, end int) {
	digits, n := b.digits(i)
	if n == 0 || n > 18 || n > 1 && b.at(i) == '0' {
		return 0, 0, false, 0
	}
	end = i + n
	if b.at(end) == '.' {
		more, m := b.digits(end + 1)
		if m == 0 || n+m > 18 {
			return 0, 0, false, 0
		}
		digits = digits*powersOfTen[m] + more
		fraction = m
		end += 1 + m
	}
	if b.at(end)|0x20 == 'e' {
		return 0, 0, false, 0
	}
	return digits, fraction, negative, end
}

// decimal decodes a DECIMAL of up to 18 digits whose scale suffices.
func (p *predictor) decimal(c *column, i, row int) int {
	v, fraction, negative, end := p.text.fixed(i)
	up := c.Type.Scale - fraction
	if end == 0 || up < 0 || up > 18 || c.strict && fraction > 0 && (v >= 1e15 || fraction > 14) { // see unquote
		return 0
	}
	over, v := bits.Mul64(v, powersOfTen[up])
	if over != 0 || v >= c.Bound {
		return 0
	}
	signed := int64(v)
	if negative {
		signed = -signed
	}
	c.Decimals[row] = decimal128.New(signed>>63, uint64(signed))
	return end
}

// exactPowers are the powers of ten that a double holds exactly.
var exactPowers = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// float64 decodes a number whose digits and power of ten a double holds
// exactly, so that one division rounds correctly (W. D. Clinger, "How to read
// floating point numbers accurately", 1990).
func (p *predictor) float64(c *column, i, row int) int {
	v, fraction, negative, end := p.text.fixed(i)
	if end == 0 || v >= 1<<53 || c.strict && v == 0 && negative { // the text of −0 is 0
		return 0
	}
	f := float64(v) / exactPowers[fraction]
	if negative {
		f = -f
	}
	c.Float64s[row] = f
	return end
}

// copyText decodes a string without escapes.
func (p *predictor) copyText(c *column, i, row int) int {
	b := p.text
	if b.at(i) != '"' {
		return 0
	}
	i++
	if c.Codes != nil {
		return p.intern(c, i, row)
	}
	start := int(c.Offsets[row])
	if start+maxQuick > len(c.Content) {
		return p.copyLong(c, i, row)
	}
	// Words are copied while their end is looked for: the first two, whatever
	// the length, and more while there are.
	dst := c.Content[start : start+maxQuick]
	x, y := b.word(i), b.word(i+8)
	binary.LittleEndian.PutUint64(dst, x)
	binary.LittleEndian.PutUint64(dst[8:], y)
	m, more := specialBytes(x), specialBytes(y)
	n, beyond := bits.TrailingZeros64(m)>>3, 8+bits.TrailingZeros64(more)>>3
	if m == 0 {
		n = beyond
	}
	for n&15 == 0 && n > 0 && n < maxQuick && i+n <= p.limit {
		x, y := b.word(i+n), b.word(i+n+8)
		binary.LittleEndian.PutUint64(dst[n:], x)
		binary.LittleEndian.PutUint64(dst[n+8:], y)
		m, more := specialBytes(x), specialBytes(y)
		k, beyond := bits.TrailingZeros64(m)>>3, 8+bits.TrailingZeros64(more)>>3
		if m == 0 {
			k = beyond
		}
		if k == 0 {
			break
		}
		n += k
	}
	if b.at(i+n) != '"' || n > c.Limit || c.Padded && n > 0 && b.at(i+n-1) == ' ' {
		return p.copyLong(c, i, row)
	}
	c.Offsets[row+1] = int32(start + n)
	return i + n + 1
}

// intern writes the code of a string, from behind the quote; 0 where that has
// escapes, is long, or is one more than the dictionary holds.
func (p *predictor) intern(c *column, i, row int) int {
	b := p.text
	x, y := b.word(i), b.word(i+8)
	// What is in the dictionary is plain text, so that finding a string there up
	// to its quote is check enough. No branch depends on whether that is in the
	// first word or the second, which differs from row to row.
	q := quoteBytes(x)
	n, beyond := bits.TrailingZeros64(q)>>3, 8+bits.TrailingZeros64(quoteBytes(y))>>3
	if q == 0 {
		n = beyond
	}
	first, second := x&lowBytes[min(n, 8)], y&lowBytes[max(n-8, 0)]
	if known := c.InternedNear(first, second); known.X == first && known.Y == second && known.Length == int32(n+1) && n < 16 {
		c.Codes[row] = known.Code
		return i + n + 1
	}
	m, more := specialBytes(x), specialBytes(y)
	n, beyond = bits.TrailingZeros64(m)>>3, 8+bits.TrailingZeros64(more)>>3
	if m == 0 {
		n = beyond
	}
	if b.at(i+n) != '"' || n > c.Limit || c.Padded && n > 0 && b.at(i+n-1) == ' ' {
		return 0
	}
	x, y = x&lowBytes[min(n, 8)], y&lowBytes[max(n-8, 0)]
	known := c.InternedNear(x, y)
	code := known.Code
	if known.X != x || known.Y != y || known.Length != int32(n+1) {
		if code = c.Intern(x, y, n); code < 0 {
			return 0
		}
	}
	c.Codes[row] = code
	return i + n + 1
}

// maxQuick is how long a string copyText copies itself, a multiple of 16.
const maxQuick = 128

// copyLong is copyText for all lengths, from behind the quote.
func (p *predictor) copyLong(c *column, i, row int) int {
	n := p.textLength(i)
	if n < 0 || n > c.Limit || c.Padded && n > 0 && p.text.at(i+n-1) == ' ' {
		return 0
	}
	dst, err := c.Room(row, n)
	if err != nil {
		return 0
	}
	copy(dst, p.data[i:i+n])
	c.Offsets[row+1] = c.Offsets[row] + int32(n)
	return i + n + 1
}

// textLength is the length of the string whose content begins at i, when it has
// no escapes and is valid; else −1.
func (p *predictor) textLength(i int) int {
	b := p.text
	at := i
	for {
		m := specialBytes(b.word(at))
		if m == 0 {
			if at += 8; at > p.limit {
				return -1
			}
			continue
		}
		at += bits.TrailingZeros64(m) >> 3
		break
	}
	if b.at(at) < utf8.RuneSelf {
		if b.at(at) != '"' || at >= p.limit {
			return -1
		}
		return at - i
	}
	for {
		m := controlBytes(b.word(at))
		if m == 0 {
			if at += 8; at > p.limit {
				return -1
			}
			continue
		}
		at += bits.TrailingZeros64(m) >> 3
		break
	}
	if b.at(at) != '"' || at >= p.limit || !utf8.Valid(p.data[i:at]) {
		return -1
	}
	return at - i
}

// enum decodes a member of an ENUM.
func (p *predictor) enum(c *column, i, row int) int {
	if p.text.at(i) != '"' {
		return 0
	}
	n := p.textLength(i + 1)
	if n < 0 {
		return 0
	}
	name := p.data[i+1 : i+1+n]
	for _, m := range c.Type.Members {
		if m == string(name) && c.SetText(row, name) == nil {
			return i + n + 2
		}
	}
	return 0
}

// unquote decodes a string's content, or a number that is in normal form.
func (p *predictor) unquote(c *column, i, row int) int {
	b := p.text
	if b.at(i) == '"' {
		return p.copyText(c, i, row)
	}
	// "digits.digits" within eight bytes that has no zero at its end to lose is in
	// normal form.
	if c.Codes == nil {
		x := b.word(i)
		m := columns.NonDigits(x)
		point, n := bits.TrailingZeros64(m)>>3, bits.TrailingZeros64(m&(m-1))>>3
		start := int(c.Offsets[row])
		if point > 0 && n > point+1 && n < 8 && start+8 <= len(c.Content) && byte(x>>(8*point&63)) == '.' && byte(x>>(8*n&63))|0x20 != 'e' &&
			!leadingZero(x, m) && (byte(x>>((8*n-8)&63)) != '0' || n == point+2) {
			binary.LittleEndian.PutUint64(c.Content[start:], x)
			c.Offsets[row+1] = int32(start + n)
			return i + n
		}
	}
	// Up to 15 digits survive being a double, which is how MySQL holds numbers
	// with a point; then all that may differ are zeros at the end, and −0.
	v, fraction, negative, end := b.fixed(i)
	if end == 0 || v >= 1e15 || fraction > 14 || fraction == 0 && v == 0 && negative {
		return 0
	}
	text := p.data[i:end]
	for ; fraction > 1 && text[len(text)-1] == '0'; fraction-- {
		text = text[:len(text)-1]
	}
	if c.SetText(row, text) != nil {
		return 0
	}
	return end
}

// The words of "YYYY-MM-DDThh:mm:ss": where separators stand and what they are.
const (
	timeMask   = 0xff<<16 | 0xff<<40
	timeMarks  = 'T'<<16 | ':'<<40
	spaceMarks = ' '<<16 | ':'<<40
	timeZeros  = '0'<<16 | '0'<<40
)

// date decodes "YYYY-MM-DD".
func (p *predictor) date(c *column, i, row int) int {
	b := p.text
	if b.at(i) != '"' || b.at(i+11) != '"' {
		return 0
	}
	days, ok := c.Days(b.word(i+1), b.word(i+9))
	if !ok {
		return 0
	}
	c.Int32s[row] = days
	return i + 12
}

// timestamp decodes "YYYY-MM-DDThh:mm:ss" with up to eight digits of a fraction
// and perhaps a Z, or an epoch time that needs no rounding.
func (p *predictor) timestamp(c *column, i, row int) int {
	b := p.text
	if b.at(i) != '"' {
		return p.epoch(c, i, row)
	}
	x, y, z := b.word(i+1), b.word(i+9), b.word(i+17)
	// y is "DDThh:mm", z begins with ":ss".
	if y&timeMask != timeMarks && y&timeMask != spaceMarks || byte(z) != ':' {
		return 0
	}
	// The marks out of the way, all bytes are digits.
	clock, seconds := y&^timeMask|timeZeros, z>>8&0xffff|zeros&^0xffff
	if columns.NonDigits(clock)|columns.NonDigits(seconds) != 0 {
		return 0
	}
	days, ok := c.Days(x, y)
	hour := int64(clock>>24&0xf)*10 + int64(clock>>32&0xf)
	minute := int64(clock>>48&0xf)*10 + int64(clock>>56&0xf)
	second := int64(seconds&0xf)*10 + int64(seconds>>8&0xf)
	if !ok || hour > 23 || minute > 59 || second > 59 {
		return 0
	}
	micros := (int64(days)*86400 + hour*3600 + minute*60 + second) * 1_000_000
	if z>>24&0xff == '.' && z>>56 == 'Z' && c.Type.Fsp >= 3 && b.at(i+25) == '"' {
		// ".fffZ", as most write it.
		if fraction := z>>32&0xffffff | zeros&^0xffffff; columns.NonDigits(fraction) == 0 && micros < maxMicros-999_999 {
			c.Int64s[row] = micros + int64(fraction&0xf*100+fraction>>8&0xf*10+fraction>>16&0xf)*1000
			return i + 26
		}
	}
	end := i + 20
	if b.at(end) == '.' {
		w := b.word(end + 1)
		n := bits.TrailingZeros64(nonDigits(w)) >> 3
		if n == 0 {
			return 0
		}
		fraction := columns.ParseDigits(w<<(64-8*n)) * powersOfTen[8-n] // in 10⁻⁸ s
		if n > c.Type.Fsp {
			unit := powersOfTen[8-c.Type.Fsp]
			fraction = (fraction + unit/2) / unit * unit
		}
		micros += int64(fraction / 100)
		end += 1 + n
	}
	if b.at(end) == 'Z' {
		end++
	}
	if b.at(end) != '"' || micros > maxMicros {
		return 0
	}
	c.Int64s[row] = micros
	return end + 1
}

// maxMicros is the end of the year 9999.
const maxMicros = 253402300800*1_000_000 - 1

// epoch decodes a whole number as mysqljson.EpochMicros does.
func (p *predictor) epoch(c *column, i, row int) int {
	if c.strict { // digits are another time to CAST
		return 0
	}
	b := p.text
	v, n := b.digits(i)
	if n == 0 || n > 17 || n > 1 && b.at(i) == '0' {
		return 0
	}
	if c := b.at(i + n); c == '.' || c|0x20 == 'e' {
		return 0
	}
	micros := v
	switch {
	case n <= 11:
		micros = v * 1_000_000
	case n <= 14 && c.Type.Fsp >= 3:
		micros = v * 1000
	case n <= 14 || c.Type.Fsp < 6:
		return 0
	}
	c.Int64s[row] = int64(micros)
	return i + n
}
