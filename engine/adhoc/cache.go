package adhoc

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	// fetchParallel bounds the requests that are under way at once, over all
	// objects, and fetchBytes each of them: together the memory that fetching
	// takes.
	fetchParallel = 8
	fetchBytes    = 4 << 20
	// cacheWait is how long a query waits for others to give back the space that
	// it needs.
	cacheWait = time.Minute

	tempSuffix = ".fetching"
)

// object is a remote file to be fetched. Files are immutable: the same key and
// size always mean the same content.
type object struct {
	key   string
	path  string // for messages
	bytes int64
	text  bool // it is no Parquet file
	open  func(ctx context.Context) (catalog.File, error)
}

// id is the name of the object in the cache.
func (o object) id() string {
	sum := sha256.Sum256([]byte(o.key + "\n" + strconv.FormatInt(o.bytes, 10)))
	return hex.EncodeToString(sum[:16])
}

// cache keeps copies of remote data files in a folder, the least recently used
// going first when the bytes do not suffice. Each file's name has its object's
// id, its size and the checksum of its content, by which a copy that an earlier
// process left is verified before it is used.
type cache struct {
	dir    string
	limit  int64
	logger connectors.Logger

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	jobs   sync.WaitGroup
	slots  chan struct{} // requests under way
	parts  sync.Pool     // *[]byte of fetchBytes

	mu      sync.Mutex
	entries map[string]*cached
	unused  *list.List // *cached that no query uses, the latest used first
	used    int64      // bytes of all entries, those being fetched included
	changed chan struct{}
}

// cached is an object in the cache. Its fields are guarded by cache.mu, but for
// path and err once ready is closed.
type cached struct {
	object
	id    string
	path  string // of the local file; empty while there is none
	uses  int
	place *list.Element // in unused
	// ready is closed when the object is fetched and verified, or has failed; nil
	// for one that an earlier process left and nobody has asked for.
	ready  chan struct{}
	err    error
	cancel context.CancelFunc // of the fetching
}

// openCache takes over a folder with what an earlier process left in it.
func openCache(dir string, limit int64, logger connectors.Logger) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open object cache: %w", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open object cache: %w", err)
	}
	c := &cache{
		dir: dir, limit: limit, logger: logger, slots: make(chan struct{}, fetchParallel),
		entries: make(map[string]*cached), unused: list.New(), changed: make(chan struct{}),
	}
	c.parts.New = func() any { b := make([]byte, fetchBytes); return &b }
	c.ctx, c.cancel = context.WithCancel(context.Background())

	type found struct {
		*cached
		at time.Time
	}
	var left []found
	for _, n := range names {
		path := filepath.Join(dir, n.Name())
		if strings.HasSuffix(n.Name(), tempSuffix) {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("open object cache: %w", err)
			}
			continue
		}
		id, size, _, ok := parseCacheName(n.Name())
		info, err := n.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if info.Size() != size || c.entries[id] != nil {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("open object cache: %w", err)
			}
			continue
		}
		e := &cached{id: id, path: path, object: object{bytes: size}}
		c.entries[id] = e
		c.used += size
		left = append(left, found{e, info.ModTime()})
	}
	slices.SortFunc(left, func(a, b found) int { return b.at.Compare(a.at) })
	for _, f := range left {
		f.place = c.unused.PushBack(f.cached)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evict(0)
	return c, nil
}

func cacheName(id string, size int64, sum uint32) string {
	return fmt.Sprintf("%s-%d-%08x.parquet", id, size, sum)
}

func parseCacheName(name string) (id string, size int64, sum uint32, ok bool) {
	name, ok = strings.CutSuffix(name, ".parquet")
	parts := strings.Split(name, "-")
	if !ok || len(parts) != 3 || len(parts[0]) != 32 {
		return "", 0, 0, false
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || size < 0 {
		return "", 0, 0, false
	}
	s, err := strconv.ParseUint(parts[2], 16, 32)
	return parts[0], size, uint32(s), err == nil
}

// close ends all fetching. Files stay for the next process.
func (c *cache) close() {
	c.cancel()
	c.jobs.Wait()
}

// acquire makes the objects available as local files, which stay until release
// is called. Either all of them are reserved or none, so that queries cannot
// wait for each other in a circle.
func (c *cache) acquire(ctx context.Context, objects []object) (paths []string, release func(), err error) {
	for i := range objects {
		if err := c.measure(ctx, &objects[i]); err != nil {
			return nil, nil, err
		}
	}
	for {
		entries, err := c.reserve(ctx, objects)
		if err != nil {
			return nil, nil, err
		}
		release := sync.OnceFunc(func() { c.release(entries) })
		paths, err := await(ctx, entries)
		switch {
		case err == nil:
			return paths, release, nil
		case errors.Is(err, context.Canceled) && ctx.Err() == nil && c.ctx.Err() == nil:
			// The fetching was given up by all who waited before.
			release()
			continue
		}
		release()
		return nil, nil, err
	}
}

// await waits until all entries are there.
func await(ctx context.Context, entries []*cached) ([]string, error) {
	paths := make([]string, len(entries))
	for i, e := range entries {
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e.err != nil {
			return nil, e.err
		}
		paths[i] = e.path
	}
	return paths, nil
}

// measure finds the size of an object whose catalog does not tell it.
func (c *cache) measure(ctx context.Context, o *object) error {
	if o.bytes > 0 {
		return nil
	}
	f, err := o.open(ctx)
	if err != nil {
		return fetchError(*o, err)
	}
	o.bytes = f.Size()
	return f.Close()
}

// reserve marks the objects as used and begins to fetch those that are missing,
// as soon as there is room for all.
func (c *cache) reserve(ctx context.Context, objects []object) ([]*cached, error) {
	var total int64
	distinct := make(map[string]object, len(objects))
	ids := make([]string, len(objects))
	for i, o := range objects {
		ids[i] = o.id()
		if _, ok := distinct[ids[i]]; !ok {
			distinct[ids[i]] = o
			total += o.bytes
		}
	}
	if total > c.limit {
		return nil, sqlerror.Userf(sqlerror.CodeResources, "the query reads %d bytes of remote data files, the object cache holds %d", total, c.limit).
			WithHint("Read fewer partitions, or give the cache more bytes.")
	}
	timeout := time.NewTimer(cacheWait)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		entries, ok := c.tryReserve(distinct, ids)
		changed := c.changed
		c.mu.Unlock()
		if ok {
			return entries, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.ctx.Done():
			return nil, closedError()
		case <-timeout.C:
			e := sqlerror.Externalf(sqlerror.CodeResources, "other queries have been using the whole object cache for %s", cacheWait)
			return nil, e.WithHint("Try again, or give the cache more bytes.")
		}
	}
}

// tryReserve is reserve without waiting. c.mu is held.
func (c *cache) tryReserve(distinct map[string]object, ids []string) ([]*cached, bool) {
	var missing int64
	for id, o := range distinct {
		if e := c.entries[id]; e != nil {
			c.use(e)
		} else {
			missing += o.bytes
		}
	}
	if !c.evict(missing) {
		for id := range distinct {
			if e := c.entries[id]; e != nil {
				c.unuse(e)
			}
		}
		return nil, false
	}
	for id, o := range distinct {
		e := c.entries[id]
		if e == nil {
			e = &cached{id: id, uses: 1}
			c.entries[id] = e
			c.used += o.bytes
		}
		if e.ready == nil {
			e.object = o
			e.ready = make(chan struct{})
			var job context.Context
			job, e.cancel = context.WithCancel(c.ctx)
			c.jobs.Go(func() { c.load(job, e) })
		}
	}
	entries := make([]*cached, len(ids))
	for i, id := range ids {
		entries[i] = c.entries[id]
	}
	return entries, true
}

func (c *cache) use(e *cached) {
	e.uses++
	if e.place != nil {
		c.unused.Remove(e.place)
		e.place = nil
	}
}

// unuse gives up one use of e. c.mu is held.
func (c *cache) unuse(e *cached) {
	if e.uses--; e.uses > 0 {
		return
	}
	select {
	case <-e.ready:
	default:
		if e.ready != nil {
			e.cancel() // nobody waits for it any more
			return
		}
	}
	if e.err == nil {
		e.place = c.unused.PushFront(e)
	}
}

func (c *cache) release(entries []*cached) {
	seen := make(map[*cached]bool, len(entries))
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		if seen[e] {
			continue
		}
		seen[e] = true
		c.unuse(e)
		if e.place != nil {
			// The time of use outlives the process; a failure only makes the
			// order of eviction worse.
			_ = os.Chtimes(e.path, now, now)
		}
	}
	c.wake()
}

// wake tells those who wait for room to look again. c.mu is held.
func (c *cache) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// evict removes unused objects until more bytes fit. c.mu is held.
func (c *cache) evict(more int64) bool {
	for c.used+more > c.limit {
		last := c.unused.Back()
		if last == nil {
			return false
		}
		e := last.Value.(*cached)
		c.unused.Remove(last)
		c.forget(e)
		if err := os.Remove(e.path); err != nil && !errors.Is(err, os.ErrNotExist) && c.logger != nil {
			c.logger.Warn("cannot remove a file from the object cache", "file", e.path, "error", err)
		}
	}
	return true
}

// forget takes e out of the accounts. c.mu is held.
func (c *cache) forget(e *cached) {
	delete(c.entries, e.id)
	c.used -= e.bytes
}

// load verifies the copy of e that is there, or fetches it.
func (c *cache) load(ctx context.Context, e *cached) {
	path, err := e.path, error(nil)
	if path != "" {
		if err := verify(path); err != nil {
			if c.logger != nil {
				c.logger.Warn("a file of the object cache is damaged and is fetched again", "file", path, "error", err)
			}
			path = ""
		}
	}
	if path == "" {
		if e.path != "" {
			err = os.Remove(e.path)
		}
		if err == nil {
			path, err = c.fetch(ctx, e)
		}
	}
	e.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.path, e.err = path, err
	if err != nil {
		e.err = fetchError(e.object, err)
		c.forget(e)
		c.wake()
	} else if e.uses == 0 {
		e.place = c.unused.PushFront(e)
		c.wake()
	}
	close(e.ready)
}

func fetchError(o object, err error) error {
	if sqlerror.As(err) != nil || errors.Is(err, context.Canceled) {
		return fmt.Errorf("fetch data file %s: %w", o.path, err)
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "fetch data file %s: %w", o.path, err)
}

// verify compares a file's content with the checksum in its name.
func verify(path string) error {
	_, _, want, ok := parseCacheName(filepath.Base(path))
	if !ok {
		return errors.New("its name has no checksum")
	}
	got, err := checksum(path)
	if err == nil && got != want {
		err = fmt.Errorf("its checksum is %08x", got)
	}
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	_, err = io.Copy(h, f)
	return h.Sum32(), err
}

// fetch copies the object to a temporary file, and gives that its name when all
// of it is on disk.
func (c *cache) fetch(ctx context.Context, e *cached) (path string, err error) {
	temp := filepath.Join(c.dir, e.id+tempSuffix)
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	if err := c.copyParts(ctx, e.object, temp); err != nil {
		return "", err
	}
	sum, err := checksum(temp)
	if err != nil {
		return "", err
	}
	path = filepath.Join(c.dir, cacheName(e.id, e.bytes, sum))
	if err := os.Rename(temp, path); err != nil {
		return "", err
	}
	return path, syncDir(c.dir)
}

// parquetMark is at the beginning and at the end of every Parquet file.
var parquetMark = []byte("PAR1")

func (c *cache) copyParts(ctx context.Context, o object, to string) (err error) {
	src, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	if src.Size() != o.bytes {
		return fmt.Errorf("it has %d bytes, the table says %d", src.Size(), o.bytes)
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := dst.Close(); err == nil {
			err = closed
		}
	}()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	for off := int64(0); off < o.bytes && ctx.Err() == nil; off += fetchBytes {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		parts.Go(func() {
			defer func() { <-c.slots }()
			buffer := c.parts.Get().(*[]byte)
			defer c.parts.Put(buffer)
			if err := copyPart(dst, src, off, (*buffer)[:min(fetchBytes, o.bytes-off)]); err != nil {
				cancel(err)
			}
		})
	}
	parts.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if o.text {
		return dst.Sync()
	}
	var head, tail [4]byte
	if o.bytes < 12 {
		return errors.New("it is too short for a Parquet file")
	}
	if _, err := dst.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := dst.ReadAt(tail[:], o.bytes-4); err != nil {
		return err
	}
	if !bytes.Equal(head[:], parquetMark) || !bytes.Equal(tail[:], parquetMark) {
		return errors.New("it is no Parquet file, or torn")
	}
	return dst.Sync()
}

func copyPart(dst io.WriterAt, src io.ReaderAt, off int64, buffer []byte) error {
	if n, err := src.ReadAt(buffer, off); n < len(buffer) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read at %d: %w", off, err)
	}
	_, err := dst.WriteAt(buffer, off)
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
