package kafka

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
)

// dialFunc connects to a broker.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dial wraps the connections that dial makes.
func (f *fetches) dial(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &fetchConn{Conn: conn, fetches: f, pending: map[int32]int16{}, wake: newLowWaterMark(conn)}, nil
	}
}

// fetchConn is a connection of the client's to a broker. It knows which answers are
// those to Fetch requests by the correlation ids (Kafka protocol guide, "Protocol
// primitives" and "Request header").
type fetchConn struct {
	net.Conn
	fetches *fetches
	closed  bool // guarded by fetches

	// Of the request that is written: what of its header was seen, and how much of
	// it is to come.
	request [12]byte
	seen    int
	rest    int

	mu      sync.Mutex
	pending map[int32]int16 // versions of Fetch requests by correlation id

	// Of the answers: what was read of a header, what the client gets before anything
	// else is read, and how much goes through to it then.
	head [8]byte
	got  int
	out  []byte
	pass int
	wake *lowWaterMark
}

const fetchKey = 1 // of Fetch requests

// Write notes Fetch requests, and writes b with their limits.
func (c *fetchConn) Write(b []byte) (int, error) {
	out := b
	for p := b; len(p) > 0; {
		if c.rest > 0 {
			n := min(c.rest, len(p))
			c.rest -= n
			p = p[n:]
			continue
		}
		n := copy(c.request[c.seen:c.header()], p)
		c.seen += n
		p = p[n:]
		if c.seen < c.header() {
			continue
		}
		if c.seen == len(c.request) && binary.BigEndian.Uint16(c.request[4:]) == fetchKey {
			c.mu.Lock()
			c.pending[int32(binary.BigEndian.Uint32(c.request[8:]))] = int16(binary.BigEndian.Uint16(c.request[6:]))
			c.mu.Unlock()
			c.fetches.fetching(c)
			if len(b) == 4+c.size() { // as the client writes them
				out = c.fetches.limited(b)
			}
		}
		c.rest = 4 + c.size() - c.seen
		c.seen = 0
	}
	n, err := c.Conn.Write(out)
	return min(n, len(b)), err
}

// Close closes the connection.
func (c *fetchConn) Close() error {
	c.fetches.gone(c)
	return c.Conn.Close()
}

// size is what the request says of its size, behind the four bytes that say so.
func (c *fetchConn) size() int { return max(0, int(int32(binary.BigEndian.Uint32(c.request[:])))) }

// header is how many bytes of the request have to be seen, as far as that is known. What
// a login of old brokers exchanges has a size, too, and may be short.
func (c *fetchConn) header() int {
	if c.seen < 4 {
		return 4
	}
	return 4 + min(len(c.request)-4, c.size())
}

// expected takes note that the answer with a correlation id has come, and returns the
// version of the Fetch request it belongs to.
func (c *fetchConn) expected(id int32) (version int16, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	version, ok = c.pending[id]
	delete(c.pending, id)
	return version, ok
}

func (c *fetchConn) expects() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) > 0
}

// Read reads what the client is to get.
func (c *fetchConn) Read(b []byte) (int, error) {
	for {
		if len(c.out) > 0 {
			n := copy(b, c.out)
			c.out = c.out[n:]
			return n, nil
		}
		if c.pass > 0 {
			n, err := c.Conn.Read(b[:min(len(b), c.pass)])
			c.pass -= n
			return n, err
		}
		if len(b) == 0 {
			return 0, nil
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
}

// next reads the header of the next answer, and all of it if it is to a Fetch request.
func (c *fetchConn) next() error {
	if err := c.readHead(4); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(c.head[:])))
	// A size that makes no sense is the client's to complain about.
	if !c.expects() || size < 4 || size > largestAnswer {
		c.forward(4, size)
		return nil
	}
	if err := c.readHead(8); err != nil {
		return err
	}
	version, ok := c.expected(int32(binary.BigEndian.Uint32(c.head[4:])))
	if !ok {
		c.forward(8, size-4)
		return nil
	}
	body := c.fetches.buffer(size - 4)
	if err := c.readBody(body); err != nil {
		c.fetches.recycle(body)
		return err
	}
	c.got = 0
	c.out = c.fetches.replace(c.head, version, body)
	return nil
}

func (c *fetchConn) readBody(body []byte) error {
	large := len(body) >= lowWater/8
	for at := 0; at < len(body); {
		if large {
			c.wake.body(len(body) - at)
		}
		n, err := c.Conn.Read(body[at:])
		at += n
		if err != nil && at < len(body) {
			return err
		}
	}
	c.fetches.rest(c)
	return nil
}

// largestAnswer is the client's own limit, kgo.BrokerMaxReadBytes.
const largestAnswer = 100 << 20

// readHead reads the first bytes of an answer until n are there.
func (c *fetchConn) readHead(n int) error {
	for c.got < n {
		m, err := c.Conn.Read(c.head[c.got:n])
		c.got += m
		if err != nil && c.got < n {
			return err
		}
	}
	return nil
}

// forward gives the client the first n bytes of an answer, and then the rest.
func (c *fetchConn) forward(n, rest int) {
	c.out = append([]byte(nil), c.head[:n]...)
	c.got, c.pass = 0, max(0, rest)
}
