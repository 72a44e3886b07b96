package json

import (
	"encoding/binary"
	"unsafe"
)

// bytesAt is the address of the bytes being decoded. The fast path loads from
// it without bounds checks. What makes that safe: a chunk is followed by
// connectors.Padding (64) readable bytes, and the fast path checks that it is
// still within the chunk often enough to read no further (predictor.decode).
type bytesAt struct{ base unsafe.Pointer }

// word is the eight bytes at i, the first in the lowest byte.
func (b bytesAt) word(i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(b.base, i))[:])
}

// half is the four bytes at i, the first in the lowest byte.
func (b bytesAt) half(i int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(b.base, i))[:])
}

func (b bytesAt) at(i int) byte { return *(*byte)(unsafe.Add(b.base, i)) }

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
	zeros = '0' * ones
)

// nonDigits has the high bit of each byte set that is no digit. Only the lowest
// one is exact: those above it may be touched by its carry or borrow
// (columns.NonDigits has them all).
func nonDigits(x uint64) uint64 { return ((x + 0x46*ones) | (x - zeros)) & highs }

// leadingZero reports whether the digits of x begin with a zero that is not
// alone, given x's nonDigits.
func leadingZero(x, nonDigits uint64) bool { return (x^'0')&0xff|nonDigits&0x8000 == 0 }

// quoteBytes has the high bit of each byte set that is a quote. Only the lowest
// one is exact.
func quoteBytes(x uint64) uint64 {
	x ^= '"' * ones
	return (x - ones) &^ x & highs
}

// specialBytes has the high bit of each byte set that ends a run of plain text
// in a string: quote, backslash, control characters and bytes beyond ASCII.
// Only the lowest one is exact.
func specialBytes(x uint64) uint64 {
	return ((x - 0x20*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones) | x) & highs
}

// controlBytes is specialBytes without the bytes beyond ASCII.
func controlBytes(x uint64) uint64 {
	return ((x - 0x20*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)) &^ x & highs
}

// powersOfTen are 10^0 to 10^19.
var powersOfTen = [20]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

func unsafeData(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
