//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/dolthub/vitess/go/mysql"
)

const (
	// loginTimeout is how long a client may take to log in, as MySQL's
	// connect_timeout.
	loginTimeout = 10 * time.Second
	// loginBytes is how much a client that has not logged in may send.
	loginBytes = 64 << 10
)

const (
	// maxPacket is how much a client may send before it is answered: MySQL's
	// max_allowed_packet.
	maxPacket = 64 << 20
	// frameBytes and frameHeader are the largest payload of the pieces that a
	// longer packet is sent in, and what stands before each.
	frameBytes  = 1<<24 - 1
	frameHeader = 4
	// defaultIdle is MySQL's wait_timeout, until the session says another.
	defaultIdle = 8 * time.Hour
	// writeTimeout is how long a client may leave what it is sent lying, as MySQL's
	// net_write_timeout; writePiece is how much is sent at a time.
	writeTimeout = 60 * time.Second
	writePiece   = 256 << 10
	// drainTimeout bounds for how long a packet that is too long is thrown away,
	// so that its sender gets to read why.
	drainTimeout = 10 * time.Second
)

var (
	// errLoginBytes ends the connection of a client that sends too much.
	errLoginBytes = errors.New("too many bytes before the login")
	errPacketSize = errors.New("packet bigger than max_allowed_packet")
)

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

// errorPacket is an error as the protocol has it; there is no SQL state before
// the greeting.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
func errorPacket(sequence byte, number uint16, state, message string) []byte {
	if state != "" {
		message = "#" + state + message
	}
	length := 3 + len(message)
	packet := []byte{byte(length), byte(length >> 8), byte(length >> 16), sequence, 0xff, byte(number), byte(number >> 8)}
	return append(packet, message...)
}

// tooManyConnections is what MySQL sends instead of its greeting.
var tooManyConnections = errorPacket(0, 1040, "", "Too many connections")

func refuse(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write(tooManyConnections) // the client is refused either way
	_ = c.Close()
}

// conn is one client's connection. Its reads and writes are the protocol
// library's, one of each at a time.
type conn struct {
	net.Conn
	listener *listener
	// unanswered is how much the client has sent since it was last written to, or
	// since it came, where it has not logged in.
	unanswered int
	loggedIn   bool
	idle       time.Duration // how long it may say nothing once it has logged in
	// protocol is set once the protocol library has a goroutine for the connection,
	// which then tells when it is done; until then Close does.
	mu       sync.Mutex
	protocol *mysql.Conn
}

// Read implements net.Conn. TLS lies above it, so that what it counts is a
// little more than what the client says.
func (c *conn) Read(p []byte) (int, error) {
	if c.loggedIn {
		if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
			return 0, err
		}
	} else if c.unanswered >= loginBytes {
		return 0, errLoginBytes
	}
	n, err := c.Conn.Read(p)
	c.unanswered += n
	if c.unanswered > maxPacket+maxPacket/frameBytes*frameHeader && c.loggedIn {
		c.refusePacket()
		return 0, errPacketSize
	}
	return n, err
}

// refusePacket tells the client that it sends too much. A client reads the answer
// when it has sent everything, so that is taken and thrown away.
func (c *conn) refusePacket() {
	frames := (c.unanswered + frameBytes + frameHeader - 1) / (frameBytes + frameHeader)
	_, _ = c.protocol.Conn.Write(errorPacket(byte(frames), 1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes"))
	_ = c.SetDeadline(time.Now().Add(drainTimeout))
	_, _ = io.Copy(io.Discard, c.Conn) // the connection ends either way
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (written int, err error) {
	if c.loggedIn {
		c.unanswered = 0
	}
	for {
		piece := p[written:min(len(p), written+writePiece)]
		if c.loggedIn {
			if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
				return written, err
			}
		}
		n, err := c.Conn.Write(piece)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	served := c.protocol != nil
	c.mu.Unlock()
	if !served {
		c.listener.remove(c)
	}
	return err
}

// serve notes that a goroutine of the protocol library reads the connection,
// until done.
func (c *conn) serve(protocol *mysql.Conn) {
	c.mu.Lock()
	c.protocol = protocol
	c.mu.Unlock()
}

// done notes that the goroutine ends.
func (c *conn) done() {
	_ = c.Conn.Close() // it may be closed already
	c.listener.remove(c)
}

// login notes that the client has logged in; its time is its own from now on.
func (c *conn) login() error {
	c.loggedIn, c.idle, c.unanswered = true, defaultIdle, 0
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
