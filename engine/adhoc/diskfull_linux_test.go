package adhoc_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A query that finds no room to spill to says so, and the next one finds the room that
// was made since.
func TestQuery_DiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=400m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a file system: %v", err)
		}
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	e, err := adhoc.Open(adhoc.Config{MemoryBytes: 48 << 20, Threads: 2, TempDir: filepath.Join(dir, "tmp")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for chunk := make([]byte, 1<<20); err == nil; _, err = ballast.Write(chunk) {
	}
	p, tab := &plans{}, numbers(t, 3000)
	pairs := &logical.Join{Kind: logical.JoinCross, Left: p.scan(tab), Right: p.scan(tab)}
	sorted := &logical.Sort{Input: pairs, Keys: []logical.SortKey{desc(ref(pairs.Right, "id")), asc(ref(pairs.Left, "id"))}}
	count := func() (n int64, err error) {
		r, err := e.Query(t.Context(), sorted, adhoc.Session{})
		if err != nil {
			return 0, err
		}
		defer r.Release()
		for r.Next() {
			n += r.RecordBatch().NumRows()
		}
		return n, r.Err()
	}
	for range 2 {
		n, err := count()
		if se := sqlerror.As(err); se == nil || se.Code != sqlerror.CodeResources || !strings.Contains(se.Hint, "free space") || strings.Contains(err.Error(), "PRAGMA") {
			t.Errorf("the disk is full: %d rows, %v", n, err)
		}
	}
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if n, err := count(); err != nil || n != 9_000_000 {
		t.Errorf("there is room: %d rows, %v", n, err)
	}
}
