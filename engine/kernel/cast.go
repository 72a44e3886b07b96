package kernel

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// Cast converts e to another type as MySQL's CAST does, and for types that CAST
// does not know (the narrow integers) as storing a value does. What MySQL warns
// of (a text cut to the type's length, digits that are no number) fails the row
// in strict mode. BOOLEAN stands for a condition here: TRUE is what is not zero.
//
// A date or time that there is not becomes NULL outside strict mode; a number
// out of range the nearest one.
func Cast(e Expr, to types.Type) Expr {
	from := e.Type()
	if from.Equal(to) {
		return e
	}
	switch e := e.(type) {
	case *interval:
		return &interval{Cast(e.Expr, to), e.unit}
	case *rounded:
		switch {
		case to.Kind == types.Decimal && to.Scale >= from.Scale:
			return &rounded{Cast(e.full, to), e.full}
		case to.Kind.IsNumeric():
			return Cast(e.full, to)
		}
		return Cast(e.Expr, to)
	}
	if sameValues(from, to) {
		if c, ok := e.(*constant); ok {
			return &constant{c.value, c.array, to}
		}
		return &retyped{e, to}
	}
	if f := castFunc(from, to); f != nil {
		conversion := fold(Call(f, to, e), from, to)
		if c, ok := e.(*column); ok && Precast(from, to, nil) {
			return &precast{conversion, c.index}
		}
		return conversion
	}
	// There is no direct way: these lead everywhere.
	var via types.Type
	switch {
	case to.Kind == types.Bool:
		via = types.TypeFloat64
	case to.Kind.Bits() > 0 && to.Kind.Bits() < 64:
		via = types.TypeInt64
		if to.Kind.IsUnsigned() {
			via = types.TypeUint64
		}
	case from.Kind.Bits() > 0 && from.Kind.Bits() < 64 || from.Kind == types.Bool:
		via = types.TypeInt64
	case to.Kind == types.Float32:
		via = types.TypeFloat64
	case from.Kind == types.Float32:
		via = types.TypeFloat64
	default:
		via = types.TypeText
	}
	if via.Equal(from) || via.Equal(to) {
		return &failing{to, fmt.Errorf("no conversion from %s to %s", from, to)}
	}
	return Cast(Cast(e, via), to)
}

// Precast reports whether the Cast of a column of type from, evaluated in loc (nil:
// UTC), takes arrays of type to as well, whose values it passes on.
func Precast(from, to types.Type, loc *time.Location) bool {
	if from.Kind != types.String {
		return false
	}
	switch to.Kind {
	case types.Int64, types.Uint64, types.Float64, types.Decimal, types.Date:
		return true
	case types.DateTime: // of a text with an offset it is the wall clock of a zone
		return loc == nil || loc == time.UTC
	}
	return false
}

// precast is the conversion of a column that may have come converted already.
type precast struct {
	Expr
	column int
}

func (p *precast) Eval(ctx *Context, in *Batch) (Vector, error) {
	if p.column < len(in.Columns) {
		if arr := in.Columns[p.column]; arr.Len() == in.Rows && arrow.TypeEqual(arr.DataType(), p.Type().Arrow()) {
			arr.Retain()
			return Vector{Array: arr}, nil
		}
	}
	return p.Expr.Eval(ctx, in)
}

// sameValues reports whether every value of one type is one of the other as it
// stands.
func sameValues(from, to types.Type) bool {
	if from.Kind != to.Kind {
		return false
	}
	switch to.Kind {
	case types.String:
		return to.Length == 0 || from.Length > 0 && from.Length <= to.Length
	case types.Binary:
		return to.Name != "BINARY" && (to.Length == 0 || from.Length > 0 && from.Length <= to.Length)
	case types.Time, types.DateTime, types.Timestamp:
		return from.Fsp <= to.Fsp
	case types.Decimal:
		return from.Precision == to.Precision && from.Scale == to.Scale
	}
	return true
}

// failing is an expression that cannot be evaluated.
type failing struct {
	t   types.Type
	err error
}

func (e *failing) Type() types.Type { return e.t }

func (e *failing) Eval(*Context, *Batch) (Vector, error) { return Vector{}, e.err }

// castFunc is the function that converts directly, or nil.
func castFunc(from, to types.Type) Func {
	if from.Kind == types.Null {
		return func(ctx *Context, _ int, _ []Vector, out types.Type) (Vector, error) {
			return nullVector(ctx, out), nil
		}
	}
	switch to.Kind {
	case types.Bool:
		return castToBool(from)
	case types.Int8, types.Int16, types.Int32, types.Int64, types.Uint8, types.Uint16, types.Uint32, types.Uint64:
		return castToInteger(from, to)
	case types.Float32, types.Float64:
		return castToFloat(from, to)
	case types.Decimal:
		return castToDecimal(from)
	case types.String, types.Binary:
		return castToText(from, to)
	case types.Date:
		return castToDate(from)
	case types.Time:
		return castToTime(from)
	case types.DateTime, types.Timestamp:
		return castToDateTime(from, to)
	case types.JSON:
		return castToJSON(from)
	}
	return nil
}

// FuncSame passes a vector on whose representation the result type shares.
var FuncSame Func = func(_ *Context, _ int, args []Vector, _ types.Type) (Vector, error) {
	args[0].Array.Retain()
	return Vector{Array: args[0].Array, Const: args[0].Const}, nil
}

// fold evaluates the conversion of a constant at once, if it comes out the same
// in every mode, zone and at any time.
func fold(conversion Expr, from, to types.Type) Expr {
	value, ok := conversion.(*call).args[0].(*constant)
	if !ok || from.Kind == types.Timestamp || to.Kind == types.Timestamp || from.Kind == types.Time && to.Kind != types.Time {
		return conversion
	}
	if from.Kind.IsText() && (to.Kind == types.Date || to.Kind == types.Time || to.Kind == types.DateTime) {
		if m, ok := parseDateTime(textsOf(Vector{Array: value.array, Const: true}).at(0)); value.array.IsNull(0) || !ok || m.hasOffset {
			return conversion
		}
	}
	ctx := &Context{Alloc: memory.NewGoAllocator(), Mode: Mode{Strict: true}}
	v, err := conversion.Eval(ctx, &Batch{Rows: 1})
	if err != nil || v.Errors != nil {
		return conversion
	}
	return &constant{Value(v.Array, 0), v.Array, to}
}
