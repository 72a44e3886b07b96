package parquetfile

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Integers wait for their page in as few bytes as those of a batch need, with
// their sign: 1, 2, 4 or 8. Most columns hold small numbers, and memory that is
// touched for the first time is what spreading rows costs.

// stored are the types in which numbers lie in buffers.
type stored interface{ int8 | int16 | int32 | int64 }

// integers are numbers of one width in bytes; the slice of that width is set.
type integers struct {
	width int
	v8    []int8
	v16   []int16
	v32   []int32
	v64   []int64
}

// narrower brings the numbers of batch after batch to the least width. It
// expects what the last batches needed.
type narrower struct {
	expected int // 0 before the first batch
	most     int // that was needed since age was 0
	age      int // batches
	v8       []int8
	v16      []int16
	v32      []int32
	v64      []int64
}

// narrowAgain is for how many batches a width holds before a smaller one is
// tried.
const narrowAgain = 64

// bitsOf has the bits set that a number needs beside its sign, if they are or-ed
// with those of others.
func bitsOf(v int64) uint64 { return uint64(v ^ v>>63) }

// widthOf is the width of numbers whose bits are these.
func widthOf(all uint64) int {
	switch n := bits.Len64(all); {
	case n < 8:
		return 1
	case n < 16:
		return 2
	case n < 32:
		return 4
	}
	return 8
}

// next says which width to try, 0 for a look at the numbers first.
func (n *narrower) next() int {
	if n.age++; n.age > narrowAgain {
		n.expected, n.most, n.age = n.most, 0, 0
		if n.expected == 8 {
			n.expected = 0
		}
	}
	return n.expected
}

// needed notes what a batch needed.
func (n *narrower) needed(width int) {
	n.most = max(n.most, width)
	n.expected = max(n.expected, width)
}

// narrow brings values to the least width; those that have it already are not
// copied. least is the width below which it does not go.
func narrow[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](n *narrower, values []T) integers {
	var zero T
	own := int(unsafe.Sizeof(zero))
	signed := zero-1 < zero
	width := n.next()
	for {
		if signed && width >= own {
			n.needed(own)
			return viewOf(values, own)
		}
		var all uint64
		switch width {
		case 0:
			for _, v := range values {
				all |= bitsOf(int64(v))
			}
			width = widthOf(all)
			if !signed || width < own {
				continue
			}
			width = own
			continue
		case 1:
			all = shrink(resize(&n.v8, len(values)), values)
		case 2:
			all = shrink(resize(&n.v16, len(values)), values)
		case 4:
			all = shrink(resize(&n.v32, len(values)), values)
		default:
			all = shrink(resize(&n.v64, len(values)), values)
		}
		need := widthOf(all)
		if need <= width {
			n.needed(need)
			return n.result(width)
		}
		width = need
	}
}

// narrowDecimals is narrow for decimals of up to 18 digits.
func narrowDecimals(n *narrower, values []decimal128.Num) integers {
	width := n.next()
	for {
		var all uint64
		switch width {
		case 0, 1:
			width, all = 1, shrinkDecimals(resize(&n.v8, len(values)), values)
		case 2:
			all = shrinkDecimals(resize(&n.v16, len(values)), values)
		case 4:
			all = shrinkDecimals(resize(&n.v32, len(values)), values)
		default:
			all = shrinkDecimals(resize(&n.v64, len(values)), values)
		}
		need := widthOf(all)
		if need <= width {
			n.needed(need)
			return n.result(width)
		}
		width = need
	}
}

func (n *narrower) result(width int) integers {
	switch width {
	case 1:
		return integers{width: 1, v8: n.v8}
	case 2:
		return integers{width: 2, v16: n.v16}
	case 4:
		return integers{width: 4, v32: n.v32}
	}
	return integers{width: 8, v64: n.v64}
}

// shrink copies numbers to another width and returns the bits that they need.
func shrink[D stored, S int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](dst []D, src []S) (all uint64) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = D(v)
		all |= bitsOf(int64(v))
	}
	return all
}

func shrinkDecimals[D stored](dst []D, src []decimal128.Num) (all uint64) {
	dst = dst[:len(src)]
	for i := range src {
		v := int64(src[i].LowBits())
		dst[i] = D(v)
		all |= bitsOf(v)
	}
	return all
}

// viewOf takes numbers of 1, 2, 4 or 8 bytes as they are.
func viewOf[T any](values []T, width int) integers {
	at := unsafe.Pointer(unsafe.SliceData(values))
	switch width {
	case 1:
		return integers{width: 1, v8: unsafe.Slice((*int8)(at), len(values))}
	case 2:
		return integers{width: 2, v16: unsafe.Slice((*int16)(at), len(values))}
	case 4:
		return integers{width: 4, v32: unsafe.Slice((*int32)(at), len(values))}
	}
	return integers{width: 8, v64: unsafe.Slice((*int64)(at), len(values))}
}

// viewAs takes bytes as numbers.
func viewAs[T stored](data []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(zero)))
}

// appendInts copies numbers, given by their rows, to the end of a column.
func (r *Rows) appendInts(b *blocks, width *int, src *integers, rows []int32) {
	r.makeWide(b, width, src.width)
	for len(rows) > 0 {
		place := r.room(b, *width*len(rows))
		n := len(place) / *width
		src.gather(place, *width, rows[:n])
		rows = rows[n:]
	}
}

// gather copies the numbers of rows to a place for numbers of a width that is
// not less.
func (v *integers) gather(place []byte, width int, rows []int32) {
	switch width {
	case 1:
		gather(viewAs[int8](place), v.v8, rows)
	case 2:
		switch v.width {
		case 1:
			gather(viewAs[int16](place), v.v8, rows)
		case 2:
			gather(viewAs[int16](place), v.v16, rows)
		}
	case 4:
		switch v.width {
		case 1:
			gather(viewAs[int32](place), v.v8, rows)
		case 2:
			gather(viewAs[int32](place), v.v16, rows)
		case 4:
			gather(viewAs[int32](place), v.v32, rows)
		}
	case 8:
		switch v.width {
		case 1:
			gather(viewAs[int64](place), v.v8, rows)
		case 2:
			gather(viewAs[int64](place), v.v16, rows)
		case 4:
			gather(viewAs[int64](place), v.v32, rows)
		case 8:
			gather(viewAs[int64](place), v.v64, rows)
		}
	}
}

// gather copies src[rows…] to dst.
func gather[D, S stored](dst []D, src []S, rows []int32) {
	dst = dst[:len(rows)]
	// Runs of neighbours, such as whole batches, need no indices.
	if n := len(rows); int(rows[n-1]-rows[0]) == n-1 {
		src = src[rows[0] : int(rows[0])+n]
		if same, ok := any(src).([]D); ok {
			copy(dst, same)
			return
		}
		for i, v := range src {
			dst[i] = D(v)
		}
		return
	}
	for i, row := range rows {
		dst[i] = D(src[row])
	}
}

// makeWide makes a column's numbers at least so many bytes wide.
func (r *Rows) makeWide(b *blocks, width *int, least int) {
	switch {
	case b.n == 0:
		*width = least
	case *width < least:
		r.widen(b, width, least)
	}
}

// widen gives the numbers of a column more bytes each.
func (r *Rows) widen(b *blocks, width *int, to int) {
	old := b.appendTo(r.pool.wide[:0])
	r.pool.wide = old
	from := *width
	r.held -= int64(b.held)
	b.release(r.pool)
	r.held += int64(b.held)
	*width = to
	for len(old) > 0 {
		place := r.room(b, len(old)/from*to)
		for len(place) > 0 {
			putInt(place, to, intAt(old, from))
			place, old = place[to:], old[from:]
		}
	}
}

// intAt is the number of so many bytes at the beginning of data.
func intAt(data []byte, width int) int64 {
	switch width {
	case 1:
		return int64(int8(data[0]))
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(data)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(data)))
	}
	return int64(binary.LittleEndian.Uint64(data))
}

func putInt(place []byte, width int, v int64) {
	switch width {
	case 1:
		place[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(place, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(place, uint32(v))
	default:
		binary.LittleEndian.PutUint64(place, uint64(v))
	}
}
