package columns

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

// MaxBatchBytes ends a batch that has taken this much of a chunk, so that no
// column of text comes near Arrow's 2 GiB.
const MaxBatchBytes = 128 << 20

// Batch builds the rows of a decoder, one after the other: Set for each column,
// then Accept or Reject.
type Batch struct {
	Columns []*Builder

	config  connectors.DecoderConfig
	schema  *connectors.BatchSchema
	scratch Scratch
	logTime []byte
	typed   []byte // the JSON text of a typed value
	nulls   []bool // by column: the row's value is NULL
	anyNull bool   // some of nulls may be set
	out     connectors.Decoded
}

// NewBatch makes the builders of a decoder's fields; zero limits of config are
// given their defaults.
func NewBatch(config *connectors.DecoderConfig) (*Batch, error) {
	if config.Alloc == nil {
		config.Alloc = memory.DefaultAllocator
	}
	if config.MaxRecordBytes <= 0 {
		config.MaxRecordBytes = connectors.DefaultMaxRecordBytes
	}
	b := &Batch{config: *config, nulls: make([]bool, len(config.Fields))}
	schema := make(types.Schema, len(config.Fields))
	for i, f := range config.Fields {
		c, err := New(f, config.Alloc)
		if err == nil {
			if c.Type.Kind == types.String {
				c.AllowDictionary()
			}
			b.Columns = append(b.Columns, c)
			if f.Cast.Kind == types.Float64 {
				_, err = c.AllowCast(&Builder{})
				c.retext = true
			}
			err = errors.Join(err, c.parsePath())
		}
		if err != nil {
			b.Close()
			return nil, err
		}
		schema[i] = f.Column
	}
	b.schema = connectors.NewBatchSchema(schema.Arrow())
	return b, nil
}

// parsePath makes the path below a column that holds JSON text.
func (c *Builder) parsePath() (err error) {
	if len(c.Field.Path) == 0 || c.Field.Path[0] == "" {
		return fmt.Errorf("field %s has no path", c.Field.Column.Name)
	}
	text := []byte{'$'}
	for _, step := range c.Field.Path[1:] {
		if len(step) > 1 && step[0] == '[' && step[len(step)-1] == ']' {
			text = append(text, step...)
			continue
		}
		text = mysqljson.AppendQuoted(append(text, '.'), []byte(step))
	}
	if c.below, err = mysqljson.ParsePath(string(text)); err != nil {
		return fmt.Errorf("field %s: %w", c.Path, err)
	}
	return nil
}

// Begin starts a batch of up to maxRows rows. What the last one gave is no
// longer valid.
func (b *Batch) Begin(maxRows int) {
	b.release()
	b.out = connectors.Decoded{Values: b.out.Values[:0], Rejected: b.out.Rejected[:0]}
	for _, c := range b.Columns {
		c.Begin(maxRows)
	}
}

// Rows is how many rows the batch has.
func (b *Batch) Rows() int { return len(b.out.Values) }

// Full reports whether the batch has maxRows rows or rejections.
func (b *Batch) Full(maxRows int) bool {
	return len(b.out.Values) >= maxRows || len(b.out.Rejected) >= maxRows
}

// Set writes the value of column i in the row that is being built. A class says
// why it rejects the record.
func (b *Batch) Set(i int, text []byte) (class connectors.ErrorClass, message string) {
	b.scratch.read = false
	return b.SetSame(i, text)
}

// SetSame is Set with the very text that it was called with last, for another
// column: what was found in JSON need not be looked for again.
func (b *Batch) SetSame(i int, text []byte) (class connectors.ErrorClass, message string) {
	c := b.Columns[i]
	null, err := c.ConvertText(text, len(b.out.Values), &b.scratch)
	if err != nil {
		return b.misfit(i, text, err)
	}
	if null {
		return b.SetNull(i, true)
	}
	b.nulls[i] = false
	return "", ""
}

// SetJSON is Set for a JSON value.
func (b *Batch) SetJSON(i int, raw []byte) (class connectors.ErrorClass, message string) {
	null, err := b.Columns[i].ConvertJSON(raw, len(b.out.Values), &b.scratch)
	if err != nil {
		return b.misfit(i, raw, err)
	}
	if null {
		return b.SetNull(i, true)
	}
	b.nulls[i] = false
	return "", ""
}

func (b *Batch) misfit(i int, text []byte, err error) (class connectors.ErrorClass, message string) {
	c := b.Columns[i]
	if b.config.OnFieldError == connectors.FieldErrorDeadLetter || c.Field.Column.NotNull {
		var syntax *mysqljson.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("not JSON: %w", err)
		}
		return connectors.ClassField, c.Misfit(text, err)
	}
	b.NullDirect(i)
	return "", ""
}

// SetNull makes column i NULL; found says that the record has the column.
func (b *Batch) SetNull(i int, found bool) (class connectors.ErrorClass, message string) {
	if !b.NullDirect(i) {
		return connectors.ClassField, b.Columns[i].Missing(found)
	}
	return "", ""
}

// Accept ends the row. Every column was set.
func (b *Batch) Accept(v connectors.Value) {
	if b.anyNull {
		row := len(b.out.Values)
		for i, null := range b.nulls {
			if null {
				b.Columns[i].SetNull(row)
			}
		}
		clear(b.nulls)
		b.anyNull = false
	}
	b.out.Values = append(b.out.Values, v)
}

// Reject notes a value that is no row; what was set of it is forgotten.
func (b *Batch) Reject(v connectors.Value, class connectors.ErrorClass, message string) {
	b.out.Rejected = append(b.out.Rejected, connectors.Rejection{Value: v, Class: class, Message: message})
}

// TooLarge rejects a value that is larger than the configuration allows, and
// reports whether it is.
func (b *Batch) TooLarge(v connectors.Value) bool {
	n := int(v.End - v.Start)
	if n <= b.config.MaxRecordBytes {
		return false
	}
	b.Reject(v, connectors.ClassTooLarge, fmt.Sprintf("the value has %d bytes, more than the limit of %d", n, b.config.MaxRecordBytes))
	return true
}

// Finish is the batch, or nil when it holds nothing.
func (b *Batch) Finish(empty int) *connectors.Decoded {
	b.out.Empty = empty
	rows := len(b.out.Values)
	if rows == 0 && len(b.out.Rejected) == 0 && empty == 0 {
		return nil
	}
	arrays := make([]arrow.Array, len(b.Columns))
	for i, c := range b.Columns {
		arrays[i] = c.Array(rows)
	}
	b.out.Batch = array.NewRecordBatch(b.schema.Of(arrays), arrays, int64(rows))
	for _, a := range arrays {
		a.Release()
	}
	return &b.out
}

func (b *Batch) release() {
	if b.out.Batch != nil {
		b.out.Batch.Release()
		b.out.Batch = nil
	}
}

// Close frees the buffers; it may be called again.
func (b *Batch) Close() {
	b.release()
	for _, c := range b.Columns {
		c.Release()
	}
	b.Columns = nil
}

// Payloads visits the payloads of a chunk: its records, or all of its data
// where it has none. Null and empty ones are counted and passed over.
type Payloads struct {
	Data   []byte // of the chunk, with connectors.Padding behind it
	Pos    int    // where the payload goes on; whoever takes of it moves it
	Limit  int    // where it ends
	Record int    // its index in the chunk's records
	Empty  int    // payloads, and whatever else the decoder counts, without a value

	chunk  *connectors.Chunk
	base   int64
	copied []byte // the chunk's bytes where a source has left no padding
}

var byteOrderMark = []byte("\ufeff")

// Reset begins a new chunk.
func (p *Payloads) Reset(c *connectors.Chunk) {
	data := c.Data
	if cap(data)-len(data) < connectors.Padding {
		p.copied = connectors.Grow(p.copied[:0], len(data))
		copy(p.copied, data)
		data = p.copied
	}
	*p = Payloads{Data: data, Record: -1, chunk: c, base: c.Base, copied: p.copied}
}

// Next enters the next payload; false at the end of the chunk. A byte order
// mark at the beginning of a file is passed over.
func (p *Payloads) Next() bool {
	for p.chunk != nil {
		p.Record++
		records := p.chunk.Records
		switch {
		case len(records) == 0 && p.Record == 0 && len(p.Data) > 0:
			p.Pos, p.Limit = 0, len(p.Data)
			if p.chunk.Base == 0 && bytes.HasPrefix(p.Data, byteOrderMark) {
				p.Pos = len(byteOrderMark)
			}
			return true
		case p.Record >= len(records):
			p.chunk = nil
		case records[p.Record].Null || records[p.Record].Start == records[p.Record].End:
			p.Empty++
		default:
			p.Pos, p.Limit = int(records[p.Record].Start), int(records[p.Record].End)
			return true
		}
	}
	return false
}

// File reports whether the chunk is part of a file rather than of messages, and
// the header of that file. Records with a header come one by one of such a file.
func (p *Payloads) File() (header []byte, ok bool) {
	if p.chunk == nil || len(p.chunk.Records) > 0 && len(p.chunk.Header) == 0 {
		return nil, false
	}
	return p.chunk.Header, true
}

// Single reports whether the payload is one value of a file.
func (p *Payloads) Single() bool { return p.chunk != nil && len(p.chunk.Records) > 0 }

// Base is the position of the chunk's data in its split.
func (p *Payloads) Base() int64 { return p.base }

// TakeEmpty is how many values were empty since it was called last.
func (p *Payloads) TakeEmpty() int {
	n := p.Empty
	p.Empty = 0
	return n
}

// Value names a part of the current payload.
func (p *Payloads) Value(start, end int) connectors.Value {
	return connectors.Value{Start: int32(start), End: int32(end), Record: int32(p.Record)}
}
