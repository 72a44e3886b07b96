package parquetfile

import (
	"hash/maphash"
	"math/bits"
)

// Dictionary numbers the distinct strings of a column in the order they came,
// for one lane and all its open files.
type Dictionary struct {
	arena []byte
	ends  []int // of entry i in arena
	table []slot
	seed  maphash.Seed
}

type slot struct {
	hash uint32
	code int32 // the entry's number + 1, 0 is free
}

const (
	// A column with more distinct strings than this, or more bytes of them,
	// gains nothing from a dictionary.
	maxDictionaryEntries = 1 << 16
	maxDictionaryBytes   = 4 << 20
)

func newDictionary() *Dictionary {
	return &Dictionary{table: make([]slot, 256), seed: maphash.MakeSeed()}
}

// Len is the number of entries.
func (d *Dictionary) Len() int { return len(d.ends) }

func (d *Dictionary) value(code int32) []byte {
	start := 0
	if code > 0 {
		start = d.ends[code-1]
	}
	return d.arena[start:d.ends[code]]
}

func (d *Dictionary) full() bool {
	return len(d.ends) >= maxDictionaryEntries || len(d.arena) >= maxDictionaryBytes
}

// code is the number of a value, which becomes an entry if it is none; it is
// negative when the dictionary is full.
func (d *Dictionary) code(value []byte) int32 {
	h := uint32(maphash.Bytes(d.seed, value))
	mask := uint32(len(d.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := d.table[i]
		if s.code == 0 {
			if d.full() {
				return -1
			}
			d.arena = append(d.arena, value...)
			d.ends = append(d.ends, len(d.arena))
			code := int32(len(d.ends) - 1)
			d.table[i] = slot{h, code + 1}
			if 2*len(d.ends) > len(d.table) {
				d.rehash()
			}
			return code
		}
		if s.hash == h && string(d.value(s.code-1)) == string(value) {
			return s.code - 1
		}
	}
}

func (d *Dictionary) rehash() {
	old := d.table
	d.table = make([]slot, 4*len(old))
	mask := uint32(len(d.table) - 1)
	for _, s := range old {
		if s.code != 0 {
			i := s.hash & mask
			for d.table[i].code != 0 {
				i = (i + 1) & mask
			}
			d.table[i] = s
		}
	}
}

// numberIndex numbers distinct 64-bit values in the order they come; it is
// scratch memory that one page after another fills anew.
type numberIndex struct {
	keys  []int64
	codes []int32 // number + 1
	shift uint8
	used  []int32 // occupied places
}

// maxNumbers is how many distinct numbers a dictionary may have.
const maxNumbers = 1 << 14

func newNumberIndex() *numberIndex {
	const size = 4 * maxNumbers
	return &numberIndex{
		keys: make([]int64, size), codes: make([]int32, size),
		shift: uint8(64 - bits.TrailingZeros(size)),
	}
}

func (x *numberIndex) reset() {
	for _, i := range x.used {
		x.codes[i] = 0
	}
	x.used = x.used[:0]
}

// code numbers v; added says that it is new.
func (x *numberIndex) code(v int64) (code int32, added bool) {
	i := uint64(v) * 0x9E3779B97F4A7C15 >> x.shift
	for {
		switch c := x.codes[i]; {
		case c == 0:
			x.keys[i] = v
			x.used = append(x.used, int32(i))
			x.codes[i] = int32(len(x.used))
			return int32(len(x.used)) - 1, true
		case x.keys[i] == v:
			return c - 1, false
		}
		i = (i + 1) & uint64(len(x.keys)-1)
	}
}
