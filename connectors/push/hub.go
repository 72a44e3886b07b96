package push

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/sqlerror"
)

// defaultLimit is how much a hub keeps for a stream, in bytes.
const defaultLimit = 256 << 20

// anonymous is the split of what Send takes.
const anonymous = "push"

// Hub hands what is sent to a source on to the streams that read it. Its methods
// may be called from any goroutine.
type Hub struct {
	limit int64

	mu      sync.Mutex
	streams map[string]*subscription
	peeks   map[*subscription]struct{}
	offsets map[string]int64 // the last of each split that SendAt named
	blocked int              // senders that wait for space
	space   chan struct{}    // closed when there may be some
	joined  chan struct{}    // closed when a stream has begun to read
	closed  bool
}

// NewHub makes the hub of a source. limitBytes bounds what it keeps for each
// stream until the stream has committed it; 0 is 256 MiB. What several streams
// read is kept once.
func NewHub(limitBytes int64) *Hub {
	if limitBytes <= 0 {
		limitBytes = defaultLimit
	}
	return &Hub{
		limit: limitBytes, streams: map[string]*subscription{}, peeks: map[*subscription]struct{}{},
		offsets: map[string]int64{}, space: make(chan struct{}), joined: make(chan struct{}),
	}
}

// Send takes one payload, of one or more values, for every stream that reads the
// source. It returns when all have taken it into their queues, and waits while
// one of these is full, or until ctx ends. data may be reused afterwards.
//
// Without a stream it returns an error that carries sqlerror.CodeState.
func (h *Hub) Send(ctx context.Context, data []byte) error {
	return h.send(ctx, anonymous, 0, data)
}

// SendAt is Send with a split and the payload's offset in it, by which it is
// known again after a restart. Offsets of a split ascend; gaps are fine. A stream
// that has the offset already, or a higher one, does not get it again.
func (h *Hub) SendAt(ctx context.Context, split string, offset int64, data []byte) error {
	if split == "" || split == anonymous {
		return sqlerror.Userf(sqlerror.CodeBadOption, "%q cannot be the name of a split", split)
	}
	return h.send(ctx, split, offset, data)
}

// SendRecord is Send for rows: it writes them as JSON, one object a row, so that
// every value comes out as it went in. The source's format must be json. Values
// that JSON cannot hold are errors that name the column and row: NaN and
// infinities, and bytes that are no UTF-8.
func (h *Hub) SendRecord(ctx context.Context, rows arrow.RecordBatch) error {
	h.mu.Lock()
	for _, s := range h.streams {
		if s.format != formatJSON {
			h.mu.Unlock()
			return sqlerror.Userf(sqlerror.CodeUnsupported, "rows cannot be sent to a source with format = '%s'", s.format).
				WithHint("declare the source with format = 'json', or encode the rows and use Send")
		}
	}
	h.mu.Unlock()
	data, err := appendRows(nil, rows)
	if err != nil {
		return fmt.Errorf("send rows: %w", err)
	}
	if len(data) == 0 {
		return nil
	}
	return h.send(ctx, anonymous, 0, data)
}

// Committed is the offset up to which all streams have committed what SendAt
// sent to a split; a program goes on behind it after a restart. ok is false while
// no stream reads, one has not begun yet, or one has nothing of the split; Await
// waits until streams have begun.
func (h *Hub) Committed(split string) (offset int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.streams {
		q := s.queues[split]
		if q == nil || !q.assigned || !q.committed.known {
			return 0, false
		}
		if !ok || q.committed.offset < offset {
			offset, ok = q.committed.offset, true
		}
	}
	return offset, ok
}

// Await waits until all of the named streams read the source, from where they
// stood: what is sent from then on reaches them, and Committed counts them.
func (h *Hub) Await(ctx context.Context, streams ...string) error {
	for {
		h.mu.Lock()
		missing := ""
		for _, name := range streams {
			if s := h.streams[name]; s == nil || !s.begun {
				missing = name
				break
			}
		}
		joined, closed := h.joined, h.closed
		h.mu.Unlock()
		switch {
		case missing == "":
			return nil
		case closed:
			return errClosed()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for stream %s: %w", missing, ctx.Err())
		case <-joined:
		}
	}
}

// Detach forgets a stream that will not read on: one that was dropped, stopped
// or has failed. A stream that closed its source with everything committed is
// forgotten anyway; for any other the hub keeps what it has not committed, and
// what is sent, in case it begins again.
func (h *Hub) Detach(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.streams[stream]; s != nil && s.closed {
		delete(h.streams, stream)
		h.freed()
	}
}

// Close ends all waiting with an error. Streams that read can go on with what
// was sent.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.joined)
		h.joined = make(chan struct{})
		h.freed()
	}
}

func errClosed() error {
	return sqlerror.Userf(sqlerror.CodeState, "the source is closed")
}

func (h *Hub) send(ctx context.Context, split string, offset int64, data []byte) error {
	kept := bytes.Clone(data)
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if h.closed {
			return errClosed()
		}
		if len(h.streams) == 0 && len(h.peeks) == 0 {
			return sqlerror.Userf(sqlerror.CodeState, "no stream reads the source").
				WithHint("create or start a stream that selects from it, then send")
		}
		full := false
		for _, s := range h.streams {
			full = full || s.wants(split, offset) && !s.fits(len(data), h.limit)
		}
		if !full {
			break
		}
		h.blocked++
		space := h.space
		h.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-space:
		}
		h.mu.Lock()
		h.blocked--
	}
	if split != anonymous {
		if last, ok := h.offsets[split]; !ok || offset > last {
			h.offsets[split] = offset
		}
	}
	arrived := time.Now().UnixMicro()
	for _, s := range h.streams {
		if s.wants(split, offset) {
			s.append(split, item{offset: offset, data: kept, arrived: arrived})
		}
	}
	for s := range h.peeks {
		// A peek sees what it has room for, and holds nobody up.
		if s.wants(split, offset) && s.fits(len(data), h.limit) {
			s.append(split, item{offset: offset, data: kept, arrived: arrived})
		}
	}
	return nil
}

// freed wakes the senders that wait. The caller holds mu.
func (h *Hub) freed() {
	if h.blocked > 0 || h.closed {
		close(h.space)
		h.space = make(chan struct{})
	}
}
