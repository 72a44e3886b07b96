package objectstore_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/leatdb/leat/internal/objectstore"
)

// The SDK's own signer signs the same.
func TestGetter_Signature(t *testing.T) {
	f := func(name, ranges string, creds aws.Credentials) {
		t.Helper()
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))
		const host, region = "bucket.s3.eu-west-1.amazonaws.com", "eu-west-1"
		got := objectstore.Signed(host, name, ranges, region, creds, now)
		req := &http.Request{
			Method: http.MethodGet, Host: host, Header: http.Header{},
			URL: &url.URL{Scheme: "https", Host: host, Path: "/" + name, RawPath: httpbinding.EscapePath("/"+name, false)},
		}
		empty := sha256.Sum256(nil)
		req.Header.Set("Range", ranges)
		req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(empty[:]))
		err := v4.NewSigner().SignHTTP(t.Context(), creds, req, hex.EncodeToString(empty[:]), "s3", region, now,
			func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"} {
			if got.Get(h) != req.Header.Get(h) {
				t.Errorf("%s of %s: %q, want %q", h, name, got.Get(h), req.Header.Get(h))
			}
		}
	}
	static := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	f("a", "bytes=0-9", static)
	f("dt=2026-01-01/a b+c%20&é~_.-.json", "bytes=8388608-16777215", static)
	static.SessionToken = "tok/en=="
	f("x/y", "bytes=0-0", static)
}

// What does not succeed at once is left to the SDK, which says what it means.
func TestGetter_LeavesFailuresToTheSDK(t *testing.T) {
	var mu sync.Mutex
	var seen []string // user agents of the GETs of objects
	var refuse func(own bool, w http.ResponseWriter) bool
	url := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.Header.Get("Range") == "" {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		own := r.Header.Get("User-Agent") == "leat"
		who := "sdk"
		if own {
			who = "own"
		}
		seen = append(seen, who)
		return refuse != nil && refuse(own, w)
	})
	s := openStore(t, s3Config(url, "s3://lake"))
	info, err := s.Put(t.Context(), "x/a b+c.json", []byte("0123456789"), objectstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(want, wantErr, who string, refused func(own bool, w http.ResponseWriter) bool) {
		t.Helper()
		mu.Lock()
		seen, refuse = nil, refused
		mu.Unlock()
		r, err := objectstore.OpenVersion(t.Context(), s, info)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := make([]byte, 4)
		n, err := r.ReadAt(got, 3)
		switch {
		case wantErr == "" && (err != nil || string(got[:n]) != want):
			t.Errorf("%q, %v, want %q", got[:n], err, want)
		case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("%v, want %q", err, wantErr)
		}
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(seen, " "); got != who {
			t.Errorf("requests of %q, want %q", got, who)
		}
	}
	status := func(code int, body string) func(bool, http.ResponseWriter) bool {
		return func(own bool, w http.ResponseWriter) bool {
			if own {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, body)
			}
			return own
		}
	}
	f("3456", "", "own", nil)
	f("3456", "", "own sdk", status(http.StatusServiceUnavailable, "<Error><Code>SlowDown</Code></Error>"))
	f("3456", "", "own sdk", status(http.StatusOK, "0123456789"))         // without regard to the range
	f("3456", "", "own sdk", status(http.StatusPartialContent, "345"))    // too little
	f("3456", "", "own sdk", status(http.StatusPartialContent, "34567"))  // too much
	f("3456", "", "own sdk", func(own bool, w http.ResponseWriter) bool { // broken off
		if own {
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "34")
			panic(http.ErrAbortHandler)
		}
		return false
	})
	f("", "access denied", "own sdk", func(_ bool, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	f("3456", "", "own", nil)
	for range 8 {
		f("3456", "", "own sdk", status(http.StatusForbidden, ""))
	}
	f("3456", "", "sdk", nil) // it is no longer tried

	// Another version, and an ended context.
	s = openStore(t, s3Config(url, "s3://lake"))
	mu.Lock()
	seen, refuse = nil, func(_ bool, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusPreconditionFailed)
		return true
	}
	mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := objectstore.OpenVersion(ctx, s, info)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another version: %v", err)
	}
	cancel()
	if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}
