package engine_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/leatdb/leat/engine"
)

// statusSinks are sinks of each way to keep a stream's state, a folder in their
// definitions.
var statusSinks = map[string]string{
	"iceberg":   `CREATE SINK k WITH (connector = 's3', path = '${DIR}/iceberg')`,
	"hive":      `CREATE SINK k WITH (connector = 's3', path = '${DIR}/hive', table_format = 'hive')`,
	"blackhole": `CREATE SINK k WITH (connector = 'blackhole')`,
}

const statusColumns = "SELECT rows_in, rows_landed, rows_filtered, rows_dead, rows_in_flight, last_commit_at FROM leat.streams"

// What SHOW STREAMS and the metrics say of a stream is the same before and after
// a restart: what is committed, and when that was, whether the stream runs, waits
// for more, or is stopped.
func TestStatus_AfterRestart(t *testing.T) {
	for name, sink := range statusSinks {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "in", "a.ndjson"), `{"id":1}`+"\n"+`{"id":2}`+"\n"+`{"id":-1}`+"\nbroken\n")
			db := open(t, filepath.Join(dir, "data"))
			mustExec(t, db, strings.ReplaceAll(sink, "${DIR}", dir)+`;
				CREATE SOURCE f (id INT) WITH (connector = 'files', path = '`+dir+`/in', mode = 'tail', discovery_interval = '1h');
				CREATE STREAM s INTO k WITH (commit_interval = '1h') AS SELECT id FROM f WHERE id > 0`)
			equal(t, "never committed", query(t, db, `SELECT last_commit_at FROM leat.streams`), "NULL")
			mustExec(t, db, `FLUSH STREAM s; STOP STREAM s`)
			before := query(t, db, statusColumns)
			if len(before) != 1 || !strings.HasPrefix(before[0], "4|2|1|1|0|") || strings.HasSuffix(before[0], "NULL") {
				t.Fatalf("status %q", before)
			}
			again := func() {
				t.Helper()
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, filepath.Join(dir, "data"))
			}
			check := func(what, state string) {
				t.Helper()
				await(t, db, "s", func(st engine.StreamStatus) bool { return string(st.State) == state && st.Committed.Generation > 0 })
				equal(t, what, query(t, db, statusColumns), before...)
				equal(t, what+": metrics", query(t, db, strings.Replace(statusColumns, "streams", "stream_metrics", 1)), before...)
			}
			again()
			check("opened while stopped", "STOPPED")
			mustExec(t, db, `START STREAM s`)
			check("started", "RUNNING")
			again()
			check("opened while running", "RUNNING")
		})
	}
}

// A stopped stream that gets another query before its table could be read has its
// counters all the same.
func TestStatus_ReplacedBeforeItIsKnown(t *testing.T) {
	s3 := startFlakyS3(t, "lake")
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE g (id BIGINT) WITH (connector = 'datagen', rows = 10);
		CREATE SINK k WITH (connector = 's3', path = 's3://lake/k', endpoint = '%s', region = 'us-east-1', path_style = 'true',
			access_key_id = 'k', secret_access_key = 's', table_format = 'hive');
		CREATE STREAM s INTO k AS SELECT id FROM g`, s3.URL))
	await(t, db, "s", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	mustExec(t, db, `STOP STREAM s`)
	before := query(t, db, statusColumns)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	fault := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(http.StatusForbidden, "AccessDenied")(w, r)
		once()
	})
	s3.fault.Store(&fault)
	db = open(t, filepath.Join(dir, "data"))
	<-asked
	s3.fault.Store(nil)
	mustExec(t, db, `CREATE OR REPLACE STREAM s INTO k AS SELECT id FROM g WHERE id > 5`)
	await(t, db, "s", func(st engine.StreamStatus) bool { return st.Committed.Generation > 0 })
	equal(t, "status", query(t, db, statusColumns), before...)
}

// Rows count as landed when they can be read, and not before.
func TestStatus_CountsWhatIsCommitted(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "data"))
	mustExec(t, db, `CREATE SOURCE p (id INT) WITH (connector = 'push');
		CREATE STREAM s WITH (commit_interval = '1h') AS SELECT id FROM p WHERE id > 0`)
	source, err := db.Source("p")
	if err != nil {
		t.Fatal(err)
	}
	send := func(payload string) {
		t.Helper()
		if err := source.Send(t.Context(), []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	counts := `SELECT rows_in, rows_landed, rows_filtered, rows_dead, rows_in_flight FROM leat.`
	check := func(what, want, rows string) {
		t.Helper()
		for _, table := range []string{"streams", "stream_metrics"} {
			equal(t, what+": "+table, query(t, db, counts+table), want)
		}
		equal(t, what+": rows", query(t, db, `SELECT COUNT(*) FROM lake.s`), rows)
	}
	send(`{"id":1}` + "\n" + `{"id":2}` + "\n" + `{"id":-1}` + "\nbroken\n")
	await(t, db, "s", func(st engine.StreamStatus) bool { return st.InFlight.RowsIn == 4 })
	check("in flight", "0|0|0|0|4", "0")
	mustExec(t, db, `FLUSH STREAM s`)
	check("committed", "4|2|1|1|0", "2")
	send(`{"id":3}`)
	await(t, db, "s", func(st engine.StreamStatus) bool { return st.InFlight.RowsIn == 1 })
	check("in flight again", "4|2|1|1|1", "2")
	mustExec(t, db, `STOP STREAM s`)
	check("stopped", "5|3|1|1|0", "3")
}
