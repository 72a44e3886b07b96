package adhoc

import (
	"math/big"
	"strings"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// columnPredicate is a catalog.Predicate whose column is still a name.
type columnPredicate struct {
	column string
	op     catalog.Op
	values []any
}

// conjuncts adds the conjuncts of e to a list that stays unchanged.
func conjuncts(e logical.Expr, to []logical.Expr) []logical.Expr {
	list := append([]logical.Expr(nil), to...)
	var split func(e logical.Expr)
	split = func(e logical.Expr) {
		if c, ok := e.(*logical.Call); ok && c.Func != nil && c.Func.Name == "and" {
			for _, a := range c.Args {
				split(a)
			}
			return
		}
		list = append(list, e)
	}
	split(e)
	return list
}

// predicates are those of where, and of what was pushed into the scan, that
// compare a column of the scan with constants. They may leave out files, so one
// is taken only where it says of the stored value exactly what the expression
// says of the column. loc is the zone in which literals of times are read.
func predicates(scan *logical.Scan, where []logical.Expr, loc *time.Location) []columnPredicate {
	var list []columnPredicate
	seen := make(map[logical.Expr]bool)
	for _, e := range append(append([]logical.Expr(nil), where...), scan.Filter...) {
		for _, c := range conjuncts(e, nil) {
			if seen[c] {
				continue
			}
			seen[c] = true
			list = append(list, scanPredicates(scan, c, loc)...)
		}
	}
	return list
}

// compareOps are the comparisons, and what each is with its sides exchanged.
var compareOps = map[string]struct{ op, swapped catalog.Op }{
	"=":  {catalog.OpEqual, catalog.OpEqual},
	"<>": {catalog.OpNotEqual, catalog.OpNotEqual},
	"!=": {catalog.OpNotEqual, catalog.OpNotEqual},
	"<":  {catalog.OpLess, catalog.OpGreater},
	"<=": {catalog.OpLessEqual, catalog.OpGreaterEqual},
	">":  {catalog.OpGreater, catalog.OpLess},
	">=": {catalog.OpGreaterEqual, catalog.OpLessEqual},
}

func scanPredicates(scan *logical.Scan, e logical.Expr, loc *time.Location) []columnPredicate {
	if c, ok := scanColumn(scan, e); ok && c.T.Kind == types.Bool {
		return []columnPredicate{{c.Name, catalog.OpEqual, []any{true}}}
	}
	call, ok := e.(*logical.Call)
	if !ok || call.Func == nil {
		return nil
	}
	compare := func(op catalog.Op, column logical.Expr, constants ...logical.Expr) []columnPredicate {
		c, ok := scanColumn(scan, column)
		if !ok || !comparable(c.T, op) {
			return nil
		}
		var values []any
		for _, k := range constants {
			l, ok := constant(k, loc)
			if !ok {
				return nil
			}
			if l.Value == nil && op == catalog.OpIn {
				continue // never true
			}
			v, ok := constantOf(l, c.T)
			if !ok {
				return nil
			}
			values = append(values, v)
		}
		if len(values) == 0 {
			return nil
		}
		return []columnPredicate{{c.Name, op, values}}
	}
	if ops, ok := compareOps[call.Func.Name]; ok && len(call.Args) == 2 {
		if p := compare(ops.op, call.Args[0], call.Args[1]); p != nil {
			return p
		}
		return compare(ops.swapped, call.Args[1], call.Args[0])
	}
	switch name := call.Func.Name; {
	case name == "in" && len(call.Args) > 1:
		return compare(catalog.OpIn, call.Args[0], call.Args[1:]...)
	case name == "between" && len(call.Args) == 3:
		return append(compare(catalog.OpGreaterEqual, call.Args[0], call.Args[1]), compare(catalog.OpLessEqual, call.Args[0], call.Args[2])...)
	case name == "is null" && len(call.Args) == 1:
		if c, ok := scanColumn(scan, call.Args[0]); ok {
			return []columnPredicate{{c.Name, catalog.OpIsNull, nil}}
		}
	case name == "is not null" && len(call.Args) == 1:
		if c, ok := scanColumn(scan, call.Args[0]); ok {
			return []columnPredicate{{c.Name, catalog.OpIsNotNull, nil}}
		}
	case name == "not" && len(call.Args) == 1:
		if inner, ok := call.Args[0].(*logical.Call); ok && inner.Func != nil && inner.Func.Name == "is null" && len(inner.Args) == 1 {
			if c, ok := scanColumn(scan, inner.Args[0]); ok {
				return []columnPredicate{{c.Name, catalog.OpIsNotNull, nil}}
			}
		}
		if c, ok := scanColumn(scan, call.Args[0]); ok && c.T.Kind == types.Bool {
			return []columnPredicate{{c.Name, catalog.OpEqual, []any{false}}}
		}
	}
	return nil
}

// scanColumn finds the column of the scan that e is, perhaps under conversions
// that keep every value and their order.
func scanColumn(scan *logical.Scan, e logical.Expr) (*logical.Column, bool) {
	for {
		switch x := e.(type) {
		case *logical.Column:
			for _, c := range scan.Columns {
				if c.ID == x.ID {
					return &logical.Column{ID: c.ID, Name: c.Name, T: c.Type}, true
				}
			}
			return nil, false
		case *logical.Cast:
			if !keepsValues(x.Arg.Type(), x.T) {
				return nil, false
			}
			e = x.Arg
		default:
			return nil, false
		}
	}
}

// keepsValues reports whether a conversion maps values one to one, in order.
func keepsValues(from, to types.Type) bool {
	f, t := from.Kind, to.Kind
	switch {
	case f.IsInteger() && t.IsInteger():
		return f == t || t.Bits() > f.Bits() && (f.IsUnsigned() || !t.IsUnsigned())
	case f.IsInteger() && t == types.Decimal:
		return integerDigits(f) <= to.Precision-to.Scale
	case f == types.Decimal && t == types.Decimal:
		return to.Scale >= from.Scale && to.Precision-to.Scale >= from.Precision-from.Scale
	case f.IsInteger() && t == types.Float64:
		return f.Bits() <= 32
	case f == types.Float32 && t == types.Float64, f == types.Date && t == types.DateTime:
		return true
	case f == types.String && t == types.String:
		return to.Length == 0 || from.Length > 0 && from.Length <= to.Length
	}
	return f == t && f.IsTemporal() && to.Fsp >= from.Fsp || from.Equal(to)
}

// comparable reports whether the bounds that a table keeps of a column order as
// the comparison does. They leave out NaN, which compares greater than anything.
func comparable(t types.Type, op catalog.Op) bool {
	switch {
	case t.Kind.IsFloat():
		return op == catalog.OpEqual || op == catalog.OpLess || op == catalog.OpLessEqual || op == catalog.OpIn
	case t.Kind == types.JSON, t.Kind == types.Null:
		return false
	}
	return true
}

// constant is the literal that e is, perhaps under conversions that keep it.
func constant(e logical.Expr, loc *time.Location) (*logical.Literal, bool) {
	switch x := e.(type) {
	case *logical.Literal:
		return x, true
	case *logical.Cast:
		l, ok := constant(x.Arg, loc)
		if !ok || keepsValues(x.Arg.Type(), x.T) {
			return l, ok
		}
		return convert(l, x.T, loc)
	}
	return nil, false
}

// convert is a literal as one of another type, if that has it exactly: the 3 of
// a comparison with an INT, the text of a time.
func convert(l *logical.Literal, t types.Type, loc *time.Location) (*logical.Literal, bool) {
	if l.Value == nil {
		return nil, false
	}
	if t.Kind.IsNumeric() {
		r, ok := rational(l)
		if ok {
			_, ok = numberOf(r, t)
		}
		return l, ok
	}
	text, ok := l.Value.(string)
	if !ok || l.T.Kind != types.String || strings.Contains(text, ",") {
		return nil, false
	}
	switch t.Kind {
	case types.Date:
		at, err := time.Parse(time.DateOnly, text)
		return &logical.Literal{Value: at.Unix() / 86400, T: t}, err == nil
	case types.DateTime:
		loc = time.UTC
	case types.Timestamp:
		if loc == nil {
			loc = time.UTC
		}
	default:
		return nil, false
	}
	layout := time.DateOnly
	if len(text) > len(layout) {
		layout = "2006-01-02 15:04:05" // Parse takes a fraction, too
	}
	at, err := time.ParseInLocation(layout, text, loc)
	if err != nil || at.Truncate(fraction(t.Fsp)) != at || clockChanges(at) {
		return nil, false
	}
	return &logical.Literal{Value: at.UnixMicro(), T: t}, true
}

// fraction is the unit of a time with so many digits of a second.
func fraction(digits int) time.Duration {
	unit := time.Second
	for range digits {
		unit /= 10
	}
	return unit
}

// clockChanges reports whether clocks are set so close to a time that its text
// may stand for another instant, or for none.
func clockChanges(at time.Time) bool {
	_, before := at.Add(-3 * time.Hour).Zone()
	_, after := at.Add(3 * time.Hour).Zone()
	return before != after
}

// constantOf is the literal's value as one of type t, if t has it exactly.
func constantOf(l *logical.Literal, t types.Type) (any, bool) {
	switch {
	case l.Value == nil:
		return nil, false
	case t.Kind == types.Bool:
		v, ok := l.Value.(bool)
		return v, ok
	case t.Kind.IsNumeric():
		r, ok := rational(l)
		if !ok {
			return nil, false
		}
		return numberOf(r, t)
	case t.Kind == types.String && l.T.Kind == types.String:
		v, ok := l.Value.(string)
		return v, ok
	case t.Kind == types.Binary && l.T.Kind == types.Binary:
		v, ok := l.Value.([]byte)
		return v, ok
	}
	v, ok := l.Value.(int64)
	switch {
	case !ok:
		return nil, false
	case t.Kind == l.T.Kind && t.Kind.IsTemporal():
		return v, true
	case t.Kind == types.Date && l.T.Kind == types.DateTime:
		const day = int64(24 * time.Hour / time.Microsecond)
		return v / day, v%day == 0
	case t.Kind == types.DateTime && l.T.Kind == types.Date:
		return v * int64(24*time.Hour/time.Microsecond), true
	}
	return nil, false
}

// rational is the value of a numeric literal.
func rational(l *logical.Literal) (*big.Rat, bool) {
	switch v := l.Value.(type) {
	case int64:
		if l.T.Kind.IsTemporal() {
			return nil, false
		}
		return new(big.Rat).SetInt64(v), true
	case uint64:
		return new(big.Rat).SetInt(new(big.Int).SetUint64(v)), true
	case float64:
		r := new(big.Rat).SetFloat64(v)
		return r, r != nil
	case string:
		if l.T.Kind != types.Decimal || strings.ContainsAny(v, "/eEpPxX_") {
			return nil, false
		}
		return new(big.Rat).SetString(v)
	}
	return nil, false
}

// numberOf is r as the Go value of a numeric type, if the type has it exactly.
func numberOf(r *big.Rat, t types.Type) (any, bool) {
	switch {
	case t.Kind.IsFloat():
		v, exact := r.Float64()
		if t.Kind == types.Float32 && float64(float32(v)) != v {
			return nil, false
		}
		return v, exact
	case t.Kind == types.Decimal:
		scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(powerOfTen(t.Scale)))
		if !scaled.IsInt() || scaled.Num().CmpAbs(powerOfTen(t.Precision)) >= 0 {
			return nil, false
		}
		return r.FloatString(t.Scale), true
	case !r.IsInt():
		return nil, false
	case t.Kind.IsUnsigned():
		n := r.Num()
		return n.Uint64(), n.IsUint64() && n.BitLen() <= t.Kind.Bits()
	case t.Kind.IsInteger():
		n := r.Num()
		if !n.IsInt64() {
			return nil, false
		}
		v, shift := n.Int64(), 64-t.Kind.Bits()
		return v, v<<shift>>shift == v
	}
	return nil, false
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
