package files_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
)

// The whole way: a stream in SQL over objects that S3 announces, over a restart,
// with messages that come again and a queue that refuses for a while.
func TestEngine_Notifications(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	dir := filepath.Join(t.TempDir(), "data")
	open := func() *engine.DB {
		db, err := engine.Open(t.Context(), engine.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	exec := func(text string) {
		t.Helper()
		if err := db.Exec(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	rows := func(text string) string {
		t.Helper()
		reader, err := db.Query(t.Context(), text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		defer reader.Release()
		var lines []string
		for reader.Next() {
			batch := reader.RecordBatch()
			for i := range int(batch.NumRows()) {
				values := make([]string, batch.NumCols())
				for j := range values {
					values[j] = fmt.Sprint(kernel.Value(batch.Column(j), i))
				}
				lines = append(lines, strings.Join(values, "|"))
			}
		}
		if err := reader.Err(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return strings.Join(lines, "\n")
	}
	written := 0
	write := func(n int, tell bool) {
		for range n {
			key := fmt.Sprintf("in/%d.json", written)
			b.put(key, numbered(10*written, 10*written+10))
			if tell {
				q.send(put(key), viaSNS(put(key)))
			}
			written++
		}
	}
	b.put("in/seen.json", "{\"id\":-1}\n")
	exec(fmt.Sprintf(`CREATE SOURCE objects (id BIGINT) WITH (connector = 'files', path = 's3://b/in/', endpoint = '%s', access_key_id = 'i', secret_access_key = 's', format = 'json',
		mode = 'tail', notifications = '%s', discovery_interval = '10ms', tail_interval = '10ms')`, b.url, q.url))
	const stream = `CREATE STREAM s WITH (commit_interval = '20ms') AS SELECT id, _file AS f FROM objects`
	if text := rows("EXPLAIN " + stream); !strings.Contains(text, "told of new objects by queue "+q.url) {
		t.Error(text)
	}
	exec(stream)
	second := strings.Replace(stream, "STREAM s", "STREAM second", 1)
	if err := db.Exec(t.Context(), second); !sqlerror.HasCode(err, sqlerror.CodeInUse) || !strings.Contains(err.Error(), "queue "+q.url+" is read by stream s") {
		t.Errorf("a second stream of the queue: %v", err)
	}
	exec("STOP STREAM s; " + second + "; STOP STREAM second; START STREAM s")
	exec(strings.Replace(second, "CREATE", "CREATE OR REPLACE", 1) + " WHERE id > 0") // it stays stopped
	if err := db.Exec(t.Context(), "START STREAM second"); !sqlerror.HasCode(err, sqlerror.CodeInUse) || !strings.Contains(err.Error(), "line 1, column 14: ") {
		t.Errorf("a second stream of the queue is started: %v", err)
	}
	exec("DROP STREAM second")
	landed := func(n int) func() bool {
		return func() bool {
			q.expire() // what was taken comes again
			return rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM lake.s") == fmt.Sprintf("%d|%d", n, n)
		}
	}
	eventually(t, "landing what was listed", landed(1))
	write(30, true)
	eventually(t, "landing what was announced", landed(301))
	eventually(t, "the deletion of all messages", func() bool { q.expire(); return q.left() == 0 })

	q.fail(func(string) string { return "AccessDeniedException" })
	q.send(testEvent) // ends a call that waits
	eventually(t, "the stream's trouble", func() bool {
		text := rows("SHOW STREAMS")
		return strings.Contains(text, "RETRYING") && strings.Contains(text, "receive from queue "+q.url)
	})
	write(10, true)
	exec("FLUSH STREAM s") // by listing
	if !landed(401)() {
		t.Error("FLUSH did not find what nobody could tell of")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	q.fail(nil)
	write(10, false) // lost
	write(10, true)
	db = open()
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "landing what came while it was away", landed(601))
	eventually(t, "the deletion of all messages", func() bool { q.expire(); return q.left() == 0 })
	if text := rows("SELECT rows_in, rows_landed, rows_dead FROM leat.stream_metrics"); text != "601|601|0" {
		t.Errorf("counters %s", text)
	}
}
