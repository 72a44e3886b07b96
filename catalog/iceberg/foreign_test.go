package iceberg_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icebergo "github.com/apache/iceberg-go"
	icebergcatalog "github.com/apache/iceberg-go/catalog"
	sqlcatalog "github.com/apache/iceberg-go/catalog/sql"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/sqlerror"
)

// foreign is the catalog as another program opens it, without a lake of ours.
func foreign(t *testing.T, dir string) *sqlcatalog.Catalog {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "iceberg.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c, err := sqlcatalog.NewCatalog("leat", db, sqlcatalog.SQLite, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestForeignTable reads a table that another program made, with nested types
// and row-level deletes.
func TestForeignTable(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	l := openLake(t, dir, nil)
	if err := l.Check(ctx); err != nil {
		t.Fatal(err)
	}
	schema := icebergo.NewSchema(0,
		icebergo.NestedField{ID: 1, Name: "a", Type: icebergo.PrimitiveTypes.Int32, Required: true},
		icebergo.NestedField{ID: 2, Name: "id", Type: icebergo.PrimitiveTypes.UUID},
		icebergo.NestedField{ID: 3, Name: "tags", Type: &icebergo.ListType{ElementID: 4, Element: icebergo.PrimitiveTypes.String}},
		icebergo.NestedField{ID: 5, Name: "fixed", Type: icebergo.FixedTypeOf(4)},
	)
	other := foreign(t, dir)
	tbl, err := other.CreateTable(ctx, table.Identifier{"lake", "theirs"}, schema,
		icebergcatalog.WithLocation("file://"+filepath.Join(dir, "elsewhere")), icebergcatalog.WithProperties(icebergo.Properties{
			"format-version": "2", table.WriteDeleteModeKey: table.WriteModeMergeOnRead,
		}))
	if err != nil {
		t.Fatal(err)
	}
	as, err := table.SchemaToArrowSchema(schema, nil, true, false)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, as)
	for i := range int32(3) {
		b.Field(0).(*array.Int32Builder).Append(i)
		for column := 1; column < 4; column++ {
			b.Field(column).AppendNull()
		}
	}
	batch := b.NewRecordBatch()
	tbl, err = tbl.AppendTable(ctx, array.NewTableFromRecords(as, []arrow.RecordBatch{batch}), 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(deletes bool) {
		t.Helper()
		got := loadTable(t, l, "theirs")
		files, err := got.Plan(ctx, []catalog.Predicate{{Column: 0, Op: catalog.OpEqual, Values: []any{int64(1)}}})
		if err != nil || len(files) != 1 || files[0].Deletes != deletes || files[0].Rows != 3 {
			t.Errorf("Plan = %+v, %v, want deletes %v", files, err, deletes)
			return
		}
		f, err := got.Open(ctx, files[0].Path)
		if err != nil || f.Size() != files[0].Bytes {
			t.Fatalf("Open: %v", err)
		}
		f.Close()
	}
	check(false)
	var want []string
	for _, c := range loadTable(t, l, "theirs").Schema() {
		want = append(want, c.Name+" "+c.Type.String())
	}
	if len(want) != 4 || want[0] != "a INT" || want[1] != "id CHAR(36)" || want[2] != "tags JSON" || want[3] != "fixed BINARY(4)" {
		t.Errorf("schema %q", want)
	}
	if _, err := tbl.Delete(ctx, icebergo.EqualTo(icebergo.Reference("a"), int32(2)), nil); err != nil {
		t.Fatal(err)
	}
	check(true)
	reader, err := loadTable(t, l, "theirs").(interface {
		ScanArrow(ctx context.Context, columns []int) (array.RecordReader, error)
	}).ScanArrow(ctx, []int{2, 0})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	var left []int32
	for reader.Next() {
		left = append(left, reader.RecordBatch().Column(1).(*array.Int32).Int32Values()...)
	}
	if err := reader.Err(); err != nil || !slices.Equal(left, []int32{0, 1}) {
		t.Errorf("rows that are left: %v, %v", left, err)
	}
	// It does not lie in the lake's folder, so nothing of ours writes to it.
	if _, err := l.Define(ctx, definition("theirs")); code(err) != sqlerror.CodeConflict {
		t.Errorf("Define over a table elsewhere: %v", err)
	}
}

// TestForeignWriter lets another program append to a table of ours and remove
// data files between our commits and expiries.
func TestForeignWriter(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	l := openLake(t, dir, nil)
	target := define(t, l, definition("t"))
	other := foreign(t, dir)
	rows := 0
	for i := range 130 {
		if _, err := commit(target.Committer, add(1, map[string]string{"leat.stream.s": "x"})); err != nil {
			t.Fatal(err)
		}
		rows += 10
		if i%40 == 20 {
			tbl, err := other.LoadTable(ctx, table.Identifier{"lake", "t"})
			if err != nil {
				t.Fatal(err)
			}
			tx := tbl.NewTransaction()
			var paths []icebergo.DataFile
			tasks, err := tbl.Scan().PlanFiles(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range tasks[:5] {
				paths = append(paths, task.File)
				rows -= int(task.File.Count())
			}
			if err := tx.ReplaceDataFilesWithDataFiles(ctx, paths, nil, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			// Our next commit is built on an old version and has to notice.
			if _, err := commit(target.Committer, add(1, nil)); err == nil {
				t.Error("a commit on an old version succeeded")
			}
		}
		if i%50 == 49 {
			if err := target.Maintain(ctx, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	infos, err := loadTable(t, openLake(t, dir, nil), "t").Partitions(ctx)
	if err != nil || len(infos) != 1 || infos[0].Rows != int64(rows) {
		t.Errorf("%+v, %v, want %d rows", infos, err, rows)
	}
	if loadTable(t, l, "t").Properties()["leat.stream.s"] != "x" {
		t.Error("the state is gone")
	}
}
