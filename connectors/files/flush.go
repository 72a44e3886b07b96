package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Ends lists the files with their sizes. An unfinished last line of a tailed
// file does not count as being there.
func (s *source) Ends(ctx context.Context) (connectors.Positions, error) {
	entries, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.news = entries
	s.mu.Unlock()
	ends := connectors.Positions{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		var pos position
		f, finished := s.files[e.id], s.ledger.find(e.id)
		switch {
		case f != nil:
			pos = f.pos
		case finished != nil:
			pos = finished.position()
		}
		s.mu.Unlock()
		if pos.Done && pos.Size == e.size {
			if f != nil {
				ends[e.id] = position{Offset: pos.Offset}.encode()
			}
			continue
		}
		end, err := s.endOf(ctx, e, pos.Offset)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, sqlerror.Externalf(sqlerror.CodeExternal, "find end of file %s: %w", e.id, err).About("source " + s.cfg.Name)
		}
		if end != (position{}) {
			ends[e.id] = end.encode()
		}
	}
	return ends, nil
}

// endOf is the position that a file has to reach: in its lines, or where those
// cannot be counted, at the end of what is stored.
func (s *source) endOf(ctx context.Context, e entry, from int64) (_ position, err error) {
	if s.store.immutable() {
		return position{Done: true, Size: e.size}, nil
	}
	file, err := s.store.open(ctx, e)
	if err != nil {
		return position{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	kind := s.compression
	if kind == "" {
		if kind, err = detect(file, e.path); err != nil {
			return position{}, err
		}
	}
	switch {
	case kind != uncompressed || s.limits.whole():
		return position{Done: true, Size: e.size}, nil
	case s.once:
		return position{Offset: e.size}, nil
	}
	end, err := lastLineEnd(file, min(from, e.size), e.size)
	if s.limits.layout != nil && end > from {
		// The line break may lie within a record that is unfinished.
		return position{Offset: end, Size: e.size}, err
	}
	return position{Offset: end}, err
}

// lastLineEnd is the offset behind the last line break in [from, to), or from.
func lastLineEnd(file io.ReaderAt, from, to int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for to > from {
		n := min(int64(len(buf)), to-from)
		got, err := file.ReadAt(buf[:n], to-n)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:got], '\n'); i >= 0 {
			return to - n + int64(i) + 1, nil
		}
		to -= n
	}
	return from, nil
}

// Reached holds for a file that left the positions only when its end was
// committed, or when the file has vanished.
func (s *source) Reached(split string, at, end connectors.Position) bool {
	want, err := parsePosition(split, end)
	if err != nil {
		return false
	}
	var pos position
	if at != "" {
		if pos, err = parsePosition(split, at); err != nil {
			return false
		}
	} else {
		s.mu.Lock()
		finished := s.ledger.find(split)
		_, assigned := s.files[split]
		_, there := s.listed[split]
		s.mu.Unlock()
		switch {
		case finished != nil:
			pos = finished.position()
		case !assigned && !there:
			return true
		}
	}
	switch {
	case pos.Gone:
		return true
	case want.Done:
		return pos.Done && pos.Size >= want.Size
	case pos.Offset >= want.Offset:
		return true
	case want.Size == 0:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[split]
	return f != nil && f.partial && f.seen.size >= want.Size && pos.Offset >= f.pos.Offset
}
