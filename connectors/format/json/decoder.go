package json

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
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
	schema  *connectors.BatchSchema
	columns []*column
	walker  walker
	fast    predictor
	// generic turns the fast path off, for tests and comparisons.
	generic bool

	frames framer
	copied []byte // the chunk's bytes where a source has left no padding

	out    connectors.Decoded
	nulls  []bool // by column: the row's value is NULL
	closed bool
}

// column builds one output column.
type column struct {
	columns.Builder
	at *node // whose value it is built from
	// cast, if it is not nil, takes the values while the builder is typed. It has
	// its own rules (strict) for what it takes.
	cast   *column
	strict bool
}

// NewDecoder makes a decoder of JSON objects. It fails for fields that have no
// path or a type that nothing converts to. With validation 'projected' and
// framing 'lines' a line is left after the last wanted value; what follows is
// only searched for the beginning of another object.
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
		b, err := columns.New(f, config.Alloc)
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("build a JSON decoder: %w", err)
		}
		c := &column{Builder: *b}
		if op := c.op(); c.Type.Kind == types.String && (op == opText || op == opUnquote) {
			c.AllowDictionary()
		}
		d.columns = append(d.columns, c)
		schema[i] = f.Column
		cast := &column{strict: true}
		if ok, err := c.AllowCast(&cast.Builder); err != nil {
			d.Close()
			return nil, fmt.Errorf("build a JSON decoder: %w", err)
		} else if ok {
			c.cast = cast
		}
	}
	d.schema = connectors.NewBatchSchema(schema.Arrow())
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
	d.frames.framing = config.Framing
	d.fast.init(root, nodes, &config, &d.walker.scratch, &d.frames)
	d.nulls = make([]bool, len(d.columns))
	return d, nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	data := c.Data
	if cap(data)-len(data) < connectors.Padding {
		d.copied = connectors.Grow(d.copied[:0], len(data))
		copy(d.copied, data)
		data = d.copied
	}
	d.frames.reset(c, data)
	d.fast.reset(data)
}

// Close frees the buffers.
func (d *Decoder) Close() {
	if d.closed {
		return
	}
	d.closed = true
	d.releaseBatch()
	for _, c := range d.columns {
		c.Release()
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
	for from := d.frames; !d.decodeBatch(maxRows); d.frames = from {
		d.fast.index.reset()
	}
	d.out.Empty, d.frames.empty = d.frames.empty, 0
	if len(d.out.Values) == 0 && len(d.out.Rejected) == 0 && d.out.Empty == 0 {
		return nil, nil
	}
	rows := len(d.out.Values)
	arrays := make([]arrow.Array, len(d.columns))
	for i, c := range d.columns {
		arrays[i] = c.Array(rows)
	}
	d.out.Batch = array.NewRecordBatch(d.schema.Of(arrays), arrays, int64(rows))
	for _, a := range arrays {
		a.Release()
	}
	return &d.out, nil
}

// decodeBatch decodes up to maxRows values. It reports false when text was found
// that is not what it was to be cast to, and the batch has to be decoded again.
func (d *Decoder) decodeBatch(maxRows int) bool {
	d.out = connectors.Decoded{Values: d.out.Values[:0], Rejected: d.out.Rejected[:0]}
	for _, c := range d.columns {
		c.Begin(maxRows)
		if c.cast != nil {
			c.at.retype()
		}
	}
	begin := d.frames.pos
	for len(d.out.Values) < maxRows && len(d.out.Rejected) < maxRows && d.frames.pos-begin < maxBatchBytes {
		if !d.frames.next() {
			break
		}
		d.decodeValue()
	}
	good := true
	for _, c := range d.columns {
		good = good && !c.Spoilt()
	}
	return good
}

// decodeValue decodes the value at which the framer stands and moves behind it.
func (d *Decoder) decodeValue() {
	start, row := d.frames.pos, len(d.out.Values)
	if !d.generic && d.frames.data[start] == '{' {
		end, ok := d.fast.decode(start, d.frames.limit, row)
		if ok && end-start <= d.config.MaxRecordBytes && d.fast.finish(row) {
			d.accept(start, end)
			return
		}
	}
	d.decodeGeneric(start, row)
}

func (d *Decoder) accept(start, end int) {
	d.out.Values = append(d.out.Values, d.frames.value(start, end))
	d.frames.pos = end
}

func (d *Decoder) reject(start, end int, class connectors.ErrorClass, message string) {
	d.out.Rejected = append(d.out.Rejected, connectors.Rejection{Value: d.frames.value(start, end), Class: class, Message: message})
	d.frames.pos = end
}

// decodeGeneric decodes the value at start with the walker.
func (d *Decoder) decodeGeneric(start, row int) {
	doc := d.frames.data[:d.frames.bound(start)]
	var end int
	var err error
	isObject := doc[start] == '{'
	if isObject {
		if end, err = d.walker.walk(doc, start); errors.Is(err, errEnough) {
			end, err = d.leaveLine(doc, start, end)
		}
	} else {
		end, err = d.walker.pass(doc, start)
		if err == nil && doc[start] != '[' && doc[start] != '"' {
			err = checkScalar(doc, start, end)
		}
	}
	switch {
	case err != nil:
		end, message := d.frames.brokenOff(start, err)
		class := connectors.ClassDecode
		if end-start > d.config.MaxRecordBytes {
			class = connectors.ClassTooLarge
		}
		d.reject(start, end, class, message)
	case end-start > d.config.MaxRecordBytes:
		d.reject(start, end, connectors.ClassTooLarge,
			fmt.Sprintf("the value has %d bytes, more than the limit of %d", end-start, d.config.MaxRecordBytes))
	case !isObject:
		d.reject(start, end, connectors.ClassDecode,
			fmt.Sprintf("expected an object, found %s: %s", mysqljson.KindOf(doc[start:end]), columns.Shorten(doc[start:end])))
	default:
		if class, message := d.convert(row); class != "" {
			d.reject(start, end, class, message)
			return
		}
		for i, c := range d.columns {
			if d.nulls[i] {
				c.SetNull(row)
			}
		}
		d.accept(start, end)
	}
}

// checkScalar says whether doc[start:end] is a number or a word of JSON. Text that
// is neither breaks its whole line off, rather than each of its words by itself.
func checkScalar(doc []byte, start, end int) error {
	err := mysqljson.Valid(doc[start:end])
	var syntax *mysqljson.SyntaxError
	if errors.As(err, &syntax) {
		syntax.Offset += start
	}
	return err
}

// leaveLine ends a record of which everything wanted lies before i: at the end
// of the line, unless another value seems to follow on it.
func (d *Decoder) leaveLine(doc []byte, start, i int) (end int, err error) {
	if end, ok := lineRest(doc, i); ok {
		return end, nil
	}
	d.walker.alone = false
	defer func() { d.walker.alone = true }()
	return d.walker.walk(doc, start)
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
			if c.Typed() && d.fast.castValue(c.cast, p.start, row) == p.end {
				d.nulls[i] = false
				continue
			}
			var err error
			if null, err = c.ConvertJSON(raw, row, &w.scratch); err != nil {
				var syntax *mysqljson.SyntaxError
				switch {
				case errors.As(err, &syntax):
					return connectors.ClassDecode, fmt.Sprintf("field %s: %s: %s", c.Path, syntax.Reason, columns.Shorten(raw))
				case d.config.OnFieldError == connectors.FieldErrorDeadLetter || c.Field.Column.NotNull:
					return connectors.ClassField, c.Misfit(raw, err)
				}
				null = true
			}
		}
		if null && c.Field.Column.NotNull {
			return connectors.ClassField, c.Missing(p.match != matchNone)
		}
		d.nulls[i] = null
	}
	return "", ""
}
