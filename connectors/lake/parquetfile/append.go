package parquetfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Appender copies rows of Arrow batches into Rows. It belongs to one lane and
// keeps that lane's dictionaries.
type Appender struct {
	schema  *Schema
	sources []source
}

// source is a column of the bound batch, brought to the layout of the target.
type source struct {
	layout layout
	width  int
	ints   integers // layout32 and layout64, floats by their bits; codes of dict
	narrow narrower
	bits   []byte // booleans, from bit bitsAt
	bitsAt int
	fixed  []decimal128.Num
	// Strings: value i lies at bytes[offsets[i]:offsets[i+1]].
	offsets []int32
	bytes   []byte
	indices []int32 // of an Arrow dictionary array into offsets
	codes   bool    // ints holds codes of dict

	valid   []byte // validity from bit validAt; nil when no value is NULL
	validAt int

	dict    *Dictionary // nil when the column is written without
	decided bool        // dict is final
	remap   []int32     // of the batch's dictionary to dict, -1 where unknown
	scratch []int32
	floats  []int64
}

// NewAppender makes an appender for rows of a schema.
func NewAppender(s *Schema) *Appender {
	a := &Appender{schema: s, sources: make([]source, len(s.columns))}
	for i := range a.sources {
		a.sources[i].layout, a.sources[i].width = s.layouts[i], s.widths[i]
	}
	return a
}

// NextEpoch forgets dictionaries that have become large, so that values which
// come no more do not stay for ever. No Rows may hold rows of the appender.
func (a *Appender) NextEpoch() {
	for i := range a.sources {
		s := &a.sources[i]
		s.decided = false
		if s.dict != nil && (s.dict.Len() > maxDictionaryEntries/4 || len(s.dict.arena) > maxDictionaryBytes/4) {
			s.dict = nil
		}
	}
}

// Bind makes arrays the source of the appends that follow, one per column of
// the schema. The types that fit a column are those of types.Type.Arrow for the
// declared types that Iceberg's type is made from, and narrower numbers. The
// arrays are lent until the next Bind. NULL in a required column is an error.
func (a *Appender) Bind(columns []arrow.Array) error {
	if len(columns) != len(a.sources) {
		return fmt.Errorf("write rows: %d columns for a table of %d", len(columns), len(a.sources))
	}
	for i, column := range columns {
		s := &a.sources[i]
		if err := s.bind(column, a.schema.columns[i]); err != nil {
			return fmt.Errorf("write column %s: %w", a.schema.columns[i].Name, err)
		}
		if s.valid != nil && a.schema.columns[i].Required {
			return fmt.Errorf("write column %s: NULL in a NOT NULL column", a.schema.columns[i].Name)
		}
	}
	return nil
}

func (s *source) bind(arr arrow.Array, c Column) error {
	s.valid, s.codes, s.indices = nil, false, nil
	if arr.NullN() > 0 {
		s.valid, s.validAt = arr.NullBitmapBytes(), arr.Data().Offset()
		if len(s.valid) == 0 { // an array of type null
			s.valid, s.validAt = make([]byte, (arr.Len()+7)/8), 0
			return s.bindNull(c, arr.Len())
		}
	}
	if s.layout == layoutBytes {
		return s.bindBytes(arr)
	}
	ok := false
	switch c.Type {
	case Boolean:
		ok = s.bindBool(arr)
	case Int, Long:
		ok = s.bindInteger(arr)
	case Float, Double:
		ok = s.bindFloat(arr)
	case Decimal:
		ok = s.bindDecimal(arr, c)
	default:
		ok = s.bindTemporal(arr, c.Type)
	}
	if !ok {
		return fmt.Errorf("a column of Arrow type %s does not fit type %s", arr.DataType(), c.Type)
	}
	return nil
}

// bindNull stands for n rows of NULL.
func (s *source) bindNull(c Column, n int) error {
	switch s.layout {
	case layout32, layout64:
		s.ints = viewOf(make([]int8, n), 1)
		if c.Type == Float || c.Type == Double {
			s.ints = viewOf(make([]byte, n*s.width), s.width)
		}
	case layoutBool:
		s.bits, s.bitsAt = s.valid, 0
	case layoutFixed:
		s.fixed = make([]decimal128.Num, n)
	case layoutBytes:
		s.offsets, s.bytes = make([]int32, n+1), nil
	}
	return nil
}

func resize[T any](scratch *[]T, n int) []T {
	if cap(*scratch) < n {
		*scratch = make([]T, n)
	}
	*scratch = (*scratch)[:n]
	return *scratch
}

func (s *source) bindBool(arr arrow.Array) bool {
	b, ok := arr.(*array.Boolean)
	if !ok {
		return false
	}
	s.bits, s.bitsAt = b.Data().Buffers()[1].Bytes(), b.Data().Offset()
	return true
}

func (s *source) bindInteger(arr arrow.Array) bool {
	switch arr := arr.(type) {
	case *array.Int64:
		if s.layout != layout64 {
			return false
		}
		s.ints = narrow(&s.narrow, arr.Int64Values())
	case *array.Int32:
		s.ints = narrow(&s.narrow, arr.Int32Values())
	case *array.Int16:
		s.ints = narrow(&s.narrow, arr.Int16Values())
	case *array.Int8:
		s.ints = narrow(&s.narrow, arr.Int8Values())
	case *array.Uint16:
		s.ints = narrow(&s.narrow, arr.Uint16Values())
	case *array.Uint8:
		s.ints = narrow(&s.narrow, arr.Uint8Values())
	case *array.Uint32:
		if s.layout != layout64 {
			return false
		}
		s.ints = narrow(&s.narrow, arr.Uint32Values())
	default:
		return false
	}
	return true
}

// bindFloat takes floats by their bits.
func (s *source) bindFloat(arr arrow.Array) bool {
	switch arr := arr.(type) {
	case *array.Float32:
		if s.layout == layout32 {
			s.ints = viewOf(arr.Float32Values(), 4)
			return true
		}
		wide := resize(&s.floats, arr.Len())
		for i, v := range arr.Float32Values() {
			wide[i] = floatBits(float64(v))
		}
		s.ints = viewOf(wide, 8)
		return true
	case *array.Float64:
		if s.layout == layout64 {
			s.ints = viewOf(arr.Float64Values(), 8)
			return true
		}
	}
	return false
}

func (s *source) bindDecimal(arr arrow.Array, c Column) bool {
	switch arr := arr.(type) {
	case *array.Decimal128:
		t := arr.DataType().(*arrow.Decimal128Type)
		if int(t.Scale) != c.Scale || int(t.Precision) > c.Precision {
			return false
		}
		if s.layout == layoutFixed {
			s.fixed = arr.Values()
		} else {
			s.ints = narrowDecimals(&s.narrow, arr.Values())
		}
		return true
	case *array.Uint64: // BIGINT UNSIGNED
		if c.Precision < 20 || c.Scale != 0 || s.layout != layoutFixed {
			return false
		}
		if cap(s.fixed) < arr.Len() {
			s.fixed = make([]decimal128.Num, arr.Len())
		}
		s.fixed = s.fixed[:arr.Len()]
		for i, v := range arr.Uint64Values() {
			s.fixed[i] = decimal128.FromU64(v)
		}
		return true
	}
	return false
}

func (s *source) bindTemporal(arr arrow.Array, t Type) bool {
	switch arr := arr.(type) {
	case *array.Date32:
		if t != Date {
			return false
		}
		s.ints = narrow(&s.narrow, arrow.Int32Traits.CastFromBytes(arrow.Date32Traits.CastToBytes(arr.Date32Values())))
	case *array.Time64:
		if t != Time || arr.DataType().(*arrow.Time64Type).Unit != arrow.Microsecond {
			return false
		}
		s.ints = narrow(&s.narrow, arrow.Int64Traits.CastFromBytes(arrow.Time64Traits.CastToBytes(arr.Time64Values())))
	case *array.Timestamp:
		dt := arr.DataType().(*arrow.TimestampType)
		if dt.Unit != arrow.Microsecond || (dt.TimeZone == "") != (t == Timestamp) || t != Timestamp && t != TimestampTZ {
			return false
		}
		s.ints = narrow(&s.narrow, arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(arr.TimestampValues())))
	default:
		return false
	}
	return true
}

func (s *source) bindBytes(arr arrow.Array) error {
	dictionary, isDictionary := arr.(*array.Dictionary)
	values := arr
	if isDictionary {
		indices, ok := dictionary.Indices().(*array.Int32)
		if !ok {
			return fmt.Errorf("dictionary indices of type %s", dictionary.Indices().DataType())
		}
		s.indices, values = indices.Int32Values(), dictionary.Dictionary()
		if values.NullN() > 0 {
			return fmt.Errorf("the dictionary holds NULL")
		}
	}
	switch values := values.(type) {
	case *array.String:
		s.offsets = values.ValueOffsets()
	case *array.Binary:
		s.offsets = values.ValueOffsets()
	default:
		return fmt.Errorf("a column of Arrow type %s does not fit a string", arr.DataType())
	}
	s.bytes = nil
	if b := values.Data().Buffers()[2]; b != nil {
		s.bytes = b.Bytes()
	}
	if len(s.offsets) == 0 {
		s.offsets = []int32{0}
	}
	if !s.decided {
		s.decide(arr.Len())
	}
	if s.dict != nil {
		s.encode(arr.Len())
	}
	return nil
}

// decide samples a column that is seen for the first time (in an epoch) and
// gives it a dictionary if few values come often.
func (s *source) decide(rows int) {
	const sample = 1024
	if rows == 0 {
		return
	}
	s.decided = true
	if s.indices != nil || s.dict != nil && s.dict.Len() > 0 {
		if s.dict == nil {
			s.dict = newDictionary()
		}
		return
	}
	n := min(rows, sample)
	probe, seen, total := newDictionary(), 0, 0
	for i := range n {
		row := i * rows / n
		if s.isNull(row) {
			continue
		}
		v := s.bytes[s.offsets[row]:s.offsets[row+1]]
		seen, total = seen+1, total+len(v)
		if probe.code(v) < 0 {
			return
		}
	}
	if seen > 0 && probe.Len() > seen/3+1 || total > 256*(seen+1) {
		return
	}
	s.dict = probe
}

// encode fills ints with the rows' codes in the lane's dictionary. When that is
// full the column goes on without one.
func (s *source) encode(rows int) {
	codes := resize(&s.scratch, rows)
	if s.indices == nil {
		for i := range codes {
			codes[i] = 0
			if s.valid != nil && s.isNull(i) {
				continue
			}
			if codes[i] = s.dict.code(s.bytes[s.offsets[i]:s.offsets[i+1]]); codes[i] < 0 {
				s.dict = nil
				return
			}
		}
		s.ints, s.codes = narrow(&s.narrow, codes), true
		return
	}
	remap, indices := resize(&s.remap, len(s.offsets)-1), s.indices
	for i := range remap {
		remap[i] = -1
	}
	for i := range codes {
		if s.valid != nil && s.isNull(i) {
			codes[i] = 0
			continue
		}
		index := indices[i]
		code := remap[index]
		if code < 0 {
			if code = s.dict.code(s.bytes[s.offsets[index]:s.offsets[index+1]]); code < 0 {
				s.dict = nil
				return
			}
			remap[index] = code
		}
		codes[i] = code
	}
	s.ints, s.codes = narrow(&s.narrow, codes), true
}

func (s *source) isNull(row int) bool {
	i := s.validAt + row
	return s.valid != nil && s.valid[i>>3]&(1<<(i&7)) == 0
}

// Append copies the bound batch's rows, given by their indices, to the end of
// dst.
func (a *Appender) Append(dst *Rows, rows []int32) {
	for i := range a.sources {
		a.sources[i].append(dst, &dst.columns[i], rows)
	}
	dst.n += len(rows)
}

// AppendColumn copies one column of the rows. A caller that spreads a batch
// over many Rows goes column by column, so that the source stays in the cache,
// and calls Appended for each Rows in the end.
func (a *Appender) AppendColumn(dst *Rows, column int, rows []int32) {
	a.sources[column].append(dst, &dst.columns[column], rows)
}

// Appended ends the copying of n rows to dst.
func (a *Appender) Appended(dst *Rows, n int) { dst.n += n }

func (s *source) append(dst *Rows, b *buffer, rows []int32) {
	kept := rows
	if s.valid != nil {
		kept = s.dropNulls(dst, b, rows)
	} else {
		dst.markValid(b, dst.n, len(rows))
	}
	if len(kept) == 0 {
		return
	}
	if s.layout == layoutBytes {
		s.appendBytes(dst, b, kept)
		return
	}
	if s.layout == layoutFixed {
		var wide [16]byte
		for _, row := range kept {
			putFixed(wide[:s.width], s.fixed[row])
			dst.put(&b.data, wide[:s.width])
		}
		return
	}
	if s.layout != layoutBool {
		dst.appendInts(&b.data, &b.width, &s.ints, kept)
		return
	}
	for len(kept) > 0 {
		place := dst.room(&b.data, len(kept))
		some := kept[:len(place)]
		kept = kept[len(some):]
		for i, row := range some {
			at := s.bitsAt + int(row)
			place[i] = s.bits[at>>3] >> (at & 7) & 1
		}
	}
}

// putFixed writes a number big-endian.
func putFixed(place []byte, n decimal128.Num) {
	var wide [16]byte
	binary.BigEndian.PutUint64(wide[:], uint64(n.HighBits()))
	binary.BigEndian.PutUint64(wide[8:], n.LowBits())
	copy(place, wide[16-len(place):])
}

// dropNulls records which rows are NULL and returns the others. What it
// returns is valid until its next call.
func (s *source) dropNulls(dst *Rows, b *buffer, rows []int32) []int32 {
	kept := s.nullScratch(dst, len(rows))
	for i, row := range rows {
		if s.isNull(int(row)) {
			dst.markNull(b, dst.n+i)
			continue
		}
		dst.markValid(b, dst.n+i, 1)
		kept = append(kept, row)
	}
	return kept
}

func (s *source) nullScratch(dst *Rows, n int) []int32 {
	if cap(dst.pool.rows) < n {
		dst.pool.rows = make([]int32, 0, 1<<bits.Len(uint(n)))
	}
	return dst.pool.rows[:0]
}

func (s *source) appendBytes(dst *Rows, b *buffer, rows []int32) {
	if s.codes && (b.dict == s.dict || b.data.n == 0 && b.lengths.n == 0) {
		b.dict = s.dict
		dst.appendInts(&b.data, &b.width, &s.ints, rows)
		return
	}
	if b.dict != nil {
		dst.materialize(b)
	}
	lengths, starts := resize(&dst.pool.lengths, len(rows)), resize(&dst.pool.starts, len(rows))
	var all uint64
	size := 0
	for i, row := range rows {
		start, end := s.span(row)
		n := end - start
		lengths[i], starts[i] = n, start
		all |= uint64(n)
		size += int(n)
	}
	dst.appendLengths(b, lengths, widthOf(all))
	s.appendText(dst, b, starts, lengths, size)
}

// appendText copies strings, which have size bytes together.
func (s *source) appendText(dst *Rows, b *buffer, starts, lengths []int32, size int) {
	const word, many = 16, 64
	var place []byte
	text := s.bytes
	lengths = lengths[:len(starts)]
	for i, at := range starts {
		start, n := int(at), int(lengths[i])
		// Short strings are copied too far, which no branch has to foresee.
		if n <= many && many <= len(place) && start+many <= len(text) {
			to, from := (*[many]byte)(place), (*[many]byte)(text[start:])
			*(*[word]byte)(to[:]) = [word]byte(from[:])
			if n > word {
				*(*[word]byte)(to[word:]) = [word]byte(from[word:])
				*(*[word]byte)(to[2*word:]) = [word]byte(from[2*word:])
				*(*[word]byte)(to[3*word:]) = [word]byte(from[3*word:])
			}
			place = place[n:]
			size -= n
			continue
		}
		v := text[start : start+n]
		for len(v) > len(place) {
			n := copy(place, v)
			v = v[n:]
			size -= n
			place = dst.room(&b.data, size)
		}
		n = copy(place, v)
		place = place[n:]
		size -= n
	}
}

func (s *source) span(row int32) (start, end int32) {
	if s.indices != nil {
		row = s.indices[row]
	}
	return s.offsets[row], s.offsets[row+1]
}

func floatBits(f float64) int64 { return int64(math.Float64bits(f)) }
