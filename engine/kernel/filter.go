package kernel

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// Filter appends to dst the rows of in (of its selection, where it has one) for
// which the predicate is TRUE, ascending, and gives the rows for which it
// failed; those are not in the selection. The error is a fault of the
// evaluation itself.
func Filter(ctx *Context, predicate Expr, in *Batch, dst []int32) (selected []int32, failed *Errors, err error) {
	v, err := truth(predicate).Eval(ctx, in)
	if err != nil {
		return dst, nil, err
	}
	defer v.Release()
	if dst == nil {
		dst = make([]int32, 0, in.Rows) // nil would mean all rows
	}
	words := ctx.scratch.takeWords(wordCount(in.Rows))
	defer ctx.scratch.giveWords(words)
	value, valid := boolsOrNull(v)
	for k := range words {
		words[k] = value.word(k) & valid.word(k)
	}
	if failed = v.Errors; failed != nil {
		if in.Sel != nil {
			failed = failed.keep(in.Rows, func(i int) bool {
				_, found := slices.BinarySearch(in.Sel, int32(i))
				return found
			})
		}
		if failed.Len() < 0 {
			return dst, failed, nil
		}
		for _, i := range failed.Rows() {
			words[i>>6] &^= 1 << (i & 63)
		}
	}
	if in.Sel == nil {
		return appendSet(dst, words, in.Rows), failed, nil
	}
	for _, i := range in.Sel {
		if wordBit(words, int(i)) {
			dst = append(dst, i)
		}
	}
	return dst, failed, nil
}

// truth makes a condition of an expression of any type: what is not zero.
func truth(e Expr) Expr {
	if e.Type().Kind == types.Bool {
		return e
	}
	return Cast(e, types.TypeBool)
}

// boolsOrNull reads a condition, also the untyped NULL.
func boolsOrNull(v Vector) (bools, valids) {
	valid := validsOf(v)
	if v.Array.DataType().ID() == arrow.NULL {
		return bools{bitmap{bytes: make([]byte, 1)}, 0}, valid
	}
	return boolsOf(v), valid
}
