package iceberg_test

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/sql/types"
)

// TestUpdate_ForgetsWhatItCommitted: each snapshot in memory held the
// transaction that made it, with all its data files, and so those before it.
func TestUpdate_ForgetsWhatItCommitted(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	target := define(t, l, definition("t"))
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const files = 3000
	var before int64
	for i := range 5 {
		if _, err := commit(target.Committer, add(files, nil)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			before = live()
		}
	}
	// Each held about 1 KB.
	if grown := live() - before; grown > 3*files*500 {
		t.Errorf("%d bytes are held for %d data files of commits", grown, 3*files)
	}
}

// TestUpdate_ClockTurnedBack commits with a clock that is years behind the one
// of the commits before, as on another machine or after a correction.
func TestUpdate_ClockTurnedBack(t *testing.T) {
	dir := t.TempDir()
	set := func(text string) map[string]string { return map[string]string{"leat.stream.s": text} }
	if _, err := commit(define(t, openLake(t, dir, nil), definition("t")).Committer, add(1, set("1"))); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // the clock of a bubble begins with the year 2000
		l := openLake(t, dir, nil)
		target := define(t, l, definition("t"))
		for _, text := range []string{"2", "3"} {
			if _, err := commit(target.Committer, add(1, set(text))); err != nil {
				t.Fatalf("commit %s: %v", text, err)
			}
			time.Sleep(time.Hour)
		}
		if err := target.Maintain(t.Context(), 0); err != nil {
			t.Errorf("Maintain: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	l := openLake(t, dir, nil)
	if _, err := commit(define(t, l, definition("t")).Committer, add(1, set("4"))); err != nil {
		t.Fatal(err)
	}
	tbl := loadTable(t, l, "t")
	commits, err := tbl.Commits(t.Context())
	if err != nil || len(commits) != 4 {
		t.Fatalf("%d commits, %v", len(commits), err)
	}
	for i := 1; i < len(commits); i++ { // from the newest on
		if !commits[i].CommittedAt.Before(commits[i-1].CommittedAt) {
			t.Errorf("a commit is of %v, the one after it of %v", commits[i].CommittedAt, commits[i-1].CommittedAt)
		}
	}
	if files, err := tbl.Plan(t.Context(), nil); err != nil || len(files) != 4 || tbl.Properties()["leat.stream.s"] != "4" {
		t.Errorf("%d files, state %s, %v", len(files), tbl.Properties()["leat.stream.s"], err)
	}
}

// commitsOf counts the commits that table t knows of.
func commitsOf(t *testing.T, l *iceberg.Lake) int {
	t.Helper()
	commits, err := loadTable(t, l, "t").Commits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(commits)
}

// TestMaintain_ClockTurnedBack expires snapshots and merges manifests while the
// clock is behind, by the ages that they have among each other.
func TestMaintain_ClockTurnedBack(t *testing.T) {
	const least, more = 100, 30
	dir := t.TempDir()
	first := openLake(t, dir, nil)
	target := define(t, first, definition("t"))
	for range more {
		if _, err := commit(target.Committer, add(1, nil)); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := openLake(t, dir, nil)
		target := define(t, l, definition("t"))
		for range least {
			if _, err := commit(target.Committer, add(1, nil)); err != nil {
				t.Fatal(err)
			}
		}
		// Within the hour before the last commit: all of them, however slow this is.
		if err := target.Maintain(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if n := commitsOf(t, l); n != least+more {
			t.Errorf("%d commits are left of %d within the retention", n, least+more)
		}
		if err := target.Maintain(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		// Merging and expiring made snapshots, too.
		if n := commitsOf(t, l); n > least || n < least-3 {
			t.Errorf("%d commits are left, %d snapshots are kept at least", n, least)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	l := openLake(t, dir, nil)
	if files, err := loadTable(t, l, "t").Plan(t.Context(), nil); err != nil || len(files) != least+more {
		t.Errorf("%d files, %v", len(files), err)
	}
	if _, err := commit(define(t, l, definition("t")).Committer, add(1, nil)); err != nil {
		t.Error(err)
	}
}

// TestDefine_ClockTurnedBack changes the columns of a table while the clock is
// behind.
func TestDefine_ClockTurnedBack(t *testing.T) {
	dir := t.TempDir()
	if _, err := commit(define(t, openLake(t, dir, nil), definition("t")).Committer, add(1, nil)); err != nil {
		t.Fatal(err)
	}
	wider := definition("t")
	wider.Schema = append(slices.Clone(wider.Schema), types.Column{Name: "added", Type: types.TypeText})
	synctest.Test(t, func(t *testing.T) {
		l := openLake(t, dir, nil)
		target := define(t, l, wider)
		if last := target.Columns[len(target.Columns)-1]; last.Name != "added" {
			t.Errorf("the last column is %s", last.Name)
		}
		if _, err := commit(target.Committer, add(1, nil)); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	l := openLake(t, dir, nil)
	tbl := loadTable(t, l, "t")
	if schema := tbl.Schema(); schema.Index("added") < 0 {
		t.Errorf("the table has %v", schema)
	}
	if files, err := tbl.Plan(t.Context(), nil); err != nil || len(files) != 2 {
		t.Errorf("%d files, %v", len(files), err)
	}
}
