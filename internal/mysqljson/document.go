package mysqljson

// Document is a parsed JSON text, for evaluating many paths over it. The zero
// value is ready for Parse; a Document is reused by parsing again, and keeps the
// text until then. It is not safe for concurrent use.
type Document struct {
	tape   tape
	search search
}

// Node is a value within a Document, valid until the next Parse.
type Node int

// Root is the whole document.
const Root Node = 0

// Parse validates a text and makes it the document. The error is a *SyntaxError.
func (d *Document) Parse(text []byte) error {
	t := &d.tape
	t.nodes, t.parents, t.members, t.keys = t.nodes[:0], t.parents[:0], t.members[:0], t.keys[:0]
	return t.parse(text)
}

// Kind is the kind of a value.
func (d *Document) Kind(n Node) Kind { return d.tape.nodes[n].kind }

// Bytes is the text of a value, as it came.
func (d *Document) Bytes(n Node) []byte {
	at := &d.tape.nodes[n]
	return d.tape.doc[at.start:at.end:at.end]
}

// AppendNormal appends a value in normal form, as the function AppendNormal.
func (d *Document) AppendNormal(dst []byte, n Node) ([]byte, error) {
	return d.tape.appendNormal(dst, int(n))
}

// FindAll appends to found the values that a path matches, beginning at from,
// in the order of LookupAll.
func (d *Document) FindAll(from Node, p Path, found []Node) []Node {
	s := &d.search
	s.tape, s.legs, s.found, s.seen = &d.tape, p.legs, found, nil
	s.match(int(from), 0)
	found, s.found = s.found, nil
	return found
}
