package json

import (
	"bytes"
	"math/bits"
)

// span is a run of values that nobody wants, as it comes again and again in
// records of one shape: from the value of a slot over what lies between values
// (the hot transitions) to the first value that is something else. With the index
// the places of all of it are known at once.
//
// Passing a span checks all that the slots on its way check: each name and each
// separator, that strings end on their line, and that numbers and words are one
// of a kind. Where anything is different the slots have the word.
type span struct {
	steps []spanStep
	text  bool  // the first value is a string
	long  bool  // a step has a rest
	to    *slot // what comes behind the last step
	fails int   // more of them than of successes wear the span out
	// last is the special that the last step has, used how many lie before what
	// comes behind it, and reach the most that a step has before its special.
	last, used, reach int
}

// spanStep is a value and what follows it, up to the next value; where that is a
// string, its opening quote is compared too.
type spanStep struct {
	words, masks [4]uint64 // what follows, its first 32 bytes
	// What is compared begins back bytes before a special, which is named by its
	// number behind the span's beginning: of a string (back is 0) that is its closing
	// quote, and compared too; of a number or word (back is more) the next name's.
	// length leads from there to the next value.
	special, back, length int
	rest                  []byte // what follows, beyond 32 bytes
}

const (
	// A slot without a span looks for one when it was passed so often; from then on
	// it waits twice as long each time that there is none.
	passesFirst = 16
	passesNext  = 64
	passesMost  = 256
	minSpan     = 2       // steps
	maxSpan     = 64      // …
	maxSteps    = 4 << 10 // … of all spans together
	spanFail    = 4       // what failing once wears a span, and success mends by 1 …
	spanWorn    = 256
)

// passSpan passes the values of a span, of which the first is at i: to where the
// value of slot to begins. to is nil when this record is another; nothing has
// happened then.
func (p *predictor) passSpan(sp *span, i int) (at int, to *slot) {
	x := &p.index
	if p.records < x.idle || sp.text && p.text.at(i) != '"' {
		return 0, nil
	}
	if (i < x.from || i+indexReach > x.to && x.to < len(p.data)) && !x.build(p, i) {
		return 0, nil
	}
	c := x.cursor
	for x.positions[c] < uint32(i) {
		c++
	}
	x.cursor = c
	last := c + sp.last
	if last >= x.count || int(x.positions[last]) >= p.limit || i < sp.reach {
		return 0, nil
	}
	if sp.long || !hasAVX2 {
		at = passStepsGo(sp.steps, x.positions[c:], p.data, p.text, i)
	} else {
		at = passStepsAVX2(&sp.steps[0], len(sp.steps), &x.positions[c], p.text.base, i)
	}
	if at < 0 {
		return 0, nil
	}
	x.cursor = min(c+sp.used, x.count)
	x.passed += len(sp.steps)
	sp.fails -= min(sp.fails, 1)
	return at, sp.to
}

// wear counts that a record was another than the span of a slot is for. The slot
// learns another one when it often was.
func (p *predictor) wear(s *slot) {
	if p.records < p.index.idle {
		return
	}
	if s.span.fails += spanFail; s.span.fails > spanWorn {
		p.steps -= len(s.span.steps)
		s.span, s.passes = nil, passesFirst
	}
}

// passStepsGo passes the values of steps. The first begins at i, and positions
// with the first special at or behind it. It returns where the next value begins,
// or −1 when something is different.
func passStepsGo(steps []spanStep, positions []uint32, data []byte, b bytesAt, i int) (at int) {
	for k := range steps {
		t := &steps[k]
		at := int(positions[t.special]) - t.back
		if at < i || (b.word(at)^t.words[0])&t.masks[0]|(b.word(at+8)^t.words[1])&t.masks[1]|
			(b.word(at+16)^t.words[2])&t.masks[2]|(b.word(at+24)^t.words[3])&t.masks[3] != 0 ||
			t.back > 0 && !b.isScalar(i, at) || t.rest != nil && !bytes.HasPrefix(data[at+32:], t.rest) {
			return -1
		}
		i = at + t.length
	}
	return i
}

// isScalar reports whether the bytes from i to end, where something ends a number
// or word, are one.
func (b bytesAt) isScalar(i, end int) bool {
	for end-i > 8 {
		if scalarEnds(b.word(i)) != 0 {
			return false
		}
		i += 8
	}
	if end-i == 8 {
		return scalarEnds(b.word(i)) == 0
	}
	return i < end && bits.TrailingZeros64(scalarEnds(b.word(i)))>>3 == end-i
}

// learnSpan makes a span for a slot whose value begins at i, if the record goes on
// as the slots expect.
func (p *predictor) learnSpan(s *slot, i int) {
	s.passes = passesNext
	if !useSpans || p.full || p.records == p.learned && i < p.learnedTo {
		return
	}
	head, sp := s, &span{text: p.text.at(i) == '"'}
	for len(sp.steps) < maxSpan && p.steps+len(sp.steps) < maxSteps {
		t, advance, at, to := p.spanStep(s, i)
		if to == nil {
			break
		}
		t.special += sp.used
		sp.last, sp.reach = t.special, max(sp.reach, t.back)
		sp.used += advance
		sp.steps = append(sp.steps, t)
		sp.long = sp.long || t.rest != nil
		s, i, sp.to = to, at, to
		if !s.passed() {
			break
		}
	}
	if len(sp.steps) < minSpan {
		head.waited = min(2*head.waited+passesNext, passesMost)
		head.passes = head.waited
		return
	}
	head.span, head.waited = sp, 0
	p.steps += len(sp.steps)
	p.learned, p.learnedTo = p.records, i
}

// passed reports whether nobody wants anything of the slot's value.
func (s *slot) passed() bool {
	return s.op == opSkip || s.op == opObject && s.node.depth > 0
}

// spanStep makes the step from the value of a slot, at i, to the next one, with
// its special as if it were the first; advance specials lie between the two. to is
// nil where there is no such step.
func (p *predictor) spanStep(s *slot, i int) (t spanStep, advance, at int, to *slot) {
	first := p.text.at(i)
	if first == '{' || first == '[' {
		return t, 0, 0, nil
	}
	end := p.skip(s, i)
	if end == 0 {
		return t, 0, 0, nil
	}
	at, to = p.follow(&s.hot, end)
	for to != nil && to.op == opObject && to.node.depth > 0 && p.text.at(at) == '{' {
		at, to = p.follow(&to.node.inside.hot, at)
	}
	if to == nil || at-end > maxTransition {
		return t, 0, 0, nil
	}
	between := p.data[end:at]
	quotes := bytes.Count(between, []byte{'"'})
	if bytes.IndexByte(between, '\\') >= 0 || bytes.IndexByte(between, '\n') >= 0 {
		return t, 0, 0, nil
	}
	t.length = len(between)
	switch {
	case first == '"':
		t.special, t.length, advance = 1, t.length+1, 2+quotes
		between = p.data[end-1 : at]
	case quotes > 0:
		t.back, advance = bytes.IndexByte(between, '"'), quotes
	case to == p.end && at < p.limit && p.data[at] == '\n':
		t.back = len(between)
	default:
		return t, 0, 0, nil
	}
	if to.passed() && p.text.at(at) == '"' {
		between = p.data[at-len(between) : at+1]
	}
	for k, c := range between[:min(len(between), 32)] {
		t.words[k>>3] |= uint64(c) << (8 * (k & 7))
		t.masks[k>>3] |= 0xff << (8 * (k & 7))
	}
	if len(between) > 32 {
		t.rest = bytes.Clone(between[32:])
	}
	return t, advance, at, to
}

// follow is where the hot transition leads to from i; to is nil where it does not
// fit.
func (p *predictor) follow(t *transition, i int) (at int, to *slot) {
	if t.length == 0 || i+t.length > p.limit || !t.matches(p.text, i) || t.rest != nil && !p.matchesRest(t, i) {
		return 0, nil
	}
	return i + t.length, t.to
}
