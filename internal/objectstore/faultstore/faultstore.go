// Package faultstore puts faults between a program and its object store, for
// tests: calls that fail before or after their effect, writes that are torn,
// calls that hang, and a process that dies at a chosen call.
package faultstore

import (
	"context"
	"sync"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Op names a call of a store, reader or writer.
type Op string

// The calls.
const (
	Check  Op = "check"
	Head   Op = "head"
	Get    Op = "get"
	Open   Op = "open"
	ReadAt Op = "read at"
	Put    Op = "put"
	Create Op = "create"
	Write  Op = "write"
	Commit Op = "commit"
	List   Op = "list"
	Delete Op = "delete"
)

// Call is one call on its way to the store.
type Call struct {
	N   int // how many came before it
	Op  Op
	Key string
}

// Fault is what befalls a call.
type Fault uint8

const (
	// Pass lets the call through.
	Pass Fault = iota
	// FailBefore answers 503 and does nothing.
	FailBefore
	// FailAfter does it and answers as if the time had run out.
	FailAfter
	// Torn does half of a Put or Commit, leaving a shorter object, and fails.
	// Other calls fail before their effect, and so does a Put that must not find
	// the key: it is a commit, which stores make whole or not at all.
	Torn
	// Hang waits until the call's context ends.
	Hang
	// Crash does nothing and lets every later call fail, as if the process had
	// died; nothing can be retried.
	Crash
	// CrashAfter does it and then behaves as Crash.
	CrashAfter
)

// Store injects faults into another store.
type Store struct {
	inner  objectstore.Store
	shared *shared
}

// shared is what a store and those made by At have in common.
type shared struct {
	inject func(Call) Fault
	mu     sync.Mutex
	calls  []Call
	dead   bool
}

// New wraps a store. inject decides about each call, one at a time; nil lets
// all pass.
func New(inner objectstore.Store, inject func(Call) Fault) *Store {
	return &Store{inner: inner, shared: &shared{inject: inject}}
}

// CrashAt is an inject function that dies at call n, before or after its
// effect.
func CrashAt(n int, after bool) func(Call) Fault {
	return func(c Call) Fault {
		switch {
		case c.N != n:
			return Pass
		case after:
			return CrashAfter
		}
		return Crash
	}
}

// Calls is what came so far.
func (s *Store) Calls() []Call {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	return append([]Call(nil), s.shared.calls...)
}

// Dead reports whether a crash was injected.
func (s *Store) Dead() bool {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	return s.shared.dead
}

func unavailable(op Op, key string) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: 503 SlowDown (injected)", op, key)
}

func timedOut(op Op, key string) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: no answer (injected)", op, key)
}

func crashed(op Op, key string) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: the process is dead (injected)", op, key).Final()
}

// do runs a call under its fault. tear, if given, does half of it.
func (s *Store) do(ctx context.Context, op Op, key string, run, tear func() error) error {
	fault := s.shared.decide(op, key)
	switch fault {
	case FailBefore:
		return unavailable(op, key)
	case Torn:
		if tear != nil {
			if err := tear(); err != nil {
				return err
			}
		}
		return unavailable(op, key)
	case Hang:
		<-ctx.Done()
		return context.Cause(ctx)
	case Crash:
		return crashed(op, key)
	}
	err := run()
	switch {
	case fault == CrashAfter:
		return crashed(op, key)
	case fault == FailAfter && err == nil:
		return timedOut(op, key)
	}
	return err
}

func (s *shared) decide(op Op, key string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return Crash
	}
	call := Call{N: len(s.calls), Op: op, Key: key}
	s.calls = append(s.calls, call)
	if s.inject == nil {
		return Pass
	}
	fault := s.inject(call)
	s.dead = fault == Crash || fault == CrashAfter
	return fault
}

// URI is the inner store's.
func (s *Store) URI(key string) string { return s.inner.URI(key) }

// Key is the inner store's.
func (s *Store) Key(uri string) (string, error) { return s.inner.Key(uri) }

// At wraps the inner store's with the same faults.
func (s *Store) At(uri string) (objectstore.Store, error) {
	inner, err := s.inner.At(uri)
	if err != nil {
		return nil, err
	}
	return &Store{inner: inner, shared: s.shared}, nil
}

// Check implements objectstore.Store.
func (s *Store) Check(ctx context.Context) error {
	return s.do(ctx, Check, "", func() error { return s.inner.Check(ctx) }, nil)
}

// Head implements objectstore.Store.
func (s *Store) Head(ctx context.Context, key string) (info objectstore.Info, err error) {
	err = s.do(ctx, Head, key, func() (err error) { info, err = s.inner.Head(ctx, key); return err }, nil)
	return info, err
}

// Get implements objectstore.Store.
func (s *Store) Get(ctx context.Context, key string) (data []byte, err error) {
	err = s.do(ctx, Get, key, func() (err error) { data, err = s.inner.Get(ctx, key); return err }, nil)
	return data, err
}

// Open implements objectstore.Store.
func (s *Store) Open(ctx context.Context, key string) (objectstore.Reader, error) {
	var r objectstore.Reader
	err := s.do(ctx, Open, key, func() (err error) { r, err = s.inner.Open(ctx, key); return err }, nil)
	if err != nil {
		if r != nil {
			_ = r.Close()
		}
		return nil, err
	}
	return &reader{Reader: r, ctx: ctx, store: s, key: key}, nil
}

type reader struct {
	objectstore.Reader
	ctx   context.Context
	store *Store
	key   string
}

func (r *reader) ReadAt(p []byte, off int64) (n int, err error) {
	err = r.store.do(r.ctx, ReadAt, r.key, func() (err error) { n, err = r.Reader.ReadAt(p, off); return err }, nil)
	return n, err
}

// Put implements objectstore.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) (info objectstore.Info, err error) {
	err = s.do(ctx, Put, key,
		func() (err error) { info, err = s.inner.Put(ctx, key, data, opts); return err },
		func() error {
			if opts.IfNoneMatch {
				return nil
			}
			_, err := s.inner.Put(ctx, key, data[:len(data)/2], opts)
			return err
		})
	return info, err
}

// Create implements objectstore.Store.
func (s *Store) Create(ctx context.Context, key string, opts objectstore.WriterOptions) (objectstore.Writer, error) {
	var w objectstore.Writer
	err := s.do(ctx, Create, key, func() (err error) { w, err = s.inner.Create(ctx, key, opts); return err }, nil)
	if err != nil {
		if w != nil {
			w.Abort()
		}
		return nil, err
	}
	return &writer{Writer: w, store: s, key: key, opts: opts}, nil
}

// writer injects faults and tries again what its inner writer would.
type writer struct {
	objectstore.Writer
	store *Store
	key   string
	opts  objectstore.WriterOptions
	all   []byte // what was written, to tear it
}

func (w *writer) Write(ctx context.Context, p []byte) error {
	w.all = append(w.all, p...)
	written := false
	return objectstore.Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		return w.store.do(ctx, Write, w.key, func() error {
			if written {
				return nil
			}
			err := w.Writer.Write(ctx, p)
			written = err == nil
			return err
		}, nil)
	})
}

func (w *writer) Commit(ctx context.Context) (info objectstore.Info, err error) {
	committed := false
	err = objectstore.Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		return w.store.do(ctx, Commit, w.key, func() (err error) {
			if !committed {
				info, err = w.Writer.Commit(ctx)
				committed = err == nil
			}
			return err
		}, func() error {
			_, err := w.store.inner.Put(ctx, w.key, w.all[:len(w.all)/2], objectstore.PutOptions{})
			return err
		})
	})
	if err != nil {
		w.Writer.Abort()
	}
	return info, err
}

// List implements objectstore.Store.
func (s *Store) List(ctx context.Context, prefix, startAfter string, limit int) (infos []objectstore.Info, more bool, err error) {
	err = s.do(ctx, List, prefix, func() (err error) { infos, more, err = s.inner.List(ctx, prefix, startAfter, limit); return err }, nil)
	return infos, more, err
}

// Delete implements objectstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	first := ""
	if len(keys) > 0 {
		first = keys[0]
	}
	return s.do(ctx, Delete, first, func() error { return s.inner.Delete(ctx, keys...) }, nil)
}

// Close closes the inner store.
func (s *Store) Close() error { return s.inner.Close() }
