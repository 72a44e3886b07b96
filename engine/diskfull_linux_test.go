package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/internal/tmpfstest"
)

// A stream whose disk is full waits until there is room, says so, and then lands
// everything once.
func TestBadInput_DiskFull(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	tmpfstest.Mount(t, small, "4m")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`
		CREATE SOURCE src (id INT NOT NULL, s TEXT) WITH (connector = 'push');
		CREATE SINK small WITH (connector = 's3', path = 'file://%s/lake', compression = 'none');
		CREATE STREAM t INTO small WITH (commit_interval = '20ms') AS SELECT id, s FROM src`, small))
	ballast := filepath.Join(small, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	const values = 40
	for i := range values {
		text := strings.Repeat(fmt.Sprintf("%09d", i*7919), 4000) // 36 KB
		if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d,"s":"%s"}`, i, text)); err != nil {
			t.Fatal(err)
		}
	}
	st := await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
	if !strings.Contains(fmt.Sprint(st.Reason), "disk is full") {
		t.Errorf("because %v", st.Reason)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	await(t, db, "t", func(st engine.StreamStatus) bool {
		return st.State == "RUNNING" && st.Committed.Counters.RowsLanded == values
	})
	if got := query(t, db, `SELECT COUNT(*), COUNT(DISTINCT id), MIN(LENGTH(s)) FROM small.t`); got[0] != fmt.Sprintf("%d|%d|36000", values, values) {
		t.Errorf("landed %q", got)
	}
}

// The disk of the data directory is full: the catalog's files, the definitions
// and the lake wait for room and lose nothing.
func TestBadInput_DiskFull_DataDirectory(t *testing.T) {
	dir := t.TempDir()
	tmpfstest.Mount(t, dir, "16m")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, `
		CREATE SOURCE src (id INT NOT NULL) WITH (connector = 'push');
		CREATE STREAM t WITH (commit_interval = '20ms') AS SELECT id FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	send := func() {
		t.Helper()
		for range 10 {
			if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d}`, sent)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
	}
	landed := func() {
		t.Helper()
		await(t, db, "t", func(st engine.StreamStatus) bool {
			return st.State == "RUNNING" && st.Committed.Counters.RowsLanded == int64(sent)
		})
	}
	send()
	landed()
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 32<<20), 0o644); err == nil {
		t.Fatal("the disk does not become full")
	}
	send()
	st := await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
	if !strings.Contains(fmt.Sprint(st.Reason), "disk is full") {
		t.Errorf("because %v", st.Reason)
	}
	if err := db.Exec(t.Context(), "CREATE SOURCE another (id INT, text TEXT) WITH (connector = 'push', format = 'json')"); err != nil {
		t.Logf("a definition: %v", err) // it may still fit into the file
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	landed()
	mustExec(t, db, "CREATE SOURCE third (id INT) WITH (connector = 'push')")
	if got := query(t, db, `SELECT COUNT(*), COUNT(DISTINCT id) FROM lake.t`); got[0] != fmt.Sprintf("%d|%d", sent, sent) {
		t.Errorf("landed %q", got)
	}
}
