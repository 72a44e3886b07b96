package kernel

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Take gathers the values of arr at the indices, in their order; an index of −1
// gives NULL. The result has arr's type; of a dictionary array only the indices
// are gathered. The error says that the type is none that columns have, or that
// the text gathered is over 2 GiB.
func Take(alloc memory.Allocator, arr arrow.Array, indices []int32) (arrow.Array, error) {
	var signs int32
	for _, i := range indices {
		signs |= i
	}
	if signs >= 0 {
		return take(alloc, arr, indices, bitmap{})
	}
	valid := make([]byte, 8*wordCount(len(indices)))
	words := reinterpret[uint64](valid)
	for i, index := range indices {
		if index >= 0 {
			setBit(words, i)
		}
	}
	return take(alloc, arr, indices, bitmap{bytes: valid})
}

// take gathers the values of arr at the indices, NULL where valid is not set;
// the index is not looked at then.
func take(alloc memory.Allocator, arr arrow.Array, indices []int32, valid bitmap) (arrow.Array, error) {
	dt := arr.DataType()
	rows := len(indices)
	if dt.ID() == arrow.NULL {
		return array.NewNull(rows), nil
	}
	nullBits, nulls := takeValidity(alloc, validity(arr), indices, valid)
	var words []uint64
	if nullBits != nil {
		words = reinterpret[uint64](nullBits.Bytes())
	}

	switch dt.ID() {
	case arrow.BOOL:
		out := newBuffer(alloc, 8*wordCount(rows))
		to := reinterpret[uint64](out.Bytes())
		clear(to)
		from := boolsOf(Vector{Array: arr}).bitmap
		for i, index := range indices {
			if (words == nil || wordBit(words, i)) && from.get(int(index)) {
				setBit(to, i)
			}
		}
		return newArray(dt, rows, nulls, nullBits, out), nil
	case arrow.INT8, arrow.UINT8:
		return newArray(dt, rows, nulls, nullBits, takeFixed[int8](alloc, arr, indices, words)), nil
	case arrow.INT16, arrow.UINT16:
		return newArray(dt, rows, nulls, nullBits, takeFixed[int16](alloc, arr, indices, words)), nil
	case arrow.INT32, arrow.UINT32, arrow.FLOAT32, arrow.DATE32:
		return newArray(dt, rows, nulls, nullBits, takeFixed[int32](alloc, arr, indices, words)), nil
	case arrow.INT64, arrow.UINT64, arrow.FLOAT64, arrow.TIME64, arrow.TIMESTAMP:
		return newArray(dt, rows, nulls, nullBits, takeFixed[int64](alloc, arr, indices, words)), nil
	case arrow.DECIMAL128:
		return newArray(dt, rows, nulls, nullBits, takeFixed[decimal128.Num](alloc, arr, indices, words)), nil
	case arrow.STRING, arrow.BINARY:
		offsets, data, err := takeText(alloc, arr, indices, words)
		if err != nil {
			if nullBits != nil {
				nullBits.Release()
			}
			return nil, err
		}
		return newArray(dt, rows, nulls, nullBits, offsets, data), nil
	case arrow.DICTIONARY:
		out := takeFixed[int32](alloc, arr, indices, words)
		data := array.NewDataWithDictionary(dt, rows, []*memory.Buffer{nullBits, out}, nulls, 0,
			arr.(*array.Dictionary).Dictionary().Data().(*array.Data))
		out.Release()
		if nullBits != nil {
			nullBits.Release()
		}
		defer data.Release()
		return array.NewDictionaryData(data), nil
	}
	if nullBits != nil {
		nullBits.Release()
	}
	return nil, fmt.Errorf("gather rows: no column has Arrow type %s", dt)
}

// takeValidity is the validity of what is gathered, nil if nothing is NULL.
func takeValidity(alloc memory.Allocator, from bitmap, indices []int32, valid bitmap) (*memory.Buffer, int) {
	if from.bytes == nil && valid.bytes == nil {
		return nil, 0
	}
	rows := len(indices)
	out := newBuffer(alloc, 8*wordCount(rows))
	words := reinterpret[uint64](out.Bytes())
	set := 0
	for k := range words {
		w := valid.word(k)
		if k == len(words)-1 {
			w &= lastWord(rows)
		}
		if from.bytes != nil {
			for rest := w; rest != 0; rest &= rest - 1 {
				bit := bits.TrailingZeros64(rest)
				if !from.get(int(indices[k<<6+bit])) {
					w &^= 1 << bit
				}
			}
		}
		set += bits.OnesCount64(w)
		words[k] = w
	}
	if set == rows {
		out.Release()
		return nil, 0
	}
	return out, rows - set
}

func takeFixed[T any](alloc memory.Allocator, arr arrow.Array, indices []int32, words []uint64) *memory.Buffer {
	from := fixedValues[T](arr)
	var zero T
	out := newBuffer(alloc, len(indices)*arr.DataType().(arrow.FixedWidthDataType).Bytes())
	to := reinterpret[T](out.Bytes())
	if words == nil {
		for i, index := range indices {
			to[i] = from[index]
		}
		return out
	}
	for i, index := range indices {
		if wordBit(words, i) {
			to[i] = from[index]
		} else {
			to[i] = zero
		}
	}
	return out
}

func takeText(alloc memory.Allocator, arr arrow.Array, indices []int32, words []uint64) (offsets, data *memory.Buffer, err error) {
	from := textsOf(Vector{Array: arr})
	offsets = newBuffer(alloc, 4*(len(indices)+1))
	to := reinterpret[int32](offsets.Bytes())
	total := int64(0)
	for i, index := range indices {
		to[i] = int32(total)
		if words == nil || wordBit(words, i) {
			total += int64(from.offsets[index+1] - from.offsets[index])
		}
		if total > math.MaxInt32 {
			offsets.Release()
			return nil, nil, errors.New("gather rows: text of a batch is over 2 GiB")
		}
	}
	to[len(indices)] = int32(total)
	data = newBuffer(alloc, int(total))
	bytes := data.Bytes()
	for i, index := range indices {
		if n := to[i+1] - to[i]; n > 0 {
			start := from.offsets[index]
			copy(bytes[to[i]:to[i+1]], from.data[start:start+n])
		}
	}
	return offsets, data, nil
}
