package json

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leatdb/leat/connectors"
)

// node is a place in a record from which something is wanted: a member of an
// object or an element of an array, and what is below it. The root is the
// record itself.
type node struct {
	name     string
	index    int // of an element
	parent   *node
	id       int // its bit in sets of nodes
	columns  []*column
	members  []*node
	elements []*node
	// below is one more than the highest id of the nodes below it, which are
	// numbered from id+1.
	below int
	// depth is how many objects that nobody wants are around the members, of which
	// this is one. Such a node is made by the fast path and by none other; it has
	// no members and is in no set.
	depth int

	shape // what the fast path has learned
}

// newTree makes the tree of the wanted places. Nodes are numbered from 0 for
// the root, each before those below it.
func newTree(fields []connectors.Field, columns []*column) (root *node, nodes []*node, err error) {
	root = &node{}
	for i, f := range fields {
		if len(f.Path) == 0 || f.Path[0] == "" {
			return nil, nil, fmt.Errorf("field %s has no path", f.Column.Name)
		}
		at := root
		for depth, step := range f.Path {
			at, err = at.child(step, depth)
			if err != nil {
				return nil, nil, fmt.Errorf("field %s: %w", f.Column.Name, err)
			}
		}
		at.columns = append(at.columns, columns[i])
		columns[i].at = at
	}
	var number func(n *node)
	number = func(n *node) {
		n.id = len(nodes)
		nodes = append(nodes, n)
		for _, c := range n.members {
			number(c)
		}
		for _, c := range n.elements {
			number(c)
		}
		n.below = len(nodes)
	}
	number(root)
	return root, nodes, nil
}

// child finds or makes the place one step below.
func (n *node) child(step string, depth int) (*node, error) {
	if depth > 0 && strings.HasPrefix(step, "[") && strings.HasSuffix(step, "]") {
		index, err := strconv.ParseUint(step[1:len(step)-1], 10, 31)
		if err != nil {
			return nil, fmt.Errorf("path element %s is no array index", step)
		}
		for _, e := range n.elements {
			if e.index == int(index) {
				return e, nil
			}
		}
		e := &node{index: int(index), parent: n}
		n.elements = append(n.elements, e)
		return e, nil
	}
	for _, m := range n.members {
		if m.name == step {
			return m, nil
		}
	}
	m := &node{name: step, parent: n}
	n.members = append(n.members, m)
	return m, nil
}

// find is the member that a name stands for. Columns (the members of the root)
// are also found by a name that differs in case; exact tells which it was.
func (n *node) find(name string) (m *node, exact bool) {
	for _, m := range n.members {
		if m.name == name {
			return m, true
		}
	}
	if n.parent == nil {
		for _, m := range n.members {
			if strings.EqualFold(m.name, name) {
				return m, false
			}
		}
	}
	return nil, false
}
