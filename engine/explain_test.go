package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
)

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "in.json")
	if err := os.WriteFile(file, []byte(strings.Repeat(`{"k":1,"a":[1,2],"x":5}`+"\n"+`{"k":2,"a":[3],"x":6}`+"\n", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, "CREATE SOURCE s (k INT, a JSON, x BIGINT) WITH (connector = 'files', path = '"+file+"', format = 'json', mode = 'once')")
	mustExec(t, db, "CREATE STREAM t AS SELECT k, a, x FROM s")
	mustExec(t, db, "FLUSH STREAM t")
	times := regexp.MustCompile(`time=\d+\.\d{3}ms`)
	plan := func(statement string) string {
		t.Helper()
		return times.ReplaceAllString(strings.Join(query(t, db, statement), "\n"), "time=T")
	}
	f := func(statement, want string) {
		t.Helper()
		if got := plan(statement); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", statement, got, want)
		}
	}
	const filtered = "SELECT x + 1 FROM s WHERE k = 2"
	tree := "Kernels\nProject (x + 1) AS (s.x + 1)\n  Filter (k = 2)\n    Scan s (k, x)"
	f("EXPLAIN "+filtered, tree)
	f("EXPLAIN FORMAT=TREE "+filtered, tree)
	f("desc format = traditional "+filtered, tree)
	f("EXPLAIN FORMAT='TREE' ("+filtered+")", tree)
	measured := `Kernels  (actual rows=50 time=T)
Project (x + 1) AS (s.x + 1)  (actual rows=50 batches=1 time=T)
  Filter (k = 2)  (actual rows=50 batches=1 time=T)
    Scan s (k, x)  (actual rows=100 batches=1 time=T)`
	f("EXPLAIN ANALYZE "+filtered, measured)
	f("EXPLAIN ANALYZE FORMAT = TREE "+filtered, measured)
	f("EXPLAIN ANALYZE SELECT x FROM s LIMIT 3", `Kernels  (actual rows=3 time=T)
Project x  (actual rows=3 batches=1 time=T)
  Limit 3  (actual rows=3 batches=1 time=T)
    Scan s (x)  (actual rows=100 batches=1 time=T)`)
	f("EXPLAIN ANALYZE SELECT j.v FROM s, JSON_TABLE(s.a, '$[*]' COLUMNS (v INT PATH '$')) j WHERE x = 5", `Kernels  (actual rows=100 time=T)
Project v  (actual rows=100 batches=1 time=T)
  Filter (x = 5)  (actual rows=100 batches=1 time=T)
    Flatten a $[*] (v)  (actual rows=150 batches=1 time=T)
      Scan s (a, x)  (actual rows=100 batches=1 time=T)`)
	f("EXPLAIN ANALYZE SELECT 1 + 1", `Kernels  (actual rows=1 time=T)
Project (1 + 1)  (actual rows=1 batches=1 time=T)
  One row without columns`)
	for statement, want := range map[string][]string{
		"EXPLAIN ANALYZE SELECT SUM(x) FROM s WHERE k = 1": {"Kernels  (actual rows=1 time=T)\n", "\n  Aggregate ", "Filter (k = 1)  (actual rows=50 ", "Scan s (k, x)  (actual rows=100 "},
		"EXPLAIN ANALYZE SELECT k, SUM(x) FROM t WHERE x > 5 GROUP BY k": {"DuckDB  (actual rows=1 time=T)\nProject k, SUM(x) ", "\nRead lake.t: 1 file, ",
			"\nOperators of DuckDB\n", "filters x>5", "(actual rows=50 time=T)"},
		"EXPLAIN ANALYZE SELECT k, COUNT(*) FROM s GROUP BY k":                                    {"DuckDB  (actual rows=2 time=T)\n", "\nRead s into memory  (actual rows=100 batches=", "Operators of DuckDB\n"},
		"EXPLAIN ANALYZE SELECT table_name FROM information_schema.tables WHERE table_name = 't'": {"MySQL engine, row by row  (actual rows=1 time=T)\nProject; columns: [", "\n", "Table; name: tables"},
		"EXPLAIN SELECT k FROM t WHERE x = (SELECT MAX(x) FROM s)":                                {"DuckDB\nProject k\n", "Subquery\n"},
	} {
		got := plan(statement)
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s has no %q:\n%s", statement, part, got)
			}
		}
	}
	type operator struct {
		Operator string     `json:"operator"`
		Rows     *int       `json:"actual_rows"`
		Millis   *float64   `json:"actual_time_ms"`
		Inputs   []operator `json:"inputs"`
	}
	document := func(statement string) (d struct {
		ExecutedBy string     `json:"executed_by"`
		Plan       operator   `json:"plan"`
		Relations  []operator `json:"relations"`
		Operators  *operator  `json:"operators"`
	}) {
		t.Helper()
		rows := query(t, db, statement)
		if len(rows) != 1 {
			t.Fatalf("%s: %d rows, want one document", statement, len(rows))
		}
		if err := json.Unmarshal([]byte(rows[0]), &d); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		return d
	}
	if d := document("EXPLAIN FORMAT=JSON " + filtered); d.ExecutedBy != "Kernels" || d.Plan.Inputs[0].Operator != "Filter (k = 2)" || d.Plan.Rows != nil {
		t.Errorf("FORMAT=JSON: %+v", d)
	}
	if d := document("EXPLAIN ANALYZE FORMAT=JSON " + filtered); *d.Plan.Inputs[0].Rows != 50 || d.Plan.Millis == nil {
		t.Errorf("ANALYZE FORMAT=JSON: %+v", d)
	}
	if d := document("EXPLAIN ANALYZE FORMAT=JSON SELECT k, SUM(x) FROM t GROUP BY k"); d.ExecutedBy != "DuckDB" || len(d.Relations) != 1 || *d.Operators.Rows != 2 {
		t.Errorf("ANALYZE FORMAT=JSON by DuckDB: %+v", d)
	}

	refused(t, db, "EXPLAIN FORMAT=JSN SELECT 1", sqlerror.CodeUnsupported, "line 1, column 16: unknown EXPLAIN format JSN .did you mean JSON")
	refused(t, db, "EXPLAIN FORMAT=XML SELECT 1", sqlerror.CodeUnsupported, "the formats are TREE, JSON, TRADITIONAL")
	refused(t, db, "EXPLAIN ANALYZE FORMAT=TRADITIONAL SELECT 1", sqlerror.CodeUnsupported, "FORMAT = TREE and FORMAT = JSON")
	refused(t, db, "EXPLAIN FORMAT=JSON FOR CONNECTION 7", sqlerror.CodeUnsupported, "EXPLAIN the query itself")
	refused(t, db, "EXPLAIN ANALYZE INSERT INTO t SELECT * FROM t", sqlerror.CodeUnsupported, "INSERT is none")
	refused(t, db, "EXPLAIN ANALYZE SELECT\n nope FROM t", sqlerror.CodeUnknownColumn, "line 2, column 2")
	refused(t, db, "EXPLAIN ANALYZE SELECT SUM(x * 9223372036854775807) FROM s", sqlerror.CodeOutOfRange, "BIGINT value is out of range")
	refused(t, db, "EXPLAIN ANALYZE SELECT k, SUM(x * 9223372036854775807) FROM t GROUP BY k", sqlerror.CodeOutOfRange, "BIGINT value is out of range")
}

// EXPLAIN ANALYZE measures a SELECT … INTO, and stores nothing.
func TestExplain_Into(t *testing.T) {
	s := open(t, t.TempDir()).NewSession()
	if err := s.Exec(t.Context(), "EXPLAIN ANALYZE SELECT 7 INTO @a; EXPLAIN ANALYZE (SELECT 7 INTO @a); EXPLAIN SELECT 7 INTO @a"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Query(t.Context(), "SELECT COALESCE(@a, 'nothing')")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() || fmt.Sprint(kernel.Value(r.RecordBatch().Column(0), 0)) != "nothing" {
		t.Error("the variable is set")
	}
}
