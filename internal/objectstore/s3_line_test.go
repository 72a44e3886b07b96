package objectstore

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// get asks for "0123" by lines.
func (ls *lines) get(ctx context.Context, p []byte) bool {
	write := func(*line) []byte { return []byte("GET /o HTTP/1.1\r\nHost: s3.test\r\n\r\n") }
	return ls.read(ctx, "o", write, func(h *fasthttp.ResponseHeader) bool { return isRange(h, 0, len(p)) }, p)
}

// A server that says nothing is told of after ten looks and given up after
// thirty; one that answers slowly is not; an ended context ends a request at once.
func TestLines_Silence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		ls := &lines{dial: network.dial, address: "s3.test:80"}
		var told []string
		begun := time.Now()
		stalls := NewStalls(func(err error) {
			told = append(told, fmt.Sprintf("%v %t", time.Since(begun).Round(time.Second), err != nil))
		})
		ctx := stalls.Context(t.Context())
		var served sync.WaitGroup
		defer served.Wait()
		serve := func(answer func(c net.Conn)) {
			served.Go(func() {
				c := <-network.conns
				defer c.Close()
				buf := make([]byte, 4<<10)
				_, _ = c.Read(buf)
				answer(c)
				_, _ = io.Copy(io.Discard, c) // until it is closed
			})
		}
		f := func(wantOK bool, want []string, answer func(c net.Conn)) {
			t.Helper()
			serve(answer)
			told, begun = nil, time.Now()
			got := make([]byte, 4)
			if ok := ls.get(ctx, got); ok != wantOK || ok && string(got) != "0123" || !slices.Equal(told, want) {
				t.Errorf("%t %q, told %q, want %q", ok, got, told, want)
			}
			ls.close()
			ls.closed = false
		}
		say := func(c net.Conn, text string) { _, _ = io.WriteString(c, text) }
		const header = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/9\r\n\r\n"
		f(true, nil, func(c net.Conn) { say(c, header+"0123") })
		f(true, nil, func(c net.Conn) {
			for i := range len(header) {
				if i%20 == 0 {
					time.Sleep(8500 * time.Millisecond) // nine looks at most
				}
				say(c, header[i:i+1])
			}
			say(c, "0123")
		})
		f(true, []string{"10s true", "15s false"}, func(c net.Conn) {
			time.Sleep(15 * time.Second)
			say(c, header+"0123")
		})
		f(false, []string{"10s true"}, func(net.Conn) {})
		stalls.answered()
		f(false, nil, func(c net.Conn) {
			say(c, "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 4-7/9\r\n\r\n4567")
		})
		f(false, nil, func(c net.Conn) { say(c, header+"01"); c.Close() })
		f(false, nil, func(c net.Conn) { say(c, "garbage\r\n\r\n"); c.Close() })
		f(false, nil, func(c net.Conn) { say(c, "HTTP/1.1 206 P\r\nX: "+strings.Repeat("x", 8<<10)+"\r\n\r\n") })

		serve(func(net.Conn) {})
		ended, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		begun = time.Now()
		if ls.get(ended, make([]byte, 4)) || time.Since(begun) != time.Second {
			t.Errorf("ended after %v", time.Since(begun))
		}
		// Nobody answers the call.
		begun, told = time.Now(), nil
		if ls.get(ctx, make([]byte, 4)) || time.Since(begun).Round(time.Second) != stallLimit*stallTick || len(told) != 1 {
			t.Errorf("dialled for %v, told %q", time.Since(begun), told)
		}
	})
}

// A call that is answered just when it is given up is over, too: nobody would look
// at its request any more.
func TestLines_DialledTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		ls := &lines{address: "s3.test:80", dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return client, nil
		}}
		var served sync.WaitGroup
		served.Go(func() { _, _ = io.Copy(io.Discard, server) })
		hour := time.AfterFunc(time.Hour, func() { server.Close() })
		begun := time.Now()
		if ls.get(t.Context(), make([]byte, 4)) || time.Since(begun).Round(time.Second) != stallLimit*stallTick {
			t.Errorf("given up after %v", time.Since(begun))
		}
		served.Wait()
		hour.Stop()
	})
}

// A connection that the server has ended meanwhile is replaced, and one that
// nobody uses is closed.
func TestLines_Idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		ls := &lines{dial: network.dial, address: "s3.test:80"}
		var dialled, answered int
		ended := make(chan struct{}, 10)
		stop := make(chan struct{})
		var served sync.WaitGroup
		served.Go(func() {
			for {
				var c net.Conn
				select {
				case c = <-network.conns:
				case <-stop:
					return
				}
				dialled++
				buf := make([]byte, 4<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						break
					}
					if answered++; answered == 4 {
						break // in place of an answer
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n0123")
				}
				c.Close()
				ended <- struct{}{}
			}
		})
		for i := range 5 {
			if !ls.get(t.Context(), make([]byte, 4)) {
				t.Errorf("request %d", i)
			}
		}
		if dialled != 2 || answered != 6 {
			t.Errorf("%d connections, %d requests", dialled, answered)
		}
		<-ended
		begun := time.Now()
		<-ended
		if idle := time.Since(begun).Round(time.Second); idle != (idleLooks+1)*stallTick || len(ls.idle) > 0 {
			t.Errorf("closed after %v, %d idle", idle, len(ls.idle))
		}
		close(stop)
		served.Wait()
	})
}

// A bucket behind TLS whose certificate the environment says to trust is read past
// the SDK, one behind a proxy by the SDK.
func TestLines_Environment(t *testing.T) {
	var own, other atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") == "leat" {
			own.Add(1)
		} else {
			other.Add(1)
		}
		w.Header().Set("Content-Range", "bytes 0-3/4")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "0123")
	})
	f := func(endpoint string, wantOwn, wantOther int32) {
		t.Helper()
		own.Store(0)
		other.Store(0)
		s, err := Open(t.Context(), Config{URI: "s3://lake", Endpoint: endpoint, AccessKeyID: "k", SecretAccessKey: "s"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 3 {
			r, err := OpenVersion(t.Context(), s, Info{Key: "o", Size: 4, ETag: `"e"`})
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 4)
			if _, err := r.ReadAt(got, 0); err != nil || string(got) != "0123" {
				t.Errorf("%q, %v", got, err)
			}
		}
		if own.Load() != wantOwn || other.Load() != wantOther {
			t.Errorf("%d requests past the SDK and %d by it, want %d and %d", own.Load(), other.Load(), wantOwn, wantOther)
		}
	}
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{}
	server.StartTLS()
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	f(server.URL, 3, 0)

	base := &url.URL{Scheme: "http", Host: "s3.test"}
	transport := &http.Transport{DialContext: new(net.Dialer).DialContext, Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"})}
	if newLines(transport, base) != nil {
		t.Error("the proxy is passed by")
	}
	transport.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	if ls := newLines(transport, base); ls == nil || ls.address != "s3.test:80" {
		t.Errorf("%+v", ls)
	}
}
