//go:build services

package objectstore_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/services"
)

// TestGetter_OfAnotherServer reads from a server that verifies signatures, without
// the SDK's help.
func TestGetter_OfAnotherServer(t *testing.T) {
	server := services.StartVersityGW(t)
	server.CreateBucket("lake")
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var own, sdk atomic.Int64
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			switch {
			case r.Request.Method != http.MethodGet || r.Request.Header.Get("Range") == "":
			case r.Request.Header.Get("User-Agent") == "leat":
				own.Add(1)
			default:
				sdk.Add(1)
			}
			return nil
		},
	}
	proxy := httptest.NewServer(forward)
	defer proxy.Close()
	s := openStore(t, objectstore.Config{
		URI: "s3://lake/some", Endpoint: proxy.URL, Region: server.Region,
		AccessKeyID: server.AccessKey, SecretAccessKey: server.SecretKey,
	})
	keys := []string{"a", "dt=2026-01-01/b c+d%20&é~_.-'()*!,;:@$.json"}
	for _, key := range keys {
		info, err := s.Put(t.Context(), key, []byte("0123456789"), objectstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := objectstore.OpenVersion(t.Context(), s, info)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if n, err := r.ReadAt(got, 3); err != nil || string(got[:n]) != "3456" {
			t.Errorf("%s: %q, %v", key, got[:n], err)
		}
		if n, err := r.ReadAt(got, 8); string(got[:n]) != "89" {
			t.Errorf("%s: %q, %v", key, got[:n], err)
		}
	}
	if own.Load() != int64(2*len(keys)) || sdk.Load() != 0 {
		t.Errorf("%d requests past the SDK and %d of it, want %d and none", own.Load(), sdk.Load(), 2*len(keys))
	}
}
