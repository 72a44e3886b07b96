package kafka

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
)

// fill copies the records of b into c, once, and gives them back to the client.
func (s *source) fill(p *partition, b *laneBuffers, c *connectors.Chunk) {
	c.Split, c.Base = p.split, 0
	c.Data = connectors.Grow(c.Data[:0], b.bytes)[:0]
	c.Records = c.Records[:0]
	b.arena = b.arena[:0]
	for _, run := range b.runs {
		for _, r := range run {
			if r.Attrs.IsControl() {
				continue
			}
			start := len(c.Data)
			c.Data = append(c.Data, r.Value...)
			c.Records = append(c.Records, connectors.Record{
				Start: int32(start), End: int32(len(c.Data)),
				Offset: r.Offset, Arrived: max(0, r.Timestamp.UnixMicro()), Null: r.Value == nil,
			})
		}
	}
	if len(c.Hidden) != len(s.cfg.Hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.cfg.Hidden))
	}
	for i, name := range s.cfg.Hidden {
		s.fillHidden(name, &c.Hidden[i], p, b)
	}
	for _, run := range b.runs {
		for _, r := range run {
			r.Recycle()
		}
	}
	clear(b.runs)
}

func (s *source) fillHidden(name string, h *connectors.HiddenColumn, p *partition, b *laneBuffers) {
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
	for _, run := range b.runs {
		for _, r := range run {
			if r.Attrs.IsControl() {
				continue
			}
			from := len(b.arena)
			switch name {
			case hiddenKey:
				b.arena = appendText(b.arena, r.Key)
				keep(from, r.Key == nil)
			case hiddenKeyBytes:
				b.arena = append(b.arena, r.Key...)
				keep(from, r.Key == nil)
			case hiddenHeaders:
				b.arena = appendHeaders(b.arena, r.Headers)
				keep(from, false)
			case hiddenTopic:
				h.Bytes = append(h.Bytes, topic)
			case hiddenPartition:
				h.Ints = append(h.Ints, int64(p.number))
			case hiddenOffset:
				h.Ints = append(h.Ints, r.Offset)
			case hiddenTimestamp:
				h.Ints = append(h.Ints, r.Timestamp.UnixMicro())
			}
		}
	}
	if !anyNull {
		h.Null = nil
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

// appendHeaders appends headers as a JSON object.
func appendHeaders(dst []byte, headers []kgo.RecordHeader) []byte {
	dst = append(dst, '{')
	for i, h := range headers {
		same := func(o kgo.RecordHeader) bool { return o.Key == h.Key }
		if slices.ContainsFunc(headers[:i], same) {
			continue // it is in the array of the first
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSON(dst, []byte(h.Key)), ':')
		if !slices.ContainsFunc(headers[i+1:], same) {
			dst = appendHeader(dst, h.Value)
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
			dst = appendHeader(dst, o.Value)
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

// pools keep what the client decompresses into and its records.
type pools struct {
	bytes, records sync.Pool
}

var (
	_ kgo.PoolDecompressBytes = (*pools)(nil)
	_ kgo.PoolRecords         = (*pools)(nil)
)

// expansion is a guess at how much a batch grows when it is decompressed.
const expansion = 4

func (p *pools) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	need := expansion * len(compressed)
	if b, ok := p.bytes.Get().(*[]byte); ok && cap(*b) >= need {
		return (*b)[:0]
	}
	return make([]byte, 0, need)
}

func (p *pools) PutDecompressBytes(b []byte) { p.bytes.Put(&b) }

func (p *pools) GetRecords(n int) []kgo.Record {
	if r, ok := p.records.Get().(*[]kgo.Record); ok && cap(*r) >= n {
		return (*r)[:0]
	}
	return make([]kgo.Record, 0, n)
}

func (p *pools) PutRecords(r []kgo.Record) { p.records.Put(&r) }
