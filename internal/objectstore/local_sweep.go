package objectstore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// Sweeper is a store in which a process that dies leaves something of the objects
// behind that it was writing.
type Sweeper interface {
	// Sweep removes what dead processes have left below a prefix that ends a
	// segment, and says how much that was. What a living one writes stays, here or
	// elsewhere, and so does what is staged.
	Sweep(ctx context.Context, prefix string) (removed int, err error)
}

// leftBehind is the name of a temporary file, as createTemp makes it. Staged
// objects have others.
var leftBehind = regexp.MustCompile(`^\..*-[0-9]+\` + tempSuffix + `$`)

// Sweep implements Sweeper. A temporary file is locked by whoever writes it, and
// the system unlocks it when that one dies; where files cannot be locked nothing
// is removed.
func (s *local) Sweep(ctx context.Context, prefix string) (removed int, err error) {
	folder := filepath.FromSlash(s.root.Path)
	if prefix != "" {
		if folder, err = s.path(prefix); err != nil {
			return 0, err
		}
	}
	if removed, err = sweepFolder(ctx, folder); err != nil {
		err = localError("sweep", s.URI(prefix), err)
	}
	return removed, err
}

// sweepFolder sweeps a folder, of which a piece at a time is held, and those
// below it.
func sweepFolder(ctx context.Context, folder string) (removed int, err error) {
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(1000)
		for _, entry := range entries {
			name := filepath.Join(folder, entry.Name())
			switch {
			case ctx.Err() != nil:
				return removed, ctx.Err()
			case entry.IsDir():
				n, err := sweepFolder(ctx, name)
				removed += n
				if err != nil {
					return removed, err
				}
			case entry.Type().IsRegular() && leftBehind.MatchString(entry.Name()) && removeAbandoned(name):
				removed++
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist):
			return removed, nil
		case err != nil:
			return removed, err
		}
	}
}

// removeAbandoned removes a temporary file that nobody has locked.
func removeAbandoned(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false // finished meanwhile, or not ours
	}
	defer f.Close()
	// Whoever has just made it and not yet locked it finds that it is gone.
	return lockFile(f) == nil && os.Remove(name) == nil
}
