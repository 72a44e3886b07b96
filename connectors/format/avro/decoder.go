package avro

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
)

// Decoder implements connectors.Decoder for Avro.
type Decoder struct {
	config   connectors.DecoderConfig
	given    hamba.Schema // of all messages; nil if it is that of the registry
	registry *schemaregistry.Client
	batch    *columns.Batch
	data     columns.Payloads
	walk     walker

	plans  map[int]*plan // by schema id
	lastID int
	last   *plan // of lastID

	// Of files.
	head         []byte // the header that plan is of
	sync         []byte
	plan         *plan
	decompressor decompressor
	plain        []byte // the decompressed blocks of the batch
	blocks       []plainBlock
	left         int64 // records of the block at hand that are not decoded
	recordPos    int   // where the next one begins, in plain or in the chunk's data
	recordEnd    int   // the end of the block's records
}

// plan is what a schema was compiled to, or why records with it are no rows.
type plan struct {
	root *node
	fast *fastPlan // of most records; nil if of none
	why  string
}

// plainBlock is a block of the batch: where its records are in plain, and where
// it begins in the chunk.
type plainBlock struct{ at, from int }

// NewDecoder makes a decoder of Avro records. It fails for options that do not go
// together; the registry is asked when a record needs it.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	schema, err := given(config.Options)
	if err != nil {
		return nil, err
	}
	d := &Decoder{given: schema, plans: map[int]*plan{}, lastID: -1}
	if d.registry, err = schemaregistry.New(config.Options); err != nil {
		return nil, err
	}
	if d.batch, err = columns.NewBatch(&config); err != nil {
		return nil, fmt.Errorf("build an Avro decoder: %w", err)
	}
	d.config = config
	d.walk.batch = d.batch
	d.decompressor.limit = max(64<<20, config.MaxRecordBytes)
	if schema != nil {
		if d.last, err = d.compile(schema); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

func (d *Decoder) compile(schema hamba.Schema) (*plan, error) {
	root, err := compile(schema, d.config.Fields)
	if err != nil {
		return nil, fmt.Errorf("build an Avro decoder: %w", err)
	}
	return &plan{root: root, fast: newFastPlan(root, d.batch.Columns)}, nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	d.data.Reset(c)
	d.left = 0
}

// Close frees the buffers.
func (d *Decoder) Close() {
	d.batch.Close()
	d.registry.Close()
	d.decompressor.close()
	d.plain = nil
}

// Next decodes up to maxRows more records of the chunk. The error is retryable
// when the schema registry is away.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode Avro: maxRows is %d", maxRows)
	}
	d.batch.Begin(maxRows)
	if d.left > 0 && d.compressed() {
		d.keepBlock()
	} else {
		d.plain, d.blocks = d.plain[:0], d.blocks[:0]
	}
	for !d.batch.Full(maxRows) && d.batch.Rows()*len(d.batch.Columns) < columns.MaxBatchBytes && len(d.plain) < maxPlain {
		switch {
		case d.left > 0:
			if d.record(); d.left == 0 && len(d.plain) >= enoughPlain {
				return d.finish(), nil
			}
		case d.data.Pos < d.data.Limit:
			if err := d.enter(); err != nil {
				return nil, err
			}
		case !d.data.Next():
			return d.finish(), nil
		}
	}
	return d.finish(), nil
}

const (
	// maxPlain bounds the decompressed blocks of a batch; a batch ends behind the
	// block with which it has enoughPlain.
	maxPlain    = columns.MaxBatchBytes
	enoughPlain = 4 << 20
)

// compressed reports whether records of the file at hand are not in its chunks.
func (d *Decoder) compressed() bool { return d.decompressor.codec != "" }

// keepBlock drops the blocks before the one at hand.
func (d *Decoder) keepBlock() {
	last := d.blocks[len(d.blocks)-1]
	n := copy(d.plain, d.plain[last.at:])
	d.plain = d.plain[:n]
	d.recordPos -= last.at
	d.recordEnd -= last.at
	d.blocks = append(d.blocks[:0], plainBlock{0, last.from})
}

func (d *Decoder) finish() *connectors.Decoded {
	out := d.batch.Finish(d.data.TakeEmpty())
	if out != nil {
		out.Locate = nil
		if len(d.blocks) > 0 {
			out.Locate = d.locate
		}
	}
	return out
}

// locate names a record of a compressed block: by the place of the block in the
// file and that of the record in the block, after decompression.
func (d *Decoder) locate(v connectors.Value) (raw []byte, offset int64, within int32) {
	i := sort.Search(len(d.blocks), func(i int) bool { return d.blocks[i].at > int(v.Start) }) - 1
	b := d.blocks[max(i, 0)]
	return d.plain[v.Start:v.End], d.data.Base() + int64(b.from), v.Start - int32(b.at)
}

// enter decodes the message at hand, or begins the next block of a file.
func (d *Decoder) enter() error {
	if header, file := d.data.File(); file {
		if d.data.Single() {
			return d.enterRecord(header)
		}
		return d.enterBlock(header)
	}
	start, end := d.data.Pos, d.data.Limit
	value := d.data.Value(start, end)
	if d.batch.TooLarge(value) {
		d.data.Pos = end
		return nil
	}
	payload := d.data.Data[start:end]
	p := d.last
	switch {
	case d.registry != nil:
		id, rest, err := schemaregistry.SplitHeader(payload)
		if err != nil {
			d.reject(value, err)
			return nil
		}
		if id != d.lastID {
			if p, err = d.planOf(id); err != nil {
				return err
			}
			d.last, d.lastID = p, id
		}
		payload = rest
	case d.given == nil:
		return errNoSchema()
	}
	d.data.Pos = end
	if p.root == nil {
		d.batch.Reject(value, connectors.ClassDecode, p.why)
		return nil
	}
	w := &d.walk
	w.data, w.pos = payload, 0
	w.record(p)
	switch {
	case w.err != nil:
		d.reject(value, fmt.Errorf("%w (at byte %d)", w.err, end-start-len(payload)+w.pos))
	case w.pos < len(payload):
		d.reject(value, fmt.Errorf("%d bytes follow the value", len(payload)-w.pos))
	case w.class != "":
		d.batch.Reject(value, w.class, w.message)
	default:
		d.batch.Accept(value)
	}
	return nil
}

func (d *Decoder) reject(value connectors.Value, err error) {
	d.batch.Reject(value, connectors.ClassDecode, "not Avro of its schema: "+err.Error())
	d.data.Pos = d.data.Limit
}

// planOf is the plan of a schema of the registry. The error means that the
// registry does not answer.
func (d *Decoder) planOf(id int) (*plan, error) {
	if p := d.plans[id]; p != nil {
		return p, nil
	}
	schema, why, err := d.schemaOf(id)
	if err != nil {
		return nil, err
	}
	p := &plan{why: why}
	if why == "" {
		if p, err = d.compile(schema); err != nil {
			return nil, err
		}
	}
	if why == "" { // the client remembers for a while what the registry does not have
		d.plans[id] = p
	}
	return p, nil
}

// schemaOf asks the registry for a schema; why says what makes records with it
// unreadable for good.
func (d *Decoder) schemaOf(id int) (schema hamba.Schema, why string, err error) {
	ctx := context.Background()
	s, err := d.registry.Schema(ctx, id)
	switch {
	case errors.Is(err, schemaregistry.ErrUnknown):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	case s.Type != "AVRO":
		return nil, fmt.Sprintf("schema %d is not one of Avro but of type %s", id, s.Type), nil
	}
	cache := &hamba.SchemaCache{}
	if err := d.loadReferences(ctx, cache, s.References, 0); err != nil {
		if errors.Is(err, schemaregistry.ErrUnknown) {
			return nil, fmt.Sprintf("schema %d: %v", id, err), nil
		}
		return nil, "", err
	}
	if schema, err = parse(s.Text, cache); err != nil {
		return nil, fmt.Sprintf("schema %d: %v", id, err), nil
	}
	return schema, "", nil
}

// maxReferences is how deep schemas may refer to each other.
const maxReferences = 32

func (d *Decoder) loadReferences(ctx context.Context, cache *hamba.SchemaCache, references []schemaregistry.Reference, depth int) error {
	if depth > maxReferences {
		return fmt.Errorf("%w: references more than %d deep", schemaregistry.ErrUnknown, maxReferences)
	}
	for _, r := range references {
		s, err := d.registry.Version(ctx, r)
		if err != nil {
			return err
		}
		if err := d.loadReferences(ctx, cache, s.References, depth+1); err != nil {
			return err
		}
		if _, err := hamba.ParseWithCache(s.Text, "", cache); err != nil {
			return fmt.Errorf("%w: reference %s: %w", schemaregistry.ErrUnknown, r.Name, err)
		}
	}
	return nil
}

// takeHeader makes a plan of the header of a file.
func (d *Decoder) takeHeader(head []byte) error {
	if bytes.Equal(head, d.head) && d.plan != nil {
		return nil
	}
	h, n, err := parseHeader(head)
	if err != nil || n == 0 {
		return fmt.Errorf("decode Avro file: %w", errors.Join(errHeader, err))
	}
	schema, err := parse(h.schema, nil)
	if err != nil {
		return err
	}
	if d.plan, err = d.compile(schema); err != nil {
		return err
	}
	d.head, d.sync = slices.Clone(head), slices.Clone(h.sync[:])
	if d.decompressor.codec = h.codec; h.codec == "null" {
		d.decompressor.codec = ""
	}
	return nil
}

// enterRecord decodes a record of a file that comes alone.
func (d *Decoder) enterRecord(head []byte) error {
	if err := d.takeHeader(head); err != nil {
		return err
	}
	start, end := d.data.Pos, d.data.Limit
	value := d.data.Value(start, end)
	d.data.Pos = end
	if d.batch.TooLarge(value) {
		return nil
	}
	w := &d.walk
	w.data, w.pos = d.data.Data[:end], start
	w.record(d.plan)
	switch {
	case w.err != nil:
		d.reject(value, w.err)
	case w.pos < end:
		d.reject(value, fmt.Errorf("%d bytes follow the record", end-w.pos))
	case w.class != "":
		d.batch.Reject(value, w.class, w.message)
	default:
		d.batch.Accept(value)
	}
	return nil
}

// enterBlock begins the block at hand of a file.
func (d *Decoder) enterBlock(head []byte) error {
	if err := d.takeHeader(head); err != nil {
		return err
	}
	from := d.data.Pos
	b := splitBlock(d.data.Data[from:d.data.Limit], d.sync)
	if b.length == 0 {
		b = block{length: d.data.Limit - from, broken: true}
	}
	d.data.Pos = from + b.length
	if !d.compressed() && !b.broken {
		if b.count > int64(len(b.data)) && b.count > maxEmptyRecords {
			d.rejectBlock(from, d.data.Pos, errItems)
			return nil
		}
		d.recordEnd = d.data.Pos - syncBytes
		d.recordPos, d.left = d.recordEnd-len(b.data), b.count
		return nil
	}
	at := len(d.plain)
	var err error
	if b.broken {
		err = errors.New("it is damaged")
	} else {
		d.plain, err = d.decompressor.append(d.plain, b.data)
	}
	if err == nil && b.count > int64(len(d.plain)-at) && b.count > maxEmptyRecords {
		err = errItems
	}
	if err != nil {
		if d.compressed() { // its values are in plain
			d.plain = append(d.plain[:at], d.data.Data[from:d.data.Pos]...)
			d.blocks = append(d.blocks, plainBlock{at, from})
			d.rejectBlock(at, len(d.plain), err)
			return nil
		}
		d.rejectBlock(from, d.data.Pos, err)
		return nil
	}
	d.blocks = append(d.blocks, plainBlock{at, from})
	d.recordPos, d.recordEnd, d.left = at, len(d.plain), b.count
	return nil
}

// maxEmptyRecords is how many records of no bytes a block may have.
const maxEmptyRecords = 1 << 16

func (d *Decoder) rejectBlock(start, end int, err error) {
	d.batch.Reject(connectors.Value{Start: int32(start), End: int32(end)}, connectors.ClassDecode, "a block of the Avro file cannot be read: "+err.Error())
}

// record decodes the next record of the block at hand.
func (d *Decoder) record() {
	data := d.data.Data
	if d.compressed() {
		data = d.plain
	}
	w := &d.walk
	w.data, w.pos = data[:d.recordEnd], d.recordPos
	w.record(d.plan)
	start := d.recordPos
	d.left--
	if w.err != nil {
		// Where the next record would begin is not known.
		value := connectors.Value{Start: int32(start), End: int32(d.recordEnd)}
		d.batch.Reject(value, connectors.ClassDecode, fmt.Sprintf("not Avro of its schema: %v; the %d records behind it in its block cannot be read either", w.err, d.left))
		d.left = 0
		return
	}
	d.recordPos = w.pos
	value := connectors.Value{Start: int32(start), End: int32(w.pos)}
	switch {
	case d.batch.TooLarge(value):
	case w.class != "":
		d.batch.Reject(value, w.class, w.message)
	default:
		d.batch.Accept(value)
	}
	if d.left == 0 && w.pos < d.recordEnd {
		d.batch.Reject(connectors.Value{Start: int32(w.pos), End: int32(d.recordEnd)}, connectors.ClassDecode, fmt.Sprintf("%d bytes follow the last record of a block", d.recordEnd-w.pos))
	}
}
