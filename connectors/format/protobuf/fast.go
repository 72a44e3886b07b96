package protobuf

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatdb/leat/connectors/format/internal/columns"
)

// Encoders write fields in the order of their numbers, each field once, and most
// columns take their values as they are. Such messages are read by steps: one for
// each wanted field, of which the next one is tried first. What cannot be written
// before all of the message was seen (arrays, maps, messages as JSON, members of a
// oneof) is noted as the walk does. A message that is otherwise in any way is walked
// over from its beginning, and the walk alone says what is wrong.

// op is what a step does.
type op uint8

const (
	opScalar op = iota // converts the value
	opInner            // goes into the message
	opMoment           // a google.protobuf.Timestamp
	opInt
	opBool
	opEnum
	opDouble
	opText
	opRead // a string of what the column holds
)

// step takes the value of a field.
type step struct {
	*field
	op    op
	tag   uint16 // how the field begins, of width bytes (0: it has more than two)
	mask  uint16
	width int

	into   []int // columns
	column *columns.Builder
	text   bool
	inner  *fastNode
	unit   uint32   // ns that a timestamp has to be a multiple of
	names  [][]byte // of an enum's first numbers, with bytes behind them
}

// begins reports whether the bytes are the beginning of the step's field.
func (s *step) begins(b uint16) bool { return b&s.mask == s.tag && s.width > 0 }

// fastNode is a message of which something is wanted.
type fastNode struct {
	*node
	steps []step // by number
	at    []int  // by index of the field: its step, −1 where it has none
	rest  []*want
	nulls []bool // of the columns that no step sets; nil if all are set
}

// newFastNode compiles the steps of the root.
func newFastNode(root *node, into []*columns.Builder) *fastNode {
	n := newSteps(root, into, 0)
	n.nulls = make([]bool, len(into))
	for i := range n.nulls {
		n.nulls[i] = true
	}
	n.sets(func(c int) { n.nulls[c] = false })
	if !slices.Contains(n.nulls, true) {
		n.nulls = nil
	}
	return n
}

// sets calls f for the columns that steps set.
func (n *fastNode) sets(f func(column int)) {
	for i := range n.steps {
		if n.steps[i].inner != nil {
			n.steps[i].inner.sets(f)
		}
		for _, c := range n.steps[i].into {
			f(c)
		}
	}
}

// maxInner is how many messages within messages steps go into.
const maxInner = 8

func newSteps(root *node, into []*columns.Builder, depth int) *fastNode {
	n := &fastNode{node: root}
	for i, w := range root.wants {
		n.at = append(n.at, -1)
		if w == nil {
			continue
		}
		if s, ok := newStep(root, w, into, depth); ok {
			n.at[i] = len(n.steps)
			n.steps = append(n.steps, s)
		} else {
			n.rest = append(n.rest, w)
		}
	}
	return n
}

// enumNames is how many numbers of an enum have their names in a table.
const enumNames = 128

func newStep(n *node, w *want, into []*columns.Builder, depth int) (s step, ok bool) {
	shared := 0 // fields of its oneof; that of an optional field has no other
	for _, f := range n.fields {
		if w.oneof >= 0 && f.oneof == w.oneof {
			shared++
		}
	}
	if shared > 1 || w.repeated || len(w.below) > 0 || w.wire == protowire.StartGroupType {
		return s, false
	}
	s = step{field: w.field, into: w.columns, text: w.text}
	if begin := protowire.AppendTag(nil, w.number, w.wire); len(begin) <= 2 {
		s.width = len(begin)
		s.tag, s.mask = uint16(begin[0]), 0xff
		if s.width == 2 {
			s.tag, s.mask = binary.LittleEndian.Uint16(begin), 0xffff
		}
	}
	if w.message != nil {
		if w.inner != nil && !w.whole && depth < maxInner {
			s.op, s.inner = opInner, newSteps(w.inner, into, depth+1)
			return s, len(s.inner.rest) == 0
		}
		if w.message.meaning != meansTimestamp || len(w.columns) != 1 {
			return s, false
		}
		s.op, s.column = opMoment, into[w.columns[0]]
		s.unit = uint32(s.column.MomentUnit() * 1000)
		return s, s.unit > 0
	}
	if len(w.columns) != 1 {
		return s, true
	}
	s.column = into[w.columns[0]]
	switch w.kind {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		if s.column.DirectInt() {
			s.op = opInt
		}
	case protoreflect.BoolKind:
		if s.column.DirectBool() {
			s.op = opBool
		}
	case protoreflect.DoubleKind:
		if s.column.DirectDouble() {
			s.op = opDouble
		}
	case protoreflect.StringKind:
		if s.column.DirectText(!w.text) {
			s.op = opText
		} else if s.column.ReadsText() {
			s.op = opRead
		}
	case protoreflect.EnumKind:
		if s.column.DirectText(true) {
			s.op = opEnum
			for i := range int32(enumNames) {
				name := w.enum[i]
				if name != nil {
					name = append(make([]byte, 0, len(name)+columns.MostInterned), name...)
				}
				s.names = append(s.names, name)
			}
		}
	}
	return s, true
}

// fast sets the columns of a row from a message by steps. It reports false where
// that does not go.
func (w *walker) fast(n *fastNode, data []byte) bool {
	end := len(data)
	if cap(data) < end+columns.MostInterned {
		return false
	}
	w.err, w.class = nil, ""
	w.batch.BeginDirect(n.nulls)
	if len(n.rest) > 0 {
		n.reset(n.rest)
	}
	if !w.steps(n, data[:end+columns.MostInterned], 0, end, w.batch.Rows()) || w.class != "" {
		return false
	}
	if len(n.rest) > 0 {
		w.finish(n.node, n.rest)
	}
	if n.nulls != nil && w.err == nil && w.class == "" {
		w.class, w.message = w.batch.Missing()
	}
	return w.err == nil && w.class == ""
}

// steps takes a message, data[pos:end], behind which there are MostInterned bytes.
func (w *walker) steps(n *fastNode, data []byte, pos, end, row int) bool {
	at := 0 // the step that comes next
	for pos < end {
		s := (*step)(nil)
		begins := binary.LittleEndian.Uint16(data[pos:])
		if at < len(n.steps) && n.steps[at].begins(begins) {
			s = &n.steps[at]
		} else if at+1 < len(n.steps) && n.steps[at+1].begins(begins) {
			if !w.missing(&n.steps[at]) {
				return false
			}
			at++
			s = &n.steps[at]
		}
		if s == nil {
			number, wire, width := protowire.ConsumeTag(data[pos:end])
			if width < 0 {
				return false
			}
			index := n.find(number)
			if index < 0 || !n.fields[index].takes(wire) || n.at[index] < 0 {
				var o occurrence
				if width = w.next(n.message, data[pos:end], &o); width < 0 {
					return false
				}
				if pos += width; o.index >= 0 {
					if w.note(n.node, &o, 1); w.err != nil {
						return false
					}
				}
				continue
			}
			found := n.at[index]
			if found < at { // it came before
				return false
			}
			for ; at < found; at++ {
				if !w.missing(&n.steps[at]) {
					return false
				}
			}
			s = &n.steps[at]
			pos += width
		} else if pos += s.width; pos > end { // the message ends within the tag
			return false
		}
		at++
		var v uint64
		switch s.wire {
		case protowire.Fixed64Type:
			v = binary.LittleEndian.Uint64(data[pos:])
			pos += 8
		case protowire.Fixed32Type:
			v = uint64(binary.LittleEndian.Uint32(data[pos:]))
			pos += 4
		default:
			width := 0
			if v, width = columns.Uvarint(binary.LittleEndian.Uint64(data[pos:])); width == 0 {
				if v, width = protowire.ConsumeVarint(data[pos:end]); width < 0 {
					return false
				}
			}
			pos += width
		}
		if pos > end {
			return false
		}
		if s.wire == protowire.BytesType {
			if v > uint64(end-pos) {
				return false
			}
			to := pos + int(v)
			switch s.op {
			case opText:
				if !s.column.SetString(row, data[pos:], int(v)) {
					return false
				}
			case opRead:
				if !w.batch.ConvertDirect(s.into[0], data[pos:to:len(data)]) {
					return false
				}
			case opInner:
				if !w.steps(s.inner, data, pos, to, row) {
					return false
				}
			case opMoment:
				if !s.moment(data, pos, to, row) {
					micros, ok := w.timestamp(s.message, data[pos:to])
					if !ok || w.err != nil {
						return false
					}
					w.set(w.batch.SetMoment(s.into[0], micros))
				}
			default:
				o := occurrence{wire: s.wire, bytes: data[pos:to:len(data)]}
				if w.scalar(s.field, s.into, s.text, &o); w.err != nil {
					return false
				}
			}
			pos = to
			continue
		}
		switch s.op {
		case opInt:
			i := s.integer(v)
			if i < s.column.Low || i > s.column.High {
				return false
			}
			s.column.SetInt(row, i)
		case opBool:
			bit := byte(1)
			if v == 0 {
				bit = 0
			}
			s.column.SetBit(row, bit)
		case opDouble:
			if !s.column.SetDouble(row, math.Float64frombits(v)) {
				return false
			}
		case opEnum:
			number := uint64(uint32(v))
			if number >= enumNames || s.names[number] == nil || !s.column.SetString(row, s.names[number][:cap(s.names[number])], len(s.names[number])) {
				return false
			}
		default:
			o := occurrence{wire: s.wire, n: v}
			w.scalar(s.field, s.into, s.text, &o)
		}
	}
	for ; at < len(n.steps); at++ {
		if !w.missing(&n.steps[at]) {
			return false
		}
	}
	return true
}

// missing sets the columns of a field that the message does not have.
func (w *walker) missing(s *step) bool {
	switch {
	case s.inner != nil:
		for i := range s.inner.steps {
			inner := &s.inner.steps[i]
			if inner.inner != nil {
				if !w.missing(inner) {
					return false
				}
				continue
			}
			if !w.null(inner.into) {
				return false
			}
		}
		return true
	case s.presence:
		return w.null(s.into)
	}
	w.scalar(s.field, s.into, s.text, &occurrence{wire: s.wire})
	return w.class == ""
}

func (w *walker) null(into []int) bool {
	for _, c := range into {
		if !w.batch.NullDirect(c) {
			return false
		}
	}
	return true
}

// moment takes a google.protobuf.Timestamp, data[pos:end], as it is usually written:
// the seconds and then the nanoseconds, of which those that are 0 are left out.
func (s *step) moment(data []byte, pos, end, row int) bool {
	var seconds, nanos uint64
	n := 0
	if pos < end && data[pos] == 1<<3 {
		seconds, n = columns.Uvarint(binary.LittleEndian.Uint64(data[pos+1:]))
		if n == 0 {
			return false
		}
		pos += 1 + n
	}
	if pos < end && data[pos] == 2<<3 {
		nanos, n = columns.Uvarint(binary.LittleEndian.Uint64(data[pos+1:]))
		if n == 0 {
			return false
		}
		pos += 1 + n
	}
	if pos != end || seconds > lastSecond || nanos >= 1e9 || uint32(nanos)%s.unit != 0 {
		return false
	}
	s.column.Int64s[row] = int64(seconds)*1_000_000 + int64(uint32(nanos)/1000)
	return true
}
