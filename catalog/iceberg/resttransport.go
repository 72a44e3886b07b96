package iceberg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
)

const (
	// restTimeout bounds a request with its answer, the table's metadata at most.
	restTimeout = 60 * time.Second
	// maxRESTAnswer bounds an answer in bytes, as metadata files are bounded.
	maxRESTAnswer = objectstore.MaxGet
)

var (
	errNoAnswer     = fmt.Errorf("no answer within %v", restTimeout)
	errEmptyAnswer  = errors.New("the answer is empty")
	errLargeAnswer  = fmt.Errorf("the answer is larger than %d bytes", maxRESTAnswer)
	errRedirected   = errors.New("the catalog redirects elsewhere")
	delegationField = "X-Iceberg-Access-Delegation"
)

// restTransport carries requests to a REST catalog: each once, in bounded time,
// to the host that it is for, with an answer of bounded size.
type restTransport struct {
	http.RoundTripper
	signed bool
	// refused, if it is not nil, is called when the catalog does not take the login of a
	// request.
	refused func(*http.Request)
}

func newRESTTransport(r *REST) *restTransport {
	t := &restTransport{RoundTripper: r.Transport, signed: r.SigV4 != nil}
	if t.RoundTripper == nil {
		t.RoundTripper = objectstore.WatchTransport(&http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   8,
			ForceAttemptHTTP2:     true,
		}, restTimeout)
	}
	return t
}

// CloseIdleConnections ends what is kept for later requests.
func (t *restTransport) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *restTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), restTimeout, errNoAnswer)
	own := r.Clone(ctx)
	if !t.signed {
		// The library asks for credentials of the storage with each table. The
		// sink has its own, and some servers fail when they have none to lend.
		own.Header.Del(delegationField)
	}
	resp, err := t.RoundTripper.RoundTrip(own)
	if err == nil {
		err = checkAnswer(r, resp)
	}
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		if errors.Is(context.Cause(ctx), errNoAnswer) {
			err = errNoAnswer
		}
		cancel()
		return nil, err
	}
	switch expired := 419; resp.StatusCode { // the protocol's own number
	case http.StatusForbidden:
		if t.signed { // AWS says no more of expired keys
			t.refused(own)
		}
	case http.StatusUnauthorized, expired:
		if t.refused != nil {
			t.refused(own)
		}
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, left: maxRESTAnswer}
	return resp, nil
}

func checkAnswer(r *http.Request, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// Following it would send the login to another host, and a change twice.
		return fmt.Errorf("%w, to %q", errRedirected, resp.Header.Get("Location"))
	case http.StatusOK:
		// The library takes the table for granted.
		if r.Method == http.MethodPost && resp.ContentLength == 0 &&
			(strings.HasSuffix(r.URL.Path, "/tables") || strings.HasSuffix(r.URL.Path, "/register")) {
			return errEmptyAnswer
		}
	}
	return nil
}

// boundedBody is an answer that ends with its request's time or with its share
// of memory.
type boundedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelFunc
	left   int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLargeAnswer
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(b.ctx), errNoAnswer) {
		err = errNoAnswer
	}
	return n, err
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
