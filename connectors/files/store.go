package files

import (
	"context"
	"crypto/sha256"
	"io"
	"strconv"
	"strings"
)

// store is where the files lie: a local folder or a bucket.
type store interface {
	// list visits the files that are not empty, in the order of their ids, from
	// behind after on, until visit says false. The error is fs.ErrNotExist when
	// the path, or the fixed part of a glob, does not exist.
	list(ctx context.Context, after string, visit func(entry) bool) error
	// stat looks at a file again; fs.ErrNotExist when it has vanished.
	stat(ctx context.Context, e entry) (entry, error)
	// open opens a file; fs.ErrNotExist when it has vanished. It reads what e
	// describes where files cannot change while they are read, and fails with
	// fs.ErrExist when another has taken its place.
	open(ctx context.Context, e entry) (object, error)
	// expect says which file will be read next but for those that it was told
	// before; false when it wants to hear of this one later.
	expect(e entry) bool
	// immutable reports whether files appear whole and are never appended to.
	immutable() bool
	// path is where the store is, as the user wrote it; glob that it is a pattern.
	path() (path string, glob bool)
	close() error
}

// object is an opened file.
type object interface {
	io.ReaderAt
	// ready waits until what follows off can be read without waiting.
	ready(ctx context.Context, off int64) error
	// readExactly fills p with what lies at off, wherever that is.
	readExactly(p []byte, off int64) error
	// stat describes the file as it is now.
	stat() (entry, error)
	Close() error
}

// entry is a file as it was listed.
type entry struct {
	id       string
	path     string // in the store
	size     int64
	modified int64  // µs since 1970
	etag     string // of an object
}

// version tells versions of a file apart: when it changes, the content may have
// changed.
func (e entry) version() string {
	if e.etag != "" {
		return strings.Trim(e.etag, `"`)
	}
	return strconv.FormatInt(e.modified, 36)
}

func (e entry) stamp() stamp { return stamp{e.size, e.modified} }

// tagBytes is how much of a version's hash the ledger keeps.
const tagBytes = 4

func (e entry) tag() (tag [tagBytes]byte) {
	sum := sha256.Sum256([]byte(e.version()))
	copy(tag[:], sum[:])
	return tag
}
