package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A sink that was defined wrongly is replaced when its streams are stopped, which
// cannot be dropped without it; they go on at the new place.
func TestReplaceSink_OfStoppedStreams(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "data"))
	writeFile(t, filepath.Join(dir, "in", "a.ndjson"), `{"id":1}`+"\n"+`{"id":2}`+"\n")
	mustExec(t, db, `
		CREATE SOURCE f (id INT) WITH (connector = 'files', path = '`+dir+`/in');
		CREATE SINK s WITH (connector = 's3', path = 's3://bucket/x', endpoint = 'http://127.0.0.1:1', region = 'x', access_key_id = 'a', secret_access_key = 'b', commit_interval = '20ms');
		CREATE STREAM one INTO s AS SELECT id FROM f;
		CREATE STREAM two INTO s AS SELECT id FROM f`)
	replace := `CREATE OR REPLACE SINK s WITH (connector = 's3', path = '` + dir + `/right', commit_interval = '20ms')`
	if err := db.Exec(t.Context(), replace); !sqlerror.HasCode(err, sqlerror.CodeInUse) || !strings.Contains(err.Error(), "stream one, stream two") || !strings.Contains(err.Error(), "STOP") {
		t.Fatalf("replace a sink whose streams run: %v", err)
	}
	mustExec(t, db, `STOP STREAM one; STOP STREAM two; `+replace+`; DROP STREAM two; START STREAM one`)
	await(t, db, "one", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "rows", query(t, db, `SELECT id FROM s.one ORDER BY id`), "1", "2")
	mustExec(t, db, `DROP STREAM one; DROP SINK s`)
}

// A SELECT that has begun to read a sink ends on what it has begun with, though the
// sink is dropped or replaced meanwhile.
func TestReplaceSink_WhileItIsRead(t *testing.T) {
	for _, format := range []string{"iceberg", "hive"} {
		for what, statement := range map[string]string{
			"dropped":  "DROP STREAM a; DROP SINK k",
			"replaced": "STOP STREAM a; CREATE OR REPLACE SINK k WITH (connector = 's3', path = '${DIR}/other')",
		} {
			t.Run(format+"/"+what, func(t *testing.T) {
				s3 := startFlakyS3(t, "lake")
				dir := t.TempDir()
				db := open(t, filepath.Join(dir, "data"))
				landThousand(t, db, s3, format)

				reads, goOn := s3.holdReads()
				answer := make(chan string, 1)
				go func() { answer <- fmt.Sprint(ask(t.Context(), db, "SELECT COUNT(*) AS n FROM k.t WHERE id >= 0")) }()
				<-reads
				session := db.NewSession()
				if err := session.Exec(t.Context(), strings.ReplaceAll(statement, "${DIR}", dir)); err != nil {
					t.Fatal(err)
				}
				if notes := fmt.Sprint(session.Notes()); !strings.Contains(notes, "1 reader still has sink k as it was") {
					t.Errorf("notes %s", notes)
				}
				if _, err := ask(t.Context(), db, "SELECT COUNT(*) AS n FROM k.t"); err == nil {
					t.Error("the table is still there")
				}
				close(goOn)
				if got := <-answer; got != "1000<nil>" {
					t.Errorf("the query ends with %s", got)
				}
			})
		}
	}
}

// landThousand lands a thousand rows in table t of a sink k in a bucket, by stream a.
func landThousand(t *testing.T, db *engine.DB, s3 *flakyS3, tableFormat string) {
	t.Helper()
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE src (id BIGINT) WITH (connector = 'datagen', rows = 1000);
		CREATE SINK k WITH (connector = 's3', path = 's3://lake/k', endpoint = '%s', region = 'us-east-1', path_style = 'true',
			access_key_id = 'k', secret_access_key = 's', table_format = '%s');
		CREATE STREAM a INTO k.t AS SELECT id FROM src`, s3.URL, tableFormat))
	await(t, db, "a", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
}

// ask is the number that a query gives.
func ask(ctx context.Context, db *engine.DB, text string) (string, error) {
	r, err := db.Query(ctx, text)
	if err != nil {
		return "", err
	}
	defer r.Release()
	var n string
	for r.Next() {
		n = fmt.Sprint(kernel.Value(r.RecordBatch().Column(0), 0))
	}
	return n, r.Err()
}

// Queries that come while a sink is replaced over and over answer right, or say in
// so many words that they are to be repeated.
func TestReplaceSink_UnderQueries(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "data"))
	define := func(interval int) string {
		return fmt.Sprintf(`CREATE OR REPLACE SINK k WITH (connector = 's3', path = '%s/k', catalog_uri = '%[1]s/k.db', commit_interval = '%ds')`, dir, interval)
	}
	mustExec(t, db, define(1)+`; CREATE SOURCE src (id BIGINT) WITH (connector = 'datagen', rows = 100);
		CREATE STREAM a INTO k.t AS SELECT id FROM src`)
	await(t, db, "a", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	mustExec(t, db, `STOP STREAM a`)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for _, text := range []string{
		"SELECT COUNT(*) AS n FROM k.t", "SELECT SUM(rows_landed) AS n FROM leat.commits", "SELECT SUM(`rows`) AS n FROM leat.files WHERE `table` = 't'",
		"SELECT table_rows AS n FROM information_schema.tables WHERE table_schema = 'k'",
	} {
		wait.Go(func() {
			for ctx.Err() == nil {
				n, err := ask(ctx, db, text)
				if ctx.Err() == nil && err == nil && n != "100" {
					t.Errorf("%s: %s", text, n)
				}
				if ctx.Err() == nil && err != nil && (!sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), "sink k was dropped or replaced")) {
					t.Errorf("%s: %v", text, err)
				}
			}
		})
	}
	for i := range 20 {
		mustExec(t, db, define(i+2))
	}
	cancel()
	wait.Wait()
	if n, err := ask(t.Context(), db, "SELECT COUNT(*) AS n FROM k.t"); n != "100" || err != nil {
		t.Errorf("%s rows, %v", n, err)
	}
}
