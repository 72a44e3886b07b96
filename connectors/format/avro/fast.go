package avro

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
)

// Most records have nothing but values that their columns take as they are. For
// those the plan is also compiled to a list of steps, of which each takes the
// value that comes next. A record of which any step does not take its value is
// walked over from its beginning, which alone says what is wrong.

// op is what a step does.
type op uint8

const (
	opWalk   op = iota // walks over the value, as node says
	opSkip             // skips the value, as shape says
	opNumber           // skips a number
	opBytes            // skips bytes with a length
	opFixed            // skips size bytes
	opNull             // goes on if the value is of branch; of the other it is null, and the steps up to next are left out
	opInt
	opDouble
	opBool
	opText
	opRead // a string of what the column holds
	opDecimal
	opMoment
	opDate
)

// step takes a value.
type step struct {
	op     op
	column *columns.Builder
	index  int // of column
	shape  *shape
	node   *node
	depth  int // how deep the value lies, for opWalk and opSkip

	size   int
	branch int64
	next   int
	factor int64 // a number is multiplied by it
	below  int64 // if it is less than that
}

// fastPlan is the steps of a record.
type fastPlan struct {
	steps []step
	nulls []bool // columns that are NULL before the first step; nil if none is
}

// newFastPlan compiles a plan for columns; nil if no record can be of nothing but
// what the steps take.
func newFastPlan(root *node, into []*columns.Builder) *fastPlan {
	if root.kind != kindRecord || len(root.columns) > 0 || len(root.below) > 0 {
		return nil
	}
	p := &fastPlan{nulls: make([]bool, len(into))}
	for i := range p.nulls {
		p.nulls[i] = true
	}
	p.record(root, into, 0)
	if !slices.Contains(p.nulls, true) {
		p.nulls = nil
	}
	return p
}

// maxInner is how many records within records become steps of one list.
const maxInner = 8

func (p *fastPlan) record(n *node, into []*columns.Builder, depth int) {
	for i, part := range n.shape.parts {
		if n.inner && n.parts[i] != nil {
			p.value(n.parts[i], into, depth)
		} else {
			p.skip(part, depth+1)
		}
	}
}

func (p *fastPlan) skip(s *shape, depth int) {
	t := step{op: opSkip, shape: s, depth: depth}
	switch s.kind {
	case kindInt, kindDate, kindTimeMillis, kindTimeMicros, kindMillis, kindMicros, kindNanos, kindEnum:
		t.op = opNumber
	case kindBool:
		t.op, t.size = opFixed, 1
	case kindFloat:
		t.op, t.size = opFixed, 4
	case kindDouble:
		t.op, t.size = opFixed, 8
	case kindFixed, kindUUID, kindDuration:
		t.op, t.size = opFixed, s.size
	case kindBytes, kindString:
		t.op = opBytes
	}
	if n := len(p.steps); t.op == opFixed && n > 0 && p.steps[n-1].op == opFixed {
		p.steps[n-1].size += t.size
		return
	}
	p.steps = append(p.steps, t)
}

// value adds the steps of a value of which something is wanted.
func (p *fastPlan) value(n *node, into []*columns.Builder, depth int) {
	switch {
	case n.kind == kindRecord && len(n.columns) == 0 && len(n.below) == 0 && n.inner && depth < maxInner:
		p.record(n, into, depth+1)
		return
	case n.kind == kindUnion && n.simple:
		branch := 0
		if n.parts[0] == nil || n.parts[0].kind == kindNull {
			branch = 1
		}
		if t, ok := direct(n.parts[branch], into); ok {
			p.nulls[t.index] = false
			at := len(p.steps) + 2
			p.steps = append(p.steps, step{op: opNull, column: t.column, index: t.index, branch: int64(branch), next: at}, t)
			return
		}
	default:
		if t, ok := direct(n, into); ok {
			p.nulls[t.index] = false
			p.steps = append(p.steps, t)
			return
		}
	}
	p.steps = append(p.steps, step{op: opWalk, node: n, depth: depth + 1})
}

// direct is the step that writes the value of a node to its column, if there is
// one that needs no conversion.
func direct(n *node, into []*columns.Builder) (t step, ok bool) {
	if n == nil || len(n.columns) != 1 || len(n.below) > 0 {
		return t, false
	}
	c := into[n.columns[0]]
	t = step{column: c, index: n.columns[0], factor: 1, below: math.MaxInt64}
	switch n.kind {
	case kindInt:
		t.op, ok = opInt, c.DirectInt()
	case kindDouble:
		t.op, ok = opDouble, c.DirectDouble()
	case kindBool:
		t.op, ok = opBool, c.DirectBool()
	case kindString:
		if t.op, ok = opText, c.DirectText(!n.text); !ok {
			t.op, ok = opRead, c.ReadsText()
		}
	case kindDecimal:
		t.op, t.size = opDecimal, n.size
		t.factor, t.below, ok = c.DirectDecimal(n.scale)
	case kindMillis:
		t.op, t.factor, t.below, ok = opMoment, 1000, math.MaxInt64/1000, c.MomentUnit() > 0 && c.MomentUnit() <= 1000
	case kindMicros:
		t.op, ok = opMoment, c.MomentUnit() == 1
	case kindDate:
		t.op, ok = opDate, c.DirectDate()
	}
	return t, ok
}

// slack is how many bytes behind a value may be read along with it.
const slack = columns.MostInterned

// fast takes a record at w.pos as the steps say. It reports false where that does
// not go, and the record has to be walked over from its beginning.
func (w *walker) fast(p *fastPlan) bool {
	w.err, w.class, w.items = nil, "", freeItems
	w.batch.BeginDirect(p.nulls)
	row, pos, end := w.batch.Rows(), w.pos, len(w.data)
	data := w.data[:min(cap(w.data), end+slack)]
	for i := 0; i < len(p.steps); i++ {
		s := &p.steps[i]
		switch s.op {
		case opWalk, opSkip:
			w.pos = pos
			if s.op == opWalk {
				w.node(s.node, s.depth)
			} else {
				w.skip(s.shape, s.depth)
			}
			if w.err != nil || w.class != "" {
				return false
			}
			pos = w.pos
			continue
		case opFixed:
			if pos += s.size; pos > end {
				return false
			}
			continue
		case opDouble:
			if pos+8 > end || !s.column.SetDouble(row, math.Float64frombits(binary.LittleEndian.Uint64(data[pos:]))) {
				return false
			}
			pos += 8
			continue
		case opBool:
			if pos >= end || data[pos] > 1 {
				return false
			}
			s.column.SetBit(row, data[pos])
			pos++
			continue
		}
		n := s.size
		if s.op != opDecimal || n == 0 { // a number comes next
			if pos+8 > len(data) {
				return false
			}
			u, width := columns.Uvarint(binary.LittleEndian.Uint64(data[pos:]))
			pos += width
			v := int64(u>>1) ^ -int64(u&1)
			if width == 0 || pos > end {
				return false
			}
			switch s.op {
			case opInt:
				if v < s.column.Low || v > s.column.High {
					return false
				}
				s.column.SetInt(row, v)
				continue
			case opMoment:
				if v >= s.below || v <= -s.below || !columns.IsMoment(v*s.factor) {
					return false
				}
				s.column.Int64s[row] = v * s.factor
				continue
			case opDate:
				if !columns.IsDate(v) {
					return false
				}
				s.column.Int32s[row] = int32(v)
				continue
			case opNull:
				if v == s.branch {
					continue
				}
				if v != 1-s.branch {
					return false
				}
				if s.column.Field.Mode == connectors.FieldUnquote { // the text of JSON's null
					if s.column.SetText(row, jsonNull) != nil {
						return false
					}
				} else if !w.batch.NullDirect(s.index) {
					return false
				}
				i = s.next - 1
				continue
			case opNumber:
				continue
			}
			if v < 0 || v > int64(end-pos) {
				return false
			}
			n = int(v)
		}
		switch s.op {
		case opText:
			if pos+n+slack > len(data) || !s.column.SetString(row, data[pos:], n) {
				return false
			}
		case opRead:
			if !w.batch.ConvertDirect(s.index, data[pos:pos+n]) {
				return false
			}
		case opDecimal:
			if n > 8 || n > end-pos || pos+8 > len(data) {
				return false
			}
			v := int64(0)
			if n > 0 {
				v = int64(binary.BigEndian.Uint64(data[pos:])) >> (64 - 8*n)
			}
			if v >= s.below || v <= -s.below {
				return false
			}
			s.column.SetDecimal64(row, v*s.factor)
		}
		pos += n
	}
	if p.nulls != nil {
		if class, _ := w.batch.Missing(); class != "" {
			return false
		}
	}
	w.pos = pos
	return true
}
