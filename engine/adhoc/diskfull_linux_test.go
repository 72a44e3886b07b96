package adhoc_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/internal/tmpfstest"
)

// A query that finds no room to spill to says so, and the next one finds the room that
// was made since.
func TestQuery_DiskFull(t *testing.T) {
	dir := t.TempDir()
	tmpfstest.Mount(t, dir, "400m")
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
	sorted := spilling(t)
	for range 2 {
		checkNoRoom(t, e, sorted)
	}
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if n, err := countRows(t, e, sorted); err != nil || n != spillingRows {
		t.Errorf("there is room: %d rows, %v", n, err)
	}
}
