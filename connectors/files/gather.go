package files

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/leatdb/leat/connectors"
)

// gatherBytes is how much of several objects makes a chunk: what decoding costs for
// a chunk is little beside that.
const gatherBytes = 1 << 20

// gather fills a chunk with the next small objects that have come already; false
// if there are none, or the lane is at an object.
func (s *source) gather(lane int, c *connectors.Chunk) bool {
	c.Data, c.Records, c.Parts, c.Header, c.Ranges, c.Filtered = c.Data[:0], c.Records[:0], c.Parts[:0], nil, nil, 0
	return s.gatherMore(lane, c)
}

// gatherBehind adds to the chunk of an object what gather finds, if that is all of
// the object.
func (s *source) gatherBehind(lane int, f *file, c *connectors.Chunk) {
	s.mu.Lock()
	whole := f.state == done && !f.packed && !f.pos.Gone && len(c.Records) == 0 && c.Base <= int64(len(byteOrderMark)) && c.Base+int64(len(c.Data)) == f.pos.Offset
	s.mu.Unlock()
	if !whole || len(c.Data) == 0 || len(c.Data) >= gatherBytes {
		return
	}
	c.Parts = append(c.Parts[:0], connectors.Part{Split: f.id, End: int32(len(c.Data)), Base: c.Base})
	if c.Data[len(c.Data)-1] != '\n' {
		c.Data = append(connectors.Grow(c.Data, 1)[:len(c.Data)], '\n')
	}
	s.gatherMore(lane, c)
}

// gatherMore adds to the parts of a chunk, of which there may be none.
func (s *source) gatherMore(lane int, c *connectors.Chunk) bool {
	b, ok := s.store.(*bucket)
	if !ok {
		return false
	}
	most := min(gatherBytes, s.limits.chunk)
	for len(c.Data) < most {
		f, r := s.nextArrived(lane, b, most-len(c.Data))
		if f == nil {
			break
		}
		start := len(c.Data)
		c.Data = connectors.Grow(c.Data, int(f.entry.size)+1)
		text := c.Data[start : len(c.Data)-1]
		copy(text, r.held[0].data)
		crc := crc32.Update(0, castagnoli, text)
		base := 0
		if bytes.HasPrefix(text, byteOrderMark) {
			base = len(byteOrderMark)
			copy(text, text[base:])
			text = text[:len(text)-base]
		}
		end := start + len(text)
		c.Data = c.Data[:end]
		if len(text) > 0 && text[len(text)-1] != '\n' {
			c.Data = append(c.Data, '\n') // within what was grown
		}
		_ = r.Close() // the buffer is free; there is nothing else to end
		s.gathered(f, crc)
		if len(text) > 0 {
			s.describePart(f, c, len(c.Parts))
			c.Parts = append(c.Parts, connectors.Part{Split: f.id, Start: int32(start), End: int32(end), Base: int64(base)})
		}
	}
	if len(c.Parts) == 0 {
		return false
	}
	c.Split, c.Base = c.Parts[0].Split, c.Parts[0].Base
	if len(c.Parts) == 1 {
		c.Data, c.Parts = c.Data[:c.Parts[0].End], c.Parts[:0]
	}
	return true
}

// nextArrived takes the next file for a lane that is at none, if that is an object
// of up to most bytes that has come, and is not compressed.
func (s *source) nextArrived(lane int, b *bucket, most int) (*file, *ranges) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.own[lane%len(s.own)]; own != nil && own.state == reading {
		return nil, nil
	}
	for s.head < len(s.queue) && s.queue[s.head].state != queued {
		s.queue[s.head] = nil
		s.head++
	}
	if s.head == len(s.queue) {
		return nil, nil
	}
	f := s.queue[s.head]
	if f.pos != (position{}) || f.entry.size > int64(min(most, s.limits.record)) {
		return nil, nil
	}
	r := b.arrived(f.entry)
	if r == nil {
		return nil, nil
	}
	if s.compression == "" {
		if kind, err := detect(r, f.entry.path); err != nil || kind != uncompressed {
			return nil, nil
		}
	}
	if s.limits.beginsUTF16(r.held[0].data) {
		return nil, nil
	}
	b.take(r)
	s.queue[s.head] = nil
	s.head++
	f.state = reading
	s.expect()
	return f, r
}

// gathered notes that an object was read as a whole.
func (s *source) gathered(f *file, crc uint32) {
	version := f.entry.version()
	pos := position{Offset: f.entry.size, Done: true, Size: f.entry.size, Version: checksum([]byte(version)), Check: fmt.Sprintf("%08x", crc)}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.pos, f.encoded, f.version = pos, "", version
	f.seen = f.entry.stamp()
	f.last = f.seen
	f.partial, f.final = false, false
	f.read += f.entry.size
	s.bytesRead += f.entry.size
	s.newest = later(s.newest, time.UnixMicro(f.entry.modified))
	s.recovered(f)
	s.finish(f)
}

// describePart fills in the hidden columns of a chunk's part with the index i, 0 for
// all of a chunk without parts.
func (s *source) describePart(f *file, c *connectors.Chunk, i int) {
	if len(c.Hidden) != len(s.hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.hidden))
	}
	for k, name := range s.hidden {
		h := &c.Hidden[k]
		switch name {
		case hiddenFile:
			h.Bytes = append(h.Bytes[:i], []byte(f.id))
		case hiddenModified:
			h.Ints = append(h.Ints[:i], s.modifiedOf(f))
		}
	}
}
