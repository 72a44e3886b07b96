package kernel

import (
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// In is value IN (list), all of one type (but for NULLs in the list). A list of
// constants becomes a set that is made once.
func In(value Expr, list ...Expr) Expr {
	constants := make([]*constant, 0, len(list))
	for _, e := range list {
		if c, ok := e.(*constant); ok {
			constants = append(constants, c)
		}
	}
	// A few comparisons are faster than a search.
	if len(constants) == len(list) && len(list) > 4 {
		if f := inSet(value.Type(), constants); f != nil {
			return Call(f, types.TypeBool, value)
		}
	}
	return Call(FuncIn, types.TypeBool, append([]Expr{value}, list...)...)
}

// FuncIn is IN over evaluated arguments: TRUE if one is equal, else NULL if one
// is NULL.
var FuncIn Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	if args[0].isNull() {
		return nullVector(ctx, out), nil
	}
	f.and(args[0])
	found := boolOut(&f)
	n := len(found)
	same, unknown := ctx.scratch.takeWords(n), ctx.scratch.takeWords(n)
	defer ctx.scratch.giveWords(same)
	defer ctx.scratch.giveWords(unknown)
	clear(unknown)
	for _, a := range args[1:] {
		if a.isNull() || a.Array.DataType().ID() == arrow.NULL {
			fillWords(unknown, ^uint64(0))
			continue
		}
		clear(same)
		if err := compare(&f, Equal, args[0], a, same); err != nil {
			return f.finish(err)
		}
		valid := validsOf(a)
		for k := range found {
			v := valid.word(k)
			found[k] |= same[k] & v
			unknown[k] |= ^v
		}
	}
	f.nullUnless(found, unknown)
	return f.finish(nil)
}

// nullUnless makes the unknown rows NULL that have not been found.
func (f *frame) nullUnless(found, unknown []uint64) {
	for k, u := range unknown {
		u &^= found[k]
		if u == 0 {
			continue
		}
		if f.valid == nil {
			f.valid = f.ctx.scratch.takeWords(len(unknown))
			fillWords(f.valid, ^uint64(0))
		}
		f.valid[k] &^= u
	}
}

// inSet is IN a set of constants of a type, nil for types without one.
func inSet(t types.Type, list []*constant) Func {
	hasNull := false
	var values []*constant
	for _, c := range list {
		switch {
		case c.array.IsNull(0):
			hasNull = true
		case !arrow.TypeEqual(c.array.DataType(), t.Arrow()):
			return nil
		default:
			values = append(values, c)
		}
	}
	switch t.Arrow().ID() {
	case arrow.STRING, arrow.BINARY:
		set := make(map[string]struct{}, len(values))
		for _, c := range values {
			set[string(textsOf(Vector{Array: c.array, Const: true}).at(0))] = struct{}{}
		}
		return finding(hasNull, func(f *frame, args []Vector, found []uint64) {
			x := textsOf(args[0])
			for i := range f.live {
				if _, ok := set[string(x.at(i))]; ok {
					setBit(found, i)
				}
			}
		})
	case arrow.INT8:
		return inSorted[int8](values, hasNull)
	case arrow.INT16:
		return inSorted[int16](values, hasNull)
	case arrow.INT32, arrow.DATE32:
		return inSorted[int32](values, hasNull)
	case arrow.INT64, arrow.TIMESTAMP, arrow.TIME64:
		return inSorted[int64](values, hasNull)
	case arrow.UINT8:
		return inSorted[uint8](values, hasNull)
	case arrow.UINT16:
		return inSorted[uint16](values, hasNull)
	case arrow.UINT32:
		return inSorted[uint32](values, hasNull)
	case arrow.UINT64:
		return inSorted[uint64](values, hasNull)
	case arrow.FLOAT64:
		return inSorted[float64](values, hasNull)
	}
	return nil
}

func inSorted[T cmp.Ordered](list []*constant, hasNull bool) Func {
	values := make([]T, len(list))
	for i, c := range list {
		values[i] = fixedValues[T](c.array)[0]
	}
	slices.Sort(values)
	return finding(hasNull, func(f *frame, args []Vector, found []uint64) {
		for i, x := range fixedValues[T](args[0].Array) {
			if _, ok := slices.BinarySearch(values, x); ok {
				setBit(found, i)
			}
		}
	})
}

// finding is a search whose misses are NULL when the list has a NULL.
func finding(hasNull bool, search func(f *frame, args []Vector, found []uint64)) Func {
	return propagate(func(f *frame, args []Vector) error {
		found := boolOut(f)
		search(f, args, found)
		if hasNull {
			unknown := f.ctx.scratch.takeWords(len(found))
			fillWords(unknown, ^uint64(0))
			f.nullUnless(found, unknown)
			f.ctx.scratch.giveWords(unknown)
		}
		return nil
	})
}

// Between is value BETWEEN low AND high, of types that compare with each other.
func Between(value, low, high Expr) Expr {
	return Call(FuncBetween, types.TypeBool, value, low, high)
}

// FuncBetween is BETWEEN over evaluated arguments: as value >= low AND value <=
// high, it is FALSE as soon as one of the two is.
var FuncBetween Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	result := boolOut(&f)
	n := len(result)
	above, below := ctx.scratch.takeWords(n), ctx.scratch.takeWords(n)
	defer ctx.scratch.giveWords(above)
	defer ctx.scratch.giveWords(below)
	clear(above)
	clear(below)
	for _, side := range []struct {
		op    Comparison
		bound Vector
		bits  []uint64
	}{{GreaterEqual, args[1], above}, {LessEqual, args[2], below}} {
		if args[0].isNull() || side.bound.isNull() {
			continue
		}
		if err := compare(&f, side.op, args[0], side.bound, side.bits); err != nil {
			return f.finish(err)
		}
	}
	x, low, high := validsOf(args[0]), validsOf(args[1]), validsOf(args[2])
	f.valid = ctx.scratch.takeWords(n)
	for k := range result {
		lowKnown, highKnown := x.word(k)&low.word(k), x.word(k)&high.word(k)
		result[k] = above[k] & below[k]
		f.valid[k] = lowKnown&highKnown | lowKnown&^above[k] | highKnown&^below[k]
	}
	return f.finish(nil)
}
