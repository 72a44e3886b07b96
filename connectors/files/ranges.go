package files

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
)

// rangeBytes is how much of an object one request asks for.
const rangeBytes = 8 << 20

// ranges reads an object front to back in ranges, some of them ahead of what is
// asked for. One goroutine reads at a time.
type ranges struct {
	entry  entry
	reader objectstore.Reader
	ahead  int   // ranges that are fetched before they are asked for
	pace   *pace // of the objects that are fetched ahead; nil for others
	cancel context.CancelFunc
	ctx    context.Context

	mu      sync.Mutex
	fetches sync.WaitGroup
	held    map[int64]*fetched // by index
	buffers *buffers
}

// buffers are memory for ranges, used again for those of other objects.
type buffers struct {
	most int64 // bytes that are kept beyond maxFree buffers

	mu    sync.Mutex
	free  [][]byte
	bytes int64 // of free
}

const (
	maxFree    = 16       // buffers that are kept whatever their size
	leastRange = 64 << 10 // bytes of the smallest buffer
)

func (b *buffers) take(size int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.free) - 1; i >= 0; i-- {
		if buf := b.free[i]; int64(cap(buf)) >= size {
			b.free = slices.Delete(b.free, i, i+1)
			b.bytes -= int64(cap(buf))
			return buf[:size]
		}
	}
	room := int64(leastRange)
	for room < size {
		room *= 2
	}
	return make([]byte, size, room)
}

func (b *buffers) give(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) < maxFree || b.bytes+int64(cap(buf)) <= b.most {
		b.free = append(b.free, buf)
		b.bytes += int64(cap(buf))
	}
}

// fetched is a range, or what came in its way.
type fetched struct {
	done chan struct{} // closed when data and err are set
	data []byte
	err  error
}

func newRanges(ctx context.Context, st objectstore.Store, e entry, ahead int, pool *buffers) (*ranges, error) {
	ctx, cancel := context.WithCancel(ctx)
	reader, err := objectstore.OpenVersion(ctx, st, objectstore.Info{Key: e.path, Size: e.size, ETag: e.etag})
	if err != nil {
		cancel()
		return nil, err
	}
	return &ranges{entry: e, reader: reader, ahead: ahead, cancel: cancel, ctx: ctx, held: map[int64]*fetched{}, buffers: pool}, nil
}

// fetch returns a range that is on its way, starting it if need be.
func (r *ranges) fetch(index int64) *fetched {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.held[index]; f != nil {
		return f
	}
	f := &fetched{done: make(chan struct{})}
	r.held[index] = f
	size := min(rangeBytes, r.entry.size-index*rangeBytes)
	buf := r.buffers.take(size)
	begun := time.Now()
	r.fetches.Go(func() {
		n, err := r.reader.ReadAt(buf, index*rangeBytes)
		if n == len(buf) {
			err = nil
			if r.pace != nil && index == 0 {
				now := time.Now()
				r.pace.fetched(now.Sub(begun), now)
			}
		} else if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the object is shorter than it was listed
		}
		f.data, f.err = buf[:n], err
		close(f.done)
	})
	return f
}

// whole reports whether all of the object has come.
func (r *ranges) whole() bool {
	if r.entry.size > rangeBytes {
		return false
	}
	r.mu.Lock()
	f := r.held[0]
	r.mu.Unlock()
	if f == nil {
		return false
	}
	select {
	case <-f.done:
		return f.err == nil
	default:
		return false
	}
}

// ready fetches the range in which off lies, and goes on with those behind it.
// A range that failed is asked for again the next time.
func (r *ranges) ready(ctx context.Context, off int64) error {
	if off >= r.entry.size {
		return nil
	}
	index := off / rangeBytes
	f := r.fetch(index)
	for i := index + 1; i <= index+int64(r.ahead) && i*rangeBytes < r.entry.size; i++ {
		r.fetch(i)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, h := range r.held {
		if i < index-1 {
			select {
			case <-h.done:
				delete(r.held, i)
				r.buffers.give(h.data)
			default:
			}
		}
	}
	if f.err != nil {
		delete(r.held, index)
	}
	return f.err
}

// ReadAt implements io.ReaderAt; it waits for what ready has not fetched.
func (r *ranges) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= r.entry.size {
			return n, io.EOF
		}
		if err := r.ready(r.ctx, at); err != nil {
			return n, err
		}
		f := r.fetch(at / rangeBytes)
		<-f.done
		if f.err != nil {
			return n, f.err
		}
		n += copy(p[n:], f.data[at%rangeBytes:])
	}
	return n, nil
}

// readExactly reads no more than what is asked for, in several requests at a time.
// Of an object of one range it takes what was fetched ahead.
func (r *ranges) readExactly(p []byte, off int64) error {
	if r.entry.size <= rangeBytes {
		_, err := r.ReadAt(p, off)
		return err
	}
	const most = 8
	var group sync.WaitGroup
	slots := make(chan struct{}, most)
	errs := make([]error, (len(p)+rangeBytes-1)/rangeBytes)
	for i := range errs {
		part := p[i*rangeBytes : min(len(p), (i+1)*rangeBytes)]
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			n, err := r.reader.ReadAt(part, off+int64(i)*rangeBytes)
			if n == len(part) {
				err = nil
			} else if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			errs[i] = err
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (r *ranges) stat() (entry, error) { return r.entry, nil }

// Close ends the fetches.
func (r *ranges) Close() error {
	r.cancel()
	r.fetches.Wait()
	for _, f := range r.held {
		r.buffers.give(f.data)
	}
	r.held = nil
	return r.reader.Close()
}
