package adhoc

import (
	"strconv"
	"strings"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
)

// selection is one SELECT in the making. Operators are added to it as long as
// SQL evaluates them in the plan's order (FROM, WHERE, GROUP BY, SELECT,
// DISTINCT, ORDER BY, LIMIT); else it becomes a derived table of the next one.
type selection struct {
	from    string // empty for one row of nothing
	where   []string
	items   []item
	groupBy []string
	order   []orderKey
	count   int64 // −1 for all
	offset  int64

	computed bool // items are more than columns of from
	distinct bool
	limited  bool
}

// item is a column that a selection puts out.
type item struct {
	id  logical.ColumnID
	sql string
}

// orderKey is an element of ORDER BY.
type orderKey struct {
	sql, suffix string
	plain       bool // it is the column id of the output
	id          logical.ColumnID
}

// passed are columns that go through unchanged.
func passed(columns []logical.OutputColumn) []item {
	items := make([]item, len(columns))
	for i, c := range columns {
		items[i] = item{id: c.ID, sql: columnName(c.ID)}
	}
	return items
}

// has reports whether column id is put out.
func (q *selection) has(id logical.ColumnID) bool {
	for _, it := range q.items {
		if it.id == id {
			return true
		}
	}
	return false
}

// narrow keeps only the columns that exprs pass on, if that is all they do and
// what the rows are sorted and grouped by stays among them.
func (q *selection) narrow(exprs []logical.NamedExpr) bool {
	if q.distinct {
		return false
	}
	byID := make(map[logical.ColumnID]item, len(q.items))
	for _, it := range q.items {
		byID[it.id] = it
	}
	kept := make(map[string]bool, len(exprs))
	items := make([]item, len(exprs))
	for i, e := range exprs {
		c, ok := e.Expr.(*logical.Column)
		if !ok || c.ID != e.Column.ID || function.DuckDBType(c.T) != function.DuckDBType(e.Column.Type) {
			return false
		}
		if items[i], ok = byID[c.ID]; !ok {
			return false // a column of an enclosing query
		}
		kept[columnName(c.ID)] = true
	}
	// ORDER BY and GROUP BY name computed columns by their aliases.
	for _, k := range q.order {
		if q.computed && !kept[columnName(k.id)] {
			return false
		}
	}
	for _, g := range q.groupBy {
		if !kept[g] {
			return false
		}
	}
	q.items = items
	return true
}

// render is the SELECT.
func (q *selection) render() string {
	var b strings.Builder
	b.WriteString("SELECT ")
	if q.distinct {
		b.WriteString("DISTINCT ")
	}
	for i, it := range q.items {
		if i > 0 {
			b.WriteString(", ")
		}
		name := columnName(it.id)
		b.WriteString(it.sql)
		if it.sql != name {
			b.WriteString(" AS " + name)
		}
	}
	if len(q.items) == 0 {
		b.WriteString("1 AS nothing") // SELECT needs a column
	}
	if q.from != "" {
		b.WriteString(" FROM " + q.from)
	}
	if len(q.where) > 0 {
		b.WriteString(" WHERE " + strings.Join(q.where, " AND "))
	}
	if len(q.groupBy) > 0 {
		b.WriteString(" GROUP BY " + strings.Join(q.groupBy, ", "))
	}
	for i, k := range q.order {
		if i == 0 {
			b.WriteString(" ORDER BY ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(k.sql + k.suffix)
	}
	if q.limited {
		if q.count >= 0 {
			b.WriteString(" LIMIT " + strconv.FormatInt(q.count, 10))
		}
		if q.offset > 0 {
			b.WriteString(" OFFSET " + strconv.FormatInt(q.offset, 10))
		}
	}
	return b.String()
}

// name is a new name for a derived table.
func (s *speller) name() string {
	s.derived++
	return "d" + strconv.Itoa(s.derived)
}

// table is q as an element of FROM.
func (s *speller) table(q *selection) string {
	if q.from != "" && !q.computed && !q.distinct && !q.limited && len(q.where) == 0 {
		return q.from
	}
	if !q.limited {
		q.order = nil
	}
	q.unique()
	return "(" + q.render() + ") AS " + s.name()
}

// unique drops repeated columns, which could not be referred to by name.
func (q *selection) unique() {
	seen := make(map[logical.ColumnID]bool, len(q.items))
	kept := q.items[:0:0]
	for _, it := range q.items {
		if !seen[it.id] {
			seen[it.id] = true
			kept = append(kept, it)
		}
	}
	q.items = kept
}

// wrap is a selection of all columns of q. The order of its rows is kept.
func (s *speller) wrap(q *selection) *selection {
	outer := &selection{}
	for _, it := range q.items {
		outer.items = append(outer.items, item{id: it.id, sql: columnName(it.id)})
	}
	visible := true
	for _, k := range q.order {
		visible = visible && k.plain && q.has(k.id)
	}
	if visible {
		for _, k := range q.order {
			k.sql = columnName(k.id)
			outer.order = append(outer.order, k)
		}
		if !q.limited {
			q.order = nil
		}
	}
	q.unique()
	outer.from = "(" + q.render() + ") AS " + s.name()
	return outer
}
