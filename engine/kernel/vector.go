package kernel

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// fixedValues are the values of an array of fixed width, read as T; dates are
// int32, times and timestamps int64.
func fixedValues[T any](arr arrow.Array) []T {
	data := arr.Data()
	if data.Len() == 0 {
		return nil
	}
	all := reinterpret[T](data.Buffers()[1].Bytes())
	return all[data.Offset() : data.Offset()+data.Len()]
}

// reinterpret reads bytes as values of T.
func reinterpret[T any](b []byte) []T {
	var zero T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}

// view reads an argument row by row, whether it is a column or a constant,
// without asking which: a constant's mask is 0.
type view[T any] struct {
	values []T
	mask   int
}

func (v view[T]) at(i int) T { return v.values[i&v.mask] }

func viewOf[T any](v Vector) view[T] {
	return view[T]{fixedValues[T](v.Array), maskOf(v)}
}

func maskOf(v Vector) int {
	if v.Const {
		return 0
	}
	return -1
}

// texts is the view of a text or binary argument.
type texts struct {
	offsets []int32
	data    []byte
	mask    int
}

// at is the bytes of a row; they are the array's own.
func (t texts) at(i int) []byte {
	i &= t.mask
	return t.data[t.offsets[i]:t.offsets[i+1]]
}

func textsOf(v Vector) texts {
	data := v.Array.Data()
	t := texts{mask: maskOf(v)}
	buffers := data.Buffers()
	if data.Len() == 0 || buffers[1] == nil {
		t.offsets = make([]int32, data.Len()+1)
		return t
	}
	t.offsets = reinterpret[int32](buffers[1].Bytes())[data.Offset() : data.Offset()+data.Len()+1]
	if buffers[2] != nil {
		t.data = buffers[2].Bytes()
	}
	return t
}

// bools is the view of a BOOLEAN argument.
type bools struct {
	bitmap
	mask int
}

func (b bools) at(i int) bool { return b.get(i & b.mask) }

func boolsOf(v Vector) bools {
	data := v.Array.Data()
	b := bools{mask: maskOf(v)}
	b.bytes = []byte{}
	if data.Len() > 0 {
		b.bytes = data.Buffers()[1].Bytes()
	}
	b.offset = data.Offset()
	return b
}

// word is the argument's bits 64·k and on.
func (b bools) word(k int) uint64 {
	if b.mask != 0 {
		return b.bitmap.word(k)
	}
	if b.get(0) {
		return ^uint64(0)
	}
	return 0
}

// valids is where an argument has values, constant or not.
type valids struct {
	bitmap
	mask int
}

func (v valids) at(i int) bool { return v.get(i & v.mask) }

func (v valids) word(k int) uint64 {
	if v.mask != 0 {
		return v.bitmap.word(k)
	}
	if v.get(0) {
		return ^uint64(0)
	}
	return 0
}

func validsOf(v Vector) valids {
	if v.Array.DataType().ID() == arrow.NULL {
		return valids{bitmap{bytes: make([]byte, 1)}, 0}
	}
	return valids{validity(v.Array), maskOf(v)}
}

// isNull reports whether a constant argument is NULL.
func (v Vector) isNull() bool { return v.Const && v.Array.IsNull(0) }

// newBuffer allocates n bytes of undefined content.
func newBuffer(alloc memory.Allocator, n int) *memory.Buffer {
	b := memory.NewResizableBuffer(alloc)
	b.Resize(n)
	return b
}

// newArray wraps buffers, whose references it takes over.
func newArray(dt arrow.DataType, rows, nulls int, buffers ...*memory.Buffer) arrow.Array {
	data := array.NewData(dt, rows, buffers, nil, nulls, 0)
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	defer data.Release()
	return array.MakeFromData(data)
}

// nullVector is the constant NULL of a type.
func nullVector(ctx *Context, t types.Type) Vector {
	return Vector{Array: array.MakeArrayOfNull(ctx.Alloc, t.Arrow(), 1), Const: true}
}

// Expand gives a vector as an array of rows values, which the caller releases
// beside the vector. A constant text becomes a dictionary array of one value.
func Expand(ctx *Context, v Vector, rows int) (arrow.Array, error) {
	if !v.Const {
		if v.Array.Len() != rows {
			return nil, fmt.Errorf("expand a vector of %d rows to %d", v.Array.Len(), rows)
		}
		v.Array.Retain()
		return v.Array, nil
	}
	dt := v.Array.DataType()
	if v.Array.IsNull(0) {
		return array.MakeArrayOfNull(ctx.Alloc, dt, rows), nil
	}
	indices := newBuffer(ctx.Alloc, 4*rows)
	clear(indices.Bytes())
	if dt.ID() == arrow.STRING {
		data := array.NewDataWithDictionary(dictionaryType, rows, []*memory.Buffer{nil, indices}, 0, 0, v.Array.Data().(*array.Data))
		indices.Release()
		defer data.Release()
		return array.NewDictionaryData(data), nil
	}
	defer indices.Release()
	return take(ctx.Alloc, v.Array, reinterpret[int32](indices.Bytes())[:rows], bitmap{})
}
