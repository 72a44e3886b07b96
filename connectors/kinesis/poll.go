package kinesis

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors"
)

// maxExpansion bounds what one record of a shard may become when its aggregate
// is taken apart and inflated, in bytes; payloads beyond it stay compressed.
const maxExpansion = 256 << 20

// laneBuffers are what a lane hands out until its next poll.
type laneBuffers struct {
	shard        []byte // its id
	arena        []byte // keys and names
	container    []byte // an aggregate
	plain        []byte // an inflated payload
	aggregate    aggregate
	decompressor decompressor
	pages        []*page
	wants        []wanted
}

// wanted is a hidden column that the stream asked for.
type wanted uint8

const (
	wantShard wanted = iota
	wantSequence
	wantSubsequence
	wantPartitionKey
	wantArrival
)

var wantedOf = map[string]wanted{
	hiddenShard: wantShard, hiddenSequence: wantSequence, hiddenSubsequence: wantSubsequence,
	hiddenPartitionKey: wantPartitionKey, hiddenArrival: wantArrival,
}

// Poll prefers the shards whose place in the list is the lane's modulo the
// lanes, and takes from any other when those have nothing.
func (s *source) Poll(ctx context.Context, lane int, c *connectors.Chunk) error {
	lane %= len(s.lanes)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		if s.fatal != nil {
			defer s.mu.Unlock()
			return s.fatal
		}
		sh := s.claim(lane)
		wake := s.wake
		s.mu.Unlock()
		if sh != nil {
			s.fill(sh, &s.lanes[lane], c)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

// claim picks a shard to take from; no other lane takes from it until fill is
// done, so that the shard's records come out in order. The caller holds mu.
func (s *source) claim(lane int) *shard {
	var best *shard
	for i, sh := range s.order {
		if sh.filling || len(sh.pages) == 0 && !sh.touched {
			continue
		}
		if i%len(s.lanes) == lane {
			best = sh
			break
		}
		if best == nil || sh.queued > best.queued {
			best = sh
		}
	}
	if best != nil {
		best.filling = true
		b := &s.lanes[lane]
		b.pages = append(b.pages[:0], best.pages...)
	}
	return best
}

// fill takes about a chunk of whole records off the shard's queue, and moves the
// position behind them.
func (s *source) fill(sh *shard, b *laneBuffers, c *connectors.Chunk) {
	c.Split, c.Base = sh.id, 0
	c.Data = connectors.Grow(c.Data[:0], 0)
	c.Records, c.Names = c.Records[:0], c.Names[:0]
	b.arena, b.shard = b.arena[:0], []byte(sh.id)
	s.beginHidden(b, c)
	var last rawRecord
	var from *page
	drained, records := 0, 0
	for _, p := range b.pages {
		for p.taken < len(p.records) && len(c.Data) < s.cfg.ChunkBytes {
			last, from = p.records[p.taken], p
			s.appendRecord(sh, b, c, p, last)
			p.taken++
			records++
		}
		if p.taken < len(p.records) {
			break
		}
		drained++
	}
	after := ""
	if from != nil {
		after = string(from.at(last.sequence))
	}

	clear(b.pages) // they are free for others from here on

	s.mu.Lock()
	defer s.mu.Unlock()
	sh.filling = false
	s.bytesRead += int64(len(c.Data))
	if after != "" {
		sh.pos.After, sh.pos.At = after, 0
	}
	for _, p := range sh.pages[:drained] {
		sh.through, sh.seen = max(sh.through, p.through), max(sh.seen, p.seen)
		sh.queued -= p.cost()
		s.free(p)
	}
	sh.pages = slices.Delete(sh.pages, 0, drained)
	sh.touched = false
	if through := sh.through / 1000; through > sh.pos.Through {
		sh.pos.Through, sh.pos.Since = through, 0
	}
	if s.shards[sh.id] != sh { // its stream was deleted meanwhile
		s.discard(sh)
		return
	}
	if drained > 0 {
		signal(sh.taken)
	}
	s.finish(sh)
	if len(sh.pages) > 0 {
		s.wakeAll()
	}
}

// appendRecord adds a record to the chunk, or all that an aggregate holds.
func (s *source) appendRecord(sh *shard, b *laneBuffers, c *connectors.Chunk, p *page, r rawRecord) {
	start := len(c.Data)
	text := p.at(r.data)
	c.Data = connectors.Grow(c.Data, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(c.Data[start:], text)
	if err != nil {
		// Not from a service that keeps to the protocol: what came is rejected by
		// the format, and seen in the dead letters.
		n = copy(c.Data[start:], text)
	}
	c.Data = c.Data[:start+n]
	sequence, key := p.at(r.sequence), p.at(r.key)
	if !isAggregate(c.Data[start:]) {
		s.inflate(b, c, start, maxExpansion)
		b.appendMeta(c, start, r.arrived, sequence, -1, key, false)
		return
	}
	b.container = append(b.container[:0], c.Data[start:]...)
	if b.aggregate.parse(b.container) != nil {
		b.appendMeta(c, start, r.arrived, sequence, -1, key, false)
		return
	}
	c.Data = c.Data[:start]
	if len(b.aggregate.records) == 0 {
		b.appendMeta(c, start, r.arrived, sequence, 0, key, true)
		return
	}
	// The Kinesis Producer Library gives its aggregates this partition key, beside
	// the explicit hash key of their first record.
	drop := s.strays == "drop" || s.strays == "auto" && string(key) == "a"
	for i := range b.aggregate.records {
		u := &b.aggregate.records[i]
		at := len(c.Data)
		stray := drop && !sh.hashes.holds(u)
		if !stray {
			c.Data = append(c.Data, u.data...)
			s.inflate(b, c, at, maxExpansion-(at-start))
		}
		b.appendMeta(c, at, r.arrived, sequence, i, u.key, stray)
	}
	c.Data = connectors.Grow(c.Data, 0)
}

// inflate replaces the payload at the chunk's end by its content, if it is
// compressed and has no more than room bytes then.
func (s *source) inflate(b *laneBuffers, c *connectors.Chunk, start, room int) {
	if !s.inflates || !isCompressed(c.Data[start:]) {
		return
	}
	plain, err := b.decompressor.inflate(b.plain[:0], c.Data[start:], room)
	if err != nil {
		return
	}
	b.plain = plain
	c.Data = connectors.Grow(c.Data[:start], len(plain))
	copy(c.Data[start:], plain)
	if cap(b.plain) > 2*s.cfg.ChunkBytes {
		b.plain = nil
	}
}

// appendMeta adds the record that ends the chunk's data. within is its number in
// its aggregate, −1 for one that is in none.
func (b *laneBuffers) appendMeta(c *connectors.Chunk, start int, arrived int64, sequence []byte, within int, key []byte, null bool) {
	c.Records = append(c.Records, connectors.Record{
		Start: int32(start), End: int32(len(c.Data)), Offset: int64(max(0, within)), Arrived: arrived, Null: null,
	})
	at := len(b.arena)
	b.arena = append(b.arena, sequence...)
	number := b.arena[at:len(b.arena):len(b.arena)]
	if within >= 0 {
		b.arena = append(b.arena, '/')
		b.arena = strconv.AppendInt(b.arena, int64(within), 10)
	}
	c.Names = append(c.Names, b.arena[at:len(b.arena):len(b.arena)])
	for i, want := range b.wants {
		h := &c.Hidden[i]
		switch want {
		case wantShard:
			h.Bytes = append(h.Bytes, b.shard)
		case wantSequence:
			h.Bytes = append(h.Bytes, number)
		case wantSubsequence:
			h.Ints = append(h.Ints, int64(max(0, within)))
		case wantPartitionKey:
			from := len(b.arena)
			b.arena = appendText(b.arena, key)
			h.Bytes = append(h.Bytes, b.arena[from:len(b.arena):len(b.arena)])
		case wantArrival:
			h.Ints = append(h.Ints, arrived)
			h.Null = append(h.Null, arrived == 0)
		}
	}
}

func (s *source) beginHidden(b *laneBuffers, c *connectors.Chunk) {
	if len(c.Hidden) != len(s.cfg.Hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.cfg.Hidden))
	}
	b.wants = b.wants[:0]
	for i, name := range s.cfg.Hidden {
		h := &c.Hidden[i]
		h.Ints, h.Bytes, h.Null = h.Ints[:0], h.Bytes[:0], h.Null[:0]
		b.wants = append(b.wants, wantedOf[name])
	}
}

// appendText appends text, with U+FFFD for bytes that are no UTF-8.
func appendText(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return append(dst, text...)
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		dst = utf8.AppendRune(dst, r)
		text = text[n:]
	}
	return dst
}
