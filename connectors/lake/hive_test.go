package lake_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/objectstore/faultstore"
)

// logEntry is what the tests look at in an entry of a table's log.
type logEntry struct {
	N         int64             `json:"n"`
	Completed int64             `json:"completed"`
	State     map[string]string `json:"state"`
	Files     []struct {
		Key  string `json:"key"`
		ID   string `json:"id"`
		Size int64  `json:"size"`
		Rows int64  `json:"rows"`
	} `json:"files"`
	Register []struct {
		Values []string `json:"values"`
	} `json:"register"`
}

// readLog reads the log of a table in a sink's folder.
func readLog(t testing.TB, dir, table string) []logEntry {
	t.Helper()
	store, err := openFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	infos, _, err := store.List(t.Context(), table+"/_leat/log/", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var entries []logEntry
	for _, info := range infos {
		text, err := store.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		var e logEntry
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%s: %v", info.Key, err)
		}
		entries = append(entries, e)
	}
	return entries
}

// plainFiles are the keys and contents of the data files of a table that a
// reader of folders sees, which knows no more than that names that begin with
// "_" or "." are not for it.
func plainFiles(t testing.TB, dir, table string) map[string][]byte {
	t.Helper()
	store, err := openFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var keys []string
	if _, err := os.Stat(filepath.Join(dir, "s3")); err == nil {
		infos, _, err := store.List(t.Context(), table+"/", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			keys = append(keys, info.Key)
		}
	} else {
		root := filepath.Join(dir, "lake")
		if err := filepath.WalkDir(filepath.Join(root, table), func(name string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err == nil && !entry.IsDir() {
				keys = append(keys, strings.TrimPrefix(name, root+"/"))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	for _, key := range keys {
		hidden := false
		for segment := range strings.SplitSeq(strings.TrimPrefix(key, table+"/"), "/") {
			hidden = hidden || segment[0] == '_' || segment[0] == '.'
		}
		if hidden {
			continue
		}
		if !strings.HasSuffix(key, ".parquet") {
			t.Errorf("%s is no data file", key)
		}
		if files[key], err = store.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// checkPlainReader reads the tables of a sink as folders: no row is there twice,
// no file that the log has not decided, and all of what it knows as completed.
func checkPlainReader(t testing.TB, dir string) {
	t.Helper()
	for table, column := range map[string]int{"trips": 0, "_dead_letters": 6} {
		decided, completed := map[string]bool{}, int64(0)
		entries := readLog(t, dir, table)
		for _, e := range entries {
			completed = max(completed, e.Completed)
			for _, f := range e.Files {
				decided[f.Key] = true
			}
		}
		seen, ids := map[string]bool{}, map[string]bool{}
		for key, data := range plainFiles(t, dir, table) {
			seen[key] = true
			if !decided[key] {
				t.Errorf("%s is visible and in no commit", key)
			}
			for _, id := range fileColumn(t, data, column) {
				if ids[id] {
					t.Errorf("%s: %s is there twice", table, id)
				}
				ids[id] = true
			}
		}
		checkRegistered(t, dir, table, entries, completed)
		for _, e := range entries {
			for _, f := range e.Files {
				if e.N <= completed && !seen[f.Key] {
					t.Errorf("%s is completed and not visible", f.Key)
				}
			}
		}
	}
}

// fileColumn reads a column of a Parquet file.
func fileColumn(t testing.TB, data []byte, column int) []string {
	t.Helper()
	r, err := pqarrow.ReadTable(t.Context(), bytes.NewReader(data), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var values []string
	for _, chunk := range r.Column(column).Data().Chunks() {
		for i := range chunk.Len() {
			switch c := chunk.(type) {
			case *array.Binary:
				values = append(values, string(c.Value(i)))
			case *array.Int64:
				values = append(values, strconv.FormatInt(c.Value(i), 10))
			}
		}
	}
	return values
}

// TestHive_PlainReaderAtEveryStep has DuckDB read the folder before each call of
// the store: it knows nothing of the log.
func TestHive_PlainReaderAtEveryStep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hive")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	count := func() (rows, ids, cities int) {
		pattern := filepath.Join(dir, "lake/trips/**/*.parquet")
		if files := plainFiles(t, dir, "trips"); len(files) == 0 {
			return 0, 0, 0
		}
		if err := db.QueryRow("SELECT COUNT(*), COUNT(DISTINCT id), COUNT(DISTINCT city) FROM read_parquet('"+pattern+"', hive_partitioning = true)").Scan(&rows, &ids, &cities); err != nil {
			t.Error(err)
		}
		return rows, ids, cities
	}
	steps, last := 0, 0
	inject := func(faultstore.Call) faultstore.Fault {
		steps++
		rows, ids, _ := count()
		decided, completed := 0, 0
		entries := readLog(t, dir, "trips")
		for _, e := range entries {
			for _, f := range e.Files {
				decided += int(f.Rows)
				if e.N <= entries[len(entries)-1].Completed {
					completed += int(f.Rows)
				}
			}
		}
		if rows != ids || rows > decided || rows < completed || rows < last {
			t.Errorf("step %d: %d rows, %d ids; %d are decided, %d completed, there were %d", steps, rows, ids, decided, completed, last)
		}
		last = rows
		return faultstore.Pass
	}
	if _, _, err := run(t.Context(), dir, inject); err != nil {
		t.Fatal(err)
	}
	landed := 0
	for id := int64(1); id <= crashRows; id++ {
		if !isDead(id) {
			landed++
		}
	}
	if rows, ids, cities := count(); rows != landed || ids != landed || cities != 4 {
		t.Errorf("%d rows, %d ids and %d cities at the end, want %d", rows, ids, cities, landed)
	}
	if steps < 50 {
		t.Errorf("only %d steps", steps)
	}
}

// s3Folder makes a folder whose sinks are Hive folders in a bucket.
func s3Folder(t *testing.T, cfg objectstore.Config) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hive")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(cfg)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "s3"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// crashOnS3 is TestCrash_AtEveryCall with a bucket, at every step-th call.
func crashOnS3(t *testing.T, cfg objectstore.Config, step int) {
	root := cfg.URI
	newDir := func(n int) string {
		cfg.URI = fmt.Sprint(root, "/", n)
		return s3Folder(t, cfg)
	}
	total, _, err := run(t.Context(), newDir(-1), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < total; n += step {
		dir := newDir(n)
		for _, at := range []int{n, n / 2} {
			_, _, _ = run(t.Context(), dir, faultstore.CrashAt(at, n%2 == 1))
			checkPlainReader(t, dir)
		}
		checkRun(t, dir)
		if t.Failed() {
			t.Fatalf("crash at call %d of %d", n, total)
		}
	}
}

func TestHive_S3(t *testing.T) {
	endpoint := fakeS3(t, nil)
	crashOnS3(t, objectstore.Config{URI: "s3://lake/w", Endpoint: endpoint, AccessKeyID: "k", SecretAccessKey: "s"}, stride())
}
