package accesslog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// field is where a field lies in a line, without what surrounds it.
type field struct {
	start, end int
	escaped    bool // it is quoted and holds a backslash
}

// split appends the fields of a line.
func split(fields []field, line []byte) ([]field, string) {
	for i := 0; i < len(line); {
		var f field
		switch line[i] {
		case ' ':
			i++
			continue
		case '"':
			f.start = i + 1
			if f.end = closingQuote(line, i+1); f.end < 0 {
				return fields, "a quoted field is not closed"
			}
			f.escaped = bytes.IndexByte(line[f.start:f.end], '\\') >= 0
			i = f.end + 1
		case '[':
			n := bytes.IndexByte(line[i:], ']')
			if n < 0 {
				return fields, "a field in brackets is not closed"
			}
			if n += i + 1; n < len(line) && line[n] != ' ' {
				i = f.plain(line, i) // such as [::1]:80
				break
			}
			f.start, f.end, i = i+1, n-1, n
		default:
			i = f.plain(line, i)
		}
		fields = append(fields, f)
	}
	return fields, ""
}

// plain takes the text from i to the next space, and returns where that is.
func (f *field) plain(line []byte, i int) int {
	f.start, f.end = i, len(line)
	if n := bytes.IndexByte(line[i:], ' '); n >= 0 {
		f.end = i + n
	}
	return f.end
}

// closingQuote is the index of the quote that ends a field. Not every service
// escapes the quotes within: one that no space follows is taken for such.
func closingQuote(line []byte, i int) int {
	for ; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			if i+1 == len(line) || line[i+1] == ' ' {
				return i
			}
		}
	}
	return -1
}

// unescape takes the backslashes before quotes and backslashes away.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\') {
			i++
		}
		dst = append(dst, text[i])
	}
	return dst
}

// of takes the part out of a field; nil when there is none.
func (p part) of(text []byte) []byte {
	switch p {
	case method, path, protocol:
		first, last := bytes.IndexByte(text, ' '), bytes.LastIndexByte(text, ' ')
		switch {
		case first < 0:
			return nil
		case p == method:
			return text[:first]
		case p == path && first == last:
			return text[first+1:]
		case p == path:
			return text[first+1 : last]
		case first == last:
			return nil
		}
		return text[last+1:]
	case host, port:
		i := bytes.LastIndexByte(text, ':')
		switch {
		case i < 0 && p == host:
			return text
		case i < 0:
			return nil
		case p == host:
			return bytes.Trim(text[:i], "[]")
		}
		return text[i+1:]
	}
	return text
}

func newDecoder(k *kind, config connectors.DecoderConfig) (connectors.Decoder, error) {
	for _, c := range config.Schema {
		if k.find(c.Name) == nil {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "format '%s' has no field %s", k.name, c.Name).
				WithHint("it has %s", strings.Join(k.names(), ", "))
		}
	}
	batch, err := columns.NewBatch(&config)
	if err != nil {
		return nil, fmt.Errorf("build a decoder of %s: %w", k.name, err)
	}
	outputs := make([]column, len(config.Fields))
	for i, f := range config.Fields {
		c := k.find(f.Path[0])
		if c == nil {
			batch.Close()
			return nil, fmt.Errorf("format %s has no field %s", k.name, f.Path[0])
		}
		outputs[i] = *c
		outputs[i].typ = f.Column.Type
	}
	places := make([]int, len(outputs)) // by output: the field, or −1
	least := k.least
	var header []byte
	d := &columns.LineDecoder{Batch: batch}
	order := func(names []string) {
		least = len(names)
		for i := range outputs {
			places[i] = slices.Index(names, outputs[i].name)
		}
	}
	byDefault := func() {
		least = k.least
		for i, o := range outputs {
			if places[i] = o.field; k.header && o.field >= k.least {
				places[i] = -1
			}
		}
	}
	byDefault()
	if k.header {
		d.Enter = func(h []byte) {
			if bytes.Equal(h, header) {
				return
			}
			header = append(header[:0], h...)
			if names := k.headerNames(h); names != nil {
				order(names)
			} else {
				byDefault()
			}
		}
	}
	var fields []field
	var scratch []byte
	d.Decode = func(line []byte) (class connectors.ErrorClass, message string) {
		var problem string
		if fields, problem = split(fields[:0], line); problem != "" {
			return connectors.ClassDecode, problem
		}
		if len(fields) < least {
			return connectors.ClassDecode, fmt.Sprintf("expected at least %d fields of a %s, found %d", least, k.name, len(fields))
		}
		for i := range outputs {
			var text []byte
			if p := places[i]; p >= 0 && p < len(fields) {
				f := fields[p]
				text = line[f.start:f.end]
				if f.escaped {
					scratch = unescape(scratch[:0], text)
					text = scratch
				}
				if outputs[i].part != whole && string(text) != "-" {
					text = outputs[i].part.of(text)
				}
			}
			switch kind := outputs[i].typ.Kind; {
			case len(text) == 0 && (text == nil || !kind.IsText()), string(text) == "-":
				class, message = batch.SetNull(i, true)
			case kind == types.Timestamp, kind == types.DateTime, kind == types.Date:
				class, message = batch.SetLogTime(i, text)
			default:
				class, message = batch.Set(i, text)
			}
			if class != "" {
				return class, message
			}
		}
		return "", ""
	}
	return d, nil
}

// find is the column of a name, in any case.
func (k *kind) find(name string) *column {
	for i := range k.columns {
		if strings.EqualFold(k.columns[i].name, name) {
			return &k.columns[i]
		}
	}
	return nil
}

func (k *kind) names() []string {
	names := make([]string, len(k.columns))
	for i, c := range k.columns {
		names[i] = c.name
	}
	return names
}

// schema is the columns of the format: of one with headers, those that the
// headers of the sample name.
func (k *kind) schema(chunks []*connectors.Chunk) types.Schema {
	var named []string
	for _, c := range chunks {
		for _, name := range k.headerNames(c.Header) {
			if !slices.Contains(named, name) {
				named = append(named, name)
			}
		}
	}
	var schema types.Schema
	for i, c := range k.columns {
		if k.header && (named == nil && i >= k.least || named != nil && !slices.Contains(named, c.name)) {
			continue
		}
		schema = append(schema, types.Column{Name: c.name, Type: c.typ})
	}
	return schema
}

// headerNames are the columns that a line names; nil when it names none, and so
// is no header.
func (k *kind) headerNames(line []byte) []string {
	if !k.header {
		return nil
	}
	var names []string
	known := 0
	for name := range bytes.FieldsSeq(line) {
		s := strings.ReplaceAll(strings.Trim(string(name), "${}"), "-", "_")
		if c := k.find(s); c != nil {
			s = c.name
			known++
		}
		names = append(names, s)
	}
	if known < 2 {
		return nil
	}
	return names
}

// layout finds the headers of files.
type layout struct{ kind *kind }

// Header is the first line where that names fields.
func (l layout) Header(data []byte, end bool) (n int, more bool, err error) {
	n = bytes.IndexByte(data, '\n') + 1
	if n == 0 && !end && len(data) < 1<<16 {
		return 0, true, nil
	}
	if n == 0 {
		n = len(data)
	}
	if l.kind.headerNames(data[:n]) == nil {
		return 0, false, nil
	}
	return n, false, nil
}

// Records implements connectors.Layout.
func (layout) Records(_, data []byte) int { return bytes.LastIndexByte(data, '\n') + 1 }

// Lines implements connectors.Layout.
func (layout) Lines() bool { return true }
