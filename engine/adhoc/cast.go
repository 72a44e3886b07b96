package adhoc

import (
	"fmt"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// plainCast spells a conversion as DuckDB's own, if that gives what MySQL does
// for every value of type from. The rest (text to numbers and dates, what may
// not fit) is left to the kernels.
func (s *speller) plainCast(sql string, from, to types.Type) (string, bool) {
	as := func() (string, bool) { return "CAST(" + sql + " AS " + function.DuckDBType(to) + ")", true }
	f, t := from.Kind, to.Kind
	switch {
	case f == types.Null:
		return as()
	case t == types.String:
		return s.plainText(sql, from, to)
	case f == types.Bool && t.IsNumeric():
		if t == types.Decimal && to.Precision == to.Scale {
			return "", false
		}
		return as()
	case t == types.Bool && f.IsNumeric():
		return "(" + sql + " <> 0)", true
	case f.IsInteger() && t.IsInteger():
		if t.Bits() > f.Bits() && (f.IsUnsigned() || !t.IsUnsigned()) || f == t {
			return as()
		}
	case f.IsInteger() && t == types.Float64, f == types.Float32 && t == types.Float64:
		return as()
	case f.IsInteger() && t == types.Decimal:
		if integerDigits(f) <= to.Precision-to.Scale {
			return as()
		}
	case f == types.Decimal && t == types.Decimal:
		whole := to.Precision - to.Scale
		if from.Scale > to.Scale {
			whole-- // rounding may carry
		}
		if from.Precision-from.Scale <= whole {
			return as()
		}
	case f == types.Decimal && t == types.Float64:
		if from.Precision > 15 {
			// DuckDB divides, which rounds twice beyond 53 bits.
			sql = "CAST(" + sql + " AS VARCHAR)"
		}
		return as()
	case f == types.Decimal && t.IsInteger() && !t.IsUnsigned():
		if from.Precision-from.Scale < integerDigits(t)-1 {
			return as()
		}
	case f == t && f.IsTemporal():
		if to.Fsp >= from.Fsp || f == types.Date {
			return sql, true
		}
	case f == types.Date && t == types.DateTime, f == types.DateTime && t == types.Date:
		return as()
	case f == types.Timestamp && (t == types.Date || t == types.DateTime && to.Fsp >= from.Fsp):
		if _, ok := zoneName(s.session.Location); ok {
			return as()
		}
	case f == types.String && t == types.Binary && to.Length == 0:
		return "encode(" + sql + ")", true
	case f == types.Binary && t == types.Binary && (to.Length == 0 || to.Equal(from)):
		return sql, true
	case f == t && f == types.JSON:
		return sql, true
	}
	return "", false
}

// plainText spells a conversion to text.
func (s *speller) plainText(sql string, from, to types.Type) (string, bool) {
	width := 0 // characters of the longest value; 0 if unbounded
	switch f := from.Kind; {
	case f == types.String:
		width = from.Length
	case f == types.Bool:
		sql, width = "CAST(CAST("+sql+" AS TINYINT) AS VARCHAR)", 1
	case f.IsInteger():
		sql, width = "CAST("+sql+" AS VARCHAR)", 1+integerDigits(f)
	case f == types.Decimal:
		sql, width = "CAST("+sql+" AS VARCHAR)", 3+from.Precision
	case f == types.Date:
		sql, width = "CAST("+sql+" AS VARCHAR)", 10
	case f == types.DateTime && (from.Fsp == 0 || from.Fsp == 6):
		format := "%Y-%m-%d %H:%M:%S"
		if from.Fsp == 6 {
			format += ".%f"
		}
		sql, width = "strftime("+sql+", '"+format+"')", 26
	default:
		return "", false
	}
	if to.Name == "ENUM" || to.Name == "SET" {
		return "", false
	}
	if to.Length > 0 && (width == 0 || width > to.Length) {
		sql = fmt.Sprintf("left(%s, %d)", sql, to.Length)
	}
	return sql, true
}

// integerDigits is how many decimal digits the values of an integer kind have at
// most.
func integerDigits(k types.Kind) int {
	switch k {
	case types.Bool:
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
