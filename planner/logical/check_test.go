package logical_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

func column(id logical.ColumnID, name string) logical.OutputColumn {
	return logical.OutputColumn{ID: id, Name: name, Type: types.TypeInt64}
}

func scan(cols ...logical.OutputColumn) *logical.Scan {
	return &logical.Scan{Kind: logical.RelationTable, Database: "lake", Name: "t", Columns: cols}
}

func less(a, b logical.Expr) logical.Expr {
	return &logical.Call{Func: &function.Function{Name: "<", Infix: true}, Args: []logical.Expr{a, b}, T: types.TypeBool}
}

func project(in logical.Node, c logical.OutputColumn, e logical.Expr) logical.Node {
	return &logical.Project{Input: in, Exprs: []logical.NamedExpr{{Column: c, Expr: e}}}
}

var a, b, c = column(1, "a"), column(2, "b"), column(3, "c")

func TestCheck(t *testing.T) {
	f := func(name string, n logical.Node, want string) {
		t.Helper()
		err := logical.Check(n)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: err=%v, want one about %s", name, err, want)
		}
	}
	f("a column passed on", project(scan(a), a, a.Ref()), "")
	f("a column that the input lacks", project(scan(a), b, c.Ref()), "refers to column c")
	f("a column that the input no longer passes on",
		&logical.Filter{Input: project(scan(a, b), a, a.Ref()), Predicate: less(a.Ref(), b.Ref())}, "refers to column b")
	wrong := a.Ref()
	wrong.T = types.TypeText
	f("a column of another type", project(scan(a), b, wrong), "of type BIGINT as TEXT")
	f("an id made twice", &logical.Join{Kind: logical.JoinCross, Left: scan(a), Right: scan(a)}, "made by both")
	f("an id made again above", project(scan(a, b), a, b.Ref()), "made by both")
	f("a scan's filter", &logical.Scan{Name: "t", Columns: []logical.OutputColumn{a}, Filter: []logical.Expr{less(a.Ref(), b.Ref())}}, "refers to column b")
	f("a set of unequal inputs", &logical.SetOp{Op: "UNION", Left: scan(a), Right: scan(b, c), Columns: []logical.OutputColumn{column(4, "d")}}, "inputs of 1 and 2")

	inner := project(&logical.Filter{Input: scan(b), Predicate: less(a.Ref(), b.Ref())}, b, b.Ref())
	f("a correlated subquery", &logical.Filter{Input: scan(a), Predicate: &logical.Subquery{Op: logical.SubqueryExists, Plan: inner, T: types.TypeBool}}, "")
	f("a subquery correlated with nothing", &logical.Filter{Input: scan(c), Predicate: &logical.Subquery{Op: logical.SubqueryExists, Plan: inner, T: types.TypeBool}}, "refers to column a")
	f("a lateral join", &logical.Join{Kind: logical.JoinCross, Lateral: true, Left: scan(a), Right: inner}, "")
	f("a join that is not lateral", &logical.Join{Kind: logical.JoinCross, Left: scan(a), Right: inner}, "refers to column a")
}

func TestSubstitute(t *testing.T) {
	seven := &logical.Literal{Value: int64(7), T: types.TypeInt64}
	by := map[logical.ColumnID]logical.Expr{a.ID: seven}
	f := func(e logical.Expr, want string) {
		t.Helper()
		if got := logical.Substitute(e, by).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(less(a.Ref(), b.Ref()), "(7 < b)")
	f(b.Ref(), "b")
	sub := &logical.Subquery{Op: logical.SubqueryScalar, T: types.TypeInt64, Plan: project(&logical.Filter{Input: scan(b), Predicate: less(a.Ref(), b.Ref())}, b, b.Ref())}
	got := logical.Format(project(scan(c), c, logical.Substitute(sub, by)))
	if !strings.Contains(got, "Filter (7 < b)") {
		t.Errorf("the subquery was left as it was:\n%s", got)
	}
	if e := less(b.Ref(), b.Ref()); logical.Substitute(e, by) != e {
		t.Error("an expression without the column was rebuilt")
	}
}

func TestReferences(t *testing.T) {
	set := map[logical.ColumnID]bool{}
	sub := &logical.Subquery{Op: logical.SubqueryIn, Arg: c.Ref(), T: types.TypeBool, Plan: &logical.Filter{Input: scan(b), Predicate: less(a.Ref(), b.Ref())}}
	logical.References(sub, set)
	if len(set) != 3 || !set[a.ID] || !set[b.ID] || !set[c.ID] {
		t.Errorf("references %v, want all three columns", set)
	}
}

func TestIsVolatile(t *testing.T) {
	random := &logical.RowFunc{Name: "rand", T: types.TypeFloat64, Volatile: true}
	if !logical.IsVolatile(less(a.Ref(), random)) || logical.IsVolatile(less(a.Ref(), b.Ref())) {
		t.Error("a comparison with RAND() is volatile, one of columns is not")
	}
}

func TestRowFunc_String(t *testing.T) {
	f := &logical.RowFunc{Name: "find", Args: []logical.Expr{a.Ref(), b.Ref()}, T: types.TypeInt64}
	if got := f.String(); got != "find(a, b)" {
		t.Errorf("got %s", got)
	}
	f.Spelling = "find(" + logical.OperandMark(1) + ", 'x', " + logical.OperandMark(0) + ")"
	if got := f.WithChildren([]logical.Expr{c.Ref(), a.Ref()}).String(); got != "find(a, 'x', c)" {
		t.Errorf("got %s", got)
	}
}
