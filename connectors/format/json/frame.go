package json

import (
	"bytes"
	"errors"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
)

// framer finds where the values of a chunk begin: in its payloads, and with
// framing 'lines' in their lines. It counts those without a value.
type framer struct {
	framing connectors.Framing
	chunk   *connectors.Chunk // nil when it is used up
	data    []byte

	record    int // index of the current payload in chunk.Records
	inPayload bool
	pos       int // where the next value is looked for; who takes one moves it
	limit     int // the end of the payload
	lineStart int // the beginning of the payload, or of the current line
	lineStop  int // a line break, when pos is before it in the same line
	values    int // that the payload, or the current line, has had

	empty int // lines and payloads without a value
}

// byteOrderMark may begin a file; RFC 8259 lets readers ignore it.
var byteOrderMark = []byte("\ufeff")

// reset begins a chunk whose bytes are data.
func (f *framer) reset(c *connectors.Chunk, data []byte) {
	*f = framer{framing: f.framing, chunk: c, data: data, record: -1}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next moves pos to where the next value begins; false at the end of the chunk.
func (f *framer) next() bool {
	lines := f.framing == connectors.FramingLines
	for {
		for ; f.pos < f.limit; f.pos++ {
			c := f.data[f.pos]
			if !isSpace(c) {
				f.values++
				return true
			}
			if c == '\n' && lines {
				f.endFrame()
				f.lineStart = f.pos + 1
			}
		}
		// What is behind the last line break of a payload is a line too, unless
		// it is nothing.
		if f.inPayload && (!lines || f.lineStart < f.limit) {
			f.endFrame()
		}
		if !f.nextPayload() {
			return false
		}
	}
}

// nextPayload enters the next payload that is not empty.
func (f *framer) nextPayload() bool {
	f.inPayload = false
	if f.chunk == nil {
		return false
	}
	for {
		f.record++
		switch records := f.chunk.Records; {
		case len(records) == 0 && f.record == 0 && len(f.data) > 0:
			f.pos, f.limit = 0, len(f.data)
			if f.chunk.Base == 0 && bytes.HasPrefix(f.data, byteOrderMark) {
				f.pos = len(byteOrderMark)
			}
		case f.record >= len(records):
			f.chunk = nil
			return false
		case records[f.record].Null || records[f.record].Start == records[f.record].End:
			f.empty++
			continue
		default:
			f.pos, f.limit = int(records[f.record].Start), int(records[f.record].End)
		}
		f.inPayload, f.lineStart, f.lineStop, f.values = true, f.pos, 0, 0
		return true
	}
}

// endFrame ends a line or a payload.
func (f *framer) endFrame() {
	if f.values == 0 {
		f.empty++
	}
	f.values = 0
}

// value names a part of the current payload.
func (f *framer) value(start, end int) connectors.Value {
	return connectors.Value{Start: int32(start), End: int32(end), Record: int32(f.record)}
}

// bound is what a value that begins at start cannot go beyond: the end of the
// payload, or of the line where that ends a record.
func (f *framer) bound(start int) int {
	if f.framing == connectors.FramingLines {
		return f.lineEnd(start)
	}
	return f.limit
}

// lineEnd is the end of the line in which i is. It is looked for once per line,
// however many values that has.
func (f *framer) lineEnd(i int) int {
	if i >= f.lineStop {
		f.lineStop = f.limit
		if n := bytes.IndexByte(f.data[i:f.limit], '\n'); n >= 0 {
			f.lineStop = i + n
		}
	}
	return f.lineStop
}

// brokenOff is where a value ends that begins at start and is broken, with the
// message that says so: at the end of the line on which it breaks off.
func (f *framer) brokenOff(start int, err error) (end int, message string) {
	at := f.bound(start)
	message = err.Error()
	var syntax *mysqljson.SyntaxError
	if errors.As(err, &syntax) {
		at = max(start, min(syntax.Offset, at))
		message = (&mysqljson.SyntaxError{Offset: syntax.Offset - start, Reason: syntax.Reason}).Error()
	}
	end = f.limit
	if n := bytes.IndexByte(f.data[at:f.limit], '\n'); n >= 0 {
		end = at + n
	}
	for end > start && isSpace(f.data[end-1]) {
		end--
	}
	return end, message
}

// lineRest is where the text of a line, which is all of line, ends that goes on
// at i; false where an object seems to begin that is no member or element.
func lineRest(line []byte, i int) (end int, ok bool) {
	for at := i; ; {
		n := bytes.IndexByte(line[at:], '{')
		if n < 0 {
			break
		}
		at += n + 1
		before := at - 2
		for before >= i && isSpace(line[before]) {
			before--
		}
		if before >= i && line[before] != ':' && line[before] != ',' && line[before] != '[' {
			return 0, false
		}
	}
	end = len(line)
	for end > i && isSpace(line[end-1]) {
		end--
	}
	return end, true
}
