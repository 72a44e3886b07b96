package kafka

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors"
)

// header is one of a record.
type header struct{ key, value []byte }

// message is what hidden columns show of a record.
type message struct {
	key     []byte // nil when there is none
	headers []byte // as they lie in the record
	offset  int64
	micros  int64 // since 1970
}

// fill makes c of the batches that a lane has claimed, and returns of how many of them.
// Their payloads stay where they are, unless they have to be decompressed. With an error
// it is of none: what is before a batch that cannot be read is handed out first.
func (s *source) fill(p *partition, b *laneBuffers, c *connectors.Chunk) (n int, err error) {
	c.Split, c.Base = p.split, 0
	c.Records = c.Records[:0]
	b.messages = b.messages[:0]
	messages := &b.messages
	if len(s.cfg.Hidden) == 0 {
		messages = nil
	}
	first := &b.batches[0]
	b.plain = b.plain[:0]
	origin := 0
	if first.codec == 0 {
		origin = first.start
	}
	size := 0
	for n < len(b.batches) && len(b.plain) < inCache {
		batch := &b.batches[n]
		records, kept := len(c.Records), len(b.messages)
		data, start, stop, err := b.records(batch)
		payloads := 0
		if err == nil {
			payloads, err = batch.read(data, start, stop, origin, c, messages)
		}
		if errors.Is(err, errInflated) {
			s.mu.Lock()
			err = s.inflated(p, batch.from, batch.to)
			s.mu.Unlock()
		} else if err != nil {
			err = explain(s.cfg, fmt.Sprintf("read the batch at offset %d of partition %d of topic %s", batch.base, p.number, s.topic), err)
		}
		if err != nil && n == 0 {
			return 0, err
		}
		if err != nil {
			c.Records, b.messages = c.Records[:records], b.messages[:kept]
			break
		}
		size += payloads
		n++
	}
	if first.codec == 0 {
		c.Data = first.owner.data[origin:b.batches[n-1].end]
	} else {
		b.plain = connectors.Grow(b.plain, 0)
		c.Data = b.plain
	}
	if len(c.Hidden) != len(s.cfg.Hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.cfg.Hidden))
	}
	b.arena = b.arena[:0]
	for i, name := range s.cfg.Hidden {
		if err := s.fillHidden(name, &c.Hidden[i], p, b); err != nil {
			return 0, explain(s.cfg, fmt.Sprintf("read the headers of a record of partition %d of topic %s", p.number, s.topic), err)
		}
	}
	s.bytesRead.Add(int64(size))
	return n, nil
}

// records returns where the records of a batch are: in data, from start to stop.
func (b *laneBuffers) records(batch *recordBatch) (data []byte, start, stop int, err error) {
	// Only now: what is checked is in the core's cache when it is read.
	if err := batch.check(); err != nil {
		return nil, 0, 0, err
	}
	data = batch.owner.data
	if batch.codec == 0 {
		return data, batch.start, batch.end, nil
	}
	start = len(b.plain)
	b.plain, err = b.decompressor.append(b.plain, data[batch.start:batch.end], batch.codec)
	return b.plain, start, len(b.plain), err
}

func (s *source) fillHidden(name string, h *connectors.HiddenColumn, p *partition, b *laneBuffers) error {
	h.Ints, h.Bytes, h.Null = h.Ints[:0], h.Bytes[:0], h.Null[:0]
	anyNull := false
	keep := func(from int, null bool) {
		h.Bytes = append(h.Bytes, b.arena[from:len(b.arena):len(b.arena)])
		h.Null = append(h.Null, null)
		anyNull = anyNull || null
	}
	var topic []byte
	if name == hiddenTopic {
		topic = []byte(s.topic)
	}
	var err error
	for i := range b.messages {
		m := &b.messages[i]
		from := len(b.arena)
		switch name {
		case hiddenKey:
			b.arena = appendText(b.arena, m.key)
			keep(from, m.key == nil)
		case hiddenKeyBytes:
			b.arena = append(b.arena, m.key...)
			keep(from, m.key == nil)
		case hiddenHeaders:
			if b.headers, err = parseHeaders(b.headers[:0], m.headers); err != nil {
				return err
			}
			b.arena = appendHeaders(b.arena, b.headers)
			keep(from, false)
		case hiddenTopic:
			h.Bytes = append(h.Bytes, topic)
		case hiddenPartition:
			h.Ints = append(h.Ints, int64(p.number))
		case hiddenOffset:
			h.Ints = append(h.Ints, m.offset)
		case hiddenTimestamp:
			h.Ints = append(h.Ints, m.micros)
		}
	}
	if !anyNull {
		h.Null = nil
	}
	return nil
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

// appendHeaders appends headers as a JSON object.
func appendHeaders(dst []byte, headers []header) []byte {
	dst = append(dst, '{')
	for i, h := range headers {
		same := func(o header) bool { return bytes.Equal(o.key, h.key) }
		if slices.ContainsFunc(headers[:i], same) {
			continue // it is in the array of the first
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSON(dst, h.key), ':')
		if !slices.ContainsFunc(headers[i+1:], same) {
			dst = appendHeader(dst, h.value)
			continue
		}
		dst = append(dst, '[')
		for j, o := range headers[i:] {
			if !same(o) {
				continue
			}
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendHeader(dst, o.value)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendHeader(dst, value []byte) []byte {
	switch {
	case value == nil:
		return append(dst, "null"...)
	case utf8.Valid(value):
		return appendJSON(dst, value)
	}
	dst = append(dst, `{"base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, `"}`...)
}

// appendJSON appends text as a JSON string.
func appendJSON(dst, text []byte) []byte {
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(string(text))
			if err != nil {
				panic(err) // a string
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}
