package faultstore

import (
	"context"

	"github.com/leatdb/leat/internal/objectstore"
)

// The calls of a Stager.
const (
	Stage    Op = "stage"
	Finish   Op = "finish"
	Complete Op = "complete"
	Discard  Op = "discard"
	Uploads  Op = "uploads"
)

var _ objectstore.Stager = (*Store)(nil)

func (s *Store) stager() objectstore.Stager { return s.inner.(objectstore.Stager) }

// Stage implements objectstore.Stager.
func (s *Store) Stage(ctx context.Context, key, place string, opts objectstore.WriterOptions) (objectstore.StagedWriter, error) {
	var w objectstore.StagedWriter
	err := s.do(ctx, Stage, key, func() (err error) { w, err = s.stager().Stage(ctx, key, place, opts); return err }, nil)
	if err != nil {
		if w != nil {
			w.Abort()
		}
		return nil, err
	}
	return &stagedWriter{StagedWriter: w, store: s, key: key, opts: opts}, nil
}

// stagedWriter injects faults and tries again what its inner writer would.
type stagedWriter struct {
	objectstore.StagedWriter
	store *Store
	key   string
	opts  objectstore.WriterOptions
}

func (w *stagedWriter) Write(ctx context.Context, p []byte) error {
	written := false
	return objectstore.Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		return w.store.do(ctx, Write, w.key, func() error {
			if written {
				return nil
			}
			err := w.StagedWriter.Write(ctx, p)
			written = err == nil
			return err
		}, nil)
	})
}

func (w *stagedWriter) Finish(ctx context.Context) (u objectstore.Upload, err error) {
	finished := false
	err = objectstore.Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		return w.store.do(ctx, Finish, w.key, func() (err error) {
			if !finished {
				u, err = w.StagedWriter.Finish(ctx)
				finished = err == nil
			}
			return err
		}, nil)
	})
	if err != nil && !w.store.Dead() {
		w.StagedWriter.Abort()
	}
	return u, err
}

// Abort leaves everything as it is when the process is dead.
func (w *stagedWriter) Abort() {
	if !w.store.Dead() {
		w.StagedWriter.Abort()
	}
}

// Complete implements objectstore.Stager.
func (s *Store) Complete(ctx context.Context, u objectstore.Upload) (info objectstore.Info, err error) {
	err = s.do(ctx, Complete, u.Key, func() (err error) { info, err = s.stager().Complete(ctx, u); return err }, nil)
	return info, err
}

// Discard implements objectstore.Stager.
func (s *Store) Discard(ctx context.Context, u objectstore.Upload) error {
	return s.do(ctx, Discard, u.Key, func() error { return s.stager().Discard(ctx, u) }, nil)
}

// Uploads implements objectstore.Stager.
func (s *Store) Uploads(ctx context.Context, prefix, place string) (uploads []objectstore.Upload, err error) {
	err = s.do(ctx, Uploads, prefix, func() (err error) { uploads, err = s.stager().Uploads(ctx, prefix, place); return err }, nil)
	return uploads, err
}
