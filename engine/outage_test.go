package engine_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/leatdb/leat/engine"
)

// flakyS3 is an S3 server in front of which faults can be switched on.
type flakyS3 struct {
	*httptest.Server
	fault atomic.Pointer[http.HandlerFunc] // answers instead; nil is none
}

func startFlakyS3(t *testing.T, bucket string) *flakyS3 {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	inner := gofakes3.New(backend).Server()
	s := &flakyS3{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.fault.Load(); f != nil {
			(*f)(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// refuse answers with an error of S3.
func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what a client sends that waits for the end
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>injected</Message></Error>", code)
		}
	}
}

// hangUp ends the connection in the middle of an upload, with a reset or without.
func hangUp(reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 100)
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		if tcp, ok := c.(interface{ SetLinger(int) error }); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// tear answers half of what it promises.
func tear(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write(bytes.Repeat([]byte(" "), 500))
	panic(http.ErrAbortHandler)
}

// TestOutage_S3 lets a store fail under running streams in the ways in which
// stores fail: each time they say RETRYING since when and why, and go on without
// a restart when it is over, with every row once.
func TestOutage_S3(t *testing.T) {
	s3 := startFlakyS3(t, "lake")
	db := open(t, t.TempDir())
	sink := func(name, options string) string {
		return fmt.Sprintf(`CREATE SINK %s WITH (connector = 's3', path = 's3://lake/%[1]s', endpoint = '%s', region = 'us-east-1',
			path_style = 'true', access_key_id = 'k', secret_access_key = 's', commit_interval = '20ms'%s);`, name, s3.URL, options)
	}
	mustExec(t, db, "CREATE SOURCE src (id BIGINT) WITH (connector = 'push');"+sink("ice", "")+sink("folders", ", table_format = 'hive'")+`
		CREATE STREAM a INTO ice.t AS SELECT id FROM src;
		CREATE STREAM b INTO folders.t AS SELECT id FROM src;`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	send := func() {
		t.Helper()
		for range 10 {
			if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d}`, sent)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
	}
	landed := func() {
		t.Helper()
		for _, name := range []string{"a", "b"} {
			await(t, db, name, func(st engine.StreamStatus) bool {
				return st.State == "RUNNING" && st.Reason == nil && st.Committed.Counters.RowsLanded == int64(sent)
			})
		}
	}
	send()
	landed()
	for _, c := range []struct {
		name    string
		fault   http.HandlerFunc
		because string
	}{
		{"SlowDown", refuse(http.StatusServiceUnavailable, "SlowDown"), "SlowDown"},
		{"InternalError", refuse(http.StatusInternalServerError, "InternalError"), "InternalError"},
		{"RequestTimeout", refuse(http.StatusBadRequest, "RequestTimeout"), "RequestTimeout"},
		{"NoSuchBucket", refuse(http.StatusNotFound, "NoSuchBucket"), "bucket lake does not exist"},
		{"ExpiredToken", refuse(http.StatusBadRequest, "ExpiredToken"), "the credentials have expired"},
		{"InvalidAccessKeyId", refuse(http.StatusForbidden, "InvalidAccessKeyId"), "the credentials were refused"},
		{"AccessDenied", refuse(http.StatusForbidden, "AccessDenied"), "access denied"},
		{"Reset", hangUp(true), "lake"},
		{"HungUp", hangUp(false), "lake"},
		{"Torn", tear, "lake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s3.fault.Store(&c.fault)
			send()
			for _, name := range []string{"a", "b"} {
				st := await(t, db, name, func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
				if got := fmt.Sprint(st.Reason); !strings.Contains(got, c.because) || st.Since.IsZero() {
					t.Errorf("stream %s is RETRYING since %v because %s, want %q", name, st.Since, got, c.because)
				}
			}
			send() // also what comes meanwhile
			s3.fault.Store(nil)
			landed()
		})
	}
	want := fmt.Sprintf("%d|%[1]d|%d", sent, sent-1)
	for _, table := range []string{"ice.t", "folders.t"} {
		if got := query(t, db, "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM "+table); got[0] != want {
			t.Errorf("%s has %s, want %s", table, got[0], want)
		}
	}
}
