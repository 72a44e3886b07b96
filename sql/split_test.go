package sql_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/sql"
)

func TestSplit(t *testing.T) {
	const script = "\uFEFF-- first\nCREATE SINK a WITH (x = ';'); ;\n" +
		"/* ; */ SELECT `;`, \";\" /* in; side */ FROM t # ;\n;\n\n  /*!40101 SET NAMES utf8; */;\nSELECT 'ä'; SELECT 2 -- end"
	got, err := sql.Split(script, "x.sql")
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ text, pos string }{
		{"CREATE SINK a WITH (x = ';')", "x.sql:2:1"},
		{"SELECT `;`, \";\" /* in; side */ FROM t", "x.sql:3:9"},
		{"/*!40101 SET NAMES utf8; */", "x.sql:6:3"},
		{"SELECT 'ä'", "x.sql:7:1"},
		{"SELECT 2", "x.sql:7:13"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d statements: %+v", len(got), got)
	}
	for i, w := range want {
		if got[i].Text != w.text || got[i].Pos.String() != w.pos {
			t.Errorf("statement %d=%q at %s, want %q at %s", i, got[i].Text, got[i].Pos, w.text, w.pos)
		}
		if !strings.HasPrefix(script[got[i].Offset:], w.text) {
			t.Errorf("statement %d: Offset=%d is not where it begins", i, got[i].Offset)
		}
	}
}

func TestSplit_Errors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := sql.Split(text, "x.sql"); err == nil || err.Error() != want {
			t.Errorf("Split(%q)=%v, want %s", text, err, want)
		}
	}
	f("SELECT 1;\n SELECT 'a;", "x.sql:2:9: unterminated string (it begins here and is never closed; a quote within a string is doubled)")
	f("SELECT `a", "x.sql:1:8: unterminated quoted name")
	f("\n/* a", "x.sql:2:1: unterminated comment")
	f("/*! a", "x.sql:1:1: unterminated comment")
	f("SELECT x'00", "x.sql:1:8: unterminated string")
}

func TestFirst(t *testing.T) {
	f := func(text, wantStatement, wantRest string, wantComplete bool) {
		t.Helper()
		statement, rest, complete := sql.First(text)
		if statement != wantStatement || rest != wantRest || complete != wantComplete {
			t.Errorf("First(%q)=%q, %q, %t", text, statement, rest, complete)
		}
	}
	f("SELECT ';'; SELECT 2", "SELECT ';'", " SELECT 2", true)
	f("SELECT 1", "SELECT 1", "", false)
	f("SELECT 'a;", "SELECT 'a;", "", false)
	f(";", "", "", true)
	f("", "", "", false)
}

func TestPlaceholders(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		if got := sql.Placeholders(text); got != want {
			t.Errorf("%s has %d placeholders, want %d", text, got, want)
		}
	}
	f("", 0)
	f("SELECT ?", 1)
	f("SELECT ?,?, a?b FROM t WHERE x IN (?) -- ?", 4)
	f("SELECT '?', \"?\", `?`, /* ? */ 1 # ?", 0)
	f("SELECT ? 'open ?", 1)
}
