package lake_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// openConnector opens the registered sink connector by its options.
func openConnector(t *testing.T, dir string, pairs ...string) (connectors.Sink, error) {
	t.Helper()
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	var raw []connectors.RawOption
	for i := 0; i < len(pairs); i += 2 {
		raw = append(raw, connectors.RawOption{Name: pairs[i], Value: pairs[i+1]})
	}
	options, err := c.Spec.NewOptions(raw)
	if err != nil {
		return nil, err
	}
	return c.Open(t.Context(), connectors.SinkConfig{Name: "lake", DataDir: dir, Options: options})
}

// fakeS3 serves a bucket "lake".
func fakeS3(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestConnector_Options(t *testing.T) {
	dir := t.TempDir()
	f := func(want string, pairs ...string) {
		t.Helper()
		s, err := openConnector(t, dir, pairs...)
		if err == nil {
			s.Close()
			t.Errorf("%q was accepted", pairs)
			return
		}
		if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.User || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a user error with %q", pairs, err, want)
		}
	}
	f("path")
	f("did you mean \"path\"", "paht", "/x")
	f("none of", "path", dir, "table_format", "delta")
	f("is for catalog = 'glue'", "path", dir, "catalog_region", "x")
	f("is not for catalog = 'glue'", "path", dir, "catalog", "glue", "catalog_uri", "x")
	f("none of", "path", dir, "format", "orc")
	f("compression", "path", dir, "compression", "brotli")
	f("relative", "path", "x/y")
	f("scheme", "path", "gs://x/y")
	f("..", "path", "/a/../b")
	f("SQLite", "path", dir, "catalog_uri", "postgres://x")
	f("outside", "path", dir, "target_file_size", "1KB")
	s, err := openConnector(t, dir, "path", "file://"+dir+"/lake", "compression", "snappy", "catalog_uri", "sub/cat.db", "catalog_name", "other")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub/cat.db")); err != nil {
		t.Errorf("the catalog is not where catalog_uri says: %v", err)
	}
}

// TestConnector_CommitInterval has another default for folders, which nobody
// compacts.
func TestConnector_CommitInterval(t *testing.T) {
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	f := func(want time.Duration, pairs ...string) {
		t.Helper()
		own := c.StreamSpec.MustOptions()
		if got := c.Spec.MustOptions(append(pairs, "path", "/x")...).Over(own).Duration("commit_interval"); got != want {
			t.Errorf("%q: %s, want %s", pairs, got, want)
		}
	}
	f(10 * time.Second)
	f(10*time.Second, "table_format", "iceberg")
	f(time.Minute, "table_format", "hive")
	f(time.Second, "table_format", "hive", "commit_interval", "1s")
}

// TestSink_FormatsThatDoNotFit refuses options of files that do not go together.
func TestSink_FormatsThatDoNotFit(t *testing.T) {
	eachFormat(t, func(t *testing.T, newDir func() string) {
		dir := newDir()
		sink := openSink(t, dir, nil)
		c, err := connectors.LookupSink("s3")
		if err != nil {
			t.Fatal(err)
		}
		f := func(want string, pairs ...string) {
			t.Helper()
			spec := tripSpec("s1")
			spec.Options = c.StreamSpec.MustOptions(pairs...)
			_, err := sink.Stream(t.Context(), spec)
			if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.User || e.Hint == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", pairs, err, want)
			}
		}
		if formatOf(dir) == "iceberg" {
			f("needs plain folders", "format", "json")
			f("needs plain folders", "format", "csv")
		} else {
			f("snappy", "format", "json", "compression", "snappy")
			f("snappy", "format", "csv", "compression", "snappy")
			f("header", "format", "json", "header", "true")
		}
		f("header", "header", "false")
	})
}

func TestConnector_SecretsAreMarked(t *testing.T) {
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range c.Spec {
		secret := strings.Contains(o.Name, "secret") || strings.Contains(o.Name, "token") || strings.Contains(o.Name, "credential")
		if o.Secret != secret || o.Doc == "" {
			t.Errorf("option %s: secret %v, doc %q", o.Name, o.Secret, o.Doc)
		}
		if strings.Contains(o.Name, "commit") || o.Name == "snapshot_retention" || o.Name == "target_file_size" {
			if !o.Runtime || c.StreamSpec.Find(o.Name) == nil {
				t.Errorf("option %s cannot be altered for a stream", o.Name)
			}
		}
	}
}

func TestSink_CheckSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	answer := ""
	endpoint := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		if answer == "" {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", answer)
		return true
	})
	f := func(code sqlerror.Code, bucket, serverSays string) {
		t.Helper()
		answer = serverSays
		s, err := openConnector(t, dir, "path", "s3://"+bucket+"/warehouse", "endpoint", endpoint, "access_key_id", "AKIA", "secret_access_key", "hush-hush")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Check(t.Context())
		if code == "" {
			if err != nil {
				t.Errorf("%s %s: %v", bucket, serverSays, err)
			}
			return
		}
		e := sqlerror.As(err)
		if e == nil || e.Code != code || e.Kind != sqlerror.External || e.Hint == "" || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s %s: %v, want %s", bucket, serverSays, err, code)
		}
	}
	f("", "lake", "")
	f(sqlerror.CodeUnknownObject, "missing", "")
	f(sqlerror.CodeAuth, "lake", "InvalidAccessKeyId")
	f(sqlerror.CodeAuth, "lake", "SignatureDoesNotMatch")
	f(sqlerror.CodeAuth, "lake", "AccessDenied")
}

// TestSink_S3 runs a stream against a bucket that answers 503 now and then.
func TestSink_S3(t *testing.T) {
	var requests atomic.Int32
	endpoint := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		if requests.Add(1)%17 != 0 {
			return false
		}
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
		return true
	})
	dir := t.TempDir()
	open := func() *lake.Sink {
		s, err := openConnector(t, dir, "path", "s3://lake/ware hoüse", "endpoint", endpoint, "access_key_id", "k", "secret_access_key", "s")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.(*lake.Sink)
	}
	sink := open()
	stream := openStream(t, sink, tripSpec("s1"))
	state, _ := mustBegin(t, stream)
	mustEpoch(t, stream, &state, 30)
	stream.Close()
	sink = open()
	stream = openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	state, resumed := mustBegin(t, stream)
	if !resumed || at(state) != 30 {
		t.Errorf("resumes at %+v", state)
	}
	mustEpoch(t, stream, &state, 60)
	checkExactlyOnce(t, sink.Lake(), 60)
	tbl, err := sink.Lake().Table(t.Context(), "trips")
	if err != nil || tbl.Location() != "s3://lake/ware hoüse/trips" {
		t.Errorf("location %s, %v", tbl.Location(), err)
	}
	if err := sink.Lake().DropTable(t.Context(), "trips"); err != nil {
		t.Fatal(err)
	}
}

// TestStream_FileSizes rolls files at their target size.
func TestStream_FileSizes(t *testing.T) { eachFormat(t, fileSizesTest) }

func fileSizesTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	spec := tripSpec("s1")
	spec.Lanes, spec.Partition = 1, nil
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	spec.Options = c.StreamSpec.MustOptions("target_file_size", "1MB", "compression", "none")
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	random := rand.New(rand.NewPCG(1, 1))
	const rows, batches = 50_000, 12
	for range batches {
		d := trips(memory.DefaultAllocator, 1, rows)
		ids := d.Batch.Column(0).(*array.Int64).Int64Values()
		for i := range ids {
			ids[i] = int64(random.Uint64())
		}
		if err := stream.Writer(0).Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		d.Batch.Release()
	}
	if stream.Writer(0).Written() < 3<<20 {
		t.Errorf("%d bytes are written", stream.Writer(0).Written())
	}
	one, err := stream.Writer(0).Seal(t.Context())
	if err != nil || one.Rows() != rows*batches {
		t.Fatalf("sealed %d rows, %v", one.Rows(), err)
	}
	state.Epoch++
	result, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{})
	if err != nil || result.Files < 4 || result.Files > 6 || result.Bytes <= one.Bytes() || result.Bytes > one.Bytes()*101/100 {
		t.Errorf("result %+v, %v", result, err)
	}
	if got := len(readColumn(t, sink.Lake(), "trips", 0)); got != rows*batches {
		t.Errorf("%d rows landed", got)
	}
}

// TestStream_ManyPartitions keeps 5,000 partitions open within a memory that
// does not hold them.
//
// A REST catalog is told of the same files that a local one is told of.
func TestStream_ManyPartitions(t *testing.T) { inFormats(t, manyPartitionsTest, "iceberg", "hive") }

func manyPartitionsTest(t *testing.T, newDir func() string) {
	dir := newDir()
	const partitions = 5000
	rowsEach := 60
	if formatOf(dir) == "iceberg" && os.Getenv("LEAT_LONG") == "" {
		rowsEach = 30 // 13,000 files
	}
	sink := openSink(t, dir, nil)
	spec := tripSpec("s1")
	spec.Lanes, spec.MemoryBytes = 1, 5<<20
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	w := stream.Writer(0)
	random := rand.New(rand.NewPCG(1, 1))
	most, total := int64(0), 0
	for total < partitions*rowsEach {
		ids, cities := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		const n = 8192
		for range n {
			ids.Append(int64(random.Uint64()))
			cities.Append(strconv.Itoa(random.IntN(partitions)))
		}
		d := connectors.Delta{Batch: array.NewRecordBatch(tripSchema().Arrow(), []arrow.Array{ids.NewArray(), cities.NewArray()}, n)}
		if err := w.Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		total += n
		most = max(most, w.Buffered())
	}
	if most > spec.MemoryBytes {
		t.Errorf("%d bytes were buffered, %d are allowed", most, spec.MemoryBytes)
	}
	one, err := w.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state.Epoch++
	result, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files of %d partitions, %d bytes buffered at most", result.Files, partitions, most)
	if formatOf(dir) == "iceberg" && result.Files < partitions+partitions/10 {
		t.Errorf("%d files: the memory held all %d partitions", result.Files, partitions)
	}
	tbl, err := sink.Lake().Table(t.Context(), "trips")
	if err != nil {
		t.Fatal(err)
	}
	infos, err := tbl.Partitions(t.Context())
	rows := int64(0)
	for _, p := range infos {
		rows += p.Rows
	}
	if err != nil || len(infos) != partitions || rows != int64(total) {
		t.Errorf("%d partitions, %d rows, %v", len(infos), rows, err)
	}
}

// TestStream_MaxOpenPartitions writes to more partitions than may be open, and
// allows more while it goes on.
func TestStream_MaxOpenPartitions(t *testing.T) { eachFormat(t, maxOpenPartitionsTest) }

func maxOpenPartitionsTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	spec := tripSpec("s1")
	spec.Lanes, spec.Options = 2, c.StreamSpec.MustOptions("max_open_partitions", "16")
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	w := stream.Writer(0)
	limits := w.(connectors.Partitioned)
	rows := 0
	write := func(wantMost int64) {
		t.Helper()
		if got := limits.MaxOpenPartitions(); got != wantMost {
			t.Errorf("at most %d partitions may be open, want the lane's share %d", got, wantMost)
		}
		most := int64(0)
		for batch := range 40 {
			ids, cities := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
			for i := range 5 {
				ids.Append(int64(rows))
				cities.Append(strconv.Itoa((batch*3 + i) % 50))
				rows++
			}
			d := connectors.Delta{Batch: array.NewRecordBatch(tripSchema().Arrow(), []arrow.Array{ids.NewArray(), cities.NewArray()}, 5)}
			if err := w.Write(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			most = max(most, limits.OpenPartitions())
		}
		if most > wantMost || most < wantMost/2 {
			t.Errorf("%d partitions were open, %d may be", most, wantMost)
		}
	}
	write(8)
	stream.(interface{ SetOptions(connectors.Options) }).SetOptions(c.StreamSpec.MustOptions("max_open_partitions", "40"))
	write(20)
	var sealed []connectors.Sealed
	for lane := range spec.Lanes {
		one, err := stream.Writer(lane).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	if open, buffered := limits.OpenPartitions(), w.Buffered(); open != 0 || buffered < 0 {
		t.Errorf("sealed, %d partitions are open, %d bytes buffered", open, buffered)
	}
	state.Epoch++
	if _, err := stream.Commit(t.Context(), state, sealed, connectors.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
	if got := sortedInts(t, readColumn(t, sink.Lake(), "trips", 0)); len(got) != rows || got[rows-1] != int64(rows-1) || got[0] != 0 {
		t.Errorf("%d rows landed, want %d", len(got), rows)
	}
}

// TestStream_ManyCommits looks at the table's metadata over many commits, more
// of them with LEAT_LONG set.
func TestStream_ManyCommits(t *testing.T) { eachFormat(t, manyCommitsTest) }

func manyCommitsTest(t *testing.T, newDir func() string) {
	const (
		round = maintainEvery
		// perDataFile is how much more of the table's list of data files a commit
		// carries for each of them, since tidying up writes that list every round.
		perDataFile = 8
	)
	commits := 300
	if os.Getenv("LEAT_LONG") != "" {
		commits = 5000
	} else if testing.Short() {
		commits = 200
	}
	dir := newDir()
	traffic := &meteredStore{}
	sink := openSink(t, dir, traffic.wrap)
	spec := tripSpec("s1")
	spec.Lanes, spec.Partition = 1, nil
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	spec.Options = c.StreamSpec.MustOptions("snapshot_retention", "0s")
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	var spent []time.Duration
	var moved []int64 // bytes that a round of commits has read and written
	most := 0
	for i := range commits {
		if err := stream.Writer(0).Write(t.Context(), trips(memory.DefaultAllocator, int64(i+1), int64(i+1))); err != nil {
			t.Fatal(err)
		}
		one, err := stream.Writer(0).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		state.Epoch++
		start := time.Now()
		if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
			t.Fatal(err)
		}
		spent = append(spent, time.Since(start))
		if len(spent)%round == 0 {
			moved = append(moved, traffic.bytes.Swap(0)/round)
		}
		if i%10 == 0 {
			names, err := filepath.Glob(filepath.Join(dir, "lake/trips/metadata/*"))
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(names))
		}
	}
	median := func(d []time.Duration) time.Duration { d = slices.Clone(d); slices.Sort(d); return d[len(d)/2] }
	// Until the first expiry the metadata grows to what it then stays.
	early, late := slices.Max(moved[:3]), moved[len(moved)-1]
	t.Logf("%d commits: median %v in the first fifth, %v in the last, at most %d metadata files; each moves %d bytes early and %d late",
		commits, median(spent[:commits/5]), median(spent[commits-commits/5:]), most, early, late)
	if allowed := early + early/4 + int64(commits)*perDataFile; late > allowed {
		t.Errorf("a commit moves %d bytes after %d commits, and %d early: more than %d", late, commits, early, allowed)
	}
	if most > 2*152+30 {
		t.Errorf("the metadata folder grew to %d files", most)
	}
	if got := len(readColumn(t, sink.Lake(), "trips", 0)); got != commits {
		t.Errorf("%d rows landed, want %d", got, commits)
	}
}

// maintainEvery is after how many commits the sink tidies up.
const maintainEvery = 50

// meteredStore counts the bytes that go to a store and come from it, but for
// those that are staged.
type meteredStore struct {
	objectstore.Stager
	bytes *atomic.Int64
}

// wrap makes s the metered form of a store.
func (s *meteredStore) wrap(inner objectstore.Store) objectstore.Store {
	s.Stager, s.bytes = inner.(objectstore.Stager), &atomic.Int64{}
	return s
}

func (s *meteredStore) At(uri string) (objectstore.Store, error) {
	inner, err := s.Stager.At(uri)
	if err != nil {
		return nil, err
	}
	return &meteredStore{inner.(objectstore.Stager), s.bytes}, nil
}

func (s *meteredStore) Get(ctx context.Context, key string) ([]byte, error) {
	data, err := s.Stager.Get(ctx, key)
	s.bytes.Add(int64(len(data)))
	return data, err
}

func (s *meteredStore) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) (objectstore.Info, error) {
	s.bytes.Add(int64(len(data)))
	return s.Stager.Put(ctx, key, data, opts)
}

func (s *meteredStore) Open(ctx context.Context, key string) (objectstore.Reader, error) {
	r, err := s.Stager.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return &meteredReader{r, s.bytes}, nil
}

func (s *meteredStore) Create(ctx context.Context, key string, opts objectstore.WriterOptions) (objectstore.Writer, error) {
	w, err := s.Stager.Create(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return &meteredWriter{w, s.bytes}, nil
}

type meteredReader struct {
	objectstore.Reader
	bytes *atomic.Int64
}

func (r *meteredReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	r.bytes.Add(int64(n))
	return n, err
}

type meteredWriter struct {
	objectstore.Writer
	bytes *atomic.Int64
}

func (w *meteredWriter) Write(ctx context.Context, p []byte) error {
	w.bytes.Add(int64(len(p)))
	return w.Writer.Write(ctx, p)
}

// TestStream_DeadLettersAreKeptWhole writes letters that are long, empty and no
// text.
func TestStream_DeadLettersAreKeptWhole(t *testing.T) { eachFormat(t, deadLettersAreKeptWholeTest) }

func deadLettersAreKeptWholeTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	spec := tripSpec("s1")
	spec.Lanes = 1
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	long := bytes.Repeat([]byte{'x', 0, 0xff}, 20<<20/3)
	letters := []connectors.DeadLetter{
		{Source: "s", Position: "0/1", Class: connectors.ClassTooLarge, Message: "too large", Raw: long},
		{Class: connectors.ClassDecode, Message: "found \xff\xfe"},
		{Source: "s", Raw: []byte("{"), Attempt: 3},
	}
	if err := stream.Writer(0).DeadLetter(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	one, err := stream.Writer(0).Seal(t.Context())
	if err != nil || one.Rows() != 0 {
		t.Fatal(one, err)
	}
	state.Epoch++
	if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
	raw := readColumn(t, sink.Lake(), "_dead_letters", 6)
	if len(raw) != 3 || raw[0] != string(long) || raw[1] != "" || raw[2] != "{" {
		t.Errorf("%d letters came back", len(raw))
	}
	if got := readColumn(t, sink.Lake(), "_dead_letters", 5); !slices.Equal(got, []string{"too large", "found \uFFFD", ""}) {
		t.Errorf("messages %q", got)
	}
	if got := readColumn(t, sink.Lake(), "_dead_letters", 7); !slices.Equal(got, []string{"1", "1", "3"}) {
		t.Errorf("attempts %q", got)
	}
}
