package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// recursion is a recursive UNION whose right side is being lowered.
type recursion struct {
	work    *logical.WorkTable
	columns []logical.OutputColumn
}

// recursive lowers a recursive common table expression. Its columns have the types
// of the first arm, as in MySQL; but where MySQL fails because a later value does not
// fit, they are wide enough.
func (l *lowerer) recursive(n *plan.RecursiveCte, outer *scope) (logical.Node, *scope, error) {
	union := n.Union()
	switch {
	case l.continuous:
		return nil, nil, unsupported("a recursive common table expression")
	case union.Distinct || union.Limit != nil || union.Offset != nil || len(union.SortFields) > 0:
		return nil, nil, unsupported("a recursive common table expression without UNION ALL, or with LIMIT")
	}
	left, ls, err := l.query(n.Left(), outer)
	if err != nil {
		return nil, nil, err
	}
	schema := n.Schema(l.ctx)
	if len(schema) != len(ls.cols) {
		return nil, nil, fmt.Errorf("lower %s: %d columns for a schema of %d", n.Name(), len(ls.cols), len(schema))
	}
	work := &logical.WorkTable{Name: n.Name()}
	set := &logical.SetOp{Op: "UNION", All: true, Work: work}
	s := &scope{outer: outer}
	var target []types.Type
	for i, c := range ls.cols {
		t := c.col.Type
		switch k := t.Kind; {
		case k == types.String:
			t = types.TypeText
		case k == types.Decimal:
			t = types.NewDecimal(types.MaxDecimalPrecision, t.Scale)
		case k.IsInteger() && k.IsUnsigned():
			t = types.TypeUint64
		case k.IsInteger():
			t = types.TypeInt64
		case k == types.Null:
			return nil, nil, unsupported("a recursive common table expression that begins with NULL")
		}
		target = append(target, t)
		col := l.newColumn(schema[i].Name, t, false)
		set.Columns = append(set.Columns, col)
		work.Columns = append(work.Columns, schema[i].Name)
		s.cols = append(s.cols, boundColumn{table: n.Name(), name: schema[i].Name, col: col})
	}
	l.recursions = append(l.recursions, recursion{work, set.Columns})
	right, rs, err := l.query(n.Right(), outer)
	l.recursions = l.recursions[:len(l.recursions)-1]
	if err != nil {
		return nil, nil, err
	}
	if len(rs.cols) != len(ls.cols) {
		return nil, nil, fmt.Errorf("lower %s: arms of %d and %d columns", n.Name(), len(ls.cols), len(rs.cols))
	}
	set.Left, set.Right = l.armOfTypes(left, ls, target), l.armOfTypes(right, rs, target)
	return set, s, nil
}

// workTable lowers what a recursive common table expression reads of itself.
func (l *lowerer) workTable(n *plan.RecursiveTable) (logical.Node, *scope, error) {
	for _, r := range slices.Backward(l.recursions) {
		if !strings.EqualFold(r.work.Name, n.Name()) {
			continue
		}
		scan := &logical.Scan{Kind: logical.RelationWork, Name: n.Name(), Handle: r.work}
		s := &scope{}
		id, _ := n.Columns().Next(1)
		for _, c := range r.columns {
			col := l.newColumn(c.Name, c.Type, false)
			scan.Columns = append(scan.Columns, col)
			s.cols = append(s.cols, boundColumn{id: id, table: n.Name(), name: c.Name, col: col})
			id++
		}
		return scan, s, nil
	}
	return nil, nil, unsupported("the recursive table %s", n.Name())
}
