package files_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
	"github.com/leatdb/leat/sql/sqlerror"
)

// fakeBucket serves the bucket "b" to readers, and lets a test say what ETags
// and times its objects have.
type fakeBucket struct {
	url string

	mu      sync.Mutex
	objects map[string]fakeObject
	lists   []string                           // the start-after of each listing
	gets    []string                           // key and range of each read
	refuse  func(r *http.Request) (status int) // 0 lets a request pass
}

type fakeObject struct {
	content, etag string
	modified      time.Time
}

func newFakeBucket(t *testing.T) *fakeBucket {
	t.Helper()
	b := &fakeBucket{objects: map[string]fakeObject{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *fakeBucket) put(key, content string) { b.putAs(key, content, "", time.Now()) }

func (b *fakeBucket) putAs(key, content, etag string, modified time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if etag == "" {
		sum := md5.Sum([]byte(content))
		etag = hex.EncodeToString(sum[:])
	}
	b.objects[key] = fakeObject{content, `"` + etag + `"`, modified.UTC().Truncate(time.Second)}
}

func (b *fakeBucket) remove(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
}

type listResult struct {
	XMLName     xml.Name `xml:"ListBucketResult"`
	IsTruncated bool
	Contents    []listed
}

type listed struct {
	Key, ETag, LastModified string
	Size                    int
}

// ServeHTTP implements http.Handler.
func (b *fakeBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		if status := b.refuse(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	key, _ := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/b"), "/")
	q := r.URL.Query()
	if key == "" {
		b.lists = append(b.lists, q.Get("start-after"))
		limit, _ := strconv.Atoi(q.Get("max-keys"))
		var out listResult
		for _, k := range slices.Sorted(maps.Keys(b.objects)) {
			if !strings.HasPrefix(k, q.Get("prefix")) || k <= q.Get("start-after") {
				continue
			}
			if len(out.Contents) == min(limit, 7) { // small pages
				out.IsTruncated = true
				break
			}
			o := b.objects[k]
			out.Contents = append(out.Contents, listed{k, o.etag, o.modified.Format(time.RFC3339), len(o.content)})
		}
		_ = xml.NewEncoder(w).Encode(out)
		return
	}
	o, ok := b.objects[key]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if match := r.Header.Get("If-Match"); match != "" && match != o.etag {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	if r.Method == http.MethodGet {
		b.gets = append(b.gets, key+" "+r.Header.Get("Range"))
	}
	w.Header().Set("ETag", o.etag)
	http.ServeContent(w, r, key, o.modified, strings.NewReader(o.content))
}

// options are those that read the bucket.
func (b *fakeBucket) options(path string, more ...string) []string {
	return append([]string{"path", "s3://b" + path, "endpoint", b.url, "access_key_id", "id", "secret_access_key", "hush"}, more...)
}

// openBucket opens a source as a stream does that has committed known.
func openBucket(t *testing.T, b *fakeBucket, known connectors.Positions, path string, more ...string) *reader {
	t.Helper()
	return open(t, 1, known, b.options(path, more...)...)
}

func TestBucket_Once(t *testing.T) {
	b := newFakeBucket(t)
	for i := range 20 {
		b.put(fmt.Sprintf("in/dt=2024-01-%02d/x.json", i+1), numbered(i*10, i*10+10))
	}
	b.put("in/a.json.gz", gz("1\n")+gz("2"))
	b.put("in/_tmp/no.json", "no\n")
	b.put("in/.hidden", "no\n")
	b.put("in/dt=2024-01-01/", "")
	b.put("in2/no.json", "no\n")
	r := openBucket(t, b, nil, "/in")
	defer r.close()
	r.readAll()
	if len(r.lines) != 21 {
		t.Errorf("read %q", slices.Sorted(maps.Keys(r.lines)))
	}
	r.want("a.json.gz", "1", "2")
	r.want("dt=2024-01-20/x.json", strings.Split(strings.TrimSpace(numbered(190, 200)), "\n")...)
	if p := r.src.Progress(); p.BytesRead != p.BytesTotal || p.BytesRead == 0 || p.Finished != 21 || p.Splits != 21 {
		t.Errorf("progress %+v", p)
	}
	if n := len(b.gets); n != 21 {
		t.Errorf("%d reads for 21 objects: %q", n, b.gets)
	}
}

func TestBucket_Path(t *testing.T) {
	b := newFakeBucket(t)
	for _, k := range []string{"a.json", "x/a.json", "x/y/a.json", "x/y/b.csv", "xx/a.json"} {
		b.put(k, "1\n")
	}
	f := func(path string, want ...string) {
		t.Helper()
		r := tryOpen(t, 1, b.options(path)...)
		defer r.close()
		if ids := r.discover(true, nil); !slices.Equal(ids, want) {
			t.Errorf("%s: %q, want %q", path, ids, want)
		}
	}
	f("", "a.json", "x/a.json", "x/y/a.json", "x/y/b.csv", "xx/a.json")
	f("/", "a.json", "x/a.json", "x/y/a.json", "x/y/b.csv", "xx/a.json")
	f("/x", "a.json", "y/a.json", "y/b.csv")
	f("/x/y/", "a.json", "b.csv")
	f("/x/y/b.csv", "b.csv")
	f("/*/a.json", "x/a.json", "xx/a.json")
	f("/x/**/*.json", "a.json", "y/a.json")
	f("/**/*.csv", "x/y/b.csv")
	r := tryOpen(t, 1, b.options("/x", "recursive", "no")...)
	defer r.close()
	if ids := r.discover(true, nil); !slices.Equal(ids, []string{"a.json"}) {
		t.Errorf("not recursive: %q", ids)
	}
}

func TestBucket_Check(t *testing.T) {
	b := newFakeBucket(t)
	b.put("a/x.json", "1\n")
	f := func(want string, options ...string) {
		t.Helper()
		err := files.Connector.Check(t.Context(), connectors.SourceConfig{Name: "logs", Options: files.Connector.Spec.MustOptions(options...)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", options, err, want)
		}
	}
	f("", b.options("/a")...)
	f("", b.options("/none", "mode", "tail")...)
	f("no file matches s3://b/none", b.options("/none")...)
	f("is no pattern", b.options("/[a")...)
	f("needs mode = 'tail'", b.options("/a", "listing", "growing")...)
	f(`option "region" needs a path that begins with s3://`, "path", t.TempDir(), "region", "x")
	b.refuse = func(*http.Request) int { return http.StatusForbidden }
	f("access denied", b.options("/a")...)
}

func TestBucket_ResumesWithinAnObject(t *testing.T) {
	b := newFakeBucket(t)
	content := numbered(0, 800_000) // more than one range
	b.put("big", content)
	b.put("big.gz", gz(content))
	got := map[string]*strings.Builder{"big": {}, "big.gz": {}}
	var known connectors.Positions
	for end := false; !end; {
		r := openBucket(t, b, known, "", "chunk_bytes", "1MiB")
		for range 4 {
			err := r.poll(0)
			if end = errors.Is(err, io.EOF); end {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got[r.chunk.Split].Write(r.chunk.Data)
		}
		known = r.commit()
		r.close()
	}
	for id, text := range got {
		if text.String() != content {
			t.Errorf("%s: %d bytes, want %d", id, text.Len(), len(content))
		}
	}
	if len(content) <= 8<<20 {
		t.Fatal("the object has one range only")
	}
}

func TestBucket_EachObjectOnce(t *testing.T) {
	b := newFakeBucket(t)
	b.put("a", numbered(0, 100))
	b.put("b", gz(numbered(100, 200)))
	r := openBucket(t, b, nil, "")
	r.readAll()
	r.commit()
	known := r.src.Positions()
	r.close()

	again := func(want string, more ...string) {
		t.Helper()
		r := openBucket(t, b, known, "", more...)
		defer r.close()
		r.readAll()
		if got := strings.Join(slices.Sorted(maps.Keys(r.lines)), " "); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
		r.commit()
		known = r.src.Positions()
	}
	b.gets = nil
	again("")
	b.putAs("a", numbered(0, 100), "", time.Now().Add(time.Hour)) // copied onto itself
	again("")
	if len(b.gets) > 0 {
		t.Errorf("objects of known ETags were read: %q", b.gets)
	}
	b.putAs("a", numbered(0, 100), "copied-in-parts-2", time.Now().Add(2*time.Hour))
	b.putAs("b", gz(numbered(100, 200)), "copied-in-parts-3", time.Now().Add(2*time.Hour))
	again("")
	b.gets = nil
	again("")
	if len(b.gets) > 0 {
		t.Errorf("re-stamped objects were read again after they were compared: %q", b.gets)
	}

	b.put("a", strings.Replace(numbered(0, 100), "50", "51", 1)) // as long as before
	r = tryOpen(t, 1, b.options("")...)
	_, err := r.tryDiscover(false, known)
	if e := sqlerror.As(err); e == nil || sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), "file a changed after it was read") {
		t.Errorf("changed object: %v", err)
	}
	r.close()
	again("", "on_changed_object", "skip")
	again("") // it was noted
	b.put("b", "new\n")
	again("b", "on_changed_object", "reread")
	again("")
}

func TestBucket_ChangedWhileItIsRead(t *testing.T) {
	f := func(policy, want string) {
		t.Helper()
		b := newFakeBucket(t)
		b.put("a", numbered(0, 5000))
		r := openBucket(t, b, nil, "", "chunk_bytes", "1024")
		if err := r.poll(0); err != nil {
			t.Fatal(err)
		}
		known := r.commit()
		r.close()
		b.put("a", "other\n")
		r = openBucket(t, b, known, "", "on_changed_object", policy)
		defer r.close()
		err := r.poll(0)
		switch {
		case err == nil:
			if got := strings.Join(r.lines["a"], ","); got != want {
				t.Errorf("%s: read %q, want %q", policy, got, want)
			}
			r.readAll()
		case errors.Is(err, io.EOF):
			if lost := r.src.(connectors.DataLossRecorder).TakeDataLoss(); want != "" || len(lost) != 1 {
				t.Errorf("%s: nothing read, lost %v", policy, lost)
			}
		case !strings.Contains(err.Error(), want) || sqlerror.IsRetryable(err):
			t.Errorf("%s: %v", policy, err)
		}
	}
	f("fail", "file a changed after reading of it began")
	f("skip", "")
	f("reread", "other")
}

// An object that changed between listing and reading is read as it is now.
func TestBucket_ChangedBeforeItIsRead(t *testing.T) {
	b := newFakeBucket(t)
	b.put("a", "1\n")
	b.put("b", "2\n")
	r := openBucket(t, b, nil, "")
	defer r.close()
	b.put("a", "3\n4\n")
	r.readAll()
	r.want("a", "3", "4")
	r.want("b", "2")
}

func TestBucket_FailedReadsAreRepeated(t *testing.T) {
	b := newFakeBucket(t)
	content := numbered(0, 3000)
	b.put("a", content)
	b.put("b", gz(content))
	failures := 0
	b.refuse = func(r *http.Request) int {
		if r.Header.Get("Range") != "" && failures < 10 {
			failures++
			return http.StatusForbidden // a permission that is granted later; the SDK does not repeat it
		}
		return 0
	}
	r := openBucket(t, b, nil, "")
	defer r.close()
	for {
		err := r.poll(0)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !sqlerror.IsRetryable(err) {
			t.Fatal(err)
		}
	}
	for id, lines := range r.lines {
		if strings.Join(lines, "\n")+"\n" != content {
			t.Errorf("%s: %d lines", id, len(lines))
		}
	}
	if failures != 10 {
		t.Errorf("%d failures", failures)
	}
}

func TestBucket_VanishedObject(t *testing.T) {
	b := newFakeBucket(t)
	b.put("a", "1\n")
	b.put("b", "2\n")
	r := openBucket(t, b, nil, "", "on_data_loss", "skip")
	defer r.close()
	b.remove("a")
	r.readAll()
	r.want("b", "2")
	if lost := r.src.(connectors.DataLossRecorder).TakeDataLoss(); len(lost) != 1 || lost[0].Split != "a" {
		t.Errorf("lost %v", lost)
	}
}

func TestBucket_Tail(t *testing.T) {
	b := newFakeBucket(t)
	b.put("2024/01", "1\n")
	r := openBucket(t, b, nil, "", "mode", "tail")
	defer r.close()
	poll := func() {
		t.Helper()
		for want := len(b.objects); len(r.lines) < want; {
			if err := r.poll(0); err != nil {
				t.Fatal(err)
			}
		}
	}
	poll()
	known := r.commit()
	b.put("2024/02", "2") // objects are whole, also without a line break at the end
	ends, err := r.src.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.src.Reached("2024/02", known["2024/02"], ends["2024/02"]) {
		t.Error("reached before it was read")
	}
	r.discover(false, known)
	poll()
	r.want("2024/01", "1")
	r.want("2024/02", "2")
	for id, end := range ends {
		if !r.src.Reached(id, r.src.Positions()[id], end) {
			t.Errorf("%s has not reached %s", id, end)
		}
	}
	r.commit()
	if p := r.src.Positions(); len(p) != 1 {
		t.Errorf("positions %v", p)
	}
}

func TestBucket_GrowingListing(t *testing.T) {
	b := newFakeBucket(t)
	old := time.Now().Add(-2 * time.Hour)
	for i := range 30 {
		b.putAs(fmt.Sprintf("in/%03d", i), numbered(i, i+1), "", old)
	}
	options := []string{"mode", "tail", "listing", "growing", "lookback", "1h", "discovery_interval", "1s"}
	read := func(known connectors.Positions, n int) connectors.Positions {
		t.Helper()
		r := openBucket(t, b, known, "/in", options...)
		defer r.close()
		for len(r.lines) < n {
			if err := r.poll(0); err != nil {
				t.Fatal(err)
			}
		}
		known = r.commit()
		r.discover(false, known)
		return r.src.Positions()
	}
	known := read(nil, 30)
	if ledger := string(known["/finished"]); !strings.Contains(ledger, `"finished":0`) || !strings.Contains(ledger, `"after":"029"`) {
		t.Errorf("ledger %s", ledger)
	}
	b.mu.Lock()
	b.lists = nil
	b.mu.Unlock()
	b.put("in/031", "1\n") // young: what comes before it is still looked for
	b.putAs("in/005x", "late\n", "", old)
	known = read(known, 1)
	if !slices.Contains(b.lists, "in/029") || slices.Contains(b.lists, "") && b.lists[0] == "" && len(b.lists) > 4 {
		t.Errorf("listed from %q", b.lists)
	}
	b.put("in/030", "2\n")
	known = read(known, 1)
	if ledger := string(known["/finished"]); !strings.Contains(ledger, `"finished":2`) || !strings.Contains(ledger, `"after":"029"`) {
		t.Errorf("ledger %s", ledger)
	}
}

func TestBucket_PollEndsWithItsContext(t *testing.T) {
	b := newFakeBucket(t)
	b.put("a", "1\n")
	release := make(chan struct{})
	asked := make(chan struct{}, 10)
	r := openBucket(t, b, nil, "")
	b.mu.Lock()
	b.refuse = func(r *http.Request) int {
		asked <- struct{}{}
		<-release
		return 0
	}
	b.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		var c connectors.Chunk
		done <- r.src.Poll(ctx, 0, &c)
	}()
	<-asked
	cancel()
	if err := <-done; !errors.Is(err, ctx.Err()) {
		t.Errorf("Poll: %v", err)
	}
	close(release)
	r.readAll()
	r.want("a", "1")
	r.close()
}

func TestOrder_ByTime(t *testing.T) {
	b := newFakeBucket(t)
	now := time.Now()
	b.putAs("a", "3\n", "", now)
	b.putAs("b", "1\n", "", now.Add(-2*time.Hour))
	b.putAs("c", "2\n", "", now.Add(-time.Hour))
	f := func(order, want string) {
		t.Helper()
		r := openBucket(t, b, nil, "", "order", order)
		defer r.close()
		var got []string
		for {
			err := r.poll(0)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parts(&r.chunk) {
				got = append(got, p.Split)
			}
		}
		if strings.Join(got, "") != want {
			t.Errorf("%s: %q, want %s", order, got, want)
		}
	}
	f("time", "bca")
	f("name", "abc")
}

func TestLocal_ChangedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "a", numbered(0, 10))
		r := open(t, 1, nil, "path", dir)
		r.readAll()
		r.commit()
		known := r.src.Positions()
		r.close()
		write(t, dir, "a", numbered(20, 30))
		time.Sleep(time.Second)
		r = tryOpen(t, 1, "path", dir, "on_changed_object", "fail")
		if _, err := r.tryDiscover(false, known); err == nil || !strings.Contains(err.Error(), "changed after it was read") {
			t.Errorf("error %v", err)
		}
		r.close()
		r = open(t, 1, known, "path", dir, "on_changed_object", "skip")
		r.readAll()
		r.want("a")
		r.close()
	})
}

// An object that is deleted between its listing and its reading is a loss that says
// so.
func TestBucket_DeletedBeforeItWasRead(t *testing.T) {
	b := newFakeBucket(t)
	f := func(more ...string) (*reader, error) {
		t.Helper()
		b.put("in/a", "1\n")
		b.put("in/b", "2\n")
		r := openBucket(t, b, nil, "/in/", more...)
		b.remove("in/a")
		for {
			if err := r.poll(0); err != nil {
				return r, err
			}
		}
	}
	const reason = "the file was deleted after it was listed, before anything of it was read"
	r, err := f()
	defer r.close()
	if e := sqlerror.As(err); e == nil || e.Code != sqlerror.CodeDataLoss || !strings.Contains(e.Error(), reason) || !strings.Contains(e.Hint, "put the file back") {
		t.Errorf("%v", err)
	}
	skips, err := f("on_data_loss", "skip")
	defer skips.close()
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	skips.want("b", "2")
	if lost := skips.src.(connectors.DataLossRecorder).TakeDataLoss(); len(lost) != 1 || lost[0].Split != "a" || lost[0].Reason != reason {
		t.Errorf("lost %+v", lost)
	}
}
