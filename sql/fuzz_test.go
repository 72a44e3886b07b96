package sql_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// fuzzTexts are seeds that reach most of the grammar.
var fuzzTexts = []string{
	tripsSource,
	"CREATE SINK IF NOT EXISTS `a b` WITH (connector = 's3', path = \"s3://x\", n = -1.5, fields.A.b = on)",
	"create or replace stream s into lake.t partitioned by (a, month(ts) as m) with (x = 10s) as with c as (select 1) select * from c, unnest(x) as t(a int, b text path '$.b')",
	"EXPLAIN ANALYZE CREATE STREAM s AS (SELECT 1)", "DROP STREAM IF EXISTS s;", "START STREAM s FROM '2026-01-01'",
	"ALTER STREAM s SET (a = 'b')", "SHOW STREAMS LIKE 'a%'", "SHOW CREATE SINK s", "DESC lake.t", "REPLAY DEAD_LETTERS FOR STREAM s WHERE a = 1 -- x\n",
	"SELECT 1--1, '\\%', x'ff', `a``b`, @@g.x, 1.5e3, .5, a->>'$.b' FROM t /*! x */ # y",
	"CREATE SINK s WITH (a='\\", "CREATE STREAM s AS SELECT ((((", "\xff\x00‘’",
}

func FuzzParse(f *testing.F) {
	for _, text := range fuzzTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sql.Parse(text, sqlerror.Position{})
		if err != nil {
			e := sqlerror.As(err)
			if e == nil || e.Pos.Line < 1 || e.Pos.Column < 1 || e.Kind != sqlerror.User {
				t.Fatalf("Parse(%q): error %v without a place", text, err)
			}
			return
		}
		if s != nil {
			roundTrip(t, text, s)
		}
	})
}

func FuzzSplit(f *testing.F) {
	for _, text := range fuzzTexts {
		f.Add(text)
	}
	f.Add(strings.Join(fuzzTexts[:6], ";\n"))
	f.Fuzz(func(t *testing.T, text string) {
		script, err := sql.Split(text, "x.sql")
		if err != nil {
			if sqlerror.As(err) == nil {
				t.Fatalf("Split(%q): %v", text, err)
			}
			return
		}
		end := 0
		for _, s := range script {
			if s.Text == "" || !strings.HasPrefix(text[s.Offset:], s.Text) || s.Offset < end {
				t.Fatalf("Split(%q): statement %+v is not in the text", text, s)
			}
			if strings.Trim(text[end:s.Offset], "; \t\n\v\f\r") != "" && !strings.ContainsAny(text[end:s.Offset], "#-/\uFEFF") {
				t.Fatalf("Split(%q) leaves out %q", text, text[end:s.Offset])
			}
			end = s.Offset + len(s.Text)
			if want := sql.PositionAt(text, s.Offset); !strings.HasPrefix(text, "\uFEFF") && (s.Pos.Line != want.Line || s.Pos.Column != want.Column) {
				t.Fatalf("Split(%q): %v, want %v", text, s.Pos, want)
			}
			if strings.HasSuffix(s.Text, "--") {
				continue // at the end of a text it begins a comment
			}
			again, err := sql.Split(s.Text, "")
			if err != nil || len(again) != 1 || again[0].Text != s.Text {
				t.Fatalf("Split(%q) is not one statement: %+v, %v", s.Text, again, err)
			}
		}
	})
}

func FuzzRewrite(f *testing.F) {
	for _, text := range fuzzTexts {
		f.Add(text)
	}
	f.Add("SELECT * FROM a, UNNEST(x) WITH ORDINALITY AS t(a INT, b VARCHAR(3) PATH '$.b' NULL ON EMPTY), LATERAL FLATTEN(y) u(z JSON)")
	f.Add("SELECT a$b, ä FROM 1//2 - -- x\n")
	f.Add("SELECT a FROM t, UNNEST(b, c) AS u(x INT, y INT) WHERE a > ANY (SELECT 1) AND INTERVAL(a, 1, 2) = 1 GROUP BY a WITH ROLLUP")
	f.Fuzz(func(t *testing.T, text string) {
		got, m, err := sql.RewriteQuery(text)
		if err != nil {
			if e := sqlerror.As(err); e == nil || e.Pos.Line < 1 {
				t.Fatalf("RewriteQuery(%q): error %v without a place", text, err)
			}
			return
		}
		last := 0
		for i := range len(got) + 1 {
			o := m.Offset(i)
			if o < 0 || o > len(text) {
				t.Fatalf("RewriteQuery(%q)=%q: byte %d came from %d", text, got, i, o)
			}
			if o == len(text) {
				last = o
			}
		}
		if last != len(text) {
			t.Fatalf("RewriteQuery(%q)=%q: its end is not the end of the text", text, got)
		}
		if strings.Contains(strings.ToLower(got), "leat_") {
			return // a mark, which only the rewriting may write
		}
		// What is rewritten needs no more rewriting.
		again, _, err := sql.RewriteQuery(got)
		if err != nil || again != got {
			t.Fatalf("RewriteQuery(%q)=%q, again %q, %v", text, got, again, err)
		}
	})
}
