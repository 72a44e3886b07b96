package json

import (
	"bytes"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
)

// predictor is the fast decoder. It is a machine whose states are places in a
// record: "the value of member m of object o comes next" (slot). Between two
// values lie bytes that mostly repeat from record to record: separators,
// closing and opening braces, the next name. The predictor learns them as
// transitions from slot to slot, so that one comparison of words both checks
// the structure and finds the next column. Where no transition fits, it parses
// to the next value (step) and learns.
//
// A slot knows the objects that are open around it, so bytes that were parsed
// once after it mean the same whenever they come after it again.
//
// It gives up on a record, leaving it to the walker, when anything is wrong or
// rare: errors, duplicate members, escaped names, misfits.
type predictor struct {
	nodes   []*node
	lines   bool // a line break ends a record
	full    bool // everything is validated
	alone   bool // as walker.alone
	scratch *columns.Scratch
	frames  *framer

	text  bytesAt
	data  []byte
	limit int // the record ends here or before

	// Sets of nodes by id. Of the record: those that it has, and among them those
	// whose columns are NULL. Of all nodes: those with columns, and with NOT NULL
	// ones.
	present, nulls, wanted, notNull []uint64

	records int64 // decoded so far
	entered int   // objects that nobody wants, with nodes
	index   index
	// Of the spans: how many steps they have, and the record and place to which one
	// was made last.
	steps     int
	learned   int64
	learnedTo int
	end       *slot // where a complete record leads
	nowhere   slot  // where empty transitions lead
	unkept    transition
}

// op says how the value at a slot is decoded.
type op uint8

const (
	opGiveUp  op = iota // the zero slot, which empty transitions lead to
	opEnd               // the record is complete
	opSkip              // nobody wants the value
	opObject            // something within the object is wanted
	opBoth              // … and the object itself
	opInt64             // BIGINT
	opInt32             // INT
	opInteger           // other integers
	opBool
	opDecimal
	opFloat64
	opText // text that is a string's content
	opEnum
	opTimestamp // DATETIME, TIMESTAMP
	opDate
	opUnquote
	opValue // everything else
)

// slot is a place in a record where a value comes next.
type slot struct {
	op       op
	opens    bool // the state behind '{' of object in, not a value
	nullable bool // JSON null makes the columns NULL
	// Where the node is in the sets present and nulls; bit is 0 for what is no
	// node.
	present, nulls *uint64
	bit            uint64
	column         *column // the only one of node
	node           *node   // nil for members that nobody wants
	in             *node   // the object whose members come next

	hot    transition
	others []*transition
	misses int
	resets int
	since  int64 // the record in which misses began to be counted
	// quiet is the record until which nothing is learned, since no prediction
	// held.
	quiet int64

	span   *span // from here on; nil where there is none
	passes int   // how often the slot is passed before a span is looked for
	waited int   // how often it was before none was found
}

// transition is what lies between two values.
type transition struct {
	words, masks [3]uint64 // its first 24 bytes
	rest         []byte    // those beyond
	length       int
	to           *slot
	hits         int
}

const (
	maxOthers     = 3       // transitions of a slot beside the hot one
	maxTransition = 256     // bytes
	missWindow    = 64      // so many misses …
	missRecords   = 256     // … within so many records mean that predictions are useless
	maxResets     = 2       // how often a slot learns anew before it goes quiet
	quietRecords  = 1 << 16 // for how long
	maxUnknown    = 512     // members without a column that an object remembers
	maxEntered    = 64      // objects that nobody wants and that are walked as the others are …
	maxDepth      = 8       // … and how deep they nest
)

// shape is the part of a node with members, and of the root, that the fast path
// has learned.
type shape struct {
	inside  *slot // behind the object's '{'
	unknown *slot // a member that nobody wants and that is not remembered
	names   nameTable
	learned int     // members without a column in names
	slots   []*slot // those of the node's value, where its column has a cast
}

func (p *predictor) init(root *node, nodes []*node, c *connectors.DecoderConfig, s *columns.Scratch, f *framer) {
	p.nodes = nodes
	p.lines = c.Framing == connectors.FramingLines
	p.full = c.Validation == connectors.ValidationFull
	p.alone = p.lines && c.Validation == connectors.ValidationProjected
	p.scratch, p.frames = s, f
	words := len(nodes)/64 + 1
	for _, set := range []*[]uint64{&p.present, &p.nulls, &p.wanted, &p.notNull} {
		*set = make([]uint64, words)
	}
	p.nowhere.present = &p.present[0]
	p.end = p.newSlot(slot{op: opEnd})
	for _, n := range nodes {
		if len(n.members) > 0 || n == root {
			n.names.grow(64)
			n.inside = p.newSlot(slot{opens: true, in: n})
			n.unknown = p.newSlot(slot{op: opSkip, in: n})
		}
		for _, c := range n.columns {
			p.wanted[n.id>>6] |= 1 << (n.id & 63)
			if c.Field.Column.NotNull {
				p.notNull[n.id>>6] |= 1 << (n.id & 63)
			}
		}
	}
}

func (p *predictor) newSlot(s slot) *slot {
	id := 0
	if s.node != nil {
		id = s.node.id
		s.bit = 1 << (id & 63)
	}
	s.present, s.nulls = &p.present[id>>6], &p.nulls[id>>6]
	s.hot = p.nothing()
	s.passes = passesFirst
	return &s
}

// nothing is a transition that never leads on: it wants a zero byte and gives
// up.
func (p *predictor) nothing() transition {
	return transition{masks: [3]uint64{0xff}, to: &p.nowhere}
}

// valueSlot makes the slot for a member of an object, by whichever name it was
// found; n is nil for one that nobody wants.
func (p *predictor) valueSlot(in, n *node) *slot {
	s := slot{op: opSkip, in: in}
	if n != nil {
		s.node = n
		s.op = n.op()
		s.nullable = true
		for _, c := range n.columns {
			if c.Field.Mode != connectors.FieldColumn && len(c.Field.Path) > 1 {
				s.nullable = false
			}
		}
		if len(n.columns) == 1 {
			s.column = n.columns[0].taker()
		}
	}
	made := p.newSlot(s)
	if n != nil && s.column != nil && n.columns[0].cast != nil {
		n.slots = append(n.slots, made)
	}
	return made
}

// taker is the column that takes the values of the batch.
func (c *column) taker() *column {
	if c.Typed() {
		return c.cast
	}
	return c
}

// retype lets the slots of a node know whether its column is typed.
func (n *node) retype() {
	for _, s := range n.slots {
		s.op, s.column = n.op(), n.columns[0].taker()
	}
}

func (p *predictor) reset(data []byte) {
	p.data = data
	p.text = bytesAt{unsafeData(data)}
	p.index.reset()
}

// decode decodes the object at data[i] into a row; false when it gives up. The
// row is complete after finish.
func (p *predictor) decode(i, limit, row int) (end int, ok bool) {
	p.limit = limit
	p.records++
	for w := range p.present {
		p.present[w], p.nulls[w] = 0, 0
	}
	b := p.text
	alone := p.alone
	s := p.nodes[0].inside
	for {
		t := &s.hot
		if (b.word(i)^t.words[0])&t.masks[0]|(b.word(i+8)^t.words[1])&t.masks[1]|(b.word(i+16)^t.words[2])&t.masks[2] != 0 ||
			t.rest != nil && !p.matchesRest(t, i) {
			if t = p.step(s, i); t == nil {
				return 0, false
			}
		}
		// From here to the next check up to 40 bytes of a value are passed (or
		// more, checked) and 24 behind it compared: no more than the padding.
		if i += t.length; i > limit {
			return 0, false
		}
		s = t.to

	arrived:
		seen := *s.present
		if seen&s.bit != 0 {
			return 0, false // a duplicate
		}
		*s.present = seen | s.bit

	value:
		next := 0
		switch s.op {
		case opInt64:
			x := b.word(i)
			m := nonDigits(x)
			switch n := bits.TrailingZeros64(m) >> 3; {
			case leadingZero(x, m):
				next = p.integer(s.column, i, row)
			case uint(n-1) < 7:
				s.column.Int64s[row] = int64(columns.ParseDigits(x << ((64 - 8*n) & 63)))
				next = i + n
			case n == 8:
				y := b.word(i + 8)
				if n = bits.TrailingZeros64(nonDigits(y)) >> 3; n < 8 {
					s.column.Int64s[row] = int64(columns.ParseDigits(x)*powersOfTen[n] + columns.ParseDigits(y<<(64-8*n)))
					next = i + 8 + n
				} else {
					next = p.integer(s.column, i, row)
				}
			default:
				next = p.integer(s.column, i, row)
			}
		case opInt32:
			x := b.word(i)
			m := nonDigits(x)
			if n := bits.TrailingZeros64(m) >> 3; uint(n-1) < 7 && !leadingZero(x, m) {
				s.column.Int32s[row] = int32(columns.ParseDigits(x << ((64 - 8*n) & 63)))
				next = i + n
			} else {
				next = p.integer(s.column, i, row)
			}
		case opText:
			next = p.copyText(s.column, i, row)
		case opDecimal, opFloat64:
			// "digits.digits" within eight bytes, as nearly always; point and end are
			// where the lowest two bytes are that are no digits.
			x := b.word(i)
			m := columns.NonDigits(x)
			after := m & (m - 1)
			point, end := bits.TrailingZeros64(m)&^7, bits.TrailingZeros64(after)&^7
			fraction := (end - point) >> 3 // with the point
			if after == 0 || point == 0 || fraction < 2 || byte(x>>(point&63)) != '.' || byte(x>>(end&63))|0x20 == 'e' || leadingZero(x, m) {
				if s.op == opDecimal {
					next = p.decimal(s.column, i, row)
				} else {
					next = p.float64(s.column, i, row)
				}
				break
			}
			before := uint64(1)<<(point&63) - 1
			v := columns.ParseDigits((x&before | x>>8&^before) << ((72 - end) & 63))
			if c := s.column; s.op == opFloat64 {
				c.Float64s[row] = float64(v) / exactPowers[fraction-1]
				next = i + end>>3
			} else if up := c.Type.Scale - fraction + 1; uint(up) > 12 {
				next = p.decimal(c, i, row)
			} else if v *= powersOfTen[up]; v >= c.Bound {
				next = p.decimal(c, i, row)
			} else {
				c.Decimals[row] = decimal128.New(0, v)
				next = i + end>>3
			}
		case opTimestamp:
			next = p.timestamp(s.column, i, row)
		case opSkip:
			at, to := p.pass(s, i)
			if to != nil {
				if i, s = at, to; i > limit {
					return 0, false
				}
				goto arrived
			}
			next = at
		case opObject:
			if b.at(i) == '{' {
				s = s.node.inside
				continue
			}
			next = p.skip(s, i)
		case opInteger:
			next = p.integer(s.column, i, row)
		case opBool:
			// Which of the two comes is anybody's guess: no branch depends on it.
			x := b.word(i)
			if isTrue, isFalse := equal(x&(1<<32-1), wordTrue), equal(x&(1<<40-1), wordFalse); isTrue|isFalse != 0 {
				s.column.SetBit(row, byte(isTrue))
				next = i + 4 + int(isFalse)
			} else {
				next = p.integer(s.column, i, row)
			}
		case opDate:
			next = p.date(s.column, i, row)
		case opEnum:
			next = p.enum(s.column, i, row)
		case opUnquote:
			next = p.unquote(s.column, i, row)
		case opBoth:
			if b.at(i) == '{' {
				if p.value(s, i, row) == 0 {
					return 0, false
				}
				s = s.node.inside
				continue
			}
		case opEnd:
			return i, i <= limit
		case opGiveUp:
			return 0, false
		}
		if next == 0 {
			// What was learned without white space behind it may have some now.
			if isSpace(b.at(i)) {
				if i = p.space(i); i < 0 {
					return 0, false
				}
				goto value
			}
			if s.op <= opObject {
				return 0, false
			}
			if s.nullable && b.half(i) == wordNull {
				*s.nulls |= s.bit
				next = i + 4
			} else if next = p.value(s, i, row); next == 0 {
				return 0, false
			}
		}
		i = next
		if alone && s.bit != 0 && p.complete() {
			if end, ok := p.leaveLine(i); ok {
				return end, true
			}
			alone = false
		}
	}
}

const (
	wordNull  = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
	wordTrue  = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordFalse = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24 | 'e'<<32
)

// equal is 1 where x is y, else 0.
func equal(x, y uint64) uint64 { return ((x ^ y) - 1) &^ (x ^ y) >> 63 }

// complete reports whether all that is wanted was seen.
func (p *predictor) complete() bool {
	for w, want := range p.wanted {
		if want&^p.present[w] != 0 {
			return false
		}
	}
	return true
}

// leaveLine ends a record of which everything wanted lies before i.
func (p *predictor) leaveLine(i int) (end int, ok bool) {
	if i > p.limit {
		return 0, false
	}
	if hasAVX2 {
		if end = lineRestAVX2(p.text.base, i, p.limit); end >= 0 {
			p.frames.lineStop = end
			for end > i && isSpace(p.data[end-1]) {
				end--
			}
			return end, true
		}
	}
	return lineRest(p.data[:p.frames.lineEnd(i)], i)
}

// finish sets to NULL what the decoded record does not have. It reports false,
// having done nothing, when that is not allowed.
func (p *predictor) finish(row int) bool {
	var null, notNull uint64
	for w, want := range p.wanted {
		missing := want&^p.present[w] | want&p.nulls[w]
		null |= missing
		notNull |= missing & p.notNull[w]
	}
	if null == 0 || notNull != 0 {
		return notNull == 0
	}
	for w, want := range p.wanted {
		for missing := want&^p.present[w] | want&p.nulls[w]; missing != 0; missing &= missing - 1 {
			for _, c := range p.nodes[w<<6+bits.TrailingZeros64(missing)].columns {
				c.SetNull(row)
			}
		}
	}
	return true
}

func (t *transition) matches(b bytesAt, i int) bool {
	return (b.word(i)^t.words[0])&t.masks[0]|(b.word(i+8)^t.words[1])&t.masks[1]|(b.word(i+16)^t.words[2])&t.masks[2] == 0
}

// matchesRest compares what a transition has beyond 24 bytes.
func (p *predictor) matchesRest(t *transition, i int) bool {
	return i+t.length <= p.limit && string(p.data[i+24:i+t.length]) == string(t.rest)
}

// step finds the way on from a slot where the hot transition does not fit: by
// another that was learned, or by parsing. It returns nil to give up.
func (p *predictor) step(s *slot, i int) *transition {
	if p.records < s.quiet && p.text.half(i)&0xffff == commaQuote && !s.opens {
		at, to := p.parseName(s.in, i+1)
		if to == nil {
			return nil
		}
		p.unkept.length, p.unkept.to = at-i, to
		return &p.unkept
	}
	for k, t := range s.others {
		if t.matches(p.text, i) && (t.rest == nil || p.matchesRest(t, i)) {
			if t.hits++; t.hits < 8 {
				return t
			}
			t.hits, s.hot.hits = 0, 0
			hot := s.hot
			s.hot = *t
			*s.others[k] = hot
			return &s.hot
		}
	}
	at, to := p.parse(s, i)
	if to == nil {
		return nil
	}
	learn := p.records >= s.quiet && at-i <= maxTransition
	if s.misses++; s.misses >= missWindow {
		if p.records-s.since < missRecords && learn {
			s.hot, s.others = p.nothing(), nil
			if s.resets++; s.resets > maxResets {
				s.resets, s.quiet = 0, p.records+quietRecords
				learn = false
			}
		}
		s.misses, s.since = 0, p.records
	}
	t := &p.unkept
	switch {
	case !learn:
	case s.hot.length == 0:
		t = &s.hot
	case len(s.others) < maxOthers:
		t = &transition{}
		s.others = append(s.others, t)
	}
	t.length, t.to = at-i, to
	if t != &p.unkept {
		t.set(p.data[i:at])
	}
	return t
}

// set gives a transition its bytes.
func (t *transition) set(literal []byte) {
	var head [24]byte
	n := copy(head[:], literal)
	for w := range t.words {
		t.words[w], t.masks[w] = 0, 0
		for k := 0; k < 8 && w*8+k < n; k++ {
			t.words[w] |= uint64(head[w*8+k]) << (8 * k)
			t.masks[w] |= 0xff << (8 * k)
		}
	}
	t.rest = nil
	if len(literal) > len(head) {
		t.rest = bytes.Clone(literal[len(head):])
	}
}

const commaQuote = ',' | '"'<<8

// space passes white space; −1 where the record cannot go on.
func (p *predictor) space(i int) int {
	for ; i < p.limit; i++ {
		switch p.data[i] {
		case ' ', '\t', '\r':
		case '\n':
			if p.lines {
				return -1
			}
		default:
			return i
		}
	}
	return -1
}

// parse reads from behind the value of a slot to the next value, and returns
// where that begins and its slot; nil to give up.
func (p *predictor) parse(s *slot, i int) (at int, to *slot) {
	in := s.in
	if p.text.half(i)&0xffff == commaQuote && !s.opens {
		return p.parseName(in, i+1) // as nearly always
	}
	if s.opens {
		if i >= p.limit || p.data[i] != '{' {
			return 0, nil
		}
		if i = p.space(i + 1); i < 0 {
			return 0, nil
		}
		if p.data[i] == '"' {
			return p.parseName(in, i)
		}
		if p.data[i] != '}' {
			return 0, nil
		}
		i++
		if in = in.parent; in == nil {
			return i, p.end
		}
	}
	for {
		if i = p.space(i); i < 0 {
			return 0, nil
		}
		switch p.data[i] {
		case ',':
			if i = p.space(i + 1); i < 0 || p.data[i] != '"' {
				return 0, nil
			}
			return p.parseName(in, i)
		case '}':
			i++
			if in = in.parent; in == nil {
				return i, p.end
			}
		default:
			return 0, nil
		}
	}
}

// parseName reads the name at the quote data[i] and the colon behind it.
func (p *predictor) parseName(in *node, i int) (at int, to *slot) {
	start := i + 1
	b := p.text
	m, more := controlBytes(b.word(start)), controlBytes(b.word(start+8))
	n, beyond := bits.TrailingZeros64(m)>>3, 8+bits.TrailingZeros64(more)>>3
	if m == 0 {
		n = beyond
	}
	end := start + n
	for n == 16 {
		if end > p.limit {
			return 0, nil
		}
		m := controlBytes(b.word(end))
		if m != 0 {
			end += bits.TrailingZeros64(m) >> 3
			break
		}
		end += 8
	}
	if end >= p.limit || b.at(end) != '"' {
		return 0, nil
	}
	if p.full {
		if _, err := mysqljson.Scan(p.data[:p.limit], i); err != nil {
			return 0, nil
		}
	}
	if at = end + 2; b.at(end+1) != ':' || b.at(at) <= ' ' || at >= p.limit {
		if at = p.space(end + 1); at < 0 || p.data[at] != ':' {
			return 0, nil
		}
		if at = p.space(at + 1); at < 0 {
			return 0, nil
		}
	}
	if to = in.names.lookup(b, start, end-start); to == nil {
		to = p.learnName(in, string(p.data[start:end]))
	}
	return at, to
}

// learnName finds out what a member's name stands for and remembers it.
func (p *predictor) learnName(in *node, name string) *slot {
	n, _ := in.find(name)
	if n == nil {
		if in.learned >= maxUnknown {
			return in.unknown
		}
		in.learned++
	}
	s := p.valueSlot(in, n)
	in.names.add(name, s)
	return s
}

// pass passes the value of a slot, at i, which nobody wants: to behind it, 0 if
// something is wrong, or with those of its span to the value of another slot, to.
func (p *predictor) pass(s *slot, i int) (at int, to *slot) {
	if s.span != nil {
		if at, to = p.passSpan(s.span, i); to != nil {
			return at, to
		}
		p.wear(s)
	} else if s.passes--; s.passes < 0 {
		p.learnSpan(s, i)
	}
	if p.text.at(i) == '{' {
		p.enter(s)
	}
	return p.skip(s, i), nil
}

// enter lets the members of an object that nobody wants be walked like all others,
// from the next record on: their names repeat too.
func (p *predictor) enter(s *slot) {
	if p.full || p.entered >= maxEntered || s.in.depth >= maxDepth || s == s.in.unknown {
		return
	}
	p.entered++
	n := &node{parent: s.in, depth: s.in.depth + 1}
	n.names.grow(64)
	n.inside = p.newSlot(slot{opens: true, in: n})
	n.unknown = p.newSlot(slot{op: opSkip, in: n})
	s.op, s.node = opObject, n
}

// op is how the fast path decodes the values of a node.
func (n *node) op() op {
	switch {
	case len(n.elements) > 0:
		return opGiveUp
	case len(n.members) > 0 && len(n.columns) > 0:
		return opBoth
	case len(n.members) > 0:
		return opObject
	case len(n.columns) > 1:
		return opValue
	}
	return n.columns[0].op()
}
