package parquetfile

import (
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"unsafe"
)

// Pool hands out and takes back small blocks of memory, so that memory once
// touched is used again by whichever column, page or file needs it next. It
// belongs to one lane; parts of files that have left the lane give their blocks
// back from any goroutine.
//
// The memory comes from the operating system in arenas, and lies outside of Go's
// heap: it is large, holds no pointers, and would only let garbage pile up to the
// same size. Arenas are given back by Trim, and when the pool is garbage.
type Pool struct {
	// Most bounds what lies unused, in bytes; beyond it, arenas go back to the
	// operating system.
	Most int64

	mu      sync.Mutex          // guards what follows
	arenas  []*arena            // by address
	partial [blockSizes][]*slab // by size of block: slabs with free blocks and used ones
	size    int64               // of all arenas
	used    int64               // in blocks that are handed out

	// Scratch of the lane.
	rows, lengths, starts []int32 // of appends
	wide                  []byte  // of Rows.widen
}

const (
	leastBlock = 256
	mostBlock  = 16 << 10 // also the size of a slab
	blockSizes = 7        // from leastBlock to mostBlock by powers of two

	leastArena = 512 << 10
	mostArena  = 8 << 20
)

// arena is memory from the operating system, cut into slabs.
type arena struct {
	memory  []byte
	slabs   []slab
	free    []int32 // slabs of which no block is used
	cleanup runtime.Cleanup
}

// slab is cut into blocks of one size.
type slab struct {
	arena *arena
	index int32 // in the arena
	size  int8  // of its blocks: leastBlock << size
	at    int32 // in Pool.partial, while it is there
	free  uint64
}

// all is the set of a slab's blocks.
func (s *slab) all() uint64 { return ^uint64(0) >> (64 - mostBlock/leastBlock>>s.size) }

func (s *slab) block(i int) []byte {
	size := leastBlock << s.size
	at := int(s.index)*mostBlock + i*size
	return s.arena.memory[at : at : at+size]
}

func (a *arena) start() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(a.memory))) }

// Held is how many bytes lie unused.
func (p *Pool) Held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held()
}

func (p *Pool) held() int64 { return p.size - p.used }

// get is an empty block with room for n bytes, or the largest there is.
func (p *Pool) get(n int) []byte {
	size := int8(max(bits.Len(uint(min(n, mostBlock)-1)), bits.Len(leastBlock-1)) - bits.Len(leastBlock-1))
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.partial[size]
	var s *slab
	if len(list) > 0 {
		s = list[len(list)-1]
	} else {
		s = p.newSlab(size)
	}
	i := bits.TrailingZeros64(s.free)
	s.free &^= 1 << i
	if s.free == 0 {
		p.leavePartial(s)
	}
	p.used += leastBlock << size
	return s.block(i)
}

// newSlab takes a slab from the first arena that has a free one.
func (p *Pool) newSlab(size int8) *slab {
	var a *arena
	for _, some := range p.arenas {
		if len(some.free) > 0 {
			a = some
			break
		}
	}
	if a == nil {
		a = p.newArena()
	}
	s := &a.slabs[a.free[len(a.free)-1]]
	a.free = a.free[:len(a.free)-1]
	s.size = size
	s.free = s.all()
	p.enterPartial(s)
	return s
}

func (p *Pool) newArena() *arena {
	// An idle stream should not cost much, a busy one have few arenas.
	size := min(max(int(p.size)&^(mostBlock-1), leastArena), mostArena)
	a := &arena{memory: mapMemory(size), slabs: make([]slab, size/mostBlock)}
	for i := range slices.Backward(a.slabs) {
		a.slabs[i].arena, a.slabs[i].index = a, int32(i)
		a.free = append(a.free, int32(i))
	}
	a.cleanup = runtime.AddCleanup(p, unmapMemory, a.memory)
	p.size += int64(size)
	at, _ := slices.BinarySearchFunc(p.arenas, a.start(), compareStart)
	p.arenas = slices.Insert(p.arenas, at, a)
	return a
}

func compareStart(a *arena, start uintptr) int {
	switch {
	case a.start() < start:
		return -1
	case a.start() > start:
		return 1
	}
	return 0
}

func (p *Pool) enterPartial(s *slab) {
	s.at = int32(len(p.partial[s.size]))
	p.partial[s.size] = append(p.partial[s.size], s)
}

func (p *Pool) leavePartial(s *slab) {
	list := p.partial[s.size]
	last := list[len(list)-1]
	list[s.at], last.at = last, s.at
	list[len(list)-1] = nil
	p.partial[s.size] = list[:len(list)-1]
}

// put takes blocks back.
func (p *Pool) put(list [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, block := range list {
		p.putOne(block)
	}
}

func (p *Pool) putOne(block []byte) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(block)))
	at, found := slices.BinarySearchFunc(p.arenas, start, compareStart)
	if !found {
		at--
	}
	a := p.arenas[at]
	offset := int(start - a.start())
	s := &a.slabs[offset/mostBlock]
	if s.free == 0 {
		p.enterPartial(s)
	}
	s.free |= 1 << (offset % mostBlock / (leastBlock << s.size))
	p.used -= leastBlock << s.size
	if s.free == s.all() {
		p.leavePartial(s)
		a.free = append(a.free, s.index)
		if len(a.free) == len(a.slabs) && p.held() > p.Most {
			p.release(at)
		}
	}
}

// Trim gives up to n unused bytes, or a little more, back to the operating
// system. What lies in arenas that are partly used stays.
func (p *Pool) Trim(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := len(p.arenas) - 1; at >= 0 && n > 0; at-- {
		if a := p.arenas[at]; len(a.free) == len(a.slabs) {
			n -= int64(len(a.memory))
			p.release(at)
		}
	}
}

func (p *Pool) release(at int) {
	a := p.arenas[at]
	p.arenas = slices.Delete(p.arenas, at, at+1)
	p.size -= int64(len(a.memory))
	a.cleanup.Stop()
	unmapMemory(a.memory)
}

// blocks is a run of bytes that grows at its end, in blocks of a pool. Growing
// copies nothing, and what is allocated is at most twice what is used.
type blocks struct {
	tail []byte // what is free of the last block
	n    int    // bytes
	held int    // capacity
	// most is how many bytes there were when the blocks were given back: as many
	// may come again.
	most int
	list [][]byte // whole blocks
}

// room extends the run by up to n bytes that lie together, at least one, and
// returns the place. All blocks begin and, by powers of two, end aligned.
func (b *blocks) room(p *Pool, n int) []byte {
	if len(b.tail) == 0 {
		b.grow(p, max(b.n, b.most/8, 1))
	}
	return b.take(n)
}

// grow adds a block for n bytes, or the largest there is. The last one is full.
func (b *blocks) grow(p *Pool, n int) {
	block := p.get(n)
	block = block[:cap(block)]
	b.list = append(b.list, block)
	b.held += len(block)
	b.tail = block
}

// take extends the run within the last block.
func (b *blocks) take(n int) []byte {
	n = min(n, len(b.tail))
	place := b.tail[:n:n]
	b.tail = b.tail[n:]
	b.n += n
	return place
}

func (b *blocks) append(p *Pool, data []byte) {
	for len(data) > 0 {
		data = data[copy(b.room(p, len(data)), data):]
	}
}

// appendTight is append for data that little may follow: the blocks get smaller
// towards its end, so that hardly any of them is left free.
func (b *blocks) appendTight(p *Pool, data []byte) {
	for len(data) > 0 {
		if len(b.tail) == 0 {
			b.grow(p, 1<<(bits.Len(uint(len(data)))-1))
		}
		data = data[copy(b.take(len(data)), data):]
	}
}

// used is what is used of a block of the list.
func (b *blocks) used(i int) []byte {
	block := b.list[i]
	if i == len(b.list)-1 {
		block = block[:len(block)-len(b.tail)]
	}
	return block
}

// appendTo appends the bytes to dst.
func (b *blocks) appendTo(dst []byte) []byte {
	dst = slices.Grow(dst, b.n)
	for i := range b.list {
		dst = append(dst, b.used(i)...)
	}
	return dst
}

// bytes gives the bytes as one slice, if need be copied to scratch. It is valid
// until the blocks or the scratch change.
func (b *blocks) bytes(scratch *[]byte) []byte {
	switch len(b.list) {
	case 0:
		return nil
	case 1:
		return b.used(0)
	}
	*scratch = b.appendTo((*scratch)[:0])
	return *scratch
}

// release drops the bytes and gives the memory back.
func (b *blocks) release(p *Pool) {
	if len(b.list) > 0 {
		p.put(b.list)
		clear(b.list)
	}
	*b = blocks{list: b.list[:0], most: b.n}
}
