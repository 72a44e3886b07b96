package planner_test

import (
	"strings"
	"testing"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql/types"
)

// prepared is a statement's text after PrepareSelect. The source s(a, b) has a
// hidden column, the table t has none.
func prepared(t *testing.T, text string, times int) string {
	t.Helper()
	stmt, err := sqlparser.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	lookup := func(database, table string) (planner.Relation, bool) {
		switch {
		case strings.EqualFold(table, "s") && (database == "" || database == "d"):
			return planner.Relation{
				Name: "s", Schema: schema(t, "a INT", "b INT"),
				Hidden: []connectors.Hidden{{Name: "_offset", Type: types.TypeInt64}},
			}, true
		case table == "t":
			return planner.Relation{Name: "t", Schema: schema(t, "c INT")}, true
		}
		return planner.Relation{}, false
	}
	for range times {
		if err := planner.PrepareSelect(stmt, lookup); err != nil {
			t.Fatal(err)
		}
	}
	return sqlparser.String(stmt)
}

func TestPrepareSelect(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := prepared(t, text, 1); got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
		}
		if again := prepared(t, text, 2); again != want {
			t.Errorf("%s\nprepared twice became %s", text, again)
		}
	}
	f("select * from s", "select s.a, s.b from s")
	f("select * from S", "select S.a, S.b from S")
	f("select * from d.s", "select s.a, s.b from d.s")
	f("select * from e.s", "select * from e.s")
	f("select x.* from s as x", "select x.a, x.b from s as x")
	f("select * from t", "select * from t")
	f("select * from s, t", "select s.a, s.b, t.* from s, t")
	f("select * from s join t on s.a = t.c", "select s.a, s.b, t.* from s join t on s.a = t.c")
	f("select *, _offset from s", "select s.a, s.b, _offset from s")
	f("select a, * from s", "select a, * from s")
	f("select count(*) from s", "select count(*) from s")
	f("select 1 from t where exists (select * from s)", "select 1 from t where exists (select s.a, s.b from s)")
	f("select (select a from (select * from s) as x) from t", "select (select a from (select s.a, s.b from s) as x) from t")
	f("select * from s union select * from s", "select s.a, s.b from s union select s.a, s.b from s")
	f("with s as (select * from s) select * from s", "with s as (select s.a, s.b from s) select * from s")
	f("with recursive s as (select 1 union all select * from s) select * from s", "with recursive s as (select 1 union all select * from s) select * from s")
	f("select * from s natural join t", "select * from (select s.a, s.b from s) as s natural join t")
	f("select * from t join s as x using (c)", "select * from t join (select s.a, s.b from s) as x using (c)")
	f("select * from s, json_table(b, '$[*]' columns(x int path '$')) as j", "select s.a, s.b, j.* from s, json_table(b, '$[*]' columns(x int path '$')) as j")
	f("create view v as select * from s", "create view v as select s.a, s.b from s")
	f("explain select * from s", "explain select s.a, s.b from s")
	f("insert into t select * from s", "insert into t select s.a, s.b from s")
	f("delete from t", "delete from t")
	f("select a > 1.005, (2.5) = b from s where a < 3", "select a > 1.005, 2.5 = b from s where a < 3")
	f("select cast(a as char(3)) from s", "select cast(a as char(3)) from s")
}

// TestPrepareSelect_Dropped has clauses refused that the engine would drop.
func TestPrepareSelect_Dropped(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		stmt, err := sqlparser.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		err = planner.PrepareSelect(stmt, func(string, string) (planner.Relation, bool) { return planner.Relation{}, false })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("select count(distinct a) over () from t", "DISTINCT within the window function COUNT")
	f("select 1 from t where a in (select sum(distinct a) over () from t)", "DISTINCT within the window function SUM")
	f("select a from t union select b from t use index (i)", "there is no index i")
	f("with c as (select a from t partition (p)) select a from c", "PARTITION (p)")
	f("select a from t join u partition (p) on t.a = u.a", "PARTITION (p)")
	f("select sum(a) over w from t", "window w is not defined")
	f("select sum(a) over (w order by b) from t window w as (v), v as (order by a)", "window")
	f("select distinct a + 1 from t order by a", "ORDER BY a is not in the list")
	f("select distinct concat(a, 'x') from t order by concat(a, 'X')", "ORDER BY a is not in the list")
	f("select a from t group by a having rank() over (order by a) > 1", "RANK cannot be used")
	g := func(text string) {
		t.Helper()
		prepared(t, text, 2)
	}
	g("select distinct a + 1, b as c from t order by a + 1, c, 2, b, (select max(x) from u), rand(), @v")
	g("select distinct * from t order by a")
	g("select distinct t.a + 1, UPPER(s), (b * 2), concat(C, 'x'), CAST(d AS CHAR) from t order by A + 1, upper(t.s), b * 2, CONCAT(c, 'x'), (t.a + 1), cast(d as char)")
	g("select min(distinct a) over w, max(distinct a) over (w order by b) from t window w as (partition by a)")
}
