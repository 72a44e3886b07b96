package planner

import (
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/sql/sqlerror"
)

// PrepareSelect rewrites a parsed statement before the MySQL engine binds it,
// in place; doing it twice does nothing more.
//
// A star does not contain hidden columns: where * or t.* stands for a relation
// that has some, it becomes the list of its declared columns, in sub-selects,
// common table expressions and the arms of a UNION as well. In a NATURAL JOIN
// or a join with USING such a relation is replaced by a sub-select of its
// declared columns, because the engine would join by the hidden ones too.
//
// A CAST keeps its length, which the engine drops where it thinks that the type is
// there already; and a DECIMAL literal keeps its digits, which the engine rounds
// to the scale of the column that it is compared with.
//
// Named windows are written where they are used, and a query with window
// functions over groups becomes two, one in the other. Literals that an ORDER BY
// of a UNION may mean get names.
//
// Clauses that the engine would drop without a word are refused; errors are
// *sqlerror.Error without a place. Statements that hold no SELECT are left as they
// are.
func PrepareSelect(stmt sqlparser.Statement, lookup Lookup) error {
	p := preparer{lookup: lookup}
	switch s := stmt.(type) {
	case sqlparser.SelectStatement:
		return p.query(s, nil)
	case *sqlparser.DDL:
		if s.ViewSpec != nil && s.ViewSpec.ViewExpr != nil {
			return p.query(s.ViewSpec.ViewExpr, nil)
		}
	case *sqlparser.Explain:
		return PrepareSelect(s.Statement, lookup)
	case *sqlparser.Insert:
		if q, ok := s.Rows.(sqlparser.SelectStatement); ok {
			return p.query(q, nil)
		}
	}
	return nil
}

type preparer struct {
	lookup Lookup
	depth  int // how many sub-selects in expressions are around
}

// inner prepares what is in sub-selects of expressions.
func (p preparer) inner() preparer {
	p.depth++
	return p
}

// ctes are the names of the common table expressions that a query can see,
// which hide tables of the same name.
type ctes []string

func (c ctes) has(name string) bool {
	for _, n := range c {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func (p preparer) query(q sqlparser.SelectStatement, visible ctes) error {
	switch q := q.(type) {
	case *sqlparser.ParenSelect:
		return p.query(q.Select, visible)
	case *sqlparser.SetOp:
		visible, err := p.with(q.With, visible)
		if err != nil {
			return err
		}
		if err := p.query(q.Left, visible); err != nil {
			return err
		}
		if err := p.query(q.Right, visible); err != nil {
			return err
		}
		if len(q.OrderBy) > 0 {
			nameLiterals(q)
		}
		return p.walk(visible, q.OrderBy, q.Limit)
	case *sqlparser.Select:
		visible, err := p.with(q.With, visible)
		if err != nil {
			return err
		}
		if err := checkClauses(q); err != nil {
			return err
		}
		markWindows(q)
		inlineWindows(q)
		markFrames(q)
		splitWindows(q)
		q.From = p.wrapJoined(q.From, visible)
		q.SelectExprs = p.expandStars(q.SelectExprs, q.From, visible)
		if err := p.walk(visible, q.From); err != nil {
			return err
		}
		return p.walk(visible, q.SelectExprs, q.Where, q.GroupBy, q.Having, q.Window, q.OrderBy, q.Limit)
	}
	return nil
}

// nameLiterals gives literals in the first arm of a UNION a name, so that ORDER BY
// sorts by the column, and not by the literal, which is the same in all rows.
func nameLiterals(q sqlparser.SelectStatement) {
	switch q := q.(type) {
	case *sqlparser.ParenSelect:
		nameLiterals(q.Select)
	case *sqlparser.SetOp:
		nameLiterals(q.Left)
	case *sqlparser.Select:
		for _, e := range q.SelectExprs {
			a, ok := e.(*sqlparser.AliasedExpr)
			if !ok || !a.As.IsEmpty() {
				continue
			}
			name := a.InputExpression
			switch v := a.Expr.(type) {
			case *sqlparser.SQLVal:
				if v.Type == sqlparser.StrVal && len(v.Val) > 0 {
					name = string(v.Val)
				}
			case *sqlparser.NullVal, sqlparser.BoolVal:
			default:
				continue
			}
			if name == "" {
				name = sqlparser.String(a.Expr)
			}
			a.As = sqlparser.NewColIdent(name)
		}
	}
}

func (p preparer) with(with *sqlparser.With, visible ctes) (ctes, error) {
	if with == nil {
		return visible, nil
	}
	visible = append(ctes(nil), visible...)
	for _, cte := range with.Ctes {
		name := cte.As.String()
		inside := visible
		if with.Recursive {
			inside = append(append(ctes(nil), visible...), name)
		}
		if sub, ok := cte.Expr.(*sqlparser.Subquery); ok {
			if err := p.query(sub.Select, inside); err != nil {
				return nil, err
			}
		}
		visible = append(visible, name)
	}
	return visible, nil
}

// walk prepares the queries and casts below nodes.
func (p preparer) walk(visible ctes, nodes ...sqlparser.SQLNode) error {
	return sqlparser.Walk(func(node sqlparser.SQLNode) (bool, error) {
		switch n := node.(type) {
		case *sqlparser.Subquery:
			if _, from := nodes[0].(sqlparser.TableExprs); from {
				return false, p.query(n.Select, visible)
			}
			return false, p.inner().query(n.Select, visible)
		case *sqlparser.ConvertExpr:
			if err := checkCast(n); err != nil {
				return false, err
			}
			keepCast(n)
		case *sqlparser.Default:
			return false, sqlerror.Userf(sqlerror.CodeUnsupported, "DEFAULT(…) is not supported: columns have no defaults")
		case *sqlparser.FuncExpr:
			if p.depth > 0 && n.Over == nil && n.IsAggregate() {
				markInner(n.Exprs, p.depth)
			}
			name := n.Name.Lowered()
			if arguments, ok := ownMeaning[name]; ok && n.Qualifier.IsEmpty() && (len(n.Exprs) == arguments || arguments < 0) {
				n.Name = sqlparser.NewColIdent(ownMark + name)
			}
		case *sqlparser.GroupConcatExpr:
			if p.depth > 0 {
				markInner(n.Exprs, p.depth)
			}
			for _, o := range n.OrderBy {
				if e, ok := expressionAt(n.Exprs, o.Expr); ok {
					o.Expr = e
				}
			}
		case *sqlparser.UnaryExpr:
			if n.Operator == sqlparser.TildaStr {
				n.Operator = sqlparser.UPlusStr
				n.Expr = &sqlparser.FuncExpr{Name: sqlparser.NewColIdent(bitNot), Exprs: sqlparser.SelectExprs{&sqlparser.AliasedExpr{Expr: n.Expr}}}
			}
		case *sqlparser.ComparisonExpr:
			n.Left, n.Right = keepDigits(n.Left), keepDigits(n.Right)
		}
		return true, nil
	}, nodes...)
}

// item is one name in FROM that a star can stand for.
type item struct {
	alias    string
	relation *Relation // nil for everything whose columns are all visible
}

func (p preparer) items(from sqlparser.TableExprs, visible ctes) []item {
	var list []item
	for _, te := range from {
		switch t := te.(type) {
		case *sqlparser.AliasedTableExpr:
			list = append(list, p.item(t, visible))
		case *sqlparser.JSONTableExpr:
			list = append(list, item{alias: t.Alias.String()})
		case *sqlparser.TableFuncExpr:
			alias := t.Alias.String()
			if alias == "" {
				alias = t.Name
			}
			list = append(list, item{alias: alias})
		case *sqlparser.ParenTableExpr:
			list = append(list, p.items(t.Exprs, visible)...)
		case *sqlparser.JoinTableExpr:
			list = append(list, p.items(sqlparser.TableExprs{t.LeftExpr, t.RightExpr}, visible)...)
		}
	}
	return list
}

func (p preparer) item(t *sqlparser.AliasedTableExpr, visible ctes) item {
	it := item{alias: t.As.String()}
	name, ok := t.Expr.(sqlparser.TableName)
	if !ok {
		return it
	}
	if it.alias == "" {
		it.alias = name.Name.String()
	}
	if rel, ok := p.hiding(name, visible); ok {
		it.relation = &rel
	}
	return it
}

// hiding finds the relation of a name if it has hidden columns.
func (p preparer) hiding(name sqlparser.TableName, visible ctes) (Relation, bool) {
	if name.DbQualifier.IsEmpty() && visible.has(name.Name.String()) {
		return Relation{}, false
	}
	rel, ok := p.lookup(name.DbQualifier.String(), name.Name.String())
	return rel, ok && len(rel.Hidden) > 0
}

func (p preparer) expandStars(exprs sqlparser.SelectExprs, from sqlparser.TableExprs, visible ctes) sqlparser.SelectExprs {
	var items []item
	var out sqlparser.SelectExprs
	for i, e := range exprs {
		star, ok := e.(*sqlparser.StarExpr)
		if !ok {
			out = append(out, e)
			continue
		}
		if items == nil {
			items = p.items(from, visible)
		}
		out = append(out, expandStar(star, items, i > 0 && !isStar(exprs[i-1]))...)
	}
	return out
}

func isStar(e sqlparser.SelectExpr) bool {
	_, ok := e.(*sqlparser.StarExpr)
	return ok
}

// expandStar leaves the star where nothing is hidden, and where it is an error
// anyway: an unqualified one must come first.
func expandStar(star *sqlparser.StarExpr, items []item, afterColumn bool) sqlparser.SelectExprs {
	same := sqlparser.SelectExprs{star}
	if !star.TableName.IsEmpty() {
		for _, it := range items {
			if it.relation != nil && strings.EqualFold(it.alias, star.TableName.Name.String()) {
				return columnsOf(it)
			}
		}
		return same
	}
	hides := false
	for _, it := range items {
		hides = hides || it.relation != nil
	}
	if !hides || afterColumn {
		return same
	}
	var out sqlparser.SelectExprs
	for _, it := range items {
		if it.relation != nil {
			out = append(out, columnsOf(it)...)
			continue
		}
		out = append(out, &sqlparser.StarExpr{TableName: sqlparser.TableName{Name: sqlparser.NewTableIdent(it.alias)}})
	}
	return out
}

func columnsOf(it item) sqlparser.SelectExprs {
	out := make(sqlparser.SelectExprs, len(it.relation.Schema))
	for i, c := range it.relation.Schema {
		out[i] = &sqlparser.AliasedExpr{Expr: &sqlparser.ColName{
			Name:      sqlparser.NewColIdent(c.Name),
			Qualifier: sqlparser.TableName{Name: sqlparser.NewTableIdent(it.alias)},
		}}
	}
	return out
}

// wrapJoined replaces relations with hidden columns by sub-selects of the
// declared ones wherever columns are joined by name.
func (p preparer) wrapJoined(from sqlparser.TableExprs, visible ctes) sqlparser.TableExprs {
	for i, te := range from {
		from[i] = p.wrapTable(te, visible, false)
	}
	return from
}

func (p preparer) wrapTable(te sqlparser.TableExpr, visible ctes, byName bool) sqlparser.TableExpr {
	switch t := te.(type) {
	case *sqlparser.ParenTableExpr:
		for i, e := range t.Exprs {
			t.Exprs[i] = p.wrapTable(e, visible, byName)
		}
	case *sqlparser.JoinTableExpr:
		byName = byName || len(t.Condition.Using) > 0 || strings.HasPrefix(strings.ToLower(t.Join), "natural")
		t.LeftExpr = p.wrapTable(t.LeftExpr, visible, byName)
		t.RightExpr = p.wrapTable(t.RightExpr, visible, byName)
	case *sqlparser.AliasedTableExpr:
		if it := p.item(t, visible); byName && it.relation != nil {
			name := t.Expr.(sqlparser.TableName)
			columns := columnsOf(item{alias: name.Name.String(), relation: it.relation})
			t.As = sqlparser.NewTableIdent(it.alias)
			t.Expr = &sqlparser.Subquery{Select: &sqlparser.Select{
				SelectExprs: columns,
				From:        sqlparser.TableExprs{&sqlparser.AliasedTableExpr{Expr: name, Auth: t.Auth}},
			}}
		}
	}
	return te
}
