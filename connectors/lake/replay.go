package lake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/connectors/lake/replayfile"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A replay begins with an epoch's commit. That commit adds the replay to the
// stream's state, which names a file with the chosen letters, and leaves the
// marks pending that say so in the table of dead letters. Since nothing is
// chosen before what earlier epochs left pending is published, and since a
// commit is refused when another instance has committed since, nobody chooses
// a letter that was taken.

var _ connectors.Replayer = (*streamSink)(nil)

// beginReplay lets the letters be chosen and writes them, and their marks, to
// files that no commit names yet. left counts those of earlier lives.
func (s *streamSink) beginReplay(ctx context.Context, epoch int64, req *connectors.ReplayRequest) (begun connectors.Replay, files []*outputFile, left int64, err error) {
	begun.ID = req.ID
	if s.marker == nil {
		m, err := newLaneWriter(s, len(s.lanes))
		if err != nil {
			return begun, nil, 0, err
		}
		s.marker = m
	}
	s.beginMarker(epoch)
	key := s.replayPrefix() + strconv.FormatInt(s.base.Generation, 10) + "-" + req.ID
	file := &lazyFile{uploads: s.uploads, key: key}
	marks := s.marker.letters
	now := s.spec.Now()
	var blocks replayfile.Writer
	err = req.Choose(ctx, func(d connectors.DeadLetter) error {
		if life, _, _ := strings.Cut(d.ID, "-"); life != s.base.ID {
			left++
			return nil
		}
		begun.Letters++
		if s.sink.rules.Takes() {
			if err := marks.mark(ctx, &d, req.ID, now); err != nil {
				return err
			}
		}
		return file.write(ctx, blocks.Append(&d))
	})
	if err == nil {
		err = file.write(ctx, blocks.Finish())
	}
	if err == nil {
		err = file.commit(ctx)
	}
	if err == nil {
		err = marks.finish(ctx)
	}
	files = marks.files
	if err == nil {
		marks.clear()
		err = s.uploads.wait(ctx, files)
	}
	if err != nil {
		marks.discard()
		file.abort()
		return begun, nil, 0, fmt.Errorf("begin replay %s: %w", req.ID, err)
	}
	begun.File = s.sink.store.URI(key)
	return begun, files, left, nil
}

// beginMarker makes the marker ready for an epoch.
func (s *streamSink) beginMarker(epoch int64) {
	if s.marker != nil {
		s.marker.begin(s.uploads, s.base, epoch)
	}
}

// lazyFile is an object that is created when its first bytes come.
type lazyFile struct {
	uploads *uploads
	key     string
	writer  objectstore.Writer
}

func (f *lazyFile) write(ctx context.Context, p []byte) (err error) {
	if len(p) == 0 {
		return nil
	}
	if f.writer == nil {
		u := f.uploads
		f.writer, err = u.store.Create(ctx, f.key, objectstore.WriterOptions{Retrying: u.retrying})
		if err != nil {
			return err
		}
	}
	return f.writer.Write(ctx, p)
}

func (f *lazyFile) commit(ctx context.Context) error {
	if f.writer == nil {
		return nil
	}
	_, err := f.writer.Commit(ctx)
	return err
}

func (f *lazyFile) abort() {
	if f.writer != nil {
		f.writer.Abort()
	}
}

// replayPrefix begins the keys of the files of the stream's replays; generation
// and id follow. Readers of the table pass over folders that begin with an
// underscore.
func (s *streamSink) replayPrefix() string {
	return s.letterFolder + "/_leat/replay/" + catalog.SafeName(s.spec.Stream, 80) + "-" + s.base.ID + "-"
}

// ReadReplay implements connectors.Replayer.
func (s *streamSink) ReadReplay(ctx context.Context, r connectors.Replay, letters []connectors.DeadLetter) ([]connectors.DeadLetter, connectors.Replay, error) {
	key, err := s.sink.store.Key(r.File)
	if err != nil {
		return letters, r, err
	}
	f, err := s.sink.store.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return letters, r, s.lostReplay(ctx, r)
	}
	if err != nil {
		return letters, r, err
	}
	defer f.Close()
	before := len(letters)
	letters, r.Offset, err = replayfile.Read(f, r.Offset, letters)
	if err != nil {
		return letters[:before], r, fmt.Errorf("read %s: %w", r.File, err)
	}
	r.Done += int64(len(letters) - before)
	return letters, r, nil
}

// lostReplay says why the file of a replay is not there: a newer instance has
// finished with it, or somebody has deleted it.
func (s *streamSink) lostReplay(ctx context.Context, r connectors.Replay) error {
	generation := s.lanes[0].generation
	var found *protocol.Record
	if _, err := s.update(ctx, s.target, true, func(v catalog.Version) (_ *catalog.Change, err error) {
		found, err = s.record(v)
		return nil, err
	}); err != nil {
		return err
	}
	switch {
	case found == nil:
		return protocol.Gone.Err(s.spec.Stream, found)
	case found.Generation != generation:
		return protocol.Fenced.Err(s.spec.Stream, found)
	}
	return sqlerror.Userf(sqlerror.CodeDataLoss, "file %s is gone, which holds the letters of replay %s", r.File, r.ID).
		WithHint("%d of its %d letters have not been read again, and are found by leat.dead_letters.replay = '%s'; "+
			"with on_data_loss = 'skip' in the source the stream goes on without them", r.Letters-r.Done, r.Letters, r.ID)
}

// deleteReplays deletes the files of replays that a commit has finished.
func (s *streamSink) deleteReplays(ctx context.Context, before, after []connectors.Replay) {
	for _, r := range before {
		if slices.ContainsFunc(after, func(a connectors.Replay) bool { return a.ID == r.ID && !a.Finished() }) {
			continue
		}
		if key, err := s.sink.store.Key(r.File); err == nil {
			_ = s.sink.store.Delete(ctx, key)
		}
	}
}

// sweepReplays deletes the files that earlier starts have written for replays
// and that no commit names. What is left behind here the next start finds.
func (s *streamSink) sweepReplays(ctx context.Context) {
	prefix := s.replayPrefix()
	infos, _, err := s.sink.store.List(ctx, prefix, "", 0)
	if err != nil {
		return
	}
	var stale []string
	for _, info := range infos {
		text, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "-")
		generation, err := strconv.ParseInt(text, 10, 64)
		if err != nil || generation >= s.base.Generation {
			continue
		}
		uri := s.sink.store.URI(info.Key)
		if !slices.ContainsFunc(s.base.Replays, func(r connectors.Replay) bool { return r.File == uri && !r.Finished() }) {
			stale = append(stale, info.Key)
		}
	}
	if len(stale) > 0 {
		_ = s.sink.store.Delete(ctx, stale...)
	}
}
