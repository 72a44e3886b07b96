package files

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// reappeared looks at a file of the ledger that may have changed: it is a split
// again when it has grown, or when another has taken its place and
// on_changed_object says so.
func (s *source) reappeared(ctx context.Context, e entry, f *finished) (*connectors.Split, error) {
	pos := f.position()
	pos.Gone = false
	same, err := s.sameContent(ctx, e, f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "look at file %s: %w", e.id, err).About("source " + s.cfg.Name)
	}
	if !same {
		reread, err := s.changed(e.id, pos.encode(), "it was read")
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if reread {
			s.ledger.remove(e.id)
			s.replaced[e.id] = struct{}{}
			return &connectors.Split{ID: e.id}, nil
		}
		f.size, f.tag, f.tagged = e.size, e.tag(), true
		s.ledger.encoded = ""
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.size == f.size {
		f.tag, f.tagged = e.tag(), true
		s.ledger.encoded = ""
		return nil, nil
	}
	return &connectors.Split{ID: e.id, Start: pos.encode()}, nil
}

// sameContent reports whether the file, of which another version was read, still
// begins with what was read. An object is read as a whole for that, which its
// ETag cannot tell: a copy in parts or under another key has another one.
func (s *source) sameContent(ctx context.Context, e entry, f *finished) (same bool, err error) {
	if e.size < f.size || e.size > f.size && s.store.immutable() {
		return false, nil
	}
	file, err := s.store.open(ctx, e)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	check := hex.EncodeToString(f.check[:])
	if !s.store.immutable() {
		window, err := readWindow(file, f.size)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return err == nil && sameCheck(checksum(window), check), err
	}
	crc, err := prefixCRC(ctx, file, e.size)
	if err != nil {
		return false, err
	}
	return fmt.Sprintf("%08x", crc) == check, nil
}

// changed decides by on_changed_object what becomes of a file in whose place
// another lies: reread it, skip it (noted as data loss), or fail.
func (s *source) changed(id string, from connectors.Position, when string) (reread bool, err error) {
	switch s.onChanged {
	case "reread":
		return true, nil
	case "skip":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost = append(s.lost, connectors.DataLoss{Split: id, From: from, Records: -1, Reason: "the file changed after " + when + "; its new content is skipped"})
		return false, nil
	}
	return false, sqlerror.Externalf(sqlerror.CodeDataLoss, "file %s changed after %s", id, when).Final().About("source " + s.cfg.Name).
		WithHint("set on_changed_object = 'reread' in the source to read such files again from their beginning, beside the rows that they gave before, or 'skip' to leave them as they were read")
}
