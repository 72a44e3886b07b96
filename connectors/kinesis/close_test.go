package kinesis_test

import (
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/awsconn/awsconntest"
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
		front := awsconntest.NewServer(t, httputil.NewSingleHostReverseProxy(to))
		r := newReader(t, connectors.SourceConfig{Options: options(front.URL, way...), Lanes: 1})
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		r.read(10)
		r.close()
		if front.AwaitClosed() == 0 {
			t.Error("no connection went this way")
		}
	})
}
