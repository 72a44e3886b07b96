package protobuf

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
)

var (
	errUTF8  = errors.New("a string is not valid UTF-8")
	errDeep  = errors.New("the message is nested more than 100 levels deep")
	errRange = errors.New("a google.protobuf.Timestamp is beyond the years 1 to 9999")
)

// maxDepth is how deep messages may be nested: MySQL's bound for JSON, and that
// of most Protobuf libraries.
const maxDepth = 100

// occurrence is a field's value as it was found.
type occurrence struct {
	index int // in message.fields
	wire  protowire.Type
	n     uint64 // of numbers
	bytes []byte // of all others
}

// walker walks over the fields of a message. The first error stays.
type walker struct {
	err error
	// generic turns the fast path off, for tests and comparisons.
	generic bool
	batch   *columns.Batch
	class   connectors.ErrorClass // why the record is rejected, though it can be read
	message string

	json  []byte
	found []occurrence // of the messages that are being written as JSON
	last  []int        // by oneof of them
}

// record sets the columns of a row from a message, behind which there are
// connectors.Padding readable bytes.
func (w *walker) record(p *plan, data []byte) {
	if w.generic || !w.fast(p.fast, data) {
		w.walk(p.root, data)
	}
}

// walk walks over a message and sets the columns of its row.
func (w *walker) walk(n *node, data []byte) {
	w.err, w.class = nil, ""
	w.batch.BeginRow()
	n.reset(n.wanted)
	w.fields(n, data, 0)
	if w.err == nil {
		w.finish(n, n.wanted)
	}
	if w.err == nil && w.class == "" {
		w.class, w.message = w.batch.Missing()
	}
}

// reset forgets what was found of some of the wanted fields.
func (n *node) reset(wants []*want) {
	for _, f := range wants {
		f.seen, f.parts = false, f.parts[:0]
		if f.inner != nil {
			f.inner.reset(f.inner.wanted)
		}
	}
	if n.oneofs {
		clear(n.last)
	}
}

func (w *walker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// set notes that a value does not fit its column.
func (w *walker) set(class connectors.ErrorClass, message string) {
	if class != "" && w.class == "" {
		w.class, w.message = class, message
	}
}

// next reads the field at the beginning of data into o, whose index is −1 where
// the field is not one of m; n is its length, and negative after an error.
func (w *walker) next(m *message, data []byte, o *occurrence) (n int) {
	number, wire, n := protowire.ConsumeTag(data)
	if n < 0 {
		w.fail(protowire.ParseError(n))
		return n
	}
	o.index, o.wire, o.n, o.bytes = m.find(number), wire, 0, nil
	if o.index >= 0 && !m.fields[o.index].takes(wire) {
		o.index = -1
	}
	length := 0
	switch wire {
	case protowire.VarintType:
		o.n, length = protowire.ConsumeVarint(data[n:])
	case protowire.Fixed32Type:
		var v uint32
		v, length = protowire.ConsumeFixed32(data[n:])
		o.n = uint64(v)
	case protowire.Fixed64Type:
		o.n, length = protowire.ConsumeFixed64(data[n:])
	case protowire.BytesType:
		o.bytes, length = protowire.ConsumeBytes(data[n:])
	case protowire.StartGroupType:
		if o.index < 0 {
			length = protowire.ConsumeFieldValue(number, wire, data[n:])
		} else {
			o.bytes, length = protowire.ConsumeGroup(number, data[n:])
		}
	default:
		length = protowire.ConsumeFieldValue(number, wire, data[n:])
	}
	if length < 0 {
		w.fail(protowire.ParseError(length))
		return length
	}
	return n + length
}

// fields walks over a message's fields and notes what is wanted of them.
func (w *walker) fields(n *node, data []byte, depth int) {
	if depth++; depth > maxDepth {
		w.fail(errDeep)
		return
	}
	var o occurrence
	for len(data) > 0 {
		length := w.next(n.message, data, &o)
		if length < 0 {
			return
		}
		data = data[length:]
		if o.index < 0 {
			continue
		}
		if w.note(n, &o, depth); w.err != nil {
			return
		}
	}
}

// note keeps what is wanted of a field that was found.
func (w *walker) note(n *node, o *occurrence, depth int) {
	if f := n.fields[o.index]; n.oneofs && f.oneof >= 0 {
		n.last[f.oneof] = o.index + 1
	}
	want := n.wants[o.index]
	if want == nil {
		return
	}
	want.seen = true
	if want.inner != nil {
		if w.fields(want.inner, o.bytes, depth); w.err != nil {
			return
		}
	}
	switch {
	case want.whole:
		want.parts = append(want.parts, *o)
	case want.inner == nil:
		want.last = *o // of several the last one counts
	}
}

// finish sets the columns of wanted fields when all of the message was seen.
func (w *walker) finish(n *node, wants []*want) {
	for _, f := range wants {
		if f.seen && f.oneof >= 0 && n.last[f.oneof] != f.index+1 {
			continue // another field of its oneof came behind it
		}
		switch {
		case !f.seen && (f.presence || f.inner != nil):
			continue
		case !f.seen && !f.repeated:
			f.last = occurrence{index: f.index, wire: f.wire}
			f.parts = append(f.parts, f.last)
		case f.seen && f.inner != nil:
			w.finish(f.inner, f.inner.wanted)
		}
		switch {
		case f.whole:
			w.whole(f)
		case f.inner == nil:
			w.scalar(f.field, f.columns, f.text, &f.last)
		}
		if w.err != nil {
			return
		}
	}
}

// whole sets the columns of a field from all that was found of it.
func (w *walker) whole(f *want) {
	if !f.repeated && len(f.parts) > 0 && len(f.columns) > 0 && (f.message == nil || f.message.meaning == meansTimestamp || f.message.meaning == meansDuration || f.message.meaning == meansWrapped) {
		w.single(f)
		if len(f.below) == 0 {
			return
		}
	} else if len(f.columns) > 0 {
		w.json = w.appendField(w.json[:0], f.field, f.parts, 1)
		if w.err != nil {
			return
		}
		for _, c := range f.columns {
			w.set(w.batch.SetJSON(c, w.json))
		}
	}
	if len(f.below) == 0 {
		return
	}
	w.json = w.appendField(w.json[:0], f.field, f.parts, 1)
	if w.err != nil {
		return
	}
	for _, b := range f.below {
		w.set(w.batch.SetBelow(b, w.json))
	}
}

// single sets the columns of a value that is no array and no object.
func (w *walker) single(f *want) {
	o := f.parts[len(f.parts)-1]
	if f.message == nil {
		w.scalar(f.field, f.columns, f.text, &o)
		return
	}
	data := w.merge(f.parts)
	switch f.message.meaning {
	case meansTimestamp:
		micros, ok := w.timestamp(f.message, data)
		if !ok {
			micros = math.MaxInt64 // which no column takes
		}
		for _, c := range f.columns {
			w.set(w.batch.SetMoment(c, micros))
		}
	case meansDuration:
		seconds := w.duration(f.message, data)
		for _, c := range f.columns {
			w.set(w.batch.SetDecimal(c, seconds, 9))
		}
	default:
		inner := f.message.fields[0]
		o = w.field(f.message, data, 0)
		w.scalar(inner, f.columns, f.text, &o)
	}
}

// merge is the encoding of what several occurrences of a message are together:
// one after the other.
func (w *walker) merge(parts []occurrence) []byte {
	if len(parts) == 1 {
		return parts[0].bytes
	}
	var all []byte // rare: it is not what encoders write
	for _, p := range parts {
		all = append(all, p.bytes...)
	}
	return all
}

// field is the last occurrence of a field in a message, its default if there is
// none.
func (w *walker) field(m *message, data []byte, index int) occurrence {
	out := occurrence{index: index, wire: m.fields[index].wire}
	var o occurrence
	for len(data) > 0 {
		n := w.next(m, data, &o)
		if n < 0 {
			return out
		}
		if data = data[n:]; o.index == index {
			out = o
		}
	}
	return out
}

// timestamp is µs since 1970; false beyond the years 1 to 9999.
func (w *walker) timestamp(m *message, data []byte) (micros int64, ok bool) {
	seconds, nanos := w.secondsAndNanos(m, data)
	if seconds < firstSecond || seconds > lastSecond {
		return 0, false
	}
	extra := nanos / 1000
	if nanos%1000 < 0 {
		extra--
	}
	micros = seconds*1_000_000 + extra
	return micros, micros >= firstSecond*1_000_000 && micros < (lastSecond+1)*1_000_000
}

const (
	firstSecond = -62135596800 // 0001-01-01 00:00:00
	lastSecond  = 253402300799 // 9999-12-31 23:59:59
)

// duration is the seconds with nine digits behind the point.
func (w *walker) duration(m *message, data []byte) decimal128.Num {
	seconds, nanos := w.secondsAndNanos(m, data)
	return decimal128.FromI64(seconds).Mul(decimal128.FromI64(1_000_000_000)).Add(decimal128.FromI64(nanos))
}

func (w *walker) secondsAndNanos(m *message, data []byte) (seconds, nanos int64) {
	s, n := w.field(m, data, m.find(1)), w.field(m, data, m.find(2))
	return int64(s.n), int64(int32(n.n))
}

// scalar sets columns from a value.
func (w *walker) scalar(f *field, into []int, text bool, o *occurrence) {
	b := w.batch
	switch f.kind {
	case protoreflect.BoolKind:
		for _, c := range into {
			w.set(b.SetBool(c, o.n != 0))
		}
	case protoreflect.EnumKind:
		if name := f.enum[int32(o.n)]; name != nil {
			for _, c := range into {
				w.set(b.SetString(c, name))
			}
			return
		}
		for _, c := range into {
			w.set(b.SetInt(c, int64(int32(o.n))))
		}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		for _, c := range into {
			w.set(b.SetUint(c, o.n))
		}
	case protoreflect.FloatKind:
		for _, c := range into {
			w.set(b.SetFloat(c, math.Float32frombits(uint32(o.n))))
		}
	case protoreflect.DoubleKind:
		for _, c := range into {
			w.set(b.SetDouble(c, math.Float64frombits(o.n)))
		}
	case protoreflect.StringKind:
		if !utf8.Valid(o.bytes) {
			w.fail(errUTF8)
			return
		}
		for _, c := range into {
			if text {
				w.set(b.SetText(c, o.bytes))
			} else {
				w.set(b.SetString(c, o.bytes))
			}
		}
	case protoreflect.BytesKind:
		for _, c := range into {
			w.set(b.SetBytes(c, o.bytes))
		}
	default:
		for _, c := range into {
			w.set(b.SetInt(c, f.integer(o.n)))
		}
	}
}

// integer is the value of a whole number that fits 64 bits with a sign.
func (f *field) integer(n uint64) int64 {
	switch f.kind {
	case protoreflect.Sint32Kind:
		return int64(int32(protowire.DecodeZigZag(n & math.MaxUint32)))
	case protoreflect.Sint64Kind:
		return protowire.DecodeZigZag(n)
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind:
		return int64(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return int64(uint32(n))
	}
	return int64(n)
}

// appendField appends what was found of a field as JSON; of one that is not
// repeated there is at least one part.
func (w *walker) appendField(dst []byte, f *field, parts []occurrence, depth int) []byte {
	switch {
	case f.key != nil:
		dst = append(dst, '{')
		for i, p := range parts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = w.appendEntry(dst, f, p.bytes, depth)
		}
		return append(dst, '}')
	case f.repeated:
		dst = append(dst, '[')
		start := len(dst)
		for _, p := range parts {
			dst = w.appendItems(dst, start, f, p, depth)
		}
		return append(dst, ']')
	case f.message != nil:
		return w.appendMessage(dst, f.message, w.merge(parts), depth)
	}
	return w.appendScalar(dst, f, &parts[len(parts)-1])
}

// appendItems appends an element of a repeated field, or several that are packed;
// start is where the first one of the field is.
func (w *walker) appendItems(dst []byte, start int, f *field, o occurrence, depth int) []byte {
	comma := func() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
	}
	if o.wire == f.wire {
		comma()
		if f.message != nil {
			return w.appendMessage(dst, f.message, o.bytes, depth)
		}
		return w.appendScalar(dst, f, &o)
	}
	for packed := o.bytes; len(packed) > 0 && w.err == nil; {
		item := occurrence{wire: f.wire}
		n := 0
		switch f.wire {
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(packed)
			item.n = uint64(v)
		case protowire.Fixed64Type:
			item.n, n = protowire.ConsumeFixed64(packed)
		default:
			item.n, n = protowire.ConsumeVarint(packed)
		}
		if n < 0 {
			w.fail(protowire.ParseError(n))
			return dst
		}
		packed = packed[n:]
		comma()
		dst = w.appendScalar(dst, f, &item)
	}
	return dst
}

// appendEntry appends a member of a map.
func (w *walker) appendEntry(dst []byte, f *field, data []byte, depth int) []byte {
	key, value := occurrence{wire: f.key.wire}, occurrence{wire: f.value.wire}
	entry := message{fields: []*field{f.key, f.value}}
	var values []occurrence
	var o occurrence
	for len(data) > 0 {
		n := w.next(&entry, data, &o)
		if n < 0 {
			return dst
		}
		switch data = data[n:]; o.index {
		case 0:
			key = o
		case 1:
			values = append(values, o)
		}
	}
	if values == nil {
		values = append(values, value)
	}
	if f.key.kind == protoreflect.StringKind {
		dst = w.appendScalar(dst, f.key, &key)
	} else {
		dst = append(w.appendScalar(append(dst, '"'), f.key, &key), '"')
	}
	return w.appendField(append(dst, ':'), f.value, values, depth)
}

func (w *walker) appendScalar(dst []byte, f *field, o *occurrence) []byte {
	switch f.kind {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, o.n != 0)
	case protoreflect.EnumKind:
		if name := f.enum[int32(o.n)]; name != nil {
			return mysqljson.AppendQuoted(dst, name)
		}
		return strconv.AppendInt(dst, int64(int32(o.n)), 10)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(dst, o.n, 10)
	case protoreflect.FloatKind:
		return columns.AppendJSONFloat(dst, math.Float32frombits(uint32(o.n)))
	case protoreflect.DoubleKind:
		return columns.AppendJSONDouble(dst, math.Float64frombits(o.n))
	case protoreflect.StringKind:
		if !utf8.Valid(o.bytes) {
			w.fail(errUTF8)
			return dst
		}
		return mysqljson.AppendQuoted(dst, o.bytes)
	case protoreflect.BytesKind:
		return columns.AppendJSONBytes(dst, o.bytes)
	}
	return strconv.AppendInt(dst, f.integer(o.n), 10)
}

// appendMessage appends a message as JSON: its fields in the order of their
// numbers.
func (w *walker) appendMessage(dst []byte, m *message, data []byte, depth int) []byte {
	if depth++; depth > maxDepth {
		w.fail(errDeep)
		return dst
	}
	switch m.meaning {
	case meansTimestamp:
		micros, ok := w.timestamp(m, data)
		if !ok {
			w.fail(errRange)
			return dst
		}
		return columns.AppendJSONMoment(dst, micros)
	case meansDuration:
		return columns.AppendJSONDecimal(dst, w.duration(m, data), 9)
	case meansWrapped:
		o := w.field(m, data, 0)
		return w.appendScalar(dst, m.fields[0], &o)
	}
	begin, oneofs := len(w.found), len(w.last)
	defer func() { w.found, w.last = w.found[:begin], w.last[:oneofs] }()
	sorted := true
	for len(data) > 0 {
		var o occurrence
		n := w.next(m, data, &o)
		if n < 0 {
			return dst
		}
		if data = data[n:]; o.index < 0 {
			continue
		}
		sorted = sorted && (len(w.found) == begin || w.found[len(w.found)-1].index <= o.index)
		w.found = append(w.found, o)
		if at := m.fields[o.index].oneof; at >= 0 {
			for len(w.last) <= oneofs+at {
				w.last = append(w.last, -1)
			}
			w.last[oneofs+at] = o.index
		}
	}
	if !sorted {
		slices.SortStableFunc(w.found[begin:], func(a, b occurrence) int { return cmp.Compare(a.index, b.index) })
	}
	at, end := begin, len(w.found)
	switch m.meaning {
	case meansStruct, meansList:
		// Their only field is what they are.
		return w.appendField(dst, m.fields[0], w.found[begin:end:end], depth)
	case meansValue:
		return w.appendValue(dst, m, begin, end, oneofs, depth)
	}
	dst = append(dst, '{')
	first := true
	for i, f := range m.fields {
		from := at
		for at < end && w.found[at].index == i {
			at++
		}
		parts := w.found[from:at:at]
		switch {
		case f.oneof >= 0 && len(parts) > 0 && w.last[oneofs+f.oneof] != i:
			continue
		case len(parts) == 0 && f.presence:
			continue
		case len(parts) == 0 && !f.repeated:
			parts = []occurrence{{wire: f.wire}}
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if dst = w.appendField(append(dst, f.member...), f, parts, depth); w.err != nil {
			return dst
		}
	}
	return append(dst, '}')
}

// appendValue appends a google.protobuf.Value, which is of one kind at a time.
func (w *walker) appendValue(dst []byte, m *message, begin, end, oneofs, depth int) []byte {
	if len(w.last) > oneofs {
		for i := end - 1; i >= begin; i-- {
			o := w.found[i]
			f := m.fields[o.index]
			if o.index == w.last[oneofs] && f.number != 1 {
				return w.appendField(dst, f, []occurrence{o}, depth)
			}
		}
	}
	return append(dst, "null"...)
}
