package lake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/internal/objectstore"
)

// uploadsAtOnce bounds how many files of a stream are being finished in the
// store at a time.
const uploadsAtOnce = 16

// outputFile is a file that was written to its end. It is uploaded in the
// background.
type outputFile struct {
	key       string
	partition []any
	rows      int64
	footer    parquetfile.Footer
	done      chan struct{}
	err       error // valid after done
	stored    bool  // … whether the object exists
}

// data describes the file for the table.
func (f *outputFile) data(store objectstore.Store) iceberg.DataFile {
	d := iceberg.DataFile{
		Path: store.URI(f.key), Rows: f.footer.Rows, Bytes: f.footer.Bytes,
		Partition: f.partition, SplitOffsets: f.footer.SplitOffsets,
	}
	for _, c := range f.footer.Columns {
		d.Columns = append(d.Columns, iceberg.ColumnStats(c))
	}
	return d
}

// uploads finishes files in the store and knows which of them no commit names
// yet. It lives for one attempt at an epoch: abort ends it.
type uploads struct {
	store    objectstore.Store
	retrying func(error)
	ctx      context.Context
	cancel   context.CancelFunc
	slots    chan struct{}
	group    sync.WaitGroup

	mu   sync.Mutex
	open map[*outputFile]bool // not committed
}

func newUploads(store objectstore.Store, retrying func(error)) *uploads {
	u := &uploads{store: store, retrying: retrying, slots: make(chan struct{}, uploadsAtOnce), open: map[*outputFile]bool{}}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

// create begins an object.
func (u *uploads) create(ctx context.Context, key string) (w objectstore.Writer, err error) {
	err = objectstore.Retry(ctx, u.retrying, func(context.Context) error {
		w, err = u.store.Create(u.ctx, key, objectstore.WriterOptions{Retrying: u.retrying})
		return err
	})
	return w, err
}

// finish makes the object exist in the background. held is lowered by what the
// writer held in memory when it is done; wake is signalled then.
func (u *uploads) finish(f *outputFile, w objectstore.Writer, held *atomic.Int64, wake chan<- struct{}) {
	f.done = make(chan struct{})
	u.mu.Lock()
	u.open[f] = true
	u.mu.Unlock()
	size := w.Buffered()
	held.Add(size)
	u.group.Go(func() {
		defer close(f.done)
		defer func() {
			held.Add(-size)
			select {
			case wake <- struct{}{}:
			default:
			}
		}()
		select {
		case u.slots <- struct{}{}:
			defer func() { <-u.slots }()
		case <-u.ctx.Done():
			w.Abort()
			f.err = u.ctx.Err()
			return
		}
		if _, f.err = w.Commit(u.ctx); f.err != nil {
			w.Abort()
			return
		}
		f.stored = true
	})
}

// wait returns when all files are in the store, or one has failed.
func wait(ctx context.Context, files []*outputFile) error {
	for _, f := range files {
		select {
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("wait for the upload of %s: %w", f.key, context.Cause(ctx))
		}
		if f.err != nil {
			return fmt.Errorf("upload %s: %w", f.key, f.err)
		}
	}
	return nil
}

// committed takes files out of what abort would delete.
func (u *uploads) committed(files []*outputFile) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range files {
		delete(u.open, f)
	}
}

// abort ends all uploads and deletes what was stored and is in no commit,
// unless keep says that a commit of unknown outcome may name it. What cannot be
// deleted is left behind: readers do not see it.
func (u *uploads) abort(ctx context.Context, keep bool) {
	u.cancel()
	u.group.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	var keys []string
	for f := range u.open {
		if f.stored {
			keys = append(keys, f.key)
		}
	}
	u.open = map[*outputFile]bool{}
	if len(keys) > 0 && !keep {
		_ = u.store.Delete(ctx, keys...)
	}
}

// lazySink creates the object when the first byte comes, so that a file that is
// still open costs the store nothing.
type lazySink struct {
	uploads *uploads
	key     string
	writer  objectstore.Writer
}

// Write implements parquetfile.Sink.
func (s *lazySink) Write(ctx context.Context, p []byte) error {
	if s.writer == nil {
		w, err := s.uploads.create(ctx, s.key)
		if err != nil {
			return err
		}
		s.writer = w
	}
	return s.writer.Write(ctx, p)
}

func (s *lazySink) held() int64 {
	if s.writer == nil {
		return 0
	}
	return s.writer.Buffered()
}

func (s *lazySink) abort() {
	if s.writer != nil {
		s.writer.Abort()
		s.writer = nil
	}
}

var errClosed = errors.New("the stream's sink is closed")
