package parquet

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// fits reports whether an Arrow schema that a footer has as text claims no more fields,
// children and metadata than its bytes can have: the library makes room for as many as
// it claims, and a process that has no more memory ends. It is a message of Arrow's IPC
// format, a FlatBuffer (https://arrow.apache.org/docs/format/Columnar.html).
func fits(text string) bool {
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(data) < 8 {
		return err != nil // the library refuses it
	}
	length := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if length == 1<<32-1 { // since version 0.15
		length, data = binary.LittleEndian.Uint32(data), data[4:]
	}
	if uint64(length) > uint64(len(data)) {
		return false
	}
	b := flatBuffer{data: data, left: len(data)}
	message := b.at(0)
	schema := b.member(message, 2)
	b.vector(schema, 2, nil)
	b.vector(schema, 1, b.field)
	return !b.bad
}

// flatBuffer walks over tables, whose offsets point forward.
type flatBuffer struct {
	data []byte
	left int // how many elements of vectors there can be yet
	bad  bool
}

// union is the number of that type.
const union = 14

// field visits a field of a schema.
func (b *flatBuffer) field(table int) {
	b.vector(table, 6, nil)
	if kind := b.place(table, 2); kind >= 0 && kind < len(b.data) && b.data[kind] == union {
		b.vector(b.member(table, 3), 1, nil) // the ids of its children
	}
	b.vector(table, 5, b.field)
}

// at is where the offset at a place points to.
func (b *flatBuffer) at(place int) int {
	if place < 0 || place > len(b.data)-4 {
		b.bad = true
		return -1
	}
	return place + int(binary.LittleEndian.Uint32(b.data[place:]))
}

// member is where a table's member lies that is a table or a vector, −1 for nowhere.
func (b *flatBuffer) member(table, slot int) int {
	if place := b.place(table, slot); place >= 0 {
		return b.at(place)
	}
	return -1
}

// place is where a table has a member, or the offset of it, −1 for nowhere.
func (b *flatBuffer) place(table, slot int) int {
	if b.bad || table < 0 {
		return -1
	}
	if table > len(b.data)-4 {
		b.bad = true
		return -1
	}
	layout := table - int(int32(binary.LittleEndian.Uint32(b.data[table:])))
	entry := layout + 4 + 2*slot
	if layout < 0 || layout > len(b.data)-4 {
		b.bad = true
		return -1
	}
	if 4+2*slot >= int(binary.LittleEndian.Uint16(b.data[layout:])) {
		return -1
	}
	if entry > len(b.data)-2 {
		b.bad = true
		return -1
	}
	if offset := int(binary.LittleEndian.Uint16(b.data[entry:])); offset > 0 {
		return table + offset
	}
	return -1
}

// vector visits the tables of a vector of a table.
func (b *flatBuffer) vector(table, slot int, visit func(table int)) {
	v := b.member(table, slot)
	if b.bad || v < 0 {
		return
	}
	if v > len(b.data)-4 {
		b.bad = true
		return
	}
	n := int(binary.LittleEndian.Uint32(b.data[v:]))
	if n > (len(b.data)-v-4)/4 || n > b.left {
		b.bad = true
		return
	}
	b.left -= n
	for i := 0; i < n && visit != nil && !b.bad; i++ {
		visit(b.at(v + 4 + 4*i))
	}
}
