package planner

import (
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// jsonTable flattens input by a JSON_TABLE whose document is an expression over
// in; the columns of in stay beside those of the table.
func (l *lowerer) jsonTable(n *plan.JSONTable, input logical.Node, in *scope, isOuter bool) (logical.Node, *scope, error) {
	data, err := l.expr(n.DataExpr, in)
	if err != nil {
		return nil, nil, err
	}
	if data.Type().Kind != types.JSON {
		data = coerce(data, types.TypeJSON)
	}
	table := &logical.JSONTable{Path: n.RootPath}
	flatten := &logical.Flatten{Input: input, Data: data, Table: table, Outer: isOuter}
	s := &scope{cols: append([]boundColumn(nil), in.cols...), outer: in.outer}
	id, _ := n.Columns().Next(1)
	if table.Columns, err = l.jsonColumns(n.Cols, func(c logical.JSONTableColumn, nested bool) {
		col := l.newColumn(c.Name, c.Type, c.Ordinality && !nested && !isOuter)
		flatten.Columns = append(flatten.Columns, col)
		s.cols = append(s.cols, boundColumn{id: id, table: n.Name(), name: c.Name, col: col})
		id++
	}, false); err != nil {
		return nil, nil, err
	}
	return flatten, s, nil
}

func (l *lowerer) jsonColumns(cols []plan.JSONTableCol, add func(c logical.JSONTableColumn, nested bool), nested bool) ([]logical.JSONTableColumn, error) {
	var out []logical.JSONTableColumn
	for _, c := range cols {
		if c.Opts == nil {
			inner, err := l.jsonColumns(c.NestedCols, add, true)
			if err != nil {
				return nil, err
			}
			out = append(out, logical.JSONTableColumn{Nested: &logical.JSONTable{Path: c.Path, Columns: inner}})
			continue
		}
		column := logical.JSONTableColumn{
			Name: c.Opts.Name, Path: c.Path, Ordinality: c.Opts.ForOrd, Exists: c.Opts.Exists,
		}
		t, err := FromGMSType(c.Opts.Type)
		if err != nil {
			return nil, err
		}
		column.Type = t
		if column.Ordinality {
			column.Type = types.TypeInt64
		}
		if column.OnEmpty, err = l.jsonDefault(c.Opts.ErrorOnEmpty, c.Opts.DefEmptyVal); err != nil {
			return nil, err
		}
		if column.OnError, err = l.jsonDefault(c.Opts.ErrorOnError, c.Opts.DefErrorVal); err != nil {
			return nil, err
		}
		out = append(out, column)
		add(column, nested)
	}
	return out, nil
}

func (l *lowerer) jsonDefault(fails bool, e gms.Expression) (logical.JSONTableDefault, error) {
	d := logical.JSONTableDefault{Error: fails}
	lit, ok := e.(*expression.Literal)
	switch {
	case !ok:
		return d, unsupported("the DEFAULT %s of a JSON_TABLE column", e)
	case fails || lit.Value() == nil:
		return d, nil
	}
	value, err := l.literal(lit)
	if err != nil {
		return d, err
	}
	d.Default, _ = value.(*logical.Literal)
	return d, nil
}
