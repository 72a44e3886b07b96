package sql_test

import (
	"testing"

	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

func TestRewriteExplain(t *testing.T) {
	f := func(text, want string, options sql.ExplainOptions) {
		t.Helper()
		got, o, err := sql.RewriteExplain(text)
		if err != nil || got != want || o != options {
			t.Errorf("RewriteExplain(%q)\n got %q, %+v, %v\nwant %q, %+v", text, got, o, err, want, options)
		}
	}
	for _, same := range []string{"SELECT 1", "EXPLAIN SELECT 1", "explain t", "DESC format", "EXPLAIN FORMAT JSON", "EXPLAIN EXTENDED SELECT 1", "EXPLAIN `ANALYZE`", "EXPLAIN 'a"} {
		f(same, same, sql.ExplainOptions{})
	}
	f("EXPLAIN ANALYZE SELECT 1", "EXPLAIN         SELECT 1", sql.ExplainOptions{Analyze: true})
	f("desc analyze format=json\n(SELECT 1)", "desc                    \n(SELECT 1)", sql.ExplainOptions{Analyze: true, JSON: true})
	f("EXPLAIN FORMAT = `tree` ANALYZE WITH a AS (SELECT 1) SELECT 1", "EXPLAIN                         WITH a AS (SELECT 1) SELECT 1", sql.ExplainOptions{Analyze: true})
	f("EXPLAIN FORMAT='Traditional' SELECT 1", "EXPLAIN                      SELECT 1", sql.ExplainOptions{})
	refused := func(text, want string) {
		t.Helper()
		_, _, err := sql.RewriteExplain(text)
		if e := sqlerror.As(err); e == nil || e.Error() != want {
			t.Errorf("RewriteExplain(%q): %v, want %s", text, err, want)
		}
	}
	refused("EXPLAIN FORMAT=JASON SELECT 1", "line 1, column 16: unknown EXPLAIN format JASON (did you mean JSON?)")
	refused("EXPLAIN FORMAT=JSON\nFOR CONNECTION 1", "line 2, column 1: EXPLAIN FOR CONNECTION is not supported (EXPLAIN the query itself)")
	refused("EXPLAIN FORMAT=JSON CREATE STREAM s AS SELECT 1", "line 1, column 16: EXPLAIN CREATE STREAM has no FORMAT")
	refused("EXPLAIN ANALYZE delete FROM t", "line 1, column 17: EXPLAIN ANALYZE runs a query, and DELETE is none")
}
