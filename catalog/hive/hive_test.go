package hive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/objectstore/faultstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// openLake opens the lake in a folder; inject may be nil.
func openLake(t testing.TB, dir string, inject func(faultstore.Call) faultstore.Fault) (*hive.Lake, *faultstore.Store) {
	t.Helper()
	inner, err := objectstore.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	store := faultstore.New(inner, inject)
	l, err := hive.Open(hive.Options{Namespace: "lake", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return l, store
}

func definition(stream string) catalog.Definition {
	return catalog.Definition{
		Name: "t", Stream: stream, Format: "parquet",
		Schema:    types.Schema{{Name: "id", Type: types.TypeInt64}, {Name: "k", Type: types.NewVarchar(20)}},
		Partition: []catalog.PartitionField{{Name: "k", Column: 1, Transform: "identity"}},
		Writers: func(p map[string]string) catalog.Writers {
			var w catalog.Writers
			for key := range p {
				if name, ok := strings.CutPrefix(key, "leat.stream."); ok && name != stream {
					w.Others = append(w.Others, name)
				} else if ok {
					w.Started, w.Columns = true, []int{1, 2}
				}
			}
			return w
		},
	}
}

func define(t testing.TB, l *hive.Lake, d catalog.Definition) *catalog.Target {
	t.Helper()
	target, err := l.Define(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// stageFile stages a data file.
func stageFile(t testing.TB, s objectstore.Stager, name hive.FileName) catalog.NewFile {
	t.Helper()
	key := "t/k=v/" + name.String() + ".parquet"
	w, err := s.Stage(t.Context(), key, hive.StagingPlace("t"), objectstore.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), []byte(key)); err != nil {
		t.Fatal(err)
	}
	u, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return catalog.NewFile{Path: s.URI(key), Rows: 3, Bytes: u.Size, Upload: &u}
}

func epochChange(stream string, epoch int, files ...catalog.NewFile) *catalog.Change {
	return &catalog.Change{
		Files: files,
		Set:   map[string]string{"leat.stream." + stream: fmt.Sprintf(`{"generation":1,"epoch":%d}`, epoch)},
		Summary: map[string]string{
			catalog.SummaryStream: stream, catalog.SummaryEpoch: strconv.Itoa(epoch), catalog.SummaryGeneration: "1",
			catalog.SummaryFrom: `{"s":"a"}`, catalog.SummaryPositions: `{"s":"b"}`,
		},
	}
}

func update(c catalog.Committer, change *catalog.Change) error {
	_, err := c.Update(context.Background(), false, func(catalog.Version) (*catalog.Change, error) { return change, nil })
	return err
}

func mustUpdate(t testing.TB, c catalog.Committer, change *catalog.Change) {
	t.Helper()
	if err := update(c, change); err != nil {
		t.Fatal(err)
	}
}

func logNumbers(t testing.TB, dir string) []int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "t/_leat/log/*"))
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, name := range names {
		n, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// TestCommitter_Concurrent has several processes count in one property.
func TestCommitter_Concurrent(t *testing.T) {
	dir := t.TempDir()
	first, _ := openLake(t, dir, nil)
	define(t, first, definition("s"))
	const processes, commits = 4, 10
	var group sync.WaitGroup
	for range processes {
		l, _ := openLake(t, dir, nil)
		c, err := l.Committer(t.Context(), "t", "s")
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			for done := 0; done < commits; {
				_, err := c.Update(context.Background(), false, func(v catalog.Version) (*catalog.Change, error) {
					n, _ := strconv.Atoi(v.Properties["n"])
					return &catalog.Change{Set: map[string]string{"n": strconv.Itoa(n + 1)}}, nil
				})
				if err == nil {
					done++
				} else if !hive.IsConflict(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	tbl, err := first.Table(t.Context(), "T") // in any case
	if err != nil {
		t.Fatal(err)
	}
	if got := tbl.Properties()["n"]; got != strconv.Itoa(processes*commits) {
		t.Errorf("counted to %s", got)
	}
	if got := len(logNumbers(t, dir)); got != processes*commits+1 {
		t.Errorf("%d entries", got)
	}
}

// TestCommitter_SleepsThroughTrimming wakes a committer whose number was written,
// and trimmed, since it decided: its entry goes to a free place and decides
// nothing.
func TestCommitter_SleepsThroughTrimming(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	sleeper := define(t, l, definition("s"))
	mustUpdate(t, sleeper, epochChange("s", 1))
	other, _ := openLake(t, dir, nil)
	busy, err := other.Committer(t.Context(), "t", "s")
	if err != nil {
		t.Fatal(err)
	}
	file := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2})
	_, err = sleeper.Update(t.Context(), false, func(catalog.Version) (*catalog.Change, error) {
		for epoch := 2; epoch < 1010; epoch++ {
			mustUpdate(t, busy, epochChange("s", epoch))
		}
		if err := busy.Maintain(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if got := logNumbers(t, dir); len(got) != 1000 || got[0] != 11 {
			t.Fatalf("%d entries are left, from %d", len(got), got[0])
		}
		return epochChange("s", 2, file), nil
	})
	if !hive.IsConflict(err) {
		t.Errorf("the sleeper's commit: %v", err)
	}
	if got := logNumbers(t, dir); got[0] != 11 {
		t.Errorf("entry %d is left", got[0])
	}
	v, err := sleeper.Update(t.Context(), false, func(v catalog.Version) (*catalog.Change, error) { return nil, nil })
	if err != nil || v.Properties["leat.stream.s"] != `{"generation":1,"epoch":1009}` {
		t.Errorf("afterwards it sees %v, %v", v.Properties, err)
	}
	if _, err := store.Head(t.Context(), file.Upload.Key); err == nil {
		t.Error("its file exists")
	}
}

// TestCommitter_StrayEntryOfADeadProcess leaves an entry of a sleeper that died
// before it looked: nobody takes it for a part of the log.
func TestCommitter_StrayEntryOfADeadProcess(t *testing.T) {
	dir := t.TempDir()
	l, _ := openLake(t, dir, nil)
	c := define(t, l, definition("s"))
	for epoch := 1; epoch <= 5; epoch++ {
		mustUpdate(t, c, epochChange("s", epoch))
	}
	name := filepath.Join(dir, "t/_leat/log", fmt.Sprintf("%020d", 4))
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	stray := strings.Replace(string(text), `"nonce":"`, `"nonce":"stray`, 1)
	if err := os.WriteFile(name, []byte(stray), 0o644); err != nil {
		t.Fatal(err)
	}
	fresh, _ := openLake(t, dir, nil)
	tbl, err := fresh.Table(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	commits, err := tbl.Commits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var epochs []int64
	for _, c := range commits {
		epochs = append(epochs, c.Epoch)
	}
	if !slices.Equal(epochs, []int64{5, 4}) {
		t.Errorf("the log has epochs %v", epochs)
	}
}

// TestCommitter_LostAnswers loses the answer to each write of the log.
func TestCommitter_LostAnswers(t *testing.T) {
	for _, fault := range []faultstore.Fault{faultstore.FailBefore, faultstore.FailAfter} {
		dir := t.TempDir()
		failing := false
		l, _ := openLake(t, dir, func(c faultstore.Call) faultstore.Fault {
			if failing && c.Op == faultstore.Put {
				failing = false
				return fault
			}
			return faultstore.Pass
		})
		c := define(t, l, definition("s"))
		failing = true
		err := update(c, epochChange("s", 1))
		if (err == nil) != (fault == faultstore.FailAfter) {
			t.Errorf("fault %d: %v", fault, err)
		}
		if err != nil && !sqlerror.IsRetryable(err) {
			t.Errorf("fault %d cannot be retried: %v", fault, err)
		}
		mustUpdate(t, c, epochChange("s", 2))
		if got, want := len(logNumbers(t, dir)), 3; err == nil && got != want {
			t.Errorf("%d entries, want %d", got, want)
		}
	}
}

// TestCommitter_TellsOfFilesOnTheWay drops a stream that has not finished its last
// commit: who waits for it learns of each file.
func TestCommitter_TellsOfFilesOnTheWay(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	var files []catalog.NewFile
	for n := range int64(40) {
		files = append(files, stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 1, N: n}))
	}
	mustUpdate(t, define(t, l, definition("s")), epochChange("s", 1, files...))
	again, _ := openLake(t, dir, nil)
	c, err := again.Committer(t.Context(), "t", "s")
	if err != nil {
		t.Fatal(err)
	}
	var told atomic.Int64
	ctx := catalog.WithProgress(t.Context(), func(s catalog.Step) {
		if n := told.Add(1); s.String() != fmt.Sprintf("completing files of t: %d of 40", n) {
			t.Error(s)
		}
	})
	if _, err := c.Update(ctx, true, func(catalog.Version) (*catalog.Change, error) {
		return &catalog.Change{Remove: []string{"leat.stream.s"}}, nil
	}); err != nil || told.Load() != 40 {
		t.Errorf("told %d times, %v", told.Load(), err)
	}
}

// TestCommitter_LostUploads lets a decided upload expire before it is completed.
func TestCommitter_LostUploads(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	c := define(t, l, definition("s"))
	other := define(t, l, definition("other"))
	mustUpdate(t, c, epochChange("s", 1))
	file := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2, N: 1})
	kept := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2, N: 2})
	mustUpdate(t, c, epochChange("s", 2, file, kept))
	if err := os.Remove(filepath.Join(dir, file.Upload.ID)); err != nil {
		t.Fatal(err)
	}

	l, store = openLake(t, dir, nil)
	if err := errOf(l.Committer(t.Context(), "t", "other")).Settle(t.Context()); err != nil {
		t.Errorf("another stream: %v", err)
	}
	c2 := errOf(l.Committer(t.Context(), "t", "s"))
	err := c2.Settle(t.Context())
	e := sqlerror.As(err)
	if e == nil || e.Code != sqlerror.CodeDataLoss || sqlerror.IsRetryable(err) || e.Hint == "" {
		t.Fatalf("lost files: %v", err)
	}
	for _, part := range []string{"3 rows", "1 files", "epoch 2", file.Upload.Key, `{"s":"a"} to {"s":"b"}`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	if _, err := store.Head(t.Context(), kept.Upload.Key); err != nil {
		t.Errorf("the file that is not lost: %v", err)
	}
	mustUpdate(t, errOf(l.Committer(t.Context(), "t", "other")), epochChange("other", 1))
	// A sweep leaves decided files alone, and dropping the stream gives them up.
	mustUpdate(t, c2, &catalog.Change{Remove: []string{"leat.stream.s"}})
	if err := c2.Settle(t.Context()); err != nil {
		t.Errorf("after the stream was dropped: %v", err)
	}
	if err := update(other, epochChange("other", 2)); !hive.IsConflict(err) {
		t.Errorf("a commit on an old version: %v", err)
	}
	mustUpdate(t, other, epochChange("other", 2))
	v, err := other.Update(t.Context(), true, func(catalog.Version) (*catalog.Change, error) { return nil, nil })
	if err != nil || v.Dropped["s"] != 1 {
		t.Errorf("generations of dropped streams: %v, %v", v.Dropped, err)
	}
}

func errOf(c *hive.Committer, err error) *hive.Committer {
	if err != nil {
		panic(err)
	}
	return c
}

// TestCommitter_Sweep discards what nobody decided, and nothing else.
func TestCommitter_Sweep(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	c := define(t, l, definition("s"))
	decided := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 1})
	loose := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2})
	foreign := stageFile(t, store, hive.FileName{Stream: "other", Generation: 1, Epoch: 2})
	mustUpdate(t, c, epochChange("s", 1, decided))
	if err := c.Sweep(t.Context(), func(name string) bool {
		n, ok := hive.ParseFileName(name)
		return ok && n.Stream == "s"
	}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[*catalog.NewFile]bool{&decided: true, &loose: false, &foreign: true} {
		if _, err := os.Stat(filepath.Join(dir, file.Upload.ID)); (err == nil) != want {
			t.Errorf("%s is there: %v", file.Upload.Key, err == nil)
		}
	}
	if err := c.Settle(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLake_DropTable(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	c := define(t, l, definition("s"))
	file := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 1})
	mustUpdate(t, c, epochChange("s", 1, file))
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2})
	zombie, _ := openLake(t, dir, nil)
	z := errOf(zombie.Committer(t.Context(), "t", "s"))
	if _, err := z.Update(t.Context(), true, func(catalog.Version) (*catalog.Change, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if err := l.DropTable(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if names, err := l.Tables(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("tables %v, %v", names, err)
	}
	if _, err := l.Table(t.Context(), "t"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("the dropped table: %v", err)
	}
	if err := l.DropTable(t.Context(), "t"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("dropped again: %v", err)
	}
	left := 0
	if err := filepath.WalkDir(filepath.Join(dir, "t"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if left != 1 {
		t.Errorf("%d files are left, want the log's last entry", left)
	}
	if err := update(z, epochChange("s", 2)); !hive.IsConflict(err) {
		t.Errorf("the zombie's commit: %v", err)
	}
	if err := update(z, epochChange("s", 2)); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("the zombie's second commit: %v", err)
	}
	again := define(t, l, definition("s"))
	v, err := again.Update(t.Context(), true, func(catalog.Version) (*catalog.Change, error) { return nil, nil })
	if err != nil || len(v.Properties) > 0 || v.Dropped["s"] != 1 || v.SnapshotID != 4 {
		t.Errorf("the new table: %+v, %v", v, err)
	}
}

// TestLake_DropTableDiesOnTheWay crashes DROP TABLE at each call; whoever makes
// the table anew begins with an empty one.
func TestLake_DropTableDiesOnTheWay(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		l, store := openLake(t, dir, nil)
		c := define(t, l, definition("s"))
		mustUpdate(t, c, epochChange("s", 1, stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 1})))
		if err := c.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		dying, faulty := openLake(t, dir, faultstore.CrashAt(n, n%2 == 1))
		err := dying.DropTable(t.Context(), "t")
		if !faulty.Dead() {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		after, _ := openLake(t, dir, nil)
		tbl, err := after.Table(t.Context(), "t")
		if err == nil {
			// It was not dropped: all of it is there.
			if files, err := tbl.Plan(t.Context(), nil); err != nil || len(files) != 1 {
				t.Errorf("crash at call %d: %d files, %v", n, len(files), err)
			}
			continue
		}
		if !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			t.Fatal(err)
		}
		define(t, after, definition("s"))
		if tbl, err = after.Table(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		if files, err := tbl.Plan(t.Context(), nil); err != nil || len(files) != 0 {
			t.Errorf("crash at call %d: the new table has %d files, %v", n, len(files), err)
		}
	}
}

func TestLake_DefineRefuses(t *testing.T) {
	dir := t.TempDir()
	l, _ := openLake(t, dir, nil)
	mustUpdate(t, define(t, l, definition("s")), epochChange("s", 1))
	f := func(want string, change func(*catalog.Definition)) {
		t.Helper()
		d := definition("s2")
		change(&d)
		_, err := l.Define(t.Context(), d)
		if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.User || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	f("is new", func(d *catalog.Definition) {
		d.Schema = append(slices.Clone(d.Schema), types.Column{Name: "x", Type: types.TypeInt64})
	})
	f("not in the stream", func(d *catalog.Definition) {
		d.Schema = types.Schema{{Name: "y", Type: types.TypeInt64}, d.Schema[1]}
		d.Stream = "s"
		d.Writers = definition("s").Writers
	})
	f("BIGINT in the table", func(d *catalog.Definition) {
		d.Schema = types.Schema{{Name: "id", Type: types.TypeText}, d.Schema[1]}
	})
	f("is partitioned by (k)", func(d *catalog.Definition) { d.Partition = nil })
	f("are parquet", func(d *catalog.Definition) { d.Format = "json" })
	f("transform of Iceberg", func(d *catalog.Definition) { d.Partition[0].Transform = "bucket[4]" })
	f("folder's name", func(d *catalog.Definition) { d.Name = "_leat" })
	f("folder's name", func(d *catalog.Definition) { d.Name = "../x" })
	f("folder's name", func(d *catalog.Definition) {
		d.Schema = types.Schema{d.Schema[0], {Name: "k", Type: types.TypeBlob}}
	})
	f("no columns", func(d *catalog.Definition) { d.Schema = d.Schema[1:]; d.Partition[0].Column = 0 })
	if err := os.MkdirAll(filepath.Join(dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old/x.parquet"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	// What other programs leave beside their files may be listed before these.
	for i := range 150 {
		if err := os.WriteFile(filepath.Join(dir, "old", fmt.Sprintf("part-%03d.tmp", i)), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f("of which there is no log", func(d *catalog.Definition) { d.Name = "old" })
	adopted := definition("s2")
	adopted.Name, adopted.Adopt = "old", true
	if _, err := l.Define(t.Context(), adopted); err != nil {
		t.Errorf("adopt: %v", err)
	}
	if _, err := l.Table(t.Context(), "nope"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		t.Errorf("an unknown table: %v", err)
	}
}

// TestTable_NewerFilesAreLeftOut plans an old version of a table while a commit
// is under way.
// Whoever looked for the log before another one made the table, and for files
// after it, took these for files without a log.
func TestLake_DefineMeetsAnother(t *testing.T) {
	dir := t.TempDir()
	other, store := openLake(t, dir, nil)
	made := false
	l, _ := openLake(t, dir, func(c faultstore.Call) faultstore.Fault {
		if c.Op == faultstore.List && c.Key == "t/" && !made {
			made = true
			target := define(t, other, definition("b"))
			mustUpdate(t, target, epochChange("b", 1, stageFile(t, store, hive.FileName{Stream: "b", Generation: 1, Epoch: 1, N: 1})))
			if err := target.Settle(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return faultstore.Pass
	})
	define(t, l, definition("a"))
	if !made {
		t.Error("the folder was not looked at")
	}
}

func TestTable_NewerFilesAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	c := define(t, l, definition("s"))
	add := func(epoch int, settle bool) catalog.NewFile {
		f := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: int64(epoch)})
		mustUpdate(t, c, epochChange("s", epoch, f))
		if settle {
			if err := c.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	count := func(tbl catalog.Table, want int) {
		t.Helper()
		if files, err := tbl.Plan(t.Context(), nil); err != nil || len(files) != want {
			t.Errorf("%d files, %v, want %d", len(files), err, want)
		}
	}
	table := func(l *hive.Lake) catalog.Table {
		tbl, err := l.Table(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		return tbl
	}
	add(1, true)
	old := table(l)
	count(old, 1)
	a := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2, N: 1})
	b := stageFile(t, store, hive.FileName{Stream: "s", Generation: 1, Epoch: 2, N: 2})
	mustUpdate(t, c, epochChange("s", 2, a, b))
	if _, err := store.Complete(t.Context(), *a.Upload); err != nil {
		t.Fatal(err)
	}
	other, _ := openLake(t, dir, nil)
	half := table(other)
	count(half, 1)
	commits, err := half.Commits(t.Context())
	if err != nil || !commits[0].CompletedAt.IsZero() || commits[1].CompletedAt.IsZero() {
		t.Errorf("%+v, %v", commits, err)
	}
	if _, err := store.Complete(t.Context(), *b.Upload); err != nil {
		t.Fatal(err)
	}
	count(half, 3)
	count(old, 1)
	if commits, err = table(other).Commits(t.Context()); err != nil || commits[0].CompletedAt.IsZero() {
		t.Errorf("%+v, %v", commits, err)
	}
	infos, err := table(other).Partitions(t.Context())
	if err != nil || len(infos) != 1 || infos[0].Files != 3 || infos[0].Rows != 9 {
		t.Errorf("partitions %+v, %v", infos, err)
	}
}

func TestTable_Prune(t *testing.T) {
	dir := t.TempDir()
	l, store := openLake(t, dir, nil)
	d := definition("s")
	d.Schema[1].Type = types.TypeDate
	define(t, l, d)
	for _, day := range []string{"1969-12-31", "2026-07-01", "2026-07-02", hive.DefaultPartition} {
		if _, err := store.Put(t.Context(), "t/k="+day+"/foreign.parquet", []byte("x"), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"t/_temporary/x.parquet", "t/k=2026-07-01/_x.parquet", "t/k=2026-07-01/.x.parquet", "t/k=2026-07-01/_SUCCESS", "t/loose.parquet"} {
		if _, err := store.Put(t.Context(), name, []byte("x"), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	tbl, err := l.Table(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	f := func(want int, op catalog.Op, values ...any) {
		t.Helper()
		files, err := tbl.Plan(t.Context(), []catalog.Predicate{{Column: 1, Op: op, Values: values}})
		if err != nil || len(files) != want {
			t.Errorf("op %d %v: %d files, %v, want %d", op, values, len(files), err, want)
		}
	}
	const july1 = int64(20635)
	f(1, catalog.OpEqual, july1)
	f(2, catalog.OpNotEqual, july1)
	f(1, catalog.OpLess, july1)
	f(2, catalog.OpLessEqual, july1)
	f(1, catalog.OpGreater, july1)
	f(2, catalog.OpGreaterEqual, july1)
	f(2, catalog.OpIn, july1, nil, july1+1)
	f(0, catalog.OpIn, nil)
	f(0, catalog.OpEqual, nil)
	f(1, catalog.OpEqual, int64(-1))
	f(1, catalog.OpIsNull)
	f(3, catalog.OpIsNotNull)
	f(3, catalog.OpEqual, "what is not of the kind is not pruned by")
	if _, err := store.Put(t.Context(), "t/k=nonsense/x.parquet", []byte("x"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tbl.Plan(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a partition that is no date: %v", err)
	}
}

func TestLog_NewerVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, _ := openLake(t, dir, nil)
	define(t, l, definition("s"))
	name := filepath.Join(dir, "t/_leat/log", fmt.Sprintf("%020d", 2))
	for text, want := range map[string]sqlerror.Code{
		`{"v":2,"n":2}`: sqlerror.CodeUnsupported, `{"v":1,"n":3,"nonce":"x"}`: sqlerror.CodeConflict, `{`: sqlerror.CodeConflict,
		`{"v":1,"n":2,"nonce":"x","files":[{"key":"../x","id":"y"}]}`: sqlerror.CodeConflict,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Table(t.Context(), "t"); !sqlerror.HasCode(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if errors.Is(os.Remove(name), os.ErrNotExist) {
		t.Fatal("no entry")
	}
}
