package columns

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// DictionaryType is the type of the dictionary arrays that a Builder makes.
var DictionaryType = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

const (
	// MostInterned is how long a string in a dictionary may be: its characters
	// are two words.
	MostInterned = 16
	// maxInterned is how many strings a dictionary may hold.
	maxInterned = 64
	// internSample is how many rows of a batch, which has at least as many, have
	// to have few different strings; internPause for how many batches that is not
	// looked at again after they had not.
	internSample = 256
	internPause  = 64
)

// dictionary numbers the few short strings of a column.
type dictionary struct {
	allowed bool
	on      bool // for the batches that follow
	pause   int  // batches before it is tried

	entries []internedString
	table   [4 * maxInterned]Interned // by hash, linear probing
	codes   *memory.Buffer
	values  *array.Data // of the first known entries
	known   int
}

// internedString is a string of n bytes in two words, zero behind its end.
type internedString struct {
	x, y uint64
	n    int
}

// Interned is a string in the hash table of a dictionary: its words, its length
// + 1 (0 in a free place) and its number.
type Interned struct {
	X, Y   uint64
	Length int32
	Code   int32
}

func (e internedString) append(dst []byte) []byte {
	var text [MostInterned]byte
	binary.LittleEndian.PutUint64(text[:], e.x)
	binary.LittleEndian.PutUint64(text[8:], e.y)
	return append(dst, text[:e.n]...)
}

// AllowDictionary lets batches in which few short strings repeat become
// dictionary arrays.
func (c *Builder) AllowDictionary() { c.dictionary.allowed = true }

// InternedNear is where the string of two words most likely is; for decoders that
// look there before they call Intern.
func (c *Builder) InternedNear(x, y uint64) *Interned {
	return &c.dictionary.table[(x^bits.RotateLeft64(y, 29))*0x9e3779b97f4a7c15>>56]
}

// Intern gives the number of a string of up to MostInterned bytes, whose
// characters are those of x and then of y from the lowest byte up, and zeros
// behind. It is negative when the dictionary is full; Plain ends it then.
func (c *Builder) Intern(x, y uint64, n int) int32 {
	table := &c.dictionary.table
	h := (x ^ bits.RotateLeft64(y, 29)) * 0x9e3779b97f4a7c15 >> 56
	for {
		s := &table[h]
		if s.X == x && s.Y == y && s.Length == int32(n+1) {
			return s.Code
		}
		if s.Length == 0 {
			return c.dictionary.add(internedString{x, y, n}, s)
		}
		h = (h + 1) % uint64(len(table))
	}
}

func (d *dictionary) add(e internedString, s *Interned) int32 {
	if len(d.entries) == maxInterned {
		return -1
	}
	*s = Interned{e.x, e.y, int32(e.n + 1), int32(len(d.entries))}
	d.entries = append(d.entries, e)
	return s.Code
}

// setCode interns the row's text, if it is short.
func (c *Builder) setCode(row int, text []byte) bool {
	n := len(text)
	if n > MostInterned {
		return false
	}
	var words [MostInterned]byte
	if cap(text) >= MostInterned {
		words = [MostInterned]byte(text[:MostInterned])
	} else {
		copy(words[:], text)
	}
	x, y := firstBytes(binary.LittleEndian.Uint64(words[:]), binary.LittleEndian.Uint64(words[8:]), n)
	return c.setWords(row, x, y, n)
}

// firstBytes keeps the first n of the 16 bytes of two words.
func firstBytes(x, y uint64, n int) (uint64, uint64) {
	return x & (^uint64(0) >> max(64-8*n, 0)), y & (^uint64(0) >> (128 - 8*max(n, 8)))
}

// setWords interns the row's text of n bytes, given as Intern takes it.
func (c *Builder) setWords(row int, x, y uint64, n int) bool {
	known := c.InternedNear(x, y)
	code := known.Code
	if known.X != x || known.Y != y || known.Length != int32(n+1) {
		if code = c.Intern(x, y, n); code < 0 {
			return false
		}
	}
	c.Codes[row] = code
	return true
}

// begin decides how the batch is built.
func (d *dictionary) begin(c *Builder, rows int) {
	c.Codes = nil
	if !d.on {
		return
	}
	if d.codes == nil {
		d.codes = memory.NewResizableBuffer(c.alloc)
	}
	d.codes.Reserve(4 * rows)
	c.Codes = arrow.Int32Traits.CastFromBytes(d.codes.Buf())
}

// Plain turns the rows before row from codes into text, and the batch goes on
// with text.
func (c *Builder) Plain(row int) error {
	d, codes := &c.dictionary, c.Codes
	c.Codes = nil
	var text [MostInterned]byte
	for i, code := range codes[:row] {
		value := text[:0]
		if len(d.entries) > 0 { // code 0 is also that of NULL
			value = d.entries[code].append(value)
		}
		if err := c.SetText(i, value); err != nil {
			return err
		}
	}
	d.giveUp()
	return nil
}

// giveUp forgets the strings; batches are of text for a while.
func (d *dictionary) giveUp() {
	d.on, d.pause = false, internPause
	d.entries = d.entries[:0]
	clear(d.table[:])
	d.release()
}

// learn looks whether a batch of text would rather have been one of codes.
func (d *dictionary) learn(c *Builder, rows int) {
	if d.pause > 0 {
		d.pause--
		return
	}
	if rows < internSample {
		return
	}
	d.on = true
	for i := range internSample {
		row := i * rows / internSample
		v := c.Content[c.Offsets[row]:c.Offsets[row+1]]
		var text [MostInterned]byte
		if len(v) > MostInterned {
			d.on = false
			break
		}
		copy(text[:], v)
		if c.Intern(binary.LittleEndian.Uint64(text[:]), binary.LittleEndian.Uint64(text[8:]), len(v)) < 0 || len(d.entries) > maxInterned/2 {
			d.on = false
			break
		}
	}
	if !d.on {
		d.giveUp()
	}
}

// array is the batch as a dictionary array. The values stay the same array
// while no new ones come.
func (d *dictionary) array(c *Builder, rows int) arrow.Array {
	if d.values == nil || d.known < len(d.entries) {
		d.release()
		b := array.NewStringBuilder(c.alloc)
		defer b.Release()
		var text [MostInterned]byte
		for _, e := range d.entries {
			b.Append(string(e.append(text[:0])))
		}
		values := b.NewArray()
		defer values.Release()
		d.values, d.known = values.Data().(*array.Data), len(d.entries)
		d.values.Retain()
	}
	d.codes.ResizeNoShrink(4 * rows)
	data := array.NewDataWithDictionary(DictionaryType, rows, []*memory.Buffer{c.validity(rows), d.codes}, c.nulls, 0, d.values)
	defer data.Release()
	return array.NewDictionaryData(data)
}

func (d *dictionary) release() {
	if d.values != nil {
		d.values.Release()
		d.values = nil
	}
}
