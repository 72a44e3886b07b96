package iceberg_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/objectstore/faultstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// openLake opens a lake in dir, with the catalog beside the tables.
func openLake(t testing.TB, dir string, wrap func(objectstore.Store) objectstore.Store) *iceberg.Lake {
	t.Helper()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		store = wrap(store)
	}
	l, err := iceberg.Open(t.Context(), iceberg.Options{Namespace: "lake", Store: store, CatalogPath: filepath.Join(dir, "iceberg.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func column(name, typ string) types.Column {
	notNull := strings.HasSuffix(typ, " NOT NULL")
	t, err := types.Parse(strings.TrimSuffix(typ, " NOT NULL"))
	if err != nil {
		panic(err)
	}
	return types.Column{Name: name, Type: t, NotNull: notNull}
}

// schema is columns by "name TYPE".
func schema(columns ...string) types.Schema {
	var s types.Schema
	for _, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		s = append(s, column(name, typ))
	}
	return s
}

func define(t testing.TB, l *iceberg.Lake, d iceberg.Definition) *iceberg.Target {
	t.Helper()
	target, err := l.Define(t.Context(), d)
	if err != nil {
		t.Fatalf("Define: %v", err)
	}
	return target
}

func loadTable(t testing.TB, l *iceberg.Lake, name string) catalog.Table {
	t.Helper()
	tbl, err := l.Table(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func code(err error) sqlerror.Code {
	if e := sqlerror.As(err); e != nil {
		return e.Code
	}
	return ""
}

var allTypes = []string{
	"BOOLEAN", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT",
	"TINYINT UNSIGNED", "SMALLINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED",
	"FLOAT", "DOUBLE", "DECIMAL(5,2)", "DECIMAL(38,10)", "CHAR(3)", "VARCHAR(20)", "TEXT", "ENUM('a','b')", "SET('x','y')",
	"BINARY(4)", "VARBINARY(20)", "BLOB", "BIT(3)", "DATE", "TIME", "TIME(3)", "DATETIME", "DATETIME(6)", "TIMESTAMP(3)", "JSON",
}

func TestDefine_DeclaredTypesComeBack(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	var d iceberg.Definition
	d.Name = "t"
	for i, typ := range allTypes {
		d.Schema = append(d.Schema, column(fmt.Sprint("c", i), typ))
		d.Schema[i].NotNull = i%2 == 0
	}
	target := define(t, l, d)
	tbl := loadTable(t, l, "T")
	for i, c := range tbl.Schema() {
		if !c.Type.Equal(d.Schema[i].Type) || c.NotNull != d.Schema[i].NotNull || c.Name != d.Schema[i].Name {
			t.Errorf("column %d is %+v, want %+v", i, c, d.Schema[i])
		}
		if tbl.FieldIDs()[i] != i+1 || target.Columns[i].ID != i+1 {
			t.Errorf("column %d has field id %d", i, tbl.FieldIDs()[i])
		}
	}
	if !strings.HasSuffix(tbl.Location(), "/lake/t") || !strings.HasPrefix(tbl.Location(), "file:///") {
		t.Errorf("location %s", tbl.Location())
	}
	f := func(typ, want string) {
		t.Helper()
		i := slices.Index(allTypes, typ)
		if got := target.Columns[i].Type.String(); got != want {
			t.Errorf("%s is stored as %s, want %s", typ, got, want)
		}
	}
	f("TINYINT", "INT")
	f("INT UNSIGNED", "BIGINT")
	f("BIGINT UNSIGNED", "DECIMAL(20,0)")
	f("JSON", "TEXT")
	f("TIMESTAMP(3)", "TIMESTAMP(6)")
	f("DATETIME", "DATETIME(6)")
	if names, err := l.Tables(t.Context()); err != nil || !slices.Equal(names, []string{"t"}) {
		t.Errorf("Tables = %v, %v", names, err)
	}
	if _, err := l.Table(t.Context(), "none"); code(err) != sqlerror.CodeUnknownObject {
		t.Errorf("missing table: %v", err)
	}
}

func TestDefine_Evolution(t *testing.T) {
	nobody := iceberg.Writers{}
	again := iceberg.Writers{Started: true, Columns: []int{1, 2}}
	further := iceberg.Writers{Others: []string{"first"}}
	base := []string{"id INT NOT NULL", "name VARCHAR(10)"}
	f := func(t *testing.T, w iceberg.Writers, columns []string, want []string, refused string) {
		t.Helper()
		l := openLake(t, t.TempDir(), nil)
		d := iceberg.Definition{Name: "t", Schema: schema(base...), Writers: func(map[string]string) iceberg.Writers { return w }}
		define(t, l, d)
		d.Schema = schema(columns...)
		target, err := l.Define(t.Context(), d)
		if refused != "" {
			e := sqlerror.As(err)
			if e == nil || e.Code != sqlerror.CodeConflict || e.Kind != sqlerror.User || e.Hint == "" || !strings.Contains(err.Error(), refused) {
				t.Errorf("%q over %q: %v, want a conflict with %q", columns, base, err, refused)
			}
			return
		}
		if err != nil {
			t.Errorf("%q over %q: %v", columns, base, err)
			return
		}
		var got []string
		for _, c := range loadTable(t, l, "t").Schema() {
			text := c.Name + " " + c.Type.String()
			if c.NotNull {
				text += " NOT NULL"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q over %q gives %q, want %q", columns, base, got, want)
		}
		for i, c := range d.Schema {
			if !strings.EqualFold(target.Columns[i].Name, c.Name) {
				t.Errorf("target column %d is %s, want %s", i, target.Columns[i].Name, c.Name)
			}
		}
	}
	for name, w := range map[string]iceberg.Writers{"same stream": again, "no stream": nobody} {
		t.Run(name, func(t *testing.T) {
			f(t, w, base, base, "")
			f(t, w, []string{"NAME VARCHAR(10)", "ID INT NOT NULL"}, base, "")
			f(t, w, append(base, "at DATETIME(3)", "big BIGINT UNSIGNED NOT NULL"), append(base, "at DATETIME(3)", "big BIGINT UNSIGNED"), "")
			f(t, w, []string{"id BIGINT NOT NULL", "name TEXT"}, []string{"id BIGINT NOT NULL", "name TEXT"}, "")
			f(t, w, []string{"id INT", "name VARCHAR(10)"}, []string{"id INT", "name VARCHAR(10)"}, "")
			f(t, w, []string{"id SMALLINT", "name CHAR(2)"}, []string{"id INT", "name VARCHAR(10)"}, "")
			f(t, w, []string{"id INT", "name INT"}, nil, "column name")
			f(t, w, []string{"id DOUBLE", "name TEXT"}, nil, "column id")
			f(t, w, []string{"id INT UNSIGNED", "name TEXT"}, nil, "column id")
			f(t, w, []string{"id INT"}, nil, "column name")
		})
	}
	t.Run("further stream", func(t *testing.T) {
		f(t, further, base, base, "")
		f(t, further, append(base, "more INT"), nil, "column more is new")
		f(t, further, []string{"id BIGINT", "name VARCHAR(10)"}, nil, "column id is INT in the table and BIGINT in the stream")
		f(t, further, []string{"id INT", "name TEXT"}, nil, "column name")
		f(t, further, []string{"id INT"}, nil, "column name")
	})
	t.Run("column of another stream", func(t *testing.T) {
		l := openLake(t, t.TempDir(), nil)
		w := iceberg.Writers{Started: true, Columns: []int{1}}
		d := iceberg.Definition{Name: "t", Schema: schema("a INT", "b INT"), Writers: func(map[string]string) iceberg.Writers { return w }}
		define(t, l, d)
		d.Schema = schema("a INT")
		if target := define(t, l, d); len(target.Columns) != 1 || target.Columns[0].ID != 1 {
			t.Errorf("columns %+v", target.Columns)
		}
	})
}

func TestDefine_Refuses(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	f := func(want string, d iceberg.Definition) {
		t.Helper()
		_, err := l.Define(t.Context(), d)
		if err == nil || !strings.Contains(err.Error(), want) || sqlerror.As(err) == nil || sqlerror.As(err).Kind != sqlerror.User {
			t.Errorf("Define(%+v) = %v, want a user error with %q", d, err, want)
		}
	}
	one := schema("a INT", "b DOUBLE", "ts DATETIME")
	f("no columns", iceberg.Definition{Name: "t"})
	f("folder", iceberg.Definition{Name: "../t", Schema: one})
	f("folder", iceberg.Definition{Name: "a/b", Schema: one})
	f("folder", iceberg.Definition{Name: "..", Schema: one})
	f("two columns", iceberg.Definition{Name: "t", Schema: schema("a INT", "A INT")})
	f("no name", iceberg.Definition{Name: "t", Schema: types.Schema{{Type: types.TypeInt64}}})
	f("NULL", iceberg.Definition{Name: "t", Schema: types.Schema{{Name: "x", Type: types.TypeNull}}})
	f("partition field x", iceberg.Definition{Name: "t", Schema: one, Partition: []iceberg.PartitionField{{Name: "x", Column: 0, Transform: "cube"}}})
	f("cannot be applied", iceberg.Definition{Name: "t", Schema: one, Partition: []iceberg.PartitionField{{Name: "x", Column: 0, Transform: "hour"}}})
	f("another column", iceberg.Definition{Name: "t", Schema: one, Partition: []iceberg.PartitionField{{Name: "a", Column: 2, Transform: "day"}}})
	d := iceberg.Definition{Name: "t", Schema: one, Partition: []iceberg.PartitionField{{Name: "a", Column: 0, Transform: "identity"}, {Name: "day", Column: 2, Transform: "day"}}}
	define(t, l, d)
	define(t, l, d)
	d.Partition = d.Partition[:1]
	f("partitioned by (a, day(ts))", d)
	d.Partition = nil
	f("the stream by nothing", d)
}

func TestDefine_UnknownMetadata(t *testing.T) {
	dir := t.TempDir()
	l := openLake(t, dir, nil)
	target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	if _, err := target.Update(t.Context(), true, func(iceberg.Version) (*iceberg.Change, error) {
		return &iceberg.Change{Set: map[string]string{"leat.x": "1"}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	// Another catalog over the same folder.
	other, err := iceberg.Open(t.Context(), iceberg.Options{Namespace: "lake", Store: store, CatalogPath: filepath.Join(dir, "sub", "other.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	d := iceberg.Definition{Name: "t", Schema: schema("a INT")}
	if _, err := other.Define(t.Context(), d); code(err) != sqlerror.CodeConflict || !strings.Contains(err.Error(), "adopt") {
		t.Errorf("Define over unknown metadata: %v", err)
	}
	d.Adopt = true
	define(t, other, d)
	if got := loadTable(t, other, "t").Properties()["leat.x"]; got != "1" {
		t.Errorf("the adopted table has leat.x = %q, so it is not the newest", got)
	}
}

func TestDefine_TableElsewhere(t *testing.T) {
	dir := t.TempDir()
	l := openLake(t, dir, nil)
	d := iceberg.Definition{Name: "t", Schema: schema("a INT")}
	define(t, l, d)
	store, err := objectstore.OpenLocal(filepath.Join(dir, "moved"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := iceberg.Open(t.Context(), iceberg.Options{Namespace: "lake", Store: store, CatalogPath: filepath.Join(dir, "iceberg.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Define(t.Context(), d); code(err) != sqlerror.CodeConflict {
		t.Errorf("Define of a table that lies elsewhere: %v", err)
	}
	loadTable(t, other, "t") // reading is fine
	if err := other.DropTable(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "lake", "t", "metadata", "*")); len(files) == 0 {
		t.Error("dropping a table that lies elsewhere deleted its files")
	}
}

func TestDropTable(t *testing.T) {
	dir := t.TempDir()
	l := openLake(t, dir, nil)
	define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	define(t, l, iceberg.Definition{Name: "t2", Schema: schema("a INT")})
	if err := l.DropTable(t.Context(), "T"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Table(t.Context(), "t"); code(err) != sqlerror.CodeUnknownObject {
		t.Errorf("dropped table: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "lake", "*")); len(files) != 1 || !strings.HasSuffix(files[0], "/t2") {
		t.Errorf("files left: %v", files)
	}
	if err := l.DropTable(t.Context(), "t"); code(err) != sqlerror.CodeUnknownObject {
		t.Errorf("drop again: %v", err)
	}
	define(t, l, iceberg.Definition{Name: "t", Schema: schema("b TEXT")})
}

var written atomic.Int64

// add is a change with files that nobody wrote.
func add(n int, set map[string]string) *iceberg.Change {
	c := &iceberg.Change{Set: set, Summary: map[string]string{iceberg.SummaryStream: "s", iceberg.SummaryEpoch: fmt.Sprint(n)}}
	for range n {
		c.Files = append(c.Files, iceberg.DataFile{Path: fmt.Sprintf("file:///x/%d.parquet", written.Add(1)), Rows: 10, Bytes: 100})
	}
	return c
}

// commit commits a change whatever the table holds.
func commit(c *iceberg.Committer, change *iceberg.Change) (iceberg.Version, error) {
	return c.Update(context.Background(), false, func(iceberg.Version) (*iceberg.Change, error) { return change, nil })
}

// definition is a table with one column.
func definition(name string) iceberg.Definition {
	return iceberg.Definition{Name: name, Schema: schema("a INT")}
}

func TestUpdate_CommitsAll(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	ctx := t.Context()
	version := loadTable(t, l, "t").Version()
	for i, n := range []int{0, 2, 0, 1} {
		v, err := target.Update(ctx, false, func(v iceberg.Version) (*iceberg.Change, error) {
			if want := fmt.Sprint(i - 1); i > 0 && v.Properties["leat.stream.s"] != want {
				t.Errorf("commit %d sees state %q, want %q", i, v.Properties["leat.stream.s"], want)
			}
			return add(n, map[string]string{"leat.stream.s": fmt.Sprint(i)}), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if v.Properties["leat.stream.s"] != fmt.Sprint(i) || v.SnapshotID == 0 {
			t.Errorf("after commit %d: %+v", i, v)
		}
		tbl := loadTable(t, l, "t")
		if tbl.Version() == version {
			t.Errorf("commit %d did not change the version", i)
		}
		version = tbl.Version()
	}
	files, err := loadTable(t, l, "t").Plan(ctx, nil)
	if err != nil || len(files) != 3 {
		t.Errorf("Plan = %v, %v", files, err)
	}
	commits, err := loadTable(t, l, "t").Commits(ctx)
	if err != nil || len(commits) != 4 || commits[0].Epoch != 1 || commits[3].Epoch != 0 || commits[0].CompletedAt.IsZero() {
		t.Errorf("Commits = %+v, %v", commits, err)
	}
	if _, err := target.Update(ctx, false, func(iceberg.Version) (*iceberg.Change, error) {
		return &iceberg.Change{Remove: []string{"leat.stream.s"}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, ok := loadTable(t, l, "t").Properties()["leat.stream.s"]; ok {
		t.Error("the property is still there")
	}
	failed := errors.New("no")
	if _, err := target.Update(ctx, false, func(iceberg.Version) (*iceberg.Change, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("Update = %v", err)
	}
}

// TestUpdate_PinnedToWhatItSaw lets another process commit between a decision
// and its commit.
func TestUpdate_PinnedToWhatItSaw(t *testing.T) {
	f := func(name string, meanwhile iceberg.Change, left int) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := openLake(t, dir, nil), openLake(t, dir, nil)
			target := define(t, a, iceberg.Definition{Name: "t", Schema: schema("a INT")})
			ctx := t.Context()
			other, err := b.Committer(ctx, "t")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := target.Update(ctx, true, func(iceberg.Version) (*iceberg.Change, error) {
				return add(1, map[string]string{"leat.stream.s": "1"}), nil
			}); err != nil {
				t.Fatal(err)
			}
			decide := func(v iceberg.Version) (*iceberg.Change, error) {
				_, err := other.Update(ctx, true, func(iceberg.Version) (*iceberg.Change, error) { return &meanwhile, nil })
				if err != nil {
					t.Fatal(err)
				}
				return add(2, map[string]string{"leat.stream.s": "2"}), nil
			}
			_, err = target.Update(ctx, false, decide)
			if !iceberg.IsConflict(err) {
				t.Fatalf("a commit on an old version: %v", err)
			}
			tbl := loadTable(t, a, "t")
			if files, err := tbl.Plan(ctx, nil); err != nil || len(files) != 1+len(meanwhile.Files) {
				t.Errorf("the table has %d files, %v", len(files), err)
			}
			// The next attempt sees what happened and goes on.
			seen := ""
			v, err := target.Update(ctx, false, func(v iceberg.Version) (*iceberg.Change, error) {
				seen = v.Properties["leat.stream.o"]
				return add(2, map[string]string{"leat.stream.s": "2"}), nil
			})
			if err != nil || v.Properties["leat.stream.s"] != "2" || seen != meanwhile.Set["leat.stream.o"] {
				t.Errorf("second attempt: %v, %v, saw %q", v.Properties, err, seen)
			}
			// Nothing of the failed attempt is left.
			if names, _ := filepath.Glob(filepath.Join(dir, "lake/t/metadata/*.avro")); len(names) != left {
				t.Errorf("%d manifests and lists are left, want %d: %v", len(names), left, names)
			}
		})
	}
	f("files", *add(3, map[string]string{"leat.stream.o": "1"}), 3+3)
	f("nothing but a snapshot", iceberg.Change{}, 3+2)
}

// slowStore does something before it reads a metadata file, once.
type slowStore struct {
	objectstore.Store
	before func()
}

func (s *slowStore) Get(ctx context.Context, key string) ([]byte, error) {
	if f := s.before; f != nil && strings.HasSuffix(key, ".metadata.json") {
		s.before = nil
		f()
	}
	return s.Store.Get(ctx, key)
}

// Who was paused between asking the catalog and reading the metadata that it
// named finds the file deleted, and the table at another one.
func TestLoad_MetadataDeletedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	other := define(t, openLake(t, dir, nil), definition("t"))
	var slow *slowStore
	l := openLake(t, dir, func(s objectstore.Store) objectstore.Store {
		slow = &slowStore{Store: s}
		return slow
	})
	paused := func() {
		for range 15 {
			if _, err := commit(other.Committer, add(1, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	slow.before = paused
	if infos, err := loadTable(t, l, "t").Partitions(t.Context()); err != nil || len(infos) != 1 || infos[0].Files != 15 {
		t.Errorf("reads %+v, %v", infos, err)
	}
	c, err := l.Committer(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	slow.before = paused
	if _, err := c.Update(t.Context(), true, func(iceberg.Version) (*iceberg.Change, error) { return add(1, nil), nil }); err != nil {
		t.Errorf("a commit: %v", err)
	}
	// A file that is lost is an error, and no endless loop.
	names, err := filepath.Glob(filepath.Join(dir, "lake/t/metadata/*.metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openLake(t, dir, nil).Table(t.Context(), "t"); !errors.Is(err, fs.ErrNotExist) || sqlerror.IsRetryable(err) {
		t.Errorf("a table whose metadata is lost: %v", err)
	}
}

// Who was paused while others committed and expired what it would build on has
// been overtaken: it shall read anew what has become of its stream.
func TestUpdate_HeadExpiredMeanwhile(t *testing.T) {
	dir := t.TempDir()
	other := define(t, openLake(t, dir, nil), definition("t"))
	if _, err := commit(other.Committer, add(1, nil)); err != nil {
		t.Fatal(err)
	}
	zombie, err := openLake(t, dir, nil).Committer(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zombie.Update(t.Context(), true, func(iceberg.Version) (*iceberg.Change, error) {
		for i := range 120 {
			if _, err := commit(other.Committer, add(1, map[string]string{"leat.stream.s": fmt.Sprint(i)})); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.Maintain(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		return add(1, nil), nil
	}); !iceberg.IsConflict(err) {
		t.Errorf("commit on what has expired: %v, want a conflict", err)
	}
	if _, err := zombie.Update(t.Context(), true, func(v iceberg.Version) (*iceberg.Change, error) {
		if got := v.Properties["leat.stream.s"]; got != "119" {
			t.Errorf("then it reads state %q", got)
		}
		return nil, nil
	}); err != nil {
		t.Error(err)
	}
}

func TestUpdate_RaceOfProcesses(t *testing.T) {
	dir := t.TempDir()
	const writers, commits = 4, 8
	define(t, openLake(t, dir, nil), iceberg.Definition{Name: "t", Schema: schema("a INT")})
	done := make(chan error, writers)
	for w := range writers {
		l := openLake(t, dir, nil)
		go func() {
			done <- func() error {
				c, err := l.Committer(context.Background(), "t")
				if err != nil {
					return err
				}
				key := fmt.Sprint("leat.stream.", w)
				for i := 0; i < commits; {
					_, err := c.Update(context.Background(), false, func(v iceberg.Version) (*iceberg.Change, error) {
						if v.Properties[key] == fmt.Sprint(i) {
							return nil, nil // an earlier attempt did it
						}
						return add(1, map[string]string{key: fmt.Sprint(i)}), nil
					})
					if err == nil {
						i++
					} else if !iceberg.IsConflict(err) && code(err) != sqlerror.CodeLocked {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	l := openLake(t, dir, nil)
	tbl := loadTable(t, l, "t")
	total := int64(0)
	infos, err := tbl.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range infos {
		total += p.Rows
	}
	commitsSeen, err := tbl.Commits(t.Context())
	if err != nil || len(commitsSeen) != writers*commits {
		t.Errorf("%d commits, %v, want %d", len(commitsSeen), err, writers*commits)
	}
}

// TestUpdate_UnknownOutcome fails each call of the store after its effect: what
// was committed must be seen as such.
func TestUpdate_UnknownOutcome(t *testing.T) {
	for n := range 12 {
		fail := -1
		var calls int
		l := openLake(t, t.TempDir(), func(s objectstore.Store) objectstore.Store {
			return faultstore.New(s, func(c faultstore.Call) faultstore.Fault {
				calls = c.N + 1
				if c.N == fail {
					return faultstore.FailAfter
				}
				return faultstore.Pass
			})
		})
		target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
		fail = calls + n
		decide := func(v iceberg.Version) (*iceberg.Change, error) {
			if v.Properties["leat.stream.s"] == "1" {
				return nil, nil
			}
			return add(1, map[string]string{"leat.stream.s": "1"}), nil
		}
		v, err := target.Update(t.Context(), false, decide)
		for tries := 0; err != nil && tries < 3; tries++ {
			v, err = target.Update(t.Context(), false, decide)
		}
		if err != nil || v.Properties["leat.stream.s"] != "1" {
			t.Fatalf("fault %d: %v, %v", n, v.Properties, err)
		}
		if files, err := loadTable(t, l, "t").Plan(t.Context(), nil); err != nil || len(files) != 1 {
			t.Errorf("fault %d: %d files, %v", n, len(files), err)
		}
	}
}

func TestUpdate_DroppedTable(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	if err := l.DropTable(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	_, err := target.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) { return add(1, nil), nil })
	if code(err) != sqlerror.CodeUnknownObject || sqlerror.IsRetryable(err) {
		t.Errorf("commit to a dropped table: %v", err)
	}
}

// TestMaintain checks that the metadata stays bounded over many commits and
// loses neither files nor state.
func TestMaintain(t *testing.T) {
	commits := 320
	if testing.Short() {
		commits = 160
	}
	dir := t.TempDir()
	l := openLake(t, dir, nil)
	target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	most := 0
	for i := range commits {
		if _, err := target.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) {
			return add(1, map[string]string{"leat.stream.s": fmt.Sprint(i)}), nil
		}); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 {
			if err := target.Maintain(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		names, _ := filepath.Glob(filepath.Join(dir, "lake/t/metadata/*"))
		most = max(most, len(names))
	}
	tbl := loadTable(t, l, "t")
	files, err := tbl.Plan(t.Context(), nil)
	paths := map[string]bool{}
	for _, f := range files {
		paths[f.Path] = true
	}
	if err != nil || len(paths) != commits {
		t.Errorf("%d files of %d commits, %v", len(paths), commits, err)
	}
	if got := tbl.Properties()["leat.stream.s"]; got != fmt.Sprint(commits-1) {
		t.Errorf("state %q", got)
	}
	seen, err := tbl.Commits(t.Context())
	if err != nil || len(seen) < 90 || len(seen) > 160 {
		t.Errorf("%d commits are remembered, %v", len(seen), err)
	}
	// 150 snapshots with a list and a manifest each, the metadata log, and some
	// merged manifests.
	if most > 2*152+20 {
		t.Errorf("the metadata folder grew to %d files", most)
	}
	// Old snapshots are still readable down to the oldest kept.
	if _, err := tbl.Partitions(t.Context()); err != nil {
		t.Error(err)
	}
	// A reader without any cache finds every manifest.
	fresh := loadTable(t, openLake(t, dir, nil), "t")
	if files, err := fresh.Plan(t.Context(), nil); err != nil || len(files) != commits {
		t.Errorf("a new reader finds %d files, %v", len(files), err)
	}
}

func TestCommits_Pending(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	letters := define(t, l, iceberg.Definition{Name: iceberg.DeadLetterTable, Schema: schema("raw BLOB")})
	commit := func(c *iceberg.Committer, summary map[string]string) {
		t.Helper()
		if _, err := c.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) {
			return &iceberg.Change{Summary: summary}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	epoch := func(n int) map[string]string {
		return map[string]string{iceberg.SummaryStream: "s", iceberg.SummaryEpoch: fmt.Sprint(n), iceberg.SummaryPending: "2"}
	}
	f := func(want ...bool) {
		t.Helper()
		commits, err := loadTable(t, l, "t").Commits(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, c := range commits {
			got = append(got, !c.CompletedAt.IsZero())
		}
		if !slices.Equal(got, want) {
			t.Errorf("completed, newest first: %v, want %v", got, want)
		}
	}
	commit(target.Committer, epoch(1))
	f(false)
	commit(letters.Committer, map[string]string{iceberg.SummaryCompletes: catalog.Completes("t", "s", 1)})
	f(true)
	commit(target.Committer, epoch(2))
	f(false, true)
	commit(target.Committer, epoch(3))
	f(false, true, true)
}

func TestCatalogPath(t *testing.T) {
	f := func(uri, want string) {
		t.Helper()
		got, err := iceberg.CatalogPath(uri, "/data")
		if want == "" && err == nil || want != "" && (err != nil || got != want) {
			t.Errorf("CatalogPath(%q) = %q, %v, want %q", uri, got, err, want)
		}
	}
	f("iceberg.db", "/data/iceberg.db")
	f("/a/b.db", "/a/b.db")
	f("sqlite:////a/b.db", "/a/b.db")
	f("sqlite:///b.db", "/data/b.db")
	f("file:///a/b.db", "/a/b.db")
	f("http://host/x", "")
	f("sqlite:///", "")
	f("/a/", "")
}

func TestOpen_BadCatalog(t *testing.T) {
	dir := t.TempDir()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "x.db", []byte(strings.Repeat("this is no database ", 100)), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = iceberg.Open(t.Context(), iceberg.Options{Namespace: "lake", Store: store, CatalogPath: filepath.Join(dir, "lake", "x.db")})
	if e := sqlerror.As(err); e == nil || e.Retryable || !strings.Contains(e.Hint, "SQLite") {
		t.Errorf("a catalog that is no database: %v", err)
	}
}

// listHook is called before a store lists.
type listHook struct {
	objectstore.Store
	before func()
}

func (s *listHook) List(ctx context.Context, prefix, startAfter string, limit int) ([]objectstore.Info, bool, error) {
	s.before()
	return s.Store.List(ctx, prefix, startAfter, limit)
}

// TestDefine_MadeByAnotherMeanwhile: two that define a table at once, of which
// one was slow, took the other's table for one that the catalog does not know.
func TestDefine_MadeByAnotherMeanwhile(t *testing.T) {
	dir := t.TempDir()
	other := openLake(t, dir, nil)
	made := false
	l := openLake(t, dir, func(inner objectstore.Store) objectstore.Store {
		return &listHook{inner, func() {
			if made {
				return
			}
			made = true
			target := define(t, other, iceberg.Definition{Name: "t", Schema: schema("a INT")})
			if _, err := target.Update(t.Context(), true, func(iceberg.Version) (*iceberg.Change, error) {
				return &iceberg.Change{Set: map[string]string{"leat.x": "1"}}, nil
			}); err != nil {
				t.Error(err)
			}
		}}
	})
	define(t, l, iceberg.Definition{Name: "t", Schema: schema("a INT")})
	if !made {
		t.Error("nobody has looked for metadata")
	}
}
