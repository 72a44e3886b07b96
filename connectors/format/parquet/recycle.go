package parquet

import (
	"math/bits"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// mostRecycled is how many bytes a recycler keeps that nobody uses.
const mostRecycled = 32 << 20

// recycler is an allocator for one goroutine that hands out again what was freed.
// The library takes new memory for each batch of each column, which costs touching
// it for the first time and collecting it. It relies on zeros in it.
type recycler struct {
	from memory.Allocator
	free [leastSize + sizes][][]byte // by the logarithm of their capacity
	held int                         // bytes in free
}

// spoil overwrites what is freed, so that tests see what of it is still used.
var spoil bool

// Blocks have capacities of powers of two, from 1 << leastSize on; larger ones than
// there are sizes are not kept.
const (
	leastSize = 9
	sizes     = 16 // up to 16 MiB
)

// Allocate implements memory.Allocator.
func (r *recycler) Allocate(n int) []byte {
	size := max(bits.Len(uint(max(n, 1)-1)), leastSize)
	if size >= len(r.free) {
		return r.from.Allocate(n)[:n:n]
	}
	list := r.free[size]
	if len(list) == 0 {
		return r.from.Allocate(1 << size)[: n : 1<<size]
	}
	block := list[len(list)-1][:n]
	r.free[size] = list[:len(list)-1]
	r.held -= 1 << size
	clear(block)
	return block
}

// Reallocate implements memory.Allocator.
func (r *recycler) Reallocate(n int, b []byte) []byte { return reallocate(r, n, b) }

// reallocate changes the length of b, in its place where it has the capacity. What is
// new of it is zero.
func reallocate(a memory.Allocator, n int, b []byte) []byte {
	if n <= cap(b) {
		if n > len(b) {
			clear(b[len(b):n])
		}
		return b[:n]
	}
	grown := a.Allocate(n)
	copy(grown, b)
	a.Free(b)
	return grown
}

// Free implements memory.Allocator.
func (r *recycler) Free(b []byte) {
	b = b[:cap(b)]
	if len(b) == 0 {
		return
	}
	if spoil {
		for i := range b {
			b[i] = 0xa5
		}
	}
	size := bits.Len(uint(len(b) - 1))
	if size >= len(r.free) || r.held+len(b) > mostRecycled {
		r.from.Free(b)
		return
	}
	r.free[size] = append(r.free[size], b)
	r.held += len(b)
}

// close gives back what nobody uses.
func (r *recycler) close() {
	for size, list := range r.free {
		for _, b := range list {
			r.from.Free(b)
		}
		r.free[size] = nil
	}
	r.held = 0
}

// pageMemory is what the library reads the pages of a row group to, most of which it
// never frees: all are free when the row group is not read any more. (Buffers for
// Bloom filters, which nobody reads here, it would free from another goroutine.)
type pageMemory struct {
	recycler *recycler
	lent     map[*byte][]byte // by their first byte
}

// Allocate implements memory.Allocator.
func (p *pageMemory) Allocate(n int) []byte {
	b := p.recycler.Allocate(n)
	p.lent[unsafe.SliceData(b)] = b
	return b
}

// Reallocate implements memory.Allocator.
func (p *pageMemory) Reallocate(n int, b []byte) []byte { return reallocate(p, n, b) }

// Free implements memory.Allocator.
func (p *pageMemory) Free(b []byte) {
	first := unsafe.SliceData(b)
	if _, ok := p.lent[first]; ok {
		delete(p.lent, first)
		p.recycler.Free(b)
	}
}

// reset frees all of it.
func (p *pageMemory) reset() {
	for _, b := range p.lent {
		p.recycler.Free(b)
	}
	clear(p.lent)
}
