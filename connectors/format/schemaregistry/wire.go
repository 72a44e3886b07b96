package schemaregistry

import (
	"encoding/binary"
	"errors"
)

// The wire format: a zero byte, the schema's id in four bytes with the highest
// first, then the value; of Protobuf the path to the message's type before it.
// See https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format

// HeaderBytes is the length of what precedes the value in the wire format.
const HeaderBytes = 5

// Why bytes are not in the wire format.
var (
	ErrNoMagic  = errors.New("it does not begin with the zero byte of the schema registry's wire format")
	ErrTooShort = errors.New("it is shorter than the 5 bytes with which the schema registry's wire format begins")
	ErrIndexes  = errors.New("the path to the type of the message is damaged")
)

// AppendHeader appends what precedes a value.
func AppendHeader(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(id))
}

// SplitHeader takes the id off a payload.
func SplitHeader(payload []byte) (id int, value []byte, err error) {
	switch {
	case len(payload) > 0 && payload[0] != 0:
		return 0, nil, ErrNoMagic
	case len(payload) < HeaderBytes:
		return 0, nil, ErrTooShort
	}
	return int(binary.BigEndian.Uint32(payload[1:])), payload[HeaderBytes:], nil
}

// maxIndexes is how deep a type can be nested in others.
const maxIndexes = 32

// AppendIndexes appends the path to a message type of a .proto file: its index
// among the file's messages, then among those of that one, and so on.
func AppendIndexes(dst []byte, indexes ...int) []byte {
	if len(indexes) == 1 && indexes[0] == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(indexes)))
	for _, i := range indexes {
		dst = binary.AppendVarint(dst, int64(i))
	}
	return dst
}

// SplitIndexes takes the path to the message type off a value; it appends the
// path to indexes. An empty list of indexes stands for the file's first message.
func SplitIndexes(value []byte, indexes []int) (path []int, rest []byte, err error) {
	count, n := binary.Varint(value)
	if n <= 0 || count < 0 || count > maxIndexes {
		return indexes, nil, ErrIndexes
	}
	value = value[n:]
	if count == 0 {
		return append(indexes, 0), value, nil
	}
	for range count {
		i, n := binary.Varint(value)
		if n <= 0 || i < 0 || i > 1<<20 {
			return indexes, nil, ErrIndexes
		}
		indexes, value = append(indexes, int(i)), value[n:]
	}
	return indexes, value, nil
}
