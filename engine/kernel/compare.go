package kernel

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// Comparison is one of the six comparisons.
type Comparison uint8

// The comparisons.
const (
	Equal Comparison = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// holds reports whether the comparison is true of operands that compare as c.
func (op Comparison) holds(c int) bool {
	switch op {
	case Equal:
		return c == 0
	case NotEqual:
		return c != 0
	case Less:
		return c < 0
	case LessEqual:
		return c <= 0
	case Greater:
		return c > 0
	}
	return c >= 0
}

// flipped is the comparison with its operands exchanged.
func (op Comparison) flipped() Comparison {
	switch op {
	case Less:
		return Greater
	case LessEqual:
		return GreaterEqual
	case Greater:
		return Less
	case GreaterEqual:
		return LessEqual
	}
	return op
}

// FuncCompare compares two operands of the same kind (BIGINT with BIGINT
// UNSIGNED and DECIMALs of different scales too), text by its bytes.
func FuncCompare(op Comparison) Func {
	return propagate(func(f *frame, args []Vector) error {
		out := boolOut(f)
		return compare(f, op, args[0], args[1], out)
	})
}

// FuncNullSafeEqual is <=>: NULL is equal to NULL, and the result never NULL.
var FuncNullSafeEqual Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	words := boolOut(&f)
	x, y := validsOf(args[0]), validsOf(args[1])
	if !args[0].isNull() && !args[1].isNull() {
		if err := compare(&f, Equal, args[0], args[1], words); err != nil {
			return f.finish(err)
		}
	}
	for k := range words {
		a, b := x.word(k), y.word(k)
		words[k] = words[k]&a&b | ^(a | b)
	}
	return f.finish(nil)
}

// compare sets the bits of the rows in out for which the comparison is true.
func compare(f *frame, op Comparison, a, b Vector, out []uint64) error {
	if a.Const && !b.Const {
		a, b, op = b, a, op.flipped()
	}
	switch id, other := a.Array.DataType().ID(), b.Array.DataType().ID(); {
	case id == arrow.INT64 && other == arrow.UINT64, id == arrow.UINT64 && other == arrow.INT64:
		x, y := widesOf(a), widesOf(b)
		for i := range f.rows {
			if op.holds(compareWide(x.at(i), y.at(i))) {
				setBit(out, i)
			}
		}
		return nil
	case id == arrow.DECIMAL128 && other == arrow.DECIMAL128:
		compareDecimal(f, op, a, b, out)
		return nil
	case id != other && (!isText(id) || !isText(other)):
		return fmt.Errorf("compare %s with %s", a.Array.DataType(), b.Array.DataType())
	case id == arrow.BOOL:
		compareBools(op, boolsOf(a), boolsOf(b), out)
	case id == arrow.INT8:
		compareFixed[int8](op, a, b, f.rows, out)
	case id == arrow.INT16:
		compareFixed[int16](op, a, b, f.rows, out)
	case id == arrow.INT32 || id == arrow.DATE32:
		compareFixed[int32](op, a, b, f.rows, out)
	case id == arrow.INT64 || id == arrow.TIME64 || id == arrow.TIMESTAMP:
		compareFixed[int64](op, a, b, f.rows, out)
	case id == arrow.UINT8:
		compareFixed[uint8](op, a, b, f.rows, out)
	case id == arrow.UINT16:
		compareFixed[uint16](op, a, b, f.rows, out)
	case id == arrow.UINT32:
		compareFixed[uint32](op, a, b, f.rows, out)
	case id == arrow.UINT64:
		compareFixed[uint64](op, a, b, f.rows, out)
	case id == arrow.FLOAT32:
		compareFixed[float32](op, a, b, f.rows, out)
	case id == arrow.FLOAT64:
		compareFixed[float64](op, a, b, f.rows, out)
	case isText(id):
		compareTexts(op, textsOf(a), textsOf(b), f.rows, out)
	default:
		return fmt.Errorf("compare values of %s", a.Array.DataType())
	}
	return nil
}

func isText(id arrow.Type) bool { return id == arrow.STRING || id == arrow.BINARY }

func compareWide(a, b wide) int {
	if a.negative != b.negative {
		if a.negative {
			return -1
		}
		return 1
	}
	c := cmp.Compare(a.magnitude, b.magnitude)
	if a.negative {
		return -c
	}
	return c
}

func compareBools(op Comparison, a, b bools, out []uint64) {
	for k := range out {
		x, y := a.word(k), b.word(k)
		switch op {
		case Equal:
			out[k] = ^(x ^ y)
		case NotEqual:
			out[k] = x ^ y
		case Less:
			out[k] = ^x & y
		case LessEqual:
			out[k] = ^x | y
		case Greater:
			out[k] = x &^ y
		default:
			out[k] = x | ^y
		}
	}
}

// compareFixed compares sixty-four rows to a word: a bit is shifted in per row.
func compareFixed[T cmp.Ordered](op Comparison, a, b Vector, rows int, out []uint64) {
	x, y := fixedValues[T](a.Array), fixedValues[T](b.Array)
	if a.Const && b.Const {
		if rows > 0 && op.holds(cmp.Compare(x[0], y[0])) {
			fillWords(out, ^uint64(0))
		}
		return
	}
	if b.Const {
		for k := range out {
			block := x[k<<6 : min(k<<6+64, rows)]
			out[k] = compareToConstant(op, block, y[0]) >> (64 - len(block))
		}
		return
	}
	if op == Greater || op == GreaterEqual {
		x, y, op = y, x, op.flipped()
	}
	for k := range out {
		end := min(k<<6+64, rows)
		block := x[k<<6 : end]
		out[k] = compareBlocks(op, block, y[k<<6:end]) >> (64 - len(block))
	}
}

// compareToConstant gives the rows' bits, the last row's in the highest place.
func compareToConstant[T cmp.Ordered](op Comparison, x []T, c T) (w uint64) {
	switch op {
	case Equal, NotEqual:
		for _, v := range x {
			w >>= 1
			if v == c {
				w |= 1 << 63
			}
		}
		if op == NotEqual {
			w = ^w
		}
	case Less:
		for _, v := range x {
			w >>= 1
			if v < c {
				w |= 1 << 63
			}
		}
	case LessEqual:
		for _, v := range x {
			w >>= 1
			if v <= c {
				w |= 1 << 63
			}
		}
	case Greater:
		for _, v := range x {
			w >>= 1
			if v > c {
				w |= 1 << 63
			}
		}
	default:
		for _, v := range x {
			w >>= 1
			if v >= c {
				w |= 1 << 63
			}
		}
	}
	return w
}

// compareBlocks is compareToConstant for two columns; op is no Greater.
func compareBlocks[T cmp.Ordered](op Comparison, x, y []T) (w uint64) {
	y = y[:len(x)]
	switch op {
	case Equal, NotEqual:
		for i, v := range x {
			w >>= 1
			if v == y[i] {
				w |= 1 << 63
			}
		}
		if op == NotEqual {
			w = ^w
		}
	case Less:
		for i, v := range x {
			w >>= 1
			if v < y[i] {
				w |= 1 << 63
			}
		}
	default:
		for i, v := range x {
			w >>= 1
			if v <= y[i] {
				w |= 1 << 63
			}
		}
	}
	return w
}

func compareDecimal(f *frame, op Comparison, a, b Vector, out []uint64) {
	x, y := decimalsOf(a), decimalsOf(b)
	if b.Const && y.scale < x.scale && len(y.values) > 0 {
		// Once is enough to bring a constant to the column's scale.
		if d, ok := rescale(y.values[0], y.scale, x.scale, types.MaxDecimalPrecision); ok {
			y.values, y.scale = []decimalValue{d}, x.scale
		}
	}
	if x.scale != y.scale {
		for i := range f.rows {
			if op.holds(compareDecimals(x.at(i), x.scale, y.at(i), y.scale)) {
				setBit(out, i)
			}
		}
		return
	}
	if op == Greater || op == LessEqual {
		x, y, op = y, x, op.flipped()
	}
	for k := range out {
		end := min(k<<6+64, f.rows)
		var w uint64
		if op == Equal || op == NotEqual {
			for i := k << 6; i < end; i++ {
				w >>= 1
				if x.at(i) == y.at(i) {
					w |= 1 << 63
				}
			}
		} else {
			for i := k << 6; i < end; i++ {
				u, v := x.at(i), y.at(i)
				// The sign of the difference, whose halves cannot overflow: decimals
				// stay below 2¹²⁷.
				_, borrow := bits.Sub64(u.LowBits(), v.LowBits(), 0)
				w = w>>1 | uint64(u.HighBits()-v.HighBits()-int64(borrow))&(1<<63)
			}
		}
		if op == NotEqual || op == GreaterEqual {
			w = ^w
		}
		out[k] = w >> (64 - (end - k<<6))
	}
}

func compareTexts(op Comparison, a, b texts, rows int, out []uint64) {
	if op == Equal || op == NotEqual {
		if b.mask == 0 && a.mask != 0 && rows > 0 {
			equalToConstant(a, b.at(0), rows, out)
		} else {
			for i := range rows {
				if bytes.Equal(a.at(i), b.at(i)) {
					setBit(out, i)
				}
			}
		}
		if op == NotEqual {
			for k := range out {
				out[k] = ^out[k]
			}
		}
		return
	}
	for i := range rows {
		if op.holds(bytes.Compare(a.at(i), b.at(i))) {
			setBit(out, i)
		}
	}
}

// equalToConstant looks at the bytes of those rows only that have the length.
func equalToConstant(a texts, c []byte, rows int, out []uint64) {
	n := int32(len(c))
	offsets := a.offsets[:rows+1]
	for k := range out {
		first := k << 6
		block := offsets[first:min(first+65, rows+1)]
		var w uint64
		for i := 1; i < len(block); i++ {
			w >>= 1
			if block[i]-block[i-1] == n {
				w |= 1 << 63
			}
		}
		w >>= 65 - len(block)
		for rest := w; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros64(rest)
			if string(a.data[block[i]:block[i+1]]) != string(c) {
				w &^= 1 << i
			}
		}
		out[k] = w
	}
}
