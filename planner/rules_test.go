package planner

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// The rules are tested on plans written down by hand: columns are called a, b,
// … with ids 1, 2, …, and every function takes and gives BIGINTs.

func testColumn(name string) logical.OutputColumn {
	return logical.OutputColumn{ID: logical.ColumnID(name[0] - 'a' + 1), Name: name, Type: types.TypeInt64}
}

func ref(name string) logical.Expr { return testColumn(name).Ref() }

func num(n int64) logical.Expr { return &logical.Literal{Value: n, T: types.TypeInt64} }

func truth(b bool) logical.Expr { return &logical.Literal{Value: b, T: types.TypeBool} }

func infix(name string, args ...logical.Expr) logical.Expr {
	t := types.TypeInt64
	if strings.Contains("= < > and or", name) {
		t = types.TypeBool
	}
	return &logical.Call{Func: &function.Function{Name: name, Infix: true, Kernel: testKernel}, Args: args, T: t}
}

// testKernel adds its operands, and fails where the sum is 13.
func testKernel(ctx *kernel.Context, rows int, args []kernel.Vector, out types.Type) (kernel.Vector, error) {
	b := array.NewInt64Builder(ctx.Alloc)
	defer b.Release()
	var v kernel.Vector
	for i := range rows {
		sum := int64(0)
		for _, a := range args {
			sum += kernel.Value(a.Array, min(i, a.Array.Len()-1)).(int64)
		}
		if sum == 13 {
			v.Errors = v.Errors.Set(i, errors.New("unlucky"))
		}
		b.Append(sum)
	}
	v.Array = b.NewArray()
	return v, nil
}

func random() logical.Expr {
	return &logical.RowFunc{Name: "rand", T: types.TypeInt64, Volatile: true}
}

func scan(names ...string) *logical.Scan {
	s := &logical.Scan{Kind: logical.RelationTable, Database: "lake", Name: "t"}
	for _, n := range names {
		s.Columns = append(s.Columns, testColumn(n))
	}
	return s
}

func filter(p logical.Expr, in logical.Node) logical.Node {
	return &logical.Filter{Input: in, Predicate: p}
}

// project makes columns by name: "c", expr, "d", expr, …
func project(in logical.Node, pairs ...any) logical.Node {
	p := &logical.Project{Input: in}
	for i := 0; i < len(pairs); i += 2 {
		c := testColumn(pairs[i].(string))
		e := pairs[i+1].(logical.Expr)
		c.Type = e.Type()
		p.Exprs = append(p.Exprs, logical.NamedExpr{Column: c, Expr: e})
	}
	return p
}

// checkRule applies one rule once and compares with what is wanted; "" wants the
// very same plan.
func checkRule(t *testing.T, name string, in logical.Node, want string) {
	t.Helper()
	for _, r := range rules {
		if r.name != name {
			continue
		}
		if err := logical.Check(in); err != nil {
			t.Fatalf("the test's plan: %v", err)
		}
		out := r.apply(&optimizer{last: lastID(in)}, in)
		if err := logical.Check(out); err != nil {
			t.Errorf("%v\n%s", err, logical.Format(out))
		}
		got := strings.TrimSpace(logical.Format(out))
		if want == "" {
			if out != in {
				t.Errorf("rule made a new plan of one that it leaves alone:\n%s", got)
			}
			return
		}
		if want = strings.ReplaceAll(strings.TrimSpace(want), "\n\t\t\t", "\n"); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
		return
	}
	t.Fatalf("no rule %q", name)
}

func TestRule_FoldConstants(t *testing.T) {
	f := func(e logical.Expr, want string) {
		t.Helper()
		checkRule(t, "fold constants", project(scan("a"), "b", e), want)
	}
	f(infix("+", num(1), num(2)), "Project 3 AS b\n  Scan lake.t (a)")
	f(infix("+", ref("a"), infix("+", num(1), num(2))), "Project (a + 3) AS b\n  Scan lake.t (a)")
	f(infix("+", infix("+", num(1), num(2)), infix("+", num(3), num(4))), "Project 10 AS b\n  Scan lake.t (a)")
	f(infix("+", ref("a"), num(1)), "")
	// What fails at run time is not evaluated earlier.
	f(infix("+", num(6), num(7)), "")
	f(random(), "")
	volatile := infix("+", num(1), num(2)).(*logical.Call)
	volatile.Func.Volatile = true
	f(volatile, "")

	less := infix("<", ref("a"), num(1))
	f(infix("and", truth(true), less), "Project (a < 1) AS b\n  Scan lake.t (a)")
	f(infix("and", less, truth(false)), "Project FALSE AS b\n  Scan lake.t (a)")
	f(infix("or", less, truth(true)), "Project TRUE AS b\n  Scan lake.t (a)")
	f(infix("or", truth(false), truth(false)), "Project FALSE AS b\n  Scan lake.t (a)")
	// a AND TRUE is a truth value, a is a number.
	f(infix("and", ref("a"), truth(true)), "")
}

func TestRule_SimplifyCasts(t *testing.T) {
	cast := func(e logical.Expr, k types.Kind) logical.Expr {
		return &logical.Cast{Arg: e, T: types.Type{Kind: k}}
	}
	f := func(e logical.Expr, want string) {
		t.Helper()
		checkRule(t, "simplify casts", project(scan("a"), "b", e), want)
	}
	f(cast(ref("a"), types.Int64), "Project a AS b\n  Scan lake.t (a)")
	f(cast(ref("a"), types.Int32), "")
	f(cast(cast(cast(ref("a"), types.Int8), types.Int32), types.Int64), "Project CAST(CAST(a AS TINYINT) AS BIGINT) AS b\n  Scan lake.t (a)")
	// Narrowing can fail, and a sign can be lost.
	f(cast(cast(ref("a"), types.Int32), types.Int64), "")
	f(cast(cast(ref("a"), types.Uint64), types.Int64), "")
}

func TestRule_DropTrueFilters(t *testing.T) {
	const rule = "drop filters that are always true"
	checkRule(t, rule, filter(truth(true), scan("a")), "Scan lake.t (a)")
	checkRule(t, rule, filter(truth(false), scan("a")), "")
}

func TestRule_SplitConjunctions(t *testing.T) {
	p, q, r := infix("<", ref("a"), num(1)), infix("=", ref("a"), num(2)), infix(">", ref("a"), num(3))
	const rule = "split conjunctions"
	checkRule(t, rule, filter(infix("and", infix("and", p, q), r), scan("a")), `
Filter (a > 3)
  Filter (a = 2)
    Filter (a < 1)
      Scan lake.t (a)`)
	checkRule(t, rule, filter(infix("or", p, q), scan("a")), "")
}

func TestRule_PushFilters(t *testing.T) {
	const rule = "push filters down"
	less := func(name string) logical.Expr { return infix("<", ref(name), num(1)) }
	t.Run("Project", func(t *testing.T) {
		below := project(scan("a"), "b", infix("+", ref("a"), num(2)), "a", ref("a"))
		checkRule(t, rule, filter(less("b"), below), `
Project (a + 2) AS b, a
  Filter ((a + 2) < 1)
    Scan lake.t (a)`)
	})
	t.Run("VolatileExpression", func(t *testing.T) {
		below := project(scan("a"), "b", random(), "a", ref("a"))
		checkRule(t, rule, filter(less("b"), below), "")
		checkRule(t, rule, filter(less("a"), below), `
Project rand() AS b, a
  Filter (a < 1)
    Scan lake.t (a)`)
		checkRule(t, rule, filter(infix("<", random(), num(1)), below), "")
	})
	t.Run("PastAnotherFilter", func(t *testing.T) {
		below := project(scan("a"), "a", ref("a"))
		checkRule(t, rule, filter(less("a"), filter(infix("<", random(), ref("a")), below)), "")
		flat := &logical.Flatten{Input: scan("a"), Data: ref("a"), Table: &logical.JSONTable{Path: "$"}, Columns: []logical.OutputColumn{testColumn("b")}}
		checkRule(t, rule, filter(less("a"), filter(less("b"), flat)), `
Filter (b < 1)
  Flatten a $ (b)
    Filter (a < 1)
      Scan lake.t (a)`)
	})
	t.Run("Join", func(t *testing.T) {
		join := func(kind logical.JoinKind) logical.Node {
			return &logical.Join{Kind: kind, Left: scan("a"), Right: scan("b"), On: infix("=", ref("a"), ref("b"))}
		}
		checkRule(t, rule, filter(less("b"), join(logical.JoinInner)), `
Inner join on (a = b)
  Scan lake.t (a)
  Filter (b < 1)
    Scan lake.t (b)`)
		checkRule(t, rule, filter(less("a"), join(logical.JoinLeft)), `
Left join on (a = b)
  Filter (a < 1)
    Scan lake.t (a)
  Scan lake.t (b)`)
		// A row of the left side without a partner has NULLs on the right.
		checkRule(t, rule, filter(less("b"), join(logical.JoinLeft)), "")
		checkRule(t, rule, filter(less("a"), join(logical.JoinRight)), "")
		checkRule(t, rule, filter(less("a"), join(logical.JoinFull)), "")
		checkRule(t, rule, filter(infix("<", ref("a"), ref("b")), join(logical.JoinInner)), "")
	})
	t.Run("Aggregate", func(t *testing.T) {
		group := &logical.Aggregate{
			Input:   scan("a", "b"),
			GroupBy: []logical.NamedExpr{{Column: testColumn("c"), Expr: infix("+", ref("a"), num(1))}},
			Aggs:    []logical.AggregateExpr{{Column: testColumn("d"), Name: "sum", Args: []logical.Expr{ref("b")}}},
		}
		checkRule(t, rule, filter(less("c"), group), `
Aggregate SUM(b) by (a + 1) AS c
  Filter ((a + 1) < 1)
    Scan lake.t (a, b)`)
		checkRule(t, rule, filter(less("d"), group), "")
		// Without a group the one row of an aggregation over nothing would be lost.
		checkRule(t, rule, filter(truth(false), group), "")
	})
	t.Run("LimitStays", func(t *testing.T) {
		checkRule(t, rule, filter(less("a"), &logical.Limit{Input: scan("a"), Count: 1}), "")
	})
	t.Run("Sort", func(t *testing.T) {
		checkRule(t, rule, filter(less("a"), &logical.Sort{Input: scan("a"), Keys: []logical.SortKey{{Expr: ref("a")}}}), `
Sort a
  Filter (a < 1)
    Scan lake.t (a)`)
	})
}

func TestRule_PullProjections(t *testing.T) {
	flatten := func(in logical.Node, data logical.Expr) logical.Node {
		return &logical.Flatten{Input: in, Data: data, Table: &logical.JSONTable{Path: "$"}, Columns: []logical.OutputColumn{testColumn("d")}}
	}
	const rule = "pull projections above flattening"
	checkRule(t, rule, flatten(project(scan("a", "b"), "c", ref("a")), ref("c")), `
Project a AS c, d
  Flatten a $ (d)
    Scan lake.t (a, b)`)
	// It would be evaluated for every flattened row.
	checkRule(t, rule, flatten(project(scan("a"), "c", infix("+", ref("a"), num(1))), ref("c")), "")
}

func TestRule_MergeProjects(t *testing.T) {
	const rule = "merge projections"
	plus := infix("+", ref("a"), num(1))
	checkRule(t, rule, project(project(scan("a"), "b", plus, "a", ref("a")), "c", infix("+", ref("b"), ref("a"))), `
Project ((a + 1) + a) AS c
  Scan lake.t (a)`)
	checkRule(t, rule, project(project(scan("a"), "b", plus), "c", infix("+", ref("b"), ref("b"))), "")
	checkRule(t, rule, project(project(scan("a"), "b", ref("a")), "c", infix("+", ref("b"), ref("b"))), `
Project (a + a) AS c
  Scan lake.t (a)`)
	checkRule(t, rule, project(project(scan("a"), "b", random()), "c", ref("b"), "d", ref("b")), "")
}

func TestRule_ShowFilters(t *testing.T) {
	const rule = "show scans their filters"
	p := infix("<", ref("a"), num(1))
	checkRule(t, rule, filter(p, filter(infix("<", ref("b"), random()), scan("a", "b"))), `
Filter (a < 1)
  Filter (b < rand())
    Scan lake.t (a, b) where (a < 1)`)
	shown := scan("a")
	shown.Filter = []logical.Expr{p}
	checkRule(t, rule, filter(p, shown), "")
	source := scan("a")
	source.Kind = logical.RelationSource
	checkRule(t, rule, filter(p, source), "")
}

func TestRule_PruneColumns(t *testing.T) {
	const rule = "prune columns"
	t.Run("ProjectAndScan", func(t *testing.T) {
		in := project(filter(infix("<", ref("b"), num(1)), project(scan("a", "b", "c"), "b", ref("b"), "d", infix("+", ref("a"), num(1)), "c", ref("c"))), "c", ref("c"))
		checkRule(t, rule, in, `
Project c
  Filter (b < 1)
    Scan lake.t (b, c)`)
	})
	t.Run("KeepsWhatAFilterShows", func(t *testing.T) {
		shown := scan("a", "b", "c")
		shown.Filter = []logical.Expr{infix("<", ref("c"), num(1))}
		checkRule(t, rule, project(shown, "a", ref("a")), `
Project a
  Scan lake.t (a, c) where (c < 1)`)
	})
	t.Run("ATableIsReadByAColumn", func(t *testing.T) {
		checkRule(t, rule, project(scan("a", "b"), "c", num(1)), `
Project 1 AS c
  Scan lake.t (a)`)
		source := scan("a", "b")
		source.Kind = logical.RelationSource
		checkRule(t, rule, project(source, "c", num(1)), `
Project 1 AS c
  Scan t ()`)
	})
	t.Run("DistinctNeedsAll", func(t *testing.T) {
		checkRule(t, rule, project(&logical.Distinct{Input: scan("a", "b")}, "a", ref("a")), "")
	})
	t.Run("LateralJoin", func(t *testing.T) {
		lateral := &logical.Join{
			Kind: logical.JoinCross, Lateral: true, Left: scan("a", "b", "e"),
			Right: project(scan("c"), "d", infix("+", ref("c"), ref("b"))),
		}
		checkRule(t, rule, project(lateral, "d", ref("d")), `
Project d
  Cross join lateral
    Scan lake.t (b)
    Project (c + b) AS d
      Scan lake.t (c)`)
	})
	t.Run("CorrelatedSubquery", func(t *testing.T) {
		sub := &logical.Subquery{Op: logical.SubqueryScalar, T: types.TypeInt64, Plan: project(filter(infix("=", ref("c"), ref("b")), scan("c", "d")), "c", ref("c"))}
		checkRule(t, rule, project(scan("a", "b", "e"), "f", sub), `
Project (…) AS f
  Subquery
    Project c
      Filter (c = b)
        Scan lake.t (c)
  Scan lake.t (b)`)
	})
	t.Run("IdentityProject", func(t *testing.T) {
		in := project(project(scan("a", "b"), "a", ref("a"), "b", ref("b")), "c", infix("+", ref("a"), ref("b")))
		checkRule(t, rule, in, `
Project (a + b) AS c
  Scan lake.t (a, b)`)
	})
	t.Run("Window", func(t *testing.T) {
		w := &logical.Window{Input: scan("a", "b"), Exprs: []logical.WindowExpr{
			{Column: testColumn("c"), Name: "row_number", OrderBy: []logical.SortKey{{Expr: ref("b")}}},
		}}
		checkRule(t, rule, project(w, "a", ref("a")), `
Project a
  Scan lake.t (a)`)
	})
	t.Run("Aggregate", func(t *testing.T) {
		agg := &logical.Aggregate{Input: scan("a", "b"), Aggs: []logical.AggregateExpr{
			{Column: testColumn("c"), Name: "sum", Args: []logical.Expr{ref("a")}},
			{Column: testColumn("d"), Name: "max", Args: []logical.Expr{ref("b")}},
		}}
		checkRule(t, rule, project(agg, "d", ref("d")), `
Project d
  Aggregate MAX(b)
    Scan lake.t (b)`)
		checkRule(t, rule, project(agg, "e", num(1)), `
Project 1 AS e
  Aggregate SUM(a)
    Scan lake.t (a)`)
	})
}

func TestRule_PushJSONPaths(t *testing.T) {
	const rule = "push JSON paths into the decoder"
	doc := logical.OutputColumn{ID: 1, Name: "doc", Type: types.TypeJSON}
	text := logical.OutputColumn{ID: 2, Name: "text", Type: types.TypeText}
	source := func() *logical.Scan {
		return &logical.Scan{Kind: logical.RelationSource, Name: "s", Columns: []logical.OutputColumn{doc, text}}
	}
	call := func(name string, t types.Type, args ...logical.Expr) logical.Expr {
		return &logical.Call{Func: &function.Function{Name: name}, Args: args, T: t}
	}
	path := func(p string) logical.Expr { return &logical.Literal{Value: p, T: types.TypeText} }
	extract := func(c logical.OutputColumn, p string) logical.Expr {
		return call("json_extract", types.TypeJSON, c.Ref(), path(p))
	}
	unquote := func(e logical.Expr) logical.Expr { return call("json_unquote", types.TypeText, e) }
	f := func(want string, exprs ...any) {
		t.Helper()
		checkRule(t, rule, project(source(), exprs...), want)
	}
	f(`
Project doc->'$.a' AS k, doc->>'$.a.b' AS l, doc->>'$.a.b' AS m
  Scan s (doc, text, doc->'$.a', doc->>'$.a.b')`,
		"k", extract(doc, "$.a"), "l", unquote(extract(doc, "$.a.b")), "m", unquote(extract(doc, `$."a".b`)))
	f(`
Project doc->>'$.a."b c"' AS k
  Scan s (doc, text, doc->>'$.a."b c"')`, "k", unquote(call("json_extract", types.TypeJSON, extract(doc, "$.a"), path(`$."b c"`))))
	for _, p := range []string{"$", "$[0]", "$.a[0]", "$.*", "$**.a", "$.a.", "a", "$.a b", "$ .a", `$."a`, "$.1", `$."[0]"`} {
		f("", "k", extract(doc, p))
	}
	f("", "k", extract(text, "$.a"))
	f("", "k", call("json_extract", types.TypeJSON, doc.Ref(), path("$.a"), path("$.b")))
	f("", "k", call("json_extract", types.TypeJSON, doc.Ref(), text.Ref()))
	table := source()
	table.Kind = logical.RelationTable
	checkRule(t, rule, project(table, "k", extract(doc, "$.a")), "")
}

func TestOptimize_IsStable(t *testing.T) {
	in := filter(infix("and", infix("<", ref("b"), infix("+", num(1), num(2))), truth(true)),
		project(project(scan("a"), "a", ref("a")), "b", infix("+", ref("a"), num(1))))
	once, err := Optimize(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Optimize(once, nil)
	if err != nil {
		t.Fatal(err)
	}
	if once != twice {
		t.Errorf("optimising again gives another plan:\n%s\n%s", logical.Format(once), logical.Format(twice))
	}
}
