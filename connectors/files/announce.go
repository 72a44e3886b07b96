package files

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// openQueue opens the queue that tells of new objects, if the options name one.
func (s *source) openQueue(ctx context.Context) (err error) {
	o := s.cfg.Options
	bad := func(format string, args ...any) *sqlerror.Error {
		return sqlerror.Userf(sqlerror.CodeBadOption, format, args...)
	}
	if !o.Has("notifications") {
		for _, name := range []string{"listing_interval", "visibility_timeout"} {
			if o.Has(name) {
				return bad("option %q needs the option notifications", name).
					WithHint("without it, discovery_interval says how often a prefix is listed")
			}
		}
		return nil
	}
	switch {
	case s.once:
		return bad("option %q needs mode = 'tail'", "notifications")
	case s.growing:
		return bad("option %q does not go with listing = 'growing', which forgets what was read", "notifications")
	case o.Duration("visibility_timeout") > 12*time.Hour || o.Duration("visibility_timeout")%time.Second != 0:
		return bad("option %q has to be whole seconds, at most 12h", "visibility_timeout")
	}
	s.messages, err = openQueue(ctx, s.cfg, s.store.(*bucket))
	s.listPause = o.Duration("listing_interval")
	return err
}

// announced lists the objects that notifications told of and that may have to be
// read, and settles the notices of those that were read before. The caller is
// the one goroutine that lists splits.
func (s *source) announced(ctx context.Context) (entries []entry, err error) {
	if s.messages == nil {
		return nil, nil
	}
	notices := s.messages.take()
	defer func() {
		if err != nil {
			s.messages.putBack(notices...)
		}
	}()
	for ; len(notices) > 0; notices = notices[1:] {
		n := notices[0]
		s.mu.Lock()
		_, assigned := s.files[n.entry.id]
		finished := s.ledger.find(n.entry.id)
		_, known := s.listed[n.entry.id]
		unchanged := finished != nil && finished.unchanged(n.entry)
		s.mu.Unlock()
		switch {
		case unchanged:
			s.messages.settle(n)
			continue
		case finished != nil && !assigned:
			// The object may have been looked at before it was read.
			n.entry, err = s.store.stat(ctx, n.entry)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
				s.messages.settle(n)
				continue
			}
			if err != nil {
				return nil, err
			}
			known = false
		}
		s.mu.Lock()
		s.notices[n.entry.id] = append(s.notices[n.entry.id], n)
		if !assigned && !known {
			s.listed[n.entry.id] = n.entry
			entries = append(entries, n.entry)
		}
		s.mu.Unlock()
	}
	return entries, nil
}

func (s *source) settle(id string) {
	if s.messages == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked(id)
}

// settleLocked ends the notices of a file that is in the ledger: those of the
// version that was read are settled, the others are looked at again. The caller
// holds mu.
func (s *source) settleLocked(id string) {
	finished := s.ledger.find(id)
	for _, n := range s.notices[id] {
		if finished != nil && finished.unchanged(n.entry) {
			s.messages.settle(n)
		} else {
			s.messages.putBack(n)
		}
	}
	delete(s.notices, id)
}

// Explain implements connectors.Explainer.
func (s *source) Explain() []string {
	var lines []string
	if s.messages != nil {
		lines = append(lines, "told of new objects by queue "+s.messages.url,
			"lists the prefix at each start and every "+s.cfg.Options.String("listing_interval")+", since a notification can be lost")
	}
	if s.limits.blocks != nil && len(s.cfg.Predicates) > 0 {
		texts := make([]string, len(s.cfg.Predicates))
		for i, p := range s.cfg.Predicates {
			texts[i] = p.String()
		}
		lines = append(lines, "leaves out row groups by their statistics where no row can have "+strings.Join(slices.Compact(texts), " and "))
	}
	return lines
}

var _ connectors.Explainer = (*source)(nil)
