package iceberg

import (
	"bytes"
	"fmt"
	"testing"
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
