package mysqljson

// Lookup finds the value at a path without wildcards. The result is the part of
// doc that is the value, exactly. A leg [0] or [last] on a value that is no
// array gives the value itself, as in MySQL.
//
// doc should be valid JSON: only as much of its structure is checked as the
// search walks over, and the error, a *SyntaxError, tells when that is broken.
func Lookup(doc []byte, p Path) (value []byte, found bool, err error) {
	start := skipSpace(doc, 0)
	end := -1 // where the value ends, once that is known
	for i := range p.legs {
		leg := &p.legs[i]
		if start >= len(doc) {
			return nil, false, syntaxError(start, "expected a value, found the end of the text")
		}
		switch {
		case leg.Kind == LegMember && doc[start] == '{':
			start, end, found, err = findMember(doc, start, leg.Name)
		case leg.Kind == LegElement && doc[start] == '[':
			start, end, found, err = findElement(doc, start, leg.From)
		case leg.wraps():
			found = true
		default:
			return nil, false, nil
		}
		if err != nil || !found {
			return nil, false, err
		}
	}
	if end < 0 {
		if end, err = Skip(doc, start); err != nil {
			return nil, false, err
		}
	}
	return doc[start:end], true, nil
}

// findMember finds the last member of a name in the object at doc[i].
func findMember(doc []byte, i int, name string) (start, end int, found bool, err error) {
	it := iterate(doc, i)
	for it.next() {
		if equalName(it.name(), name) {
			start, end, found = it.start, it.end, true
		}
	}
	return start, end, found, it.err
}

// findElement finds an element of the array at doc[i].
func findElement(doc []byte, i int, x Index) (start, end int, found bool, err error) {
	at := x.N
	if x.FromLast {
		n := 0
		it := iterate(doc, i)
		for it.next() {
			n++
		}
		var ok bool
		if at, ok = x.at(n); it.err != nil || !ok {
			return 0, 0, false, it.err
		}
	}
	it := iterate(doc, i)
	for it.next() {
		if at == 0 {
			return it.start, it.end, true, nil
		}
		at--
	}
	return 0, 0, false, it.err
}

// iterator walks over the members of an object or the elements of an array,
// checking no more than the structure.
type iterator struct {
	doc        []byte
	i          int
	object     bool
	begun      bool
	nameStart  int
	nameEnd    int
	start, end int // the current value
	err        error
}

// iterate begins to walk the container at doc[i].
func iterate(doc []byte, i int) iterator {
	return iterator{doc: doc, i: i + 1, object: doc[i] == '{'}
}

// name is the current member's name, still escaped.
func (it *iterator) name() []byte { return it.doc[it.nameStart:it.nameEnd] }

func (it *iterator) next() bool {
	doc := it.doc
	i := skipSpace(doc, it.i)
	if i >= len(doc) {
		return it.fail(syntaxError(i, "expected ',' or %s, found the end of the text", closer(it.object)))
	}
	end := byte(']')
	if it.object {
		end = '}'
	}
	switch {
	case doc[i] == end:
		it.i = i
		return false
	case !it.begun:
		it.begun = true
	case doc[i] == ',':
		i = skipSpace(doc, i+1)
	default:
		return it.fail(syntaxError(i, "expected ',' or %s, found %s", closer(it.object), quoteByte(doc, i)))
	}
	var err error
	if it.object {
		if i >= len(doc) || doc[i] != '"' {
			return it.fail(syntaxError(i, "expected the name of a member, found %s", quoteByte(doc, i)))
		}
		it.nameStart = i + 1
		if i, err = skipString(doc, i+1); err != nil {
			return it.fail(err)
		}
		it.nameEnd = i - 1
		if i = skipSpace(doc, i); i >= len(doc) || doc[i] != ':' {
			return it.fail(syntaxError(i, "expected ':', found %s", quoteByte(doc, i)))
		}
		i = skipSpace(doc, i+1)
	}
	it.start = i
	if it.end, err = Skip(doc, i); err != nil {
		return it.fail(err)
	}
	it.i = it.end
	return true
}

func (it *iterator) fail(err error) bool {
	it.err = err
	return false
}

// LookupAll appends to found all values that a path matches, in MySQL's order
// (elements in theirs, members by the length of their names, then by bytes),
// each once. With wildcards in the path doc is validated in full.
func LookupAll(doc []byte, p Path, found [][]byte) ([][]byte, error) {
	if p.Single() {
		value, ok, err := Lookup(doc, p)
		if ok {
			found = append(found, value)
		}
		return found, err
	}
	t := tapes.Get().(*tape)
	defer t.free()
	if err := t.parse(doc); err != nil {
		return found, err
	}
	s := search{tape: t, legs: p.legs}
	s.match(0, 0)
	for _, at := range s.found {
		n := t.nodes[at]
		found = append(found, doc[n.start:n.end:n.end])
	}
	return found, nil
}

// search finds the values that a path matches in a parsed document.
type search struct {
	tape  *tape
	legs  []Leg
	found []Node
	// seen holds the values to which a leg was applied already, once ** makes it
	// possible to come to one twice. It also keeps several ** from multiplying.
	seen map[visit]struct{}
}

// visit is a value (its node) with the number of legs that led to it.
type visit struct{ node, leg int }

func (s *search) visited(v visit) bool {
	if s.seen == nil {
		return false
	}
	if _, ok := s.seen[v]; ok {
		return true
	}
	s.seen[v] = struct{}{}
	return false
}

// match follows the legs from the given one, beginning with the value at a
// node. It recurses once for each leg, and once for each level that ** descends.
func (s *search) match(at, from int) {
	t := s.tape
	n := t.nodes[at]
	if from == len(s.legs) {
		if !s.visited(visit{at, from}) {
			s.found = append(s.found, Node(at))
		}
		return
	}
	switch leg := &s.legs[from]; leg.Kind {
	case LegMember:
		value := -1
		if n.kind == Object {
			for name := at + 1; name < n.next; name = t.nodes[name+1].next {
				if equalName(t.doc[t.nodes[name].start+1:t.nodes[name].end-1], leg.Name) {
					value = name + 1
				}
			}
		}
		if value >= 0 {
			s.match(value, from+1)
		}
	case LegAllMembers:
		if n.kind == Object {
			s.members(at, from+1)
		}
	case LegElement, LegRange, LegAllElements:
		if n.kind != Array {
			if leg.wraps() {
				s.match(at, from+1)
			}
			return
		}
		count := 0
		for e := at + 1; e < n.next; e = t.nodes[e].next {
			count++
		}
		first, end := 0, count
		if leg.Kind != LegAllElements {
			first, end = leg.bounds(count)
		}
		i := 0
		for e := at + 1; e < n.next && i < end; e = t.nodes[e].next {
			if i >= first {
				s.match(e, from+1)
			}
			i++
		}
	case LegDescend:
		if s.seen == nil {
			s.seen = map[visit]struct{}{}
		}
		if s.visited(visit{at, from}) {
			return
		}
		s.match(at, from+1)
		switch n.kind {
		case Object:
			s.members(at, from)
		case Array:
			for e := at + 1; e < n.next; e = t.nodes[e].next {
				s.match(e, from)
			}
		}
	}
}

// members follows the legs from the given one for each member of an object.
func (s *search) members(at, from int) {
	t := s.tape
	base := t.collect(at)
	for i := base; i < len(t.members); i++ {
		s.match(t.members[i].value, from)
	}
	t.members = t.members[:base]
}

// Member is one member of an object.
type Member struct {
	Name  string
	Value []byte
}

// Members lists the members of an object in the order in which they are
// written, duplicates included. doc as in Lookup; the error is a *SyntaxError,
// also for a value that is no object.
func Members(doc []byte) ([]Member, error) {
	start := skipSpace(doc, 0)
	if start >= len(doc) || doc[start] != '{' {
		return nil, syntaxError(start, "expected an object, found %s", quoteByte(doc, start))
	}
	var list []Member
	it := iterate(doc, start)
	for it.next() {
		list = append(list, Member{string(AppendUnescaped(nil, it.name())), doc[it.start:it.end:it.end]})
	}
	return list, it.err
}
