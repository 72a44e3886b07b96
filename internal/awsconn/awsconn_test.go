package awsconn_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/leatdb/leat/internal/awsconn"
)

func TestConns_Close(t *testing.T) {
	closed := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("answer")) }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	conns := &awsconn.Conns{}
	var sawConn bool
	client := awshttp.NewBuildableClient().WithTransportOptions(conns.Track, func(tr *http.Transport) {
		dial := tr.DialContext
		c, err := dial(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, sawConn = c.(syscall.Conn)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}).Freeze()
	<-closed // that connection
	if !sawConn {
		t.Error("the connection has no SyscallConn")
	}
	get := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body) // a connection is kept only after a whole answer
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
		t.Fatal("the connection was not kept")
	default:
	}
	conns.Close()
	<-closed
	if err := get(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a call after Close gives %v", err)
	}
}
