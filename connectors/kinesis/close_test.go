package kinesis_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/leatdb/leat/connectors"
)

// A source that is closed ends its connections to the service, also those that its
// transport keeps for later.
func TestClose_EndsConnections(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		s := server(t)
		s.CreateStream("trips", 2)
		put(s, 0, 10)
		to, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		open, opened, changed := 0, 0, sync.NewCond(&mu)
		front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(to))
		front.Config.ConnState = func(_ net.Conn, state http.ConnState) {
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
		front.Start()
		defer front.Close()
		r := newReader(t, connectors.SourceConfig{Options: options(front.URL, way...), Lanes: 1})
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		r.read(10)
		r.close()
		mu.Lock()
		defer mu.Unlock()
		if opened == 0 {
			t.Error("no connection went this way")
		}
		for open > 0 {
			changed.Wait()
		}
	})
}
