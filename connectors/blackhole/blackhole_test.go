package blackhole_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
)

// What goes into a blackhole is counted; dead letters and positions survive a
// restart, so that nothing is read twice.
func TestBlackhole(t *testing.T) {
	dir, in := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1.ndjson", "{\"a\":1}\n{\"a\":2}\n{\"a\":\"x\"}\n{\"a\":-3}\n")
	db := open(t, dir)
	exec(t, db, `CREATE SOURCE s (a INT) WITH (connector = 'files', path = '`+in+`', format = 'json', mode = 'tail');
CREATE SINK nowhere WITH (connector = 'blackhole');
CREATE STREAM c INTO nowhere AS SELECT a FROM s WHERE a > 0;
FLUSH STREAM c`)
	check(t, db, "4 2 1 1")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	write("2.ndjson", "{\"a\":5}\n")
	db = open(t, dir)
	exec(t, db, "FLUSH STREAM c")
	check(t, db, "5 3 1 1")
	if got := query(t, db, "SELECT CAST(raw AS CHAR) FROM leat.dead_letters"); got != `{"a":"x"}` {
		t.Errorf("dead letters %q", got)
	}
	if err := db.Exec(t.Context(), "CREATE STREAM p INTO nowhere PARTITIONED BY (a) AS SELECT a FROM s"); err == nil || !strings.Contains(err.Error(), "PARTITIONED BY") {
		t.Errorf("partitions: %v", err)
	}
	exec(t, db, "DROP STREAM c; DROP SINK nowhere")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *engine.DB {
	t.Helper()
	db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func exec(t *testing.T, db *engine.DB, text string) {
	t.Helper()
	if err := db.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func check(t *testing.T, db *engine.DB, want string) {
	t.Helper()
	if got := query(t, db, "SELECT rows_in, rows_landed, rows_filtered, rows_dead FROM leat.stream_metrics WHERE stream = 'c'"); got != want {
		t.Errorf("counters %s, want %s", got, want)
	}
}

func query(t *testing.T, db *engine.DB, text string) string {
	t.Helper()
	r, err := db.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer r.Release()
	var values []string
	for r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			for _, column := range batch.Columns() {
				values = append(values, fmt.Sprint(column.ValueStr(i)))
			}
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(values, " ")
}
