package lake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/types"
)

// transform is one of Iceberg's partition transforms.
type transform uint8

const (
	identity transform = iota
	day
	hour
	bucket
	truncate
)

// keyField numbers the values of one partition field, the transform's results;
// NULL is 0.
type keyField struct {
	name      string
	column    int
	kind      types.Kind // of what is stored
	stored    types.Type
	transform transform
	width     int64 // of bucket and truncate

	values  []any // by number, as catalog.NewFile.Partition
	numbers *numberTable
	texts   map[string]int32
	remap   []int32 // of a dictionary array, −1 where unknown
	scratch []int64
	buffer  [16]byte
}

func newKeyField(spec catalog.SpecField, column catalog.TargetColumn) (*keyField, error) {
	f := &keyField{name: spec.Name, column: spec.Column, kind: column.Type.Kind, stored: column.Type}
	if column.Type.Kind == types.Decimal && column.Type.Precision > 18 {
		f.kind = wideDecimal
	}
	name, argument, _ := strings.Cut(strings.TrimSuffix(spec.Transform, "]"), "[")
	switch name {
	case "identity":
	case "day":
		f.transform = day
	case "hour":
		f.transform = hour
	case "bucket":
		f.transform = bucket
	case "truncate":
		f.transform = truncate
	default:
		return nil, fmt.Errorf("partition field %s: unknown transform %s", spec.Name, spec.Transform)
	}
	if f.transform == bucket || f.transform == truncate {
		n, err := strconv.ParseInt(argument, 10, 32)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("partition field %s: transform %s needs a positive number", spec.Name, spec.Transform)
		}
		f.width = n
	}
	return f, nil
}

// wideDecimal stands for decimals of more than 18 digits, which do not fit the
// 64 bits of other numbers.
const wideDecimal types.Kind = 255

func (f *keyField) reset() {
	f.values, f.numbers, f.texts = []any{nil}, newNumberTable(), map[string]int32{}
}

// number writes the number of each row's value.
func (f *keyField) number(columns []arrow.Array, rows, out []int32) error {
	if f.column >= len(columns) {
		return errColumns
	}
	arr := columns[f.column]
	switch arr := arr.(type) {
	case *array.Int64:
		return numberInts(f, arr, arr.Int64Values(), rows, out)
	case *array.Int32:
		return numberInts(f, arr, arr.Int32Values(), rows, out)
	case *array.Int16:
		return numberInts(f, arr, arr.Int16Values(), rows, out)
	case *array.Int8:
		return numberInts(f, arr, arr.Int8Values(), rows, out)
	case *array.Uint32:
		return numberInts(f, arr, arr.Uint32Values(), rows, out)
	case *array.Uint16:
		return numberInts(f, arr, arr.Uint16Values(), rows, out)
	case *array.Uint8:
		return numberInts(f, arr, arr.Uint8Values(), rows, out)
	case *array.Date32:
		return numberInts(f, arr, arr.Date32Values(), rows, out)
	case *array.Time64:
		return numberInts(f, arr, arr.Time64Values(), rows, out)
	case *array.Timestamp:
		return numberInts(f, arr, arr.TimestampValues(), rows, out)
	case *array.Uint64:
		return f.numberWide(arr, rows, out, func(row int32) decimal128.Num { return decimal128.FromU64(arr.Value(int(row))) })
	case *array.Decimal128:
		if f.kind == wideDecimal {
			return f.numberWide(arr, rows, out, func(row int32) decimal128.Num { return arr.Value(int(row)) })
		}
		wide := f.wide(arr.Len())
		for i, v := range arr.Values() {
			wide[i] = int64(v.LowBits())
		}
		return numberInts(f, arr, wide, rows, out)
	case *array.Boolean:
		wide := f.wide(arr.Len())
		for i := range wide {
			wide[i] = 0
			if arr.Value(i) {
				wide[i] = 1
			}
		}
		return numberInts(f, arr, wide, rows, out)
	case *array.Float32:
		wide := f.wide(arr.Len())
		for i, v := range arr.Float32Values() {
			wide[i] = int64(math.Float64bits(float64(v)))
		}
		return numberInts(f, arr, wide, rows, out)
	case *array.Float64:
		wide := f.wide(arr.Len())
		for i, v := range arr.Float64Values() {
			wide[i] = int64(math.Float64bits(v))
		}
		return numberInts(f, arr, wide, rows, out)
	case *array.String:
		return f.numberTexts(arr, rows, out, func(row int32) []byte { return stringBytes(arr.Value(int(row))) })
	case *array.Binary:
		return f.numberTexts(arr, rows, out, func(row int32) []byte { return arr.Value(int(row)) })
	case *array.Dictionary:
		return f.numberDictionary(arr, rows, out)
	case *array.Null:
		clear(out)
		return nil
	}
	return fmt.Errorf("partition field %s: a column of Arrow type %s", f.name, arr.DataType())
}

func (f *keyField) wide(n int) []int64 {
	if cap(f.scratch) < n {
		f.scratch = make([]int64, n)
	}
	f.scratch = f.scratch[:n]
	return f.scratch
}

type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

// numberInts numbers what fits 64 bits. Neighbours are often equal.
func numberInts[T integer](f *keyField, arr arrow.Array, values []T, rows, out []int32) error {
	nulls := arr.NullN() > 0
	var last T
	lastNumber := int32(-1)
	for i, row := range rows {
		if nulls && arr.IsNull(int(row)) {
			out[i] = 0
			continue
		}
		if v := values[row]; v != last || lastNumber < 0 {
			last, lastNumber = v, f.numberOf(f.applyInt(int64(v)))
		}
		out[i] = lastNumber
	}
	return nil
}

func (f *keyField) numberOf(v int64) int32 {
	n := f.numbers.number(v)
	if int(n)+1 == len(f.values) {
		f.values = append(f.values, f.intValue(v))
	}
	return n + 1
}

// applyInt is the transform of a number.
func (f *keyField) applyInt(v int64) int64 {
	switch f.transform {
	case day:
		if f.kind == types.Date {
			return v
		}
		return floorDiv(v, 86_400_000_000)
	case hour:
		return floorDiv(v, 3_600_000_000)
	case bucket:
		if f.kind == types.Decimal {
			return int64(f.bucketOf(murmurBytes(shortestBytes(binary.BigEndian.AppendUint64(f.buffer[:0], uint64(v))))))
		}
		return int64(f.bucketOf(murmurLong(v)))
	case truncate:
		return v - ((v%f.width)+f.width)%f.width
	}
	return v
}

func floorDiv(v, by int64) int64 {
	q := v / by
	if v%by < 0 {
		q--
	}
	return q
}

func (f *keyField) bucketOf(hash uint32) int32 {
	return int32(hash&math.MaxInt32) % int32(f.width)
}

// intValue is a result of applyInt as a partition value.
func (f *keyField) intValue(v int64) any {
	switch f.transform {
	case day, hour, bucket:
		return int32(v)
	}
	switch f.kind {
	case types.Bool:
		return v != 0
	case types.Int32, types.Date:
		return int32(v)
	case types.Float32:
		return float32(math.Float64frombits(uint64(v)))
	case types.Float64:
		return math.Float64frombits(uint64(v))
	case types.Decimal:
		return decimal128.FromI64(v)
	}
	return v
}

// numberWide numbers 128-bit decimals by their bytes.
func (f *keyField) numberWide(arr arrow.Array, rows, out []int32, at func(row int32) decimal128.Num) error {
	for i, row := range rows {
		if arr.IsNull(int(row)) {
			out[i] = 0
			continue
		}
		v := at(row)
		switch f.transform {
		case bucket:
			binary.BigEndian.PutUint64(f.buffer[:], uint64(v.HighBits()))
			binary.BigEndian.PutUint64(f.buffer[8:], v.LowBits())
			out[i] = f.numberOf(int64(f.bucketOf(murmurBytes(shortestBytes(f.buffer[:])))))
			continue
		case truncate:
			width := decimal128.FromI64(f.width)
			_, rest := v.Div(width)
			_, rest = rest.Add(width).Div(width)
			v = v.Sub(rest)
		}
		binary.BigEndian.PutUint64(f.buffer[:], uint64(v.HighBits()))
		binary.BigEndian.PutUint64(f.buffer[8:], v.LowBits())
		out[i] = f.numberText(f.buffer[:], func() any { return v })
	}
	return nil
}

func (f *keyField) numberText(key []byte, value func() any) int32 {
	n, ok := f.texts[string(key)]
	if !ok {
		f.values = append(f.values, value())
		n = int32(len(f.values) - 1)
		f.texts[string(key)] = n
	}
	return n
}

// numberTexts numbers strings.
func (f *keyField) numberTexts(arr arrow.Array, rows, out []int32, at func(row int32) []byte) error {
	nulls := arr.NullN() > 0
	var last []byte
	lastNumber := int32(-1)
	for i, row := range rows {
		if nulls && arr.IsNull(int(row)) {
			out[i] = 0
			continue
		}
		if v := at(row); lastNumber < 0 || !bytes.Equal(v, last) {
			last, lastNumber = v, f.applyText(v)
		}
		out[i] = lastNumber
	}
	return nil
}

// numberDictionary numbers the entries that occur, then the rows by them.
func (f *keyField) numberDictionary(arr *array.Dictionary, rows, out []int32) error {
	indices, ok := arr.Indices().(*array.Int32)
	if !ok {
		return fmt.Errorf("partition field %s: dictionary indices of type %s", f.name, arr.Indices().DataType())
	}
	var entry func(i int) []byte
	switch values := arr.Dictionary().(type) {
	case *array.String:
		entry = func(i int) []byte { return stringBytes(values.Value(i)) }
	case *array.Binary:
		entry = values.Value
	default:
		return fmt.Errorf("partition field %s: a dictionary of %s", f.name, arr.Dictionary().DataType())
	}
	remap := grow(&f.remap, arr.Dictionary().Len())
	for i := range remap {
		remap[i] = -1
	}
	nulls, codes := arr.NullN() > 0, indices.Int32Values()
	for i, row := range rows {
		if nulls && arr.IsNull(int(row)) {
			out[i] = 0
			continue
		}
		code := codes[row]
		if remap[code] < 0 {
			remap[code] = f.applyText(entry(int(code)))
		}
		out[i] = remap[code]
	}
	return nil
}

// applyText numbers the transform of a string.
func (f *keyField) applyText(v []byte) int32 {
	switch f.transform {
	case bucket:
		return f.numberOf(int64(f.bucketOf(murmurBytes(v))))
	case truncate:
		if f.kind == types.Binary {
			v = v[:min(int64(len(v)), f.width)]
			break
		}
		end := 0
		for n := int64(0); n < f.width && end < len(v); n++ {
			_, size := utf8.DecodeRune(v[end:])
			end += size
		}
		v = v[:end]
	}
	return f.numberText(v, func() any {
		if f.kind == types.Binary {
			return bytes.Clone(v)
		}
		return string(v)
	})
}

// murmurLong is the 32-bit Murmur3 hash, seed 0, of a number as eight
// little-endian bytes, by which Iceberg's bucket transform is defined.
func murmurLong(v int64) uint32 {
	h := murmurMix(0, uint32(v))
	h = murmurMix(h, uint32(uint64(v)>>32))
	return murmurEnd(h ^ 8)
}

// murmurBytes is the same hash of bytes.
func murmurBytes(b []byte) uint32 {
	n := uint32(len(b))
	var h uint32
	for len(b) >= 4 {
		h = murmurMix(h, binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) > 0 {
		var k uint32
		for i, c := range b {
			k |= uint32(c) << (8 * i)
		}
		h ^= bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593
	}
	return murmurEnd(h ^ n)
}

func murmurMix(h, k uint32) uint32 {
	h ^= bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593
	return bits.RotateLeft32(h, 13)*5 + 0xe6546b64
}

func murmurEnd(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// shortestBytes is a big-endian two's complement number without needless bytes.
func shortestBytes(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

var errColumns = errors.New("the batch has other columns than the stream")

// stringBytes views a string as bytes that must not be changed.
func stringBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
