package engine_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"net/http"
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
	f := func(t *testing.T, in place, mend func(t *testing.T, db *engine.DB, in place), want string, loss string) {
		t.Helper()
		in.write(t, "a.json", []byte("{\"id\": -1}\n"))
		in.write(t, "b.json.gz", half)
		in.write(t, "c.json", []byte("{\"id\": -2}\n"))
		db := open(t, t.TempDir())
		mustExec(t, db, "CREATE"+fmt.Sprintf(source, in.path, in.options)+"; CREATE STREAM t WITH (commit_interval = '1h') AS SELECT id FROM f")
		st := await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == dataflow.Failed })
		for _, part := range []string{"b.json.gz", "middle of its compressed stream", "put the whole file in its place", "on_data_loss = 'skip'"} {
			if !strings.Contains(st.Reason.Error(), part) {
				t.Errorf("the reason does not say %q: %v", part, st.Reason)
			}
		}
		// What was read before is not thrown away, that of the file itself included.
		var before, distinct int
		got := query(t, db, "SELECT COUNT(*), COUNT(DISTINCT id) FROM t")[0]
		if _, err := fmt.Sscanf(got, "%d|%d", &before, &distinct); err != nil || before != distinct || before < 1000 || before > 50_000 {
			t.Errorf("of the rows before the damage there are %s", got)
		}
		mend(t, db, in)
		st = await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == dataflow.Finished || st.State == dataflow.Failed })
		if st.State != dataflow.Finished {
			t.Fatalf("stream is %s: %v", st.State, st.Reason)
		}
		got = query(t, db, "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id) FROM t")[0]
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
	mended := func(t *testing.T, db *engine.DB, in place) {
		in.write(t, "b.json.gz", whole.Bytes())
		mustExec(t, db, "START STREAM t")
	}
	removed := func(t *testing.T, db *engine.DB, in place) {
		in.remove(t, "b.json.gz")
		mustExec(t, db, "START STREAM t")
		st := await(t, db, "t", func(st engine.StreamStatus) bool {
			return st.State == dataflow.Failed && strings.Contains(st.Reason.Error(), "vanished")
		})
		if !strings.Contains(st.Reason.Error(), "CREATE OR REPLACE SOURCE with on_data_loss = 'skip'") {
			t.Errorf("the reason names no way on: %v", st.Reason)
		}
		mustExec(t, db, "CREATE OR REPLACE"+fmt.Sprintf(source, in.path, in.options+", on_data_loss = 'skip'")+"; START STREAM t")
	}
	skipped := func(t *testing.T, db *engine.DB, in place) {
		mustExec(t, db, "CREATE OR REPLACE"+fmt.Sprintf(source, in.path, in.options+", on_data_loss = 'skip'")+"; START STREAM t")
	}
	for name, new := range map[string]func(*testing.T) place{"Folder": inFolder, "Bucket": inBucket} {
		t.Run(name, func(t *testing.T) {
			t.Run("Mended", func(t *testing.T) { f(t, new(t), mended, "50002|50002|-2", "") })
			t.Run("Removed", func(t *testing.T) { f(t, new(t), removed, "", `"split":"b.json.gz"`) })
			t.Run("Skipped", func(t *testing.T) { f(t, new(t), skipped, "", "middle of its compressed stream") })
		})
	}
}

// place is where files lie that a source reads.
type place struct {
	path, options string
	write         func(t *testing.T, name string, data []byte)
	remove        func(t *testing.T, name string)
}

func inFolder(t *testing.T) place {
	dir := t.TempDir()
	return place{
		path: dir,
		write: func(t *testing.T, name string, data []byte) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		remove: func(t *testing.T, name string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func inBucket(t *testing.T) place {
	s3 := startFlakyS3(t, "in")
	do := func(t *testing.T, method, name string, data []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s3.URL+"/in/"+name, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, name, resp.Status)
		}
	}
	return place{
		path: "s3://in/",
		options: fmt.Sprintf(", endpoint = '%s', region = 'us-east-1', path_style = 'true', access_key_id = 'k', secret_access_key = 's'",
			s3.URL),
		write:  func(t *testing.T, name string, data []byte) { do(t, http.MethodPut, name, data) },
		remove: func(t *testing.T, name string) { do(t, http.MethodDelete, name, nil) },
	}
}
