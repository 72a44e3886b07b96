package engine_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
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
