package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/sql/sqlerror"
)

func TestSQL(t *testing.T) {
	s := serveTest(t)
	f := func(stdin, want string, args ...string) {
		t.Helper()
		code, stdout, stderr := leat(t, stdin, append([]string{"sql", "--mysql", s.mysql}, args...)...)
		wantCode(t, code, exitDone, stderr)
		if stdout != want {
			t.Errorf("standard output = %q, want %q", stdout, want)
		}
	}
	const values = "SELECT 1 AS i, 'ä, \"b\"' AS s, NULL AS n, '' AS e, 1.50 AS d, CAST('{\"a\":[1]}' AS JSON) AS j, 2e20 AS f"
	f("", "+---+--------+------+---+------+------------+------+\n"+
		"| i | s      | n    | e |    d | j          |    f |\n"+
		"+---+--------+------+---+------+------------+------+\n"+
		"| 1 | ä, \"b\" | NULL |   | 1.50 | {\"a\": [1]} | 2e20 |\n"+
		"+---+--------+------+---+------+------------+------+\n", "-e", values)
	f("", "i,s,n,e,d,j,f\n1,\"ä, \"\"b\"\"\",,\"\",1.50,\"{\"\"a\"\": [1]}\",2e20\n", "-e", values, "--format", "csv")
	f("", `{"i":1,"s":"ä, \"b\"","n":null,"e":"","d":1.50,"j":{"a": [1]},"f":2e20}`+"\n", "-e", values, "--format", "json")
	f("", "*************************** 1. row ***************************\n   i: 1\nlong: 2\n", "-e", `SELECT 1 AS i, 2 AS `+"`long`"+`\G`)
	// Several statements, with semicolons where they end nothing.
	f("SELECT 1 AS a; -- one; two\nSELECT ';' AS b;\n\n;SELECT\n  3 AS c", "a\n1\nb\n;\nc\n3\n", "--format", "csv")
	f("", "a\n1\nb\n2\n", "--format", "csv", "-e", "SELECT 1 AS a; SELECT 2 AS b;")
	f("", "a\n1\n@x\n2\n", "--format", "csv", "-e", "SELECT 1 AS a", "-e", "SET @x = 2", "-e", "SELECT @x") // one session
	f("", "DATABASE()\nleat\n", "--format", "csv", "--database", "leat", "-e", "SELECT DATABASE()")
	f("SELECT 1;\nquit\nSELECT 2;", "1\n1\n", "--format", "csv")
	dir := t.TempDir()
	one, two := write(t, dir, "one.sql", "SET @x = 1;\nSELECT @x AS a"), write(t, dir, "two.sql", "SELECT @x + 1 AS b;\nSELECT nosuch;\nSELECT 3")
	f("SELECT 9", "a\n1\n", "--format", "csv", "-f", one)
	code, stdout, stderr := leat(t, "", "sql", "--mysql", s.mysql, "--format", "csv", "-f", one, "-f", two)
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, two+": error 1054 (42S22): line 2, column 8: ")
	if stdout != "a\n1\nb\n2\n" {
		t.Errorf("standard output = %q", stdout)
	}
	code, _, stderr = leat(t, "", "sql", "--mysql", s.mysql, "-f", filepath.Join(dir, "none.sql"))
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "none.sql: no such file")
	f("", "")
}

func TestSQL_Errors(t *testing.T) {
	s := serveTest(t)
	f := func(stdin, out string, want ...string) {
		t.Helper()
		code, stdout, stderr := leat(t, stdin, "sql", "--mysql", s.mysql, "--format", "csv")
		wantCode(t, code, exitFailed, stderr)
		wantText(t, stderr, want...)
		if stdout != out {
			t.Errorf("standard output = %q, want %q", stdout, out)
		}
	}
	// The place is that in the input, and nothing is executed after it.
	f("SELECT 1;\nSELECT 2;\n  CREATE SOUCE s (a INT);\nSELECT 3;", "1\n1\n2\n2\n", "error 1064 (42000): line 3, column 10: ", "did you mean SOURCE?")
	f("SELECT 1;\nSELECT\n FROM WHERE;", "1\n1\n", "line 3, column 7: ")
	f("SELECT nosuch", "", "error 1054 (42S22): line 1, column 8: ", "nosuch")
	f("SELECT 'open", "", "line 1, column 8: ")
	code, _, stderr := leat(t, "", "sql", "--mysql", "127.0.0.1:1", "-e", "SELECT 1")
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "leat sql: connect to 127.0.0.1:1: ", "refused")
}

// An interrupt ends the client also while it waits for somebody to type.
func TestSQL_InterruptAtPrompt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, typing := io.Pipe()
	defer typing.Close()
	out := &bytes.Buffer{}
	cancel()
	client := &sqlClient{out: out, err: newStatusWriter(io.Discard)}
	if err := client.run(ctx, in, true); err != nil || out.String() != "leat> \n" {
		t.Errorf("%v after %q", err, out)
	}
}

// What a statement has to say beside its rows goes to standard error.
func TestSQL_Notes(t *testing.T) {
	s := serveTest(t)
	code, stdout, stderr := leat(t, "", "sql", "--mysql", s.mysql, "--format", "csv", "-e", "SELECT 1/0 AS x", "-e", "DROP STREAM IF EXISTS away")
	wantCode(t, code, exitDone, stderr)
	if stdout != "x\n\"\"\n" && stdout != "x\n\n" {
		t.Errorf("standard output = %q", stdout)
	}
	wantText(t, stderr, "warning: Division by 0", "note: there is no stream away")
}

func TestScript(t *testing.T) {
	s := &script{}
	f := func(text, at string) {
		t.Helper()
		stmt, ok := s.next(false)
		if !ok || stmt.text != text || stmt.at.String() != at {
			t.Errorf("next = %q at %s, %t; want %q at %s", stmt.text, stmt.at, ok, text, at)
		}
	}
	none := func() {
		t.Helper()
		if stmt, ok := s.next(false); ok {
			t.Errorf("next = %q, want none", stmt.text)
		}
	}
	at := func(line, column int) string { return sqlerror.Position{Line: line, Column: column}.String() }
	s.add("\uFEFFSELECT 'a;")
	none()
	s.add("b'; SEL")
	f("SELECT 'a;b'", at(1, 1))
	none()
	s.add("ECT 2 -- ;\n")
	none()
	s.add("\n; ;\n  SELECT 3\\G\n")
	f("SELECT 2 -- ;", at(1, 15))
	stmt, ok := s.next(false)
	if !ok || stmt.text != "SELECT 3" || !stmt.vertical {
		t.Errorf("next = %+v, %t", stmt, ok)
	}
	if s.pending() {
		t.Errorf("pending with %q", s.text)
	}
}

func TestFloatText(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 1.5: "1.5", -1e14: "-100000000000000", 1e15: "1e15", 1e-15: "0.000000000000001", 1.25e-16: "1.25e-16", 123456789012345680000: "1.2345678901234568e20"} {
		if got := floatText(f, 64); got != want {
			t.Errorf("floatText(%v) = %q, want %q", f, got, want)
		}
	}
	if got := floatText(float64(float32(0.1)), 32); got != "0.1" {
		t.Errorf("floatText of a FLOAT = %q, want 0.1", got)
	}
}

// The first rows decide how wide a table's columns are; what comes after may
// stick out.
func TestTablePrinter_ManyRows(t *testing.T) {
	var b strings.Builder
	p := printers["table"](&b)
	if err := p.begin([]printedColumn{{name: "n", number: true}}); err != nil {
		t.Fatal(err)
	}
	for range heldRows {
		if err := p.row([]any{int64(1)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []any{int64(12345), []byte{0xff}, "two\nlines"} {
		if err := p.row([]any{v}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String()[strings.Index(b.String(), "12345")-2:], "| 12345 |\n| 0xFF |\n| two |\n| lines |\n+---+\n"; got != want {
		t.Errorf("end = %q, want %q", got, want)
	}
}
