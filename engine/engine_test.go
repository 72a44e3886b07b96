package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
)

func open(t *testing.T, dir string) *engine.DB {
	t.Helper()
	db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func mustExec(t *testing.T, db *engine.DB, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := db.Exec(ctx, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query is the rows of a SELECT, columns separated by |, as text.
func query(t *testing.T, db *engine.DB, text string) []string {
	t.Helper()
	r, err := db.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer r.Release()
	var rows []string
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var cells []string
			for _, c := range b.Columns() {
				v := kernel.Value(c, i)
				if v == nil {
					v = "NULL"
				}
				cells = append(cells, fmt.Sprint(v))
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
	if err := r.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rows
}

func TestFilesLandAndAnswer(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.ndjson")
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `{"id":%d,"fare":%d.50,"at":"2026-07-%02dT10:00:00Z","rider":{"os":"%s"}}`+"\n", i, i%50, i%28+1, []string{"ios", "android"}[i%2])
	}
	b.WriteString("broken\n")
	if err := os.WriteFile(input, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE trips (id BIGINT, fare DECIMAL(10,2), at TIMESTAMP(3), rider JSON)
		WITH (connector = 'files', path = '%s', format = 'json', mode = 'once');
		CREATE STREAM t PARTITIONED BY (os) AS SELECT id, fare * 2 AS twice, at, rider->>'$.os' AS os FROM trips WHERE fare > 10`, input))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := db.Wait(ctx); err != nil {
		t.Fatalf("%v; %v", err, query(t, db, "SHOW STREAMS"))
	}
	equal(t, "streams", query(t, db, "SELECT stream, state, source, target, progress FROM leat.streams"), "t|FINISHED|trips|lake.t|100 %")
	equal(t, "table", query(t, db, "SELECT os, COUNT(*), SUM(twice), MIN(id) FROM lake.t GROUP BY os ORDER BY os"),
		"android|400|24400.00|11", "ios|400|23600.00|10")
	equal(t, "dead letters", query(t, db, "SELECT stream, error_class, CAST(raw AS CHAR) FROM leat.dead_letters"), "t|decode|broken")
	equal(t, "metrics", query(t, db, "SELECT rows_in, rows_exploded, rows_landed, rows_filtered, rows_dead FROM leat.stream_metrics"), "1001|0|800|200|1")
	equal(t, "DESCRIBE", query(t, db, "DESCRIBE t"),
		"id|bigint|YES||NULL|", "twice|decimal(11,2)|YES||NULL|", "at|timestamp(3)|YES||NULL|", "os|text|YES||NULL|")
	if got := query(t, db, "SELECT SUM(rows_landed) FROM leat.commits WHERE stream = 't'"); got[0] != "800" {
		t.Errorf("commits %q", got)
	}
}
