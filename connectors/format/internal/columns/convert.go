package columns

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Why a value does not fit its column.
var (
	errTooLong   = errors.New("too long")
	errNotMember = errors.New("not one of the members")
	errNotBool   = errors.New("neither true or false without quotes, nor 0 or 1")
	errNoScalar  = errors.New("not a single value")
)

// ConvertJSON writes a value, given its JSON text, at a row, as MySQL's INSERT
// converts it: true and false are 1 and 0, strings that are wholly numeric are
// numbers, numbers and booleans are text in text columns, as are the bytes of
// objects and arrays. The text has been validated. null tells that the value is
// NULL, err why it does not fit; a *mysqljson.SyntaxError means that it cannot
// be a JSON value in MySQL at all.
func (c *Builder) ConvertJSON(raw []byte, row int, s *Scratch) (null bool, err error) {
	kind := mysqljson.KindOf(raw)
	switch c.Field.Mode {
	case connectors.FieldExtract:
		if kind == mysqljson.Null && len(c.Field.Path) == 1 {
			return true, nil
		}
		if s.text, err = mysqljson.AppendNormal(s.text[:0], raw); err != nil {
			return false, err
		}
		return false, c.SetText(row, s.text)
	case connectors.FieldUnquote:
		if kind == mysqljson.Null && len(c.Field.Path) == 1 {
			return true, nil
		}
		if s.text, err = mysqljson.AppendUnquoted(s.text[:0], raw); err != nil {
			return false, err
		}
		return false, c.SetText(row, s.text)
	}
	if kind == mysqljson.Null {
		return true, nil
	}
	switch c.Type.Kind {
	case types.JSON:
		return false, c.SetText(row, raw)
	case types.String:
		return false, c.convertString(s.scalar(raw, kind), kind, row, s)
	case types.Binary:
		return false, c.convertBinary(s.scalar(raw, kind), kind, row, s)
	}
	if kind == mysqljson.Array || kind == mysqljson.Object {
		return false, errNoScalar
	}
	text := s.scalar(raw, kind)
	switch c.Type.Kind {
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return false, c.convertTemporal(text, kind, row)
	}
	return false, c.convertNumber(text, kind, row)
}

// Scratch holds text while it is converted.
type Scratch struct {
	text []byte
	set  []byte
	// document is the text that extract was given last, if read.
	document mysqljson.Indexed
	read     bool
}

// scalar is the text that a value stands for: a string's content, else its own.
func (s *Scratch) scalar(raw []byte, kind mysqljson.Kind) []byte {
	if kind != mysqljson.String {
		return raw
	}
	content := raw[1 : len(raw)-1]
	if bytes.IndexByte(content, '\\') < 0 {
		return content
	}
	s.text = mysqljson.AppendUnescaped(s.text[:0], content)
	return s.text
}

var (
	textZero = []byte("0")
	textOne  = []byte("1")
)

func (c *Builder) convertNumber(text []byte, kind mysqljson.Kind, row int) error {
	if kind == mysqljson.Bool {
		if text[0] == 't' {
			text = textOne
		} else {
			text = textZero
		}
	}
	switch c.Type.Kind {
	case types.Float32, types.Float64:
		f, err := mysqljson.ParseDouble(text)
		if err != nil {
			return err
		}
		if c.Type.Kind == types.Float64 {
			c.Float64s[row] = f
			return nil
		}
		if math.IsInf(float64(float32(f)), 0) {
			return mysqljson.ErrOutOfRange
		}
		c.f32[row] = float32(f)
		return nil
	case types.Decimal:
		n, err := mysqljson.ParseDecimal(text, c.Type.Precision, c.Type.Scale)
		if err == nil {
			c.Decimals[row] = n
		}
		return err
	}
	magnitude, negative, err := mysqljson.ParseInteger(text)
	if err != nil {
		if c.Type.Kind == types.Bool && errors.Is(err, mysqljson.ErrNotNumber) {
			return errNotBool
		}
		return err
	}
	if c.Type.Kind == types.Uint64 {
		if negative {
			return mysqljson.ErrOutOfRange
		}
		c.Int64s[row] = int64(magnitude)
		return nil
	}
	v := int64(magnitude)
	if negative {
		v = -v
	}
	if magnitude > 1<<63 || magnitude == 1<<63 && !negative || v < c.Low || v > c.High {
		return mysqljson.ErrOutOfRange
	}
	c.SetInt(row, v)
	return nil
}

// convertTemporal reads dates and times. A string of digits is one too: eight
// are YYYYMMDD, fourteen YYYYMMDDhhmmss, others an epoch time as the number
// would be. TIME reads numbers as MySQL does: hhmmss.
func (c *Builder) convertTemporal(text []byte, kind mysqljson.Kind, row int) error {
	if kind == mysqljson.Bool {
		return mysqljson.ErrNotTime
	}
	number := kind == mysqljson.Number
	if !number && len(text) != 8 && len(text) != 14 {
		number = allDigits(text)
	}
	var v int64
	var err error
	switch c.Type.Kind {
	case types.Time:
		v, err = mysqljson.ParseTime(text, c.Type.Fsp)
	case types.Date:
		var days int32
		switch {
		case number && len(text) == 8:
			if days, err = mysqljson.ParseDate(text); err == nil {
				break
			}
			fallthrough
		case number:
			v, err = mysqljson.EpochMicros(text, 6)
			days = int32(floorDiv(v, 86_400_000_000))
		default:
			days, err = mysqljson.ParseDate(text)
		}
		v = int64(days)
	default:
		if number {
			v, err = mysqljson.EpochMicros(text, c.Type.Fsp)
		} else {
			v, _, err = mysqljson.ParseDateTime(text, c.Type.Fsp)
		}
	}
	if err == nil {
		c.SetInt(row, v)
	}
	return err
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (c *Builder) convertString(text []byte, kind mysqljson.Kind, row int, s *Scratch) error {
	switch c.Type.Name {
	case "ENUM":
		return c.convertEnum(text, kind, row)
	case "SET":
		return c.convertSet(text, kind, row, s)
	}
	if len(text) > c.Limit {
		if n := utf8.RuneCount(text); n > c.Limit {
			// Spaces at the end are cut, as MySQL does.
			cut := bytes.TrimRight(text, " ")
			for n -= len(text) - len(cut); n < c.Limit; n++ {
				cut = text[:len(cut)+1]
			}
			if n > c.Limit {
				return errTooLong
			}
			text = cut
		}
	}
	if c.Type.Name == "CHAR" {
		text = bytes.TrimRight(text, " ")
	}
	return c.SetText(row, text)
}

// convertEnum takes a member by its name, or by its number counted from 1.
func (c *Builder) convertEnum(text []byte, kind mysqljson.Kind, row int) error {
	if kind == mysqljson.String && slices.Contains(c.Type.Members, string(text)) {
		return c.SetText(row, text)
	}
	if n, negative, err := mysqljson.ParseInteger(text); err == nil && !negative && n >= 1 && n <= uint64(len(c.Type.Members)) {
		return c.SetText(row, []byte(c.Type.Members[n-1]))
	}
	return errNotMember
}

// convertSet takes members separated by commas, or a number whose bits are
// members, and writes them in the order of their declaration.
func (c *Builder) convertSet(text []byte, kind mysqljson.Kind, row int, s *Scratch) error {
	var chosen uint64
	known := kind == mysqljson.String
	if known && len(text) > 0 {
		for name := range bytes.SplitSeq(text, []byte{','}) {
			i := slices.Index(c.Type.Members, string(name))
			if known = i >= 0 && i < 64; !known {
				break
			}
			chosen |= 1 << i
		}
	}
	if !known {
		n, negative, err := mysqljson.ParseInteger(text)
		if err != nil || negative || len(c.Type.Members) < 64 && n >= 1<<len(c.Type.Members) {
			return errNotMember
		}
		chosen = n
	}
	s.set = s.set[:0]
	for i, m := range c.Type.Members {
		if i < 64 && chosen>>i&1 != 0 {
			if len(s.set) > 0 {
				s.set = append(s.set, ',')
			}
			s.set = append(s.set, m...)
		}
	}
	return c.SetText(row, s.set)
}

// convertBinary takes the bytes of a text; BINARY(n) is filled up with zero
// bytes. BIT(n) takes a number, or the bytes of one, the highest first.
func (c *Builder) convertBinary(text []byte, kind mysqljson.Kind, row int, s *Scratch) error {
	if c.Type.Name == "BIT" {
		return c.convertBit(text, kind, row, s)
	}
	if len(text) > c.Limit {
		return errTooLong
	}
	if c.Type.Name == "BINARY" && len(text) < c.Type.Length {
		s.set = append(s.set[:0], text...)
		s.set = append(s.set, make([]byte, c.Type.Length-len(text))...)
		text = s.set
	}
	return c.SetText(row, text)
}

func (c *Builder) convertBit(text []byte, kind mysqljson.Kind, row int, s *Scratch) error {
	var n uint64
	switch kind {
	case mysqljson.Bool:
		if text[0] == 't' {
			n = 1
		}
	case mysqljson.Number:
		magnitude, negative, err := mysqljson.ParseInteger(text)
		if err != nil {
			return err
		}
		if negative {
			return mysqljson.ErrOutOfRange
		}
		n = magnitude
	case mysqljson.String:
		if len(text) > 8 {
			return errTooLong
		}
		for _, b := range text {
			n = n<<8 | uint64(b)
		}
	default:
		return errNoScalar
	}
	if c.Type.Length < 64 && n >= 1<<c.Type.Length {
		return mysqljson.ErrOutOfRange
	}
	s.set = s.set[:0]
	for i := (c.Type.Length+7)/8 - 1; i >= 0; i-- {
		s.set = append(s.set, byte(n>>(8*i)))
	}
	return c.SetText(row, s.set)
}

// Misfit is the message for a value that does not fit its column.
func (c *Builder) Misfit(raw []byte, reason error) string {
	return fmt.Sprintf("field %s: expected %s, found %s: %v", c.Path, c.Type, Shorten(raw), reason)
}

// Missing is the message for a value that may not be NULL.
func (c *Builder) Missing(found bool) string {
	what := "nothing"
	if found {
		what = "null"
	}
	return fmt.Sprintf("field %s: expected %s NOT NULL, found %s", c.Path, c.Type, what)
}

// Shorten cuts a value for a message.
func Shorten(raw []byte) string {
	const most = 60
	if len(raw) <= most {
		return string(raw)
	}
	end := most
	for end > 0 && !utf8.RuneStart(raw[end]) {
		end--
	}
	return string(raw[:end]) + "…"
}
