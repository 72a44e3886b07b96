package iceberg

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/types"
)

// held is the memory of what the cache holds.
func (c *fileCache) held() (bytes int) {
	for e := c.order.Front(); e != nil; e = e.Next() {
		bytes += cap(e.Value.(*cachedFile).data)
	}
	return bytes
}

// TestFileCache_HoldsWhatItCounts puts in files that were gathered in buffers of
// almost twice their size.
func TestFileCache_HoldsWhatItCounts(t *testing.T) {
	c := newFileCache()
	for i := range 200 {
		b := bytes.NewBuffer(make([]byte, 0, 512<<10))
		b.Write(make([]byte, 260<<10))
		c.put(fmt.Sprintf("f/m%d.avro", i), b.Bytes())
	}
	if held := c.held(); c.bytes > maxCacheBytes || held > maxCacheBytes+maxCacheBytes/8 {
		t.Errorf("holds %d bytes and counts %d, %d are allowed", held, c.bytes, maxCacheBytes)
	}
	if _, ok := c.get("f/m199.avro"); !ok {
		t.Error("the newest file is not held")
	}
}

// TestFileCache_OldMetadata does not keep what a newer version of the table has
// taken the place of, and forgets no other table's.
func TestFileCache_OldMetadata(t *testing.T) {
	c := newFileCache()
	name := func(table string, i int) string { return fmt.Sprintf("%s/metadata/%05d.metadata.json", table, i) }
	c.put(name("other", 1), []byte("1"))
	for i := range 20 {
		c.put(name("t", i), []byte{byte(i)})
		if i == 18 {
			c.remove(name("t", 18)) // of a commit that did not come about
		}
	}
	for i := range 20 {
		if data, ok := c.get(name("t", i)); ok != (i == 17 || i == 19) || ok && data[0] != byte(i) {
			t.Errorf("version %d is held: %v", i, ok)
		}
	}
	if _, ok := c.get(name("other", 1)); !ok || c.bytes != 3 || len(c.byName) != 3 {
		t.Errorf("%d files of %d bytes are held", len(c.byName), c.bytes)
	}
}

// TestFileCache_MergedManifests does not keep manifests that were merged: those
// of a few hundred snapshots hold all files of the table many times.
func TestFileCache_MergedManifests(t *testing.T) {
	l := openInternal(t)
	target, err := l.Define(t.Context(), Definition{Name: "t", Schema: types.Schema{{Name: "a", Type: types.Type{Kind: types.Int32, Name: "INT"}}}})
	if err != nil {
		t.Fatal(err)
	}
	manifests := func() (n int) {
		for name := range l.files.byName {
			if strings.HasSuffix(name, ".avro") && !isManifestList(name) {
				n++
			}
		}
		return n
	}
	for i := range 30 {
		if _, err := target.Update(t.Context(), false, func(Version) (*Change, error) {
			return &Change{Files: []DataFile{{Path: fmt.Sprintf("file:///x/%d.parquet", i), Rows: 1, Bytes: 100}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if n := manifests(); n < 30 {
		t.Fatalf("%d manifests are held of 30 commits", n)
	}
	if err := target.Maintain(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := manifests(); n == 0 || n > 3 {
		t.Errorf("%d manifests are held after they were merged", n)
	}
}

func openInternal(t *testing.T) *Lake {
	t.Helper()
	dir := t.TempDir()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Options{Namespace: "lake", Store: store, CatalogPath: filepath.Join(dir, "iceberg.db")})
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

// An Avro file that lacks any number of bytes is not taken for a whole one.
func TestCheckWhole(t *testing.T) {
	header := "Obj\x01\x04\x14avro.codec\x08null\x16avro.schema\x0c\"long\"\x00" + strings.Repeat("m", 16)
	file := header + "\x02\x02\x08" + strings.Repeat("m", 16)
	for n := range len(file) + 1 {
		err := checkWhole("a.avro", []byte(file[:n]))
		if want := n == len(header) || n == len(file); (err == nil) != want {
			t.Errorf("%d bytes of a file with a header of %d and %d in all: %v", n, len(header), len(file), err)
		}
	}
	for _, text := range []string{"Obj\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "Obj\x01\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", strings.Repeat("\x00", 100), ""} {
		if checkWhole("a.avro", []byte(text)) == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if checkWhole("0.metadata.json", []byte(`{"a":`)) == nil || checkWhole("0.metadata.json", []byte(`{"a":1}`)) != nil || checkWhole("0.gz.metadata.json", []byte{0x1f}) != nil {
		t.Error("metadata is not judged by whether it is JSON")
	}
}
