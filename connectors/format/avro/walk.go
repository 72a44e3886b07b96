package avro

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
)

// Why bytes are no value of the schema.
var (
	errEnds    = errors.New("the value ends too early")
	errVarint  = errors.New("a number has more than 10 bytes")
	errLength  = errors.New("a length is negative or larger than the value")
	errBool    = errors.New("a boolean is neither 0 nor 1")
	errBranch  = errors.New("a union has no such branch")
	errSymbol  = errors.New("an enum has no such symbol")
	errUTF8    = errors.New("a string is not valid UTF-8")
	errDeep    = errors.New("the value is nested more than 100 levels deep")
	errItems   = errors.New("an array or map claims more items than the value has bytes")
	errDecimal = errors.New("a decimal has more than 38 digits")
	errRange   = errors.New("a date or time is beyond the years 1 to 9999")
)

// maxDepth is how deep values may be nested, as in MySQL's JSON.
const maxDepth = 100

// walker walks over the bytes of a record. The first error stays.
type walker struct {
	data  []byte // up to the end of what may belong to the record
	pos   int
	err   error
	items int // that arrays and maps without bytes may still have
	// generic turns the fast path off, for tests and comparisons.
	generic bool

	batch   *columns.Batch
	class   connectors.ErrorClass // why the record is rejected, though it can be read
	message string
	json    []byte
}

// freeItems is how many items of no bytes, such as nulls, arrays and maps of a
// record may have.
const freeItems = 1 << 16

// record sets the columns of a row from a record.
func (w *walker) record(p *plan) {
	start := w.pos
	if p.fast != nil && !w.generic && w.fast(p.fast) {
		return
	}
	w.pos = start
	w.walk(p.root)
}

// walk walks over one record and sets the columns of its row.
func (w *walker) walk(n *node) {
	w.err, w.class, w.items = nil, "", freeItems
	w.batch.BeginRow()
	w.node(n, 0)
	if w.err == nil && w.class == "" {
		w.class, w.message = w.batch.Missing()
	}
}

func (w *walker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// long reads a number in the zig-zag form.
func (w *walker) long() int64 {
	if w.pos < len(w.data) && w.data[w.pos] < 0x80 {
		b := uint64(w.data[w.pos])
		w.pos++
		return int64(b>>1) ^ -int64(b&1)
	}
	u, n := binary.Uvarint(w.data[w.pos:])
	if n <= 0 {
		if n < 0 {
			w.fail(errVarint)
		} else {
			w.fail(errEnds)
		}
		w.pos = len(w.data)
		return 0
	}
	w.pos += n
	return int64(u>>1) ^ -int64(u&1)
}

// take is the next n bytes, nil after an error.
func (w *walker) take(n int64) []byte {
	if n < 0 || n > int64(len(w.data)-w.pos) {
		if n < 0 {
			w.fail(errLength)
		} else {
			w.fail(errEnds)
		}
		w.pos = len(w.data)
		return nil
	}
	b := w.data[w.pos : w.pos+int(n)]
	w.pos += int(n)
	return b
}

// bytes is what a length precedes.
func (w *walker) bytes() []byte { return w.take(w.long()) }

// block begins a block of an array or a map: how many items it has, 0 at the end.
func (w *walker) block() (items int64) {
	if items = w.long(); items < 0 {
		items = -items
		w.long() // bytes of the block
	}
	if items < 0 {
		w.fail(errItems)
	}
	if w.err != nil {
		return 0
	}
	return items
}

// item accounts for an item that began at start.
func (w *walker) item(start int) {
	if w.pos == start {
		if w.items--; w.items < 0 {
			w.fail(errItems)
		}
	}
}

// skip passes over a value.
func (w *walker) skip(s *shape, depth int) {
	switch s.kind {
	case kindNull:
	case kindBool:
		w.take(1)
	case kindInt, kindDate, kindTimeMillis, kindTimeMicros, kindMillis, kindMicros, kindNanos, kindEnum:
		w.long()
	case kindFloat:
		w.take(4)
	case kindDouble:
		w.take(8)
	case kindBytes, kindString:
		w.bytes()
	case kindFixed, kindUUID, kindDuration:
		w.take(int64(s.size))
	case kindDecimal:
		w.decimalBytes(s)
	default:
		if depth++; depth > maxDepth {
			w.fail(errDeep)
			return
		}
		w.skipParts(s, depth)
	}
}

func (w *walker) skipParts(s *shape, depth int) {
	switch s.kind {
	case kindRecord:
		for _, part := range s.parts {
			if w.skip(part, depth); w.err != nil {
				return
			}
		}
	case kindUnion:
		if branch := w.branch(s); branch >= 0 {
			w.skip(s.parts[branch], depth)
		}
	default:
		for {
			items := w.long()
			if items < 0 { // the bytes of the block follow
				w.take(w.long())
				if w.err != nil {
					return
				}
				continue
			}
			if items == 0 || w.err != nil {
				return
			}
			for ; items > 0 && w.err == nil; items-- {
				start := w.pos
				if s.kind == kindMap {
					w.bytes()
				}
				w.skip(s.parts[0], depth)
				w.item(start)
			}
		}
	}
}

// branch is the index of a union's branch, −1 after an error.
func (w *walker) branch(s *shape) int {
	i := w.long()
	if w.err != nil {
		return -1
	}
	if i < 0 || i >= int64(len(s.parts)) {
		w.fail(errBranch)
		return -1
	}
	return int(i)
}

func (w *walker) decimalBytes(s *shape) []byte {
	if s.size > 0 {
		return w.take(int64(s.size))
	}
	return w.bytes()
}

// decimalOf reads a number in two's complement with the highest byte first.
func decimalOf(b []byte) (n decimal128.Num, ok bool) {
	if len(b) == 0 {
		return n, true
	}
	sign := byte(int8(b[0]) >> 7)
	for len(b) > 16 {
		if b[0] != sign || int8(b[1])>>7 != int8(sign) {
			return n, false
		}
		b = b[1:]
	}
	var wide [16]byte
	for i := range wide {
		wide[i] = sign
	}
	copy(wide[16-len(b):], b)
	n = decimal128.New(int64(binary.BigEndian.Uint64(wide[:8])), binary.BigEndian.Uint64(wide[8:]))
	return n, n.FitsInPrecision(38)
}

// set notes that a value does not fit its column.
func (w *walker) set(class connectors.ErrorClass, message string) {
	if class != "" && w.class == "" {
		w.class, w.message = class, message
	}
}

// node walks over a value and sets the columns that want it, or a part of it.
func (w *walker) node(n *node, depth int) {
	if n == nil || w.err != nil {
		return
	}
	if n.kind == kindUnion {
		if depth++; depth > maxDepth {
			w.fail(errDeep)
			return
		}
		if branch := w.branch(n.shape); branch >= 0 {
			w.node(n.parts[branch], depth)
		}
		return
	}
	if len(n.below) > 0 || len(n.columns) > 0 && (n.kind == kindRecord || n.kind == kindArray || n.kind == kindMap || n.kind == kindDuration) {
		start := w.pos
		w.json = w.appendJSON(w.json[:0], n.shape, depth)
		if w.err != nil {
			return
		}
		for _, column := range n.columns {
			w.set(w.batch.SetJSON(column, w.json))
		}
		for _, b := range n.below {
			w.set(w.batch.SetBelow(b, w.json))
		}
		if !n.inner {
			return
		}
		w.pos = start
	}
	switch n.kind {
	case kindRecord:
		if !n.inner {
			w.skip(n.shape, depth)
			return
		}
		if depth++; depth > maxDepth {
			w.fail(errDeep)
			return
		}
		for i, part := range n.parts {
			if part == nil {
				w.skip(n.shape.parts[i], depth)
			} else {
				w.node(part, depth)
			}
			if w.err != nil {
				return
			}
		}
	case kindArray, kindMap, kindDuration:
		w.skip(n.shape, depth)
	default:
		if len(n.columns) == 0 {
			if len(n.below) == 0 {
				w.skip(n.shape, depth)
			}
			return
		}
		w.scalar(n)
	}
}

// scalar sets columns from a value without parts.
func (w *walker) scalar(n *node) {
	b := w.batch
	switch n.kind {
	case kindNull:
		for _, c := range n.columns {
			w.set(b.SetJSON(c, jsonNull))
		}
	case kindBool:
		v := w.boolean()
		for _, c := range n.columns {
			w.set(b.SetBool(c, v))
		}
	case kindInt:
		v := w.long()
		for _, c := range n.columns {
			w.set(b.SetInt(c, v))
		}
	case kindFloat:
		v := w.float()
		for _, c := range n.columns {
			w.set(b.SetFloat(c, v))
		}
	case kindDouble:
		v := w.double()
		for _, c := range n.columns {
			w.set(b.SetDouble(c, v))
		}
	case kindBytes:
		v := w.bytes()
		for _, c := range n.columns {
			w.set(b.SetBytes(c, v))
		}
	case kindFixed:
		v := w.take(int64(n.size))
		for _, c := range n.columns {
			w.set(b.SetBytes(c, v))
		}
	case kindString:
		v := w.string()
		for _, c := range n.columns {
			if n.text {
				w.set(b.SetText(c, v))
			} else {
				w.set(b.SetString(c, v))
			}
		}
	case kindEnum:
		v := w.symbol(n.shape)
		for _, c := range n.columns {
			w.set(b.SetString(c, v))
		}
	case kindUUID:
		var text [36]byte
		v := appendUUID(text[:0], w.take(16))
		for _, c := range n.columns {
			w.set(b.SetString(c, v))
		}
	case kindDecimal:
		v := w.decimal(n.shape)
		for _, c := range n.columns {
			w.set(b.SetDecimal(c, v, n.scale))
		}
	case kindDate:
		v := w.long()
		for _, c := range n.columns {
			w.set(b.SetDate(c, v))
		}
	case kindTimeMillis, kindTimeMicros:
		v := w.timeOfDay(n.kind)
		for _, c := range n.columns {
			w.set(b.SetTimeOfDay(c, v))
		}
	case kindMillis, kindMicros, kindNanos:
		v := w.moment(n.kind)
		for _, c := range n.columns {
			w.set(b.SetMoment(c, v))
		}
	}
}

var jsonNull = []byte("null")

func (w *walker) boolean() bool {
	b := w.take(1)
	if b == nil {
		return false
	}
	if b[0] > 1 {
		w.fail(errBool)
	}
	return b[0] == 1
}

func (w *walker) float() float32 {
	if b := w.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (w *walker) double() float64 {
	if b := w.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (w *walker) string() []byte {
	b := w.bytes()
	if !utf8.Valid(b) {
		w.fail(errUTF8)
	}
	return b
}

func (w *walker) symbol(s *shape) []byte {
	i := w.long()
	if i < 0 || i >= int64(len(s.symbols)) {
		w.fail(errSymbol)
		return nil
	}
	return s.symbols[i]
}

func (w *walker) decimal(s *shape) decimal128.Num {
	n, ok := decimalOf(w.decimalBytes(s))
	if !ok {
		w.fail(errDecimal)
	}
	return n
}

// timeOfDay is µs since midnight; what is beyond a day stays so.
func (w *walker) timeOfDay(k kind) int64 {
	v := w.long()
	if k == kindTimeMillis && v < math.MaxInt64/1000 && v > math.MinInt64/1000 {
		v *= 1000
	}
	return v
}

// moment is µs since 1970; what no column can hold stays so.
func (w *walker) moment(k kind) int64 {
	v := w.long()
	switch k {
	case kindMillis:
		switch {
		case v > math.MaxInt64/1000:
			return math.MaxInt64
		case v < math.MinInt64/1000:
			return math.MinInt64
		}
		return v * 1000
	case kindNanos:
		q := v / 1000
		if v%1000 < 0 {
			q--
		}
		return q
	}
	return v
}

func appendUUID(dst, b []byte) []byte {
	if len(b) != 16 {
		return dst
	}
	for i, n := range []int{0, 4, 6, 8, 10} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[n:[]int{4, 6, 8, 10, 16}[i]])
	}
	return dst
}

// appendJSON appends a value as JSON.
func (w *walker) appendJSON(dst []byte, s *shape, depth int) []byte {
	switch s.kind {
	case kindNull:
		return append(dst, jsonNull...)
	case kindBool:
		return strconv.AppendBool(dst, w.boolean())
	case kindInt:
		return strconv.AppendInt(dst, w.long(), 10)
	case kindFloat:
		return columns.AppendJSONFloat(dst, w.float())
	case kindDouble:
		return columns.AppendJSONDouble(dst, w.double())
	case kindBytes:
		return columns.AppendJSONBytes(dst, w.bytes())
	case kindFixed:
		return columns.AppendJSONBytes(dst, w.take(int64(s.size)))
	case kindString:
		return mysqljson.AppendQuoted(dst, w.string())
	case kindEnum:
		return mysqljson.AppendQuoted(dst, w.symbol(s))
	case kindUUID:
		return append(appendUUID(append(dst, '"'), w.take(16)), '"')
	case kindDecimal:
		return columns.AppendJSONDecimal(dst, w.decimal(s), s.scale)
	case kindDate:
		if days := w.long(); columns.IsDate(days) {
			return columns.AppendJSONDate(dst, days)
		}
		w.fail(errRange)
		return dst
	case kindTimeMillis, kindTimeMicros:
		if micros := w.timeOfDay(s.kind); micros >= 0 && micros <= microsPerDay {
			return columns.AppendJSONTimeOfDay(dst, micros)
		}
		w.fail(errRange)
		return dst
	case kindMillis, kindMicros, kindNanos:
		if micros := w.moment(s.kind); columns.IsMoment(micros) {
			return columns.AppendJSONMoment(dst, micros)
		}
		w.fail(errRange)
		return dst
	case kindDuration:
		b := w.take(12)
		if b == nil {
			return dst
		}
		return fmt.Appendf(dst, `{"months":%d,"days":%d,"millis":%d}`,
			binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]))
	}
	if depth++; depth > maxDepth {
		w.fail(errDeep)
		return dst
	}
	switch s.kind {
	case kindUnion:
		if branch := w.branch(s); branch >= 0 {
			dst = w.appendJSON(dst, s.parts[branch], depth)
		}
	case kindRecord:
		dst = append(dst, '{')
		for i, part := range s.parts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = w.appendJSON(append(dst, s.members[i]...), part, depth)
			if w.err != nil {
				return dst
			}
		}
		dst = append(dst, '}')
	case kindArray:
		dst = append(w.appendItems(append(dst, '['), s, depth), ']')
	case kindMap:
		dst = append(w.appendItems(append(dst, '{'), s, depth), '}')
	}
	return dst
}

const microsPerDay = 86_400_000_000

func (w *walker) appendItems(dst []byte, s *shape, depth int) []byte {
	for first := true; ; {
		items := w.block()
		if items == 0 {
			return dst
		}
		for ; items > 0; items-- {
			start := w.pos
			if !first {
				dst = append(dst, ',')
			}
			first = false
			if s.kind == kindMap {
				dst = append(mysqljson.AppendQuoted(dst, w.string()), ':')
			}
			dst = w.appendJSON(dst, s.parts[0], depth)
			if w.item(start); w.err != nil {
				return dst
			}
		}
	}
}
