package kernel

import (
	"bytes"
	"errors"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// JSON functions take documents that are valid JSON; values they take out of a
// document stay written as they are.

var errNullMember = failure("JSON documents may not contain NULL member names")

// maxPaths bounds how many parsed paths a context remembers.
const maxPaths = 1000

// jsonPath parses a path, or remembers it.
func (c *Context) jsonPath(text []byte) (mysqljson.Path, error) {
	if p, ok := c.scratch.paths[string(text)]; ok {
		return p, nil
	}
	p, err := ParseJSONPath(string(text))
	if err != nil {
		return p, err
	}
	if c.scratch.paths == nil || len(c.scratch.paths) >= maxPaths {
		c.scratch.paths = make(map[string]mysqljson.Path)
	}
	c.scratch.paths[string(text)] = p
	return p, nil
}

// ParseJSONPath parses a JSON path; its error is the one that SQL gives.
func ParseJSONPath(s string) (mysqljson.Path, error) {
	p, err := mysqljson.ParsePath(s)
	if err != nil {
		return p, failuref("Invalid JSON path expression: %v", err)
	}
	return p, nil
}

// paths is the view of arguments that are JSON paths.
type paths struct {
	ctx    *Context
	texts  []texts
	parsed []mysqljson.Path // of constants
	known  []bool
}

func pathsOf(f *frame, args []Vector) *paths {
	p := &paths{ctx: f.ctx, parsed: make([]mysqljson.Path, len(args)), known: make([]bool, len(args))}
	for _, a := range args {
		p.texts = append(p.texts, textsOf(a))
	}
	return p
}

func (p *paths) at(k, i int) (mysqljson.Path, error) {
	if p.known[k] {
		return p.parsed[k], nil
	}
	path, err := p.ctx.jsonPath(p.texts[k].at(i))
	if err == nil && p.texts[k].mask == 0 {
		p.parsed[k], p.known[k] = path, true
	}
	return path, err
}

// all reports whether the paths match several values: then what they match
// becomes an array.
func (p *paths) all(i int) (bool, error) {
	many := len(p.texts) > 1
	for k := range p.texts {
		path, err := p.at(k, i)
		if err != nil {
			return false, err
		}
		many = many || !path.Single()
	}
	return many, nil
}

// FuncJSONExtract is JSON_EXTRACT(document, path, …) and ->.
var FuncJSONExtract = extracting(func(dst, value []byte) ([]byte, error) { return append(dst, value...), nil })

// FuncJSONUnquoteExtract is ->>, JSON_UNQUOTE(JSON_EXTRACT(document, path)).
var FuncJSONUnquoteExtract = extracting(mysqljson.AppendUnquoted)

func extracting(put func(dst, value []byte) ([]byte, error)) Func {
	return propagate(func(f *frame, args []Vector) error {
		x, p := textsOf(args[0]), pathsOf(f, args[1:])
		out := newTextOut(f)
		var found [][]byte
		var document []byte
		for i := range f.live {
			out.start(i)
			many, err := p.all(i)
			if err != nil {
				f.fail(i, err)
				continue
			}
			var value []byte
			ok := false
			if many {
				found = found[:0]
				for k := range p.texts {
					path, _ := p.at(k, i)
					if err == nil {
						found, err = mysqljson.LookupAll(x.at(i), path, found)
					}
				}
				if ok = len(found) > 0; ok {
					document = append(document[:0], '[')
					document = append(append(document, bytes.Join(found, []byte(", "))...), ']')
					value = document
				}
			} else {
				path, _ := p.at(0, i)
				value, ok, err = mysqljson.Lookup(x.at(i), path)
			}
			if err == nil && ok {
				out.buf, err = put(out.buf, value)
			}
			switch {
			case err != nil:
				f.failOrNull(i, errInvalidJSON(err))
			case !ok:
				f.null(i)
			}
		}
		return out.finish()
	})
}

// FuncJSONUnquote is JSON_UNQUOTE of JSON, or of a text that may be a quoted
// JSON string.
func FuncJSONUnquote(t types.Type) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := textsOf(args[0])
		out := newTextOut(f)
		for i := range f.live {
			out.start(i)
			s := x.at(i)
			if t.Kind != types.JSON && (len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"') {
				out.buf = append(out.buf, s...)
				continue
			}
			var err error
			if out.buf, err = mysqljson.AppendUnquoted(out.buf, s); err != nil {
				f.failOrNull(i, errInvalidJSON(err))
			}
		}
		return out.finish()
	})
}

// FuncJSONQuote is JSON_QUOTE of a text.
var FuncJSONQuote = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x := textsOf(args[0])
	return func(dst []byte, i int) []byte { return mysqljson.AppendQuoted(dst, x.at(i)) }
})

// FuncJSONValid is JSON_VALID of a text.
var FuncJSONValid = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := boolOut(f)
	for i := range f.live {
		if mysqljson.Valid(x.at(i)) == nil {
			setBit(out, i)
		}
	}
	return nil
})

// lookUpIn is the document or, with a second argument, the value at that path.
func lookUpIn(f *frame, args []Vector) func(i int) (value []byte, found bool, err error) {
	x := textsOf(args[0])
	if len(args) == 1 {
		return func(i int) ([]byte, bool, error) { return trimSpaces(x.at(i)), true, nil }
	}
	p := pathsOf(f, args[1:2])
	return func(i int) ([]byte, bool, error) {
		path, err := p.at(0, i)
		if err != nil {
			return nil, false, err
		}
		if !path.Single() {
			return nil, false, failure("In this situation, path expressions may not contain the * and ** tokens or an array range")
		}
		value, found, err := mysqljson.Lookup(x.at(i), path)
		if err != nil {
			err = errInvalidJSON(err)
		}
		return value, found, err
	}
}

// FuncJSONLength is JSON_LENGTH(document[, path]): how many elements or members,
// 1 for a scalar.
var FuncJSONLength = propagate(func(f *frame, args []Vector) error {
	look := lookUpIn(f, args)
	put := integers(f)
	for i := range f.live {
		value, found, err := look(i)
		n := 0
		if err == nil && found {
			n, err = jsonLength(value)
		}
		put(i, int64(n))
		switch {
		case err != nil:
			f.failOrNull(i, err)
		case !found:
			f.null(i)
		}
	}
	return nil
})

func jsonLength(value []byte) (n int, err error) {
	switch mysqljson.KindOf(value) {
	case mysqljson.Array:
	case mysqljson.Object:
		// Only the normal form counts duplicate members once.
		if value, err = appendJSON(nil, value); err != nil {
			return 0, err
		}
	default:
		return 1, nil
	}
	err = eachPart(value, func(_, _ []byte) bool { n++; return true })
	return n, err
}

// eachPart calls f for every element of an array, or name and value of an
// object's members (the name as it is written), until f returns false.
func eachPart(value []byte, f func(name, value []byte) bool) error {
	object := value[0] == '{'
	i := skipJSONSpace(value, 1)
	for i < len(value) && value[i] != ']' && value[i] != '}' {
		var name []byte
		if object {
			end, err := mysqljson.Skip(value, i)
			if err != nil {
				return errInvalidJSON(err)
			}
			name = value[i:end]
			if i = skipJSONSpace(value, end); i < len(value) && value[i] == ':' {
				i = skipJSONSpace(value, i+1)
			}
		}
		end, err := mysqljson.Skip(value, i)
		if err != nil {
			return errInvalidJSON(err)
		}
		if !f(name, value[i:end]) {
			return nil
		}
		if i = skipJSONSpace(value, end); i < len(value) && value[i] == ',' {
			i = skipJSONSpace(value, i+1)
		}
	}
	return nil
}

func skipJSONSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// FuncJSONType is JSON_TYPE.
var FuncJSONType = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x := textsOf(args[0])
	return func(dst []byte, i int) []byte { return append(dst, jsonType(x.at(i))...) }
})

func jsonType(value []byte) string {
	switch mysqljson.KindOf(value) {
	case mysqljson.Object:
		return "OBJECT"
	case mysqljson.Array:
		return "ARRAY"
	case mysqljson.String:
		return "STRING"
	case mysqljson.Bool:
		return "BOOLEAN"
	case mysqljson.Number:
		s := trimSpaces(value)
		if m, negative, end, over := scanInteger(s); end == len(s) && !over {
			switch {
			case negative && m <= 1<<63 || !negative && m < 1<<63:
				return "INTEGER"
			case !negative:
				return "UNSIGNED INTEGER"
			}
		}
		return "DOUBLE"
	}
	return "NULL"
}

// FuncJSONKeys is JSON_KEYS(document[, path]), NULL unless that is an object.
var FuncJSONKeys = propagate(func(f *frame, args []Vector) error {
	look := lookUpIn(f, args)
	out := newTextOut(f)
	var normal []byte
	for i := range f.live {
		out.start(i)
		value, found, err := look(i)
		if err == nil && (!found || mysqljson.KindOf(value) != mysqljson.Object) {
			f.null(i)
			continue
		}
		if err == nil {
			normal, err = appendJSON(normal[:0], value)
		}
		if err == nil {
			out.buf = append(out.buf, '[')
			first := true
			err = eachPart(normal, func(name, _ []byte) bool {
				if !first {
					out.buf = append(out.buf, ", "...)
				}
				first = false
				out.buf = append(out.buf, name...)
				return true
			})
			out.buf = append(out.buf, ']')
		}
		if err != nil {
			f.failOrNull(i, err)
		}
	}
	return out.finish()
})

// FuncJSONContainsPath is JSON_CONTAINS_PATH(document, 'one' or 'all', path, …).
var FuncJSONContainsPath = propagate(func(f *frame, args []Vector) error {
	x, modes, p := textsOf(args[0]), textsOf(args[1]), pathsOf(f, args[2:])
	out := boolOut(f)
	var matches [][]byte
	for i := range f.live {
		one := bytes.EqualFold(modes.at(i), []byte("one"))
		if !one && !bytes.EqualFold(modes.at(i), []byte("all")) {
			f.fail(i, failure("The oneOrAll argument to json_contains_path may take these values: 'one' or 'all'"))
			continue
		}
		any, every := false, true
		for k := range p.texts {
			path, err := p.at(k, i)
			if err == nil {
				if matches, err = mysqljson.LookupAll(x.at(i), path, matches[:0]); err != nil {
					err = errInvalidJSON(err)
				}
			}
			if err != nil {
				f.fail(i, err)
				break
			}
			any, every = any || len(matches) > 0, every && len(matches) > 0
		}
		if one && any || !one && every {
			setBit(out, i)
		}
	}
	return nil
})

// FuncJSONValue is JSON_VALUE(document, path) as text: NULL for what is no
// scalar, for null, and for nothing.
var FuncJSONValue = propagate(func(f *frame, args []Vector) error {
	look := lookUpIn(f, args)
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		value, found, err := look(i)
		if err == nil && found {
			switch mysqljson.KindOf(value) {
			case mysqljson.Array, mysqljson.Object, mysqljson.Null:
				found = false
			default:
				out.buf, err = mysqljson.AppendUnquoted(out.buf, value)
			}
		}
		switch {
		case err != nil:
			f.failOrNull(i, err)
		case !found:
			f.null(i)
		}
	}
	return out.finish()
})

// FuncJSONArray is JSON_ARRAY of arguments of these types; NULL becomes null.
func FuncJSONArray(ts []types.Type) Func {
	return func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
		f := frame{ctx: ctx, rows: rows, out: out}
		put, valid := jsonArguments(ctx, args, ts)
		to := newTextOut(&f)
		for i := range f.live {
			to.start(i)
			to.buf = append(to.buf, '[')
			for k := range args {
				if k > 0 {
					to.buf = append(to.buf, ", "...)
				}
				to.buf = appendJSONValue(to.buf, put[k], valid[k], i)
			}
			to.buf = append(to.buf, ']')
		}
		return f.finish(to.finish())
	}
}

// FuncJSONObject is JSON_OBJECT of names and values in turn; the names are text.
func FuncJSONObject(ts []types.Type) Func {
	return func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
		f := frame{ctx: ctx, rows: rows, out: out}
		put, valid := jsonArguments(ctx, args, ts)
		to := newTextOut(&f)
		var document []byte
		for i := range f.live {
			to.start(i)
			document = append(document[:0], '{')
			ok := true
			for k := 0; k+1 < len(args); k += 2 {
				if ok = ok && valid[k].at(i); !ok {
					break
				}
				if k > 0 {
					document = append(document, ", "...)
				}
				document = append(put[k](document, i), ": "...)
				document = appendJSONValue(document, put[k+1], valid[k+1], i)
			}
			if !ok {
				f.fail(i, errNullMember)
				continue
			}
			out, err := mysqljson.AppendOrdered(to.buf, append(document, '}'))
			if err != nil {
				f.fail(i, errInvalidJSON(err))
			}
			to.buf = out
		}
		return f.finish(to.finish())
	}
}

func jsonArguments(ctx *Context, args []Vector, ts []types.Type) ([]func([]byte, int) []byte, []valids) {
	put, valid := make([]func([]byte, int) []byte, len(args)), make([]valids, len(args))
	for k, a := range args {
		valid[k] = validsOf(a)
		if ts[k].Kind != types.Null {
			put[k] = jsonPrinter(ts[k])(ctx, a)
		}
	}
	return put, valid
}

func appendJSONValue(dst []byte, put func([]byte, int) []byte, valid valids, i int) []byte {
	if put == nil || !valid.at(i) {
		return append(dst, "null"...)
	}
	return put(dst, i)
}

// FuncCompareJSON compares JSON values as MySQL orders them.
func FuncCompareJSON(op Comparison) Func {
	return onDocuments(func(a, b []byte) bool { return op.holds(compareJSON(a, b)) })
}

// onDocuments makes a function of a condition on two JSON values in normal form.
func onDocuments(holds func(a, b []byte) bool) Func {
	return propagate(func(f *frame, args []Vector) error {
		x, y := textsOf(args[0]), textsOf(args[1])
		out := boolOut(f)
		var a, b []byte
		for i := range f.live {
			var err, err2 error
			a, err = appendJSON(a[:0], x.at(i))
			b, err2 = appendJSON(b[:0], y.at(i))
			if err = errors.Join(err, err2); err != nil {
				f.failOrNull(i, err)
				continue
			}
			if holds(a, b) {
				setBit(out, i)
			}
		}
		return nil
	})
}

// onDocument makes a function that gives what is appended for a JSON value in normal
// form.
func onDocument(appendOf func(dst, value []byte) []byte) Func {
	return propagate(func(f *frame, args []Vector) error {
		x := textsOf(args[0])
		out := newTextOut(f)
		var value []byte
		for i := range f.live {
			out.start(i)
			var err error
			if value, err = appendJSON(value[:0], x.at(i)); err != nil {
				f.failOrNull(i, err)
				continue
			}
			out.buf = appendOf(out.buf, value)
		}
		return out.finish()
	})
}

// jsonRank is MySQL's order of kinds.
func jsonRank(k mysqljson.Kind) int {
	switch k {
	case mysqljson.Bool:
		return 5
	case mysqljson.Array:
		return 4
	case mysqljson.Object:
		return 3
	case mysqljson.String:
		return 2
	case mysqljson.Number:
		return 1
	}
	return 0
}

// compareJSON compares values in normal form.
func compareJSON(a, b []byte) int {
	kind, other := mysqljson.KindOf(a), mysqljson.KindOf(b)
	if c := jsonRank(kind) - jsonRank(other); c != 0 {
		return c
	}
	switch kind {
	case mysqljson.Number:
		return compareJSONNumbers(a, b)
	case mysqljson.String:
		return bytes.Compare(jsonText(a), jsonText(b))
	case mysqljson.Bool:
		return int(a[0]) - int(b[0]) // true is after false
	case mysqljson.Array, mysqljson.Object:
		return compareJSONParts(kind, a, b)
	}
	return 0
}

func compareJSONNumbers(a, b []byte) int {
	x, xNegative, xEnd, _ := scanInteger(a)
	y, yNegative, yEnd, _ := scanInteger(b)
	if xEnd == len(a) && yEnd == len(b) {
		return compareWide(wide{x, xNegative && x != 0}, wide{y, yNegative && y != 0})
	}
	n, _ := scanNumber(a)
	m, _ := scanNumber(b)
	switch u, v := n.float64(), m.float64(); {
	case u < v:
		return -1
	case u > v:
		return 1
	}
	return 0
}

// compareJSONParts compares arrays element by element; objects are equal if
// their members are, else in an order that means nothing.
func compareJSONParts(kind mysqljson.Kind, a, b []byte) int {
	type part struct{ name, value []byte }
	parts := func(v []byte) (p []part) {
		_ = eachPart(v, func(name, value []byte) bool { // in normal form it is valid
			p = append(p, part{name, value})
			return true
		})
		return p
	}
	p, q := parts(a), parts(b)
	if kind == mysqljson.Object && len(p) != len(q) {
		return len(p) - len(q)
	}
	for i := range min(len(p), len(q)) {
		if c := bytes.Compare(p[i].name, q[i].name); c != 0 {
			return c
		}
		if c := compareJSON(p[i].value, q[i].value); c != 0 {
			return c
		}
	}
	return len(p) - len(q)
}

// FuncSplit is SPLIT(text, separator): a JSON array of the texts between the
// separators, none of an empty text.
var FuncSplit = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, separators := textsOf(args[0]), textsOf(args[1])
	return func(dst []byte, i int) []byte {
		s, separator := x.at(i), separators.at(i)
		dst = append(dst, '[')
		for more := len(s) > 0; more; {
			var part []byte
			if len(separator) == 0 {
				part, more = s, false
			} else {
				part, s, more = bytes.Cut(s, separator)
			}
			dst = mysqljson.AppendQuoted(dst, part)
			if more {
				dst = append(dst, ", "...)
			}
		}
		return append(dst, ']')
	}
})

// FuncZip makes of several JSON arrays one whose elements are arrays of an element
// of each, null where an array is shorter. What is no array counts as an empty one.
func FuncZip(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	docs, valid := make([]texts, len(args)), make([]valids, len(args))
	for k, a := range args {
		if !a.isNull() {
			docs[k], valid[k] = textsOf(a), validsOf(a)
		}
	}
	to := newTextOut(&f)
	normal, parts := make([][]byte, len(args)), make([][][]byte, len(args))
	for i := range f.live {
		to.start(i)
		longest := 0
		var err error
		for k, a := range args {
			parts[k] = parts[k][:0]
			if err != nil || a.isNull() || !valid[k].at(i) {
				continue
			}
			if normal[k], err = appendJSON(normal[k][:0], docs[k].at(i)); err != nil || mysqljson.KindOf(normal[k]) != mysqljson.Array {
				continue
			}
			err = eachPart(normal[k], func(_, value []byte) bool {
				parts[k] = append(parts[k], value)
				return true
			})
			longest = max(longest, len(parts[k]))
		}
		if err != nil {
			f.fail(i, err)
			continue
		}
		to.buf = append(to.buf, '[')
		for n := range longest {
			if n > 0 {
				to.buf = append(to.buf, ", "...)
			}
			to.buf = append(to.buf, '[')
			for k := range args {
				if k > 0 {
					to.buf = append(to.buf, ", "...)
				}
				if n < len(parts[k]) {
					to.buf = append(to.buf, parts[k][n]...)
				} else {
					to.buf = append(to.buf, "null"...)
				}
			}
			to.buf = append(to.buf, ']')
		}
		to.buf = append(to.buf, ']')
	}
	return f.finish(to.finish())
}
