package parquetfile

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
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
	encodingSplit        = 9 // BYTE_STREAM_SPLIT

	encodings = 10
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

// appendPlain appends numbers as Parquet's type T.
func appendPlain[T int32 | int64, S stored](dst []byte, values []S) []byte {
	var zero T
	width := int(unsafe.Sizeof(zero))
	at := len(dst)
	dst = slices.Grow(dst, width*len(values))[:at+width*len(values)]
	out := viewAs[T](dst[at:])
	for i, v := range values {
		out[i] = T(v)
	}
	return dst
}

// appendSplit appends numbers as Parquet's type T so that their first bytes come
// first, then all second ones, and so on.
func appendSplit[T int32 | int64, S stored](dst []byte, values []S) []byte {
	var zero T
	at, n := len(dst), len(values)
	dst = slices.Grow(dst, int(unsafe.Sizeof(zero))*n)[:at+int(unsafe.Sizeof(zero))*n]
	for k := range int(unsafe.Sizeof(zero)) {
		out := dst[at+k*n : at+(k+1)*n]
		for i, v := range values {
			out[i] = byte(T(v) >> (8 * k))
		}
	}
	return dst
}

// appendCodes appends dictionary codes below limit: their width in bits, then
// runs where values repeat and packed bits elsewhere.
func appendCodes(dst []byte, codes []uint16, limit int) []byte {
	width := uint(max(bits.Len(uint(limit-1)), 1))
	dst = append(dst, byte(width))
	changes := 0
	for i := 1; i < len(codes) && changes*16 <= len(codes); i++ {
		// 1 where they differ, without a branch.
		changes += int((uint32(codes[i]^codes[i-1]) + math.MaxUint16) >> 16)
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
func appendPacked(dst []byte, codes []uint16, width uint) []byte {
	groups := (len(codes) + 7) >> 3
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	size := groups * int(width)
	at := len(dst)
	dst = slices.Grow(dst, size+16)[:at+size+16]
	out := dst[at:]
	for len(codes) >= 8 {
		low, high := pack4(codes[0], codes[1], codes[2], codes[3], width), pack4(codes[4], codes[5], codes[6], codes[7], width)
		binary.LittleEndian.PutUint64(out, low|high<<(4*width))
		if width > 8 {
			binary.LittleEndian.PutUint64(out[8:], high>>(64-4*width))
		}
		codes, out = codes[8:], out[width:]
	}
	if len(codes) > 0 {
		var last [8]uint16
		copy(last[:], codes)
		low, high := pack4(last[0], last[1], last[2], last[3], width), pack4(last[4], last[5], last[6], last[7], width)
		binary.LittleEndian.PutUint64(out, low|high<<(4*width))
		if width > 8 {
			binary.LittleEndian.PutUint64(out[8:], high>>(64-4*width))
		}
	}
	return dst[:at+size]
}

// pack4 puts four values of up to 16 bits side by side.
func pack4(a, b, c, d uint16, width uint) uint64 {
	return uint64(a) | uint64(b)<<width | (uint64(c)|uint64(d)<<width)<<(2*width)
}

const (
	deltaBlock     = 128
	deltaMiniblock = 32
)

// appendDelta appends DELTA_BINARY_PACKED of Parquet's type T. Differences wrap
// around in the type's width, as readers undo them.
func appendDelta[T int32 | int64, S stored](dst []byte, values []S) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaBlock/deltaMiniblock)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	if len(values) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(values[0]))
	var deltas [deltaBlock]T
	var most [deltaBlock / deltaMiniblock]T
	mask := widthMask[T]()
	for i := 1; i < len(values); i += deltaBlock {
		block := values[i:min(i+deltaBlock, len(values))]
		before := T(values[i-1])
		least := T(block[0]) - before
		for m := 0; m < len(block); m += deltaMiniblock {
			high := T(block[m]) - before
			for k, v := range block[m:min(m+deltaMiniblock, len(block))] {
				d := T(v) - before
				deltas[m+k], before = d, T(v)
				least, high = min(least, d), max(high, d)
			}
			most[m/deltaMiniblock] = high
		}
		for k := range deltas[len(block):] {
			deltas[len(block)+k] = least // packed as 0
		}
		dst = binary.AppendVarint(dst, int64(least))
		widths := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		for m := 0; m < len(block); m += deltaMiniblock {
			// What wraps around is right as a number without a sign.
			width := uint(bits.Len64(uint64(most[m/deltaMiniblock]-least) & mask))
			dst[widths+m/deltaMiniblock] = byte(width)
			dst = appendMiniblock(dst, (*[deltaMiniblock]T)(deltas[m:]), least, width, mask)
		}
	}
	return dst
}

// widthMask has a bit set for each of the type's own.
func widthMask[T int32 | int64]() uint64 {
	var zero T
	if unsafe.Sizeof(zero) == 4 {
		return math.MaxUint32
	}
	return math.MaxUint64
}

// appendMiniblock packs by how much 32 values are above the least, in up to 64
// bits.
func appendMiniblock[T int32 | int64](dst []byte, values *[deltaMiniblock]T, least T, width uint, mask uint64) []byte {
	if width == 0 {
		return dst
	}
	at, size := len(dst), deltaMiniblock*int(width)/8
	dst = slices.Grow(dst, size+8)[:at+size+8]
	out := dst[at:]
	if width <= 16 {
		// Four values at a time fit a word.
		var word uint64
		var used uint
		for k := 0; k < deltaMiniblock; k += 4 {
			four := uint64(values[k]-least) | uint64(values[k+1]-least)<<width | (uint64(values[k+2]-least)|uint64(values[k+3]-least)<<width)<<(2*width)
			word |= four << used
			if used += 4 * width; used >= 64 {
				binary.LittleEndian.PutUint64(out, word)
				out = out[8:]
				used -= 64
				word = four >> (4*width - used)
			}
		}
		binary.LittleEndian.PutUint64(out, word)
		return dst[:at+size]
	}
	if width <= 32 {
		for k := 0; k < deltaMiniblock; k += 8 {
			// Eight values are width bytes; each pair is a word at most.
			var word uint64
			var used uint
			place := out
			for j := k; j < k+8; j += 2 {
				two := uint64(values[j]-least)&mask | (uint64(values[j+1]-least)&mask)<<width
				word |= two << used
				if used += 2 * width; used >= 64 {
					binary.LittleEndian.PutUint64(place, word)
					place = place[8:]
					used -= 64
					word = two >> (2*width - used)
				}
			}
			if used > 0 {
				binary.LittleEndian.PutUint64(place, word)
			}
			out = out[width:]
		}
		return dst[:at+size]
	}
	var word uint64
	var used uint
	place := 0
	for _, v := range values {
		u := uint64(v-least) & mask
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
	binary.LittleEndian.PutUint64(out[place:], word)
	return dst[:at+size]
}

// deltaBits estimates how many bits a value takes as a delta, from up to eight
// blocks.
func deltaBits[T int32 | int64, S stored](values []S) int {
	const samples = 8
	step := max(len(values)/samples, deltaMiniblock+1)
	total, blocks := 0, 0
	for at := 0; at+deltaMiniblock < len(values) && blocks < samples; at += step {
		before := T(values[at])
		least, most := T(values[at+1])-before, T(values[at+1])-before
		for _, v := range values[at+1 : at+1+deltaMiniblock] {
			d := T(v) - before
			before = T(v)
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
	dst = appendDelta[int32](dst, prefixes)
	dst = appendDelta[int32](dst, suffixes)
	const word = 16
	at, start := len(dst), 0
	dst = slices.Grow(dst, len(text)+word)
	out := dst[:cap(dst)]
	for i, n := range lengths {
		from, end := start+int(prefixes[i]), start+int(n)
		if end-from <= word && from+word <= len(text) { // copied too far
			*(*[word]byte)(out[at:]) = [word]byte(text[from:])
		} else {
			copy(out[at:], text[from:end])
		}
		at, start = at+end-from, end
	}
	return dst[:at]
}
