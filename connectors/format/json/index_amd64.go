package json

import "golang.org/x/sys/cpu"

// useSpans says whether an index costs less than it saves.
var useSpans = hasAVX2

var (
	hasAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT
	hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI2
)

// indexSpecials is indexSpecialsGo, which writes up to indexSlack positions more
// than there are, and reads blocks of 64 bytes to their end.
func indexSpecials(dst []uint32, b bytesAt, i, n int) (count int) {
	switch {
	case hasAVX512:
		count = indexSpecialsAVX512(&dst[0], b.base, i, n)
	case hasAVX2:
		count = indexSpecialsAVX2(&dst[0], b.base, i, n)
	default:
		return indexSpecialsGo(dst, b, i, n)
	}
	for count > 0 && int(dst[count-1]) >= i+n {
		count--
	}
	return count
}
