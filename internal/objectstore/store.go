// Package objectstore reads and writes the objects of a lake: on S3 and what
// speaks its protocol, and in local folders.
//
// An object appears whole or not at all, is never changed once it exists, and
// is durable when the call that made it returns. Keys are "/"-separated and
// relative to the store's root; nothing outside the root can be written.
//
// Errors are *sqlerror.Error with the object's URI, a hint and whether trying
// again may help; a missing object is errors.Is(err, fs.ErrNotExist), one that
// must not have existed errors.Is(err, fs.ErrExist).
package objectstore

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Store holds the objects below one root. Its methods may be called from any
// goroutine.
type Store interface {
	// URI is the full name of the object, or of the root for an empty key.
	URI(key string) string
	// Key is the key of a full name; it fails for what is not below the root.
	Key(uri string) (string, error)
	// At is a store of the same kind and credentials with another root. It
	// shares this one's connections and is not closed.
	At(uri string) (Store, error)

	// Check verifies that the root can be listed, written, read and deleted from. A
	// missing local folder is made, a missing bucket is an error.
	Check(ctx context.Context) error
	// Head describes an object. Fails with fs.ErrNotExist if there is none.
	Head(ctx context.Context, key string) (Info, error)
	// Get reads an object of at most MaxGet bytes.
	Get(ctx context.Context, key string) ([]byte, error)
	// Open gives random access to an object of any size. The context governs
	// all reads.
	Open(ctx context.Context, key string) (Reader, error)
	// Put writes a small object.
	Put(ctx context.Context, key string, data []byte, opts PutOptions) (Info, error)
	// Create writes an object piece by piece. The context governs what goes on
	// in the background until Commit or Abort.
	Create(ctx context.Context, key string, opts WriterOptions) (Writer, error)
	// List names up to limit objects (1,000 if it is 0) whose key begins with
	// prefix and sorts behind startAfter, in byte order of their keys; more says
	// that there are others: it may be fewer than limit then, and is at least one.
	// A prefix ends at any byte, not only at a slash.
	List(ctx context.Context, prefix, startAfter string, limit int) (infos []Info, more bool, err error)
	// Delete removes objects. Those that do not exist are no error.
	Delete(ctx context.Context, keys ...string) error
	// Close frees connections. Open readers and writers end with it.
	Close() error
}

// All lists all objects whose key begins with prefix and sorts behind startAfter, page
// by page. It ends with an error of the store.
func All(ctx context.Context, s Store, prefix, startAfter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for more := true; more; {
			var infos []Info
			var err error
			if infos, more, err = s.List(ctx, prefix, startAfter, 0); err != nil {
				yield(Info{}, err)
				return
			}
			for _, info := range infos {
				startAfter = info.Key
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// Info describes an object.
type Info struct {
	Key      string
	Size     int64 // bytes
	ETag     string
	Modified time.Time
}

// PutOptions say how a small object is written.
type PutOptions struct {
	// IfNoneMatch fails with fs.ErrExist when the key exists. Of several that
	// race for a key exactly one wins.
	IfNoneMatch bool
}

// WriterOptions say how an object is written piece by piece.
type WriterOptions struct {
	// Retrying is told why the store cannot be written to for the moment, and
	// nil when it can again; it may be nil. It is called from any goroutine.
	Retrying func(error)
}

// Reader gives random access to an object.
type Reader interface {
	ReadAt(p []byte, off int64) (int, error)
	// Size in bytes.
	Size() int64
	Close() error
}

// Writer builds one object. It is used by one goroutine. What can be tried
// again is tried again, with pauses that grow to ten seconds, until the
// context ends.
type Writer interface {
	// Write appends p, which may be reused afterwards. It blocks while too many
	// bytes wait to be sent.
	Write(ctx context.Context, p []byte) error
	// Commit makes the object exist. The writer is done afterwards, also when
	// it fails.
	Commit(ctx context.Context) (Info, error)
	// Abort throws away what was written. It does nothing after Commit.
	Abort()
	// Buffered is how many bytes are held in memory.
	Buffered() int64
}

// MaxGet bounds what Get reads, in bytes.
const MaxGet = 256 << 20

// maxKey is S3's bound on the length of a key, in bytes.
const maxKey = 1024

// CheckKey refuses keys that are empty, absolute, longer than 1,024 bytes, no
// UTF-8, or have an empty, "." or ".." segment.
func CheckKey(key string) error {
	if key == "" {
		return sqlerror.Userf(sqlerror.CodeBadOption, "object key is empty")
	}
	if len(key) > maxKey {
		return sqlerror.Userf(sqlerror.CodeBadOption, "object key %.40q… is longer than %d bytes", key, maxKey)
	}
	if !utf8.ValidString(key) || strings.ContainsAny(key, "\x00\\") {
		return sqlerror.Userf(sqlerror.CodeBadOption, "object key %q holds bytes that are not allowed", key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "", ".", "..":
			return sqlerror.Userf(sqlerror.CodeBadOption, "object key %q leaves its folder", key)
		}
	}
	return nil
}

// Location is a parsed URI of a store's root or of an object.
type Location struct {
	Scheme string // "s3" or "file"
	Bucket string // of s3
	// Path is the key prefix within the bucket without slashes at its ends, or
	// an absolute local path.
	Path string
}

// String is the location as a URI, without a trailing slash.
func (l Location) String() string {
	if l.Scheme == "file" {
		return "file://" + l.Path
	}
	if l.Path == "" {
		return "s3://" + l.Bucket
	}
	return "s3://" + l.Bucket + "/" + l.Path
}

// ParseLocation reads s3://bucket/prefix (s3a and s3n too), file:///path or a
// plain path, which is made absolute. Paths are taken as they are: a "%" means
// itself.
func ParseLocation(uri string) (Location, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok && strings.HasPrefix(uri, "file:/"):
		return localLocation(strings.TrimPrefix(uri, "file:"))
	case !ok:
		return localLocation(uri)
	case scheme == "file":
		if host, _, _ := strings.Cut(rest, "/"); host != "" && host != "localhost" {
			return Location{}, badLocation(uri, "names another machine").WithHint("write file:///path with three slashes")
		}
		return localLocation(strings.TrimPrefix(rest, "localhost"))
	case scheme == "s3" || scheme == "s3a" || scheme == "s3n":
		bucket, key, _ := strings.Cut(rest, "/")
		if bucket == "" {
			return Location{}, badLocation(uri, "has no bucket").WithHint("write s3://bucket/prefix")
		}
		if strings.ContainsAny(bucket, "?#%@: \\") {
			return Location{}, badLocation(uri, "has a bucket name that S3 does not allow")
		}
		key = strings.Trim(key, "/")
		if key != "" {
			if err := CheckKey(key); err != nil {
				return Location{}, err
			}
		}
		return Location{Scheme: "s3", Bucket: bucket, Path: key}, nil
	}
	return Location{}, badLocation(uri, "has an unknown scheme").WithHint("write s3://bucket/prefix, file:///path or an absolute path")
}

func localLocation(p string) (Location, error) {
	if p == "" {
		return Location{}, badLocation(p, "is empty")
	}
	for segment := range strings.SplitSeq(filepath.ToSlash(p), "/") {
		if segment == ".." && filepath.IsAbs(p) {
			return Location{}, badLocation(p, "leaves its folder by \"..\"")
		}
	}
	if strings.ContainsAny(p, "\x00\n\r") {
		return Location{}, badLocation(p, "holds a control character")
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		return Location{}, fmt.Errorf("make path %q absolute: %w", p, err)
	}
	return Location{Scheme: "file", Path: filepath.ToSlash(abs)}, nil
}

// parseRoot is ParseLocation for a store's root, in which the characters are
// refused that readers of table metadata take for parts of a URI: some unescape
// paths, some do not.
func parseRoot(uri string) (Location, error) {
	l, err := ParseLocation(uri)
	if err == nil && strings.ContainsAny(l.Path, "%?#") {
		err = badLocation(uri, "holds one of % ? #").
			WithHint("readers of table metadata disagree about them; choose another path")
	}
	return l, err
}

func badLocation(uri, what string) *sqlerror.Error {
	return sqlerror.Userf(sqlerror.CodeBadOption, "path %q %s", uri, what)
}

// join is the key's place below a root path.
func join(root, key string) string {
	if key == "" {
		return root
	}
	if root == "" {
		return key
	}
	return strings.TrimSuffix(root, "/") + "/" + key
}

// keyBelow is where name lies below root ("" for root itself).
func keyBelow(root, name string) (string, bool) {
	if name == root {
		return "", true
	}
	if root == "" {
		return name, name != ""
	}
	return strings.CutPrefix(name, strings.TrimSuffix(root, "/")+"/")
}

// keyOf is the shared part of Key.
func keyOf(root Location, uri string) (string, error) {
	l, err := ParseLocation(uri)
	if err != nil {
		return "", err
	}
	if l.Scheme == root.Scheme && l.Bucket == root.Bucket {
		if key, ok := keyBelow(root.Path, l.Path); ok {
			return key, nil
		}
	}
	return "", sqlerror.Userf(sqlerror.CodeBadOption, "%s does not lie below %s", uri, root)
}

// errAborted is what a writer says that is used after its end.
func errAborted(uri string) error {
	return &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "commit " + uri + ": the writer was aborted"}
}

// OpenVersion opens the object that info, from List or Head, describes without
// asking for it again where the store can. Reads fail with fs.ErrExist once the
// key holds another version.
func OpenVersion(ctx context.Context, s Store, info Info) (Reader, error) {
	if s, ok := s.(*s3Store); ok && info.ETag != "" {
		if _, err := s.object(info.Key); err != nil {
			return nil, err
		}
		return &s3Reader{ctx: ctx, store: s, key: info.Key, size: info.Size, etag: info.ETag}, nil
	}
	return s.Open(ctx, info.Key)
}
