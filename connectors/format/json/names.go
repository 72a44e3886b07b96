package json

import "math/bits"

// nameTable finds the slot of a member by its name's bytes: a hash table with
// linear probing whose keys are compared by words.
type nameTable struct {
	entries []nameEntry // a power of two, at most a quarter full
	shift   int         // of a hash, so that its highest bits are an index
	used    int
}

type nameEntry struct {
	first, last uint64 // the name's first and last eight bytes
	name        string
	slot        *slot
}

// wordsOf takes a name of n bytes at i apart: its first eight bytes and its
// last eight; of a shorter name both are all of it. It does not branch, since
// lengths are hard to predict.
func wordsOf(b bytesAt, i, n int) (first, last uint64) {
	mask := lowBytes[min(n, 8)]
	return b.word(i) & mask, b.word(i+max(n-8, 0)) & mask
}

// lowBytes selects so many bytes of a word.
var lowBytes = [9]uint64{
	0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, 0xffffffffffffffff,
}

// slotOf is where in the table the search for a name begins.
func (t *nameTable) slotOf(first, last uint64, n int) uint64 {
	return (first*0x9e3779b97f4a7c15 + last*0xc2b2ae3d27d4eb4f + uint64(n)*0xd6e8feb86659fd93) >> t.shift
}

// lookup finds the name of n bytes at i, without escapes; nil if it is unknown.
func (t *nameTable) lookup(b bytesAt, i, n int) *slot {
	first, last := wordsOf(b, i, n)
	h := t.slotOf(first, last, n)
	for {
		e := &t.entries[h&uint64(len(t.entries)-1)]
		if e.first == first && e.last == last && len(e.name) == n && (n <= 16 || equalMiddle(b, i, e.name)) {
			return e.slot
		}
		if e.slot == nil {
			return nil
		}
		h++
	}
}

// equalMiddle compares a name of more than 16 bytes but for its ends.
func equalMiddle(b bytesAt, i int, name string) bool {
	for k := 8; k < len(name)-8; k++ {
		if b.at(i+k) != name[k] {
			return false
		}
	}
	return true
}

// add enters a name that is not in the table.
func (t *nameTable) add(name string, s *slot) {
	if 4*(t.used+1) > len(t.entries) {
		t.grow(2 * len(t.entries))
	}
	padded := make([]byte, len(name)+8)
	copy(padded, name)
	first, last := wordsOf(bytesAt{unsafeData(padded)}, 0, len(name))
	t.insert(nameEntry{first, last, name, s})
	t.used++
}

// grow gives the table room for size entries, a power of two.
func (t *nameTable) grow(size int) {
	old := t.entries
	t.entries = make([]nameEntry, size)
	t.shift = 64 - bits.TrailingZeros(uint(size))
	for _, e := range old {
		if e.slot != nil {
			t.insert(e)
		}
	}
}

func (t *nameTable) insert(e nameEntry) {
	h := t.slotOf(e.first, e.last, len(e.name))
	for t.entries[h&uint64(len(t.entries)-1)].slot != nil {
		h++
	}
	t.entries[h&uint64(len(t.entries)-1)] = e
}
