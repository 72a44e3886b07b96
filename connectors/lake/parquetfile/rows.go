package parquetfile

import "fmt"

// Rows holds rows that are not yet encoded, column by column, numbers in
// Parquet's plain layout.
type Rows struct {
	schema  *Schema
	pool    *Pool
	columns []buffer
	n       int
	held    int64 // capacity of all buffers, in bytes
}

// buffer is a column of Rows.
type buffer struct {
	// data holds the values that are not NULL: little-endian numbers of width
	// bytes, big-endian fixed bytes, a byte per boolean, the bytes of strings one
	// after the other. With dict set it holds codes of it instead, of width bytes.
	data  blocks
	width int
	// lengths are the strings' in bytes, numbers of lengthWidth bytes; none with
	// dict set.
	lengths     blocks
	lengthWidth int
	dict        *Dictionary
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

// Held is the memory in bytes, used or not.
func (r *Rows) Held() int64 { return r.held }

// Bytes is how many bytes the values have in Parquet's plain encoding, codes of
// strings being four.
func (r *Rows) Bytes() int64 {
	n := 0
	for i := range r.columns {
		b := &r.columns[i]
		switch width := r.schema.widths[i]; {
		case b.dict != nil:
			n += b.data.n / b.width * 4
		case r.schema.layouts[i] == layout32 || r.schema.layouts[i] == layout64:
			if b.data.n > 0 {
				n += b.data.n / b.width * width
			}
		case b.lengths.n > 0:
			n += b.data.n + b.lengths.n/b.lengthWidth*4
		default:
			n += b.data.n
		}
	}
	return int64(n)
}

// Release drops the rows and gives their memory back.
func (r *Rows) Release() {
	for i := range r.columns {
		b := &r.columns[i]
		b.data.release(r.pool)
		b.lengths.release(r.pool)
		b.valid, b.nulls, b.dict = nil, 0, nil
	}
	r.n, r.held = 0, 0
}

// room extends the data or the lengths of a column by up to n bytes and returns
// the place.
func (r *Rows) room(b *blocks, n int) []byte {
	before := b.held
	place := b.room(r.pool, n)
	r.held += int64(b.held - before)
	return place
}

// put appends bytes to the data of a column.
func (r *Rows) put(b *blocks, v []byte) {
	before := b.held
	b.append(r.pool, v)
	r.held += int64(b.held - before)
}

// putString appends a string to a column.
func (r *Rows) putString(b *buffer, v []byte) {
	r.makeWide(&b.lengths, &b.lengthWidth, widthOf(uint64(len(v))))
	putInt(r.room(&b.lengths, b.lengthWidth), b.lengthWidth, int64(len(v)))
	r.put(&b.data, v)
}

// appendLengths adds lengths of strings, none of which needs more than width
// bytes.
func (r *Rows) appendLengths(b *buffer, lengths []int32, width int) {
	r.makeWide(&b.lengths, &b.lengthWidth, width)
	for len(lengths) > 0 {
		place := r.room(&b.lengths, b.lengthWidth*len(lengths))
		n := len(place) / b.lengthWidth
		switch b.lengthWidth {
		case 1:
			shrink(viewAs[int8](place), lengths[:n])
		case 2:
			shrink(viewAs[int16](place), lengths[:n])
		default:
			copy(viewAs[int32](place), lengths)
		}
		lengths = lengths[n:]
	}
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
	if more := need - len(b.valid); more > 0 {
		r.held -= int64(cap(b.valid))
		b.valid = append(b.valid, make([]byte, more)...)
		r.held += int64(cap(b.valid))
	}
}

// AppendNull adds NULL to a column. The columns of a row are appended one by
// one in any order; EndRow closes the row.
func (r *Rows) AppendNull(column int) { r.markNull(&r.columns[column], r.n) }

// AppendInt adds a number, date or time to a column of an integer type.
func (r *Rows) AppendInt(column int, v int64) {
	b := &r.columns[column]
	if l := r.schema.layouts[column]; l != layout32 && l != layout64 {
		panic(fmt.Sprintf("parquetfile: column %s takes no integers", r.schema.columns[column].Name))
	}
	r.makeWide(&b.data, &b.width, widthOf(bitsOf(v)))
	putInt(r.room(&b.data, b.width), b.width, v)
	r.markValid(b, r.n, 1)
}

// AppendBytes adds a string to a column of type String or Binary.
func (r *Rows) AppendBytes(column int, v []byte) {
	b := &r.columns[column]
	if r.schema.layouts[column] != layoutBytes {
		panic(fmt.Sprintf("parquetfile: column %s takes no strings", r.schema.columns[column].Name))
	}
	r.putString(b, v)
	r.markValid(b, r.n, 1)
}

// EndRow ends a row to which every column was appended.
func (r *Rows) EndRow() { r.n++ }

// materialize turns a column of codes into strings.
func (r *Rows) materialize(b *buffer) {
	codes, dict := b.data.appendTo(nil), b.dict
	r.held -= int64(b.data.held)
	b.data.release(r.pool)
	b.dict = nil
	for ; len(codes) > 0; codes = codes[b.width:] {
		r.putString(b, dict.value(int32(intAt(codes, b.width))))
	}
}
