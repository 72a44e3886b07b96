package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// localStaged writes to a file in the place, from where Complete renames it.
type localStaged struct {
	*localWriter
	id string // key of the file
}

// Stage implements Stager.
func (s *local) Stage(_ context.Context, key, place string, opts WriterOptions) (StagedWriter, error) {
	// The object's own name comes first, so that Uploads can tell whose it is.
	id := place + "/" + path.Base(key) + "." + sched.ID(sched.System{})[:16] + tempSuffix
	staged, err := s.path(id)
	if err != nil {
		return nil, err
	}
	w, err := s.create(key, opts.Retrying)
	if err != nil {
		return nil, err
	}
	w.staged = staged
	return &localStaged{localWriter: w, id: id}, nil
}

// createStaged makes the file of a staged object.
func createStaged(name string) (temp *os.File, err error) {
	for range 10 {
		if err = makeFolder(filepath.Dir(name)); err != nil {
			return nil, err
		}
		temp, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return temp, err
}

// Finish implements StagedWriter.
func (w *localStaged) Finish(ctx context.Context) (Upload, error) {
	defer w.Abort()
	if w.done {
		return Upload{}, errAborted(w.store.URI(w.key))
	}
	if err := w.retry(ctx, w.flush); err != nil {
		return Upload{}, err
	}
	if err := errors.Join(w.temp.Sync(), w.temp.Close()); err != nil {
		return Upload{}, localError("sync", w.store.URI(w.key), err)
	}
	// The decision to complete it must not outlive the file's name.
	if err := w.retry(ctx, func() error { return syncFolder(filepath.Dir(w.staged)) }); err != nil {
		return Upload{}, err
	}
	w.named = true
	return Upload{Key: w.key, ID: w.id, Size: w.written}, nil
}

// Complete implements Stager.
func (s *local) Complete(ctx context.Context, u Upload) (Info, error) {
	name, err := s.path(u.Key)
	if err != nil {
		return Info{}, err
	}
	staged, err := s.path(u.ID)
	if err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	if err := s.complete(staged, name, u.Size); err != nil {
		if errors.Is(err, ErrNoUpload) {
			return Info{}, err
		}
		return Info{}, localError("complete", s.URI(u.Key), err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return Info{}, localError("look at", s.URI(u.Key), err)
	}
	return fileInfo(u.Key, info), nil
}

func (s *local) complete(staged, name string, size int64) error {
	info, err := os.Stat(staged)
	switch {
	case err == nil && info.Size() != size:
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s has %d bytes and not %d", staged, info.Size(), size).Final()
	case err == nil:
		for range 10 {
			if err = makeFolder(filepath.Dir(name)); err != nil {
				return err
			}
			// A Delete may take away the folder that has just been made.
			if err = os.Rename(staged, name); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			if _, err := os.Stat(staged); err != nil {
				break
			}
		}
		if err == nil {
			return syncFolder(filepath.Dir(name))
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, err = os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != size {
		return noUpload("complete", name)
	}
	if err != nil {
		return err
	}
	// Whoever renamed it may have died before the folder was synced.
	return syncFolder(filepath.Dir(name))
}

func noUpload(op, uri string) error {
	return sqlerror.Externalf(sqlerror.CodeDataLoss, "%s %s: %w", op, uri, ErrNoUpload).Final()
}

// Discard implements Stager.
func (s *local) Discard(ctx context.Context, u Upload) error {
	name, err := s.path(u.ID)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(name, tempSuffix) {
		return fmt.Errorf("discard %s: it is no staged object", u.ID)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return localError("discard", s.URI(u.Key), err)
	}
	return ctx.Err()
}

// Uploads implements Stager.
func (s *local) Uploads(ctx context.Context, prefix, place string) ([]Upload, error) {
	folder, err := s.path(place)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, localError("list", s.URI(place), err)
	}
	var uploads []Upload
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), tempSuffix)
		dot := strings.LastIndexByte(name, '.')
		if !ok || dot < 0 || entry.IsDir() {
			continue
		}
		uploads = append(uploads, Upload{Key: strings.TrimSuffix(prefix, "/") + "/" + name[:dot], ID: place + "/" + entry.Name()})
	}
	return uploads, ctx.Err()
}
