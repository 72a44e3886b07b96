package parquetfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
)

// pageIndex gathers, page by page, what Parquet's column and offset index say of
// a chunk (https://parquet.apache.org/docs/file-format/pageindex/), so that a
// reader skips the pages that cannot hold what it looks for.
type pageIndex struct {
	pages  []pageInfo
	bounds []pageBounds
	limits []byte // lows and highs in plain encoding, page by page
	// unknown: a page says nothing of its values, so there is no column index.
	unknown bool
}

// pageBounds says how long a page's bounds are in limits, in bytes.
type pageBounds struct {
	low, high int32
	nulls     int32
	empty     bool // no value that is not NULL
}

// indexBound is how many bytes or characters of a string the page index keeps.
const indexBound = 64

func (x *pageIndex) reset() {
	x.pages, x.bounds, x.limits, x.unknown = x.pages[:0], x.bounds[:0], x.limits[:0], false
}

// add notes a page with the bounds of its values.
func (x *pageIndex) add(size, rows, nulls int, b *bounds, c Column, l layout) {
	x.pages = append(x.pages, pageInfo{int32(size), int32(rows)})
	p := pageBounds{nulls: int32(nulls), empty: nulls == rows}
	if !p.empty {
		if !b.set || b.unknown {
			x.unknown = true
			return
		}
		start := len(x.limits)
		x.limits = b.appendIndexed(x.limits, c, l, false)
		p.low = int32(len(x.limits) - start)
		x.limits = b.appendIndexed(x.limits, c, l, true)
		p.high = int32(len(x.limits)-start) - p.low
	}
	x.bounds = append(x.bounds, p)
}

// appendIndexed appends a bound in plain encoding; that of a long string is cut,
// and raised if it is the upper one.
func (b *bounds) appendIndexed(dst []byte, c Column, l layout, upper bool) []byte {
	if l != layoutBytes {
		return b.appendPlain(dst, c, l, upper)
	}
	v, cut, raise := b.low, cutBinary, raiseBinary
	if upper {
		v = b.high
	}
	if len(v) <= indexBound {
		return append(dst, v...)
	}
	if c.Type == String {
		cut, raise = cutString, raiseString
	}
	var short []byte
	if upper {
		short = raise(v, indexBound)
	} else {
		short = cut(v, indexBound)
	}
	if short == nil { // nothing shorter is above
		short = v
	}
	return append(dst, short...)
}

// boundary orders of Parquet's ColumnIndex.
const (
	unordered  = 0
	ascending  = 1
	descending = 2
)

// appendColumnIndex appends Parquet's ColumnIndex, unless a page is unknown.
func (x *pageIndex) appendColumnIndex(dst []byte, c Column, l layout) []byte {
	if x.unknown {
		return dst
	}
	w := thriftWriter{out: dst}
	w.list(1, thriftTrue, len(x.bounds))
	for _, p := range x.bounds {
		if p.empty {
			w.out = append(w.out, thriftTrue)
		} else {
			w.out = append(w.out, thriftFalse)
		}
	}
	for id := 2; id <= 3; id++ {
		w.list(id, thriftBinary, len(x.bounds))
		rest := x.limits
		for _, p := range x.bounds {
			if id == 2 {
				w.element(rest[:p.low])
			} else {
				w.element(rest[p.low : p.low+p.high])
			}
			rest = rest[p.low+p.high:]
		}
	}
	w.i32(4, x.order(c, l))
	w.list(5, thriftI64, len(x.bounds))
	for _, p := range x.bounds {
		w.out = binary.AppendVarint(w.out, int64(p.nulls))
	}
	return append(w.out, 0)
}

// order is how the bounds of the pages, of NULLs alone left out, follow each
// other.
func (x *pageIndex) order(c Column, l layout) int {
	up, down := true, true
	var low, high []byte
	rest := x.limits
	for _, p := range x.bounds {
		nextLow, nextHigh := rest[:p.low], rest[p.low:p.low+p.high]
		rest = rest[p.low+p.high:]
		if p.empty {
			continue
		}
		if high != nil || low != nil {
			lows, highs := compareBounds(low, nextLow, c, l), compareBounds(high, nextHigh, c, l)
			up = up && lows <= 0 && highs <= 0
			down = down && lows >= 0 && highs >= 0
		}
		low, high = nextLow, nextHigh
	}
	switch {
	case up:
		return ascending
	case down:
		return descending
	}
	return unordered
}

// compareBounds compares values in plain encoding.
func compareBounds(a, b []byte, c Column, l layout) int {
	switch {
	case l == layoutBytes:
		return bytes.Compare(a, b)
	case l == layoutFixed:
		if a[0]^b[0] >= 0x80 {
			return int(int8(a[0])) - int(int8(b[0]))
		}
		return bytes.Compare(a, b)
	case l == layoutBool:
		return int(a[0]) - int(b[0])
	case c.Type == Float:
		return cmp.Compare(math.Float32frombits(binary.LittleEndian.Uint32(a)), math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case c.Type == Double:
		return cmp.Compare(math.Float64frombits(binary.LittleEndian.Uint64(a)), math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case l == layout32:
		return cmp.Compare(int32(binary.LittleEndian.Uint32(a)), int32(binary.LittleEndian.Uint32(b)))
	}
	return cmp.Compare(int64(binary.LittleEndian.Uint64(a)), int64(binary.LittleEndian.Uint64(b)))
}
