package parquetfile

import "encoding/binary"

// Parquet's structures in Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md):
// a field is a byte with the distance from the field before and the type, then
// the value; a zero byte ends a structure.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12

	pageData       = 0
	pageDictionary = 2
)

// thriftWriter appends the fields of one structure.
type thriftWriter struct {
	out  []byte
	last int // the field that was written last
}

// field begins a field.
func (w *thriftWriter) field(id, kind int) {
	w.out = append(w.out, byte((id-w.last)<<4|kind))
	w.last = id
}

func (w *thriftWriter) i16(id int, v int16) {
	w.field(id, thriftI16)
	w.out = binary.AppendVarint(w.out, int64(v))
}

func (w *thriftWriter) i32(id, v int) {
	w.field(id, thriftI32)
	w.out = binary.AppendVarint(w.out, int64(v))
}

func (w *thriftWriter) i64(id int, v int64) {
	w.field(id, thriftI64)
	w.out = binary.AppendVarint(w.out, v)
}

func (w *thriftWriter) bool(id int, v bool) {
	if v {
		w.field(id, thriftTrue)
	} else {
		w.field(id, thriftFalse)
	}
}

func (w *thriftWriter) bytes(id int, v []byte) {
	w.field(id, thriftBinary)
	w.element(v)
}

// element appends a string or the bytes of a list.
func (w *thriftWriter) element(v []byte) {
	w.out = binary.AppendUvarint(w.out, uint64(len(v)))
	w.out = append(w.out, v...)
}

// list begins a field that is a list of n elements.
func (w *thriftWriter) list(id, kind, n int) {
	w.field(id, thriftList)
	if n < 15 {
		w.out = append(w.out, byte(n<<4|kind))
		return
	}
	w.out = append(w.out, byte(0xf0|kind))
	w.out = binary.AppendUvarint(w.out, uint64(n))
}

// open begins a structure: the field id, or the element of a list for 0. What it
// returns is for close.
func (w *thriftWriter) open(id int) (outer int) {
	if id > 0 {
		w.field(id, thriftStruct)
	}
	outer, w.last = w.last, 0
	return outer
}

// close ends a structure.
func (w *thriftWriter) close(outer int) {
	w.out = append(w.out, 0)
	w.last = outer
}

// empty is a field that is a structure without fields.
func (w *thriftWriter) empty(id int) { w.close(w.open(id)) }

// appendPageHeader appends the header of a data page (version 1) or dictionary
// page with so many values.
func appendPageHeader(dst []byte, page, values, encoding, uncompressed, compressed int, crc uint32) []byte {
	w := thriftWriter{out: dst}
	w.i32(1, page)
	w.i32(2, uncompressed)
	w.i32(3, compressed)
	w.i32(4, int(int32(crc)))
	if page == pageDictionary {
		w.field(7, thriftStruct)
	} else {
		w.field(5, thriftStruct)
	}
	w.last = 0
	w.i32(1, values)
	w.i32(2, encoding)
	if page != pageDictionary {
		w.i32(3, encodingRLE) // definition levels
		w.i32(4, encodingRLE) // repetition levels
	}
	return append(w.out, 0, 0)
}
