package kernel

import (
	"bytes"
	"encoding/json"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// FuncJSONPretty is JSON_PRETTY: the form that MySQL prints, a line for each member
// and element.
var FuncJSONPretty = onDocument(func(dst, value []byte) []byte {
	to := bytes.NewBuffer(dst)
	_ = json.Indent(to, value, "", "  ") // in normal form it is valid
	return to.Bytes()
})

// FuncJSONMergePatch is JSON_MERGE_PATCH of documents, by RFC 7396: the members of
// the later ones replace those of the earlier, and null removes them. A NULL makes
// everything NULL but a later document that is no object.
func FuncJSONMergePatch(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	documents := make([]texts, len(args))
	valid := make([]valids, len(args))
	for k, a := range args {
		documents[k], valid[k] = textsOf(a), validsOf(a)
	}
	to := newTextOut(&f)
	var merged, patch, next []byte
	var p patcher
	for i := range f.live {
		to.start(i)
		isNull := false
		var err error
		for k := range documents {
			if !valid[k].at(i) {
				isNull = true
				continue
			}
			if patch, err = appendJSON(patch[:0], documents[k].at(i)); err != nil {
				break
			}
			switch {
			case k == 0 || mysqljson.KindOf(patch) != mysqljson.Object:
				isNull = false
				merged, patch = patch, merged
			case !isNull:
				next = p.append(next[:0], merged, patch)
				merged, next = next, merged
			}
		}
		switch {
		case err != nil:
			f.fail(i, err)
		case isNull:
			f.null(i)
		default:
			to.buf = append(to.buf, merged...)
		}
	}
	return f.finish(to.finish())
}

// patcher changes values by patches, both in normal form: names are in one order, and
// equal ones written alike.
type patcher struct {
	changes []jsonMember // of the patches that are being followed, innermost last
}

type jsonMember struct{ name, value []byte }

// append appends a value, or nil, with a patch of it, in normal form.
func (p *patcher) append(dst, value, patch []byte) []byte {
	if mysqljson.KindOf(patch) != mysqljson.Object {
		return append(dst, patch...)
	}
	base := len(p.changes)
	_ = eachPart(patch, func(name, change []byte) bool { // in normal form it is valid
		p.changes = append(p.changes, jsonMember{name, change})
		return true
	})
	changes := p.changes[base:]
	begin := len(dst) + 1
	dst = append(dst, '{')
	put := func(name []byte) {
		if len(dst) > begin {
			dst = append(dst, ", "...)
		}
		dst = append(append(dst, name...), ": "...)
	}
	// apply makes the next change, of a member that is old or nil.
	apply := func(old []byte) {
		if c := changes[0]; mysqljson.KindOf(c.value) != mysqljson.Null {
			put(c.name)
			dst = p.append(dst, old, c.value)
		}
		changes = changes[1:]
	}
	if len(value) > 0 && mysqljson.KindOf(value) == mysqljson.Object {
		_ = eachPart(value, func(name, old []byte) bool {
			for len(changes) > 0 && compareNames(changes[0].name, name) < 0 {
				apply(nil)
			}
			if len(changes) > 0 && bytes.Equal(changes[0].name, name) {
				apply(old)
				return true
			}
			put(name)
			dst = append(dst, old...)
			return true
		})
	}
	for len(changes) > 0 {
		apply(nil)
	}
	p.changes = p.changes[:base]
	return append(dst, '}')
}

// compareNames orders names, as they are written, as the normal form does.
func compareNames(a, b []byte) int {
	unescaped := func(name []byte) []byte {
		name = name[1 : len(name)-1]
		if bytes.IndexByte(name, '\\') < 0 {
			return name
		}
		return mysqljson.AppendUnescaped(nil, name)
	}
	return mysqljson.CompareNames(unescaped(a), unescaped(b))
}
