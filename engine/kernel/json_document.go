package kernel

import (
	"bytes"
	"encoding/json"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// FuncJSONPretty is JSON_PRETTY: the form that MySQL prints, a line for each member
// and element.
var FuncJSONPretty = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := newTextOut(f)
	var value []byte
	var lines bytes.Buffer
	for i := range f.live {
		out.start(i)
		var err error
		if value, err = appendJSON(value[:0], x.at(i)); err != nil {
			f.failOrNull(i, err)
			continue
		}
		lines.Reset()
		if err := json.Indent(&lines, value, "", "  "); err != nil {
			return err
		}
		out.buf = append(out.buf, lines.Bytes()...)
	}
	return out.finish()
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
				next = appendPatched(next[:0], merged, patch)
				merged, next = next, merged
			}
		}
		switch {
		case err != nil:
			f.fail(i, err)
		case isNull:
			f.null(i)
		default:
			if to.buf, err = appendJSON(to.buf, merged); err != nil {
				f.fail(i, err)
			}
		}
	}
	return f.finish(to.finish())
}

// appendPatched appends a value, or nil, with a patch of it. Both are in normal form,
// in which equal names are written alike; the members of the result are in no order.
func appendPatched(dst, value, patch []byte) []byte {
	if mysqljson.KindOf(patch) != mysqljson.Object {
		return append(dst, patch...)
	}
	if len(value) > 0 && mysqljson.KindOf(value) != mysqljson.Object {
		value = nil
	}
	begin := len(dst) + 1
	dst = append(dst, '{')
	put := func(name []byte) {
		if len(dst) > begin {
			dst = append(dst, ", "...)
		}
		dst = append(append(dst, name...), ": "...)
	}
	eachMember(value, func(name, old []byte) {
		change := memberOf(patch, name)
		switch {
		case change == nil:
			put(name)
			dst = append(dst, old...)
		case mysqljson.KindOf(change) != mysqljson.Null:
			put(name)
			dst = appendPatched(dst, old, change)
		}
	})
	eachMember(patch, func(name, change []byte) {
		if mysqljson.KindOf(change) != mysqljson.Null && memberOf(value, name) == nil {
			put(name)
			dst = appendPatched(dst, nil, change)
		}
	})
	return append(dst, '}')
}

// eachMember calls f for the members of an object in normal form, or of nil.
func eachMember(object []byte, f func(name, value []byte)) {
	if len(object) == 0 {
		return
	}
	_ = eachPart(object, func(name, value []byte) bool { // in normal form it is valid
		f(name, value)
		return true
	})
}

// memberOf is an object's member, or nil.
func memberOf(object, name []byte) (found []byte) {
	eachMember(object, func(n, value []byte) {
		if bytes.Equal(n, name) {
			found = value
		}
	})
	return found
}
