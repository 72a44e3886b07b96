package csv

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/sql/types"
)

// Decoder implements connectors.Decoder for CSV.
type Decoder struct {
	dialect dialect
	layout  layout
	config  connectors.DecoderConfig
	batch   *columns.Batch
	data    columns.Payloads
	chunk   *connectors.Chunk

	declared []string // the source's columns

	places  []int  // by output column: the field it is built from, or −1
	isText  []bool // by output column: an empty text may be a value
	most    int    // fields that are looked at
	width   int    // fields that a row should have
	named   bool
	header  []byte // of which places and width are made, if named
	problem string // what is wrong with the header
	fields  []field
	scratch []byte
}

// NewDecoder makes a decoder of CSV rows. It fails for options that contradict
// each other, and for fields that have no path or a type that nothing converts
// to.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	dialect, err := newDialect(config.Options)
	if err != nil {
		return nil, err
	}
	batch, err := columns.NewBatch(&config)
	if err != nil {
		return nil, fmt.Errorf("build a CSV decoder: %w", err)
	}
	d := &Decoder{dialect: dialect, layout: layout{dialect}, config: config, batch: batch}
	d.places = make([]int, len(config.Fields))
	for _, f := range config.Fields {
		kind := f.Column.Type.Kind
		d.isText = append(d.isText, (kind == types.String || kind == types.Binary) && f.Mode == connectors.FieldColumn)
	}
	for _, c := range config.Schema {
		d.declared = append(d.declared, c.Name)
	}
	d.byOrder()
	return d, nil
}

// byOrder takes fields by their place among the declared columns.
func (d *Decoder) byOrder() {
	d.named, d.problem = false, ""
	d.place(d.declared)
}

// byHeader takes fields by the names in a header.
func (d *Decoder) byHeader(header []byte) {
	if d.named && bytes.Equal(header, d.header) {
		return
	}
	d.header = append(d.header[:0], header...)
	names, err := d.layout.names(d.header)
	d.named, d.problem = true, ""
	d.place(names)
	switch {
	case err != nil:
		d.problem = err.Error()
	case len(names) == 0:
		d.problem = "the file has no header; for files without one set header = 'false'"
	case len(d.declared) > 0 && !slices.ContainsFunc(d.declared, func(c string) bool { return find(names, c) >= 0 }):
		d.problem = fmt.Sprintf("the header has none of the columns %s: %s; for files without a header set header = 'false'",
			strings.Join(d.declared, ", "), columns.Shorten([]byte(strings.Join(names, ", "))))
	}
}

func (d *Decoder) place(names []string) {
	d.width, d.most = len(names), 0
	for i, f := range d.config.Fields {
		d.places[i] = find(names, f.Path[0])
		d.most = max(d.most, d.places[i]+1)
	}
}

// find is the index of a name: the same, else one that differs only in case.
func find(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// names reads the names of a header. One that was there before is called name_2,
// name_3 and so on, so that its values are not lost.
func (l layout) names(header []byte) ([]string, error) {
	if !l.dialect.header {
		return nil, nil
	}
	data := padded(header)
	i := 0
	for range l.dialect.skipLines {
		i = min(lineEnd(data, i, len(data))+1, len(data))
	}
	for i < len(data) {
		end := l.dialect.emptyLine(data, i, len(data))
		if end < 0 {
			break
		}
		i = min(end+1, len(data))
	}
	if i == len(data) {
		return nil, nil
	}
	fields, _, _, why := l.dialect.row(data, i, len(data), nil, len(data))
	if why != "" {
		return nil, fmt.Errorf("the header cannot be read: %s", why)
	}
	names := make([]string, len(fields))
	var scratch []byte
	for k, f := range fields {
		names[k] = strings.TrimSpace(string(f.text(data, l.dialect.quote, &scratch)))
	}
	for k, name := range names {
		if name == "" || !slices.Contains(names[:k], name) {
			continue
		}
		free := name
		for n := 2; slices.Contains(names, free); n++ {
			free = fmt.Sprintf("%s_%d", name, n)
		}
		names[k] = free
	}
	return names, nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	d.data.Reset(c)
	d.chunk = c
}

// HeaderOf implements connectors.HeaderKeeper: a message may have a header of
// its own.
func (d *Decoder) HeaderOf(v connectors.Value) []byte {
	if !d.dialect.header || !d.dialect.headerAsked || len(d.chunk.Records) == 0 || len(d.chunk.Header) > 0 {
		return d.chunk.Header
	}
	r := &d.chunk.Records[v.Record]
	payload := d.chunk.Data[r.Start:r.End]
	n, _, _ := d.layout.Header(payload, true)
	return payload[:n]
}

// Close frees the buffers.
func (d *Decoder) Close() { d.batch.Close() }

// Next decodes up to maxRows more rows of the chunk.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode CSV: maxRows is %d", maxRows)
	}
	d.batch.Begin(maxRows)
	for begin := d.data.Pos; !d.batch.Full(maxRows) && d.data.Pos-begin < columns.MaxBatchBytes; {
		if d.data.Pos >= d.data.Limit {
			if !d.data.Next() {
				break
			}
			d.enter()
			begin = min(begin, d.data.Pos)
			continue
		}
		d.decodeRow()
	}
	return d.batch.Finish(d.data.TakeEmpty()), nil
}

// enter finds out what the fields of a payload are.
func (d *Decoder) enter() {
	header, file := d.data.File()
	switch {
	case !d.dialect.header || !file && !d.dialect.headerAsked:
		if d.named {
			d.byOrder()
		}
	case file:
		d.byHeader(header)
	default:
		payload := d.data.Data[d.data.Pos:d.data.Limit]
		n, _, _ := d.layout.Header(payload, true)
		d.byHeader(payload[:n])
		if d.data.Pos += n; n == len(payload) {
			d.data.Empty++
		}
	}
}

// decodeRow decodes the row at which the payload stands and moves behind it.
func (d *Decoder) decodeRow() {
	data, start, limit := d.data.Data, d.data.Pos, d.data.Limit
	if end := d.dialect.emptyLine(data, start, limit); end >= 0 {
		d.data.Empty++
		d.data.Pos = end + 1
		return
	}
	var count, end int
	var why problem
	d.fields, count, end, why = d.dialect.row(data, start, limit, d.fields, d.most)
	if why != "" {
		end = lineEnd(data, start, limit)
	}
	d.data.Pos = end + 1
	if end > start && data[end-1] == '\r' {
		end--
	}
	value := d.data.Value(start, end)
	switch {
	case d.batch.TooLarge(value):
		return
	case why != "":
		d.batch.Reject(value, connectors.ClassDecode, string(why))
		return
	case d.problem != "":
		d.batch.Reject(value, connectors.ClassDecode, d.problem)
		return
	case count != d.width && !d.dialect.fill && d.width > 0:
		d.batch.Reject(value, connectors.ClassDecode, fmt.Sprintf("expected %d fields, found %d", d.width, count))
		return
	case d.config.Validation == connectors.ValidationFull && !utf8.Valid(data[start:end]):
		d.batch.Reject(value, connectors.ClassDecode, "the row is not valid UTF-8")
		return
	}
	last, text := -1, []byte(nil)
	for i, p := range d.places {
		var class connectors.ErrorClass
		var message string
		switch {
		case p < 0 || p >= len(d.fields):
			class, message = d.batch.SetNull(i, false)
		case d.dialect.isNull(d.fields[p], data, d.isText[i]):
			class, message = d.batch.SetNull(i, true)
		case p == last:
			class, message = d.batch.SetSame(i, text)
		default:
			last, text = p, d.fields[p].text(data, d.dialect.quote, &d.scratch)
			class, message = d.batch.Set(i, text)
		}
		if class != "" {
			d.batch.Reject(value, class, message)
			return
		}
	}
	d.batch.Accept(value)
}
