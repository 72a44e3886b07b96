package planner

import (
	"errors"
	"fmt"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

func (l *lowerer) setOp(n *plan.SetOp, outer *scope) (logical.Node, *scope, error) {
	ops := map[int]string{plan.UnionType: "UNION", plan.IntersectType: "INTERSECT", plan.ExceptType: "EXCEPT"}
	left, ls, err := l.arm(n.Left(), outer)
	if err != nil {
		return nil, nil, err
	}
	right, rs, err := l.arm(n.Right(), outer)
	if err != nil {
		return nil, nil, err
	}
	if len(ls.cols) != len(rs.cols) {
		return nil, nil, fmt.Errorf("lower %s: arms of %d and %d columns", ops[n.SetOpType], len(ls.cols), len(rs.cols))
	}
	if n.Distinct {
		if err := errors.Join(distinctBytes(ops[n.SetOpType], ls), distinctBytes(ops[n.SetOpType], rs)); err != nil {
			return nil, nil, err
		}
	}
	set := &logical.SetOp{Op: ops[n.SetOpType], All: !n.Distinct}
	s := &scope{outer: outer}
	var target []types.Type
	for i, c := range ls.cols {
		t := commonType(c.col.Ref(), rs.cols[i].col.Ref())
		target = append(target, t)
		b := c
		b.col = l.newColumn(c.name, t, c.col.NotNull && rs.cols[i].col.NotNull)
		set.Columns = append(set.Columns, b.col)
		s.cols = append(s.cols, b)
	}
	set.Left, set.Right = l.armOfTypes(left, ls, target), l.armOfTypes(right, rs, target)

	var node logical.Node = set
	if keys, err := l.sortKeys(n.SortFields, s); err != nil {
		return nil, nil, err
	} else if len(keys) > 0 {
		node = &logical.Sort{Input: node, Keys: keys}
	}
	if n.Limit == nil && n.Offset == nil {
		return node, s, nil
	}
	limit := &logical.Limit{Input: node, Count: -1}
	if n.Limit != nil {
		if limit.Count, err = l.rowCount(n.Limit); err != nil {
			return nil, nil, err
		}
	}
	if n.Offset != nil {
		if limit.Offset, err = l.rowCount(n.Offset); err != nil {
			return nil, nil, err
		}
	}
	return limit, s, nil
}

// arm lowers one side of a set operation. Where the sides' types differ the
// engine's binder has put a projection of conversions on each; its DECIMALs lose
// their scale, so the conversions are ours.
func (l *lowerer) arm(n gms.Node, outer *scope) (logical.Node, *scope, error) {
	if p, ok := n.(*plan.Project); ok && len(p.Projections) == len(p.Child.Schema(l.ctx)) {
		for _, e := range p.Projections {
			a, ok := e.(*expression.Alias)
			if !ok || a.Id() != 0 {
				continue
			}
			if _, ok := a.Child.(*expression.Convert); ok {
				return l.query(p.Child, outer)
			}
		}
	}
	return l.query(n, outer)
}

func (l *lowerer) armOfTypes(node logical.Node, s *scope, target []types.Type) logical.Node {
	node, s = l.inOrder(node, s)
	same := true
	p := &logical.Project{Input: node}
	for i, c := range s.cols {
		e := coerce(c.col.Ref(), target[i])
		col := c.col
		if _, kept := e.(*logical.Column); !kept {
			same = false
			col = l.newColumn(c.name, target[i], !e.Nullable())
		}
		p.Exprs = append(p.Exprs, logical.NamedExpr{Column: col, Expr: e})
	}
	if same {
		return node
	}
	return p
}

func (l *lowerer) values(n *plan.ValueDerivedTable, outer *scope) (logical.Node, *scope, error) {
	v := &logical.Values{}
	for _, tuple := range n.ExpressionTuples {
		var row []logical.Expr
		for _, e := range tuple {
			lowered, err := l.expr(e, &scope{outer: outer})
			if err != nil {
				return nil, nil, err
			}
			row = append(row, lowered)
		}
		v.Rows = append(v.Rows, row)
	}
	s := &scope{}
	id, _ := n.Columns().Next(1)
	for i, c := range n.Schema(l.ctx) {
		var column []logical.Expr
		notNull := true
		for _, row := range v.Rows {
			column = append(column, row[i])
			notNull = notNull && !row[i].Nullable()
		}
		t := commonType(column...)
		for _, row := range v.Rows {
			row[i] = coerce(row[i], t)
		}
		col := l.newColumn(c.Name, t, notNull)
		v.Columns = append(v.Columns, col)
		s.cols = append(s.cols, boundColumn{id: id, table: n.Name(), name: c.Name, col: col})
		id++
	}
	return v, s, nil
}

func (l *lowerer) empty(n *plan.EmptyTable) (logical.Node, *scope, error) {
	v := &logical.Values{}
	s := &scope{}
	id, _ := n.Columns().Next(1)
	for _, c := range n.Schema(l.ctx) {
		t, err := FromGMSType(c.Type)
		if err != nil {
			return nil, nil, err
		}
		col := l.newColumn(c.Name, t, !c.Nullable)
		v.Columns = append(v.Columns, col)
		s.cols = append(s.cols, boundColumn{id: id, table: c.Source, name: c.Name, col: col})
		id++
	}
	return v, s, nil
}
