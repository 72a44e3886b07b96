package function

import (
	"math"
	"math/bits"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// maxScale is the most digits after the point that arithmetic gives a DECIMAL.
const maxScale = 30

// The types that dates and times are computed with: all digits.
var (
	bigDateTime  = types.Type{Kind: types.DateTime, Fsp: 6}
	bigTimestamp = types.Type{Kind: types.Timestamp, Fsp: 6}
	bigTime      = types.Type{Kind: types.Time, Fsp: 6}
	typeInt      = types.Type{Kind: types.Int32}
)

func anyNullable(args []Arg) bool {
	for _, a := range args {
		if a.Nullable || a.Type.Kind == types.Null {
			return true
		}
	}
	return false
}

// decimalType is a DECIMAL of so many digits before and after the point, cut to
// what a DECIMAL holds.
func decimalType(whole, scale int) types.Type {
	scale = min(scale, maxScale)
	return types.NewDecimal(max(1, min(whole+scale, types.MaxDecimalPrecision)), scale)
}

// integerDigits is how many digits the values of an integer argument have.
func integerDigits(a Arg) int {
	if a.IsLiteral {
		var m uint64
		switch v := a.Literal.(type) {
		case int64:
			if m = uint64(v); v < 0 {
				m = -m
			}
		case uint64:
			m = v
		case bool:
		default:
			return 20
		}
		n := 1
		for ; m >= 10; m /= 10 {
			n++
		}
		return n
	}
	switch a.Type.Kind {
	case types.Bool, types.Null:
		return 1
	case types.Int8, types.Uint8:
		return 3
	case types.Int16, types.Uint16:
		return 5
	case types.Int32, types.Uint32:
		return 10
	case types.Int64:
		return 19
	}
	return 20
}

// numeric is the type as which arithmetic sees an argument: BIGINT, BIGINT
// UNSIGNED, DOUBLE or DECIMAL.
func numeric(a Arg) types.Type {
	switch k := a.Type.Kind; {
	case k == types.Decimal:
		return a.Type
	case k.IsFloat() || k == types.String || k == types.JSON:
		return types.TypeFloat64
	case k.IsUnsigned():
		return types.TypeUint64
	case k == types.Binary:
		if a.Type.Name == "BIT" {
			return types.TypeUint64
		}
		return types.TypeFloat64
	case k == types.Time && a.Type.Fsp > 0:
		return types.NewDecimal(6+a.Type.Fsp, a.Type.Fsp)
	case (k == types.DateTime || k == types.Timestamp) && a.Type.Fsp > 0:
		return types.NewDecimal(14+a.Type.Fsp, a.Type.Fsp)
	}
	return types.TypeInt64
}

// asDecimal is the DECIMAL that holds a numeric argument exactly.
func asDecimal(a Arg) types.Type {
	if t := numeric(a); t.Kind == types.Decimal {
		return t
	}
	if a.Type.Kind.IsTemporal() {
		return types.NewDecimal(14, 0)
	}
	return types.NewDecimal(integerDigits(a), 0)
}

// textType is the type as which a text function sees an argument.
func textType(a Arg) types.Type {
	switch a.Type.Kind {
	case types.String, types.Binary:
		return a.Type
	}
	return types.TypeText
}

// textResult is TEXT, or BLOB if one of the arguments is binary.
func textResult(args ...Arg) types.Type {
	for _, a := range args {
		if a.Type.Kind == types.Binary {
			return types.TypeBlob
		}
	}
	return types.TypeText
}

// Common is the type to which CASE, COALESCE, UNION and the like bring values of
// several types. NULLs adapt to the others.
func Common(args ...types.Type) types.Type {
	t := types.TypeNull
	for _, u := range args {
		t = common(t, u)
	}
	return t
}

func common(t, u types.Type) types.Type {
	a, b := t.Kind, u.Kind
	switch {
	case a == types.JSON && b == types.JSON:
		t.Printed = t.Printed && u.Printed
		return t
	case a == types.Null || t.Equal(u):
		return u
	case b == types.Null:
		return t
	case a.IsNumeric() && b.IsNumeric():
		return commonNumber(t, u)
	case a.IsTemporal() && b.IsTemporal():
		return commonTime(t, u)
	case a == types.Binary || b == types.Binary:
		if a == b && t.Name == u.Name && t.Name == "VARBINARY" && t.Length > 0 && u.Length > 0 {
			t.Length = max(t.Length, u.Length)
			return t
		}
		return types.TypeBlob
	case a == types.String && b == types.String && t.Length > 0 && u.Length > 0:
		return types.NewVarchar(max(t.Length, u.Length))
	}
	return types.TypeText
}

func commonNumber(t, u types.Type) types.Type {
	a, b := t.Kind, u.Kind
	switch {
	case a == b && a != types.Decimal:
		return t
	case a.IsFloat() || b.IsFloat():
		return types.TypeFloat64
	case a == types.Decimal || b == types.Decimal:
		d, e := asDecimal(Arg{Type: t}), asDecimal(Arg{Type: u})
		return decimalType(max(d.Precision-d.Scale, e.Precision-e.Scale), max(d.Scale, e.Scale))
	case a == types.Bool:
		return u
	case b == types.Bool:
		return t
	case a.IsUnsigned() == b.IsUnsigned():
		if a.Bits() >= b.Bits() {
			return types.Type{Kind: a}
		}
		return types.Type{Kind: b}
	}
	signed, unsigned := a, b
	if a.IsUnsigned() {
		signed, unsigned = b, a
	}
	switch n := max(signed.Bits(), 2*unsigned.Bits()); {
	case n <= 16:
		return types.Type{Kind: types.Int16}
	case n <= 32:
		return types.Type{Kind: types.Int32}
	case n <= 64:
		return types.TypeInt64
	}
	return types.NewDecimal(20, 0)
}

func commonTime(t, u types.Type) types.Type {
	fsp := max(t.Fsp, u.Fsp)
	if t.Kind == u.Kind {
		return types.Type{Kind: t.Kind, Fsp: fsp}
	}
	return types.Type{Kind: types.DateTime, Fsp: fsp}
}

// comparison gives the types to which two arguments have to be cast so that the
// kernel can compare them (MySQL's rules of comparison). ok is false if no
// cast does: a JSON value beside another.
func comparison(a, b Arg) (ta, tb types.Type, ok bool) {
	ka, kb := a.Type.Kind, b.Type.Kind
	switch {
	case ka == types.Null && kb == types.Null:
		return types.TypeInt64, types.TypeInt64, true
	case ka == types.Null:
		return b.Type, b.Type, true
	case kb == types.Null:
		return a.Type, a.Type, true
	case ka == types.JSON || kb == types.JSON:
		return a.Type, b.Type, false
	case isString(ka) && isString(kb):
		return a.Type, b.Type, true
	case ka.IsTemporal() && kb.IsTemporal():
		t := comparedTimes(a, b)
		return t, t, true
	case ComparesAsText(a, b):
		return textType(a), textType(b), true
	case ka.IsTemporal() && isString(kb):
		t := comparedTimes(a, timeOfText(a, b))
		return t, t, true
	case isString(ka) && kb.IsTemporal():
		t := comparedTimes(timeOfText(b, a), b)
		return t, t, true
	case ka == types.Bool && kb == types.Bool:
		return a.Type, b.Type, true
	}
	na, nb := numeric(a), numeric(b)
	switch {
	case na.Kind == types.Float64 || nb.Kind == types.Float64:
		return types.TypeFloat64, types.TypeFloat64, true
	case na.Kind == types.Decimal || nb.Kind == types.Decimal:
		return asDecimal(a), asDecimal(b), true
	case ka == kb && ka.IsInteger():
		return a.Type, b.Type, true
	case b.IsLiteral && fitsKind(b.Literal, ka):
		return a.Type, a.Type, true
	case a.IsLiteral && fitsKind(a.Literal, kb):
		return b.Type, b.Type, true
	}
	return na, nb, true
}

func isString(k types.Kind) bool { return k == types.String || k == types.Binary }

// ComparesAsText reports whether one of two arguments is a date or time and the
// other a constant text that is none, as '2024-06': MySQL then compares texts
// (and warns), so that the text may be the beginning of the dates that are meant.
func ComparesAsText(a, b Arg) bool {
	if a.Type.Kind.IsTemporal() && isString(b.Type.Kind) {
		a, b = b, a
	}
	s, ok := a.Literal.(string)
	return ok && isString(a.Type.Kind) && b.Type.Kind.IsTemporal() && !kernel.IsTemporal(s, b.Type.Kind)
}

// timeOfText is a text as the date or time that it is compared with.
func timeOfText(with, text Arg) Arg {
	switch with.Type.Kind {
	case types.Time:
		text.Type = bigTime
	case types.Timestamp:
		text.Type = bigTimestamp
	default:
		text.Type = bigDateTime
		if s, ok := text.Literal.(string); ok && with.Type.Kind == types.Date && kernel.IsDateOnly(s) {
			text.Type = types.TypeDate
		}
	}
	return text
}

// comparedTimes is the type as which two dates or times are compared.
func comparedTimes(a, b Arg) types.Type {
	ka, kb := a.Type.Kind, b.Type.Kind
	switch {
	case ka == types.Date && kb == types.Date:
		return types.TypeDate
	case ka == types.Time && kb == types.Time:
		return bigTime
	case ka == types.Timestamp && (kb == types.Timestamp || b.IsLiteral && kb != types.Time),
		kb == types.Timestamp && a.IsLiteral && ka != types.Time:
		return bigTimestamp
	}
	return bigDateTime
}

// fitsKind reports whether an integer constant is a value of an integer kind.
func fitsKind(v any, k types.Kind) bool {
	width := k.Bits()
	if width == 0 {
		return false
	}
	switch v := v.(type) {
	case int64:
		if k.IsUnsigned() {
			return v >= 0 && bits.Len64(uint64(v)) <= width
		}
		return v>>(width-1) == 0 || v>>(width-1) == -1
	case uint64:
		if k.IsUnsigned() {
			return bits.Len64(v) <= width
		}
		return v <= math.MaxInt64 && bits.Len64(v) < width
	}
	return false
}
