package push

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// subscription is what the hub keeps for one stream. The hub's lock guards it.
type subscription struct {
	stream string
	format string
	peek   bool

	queues  map[string]*queue
	order   []*queue
	starts  map[string]int64 // where the hub's splits stood when it attached
	bytes   int64            // of all items
	pending int64            // bytes that were handed out and are not committed
	begun   bool             // positions were assigned once
	closed  bool             // its source was closed with something uncommitted
	idle    int              // lanes that wait
	wake    chan struct{}
}

// mark is an offset that may not be known.
type mark struct {
	offset int64
	known  bool
}

func (m mark) atLeast(offset int64) bool { return m.known && m.offset >= offset }

// queue is a split.
type queue struct {
	id        string
	assigned  bool
	items     []item // not committed, by offset
	read      int    // how many of them were handed out
	accepted  mark   // the last item's
	handed    mark   // of the last item that was handed out
	committed mark
}

// item is a payload. Its data is shared by all streams and never written.
type item struct {
	offset  int64
	data    []byte
	arrived int64 // µs since 1970
}

// overhead is what an item costs beside its data.
const overhead = 48

func (i *item) size() int64 { return int64(len(i.data)) + overhead }

func (s *subscription) queue(split string) *queue {
	q := s.queues[split]
	if q == nil {
		q = &queue{id: split}
		if start, ok := s.starts[split]; ok {
			q.accepted = mark{start, true}
		}
		s.queues[split] = q
		s.order = append(s.order, q)
	}
	return q
}

// wants reports whether the stream does not have the payload yet.
func (s *subscription) wants(split string, offset int64) bool {
	return split == anonymous || !s.queue(split).accepted.atLeast(offset)
}

// fits reports whether there is room. One payload always fits.
func (s *subscription) fits(n int, limit int64) bool {
	return s.bytes == 0 || s.bytes+int64(n)+overhead <= limit
}

func (s *subscription) append(split string, i item) {
	q := s.queue(split)
	if split == anonymous {
		i.offset = q.accepted.offset + 1
	}
	q.accepted = mark{i.offset, true}
	q.items = append(q.items, i)
	s.bytes += i.size()
	s.wakeLanes()
}

func (s *subscription) wakeLanes() {
	if s.idle > 0 {
		close(s.wake)
		s.wake = make(chan struct{})
	}
}

// drop takes the first n items off a queue.
func (s *subscription) drop(q *queue, n int) {
	for i := range q.items[:n] {
		s.bytes -= q.items[i].size()
		if i < q.read {
			s.pending -= q.items[i].size()
		}
	}
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	q.read = max(0, q.read-n)
}

// upTo is how many items lie at or below an offset.
func (q *queue) upTo(offset int64) int {
	n, _ := slices.BinarySearchFunc(q.items, offset, func(i item, offset int64) int {
		if i.offset <= offset {
			return -1
		}
		return 1
	})
	return n
}

// source reads a subscription.
type source struct {
	cfg   connectors.SourceConfig
	hub   *Hub
	sub   *subscription
	lanes [][]item

	// Guarded by the hub's lock.
	bytesRead int64
	newest    int64 // µs since 1970
	next      int   // the queue to look at first
}

// attach begins the subscription of a stream, or goes on with one that was
// closed before everything was committed.
func (h *Hub) attach(cfg connectors.SourceConfig) (*source, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	format := cfg.Options.String("format")
	if format == "" {
		format = formatJSON
	}
	sub := h.streams[cfg.Stream]
	switch {
	case h.closed:
		return nil, errClosed()
	case sub != nil && !sub.closed:
		return nil, &sqlerror.Error{
			Code: sqlerror.CodeInUse, Kind: sqlerror.Internal, Object: "source " + cfg.Name,
			Message: "stream " + cfg.Stream + " reads it already",
		}
	case sub != nil:
		sub.closed = false
		for _, q := range sub.order {
			q.assigned, q.read = false, 0
		}
		sub.pending = 0
	default:
		sub = &subscription{stream: cfg.Stream, peek: cfg.Stream == "", queues: map[string]*queue{}, starts: map[string]int64{}, wake: make(chan struct{})}
		for split, offset := range h.offsets {
			sub.starts[split] = offset
			sub.queue(split)
		}
		sub.queue(anonymous)
		if sub.peek {
			h.peeks[sub] = struct{}{}
		} else {
			h.streams[cfg.Stream] = sub
		}
	}
	sub.format = format
	return &source{cfg: cfg, hub: h, sub: sub, lanes: make([][]item, cfg.Lanes)}, nil
}

type position struct {
	Offset int64 `json:"offset"`
}

func (m mark) encode() connectors.Position {
	if !m.known {
		return ""
	}
	return connectors.Position(`{"offset":` + strconv.FormatInt(m.offset, 10) + `}`)
}

func parsePosition(split string, p connectors.Position) (mark, error) {
	if p == "" {
		return mark{}, nil
	}
	var pos position
	if err := json.Unmarshal([]byte(p), &pos); err != nil {
		return mark{}, &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Message: "read position of split " + split, Err: err}
	}
	return mark{pos.Offset, true}, nil
}

func (s *source) Bounded() bool { return false }

// Splits lists the split of Send and those that SendAt has named. A new stream
// begins with what is sent after it attached.
func (s *source) Splits(context.Context, bool, connectors.Positions) ([]connectors.Split, error) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	splits := make([]connectors.Split, 0, len(s.sub.order))
	for _, q := range s.sub.order {
		split := connectors.Split{ID: q.id}
		if start, ok := s.sub.starts[q.id]; ok {
			split.Start = mark{start, true}.encode()
		} else if q.id == anonymous {
			split.Start = mark{0, true}.encode()
		}
		splits = append(splits, split)
	}
	return splits, nil
}

func (s *source) Assign(_ context.Context, positions connectors.Positions) error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for split, p := range positions {
		at, err := parsePosition(split, p)
		if err != nil {
			return err
		}
		q := s.sub.queue(split)
		if q.assigned {
			continue
		}
		q.assigned, q.committed, q.handed = true, at, at
		switch {
		case split == anonymous && !s.sub.begun:
			// Numbers go on where those of an earlier process ended.
			for i := range q.items {
				q.items[i].offset = at.offset + 1 + int64(i)
			}
			q.accepted = mark{at.offset + int64(len(q.items)), true}
		case at.known:
			s.sub.drop(q, q.upTo(at.offset))
			if len(q.items) == 0 {
				q.accepted = at
			}
		}
	}
	s.sub.begun = true
	s.sub.wakeLanes()
	s.hub.freed()
	close(s.hub.joined)
	s.hub.joined = make(chan struct{})
	return nil
}

func (s *source) Poll(ctx context.Context, lane int, c *connectors.Chunk) error {
	lane %= len(s.lanes)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.hub.mu.Lock()
		if q := s.claim(lane); q != nil {
			s.hub.mu.Unlock()
			s.fill(q.id, s.lanes[lane], c)
			return nil
		}
		s.sub.idle++
		wake := s.sub.wake
		s.hub.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-wake:
		}
		s.hub.mu.Lock()
		s.sub.idle--
		s.hub.mu.Unlock()
	}
}

// claim hands about a chunk of a queue's items to a lane, the queues in turn.
func (s *source) claim(lane int) *queue {
	for i := range s.sub.order {
		at := (s.next + i) % len(s.sub.order)
		q := s.sub.order[at]
		if !q.assigned || q.read == len(q.items) {
			continue
		}
		s.next = at + 1
		first, size := q.read, 0
		for q.read < len(q.items) && size < s.cfg.ChunkBytes {
			i := &q.items[q.read]
			size += len(i.data)
			s.sub.pending += i.size()
			q.handed = mark{i.offset, true}
			s.newest = i.arrived
			q.read++
		}
		s.bytesRead += int64(size)
		s.lanes[lane] = append(s.lanes[lane][:0], q.items[first:q.read]...)
		if s.sub.peek {
			s.sub.drop(q, q.read)
		}
		return q
	}
	return nil
}

func (s *source) fill(split string, items []item, c *connectors.Chunk) {
	size := 0
	for i := range items {
		size += len(items[i].data)
	}
	c.Split, c.Base = split, 0
	c.Data = connectors.Grow(c.Data[:0], size)[:0]
	c.Records = c.Records[:0]
	for i := range items {
		start := len(c.Data)
		c.Data = append(c.Data, items[i].data...)
		c.Records = append(c.Records, connectors.Record{Start: int32(start), End: int32(len(c.Data)), Offset: items[i].offset, Arrived: items[i].arrived})
	}
	if len(c.Hidden) != len(s.cfg.Hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.cfg.Hidden))
	}
	for i, name := range s.cfg.Hidden {
		h := &c.Hidden[i]
		h.Ints, h.Bytes = h.Ints[:0], h.Bytes[:0]
		text := []byte(split)
		for j := range items {
			switch name {
			case hiddenSplit:
				h.Bytes = append(h.Bytes, text)
			case hiddenOffset:
				h.Ints = append(h.Ints, items[j].offset)
			case hiddenTimestamp:
				h.Ints = append(h.Ints, items[j].arrived)
			}
		}
	}
	clear(items)
}

func (s *source) Positions() connectors.Positions {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	positions := connectors.Positions{}
	for _, q := range s.sub.order {
		if q.assigned {
			positions[q.id] = q.handed.encode()
		}
	}
	return positions
}

// Ends is the last payload of each split that the stream was given.
func (s *source) Ends(context.Context) (connectors.Positions, error) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	ends := connectors.Positions{}
	for _, q := range s.sub.order {
		if len(q.items) > 0 {
			ends[q.id] = q.accepted.encode()
		}
	}
	return ends, nil
}

func (s *source) Reached(split string, at, end connectors.Position) bool {
	want, err := parsePosition(split, end)
	if err != nil {
		return false
	}
	pos, err := parsePosition(split, at)
	return err == nil && (!want.known || pos.atLeast(want.offset))
}

// Committed forgets what is durable and makes room for senders.
func (s *source) Committed(positions connectors.Positions) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for split, p := range positions {
		at, err := parsePosition(split, p)
		q := s.sub.queues[split]
		if err != nil || q == nil || !at.known {
			continue
		}
		q.committed = at
		s.sub.drop(q, q.upTo(at.offset))
	}
	s.hub.freed()
}

// CommitWanted is true when what only waits for a commit takes half of the
// space, or all that a sender waits for.
func (s *source) CommitWanted() bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.sub.pending >= s.hub.limit/2 || s.hub.blocked > 0 && s.sub.pending > 0 && s.sub.pending == s.sub.bytes
}

func (s *source) Progress() connectors.Progress {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	p := connectors.Progress{BytesRead: s.bytesRead, BytesTotal: -1}
	for _, q := range s.sub.order {
		p.Lag += int64(len(q.items) - q.read)
		if q.assigned {
			p.Splits++
		}
	}
	if s.newest > 0 {
		p.Behind = time.UnixMicro(s.newest).UTC()
	}
	return p
}

// Close keeps the subscription when something is not committed: the stream
// may begin again from its last commit.
func (s *source) Close() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	switch {
	case s.sub.peek:
		delete(s.hub.peeks, s.sub)
	case s.sub.bytes > 0:
		s.sub.closed = true
	case s.hub.streams[s.sub.stream] == s.sub:
		delete(s.hub.streams, s.sub.stream)
	default:
		return fmt.Errorf("close source %s: stream %s does not read it", s.cfg.Name, s.sub.stream)
	}
	s.hub.freed()
	return nil
}
