package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

var _ objectstore.Stager = (*client)(nil)

// Stage implements objectstore.Stager.
func (c *client) Stage(ctx context.Context, key, _ string, opts objectstore.WriterOptions) (objectstore.StagedWriter, error) {
	id := ""
	if err := c.call(ctx, "stage "+key, func() error {
		b := c.w.bucket
		b.stages++
		id = fmt.Sprintf("upload-%d", b.stages)
		b.staged[id] = &upload{key: key}
		return nil
	}, nil); err != nil {
		return nil, err
	}
	return &stagedWriter{writer: writer{c: c, key: key, opts: opts}, id: id}, nil
}

// stagedWriter builds a staged object.
type stagedWriter struct {
	writer
	id string
}

// Finish implements objectstore.StagedWriter.
func (w *stagedWriter) Finish(ctx context.Context) (objectstore.Upload, error) {
	if w.done {
		return objectstore.Upload{}, fmt.Errorf("finish %s: the writer is done", w.key)
	}
	w.done = true
	backoff := objectstore.Backoff{Scheduler: w.c.p}
	err := backoff.Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		return w.c.call(ctx, "send parts of "+w.id, func() error {
			u := w.c.w.bucket.staged[w.id]
			if u == nil {
				return sqlerror.Externalf(sqlerror.CodeExternal, "send parts of %s: %w", w.id, objectstore.ErrNoUpload).Final()
			}
			u.data, u.finished = w.data, true
			return nil
		}, nil)
	})
	return objectstore.Upload{Key: w.key, ID: w.id, ETags: []string{"part"}, Size: int64(len(w.data))}, err
}

// Complete implements objectstore.Stager.
func (c *client) Complete(ctx context.Context, u objectstore.Upload) (info objectstore.Info, err error) {
	err = c.call(ctx, "complete "+u.ID, func() error {
		b := c.w.bucket
		staged := b.staged[u.ID]
		if staged == nil || !staged.finished {
			// It may have been completed before.
			o, ok := b.objects[u.Key]
			if !ok || int64(len(o.data)) != u.Size {
				return sqlerror.Externalf(sqlerror.CodeExternal, "complete %s: %w", u.ID, objectstore.ErrNoUpload).Final()
			}
			info = o.info(u.Key)
			return nil
		}
		info = b.put(staged.key, staged.data)
		delete(b.staged, u.ID)
		if err := c.w.model.appears(staged.key, u.ID); err != nil {
			c.w.s.Fail(err)
		}
		return nil
	}, nil)
	return info, err
}

// Discard implements objectstore.Stager.
func (c *client) Discard(ctx context.Context, u objectstore.Upload) error {
	return c.call(ctx, "discard "+u.ID, func() error {
		b := c.w.bucket
		if staged := b.staged[u.ID]; staged != nil && c.w.model.uploads[u.ID] {
			c.w.s.Fail(fmt.Errorf("upload %s of %s is discarded, and a commit has decided it", u.ID, staged.key))
		}
		delete(b.staged, u.ID)
		return nil
	}, nil)
}

// Uploads implements objectstore.Stager.
func (c *client) Uploads(ctx context.Context, prefix, _ string) (list []objectstore.Upload, err error) {
	err = c.call(ctx, "list uploads of "+prefix, func() error {
		b := c.w.bucket
		list = nil
		for _, id := range slices.Sorted(maps.Keys(b.staged)) {
			if strings.HasPrefix(b.staged[id].key, prefix) {
				list = append(list, objectstore.Upload{Key: b.staged[id].key, ID: id})
			}
		}
		return nil
	}, nil)
	return list, err
}
