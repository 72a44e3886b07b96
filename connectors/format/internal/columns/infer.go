package columns

import (
	"strings"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Traits is a set of the kinds of value that a column had in a sample.
type Traits uint16

const (
	traitBool Traits = 1 << iota
	traitInteger
	traitBig // beyond a BIGINT, within BIGINT UNSIGNED
	traitNegative
	traitFraction // or beyond 64 bits
	traitDate
	traitTimestamp
	traitText
	traitContainer
)

// JSONTraits says what kind of value a JSON value is; none for null.
func JSONTraits(value []byte) Traits {
	switch mysqljson.KindOf(value) {
	case mysqljson.Bool:
		return traitBool
	case mysqljson.Number:
		magnitude, negative, err := mysqljson.ParseInteger(value)
		switch {
		case err != nil || strings.ContainsAny(string(value), ".eE") || negative && magnitude > 1<<63:
			return traitFraction
		case negative:
			return traitNegative
		case magnitude >= 1<<63:
			return traitBig
		}
		return traitInteger
	case mysqljson.String:
		return temporalTraits(value[1 : len(value)-1])
	case mysqljson.Array, mysqljson.Object:
		return traitContainer
	}
	return 0
}

// Type is the narrowest column type that holds all kinds of value in the set.
func (t Traits) Type() types.Type {
	within := func(set Traits) bool { return t&^set == 0 }
	switch {
	case t&traitContainer != 0:
		return types.TypeJSON
	case t == 0:
	case within(traitBool):
		return types.TypeBool
	case within(traitInteger | traitNegative):
		return types.TypeInt64
	case within(traitInteger | traitBig):
		return types.TypeUint64
	case within(traitInteger | traitNegative | traitBig | traitFraction):
		return types.TypeFloat64
	case within(traitDate):
		return types.TypeDate
	case within(traitDate | traitTimestamp):
		return types.Type{Kind: types.Timestamp, Fsp: 6}
	}
	return types.Type{Kind: types.String, Name: "LONGTEXT"}
}

func temporalTraits(text []byte) Traits {
	switch {
	case len(text) < len("2006-01-02") || text[4] != '-':
	case len(text) == len("2006-01-02"):
		if _, err := mysqljson.ParseDate(text); err == nil {
			return traitDate
		}
	default:
		if _, _, err := mysqljson.ParseDateTime(text, 6); err == nil {
			return traitTimestamp
		}
	}
	return traitText
}
