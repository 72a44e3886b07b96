package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/objectstore/faultstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// fakeS3 serves a bucket "lake"; before may answer a request itself.
func fakeS3(t *testing.T, before func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server() // clocks are for tests to check
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func s3Config(endpoint, uri string) objectstore.Config {
	return objectstore.Config{
		URI: uri, Endpoint: endpoint, AccessKeyID: "key", SecretAccessKey: "hush-hush", PartBytes: 5 << 20,
	}
}

func openStore(t *testing.T, cfg objectstore.Config) objectstore.Store {
	t.Helper()
	s, err := objectstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stores runs a test over a local folder, a bucket and a faultless fault store.
func stores(t *testing.T, f func(t *testing.T, s objectstore.Store)) {
	t.Run("local", func(t *testing.T) { f(t, openStore(t, objectstore.Config{URI: t.TempDir()})) })
	t.Run("s3", func(t *testing.T) { f(t, openStore(t, s3Config(fakeS3(t, nil), "s3://lake/ware/house"))) })
	t.Run("fault", func(t *testing.T) {
		f(t, faultstore.New(openStore(t, objectstore.Config{URI: t.TempDir()}), nil))
	})
}

// S3 may answer with a page of nothing though there is more, as where many objects
// were deleted in a bucket that keeps their versions; who lists goes on behind the
// last key, of which there was none.
func TestS3_ListEmptyPages(t *testing.T) {
	url := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		if q.Get("list-type") != "2" {
			return false
		}
		if q.Get("continuation-token") == "behind" {
			q.Del("continuation-token")
			r.URL.RawQuery = q.Encode()
			return false
		}
		fmt.Fprint(w, `<ListBucketResult><Name>lake</Name><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>behind</NextContinuationToken></ListBucketResult>`)
		return true
	})
	s := openStore(t, s3Config(url, "s3://lake"))
	if _, err := s.Put(t.Context(), "a", []byte("x"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	infos, _, err := s.List(t.Context(), "", "", 0)
	if err != nil || len(infos) != 1 || infos[0].Key != "a" {
		t.Errorf("%v, %v", infos, err)
	}
}

// Servers that are not AWS may give the place of the next page as an empty element
// where there is none.
func TestS3_ListNoNextPage(t *testing.T) {
	var more atomic.Bool
	url := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprintf(w, `<ListBucketResult><Name>lake</Name><IsTruncated>%t</IsTruncated><NextContinuationToken></NextContinuationToken></ListBucketResult>`, more.Load())
		return true
	})
	s := openStore(t, s3Config(url, "s3://lake"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if infos, again, err := s.List(ctx, "", "", 0); err != nil || len(infos) != 0 || again {
		t.Errorf("%v, %v, %v", infos, again, err)
	}
	more.Store(true)
	if _, _, err := s.List(ctx, "", "", 0); err == nil || ctx.Err() != nil {
		t.Errorf("more, but nowhere: %v", err)
	}
}

func TestStore(t *testing.T) {
	stores(t, func(t *testing.T, s objectstore.Store) {
		ctx := t.Context()
		if err := s.Check(ctx); err != nil {
			t.Fatalf("Check: %v", err)
		}
		if infos, more, err := s.List(ctx, "", "", 0); err != nil || len(infos) != 0 || more {
			t.Fatalf("List of a new store = %v, %v, %v", infos, more, err)
		}
		if _, err := s.Head(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Head of a missing object: %v", err)
		}
		if _, err := s.Get(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get of a missing object: %v", err)
		}
		if _, err := s.Open(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open of a missing object: %v", err)
		}
		if _, err := s.Put(ctx, "a/b", []byte("hello"), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if info, err := s.Head(ctx, "a/b"); err != nil || info.Size != 5 || info.Key != "a/b" || info.ETag == "" {
			t.Errorf("Head = %+v, %v", info, err)
		}
		if data, err := s.Get(ctx, "a/b"); err != nil || string(data) != "hello" {
			t.Errorf("Get = %q, %v", data, err)
		}
		r, err := s.Open(ctx, "a/b")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		p := make([]byte, 3)
		if n, err := r.ReadAt(p, 1); n != 3 || err != nil || string(p) != "ell" {
			t.Errorf("ReadAt(1) = %d, %v, %q", n, err, p)
		}
		if n, err := r.ReadAt(p, 4); n != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt(4) = %d, %v", n, err)
		}
		if n, err := r.ReadAt(p, 9); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt(9) = %d, %v", n, err)
		}
		key, err := s.Key(s.URI("a/b"))
		if err != nil || key != "a/b" {
			t.Errorf("Key(URI(a/b)) = %q, %v", key, err)
		}
		if err := s.Delete(ctx, "a/b", "a/none"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if err := s.Delete(ctx, "a/b"); err != nil {
			t.Errorf("Delete again: %v", err)
		}
		if _, err := s.Head(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Head after Delete: %v", err)
		}
	})
}

func TestStore_List(t *testing.T) {
	stores(t, func(t *testing.T, s objectstore.Store) {
		ctx := t.Context()
		keys := []string{"a", "a-b/x", "a.b", "a/1", "a/2/3", "ab/4", "b/5"}
		for _, key := range keys {
			if _, err := s.Put(ctx, key, []byte(key), objectstore.PutOptions{}); err != nil {
				// A folder cannot be beside a file of its name.
				if key != "a" && strings.HasPrefix(s.URI(""), "file:") {
					t.Fatal(err)
				}
			}
			if key == "a" {
				if err := s.Delete(ctx, "a"); err != nil {
					t.Fatal(err)
				}
			}
		}
		keys = keys[1:]
		f := func(prefix, after string, limit int) {
			t.Helper()
			var want []string
			for _, key := range keys {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			slices.Sort(want)
			var got []string
			for page := 0; ; page++ {
				infos, more, err := s.List(ctx, prefix, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, info := range infos {
					got = append(got, info.Key)
					after = info.Key
				}
				if !more {
					break
				}
				if page > 10 {
					t.Fatal("List never ends")
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("List(%q, …) = %q, want %q", prefix, got, want)
			}
		}
		f("", "", 0)
		f("", "", 2)
		f("a/", "", 0)
		f("a", "", 3)
		f("a", "a-b/x", 1)
		f("a/", "a/1", 0)
		f("none/", "", 0)
	})
}

func TestStore_IfNoneMatch(t *testing.T) {
	f := func(t *testing.T, s objectstore.Store) {
		var won atomic.Int32
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				_, err := s.Put(t.Context(), "log/1", fmt.Append(nil, i), objectstore.PutOptions{IfNoneMatch: true})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, fs.ErrExist) && !sqlerror.IsRetryable(err) {
					t.Errorf("Put: %v", err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Errorf("%d writers won the key, want 1", won.Load())
		}
	}
	t.Run("local", func(t *testing.T) { f(t, openStore(t, objectstore.Config{URI: t.TempDir()})) })
	t.Run("s3", func(t *testing.T) {
		// The fake checks the condition without holding a lock.
		var mu sync.Mutex
		var once atomic.Bool
		endpoint := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*" && once.Swap(true) {
				w.WriteHeader(http.StatusPreconditionFailed)
				io.WriteString(w, "<Error><Code>PreconditionFailed</Code></Error>")
				return true
			}
			return false
		})
		f(t, openStore(t, s3Config(endpoint, "s3://lake")))
	})
}

func TestWriter(t *testing.T) {
	stores(t, func(t *testing.T, s objectstore.Store) {
		ctx := t.Context()
		random := rand.New(rand.NewPCG(1, 2))
		for _, size := range []int{0, 1, 100_000, 5 << 20, 11<<20 + 3} {
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			key := fmt.Sprintf("data/p=%d/file", size)
			w, err := s.Create(ctx, key, objectstore.WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(300_000))
				piece := bytes.Clone(rest[:n])
				if err := w.Write(ctx, piece); err != nil {
					t.Fatal(err)
				}
				clear(piece) // the writer may not keep it
				rest = rest[n:]
			}
			if w.Buffered() > 24<<20 {
				t.Errorf("size %d: %d bytes buffered", size, w.Buffered())
			}
			if _, err := s.Head(ctx, key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("size %d: the object is there before Commit: %v", size, err)
			}
			info, err := w.Commit(ctx)
			if err != nil || info.Size != int64(size) {
				t.Fatalf("size %d: Commit = %+v, %v", size, info, err)
			}
			w.Abort()
			got, err := s.Get(ctx, key)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("size %d: read back %d bytes, %v", size, len(got), err)
			}
			w, err = s.Create(ctx, key+"2", objectstore.WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(ctx, data); err != nil {
				t.Fatal(err)
			}
			w.Abort()
			if _, err := w.Commit(ctx); err == nil {
				t.Error("Commit after Abort succeeded")
			}
			if _, err := s.Head(ctx, key+"2"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("size %d: an aborted object is there: %v", size, err)
			}
		}
	})
}

func TestLocal_LeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, objectstore.Config{URI: dir})
	ctx := t.Context()
	for i := range 3 {
		w, err := s.Create(ctx, "a/b/c", objectstore.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(ctx, make([]byte, 3<<20)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if _, err := w.Commit(ctx); err != nil {
				t.Fatal(err)
			}
		}
		w.Abort()
	}
	if _, err := s.Put(ctx, "a/once", nil, objectstore.PutOptions{IfNoneMatch: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "a/once", nil, objectstore.PutOptions{IfNoneMatch: true}); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second exclusive Put: %v", err)
	}
	if err := s.Delete(ctx, "a/b/c", "a/once"); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestS3_PartsAreRetried(t *testing.T) {
	var failures atomic.Int32
	endpoint := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") && failures.Add(1) <= 5 {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
			return true
		}
		return false
	})
	s := openStore(t, s3Config(endpoint, "s3://lake"))
	var told, healed atomic.Int32
	w, err := s.Create(t.Context(), "big", objectstore.WriterOptions{Retrying: func(err error) {
		if err != nil {
			told.Add(1)
		} else {
			healed.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), make([]byte, 6<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told.Load() == 0 || healed.Load() == 0 {
		t.Errorf("retrying was told %d failures and %d recoveries", told.Load(), healed.Load())
	}
}

func TestS3_ContextEndsUploads(t *testing.T) {
	endpoint := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	s := openStore(t, s3Config(endpoint, "s3://lake"))
	for _, size := range []int{10, 12 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		w, err := s.Create(ctx, "never", objectstore.WriterOptions{Retrying: func(err error) { cancel() }})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Write(ctx, make([]byte, size))
		if err == nil {
			_, err = w.Commit(ctx)
		}
		if err == nil {
			t.Errorf("size %d: the upload succeeded", size)
		}
		w.Abort()
		cancel()
	}
}

func TestS3_LostAnswerOfComplete(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server() // clocks are for tests to check
	var completes atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && completes.Add(1) == 1 {
			handler.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusGatewayTimeout)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := openStore(t, s3Config(server.URL, "s3://lake"))
	w, err := s.Create(t.Context(), "k", objectstore.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), make([]byte, 6<<20)); err != nil {
		t.Fatal(err)
	}
	info, err := w.Commit(t.Context())
	if err != nil || info.Size != 6<<20 {
		t.Fatalf("Commit = %+v, %v", info, err)
	}
}

func TestS3_Errors(t *testing.T) {
	f := func(code string, status int, want sqlerror.Code, retryable bool) {
		t.Helper()
		endpoint := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
			return true
		})
		s := openStore(t, s3Config(endpoint, "s3://lake/x"))
		_, _, err := s.List(t.Context(), "", "", 0)
		e := sqlerror.As(err)
		if e == nil || e.Code != want || e.Kind != sqlerror.External || e.Retryable != retryable || e.Hint == "" {
			t.Errorf("%s: %#v", code, err)
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error shows a secret: %v", code, err)
		}
	}
	f("NoSuchBucket", 404, sqlerror.CodeUnknownObject, true)
	f("AccessDenied", 403, sqlerror.CodeAuth, true)
	f("InvalidAccessKeyId", 403, sqlerror.CodeAuth, true)
	f("SignatureDoesNotMatch", 403, sqlerror.CodeAuth, true)
	f("ExpiredToken", 400, sqlerror.CodeAuth, true)
	f("PermanentRedirect", 301, sqlerror.CodeExternal, false)

	s := openStore(t, s3Config(fakeS3(t, nil), "s3://nothere/x"))
	if e := sqlerror.As(s.Check(t.Context())); e == nil || e.Code != sqlerror.CodeUnknownObject || !strings.Contains(e.Error(), "nothere") {
		t.Errorf("missing bucket: %v", e)
	}
}

func TestOpen_BadConfig(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	f := func(cfg objectstore.Config, want string) {
		t.Helper()
		_, err := objectstore.Open(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%+v) = %v, want an error with %q", cfg, err, want)
		}
	}
	f(objectstore.Config{URI: "s3://b"}, "region")
	f(objectstore.Config{URI: "s3://b", Region: "eu-west-1", SSE: "x"}, "sse")
	f(objectstore.Config{URI: "s3://b", Region: "eu-west-1", KMSKey: "x"}, "kms_key")
	f(objectstore.Config{URI: "s3://b", Region: "eu-west-1", AccessKeyID: "x"}, "secret_access_key")
	f(objectstore.Config{URI: "s3:///x"}, "bucket")
	f(objectstore.Config{URI: "gs://b/x"}, "scheme")
	f(objectstore.Config{URI: "file://host/x"}, "machine")
	f(objectstore.Config{URI: "/a/../b"}, "..")
	f(objectstore.Config{URI: "s3://b/a/../b"}, "folder")
	f(objectstore.Config{URI: "/a%20b"}, "%")
	f(objectstore.Config{URI: ""}, "empty")
}

func TestParseLocation(t *testing.T) {
	f := func(uri, want string) {
		t.Helper()
		l, err := objectstore.ParseLocation(uri)
		if err != nil || l.String() != want {
			t.Errorf("ParseLocation(%q) = %q, %v, want %q", uri, l, err, want)
		}
	}
	f("s3://b", "s3://b")
	f("s3://b/", "s3://b")
	f("s3a://b/x/y/", "s3://b/x/y")
	f("/x/y/", "file:///x/y")
	f("/x/a=%2F?#/y", "file:///x/a=%2F?#/y")
	f("s3://b/a=%2F", "s3://b/a=%2F")
	f("file:///x/y", "file:///x/y")
	f("file:/x/y", "file:///x/y")
	f("file://localhost/x", "file:///x")
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "..", "a\\..\\b", "a\x00", "\xff", strings.Repeat("k", 1025)} {
		if objectstore.CheckKey(key) == nil {
			t.Errorf("CheckKey(%q) accepted it", key)
		}
	}
	for _, key := range []string{"a", "a/b..c/d", "...", "ü/ö"} {
		if err := objectstore.CheckKey(key); err != nil {
			t.Errorf("CheckKey(%q): %v", key, err)
		}
	}
	outside := t.TempDir()
	s := openStore(t, objectstore.Config{URI: t.TempDir()})
	if _, err := s.Key("file://" + outside + "/x"); err == nil {
		t.Error("a key outside the root was accepted")
	}
	if _, err := s.Put(t.Context(), "../x", nil, objectstore.PutOptions{}); err == nil {
		t.Error("Put outside the root succeeded")
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, s := range []string{"s3://b/x", "/x/y", "file:///a", "s3://b/../c", "a/b", "s3://", "file:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		l, err := objectstore.ParseLocation(uri)
		if err != nil {
			return
		}
		again, err := objectstore.ParseLocation(l.String())
		if err != nil || again != l {
			t.Errorf("%q became %q, which became %q, %v", uri, l, again, err)
		}
		if slices.Contains(strings.Split(l.Path, "/"), "..") {
			t.Errorf("%q kept its ..: %q", uri, l)
		}
	})
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		tries := 0
		err := objectstore.Retry(t.Context(), func(err error) { told = append(told, err) }, func(context.Context) error {
			if tries++; tries < 30 {
				return sqlerror.Externalf(sqlerror.CodeExternal, "try %d", tries)
			}
			return nil
		})
		if err != nil || tries != 30 || len(told) != 30 || told[29] != nil {
			t.Errorf("Retry = %v after %d tries, told %d", err, tries, len(told))
		}
		final := sqlerror.Externalf(sqlerror.CodeExternal, "no").Final()
		tries = 0
		if err := objectstore.Retry(t.Context(), nil, func(context.Context) error { tries++; return final }); !errors.Is(err, final) || tries != 1 {
			t.Errorf("a final error was tried %d times: %v", tries, err)
		}
		var b objectstore.Backoff
		for i := range 40 {
			if d := b.Next(); d <= 0 || d > 10e9 || i > 10 && d < 5e9 {
				t.Errorf("pause %d is %v", i, d)
			}
		}
	})
}

func TestFaultStore(t *testing.T) {
	dir := t.TempDir()
	open := func(inject func(faultstore.Call) faultstore.Fault) *faultstore.Store {
		return faultstore.New(openStore(t, objectstore.Config{URI: dir}), inject)
	}
	put := func(s objectstore.Store, key string) error {
		_, err := s.Put(t.Context(), key, []byte("12345678"), objectstore.PutOptions{})
		return err
	}
	size := func(key string) int64 {
		info, err := os.Stat(filepath.Join(dir, key))
		if err != nil {
			return -1
		}
		return info.Size()
	}
	f := func(key string, fault faultstore.Fault, want int64) {
		t.Helper()
		s := open(func(faultstore.Call) faultstore.Fault { return fault })
		if err := put(s, key); err == nil || sqlerror.IsRetryable(err) != (fault != faultstore.Crash && fault != faultstore.CrashAfter) {
			t.Errorf("fault %d: %v", fault, err)
		}
		if got := size(key); got != want {
			t.Errorf("fault %d left %d bytes, want %d", fault, got, want)
		}
	}
	f("a", faultstore.FailBefore, -1)
	f("b", faultstore.FailAfter, 8)
	f("c", faultstore.Torn, 4)
	f("d", faultstore.Crash, -1)
	f("e", faultstore.CrashAfter, 8)

	s := open(faultstore.CrashAt(1, true))
	if err := put(s, "f"); err != nil {
		t.Fatal(err)
	}
	if put(s, "g") == nil || put(s, "h") == nil || size("g") != 8 || size("h") != -1 || !s.Dead() || len(s.Calls()) != 2 {
		t.Errorf("crash at 1: g %d, h %d bytes, %v", size("g"), size("h"), s.Calls())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = open(func(faultstore.Call) faultstore.Fault { return faultstore.Hang })
	if _, err := s.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a hanging call returned %v", err)
	}
}

func TestS3_UploadExpiry(t *testing.T) {
	f := func(rules string, want time.Duration) {
		t.Helper()
		s := openStore(t, s3Config(fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("lifecycle") {
				return false
			}
			if rules == "" {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, "<Error><Code>NoSuchLifecycleConfiguration</Code></Error>")
				return true
			}
			_, _ = io.WriteString(w, "<LifecycleConfiguration>"+rules+"</LifecycleConfiguration>")
			return true
		}), "s3://lake"))
		got, err := s.(objectstore.UploadExpirer).UploadExpiry(t.Context())
		if err != nil || got != want {
			t.Errorf("UploadExpiry = %s, %v; want %s", got, err, want)
		}
	}
	rule := func(status string, days int) string {
		return fmt.Sprintf("<Rule><Status>%s</Status><Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>%d</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>", status, days)
	}
	f("", 0)
	f("<Rule><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>", 0)
	f(rule("Disabled", 1), 0)
	f(rule("Enabled", 9)+rule("Enabled", 2)+rule("Disabled", 1), 48*time.Hour)
}
