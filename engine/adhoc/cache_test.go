package adhoc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
)

// remote is a bucket of Parquet objects, each of one row: its number.
type remote struct {
	columns []column
	size    int64 // of every object

	mu      sync.Mutex
	objects map[string][]byte
	opened  map[string]int
	// open, unless nil, is called in Open outside the lock.
	open func(ctx context.Context, path string) error
	// tear makes reads end early.
	tear bool
}

func newRemote(t testing.TB, objects int) *remote {
	r := &remote{columns: columnsOf("id BIGINT"), objects: make(map[string][]byte), opened: make(map[string]int)}
	for i := range objects {
		path := filepath.Join(t.TempDir(), "x.parquet")
		f := writeParquet(t, path, r.columns, [][]any{{int64(1000 + i)}})
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if r.size != 0 && r.size != f.Bytes {
			t.Fatalf("object %d has %d bytes, the others %d", i, f.Bytes, r.size)
		}
		r.size = f.Bytes
		r.objects[fmt.Sprintf("s3://bucket/t/%d.parquet", i)] = data
	}
	return r
}

// table has the objects with these numbers.
func (r *remote) table(objects ...int) *table {
	tab := &table{name: "t", columns: r.columns, open: r.Open}
	for _, i := range objects {
		tab.files = append(tab.files, catalog.DataFile{Path: fmt.Sprintf("s3://bucket/t/%d.parquet", i), Format: "parquet", Rows: 1, Bytes: r.size})
	}
	return tab
}

type tornFile struct{ memoryFile }

func (f *tornFile) ReadAt(p []byte, off int64) (int, error) {
	return f.memoryFile.ReadAt(p[:len(p)/2], off)
}

func (r *remote) Open(ctx context.Context, path string) (catalog.File, error) {
	if r.open != nil {
		if err := r.open(ctx, path); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[path]++
	data, ok := r.objects[path]
	if !ok {
		return nil, os.ErrNotExist
	}
	if r.tear {
		return &tornFile{memoryFile{data}}, nil
	}
	return &memoryFile{data}, nil
}

func (r *remote) opens() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, c := range r.opened {
		n += c
	}
	return n
}

func (r *remote) read(t testing.TB, e *adhoc.Engine, objects ...int) {
	t.Helper()
	got := mustScan(t, e, r.table(objects...))
	var want []string
	for _, i := range objects {
		want = append(want, strconv.Itoa(1000+i))
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("rows %v, want %v", got, want)
	}
}

func mustScan(t testing.TB, e *adhoc.Engine, tab *table) []string {
	t.Helper()
	r, err := e.Scan(context.Background(), tab, []int{0}, nil)
	return mustRows(t, r, err)
}

// cacheSize sums the bytes of the files in the cache, and counts those that are
// no finished copies.
func cacheSize(t testing.TB, dir string) (size int64, unfinished int) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		info, err := n.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
		if !strings.HasSuffix(n.Name(), ".parquet") {
			unfinished++
		}
	}
	return size, unfinished
}

func TestCache_FetchesOnce(t *testing.T) {
	r := newRemote(t, 3)
	e := openEngine(t, adhoc.Config{CacheDir: t.TempDir()})
	r.read(t, e, 0, 1)
	r.read(t, e, 1, 0, 1)
	r.read(t, e, 2)
	if n := r.opens(); n != 3 {
		t.Errorf("%d objects were opened, want 3", n)
	}
}

func TestCache_EvictsLeastRecentlyUsed(t *testing.T) {
	r, dir := newRemote(t, 4), t.TempDir()
	e := openEngine(t, adhoc.Config{CacheDir: dir, CacheBytes: 3*r.size + 10})
	r.read(t, e, 0)
	r.read(t, e, 1)
	r.read(t, e, 2)
	r.read(t, e, 0)
	r.read(t, e, 3) // evicts 1
	if size, _ := cacheSize(t, dir); size != 3*r.size {
		t.Errorf("the cache holds %d bytes, want %d", size, 3*r.size)
	}
	before := r.opens()
	r.read(t, e, 0, 2, 3)
	if n := r.opens(); n != before {
		t.Errorf("%d objects that are in use were evicted", n-before)
	}
	r.read(t, e, 1)
	if n := r.opens(); n != before+1 {
		t.Errorf("%d objects were fetched, want 1", n-before)
	}
}

func TestCache_QueryLargerThanCache(t *testing.T) {
	r := newRemote(t, 3)
	e := openEngine(t, adhoc.Config{CacheDir: t.TempDir(), CacheBytes: 2 * r.size})
	_, err := e.Scan(context.Background(), r.table(0, 1, 2), []int{0}, nil)
	if se := sqlerror.As(err); se == nil || se.Code != sqlerror.CodeResources || se.Hint == "" {
		t.Errorf("error %v, want one of resources with a hint", err)
	}
	if n := r.opens(); n != 0 {
		t.Errorf("%d objects were opened", n)
	}
	r.read(t, e, 0, 1)
}

// What a running query reads is never evicted: another query waits for it.
func TestCache_WaitsForPinnedObjects(t *testing.T) {
	r, dir := newRemote(t, 3), t.TempDir()
	e := openEngine(t, adhoc.Config{CacheDir: dir, CacheBytes: 2 * r.size})
	first, err := e.Scan(context.Background(), r.table(0, 1), []int{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := e.Scan(ctx, r.table(2), []int{0}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that the deadline is exceeded", err)
	}
	second := make(chan error)
	go func() {
		reader, err := e.Scan(context.Background(), r.table(2), []int{0}, nil)
		if err == nil {
			_, err = rowsOf(reader)
		}
		second <- err
	}()
	equalRows(t, mustRows(t, first, nil), "1000", "1001")
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestCache_ConcurrentQueriesShareOneFetch(t *testing.T) {
	r := newRemote(t, 2)
	begun, go2 := make(chan struct{}, 2), make(chan struct{})
	r.open = func(context.Context, string) error {
		begun <- struct{}{}
		<-go2
		return nil
	}
	e := openEngine(t, adhoc.Config{CacheDir: t.TempDir()})
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() { r.read(t, e, 0, 1) })
	}
	<-begun
	<-begun
	close(go2)
	done.Wait()
	if n := r.opens(); n != 2 {
		t.Errorf("%d objects were opened, want 2", n)
	}
}

// The query that began a fetching may end before another that waits for it.
func TestCache_FetchOutlivesItsFirstQuery(t *testing.T) {
	r := newRemote(t, 1)
	begun, proceed := make(chan struct{}, 8), make(chan struct{})
	r.open = func(ctx context.Context, _ string) error {
		begun <- struct{}{}
		select {
		case <-proceed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e := openEngine(t, adhoc.Config{CacheDir: t.TempDir()})
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error)
	go func() {
		_, err := e.Scan(ctx, r.table(0), []int{0}, nil)
		first <- err
	}()
	<-begun
	second := make(chan struct{})
	go func() {
		defer close(second)
		r.read(t, e, 0)
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it is cancelled", err)
	}
	close(proceed)
	<-second
}

func TestCache_SurvivesRestart(t *testing.T) {
	r, dir := newRemote(t, 3), t.TempDir()
	e, err := adhoc.Open(adhoc.Config{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r.read(t, e, 0, 1, 2)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0123.fetching"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	e = openEngine(t, adhoc.Config{CacheDir: dir, CacheBytes: 2 * r.size})
	if size, unfinished := cacheSize(t, dir); size != 2*r.size || unfinished != 0 {
		t.Errorf("the cache holds %d bytes and %d unfinished files, want %d and 0", size, unfinished, 2*r.size)
	}
	r.read(t, e, 0)
	r.read(t, e, 1)
	r.read(t, e, 2)
	if n := r.opens(); n > 5 {
		t.Errorf("%d objects were opened, though two were kept", n)
	}
}

// A copy whose content changed while no process watched is fetched again.
func TestCache_DamagedFileIsNotUsed(t *testing.T) {
	r, dir := newRemote(t, 2), t.TempDir()
	e, err := adhoc.Open(adhoc.Config{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r.read(t, e, 0, 1)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v", names, err)
	}
	flipped := filepath.Join(dir, names[0].Name())
	data, err := os.ReadFile(flipped)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(flipped, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, names[1].Name()), 7); err != nil {
		t.Fatal(err)
	}
	e = openEngine(t, adhoc.Config{CacheDir: dir})
	r.read(t, e, 0, 1)
	if n := r.opens(); n != 4 {
		t.Errorf("objects were opened %d times, want 4", n)
	}
}

func TestCache_FailedFetch(t *testing.T) {
	r, dir := newRemote(t, 1), t.TempDir()
	e := openEngine(t, adhoc.Config{CacheDir: dir, CacheBytes: r.size})
	f := func(name string) {
		t.Helper()
		_, err := e.Scan(context.Background(), r.table(0), []int{0}, nil)
		if se := sqlerror.As(err); se == nil || se.Kind != sqlerror.External || !strings.Contains(err.Error(), "s3://bucket/t/0.parquet") {
			t.Errorf("%s: error %v, want an external one that names the object", name, err)
		}
		if size, _ := cacheSize(t, dir); size != 0 {
			t.Errorf("%s: the cache holds %d bytes", name, size)
		}
	}
	r.open = func(context.Context, string) error { return errInjected }
	f("no answer")
	r.open = nil
	r.tear = true
	f("torn")
	r.tear = false
	whole := r.objects["s3://bucket/t/0.parquet"]
	r.objects["s3://bucket/t/0.parquet"] = whole[:len(whole)-1]
	f("shorter than the table says")
	r.objects["s3://bucket/t/0.parquet"] = make([]byte, len(whole))
	f("no Parquet")
	r.objects["s3://bucket/t/0.parquet"] = whole
	r.read(t, e, 0)
}

func TestCache_ManyQueriesInLittleSpace(t *testing.T) {
	r, dir := newRemote(t, 12), t.TempDir()
	e := openEngine(t, adhoc.Config{CacheDir: dir, CacheBytes: 4 * r.size})
	var done sync.WaitGroup
	for i := range 12 {
		done.Go(func() {
			for k := range 10 {
				r.read(t, e, (i+k)%12, (i*5+k*7)%12, (i*7+k*5)%12)
			}
		})
	}
	done.Wait()
	if size, unfinished := cacheSize(t, dir); size > 4*r.size || unfinished != 0 {
		t.Errorf("the cache holds %d bytes and %d unfinished files, at most %d are allowed", size, unfinished, 4*r.size)
	}
}

// Each query takes all its files at once: two that need both halves of the cache
// do not wait for each other.
func TestCache_JoinsDoNotWaitForEachOther(t *testing.T) {
	r := newRemote(t, 4)
	e := openEngine(t, adhoc.Config{CacheDir: t.TempDir(), CacheBytes: 2 * r.size})
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			for k := range 5 {
				p := &plans{}
				a, b := p.scan(r.table((i+k)%4)), p.scan(r.table((i+k+1+i%3)%4))
				cross := &logical.Join{Kind: logical.JoinCross, Left: a, Right: b}
				equalRows(t, run(t, e, p.aggregate(cross, nil, agg("count", "BIGINT"))), "1")
			}
		})
	}
	done.Wait()
}

func TestOpen_RemovesSpilledData(t *testing.T) {
	dir := t.TempDir()
	left, other := filepath.Join(dir, "duckdb_temp_storage_DEFAULT-0.tmp"), filepath.Join(dir, "other")
	for _, path := range []string{left, other} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openEngine(t, adhoc.Config{TempDir: dir})
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("spilled data is still there: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

func TestClose_EndsFetching(t *testing.T) {
	r := newRemote(t, 1)
	begun := make(chan struct{}, 1)
	r.open = func(ctx context.Context, _ string) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	e, err := adhoc.Open(adhoc.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	var reader array.RecordReader
	go func() {
		var err error
		reader, err = e.Scan(context.Background(), r.table(0), []int{0}, nil)
		got <- err
	}()
	<-begun
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; err == nil {
		reader.Release()
		t.Error("the query succeeded on a closed engine")
	}
}
