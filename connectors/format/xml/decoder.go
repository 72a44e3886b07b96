package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Decoder implements connectors.Decoder for XML.
type Decoder struct {
	config connectors.DecoderConfig
	batch  *columns.Batch
	data   columns.Payloads
	path   []string
	arrays []string

	in    *xml.Decoder // nil between documents
	start int          // of the document
	open  []*element   // around what comes next
	found bool         // the document had a record
	json  []byte
}

// element is an element of a document.
type element struct {
	name     string
	attrs    []xml.Attr
	text     []byte
	children []*element
	array    bool
}

// maxDepth is how deep elements may be nested, as in MySQL's JSON.
const maxDepth = 100

// maxParents bounds what is kept of the elements around a record.
const maxParents = 4096

var (
	errDeep    = errors.New("elements are nested more than 100 levels deep")
	errParents = errors.New("more than 4,096 elements lie beside those of record_path")
)

// NewDecoder makes a decoder of XML documents.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	path, err := recordPath(config.Options)
	if err != nil {
		return nil, err
	}
	d := &Decoder{path: path, arrays: config.Options.List("array_elements")}
	if d.batch, err = columns.NewBatch(&config); err != nil {
		return nil, fmt.Errorf("build an XML decoder: %w", err)
	}
	d.config = config
	return d, nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	d.data.Reset(c)
	d.in = nil
}

// Close frees the buffers.
func (d *Decoder) Close() { d.batch.Close() }

// Next decodes up to maxRows more records of the chunk.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode XML: maxRows is %d", maxRows)
	}
	d.batch.Begin(maxRows)
	for from := d.position(); !d.batch.Full(maxRows) && d.position()-from < columns.MaxBatchBytes; {
		if d.in == nil {
			if !d.data.Next() {
				break
			}
			from = min(from, d.data.Pos)
			if len(bytes.TrimSpace(d.data.Data[d.data.Pos:d.data.Limit])) == 0 {
				d.data.Empty++
				continue
			}
			// Of a file that is larger only the beginning is here.
			if d.batch.TooLarge(d.data.Value(d.data.Pos, d.data.Limit)) {
				continue
			}
			d.start = d.data.Pos
			d.in = xml.NewDecoder(bytes.NewReader(d.data.Data[d.data.Pos:d.data.Limit]))
			d.open, d.found = d.open[:0], false
		}
		e, begin, err := d.next()
		switch {
		case errors.Is(err, io.EOF):
			if !d.found {
				d.data.Empty++
			}
			d.in = nil
		case err != nil:
			d.batch.Reject(d.data.Value(begin, d.data.Limit), connectors.ClassDecode, "not XML: "+strings.TrimPrefix(err.Error(), "XML syntax error "))
			d.in = nil
		default:
			d.found = true
			d.record(e, d.data.Value(begin, d.position()))
		}
	}
	return d.batch.Finish(d.data.TakeEmpty()), nil
}

func (d *Decoder) position() int {
	if d.in == nil {
		return d.data.Pos
	}
	return d.start + int(d.in.InputOffset())
}

// next reads up to the end of the next record; begin is where that, or what is
// wrong, begins. The error is io.EOF at the end of the document.
func (d *Decoder) next() (e *element, begin int, err error) {
	begin = d.position()
	for {
		at := d.position()
		token, err := d.in.RawToken()
		if err == nil {
			err = d.balanced(token)
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(d.open) > 0 {
				err = errors.New("the document ends within element " + d.open[len(d.open)-1].name)
			}
			return nil, begin, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(d.open) >= maxDepth {
				return nil, begin, errDeep
			}
			e := &element{name: token.Name.Local, attrs: slices.Clone(token.Attr)}
			e.array = slices.Contains(d.arrays, e.name)
			d.open = append(d.open, e)
			if len(d.open) == len(d.path) && d.isRecord() {
				begin = at
			}
		case xml.EndElement:
			e := d.open[len(d.open)-1]
			record := len(d.open) == len(d.path) && d.isRecord()
			d.open = d.open[:len(d.open)-1]
			if record {
				return e, begin, nil
			}
			if len(d.open) > 0 {
				parent := d.open[len(d.open)-1]
				if len(d.open) < len(d.path) && len(parent.children) >= maxParents {
					return nil, begin, errParents
				}
				parent.children = append(parent.children, e)
			}
		case xml.CharData:
			if len(d.open) > 0 {
				e := d.open[len(d.open)-1]
				e.text = append(e.text, token...)
			} else if len(bytes.TrimSpace(token)) > 0 {
				return nil, begin, errors.New("text lies outside of the document's element")
			}
		}
		if len(d.open) < len(d.path) {
			begin = d.position()
		}
	}
}

// balanced checks that an end tag ends the element that is open; RawToken does
// not, and keeps the name spaces apart.
func (d *Decoder) balanced(token xml.Token) error {
	end, ok := token.(xml.EndElement)
	switch {
	case !ok:
		return nil
	case len(d.open) == 0:
		return fmt.Errorf("</%s> ends no element", end.Name.Local)
	case d.open[len(d.open)-1].name != end.Name.Local:
		return fmt.Errorf("element %s is closed by </%s>", d.open[len(d.open)-1].name, end.Name.Local)
	}
	return nil
}

// isRecord reports whether the open elements are those of record_path.
func (d *Decoder) isRecord() bool {
	for i, name := range d.path {
		if name != "*" && name != d.open[i].name {
			return false
		}
	}
	return true
}

// record makes a row of an element.
func (d *Decoder) record(e *element, value connectors.Value) {
	d.batch.BeginRow()
	for i := range d.config.Fields {
		class, message := d.set(i, e)
		if class != "" {
			d.batch.Reject(value, class, message)
			return
		}
	}
	if class, message := d.batch.Missing(); class != "" {
		d.batch.Reject(value, class, message)
		return
	}
	d.batch.Accept(value)
}

// set writes a column of the row.
func (d *Decoder) set(i int, e *element) (connectors.ErrorClass, string) {
	c := d.batch.Columns[i]
	name := c.Field.Path[0]
	var text []byte
	plain := false
	switch children := e.named(name); {
	case len(children) == 1 && children[0].plain() && !children[0].array:
		text, plain = bytes.TrimSpace(children[0].text), true
	case len(children) > 0:
		d.json = appendGroup(d.json[:0], children)
	default:
		attr := slices.IndexFunc(e.attrs, func(a xml.Attr) bool { return strings.EqualFold(a.Name.Local, name) })
		switch {
		case attr >= 0:
			text, plain = []byte(e.attrs[attr].Value), true
		case strings.EqualFold(name, parentsColumn):
			d.json = d.appendParents(d.json[:0])
		default:
			return "", ""
		}
	}
	json := c.Field.Mode != connectors.FieldColumn || c.Type.Kind == types.JSON
	if plain && !json {
		if len(text) == 0 && !c.Type.Kind.IsText() {
			return d.batch.SetNull(i, true)
		}
		return d.batch.Set(i, text)
	}
	if plain {
		d.json = mysqljson.AppendQuoted(d.json[:0], text)
	}
	if len(c.Field.Path) == 1 {
		return d.batch.SetJSON(i, d.json)
	}
	// A path below the column: what it leads to in the column's JSON.
	return d.batch.Set(i, d.json)
}

// parentsColumn is the column of what lies around a record.
const parentsColumn = "parents"

// appendParents appends what the elements around the record had before it.
func (d *Decoder) appendParents(dst []byte) []byte {
	dst = append(dst, '{')
	for i, e := range d.open {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(mysqljson.AppendQuoted(dst, []byte(e.name)), ':')
		dst = e.appendObject(dst)
	}
	return append(dst, '}')
}

// named are the elements of a name: the exact one, else one that differs in case.
func (e *element) named(name string) (list []*element) {
	for _, c := range e.children {
		if c.name == name {
			list = append(list, c)
		}
	}
	if list != nil {
		return list
	}
	for _, c := range e.children {
		if strings.EqualFold(c.name, name) && (list == nil || list[0].name == c.name) {
			list = append(list, c)
		}
	}
	return list
}

// plain reports whether the element is nothing but text.
func (e *element) plain() bool { return len(e.attrs) == 0 && len(e.children) == 0 }

func (e *element) appendJSON(dst []byte) []byte {
	if e.plain() {
		return mysqljson.AppendQuoted(dst, bytes.TrimSpace(e.text))
	}
	return e.appendObject(dst)
}

func (e *element) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	member := func(name string) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(mysqljson.AppendQuoted(dst, []byte(name)), ':')
	}
	for _, a := range e.attrs {
		member("@" + a.Name.Local)
		dst = mysqljson.AppendQuoted(dst, []byte(a.Value))
	}
	// In the order in which names come first.
	groups := map[string][]*element{}
	var names []string
	for _, c := range e.children {
		if groups[c.name] == nil {
			names = append(names, c.name)
		}
		groups[c.name] = append(groups[c.name], c)
	}
	for _, name := range names {
		member(name)
		dst = appendGroup(dst, groups[name])
	}
	if text := bytes.TrimSpace(e.text); len(text) > 0 {
		member("#text")
		dst = mysqljson.AppendQuoted(dst, text)
	}
	return append(dst, '}')
}

// appendGroup appends the elements of one name.
func appendGroup(dst []byte, group []*element) []byte {
	if len(group) == 1 && !group[0].array {
		return group[0].appendJSON(dst)
	}
	dst = append(dst, '[')
	for i, e := range group {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.appendJSON(dst)
	}
	return append(dst, ']')
}

// Infer proposes the elements and attributes of the sample's records.
func Infer(chunks []*connectors.Chunk, config connectors.DecoderConfig) (types.Schema, error) {
	d, err := NewDecoder(connectors.DecoderConfig{Options: config.Options})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	traits := map[string]columns.Traits{}
	nested := map[string]bool{}
	var names []string
	note := func(name string) {
		if _, ok := traits[name]; !ok {
			names, traits[name] = append(names, name), columns.Traits{}
		}
	}
	for _, c := range chunks {
		d.Reset(c)
		for d.data.Next() {
			d.start = d.data.Pos
			d.in = xml.NewDecoder(bytes.NewReader(d.data.Data[d.data.Pos:d.data.Limit]))
			d.open = d.open[:0]
			for {
				e, _, err := d.next()
				if err != nil {
					break // what is read becomes a column; a cut sample ends somewhere
				}
				for _, a := range e.attrs {
					if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
						continue
					}
					note(a.Name.Local)
					traits[a.Name.Local] = traits[a.Name.Local].With(columns.TextTraits([]byte(a.Value)))
				}
				for _, child := range e.children {
					note(child.name)
					if !child.plain() || child.array || len(e.named(child.name)) > 1 {
						nested[child.name] = true
						continue
					}
					traits[child.name] = traits[child.name].With(columns.TextTraits(bytes.TrimSpace(child.text)))
				}
			}
		}
	}
	var schema types.Schema
	for _, name := range names {
		if schema.Index(name) >= 0 {
			continue
		}
		typ := types.TypeJSON
		if !nested[name] {
			typ = traits[name].TextType()
		}
		schema = append(schema, types.Column{Name: name, Type: typ})
	}
	if len(schema) > 0 && schema.Index(parentsColumn) < 0 {
		schema = append(schema, types.Column{Name: parentsColumn, Type: types.TypeJSON})
	}
	return schema, nil
}
