package avro

import (
	"slices"
	"strings"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
)

// node is what the walk does at a value of which something is wanted.
type node struct {
	*shape
	columns []int           // that take the value
	below   []columns.Below // columns that take what a path leads to in its JSON text
	text    bool            // a string is what a JSON column or a path takes for JSON text
	inner   bool            // something below is wanted beside, or instead of, the value
	parts   []*node         // as shape.parts; nil where nothing is wanted
}

// compile makes the plan of a schema for the wanted fields.
func compile(schema hamba.Schema, fields []connectors.Field) (*node, error) {
	root, err := shapes{}.of(schema)
	if err != nil {
		return nil, err
	}
	wishes := make([]columns.Wish, len(fields))
	for i, f := range fields {
		wishes[i] = columns.Wish{Column: i, Names: f.Path}
	}
	if root.kind == kindRecord {
		for i := range wishes {
			if at := fieldNamed(root.names, wishes[i].Names[0]); at >= 0 {
				wishes[i].Names = slices.Concat([]string{root.names[at]}, wishes[i].Names[1:])
			}
		}
		return newNode(root, wishes, 0)
	}
	wishes = slices.DeleteFunc(wishes, func(w columns.Wish) bool { return !strings.EqualFold(w.Names[0], valueColumn) })
	for i := range wishes {
		wishes[i].Names = wishes[i].Names[1:]
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
func newNode(s *shape, wishes []columns.Wish, depth int) (*node, error) {
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
	deeper := map[int][]columns.Wish{}
	for _, w := range wishes {
		switch {
		case len(w.Names) == 0, n.text:
			n.columns = append(n.columns, w.Column)
		case s.kind == kindRecord && !strings.HasPrefix(w.Names[0], "["):
			if at := slices.Index(s.names, w.Names[0]); at >= 0 {
				deeper[at] = append(deeper[at], columns.Wish{Column: w.Column, Names: w.Names[1:]})
				n.inner = true
			}
		case s.kind < kindRecord && !strings.HasPrefix(w.Names[0], "["), s.kind > kindUnion && s.kind != kindDuration && !strings.HasPrefix(w.Names[0], "["):
			// What has no parts has no members.
		default:
			b, err := w.Below()
			if err != nil {
				return nil, err
			}
			n.below = append(n.below, b)
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
