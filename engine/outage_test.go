package engine_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/leatdb/leat/catalog/glue/gluetest"
	"github.com/leatdb/leat/catalog/iceberg/resttest"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/internal/objectstore"
)

// flakyS3 is an S3 server in front of which faults can be switched on.
type flakyS3 struct {
	*httptest.Server
	inner http.Handler
	fault atomic.Pointer[http.HandlerFunc] // answers instead; nil is none
}

func startFlakyS3(t *testing.T, bucket string) *flakyS3 {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	s := &flakyS3{inner: gofakes3.New(backend).Server()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.fault.Load(); f != nil {
			(*f)(w, r)
			return
		}
		s.inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// holdReads lets who reads Parquet files wait until goOn is closed; reads is closed
// when the first has come.
func (s *flakyS3) holdReads() (reads <-chan struct{}, goOn chan<- struct{}) {
	begun, held := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	hold := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".parquet") {
			begin()
			<-held
		}
		s.inner.ServeHTTP(w, r)
	})
	s.fault.Store(&hold)
	return begun, held
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

// TestOutage_S3Silent lets a store take requests and not answer. Streams say so
// long before they give the requests up, and the same requests land the rows when
// it answers again; so does a source that reads from there.
func TestOutage_S3Silent(t *testing.T) {
	t.Parallel()
	s3 := startFlakyS3(t, "lake")
	db := open(t, t.TempDir())
	at := fmt.Sprintf("endpoint = '%s', region = 'us-east-1', path_style = 'true', access_key_id = 'k', secret_access_key = 's'", s3.URL)
	mustExec(t, db, "CREATE SOURCE src (id BIGINT) WITH (connector = 'push');"+
		"CREATE SINK ice WITH (connector = 's3', path = 's3://lake/ice', commit_interval = '20ms', "+at+");"+
		"CREATE SINK folders WITH (connector = 's3', path = 's3://lake/folders', table_format = 'hive', commit_interval = '20ms', "+at+");"+
		"CREATE STREAM a INTO ice.t AS SELECT id FROM src; CREATE STREAM b INTO folders.t AS SELECT id FROM src;"+
		"CREATE SOURCE objects (id BIGINT) WITH (connector = 'files', path = 's3://lake/in/', format = 'json', mode = 'tail', discovery_interval = '20ms', "+at+");"+
		"CREATE STREAM c AS SELECT id FROM objects;")
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	send := func(id int) {
		t.Helper()
		if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	landed := func(name string, n int64) {
		t.Helper()
		await(t, db, name, func(st engine.StreamStatus) bool {
			return st.State == "RUNNING" && st.Reason == nil && st.Committed.Counters.RowsLanded == n
		})
	}
	send(1)
	landed("a", 1)
	landed("b", 1)
	await(t, db, "c", func(st engine.StreamStatus) bool { return st.State == "RUNNING" })
	var refused atomic.Int64
	talks := make(chan struct{})
	silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-talks:
			s3.inner.ServeHTTP(w, r)
		case <-r.Context().Done():
			refused.Add(1)
		}
	})
	s3.fault.Store(&silent)
	send(2)
	begun := time.Now()
	for _, name := range []string{"a", "b", "c"} {
		st := await(t, db, name, func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
		if got := fmt.Sprint(st.Reason); !strings.Contains(got, "no byte has moved for 10s") || st.Since.Before(begun) {
			t.Errorf("stream %s is RETRYING since %v because %s", name, st.Since, got)
		}
	}
	s3.fault.Store(nil)
	close(talks)
	landed("a", 2)
	landed("b", 2)
	await(t, db, "c", func(st engine.StreamStatus) bool { return st.State == "RUNNING" && st.Reason == nil })
	// A machine that stands still itself may take longer than the requests wait.
	if n := refused.Load(); n > 0 && time.Since(begun) < 25*time.Second {
		t.Errorf("%d requests were given up within %v", n, time.Since(begun))
	}
}

// TestOutage_CatalogSilent lets catalogs take requests and not answer. Streams
// say so, and go on by themselves.
func TestOutage_CatalogSilent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "rest"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var silent atomic.Bool
	talks := make(chan struct{})
	serve := func(inner http.Handler) string {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if silent.Load() {
				select {
				case <-talks:
				case <-r.Context().Done():
					return
				}
			}
			inner.ServeHTTP(w, r)
		}))
		t.Cleanup(web.Close)
		return web.URL
	}
	glue := "catalog = 'glue', catalog_region = 'eu-central-1', access_key_id = 'id', secret_access_key = 'hush', catalog_endpoint = '" + serve(&gluetest.Server{}) + "'"
	sinks := map[string]string{
		"rest":    "catalog = 'rest', catalog_uri = '" + serve(&resttest.Server{Store: store}) + "'",
		"ice":     glue,
		"folders": "table_format = 'hive', " + glue,
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, "CREATE SOURCE src (id BIGINT, k VARCHAR(10)) WITH (connector = 'push')")
	for name, options := range sinks {
		mustExec(t, db, fmt.Sprintf("CREATE SINK %s WITH (connector = 's3', path = '%s/%[1]s', commit_interval = '20ms', %[3]s);"+
			"CREATE STREAM to_%[1]s INTO %[1]s.t PARTITIONED BY (k) AS SELECT id, k FROM src", name, dir, options))
	}
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	send := func(id int) {
		t.Helper()
		if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d,"k":"k%[1]d"}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	landed := func(n int64) {
		t.Helper()
		for name := range sinks {
			await(t, db, "to_"+name, func(st engine.StreamStatus) bool {
				return st.State == "RUNNING" && st.Reason == nil && st.Committed.Counters.RowsLanded == n
			})
		}
	}
	send(1)
	landed(1)
	silent.Store(true)
	send(2)
	for name := range sinks {
		st := await(t, db, "to_"+name, func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
		if got := fmt.Sprint(st.Reason); !strings.Contains(got, "no byte has moved for 10s") {
			t.Errorf("stream %s is RETRYING because %s", name, got)
		}
	}
	silent.Store(false)
	close(talks)
	landed(2)
	for name := range sinks {
		equal(t, name, query(t, db, "SELECT id, k FROM "+name+".t ORDER BY id"), "1|k1", "2|k2")
	}
}

// TestOutage_ShutDownMeanwhile closes an engine whose store has gone first, in
// the way that is noticed last: it ends soon, and what it could not commit lands
// once when both are there again.
func TestOutage_ShutDownMeanwhile(t *testing.T) {
	t.Parallel()
	s3 := startFlakyS3(t, "lake")
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	writeFile(t, filepath.Join(in, "1.ndjson"), `{"id":1}`+"\n")
	db := open(t, filepath.Join(dir, "data"))
	at := fmt.Sprintf("endpoint = '%s', region = 'us-east-1', path_style = 'true', access_key_id = 'k', secret_access_key = 's', commit_interval = '20ms'", s3.URL)
	mustExec(t, db, "CREATE SOURCE src (id BIGINT) WITH (connector = 'files', path = '"+in+"', format = 'json', mode = 'tail', discovery_interval = '20ms');"+
		"CREATE SINK ice WITH (connector = 's3', path = 's3://lake/ice', "+at+"); CREATE SINK folders WITH (connector = 's3', path = 's3://lake/folders', table_format = 'hive', "+at+");"+
		"CREATE STREAM a INTO ice.t AS SELECT id FROM src; CREATE STREAM b INTO folders.t AS SELECT id FROM src;")
	landed := func(db *engine.DB, n int64) {
		t.Helper()
		for _, name := range []string{"a", "b"} {
			await(t, db, name, func(st engine.StreamStatus) bool {
				return st.State == "RUNNING" && st.Committed.Counters.RowsLanded == n
			})
		}
	}
	landed(db, 1)
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go away
		<-r.Context().Done()
	})
	s3.fault.Store(&silent)
	writeFile(t, filepath.Join(in, "2.ndjson"), `{"id":2}`+"\n")
	for _, name := range []string{"a", "b"} {
		await(t, db, name, func(st engine.StreamStatus) bool { return st.Committed.Counters.RowsIn+st.InFlight.RowsIn == 2 })
	}
	begun := time.Now()
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if took := time.Since(begun); took > 45*time.Second {
		t.Errorf("closing took %v", took)
	}
	s3.fault.Store(nil)
	db = open(t, filepath.Join(dir, "data"))
	landed(db, 2)
	for _, table := range []string{"ice.t", "folders.t"} {
		equal(t, table, query(t, db, "SELECT id FROM "+table+" ORDER BY id"), "1", "2")
	}
}
