// Package awsconn has what clients of the AWS SDK need beside their calls: an end of
// their connections, and errors in few words.
package awsconn

import (
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// Conns are the open connections of one client. The SDK copies the transport that
// it is given, and hides the copy, so that the connections which it keeps for later
// calls cannot be closed by it.
type Conns struct {
	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

// Track makes a transport's connections, and those of its copies, belong to c. It
// is an option of the SDK's BuildableClient, and comes after what sets DialContext.
func (c *Conns) Track(t *http.Transport) {
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		inner, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		tracked := &conn{Conn: inner, of: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			_ = inner.Close() // nothing was sent
			return nil, net.ErrClosed
		}
		if c.open == nil {
			c.open = map[*conn]struct{}{}
		}
		c.open[tracked] = struct{}{}
		return tracked, nil
	}
}

// Close closes all connections, also those that carry calls, and lets no others be
// made.
func (c *Conns) Close() {
	c.mu.Lock()
	open := c.open
	c.open, c.closed = nil, true
	c.mu.Unlock()
	for tracked := range open {
		_ = tracked.Conn.Close() // whoever uses it is told
	}
}

// conn is a connection that leaves its Conns when it is closed.
type conn struct {
	net.Conn
	of *Conns
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// SyscallConn implements syscall.Conn.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, syscall.ENOTSUP
}
