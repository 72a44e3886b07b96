package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// Unsupported says that a query has a part that the logical plan has no form
// for. An ad hoc query then runs on the MySQL engine's own row engine; a stream
// is refused.
type Unsupported struct {
	// What names the part in the user's words, "a recursive common table
	// expression".
	What string
	// Near is a word of the query close to the part, or empty.
	Near string
}

func (e *Unsupported) Error() string { return e.What + " is not supported in a plan" }

func unsupported(format string, args ...any) error {
	return &Unsupported{What: fmt.Sprintf(format, args...)}
}

// Lower turns the plan of a SELECT, as the MySQL engine's binder leaves it
// (planbuilder's BindOnly, after PrepareSelect), into a logical plan whose
// output columns are named as the query names them. Errors are *Unsupported, or
// *sqlerror.Error for a function that does not take its arguments.
func Lower(ctx *gms.Context, n gms.Node) (logical.Node, error) {
	return (&lowerer{ctx: ctx}).root(n)
}

type lowerer struct {
	ctx *gms.Context
	// strict makes a warning of a function that is evaluated row by row the
	// failure of the row.
	strict bool
	// loc is the time zone that TIMESTAMPs are seen in; nil is UTC.
	loc *time.Location
	// continuous refuses what only a session has: user variables,
	// LAST_INSERT_ID().
	continuous bool

	last logical.ColumnID
	// relations are those of the scans, in order.
	relations []Relation
	// recursions are the recursive UNIONs around, innermost last.
	recursions []recursion
	// row is what the sub-select rowName stands for, see partitionBinder.
	row *scope
}

func (l *lowerer) newColumn(name string, t types.Type, notNull bool) logical.OutputColumn {
	l.last++
	return logical.OutputColumn{ID: l.last, Name: name, Type: t, NotNull: notNull}
}

// root lowers a whole statement, its columns named as the statement names them.
func (l *lowerer) root(n gms.Node) (logical.Node, error) {
	node, s, err := l.query(n, nil)
	if err != nil {
		return nil, err
	}
	schema := n.Schema(l.ctx)
	if len(schema) != len(s.cols) {
		return nil, fmt.Errorf("lower query: %d columns for a schema of %d", len(s.cols), len(schema))
	}
	names := make([]string, len(schema))
	for i, c := range schema {
		names[i] = c.Name
	}
	node = named(node, s.outputs(), names)
	if err := logical.Check(node); err != nil {
		return nil, err
	}
	return node, nil
}

// named gives a plan's columns their names, by a projection where its root is
// none.
func named(node logical.Node, cols []logical.OutputColumn, names []string) logical.Node {
	if p, ok := node.(*logical.Project); ok && sameColumns(p.Output(), cols) {
		exprs := append([]logical.NamedExpr(nil), p.Exprs...)
		for i := range exprs {
			exprs[i].Column.Name = names[i]
		}
		return &logical.Project{Input: p.Input, Exprs: exprs}
	}
	p := &logical.Project{Input: node}
	for i, c := range cols {
		e := logical.NamedExpr{Column: c, Expr: c.Ref()}
		e.Column.Name = names[i]
		p.Exprs = append(p.Exprs, e)
	}
	return p
}

func sameColumns(a, b []logical.OutputColumn) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// query lowers a whole query; outside it nobody sees a column that was neither
// grouped by nor aggregated.
func (l *lowerer) query(n gms.Node, outer *scope) (logical.Node, *scope, error) {
	node, s, err := l.node(n, outer)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range s.cols {
		if c.ungrouped {
			return nil, nil, l.ungrouped(c)
		}
	}
	return node, s, nil
}

func (l *lowerer) ungrouped(c boundColumn) error {
	return &Unsupported{What: "the ungrouped column " + c.name, Near: c.name}
}

// node lowers one node with everything below it. The scope lists the node's
// columns in the order of its schema; outer is what it can see of enclosing
// queries.
func (l *lowerer) node(n gms.Node, outer *scope) (logical.Node, *scope, error) {
	switch n := n.(type) {
	case *plan.ResolvedTable:
		return l.table(n)
	case *plan.TableAlias:
		return l.alias(n, outer)
	case *plan.SubqueryAlias:
		return l.derived(n, outer)
	case *plan.Project:
		return l.project(n, outer)
	case *plan.Filter:
		return l.filter(n.Expression, n.Child, outer)
	case *plan.Having:
		return l.filter(n.Cond, n.Child, outer)
	case *plan.JoinNode:
		return l.join(n, outer)
	case *plan.JSONTable:
		return l.jsonTable(n, &logical.Values{Rows: [][]logical.Expr{nil}}, &scope{outer: outer}, false)
	case *plan.GroupBy:
		return l.groupBy(n, outer)
	case *plan.Window:
		return l.window(n, outer)
	case *plan.Sort:
		return l.sort(n, outer)
	case *plan.Limit:
		return l.limit(n, outer)
	case *plan.Offset:
		child, s, err := l.node(n.Child, outer)
		if err != nil {
			return nil, nil, err
		}
		offset, err := l.rowCount(n.Offset)
		return &logical.Limit{Input: child, Count: -1, Offset: offset}, s, err
	case *plan.Distinct:
		if len(n.Expressions()) > 0 {
			return nil, nil, unsupported("DISTINCT ON")
		}
		child, s, err := l.query(n.Child, outer)
		if err != nil {
			return nil, nil, err
		}
		if err := distinctBytes("DISTINCT", s); err != nil {
			return nil, nil, err
		}
		child, s = l.inOrder(child, s)
		if slices.ContainsFunc(s.cols, func(b boundColumn) bool { return b.col.Type.Kind == types.JSON }) {
			child, s = l.distinctDocuments(child, s)
			return child, s, nil
		}
		return &logical.Distinct{Input: child}, s, nil
	case *plan.SetOp:
		return l.setOp(n, outer)
	case *plan.ValueDerivedTable:
		return l.values(n, outer)
	case *plan.EmptyTable:
		return l.empty(n)
	case *plan.RecursiveCte:
		return l.recursive(n, outer)
	case *plan.RecursiveTable:
		return l.workTable(n)
	case *plan.Into:
		return nil, nil, unsupported("SELECT … INTO")
	}
	return nil, nil, unsupported("%s", describeNode(n))
}

func describeNode(n gms.Node) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", n), "*plan.")
	if nameable, ok := n.(gms.Nameable); ok {
		return name + " " + nameable.Name()
	}
	return name
}

func (l *lowerer) table(n *plan.ResolvedTable) (logical.Node, *scope, error) {
	if plan.IsDualTable(n.UnderlyingTable()) {
		// The scope keeps the dual table's one nameless column, so that the widths
		// of bound tree and plan agree; nothing can refer to it.
		return &logical.Values{Rows: [][]logical.Expr{nil}}, &scope{}, nil
	}
	t, ok := n.UnderlyingTable().(RelationTable)
	if !ok {
		return nil, nil, &Unsupported{What: "table " + n.Name(), Near: n.Name()}
	}
	rel := t.Relation()
	l.relations = append(l.relations, rel)
	scan := &logical.Scan{Kind: rel.Kind, Database: rel.Database, Name: rel.Name, Handle: rel.Handle}
	s := &scope{}
	id, _ := n.Columns().Next(1)
	columns := rel.columns()
	for _, c := range n.Schema(l.ctx) {
		i := columns.Index(c.Name)
		if i < 0 {
			return nil, nil, fmt.Errorf("lower table %s: no column %s in the relation", n.Name(), c.Name)
		}
		col := l.newColumn(columns[i].Name, columns[i].Type, columns[i].NotNull)
		scan.Columns = append(scan.Columns, col)
		s.cols = append(s.cols, boundColumn{id: id, table: n.Name(), name: c.Name, col: col})
		id++
	}
	return scan, s, nil
}

func (l *lowerer) alias(n *plan.TableAlias, outer *scope) (logical.Node, *scope, error) {
	if _, ok := n.Child.(gms.TableFunction); ok {
		return nil, nil, &Unsupported{What: "table function " + n.Name(), Near: n.Name()}
	}
	node, s, err := l.node(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	for i := range s.cols {
		s.cols[i].table = n.Name()
	}
	return node, s, nil
}

// derived lowers a sub-select in FROM, a common table expression or a view: it
// only renames columns.
func (l *lowerer) derived(n *plan.SubqueryAlias, outer *scope) (logical.Node, *scope, error) {
	if l.row != nil && n.Name() == rowName {
		node, s := l.rowColumns(n)
		return node, s, nil
	}
	node, inner, err := l.query(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	schema := n.Schema(l.ctx)
	var ids []gms.ColumnId
	n.Columns().ForEach(func(id gms.ColumnId) { ids = append(ids, id) })
	s := &scope{}
	for i, c := range inner.cols {
		if i >= len(schema) {
			return nil, nil, fmt.Errorf("lower %s: %d columns for a schema of %d", n.Name(), len(inner.cols), len(schema))
		}
		b := boundColumn{table: n.Name(), name: schema[i].Name, col: c.col, collation: c.collation}
		switch {
		case len(ids) == 0:
			b.id = c.id
		case i < len(ids):
			b.id = l.derivedID(n, ids, inner, i)
		}
		b.col.Name = b.name
		s.cols = append(s.cols, b)
	}
	return node, s, nil
}

// derivedID is the id by which a sub-select's i-th column is known outside: the
// i-th, or another one where the mapping of ids says so.
func (l *lowerer) derivedID(n *plan.SubqueryAlias, ids []gms.ColumnId, inner *scope, i int) gms.ColumnId {
	meant := func(id gms.ColumnId) bool {
		f, ok := n.ScopeMapping[id].(*expression.GetField)
		return ok && f.Id() == inner.cols[i].id
	}
	if inner.cols[i].id == 0 || meant(ids[i]) {
		return ids[i]
	}
	for _, id := range ids {
		if meant(id) {
			return id
		}
	}
	return ids[i]
}

func (l *lowerer) project(n *plan.Project, outer *scope) (logical.Node, *scope, error) {
	child, in, err := l.node(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	p := &logical.Project{Input: child}
	s := &scope{outer: outer, computed: in.computed, grouping: in.grouping}
	taken := map[logical.ColumnID]bool{}
	schema := n.Schema(l.ctx)
	for i, e := range n.Projections {
		b := boundColumn{name: schema[i].Name, table: schema[i].Source}
		if id, ok := e.(gms.IdExpression); ok {
			b.id = id.Id()
		}
		b.collation, _ = l.collationOf(e, in)
		var lowered logical.Expr
		if f, ok := e.(*expression.GetField); ok {
			c, ok := in.resolve(f)
			switch {
			case !ok && f.Name() == "": // of the dual table; nobody reads it
				b.col = l.newColumn("", types.TypeNull, false)
				p.Exprs = append(p.Exprs, logical.NamedExpr{Column: b.col, Expr: &logical.Literal{T: types.TypeNull}})
				s.cols = append(s.cols, b)
				continue
			case !ok:
				return nil, nil, l.unresolved(f)
			}
			lowered, b.ungrouped = c.col.Ref(), c.ungrouped
			b.col = l.projected(lowered, c.col.Name, taken)
		} else {
			if lowered, err = l.expr(e, in); err != nil {
				return nil, nil, err
			}
			b.col = l.projected(lowered, b.name, taken)
		}
		p.Exprs = append(p.Exprs, logical.NamedExpr{Column: b.col, Expr: lowered})
		s.cols = append(s.cols, b)
	}
	// Grouping expressions can still be named above, by ORDER BY say.
	for _, text := range slices.Sorted(maps.Keys(in.computed)) {
		if c := in.computed[text]; !taken[c.ID] {
			taken[c.ID] = true
			p.Exprs = append(p.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(in.grouping)) {
		if c := in.grouping[key]; !taken[c.ID] {
			taken[c.ID] = true
			p.Exprs = append(p.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
		}
	}
	return p, s, nil
}

// projected is the output column of an expression: the column itself where one
// is passed on for the first time.
func (l *lowerer) projected(e logical.Expr, name string, taken map[logical.ColumnID]bool) logical.OutputColumn {
	if c, ok := e.(*logical.Column); ok && !taken[c.ID] {
		taken[c.ID] = true
		return logical.OutputColumn{ID: c.ID, Name: name, Type: c.T, NotNull: !c.Null}
	}
	return l.newColumn(name, e.Type(), !e.Nullable())
}

func (l *lowerer) filter(cond gms.Expression, n gms.Node, outer *scope) (logical.Node, *scope, error) {
	child, s, err := l.node(n, outer)
	if err != nil {
		return nil, nil, err
	}
	predicate, err := l.expr(cond, s.within(outer))
	if err != nil {
		return nil, nil, err
	}
	return &logical.Filter{Input: child, Predicate: predicate}, s, nil
}

// within is the scope seen from a node that can also see outer.
func (s *scope) within(outer *scope) *scope {
	return &scope{cols: s.cols, outer: outer, computed: s.computed, grouping: s.grouping}
}

func (l *lowerer) join(n *plan.JoinNode, outer *scope) (logical.Node, *scope, error) {
	kinds := map[plan.JoinType]logical.JoinKind{
		plan.JoinTypeCross: logical.JoinCross, plan.JoinTypeInner: logical.JoinInner,
		plan.JoinTypeLeftOuter: logical.JoinLeft, plan.JoinTypeRightOuter: logical.JoinRight,
		plan.JoinTypeFullOuter: logical.JoinFull, plan.JoinTypeLateralCross: logical.JoinCross,
		plan.JoinTypeLateralInner: logical.JoinInner, plan.JoinTypeLateralLeft: logical.JoinLeft,
	}
	kind, ok := kinds[n.Op]
	if !ok {
		return nil, nil, unsupported("%s", n.Op)
	}
	left, ls, err := l.node(n.Left(), outer)
	if err != nil {
		return nil, nil, err
	}
	lateral := n.Op == plan.JoinTypeLateralCross || n.Op == plan.JoinTypeLateralInner || n.Op == plan.JoinTypeLateralLeft
	if jt, ok := n.Right().(*plan.JSONTable); ok && lateral && (kind != logical.JoinLeft || isTrue(n.Filter)) {
		node, s, err := l.jsonTable(jt, left, ls.within(outer), kind == logical.JoinLeft)
		if err != nil || n.Filter == nil || isTrue(n.Filter) {
			return node, s, err
		}
		on, err := l.expr(n.Filter, s.within(outer))
		return &logical.Filter{Input: node, Predicate: on}, s, err
	}
	rightOuter := outer
	if lateral {
		rightOuter = ls.within(outer)
	}
	right, rs, err := l.node(n.Right(), rightOuter)
	if err != nil {
		return nil, nil, err
	}
	j := &logical.Join{Kind: kind, Left: left, Right: right, Lateral: lateral}
	s := &scope{cols: append(append([]boundColumn(nil), ls.cols...), rs.cols...)}
	nullable := map[logical.ColumnID]logical.OutputColumn{}
	for _, c := range j.Output() {
		nullable[c.ID] = c
	}
	for i := range s.cols {
		s.cols[i].col.NotNull = nullable[s.cols[i].col.ID].NotNull
	}
	if n.Filter != nil {
		if j.On, err = l.expr(n.Filter, s.within(outer)); err != nil {
			return nil, nil, err
		}
	}
	return j, s, nil
}

func isTrue(e gms.Expression) bool {
	if e == nil {
		return true
	}
	lit, ok := e.(*expression.Literal)
	return ok && lit.Value() == true
}

func (l *lowerer) sort(n *plan.Sort, outer *scope) (logical.Node, *scope, error) {
	child, s, err := l.node(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	visible := s.within(outer)
	if d, ok := n.Child.(*plan.Distinct); ok {
		// What sorts distinct rows is one of their columns: the binder repeats its
		// expression, whose operands are not there any more.
		if p, ok := d.Child.(*plan.Project); ok && len(p.Projections) == len(s.cols) {
			visible.computed = map[string]logical.OutputColumn{}
			maps.Copy(visible.computed, s.computed)
			for i, e := range p.Projections {
				visible.computed[e.String()] = s.cols[i].col
			}
		}
	}
	keys, err := l.sortKeys(n.SortFields, visible)
	if err != nil || len(keys) == 0 {
		return child, s, err
	}
	return &logical.Sort{Input: child, Keys: keys}, s, nil
}

func (l *lowerer) sortKeys(fields gms.SortFields, s *scope) ([]logical.SortKey, error) {
	var keys []logical.SortKey
	for _, f := range fields {
		e, err := l.sortable(f.Column, s)
		if err != nil {
			return nil, err
		}
		if _, constant := e.(*logical.Literal); constant {
			continue
		}
		keys = append(keys, logical.SortKey{Expr: e, Desc: f.Order == gms.Descending})
	}
	return keys, nil
}

func (l *lowerer) limit(n *plan.Limit, outer *scope) (logical.Node, *scope, error) {
	if n.CalcFoundRows {
		return nil, nil, unsupported("SQL_CALC_FOUND_ROWS")
	}
	child, s, err := l.node(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	count, err := l.rowCount(n.Limit)
	if err != nil {
		return nil, nil, err
	}
	if below, ok := child.(*logical.Limit); ok && below.Count < 0 {
		return &logical.Limit{Input: below.Input, Count: count, Offset: below.Offset}, s, nil
	}
	return &logical.Limit{Input: child, Count: count}, s, nil
}

func (l *lowerer) rowCount(e gms.Expression) (int64, error) {
	lit, ok := e.(*expression.Literal)
	if !ok {
		return 0, unsupported("LIMIT by the expression %s", e)
	}
	n, ok := lit.Value().(int64)
	if !ok || n < 0 {
		return 0, unsupported("LIMIT %v", lit.Value())
	}
	return n, nil
}

// distinctDocuments is the distinct rows of a node that has columns of JSON. These
// are grouped by what compares as they do, and one of the equal documents is shown.
func (l *lowerer) distinctDocuments(node logical.Node, s *scope) (logical.Node, *scope) {
	agg := &logical.Aggregate{Input: node}
	out := &scope{outer: s.outer}
	for _, b := range s.cols {
		ref := b.col.Ref()
		if b.col.Type.Kind == types.JSON {
			b.col = l.addDocument(agg, ref)
			b.col.Name = ref.Name
		} else {
			agg.GroupBy = append(agg.GroupBy, logical.NamedExpr{Column: b.col, Expr: ref})
		}
		out.cols = append(out.cols, b)
	}
	return l.inOrder(agg, out)
}

// addDocument groups by a document, in whose order 1 and 1.0 are equal, and gives the
// column that shows one of the equal ones.
func (l *lowerer) addDocument(agg *logical.Aggregate, e logical.Expr) logical.OutputColumn {
	shown := logical.AggregateExpr{Name: "any_value", Args: []logical.Expr{e}}
	shown.Column = l.newColumn(e.String(), e.Type(), false)
	agg.Aggs = append(agg.Aggs, shown)
	key := jsonOrder(e)
	agg.GroupBy = append(agg.GroupBy, logical.NamedExpr{Column: l.newColumn(key.String(), key.Type(), !key.Nullable()), Expr: key})
	return shown.Column
}

// inOrder is the node with its columns as the scope lists them, for operators
// that go by position or compare whole rows.
func (l *lowerer) inOrder(node logical.Node, s *scope) (logical.Node, *scope) {
	if sameColumns(node.Output(), s.outputs()) {
		return node, s
	}
	p := &logical.Project{Input: node}
	out := &scope{outer: s.outer}
	taken := map[logical.ColumnID]bool{}
	for _, b := range s.cols {
		ref := b.col.Ref()
		b.col = l.projected(ref, b.name, taken)
		p.Exprs = append(p.Exprs, logical.NamedExpr{Column: b.col, Expr: ref})
		out.cols = append(out.cols, b)
	}
	return p, out
}
