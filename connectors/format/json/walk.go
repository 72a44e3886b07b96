package json

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
)

// walker is the generic decoder: it walks one record, remembers where each
// wanted value lies, and converts when the record's end is known. It checks
// everything, and says what is wrong and where.
type walker struct {
	root       *node
	nodes      []*node
	validation connectors.Validation
	// alone is set where nothing but the wanted values is read (validation
	// 'projected' of lines).
	alone bool

	doc     []byte  // bounded by what the record cannot go beyond
	places  []place // by node
	wanted  int     // nodes with columns
	missing int     // those of them not found yet
	scratch columns.Scratch
}

// place is where the value of a node lies.
type place struct {
	start, end int
	match      match
}

// match says by which name a value was found.
type match uint8

const (
	matchNone  match = iota
	matchOther       // by a name that differs in case
	matchExact
)

// errEnough ends a walk when all that is wanted was found.
var errEnough = errors.New("everything wanted was found")

func (w *walker) error(at int, format string, args ...any) error {
	return &mysqljson.SyntaxError{Offset: at, Reason: fmt.Sprintf(format, args...)}
}

// walk finds the wanted values of the object at doc[start] and returns where it
// ends. The error is a *mysqljson.SyntaxError with its offset in doc, or
// errEnough with end behind the last value that was read.
func (w *walker) walk(doc []byte, start int) (end int, err error) {
	w.doc, w.missing = doc, w.wanted
	clear(w.places)
	return w.object(w.root, start)
}

// pass walks a value that is no object.
func (w *walker) pass(doc []byte, start int) (end int, err error) {
	w.doc = doc
	return w.skip(start, false)
}

// forget drops what was found below a node.
func (w *walker) forget(n *node) {
	for i := n.id + 1; i < n.below; i++ {
		w.drop(i)
	}
}

func (w *walker) drop(id int) {
	if w.places[id].match != matchNone && len(w.nodes[id].columns) > 0 {
		w.missing++
	}
	w.places[id] = place{}
}

func (w *walker) space(i int) int {
	for i < len(w.doc) && (w.doc[i] == ' ' || w.doc[i] == '\n' || w.doc[i] == '\r' || w.doc[i] == '\t') {
		i++
	}
	return i
}

func (w *walker) found(i int) string {
	if i >= len(w.doc) {
		return "the end of the record"
	}
	if r, n := utf8.DecodeRune(w.doc[i:]); r != utf8.RuneError || n > 1 {
		return fmt.Sprintf("%q", r)
	}
	return fmt.Sprintf("byte 0x%02x", w.doc[i])
}

// object walks the object at doc[i].
func (w *walker) object(n *node, i int) (end int, err error) {
	if i = w.space(i + 1); i < len(w.doc) && w.doc[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(w.doc) || w.doc[i] != '"' {
			return 0, w.error(i, "expected the name of a member, found %s", w.found(i))
		}
		nameEnd, err := w.skip(i, false)
		if err != nil {
			return 0, err
		}
		name := w.doc[i+1 : nameEnd-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			// Escapes in names are looked at, so they must be right.
			if _, err := mysqljson.Scan(w.doc, i); err != nil {
				return 0, err
			}
			name = mysqljson.AppendUnescaped(nil, name)
		}
		if i = w.space(nameEnd); i >= len(w.doc) || w.doc[i] != ':' {
			return 0, w.error(i, "expected ':', found %s", w.found(i))
		}
		i = w.space(i + 1)
		member, exact := n.find(string(name))
		how := matchOther
		if exact {
			how = matchExact
		}
		if i, err = w.value(member, i, how); err != nil {
			return i, err
		}
		i = w.space(i)
		switch {
		case i < len(w.doc) && w.doc[i] == ',':
			i = w.space(i + 1)
		case i < len(w.doc) && w.doc[i] == '}':
			return i + 1, nil
		default:
			return 0, w.error(i, "expected ',' or '}', found %s", w.found(i))
		}
	}
}

// value walks the value at doc[i], which belongs to a node, or to none.
func (w *walker) value(n *node, i int, how match) (end int, err error) {
	if n == nil || w.places[n.id].match > how {
		return w.skip(i, false)
	}
	w.drop(n.id)
	w.forget(n)
	if i >= len(w.doc) {
		return 0, w.error(i, "expected a value, found %s", w.found(i))
	}
	used := len(n.columns) > 0
	if used {
		if end, err = w.skip(i, true); err != nil {
			return 0, err
		}
	}
	switch c := w.doc[i]; {
	case c == '{' && len(n.members) > 0:
		end, err = w.object(n, i)
	case c == '[' && len(n.elements) > 0:
		end, err = w.array(n, i)
	default:
		// MySQL takes a value that is no array for an array of one element.
		if first := n.element(0); first != nil && c != '[' {
			end, err = w.value(first, i, matchExact)
		} else if !used {
			end, err = w.skip(i, false)
		}
	}
	if err != nil {
		return end, err
	}
	w.places[n.id] = place{i, end, how}
	if used {
		if w.missing--; w.missing == 0 && w.alone {
			return end, errEnough
		}
	}
	return end, nil
}

// element is the node of an element, or nil.
func (n *node) element(index int) *node {
	for _, e := range n.elements {
		if e.index == index {
			return e
		}
	}
	return nil
}

// array walks the array at doc[i].
func (w *walker) array(n *node, i int) (end int, err error) {
	if i = w.space(i + 1); i < len(w.doc) && w.doc[i] == ']' {
		return i + 1, nil
	}
	for index := 0; ; index++ {
		if i, err = w.value(n.element(index), i, matchExact); err != nil {
			return i, err
		}
		i = w.space(i)
		switch {
		case i < len(w.doc) && w.doc[i] == ',':
			i = w.space(i + 1)
		case i < len(w.doc) && w.doc[i] == ']':
			return i + 1, nil
		default:
			return 0, w.error(i, "expected ',' or ']', found %s", w.found(i))
		}
	}
}

// skip finds the end of the value at doc[i]; values that are used, and all
// values under validation 'full', are checked in full.
func (w *walker) skip(i int, used bool) (end int, err error) {
	if used || w.validation == connectors.ValidationFull {
		return mysqljson.Scan(w.doc, i)
	}
	return mysqljson.Skip(w.doc, i)
}
