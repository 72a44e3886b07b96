package engine_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
)

// TestTruncatedFile goes the ways on that the error of a file that was cut short
// names: to mend the file, or to do without it.
func TestTruncatedFile(t *testing.T) {
	var whole bytes.Buffer
	w := gzip.NewWriter(&whole)
	for i := range 50_000 {
		fmt.Fprintf(w, "{\"id\": %d, \"s\": \"%x\"}\n", i, uint32(i)*2654435761)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	half := whole.Bytes()[:whole.Len()/2]
	const source = " SOURCE f (id INT, s VARCHAR(10)) WITH (connector = 'files', path = '%s', format = 'json', mode = 'once'%s)"
	f := func(t *testing.T, mend func(t *testing.T, db *engine.DB, dir string), want string, loss string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "in")
		write := func(name string, data []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write("a.json", []byte("{\"id\": -1}\n"))
		write("b.json.gz", half)
		write("c.json", []byte("{\"id\": -2}\n"))
		db := open(t, t.TempDir())
		mustExec(t, db, "CREATE"+fmt.Sprintf(source, dir, "")+"; CREATE STREAM t AS SELECT id FROM f")
		st := await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == dataflow.Failed })
		for _, part := range []string{"b.json.gz", "middle of its compressed stream", "put the whole file in its place", "on_data_loss = 'skip'"} {
			if !strings.Contains(st.Reason.Error(), part) {
				t.Errorf("the reason does not say %q: %v", part, st.Reason)
			}
		}
		mend(t, db, dir)
		st = await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == dataflow.Finished || st.State == dataflow.Failed })
		if st.State != dataflow.Finished {
			t.Fatalf("stream is %s: %v", st.State, st.Reason)
		}
		got := query(t, db, "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id) FROM t")[0]
		var n, different, least int
		if _, err := fmt.Sscanf(got, "%d|%d|%d", &n, &different, &least); err != nil || n != different || n < 2 || least != -2 {
			t.Errorf("rows %s: some are missing or there twice", got)
		}
		if want != "" && got != want || want == "" && (n == 2 || n > 50_000) {
			t.Errorf("rows %s, want %s", got, cmp.Or(want, "those of the first half"))
		}
		got = strings.Join(query(t, db, "SELECT data_loss FROM leat.commits WHERE data_loss <> ''"), "\n")
		if (loss == "") != (got == "") || !strings.Contains(got, loss) {
			t.Errorf("loss %q, want %q", got, loss)
		}
	}
	t.Run("Mended", func(t *testing.T) {
		f(t, func(t *testing.T, db *engine.DB, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "b.json.gz"), whole.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			mustExec(t, db, "START STREAM t")
		}, "50002|50002|-2", "")
	})
	t.Run("Removed", func(t *testing.T) {
		f(t, func(t *testing.T, db *engine.DB, dir string) {
			if err := os.Remove(filepath.Join(dir, "b.json.gz")); err != nil {
				t.Fatal(err)
			}
			mustExec(t, db, "START STREAM t")
			st := await(t, db, "t", func(st engine.StreamStatus) bool {
				return st.State == dataflow.Failed && strings.Contains(st.Reason.Error(), "vanished")
			})
			if !strings.Contains(st.Reason.Error(), "CREATE OR REPLACE SOURCE with on_data_loss = 'skip'") {
				t.Errorf("the reason names no way on: %v", st.Reason)
			}
			mustExec(t, db, "CREATE OR REPLACE"+fmt.Sprintf(source, dir, ", on_data_loss = 'skip'")+"; START STREAM t")
		}, "2|2|-2", `"split":"b.json.gz"`)
	})
	t.Run("Skipped", func(t *testing.T) {
		f(t, func(t *testing.T, db *engine.DB, dir string) {
			mustExec(t, db, "CREATE OR REPLACE"+fmt.Sprintf(source, dir, ", on_data_loss = 'skip'")+"; START STREAM t")
		}, "", "middle of its compressed stream")
	})
}
