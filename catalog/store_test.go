package catalog_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/sqlerror"
)

func openStore(t *testing.T, path string) *catalog.Store {
	t.Helper()
	s, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newStore(t *testing.T) *catalog.Store {
	return openStore(t, filepath.Join(t.TempDir(), "leat.db"))
}

func source(name string) *catalog.Object {
	return &catalog.Object{Kind: catalog.KindSource, Name: name, Definition: "CREATE SOURCE " + name, Normal: "N"}
}

func TestStore_Objects(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	o := &catalog.Object{Kind: catalog.KindStream, Name: "Trips", Definition: "D", Normal: "N", Running: true, Failure: "f", Columns: []byte(`[]`)}
	if err := s.Put(ctx, o); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(ctx, "tRIPS")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", o) || got.CreatedAt.IsZero() || !got.CreatedAt.Equal(got.UpdatedAt) {
		t.Errorf("Get\n got %+v\nwant %+v", got, o)
	}
	changed := &catalog.Object{Kind: catalog.KindStream, Name: "TRIPS", Definition: "D2", Normal: "N2"}
	if err := s.Replace(ctx, changed); err != nil {
		t.Fatal(err)
	}
	got, err = s.Get(ctx, "trips")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "TRIPS" || got.Definition != "D2" || got.Normal != "N2" || got.Running || got.Failure != "" || got.Columns != nil ||
		!got.CreatedAt.Equal(o.CreatedAt) || got.UpdatedAt.Before(got.CreatedAt) {
		t.Errorf("after Replace %+v", got)
	}
	if err := errors.Join(s.SetRunning(ctx, "trips", true), s.SetFailure(ctx, "trips", "why"), s.SetColumns(ctx, "trips", []byte{0, 255})); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Get(ctx, "trips"); err != nil || !got.Running || got.Failure != "why" || !bytes.Equal(got.Columns, []byte{0, 255}) {
		t.Errorf("after Set… %+v, %v", got, err)
	}
	if err := s.Delete(ctx, "tripS"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "trips"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("Get after Delete: %v", err)
	}
}

func TestStore_List(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	for _, o := range []*catalog.Object{source("b"), source("C"), source("a"), {Kind: catalog.KindSink, Name: "d"}} {
		if err := s.Put(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	f := func(kind, want string) {
		t.Helper()
		list, err := s.List(ctx, kind)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, o := range list {
			names = append(names, o.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("List(%q)=%s, want %s", kind, got, want)
		}
	}
	f("", "a b C d")
	f(catalog.KindSource, "a b C")
	f(catalog.KindSink, "d")
	f(catalog.KindStream, "")
}

func TestStore_Errors(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	if err := s.Put(ctx, source("Größe")); err != nil {
		t.Fatal(err)
	}
	f := func(name string, err error, code sqlerror.Code, message string) {
		t.Helper()
		if !sqlerror.HasCode(err, code) || err.Error() != message {
			t.Errorf("%s: error %v, want %s: %s", name, err, code, message)
		}
	}
	if err := s.Put(ctx, source("GRÖSSE")); err != nil {
		t.Fatal(err)
	}
	f("Put", s.Put(ctx, source("GRÖßE")), sqlerror.CodeExists, "a source named Größe exists")
	f("Put of another kind", s.Put(ctx, &catalog.Object{Kind: catalog.KindStream, Name: "grösse"}), sqlerror.CodeExists,
		"a source named GRÖSSE exists (names are unique over sources, sinks and streams)")
	f("Replace", s.Replace(ctx, source("GRÖSE")), sqlerror.CodeUnknownObject, "no source, sink or stream is named GRÖSE (did you mean GRÖSSE?)")
	f("Replace of another kind", s.Replace(ctx, &catalog.Object{Kind: catalog.KindSink, Name: "größe"}), sqlerror.CodeExists,
		"a source named Größe exists (names are unique over sources, sinks and streams)")
	for name, err := range map[string]error{
		"Delete": s.Delete(ctx, "xyz"), "SetRunning": s.SetRunning(ctx, "xyz", true),
		"SetFailure": s.SetFailure(ctx, "xyz", ""), "SetColumns": s.SetColumns(ctx, "xyz", nil),
	} {
		f(name, err, sqlerror.CodeUnknownObject, "no source, sink or stream is named xyz")
	}
	f("Put without a kind", s.Put(ctx, &catalog.Object{Name: "x"}), sqlerror.CodeInternal, `store object "x" of kind "": both have to be given`)
}

func TestStore_Views(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	v := &catalog.View{Database: "Lake", Name: "V", Select: "SELECT 1", Definition: "CREATE VIEW V AS SELECT 1", SQLMode: "ANSI"}
	if err := errors.Join(s.PutView(ctx, v), s.PutView(ctx, &catalog.View{Database: "lake", Name: "a"}), s.PutView(ctx, &catalog.View{Database: "b", Name: "v"})); err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.View(ctx, "lake", "v")
	if err != nil || !ok || *got != *v {
		t.Errorf("View=%+v, %t, %v, want %+v", got, ok, err, v)
	}
	if _, ok, err := s.View(ctx, "lake", "w"); ok || err != nil {
		t.Errorf("View of none=%t, %v", ok, err)
	}
	if err := s.PutView(ctx, &catalog.View{Database: "LAKE", Name: "v"}); !sqlerror.HasCode(err, sqlerror.CodeExists) {
		t.Errorf("PutView again: %v", err)
	}
	views, err := s.Views(ctx, "LAKE")
	if err != nil || len(views) != 2 || views[0].Name != "a" || views[1].Name != "V" {
		t.Errorf("Views=%+v, %v", views, err)
	}
	if err := s.DeleteView(ctx, "LAKE", "v"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteView(ctx, "lake", "v"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("DeleteView again: %v", err)
	}
}

func TestStore_UsersAndSettings(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	if data, err := s.LoadUsers(ctx); data != nil || err != nil {
		t.Errorf("LoadUsers=%v, %v, want nil", data, err)
	}
	for _, want := range [][]byte{{1, 0, 255}, {}, {2}} {
		if err := s.SaveUsers(ctx, want); err != nil {
			t.Fatal(err)
		}
		if data, err := s.LoadUsers(ctx); !bytes.Equal(data, want) || data == nil || err != nil {
			t.Errorf("LoadUsers=%v, %v, want %v", data, err, want)
		}
	}
	if _, ok, err := s.Setting(ctx, "a"); ok || err != nil {
		t.Errorf("Setting=%t, %v", ok, err)
	}
	if err := errors.Join(s.SetSetting(ctx, "a", "1"), s.SetSetting(ctx, "a", "2")); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := s.Setting(ctx, "a"); v != "2" || !ok || err != nil {
		t.Errorf("Setting=%s, %t, %v", v, ok, err)
	}
	if err := errors.Join(s.DeleteSetting(ctx, "a"), s.DeleteSetting(ctx, "a")); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.Setting(ctx, "a"); ok {
		t.Error("Setting after DeleteSetting")
	}
}

func TestStore_UpdateIsAtomic(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	if err := s.Put(ctx, source("a")); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no")
	err := s.Update(ctx, func(tx *catalog.Tx) error {
		if err := errors.Join(tx.Delete(ctx, "a"), tx.Put(ctx, source("b")), tx.SetSetting(ctx, "k", "v"), tx.SaveUsers(ctx, []byte{1}),
			tx.PutView(ctx, &catalog.View{Database: "d", Name: "v"})); err != nil {
			return err
		}
		// What the transaction has changed it sees, others do not yet.
		if _, err := tx.Get(ctx, "b"); err != nil {
			return err
		}
		if _, err := s.Get(ctx, "b"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			return fmt.Errorf("another reader sees a change that is not made: %w", err)
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Fatalf("Update: %v", err)
	}
	list, err := s.List(ctx, "")
	if err != nil || len(list) != 1 || list[0].Name != "a" {
		t.Errorf("after a failed Update: %+v, %v", list, err)
	}
	if err := s.Update(ctx, func(tx *catalog.Tx) error {
		return errors.Join(tx.Replace(ctx, source("A")), tx.Put(ctx, source("b")), tx.DeleteSetting(ctx, "x"))
	}); err != nil {
		t.Fatal(err)
	}
	if list, err = s.List(ctx, ""); err != nil || len(list) != 2 || list[0].Name != "A" {
		t.Errorf("after Update: %+v, %v", list, err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(ctx, func(tx *catalog.Tx) error {
			if err := tx.Delete(ctx, "b"); err != nil {
				t.Error(err)
			}
			panic("in fn")
		})
	}()
	if _, err := s.Get(ctx, "b"); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	if err := s.Delete(ctx, "b"); err != nil {
		t.Errorf("after a panic the store is locked: %v", err)
	}
}

func TestStore_Restart(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "odd % name?#", "leat.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	o := source("a")
	if err := errors.Join(first.Put(ctx, o), first.SetRunning(ctx, "a", true), first.SaveUsers(ctx, []byte("u"))); err != nil {
		t.Fatal(err)
	}
	// A crash leaves the journal; the second store reads what the first has
	// committed without its being closed.
	second := openStore(t, path)
	got, err := second.Get(ctx, "a")
	if err != nil || !got.Running || !got.CreatedAt.Equal(o.CreatedAt) {
		t.Errorf("Get=%+v, %v", got, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Put(ctx, source("b")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Put after Close: %v", err)
	}
	if data, err := second.LoadUsers(ctx); string(data) != "u" || err != nil {
		t.Errorf("LoadUsers=%q, %v", data, err)
	}
}

func TestStore_FilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leat.db")
	s := openStore(t, path)
	if err := s.Put(t.Context(), source("a")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("mode of leat.db%s=%v, want 0600", suffix, mode)
		}
	}
}

func TestStore_ConcurrentWriters(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "leat.db")
	stores := []*catalog.Store{openStore(t, path), openStore(t, path)}
	const writers, each = 4, 5
	won := make([]int, writers*len(stores))
	var wg sync.WaitGroup
	for w := range won {
		wg.Go(func() {
			s := stores[w%len(stores)]
			for i := range each {
				if err := s.Put(ctx, source(fmt.Sprintf("w%d_%d", w, i))); err != nil {
					t.Error(err)
				}
				// Everyone tries the same name; one gets it.
				switch err := s.Put(ctx, source(fmt.Sprintf("Shared%d", i))); {
				case err == nil:
					won[w]++
				case !sqlerror.HasCode(err, sqlerror.CodeExists):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range won {
		total += n
	}
	if total != each {
		t.Errorf("%d shared names were taken, want %d", total, each)
	}
	list, err := stores[0].List(ctx, catalog.KindSource)
	if err != nil || len(list) != len(won)*each+each {
		t.Errorf("%d objects, %v, want %d", len(list), err, len(won)*each+each)
	}
}

func TestStore_Cancelled(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(t.Context(), func(*catalog.Tx) error {
		cancel()
		return s.Put(ctx, source("a")) // waits for this Update
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a cancelled context: %v", err)
	}
	if _, err := s.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a cancelled context: %v", err)
	}
}

func TestOpen_Versions(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "leat.db")
	old := openStore(t, path)
	if err := old.Put(ctx, source("a")); err != nil {
		t.Fatal(err)
	}
	// A later version adds to what an older one has stored.
	next := append(append([]string(nil), catalog.Migrations...),
		"ALTER TABLE objects ADD COLUMN owner TEXT NOT NULL DEFAULT 'root'; UPDATE settings SET value = value;", "CREATE TABLE more (x INTEGER) STRICT")
	later, err := catalog.OpenWith(path, nil, next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := later.Get(ctx, "a"); err != nil {
		t.Error(err)
	}
	if err := later.Close(); err != nil {
		t.Fatal(err)
	}
	if later, err = catalog.OpenWith(path, nil, next); err != nil {
		t.Fatalf("migrations run twice: %v", err)
	}
	if err := later.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = catalog.Open(path)
	want := fmt.Sprintf("open catalog %s: it has version %d, and this program knows versions up to %d (a newer leat has used this data directory; start that one)",
		path, len(next), len(catalog.Migrations))
	if err == nil || err.Error() != want || !sqlerror.HasCode(err, sqlerror.CodeConflict) {
		t.Errorf("Open of a newer version: %v\nwant %s", err, want)
	}
}

func TestOpen_FailedMigrationChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leat.db")
	bad := append(append([]string(nil), catalog.Migrations...), "CREATE TABLE more (x INTEGER); SELECT nonsense")
	if _, err := catalog.OpenWith(path, nil, bad); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("migrate to version %d", len(catalog.Migrations)+1)) {
		t.Fatalf("Open with a failing migration: %v", err)
	}
	openStore(t, path)
}

func TestOpen_Refuses(t *testing.T) {
	f := func(name string, prepare func(t *testing.T, path string), want string, code sqlerror.Code) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "leat.db")
			prepare(t, path)
			s, err := catalog.Open(path)
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) || sqlerror.As(err) != nil && !sqlerror.HasCode(err, code) {
				t.Errorf("error %v, want %s", err, want)
			}
			if sqlerror.As(err) != nil && sqlerror.IsRetryable(err) {
				t.Errorf("error %v is retryable", err)
			}
		})
	}
	write := func(t *testing.T, path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f("Garbage", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("garbage "), 1000)) }, "damaged or no catalog", sqlerror.CodeExternal)
	f("DamagedPages", func(t *testing.T, path string) {
		s, err := catalog.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(tx *catalog.Tx) error {
			for i := range 200 {
				if err := tx.Put(t.Context(), source(fmt.Sprintf("source_with_a_name_%d", i))); err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(content) / 2; i < len(content); i++ {
			content[i] ^= 0x5a
		}
		write(t, path, content)
	}, "damaged or no catalog", sqlerror.CodeExternal)
	f("OtherDatabase", func(t *testing.T, path string) {
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE iceberg_tables (x)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}, "an SQLite database of something else", sqlerror.CodeConflict)
	f("Directory", func(t *testing.T, path string) {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}, "open catalog", sqlerror.CodeExternal)
}

func TestOpen_NoFolder(t *testing.T) {
	if _, err := catalog.Open(filepath.Join(t.TempDir(), "none", "leat.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestStore_DiskFull(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "leat.db")
	s, err := catalog.OpenWith(path, []string{"max_page_count(30)"}, catalog.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	o := source("big")
	o.Definition = strings.Repeat("x", 1<<20)
	err = s.Put(ctx, o)
	e := sqlerror.As(err)
	if e == nil || e.Code != sqlerror.CodeExternal || e.Kind != sqlerror.External || !e.Retryable || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "no space is left") {
		t.Errorf("Put on a full disk: %v", err)
	}
	// The store works on.
	if err := s.Put(ctx, source("small")); err != nil {
		t.Error(err)
	}
	if list, err := s.List(ctx, ""); err != nil || len(list) != 1 {
		t.Errorf("List=%+v, %v", list, err)
	}
}

func TestStore_LockedByAnotherProcess(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "leat.db")
	s, err := catalog.OpenWith(path, []string{"busy_timeout(0)"}, catalog.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	other := openStore(t, path)
	err = other.Update(ctx, func(tx *catalog.Tx) error {
		err := s.Put(ctx, source("a"))
		if e := sqlerror.As(err); e == nil || e.Code != sqlerror.CodeLocked || !e.Retryable || !strings.Contains(err.Error(), path) {
			t.Errorf("Put while another process writes: %v", err)
		}
		if _, err := s.List(ctx, ""); err != nil {
			t.Errorf("List while another process writes: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, source("a")); err != nil {
		t.Errorf("Put afterwards: %v", err)
	}
}
