package protobuf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
)

// Decoder implements connectors.Decoder for Protobuf.
type Decoder struct {
	config   connectors.DecoderConfig
	given    protoreflect.MessageDescriptor // of all messages; nil if the registry has it
	registry *schemaregistry.Client
	batch    *columns.Batch
	data     columns.Payloads
	walk     walker

	plans   map[string]*plan // by what comes before the message: the id and the path to its type
	last    *plan
	name    []byte // the key of last
	indexes []int
	files   map[int]file // by schema id
}

// plan is what a message type was compiled to, or why messages of it are no rows.
type plan struct {
	root *node
	fast *fastNode
	why  string
}

// file is a schema of the registry, or why it is none.
type file struct {
	descriptor protoreflect.FileDescriptor
	why        string
}

// NewDecoder makes a decoder of Protobuf messages. It fails for options that do
// not go together; the registry is asked when a message needs it.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	message, err := given(config.Options)
	if err != nil {
		return nil, err
	}
	d := &Decoder{given: message, plans: map[string]*plan{}, files: map[int]file{}}
	if d.registry, err = schemaregistry.New(config.Options); err != nil {
		return nil, err
	}
	if message == nil && d.registry == nil {
		return nil, errNoSchema()
	}
	if d.batch, err = columns.NewBatch(&config); err != nil {
		return nil, fmt.Errorf("build a Protobuf decoder: %w", err)
	}
	d.config, d.walk.batch = config, d.batch
	if message != nil {
		d.last = &plan{}
		if err := d.compile(message, d.last); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

func (d *Decoder) compile(m protoreflect.MessageDescriptor, p *plan) (err error) {
	if p.root, err = compile(m, d.config.Fields); err != nil {
		return err
	}
	p.fast = newFastNode(p.root, d.batch.Columns)
	return nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) { d.data.Reset(c) }

// Close frees the buffers.
func (d *Decoder) Close() {
	d.batch.Close()
	d.registry.Close()
}

// Next decodes up to maxRows more messages of the chunk. The error is retryable
// when the schema registry is away.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode Protobuf: maxRows is %d", maxRows)
	}
	d.batch.Begin(maxRows)
	for taken := 0; !d.batch.Full(maxRows) && taken < columns.MaxBatchBytes; {
		if d.data.Pos >= d.data.Limit && !d.data.Next() {
			break
		}
		start, end := d.data.Pos, d.data.Limit
		if _, file := d.data.File(); file {
			length, n := columns.Uvarint(binary.LittleEndian.Uint64(d.data.Data[start : start+8])) // which may be padding
			if n == 0 || n > end-start {
				length, n = protowire.ConsumeVarint(d.data.Data[start:end])
			}
			if n < 0 || length > uint64(end-start-n) {
				d.reject(d.data.Value(start, end), errors.New("the length of a message is damaged"))
				d.data.Pos = end
				continue
			}
			if length == 0 && d.registry != nil {
				d.data.Empty++
				d.data.Pos = start + n
				continue
			}
			start, end = start+n, start+n+int(length)
		}
		if err := d.decode(start, end); err != nil {
			return nil, err
		}
		taken += end - d.data.Pos
		d.data.Pos = end
	}
	return d.batch.Finish(d.data.TakeEmpty()), nil
}

// decode decodes a message. The error means that it has to be tried again.
func (d *Decoder) decode(start, end int) error {
	value := d.data.Value(start, end)
	if d.batch.TooLarge(value) {
		return nil
	}
	payload := d.data.Data[start:end]
	if d.registry != nil {
		if len(d.name) == 0 || !bytes.HasPrefix(payload, d.name) {
			why, err := d.enter(payload)
			if err != nil {
				return err
			}
			if why != nil {
				d.reject(value, why)
				return nil
			}
		}
		payload = payload[len(d.name):]
	}
	if d.last.root == nil {
		d.batch.Reject(value, connectors.ClassDecode, d.last.why)
		return nil
	}
	w := &d.walk
	w.record(d.last, payload)
	switch {
	case w.err != nil:
		d.reject(value, w.err)
	case w.class != "":
		d.batch.Reject(value, w.class, w.message)
	default:
		d.batch.Accept(value)
	}
	return nil
}

func (d *Decoder) reject(value connectors.Value, err error) {
	d.batch.Reject(value, connectors.ClassDecode, "not Protobuf of its schema: "+err.Error())
}

// enter finds the plan of a payload. why says that the payload has no schema, err
// that the registry does not answer.
func (d *Decoder) enter(payload []byte) (why, err error) {
	d.name = d.name[:0]
	id, indexes, value, why := splitPayload(payload, d.indexes[:0])
	if why != nil {
		return why, nil
	}
	d.indexes = indexes
	name := payload[:len(payload)-len(value)]
	p := d.plans[string(name)]
	if p == nil {
		m, unreadable, err := d.messageOf(id, indexes)
		if err != nil {
			return nil, err
		}
		p = &plan{why: unreadable}
		if unreadable == "" {
			if err = d.compile(m, p); err != nil {
				return nil, err
			}
			d.plans[string(name)] = p
		}
	}
	d.last = p
	d.name = append(d.name, name...)
	if p.root == nil {
		// The registry may know the schema the next time.
		defer func() { d.name = d.name[:0] }()
		return errors.New(p.why), nil
	}
	return nil, nil
}

// messageOf asks the registry for a message type; why says what makes messages of
// it unreadable for good.
func (d *Decoder) messageOf(id int, indexes []int) (m protoreflect.MessageDescriptor, why string, err error) {
	f, ok := d.files[id]
	if !ok {
		if f, err = d.fileOf(id); err != nil {
			return nil, "", err
		}
		if f.why == "" {
			d.files[id] = f
		}
	}
	if f.why != "" {
		return nil, f.why, nil
	}
	list := f.descriptor.Messages()
	for _, i := range indexes {
		if i >= list.Len() {
			return nil, fmt.Sprintf("schema %d has no message type at %v", id, indexes), nil
		}
		m = list.Get(i)
		list = m.Messages()
	}
	return m, "", nil
}

func (d *Decoder) fileOf(id int) (file, error) {
	ctx := context.Background()
	s, err := d.registry.Schema(ctx, id)
	switch {
	case errors.Is(err, schemaregistry.ErrUnknown):
		return file{why: err.Error()}, nil
	case err != nil:
		return file{}, err
	case s.Type != "PROTOBUF":
		return file{why: fmt.Sprintf("schema %d is not one of Protobuf but of type %s", id, s.Type)}, nil
	}
	const name = "schema.proto"
	sources := map[string]string{name: s.Text}
	if err := d.loadReferences(ctx, sources, s.References, 0); err != nil {
		if errors.Is(err, schemaregistry.ErrUnknown) {
			return file{why: fmt.Sprintf("schema %d: %v", id, err)}, nil
		}
		return file{}, err
	}
	descriptor, err := compileFile(name, sources, nil)
	if err != nil {
		return file{why: fmt.Sprintf("schema %d: %v", id, err)}, nil
	}
	return file{descriptor: descriptor}, nil
}

// maxReferences is how deep schemas may refer to each other.
const maxReferences = 32

func (d *Decoder) loadReferences(ctx context.Context, sources map[string]string, references []schemaregistry.Reference, depth int) error {
	if depth > maxReferences {
		return fmt.Errorf("%w: references more than %d deep", schemaregistry.ErrUnknown, maxReferences)
	}
	for _, r := range references {
		if _, ok := sources[r.Name]; ok {
			continue
		}
		s, err := d.registry.Version(ctx, r)
		if err != nil {
			return err
		}
		sources[r.Name] = s.Text
		if err := d.loadReferences(ctx, sources, s.References, depth+1); err != nil {
			return err
		}
	}
	return nil
}
