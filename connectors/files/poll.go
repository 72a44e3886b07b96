package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Poll keeps a lane with its file until that is read to its end. When there are
// fewer files than lanes, lanes take successive chunks of one file.
func (s *source) Poll(ctx context.Context, lane int, c *connectors.Chunk) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.gathers && s.gather(lane, c) {
			return nil
		}
		f, wake, finished := s.next(lane)
		switch {
		case finished:
			return io.EOF
		case f != nil:
			if ok, err := s.read(ctx, f, c); ok || err != nil {
				if ok && s.gathers {
					s.gatherBehind(lane, f, c)
				}
				return err
			}
		default:
			if err := s.wait(ctx, wake); err != nil {
				return err
			}
		}
	}
}

// next is the file that a lane should read from; without one, the channel that
// is closed when it should look again.
func (s *source) next(lane int) (f *file, wake chan struct{}, finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lane %= len(s.own)
	if f := s.own[lane]; f != nil && f.state == reading {
		return f, nil, false
	}
	s.own[lane] = nil
	for s.head < len(s.queue) {
		f := s.queue[s.head]
		s.queue[s.head] = nil
		s.head++
		if f.state == queued {
			f.state = reading
			s.own[lane] = f
			s.expect()
			return f, nil, false
		}
	}
	best, most := (*file)(nil), int64(0)
	for _, f := range s.own {
		if f == nil || f.state != reading {
			continue
		}
		left := f.total - f.read
		if left > most && (f.packed || left >= int64(s.limits.chunk)) {
			best, most = f, left
		}
	}
	if best == nil && s.wake == nil {
		s.wake = make(chan struct{})
	}
	return best, s.wake, best == nil && s.once && s.open == 0
}

// expect tells the store which files come next. The caller holds mu.
func (s *source) expect() {
	if !s.store.immutable() {
		return
	}
	for s.told = max(s.told, s.head); s.told < len(s.queue); s.told++ {
		f := s.queue[s.told]
		if s.limits.blocks != nil && f.entry.size > rangeBytes {
			continue // what it begins with is not what is read first
		}
		if f.state == queued && !s.store.expect(f.entry) {
			return
		}
	}
}

// wait waits until there may be something to read.
func (s *source) wait(ctx context.Context, wake chan struct{}) error {
	if s.once {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
			return nil
		}
	}
	timer := time.NewTimer(s.tailInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
		s.tick()
	}
	return nil
}

// read takes the next chunk of a file. ok is false when the file had none.
func (s *source) read(ctx context.Context, f *file, c *connectors.Chunk) (ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	active, pos, final := f.state == reading, f.pos, s.once || f.final || s.limits.whole() || s.store.immutable()
	if !pos.Done && pos.Offset > 0 && (f.window != nil || f.version != "") {
		pos.Check = f.check()
	}
	s.mu.Unlock()
	if !active {
		return false, nil
	}
	if f.in == nil {
		if err := s.openFile(ctx, f, pos); err != nil || f.in == nil {
			return false, err
		}
	}
	before := f.in.bytesRead()
	end, err := f.in.next(ctx, c, s.limits, final)
	s.progress(f, f.in.bytesRead()-before)
	if err != nil {
		return false, s.stuck(ctx, f, err)
	}
	if end != endNone {
		if err := s.ended(f, end); err != nil {
			return false, s.stuck(ctx, f, err)
		}
	}
	if len(c.Data) == 0 && c.Filtered == 0 {
		return false, nil
	}
	s.describe(f, c)
	return true, nil
}

// describe fills in what a chunk says of its file.
func (s *source) describe(f *file, c *connectors.Chunk) {
	c.Split = f.id
	if s.limits.document {
		c.Records = append(c.Records[:0], connectors.Record{End: int32(len(c.Data)), Offset: c.Base})
	}
	s.describePart(f, c, 0)
}

func (s *source) modifiedOf(f *file) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.seen.modified
}

// openFile opens a file at its position; f.in stays nil when it has vanished, or
// is to be skipped.
func (s *source) openFile(ctx context.Context, f *file, pos position) error {
	in, same, err := openInput(ctx, s.store, f.entry, pos, s.compression, &s.limits)
	if err == nil && !same {
		switch {
		case s.store.immutable():
			reread, err := s.changed(f.id, pos.encode(), "reading of it began")
			if err != nil {
				return err
			}
			if !reread {
				s.skipRest(f)
				return nil
			}
		case !pos.Done:
			if err := s.lose(f.id, pos.encode(), "the file was replaced or cut before it was read to its end"); err != nil {
				return err
			}
		case s.onChanged != "reread":
			if _, err := s.changed(f.id, pos.encode(), "it was read"); err != nil {
				return err
			}
			s.skipRest(f)
			return nil
		}
		pos = position{}
		in, _, err = openInput(ctx, s.store, f.entry, pos, s.compression, &s.limits)
	}
	if err != nil {
		return s.stuck(ctx, f, err)
	}
	f.in = in
	s.mu.Lock()
	defer s.mu.Unlock()
	f.entry, f.seen = in.seen, in.seen.stamp()
	f.last = f.seen
	if in.versioned {
		f.version = in.seen.version()
	}
	f.opened = s.cfg.Now()
	if in.compression != uncompressed && !f.packed {
		f.packed = true
		s.wakeAll()
	}
	f.pos, f.encoded = pos, ""
	f.window = append(f.window[:0], in.window...)
	s.newest = later(s.newest, time.UnixMicro(in.seen.modified))
	return nil
}

// skipRest finishes a file as it is.
func (s *source) skipRest(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.pos.Done, f.pos.Skip, f.pos.Size, f.pos.Check = true, false, f.entry.size, "00000000"
	f.encoded = ""
	s.finish(f)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// progress publishes how far a file has been read.
func (s *source) progress(f *file, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.read += bytes
	s.bytesRead += bytes
	if f.in.offset != f.pos.Offset || f.in.skip != f.pos.Skip {
		f.pos = position{Offset: f.in.offset, Skip: f.in.skip, CRC: f.in.crc}
		f.window = append(f.window[:0], f.in.window...)
		f.encoded = ""
	}
}

// ended closes a file that was read to its end, for good or until it grows.
func (s *source) ended(f *file, end ending) error {
	pos, err := f.in.done()
	if err != nil {
		return err
	}
	if err := s.closeFile(f); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.partial, f.final = end == endPartial, false
	if !f.partial {
		f.pos, f.encoded = pos, ""
	}
	s.recovered(f)
	if s.once || s.store.immutable() {
		s.finish(f)
		return nil
	}
	f.state = waiting
	s.waiting[f] = struct{}{}
	return nil
}

// finish ends a file for good. The caller holds mu.
func (s *source) finish(f *file) {
	f.state = done
	s.open--
	s.bytesTotal += f.read - f.total
	f.total = f.read
	delete(s.waiting, f)
	s.wakeAll()
}

func (s *source) closeFile(f *file) error {
	in := f.in
	f.in = nil
	return in.close()
}

// stuck decides what becomes of a file that cannot be read further. Nothing
// was consumed.
func (s *source) stuck(ctx context.Context, f *file, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	truncated, corrupt := errors.Is(cause, errTruncated), errors.Is(cause, errCorrupt) || errors.Is(cause, errCutOff) || errors.Is(cause, errUTF16)
	var end position
	if f.in != nil {
		if truncated || corrupt {
			var err error
			if end, err = f.in.done(); err != nil {
				cause, truncated, corrupt = err, false, false
			}
		}
		if err := s.closeFile(f); err != nil {
			cause = errors.Join(cause, err)
		}
	}
	switch {
	case errors.Is(cause, fs.ErrNotExist):
		s.mu.Lock()
		unread, from := !f.pos.Done, f.pos
		s.mu.Unlock()
		if unread {
			reason := "the file has vanished before it was read to its end"
			if from.Offset == 0 {
				reason = "the file was deleted after it was listed, before anything of it was read"
			}
			err := s.lose(f.id, from.encode(), reason)
			if e := sqlerror.As(err); e != nil && from.Offset == 0 {
				e.Hint = "put the file back and START the stream; or, where files are deleted on purpose before they are read, go on without them by CREATE OR REPLACE SOURCE with on_data_loss = 'skip', and each is noted in leat.commits"
				return e
			}
			if err != nil {
				return err
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.vanish(f)
		s.finish(f)
		s.recovered(f)
		return nil
	case errors.Is(cause, fs.ErrExist) && s.store.immutable():
		// Another object has taken its place since it was listed.
		now, err := s.store.stat(ctx, f.entry)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return sqlerror.Externalf(sqlerror.CodeExternal, "look at file %s: %w", f.id, err).About("source " + s.cfg.Name)
		}
		if err == nil && now == f.entry {
			break
		}
		if err == nil {
			s.mu.Lock()
			f.entry = now
			s.mu.Unlock()
			return nil
		}
		return s.stuck(ctx, f, err)
	case truncated && !s.once && !s.store.immutable():
		s.mu.Lock()
		defer s.mu.Unlock()
		f.state, f.problem = waiting, sqlerror.Externalf(sqlerror.CodeExternal, "file %s: %w", f.id, cause).
			About("source "+s.cfg.Name).WithHint("the source waits for the rest of the file")
		s.waiting[f] = struct{}{}
		return nil
	case (truncated || corrupt) && s.cfg.SkipsDataLoss():
		s.mu.Lock()
		from := f.pos
		s.mu.Unlock()
		if err := s.lose(f.id, from.encode(), cause.Error()); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		f.pos, f.encoded = end, ""
		s.recovered(f)
		if s.once || s.store.immutable() {
			s.finish(f)
			return nil
		}
		f.state = waiting
		s.waiting[f] = struct{}{}
		return nil
	case errors.Is(cause, errUTF16):
		return sqlerror.Externalf(sqlerror.CodeDataLoss, "file %s: %w", f.id, cause).Final().About("source " + s.cfg.Name).
			WithHint("put it there in UTF-8 (iconv -f UTF-16 -t UTF-8) and START the stream; or do without it by CREATE OR REPLACE SOURCE with on_data_loss = 'skip', which is noted in leat.commits")
	case truncated || corrupt:
		return sqlerror.Externalf(sqlerror.CodeDataLoss, "file %s: %w", f.id, cause).Final().About("source " + s.cfg.Name).
			WithHint("put the whole file in its place and START the stream; or do without the rest of it, and remove it if you like, by CREATE OR REPLACE SOURCE with on_data_loss = 'skip', which is noted in leat.commits")
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "read file %s: %w", f.id, cause).About("source " + s.cfg.Name)
}

// recovered forgets what kept a file from being read. The caller holds mu.
func (s *source) recovered(f *file) {
	f.problem, f.reported = nil, false
	if !s.troubled {
		return
	}
	for other := range s.waiting {
		if other.reported && other != f {
			return
		}
	}
	s.troubled = false
	s.cfg.Retrying(nil)
}

// maxUnstable is how long a compressed file that ended in the middle and keeps
// changing is left alone.
const maxUnstable = 5 * time.Second

// tick looks at the files that wait for growth. Only one lane does so at a
// time, and no more than a twentieth of the time goes into it.
func (s *source) tick() {
	s.mu.Lock()
	began := s.cfg.Now()
	if began.Before(s.nextTick) {
		s.mu.Unlock()
		return
	}
	s.nextTick = began.Add(time.Hour) // until this one is over
	files := make([]*file, 0, len(s.waiting))
	for f := range s.waiting {
		files = append(files, f)
	}
	s.mu.Unlock()

	type look struct {
		now stamp
		err error
	}
	looks := make([]look, len(files))
	for i, f := range files {
		e, err := s.store.stat(context.Background(), f.entry)
		looks[i].now, looks[i].err = e.stamp(), err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	s.nextTick = now.Add(max(s.tailInterval/2, 20*now.Sub(began)))
	woken := false
	for i, f := range files {
		if f.state == waiting && s.readAgain(f, looks[i].now, looks[i].err, now) {
			s.enqueue(f)
			woken = true
		}
	}
	if woken {
		s.wakeAll()
	}
}

// readAgain decides whether a waiting file should be read. What is wrong with
// one that cannot be looked at shows when it is opened. The caller holds mu.
func (s *source) readAgain(f *file, is stamp, err error, now time.Time) bool {
	if err != nil {
		return true
	}
	stable := is == f.last
	f.last = is
	if !stable {
		f.changed = now
	}
	if is == f.seen {
		switch {
		case f.problem != nil && !f.reported:
			f.reported, s.troubled = true, true
			s.cfg.Retrying(f.problem)
		case f.partial && s.lastLineTimeout > 0 && now.Sub(f.changed) >= s.lastLineTimeout:
			f.final = true
			return true
		}
		return false
	}
	// A document is read in one piece, when it has stopped changing. So is a
	// compressed file, since it is read from its beginning again, unless it never
	// stops.
	if !stable && (s.limits.whole() || f.problem != nil && now.Sub(f.opened) < maxUnstable) {
		return false
	}
	f.growths++
	grown := is.size - max(0, f.seen.size)
	s.bytesTotal += grown
	f.total += grown
	return true
}
