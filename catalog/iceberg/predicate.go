package iceberg

import (
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/iceberg-go"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/types"
)

// filter is a condition that holds wherever all predicates do. A predicate that
// cannot be said exactly in Iceberg's terms is left out: a file too many is
// read, never one too few.
func (v *tableVersion) filter(where []catalog.Predicate) iceberg.BooleanExpression {
	var all iceberg.BooleanExpression = iceberg.AlwaysTrue{}
	for _, p := range where {
		if p.Column < 0 || p.Column >= len(v.schema) {
			continue
		}
		if e := v.predicate(p); e != nil {
			all = iceberg.NewAnd(all, e)
		}
	}
	return all
}

func (v *tableVersion) predicate(p catalog.Predicate) iceberg.BooleanExpression {
	field := v.table.Schema().Field(p.Column)
	ref := iceberg.Reference(field.Name)
	// A dot in a name would be taken for a path into a struct.
	if strings.ContainsRune(field.Name, '.') || v.widened(field) {
		return nil
	}
	if p.Op == catalog.OpIsNull {
		return iceberg.IsNull(ref)
	}
	if p.Op == catalog.OpIsNotNull {
		return iceberg.NotNull(ref)
	}
	declared := v.schema[p.Column].Type
	// JSON is compared as JSON, members of ENUM and SET by their number.
	if declared.Kind == types.JSON || hasMembers(declared) && p.Op != catalog.OpEqual && p.Op != catalog.OpIn || len(p.Values) == 0 {
		return nil
	}
	values := p.Values
	if p.Op != catalog.OpIn {
		values = values[:1]
	}
	literals := make([]iceberg.Literal, 0, len(values))
	for _, value := range values {
		if value == nil {
			if p.Op == catalog.OpIn {
				continue // x IN (…, NULL) is never true by the NULL
			}
			return iceberg.AlwaysFalse{} // a comparison with NULL is never true
		}
		literal := toLiteral(value, field.Type)
		if literal == nil {
			return nil
		}
		literals = append(literals, literal)
	}
	if p.Op == catalog.OpIn {
		if len(literals) == 0 {
			return iceberg.AlwaysFalse{}
		}
		return iceberg.SetPredicate(iceberg.OpIn, ref, literals)
	}
	ops := map[catalog.Op]iceberg.Operation{
		catalog.OpEqual: iceberg.OpEQ, catalog.OpNotEqual: iceberg.OpNEQ,
		catalog.OpLess: iceberg.OpLT, catalog.OpLessEqual: iceberg.OpLTEQ,
		catalog.OpGreater: iceberg.OpGT, catalog.OpGreaterEqual: iceberg.OpGTEQ,
	}
	op, ok := ops[p.Op]
	if !ok {
		return nil
	}
	return iceberg.LiteralPredicate(op, ref, literals[0])
}

// widened reports whether a column was an int or float before, as which older
// manifests keep its bounds: the library cannot read those as long or double.
func (v *tableVersion) widened(field iceberg.NestedField) bool {
	for _, schema := range v.table.Metadata().Schemas() {
		before, ok := schema.FindFieldByID(field.ID)
		if !ok || before.Type.Equals(field.Type) {
			continue
		}
		switch before.Type.(type) {
		case iceberg.Int32Type, iceberg.Float32Type:
			return true
		}
	}
	return false
}

// toLiteral is the value in the type of a column, nil if it has no exact one
// there.
func toLiteral(value any, t iceberg.Type) iceberg.Literal {
	switch t := t.(type) {
	case iceberg.BooleanType:
		if b, ok := value.(bool); ok {
			return iceberg.NewLiteral(b)
		}
		if n, ok := wholeNumber(value); ok && (n == 0 || n == 1) {
			return iceberg.NewLiteral(n == 1)
		}
	case iceberg.Int32Type:
		if n, ok := wholeNumber(value); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			return iceberg.NewLiteral(int32(n))
		}
	case iceberg.Int64Type:
		if n, ok := wholeNumber(value); ok {
			return iceberg.NewLiteral(n)
		}
	case iceberg.Float32Type:
		if f, ok := exactFloat(value); ok && float64(float32(f)) == f && !math.IsInf(f, 0) {
			return iceberg.NewLiteral(float32(f))
		}
	case iceberg.Float64Type:
		if f, ok := exactFloat(value); ok && !math.IsNaN(f) {
			return iceberg.NewLiteral(f)
		}
	case iceberg.DecimalType:
		if n, ok := exactDecimal(value, t); ok {
			return iceberg.NewLiteral(iceberg.Decimal{Val: n, Scale: t.Scale()})
		}
	case iceberg.DateType:
		if n, ok := value.(int64); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			return iceberg.NewLiteral(iceberg.Date(n))
		}
	case iceberg.TimeType:
		if n, ok := value.(int64); ok {
			return iceberg.NewLiteral(iceberg.Time(n))
		}
	case iceberg.TimestampType, iceberg.TimestampTzType:
		if n, ok := value.(int64); ok {
			return iceberg.NewLiteral(iceberg.Timestamp(n))
		}
	case iceberg.StringType:
		if s, ok := value.(string); ok {
			return iceberg.NewLiteral(s)
		}
	case iceberg.BinaryType:
		switch b := value.(type) {
		case []byte:
			return iceberg.NewLiteral(b)
		case string:
			return iceberg.NewLiteral([]byte(b))
		}
	}
	return nil
}

func wholeNumber(value any) (int64, bool) {
	switch n := value.(type) {
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= math.MaxInt64
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// exactFloat is a number as a double, if it is one.
func exactFloat(value any) (float64, bool) {
	const exact = 1 << 53
	switch n := value.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), n >= -exact && n <= exact
	case uint64:
		return float64(n), n <= exact
	}
	return 0, false
}

// exactDecimal is a number, or its digits, as a decimal of a type, if that
// holds it without rounding.
func exactDecimal(value any, t iceberg.DecimalType) (decimal128.Num, bool) {
	var text string
	switch n := value.(type) {
	case string:
		text = n
	case int64:
		text = strconv.FormatInt(n, 10)
	case uint64:
		text = strconv.FormatUint(n, 10)
	default:
		return decimal128.Num{}, false
	}
	negative := strings.HasPrefix(text, "-")
	whole, fraction, _ := strings.Cut(strings.TrimLeft(text, "+-"), ".")
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > t.Scale() || whole == "" && fraction == "" {
		return decimal128.Num{}, false
	}
	digits := strings.TrimLeft(whole+fraction+strings.Repeat("0", t.Scale()-len(fraction)), "0")
	if len(digits) > t.Precision() {
		return decimal128.Num{}, false
	}
	sum, ten := decimal128.FromI64(0), decimal128.FromI64(10)
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return decimal128.Num{}, false
		}
		sum = sum.Mul(ten).Add(decimal128.FromI64(int64(d - '0')))
	}
	if negative {
		sum = sum.Negate()
	}
	return sum, true
}
