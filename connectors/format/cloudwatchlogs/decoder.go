package cloudwatchlogs

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Decoder implements connectors.Decoder for payloads of CloudWatch Logs.
type Decoder struct {
	batch *columns.Batch
	data  columns.Payloads
	of    []member // by output column

	values   [memberCount][]byte // of the document and the event at hand, as JSON; nil where missing
	inside   bool                // the log events of a document are being decoded
	event    int                 // where the next one begins, or what comes before it
	end      int                 // of the document
	anything bool                // the payload had a document
	name     []byte
	text     []byte

	chunk *connectors.Chunk
	// around are the documents whose events the batch has, for HeaderOf.
	around    []document
	documents []byte
}

// document is a document without its events, at documents[from:to], and where
// its events lie in the chunk.
type document struct{ start, end, from, to int }

// NewDecoder makes a decoder of log events. It fails for columns that log events
// do not have.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	d := &Decoder{}
	for _, f := range config.Fields {
		if len(f.Path) == 0 {
			return nil, fmt.Errorf("build a decoder of log events: field %s has no path", f.Column.Name)
		}
		of, err := find(f.Path[0])
		if err != nil {
			return nil, err
		}
		d.of = append(d.of, of)
	}
	batch, err := columns.NewBatch(&config)
	if err != nil {
		return nil, fmt.Errorf("build a decoder of log events: %w", err)
	}
	d.batch = batch
	return d, nil
}

// find is the member that a column takes: log_group, logGroup and LOGGROUP are
// the same.
func find(name string) (member, error) {
	plain := strings.ReplaceAll(name, "_", "")
	var names []string
	for _, c := range known {
		if strings.EqualFold(c.member, plain) {
			return c.of, nil
		}
		names = append(names, c.name)
	}
	e := sqlerror.Userf(sqlerror.CodeUnknownObject, "log events have no column %s", name)
	if near := sqlerror.Nearest(name, names); near != "" {
		return 0, e.WithHint("did you mean %s?", near)
	}
	return 0, e.WithHint("they have %s; take what is inside of a message in JSON from a column message JSON: message->>'$.%s'", strings.Join(names, ", "), name)
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	d.data.Reset(c)
	d.inside = false
	d.chunk, d.around, d.documents = c, d.around[:0], d.documents[:0]
}

// HeaderOf implements connectors.HeaderKeeper: a log event comes alone with the
// document around it, without its events; a whole document needs nothing.
func (d *Decoder) HeaderOf(v connectors.Value) []byte {
	for i := len(d.around) - 1; i >= 0; i-- {
		if a := d.around[i]; int(v.Start) > a.start && int(v.End) < a.end {
			return d.documents[a.from:a.to:a.to]
		}
	}
	return d.chunk.Header
}

// keep notes the document at hand.
func (d *Decoder) keep(start, end int) {
	from := len(d.documents)
	for m := memberOwner; m < memberLogEvents; m++ {
		if d.values[m] == nil {
			continue
		}
		sep := byte(',')
		if len(d.documents) == from {
			sep = '{'
		}
		d.documents = append(append(append(d.documents, sep, '"'), documentNames[m]...), `":`...)
		d.documents = append(d.documents, d.values[m]...)
	}
	d.documents = append(d.documents, '}')
	d.around = append(d.around, document{start, end, from, len(d.documents)})
}

// forget drops the documents of which no event is left.
func (d *Decoder) forget() {
	switch last := len(d.around) - 1; {
	case !d.inside:
		d.around, d.documents = d.around[:0], d.documents[:0]
	case last > 0:
		a := d.around[last]
		n := copy(d.documents, d.documents[a.from:a.to])
		d.documents = d.documents[:n]
		d.around = append(d.around[:0], document{a.start, a.end, 0, n})
	}
}

// Close frees the buffers.
func (d *Decoder) Close() { d.batch.Close() }

// Next decodes up to maxRows more log events of the chunk.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode log events: maxRows is %d", maxRows)
	}
	d.batch.Begin(maxRows)
	d.forget()
	for begin := d.position(); !d.batch.Full(maxRows) && d.position()-begin < columns.MaxBatchBytes; {
		switch {
		case d.inside:
			d.decodeEvent()
		case d.data.Pos < d.data.Limit:
			d.enter()
		default:
			if !d.data.Next() {
				return d.batch.Finish(d.data.TakeEmpty()), nil
			}
			d.anything = false
			begin = min(begin, d.data.Pos)
		}
	}
	return d.batch.Finish(d.data.TakeEmpty()), nil
}

func (d *Decoder) position() int {
	if d.inside {
		return d.event
	}
	return d.data.Pos
}

var gzipMagic = []byte{0x1f, 0x8b}

// enter reads the document at which the payload stands, but for its events.
func (d *Decoder) enter() {
	doc := d.data.Data[:d.data.Limit]
	start := skip(doc, d.data.Pos)
	if start == len(doc) {
		d.data.Pos = start
		if !d.anything {
			d.data.Empty++
		}
		return
	}
	d.anything = true
	reject := func(end int, format string, args ...any) {
		d.batch.Reject(d.data.Value(start, end), connectors.ClassDecode, fmt.Sprintf(format, args...))
		d.data.Pos = end
	}
	if bytes.HasPrefix(doc[start:], gzipMagic) {
		reject(len(doc), "the payload is compressed, and was not inflated: it is damaged, or larger than max_record_bytes, or the source's option compression is not 'auto'")
		return
	}
	end, err := mysqljson.Scan(doc[start:], 0)
	if end += start; err != nil {
		reject(len(doc), "%v", err)
		return
	}
	clear(d.values[:])
	if len(d.chunk.Header) > 0 {
		header, err := mysqljson.Scan(d.chunk.Header, 0)
		if err != nil || d.chunk.Header[0] != '{' {
			reject(end, "the document around the log event cannot be read")
			return
		}
		d.walk(d.chunk.Header[:header], 0, documentMember)
		d.data.Pos = end
		d.oneEvent(doc, start, end)
		return
	}
	if doc[start] != '{' {
		reject(end, "expected a document of CloudWatch Logs, found %s", mysqljson.KindOf(doc[start:]))
		return
	}
	d.walk(doc[:end], start, documentMember)
	switch kind := d.values[memberMessageType]; string(kind) {
	case `"DATA_MESSAGE"`:
	case `"CONTROL_MESSAGE"`:
		d.data.Empty++
		d.data.Pos = end
		return
	default:
		reject(end, "expected a document of CloudWatch Logs with the messageType DATA_MESSAGE or CONTROL_MESSAGE, found %s", columns.Shorten(kind))
		return
	}
	if mysqljson.KindOf(d.values[memberLogEvents]) != mysqljson.Array {
		reject(end, "the document has no array logEvents")
		return
	}
	d.event++ // into the array
	if d.data.Pos = end; doc[skip(doc, d.event)] == ']' {
		d.data.Empty++
		return
	}
	d.inside, d.end = true, end
	d.keep(start, end)
}

// decodeEvent decodes the log event at hand and goes on to the next one.
func (d *Decoder) decodeEvent() {
	doc := d.data.Data[:d.end]
	start := skip(doc, d.event)
	end := pass(doc, start)
	d.event = skip(doc, end)
	if doc[d.event] == ',' {
		d.event++
	} else {
		d.inside = false
	}
	d.oneEvent(doc, start, end)
}

// oneEvent decodes the log event of a document between two places.
func (d *Decoder) oneEvent(doc []byte, start, end int) {
	value := d.data.Value(start, end)
	if d.batch.TooLarge(value) {
		return
	}
	if doc[start] != '{' {
		d.batch.Reject(value, connectors.ClassDecode, fmt.Sprintf("expected a log event, found %s", mysqljson.KindOf(doc[start:end])))
		return
	}
	clear(d.values[:eventMembers])
	d.walk(doc[:end], start, eventMember)
	for i, of := range d.of {
		if class, message := d.set(i, d.values[of]); class != "" {
			d.batch.Reject(value, class, message)
			return
		}
	}
	d.batch.Accept(value)
}

// set writes a column. A string is its content, so that a message which is JSON
// fits a JSON column.
func (d *Decoder) set(i int, value []byte) (connectors.ErrorClass, string) {
	switch {
	case value == nil:
		return d.batch.SetNull(i, false)
	case value[0] != '"':
		return d.batch.SetJSON(i, value)
	}
	content := value[1 : len(value)-1]
	if bytes.IndexByte(content, '\\') >= 0 {
		d.text = mysqljson.AppendUnescaped(d.text[:0], content)
		content = d.text
	}
	return d.batch.Set(i, content)
}

// walk notes the values of an object's members that are known; of those that
// repeat the last one counts. The object has been validated.
func (d *Decoder) walk(doc []byte, i int, of func(name []byte) (member, bool)) {
	for i = skip(doc, i+1); doc[i] != '}'; {
		end := pass(doc, i)
		name := doc[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			d.name = mysqljson.AppendUnescaped(d.name[:0], name)
			name = d.name
		}
		start := skip(doc, skip(doc, end)+1)
		end = pass(doc, start)
		if m, ok := of(name); ok {
			d.values[m] = doc[start:end]
			if m == memberLogEvents {
				d.event = start
			}
		}
		if i = skip(doc, end); doc[i] == ',' {
			i = skip(doc, i+1)
		}
	}
}

// documentNames are the members of a document as documentMember reads them.
var documentNames = [memberCount]string{
	memberOwner: "owner", memberLogGroup: "logGroup", memberLogStream: "logStream",
	memberSubscriptionFilters: "subscriptionFilters", memberPolicyLevel: "policyLevel", memberMessageType: "messageType",
}

func documentMember(name []byte) (member, bool) {
	switch string(name) {
	case "messageType":
		return memberMessageType, true
	case "logEvents":
		return memberLogEvents, true
	case "owner":
		return memberOwner, true
	case "logGroup":
		return memberLogGroup, true
	case "logStream":
		return memberLogStream, true
	case "subscriptionFilters":
		return memberSubscriptionFilters, true
	case "policyLevel":
		return memberPolicyLevel, true
	}
	return 0, false
}

func eventMember(name []byte) (member, bool) {
	switch string(name) {
	case "id":
		return memberID, true
	case "timestamp":
		return memberTimestamp, true
	case "message":
		return memberMessage, true
	case "extractedFields":
		return memberExtractedFields, true
	}
	return 0, false
}

// pass is the index behind the value at i, which has been validated.
func pass(doc []byte, i int) int {
	end, err := mysqljson.Skip(doc, i)
	if err != nil {
		panic(err) // it has been validated
	}
	return end
}

func skip(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\r' || doc[i] == '\t') {
		i++
	}
	return i
}
