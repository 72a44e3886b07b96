package kernel

import (
	"errors"
	"math"
	"math/bits"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// frame is one call of a kernel whose result is NULL wherever an argument is:
// which rows have a result, what it is made of, and what failed.
type frame struct {
	ctx  *Context
	rows int
	out  types.Type
	// valid marks the rows with a result; nil means all.
	valid []uint64
	// values is the output: of fixed width, or the data of text with offsets.
	values  *memory.Buffer
	offsets *memory.Buffer
	errs    *Errors
}

// propagate makes a Func of a body that need not think of NULL: rows with a
// NULL argument are NULL, the body computes the rest. It has to give every
// row's value, though of rows that are not live it may be anything.
func propagate(body func(f *frame, args []Vector) error) Func {
	return func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
		f := frame{ctx: ctx, rows: rows, out: out}
		for _, a := range args {
			if a.isNull() {
				return nullVector(ctx, out), nil
			}
			f.and(a)
		}
		err := body(&f, args)
		return f.finish(err)
	}
}

// and makes the rows NULL in which a is.
func (f *frame) and(a Vector) {
	if a.Array.NullN() == 0 {
		return
	}
	v := validsOf(a)
	if f.valid == nil {
		f.valid = f.ctx.scratch.takeWords(wordCount(f.rows))
		for k := range f.valid {
			f.valid[k] = v.word(k)
		}
		return
	}
	for k := range f.valid {
		f.valid[k] &= v.word(k)
	}
}

// finish makes the vector, or releases what there is of it.
func (f *frame) finish(err error) (Vector, error) {
	if f.valid != nil {
		defer f.ctx.scratch.giveWords(f.valid)
	}
	if err != nil {
		f.release()
		return Vector{}, err
	}
	if f.values == nil {
		f.release()
		return Vector{}, errors.New("kernel made no values")
	}
	nulls := 0
	var bitmap *memory.Buffer
	if f.valid != nil {
		set := 0
		for k, w := range f.valid {
			if k == len(f.valid)-1 {
				w &= lastWord(f.rows)
			}
			set += bits.OnesCount64(w)
		}
		if nulls = f.rows - set; nulls > 0 {
			bitmap = newBuffer(f.ctx.Alloc, 8*len(f.valid))
			copy(reinterpret[uint64](bitmap.Bytes()), f.valid)
		}
	}
	var arr arrow.Array
	if f.offsets != nil {
		arr = newArray(f.out.Arrow(), f.rows, nulls, bitmap, f.offsets, f.values)
	} else {
		arr = newArray(f.out.Arrow(), f.rows, nulls, bitmap, f.values)
	}
	return Vector{Array: arr, Errors: f.errs}, nil
}

func (f *frame) release() {
	for _, b := range []*memory.Buffer{f.values, f.offsets} {
		if b != nil {
			b.Release()
		}
	}
}

// isValid reports whether no argument of row i is NULL.
func (f *frame) isValid(i int) bool { return f.valid == nil || wordBit(f.valid, i) }

// null makes row i NULL.
func (f *frame) null(i int) {
	if f.valid == nil {
		f.valid = f.ctx.scratch.takeWords(wordCount(f.rows))
		fillWords(f.valid, ^uint64(0))
	}
	f.valid[i>>6] &^= 1 << (i & 63)
}

// fail records the failure of row i.
func (f *frame) fail(i int, err error) { f.errs = f.errs.Set(i, err) }

// failOrNull fails row i in strict mode and makes it NULL otherwise.
func (f *frame) failOrNull(i int, err error) {
	f.warn(i, err)
	f.null(i)
}

// warn fails row i in strict mode; otherwise the value given stands.
func (f *frame) warn(i int, err error) {
	switch {
	case f.ctx.Mode.Strict:
		f.fail(i, err)
	case f.ctx.Warn != nil:
		f.ctx.Warn(err)
	}
}

// live goes through the rows that have a result and that somebody wants.
func (f *frame) live(yield func(i int) bool) {
	switch {
	case f.ctx.sel != nil:
		for _, i := range f.ctx.sel {
			if f.isValid(int(i)) && !yield(int(i)) {
				return
			}
		}
	case f.valid == nil:
		for i := range f.rows {
			if !yield(i) {
				return
			}
		}
	default:
		for k := range f.valid {
			// The word is read once: the body may make rows NULL as it goes.
			w := f.valid[k]
			if k == len(f.valid)-1 {
				w &= lastWord(f.rows)
			}
			for ; w != 0; w &= w - 1 {
				if !yield(k<<6 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// fixedOut allocates the output of fixed width.
func fixedOut[T any](f *frame) []T {
	var zero T
	f.values = newBuffer(f.ctx.Alloc, f.rows*int(unsafe.Sizeof(zero)))
	return reinterpret[T](f.values.Bytes())
}

// boolOut allocates a BOOLEAN output as whole words, all FALSE.
func boolOut(f *frame) []uint64 {
	f.values = newBuffer(f.ctx.Alloc, 8*wordCount(f.rows))
	w := reinterpret[uint64](f.values.Bytes())
	clear(w)
	return w
}

func setBit(words []uint64, i int) { words[i>>6] |= 1 << (i & 63) }

// textOut writes a text output: start row i, append to buf, in ascending order
// of rows; rows left out are empty.
type textOut struct {
	f       *frame
	offsets []int32
	next    int
	buf     []byte
}

func newTextOut(f *frame) *textOut {
	f.offsets = newBuffer(f.ctx.Alloc, 4*(f.rows+1))
	return &textOut{f: f, offsets: reinterpret[int32](f.offsets.Bytes()), buf: f.ctx.scratch.takeBytes()}
}

func (t *textOut) start(i int) {
	for ; t.next <= i; t.next++ {
		t.offsets[t.next] = int32(len(t.buf))
	}
}

// finish ends the output. The error is that the batch has over 2 GiB of text.
func (t *textOut) finish() error {
	t.start(t.f.rows)
	if len(t.buf) > math.MaxInt32 {
		return errors.New("text of a batch is over 2 GiB")
	}
	t.f.values = newBuffer(t.f.ctx.Alloc, len(t.buf))
	copy(t.f.values.Bytes(), t.buf)
	t.f.ctx.scratch.giveBytes(t.buf)
	return nil
}
