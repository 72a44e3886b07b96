package columns

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Traits says of which kinds the values were that a column had in a sample, and
// how many digits its numbers have.
type Traits struct {
	kinds kinds
	// The most digits of any number in front of the point, and behind it without
	// zeros at the end; with its exponent applied.
	whole, scale int
}

type kinds uint16

const (
	kindBool kinds = 1 << iota
	kindInteger
	kindBig // beyond a BIGINT, within BIGINT UNSIGNED
	kindNegative
	kindHuge     // a whole number beyond 64 bits
	kindFraction // or written with an exponent
	kindExact    // of 2^53 or more, and a DOUBLE would lose digits of it
	kindDate
	kindTimestamp
	kindText
	kindContainer
)

const kindsWhole = kindInteger | kindNegative | kindBig | kindHuge

// With adds what is known of another value.
func (t Traits) With(value Traits) Traits {
	return Traits{kinds: t.kinds | value.kinds, whole: max(t.whole, value.whole), scale: max(t.scale, value.scale)}
}

// JSONTraits says of what kind a JSON value is; none for null.
func JSONTraits(value []byte) Traits {
	switch mysqljson.KindOf(value) {
	case mysqljson.Bool:
		return Traits{kinds: kindBool}
	case mysqljson.Number:
		return numberTraits(value)
	case mysqljson.String:
		return Traits{kinds: temporalKind(value[1 : len(value)-1])}
	case mysqljson.Array, mysqljson.Object:
		return Traits{kinds: kindContainer}
	}
	return Traits{}
}

func numberTraits(number []byte) Traits {
	digits, point := significant(number)
	t := Traits{whole: max(point, 0), scale: max(len(digits)-point, 0)}
	magnitude, negative, err := mysqljson.ParseInteger(number)
	switch {
	case t.scale > 0:
		t.kinds = kindFraction
	case err != nil, negative && magnitude > 1<<63:
		t.kinds = kindHuge
	case negative:
		t.kinds = kindNegative
	case magnitude >= 1<<63:
		t.kinds = kindBig
	default:
		t.kinds = kindInteger
	}
	if bytes.ContainsAny(number, ".eE") {
		t.kinds |= kindFraction
	}
	if f, err := mysqljson.ParseDouble(number); err == nil && math.Abs(f) >= 1<<53 {
		kept, keptPoint := significant(strconv.AppendFloat(nil, f, 'e', -1, 64))
		if keptPoint != point || !bytes.Equal(kept, digits) {
			t.kinds |= kindExact
		}
	}
	return t
}

// significant gives the digits of a number without zeros at either end, and how
// many of them are in front of the point, which is beyond them where it is more
// than there are or negative.
func significant(number []byte) (digits []byte, point int) {
	mantissa, exponent := number, 0
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		// One that does not fit an int is cut to the nearest that does.
		n, _ := strconv.ParseInt(strings.TrimPrefix(string(number[i+1:]), "+"), 10, 32)
		mantissa, exponent = number[:i], int(n)
	}
	mantissa = bytes.TrimPrefix(mantissa, []byte("-"))
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits = slices.Concat(whole, fraction)
	point = len(whole) + exponent
	for len(digits) > 0 && digits[0] == '0' {
		digits, point = digits[1:], point-1
	}
	digits = bytes.TrimRight(digits, "0")
	if len(digits) == 0 {
		point = 0
	}
	return digits, point
}

// Type is the narrowest column type that holds all values.
func (t Traits) Type() types.Type {
	within := func(set kinds) bool { return t.kinds&^set == 0 }
	switch {
	case t.kinds&kindContainer != 0:
		return types.TypeJSON
	case t.kinds == 0:
	case within(kindBool):
		return types.TypeBool
	case within(kindsWhole | kindFraction | kindExact):
		return t.numberType()
	case within(kindDate):
		return types.TypeDate
	case within(kindDate | kindTimestamp):
		return types.Type{Kind: types.Timestamp, Fsp: 6}
	}
	return types.Type{Kind: types.String, Name: "LONGTEXT"}
}

// numberType is the type of a column of numbers: what holds them exactly if they
// are whole, or if a DOUBLE would lose digits of large ones; with the most digits
// that a DECIMAL can have, since the sample need not have the largest number.
func (t Traits) numberType() types.Type {
	exactly := t.kinds&kindFraction == 0 || t.kinds&kindExact != 0
	ranges := t.kinds & (kindNegative | kindBig | kindHuge)
	switch {
	case !exactly:
	case t.scale == 0 && ranges&^kindNegative == 0:
		return types.TypeInt64
	case t.scale == 0 && ranges&^kindBig == 0:
		return types.TypeUint64
	case t.scale <= maxScale && t.whole+t.scale <= types.MaxDecimalPrecision:
		return types.NewDecimal(types.MaxDecimalPrecision, t.scale)
	}
	return types.TypeFloat64
}

// maxScale is how many digits behind the point a DECIMAL may have.
const maxScale = 30

func temporalKind(text []byte) kinds {
	switch {
	case len(text) < len("2006-01-02") || text[4] != '-':
	case len(text) == len("2006-01-02"):
		if _, err := mysqljson.ParseDate(text); err == nil {
			return kindDate
		}
	default:
		if _, _, err := mysqljson.ParseDateTime(text, 6); err == nil {
			return kindTimestamp
		}
	}
	return kindText
}
