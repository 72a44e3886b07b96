package objectstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// lines carries requests by HTTP/1.1, each on a connection that only the goroutine
// which asks writes to and reads from: handing requests and answers from one
// goroutine to another, as net/http does, costs more than a small object does.
type lines struct {
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	address   string
	tls       *tls.Config // nil for http
	handshake time.Duration

	mu     sync.Mutex
	idle   []*line // the one that was used last comes last
	closed bool
}

const (
	// mostIdle is how many connections are kept for later requests, idleLooks how
	// many looks long.
	mostIdle  = 256
	idleLooks = 60
)

// newLines is nil where requests go by a proxy.
func newLines(t *http.Transport, base *url.URL) *lines {
	if t.DialContext == nil || t.DialTLSContext != nil {
		return nil
	}
	if t.Proxy != nil {
		if proxy, err := t.Proxy(&http.Request{URL: base}); proxy != nil || err != nil {
			return nil
		}
	}
	ls := &lines{dial: t.DialContext, handshake: t.TLSHandshakeTimeout}
	port := base.Port()
	switch base.Scheme {
	case "http":
		if port == "" {
			port = "80"
		}
	case "https":
		if port == "" {
			port = "443"
		}
		ls.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if t.TLSClientConfig != nil {
			ls.tls = t.TLSClientConfig.Clone()
		}
		ls.tls.NextProtos = []string{"http/1.1"}
		if ls.tls.ServerName == "" {
			ls.tls.ServerName = base.Hostname()
		}
	default:
		return nil
	}
	ls.address = net.JoinHostPort(base.Hostname(), port)
	return ls
}

// line is a connection. Who took it uses it alone, but for what mu guards.
type line struct {
	of     *lines
	in     *bufio.Reader // of the line itself
	header fasthttp.ResponseHeader
	signer signer
	out    []byte
	reused bool // it has carried a request
	heard  bool // something of the answer has come

	mu      sync.Mutex
	conn    net.Conn // nil while it is dialled
	giveUp  context.CancelFunc
	timer   *time.Timer
	busy    bool // somebody waits for an answer
	over    bool // it is closed
	still   int  // looks since anything moved, or since it is idle
	told    bool
	stalls  *Stalls
	request string // the object that is asked for
}

// read sends the request that write makes for a line, and fills p with the body of
// the answer, which accept has to like. It reports false for everything that is no
// success.
func (ls *lines) read(ctx context.Context, name string, write func(l *line) []byte, accept func(*fasthttp.ResponseHeader) bool, p []byte) bool {
	for fresh := false; ; fresh = true {
		l := ls.take(fresh)
		if l == nil {
			return false
		}
		l.begin(stallsOf(ctx), name)
		ok := l.connected(ctx) && l.carry(ctx, write(l), accept, p)
		l.end(ok)
		if ok {
			ls.give(l)
			return true
		}
		l.close()
		if fresh || !l.reused || l.heard || ctx.Err() != nil {
			return false
		}
		// The server had ended the connection.
	}
}

// take is a line that nobody else uses; nil when no more are to be made.
func (ls *lines) take(fresh bool) *line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil
	}
	if n := len(ls.idle); n > 0 && !fresh {
		l := ls.idle[n-1]
		ls.idle[n-1] = nil
		ls.idle = ls.idle[:n-1]
		return l
	}
	l := &line{of: ls}
	l.in = bufio.NewReaderSize(l, 4<<10) // for headers; bodies are read past it
	return l
}

// give keeps a line for another request.
func (ls *lines) give(l *line) {
	l.reused = true
	ls.mu.Lock()
	keep := !ls.closed && len(ls.idle) < mostIdle && !l.header.ConnectionClose() && l.in.Buffered() == 0
	if keep {
		ls.idle = append(ls.idle, l)
	}
	ls.mu.Unlock()
	if !keep {
		l.close()
	}
}

// drop takes an idle line away; false when it is no longer idle.
func (ls *lines) drop(l *line) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	i := slices.Index(ls.idle, l)
	if i >= 0 {
		ls.idle = slices.Delete(ls.idle, i, i+1)
	}
	return i >= 0
}

// close ends the lines that nobody uses; the others end with their requests.
func (ls *lines) close() {
	ls.mu.Lock()
	idle := ls.idle
	ls.idle, ls.closed = nil, true
	ls.mu.Unlock()
	for _, l := range idle {
		l.close()
	}
}

// connected dials, unless that was done.
func (l *line) connected(ctx context.Context) bool {
	if l.conn != nil {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.giveUp = cancel
	l.mu.Unlock()
	conn, err := l.of.dial(ctx, "tcp", l.of.address)
	if err != nil {
		return false
	}
	if l.of.tls != nil {
		secure := tls.Client(conn, l.of.tls)
		if l.of.handshake > 0 {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, l.of.handshake)
			defer stop()
		}
		if secure.HandshakeContext(ctx) != nil {
			_ = conn.Close() // nothing was sent
			return false
		}
		conn = secure
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil { // it was given up meanwhile, and nobody looks at it any more
		_ = conn.Close() // nothing was sent
		return false
	}
	l.conn, l.giveUp, l.still = conn, nil, 0
	return true
}

// carry sends a request and reads its answer.
func (l *line) carry(ctx context.Context, request []byte, accept func(*fasthttp.ResponseHeader) bool, p []byte) bool {
	stop := context.AfterFunc(ctx, l.hangUp)
	l.heard = false
	_, err := l.conn.Write(request)
	ok := err == nil && l.header.Read(l.in) == nil && accept(&l.header)
	if ok {
		_, err = io.ReadFull(l.in, p)
	}
	return stop() && ok && err == nil
}

// Read reads from the connection.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	if n > 0 {
		l.heard = true
		l.mu.Lock()
		l.moved()
		l.mu.Unlock()
	}
	return n, err
}

// begin notes that somebody waits for the server from now on.
func (l *line) begin(stalls *Stalls, request string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.still, l.stalls, l.request = true, 0, stalls, request
	if l.timer == nil {
		l.timer = time.AfterFunc(stallTick, l.look)
	}
}

// end notes that nobody does any more; moved is whether the server has answered.
func (l *line) end(moved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.still = false, 0
	switch {
	case l.told:
		l.told = false
		l.stalls.end(moved)
	case moved:
		l.stalls.answered()
	}
}

// moved notes that a request does not stand still. The caller holds mu.
func (l *line) moved() {
	l.still = 0
	if l.told {
		l.told = false
		l.stalls.end(true)
	}
}

// look finds out whether a request stands still (see stallTick), or nobody needs
// the line.
func (l *line) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.still++
	switch {
	case !l.busy && l.still > idleLooks && l.of.drop(l):
		l.closeLocked()
		return
	case !l.busy:
	case l.still >= stallLimit:
		l.hangUpLocked()
		return
	case l.still >= stallTold && !l.told:
		l.told = true
		l.stalls.begin(silent("GET "+l.of.address+"/"+l.request, stallLimit))
	}
	l.timer.Reset(stallTick)
}

// hangUp ends a request that is under way.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangUpLocked()
}

func (l *line) hangUpLocked() {
	switch {
	case l.giveUp != nil:
		l.giveUp()
	case l.conn != nil:
		_ = l.conn.SetDeadline(time.Unix(1, 0)) // it is closed by who uses it
	}
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
}

func (l *line) closeLocked() {
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.conn != nil {
		_ = l.conn.Close() // what was asked for has come, or is asked for again
	}
}

// appendRange appends the value of a Range header.
func appendRange(b []byte, off int64, n int) []byte {
	b = append(b, "bytes="...)
	b = strconv.AppendInt(b, off, 10)
	b = append(b, '-')
	return strconv.AppendInt(b, off+int64(n)-1, 10)
}

// isRange reports whether an answer is n bytes of an object from off on.
func isRange(h *fasthttp.ResponseHeader, off int64, n int) bool {
	if h.ContentLength() != n {
		return false
	}
	switch h.StatusCode() {
	case http.StatusOK:
		return off == 0
	case http.StatusPartialContent:
		var room [64]byte
		want := append(appendRange(room[:0], off, n), '/')
		want[len("bytes")] = ' '
		is := h.Peek("Content-Range")
		return len(is) == 0 || bytes.HasPrefix(is, want)
	}
	return false
}

// plain reports whether a text can be the value of a header.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
