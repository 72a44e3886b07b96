package engine_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// What a secret holds is in no file of the data directory, no log, no result of
// a statement and no error.
func TestSecret_IsNowhereToBeSeen(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "in", "a.ndjson"), `{"id":1}`+"\n")
	var log bytes.Buffer
	data := filepath.Join(dir, "data")
	db, err := engine.Open(t.Context(), engine.Config{Dir: data, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `
		CREATE SECRET folder WITH (path = '`+dir+`/./hush-folder', secret_access_key = 'hush-key', commit_interval = '20ms');
		CREATE SECRET wrong WITH (chunk_bytes = 'hush-size', brokers = 'hush-host:1', sasl_username = 'hush-user');
		CREATE SOURCE f (id INT) WITH (connector = 'files', path = '`+dir+`/in', mode = 'once');
		CREATE SINK s WITH (connector = 's3', secret = 'folder');
		CREATE STREAM t INTO s AS SELECT id FROM f`)
	await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "landed", query(t, db, `SELECT id FROM s.t`), "1")
	var seen strings.Builder
	for _, statement := range []string{
		`SHOW SECRETS`, `SHOW SINKS`, `SHOW SOURCES`, `SHOW STREAMS`, `SHOW CREATE SINK s`, `SHOW CREATE STREAM t`, `SELECT * FROM leat.sinks`,
		`SELECT * FROM leat.streams`, `SELECT * FROM leat.stream_metrics`, `EXPLAIN CREATE STREAM u INTO s AS SELECT id FROM f`,
		`SHOW VARIABLES`, `SHOW PROCESSLIST`,
	} {
		seen.WriteString(strings.Join(query(t, db, statement), "\n"))
	}
	for _, statement := range []string{
		`CREATE SECRET folder WITH (path = 'hush')`, `CREATE SECRET x WITH (path 'hush')`, `CREATE SECRET x WITH (pth = 'hush')`, `CREATE SECRET x WITH (path = 'hush`,
		`CREATE SOURCE k (id INT) WITH (connector = 'kafka', topic = 't', secret = 'wrong')`,
		`CREATE SINK s2 WITH (connector = 's3', path = '/x', secret = 'folder')`,
		`CREATE SINK s2 WITH (connector = 's3', secret = 'wrong')`, `DROP SECRET folder`, `SHOW CREATE SECRET folder`,
	} {
		err := db.Exec(t.Context(), statement)
		if err == nil {
			t.Errorf("%s succeeded", statement)
			continue
		}
		seen.WriteString(err.Error() + "\n")
	}
	script := db.Script(t.Context(), `CREATE SECRET folder WITH (path = 'hush')`, "init.sql")
	if script == nil {
		t.Error("another secret of the same name is accepted")
	} else {
		seen.WriteString(script.Error())
	}
	if err := db.Script(t.Context(), `CREATE SECRET folder WITH (commit_interval = '20ms', path = '`+dir+`/./hush-folder', secret_access_key = 'hush-key')`, "init.sql"); err != nil {
		t.Errorf("the same secret again: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	seen.WriteString(log.String())
	if i := strings.Index(seen.String(), "hush"); i >= 0 {
		t.Errorf("a secret is seen: …%s", seen.String()[max(0, i-200):min(i+50, seen.Len())])
	}
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("hush-key")) || bytes.Contains(content, []byte("hush-host")) {
			t.Errorf("%s holds a secret", path)
		}
		// The catalog of the tables has to say where they lie.
		if bytes.Contains(content, []byte("hush")) && filepath.Base(path) != "iceberg.db" && filepath.Base(path) != "iceberg.db-wal" {
			t.Errorf("%s holds a part of a secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(data, "secret.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
}

// Secrets survive a restart, and are lost with their key, which is said.
func TestSecret_Key(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	run := func(f func(db *engine.DB)) {
		t.Helper()
		db, err := engine.Open(t.Context(), engine.Config{Dir: data})
		if err != nil {
			t.Fatal(err)
		}
		f(db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Setenv("LEAT_SECRET_KEY", "too short")
	run(func(db *engine.DB) {
		err := db.Exec(t.Context(), `CREATE SECRET folder WITH (path = '/tmp/x')`)
		if !sqlerror.HasCode(err, sqlerror.CodeBadOption) || !strings.Contains(err.Error(), "LEAT_SECRET_KEY") || strings.Contains(err.Error(), "too short") {
			t.Errorf("a bad key: %v", err)
		}
	})
	t.Setenv("LEAT_SECRET_KEY", key)
	t.Setenv("LEAT_TEST_PATH", filepath.Join(dir, "lake"))
	run(func(db *engine.DB) {
		mustExec(t, db, `CREATE SECRET folder WITH (path = '${env:LEAT_TEST_PATH}'); CREATE SINK s WITH (connector = 's3', secret = 'folder')`)
		equal(t, "sinks", query(t, db, `SELECT sink, problem FROM leat.sinks WHERE sink = 's'`), "s|NULL")
	})
	if _, err := os.Stat(filepath.Join(data, "secret.key")); err == nil {
		t.Error("a key was made though there was one")
	}
	run(func(db *engine.DB) {
		equal(t, "sinks", query(t, db, `SELECT sink, problem FROM leat.sinks WHERE sink = 's'`), "s|NULL")
	})
	// The same key in a file.
	writeFile(t, filepath.Join(dir, "key"), key+"\n")
	if err := os.Unsetenv("LEAT_SECRET_KEY"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEAT_SECRET_KEY_FILE", filepath.Join(dir, "key"))
	run(func(db *engine.DB) {
		equal(t, "sinks", query(t, db, `SELECT sink, problem FROM leat.sinks WHERE sink = 's'`), "s|NULL")
	})
	// Checks find secrets, too: those of the directory and those of a file.
	checked := func(text, want string) {
		t.Helper()
		var defs []sql.Definition
		statements, err := sql.Split(text, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			stmt, err := sql.Parse(s.Text, s.Pos)
			if err != nil {
				t.Fatal(err)
			}
			defs = append(defs, stmt.(sql.Definition))
		}
		for _, r := range engine.Check(t.Context(), data, defs) {
			if (r.Err != nil) != (want != "") || r.Err != nil && !strings.Contains(r.Err.Error(), want) {
				t.Errorf("check of %s: %v, want %q", text, r.Err, want)
			}
		}
	}
	checked(`CREATE SINK x WITH (connector = 's3', secret = 'folder')`, "")
	checked(`CREATE SECRET new WITH (path = '`+dir+`/new'); CREATE SINK x WITH (connector = 's3', secret = 'new')`, "")
	checked(`CREATE SINK x WITH (connector = 's3', secret = 'none')`, "unknown secret none")
	// Another key.
	t.Setenv("LEAT_SECRET_KEY", strings.Repeat("0f", 32))
	run(func(db *engine.DB) {
		got := strings.Join(query(t, db, `SELECT problem FROM leat.sinks WHERE sink = 's'`), "")
		if !strings.Contains(got, "cannot be decrypted with the key of environment variable LEAT_SECRET_KEY") {
			t.Errorf("another key: %s", got)
		}
		// A deployment that is run again is not told that the secret is another.
		if err := db.Script(t.Context(), `CREATE SECRET folder WITH (path = '${env:LEAT_TEST_PATH}')`, "init.sql"); !strings.Contains(fmt.Sprint(err), "init.sql:1:15: secret folder: ") || !strings.Contains(err.Error(), "cannot be decrypted with") {
			t.Errorf("a script under another key: %v", err)
		}
		mustExec(t, db, `CREATE OR REPLACE SECRET folder WITH (path = '${env:LEAT_TEST_PATH}')`)
		equal(t, "sinks", query(t, db, `SELECT sink, problem FROM leat.sinks WHERE sink = 's'`), "s|NULL")
	})
}

// New credentials reach streams that run, also those whose sink no longer takes
// the old ones, and no row is lost or repeated; a secret that names another place
// waits.
func TestSecret_ReplacedUnderStreams(t *testing.T) {
	var key atomic.Value
	key.Store("first")
	s3 := startFlakyS3(t, "lake")
	guard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+key.Load().(string)+"/") {
			refuse(http.StatusForbidden, "InvalidAccessKeyId")(w, r)
			return
		}
		s3.inner.ServeHTTP(w, r)
	})
	s3.fault.Store(&guard)
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "data"))
	secret := func(id, path string) string {
		return `CREATE OR REPLACE SECRET lake_key WITH (access_key_id = '` + id + `', secret_access_key = 'hush', path = 's3://lake/` + path + `');
			CREATE OR REPLACE SECRET folder_key WITH (access_key_id = '` + id + `', secret_access_key = 'hush', path = 's3://lake/folders/` + path + `');`
	}
	file := func(name string, ids ...int) {
		t.Helper()
		var text strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&text, "{\"id\":%d}\n", id)
		}
		writeFile(t, filepath.Join(dir, "in", name), text.String())
	}
	file("a.ndjson", 1, 2)
	mustExec(t, db, secret("first", "here")+`
		CREATE SOURCE f (id INT) WITH (connector = 'files', path = '`+dir+`/in', mode = 'tail', discovery_interval = '20ms');
		CREATE SINK ice WITH (connector = 's3', endpoint = '`+s3.URL+`', region = 'us-east-1', path_style = 'true', secret = 'lake_key', commit_interval = '20ms');
		CREATE SINK folders WITH (connector = 's3', endpoint = '`+s3.URL+`', region = 'us-east-1', path_style = 'true', secret = 'folder_key', commit_interval = '20ms', table_format = 'hive');
		CREATE STREAM a INTO ice.t AS SELECT id FROM f;
		CREATE STREAM b INTO folders.u AS SELECT id FROM f;
		CREATE STREAM stopped INTO ice.v AS SELECT id FROM f;
		STOP STREAM stopped`)
	landed := func(n int64) {
		t.Helper()
		for _, name := range []string{"a", "b"} {
			await(t, db, name, func(st engine.StreamStatus) bool {
				return st.State == "RUNNING" && st.Committed.Counters.RowsLanded == n
			})
		}
	}
	landed(2)
	// The old key is still accepted.
	mustExec(t, db, secret("second", "here"))
	key.Store("second")
	file("b.ndjson", 3, 4)
	landed(4)
	// It is no longer.
	key.Store("third")
	file("c.ndjson", 5, 6)
	for _, name := range []string{"a", "b"} {
		await(t, db, name, func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
	}
	mustExec(t, db, secret("third", "here"))
	landed(6)
	for _, table := range []string{"ice.t", "folders.u"} {
		equal(t, table, query(t, db, `SELECT COUNT(*), SUM(id), COUNT(DISTINCT id) FROM `+table), "6|21|6")
	}
	if st, err := db.Status("stopped"); err != nil || st.State != "STOPPED" {
		t.Errorf("the stopped stream: %v, %v", st.State, err)
	}
	// Another place is not taken while streams write to this one.
	mustExec(t, db, secret("third", "elsewhere"))
	file("d.ndjson", 7)
	landed(7)
	equal(t, "here", query(t, db, `SELECT COUNT(*) FROM ice.t`), "7")
}
