package columns

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Formats whose values have types of their own write them by what follows. Each
// value has one JSON text (the Append functions), which is what it is within a
// JSON column and what a path that leads to it gives. In a column of another
// type it is what that JSON text would be there, but that a value of the
// column's own type takes no detour through text.

var space = []byte{' '}

var errNotFinite = errors.New("not a finite number")

// BeginRow makes all columns of the row NULL, for formats that set only those
// which the record has.
func (b *Batch) BeginRow() {
	for i := range b.nulls {
		b.nulls[i] = true
	}
	b.anyNull = true
}

// Missing finds a NOT NULL column that was not set since BeginRow.
func (b *Batch) Missing() (class connectors.ErrorClass, message string) {
	for i, null := range b.nulls {
		if c := b.Columns[i]; null && c.Field.Column.NotNull {
			return connectors.ClassField, c.Missing(false)
		}
	}
	return "", ""
}

// plain reports whether column i takes a value of the kind as it is.
func (b *Batch) plain(i int, kind types.Kind) (*Builder, bool) {
	c := b.Columns[i]
	return c, c.Type.Kind == kind && c.Field.Mode == connectors.FieldColumn
}

func (b *Batch) isSet(i int) (class connectors.ErrorClass, message string) {
	b.nulls[i] = false
	return "", ""
}

// SetBool is Set for a boolean.
func (b *Batch) SetBool(i int, v bool) (class connectors.ErrorClass, message string) {
	if c, ok := b.plain(i, types.Bool); ok {
		c.setBool(len(b.out.Values), v)
		return b.isSet(i)
	}
	b.typed = strconv.AppendBool(b.typed[:0], v)
	return b.SetJSON(i, b.typed)
}

// SetInt is Set for a whole number.
func (b *Batch) SetInt(i int, v int64) (class connectors.ErrorClass, message string) {
	c := b.Columns[i]
	row := len(b.out.Values)
	if c.Field.Mode == connectors.FieldColumn {
		switch c.Type.Kind {
		case types.Int64:
			c.Int64s[row] = v
			return b.isSet(i)
		case types.Bool, types.Int8, types.Int16, types.Int32, types.Uint8, types.Uint16, types.Uint32, types.Uint64:
			if v >= c.Low && v <= c.High {
				c.SetInt(row, v)
				return b.isSet(i)
			}
		case types.Float64:
			c.Float64s[row] = float64(v)
			return b.isSet(i)
		}
	}
	b.typed = strconv.AppendInt(b.typed[:0], v, 10)
	return b.SetJSON(i, b.typed)
}

// SetUint is Set for a whole number without a sign.
func (b *Batch) SetUint(i int, v uint64) (class connectors.ErrorClass, message string) {
	if v <= math.MaxInt64 {
		return b.SetInt(i, int64(v))
	}
	if c, ok := b.plain(i, types.Uint64); ok {
		c.Int64s[len(b.out.Values)] = int64(v)
		return b.isSet(i)
	}
	b.typed = strconv.AppendUint(b.typed[:0], v, 10)
	return b.SetJSON(i, b.typed)
}

// SetDouble is Set for a DOUBLE.
func (b *Batch) SetDouble(i int, v float64) (class connectors.ErrorClass, message string) {
	if c := b.Columns[i]; c.DirectDouble() && c.SetDouble(len(b.out.Values), v) {
		return b.isSet(i)
	}
	b.typed = AppendJSONDouble(b.typed[:0], v)
	if !isFinite(v) && b.Columns[i].Field.Mode == connectors.FieldColumn && !b.Columns[i].isText() {
		return b.misfit(i, b.typed, errNotFinite)
	}
	return b.SetJSON(i, b.typed)
}

// SetFloat is Set for a FLOAT.
func (b *Batch) SetFloat(i int, v float32) (class connectors.ErrorClass, message string) {
	c := b.Columns[i]
	if c.Field.Mode == connectors.FieldColumn && isFinite(float64(v)) {
		switch c.Type.Kind {
		case types.Float32:
			c.f32[len(b.out.Values)] = v
			return b.isSet(i)
		case types.Float64:
			c.Float64s[len(b.out.Values)] = float64(v)
			return b.isSet(i)
		}
	}
	if !isFinite(float64(v)) {
		return b.SetDouble(i, float64(v))
	}
	b.typed = AppendJSONFloat(b.typed[:0], v)
	return b.SetJSON(i, b.typed)
}

func isFinite(v float64) bool { return v-v == 0 }

// SetText is Set for a string that is valid UTF-8. In a JSON column it is JSON
// text.
func (b *Batch) SetText(i int, text []byte) (class connectors.ErrorClass, message string) {
	if c, ok := b.plain(i, types.String); ok && len(text) <= c.Limit && len(c.Type.Members) == 0 && (!c.Padded || !bytes.HasSuffix(text, space)) {
		if err := c.SetText(len(b.out.Values), text); err != nil {
			return b.misfit(i, text, err)
		}
		return b.isSet(i)
	}
	return b.Set(i, text)
}

// SetString is SetText for a string within a value that has parts: where JSON is
// wanted it is a JSON string.
func (b *Batch) SetString(i int, text []byte) (class connectors.ErrorClass, message string) {
	if c := b.Columns[i]; c.Field.Mode == connectors.FieldColumn && c.Type.Kind != types.JSON {
		return b.SetText(i, text)
	}
	b.typed = mysqljson.AppendQuoted(b.typed[:0], text)
	return b.SetJSON(i, b.typed)
}

// SetBytes is Set for bytes: in a column of text they are its characters, where
// JSON is wanted their base64.
func (b *Batch) SetBytes(i int, data []byte) (class connectors.ErrorClass, message string) {
	c := b.Columns[i]
	switch {
	case c.Field.Mode != connectors.FieldColumn || c.Type.Kind == types.JSON:
		b.typed = AppendJSONBytes(b.typed[:0], data)
		return b.SetJSON(i, b.typed)
	case c.Type.Kind == types.Binary:
		if err := c.convertBinary(data, mysqljson.String, len(b.out.Values), &b.scratch); err != nil {
			b.typed = AppendJSONBytes(b.typed[:0], data)
			return b.misfit(i, b.typed, err)
		}
		return b.isSet(i)
	case !utf8.Valid(data):
		b.typed = AppendJSONBytes(b.typed[:0], data)
		return b.misfit(i, b.typed, errNotUTF8)
	}
	return b.SetText(i, data)
}

// SetDecimal is Set for unscaled × 10^−scale.
func (b *Batch) SetDecimal(i int, unscaled decimal128.Num, scale int) (class connectors.ErrorClass, message string) {
	if c, ok := b.plain(i, types.Decimal); ok && c.Bound > 0 && scale <= c.Type.Scale && isInt64(unscaled) {
		n := int64(unscaled.LowBits())
		for ; scale < c.Type.Scale && magnitude(n) < c.Bound/10; scale++ {
			n *= 10
		}
		if scale == c.Type.Scale && magnitude(n) < c.Bound {
			c.Decimals[len(b.out.Values)] = decimal128.FromI64(n)
			return b.isSet(i)
		}
		if d := scale - c.Type.Scale; d < 0 { // it does not fit; say so with what was found
			b.typed = append(b.typed[:0], unscaled.ToString(int32(scale))...)
			return b.SetJSON(i, b.typed)
		}
	}
	b.typed = AppendJSONDecimal(b.typed[:0], unscaled, scale)
	return b.SetJSON(i, b.typed)
}

func isInt64(n decimal128.Num) bool { return n.HighBits() == int64(n.LowBits())>>63 }

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

const microsPerDay = 86_400_000_000

// The times that a column can hold: the years 1 to 9999.
var (
	firstMicros = int64(mysqljson.DaysFromCivil(1, 1, 1)) * microsPerDay
	endMicros   = int64(mysqljson.DaysFromCivil(9999, 12, 31)+1) * microsPerDay
)

// SetMoment is Set for a date and time of day, or an instant, in µs since 1970.
func (b *Batch) SetMoment(i int, micros int64) (class connectors.ErrorClass, message string) {
	c := b.Columns[i]
	if !IsMoment(micros) {
		b.typed = strconv.AppendInt(b.typed[:0], micros, 10)
		return b.misfit(i, append(b.typed, " µs since 1970"...), mysqljson.ErrOutOfRange)
	}
	if unit := c.MomentUnit(); unit == 1 || unit > 0 && micros%unit == 0 {
		c.Int64s[len(b.out.Values)] = micros
		return b.isSet(i)
	}
	b.typed = AppendJSONMoment(b.typed[:0], micros)
	return b.SetJSON(i, b.typed)
}

// fspUnits are the µs of the last digit that a time of fsp digits keeps.
var fspUnits = [...]int64{1_000_000, 100_000, 10_000, 1_000, 100, 10, 1}

// SetDate is Set for days since 1970.
func (b *Batch) SetDate(i int, days int64) (class connectors.ErrorClass, message string) {
	if !IsDate(days) {
		b.typed = strconv.AppendInt(b.typed[:0], days, 10)
		return b.misfit(i, append(b.typed, " days since 1970"...), mysqljson.ErrOutOfRange)
	}
	if c, ok := b.plain(i, types.Date); ok {
		c.Int32s[len(b.out.Values)] = int32(days)
		return b.isSet(i)
	}
	b.typed = AppendJSONDate(b.typed[:0], days)
	return b.SetJSON(i, b.typed)
}

// SetTimeOfDay is Set for µs since midnight.
func (b *Batch) SetTimeOfDay(i int, micros int64) (class connectors.ErrorClass, message string) {
	c, ok := b.plain(i, types.Time)
	switch {
	case micros < 0 || micros > microsPerDay:
		b.typed = strconv.AppendInt(b.typed[:0], micros, 10)
		return b.misfit(i, append(b.typed, " µs since midnight"...), mysqljson.ErrOutOfRange)
	case ok && micros%fspUnits[c.Type.Fsp] == 0:
		c.Int64s[len(b.out.Values)] = micros
		return b.isSet(i)
	}
	b.typed = AppendJSONTimeOfDay(b.typed[:0], micros)
	return b.SetJSON(i, b.typed)
}

// AppendJSONDouble appends a number; those that JSON does not have as strings.
func AppendJSONDouble(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	start := len(dst)
	dst = mysqljson.AppendDouble(dst, v)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, '.', '0')
}

// AppendJSONFloat is AppendJSONDouble with the fewest digits that tell v from
// other FLOATs.
func AppendJSONFloat(dst []byte, v float32) []byte {
	if !isFinite(float64(v)) {
		return AppendJSONDouble(dst, float64(v))
	}
	var text [32]byte
	near, err := strconv.ParseFloat(string(strconv.AppendFloat(text[:0], float64(v), 'g', -1, 32)), 64)
	if err != nil {
		near = float64(v)
	}
	return AppendJSONDouble(dst, near)
}

// AppendJSONBytes appends the base64 of bytes as a string.
func AppendJSONBytes(dst, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), data), '"')
}

// AppendJSONDecimal appends unscaled × 10^−scale as a number.
func AppendJSONDecimal(dst []byte, unscaled decimal128.Num, scale int) []byte {
	if isInt64(unscaled) {
		var text [24]byte
		n := int64(unscaled.LowBits())
		digits := strconv.AppendUint(text[:0], magnitude(n), 10)
		if n < 0 {
			dst = append(dst, '-')
		}
		return appendPoint(dst, digits, scale)
	}
	digits := []byte(unscaled.BigInt().String())
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	return appendPoint(dst, digits, scale)
}

// appendPoint appends digits of which the last scale are behind the point.
func appendPoint(dst, digits []byte, scale int) []byte {
	if scale <= 0 {
		dst = append(dst, digits...)
		for ; scale < 0; scale++ {
			dst = append(dst, '0')
		}
		return dst
	}
	whole := len(digits) - scale
	if whole <= 0 {
		dst = append(dst, '0', '.')
		for ; whole < 0; whole++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(append(dst, digits[:whole]...), '.')
	return append(dst, digits[whole:]...)
}

// AppendJSONMoment appends "YYYY-MM-DD hh:mm:ss.ffffff", as MySQL writes times
// into JSON; micros is within the years 1 to 9999.
func AppendJSONMoment(dst []byte, micros int64) []byte {
	days := floorDiv(micros, microsPerDay)
	dst = mysqljson.AppendDate(append(dst, '"'), days)
	dst = mysqljson.AppendClock(append(dst, ' '), micros-days*microsPerDay, 6)
	return append(dst, '"')
}

// AppendJSONDate appends "YYYY-MM-DD".
func AppendJSONDate(dst []byte, days int64) []byte {
	return append(mysqljson.AppendDate(append(dst, '"'), days), '"')
}

// AppendJSONTimeOfDay appends "hh:mm:ss.ffffff".
func AppendJSONTimeOfDay(dst []byte, micros int64) []byte {
	return append(mysqljson.AppendClock(append(dst, '"'), micros, 6), '"')
}
