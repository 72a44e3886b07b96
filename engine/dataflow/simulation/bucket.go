package simulation

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched/seeded"
)

// root is where the lake lies.
const root = "s3://bucket/lake"

// bucket is what an object store holds, for all processes.
type bucket struct {
	objects map[string]object
	puts    int
	staged  map[string]*upload // by id
	stages  int
}

// upload is an object that does not exist yet.
type upload struct {
	key      string
	data     []byte
	finished bool
}

type object struct {
	data     []byte
	etag     string
	modified time.Time
}

func newBucket() *bucket { return &bucket{objects: map[string]object{}, staged: map[string]*upload{}} }

func (b *bucket) put(key string, data []byte) objectstore.Info {
	b.puts++
	o := object{data, fmt.Sprintf("etag-%d", b.puts), time.Now().UTC()}
	b.objects[key] = o
	return o.info(key)
}

func (o object) info(key string) objectstore.Info {
	return objectstore.Info{Key: key, Size: int64(len(o.data)), ETag: o.etag, Modified: o.modified}
}

// keyOf is the key of a URI.
func keyOf(uri string) (string, error) {
	if key, ok := strings.CutPrefix(uri, root+"/"); ok {
		return key, nil
	}
	if uri == root {
		return "", nil
	}
	return "", fmt.Errorf("%s does not lie below %s", uri, root)
}

// client is a process's way to the bucket. It implements objectstore.Store as
// the S3 client does: writers try again by themselves, calls do not.
type client struct {
	objectstore.Store // nil: what is not implemented is not called
	w                 *world
	p                 *seeded.Process
}

// URI implements objectstore.Store.
func (c *client) URI(key string) string {
	if key == "" {
		return root
	}
	return root + "/" + key
}

// Key implements objectstore.Store.
func (c *client) Key(uri string) (string, error) { return keyOf(uri) }

func (c *client) call(ctx context.Context, what string, effect, tear func() error) error {
	return c.w.call(ctx, c.p, theStore, what, effect, tear)
}

// Check implements objectstore.Store.
func (c *client) Check(ctx context.Context) error {
	return c.call(ctx, "check", func() error { return nil }, nil)
}

// Head implements objectstore.Store.
func (c *client) Head(ctx context.Context, key string) (info objectstore.Info, err error) {
	err = c.call(ctx, "head "+key, func() error {
		o, ok := c.w.bucket.objects[key]
		if !ok {
			return notExist("head " + key)
		}
		info = o.info(key)
		return nil
	}, nil)
	return info, err
}

// Get implements objectstore.Store.
func (c *client) Get(ctx context.Context, key string) (data []byte, err error) {
	err = c.call(ctx, "get "+key, func() error {
		o, ok := c.w.bucket.objects[key]
		if !ok {
			return notExist("get " + key)
		}
		data = slices.Clone(o.data)
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Put implements objectstore.Store.
func (c *client) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) (info objectstore.Info, err error) {
	data = slices.Clone(data)
	by, _ := ctx.Value(senderKey{}).(*sender)
	put := func(data []byte) error {
		if _, ok := c.w.bucket.objects[key]; ok && opts.IfNoneMatch {
			return exists("put " + key)
		}
		info = c.w.bucket.put(key, data)
		if err := c.w.model.logged(key, data, by); err != nil {
			c.w.s.Fail(err)
		}
		return nil
	}
	var tear func() error
	if !opts.IfNoneMatch {
		tear = func() error { return put(data[:len(data)/2]) }
	}
	err = c.call(ctx, "put "+key, func() error { return put(data) }, tear)
	return info, err
}

// List implements objectstore.Store.
func (c *client) List(ctx context.Context, prefix, startAfter string, limit int) (infos []objectstore.Info, more bool, err error) {
	err = c.call(ctx, "list "+prefix, func() error {
		infos, more = c.w.bucket.list(prefix, startAfter, limit)
		// A page may be shorter than was asked for.
		if c.w.s.Chance(0.1) && len(infos) > 1 {
			infos, more = infos[:1+c.w.s.IntN(len(infos)-1)], true
		}
		return nil
	}, nil)
	return infos, more, err
}

func (b *bucket) list(prefix, startAfter string, limit int) (infos []objectstore.Info, more bool) {
	if limit == 0 {
		limit = 1000
	}
	for key, o := range b.objects {
		if strings.HasPrefix(key, prefix) && key > startAfter {
			infos = append(infos, o.info(key))
		}
	}
	slices.SortFunc(infos, func(a, b objectstore.Info) int { return strings.Compare(a.Key, b.Key) })
	if len(infos) > limit {
		return infos[:limit], true
	}
	return infos, false
}

// Delete implements objectstore.Store.
func (c *client) Delete(ctx context.Context, keys ...string) error {
	// The order tells nothing and may be a map's.
	keys = slices.Sorted(slices.Values(keys))
	return c.call(ctx, fmt.Sprintf("delete %q", keys), func() error {
		for _, key := range keys {
			delete(c.w.bucket.objects, key)
		}
		return nil
	}, nil)
}

// Open implements objectstore.Store.
func (c *client) Open(ctx context.Context, key string) (objectstore.Reader, error) {
	data, err := c.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return reader(data), nil
}

type reader []byte

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(r)) {
		return 0, io.EOF
	}
	n := copy(p, r[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r reader) Size() int64  { return int64(len(r)) }
func (r reader) Close() error { return nil }

// Create implements objectstore.Store.
func (c *client) Create(ctx context.Context, key string, opts objectstore.WriterOptions) (objectstore.Writer, error) {
	if err := c.call(ctx, "create "+key, func() error { return nil }, nil); err != nil {
		return nil, err
	}
	return &writer{c: c, key: key, opts: opts}, nil
}

// Close implements objectstore.Store.
func (c *client) Close() error { return nil }

// writer builds an object.
type writer struct {
	c    *client
	key  string
	opts objectstore.WriterOptions
	data []byte
	done bool
}

// Write implements objectstore.Writer.
func (w *writer) Write(ctx context.Context, p []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.data = append(w.data, p...)
	return nil
}

// Commit implements objectstore.Writer.
func (w *writer) Commit(ctx context.Context) (info objectstore.Info, err error) {
	if w.done {
		return info, fmt.Errorf("commit %s: the writer is done", w.key)
	}
	w.done = true
	backoff := objectstore.Backoff{Scheduler: w.c.p}
	err = backoff.Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		return w.c.call(ctx, "upload "+w.key, func() error {
			info = w.c.w.bucket.put(w.key, w.data)
			return nil
		}, func() error {
			w.c.w.bucket.put(w.key, w.data[:len(w.data)/2])
			return nil
		})
	})
	return info, err
}

// Abort implements objectstore.Writer.
func (w *writer) Abort() { w.done = true }

// Buffered implements objectstore.Writer.
func (w *writer) Buffered() int64 { return int64(len(w.data)) }
