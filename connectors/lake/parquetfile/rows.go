package parquetfile

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// Rows holds rows that are not yet encoded, column by column in Parquet's plain
// layout.
type Rows struct {
	schema  *Schema
	pool    *Pool
	columns []buffer
	n       int
	held    int64 // capacity of all buffers, in bytes
}

// buffer is a column of Rows.
type buffer struct {
	// data holds the values that are not NULL: little-endian numbers, big-endian
	// fixed bytes, a byte per boolean, strings behind their 32-bit length. With
	// dict set it holds int32 codes of it instead.
	data []byte
	dict *Dictionary
	// valid has a bit per row, set for values that are not NULL; it is empty
	// while nulls is 0.
	valid []byte
	nulls int
}

// NewRows is an empty Rows with memory of the pool.
func NewRows(s *Schema, pool *Pool) *Rows {
	return &Rows{schema: s, pool: pool, columns: make([]buffer, len(s.columns))}
}

// Len is the number of rows.
func (r *Rows) Len() int { return r.n }

// Held is the memory in bytes.
func (r *Rows) Held() int64 { return r.held }

// Reset drops the rows and keeps the memory.
func (r *Rows) Reset() {
	for i := range r.columns {
		b := &r.columns[i]
		b.data, b.valid, b.nulls, b.dict = b.data[:0], b.valid[:0], 0, nil
	}
	r.n = 0
}

// Release drops the rows and gives the memory back.
func (r *Rows) Release() {
	for i := range r.columns {
		b := &r.columns[i]
		r.pool.put(b.data)
		r.pool.put(b.valid)
		*b = buffer{}
	}
	r.n, r.held = 0, 0
}

// room makes room for n more bytes of a column's data and returns the place.
func (r *Rows) room(b *buffer, n int) []byte {
	if cap(b.data)-len(b.data) < n {
		r.held -= int64(cap(b.data))
		b.data = r.pool.grow(b.data, n)
		r.held += int64(cap(b.data))
	}
	b.data = b.data[:len(b.data)+n]
	return b.data[len(b.data)-n:]
}

// markValid records n more rows that are not NULL. before is how many rows the
// column has.
func (r *Rows) markValid(b *buffer, before, n int) {
	if b.nulls > 0 {
		r.growValid(b, before+n)
		for i := before; i < before+n; i++ {
			b.valid[i>>3] |= 1 << (i & 7)
		}
	}
}

func (r *Rows) markNull(b *buffer, before int) {
	if b.nulls == 0 {
		r.growValid(b, before+1)
		for i := range before >> 3 {
			b.valid[i] = 0xff
		}
		if before&7 != 0 {
			b.valid[before>>3] = 1<<(before&7) - 1
		}
	} else {
		r.growValid(b, before+1)
	}
	b.nulls++
}

// growValid extends the bitmap to hold n rows, new bits unset.
func (r *Rows) growValid(b *buffer, n int) {
	need := (n + 7) >> 3
	if cap(b.valid) < need {
		r.held -= int64(cap(b.valid))
		b.valid = r.pool.grow(b.valid, need-len(b.valid))
		r.held += int64(cap(b.valid))
	}
	for old := len(b.valid); old < need; old++ {
		b.valid = append(b.valid, 0)
	}
}

// AppendNull adds NULL to a column. The columns of a row are appended one by
// one in any order; EndRow closes the row.
func (r *Rows) AppendNull(column int) { r.markNull(&r.columns[column], r.n) }

// AppendInt adds a number, date or time to a column of an integer type.
func (r *Rows) AppendInt(column int, v int64) {
	b := &r.columns[column]
	switch r.schema.layouts[column] {
	case layout32:
		binary.LittleEndian.PutUint32(r.room(b, 4), uint32(int32(v)))
	case layout64:
		binary.LittleEndian.PutUint64(r.room(b, 8), uint64(v))
	default:
		panic(fmt.Sprintf("parquetfile: column %s takes no integers", r.schema.columns[column].Name))
	}
	r.markValid(b, r.n, 1)
}

// AppendBytes adds a string to a column of type String or Binary.
func (r *Rows) AppendBytes(column int, v []byte) {
	b := &r.columns[column]
	if r.schema.layouts[column] != layoutBytes {
		panic(fmt.Sprintf("parquetfile: column %s takes no strings", r.schema.columns[column].Name))
	}
	place := r.room(b, 4+len(v))
	binary.LittleEndian.PutUint32(place, uint32(len(v)))
	copy(place[4:], v)
	r.markValid(b, r.n, 1)
}

// EndRow ends a row to which every column was appended.
func (r *Rows) EndRow() { r.n++ }

// materialize turns a column of codes into plain strings.
func (r *Rows) materialize(b *buffer) {
	codes, dict := b.data, b.dict
	r.held -= int64(cap(codes))
	b.data, b.dict = nil, nil
	for _, code := range arrow.Int32Traits.CastFromBytes(codes) {
		v := dict.value(code)
		place := r.room(b, 4+len(v))
		binary.LittleEndian.PutUint32(place, uint32(len(v)))
		copy(place[4:], v)
	}
	r.pool.put(codes)
}
