package adhoc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// plans builds logical plans by hand, with column ids in the order of making.
type plans struct{ last logical.ColumnID }

func (p *plans) column(name string, t types.Type) logical.OutputColumn {
	p.last++
	return logical.OutputColumn{ID: p.last, Name: name, Type: t}
}

func (p *plans) scan(tab *table) *logical.Scan {
	n := &logical.Scan{Kind: logical.RelationTable, Database: "lake", Name: tab.name, Handle: tab}
	for _, c := range tab.Schema() {
		n.Columns = append(n.Columns, p.column(c.Name, c.Type))
	}
	return n
}

// project names its columns a, b, ….
func (p *plans) project(in logical.Node, exprs ...logical.Expr) *logical.Project {
	return &logical.Project{Input: in, Exprs: p.named(exprs...)}
}

func (p *plans) named(exprs ...logical.Expr) []logical.NamedExpr {
	var list []logical.NamedExpr
	for i, e := range exprs {
		list = append(list, logical.NamedExpr{Column: p.column(string(rune('a'+i)), e.Type()), Expr: e})
	}
	return list
}

func (p *plans) aggregate(in logical.Node, by []logical.NamedExpr, aggs ...logical.AggregateExpr) *logical.Aggregate {
	for i := range aggs {
		p.last++
		aggs[i].Column.ID, aggs[i].Column.Name = p.last, "agg"
	}
	return &logical.Aggregate{Input: in, GroupBy: by, Aggs: aggs}
}

func agg(name, result string, args ...logical.Expr) logical.AggregateExpr {
	return logical.AggregateExpr{Name: name, Args: args, Column: logical.OutputColumn{Type: parseType(result)}, Separator: ","}
}

// ref is a column of a node by its name.
func ref(n logical.Node, name string) *logical.Column {
	for _, c := range n.Output() {
		if c.Name == name {
			return c.Ref()
		}
	}
	panic("no column " + name)
}

func lit(v any, typ string) *logical.Literal { return &logical.Literal{Value: v, T: parseType(typ)} }

// infix makes a call of an operator that DuckDB spells as SQL does.
func infix(name, result string, args ...logical.Expr) *logical.Call {
	f := &function.Function{Name: name, DuckDB: func(args []string, _ function.Binding) string {
		switch {
		case strings.HasPrefix(name, "is "):
			return "(" + args[0] + " " + strings.ToUpper(name) + ")"
		case name == "not":
			return "(NOT " + args[0] + ")"
		case name == "in":
			return "(" + args[0] + " IN (" + strings.Join(args[1:], ", ") + "))"
		case name == "between":
			return "(" + args[0] + " BETWEEN " + args[1] + " AND " + args[2] + ")"
		}
		return "(" + strings.Join(args, " "+strings.ToUpper(name)+" ") + ")"
	}}
	return &logical.Call{Func: f, Args: args, T: parseType(result), Null: true}
}

func asc(e logical.Expr) logical.SortKey  { return logical.SortKey{Expr: e} }
func desc(e logical.Expr) logical.SortKey { return logical.SortKey{Expr: e, Desc: true} }

// run answers a plan, the rows as text.
func run(t testing.TB, e *adhoc.Engine, plan logical.Node) []string {
	t.Helper()
	r, err := e.Query(context.Background(), plan, adhoc.Session{})
	if err != nil {
		s, _ := adhoc.Spell(plan, adhoc.Session{})
		if s != nil {
			t.Logf("spelled %s", s.SQL)
		}
		t.Fatal(err)
	}
	return mustRows(t, r, nil)
}
