package engine_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A file of a data directory that is cut off, overwritten or gone is named, to streams
// and to queries, and they end instead of trying again for ever. Nothing is written over.
func TestDamage_TableFiles(t *testing.T) {
	whole := t.TempDir()
	pipeline := func(dir string) string {
		return fmt.Sprintf(`CREATE SOURCE g (id BIGINT) WITH (connector = 'datagen', rows = 100);
			CREATE SINK h WITH (connector = 's3', path = '%s/hive', table_format = 'hive');
			CREATE STREAM t AS SELECT id FROM g;
			CREATE STREAM th INTO h AS SELECT id FROM g;`, dir)
	}
	run := func(dir string, f func(db *engine.DB)) {
		t.Helper()
		db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(db)
	}
	run(whole, func(db *engine.DB) {
		mustExec(t, db, pipeline(whole))
		if err := db.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	newest := func(pattern string) string {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(whole, pattern))
		if err != nil || len(names) == 0 {
			t.Fatal(pattern, err)
		}
		slices.SortFunc(names, func(a, b string) int {
			x, _ := os.Stat(a)
			y, _ := os.Stat(b)
			return x.ModTime().Compare(y.ModTime())
		})
		return names[len(names)-1]
	}
	for _, c := range []struct {
		files        string // the newest of them is damaged
		stream, says string // the stream that fails and why; none where it does not look at the file
		table, query string
	}{
		{"hive/th/*.parquet", "th", "not whole", "h.th", "the file is damaged"}, // first: a start looks at the files of the last commit
		{"lake/t/metadata/*.metadata.json", "t", "is damaged", "lake.t", "is damaged"},
		{"lake/t/metadata/snap-*.avro", "t", "is damaged", "lake.t", "is damaged"},
		{"lake/t/metadata/*-m*.avro", "", "", "lake.t", "is damaged"},
		{"lake/t/data/*.parquet", "", "", "lake.t", "the file is damaged"},
	} {
		file := newest(c.files)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, damaged := range map[string][]byte{"cut off": content[:len(content)/2], "zeros": make([]byte, len(content)), "gone": nil} {
			if what != "cut off" && c.stream == "th" {
				continue
			}
			if err := os.WriteFile(file, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			if damaged == nil {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			name := filepath.Base(file)
			run(whole, func(db *engine.DB) {
				if c.stream != "" {
					st, err := db.Status(c.stream)
					if why := fmt.Sprint(st.Reason); err != nil || st.State != "FAILED" || !strings.Contains(why, name) || what != "gone" && !strings.Contains(why, c.says) {
						t.Errorf("%s %s: stream is %s: %s, %v", name, what, st.State, why, err)
					}
				}
				r, err := db.Query(t.Context(), "SELECT SUM(id) FROM "+c.table)
				if err == nil {
					for r.Next() {
					}
					err = r.Err()
					r.Release()
				}
				if !sqlerror.HasCode(err, sqlerror.CodeExternal) || !strings.Contains(err.Error(), name) || what != "gone" && !strings.Contains(err.Error(), c.query) {
					t.Errorf("%s %s: query: %v", name, what, err)
				}
			})
			if now, err := os.ReadFile(file); err == nil && !bytes.Equal(now, damaged) {
				t.Errorf("%s %s was written over", name, what)
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(whole, func(db *engine.DB) {
		for _, table := range []string{"lake.t", "h.th"} {
			if got := query(t, db, "SELECT COUNT(*) FROM "+table); got[0] != "100" {
				t.Errorf("%s has %s rows after all was restored", table, got[0])
			}
		}
	})
}

// Definitions that are gone while tables are there are missed, since the server begins
// without any stream; and a catalog that is gone does not make queries guess the name
// that they have.
func TestDamage_Catalogs(t *testing.T) {
	dir := t.TempDir()
	define := func(db *engine.DB) {
		t.Helper()
		mustExec(t, db, `CREATE SOURCE g (id BIGINT) WITH (connector = 'datagen', rows = 100); CREATE STREAM t AS SELECT id FROM g`)
	}
	run := func(f func(db *engine.DB)) (log string) {
		t.Helper()
		var text bytes.Buffer
		db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 2, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		if err != nil {
			t.Fatal(err)
		}
		f(db)
		if err := db.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		return text.String()
	}
	if log := run(define); strings.Contains(log, "no definitions") {
		t.Errorf("a new directory: %s", log)
	}
	if err := os.Truncate(filepath.Join(dir, "leat.db"), 0); err != nil {
		t.Fatal(err)
	}
	if log := run(define); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "no definitions") || !strings.Contains(log, filepath.Join(dir, "leat.db")) {
		t.Errorf("definitions are gone: %s", log)
	}
	if err := os.Remove(filepath.Join(dir, "iceberg.db")); err != nil {
		t.Fatal(err)
	}
	run(func(db *engine.DB) {
		if st := await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == "FAILED" }); !strings.Contains(fmt.Sprint(st.Reason), "adopt = true") {
			t.Errorf("because %v", st.Reason)
		}
		session := db.NewSession()
		_, err := session.Query(t.Context(), "SELECT * FROM t")
		if text := fmt.Sprint(err); strings.Contains(text, "did you mean t?") || !strings.Contains(text, "stream t, which is FAILED, writes to lake.t") {
			t.Errorf("a query: %v", err)
		}
		mustExec(t, db, `CREATE OR REPLACE STREAM t WITH (adopt = 'true') AS SELECT id FROM g`)
	})
	run(func(db *engine.DB) {
		if got := query(t, db, "SELECT COUNT(*) FROM t"); got[0] != "100" {
			t.Errorf("%s rows after the table was taken over", got[0])
		}
	})
}
