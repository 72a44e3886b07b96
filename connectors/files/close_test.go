package files_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A source that is closed ends its connections to the bucket and to the queue, also
// those that its transports keep for later.
func TestClose_EndsConnections(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	var mu sync.Mutex
	open, opened, changed := 0, 0, sync.NewCond(&mu)
	front := func(h http.Handler) (url string) {
		server := httptest.NewUnstartedServer(h)
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			switch state {
			case http.StateNew:
				open++
				opened++
			case http.StateClosed, http.StateHijacked:
				open--
			}
			changed.Broadcast()
		}
		server.Start()
		t.Cleanup(server.Close)
		return server.URL
	}
	b.url, q.url = front(b), front(q)+"/123456789012/objects"
	b.put("in/a", "1\n")
	r := openTold(t, b, q, nil, "/in/")
	r.told(1)
	b.put("in/b", "2\n")
	q.send(put("in/b"))
	r.told(2)
	r.close()
	mu.Lock()
	defer mu.Unlock()
	if opened < 2 {
		t.Errorf("%d connections went this way", opened)
	}
	for open > 0 {
		changed.Wait()
	}
}
