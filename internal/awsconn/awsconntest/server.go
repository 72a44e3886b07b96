// Package awsconntest has what tests of clients of the AWS SDK need: a server that
// counts its connections, keys, and a check of what is signed by them.
package awsconntest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Server is a server that knows its connections.
type Server struct {
	URL string

	mu           sync.Mutex
	changed      *sync.Cond
	open, opened int
}

// NewServer serves h until the test ends.
func NewServer(t testing.TB, h http.Handler) *Server {
	s := &Server{}
	s.changed = sync.NewCond(&s.mu)
	web := httptest.NewUnstartedServer(h)
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.open++
			s.opened++
		case http.StateClosed, http.StateHijacked:
			s.open--
		}
		s.changed.Broadcast()
	}
	web.Start()
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// AwaitClosed waits until no connection is open, and returns how many there were.
func (s *Server) AwaitClosed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.open > 0 {
		s.changed.Wait()
	}
	return s.opened
}
