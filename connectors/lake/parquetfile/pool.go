package parquetfile

import "math/bits"

// Pool hands out and takes back byte slices by powers of two, so that memory
// once touched is used again. It belongs to one lane.
type Pool struct {
	classes [maxClass + 1][][]byte
	held    int64
	rows    []int32 // scratch of appends
	// Most bounds what lies unused, in bytes; what is beyond goes to the
	// garbage collector.
	Most int64
}

const (
	minClass = 6  // 64 bytes
	maxClass = 26 // 64 MiB
)

func class(n int) int { return max(bits.Len(uint(n-1)), minClass) }

// Held is how many bytes lie unused.
func (p *Pool) Held() int64 { return p.held }

// Trim gives up to n unused bytes, or a little more, to the garbage collector,
// the largest slices first.
func (p *Pool) Trim(n int64) {
	for c := maxClass; c >= minClass && n > 0; c-- {
		for free := p.classes[c]; len(free) > 0 && n > 0; free = p.classes[c] {
			size := int64(cap(free[len(free)-1]))
			free[len(free)-1] = nil
			p.classes[c] = free[:len(free)-1]
			p.held -= size
			n -= size
		}
	}
}

// get is an empty slice with room for at least n bytes.
func (p *Pool) get(n int) []byte {
	c := class(n)
	if c > maxClass {
		return make([]byte, 0, n)
	}
	if free := p.classes[c]; len(free) > 0 {
		b := free[len(free)-1]
		p.classes[c] = free[:len(free)-1]
		p.held -= int64(cap(b))
		return b[:0]
	}
	return make([]byte, 0, 1<<c)
}

// put takes a slice back.
func (p *Pool) put(b []byte) {
	c := cap(b)
	if c < 1<<minClass || c > 1<<maxClass || c&(c-1) != 0 || p.held+int64(c) > p.Most {
		return
	}
	p.held += int64(c)
	k := bits.Len(uint(c)) - 1
	p.classes[k] = append(p.classes[k], b)
}

// grow makes room for n more bytes behind b.
func (p *Pool) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	grown := append(p.get(max(len(b)+n, 2*cap(b))), b...)
	p.put(b)
	return grown
}
