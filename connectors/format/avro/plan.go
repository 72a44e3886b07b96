package avro

import (
	"fmt"
	"slices"
	"strings"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
)

// node is what the walk does at a value of which something is wanted.
type node struct {
	*shape
	columns []int   // that take the value
	below   []below // columns that take what a path leads to in its JSON text
	text    bool    // a string is what a JSON column or a path takes for JSON text
	inner   bool    // something below is wanted beside, or instead of, the value
	parts   []*node // as shape.parts; nil where nothing is wanted
}

type below struct {
	column int
	path   mysqljson.Path
}

// wish is a column that looks for its value: names leads there.
type wish struct {
	column int
	names  []string
}

// compile makes the plan of a schema for the wanted fields.
func compile(schema hamba.Schema, fields []connectors.Field) (*node, error) {
	root, err := shapes{}.of(schema)
	if err != nil {
		return nil, err
	}
	wishes := make([]wish, len(fields))
	for i, f := range fields {
		wishes[i] = wish{i, f.Path}
	}
	if root.kind == kindRecord {
		for i := range wishes {
			if at := fieldNamed(root.names, wishes[i].names[0]); at >= 0 {
				wishes[i].names = slices.Concat([]string{root.names[at]}, wishes[i].names[1:])
			}
		}
		return newNode(root, wishes, 0)
	}
	wishes = slices.DeleteFunc(wishes, func(w wish) bool { return !strings.EqualFold(w.names[0], valueColumn) })
	for i := range wishes {
		wishes[i].names = wishes[i].names[1:]
	}
	return newNode(root, wishes, 1)
}

// valueColumn is the column of a schema that is no record.
const valueColumn = "value"

// fieldNamed finds a column's field: the exact name, else one that differs in
// case; −1 if there is none.
func fieldNamed(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// newNode makes the node of a shape. depth is 0 for the record, 1 for a column of
// it, more for what is within those.
func newNode(s *shape, wishes []wish, depth int) (*node, error) {
	n := &node{shape: s}
	switch s.kind {
	case kindUnion:
		if !s.simple {
			depth = 2
		}
		for _, part := range s.parts {
			p, err := newNode(part, wishes, depth)
			if err != nil {
				return nil, err
			}
			n.parts = append(n.parts, p)
		}
		n.inner = true
		return n, nil
	case kindString:
		n.text = depth == 1
	}
	deeper := map[int][]wish{}
	for _, w := range wishes {
		switch {
		case len(w.names) == 0, n.text:
			n.columns = append(n.columns, w.column)
		case s.kind == kindRecord && !strings.HasPrefix(w.names[0], "["):
			if at := slices.Index(s.names, w.names[0]); at >= 0 {
				deeper[at] = append(deeper[at], wish{w.column, w.names[1:]})
				n.inner = true
			}
		case s.kind < kindRecord && !strings.HasPrefix(w.names[0], "["), s.kind > kindUnion && s.kind != kindDuration && !strings.HasPrefix(w.names[0], "["):
			// What has no parts has no members.
		default:
			path, err := pathOf(w.names)
			if err != nil {
				return nil, err
			}
			n.below = append(n.below, below{w.column, path})
		}
	}
	if !n.inner {
		return n, nil
	}
	n.parts = make([]*node, len(s.parts))
	for at, wishes := range deeper {
		part, err := newNode(s.parts[at], wishes, depth+1)
		if err != nil {
			return nil, err
		}
		n.parts[at] = part
	}
	return n, nil
}

// pathOf is the path that names lead.
func pathOf(names []string) (mysqljson.Path, error) {
	text := []byte{'$'}
	for _, name := range names {
		if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
			text = append(text, name...)
			continue
		}
		text = mysqljson.AppendQuoted(append(text, '.'), []byte(name))
	}
	path, err := mysqljson.ParsePath(string(text))
	if err != nil {
		return path, fmt.Errorf("path %s: %w", text, err)
	}
	return path, nil
}
