package protobuf

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
)

// node is a message of which something is wanted.
type node struct {
	*message
	wants  []*want // as message.fields; nil where nothing is wanted
	wanted []*want // those that are not nil
	last   []int   // by oneof: the index of the field that came last + 1
	oneofs bool
}

// want is a field of which something is wanted.
type want struct {
	*field
	index   int
	columns []int           // that take the value
	below   []columns.Below // columns that take what a path leads to in its JSON text
	text    bool            // a string is what a JSON column or a path takes for JSON text
	inner   *node           // of a message of which parts are wanted
	whole   bool            // the value is put together when all of the message was seen

	seen  bool
	last  occurrence   // of a value that is not whole
	parts []occurrence // of a whole value: what was found of it
}

// compile makes the plan of a message type for the wanted fields.
func compile(d protoreflect.MessageDescriptor, fields []connectors.Field) (*node, error) {
	m := messages{}.of(d)
	var wishes []columns.Wish
	for i, f := range fields {
		if at := m.fieldNamed(f.Path[0]); at >= 0 {
			wishes = append(wishes, columns.Wish{Column: i, Names: slices.Concat([]string{m.fields[at].name}, f.Path[1:])})
		}
	}
	n, err := newNode(m, wishes, 1)
	if err != nil {
		return nil, fmt.Errorf("build a Protobuf decoder: %w", err)
	}
	return n, nil
}

// fieldNamed finds a column's field; −1 if there is none.
func (m *message) fieldNamed(name string) int {
	for _, same := range []func(f *field) bool{
		func(f *field) bool { return f.name == name },
		func(f *field) bool { return f.jsonName == name },
		func(f *field) bool { return strings.EqualFold(f.name, name) || strings.EqualFold(f.jsonName, name) },
	} {
		if i := slices.IndexFunc(m.fields, same); i >= 0 {
			return i
		}
	}
	return -1
}

// newNode makes the node of a message whose fields are depth deep: 1 for columns.
func newNode(m *message, wishes []columns.Wish, depth int) (*node, error) {
	n := &node{message: m, wants: make([]*want, len(m.fields))}
	for i, f := range m.fields {
		if f.oneof >= len(n.last) {
			n.last = append(n.last, make([]int, f.oneof+1-len(n.last))...)
		}
		var mine []columns.Wish
		for _, w := range wishes {
			if w.Names[0] == f.name {
				mine = append(mine, columns.Wish{Column: w.Column, Names: w.Names[1:]})
			}
		}
		if len(mine) == 0 {
			continue
		}
		w, err := newWant(f, mine, depth)
		if err != nil {
			return nil, err
		}
		w.index = i
		n.wants[i] = w
		n.wanted = append(n.wanted, w)
		n.oneofs = n.oneofs || f.oneof >= 0
	}
	return n, nil
}

func newWant(f *field, wishes []columns.Wish, depth int) (*want, error) {
	w := &want{field: f, whole: f.repeated || f.message != nil}
	scalar := !f.repeated && (f.message == nil || f.message.meaning == meansTimestamp || f.message.meaning == meansDuration || f.message.meaning == meansWrapped)
	kind := f.kind
	if scalar && f.message != nil && f.message.meaning == meansWrapped {
		kind = f.message.fields[0].kind
	}
	w.text = scalar && kind == protoreflect.StringKind && depth == 1
	var deeper []columns.Wish
	for _, x := range wishes {
		switch {
		case len(x.Names) == 0, w.text:
			w.columns = append(w.columns, x.Column)
		case strings.HasPrefix(x.Names[0], "["), f.repeated, !scalar && f.message.meaning != meansMessage:
			b, err := x.Below()
			if err != nil {
				return nil, err
			}
			w.below = append(w.below, b)
		case !scalar:
			deeper = append(deeper, x)
		}
	}
	if len(w.below) > 0 {
		w.whole = true
	}
	if len(deeper) > 0 {
		var err error
		if w.inner, err = newNode(f.message, deeper, depth+1); err != nil {
			return nil, err
		}
		w.whole = len(w.columns) > 0 || len(w.below) > 0
	}
	return w, nil
}
