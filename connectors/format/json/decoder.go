package json

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// DefaultMaxRecordBytes bounds values where DecoderConfig.MaxRecordBytes is 0.
const DefaultMaxRecordBytes = 16 << 20

// maxBatchBytes ends a batch that has taken this much of the chunk, so that no
// column of text comes near Arrow's 2 GiB.
const maxBatchBytes = 128 << 20

// Decoder implements connectors.Decoder for JSON.
type Decoder struct {
	config  connectors.DecoderConfig
	schema  *arrow.Schema
	columns []*column
	walker  walker
	fast    predictor
	// generic turns the fast path off, for tests and comparisons.
	generic bool

	chunk     *connectors.Chunk
	data      []byte // the chunk's bytes, padded
	copied    []byte // where a source has left no padding
	record    int    // index of the current payload in chunk.Records
	inPayload bool
	pos       int // where the next value is looked for
	limit     int // the end of the payload
	lineStart int // the beginning of the payload, or of the current line
	values    int // that the payload, or the current line, has had

	out    connectors.Decoded
	nulls  []bool // by column: the row's value is NULL
	closed bool
}

// NewDecoder makes a decoder of JSON objects. It fails for fields that have no
// path or a type that nothing converts to. With validation 'projected' and
// framing 'lines' a line is left after the last wanted value; what follows is
// only searched for the beginning of another value.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	if config.Alloc == nil {
		config.Alloc = memory.DefaultAllocator
	}
	if config.MaxRecordBytes <= 0 {
		config.MaxRecordBytes = DefaultMaxRecordBytes
	}
	d := &Decoder{config: config}
	schema := make(types.Schema, len(config.Fields))
	for i, f := range config.Fields {
		c, err := newColumn(f, config.Alloc)
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("build a JSON decoder: %w", err)
		}
		d.columns = append(d.columns, c)
		schema[i] = f.Column
	}
	d.schema = schema.Arrow()
	root, nodes, err := newTree(config.Fields, d.columns)
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("build a JSON decoder: %w", err)
	}
	alone := config.Validation == connectors.ValidationProjected && config.Framing == connectors.FramingLines
	d.walker = walker{
		root: root, nodes: nodes, validation: config.Validation, alone: alone, places: make([]place, len(nodes)),
	}
	for _, n := range nodes {
		if len(n.columns) > 0 {
			d.walker.wanted++
		}
	}
	d.fast.init(root, nodes, &config, &d.walker.scratch)
	d.nulls = make([]bool, len(d.columns))
	return d, nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	d.chunk, d.data = c, c.Data
	if cap(d.data)-len(d.data) < connectors.Padding {
		d.copied = connectors.Grow(d.copied[:0], len(d.data))
		copy(d.copied, d.data)
		d.data = d.copied
	}
	d.fast.reset(d.data)
	d.record, d.inPayload, d.pos, d.limit = -1, false, 0, 0
}

// byteOrderMark may begin a file; RFC 8259 lets readers ignore it.
var byteOrderMark = []byte("\ufeff")

// Close frees the buffers.
func (d *Decoder) Close() {
	if d.closed {
		return
	}
	d.closed = true
	d.releaseBatch()
	for _, c := range d.columns {
		c.release()
	}
}

func (d *Decoder) releaseBatch() {
	if d.out.Batch != nil {
		d.out.Batch.Release()
		d.out.Batch = nil
	}
}

// Next decodes up to maxRows more values of the chunk.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode JSON: maxRows is %d", maxRows)
	}
	d.releaseBatch()
	d.out = connectors.Decoded{Values: d.out.Values[:0], Rejected: d.out.Rejected[:0]}
	for _, c := range d.columns {
		c.begin(maxRows)
	}
	begin := d.pos
	for len(d.out.Values) < maxRows && len(d.out.Rejected) < maxRows && d.pos-begin < maxBatchBytes {
		if !d.nextValue() {
			break
		}
		d.decodeValue()
	}
	if len(d.out.Values) == 0 && len(d.out.Rejected) == 0 && d.out.Empty == 0 {
		return nil, nil
	}
	rows := len(d.out.Values)
	arrays := make([]arrow.Array, len(d.columns))
	for i, c := range d.columns {
		arrays[i] = c.array(rows)
	}
	d.out.Batch = array.NewRecordBatch(d.schema, arrays, int64(rows))
	for _, a := range arrays {
		a.Release()
	}
	return &d.out, nil
}

// nextValue moves to where the next value begins; false at the end of the
// chunk. It counts the lines and payloads without a value that it passes.
func (d *Decoder) nextValue() bool {
	lines := d.config.Framing == connectors.FramingLines
	for {
		for ; d.pos < d.limit; d.pos++ {
			c := d.data[d.pos]
			if !isSpace(c) {
				return true
			}
			if c == '\n' && lines {
				d.endFrame()
				d.lineStart = d.pos + 1
			}
		}
		// What is behind the last line break of a payload is a line too, unless
		// it is nothing.
		if d.inPayload && (!lines || d.lineStart < d.limit) {
			d.endFrame()
		}
		if !d.nextPayload() {
			return false
		}
	}
}

// nextPayload enters the next payload that is not empty.
func (d *Decoder) nextPayload() bool {
	d.inPayload = false
	if d.chunk == nil {
		return false
	}
	for {
		d.record++
		switch records := d.chunk.Records; {
		case len(records) == 0 && d.record == 0 && len(d.data) > 0:
			d.pos, d.limit = 0, len(d.data)
			if d.chunk.Base == 0 && bytes.HasPrefix(d.data, byteOrderMark) {
				d.pos = len(byteOrderMark)
			}
		case d.record >= len(records):
			d.chunk = nil
			return false
		case records[d.record].Null || records[d.record].Start == records[d.record].End:
			d.out.Empty++
			continue
		default:
			d.pos, d.limit = int(records[d.record].Start), int(records[d.record].End)
		}
		d.inPayload, d.lineStart, d.values = true, d.pos, 0
		return true
	}
}

// endFrame ends a line or a payload.
func (d *Decoder) endFrame() {
	if d.values == 0 {
		d.out.Empty++
	}
	d.values = 0
}

// decodeValue decodes the value that begins at d.pos and moves behind it.
func (d *Decoder) decodeValue() {
	d.values++
	start, row := d.pos, len(d.out.Values)
	if !d.generic && d.data[start] == '{' {
		if end, ok := d.fast.decode(start, d.limit, row); ok && end-start <= d.config.MaxRecordBytes {
			if d.fast.finish(row) {
				d.accept(start, end)
				return
			}
		}
	}
	d.decodeGeneric(start, row)
}

func (d *Decoder) accept(start, end int) {
	d.out.Values = append(d.out.Values, connectors.Value{Start: int32(start), End: int32(end), Record: int32(d.record)})
	d.pos = end
}

func (d *Decoder) reject(start, end int, class connectors.ErrorClass, message string) {
	d.out.Rejected = append(d.out.Rejected, connectors.Rejection{
		Value: connectors.Value{Start: int32(start), End: int32(end), Record: int32(d.record)}, Class: class, Message: message,
	})
	d.pos = end
}

// decodeGeneric decodes the value at start with the walker.
func (d *Decoder) decodeGeneric(start, row int) {
	limit := d.limit
	if d.config.Framing == connectors.FramingLines {
		limit = d.lineEnd(start)
	}
	doc := d.data[:limit]
	var end int
	var err error
	isObject := doc[start] == '{'
	if isObject {
		if end, err = d.walker.walk(doc, start); errors.Is(err, errEnough) {
			end, err = d.leaveLine(start, end, limit)
		}
	} else {
		end, err = d.walker.pass(doc, start)
	}
	switch {
	case err != nil:
		d.rejectBroken(start, limit, err)
	case end-start > d.config.MaxRecordBytes:
		d.reject(start, end, connectors.ClassTooLarge,
			fmt.Sprintf("the value has %d bytes, more than the limit of %d", end-start, d.config.MaxRecordBytes))
	case !isObject:
		d.reject(start, end, connectors.ClassDecode,
			fmt.Sprintf("expected an object, found %s: %s", mysqljson.KindOf(doc[start:end]), shorten(doc[start:end])))
	default:
		if class, message := d.convert(row); class != "" {
			d.reject(start, end, class, message)
			return
		}
		for i, c := range d.columns {
			if d.nulls[i] {
				c.setNull(row)
			}
		}
		d.accept(start, end)
	}
}

// leaveLine ends a record of which everything wanted lies before i: at the end
// of the line, unless another value seems to follow on it.
func (d *Decoder) leaveLine(start, i, limit int) (end int, err error) {
	if end, ok := lineRest(d.data, i, limit); ok {
		return end, nil
	}
	d.walker.alone = false
	defer func() { d.walker.alone = true }()
	return d.walker.walk(d.data[:limit], start)
}

// lineRest is where the text of a line ends that goes on at i; false where an
// object seems to begin behind another one.
func lineRest(data []byte, i, limit int) (end int, ok bool) {
	for at := i; ; {
		n := bytes.IndexByte(data[at:limit], '{')
		if n < 0 {
			break
		}
		at += n + 1
		before := at - 2
		for before >= i && isSpace(data[before]) {
			before--
		}
		if before >= i && data[before] == '}' {
			return 0, false
		}
	}
	for limit > i && isSpace(data[limit-1]) {
		limit--
	}
	return limit, true
}

// rejectBroken rejects what begins at start and breaks off: up to the end of
// the line on which it does.
func (d *Decoder) rejectBroken(start, limit int, err error) {
	at := limit
	var syntax *mysqljson.SyntaxError
	message := err.Error()
	if errors.As(err, &syntax) {
		at = max(start, min(syntax.Offset, limit))
		message = (&mysqljson.SyntaxError{Offset: syntax.Offset - start, Reason: syntax.Reason}).Error()
	}
	end := at
	if i := bytes.IndexByte(d.data[at:limit], '\n'); i >= 0 {
		end += i
	} else {
		end = limit
	}
	for end > start && isSpace(d.data[end-1]) {
		end--
	}
	class := connectors.ClassDecode
	if end-start > d.config.MaxRecordBytes {
		class = connectors.ClassTooLarge
	}
	d.reject(start, end, class, message)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (d *Decoder) lineEnd(i int) int {
	if n := bytes.IndexByte(d.data[i:d.limit], '\n'); n >= 0 {
		return i + n
	}
	return d.limit
}

// convert writes the row from what the walker found. It returns the class and
// message of the first field that rejects the record.
func (d *Decoder) convert(row int) (class connectors.ErrorClass, message string) {
	w := &d.walker
	for i, c := range d.columns {
		p := w.places[c.at.id]
		null := true
		if p.match != matchNone {
			raw := w.doc[p.start:p.end]
			var err error
			if null, err = c.convert(raw, row, &w.scratch); err != nil {
				var syntax *mysqljson.SyntaxError
				switch {
				case errors.As(err, &syntax):
					return connectors.ClassDecode, fmt.Sprintf("field %s: %s: %s", c.path, syntax.Reason, shorten(raw))
				case d.config.OnFieldError == connectors.FieldErrorDeadLetter || c.field.Column.NotNull:
					return connectors.ClassField, c.misfit(raw, err)
				}
				null = true
			}
		}
		if null && c.field.Column.NotNull {
			return connectors.ClassField, c.missing(p.match != matchNone)
		}
		d.nulls[i] = null
	}
	return "", ""
}
