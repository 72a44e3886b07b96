package hive

import (
	"cmp"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/types"
)

// mayHold reports whether a predicate may be true for a partition value. What
// cannot be compared exactly may.
func mayHold(p catalog.Predicate, value any, t types.Type) bool {
	switch p.Op {
	case catalog.OpIsNull:
		return value == nil
	case catalog.OpIsNotNull:
		return value != nil
	}
	if value == nil {
		return false // a comparison with NULL is never true
	}
	// Members of ENUM and SET are compared by their number.
	if (t.Name == "ENUM" || t.Name == "SET") && p.Op != catalog.OpEqual && p.Op != catalog.OpIn {
		return true
	}
	if len(p.Values) == 0 {
		return p.Op != catalog.OpIn
	}
	if p.Op == catalog.OpIn {
		for _, v := range p.Values {
			if v == nil {
				continue
			}
			if order, ok := compare(value, v, t); !ok || order == 0 {
				return true
			}
		}
		return false
	}
	if p.Values[0] == nil {
		return false
	}
	order, ok := compare(value, p.Values[0], t)
	if !ok {
		return true
	}
	switch p.Op {
	case catalog.OpEqual:
		return order == 0
	case catalog.OpNotEqual:
		return order != 0
	case catalog.OpLess:
		return order < 0
	case catalog.OpLessEqual:
		return order <= 0
	case catalog.OpGreater:
		return order > 0
	case catalog.OpGreaterEqual:
		return order >= 0
	}
	return true
}

// compare orders a partition value and a predicate's; ok is false if they are
// not of one kind.
func compare(a, b any, t types.Type) (order int, ok bool) {
	if x, y, ok := asInts(a, b); ok {
		return cmp.Compare(x, y), true
	}
	switch t.Kind {
	case types.Float32, types.Float64:
		x, ok1 := a.(float64)
		y, ok2 := b.(float64)
		return cmp.Compare(x, y), ok1 && ok2
	case types.Decimal:
		x, ok1 := asDecimal(a, t)
		y, ok2 := asDecimal(b, t)
		return x.Cmp(y), ok1 && ok2
	case types.String:
		x, ok1 := a.(string)
		y, ok2 := b.(string)
		return strings.Compare(x, y), ok1 && ok2
	}
	return 0, false
}

func asInts(a, b any) (x, y int64, ok bool) {
	number := func(v any) (int64, bool) {
		switch v := v.(type) {
		case int64:
			return v, true
		case uint64:
			return int64(v), v < 1<<63
		case bool:
			if v {
				return 1, true
			}
			return 0, true
		}
		return 0, false
	}
	x, ok1 := number(a)
	y, ok2 := number(b)
	return x, y, ok1 && ok2
}

// asDecimal reads digits; those that the type would round are no such value.
func asDecimal(v any, t types.Type) (decimal128.Num, bool) {
	text, ok := v.(string)
	if !ok {
		return decimal128.Num{}, false
	}
	if _, fraction, _ := strings.Cut(text, "."); len(strings.TrimRight(fraction, "0")) > t.Scale {
		return decimal128.Num{}, false
	}
	n, err := decimal128.FromString(text, types.MaxDecimalPrecision, int32(t.Scale))
	return n, err == nil
}
