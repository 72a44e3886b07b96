package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/internal/sched/seeded"
)

// kind is what a value is, and so what has to become of it.
type kind uint8

const (
	good      kind = iota // lands as one row
	exploding             // lands as value.rows rows, maybe none
	unwanted              // is filtered
	disputed              // is filtered by every other version of the stream
	broken                // cannot be decoded: a dead letter
	failing               // fails when it is computed by every other version: a dead letter
	tombstone             // has no payload
	blank                 // has an empty payload
	kinds
)

// value is a record of a topic.
type value struct {
	id   int64 // over all topics
	kind kind
	rows int // of exploding
	// split is where it is; the same id is never in another.
	split string
}

// topic is what a broker holds under the source's name. When it is deleted and
// created again it has another number.
type topic struct {
	number     int
	partitions []*partition
}

// partition is a log: the records before first are gone.
type partition struct {
	values []value
	first  int64
}

func (t *topic) end(p int) int64 { return int64(len(t.partitions[p].values)) }

// position is how far a partition was read, as a source of Kafka keeps it.
type position struct {
	Topic  int   `json:"topic"`
	Offset int64 `json:"offset"`
	// Stop is where a bounded read ends.
	Stop *int64 `json:"stop,omitempty"`
}

// String is the position for messages.
func (p position) String() string {
	if p.Stop != nil {
		return fmt.Sprintf("%d@%d of %d", p.Offset, p.Topic, *p.Stop)
	}
	return fmt.Sprintf("%d@%d", p.Offset, p.Topic)
}

func (p position) finished() bool { return p.Stop != nil && p.Offset >= *p.Stop }

func (p position) encode() connectors.Position {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // two numbers
	}
	return connectors.Position(text)
}

func decode(p connectors.Position) (position, error) {
	var pos position
	err := json.Unmarshal([]byte(p), &pos)
	return pos, err
}

// jump is where a source has gone on behind records that are gone.
type jump struct {
	split    string
	from, to position
}

// source reads the topic for a stream as the contract of connectors.Source asks
// for. What a lane has polled it gets once.
type source struct {
	w       *world
	p       *seeded.Process
	skip    bool // on_data_loss
	m       sched.Monitor
	cursors []*cursor
	lost    []connectors.DataLoss
	route   route
}

// route is how a source came to where it is, since it was opened.
type route struct {
	starts map[string]position // what Assign gave
	jumps  []jump
}

func (p route) clone() route { return route{maps.Clone(p.starts), slices.Clone(p.jumps)} }

type cursor struct {
	split string
	n     int // partition
	at    position
	// goneIn is the topic that was found not to have the partition.
	goneIn int
}

func (s *source) call(ctx context.Context, what string, effect func() error) error {
	return s.w.call(ctx, s.p, theSource, what, effect, nil)
}

func (s *source) cursor(split string) *cursor {
	for _, c := range s.cursors {
		if c.split == split {
			return c
		}
	}
	return nil
}

// Splits implements connectors.Source.
func (s *source) Splits(ctx context.Context, first bool, known connectors.Positions) (splits []connectors.Split, err error) {
	err = s.call(ctx, "list splits", func() error {
		t := s.w.topic
		splits = nil
		for n, p := range t.partitions {
			at := position{Topic: t.number, Offset: p.first}
			if first && s.w.latest {
				at.Offset = t.end(n)
			}
			if _, ok := known[strconv.Itoa(n)]; s.w.bounded && !first && !ok {
				continue // it came after what is to be read
			}
			if first && s.w.bounded {
				stop := t.end(n)
				at.Stop = &stop
			}
			splits = append(splits, connectors.Split{ID: strconv.Itoa(n), Start: at.encode()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.m.Lock()
	defer s.m.Unlock()
	for _, c := range s.cursors {
		if err := s.follow(c); err != nil {
			return nil, err
		}
	}
	for _, split := range slices.Sorted(maps.Keys(known)) {
		n, err := strconv.Atoi(split)
		if err != nil {
			return nil, err
		}
		at, err := decode(known[split])
		if err != nil {
			return nil, err
		}
		if n >= len(s.w.topic.partitions) && s.cursor(split) == nil && !at.finished() {
			// Assign makes a cursor that is gone.
			if err := s.lose(split, known[split], "the topic no longer has the partition"); err != nil {
				return nil, err
			}
		}
	}
	return splits, nil
}

func (s *source) lose(split string, from connectors.Position, reason string) error {
	loss := connectors.DataLoss{Split: split, From: from, Records: -1, Reason: reason}
	if !s.skip {
		return connectors.NewDataLossError(loss)
	}
	s.lost = append(s.lost, loss)
	return nil
}

// follow goes over to what the topic holds now, when what a cursor points to is
// gone. The caller holds the lock.
func (s *source) follow(c *cursor) error {
	t := s.w.topic
	if c.at.finished() {
		return nil
	}
	if c.n >= len(t.partitions) {
		if c.goneIn == t.number {
			return nil
		}
		c.goneIn = t.number
		return s.lose(c.split, c.at.encode(), "the topic no longer has the partition")
	}
	first := t.partitions[c.n].first
	reason := ""
	switch {
	case c.at.Topic != t.number:
		reason = "the topic was deleted and created again"
	case c.at.Offset < first:
		reason = fmt.Sprintf("the records before offset %d are gone", first)
	default:
		return nil
	}
	if err := s.lose(c.split, c.at.encode(), reason); err != nil {
		return err
	}
	next := position{t.number, first, c.at.Stop}
	if next.Stop != nil && c.at.Topic != t.number {
		next.Offset = *next.Stop // what it had to read up to is gone
	}
	s.route.jumps = append(s.route.jumps, jump{c.split, c.at, next})
	s.w.s.Note("split %s jumps from %v to %v", c.split, c.at, next)
	c.at = next
	return nil
}

// TakeDataLoss implements connectors.DataLossRecorder.
func (s *source) TakeDataLoss() []connectors.DataLoss {
	s.m.Lock()
	defer s.m.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

// Assign implements connectors.Source.
func (s *source) Assign(_ context.Context, positions connectors.Positions) error {
	s.m.Lock()
	defer s.m.Unlock()
	for n := range len(positions) + len(s.w.topic.partitions) {
		split := strconv.Itoa(n)
		p, ok := positions[split]
		if !ok || s.cursor(split) != nil {
			continue
		}
		at, err := decode(p)
		if err != nil {
			return err
		}
		c := &cursor{split: split, n: n, at: at}
		if n >= len(s.w.topic.partitions) {
			c.goneIn = s.w.topic.number // Splits has said so
		}
		s.cursors = append(s.cursors, c)
		s.route.starts[split] = at
		if err := s.follow(c); err != nil {
			return err
		}
	}
	return nil
}

// readable is a cursor with records, looking from start on.
func (s *source) readable(start int) *cursor {
	t := s.w.topic
	for i := range s.cursors {
		c := s.cursors[(start+i)%len(s.cursors)]
		if c.at.finished() {
			continue
		}
		if c.n >= len(t.partitions) {
			if c.goneIn != t.number {
				return c
			}
			continue
		}
		if c.at.Topic != t.number || c.at.Offset < t.partitions[c.n].first || c.at.Offset < t.end(c.n) {
			return c
		}
	}
	return nil
}

// atEnd reports whether a bounded source has no more.
func (s *source) atEnd() bool {
	if !s.w.bounded {
		return false
	}
	for _, c := range s.cursors {
		if !c.at.finished() && (c.n < len(s.w.topic.partitions) || c.goneIn != s.w.topic.number) {
			return false
		}
	}
	return true
}

// Poll implements connectors.Source.
func (s *source) Poll(ctx context.Context, lane int, c *connectors.Chunk) error {
	news := func() bool { return s.readable(0) != nil || s.atEnd() }
	s.p.Until(ctx, "poll", s.p.Now().Add(maxPollWait), news)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	taken := false
	err := s.call(ctx, "fetch", func() error { return nil })
	if err != nil {
		return err
	}
	s.m.Lock()
	defer s.m.Unlock()
	for !taken {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		at := s.readable(lane)
		switch {
		case at == nil && s.atEnd():
			return io.EOF
		case at == nil:
			s.m.Unlock()
			s.p.Until(ctx, "poll", s.p.Now().Add(maxPollWait), news)
			s.m.Lock()
			continue
		}
		if err := s.follow(at); err != nil {
			return err
		}
		taken = s.take(at, c)
	}
	return nil
}

// take fills a chunk with some records of a cursor.
func (s *source) take(at *cursor, c *connectors.Chunk) bool {
	if at.n >= len(s.w.topic.partitions) {
		return false
	}
	p := s.w.topic.partitions[at.n]
	end := s.w.topic.end(at.n)
	if at.at.Stop != nil {
		end = min(end, *at.at.Stop)
	}
	n := min(end-at.at.Offset, int64(1+s.w.s.IntN(5)))
	if at.at.finished() || n <= 0 {
		return false
	}
	c.Split, c.Base, c.Data, c.Records = at.split, 0, c.Data[:0], c.Records[:0]
	for offset := at.at.Offset; offset < at.at.Offset+n; offset++ {
		v := p.values[offset]
		start := len(c.Data)
		text := v.payload()
		c.Data = connectors.Grow(c.Data, len(text))
		copy(c.Data[start:], text)
		c.Records = append(c.Records, connectors.Record{
			Start: int32(start), End: int32(len(c.Data)), Offset: offset, Null: v.kind == tombstone,
		})
	}
	at.at.Offset += n
	return true
}

// Positions implements connectors.Source.
func (s *source) Positions() connectors.Positions {
	s.m.Lock()
	defer s.m.Unlock()
	positions := connectors.Positions{}
	for _, c := range s.cursors {
		positions[c.split] = c.at.encode()
	}
	return positions
}

// Ends implements connectors.Source.
func (s *source) Ends(ctx context.Context) (connectors.Positions, error) {
	ends := connectors.Positions{}
	err := s.call(ctx, "ask for ends", func() error {
		t := s.w.topic
		for n, p := range t.partitions {
			end, c := t.end(n), s.cursor(strconv.Itoa(n))
			switch {
			case c == nil && (s.w.bounded || end <= p.first):
				continue
			case c != nil && c.at.Stop != nil:
				end = min(end, *c.at.Stop)
			}
			ends[strconv.Itoa(n)] = position{Topic: t.number, Offset: end}.encode()
		}
		return nil
	})
	return ends, err
}

// Reached implements connectors.Source.
func (s *source) Reached(_ string, at, end connectors.Position) bool {
	want, err := decode(end)
	if err != nil || at == "" {
		return false
	}
	pos, err := decode(at)
	if err != nil {
		return false
	}
	return pos.Topic > want.Topic || pos.Topic == want.Topic && pos.Offset >= want.Offset
}

// Progress implements connectors.Source.
func (s *source) Progress() connectors.Progress { return connectors.Progress{Lag: -1} }

// Bounded implements connectors.Source.
func (s *source) Bounded() bool { return s.w.bounded }

// Close implements connectors.Source.
func (s *source) Close() error { return nil }
