package operator

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/planner/logical"
)

// Flatten evaluates a JSON_TABLE as MySQL does: for each match of its path one
// row, or as many as the NESTED PATHs in it have, one of them after the other
// with the columns of its siblings NULL. It belongs to one lane.
type Flatten struct {
	outer   bool
	root    *tableLevel
	columns []*tableColumn // depth first

	doc     mysqljson.Document
	parents []int32
}

// tableLevel is the row source of the table or of a NESTED PATH.
type tableLevel struct {
	path    mysqljson.Path
	columns []*tableColumn // its own, without those of nested levels
	nested  []*tableLevel
	// below are all columns of the level, in the order of the table.
	below []*tableColumn

	matches []mysqljson.Node // of the current row of the level above
}

// NewFlatten compiles a JSON_TABLE. With outer a document without rows gives
// one of NULLs (LEFT JOIN). It fails for a path that is none and for a DEFAULT
// that is not JSON or does not fit its column, naming the column.
func NewFlatten(table *logical.JSONTable, outer bool) (*Flatten, error) {
	f := &Flatten{outer: outer}
	var err error
	if f.root, err = f.level(table); err != nil {
		return nil, fmt.Errorf("compile JSON_TABLE: %w", err)
	}
	return f, nil
}

func (f *Flatten) level(table *logical.JSONTable) (*tableLevel, error) {
	path, err := mysqljson.ParsePath(table.Path)
	if err != nil {
		return nil, err
	}
	l := &tableLevel{path: path}
	first := len(f.columns)
	for _, c := range table.Columns {
		if c.Nested != nil {
			nested, err := f.level(c.Nested)
			if err != nil {
				return nil, err
			}
			l.nested = append(l.nested, nested)
			continue
		}
		column, err := newTableColumn(c)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		l.columns = append(l.columns, column)
		f.columns = append(f.columns, column)
	}
	l.below = f.columns[first:len(f.columns):len(f.columns)]
	return l, nil
}

// Expand makes the table's rows for the selected rows of data, a column of JSON
// text (sel nil selects all rows). parents[k] is the input row that output row k
// was made of; it is valid until the next call. columns are those of the
// JSON_TABLE, depth first, and are released by the caller. A document that is
// NULL, or whose row already failed in data.Errors, has no rows; one that is no
// JSON, or for which an ERROR clause applies, is in errs by its input row and
// has none either. err is a fault of the evaluation itself.
func (f *Flatten) Expand(ctx *kernel.Context, data kernel.Vector, rows int, sel []int32) (parents []int32, columns []arrow.Array, errs *kernel.Errors, err error) {
	f.parents = f.parents[:0]
	for _, c := range f.columns {
		c.begin(ctx)
	}
	documents, err := newDocuments(data)
	if err != nil {
		return nil, nil, nil, err
	}
	failed := false
	each := func(row int) {
		if data.Errors.Row(row) != nil {
			return
		}
		first := len(f.parents)
		if err := f.expandRow(documents, row); err != nil {
			errs = errs.Set(row, err)
			failed = f.fail(first) || failed
		}
	}
	if sel == nil {
		for row := range rows {
			each(row)
		}
	} else {
		for _, row := range sel {
			each(int(row))
		}
	}
	columns = make([]arrow.Array, len(f.columns))
	for i, c := range f.columns {
		columns[i] = c.finish()
	}
	if failed {
		if columns, err = f.dropFailed(ctx, columns); err != nil {
			return nil, nil, nil, err
		}
	}
	return f.parents, columns, errs, nil
}

// expandRow appends the rows of one document.
func (f *Flatten) expandRow(documents documents, row int) error {
	first := len(f.parents)
	if text, ok := documents.at(row); ok {
		if err := f.doc.Parse(text); err != nil {
			return fmt.Errorf("flatten a JSON document: %w", err)
		}
		if err := f.expandLevel(f.root, mysqljson.Root, int32(row)); err != nil {
			return err
		}
	}
	if f.outer && len(f.parents) == first {
		for _, c := range f.columns {
			c.setNull()
		}
		return f.emit(int32(row))
	}
	return nil
}

// expandLevel emits the rows of all matches of a level's path below a value.
func (f *Flatten) expandLevel(l *tableLevel, from mysqljson.Node, parent int32) error {
	l.matches = f.doc.FindAll(from, l.path, l.matches[:0])
	for i, match := range l.matches {
		for _, c := range l.columns {
			if err := c.evaluate(&f.doc, match, i+1); err != nil {
				return err
			}
		}
		for _, n := range l.nested {
			n.setNull()
		}
		first := len(f.parents)
		for _, n := range l.nested {
			if err := f.expandLevel(n, match, parent); err != nil {
				return err
			}
			n.setNull()
		}
		if len(f.parents) == first {
			if err := f.emit(parent); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *tableLevel) setNull() {
	for _, c := range l.below {
		c.setNull()
	}
}

// emit appends the current values of all columns as a row.
func (f *Flatten) emit(parent int32) error {
	for _, c := range f.columns {
		if err := c.append(); err != nil {
			return err
		}
	}
	f.parents = append(f.parents, parent)
	return nil
}

// fail marks the rows from the given one on as made of a failed document, and
// makes all columns as long as the list of parents again, in case one of them
// could not be appended to. It reports whether there are such rows.
func (f *Flatten) fail(first int) bool {
	rows := len(f.parents)
	for _, c := range f.columns {
		rows = max(rows, c.builder.Len())
	}
	f.parents = f.parents[:first]
	for len(f.parents) < rows {
		f.parents = append(f.parents, -1)
	}
	for _, c := range f.columns {
		for c.builder.Len() < rows {
			c.builder.AppendNull()
		}
	}
	return rows > first
}

// dropFailed removes the rows that were made of failed documents, whose parents
// are −1.
func (f *Flatten) dropFailed(ctx *kernel.Context, columns []arrow.Array) ([]arrow.Array, error) {
	var kept []int32
	live := f.parents[:0]
	for k, parent := range f.parents {
		if parent >= 0 {
			kept = append(kept, int32(k))
			live = append(live, parent)
		}
	}
	f.parents = live
	for i, c := range columns {
		taken, err := kernel.Take(ctx.Alloc, c, kept)
		if err != nil {
			for _, c := range columns {
				c.Release()
			}
			return nil, fmt.Errorf("drop the rows of failed documents: %w", err)
		}
		c.Release()
		columns[i] = taken
	}
	return columns, nil
}

// documents is the view of a column of JSON text.
type documents struct {
	array  arrow.Array
	values *array.String     // the dictionary's, where there is one
	codes  *array.Dictionary // nil for a plain column
	mask   int               // 0 for a constant
}

func newDocuments(v kernel.Vector) (documents, error) {
	d := documents{array: v.Array, mask: -1}
	if v.Const {
		d.mask = 0
	}
	texts := v.Array
	if codes, ok := v.Array.(*array.Dictionary); ok {
		d.codes, texts = codes, codes.Dictionary()
	}
	switch texts := texts.(type) {
	case *array.String:
		d.values = texts
	case *array.Null:
	default:
		return d, fmt.Errorf("evaluate JSON_TABLE: its data is %s, not text", v.Array.DataType())
	}
	return d, nil
}

// at is the document of a row; false for NULL.
func (d documents) at(row int) ([]byte, bool) {
	row &= d.mask
	if d.values == nil || d.array.IsNull(row) {
		return nil, false
	}
	if d.codes != nil {
		if row = d.codes.GetValueIndex(row); d.values.IsNull(row) {
			return nil, false
		}
	}
	return viewBytes(d.values.Value(row)), true
}
