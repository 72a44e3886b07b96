package iceberg

import (
	"bytes"
	"container/list"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	icebergio "github.com/apache/iceberg-go/io"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// storeProperty is the catalog property by which the library's I/O registry
// finds the store of a lake. It is not written to tables.
const storeProperty = "leat.store"

// stores are the open lakes' stores by the value of storeProperty.
var stores struct {
	sync.Mutex
	registered bool
	next       int
	byID       map[string]storeEntry
}

type storeEntry struct {
	store objectstore.Store
	files *fileCache
}

// registerStore lets the library find a store. The library's own local I/O
// syncs nothing to disk, so its schemes become ours when the first lake opens.
func registerStore(store objectstore.Store, files *fileCache) (id string, release func()) {
	stores.Lock()
	defer stores.Unlock()
	if !stores.registered {
		stores.registered, stores.byID = true, map[string]storeEntry{}
		for _, scheme := range []string{"", "file", "s3", "s3a", "s3n"} {
			icebergio.Unregister(scheme)
			icebergio.Register(scheme, openFileIO)
		}
	}
	stores.next++
	id = strconv.Itoa(stores.next)
	stores.byID[id] = storeEntry{store, files}
	return id, func() {
		stores.Lock()
		defer stores.Unlock()
		delete(stores.byID, id)
	}
}

// openFileIO is the library's factory. Programs that use iceberg-go beside this
// package get a store by the properties that all Iceberg libraries share.
func openFileIO(ctx context.Context, location *url.URL, props map[string]string) (icebergio.IO, error) {
	stores.Lock()
	entry, ok := stores.byID[props[storeProperty]]
	stores.Unlock()
	if ok {
		return &fileIO{ctx: ctx, store: entry.store, files: entry.files}, nil
	}
	root := "/"
	if location.Host != "" && strings.HasPrefix(location.Scheme, "s3") {
		root = "s3://" + location.Host
	}
	pathStyle, _ := strconv.ParseBool(props["s3.path-style-access"])
	store, err := objectstore.Open(ctx, objectstore.Config{
		URI: root, Endpoint: props["s3.endpoint"], Region: props["s3.region"], PathStyle: pathStyle,
		AccessKeyID: props["s3.access-key-id"], SecretAccessKey: props["s3.secret-access-key"], SessionToken: props["s3.session-token"],
	})
	if err != nil {
		return nil, err
	}
	return &fileIO{ctx: ctx, store: store, files: newFileCache()}, nil
}

// fileIO is the library's view of a store, for metadata and manifests: files
// that are written whole, never changed, and small enough to be held.
type fileIO struct {
	ctx   context.Context
	store objectstore.Store
	files *fileCache
}

func (l *Lake) fileIO(ctx context.Context) (icebergio.IO, error) {
	return &fileIO{ctx: ctx, store: l.opts.Store, files: l.files}, nil
}

// locate finds the store and key of a name, which may lie outside the lake's
// folder when another program put the table there.
func (f *fileIO) locate(name string) (objectstore.Store, string, error) {
	if key, err := f.key(name); err == nil {
		return f.store, key, nil
	}
	folder, base := path.Split(name)
	other, err := f.store.At(strings.TrimSuffix(folder, "/"))
	return other, base, err
}

// key is the key of a name in the lake's folder. The library escapes the names
// that it makes up, as URLs, where the folder's has a space or a letter beyond
// ASCII.
func (f *fileIO) key(name string) (string, error) {
	key, err := f.store.Key(name)
	if err != nil {
		if plain, bad := url.PathUnescape(name); bad == nil && plain != name {
			if key, err := f.store.Key(plain); err == nil {
				return key, nil
			}
		}
	}
	return key, err
}

// Open implements the library's IO.
func (f *fileIO) Open(name string) (icebergio.File, error) {
	data, err := f.read(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &memoryFile{Reader: bytes.NewReader(data), name: name}, nil
}

// ReadFile implements the library's ReadFileIO; the caller owns the bytes.
func (f *fileIO) ReadFile(name string) ([]byte, error) {
	data, err := f.read(name)
	return bytes.Clone(data), err
}

func (f *fileIO) read(name string) ([]byte, error) {
	if data, ok := f.files.get(name); ok {
		return data, nil
	}
	store, key, err := f.locate(name)
	if err != nil {
		return nil, err
	}
	data, err := store.Get(f.ctx, key)
	if err != nil {
		return nil, err
	}
	if err := checkWhole(name, data); err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "the table's file %s is damaged: %w", name, err).Final().
			WithHint("restore it from a copy of the folder; until then the table can be neither read nor written")
	}
	f.files.put(name, data)
	return data, nil
}

// checkWhole finds out whether a metadata file or manifest has been cut off or
// overwritten: the library's errors about one do not say which it was. Files of other
// kinds pass.
func checkWhole(name string, data []byte) error {
	switch {
	case strings.HasSuffix(name, metadataSuffix) && !strings.HasSuffix(name, ".gz"+metadataSuffix):
		if !json.Valid(data) {
			return errors.New("it is not JSON")
		}
	case strings.HasSuffix(name, ".avro"):
		// https://avro.apache.org/docs/1.12.0/specification/#object-container-files: the
		// marker at the end of the header, of 16 bytes, ends every block.
		const magic, marker = "Obj\x01", 16
		header, err := avroHeaderBytes(data)
		if err != nil || !bytes.HasPrefix(data, []byte(magic)) {
			return errors.New("it is no Avro container file")
		}
		if !bytes.HasSuffix(data, data[header-marker:header]) {
			return errors.New("its end is missing")
		}
	}
	return nil
}

// avroHeaderBytes is the length of the header of an Avro container file: four bytes, a
// map of strings to bytes, a marker of 16 bytes.
func avroHeaderBytes(data []byte) (int, error) {
	at := 4
	long := func() int64 {
		if at >= len(data) {
			return -1
		}
		v, n := binary.Varint(data[at:])
		if n <= 0 {
			return -1
		}
		at += n
		return v
	}
	for at < len(data) {
		entries := long()
		if entries == 0 {
			if at += 16; at > len(data) {
				break
			}
			return at, nil
		}
		if entries < 0 { // then the bytes of the block follow
			entries = -entries
			long()
		}
		for range entries * 2 {
			n := long()
			if n < 0 || n > int64(len(data)-at) {
				return 0, io.ErrUnexpectedEOF
			}
			at += int(n)
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// Create implements the library's WriteFileIO: the file exists when the writer
// is closed.
func (f *fileIO) Create(name string) (icebergio.FileWriter, error) {
	key, err := f.key(name)
	if err != nil {
		return nil, err
	}
	return &memoryWriter{io: f, name: name, key: key}, nil
}

// WriteFile implements the library's WriteFileIO.
func (f *fileIO) WriteFile(name string, data []byte) error {
	key, err := f.key(name)
	if err != nil {
		return err
	}
	if _, err := f.store.Put(f.ctx, key, data, objectstore.PutOptions{}); err != nil {
		return err
	}
	f.files.put(name, data)
	return nil
}

// Remove implements the library's IO; what does not exist is no error.
func (f *fileIO) Remove(name string) error {
	_, err := f.DeleteFiles(f.ctx, []string{name})
	return err
}

// DeleteFiles implements the library's BulkRemovableIO. Nothing outside the
// lake's folder is deleted.
func (f *fileIO) DeleteFiles(ctx context.Context, names []string) ([]string, error) {
	keys := make([]string, len(names))
	for i, name := range names {
		key, err := f.key(name)
		if err != nil {
			return nil, err
		}
		keys[i] = key
		f.files.remove(name)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	if err := f.store.Delete(ctx, keys...); err != nil {
		return nil, err
	}
	return names, nil
}

type memoryFile struct {
	*bytes.Reader
	name string
}

func (m *memoryFile) Close() error               { return nil }
func (m *memoryFile) Stat() (fs.FileInfo, error) { return m, nil }
func (m *memoryFile) Name() string               { return path.Base(m.name) }
func (m *memoryFile) Size() int64                { return m.Reader.Size() }
func (m *memoryFile) Mode() fs.FileMode          { return 0o444 }
func (m *memoryFile) ModTime() time.Time         { return time.Time{} }
func (m *memoryFile) IsDir() bool                { return false }
func (m *memoryFile) Sys() any                   { return nil }

type memoryWriter struct {
	bytes.Buffer
	io        *fileIO
	name, key string
	closed    bool
}

func (w *memoryWriter) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	data := w.Bytes()
	if isManifestList(w.name) {
		var err error
		if data, err = mendManifestList(data, w.io); err != nil {
			return err
		}
	}
	return w.io.WriteFile(w.name, data)
}

var _ io.ReaderFrom = (*memoryWriter)(nil)

// fileCache keeps the metadata files and manifests that were read or written
// last. Their names hold random ids, so a name never means another content.
type fileCache struct {
	mu     sync.Mutex
	order  *list.List // of *cachedFile, newest first
	byName map[string]*list.Element
	bytes  int
	// metadata are the last metadata files of each folder: a commit makes one, as
	// long as the table has snapshots, and nobody reads those before it again.
	metadata map[string][]string
}

type cachedFile struct {
	name string
	data []byte
}

const (
	maxCacheBytes      = 32 << 20
	maxCachedFileBytes = 4 << 20
	// maxCachedVersions is how many metadata files of a table are kept: the newest
	// may be of a commit that did not come about.
	maxCachedVersions = 3

	metadataSuffix = ".metadata.json"
)

func newFileCache() *fileCache {
	return &fileCache{order: list.New(), byName: map[string]*list.Element{}, metadata: map[string][]string{}}
}

func (c *fileCache) get(name string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byName[name]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedFile).data, true
}

func (c *fileCache) put(name string, data []byte) {
	isMetadata := strings.HasSuffix(name, metadataSuffix)
	if len(data) > maxCachedFileBytes || !isMetadata && !strings.HasSuffix(name, ".avro") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byName[name]; ok {
		return
	}
	// What it was gathered in may be twice as large.
	c.byName[name] = c.order.PushFront(&cachedFile{name, bytes.Clone(data)})
	c.bytes += len(data)
	if isMetadata {
		c.keepNewest(name)
	}
	for c.bytes > maxCacheBytes {
		c.drop(c.order.Back())
	}
}

// keepNewest drops the metadata files that a newer one has taken the place of.
func (c *fileCache) keepNewest(name string) {
	folder := path.Dir(name)
	versions := append(c.metadata[folder], name)
	if len(versions) > maxCachedVersions {
		if e, ok := c.byName[versions[0]]; ok {
			c.drop(e)
		}
		versions = append(versions[:0], versions[1:]...)
	}
	c.metadata[folder] = versions
}

func (c *fileCache) drop(e *list.Element) {
	f := c.order.Remove(e).(*cachedFile)
	delete(c.byName, f.name)
	c.bytes -= len(f.data)
}

// forget drops the files of a folder of which useless says so.
func (c *fileCache) forget(folder string, useless func(name string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, e := range c.byName {
		if strings.HasPrefix(name, folder) && useless(name) {
			c.drop(e)
		}
	}
}

func (c *fileCache) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byName[name]; ok {
		c.drop(e)
	}
}
