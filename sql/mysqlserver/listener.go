package mysqlserver

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// loginTimeout is how long a client may take to log in, as MySQL's
	// connect_timeout.
	loginTimeout = 10 * time.Second
	// loginBytes is how much a client that has not logged in may send.
	loginBytes = 64 << 10
)

// errLoginBytes ends the connection of a client that sends too much.
var errLoginBytes = errors.New("too many bytes before the login")

// listener bounds how many connections there are, and knows them all, so that
// they can be ended.
type listener struct {
	net.Listener
	max     int
	refused func() // told of each connection beyond max

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
	wait   sync.WaitGroup
}

func newListener(l net.Listener, limit int, refused func()) *listener {
	return &listener{Listener: l, max: limit, refused: refused, conns: map[*conn]struct{}{}}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: tcp, listener: l}
		if l.add(c) {
			_ = c.SetDeadline(time.Now().Add(loginTimeout)) // a connection that is gone fails at its first read
			return c, nil
		}
		l.refused()
		refuse(tcp)
	}
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.max {
		return false
	}
	l.conns[c] = struct{}{}
	l.wait.Add(1)
	return true
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.conns[c]; ok {
		delete(l.conns, c)
		l.wait.Done()
	}
}

// endConnections closes what is open and waits until its goroutines are done.
func (l *listener) endConnections() {
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		_ = c.Conn.Close() // its goroutine sees the error and cleans up
	}
	l.mu.Unlock()
	l.wait.Wait()
}

// tooManyConnections is the error packet that MySQL sends instead of its
// greeting: length, sequence number 0, then 0xff, error 1040 and the message;
// there is no SQL state before the greeting.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
var tooManyConnections = func() []byte {
	const message = "Too many connections"
	packet := []byte{3 + byte(len(message)), 0, 0, 0, 0xff, 1040 & 0xff, 1040 >> 8}
	return append(packet, message...)
}()

func refuse(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write(tooManyConnections) // the client is refused either way
	_ = c.Close()
}

// conn is one client's connection.
type conn struct {
	net.Conn
	listener *listener
	// read counts until the client has logged in; the connection's goroutine alone
	// reads.
	read     int
	loggedIn bool
	// served is set once the protocol library has a goroutine for it, which then
	// tells when it is done; until then Close does.
	mu     sync.Mutex
	served bool
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.loggedIn {
		return c.Conn.Read(p)
	}
	if c.read >= loginBytes {
		return 0, errLoginBytes
	}
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	served := c.served
	c.mu.Unlock()
	if !served {
		c.listener.remove(c)
	}
	return err
}

// serve notes that a goroutine reads the connection, until done.
func (c *conn) serve() {
	c.mu.Lock()
	c.served = true
	c.mu.Unlock()
}

// done notes that the goroutine ends.
func (c *conn) done() {
	_ = c.Conn.Close() // it may be closed already
	c.listener.remove(c)
}

// login notes that the client has logged in; its time is its own from now on.
func (c *conn) login() error {
	c.loggedIn = true
	return c.SetDeadline(time.Time{})
}

// connOf finds our connection behind the library's, which may have put TLS over
// it.
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	ours, _ := c.(*conn)
	return ours
}
