package kernel

import (
	"bytes"
	"errors"

	"github.com/leatdb/leat/internal/mysqljson"
)

// FuncJSONContains is JSON_CONTAINS(target, candidate[, path]): an array contains
// what one of its elements contains, or all of whose elements it contains; an object
// the members of which it has equal or containing ones; a scalar what equals it.
var FuncJSONContains = propagate(func(f *frame, args []Vector) error {
	target := append([]Vector{args[0]}, args[2:]...)
	look, candidates := lookUpIn(f, target), textsOf(args[1])
	out := boolOut(f)
	var a, b []byte
	for i := range f.live {
		value, found, err := look(i)
		if err == nil && found {
			a, err = appendJSON(a[:0], value)
		}
		var invalid error
		b, invalid = appendJSON(b[:0], candidates.at(i))
		switch err = errors.Join(err, invalid); {
		case err != nil:
			f.failOrNull(i, err)
		case !found:
			f.null(i)
		case jsonContains(a, b):
			setBit(out, i)
		}
	}
	return nil
})

// jsonContains is of values in normal form.
func jsonContains(target, candidate []byte) bool {
	switch kind := mysqljson.KindOf(candidate); mysqljson.KindOf(target) {
	case mysqljson.Object:
		return kind == mysqljson.Object && eachOf(candidate, func(name, value []byte) bool {
			return anyOf(target, func(of, in []byte) bool { return bytes.Equal(name, of) && jsonContains(in, value) })
		})
	case mysqljson.Array:
		if kind == mysqljson.Array {
			return eachOf(candidate, func(_, value []byte) bool { return elementContains(target, value) })
		}
		return elementContains(target, candidate)
	}
	return compareJSON(target, candidate) == 0
}

func elementContains(array, candidate []byte) bool {
	return anyOf(array, func(_, element []byte) bool { return jsonContains(element, candidate) })
}

// FuncJSONOverlaps is JSON_OVERLAPS: whether two arrays have an element in common,
// an array has the other value as one, two objects a member, or two scalars are equal.
var FuncJSONOverlaps = onDocuments(jsonOverlaps)

func jsonOverlaps(a, b []byte) bool {
	kind, other := mysqljson.KindOf(a), mysqljson.KindOf(b)
	if other == mysqljson.Array && kind != mysqljson.Array {
		a, b, kind, other = b, a, other, kind
	}
	in := func(values []byte) func(name, value []byte) bool {
		return func(name, value []byte) bool {
			return anyOf(values, func(of, v []byte) bool { return bytes.Equal(name, of) && compareJSON(value, v) == 0 })
		}
	}
	switch {
	case kind == mysqljson.Array && other != mysqljson.Array:
		return in(a)(nil, b)
	case kind == mysqljson.Array, kind == mysqljson.Object && other == mysqljson.Object:
		return anyOf(a, in(b))
	}
	return compareJSON(a, b) == 0
}

// anyOf reports whether one of the elements or members of a value in normal form
// fulfils a condition, eachOf whether all do.
func anyOf(value []byte, holds func(name, value []byte) bool) bool {
	found := false
	_ = eachPart(value, func(name, value []byte) bool { // in normal form it is valid
		found = holds(name, value)
		return !found
	})
	return found
}

func eachOf(value []byte, holds func(name, value []byte) bool) bool {
	return !anyOf(value, func(name, value []byte) bool { return !holds(name, value) })
}
