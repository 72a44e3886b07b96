package kernel

import "github.com/leatdb/leat/sql/types"

// rounded is a DECIMAL expression that has more digits than its type tells: SQL
// rounds a quotient where it is stored or shown, but computes with all that the
// division gave, so that 1 / 3 * 100 is 33.3333 and not 33.33.
type rounded struct {
	Expr
	full Expr
}

// Rounded is the expression result, which what computes with it takes with the
// digits of full.
func Rounded(result, full Expr) Expr { return &rounded{result, full} }

// Unrounded is an operand with all its digits, for what computes with it. Its
// type may have a greater scale than e's.
func Unrounded(e Expr) Expr {
	if r, ok := e.(*rounded); ok {
		return r.full
	}
	return e
}

// unroundedBranches gives the branches of CASE or COALESCE with all their digits,
// at the scale of the one that has the most; ok is false if none has more than
// its type tells.
func unroundedBranches(t types.Type, branches ...Expr) (full []Expr, ok bool) {
	if t.Kind != types.Decimal {
		return nil, false
	}
	scale := t.Scale
	for _, b := range branches {
		if r, is := b.(*rounded); is {
			ok = true
			scale = max(scale, r.full.Type().Scale)
		}
	}
	if !ok {
		return nil, false
	}
	wide := WithScale(t, scale)
	for _, b := range branches {
		if b != nil && b.Type().Kind == types.Decimal {
			b = Cast(Unrounded(b), wide)
		}
		full = append(full, b)
	}
	return full, true
}

// WithScale is a DECIMAL with as many digits before the point and, as far as
// there is room, so many behind it.
func WithScale(t types.Type, scale int) types.Type {
	whole := t.Precision - t.Scale
	scale = max(min(scale, types.MaxDecimalPrecision-whole), t.Scale)
	return types.NewDecimal(min(whole+scale, types.MaxDecimalPrecision), scale)
}
