package kinesis

import (
	"context"
	"slices"
	"sync"
)

// budget bounds the bytes of answers that are under way or wait to be taken. A
// reservation is a guess and is corrected when the answer is there. Who asked
// first is served first.
type budget struct {
	limit int

	mu      sync.Mutex
	used    int
	waiting []*reservation
}

type reservation struct {
	bytes   int
	granted chan struct{}
}

// fits reports whether n more bytes may be used: always when none are, so that
// an answer larger than the limit gets through.
func (b *budget) fits(n int) bool { return b.used == 0 || b.used+n <= b.limit }

// overdraw reserves n bytes for somebody who must not wait for those who hold the
// rest, unless the limit is passed already.
func (b *budget) overdraw(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > b.limit {
		return false
	}
	b.used += n
	return true
}

// reserve waits until n bytes may be used.
func (b *budget) reserve(ctx context.Context, n int) error {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.fits(n) {
		b.used += n
		b.mu.Unlock()
		return nil
	}
	r := &reservation{bytes: n, granted: make(chan struct{})}
	b.waiting = append(b.waiting, r)
	b.mu.Unlock()
	select {
	case <-r.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, r); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		return ctx.Err()
	}
	b.change(-n) // it was granted at the same moment
	return ctx.Err()
}

// correct changes what is used by n bytes, which may be negative.
func (b *budget) correct(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.change(n)
}

func (b *budget) change(n int) {
	b.used += n
	for len(b.waiting) > 0 && b.fits(b.waiting[0].bytes) {
		b.used += b.waiting[0].bytes
		close(b.waiting[0].granted)
		b.waiting = b.waiting[1:]
	}
}
