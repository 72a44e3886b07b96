package parquetfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// ColumnStats describe a column of a file, as Iceberg's manifests want it.
type ColumnStats struct {
	ID    int
	Bytes int64 // on disk
	// Values counts all, Nulls those that are NULL.
	Values, Nulls int64
	// Lower and Upper bound the values that are not NULL, in Iceberg's
	// single-value serialization; strings may be cut short. Nil means unknown or
	// no value.
	Lower, Upper []byte
}

// maxStatistic is the longest string, in bytes, that is kept whole as a minimum or
// maximum; of longer ones about cutStatistic bytes are.
const (
	maxStatistic = 1024
	cutStatistic = 64
)

// bounds are the least and greatest value of a column, in a page or a whole
// file.
type bounds struct {
	set bool
	// unknown: nothing can be said, since a value is NaN, or too long and above all
	// that is shorter.
	unknown    bool
	least      int64
	most       int64
	fleast     float64
	fmost      float64
	low, high  []byte // strings; decimals big-endian
	invertSign bool   // low and high are signed numbers
	// lowCut and highCut: low is less than the least value, high more than the
	// greatest, since they are made of the beginnings of long strings.
	lowCut, highCut bool
	// The first eight bytes of low and high as headOf has them.
	lowHead, highHead uint64
}

// reset makes the bounds those of nothing; they keep their memory.
func (b *bounds) reset(invertSign bool) {
	*b = bounds{low: b.low[:0], high: b.high[:0], invertSign: invertSign}
}

func (b *bounds) addInts(least, most int64) {
	if !b.set {
		b.set, b.least, b.most = true, least, most
		return
	}
	b.least, b.most = min(b.least, least), max(b.most, most)
}

func (b *bounds) addFloats(least, most float64) {
	if math.IsNaN(least) || math.IsNaN(most) {
		b.unknown = true
		return
	}
	if !b.set {
		b.set, b.fleast, b.fmost = true, least, most
		return
	}
	b.fleast, b.fmost = min(b.fleast, least), max(b.fmost, most)
}

func (b *bounds) addBytes(v []byte) {
	if b.unknown {
		return
	}
	if len(v) > maxStatistic {
		b.addLong(v)
		return
	}
	b.widen(v, v, false, false)
}

// addLong takes a string into account that is too long to be kept.
func (b *bounds) addLong(v []byte) {
	cut := cutLong(v)
	low, high := cut, []byte(nil)
	if b.set && b.compare(v, b.low) >= 0 {
		low = b.low
	}
	if b.set && b.compare(v, b.high) <= 0 {
		high = b.high
	} else if high = raiseLong(cut); high == nil {
		b.unknown = true
		return
	}
	b.widen(low, high, true, true)
}

// widen makes the bounds include others. A value that is a bound makes it exact.
func (b *bounds) widen(low, high []byte, lowCut, highCut bool) {
	less, more := -1, 1
	if b.set {
		less, more = b.compare(low, b.low), b.compare(high, b.high)
	}
	b.set = true
	switch {
	case less < 0:
		b.low, b.lowHead, b.lowCut = append(b.low[:0], low...), headOf(low), lowCut
	case less == 0:
		b.lowCut = b.lowCut && lowCut
	}
	switch {
	case more > 0:
		b.high, b.highHead, b.highCut = append(b.high[:0], high...), headOf(high), highCut
	case more == 0:
		b.highCut = b.highCut && highCut
	}
}

// cutLong is the beginning of a long string, of whole characters if it has such.
func cutLong(v []byte) []byte {
	n := cutStatistic
	for n > cutStatistic-utf8.UTFMax && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n]
}

// raiseLong is a string above all that begin with what cutLong left, or nil.
func raiseLong(cut []byte) []byte {
	if utf8.Valid(cut) {
		return raiseCharacters(cut)
	}
	return raiseBytes(bytes.Clone(cut))
}

// headOf is the first eight bytes of a string, filled up with zeros, as a number
// that orders as the strings do.
func headOf(v []byte) uint64 {
	var head [8]byte
	copy(head[:], v)
	return binary.BigEndian.Uint64(head[:])
}

// addStrings takes strings into account that lie one after the other. Most are
// found to be within the bounds by their first bytes.
func (b *bounds) addStrings(text []byte, lengths []int32) {
	for _, n := range lengths {
		if b.unknown {
			return
		}
		if len(text) >= 8 && b.set {
			head := binary.BigEndian.Uint64(text)
			if n < 8 {
				head &= ^uint64(0) << (64 - 8*n)
			}
			if b.lowHead < head && head < b.highHead {
				text = text[n:]
				continue
			}
		}
		b.addBytes(text[:n])
		text = text[n:]
	}
}

func (b *bounds) compare(x, y []byte) int {
	if b.invertSign && len(x) > 0 && len(y) > 0 && x[0]^y[0] >= 0x80 {
		return int(int8(x[0])) - int(int8(y[0]))
	}
	return bytes.Compare(x, y)
}

func (b *bounds) merge(o *bounds, l layout, t Type) {
	if o.unknown {
		b.unknown = true
	}
	if !o.set {
		return
	}
	switch {
	case l == layoutBytes || l == layoutFixed:
		b.widen(o.low, o.high, o.lowCut, o.highCut)
	case t == Float || t == Double:
		b.addFloats(o.fleast, o.fmost)
	default:
		b.addInts(o.least, o.most)
	}
}

// addBools takes booleans of a byte each into account.
func (b *bounds) addBools(data []byte) {
	const ones = 0x0101010101010101
	all, some, n := uint64(ones), uint64(0), 0
	for ; n+8 <= len(data); n += 8 {
		w := binary.LittleEndian.Uint64(data[n:])
		all &= w
		some |= w
	}
	for _, v := range data[n:] {
		all &= ^uint64(0xff) | uint64(v)
		some |= uint64(v)
	}
	if len(data) == 0 {
		return
	}
	least, most := int64(0), int64(0)
	if all == ones {
		least = 1
	}
	if some != 0 {
		most = 1
	}
	b.addInts(least, most)
}

// addFixed takes big-endian numbers of width bytes into account.
func (b *bounds) addFixed(data []byte, width int) {
	for i := 0; i < len(data) && !b.unknown; i += width {
		b.addBytes(data[i : i+width])
	}
}

// addNumbers takes numbers of type t, which are not none, into account.
func addNumbers[S stored](b *bounds, values []S, t Type) {
	if t == Float || t == Double {
		addFloatBits(b, values, t)
		return
	}
	least, most := extremes(values)
	b.addInts(int64(least), int64(most))
}

// addFloatBits takes floats of type t, which are not none, into account.
func addFloatBits[S stored](b *bounds, values []S, t Type) {
	if b.unknown {
		return
	}
	// Numbers that order as the floats do, NaN beyond infinity on either side.
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, v := range values {
		n := turned(int64(v))
		least, most = min(least, n), max(most, n)
	}
	float := func(n int64) float64 {
		if t == Float {
			return float64(math.Float32frombits(uint32(turned(n))))
		}
		return math.Float64frombits(uint64(turned(n)))
	}
	b.addFloats(float(least), float(most))
}

// turned has the bits of a negative float beside its sign inverted, or put back.
func turned(bits int64) int64 { return bits ^ bits>>63&math.MaxInt64 }

// plain is a bound in Parquet's plain encoding, which wants zeros of both signs
// within the bounds.
func (b *bounds) plain(c Column, l layout, upper bool) []byte { return b.appendPlain(nil, c, l, upper) }

// appendPlain appends plain. Strings are as they are.
func (b *bounds) appendPlain(dst []byte, c Column, l layout, upper bool) []byte {
	v, f, s := b.least, b.fleast, b.low
	if upper {
		v, f, s = b.most, b.fmost, b.high
	}
	switch {
	case l == layoutBytes || l == layoutFixed:
		return append(dst, s...)
	case l == layoutBool:
		return append(dst, byte(v))
	case c.Type == Float:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(signedZero(f, upper))))
	case c.Type == Double:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(signedZero(f, upper)))
	case l == layout32:
		return binary.LittleEndian.AppendUint32(dst, uint32(int32(v)))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}

func signedZero(f float64, upper bool) float64 {
	switch {
	case f != 0:
		return f
	case upper:
		return 0
	}
	return math.Copysign(0, -1)
}

// boundLength is how many characters or bytes of a string bound manifests
// keep, Iceberg's default.
const boundLength = 16

// iceberg gives the bounds as manifests keep them.
func (b *bounds) iceberg(c Column, l layout) (lower, upper []byte) {
	if !b.set || b.unknown {
		return nil, nil
	}
	switch {
	case c.Type == String:
		return cutString(b.low, boundLength), raiseString(b.high, boundLength)
	case c.Type == Binary:
		return cutBinary(b.low, boundLength), raiseBinary(b.high, boundLength)
	case c.Type == Decimal && l != layoutFixed:
		return shortest(binary.BigEndian.AppendUint64(nil, uint64(b.least))), shortest(binary.BigEndian.AppendUint64(nil, uint64(b.most)))
	case l == layoutFixed:
		return shortest(b.low), shortest(b.high)
	}
	return b.plain(c, l, false), b.plain(c, l, true)
}

// shortest is a big-endian two's complement number without needless bytes.
func shortest(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return bytes.Clone(b)
}

func cutString(s []byte, n int) []byte {
	end := 0
	for range n {
		if end == len(s) {
			break
		}
		_, n := utf8.DecodeRune(s[end:])
		end += n
	}
	return append([]byte{}, s[:end]...)
}

// raiseString is the shortest string above all that begin as s does, or nil.
func raiseString(s []byte, n int) []byte {
	cut := cutString(s, n)
	if len(cut) == len(s) {
		return cut
	}
	if !utf8.Valid(cut) {
		return nil
	}
	return raiseCharacters(cut)
}

// raiseCharacters is the shortest string above all that begin with these
// characters, or nil.
func raiseCharacters(cut []byte) []byte {
	runes := []rune(string(cut))
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next == 0xd800 { // surrogates are no characters
			next = 0xe000
		}
		if next <= utf8.MaxRune {
			return []byte(string(append(runes[:i], next)))
		}
	}
	return nil
}

func cutBinary(s []byte, n int) []byte { return append([]byte{}, s[:min(len(s), n)]...) }

func raiseBinary(s []byte, n int) []byte {
	cut := cutBinary(s, n)
	if len(cut) == len(s) {
		return cut
	}
	return raiseBytes(cut)
}

// raiseBytes changes bytes to the shortest that are above all that begin with
// them, or is nil.
func raiseBytes(cut []byte) []byte {
	for i := len(cut) - 1; i >= 0; i-- {
		if cut[i] < 0xff {
			cut[i]++
			return cut[:i+1]
		}
	}
	return nil
}

// extremes are the least and greatest of values, which are not none.
func extremes[S stored](values []S) (least, most S) {
	least, most = values[0], values[0]
	// Every other value has its own, since each step waits for the one before.
	least2, most2 := values[len(values)-1], values[len(values)-1]
	for i := 1; i < len(values); i += 2 {
		least, most = min(least, values[i-1]), max(most, values[i-1])
		least2, most2 = min(least2, values[i]), max(most2, values[i])
	}
	return min(least, least2), max(most, most2)
}
