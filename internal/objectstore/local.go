package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/leatdb/leat/sql/sqlerror"
)

// local keeps objects as files. A file is written under a temporary name,
// synced, renamed and its folder synced, so that it appears whole and stays.
type local struct {
	root Location
}

// OpenLocal is a store in a local folder, which is made when something is
// written or by Check.
func OpenLocal(uri string) (Store, error) {
	l, err := parseRoot(uri)
	if err != nil {
		return nil, err
	}
	if l.Scheme != "file" {
		return nil, badLocation(uri, "is no local path")
	}
	return &local{root: l}, nil
}

// tempSuffix marks files that are being written. No pattern for data files
// matches it, and List leaves it out.
const tempSuffix = ".leat-tmp"

func (s *local) URI(key string) string {
	return Location{Scheme: "file", Path: join(s.root.Path, key)}.String()
}

func (s *local) Key(uri string) (string, error) { return keyOf(s.root, uri) }

func (s *local) At(uri string) (Store, error) {
	l, err := ParseLocation(uri)
	if err == nil && l.Scheme != "file" {
		err = badLocation(uri, "is no local path")
	}
	if err != nil {
		return nil, err
	}
	return &local{root: l}, nil
}

func (s *local) path(key string) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return filepath.FromSlash(join(s.root.Path, key)), nil
}

func (s *local) Check(ctx context.Context) error {
	root := filepath.FromSlash(s.root.Path)
	if err := makeFolder(root); err != nil {
		return localError("make folder", s.root.String(), err)
	}
	probe, err := os.CreateTemp(root, ".check-*"+tempSuffix)
	if err != nil {
		return localError("write to", s.root.String(), err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()), ctx.Err())
}

func (s *local) Head(ctx context.Context, key string) (Info, error) {
	name, err := s.path(key)
	if err != nil {
		return Info{}, err
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, localError("look at", s.URI(key), err)
	}
	return fileInfo(key, info), ctx.Err()
}

func fileInfo(key string, info fs.FileInfo) Info {
	return Info{
		Key: key, Size: info.Size(), Modified: info.ModTime().UTC(),
		ETag: fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size()),
	}
}

func (s *local) Get(ctx context.Context, key string) ([]byte, error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readAll(s.URI(key), r)
}

// readAll reads an object of at most MaxGet bytes.
func readAll(uri string, r Reader) ([]byte, error) {
	if r.Size() > MaxGet {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "%s has %d bytes; at most %d are read at once", uri, r.Size(), MaxGet).Final()
	}
	data := make([]byte, r.Size())
	if _, err := r.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

func (s *local) Open(ctx context.Context, key string) (Reader, error) {
	name, err := s.path(key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, localError("open", s.URI(key), err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, localError("open", s.URI(key), err)
	}
	return &localReader{File: f, size: info.Size()}, ctx.Err()
}

type localReader struct {
	*os.File
	size int64
}

func (r *localReader) Size() int64 { return r.size }

func (s *local) Put(ctx context.Context, key string, data []byte, opts PutOptions) (Info, error) {
	w, err := s.create(key, nil)
	if err != nil {
		return Info{}, err
	}
	defer w.Abort()
	w.once, w.exclusive = true, opts.IfNoneMatch
	if err := w.Write(ctx, data); err != nil {
		return Info{}, err
	}
	return w.Commit(ctx)
}

func (s *local) Create(_ context.Context, key string, opts WriterOptions) (Writer, error) {
	return s.create(key, opts.Retrying)
}

func (s *local) create(key string, retrying func(error)) (*localWriter, error) {
	name, err := s.path(key)
	if err != nil {
		return nil, err
	}
	return &localWriter{store: s, key: key, name: name, retrying: retrying}, nil
}

// flushBytes is how much a writer gathers before it touches the disk: an
// object that stays smaller needs no open file until it is committed.
const flushBytes = 1 << 20

// block is a piece of what writers gather; blocks are used again.
type block [64 << 10]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

type localWriter struct {
	store     *local
	key, name string
	retrying  func(error)
	once      bool     // report the first failure instead of trying again
	exclusive bool     // the name must be free
	staged    string   // the file that Complete renames, "" for a temporary one
	gathered  []*block // all but the last are full
	last      int      // bytes in the last of them
	temp      *os.File
	written   int64
	named     bool
	done      bool
}

func (w *localWriter) Buffered() int64 { return int64(len(w.gathered)) * int64(len(block{})) }

func (w *localWriter) Write(ctx context.Context, p []byte) error {
	if w.Buffered()+int64(len(p)) < flushBytes {
		w.gather(p)
		return nil
	}
	if err := w.retry(ctx, w.flush); err != nil {
		return err
	}
	return w.retry(ctx, func() error { return w.write(p) })
}

func (w *localWriter) retry(ctx context.Context, op func() error) error {
	run := func(context.Context) error {
		if err := op(); err != nil {
			return localError("write", w.store.URI(w.key), err)
		}
		return nil
	}
	if w.once {
		return errors.Join(ctx.Err(), run(ctx))
	}
	return Retry(ctx, w.retrying, run)
}

// gather keeps p for a later flush.
func (w *localWriter) gather(p []byte) {
	for len(p) > 0 {
		if len(w.gathered) == 0 || w.last == len(block{}) {
			w.gathered, w.last = append(w.gathered, blocks.Get().(*block)), 0
		}
		n := copy(w.gathered[len(w.gathered)-1][w.last:], p)
		w.last += n
		p = p[n:]
	}
}

// flush moves what was gathered to the temporary file, which it makes in any
// case. Repeated after a failure it goes on where that was.
func (w *localWriter) flush() error {
	for len(w.gathered) > 0 {
		b := w.gathered[0]
		n := len(b)
		if len(w.gathered) == 1 {
			n = w.last
		}
		if err := w.write(b[:n]); err != nil {
			return err
		}
		w.gathered = w.gathered[1:]
		blocks.Put(b)
	}
	return w.write(nil)
}

// write appends to the temporary file. Repeated after a failure it writes the
// same bytes to the same place.
func (w *localWriter) write(p []byte) error {
	if w.temp == nil {
		create := func() (*os.File, error) { return createTemp(w.name) }
		if w.staged != "" {
			create = func() (*os.File, error) { return createStaged(w.staged) }
		}
		temp, err := create()
		if err != nil {
			return err
		}
		w.temp = temp
	}
	if _, err := w.temp.WriteAt(p, w.written); err != nil {
		return err
	}
	w.written += int64(len(p))
	return nil
}

// createTemp makes the temporary file beside name, locked, and its folder, which a
// Delete of its last file may take away in between.
func createTemp(name string) (temp *os.File, err error) {
	dir, base := filepath.Split(name)
	for range 10 {
		if err = makeFolder(dir); err != nil {
			return nil, err
		}
		temp, err = os.CreateTemp(dir, "."+shorten(base)+"-*"+tempSuffix)
		if err == nil && !hold(temp) {
			_ = temp.Close()
			err = fs.ErrNotExist
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return temp, err
}

// shorten leaves room for what CreateTemp adds to a file name.
func shorten(base string) string {
	return base[:min(len(base), 100)]
}

func (w *localWriter) Commit(ctx context.Context) (Info, error) {
	defer w.Abort()
	if w.done {
		return Info{}, errAborted(w.store.URI(w.key))
	}
	if err := w.retry(ctx, w.flush); err != nil {
		return Info{}, err
	}
	// A failed sync is not repeated: the kernel may have dropped the pages and
	// would then report success.
	if err := w.temp.Sync(); err != nil {
		return Info{}, localError("sync", w.store.URI(w.key), err)
	}
	// The file stays open, so that nobody sweeps it before it has its name.
	if err := w.retry(ctx, w.publish); err != nil {
		return Info{}, err
	}
	w.done = true
	info, err := os.Stat(w.name)
	if err != nil {
		return Info{}, localError("look at", w.store.URI(w.key), err)
	}
	return fileInfo(w.key, info), nil
}

// publish gives the file its name; it can be repeated.
func (w *localWriter) publish() error {
	if !w.named {
		if w.exclusive {
			if err := os.Link(w.temp.Name(), w.name); err != nil {
				return err
			}
		} else if err := os.Rename(w.temp.Name(), w.name); err != nil {
			return err
		}
		w.named = true
	}
	return syncFolder(filepath.Dir(w.name))
}

func (w *localWriter) Abort() {
	w.done = true
	for _, b := range w.gathered {
		blocks.Put(b)
	}
	w.gathered = nil
	if w.temp != nil {
		_ = w.temp.Close()
		if !w.named || w.exclusive {
			_ = os.Remove(w.temp.Name())
		}
		w.temp = nil
	}
}

// makeFolder makes a folder and those above it, and syncs the parent of each
// that was made, so that a crash does not take a synced file's folder away.
func makeFolder(dir string) error {
	dir = filepath.Clean(dir)
	if info, err := os.Stat(dir); err == nil {
		if info.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return nil
	}
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

func (s *local) List(ctx context.Context, prefix, startAfter string, limit int) ([]Info, bool, error) {
	if prefix != "" {
		if err := CheckKey(strings.TrimSuffix(prefix, "/")); err != nil {
			return nil, false, err
		}
	}
	if limit <= 0 {
		limit = 1000
	}
	root := filepath.FromSlash(s.root.Path)
	folder := root
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		folder = filepath.Join(root, filepath.FromSlash(prefix[:i]))
	}
	var infos []Info
	// A walk visits "a/b" before "a.b", keys sort the other way round, so
	// everything behind startAfter is gathered and sorted.
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if entry.IsDir() {
			if below := key + "/"; name != folder && key != "." &&
				!strings.HasPrefix(below, prefix) && !strings.HasPrefix(prefix, below) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(key, prefix) || key <= startAfter || strings.HasSuffix(key, tempSuffix) {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		infos = append(infos, fileInfo(key, info))
		return nil
	})
	if err != nil {
		return nil, false, localError("list", s.URI(path.Dir(prefix+"x")), err)
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	if len(infos) > limit {
		return infos[:limit:limit], true, nil
	}
	return infos, false, nil
}

func (s *local) Delete(ctx context.Context, keys ...string) error {
	folders := map[string]bool{}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := s.path(key)
		if err != nil {
			return err
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return localError("delete", s.URI(key), err)
		}
		folders[filepath.Dir(name)] = true
	}
	root := filepath.FromSlash(s.root.Path)
	for dir := range folders {
		// Folders mean nothing to an object store: those left empty go too.
		for dir != root && strings.HasPrefix(dir, root+string(filepath.Separator)) {
			if os.Remove(dir) != nil {
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	return nil
}

func (s *local) Close() error { return nil }

// localError classifies an error of the file system.
func localError(op, uri string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: %w", op, uri, err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return e.WithHint("the disk is full; free space and writing goes on")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Code = sqlerror.CodeAuth
		return e.WithHint("the process may not write there; change the folder's owner or mode")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return e.WithHint("too many files are open; raise the limit (ulimit -n)")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTDIR):
		return e.Final()
	}
	return e
}
