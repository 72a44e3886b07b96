package json

// nameTable finds the slot of a member by its name's bytes: a hash table with
// linear probing whose keys are compared by words.
type nameTable struct {
	entries []nameEntry // a power of two, at most half full
	used    int
}

type nameEntry struct {
	first, last uint64 // the name's first and last eight bytes
	name        string
	slot        *slot
}

// wordsOf takes a name of n bytes at i apart: its first eight bytes and its
// last eight, or 0 for the latter in a shorter name.
func wordsOf(b bytesAt, i, n int) (first, last uint64) {
	first = b.word(i)
	if n < 8 {
		return first & (1<<(8*n) - 1), 0
	}
	return first, b.word(i + n - 8)
}

func hashName(first, last uint64, n int) uint64 {
	h := (first ^ uint64(n)*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	h ^= last * 0xc4ceb9fe1a85ec53
	return h ^ h>>32
}

// lookup finds the name of n bytes at i, without escapes; nil if it is unknown.
func (t *nameTable) lookup(b bytesAt, i, n int) *slot {
	if len(t.entries) == 0 {
		return nil
	}
	first, last := wordsOf(b, i, n)
	mask := uint64(len(t.entries) - 1)
	for h := hashName(first, last, n) & mask; ; h = (h + 1) & mask {
		e := &t.entries[h]
		if e.slot == nil {
			return nil
		}
		if e.first == first && e.last == last && len(e.name) == n && (n <= 16 || equalMiddle(b, i, e.name)) {
			return e.slot
		}
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
	if 2*(t.used+1) > len(t.entries) {
		old := t.entries
		t.entries = make([]nameEntry, max(16, 2*len(old)))
		for _, e := range old {
			if e.slot != nil {
				t.insert(e)
			}
		}
	}
	padded := make([]byte, len(name)+8)
	copy(padded, name)
	first, last := wordsOf(bytesAt{unsafeData(padded)}, 0, len(name))
	t.insert(nameEntry{first, last, name, s})
	t.used++
}

func (t *nameTable) insert(e nameEntry) {
	mask := uint64(len(t.entries) - 1)
	h := hashName(e.first, e.last, len(e.name)) & mask
	for t.entries[h].slot != nil {
		h = (h + 1) & mask
	}
	t.entries[h] = e
}
