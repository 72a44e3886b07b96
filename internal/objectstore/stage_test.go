package objectstore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

func mustStage(t *testing.T, s objectstore.Stager, key string, data []byte) objectstore.Upload {
	t.Helper()
	w, err := s.Stage(t.Context(), key, "table/_leat/staged", objectstore.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(len(data), 700_000)
		if err := w.Write(t.Context(), data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	u, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Abort() // does nothing now
	return u
}

func keysBelow(t *testing.T, s objectstore.Store, prefix string) []string {
	t.Helper()
	infos, _, err := s.List(t.Context(), prefix, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, i := range infos {
		keys = append(keys, i.Key)
	}
	return keys
}

func TestStager(t *testing.T) {
	stores(t, func(t *testing.T, store objectstore.Store) {
		s := store.(objectstore.Stager)
		ctx := t.Context()
		for name, size := range map[string]int{"small": 10, "large": 11 << 20} {
			data := bytes.Repeat([]byte("0123456789"), size/10)
			key := "table/k=v/" + name + ".parquet"
			u := mustStage(t, s, key, data)
			if u.Key != key || u.Size != int64(len(data)) || u.ID == "" {
				t.Errorf("%s: %+v", name, u)
			}
			if keys := keysBelow(t, s, "table/k=v/"+name); len(keys) > 0 {
				t.Errorf("%s: a staged object is listed: %v", name, keys)
			}
			uploads, err := s.Uploads(ctx, "table/", "table/_leat/staged")
			if err != nil || len(uploads) != 1 || filepath.Base(uploads[0].Key) != name+".parquet" || uploads[0].ID != u.ID {
				t.Errorf("%s: uploads %+v, %v", name, uploads, err)
			}
			for range 3 {
				info, err := s.Complete(ctx, u)
				if err != nil || info.Size != u.Size || info.Key != key {
					t.Errorf("%s: complete %+v, %v", name, info, err)
				}
			}
			if got, err := s.Get(ctx, key); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if uploads, err := s.Uploads(ctx, "table/", "table/_leat/staged"); err != nil || len(uploads) > 0 {
				t.Errorf("%s: after completion uploads %+v, %v", name, uploads, err)
			}
			if err := s.Discard(ctx, u); err != nil {
				t.Errorf("%s: discard what is completed: %v", name, err)
			}
			if _, err := s.Head(ctx, key); err != nil {
				t.Errorf("%s: after Discard: %v", name, err)
			}
		}
	})
}

func TestStager_Discard(t *testing.T) {
	stores(t, func(t *testing.T, store objectstore.Store) {
		s := store.(objectstore.Stager)
		ctx := t.Context()
		u := mustStage(t, s, "table/x.json", []byte("{}"))
		for range 2 {
			if err := s.Discard(ctx, u); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Complete(ctx, u)
		if e := sqlerror.As(err); !errors.Is(err, objectstore.ErrNoUpload) || e == nil || sqlerror.IsRetryable(err) {
			t.Errorf("complete what was discarded: %v", err)
		}
		// Another object at the key is not taken for it.
		if _, err := s.Put(ctx, "table/x.json", []byte("foreign"), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Complete(ctx, u); !errors.Is(err, objectstore.ErrNoUpload) {
			t.Errorf("complete over an object of another size: %v", err)
		}
		w, err := s.Stage(ctx, "table/y.json", "table/_leat/staged", objectstore.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(ctx, bytes.Repeat([]byte("y"), 9<<20)); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if _, err := w.Finish(ctx); err == nil {
			t.Error("an aborted writer was finished")
		}
		if uploads, err := s.Uploads(ctx, "table/", "table/_leat/staged"); err != nil || len(uploads) > 0 {
			t.Errorf("after Abort uploads %+v, %v", uploads, err)
		}
	})
}

// TestStager_LocalNames keeps staged files where no pattern for data files finds
// them.
func TestStager_LocalNames(t *testing.T) {
	dir := t.TempDir()
	store, err := objectstore.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	u := mustStage(t, store.(objectstore.Stager), "table/k=v/x.parquet", []byte("PAR1"))
	for _, pattern := range []string{"table/*.parquet", "table/*/*.parquet", "table/*/*/*.parquet", "table/k=v"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
			t.Errorf("%s matches %v", pattern, found)
		}
	}
	if err := os.Truncate(filepath.Join(dir, u.ID), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := store.(objectstore.Stager).Complete(t.Context(), u); err == nil {
		t.Error("a torn file was completed")
	}
}
