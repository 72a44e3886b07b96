package parquetfile

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// Numbers of Parquet's encodings, as its Thrift definition has them.
const (
	encodingPlain        = 0
	encodingRLE          = 3
	encodingDelta        = 5 // DELTA_BINARY_PACKED
	encodingDeltaLength  = 6 // DELTA_LENGTH_BYTE_ARRAY
	encodingDeltaStrings = 7 // DELTA_BYTE_ARRAY
	encodingDictionary   = 8 // RLE_DICTIONARY

	encodings = 9
)

// appendLevels appends the definition levels of n rows: their length, then one
// run if no row is NULL, else valid as it is, since bits packed one by one from
// the lowest are what a bitmap holds.
func appendLevels(dst []byte, n int, valid []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	if valid == nil {
		dst = binary.AppendUvarint(dst, uint64(n)<<1)
		dst = append(dst, 1)
	} else {
		groups := (n + 7) >> 3
		dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
		dst = append(dst, valid[:groups]...)
	}
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// appendBools packs one byte a value into one bit a value.
func appendBools(dst, values []byte) []byte {
	for len(values) >= 8 {
		// Gathers the lowest bit of eight bytes in the highest byte.
		word := binary.LittleEndian.Uint64(values) & 0x0101010101010101
		dst = append(dst, byte(word*0x0102040810204080>>56))
		values = values[8:]
	}
	if len(values) > 0 {
		var last byte
		for i, v := range values {
			last |= v << i
		}
		dst = append(dst, last)
	}
	return dst
}

// appendCodes appends dictionary codes below limit: their width in bits, then
// runs where values repeat and packed bits elsewhere.
func appendCodes(dst []byte, codes []int32, limit int) []byte {
	width := uint(max(bits.Len(uint(limit-1)), 1))
	dst = append(dst, byte(width))
	changes := 0
	for i := 1; i < len(codes); i++ {
		if codes[i] != codes[i-1] {
			changes++
		}
	}
	if changes*16 > len(codes) {
		return appendPacked(dst, codes, width)
	}
	// Long runs: packed bits come in groups of eight, so a run lends what the
	// group before it lacks.
	packed := 0 // codes[packed:i] wait to be packed
	for i := 0; i < len(codes); {
		end := i + 1
		for end < len(codes) && codes[end] == codes[i] {
			end++
		}
		lend := (8 - (i-packed)&7) & 7
		if end-i-lend >= 16 {
			if i+lend > packed {
				dst = appendPacked(dst, codes[packed:i+lend], width)
			}
			dst = binary.AppendUvarint(dst, uint64(end-i-lend)<<1)
			for b := uint(0); b < width; b += 8 {
				dst = append(dst, byte(codes[i]>>b))
			}
			packed = end
		}
		i = end
	}
	if packed < len(codes) {
		dst = appendPacked(dst, codes[packed:], width)
	}
	return dst
}

// appendPacked appends one run of packed bits, filled up to eight values.
func appendPacked(dst []byte, codes []int32, width uint) []byte {
	groups := (len(codes) + 7) >> 3
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	size := groups * int(width)
	at := len(dst)
	dst = append(dst, make([]byte, size+8)...)
	out := dst[at:]
	var word uint64
	var used uint
	place := 0
	for _, c := range codes {
		word |= uint64(uint32(c)) << used
		used += width
		if used >= 32 {
			binary.LittleEndian.PutUint32(out[place:], uint32(word))
			place += 4
			word >>= 32
			used -= 32
		}
	}
	binary.LittleEndian.PutUint64(out[place:], word)
	return dst[:at+size]
}

const (
	deltaBlock     = 128
	deltaMiniblock = 32
)

type number interface{ int32 | int64 }

// appendDelta appends DELTA_BINARY_PACKED. Differences wrap around in the
// type's width, as readers undo them.
func appendDelta[T number](dst []byte, values []T) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaBlock/deltaMiniblock)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	if len(values) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(values[0]))
	var deltas [deltaBlock]T
	mask := widthMask[T]()
	for i := 1; i < len(values); i += deltaBlock {
		block := values[i:min(i+deltaBlock, len(values))]
		before := values[i-1]
		least := block[0] - before
		for k, v := range block {
			d := v - before
			deltas[k], before = d, v
			least = min(least, d)
		}
		clear(deltas[len(block):])
		dst = binary.AppendVarint(dst, int64(least))
		widths := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		for m := 0; m < len(block); m += deltaMiniblock {
			mini := deltas[m : m+deltaMiniblock]
			var all uint64
			for k := range mini {
				if m+k < len(block) {
					mini[k] -= least
				}
				all |= uint64(mini[k])
			}
			width := uint(bits.Len64(all & mask))
			dst[widths+m/deltaMiniblock] = byte(width)
			dst = appendMiniblock(dst, mini, width, mask)
		}
	}
	return dst
}

// widthMask has a bit set for each of the type's own.
func widthMask[T number]() uint64 {
	var zero T
	if unsafe.Sizeof(zero) == 4 {
		return math.MaxUint32
	}
	return math.MaxUint64
}

// appendMiniblock packs 32 values of up to 64 bits.
func appendMiniblock[T number](dst []byte, values []T, width uint, mask uint64) []byte {
	if width == 0 {
		return dst
	}
	at, size := len(dst), deltaMiniblock*int(width)/8
	dst = append(dst, make([]byte, size)...)
	out := dst[at:]
	var word uint64
	var used uint
	place := 0
	for _, v := range values {
		u := uint64(v) & mask
		word |= u << used
		if used+width >= 64 {
			binary.LittleEndian.PutUint64(out[place:], word)
			place += 8
			word = 0
			if used > 0 {
				word = u >> (64 - used)
			}
			used = used + width - 64
		} else {
			used += width
		}
	}
	for ; used > 0 && place < size; place++ {
		out[place] = byte(word)
		word >>= 8
	}
	return dst
}

// deltaBits estimates how many bits a value takes as a delta, from up to eight
// blocks.
func deltaBits[T number](values []T) int {
	const samples = 8
	step := max(len(values)/samples, deltaMiniblock+1)
	total, blocks := 0, 0
	for at := 0; at+deltaMiniblock < len(values) && blocks < samples; at += step {
		before := values[at]
		least, most := values[at+1]-before, values[at+1]-before
		for _, v := range values[at+1 : at+1+deltaMiniblock] {
			d := v - before
			before = v
			least, most = min(least, d), max(most, d)
		}
		total += bits.Len64(uint64(most-least) & widthMask[T]())
		blocks++
	}
	if blocks == 0 {
		return 64
	}
	return total/blocks + 1
}

// sharesPrefixes reports whether strings share so much with the one before them
// that leaving it out pays: a quarter, by the first few hundred.
func sharesPrefixes(text []byte, lengths []int32) bool {
	const sample = 256
	shared, total, at := 0, 0, 0
	for i, n := range lengths[:min(len(lengths), sample)] {
		if i > 0 {
			shared += commonPrefix(text[at-int(lengths[i-1]):at], text[at:at+int(n)])
			total += int(n)
		}
		at += int(n)
	}
	return total > 0 && 4*shared >= total
}

// commonPrefix is how many bytes two strings have in common from the first on.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if differ := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); differ != 0 {
			return i + bits.TrailingZeros64(differ)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// appendDeltaStrings appends DELTA_BYTE_ARRAY: how long a prefix each string
// shares with the one before, then the rests as DELTA_LENGTH_BYTE_ARRAY.
func appendDeltaStrings(dst, text []byte, lengths []int32, prefixScratch, suffixScratch *[]int32) []byte {
	prefixes, suffixes := resize(prefixScratch, len(lengths)), resize(suffixScratch, len(lengths))
	var before []byte
	rest := text
	for i, n := range lengths {
		v := rest[:n]
		rest = rest[n:]
		shared := commonPrefix(before, v)
		prefixes[i], suffixes[i] = int32(shared), n-int32(shared)
		before = v
	}
	dst = appendDelta(dst, prefixes)
	dst = appendDelta(dst, suffixes)
	for i, n := range lengths {
		dst = append(dst, text[prefixes[i]:n]...)
		text = text[n:]
	}
	return dst
}
