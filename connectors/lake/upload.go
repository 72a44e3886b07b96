package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
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
	footer    parquetfile.Footer // of a file that is joined: valid when done

	// Guarded by the uploads' monitor.
	done   bool
	err    error               // valid when done
	stored bool                // … whether the object exists, or is staged
	upload *objectstore.Upload // of a staged one

	to *outside // nil for files of tables
}

// data describes the file for the table.
func (f *outputFile) data(store objectstore.Store) catalog.NewFile {
	d := catalog.NewFile{
		Path: store.URI(f.key), Rows: f.footer.Rows, Bytes: f.footer.Bytes,
		Partition: f.partition, SplitOffsets: f.footer.SplitOffsets, Upload: f.upload,
	}
	for _, c := range f.footer.Columns {
		d.Columns = append(d.Columns, catalog.ColumnStats(c))
	}
	return d
}

// uploads finishes files in the store and knows which of them no commit names
// yet. It lives for one attempt at an epoch: abort ends it.
type uploads struct {
	scheduler sched.Scheduler
	store     objectstore.Store
	retrying  func(error)
	stalls    *objectstore.Stalls
	// staged says that files are not to exist before a commit has decided so.
	staged bool
	ctx    context.Context
	end    context.CancelFunc

	m       sched.Monitor        // guards what follows
	running int                  // goroutines, uploadsAtOnce at most
	queue   []queued             // what waits for one of them
	open    map[*outputFile]bool // not committed
	joints  map[string]*joint    // files that other lanes may add to, by partition
	joining []string             // … in the order they came
}

// queued is a file that is to be finished in the store: what a writer has, or the
// parts that make the file.
type queued struct {
	file   *outputFile
	writer objectstore.Writer
	size   int64         // bytes that the writer holds
	held   *atomic.Int64 // … counted here
	place  string        // of a staged object
	parts  []lanePart
}

// joint is a file to which so many lanes have added, or would have.
type joint struct {
	queued
	lanes int
}

// lanePart is what a lane has of a file; held counts its memory.
type lanePart struct {
	part *parquetfile.Part
	held *atomic.Int64
}

// release ends what the file takes of the lanes' memory.
func (q *queued) release() {
	if q.held != nil {
		q.held.Add(-q.size)
	}
	for _, p := range q.parts {
		n := p.part.Held()
		p.part.Release()
		p.held.Add(-n)
	}
	q.parts = nil
}

func newUploads(scheduler sched.Scheduler, store objectstore.Store, retrying func(error), stalls *objectstore.Stalls) *uploads {
	u := &uploads{
		scheduler: scheduler, store: store, retrying: retrying, stalls: stalls,
		m: scheduler.NewMonitor(), open: map[*outputFile]bool{}, joints: map[string]*joint{},
	}
	u.ctx, u.end = context.WithCancel(stalls.Context(context.Background()))
	return u
}

// cancel lets everything end that is under way.
func (u *uploads) cancel() {
	u.m.Lock()
	u.end()
	u.m.Broadcast()
	u.m.Unlock()
}

// create begins an object.
func (u *uploads) create(ctx context.Context, to *outside, key, place string) (w objectstore.Writer, err error) {
	backoff := objectstore.Backoff{Scheduler: u.scheduler}
	err = backoff.Retry(ctx, u.retrying, func(context.Context) error {
		if to != nil {
			w, err = stage(u.ctx, to.store, key, place, u.retrying)
			return err
		}
		if u.staged {
			w, err = stage(u.ctx, u.store, key, place, u.retrying)
			return err
		}
		w, err = u.store.Create(u.ctx, key, objectstore.WriterOptions{Retrying: u.retrying})
		return err
	})
	return w, err
}

// finish makes the object exist in the background. held is lowered by what the
// writer held in memory when it is done.
func (u *uploads) finish(f *outputFile, w objectstore.Writer, held *atomic.Int64) {
	q := queued{file: f, writer: w, size: w.Buffered(), held: held}
	held.Add(q.size)
	u.m.Lock()
	defer u.m.Unlock()
	u.enqueue(q)
}

// join makes the parts that lanes have of a partition one file, which is finished
// when so many lanes have added theirs, or by flush. own is false when the part
// goes into a file of another lane, which f would have been. A file does not
// become larger than most bytes by it.
func (u *uploads) join(partition string, lanes int, f *outputFile, place string, p *parquetfile.Part, held *atomic.Int64, most int64) (own bool) {
	held.Add(p.Held())
	u.m.Lock()
	defer u.m.Unlock()
	if lanes <= 1 {
		u.enqueue(queued{file: f, place: place, parts: []lanePart{{p, held}}})
		return true
	}
	q := u.joints[partition]
	if q == nil {
		q = &joint{}
		u.joints[partition] = q
		u.joining = append(u.joining, partition)
	}
	if len(q.parts) > 0 && q.size+p.Bytes() > most {
		u.enqueue(q.queued)
		q.queued = queued{}
	}
	if own = len(q.parts) == 0; own {
		q.file, q.place = f, place
		u.open[f] = true
	}
	q.parts = append(q.parts, lanePart{p, held})
	q.size += p.Bytes()
	if q.lanes++; q.lanes == lanes {
		delete(u.joints, partition)
		u.enqueue(q.queued)
	}
	return own
}

// flush finishes the files that no lane adds to any more, since all are sealed.
func (u *uploads) flush() {
	u.m.Lock()
	defer u.m.Unlock()
	for _, partition := range u.joining {
		if q := u.joints[partition]; q != nil {
			u.enqueue(q.queued)
		}
	}
	clear(u.joints)
	u.joining = u.joining[:0]
}

// enqueue lets a file be finished. The caller holds the lock.
func (u *uploads) enqueue(q queued) {
	u.open[q.file] = true
	u.queue = append(u.queue, q)
	if u.running == uploadsAtOnce {
		return
	}
	u.running++
	u.scheduler.Go("upload "+q.file.key, func() {
		u.m.Lock()
		defer u.m.Unlock()
		for len(u.queue) > 0 {
			next := u.queue[0]
			u.queue[0] = queued{}
			u.queue = u.queue[1:]
			u.m.Unlock()
			err := u.send(&next)
			next.release()
			u.m.Lock()
			u.sent(next, err)
		}
		u.running--
		u.m.Broadcast()
	})
}

// sent notes what became of a file. The caller holds the lock.
func (u *uploads) sent(q queued, err error) {
	f := q.file
	f.done, f.err, f.stored = true, err, err == nil
	if s, ok := q.writer.(*stagedObject); ok && err == nil {
		f.upload = &s.upload
	}
	u.m.Broadcast()
}

// send finishes the object.
func (u *uploads) send(q *queued) error {
	err := u.ctx.Err()
	if err == nil && q.writer == nil {
		err = u.writeParts(q)
	}
	if err == nil {
		_, err = q.writer.Commit(u.ctx)
	}
	if err != nil && q.writer != nil {
		q.writer.Abort()
	}
	return vanished(err)
}

// writeParts makes a file of its parts.
func (u *uploads) writeParts(q *queued) error {
	sink := &lazySink{uploads: u, key: q.file.key, place: q.place}
	parts := make([]*parquetfile.Part, len(q.parts))
	for i, p := range q.parts {
		parts[i] = p.part
	}
	footer, err := parquetfile.Join(u.ctx, sink, parts)
	q.writer, q.file.footer, q.file.rows = sink.writer, footer, footer.Rows
	return err
}

// vanished makes an upload that is gone before its file was finished an error
// after which the epoch is written again: the store has thrown it away for its
// age, or a newer instance of the stream has, as the next commit will tell.
func vanished(err error) error {
	if errors.Is(err, objectstore.ErrNoUpload) {
		return sqlerror.Externalf(sqlerror.CodeExternal, "an unfinished upload was discarded: %w", err)
	}
	return err
}

// wait returns when all files are in the store, or one has failed.
func (u *uploads) wait(ctx context.Context, files []*outputFile) error {
	for _, f := range files {
		if err := u.until(ctx, func() bool { return f.done }); err != nil {
			return fmt.Errorf("wait for the upload of %s: %w", f.key, err)
		}
		if f.err != nil {
			return fmt.Errorf("upload %s: %w", f.key, f.err)
		}
	}
	return nil
}

// until waits for what the end of an upload brings about.
func (u *uploads) until(ctx context.Context, reached func() bool) error {
	defer u.m.BroadcastAfter(ctx)()
	u.m.Lock()
	defer u.m.Unlock()
	for {
		switch {
		case reached():
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case u.ctx.Err() != nil && u.running == 0:
			return errClosed
		}
		u.m.Wait()
	}
}

// committed takes files out of what abort would delete.
func (u *uploads) committed(files []*outputFile) {
	u.m.Lock()
	defer u.m.Unlock()
	for _, f := range files {
		delete(u.open, f)
	}
}

// abort ends all uploads and deletes what was stored and is in no commit,
// unless keep says that a commit of unknown outcome may name it. What cannot be
// deleted is left behind: readers do not see it.
func (u *uploads) abort(ctx context.Context, keep bool) {
	u.cancel()
	u.m.Lock()
	for u.running > 0 {
		u.m.Wait()
	}
	for _, q := range u.joints {
		q.release()
	}
	clear(u.joints)
	var keys []string
	var staged []objectstore.Upload
	elsewhere := map[objectstore.Stager][]objectstore.Upload{}
	for f := range u.open {
		switch {
		case f.upload != nil && f.to != nil:
			elsewhere[f.to.store] = append(elsewhere[f.to.store], *f.upload)
		case f.upload != nil:
			staged = append(staged, *f.upload)
		case f.stored:
			keys = append(keys, f.key)
		}
	}
	u.open = map[*outputFile]bool{}
	u.m.Unlock()
	if len(keys) > 0 && !keep {
		slices.Sort(keys)
		_ = u.store.Delete(ctx, keys...)
	}
	if !keep {
		discardStaged(ctx, u.store, staged)
		for store, uploads := range elsewhere {
			discardStaged(ctx, store, uploads)
		}
	}
}

// sweepAbandoned removes, in the background and once, what processes that were
// killed have left of files in the folders that the stream writes to.
func (s *streamSink) sweepAbandoned() {
	if s.endSweep != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s.endSweep = func() {
		cancel()
		running.Wait()
	}
	sweep := func(store objectstore.Store, folder string) {
		sweeper, ok := store.(objectstore.Sweeper)
		if !ok {
			return
		}
		running.Go(func() {
			removed, err := sweeper.Sweep(ctx, folder)
			switch {
			case err != nil && ctx.Err() == nil:
				s.spec.Logger.Warn("files of killed processes were not removed", "stream", s.spec.Stream, "folder", store.URI(folder), "error", err)
			case removed > 0:
				s.spec.Logger.Info("files of killed processes removed", "stream", s.spec.Stream, "folder", store.URI(folder), "files", removed)
			}
		})
	}
	sweep(s.sink.store, s.folder)
	if s.letterFolder != s.folder {
		sweep(s.sink.store, s.letterFolder)
	}
}

// lazySink creates the object when the first byte comes, so that a file that is
// still open costs the store nothing.
type lazySink struct {
	uploads *uploads
	to      *outside // nil for files of tables
	key     string
	place   string // of a staged object
	writer  objectstore.Writer
}

// Write implements parquetfile.Sink.
func (s *lazySink) Write(ctx context.Context, p []byte) error {
	ctx = s.uploads.stalls.Context(ctx)
	if s.writer == nil {
		w, err := s.uploads.create(ctx, s.to, s.key, s.place)
		if err != nil {
			return err
		}
		s.writer = w
	}
	return vanished(s.writer.Write(ctx, p))
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
