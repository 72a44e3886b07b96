package kernel

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
)

// bitmap is a run of bits as Arrow keeps them: least significant first, from
// bit offset on. Without bytes all its bits are set.
type bitmap struct {
	bytes  []byte
	offset int
}

// word is bits 64·k to 64·k+63; those beyond the bytes are zero.
func (b bitmap) word(k int) uint64 {
	if b.bytes == nil {
		return ^uint64(0)
	}
	bit := b.offset + k<<6
	at, shift := bit>>3, bit&7
	if at+9 <= len(b.bytes) {
		return binary.LittleEndian.Uint64(b.bytes[at:])>>shift | uint64(b.bytes[at+8])<<(64-shift)
	}
	var w uint64
	for j, c := range b.bytes[min(at, len(b.bytes)):] {
		// A byte that lies across the beginning loses its low bits.
		if s := 8*j - shift; s < 0 {
			w |= uint64(c) >> -s
		} else {
			w |= uint64(c) << s
		}
	}
	return w
}

func (b bitmap) get(i int) bool {
	if b.bytes == nil {
		return true
	}
	i += b.offset
	return b.bytes[i>>3]>>(i&7)&1 != 0
}

// wordCount is how many words hold n bits.
func wordCount(n int) int { return (n + 63) >> 6 }

// lastWord masks the bits of the last word that are rows.
func lastWord(rows int) uint64 {
	if r := rows & 63; r != 0 {
		return 1<<r - 1
	}
	return ^uint64(0)
}

// validity is where an array has values.
func validity(arr arrow.Array) bitmap {
	if arr.NullN() == 0 {
		return bitmap{}
	}
	if arr.DataType().ID() == arrow.NULL {
		return bitmap{bytes: make([]byte, arr.Len()/8+1)}
	}
	return bitmap{arr.NullBitmapBytes(), arr.Data().Offset()}
}

// appendSet appends the numbers of the set bits below rows to dst.
func appendSet(dst []int32, words []uint64, rows int) []int32 {
	for k, w := range words {
		if k == len(words)-1 {
			w &= lastWord(rows)
		}
		base := int32(k << 6)
		if w == ^uint64(0) {
			for j := range int32(64) {
				dst = append(dst, base+j)
			}
			continue
		}
		for ; w != 0; w &= w - 1 {
			dst = append(dst, base+int32(bits.TrailingZeros64(w)))
		}
	}
	return dst
}

// anySet reports whether a bit below rows is set.
func anySet(words []uint64, rows int) bool {
	for k, w := range words {
		if k == len(words)-1 {
			w &= lastWord(rows)
		}
		if w != 0 {
			return true
		}
	}
	return false
}

func wordBit(words []uint64, i int) bool { return words[i>>6]>>(i&63)&1 != 0 }

// fillWords sets all words to w.
func fillWords(words []uint64, w uint64) {
	for k := range words {
		words[k] = w
	}
}
