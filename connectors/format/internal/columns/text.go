package columns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

var errNotUTF8 = errors.New("not valid UTF-8")

// ConvertText writes a value given as plain text, such as a field of a CSV
// file, at a row. It converts as ConvertJSON does a string of that content, but
// in a JSON column, and where a path leads into one, the text is JSON; true and
// false fit BOOLEAN; and digits fit BIT. null tells that the value is NULL, err
// why it does not fit.
func (c *Builder) ConvertText(text []byte, row int, s *Scratch) (null bool, err error) {
	if c.Field.Mode != connectors.FieldColumn {
		return c.extract(text, row, s)
	}
	switch c.Type.Kind {
	case types.String:
		if !utf8.Valid(text) {
			return false, errNotUTF8
		}
		if len(text) <= c.Limit && (c.Type.Name == "" || c.Type.Name == "VARCHAR" || c.Type.Name == "TEXT" || c.Type.Name == "LONGTEXT") {
			return false, c.SetText(row, text)
		}
		return false, c.convertString(text, mysqljson.String, row, s)
	case types.Binary:
		kind := mysqljson.String
		if c.Type.Name == "BIT" && allDigits(text) {
			kind = mysqljson.Number
		}
		return false, c.convertBinary(text, kind, row, s)
	case types.JSON:
		if err := mysqljson.Valid(text); err != nil {
			return false, err
		}
		if text = bytes.TrimSpace(text); mysqljson.KindOf(text) == mysqljson.Null {
			return true, nil
		}
		return false, c.SetText(row, text)
	case types.DateTime, types.Timestamp:
		if micros, ok := c.usualTime(text); ok {
			c.Int64s[row] = micros
			return false, nil
		}
		return false, c.convertTemporal(text, mysqljson.String, row)
	case types.Date, types.Time:
		return false, c.convertTemporal(text, mysqljson.String, row)
	case types.Decimal:
		if n, fraction, ok := fixedPoint(text); ok && c.Bound > 0 && fraction <= c.Type.Scale {
			for ; fraction < c.Type.Scale && uint64(abs(n)) < c.Bound/10; fraction++ {
				n *= 10
			}
			if fraction == c.Type.Scale && uint64(abs(n)) < c.Bound {
				c.Decimals[row] = decimal128.FromI64(n)
				return false, nil
			}
		}
	case types.Bool:
		switch {
		case len(text) == 4 && bytes.EqualFold(text, []byte("true")):
			c.setBool(row, true)
			return false, nil
		case len(text) == 5 && bytes.EqualFold(text, []byte("false")):
			c.setBool(row, false)
			return false, nil
		}
	case types.Float64:
		// One division of what a double holds exactly rounds correctly (W. D.
		// Clinger, "How to read floating point numbers accurately", 1990).
		if n, fraction, ok := fixedPoint(text); ok && n != 0 && uint64(abs(n)) < 1<<53 {
			c.Float64s[row] = float64(n) / exactPowers[fraction]
			return false, nil
		}
	case types.Float32:
	default:
		if n, fraction, ok := fixedPoint(text); ok && fraction == 0 && n >= c.Low && n <= c.High {
			c.SetInt(row, n)
			return false, nil
		}
	}
	return false, c.convertNumber(text, mysqljson.String, row)
}

// exactPowers are the powers of ten that fixedPoint may ask for, which a double
// holds exactly.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// usualTime reads "YYYY-MM-DD hh:mm:ss", or with a T, with no more digits of a
// fraction than the column keeps and perhaps a Z; ok is false for other forms.
func (c *Builder) usualTime(text []byte) (micros int64, ok bool) {
	if len(text) < len("2006-01-02 15:04:05") || text[10] != ' ' && text[10] != 'T' {
		return 0, false
	}
	const marks, mask = ':'<<16 | ':'<<40, 0xff<<16 | 0xff<<40
	clock := binary.LittleEndian.Uint64(text[11:])
	if clock&mask != marks || NonDigits(clock&^mask|'0'<<16|'0'<<40) != 0 {
		return 0, false
	}
	days, ok := c.Days(binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:]))
	hour := int64(clock&0xf)*10 + int64(clock>>8&0xf)
	minute := int64(clock>>24&0xf)*10 + int64(clock>>32&0xf)
	second := int64(clock>>48&0xf)*10 + int64(clock>>56&0xf)
	if !ok || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	micros = (int64(days)*86400 + hour*3600 + minute*60 + second) * 1_000_000
	text = text[19:]
	if len(text) > 0 && text[0] == '.' {
		unit, n := int64(100_000), 1
		for ; n < len(text) && text[n]-'0' <= 9; n++ {
			micros += int64(text[n]-'0') * unit
			unit /= 10
		}
		if n == 1 || n > c.Type.Fsp+1 {
			return 0, false
		}
		text = text[n:]
	}
	return micros, len(text) == 0 || len(text) == 1 && text[0] == 'Z'
}

// extract writes what the field's path leads to in JSON text.
func (c *Builder) extract(text []byte, row int, s *Scratch) (null bool, err error) {
	if !s.read {
		if err := s.document.Read(text); err != nil {
			return false, err
		}
		s.read = true
	}
	found := false
	if text, found, err = s.document.Lookup(c.below); err != nil || !found {
		return true, err
	}
	return c.ConvertJSON(text, row, s)
}

// fixedPoint reads a number of at most 18 digits without an exponent: its digits
// and how many of them are behind the point. ok is false for all others.
func fixedPoint(text []byte) (n int64, fraction int, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if uint(len(text)-1) >= 18 {
		return 0, 0, false
	}
	if cap(text) >= 16 && len(text) <= 16 {
		n, fraction, ok = fixedWords(text)
	}
	if !ok {
		n, fraction, ok = fixedBytes(text)
	}
	if negative {
		n = -n
	}
	return n, fraction, ok
}

// fixedWords is fixedPoint for 1 to 16 bytes without a sign that begin 16 readable
// ones: digits, or up to eight with a point. ok is false for some others too.
func fixedWords(text []byte) (n int64, fraction int, ok bool) {
	words := text[:16]
	x := binary.LittleEndian.Uint64(words)
	if len(text) > 8 {
		y := binary.LittleEndian.Uint64(words[len(text)-8:])
		if NonDigits(y) != 0 || NonDigits(x)<<(128-8*len(text)) != 0 {
			return 0, 0, false
		}
		return int64(ParseDigits(x<<(128-8*len(text)))*1e8 + ParseDigits(y)), 0, true
	}
	x <<= 64 - 8*len(text) // the last byte is the highest
	m := NonDigits(x) >> (64 - 8*len(text))
	if m == 0 {
		return int64(ParseDigits(x)), 0, true
	}
	point := bits.TrailingZeros64(m) >> 3
	fraction = len(text) - point - 1
	if m&(m-1) != 0 || text[point] != '.' || point == 0 || fraction == 0 {
		return 0, 0, false
	}
	// What is before the point moves up by one byte.
	behind := ^uint64(0) << (64 - 8*fraction)
	return int64(ParseDigits(x&behind | x<<8&^behind)), fraction, true
}

func fixedBytes(text []byte) (n int64, fraction int, ok bool) {
	point := -1
	for i, c := range text {
		digit := c - '0'
		if digit > 9 {
			if c != '.' || point >= 0 {
				return 0, 0, false
			}
			point = i
			continue
		}
		n = n*10 + int64(digit)
	}
	if point < 0 {
		return n, 0, true
	}
	fraction = len(text) - point - 1
	return n, fraction, fraction > 0 && point > 0
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

func allDigits(text []byte) bool {
	for _, c := range text {
		if c-'0' > 9 {
			return false
		}
	}
	return len(text) > 0
}

// TextTraits says of what kind a plain text is; none for an empty one.
// Digits with a zero in front, as of a postal code, are text.
func TextTraits(text []byte) Traits {
	switch {
	case len(text) == 0:
		return Traits{}
	case bytes.EqualFold(text, []byte("true")), bytes.EqualFold(text, []byte("false")):
		return Traits{kinds: kindBool}
	case text[0] == '{' || text[0] == '[':
		if mysqljson.Valid(text) == nil {
			return Traits{kinds: kindContainer}
		}
	case text[0] == '-' || text[0]-'0' <= 9:
		if end, err := mysqljson.Scan(text, 0); err == nil && end == len(text) {
			return JSONTraits(text)
		}
	}
	return Traits{kinds: temporalKind(text)}
}

// TextType is Traits.Type for a column of plain texts: JSON only where all are.
func (t Traits) TextType() types.Type {
	if t.kinds&kindContainer != 0 && t.kinds != kindContainer {
		return types.Type{Kind: types.String, Name: "LONGTEXT"}
	}
	return t.Type()
}
