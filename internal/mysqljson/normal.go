package mysqljson

import (
	"bytes"
	"errors"
	"slices"
	"sync"
)

// AppendNormal appends a JSON value in the normal form in which MySQL prints
// the type JSON: members ordered by the length of their names, then by bytes,
// the last of duplicates kept, one space behind ',' and ':', numbers and
// strings printed anew. The value is validated on the way; the error is a
// *SyntaxError and dst then unchanged. Numbers beyond a double are refused, as
// MySQL does.
func AppendNormal(dst, value []byte) ([]byte, error) {
	value = trimSpace(value)
	if kind := KindOf(value); kind != Array && kind != Object {
		return appendScalar(dst, value, kind)
	}
	return appendParsed(dst, value, false)
}

// AppendOrdered is AppendNormal with numbers as they are written.
func AppendOrdered(dst, value []byte) ([]byte, error) { return appendParsed(dst, value, true) }

func appendParsed(dst, value []byte, asWritten bool) ([]byte, error) {
	t := tapes.Get().(*tape)
	defer t.free()
	t.asWritten = asWritten
	if err := t.parse(value); err != nil {
		return dst, err
	}
	out, err := t.appendNormal(dst, 0)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendUnquoted appends a JSON value as MySQL's JSON_UNQUOTE(JSON_EXTRACT(…))
// gives it: a string's text, anything else in normal form. JSON null becomes
// the text null.
func AppendUnquoted(dst, value []byte) ([]byte, error) {
	value = trimSpace(value)
	if KindOf(value) != String {
		return AppendNormal(dst, value)
	}
	if err := Valid(value); err != nil {
		return dst, err
	}
	return AppendUnescaped(dst, value[1:len(value)-1]), nil
}

// appendScalar appends a value that is no array or object, in normal form. The
// value has no white space around it.
func appendScalar(dst, value []byte, kind Kind) ([]byte, error) {
	if err := Valid(value); err != nil {
		return dst, err
	}
	switch kind {
	case Number:
		return appendNumber(dst, value)
	case String:
		return appendRequoted(dst, value[1:len(value)-1]), nil
	}
	return append(dst, value...), nil
}

func trimSpace(value []byte) []byte {
	value = value[skipSpace(value, 0):]
	for len(value) > 0 && isSpace(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

// node is a value, or the name of a member, on a tape. The nodes of a
// container's content follow its own; names and values alternate.
type node struct {
	kind       Kind
	start, end int // its text
	next       int // the index of the node behind it and its content
}

// tape is the structure of a document, flat. Tapes are pooled.
type tape struct {
	doc     []byte
	nodes   []node
	parents []int    // open containers while parsing
	members []member // of the objects being printed, innermost last
	keys    []byte   // unescaped names

	asWritten bool // numbers are printed as they are written
}

// member is one member of an object being printed.
type member struct {
	name  []byte
	value int // its node
}

var tapes = sync.Pool{New: func() any { return new(tape) }}

// keepNodes is how many nodes a pooled tape may keep allocated.
const keepNodes = 1 << 16

func (t *tape) free() {
	if cap(t.nodes) > keepNodes || cap(t.keys) > keepNodes {
		return
	}
	clear(t.members[:cap(t.members)])
	*t = tape{nodes: t.nodes[:0], parents: t.parents[:0], members: t.members[:0], keys: t.keys[:0]}
	tapes.Put(t)
}

func (t *tape) parse(doc []byte) error {
	t.doc = doc
	end, err := scan(doc, skipSpace(doc, 0), MaxDepth, t)
	if err != nil {
		return err
	}
	if end = skipSpace(doc, end); end < len(doc) {
		return syntaxError(end, "expected the end of the text, found %s", quoteByte(doc, end))
	}
	return nil
}

func (t *tape) leaf(kind Kind, start, end int) {
	if t != nil {
		t.nodes = append(t.nodes, node{kind, start, end, len(t.nodes) + 1})
	}
}

func (t *tape) open(kind Kind, start int) {
	if t != nil {
		t.parents = append(t.parents, len(t.nodes))
		t.nodes = append(t.nodes, node{kind: kind, start: start})
	}
}

func (t *tape) close(end int) {
	if t != nil {
		n := &t.nodes[t.parents[len(t.parents)-1]]
		t.parents = t.parents[:len(t.parents)-1]
		n.end, n.next = end, len(t.nodes)
	}
}

// appendNormal prints the value at a node. It recurses no deeper than MaxDepth.
func (t *tape) appendNormal(dst []byte, at int) ([]byte, error) {
	n := t.nodes[at]
	raw := t.doc[n.start:n.end]
	var err error
	switch n.kind {
	case Number:
		if t.asWritten {
			return append(dst, raw...), nil
		}
		if dst, err = appendNumber(dst, raw); err != nil {
			if syntax := (*SyntaxError)(nil); errors.As(err, &syntax) {
				syntax.Offset = n.start
			}
		}
		return dst, err
	case String:
		return appendRequoted(dst, raw[1:len(raw)-1]), nil
	case Array:
		dst = append(dst, '[')
		for child := at + 1; child < n.next; child = t.nodes[child].next {
			if child > at+1 {
				dst = append(dst, ", "...)
			}
			if dst, err = t.appendNormal(dst, child); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case Object:
		dst = append(dst, '{')
		base := t.collect(at)
		for i := base; i < len(t.members); i++ {
			if i > base {
				dst = append(dst, ", "...)
			}
			dst = append(AppendQuoted(dst, t.members[i].name), ": "...)
			if dst, err = t.appendNormal(dst, t.members[i].value); err != nil {
				return dst, err
			}
		}
		t.members = t.members[:base]
		return append(dst, '}'), nil
	}
	return append(dst, raw...), nil
}

// collect pushes the members of the object at a node, ordered, without
// duplicates, and returns where they begin.
func (t *tape) collect(at int) (base int) {
	base = len(t.members)
	ordered := true
	for name := at + 1; name < t.nodes[at].next; name = t.nodes[name+1].next {
		m := member{t.name(name), name + 1}
		if len(t.members) > base && CompareNames(t.members[len(t.members)-1].name, m.name) >= 0 {
			ordered = false
		}
		t.members = append(t.members, m)
	}
	if ordered {
		return base
	}
	list := t.members[base:]
	slices.SortStableFunc(list, func(a, b member) int { return CompareNames(a.name, b.name) })
	kept := 0
	for i := 1; i < len(list); i++ {
		if CompareNames(list[kept].name, list[i].name) != 0 {
			kept++
		}
		list[kept] = list[i]
	}
	t.members = t.members[:base+kept+1]
	return base
}

// name is the unescaped name at a node.
func (t *tape) name(at int) []byte {
	content := t.doc[t.nodes[at].start+1 : t.nodes[at].end-1]
	if bytes.IndexByte(content, '\\') < 0 {
		return content
	}
	start := len(t.keys)
	t.keys = AppendUnescaped(t.keys, content)
	return t.keys[start:len(t.keys):len(t.keys)]
}

// CompareNames orders member names, unescaped, as MySQL does: by length, then by bytes.
func CompareNames(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}
