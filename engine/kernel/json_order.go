package kernel

import (
	"bytes"
	"encoding/binary"

	"github.com/leatdb/leat/internal/mysqljson"
)

// FuncJSONOrder gives a BINARY for each JSON value; they compare byte by byte as
// MySQL compares the values.
var FuncJSONOrder = onDocument(appendJSONOrder)

// appendJSONOrder appends the key of a value in normal form: the rank of its kind,
// then what orders values of the kind, of which none begins with another.
func appendJSONOrder(dst, v []byte) []byte {
	kind := mysqljson.KindOf(v)
	dst = append(dst, byte(jsonRank(kind)))
	switch kind {
	case mysqljson.Number:
		return appendNumberOrder(dst, v)
	case mysqljson.String:
		return appendTextOrder(dst, jsonText(v))
	case mysqljson.Bool:
		return append(dst, v[0]) // true is after false
	case mysqljson.Array, mysqljson.Object:
		_ = eachPart(v, func(name, value []byte) bool { // in normal form it is valid
			dst = append(dst, 1)
			if kind == mysqljson.Object {
				dst = appendTextOrder(dst, name)
			}
			dst = appendJSONOrder(dst, value)
			return true
		})
		return append(dst, 0)
	}
	return dst
}

// appendTextOrder ends a text with two zero bytes, and has no others in it.
func appendTextOrder(dst, s []byte) []byte {
	for _, c := range s {
		if dst = append(dst, c); c == 0 {
			dst = append(dst, 1)
		}
	}
	return append(dst, 0, 0)
}

// appendNumberOrder appends sign, exponent and digits of a number; of a negative
// one the complements of the last two.
func appendNumberOrder(dst, v []byte) []byte {
	n, _ := scanNumber(v)
	whole, fraction := bytes.TrimLeft(n.whole, "0"), bytes.TrimRight(n.fraction, "0")
	point := len(whole) + n.exponent
	if len(whole) == 0 {
		digits := len(fraction)
		fraction = bytes.TrimLeft(fraction, "0")
		point -= digits - len(fraction)
	}
	if len(fraction) == 0 {
		whole = bytes.TrimRight(whole, "0")
	}
	if len(whole)+len(fraction) == 0 {
		return append(dst, 1)
	}
	sign, flip := byte(2), byte(0)
	if n.negative {
		sign, flip = 0, 0xFF
	}
	dst = append(dst, sign)
	begin := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(int64(point))^1<<63)
	dst = append(append(append(dst, whole...), fraction...), 0)
	for i := begin; i < len(dst); i++ {
		dst[i] ^= flip
	}
	return dst
}
