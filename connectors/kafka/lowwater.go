package kafka

import (
	"slices"
	"time"
)

// Marks of connections that fetch, in bytes.
const (
	// lowWater is how much of an answer's rest is waited for: a broker sends it by
	// pieces, and to be woken for each costs more than to read it.
	lowWater = 512 << 10
	// sleeping is the mark while nobody waits for an answer. Linux acknowledges what
	// comes at once only until the mark is reached, or the reader keeps up
	// (__tcp_ack_snd_check in net/ipv4/tcp_input.c). A core that decodes does not keep
	// up, and without being acknowledged a broker sends no more than its socket
	// buffers, 100 KiB by default.
	sleeping = 16 << 20
)

// stallAfter is how long answers are left unread, before the client would think that
// the broker does not answer.
const stallAfter = time.Second

// sleep tells the connections whether their next answers are waited for by nobody. Who
// is about to wait for one calls sleep(false).
func (f *fetches) sleep(asleep bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asleep = asleep
	for _, c := range f.conns {
		c.wake.atLeast(f.nextMark())
	}
	switch {
	case !asleep && f.stall != nil:
		f.stall.Stop()
	case asleep && f.stall == nil:
		f.stall = time.AfterFunc(stallAfter, func() { f.sleep(false) })
	case asleep:
		f.stall.Reset(stallAfter)
	}
}

// nextMark is the mark for the start of an answer. The caller holds mu.
func (f *fetches) nextMark() int {
	if f.asleep {
		return sleeping
	}
	return 1
}

// fetching takes note that a connection asks for a fetch.
func (f *fetches) fetching(c *fetchConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !c.closed && !slices.Contains(f.conns, c) {
		f.conns = append(f.conns, c)
		c.wake.atLeast(f.nextMark())
	}
}

// rest sets the mark of a connection whose answer was read.
func (f *fetches) rest(c *fetchConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.wake.atLeast(f.nextMark())
}

// gone forgets a connection.
func (f *fetches) gone(c *fetchConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.closed = true
	f.conns = slices.DeleteFunc(f.conns, func(o *fetchConn) bool { return o == c })
}
