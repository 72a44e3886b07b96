package objectstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/leatdb/leat/sql/sqlerror"
)

// A request may last as long as bytes move. One that stands still is looked at
// every stallTick: Stalls is told of it after stallTold looks, and after
// stallLimit it is given up, to be tried again on another connection. Looks are
// counted, not time, so that a process that was paused gives up nothing.
const (
	stallTick  = time.Second
	stallTold  = 10
	stallLimit = 30
)

// stalled is why a request is given up: the looks at it.
type stalled int

func (s stalled) Error() string {
	return fmt.Sprintf("no byte has moved for %v", time.Duration(s)*stallTick)
}

// watchedClient carries the SDK's requests and watches over each.
type watchedClient struct {
	aws.HTTPClient
	limit int // looks until a request is given up
}

// Watch watches over the requests of a client to another service like over those
// to S3: the Stalls of their contexts are told of those that stand still, and
// after half a minute they are given up. Without a client it is the SDK's own.
func Watch(c aws.HTTPClient) aws.HTTPClient {
	if c == nil {
		c = awshttp.NewBuildableClient()
	}
	return watchedClient{c, stallLimit}
}

// WatchTransport is Watch for a transport whose requests are given up after
// limit, in whole seconds.
func WatchTransport(t http.RoundTripper, limit time.Duration) http.RoundTripper {
	return watchedTransport{watchedClient{carrier{t}, int(limit / stallTick)}}
}

type watchedTransport struct{ watchedClient }

// RoundTrip implements http.RoundTripper.
func (t watchedTransport) RoundTrip(r *http.Request) (*http.Response, error) { return t.Do(r) }

// carrier is a client that follows no redirection and keeps no cookies.
type carrier struct{ http.RoundTripper }

// Do implements aws.HTTPClient.
func (c carrier) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

// CloseIdleConnections ends what is kept for later requests.
func (c carrier) CloseIdleConnections() {
	if inner, ok := c.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		inner.CloseIdleConnections()
	}
}

// Do implements aws.HTTPClient.
func (c watchedClient) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{stalls: stallsOf(ctx), cancel: cancel, what: req.Method + " " + req.URL.Host + req.URL.Path, left: -1, limit: c.limit}
	w.await()
	inner := ctx
	if req.Body != nil && req.Body != http.NoBody {
		inner = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) { w.connected(i.Conn) },
		})
	}
	own := req.WithContext(inner)
	own.Body = w.sends(req.Body)
	if req.GetBody != nil {
		own.GetBody = func() (io.ReadCloser, error) {
			body, err := req.GetBody()
			return w.sends(body), err
		}
	}
	resp, err := c.HTTPClient.Do(own)
	if err != nil {
		err = w.errorOf(ctx, err)
		w.end(false)
		return nil, err
	}
	w.rest()
	if resp.Body == nil || resp.Body == http.NoBody {
		w.end(true)
		return resp, nil
	}
	resp.Body = &watchedAnswer{ReadCloser: resp.Body, ctx: ctx, watch: w}
	return resp, nil
}

// CloseIdleConnections ends what is kept for later requests.
func (c watchedClient) CloseIdleConnections() {
	if inner, ok := c.HTTPClient.(interface{ CloseIdleConnections() }); ok {
		inner.CloseIdleConnections()
	}
}

// watch looks after one request.
type watch struct {
	stalls *Stalls
	cancel context.CancelCauseFunc
	what   string
	limit  int // looks until it is given up

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool            // somebody waits for the server
	conn    syscall.RawConn // nil where the system does not tell what it still has to send
	left    int             // bytes that it had at the last look, -1 for unknown
	still   int             // looks since anything moved
	told    bool
	ended   bool
}

// connected notes the connection that carries the request. One that carries
// others too says nothing about this one.
func (w *watch) connected(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			return
		}
		c = t.NetConn()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.still = 0
	if s, ok := c.(syscall.Conn); ok {
		// Without it only what is handed to the system counts.
		w.conn, _ = s.SyscallConn()
	}
}

// look finds out whether the request stands still.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.waiting {
		return
	}
	// Megabytes may wait in the socket after the last byte was handed over: a slow
	// line is no dead one.
	if left := unsent(w.conn); left != w.left {
		w.left = left
		w.moved()
	}
	w.still++
	switch {
	case w.still >= w.limit:
		w.cancel(stalled(w.limit))
		return
	case w.still >= stallTold && !w.told:
		w.told = true
		w.stalls.begin(silent(w.what, w.limit))
	}
	w.timer.Reset(stallTick)
}

// silent says what stands still, and is given up after so many looks.
func silent(what string, limit int) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s: no byte has moved for %v", what, stallTold*stallTick).
		WithHint("the endpoint does not answer; check it and the network to it. The request is given up after %v and tried again", time.Duration(limit)*stallTick)
}

// moved notes that the request does not stand still. The caller holds the lock.
func (w *watch) moved() {
	w.still = 0
	if w.told {
		w.told = false
		w.stalls.end(true)
	}
}

// await notes that somebody waits for the server from now on.
func (w *watch) await() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
		return
	case w.timer == nil:
		w.timer = time.AfterFunc(stallTick, w.look)
	default:
		w.timer.Reset(stallTick)
	}
	w.waiting = true
}

// rest notes that the server has answered and nobody waits for it.
func (w *watch) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.waiting = false
	w.moved()
}

// end notes that the request is over; moved is whether the server has answered.
func (w *watch) end(moved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.timer.Stop()
	w.ended, w.waiting = true, false
	w.cancel(nil)
	switch {
	case w.told:
		w.told = false
		w.stalls.end(moved)
	case moved:
		w.stalls.answered()
	}
}

// errorOf says of a request that was given up why.
func (w *watch) errorOf(ctx context.Context, err error) error {
	if s, ok := errors.AsType[stalled](context.Cause(ctx)); ok {
		return s
	}
	return err
}

// sends watches over the bytes of a request.
func (w *watch) sends(body io.ReadCloser) io.ReadCloser {
	if body == nil || body == http.NoBody {
		return body
	}
	return &watchedBody{body, w}
}

type watchedBody struct {
	io.ReadCloser
	watch *watch
}

// Read implements io.Reader: the transport asks for more when it has sent what
// it had.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.mu.Lock()
	b.watch.moved()
	b.watch.mu.Unlock()
	return b.ReadCloser.Read(p)
}

// watchedAnswer is the body of an answer. Who does not read it for a while
// waits for something else.
type watchedAnswer struct {
	io.ReadCloser
	ctx   context.Context
	watch *watch
}

// Read implements io.Reader.
func (a *watchedAnswer) Read(p []byte) (int, error) {
	a.watch.await()
	n, err := a.ReadCloser.Read(p)
	switch {
	case err == nil:
		a.watch.rest()
	case errors.Is(err, io.EOF):
		a.watch.end(true)
	default:
		err = a.watch.errorOf(a.ctx, err)
		a.watch.end(false)
	}
	return n, err
}

// Close implements io.Closer.
func (a *watchedAnswer) Close() error {
	defer a.watch.end(true)
	return a.ReadCloser.Close()
}
