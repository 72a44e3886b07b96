package kafka

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
)

// fill makes c of the records of b, whose payloads are copied once or stay where
// they are, and gives them back to the client.
func (s *source) fill(p *partition, b *laneBuffers, c *connectors.Chunk) {
	c.Split, c.Base = p.split, 0
	c.Records = c.Records[:0]
	b.arena = b.arena[:0]
	keep := len(s.cfg.Hidden) > 0
	if b.inPlace {
		c.Data = fillInPlace(b.runs[0], c, keep)
	} else {
		b.data = connectors.Grow(b.data[:0], b.bytes)[:0]
		for _, run := range b.runs {
			b.data = fillCopied(b.data, run, c, keep)
		}
		c.Data = b.data
	}
	if len(c.Hidden) != len(s.cfg.Hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.cfg.Hidden))
	}
	for i, name := range s.cfg.Hidden {
		s.fillHidden(name, &c.Hidden[i], p, b)
	}
	if keep {
		for _, run := range b.runs {
			for _, r := range run {
				r.Recycle()
			}
		}
	}
	clear(b.runs)
}

// fillCopied appends the payloads of a run to data. It keeps the records for those
// who want more of them.
func fillCopied(data []byte, run []*kgo.Record, c *connectors.Chunk, keep bool) []byte {
	for _, r := range run {
		if !r.Attrs.IsControl() {
			start := len(data)
			data = append(data, r.Value...)
			c.Records = append(c.Records, record(r, start, len(data)))
		}
		if !keep {
			r.Recycle()
		}
	}
	return data
}

func record(r *kgo.Record, start, end int) connectors.Record {
	return connectors.Record{Start: int32(start), End: int32(end), Offset: r.Offset, Arrived: max(0, r.Timestamp.UnixMicro()), Null: r.Value == nil}
}

// leastInPlace is how many bytes of payloads are worth a chunk of their own.
const leastInPlace = 64 << 10

// takeInPlace takes about a chunk of a run's records whose payloads can stay where
// they were fetched, and returns how many; 0 if they have to be copied.
//
// A run is what one response has of a partition, and the client does not copy what
// is not compressed: these payloads lie in the response, one behind the other with
// the records' headers between them. Only the run says what else is there, so a
// chunk ends at least the padding before the end of the run's last payload.
func (b *laneBuffers) takeInPlace(run []*kgo.Record, chunk int) int {
	last := run[len(run)-1]
	if last.Attrs.CompressionType() != 0 || len(last.Value) == 0 {
		return 0
	}
	limit := endOf(last) - connectors.Padding
	n, size := 0, 0
	var start, end uintptr
	for _, r := range run {
		if size >= chunk || r.Attrs.CompressionType() != 0 || r.Attrs.IsControl() {
			break
		}
		if len(r.Value) > 0 {
			at := endOf(r) - uintptr(len(r.Value))
			if start == 0 {
				start, end = at, at
			}
			if at < end || endOf(r) > limit {
				break
			}
			end = endOf(r)
			size += len(r.Value)
		}
		n++
	}
	if size < leastInPlace || int(end-start) > 2*size {
		return 0
	}
	b.runs, b.bytes, b.inPlace = append(b.runs, run[:n]), size, true
	return n
}

// endOf is the address behind a payload.
func endOf(r *kgo.Record) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(r.Value))) + uintptr(len(r.Value))
}

// fillInPlace returns the part of the response that has the payloads of a run
// which takeInPlace has taken.
func fillInPlace(run []*kgo.Record, c *connectors.Chunk, keep bool) []byte {
	var first *byte
	var start uintptr
	end := 0
	for _, r := range run {
		at := end
		if len(r.Value) > 0 {
			if first == nil {
				first = unsafe.SliceData(r.Value)
				start = uintptr(unsafe.Pointer(first))
			}
			end = int(endOf(r) - start)
			at = end - len(r.Value)
		}
		c.Records = append(c.Records, record(r, at, end))
		if !keep {
			r.Recycle()
		}
	}
	return unsafe.Slice(first, end+connectors.Padding)[:end]
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
