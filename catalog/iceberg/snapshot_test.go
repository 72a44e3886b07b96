package iceberg_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
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
			t.Logf("Maintain: %v", err) // it waits until the clock has caught up
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
		if commits[i].CommittedAt.After(commits[i-1].CommittedAt) {
			t.Errorf("a commit is of %v, the one after it of %v", commits[i].CommittedAt, commits[i-1].CommittedAt)
		}
	}
	if files, err := tbl.Plan(t.Context(), nil); err != nil || len(files) != 4 || tbl.Properties()["leat.stream.s"] != "4" {
		t.Errorf("%d files, state %s, %v", len(files), tbl.Properties()["leat.stream.s"], err)
	}
}
