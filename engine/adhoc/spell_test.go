package adhoc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// trips is never read, only spelled.
func trips() *table {
	return &table{name: "trips", columns: columnsOf(`id BIGINT, place INT, fare DECIMAL(10,2), at TIMESTAMP(6), os VARCHAR(20), w DOUBLE,
		j JSON, day DATE, dt DATETIME(6), u BIGINT UNSIGNED, ok BOOLEAN`)}
}

func TestSpell_Plans(t *testing.T) {
	f := func(name, want string, build func(p *plans, s *logical.Scan) logical.Node) {
		t.Helper()
		p := &plans{}
		got, err := adhoc.Spell(build(p, p.scan(trips())), adhoc.Session{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.SQL != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got.SQL, want)
		}
	}
	f("scan", "SELECT c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 FROM t0", func(_ *plans, s *logical.Scan) logical.Node { return s })
	f("one select", "SELECT c2 AS c12, CAST((c1 + c2) AS BIGINT) AS c13 FROM t0 WHERE (c1 > 5::BIGINT) AND c11 ORDER BY c4 DESC NULLS LAST LIMIT 10 OFFSET 3",
		func(p *plans, s *logical.Scan) logical.Node {
			where := &logical.Filter{Input: s, Predicate: infix(">", "BOOLEAN", ref(s, "id"), lit(int64(5), "BIGINT"))}
			where = &logical.Filter{Input: where, Predicate: ref(s, "ok")}
			sorted := &logical.Sort{Input: where, Keys: []logical.SortKey{desc(ref(s, "at"))}}
			return &logical.Limit{Input: p.project(sorted, ref(s, "place"), infix("+", "BIGINT", ref(s, "id"), ref(s, "place"))), Count: 10, Offset: 3}
		})
	f("having", "SELECT c12, c13 FROM (SELECT c5 AS c12, CAST(count(*) AS BIGINT) AS c13 FROM t0 GROUP BY c12) AS d1 WHERE (c13 > 1::BIGINT) ORDER BY c13 NULLS FIRST",
		func(p *plans, s *logical.Scan) logical.Node {
			g := p.aggregate(s, p.named(ref(s, "os")), agg("count", "BIGINT"))
			return &logical.Sort{Input: &logical.Filter{Input: g, Predicate: infix(">", "BOOLEAN", ref(g, "agg"), lit(int64(1), "BIGINT"))}, Keys: []logical.SortKey{asc(ref(g, "agg"))}}
		})
	f("truth of a number", "SELECT c1 AS c12 FROM t0 WHERE (c2 <> 0) AND (c6 <> 0)", func(p *plans, s *logical.Scan) logical.Node {
		where := &logical.Filter{Input: s, Predicate: ref(s, "place")}
		return p.project(&logical.Filter{Input: where, Predicate: ref(s, "w")}, ref(s, "id"))
	})
	f("sub-select", "SELECT c12, CAST((c12 + 1::BIGINT) AS BIGINT) AS c13 FROM (SELECT c1 AS c12 FROM t0 LIMIT 5) AS d1 WHERE (c12 > 2::BIGINT)",
		func(p *plans, s *logical.Scan) logical.Node {
			inner := &logical.Limit{Input: p.project(s, ref(s, "id")), Count: 5}
			where := &logical.Filter{Input: inner, Predicate: infix(">", "BOOLEAN", ref(inner, "a"), lit(int64(2), "BIGINT"))}
			return &logical.Project{Input: where, Exprs: []logical.NamedExpr{
				{Column: inner.Output()[0], Expr: ref(inner, "a")},
				p.named(infix("+", "BIGINT", ref(inner, "a"), lit(int64(1), "BIGINT")))[0],
			}}
		})
	f("order of a sub-select", "SELECT c12 FROM (SELECT c1 AS c12 FROM t0 ORDER BY c12 DESC NULLS LAST LIMIT 5) AS d1 WHERE (c12 > 2::BIGINT) ORDER BY c12 DESC NULLS LAST",
		func(p *plans, s *logical.Scan) logical.Node {
			inner := p.project(s, ref(s, "id"))
			cut := &logical.Limit{Input: &logical.Sort{Input: inner, Keys: []logical.SortKey{desc(ref(inner, "a"))}}, Count: 5}
			return &logical.Filter{Input: cut, Predicate: infix(">", "BOOLEAN", ref(inner, "a"), lit(int64(2), "BIGINT"))}
		})
	f("case", "SELECT CASE WHEN (c2 <> 0) THEN CAST(c2 AS DECIMAL(12,2)) ELSE NULL::DECIMAL(12,2) END AS c12 FROM t0", func(p *plans, s *logical.Scan) logical.Node {
		return p.project(s, &logical.Case{Whens: []logical.When{{Cond: ref(s, "place"), Then: ref(s, "place")}}, Else: lit(nil, "NULL"), T: parseType("DECIMAL(12,2)")})
	})
	f("join", "SELECT c1 AS c23, c12 AS c24 FROM (t0 LEFT JOIN (SELECT c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22 FROM t1 WHERE c22) AS d1 ON (c1 = c12))",
		func(p *plans, s *logical.Scan) logical.Node {
			r := p.scan(trips())
			right := &logical.Filter{Input: r, Predicate: ref(r, "ok")}
			return p.project(&logical.Join{Kind: logical.JoinLeft, Left: s, Right: right, On: infix("=", "BOOLEAN", ref(s, "id"), ref(r, "id"))}, ref(s, "id"), ref(r, "id"))
		})
	f("no columns", "SELECT CAST(count(*) AS BIGINT) AS c12 FROM t0", func(p *plans, s *logical.Scan) logical.Node {
		s.Columns = nil
		return p.aggregate(s, nil, agg("count", "BIGINT"))
	})
	f("dual", "SELECT 1::BIGINT AS c12", func(p *plans, _ *logical.Scan) logical.Node {
		return p.project(&logical.Values{Rows: [][]logical.Expr{nil}}, lit(int64(1), "BIGINT"))
	})
}

func TestSpell_Literals(t *testing.T) {
	f := func(v any, typ, want string) {
		t.Helper()
		p := &plans{}
		got, err := adhoc.Spell(p.project(&logical.Values{Rows: [][]logical.Expr{nil}}, lit(v, typ)), adhoc.Session{})
		if err != nil {
			t.Errorf("%v %s: %v", v, typ, err)
		} else if got.SQL != "SELECT "+want+" AS c1" {
			t.Errorf("%v %s: %s, want %s", v, typ, got.SQL, want)
		}
	}
	f(nil, "DECIMAL(5,2)", "NULL::DECIMAL(5,2)")
	f(true, "BOOLEAN", "TRUE")
	f(int64(5), "INT", "5")
	f(int64(-5), "INT", "(-5)::INTEGER")
	f(int64(-1<<63), "BIGINT", "(-9223372036854775808)::BIGINT")
	f(uint64(1<<64-1), "BIGINT UNSIGNED", "18446744073709551615::UBIGINT")
	f(0.1, "DOUBLE", "1e-01")
	f(-1.5, "FLOAT", "(-1.5e+00)::FLOAT")
	f("-1.50", "DECIMAL(3,2)", "'-1.50'::DECIMAL(3,2)")
	f("it's", "VARCHAR(4)", "'it''s'")
	f("a\x00", "VARCHAR(4)", "('a' || chr(0) || '')")
	f([]byte{0, 171}, "VARBINARY(2)", `'\x00\xAB'::BLOB`)
	f(int64(19723), "DATE", "DATE '2024-01-01'")
	f(int64(3600000001), "TIME(6)", "TIME '01:00:00.000001'")
	f(int64(1704067200500000), "DATETIME(6)", "TIMESTAMP '2024-01-01 00:00:00.5'")
	f(int64(1704067200000000), "TIMESTAMP", "TIMESTAMPTZ '2024-01-01 00:00:00+00'")
}

func TestSpell_Casts(t *testing.T) {
	f := func(column, to, want string) {
		t.Helper()
		p := &plans{}
		s := p.scan(trips())
		got, err := adhoc.Spell(p.project(s, &logical.Cast{Arg: ref(s, column), T: parseType(to)}), adhoc.Session{})
		if err != nil {
			t.Errorf("%s to %s: %v", column, to, err)
		} else if got.SQL != "SELECT "+want+" AS c12 FROM t0" {
			t.Errorf("%s to %s: %s, want %s", column, to, got.SQL, want)
		}
	}
	f("place", "BIGINT", "CAST(c2 AS BIGINT)")
	f("place", "BIGINT UNSIGNED", "leat_eval_ubigint(0 /* BIGINT UNSIGNED */, c2)") // −1 wraps
	f("id", "INT", "leat_eval_integer(0 /* INT */, c1)")
	f("place", "DECIMAL(12,2)", "CAST(c2 AS DECIMAL(12,2))")
	f("place", "DECIMAL(11,2)", "leat_eval_decimal_11_2(0 /* DECIMAL(11,2) */, c2)")
	f("fare", "DECIMAL(10,1)", "CAST(c3 AS DECIMAL(10,1))")
	f("fare", "DECIMAL(9,1)", "leat_eval_decimal_9_1(0 /* DECIMAL(9,1) */, c3)")
	f("fare", "DOUBLE", "CAST(c3 AS DOUBLE)")
	f("fare", "BIGINT", "CAST(c3 AS BIGINT)")
	f("fare", "TEXT", "CAST(c3 AS VARCHAR)")
	f("fare", "VARCHAR(5)", "left(CAST(c3 AS VARCHAR), 5)")
	f("os", "VARCHAR(20)", "c5")
	f("os", "VARCHAR(3)", "left(c5, 3)")
	f("os", "BIGINT", "leat_eval_bigint(0 /* BIGINT */, c5)")
	f("os", "DATE", "leat_eval_date(0 /* DATE */, c5)")
	f("w", "TEXT", "leat_eval_varchar(0 /* TEXT */, c6)")
	f("ok", "INT", "CAST(c11 AS INTEGER)")
	f("ok", "TEXT", "CAST(CAST(c11 AS TINYINT) AS VARCHAR)")
	f("w", "BOOLEAN", "(c6 <> 0)")
	f("day", "DATETIME(6)", "CAST(c8 AS TIMESTAMP)")
	f("day", "TEXT", "CAST(c8 AS VARCHAR)")
	f("dt", "DATE", "CAST(c9 AS DATE)")
	f("at", "DATE", "CAST(c4 AS DATE)")
	f("dt", "DATETIME", "leat_eval_timestamp(0 /* DATETIME */, c9)") // rounds
	f("j", "TEXT", "leat_eval_varchar(0 /* TEXT */, c7)")
}

func TestSpell_Zones(t *testing.T) {
	p := &plans{}
	s := p.scan(trips())
	plain, zoned := p.project(s, ref(s, "at")), p.project(s, &logical.Cast{Arg: ref(s, "at"), T: parseType("DATETIME(6)")})
	f := func(loc *time.Location, plan logical.Node, kernel bool) {
		t.Helper()
		got, err := adhoc.Spell(plan, adhoc.Session{Location: loc})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got.SQL, "leat_eval") != kernel {
			t.Errorf("%s: %s", loc, got.SQL)
		}
	}
	f(time.UTC, plain, false)
	f(time.UTC, zoned, false)
	f(nil, zoned, false)
	f(time.FixedZone("+05:00", 5*3600), zoned, false)
	f(time.FixedZone("+05:30", 5*3600+1800), zoned, true) // DuckDB has no such zone
}

func TestSpell_Unsupported(t *testing.T) {
	f := func(name string, build func(p *plans, s *logical.Scan) logical.Node) {
		t.Helper()
		p := &plans{}
		s, err := adhoc.Spell(build(p, p.scan(trips())), adhoc.Session{})
		if u := (*adhoc.Unsupported)(nil); !errors.As(err, &u) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	f("source", func(_ *plans, s *logical.Scan) logical.Node { s.Kind = logical.RelationSource; return s })
	f("flatten", func(_ *plans, s *logical.Scan) logical.Node {
		return &logical.Flatten{Input: s, Data: ref(s, "j"), Table: &logical.JSONTable{Path: "$[*]"}}
	})
	f("function without a kernel", func(p *plans, s *logical.Scan) logical.Node {
		return p.project(s, &logical.Call{Func: &function.Function{Name: "soundex"}, Args: []logical.Expr{ref(s, "os")}, T: types.TypeText})
	})
	f("group by JSON", func(p *plans, s *logical.Scan) logical.Node { return p.aggregate(s, p.named(ref(s, "j"))) })
	f("sort by JSON", func(_ *plans, s *logical.Scan) logical.Node {
		return &logical.Sort{Input: s, Keys: []logical.SortKey{asc(ref(s, "j"))}}
	})
	f("distinct JSON", func(p *plans, s *logical.Scan) logical.Node {
		return &logical.Distinct{Input: p.project(s, ref(s, "j"))}
	})
	f("json_arrayagg", func(p *plans, s *logical.Scan) logical.Node {
		return p.aggregate(s, nil, agg("json_arrayagg", "JSON", ref(s, "id")))
	})
	f("IN over types", func(p *plans, s *logical.Scan) logical.Node {
		sub := p.scan(trips())
		return p.project(s, &logical.Subquery{Op: logical.SubqueryIn, Arg: ref(s, "id"), Plan: p.project(sub, ref(sub, "os")), T: types.TypeBool})
	})
	f("huge", func(p *plans, s *logical.Scan) logical.Node {
		e := logical.Expr(ref(s, "os"))
		for range 30 {
			e = infix("+", "TEXT", e, e)
		}
		return p.project(s, e)
	})
}

func TestQuery_PushesPredicatesToPlan(t *testing.T) {
	e := openEngine(t, adhoc.Config{})
	f := func(want string, where func(p *plans, s *logical.Scan) logical.Expr) {
		t.Helper()
		p, tab := &plans{}, trips()
		s := p.scan(tab)
		run(t, e, p.project(&logical.Filter{Input: s, Predicate: where(p, s)}, ref(s, "id")))
		var got []string
		for _, pr := range tab.planned[0] {
			op := [...]string{"=", "<>", "<", "<=", ">", ">=", "in", "null", "not null"}[pr.Op]
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %T %v", tab.columns[pr.Column].name, op, append(pr.Values, nil)[0], pr.Values)))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("predicates %s, want %s", s, want)
		}
	}
	and := func(args ...logical.Expr) logical.Expr { return infix("and", "BOOLEAN", args...) }
	cmp := func(op string, args ...logical.Expr) logical.Expr { return infix(op, "BOOLEAN", args...) }
	cast := func(e logical.Expr, typ string) logical.Expr {
		return &logical.Cast{Arg: e, T: parseType(typ), Implicit: true}
	}
	f("id = int64 [5]", func(_ *plans, s *logical.Scan) logical.Expr { return cmp("=", ref(s, "id"), lit(int64(5), "BIGINT")) })
	f("id > int64 [5]; os = string [x]", func(_ *plans, s *logical.Scan) logical.Expr {
		return and(cmp("<", lit(int64(5), "BIGINT"), ref(s, "id")), cmp("=", ref(s, "os"), lit("x", "VARCHAR(1)")))
	})
	f("place <= int64 [7]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("<=", cast(ref(s, "place"), "BIGINT"), lit(int64(7), "BIGINT"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr { // no INT
		return cmp("<=", cast(ref(s, "place"), "BIGINT"), lit(int64(1)<<40, "BIGINT"))
	})
	// So the binder writes place = 3, day < '2024-01-02', at >= '…'.
	f("place = int64 [3]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("=", ref(s, "place"), cast(lit(int64(3), "BIGINT"), "INT"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr { // no INT
		return cmp("=", ref(s, "place"), cast(lit(int64(1)<<40, "BIGINT"), "INT"))
	})
	f("day < int64 [19724]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("<", ref(s, "day"), cast(lit("2024-01-02", "VARCHAR(10)"), "DATE"))
	})
	f("at >= int64 [1704153600000000]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp(">=", ref(s, "at"), cast(lit("2024-01-02", "VARCHAR(10)"), "TIMESTAMP(6)"))
	})
	f("at >= int64 [1704164645000001]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp(">=", ref(s, "at"), cast(lit("2024-01-02 03:04:05.000001", "VARCHAR(26)"), "TIMESTAMP(6)"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr { // it would be rounded
		return cmp(">=", ref(s, "at"), cast(lit("2024-01-02 03:04:05.0000015", "VARCHAR(27)"), "TIMESTAMP(6)"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp(">=", ref(s, "at"), cast(lit("24-1-2", "VARCHAR(6)"), "TIMESTAMP(6)"))
	})
	f("fare = string [2.50]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("=", ref(s, "fare"), lit("2.5", "DECIMAL(2,1)"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("=", cast(ref(s, "fare"), "DECIMAL(12,3)"), lit("2.505", "DECIMAL(4,3)"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr { // compares numbers
		return cmp("=", cast(ref(s, "os"), "DOUBLE"), lit(5.0, "DOUBLE"))
	})
	f("u = uint64 [5]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("=", cast(ref(s, "u"), "DECIMAL(20,0)"), lit("5", "DECIMAL(1,0)"))
	})
	f("w < float64 [1.5]", func(_ *plans, s *logical.Scan) logical.Expr { return cmp("<", ref(s, "w"), lit(1.5, "DOUBLE")) })
	f("", func(_ *plans, s *logical.Scan) logical.Expr { return cmp(">", ref(s, "w"), lit(1.5, "DOUBLE")) }) // NaN
	f("day >= int64 [19723]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp(">=", cast(ref(s, "day"), "DATETIME"), lit(int64(19723*86400e6), "DATETIME"))
	})
	f("at = int64 [1]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("=", ref(s, "at"), lit(int64(1), "TIMESTAMP(6)"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr { // a wall clock of some zone
		return cmp("=", cast(ref(s, "at"), "DATETIME(6)"), lit(int64(1), "DATETIME(6)"))
	})
	f("id in int64 [1 2]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("in", ref(s, "id"), lit(int64(1), "BIGINT"), lit(nil, "BIGINT"), lit(int64(2), "BIGINT"))
	})
	f("id >= int64 [1]; id <= int64 [2]", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("between", ref(s, "id"), lit(int64(1), "BIGINT"), lit(int64(2), "BIGINT"))
	})
	f("os null <nil> []; id not null <nil> []; ok = bool [true]", func(_ *plans, s *logical.Scan) logical.Expr {
		return and(cmp("is null", ref(s, "os")), cmp("not", cmp("is null", ref(s, "id"))), ref(s, "ok"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr {
		return cmp("or", cmp("=", ref(s, "id"), lit(int64(1), "BIGINT")), ref(s, "ok"))
	})
	f("", func(_ *plans, s *logical.Scan) logical.Expr { return cmp("=", ref(s, "id"), ref(s, "place")) })
	f("", func(_ *plans, s *logical.Scan) logical.Expr { return cmp("=", ref(s, "id"), lit(nil, "BIGINT")) })
}

// A file that a WHERE excludes may decide which rows of an outer join have no
// partner: such a predicate is not used for pruning.
func TestQuery_DoesNotPruneTheInnerSideOfAnOuterJoin(t *testing.T) {
	e := openEngine(t, adhoc.Config{})
	left := newTable(t, "l", "id BIGINT", []any{int64(1)})
	right := newTable(t, "r", "id BIGINT, x INT", []any{int64(1), int64(7)})
	right.plan = func(where []catalog.Predicate) []catalog.DataFile {
		for _, p := range where {
			if p.Op == catalog.OpIsNull {
				return nil
			}
		}
		return right.files
	}
	p := &plans{}
	l, r := p.scan(left), p.scan(right)
	join := &logical.Join{Kind: logical.JoinLeft, Left: l, Right: r, On: infix("=", "BOOLEAN", ref(l, "id"), ref(r, "id"))}
	equalRows(t, run(t, e, &logical.Filter{Input: join, Predicate: infix("is null", "BOOLEAN", ref(r, "x"))}))
	if n := len(right.planned[0]); n != 0 {
		t.Errorf("%d predicates were pushed", n)
	}
	anti := &logical.Join{Kind: logical.JoinLeft, Left: l, Right: r, On: infix("and", "BOOLEAN",
		infix("=", "BOOLEAN", ref(l, "id"), ref(r, "id")), infix("=", "BOOLEAN", ref(r, "x"), lit(int64(8), "BIGINT")))}
	equalRows(t, run(t, e, anti), "1|NULL|NULL")
	if n := len(right.planned[1]); n != 1 {
		t.Errorf("%d predicates of the join were pushed, want 1", n)
	}
}
