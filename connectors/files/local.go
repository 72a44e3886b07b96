package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatdb/leat/sql/sqlerror"
)

// folder is the local store.
type folder struct {
	name      string // as the user wrote it
	root      string // the folder that split ids are relative to, for a glob
	pattern   []string
	recursive bool
}

func openFolder(text string, recursive bool) (*folder, error) {
	name := strings.TrimPrefix(text, "file://")
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "path %q: the files connector reads local paths and s3://, not %s://", text, scheme)
	}
	if name == "" {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "path is empty")
	}
	l := &folder{name: filepath.Clean(name), recursive: recursive}
	if !strings.ContainsAny(name, "*?[") {
		return l, nil
	}
	parts := strings.Split(filepath.ToSlash(l.name), "/")
	fixed := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, "*?[") })
	l.root = strings.Join(parts[:fixed], "/")
	switch {
	case l.root == "" && fixed > 0:
		l.root = "/"
	case l.root == "":
		l.root = "."
	}
	l.pattern = parts[fixed:]
	return l, checkPattern(text, l.pattern)
}

// checkPattern refuses a pattern that path.Match cannot read.
func checkPattern(text string, pattern []string) error {
	for _, p := range pattern {
		if _, err := path.Match(p, ""); err != nil {
			return sqlerror.Userf(sqlerror.CodeBadOption, "path %q: %q is no pattern", text, p).
				WithHint("a [ must be closed by ]; a backslash takes the next character as it is")
		}
	}
	return nil
}

func (l *folder) path() (string, bool) { return l.name, l.pattern != nil }
func (l *folder) immutable() bool      { return false }
func (l *folder) expect(entry) bool    { return false }
func (l *folder) close() error         { return nil }

func (l *folder) list(_ context.Context, _ string, visit func(entry) bool) error {
	var found []entry
	add := func(id, name string, info fs.FileInfo) {
		if info.Size() > 0 {
			found = append(found, entry{id: splitID(id), path: name, size: info.Size(), modified: info.ModTime().UnixMicro()})
		}
	}
	info, err := os.Stat(l.name)
	switch {
	case err == nil && info.IsDir():
		err = l.walk(l.name, "", nil, add)
	case err == nil && info.Mode().IsRegular():
		add(filepath.Base(l.name), l.name, info)
	case err == nil:
		err = sqlerror.Userf(sqlerror.CodeBadOption, "path %s is neither a file nor a folder", l.name)
	case errors.Is(err, fs.ErrNotExist) && l.pattern != nil:
		if _, err = os.Stat(l.root); err == nil {
			err = l.walk(l.root, "", [][]string{l.pattern}, add)
		}
	}
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	slices.SortFunc(found, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	for _, e := range found {
		if !visit(e) {
			break
		}
	}
	return nil
}

func (l *folder) stat(_ context.Context, e entry) (entry, error) {
	info, err := os.Stat(e.path)
	if err != nil {
		return entry{}, err
	}
	e.size, e.modified = info.Size(), info.ModTime().UnixMicro()
	return e, nil
}

func (l *folder) open(_ context.Context, e entry) (object, error) {
	f, err := os.Open(e.path)
	if err != nil {
		return nil, err
	}
	return localFile{f, e}, nil
}

// localFile is an opened file of a folder.
type localFile struct {
	*os.File
	entry entry
}

func (f localFile) ready(context.Context, int64) error { return nil }

func (f localFile) readExactly(p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

func (f localFile) stat() (entry, error) {
	info, err := f.Stat()
	if err != nil {
		return entry{}, err
	}
	e := f.entry
	e.size, e.modified = info.Size(), info.ModTime().UnixMicro()
	return e, nil
}

// walk visits the files of folder. states are the rests of the pattern, any of
// which may match what is below folder; nil matches everything. Linked folders
// are not followed, since they may lead in circles.
func (l *folder) walk(folder, id string, states [][]string, add func(id, name string, info fs.FileInfo)) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if skipped(name, states) {
			continue
		}
		var below [][]string
		matched := states == nil
		for _, rest := range advance(states, name) {
			if len(rest) == 0 {
				matched = true
			} else {
				below = append(below, rest)
			}
		}
		if e.IsDir() {
			if states == nil && !l.recursive || states != nil && below == nil {
				continue
			}
			err := l.walk(filepath.Join(folder, name), path.Join(id, name), below, add)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if !matched {
			continue
		}
		info, err := e.Info()
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = os.Stat(filepath.Join(folder, name))
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since the folder was read
		case err != nil:
			return err
		case info.Mode().IsRegular():
			add(path.Join(id, name), filepath.Join(folder, name), info)
		}
	}
	return nil
}

// splitID is a relative path as a split id: text, in which bytes that are no
// UTF-8 are escaped.
func splitID(id string) string {
	if utf8.ValidString(id) {
		return id
	}
	var b strings.Builder
	for i := 0; i < len(id); {
		r, n := utf8.DecodeRuneInString(id[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%%%02X", id[i])
		} else {
			b.WriteString(id[i : i+n])
		}
		i += n
	}
	return b.String()
}
