package json

import (
	"math"
	"math/bits"
)

// index is where in a part of a chunk quotes, backslashes and line breaks are,
// the specials: all that may end a string. With it the ends of values are read
// off, and need not be looked for one after the other, each from the end of the
// one before.
type index struct {
	positions []uint32 // of the specials, ascending, then missing
	count     int      // how many specials there are
	from, to  int      // the part
	cursor    int      // no position before it is of interest any more

	// passed is how many values the spans have passed since the part was begun, and
	// idle the record until which they pass none, since making the index costs more.
	passed int
	idle   int64
}

const (
	indexIdle   = 1 << 10  // records that go without after a part of which it did not
	indexWindow = 16 << 10 // bytes of a part: what stays in the innermost cache until it is decoded
	indexReach  = 1 << 10  // bytes that have to be in the part from where a span begins
	missing     = math.MaxUint32
	// indexSlack is how many positions behind the last may be overwritten.
	indexSlack = 64
)

func (x *index) reset() { x.from, x.to, x.cursor = 0, 0, 0 }

// indexPays is in how many bytes a value has to be passed for an index to pay, as
// measured: what it costs does not depend on how much of them is passed.
func indexPays() int {
	if hasAVX512 {
		return 112
	}
	return 56
}

// build finds the specials of the part that begins at i. It reports false, and
// finds none, when those of the part before did not pay.
func (x *index) build(p *predictor, i int) bool {
	paid := x.passed*indexPays() >= x.to-x.from
	x.passed = 0
	if !paid {
		x.idle = p.records + indexIdle
		x.reset()
		return false
	}
	if x.positions == nil {
		x.positions = make([]uint32, indexWindow+indexSlack)
	}
	x.from, x.to, x.cursor = i, min(i+indexWindow, len(p.data)), 0
	x.count = indexSpecials(x.positions, p.text, i, x.to-i)
	x.positions[x.count] = missing
	return true
}

// indexSpecialsGo writes the positions of the specials among the n bytes at i and
// returns how many there are.
func indexSpecialsGo(dst []uint32, b bytesAt, i, n int) (count int) {
	for at := i; at < i+n; at += 8 {
		m := specials(b.word(at))
		if left := i + n - at; left < 8 {
			m &= 1<<(8*left) - 1
		}
		for ; m != 0; m &= m - 1 {
			dst[count] = uint32(at + bits.TrailingZeros64(m)>>3)
			count++
		}
	}
	return count
}

// specials has the high bit of each byte set that is a quote, a backslash or a
// line break.
func specials(x uint64) uint64 {
	const low = ^uint64(highs)
	q, s, l := x^'"'*ones, x^'\\'*ones, x^'\n'*ones
	return ^((q&low + low | q) & (s&low + low | s) & (l&low + low | l)) & highs
}
