package files

import (
	"cmp"
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

// location is what the path option names.
type location struct {
	path      string // as the user wrote it
	root      string // the folder that split ids are relative to, for a glob
	pattern   []string
	recursive bool
}

// entry is a file as it was listed.
type entry struct {
	id       string
	path     string
	size     int64
	modified int64 // µs since 1970
}

func parseLocation(text string, recursive bool) (location, error) {
	name := strings.TrimPrefix(text, "file://")
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		return location{}, sqlerror.Userf(sqlerror.CodeUnsupported, "path %q: the files connector reads local paths, not %s://", text, scheme)
	}
	if name == "" {
		return location{}, sqlerror.Userf(sqlerror.CodeBadOption, "path is empty")
	}
	l := location{path: filepath.Clean(name), recursive: recursive}
	if !strings.ContainsAny(name, "*?[") {
		return l, nil
	}
	parts := strings.Split(filepath.ToSlash(l.path), "/")
	fixed := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, "*?[") })
	l.root = strings.Join(parts[:fixed], "/")
	switch {
	case l.root == "" && fixed > 0:
		l.root = "/"
	case l.root == "":
		l.root = "."
	}
	l.pattern = parts[fixed:]
	for _, p := range l.pattern {
		if _, err := path.Match(p, ""); err != nil {
			return location{}, sqlerror.Userf(sqlerror.CodeBadOption, "path %q: %q is no pattern", text, p).
				WithHint("a [ must be closed by ]; a backslash takes the next character as it is")
		}
	}
	return l, nil
}

// glob reports whether the path is a pattern.
func (l *location) glob() bool { return l.pattern != nil }

// list finds the files with something in them, by id. The error is
// fs.ErrNotExist when the path, or the fixed part of the glob, does not exist.
func (l *location) list() ([]entry, error) {
	var found []entry
	add := func(id, name string, info fs.FileInfo) {
		if info.Size() > 0 {
			found = append(found, entry{id: splitID(id), path: name, size: info.Size(), modified: info.ModTime().UnixMicro()})
		}
	}
	info, err := os.Stat(l.path)
	switch {
	case err == nil && info.IsDir():
		err = l.walk(l.path, "", nil, add)
	case err == nil && info.Mode().IsRegular():
		add(filepath.Base(l.path), l.path, info)
	case err == nil:
		err = sqlerror.Userf(sqlerror.CodeBadOption, "path %s is neither a file nor a folder", l.path)
	case errors.Is(err, fs.ErrNotExist) && l.glob():
		if _, err = os.Stat(l.root); err == nil {
			err = l.walk(l.root, "", [][]string{l.pattern}, add)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	slices.SortFunc(found, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	return found, nil
}

// walk visits the files of folder. states are the rests of the pattern, any of
// which may match what is below folder; nil matches everything. Linked folders
// are not followed, since they may lead in circles.
func (l *location) walk(folder, id string, states [][]string, add func(id, name string, info fs.FileInfo)) error {
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

// advance takes one path component off the rests of a pattern. All rests end
// the pattern, so that their lengths tell them apart.
func advance(states [][]string, name string) [][]string {
	var next [][]string
	reach := func(rest []string) {
		if !slices.ContainsFunc(next, func(r []string) bool { return len(r) == len(rest) }) {
			next = append(next, rest)
		}
	}
	var step func(rest []string)
	step = func(rest []string) {
		if len(rest) == 0 {
			return
		}
		if rest[0] != "**" {
			if ok, _ := path.Match(rest[0], name); ok {
				reach(rest[1:])
			}
			return
		}
		reach(rest) // name is one of the folders that ** stands for
		if len(rest) == 1 {
			reach(rest[1:])
		}
		step(rest[1:]) // ** stands for no folder
	}
	for _, rest := range states {
		step(rest)
	}
	return next
}

// skipped reports whether the name is that of a hidden or unfinished file. A
// pattern that asks for such names by their first letter gets them.
func skipped(name string, states [][]string) bool {
	if strings.HasSuffix(name, ".tmp") {
		return true
	}
	if name[0] != '.' && name[0] != '_' {
		return false
	}
	return !slices.ContainsFunc(states, func(rest []string) bool { return rest[0] != "" && rest[0][0] == name[0] })
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
