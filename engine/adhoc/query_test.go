package adhoc_test

import (
	"testing"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/logical"
)

func orders(t testing.TB) *table {
	return newTable(t, "orders", "id BIGINT, customer INT, amount DECIMAL(12,2), note VARCHAR(40), w DOUBLE, mood ENUM('sad','ok','glad')",
		[]any{int64(1), int64(10), "1.00", "x", 0.5, "glad"},
		[]any{int64(2), int64(10), "2.00", nil, 1.5, "ok"},
		[]any{int64(3), int64(20), "2.00", "z", nil, "sad"},
		[]any{int64(4), nil, nil, "y", 2.5, nil},
		[]any{int64(5), int64(20), "-4.55", "x", 3.5, "ok"})
}

func TestQuery_SortPutsNullsFirst(t *testing.T) {
	e, tab, p := openEngine(t, adhoc.Config{}), orders(t), &plans{}
	s := p.scan(tab)
	sorted := func(keys ...logical.SortKey) logical.Node {
		return p.project(&logical.Sort{Input: s, Keys: keys}, ref(s, "id"))
	}
	equalRows(t, run(t, e, sorted(asc(ref(s, "note")), asc(ref(s, "id")))), "2", "1", "5", "4", "3")
	equalRows(t, run(t, e, sorted(desc(ref(s, "amount")), desc(ref(s, "id")))), "3", "2", "1", "5", "4")
	equalRows(t, run(t, e, sorted(asc(ref(s, "mood")), asc(ref(s, "id")))), "4", "3", "2", "5", "1")
	equalRows(t, run(t, e, sorted(desc(ref(s, "mood")), asc(ref(s, "id")))), "1", "2", "5", "3", "4")
}

func TestQuery_Aggregates(t *testing.T) {
	e, tab, p := openEngine(t, adhoc.Config{}), orders(t), &plans{}
	s := p.scan(tab)
	all := func() []logical.AggregateExpr {
		distinct := func(a logical.AggregateExpr) logical.AggregateExpr { a.Distinct = true; return a }
		return []logical.AggregateExpr{
			agg("count", "BIGINT"), agg("count", "BIGINT", ref(s, "note")), distinct(agg("count", "BIGINT", ref(s, "amount"))),
			distinct(agg("count", "BIGINT", ref(s, "customer"), ref(s, "note"))),
			agg("sum", "DECIMAL(34,2)", ref(s, "amount")), agg("sum", "DECIMAL(32,0)", ref(s, "customer")), agg("sum", "DOUBLE", ref(s, "w")),
			distinct(agg("sum", "DECIMAL(34,2)", ref(s, "amount"))),
			agg("avg", "DECIMAL(16,6)", ref(s, "amount")), agg("avg", "DECIMAL(14,4)", ref(s, "customer")), agg("avg", "DOUBLE", ref(s, "w")),
			agg("min", "DECIMAL(12,2)", ref(s, "amount")), agg("max", "VARCHAR(40)", ref(s, "note")),
			agg("bit_and", "BIGINT UNSIGNED", ref(s, "customer")), agg("bit_or", "BIGINT UNSIGNED", ref(s, "id")), agg("bit_xor", "BIGINT UNSIGNED", ref(s, "id")),
			agg("var_pop", "DOUBLE", ref(s, "id")), agg("stddev_samp", "DOUBLE", ref(s, "id")),
		}
	}
	equalRows(t, run(t, e, p.aggregate(s, nil, all()...)),
		"5|4|3|3|0.45|60|8|-1.55|0.1125|15|2|-4.55|z|0|7|1|2|1.5811388300841898")
	none := &logical.Filter{Input: s, Predicate: lit(false, "BOOLEAN")}
	equalRows(t, run(t, e, p.aggregate(none, nil, all()...)),
		"0|0|0|0|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|18446744073709551615|0|0|NULL|NULL")
	grouped := p.aggregate(s, p.named(ref(s, "customer")), agg("count", "BIGINT"), agg("avg", "DECIMAL(16,6)", ref(s, "amount")))
	equalRows(t, run(t, e, &logical.Sort{Input: grouped, Keys: []logical.SortKey{asc(ref(grouped, "a"))}}),
		"NULL|1|NULL", "10|2|1.5", "20|2|-1.275")
	equalRows(t, run(t, e, p.aggregate(none, p.named(ref(s, "customer")), agg("count", "BIGINT"))))
}

// MySQL rounds a mean half away from zero.
func TestQuery_AvgRounds(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	f := func(want string, rows ...[]any) {
		t.Helper()
		s := p.scan(newTable(t, "t", "i BIGINT, d DECIMAL(38,0)", rows...))
		equalRows(t, run(t, e, p.aggregate(s, nil, agg("avg", "DECIMAL(23,4)", ref(s, "i")), agg("avg", "DECIMAL(38,4)", ref(s, "d")))), want)
	}
	f("0.6667|NULL", []any{int64(1), nil}, []any{int64(1), nil}, []any{int64(0), nil})
	f("-0.6667|NULL", []any{int64(-1), nil}, []any{int64(-1), nil}, []any{int64(0), nil})
	f("4611686018427387903.5|1000000000000000000000000000000", []any{int64(1<<63 - 1), "1000000000000000000000000000001"}, []any{int64(0), "999999999999999999999999999999"})
}

func TestQuery_GroupConcat(t *testing.T) {
	e, tab, p := openEngine(t, adhoc.Config{}), orders(t), &plans{}
	s := p.scan(tab)
	concat := func(distinct bool, separator string, order []logical.SortKey, args ...logical.Expr) logical.AggregateExpr {
		a := agg("group_concat", "TEXT", args...)
		a.Distinct, a.Separator, a.OrderBy = distinct, separator, order
		return a
	}
	note := ref(s, "note")
	text := &logical.Cast{Arg: ref(s, "id"), T: parseType("TEXT"), Implicit: true}
	equalRows(t, run(t, e, p.aggregate(s, nil,
		concat(false, ",", []logical.SortKey{desc(ref(s, "id"))}, note),
		concat(true, "'", []logical.SortKey{desc(note)}, note),
		concat(false, "", []logical.SortKey{asc(ref(s, "id"))}, text, note),
		concat(false, "-", []logical.SortKey{asc(ref(s, "customer")), desc(ref(s, "id"))}, text))),
		"x,y,z,x|z'y'x|1x3z4y5x|4-2-1-5-3")
}

func TestQuery_GroupConcatIsCutAtACharacter(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	s := p.scan(newTable(t, "t", "v VARCHAR(9)", []any{"aé€😀"}))
	for n, want := range map[int]string{1: "a", 2: "a", 3: "aé", 5: "aé", 6: "aé€", 9: "aé€", 10: "aé€😀", 11: "aé€😀"} {
		r, err := e.Query(t.Context(), p.aggregate(s, nil, agg("group_concat", "TEXT", ref(s, "v"))), adhoc.Session{GroupConcatMaxLen: n})
		equalRows(t, mustRows(t, r, err), want)
	}
}

func TestQuery_Joins(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	l := p.scan(newTable(t, "l", "id BIGINT, x VARCHAR(3)", []any{int64(1), "a"}, []any{int64(2), "b"}, []any{nil, "n"}))
	r := p.scan(newTable(t, "r", "id BIGINT, y VARCHAR(3)", []any{int64(2), "B"}, []any{int64(3), "C"}, []any{nil, "N"}))
	on := infix("=", "BOOLEAN", ref(l, "id"), ref(r, "id"))
	f := func(kind logical.JoinKind, on logical.Expr, want ...string) {
		t.Helper()
		j := &logical.Join{Kind: kind, Left: l, Right: r, On: on}
		sorted := &logical.Sort{Input: j, Keys: []logical.SortKey{asc(ref(l, "x")), asc(ref(r, "y"))}}
		equalRows(t, run(t, e, p.project(sorted, ref(l, "x"), ref(r, "y"))), want...)
	}
	f(logical.JoinInner, on, "b|B")
	f(logical.JoinLeft, on, "a|NULL", "b|B", "n|NULL")
	f(logical.JoinRight, on, "NULL|C", "NULL|N", "b|B")
	f(logical.JoinFull, on, "NULL|C", "NULL|N", "a|NULL", "b|B", "n|NULL")
	f(logical.JoinCross, nil, "a|B", "a|C", "a|N", "b|B", "b|C", "b|N", "n|B", "n|C", "n|N")
	f(logical.JoinInner, nil, "a|B", "a|C", "a|N", "b|B", "b|C", "b|N", "n|B", "n|C", "n|N")

	// LATERAL sees the left side's columns.
	inner := p.project(&logical.Filter{Input: r, Predicate: on}, ref(r, "y"))
	lateral := &logical.Join{Kind: logical.JoinLeft, Left: l, Right: inner, Lateral: true}
	equalRows(t, run(t, e, p.project(&logical.Sort{Input: lateral, Keys: []logical.SortKey{asc(ref(l, "x"))}}, ref(l, "x"), ref(inner, "a"))), "a|NULL", "b|B", "n|NULL")
}

func TestQuery_Subqueries(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	l := p.scan(newTable(t, "l", "id BIGINT", []any{int64(1)}, []any{int64(2)}, []any{nil}))
	r := newTable(t, "r", "id BIGINT", []any{int64(2)}, []any{nil}, []any{int64(2)})
	order := func(e logical.Expr) logical.Node {
		return p.project(&logical.Sort{Input: l, Keys: []logical.SortKey{asc(ref(l, "id"))}}, ref(l, "id"), e)
	}
	s := p.scan(r)
	equalRows(t, run(t, e, order(&logical.Subquery{Op: logical.SubqueryIn, Arg: ref(l, "id"), Plan: s, T: parseType("BOOLEAN")})),
		"NULL|NULL", "1|NULL", "2|true")
	s = p.scan(r)
	correlated := &logical.Filter{Input: s, Predicate: infix("=", "BOOLEAN", ref(s, "id"), ref(l, "id"))}
	equalRows(t, run(t, e, order(&logical.Subquery{Op: logical.SubqueryExists, Plan: correlated, T: parseType("BOOLEAN")})),
		"NULL|false", "1|false", "2|true")
	s = p.scan(r)
	correlated = &logical.Filter{Input: s, Predicate: infix("<", "BOOLEAN", ref(l, "id"), ref(s, "id"))}
	counted := p.aggregate(p.project(correlated, ref(s, "id")), nil, agg("count", "BIGINT"))
	equalRows(t, run(t, e, order(&logical.Subquery{Op: logical.SubqueryScalar, Plan: counted, T: parseType("BIGINT")})),
		"NULL|0", "1|2", "2|0")
}

func TestQuery_SetOperations(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	l := p.scan(newTable(t, "l", "id INT", []any{int64(1)}, []any{int64(1)}, []any{nil}))
	r := p.scan(newTable(t, "r", "id BIGINT", []any{int64(1)}, []any{int64(2)}, []any{nil}))
	f := func(op string, all bool, want ...string) {
		t.Helper()
		n := &logical.SetOp{Op: op, All: all, Left: l, Right: r, Columns: []logical.OutputColumn{p.column("id", parseType("BIGINT"))}}
		equalRows(t, run(t, e, &logical.Sort{Input: n, Keys: []logical.SortKey{asc(ref(n, "id"))}}), want...)
	}
	f("UNION", false, "NULL", "1", "2")
	f("UNION", true, "NULL", "NULL", "1", "1", "1", "2")
	f("INTERSECT", false, "NULL", "1")
	f("EXCEPT", false)
	f("EXCEPT", true, "1")
}

func TestQuery_Window(t *testing.T) {
	e, tab, p := openEngine(t, adhoc.Config{}), orders(t), &plans{}
	s := p.scan(tab)
	by := []logical.Expr{ref(s, "customer")}
	w := &logical.Window{Input: s}
	add := func(name, result, frame string, args ...logical.Expr) {
		w.Exprs = append(w.Exprs, logical.WindowExpr{Column: p.column("w", parseType(result)), Name: name, Args: args,
			PartitionBy: by, OrderBy: []logical.SortKey{desc(ref(s, "amount"))}, Frame: frame})
	}
	add("row_number", "BIGINT UNSIGNED", "")
	add("sum", "DECIMAL(34,2)", "", ref(s, "amount"))
	add("avg", "DECIMAL(16,6)", "rows between unbounded preceding and unbounded following", ref(s, "amount"))
	add("lag", "DECIMAL(12,2)", "", ref(s, "amount"), lit(int64(1), "BIGINT"), lit("0.00", "DECIMAL(3,2)"))
	add("first_value", "VARCHAR(40)", "", ref(s, "note"))
	out := []logical.Expr{ref(s, "id")}
	for _, x := range w.Exprs {
		out = append(out, x.Column.Ref())
	}
	equalRows(t, run(t, e, p.project(&logical.Sort{Input: w, Keys: []logical.SortKey{asc(ref(s, "id"))}}, out...)),
		"1|2|3|1.5|2|NULL", "2|1|2|1.5|0|NULL", "3|1|2|-1.275|0|z", "4|1|NULL|NULL|0|y", "5|2|-2.55|-1.275|2|z")
}

func TestQuery_DistinctLimitValues(t *testing.T) {
	e, tab, p := openEngine(t, adhoc.Config{}), orders(t), &plans{}
	s := p.scan(tab)
	d := &logical.Distinct{Input: p.project(s, ref(s, "note"))}
	sorted := &logical.Sort{Input: d, Keys: []logical.SortKey{desc(ref(d, "a"))}}
	equalRows(t, run(t, e, &logical.Limit{Input: sorted, Count: 2, Offset: 1}), "y", "x")
	equalRows(t, run(t, e, &logical.Limit{Input: sorted, Count: -1, Offset: 2}), "x", "NULL")
	equalRows(t, run(t, e, &logical.Limit{Input: &logical.Limit{Input: sorted, Count: 3}, Count: 9, Offset: 2}), "x")
	// The rows of a sorted and cut sub-select stay in its order.
	cut := &logical.Limit{Input: sorted, Count: 3}
	equalRows(t, run(t, e, p.project(&logical.Filter{Input: cut, Predicate: infix("<>", "BOOLEAN", ref(d, "a"), lit("y", "VARCHAR(1)"))}, ref(d, "a"))), "z", "x")

	dual := &logical.Values{Rows: [][]logical.Expr{nil}}
	equalRows(t, run(t, e, p.project(dual, lit(int64(1), "BIGINT"), lit(nil, "NULL"), lit("a\x00'b", "VARCHAR(4)"))), "1|NULL|a\x00'b")
	v := &logical.Values{
		Columns: []logical.OutputColumn{p.column("x", parseType("DECIMAL(4,1)")), p.column("y", parseType("VARCHAR(2)"))},
		Rows:    [][]logical.Expr{{lit(int64(5), "BIGINT"), lit("p", "VARCHAR(2)")}, {lit("2.5", "DECIMAL(2,1)"), lit(nil, "NULL")}},
	}
	equalRows(t, run(t, e, v), "5|p", "2.5|NULL")
	v.Rows = nil
	equalRows(t, run(t, e, v))
	count := p.aggregate(&logical.Scan{Kind: logical.RelationTable, Name: "orders", Handle: tab}, nil, agg("count", "BIGINT"))
	equalRows(t, run(t, e, count), "5")
}
