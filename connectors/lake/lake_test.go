package lake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/glue/gluetest"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/catalog/iceberg/resttest"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// openSink opens the sink "lake" in dir; wrap may put something between it and
// its folder.
func openSink(t testing.TB, dir string, wrap func(objectstore.Store) objectstore.Store) *lake.Sink {
	t.Helper()
	store, err := openFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		store = wrap(store)
	}
	s, err := lake.Open(t.Context(), configIn(dir, store))
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

// configIn is the configuration of the sinks in a folder.
func configIn(dir string, store objectstore.Store) lake.Config {
	cfg := lake.Config{Name: "lake", Store: store, TableFormat: formatOf(dir), CatalogPath: filepath.Join(dir, "iceberg.db")}
	if server, ok := restServers.Load(dir); ok {
		cfg.REST = &iceberg.REST{URI: "http://catalog", Transport: server.(*resttest.Server)}
	}
	if server, ok := glueServers.Load(dir); ok {
		cfg.Glue = &aws.Config{
			Region: "eu-central-1", HTTPClient: server.(*gluetest.Server),
			Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
		}
	}
	if config, ok := glueConfigs.Load(dir); ok {
		other := config.(aws.Config)
		cfg.Glue = &other
	}
	return cfg
}

// glueConfigs reach the catalogs of folders whose Glue is no fake of ours.
var glueConfigs sync.Map

// restServers are the catalogs of folders whose tables are in a REST catalog.
var restServers sync.Map

// glueServers are the Glue Data Catalogs of folders.
var glueServers sync.Map

// serveGlue gives the sinks in a folder a Glue Data Catalog.
func serveGlue(t testing.TB, dir string) *gluetest.Server {
	t.Helper()
	server := &gluetest.Server{}
	glueServers.Store(dir, server)
	t.Cleanup(func() { glueServers.Delete(dir) })
	return server
}

// serveREST gives the sinks in a folder a REST catalog.
func serveREST(t testing.TB, dir string) *resttest.Server {
	t.Helper()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	server := &resttest.Server{Store: store}
	restServers.Store(dir, server)
	t.Cleanup(func() { restServers.Delete(dir) })
	return server
}

// openFolder opens the store of the sinks in a folder: a folder in it, or the S3
// server and prefix that its file "s3" names.
func openFolder(ctx context.Context, dir string) (objectstore.Store, error) {
	text, err := os.ReadFile(filepath.Join(dir, "s3"))
	if err != nil {
		return objectstore.OpenLocal(filepath.Join(dir, "lake"))
	}
	var cfg objectstore.Config
	if err := json.Unmarshal(text, &cfg); err != nil {
		return nil, err
	}
	return objectstore.Open(ctx, cfg)
}

// eachFormat runs a test with Iceberg tables, in a local catalog and in a REST
// catalog, and with Hive folders; newDir makes a folder in which openSink and
// openFaulty open a sink of that kind.
func eachFormat(t *testing.T, f func(t *testing.T, newDir func() string)) {
	t.Helper()
	inFormats(t, f, "iceberg", "rest", "hive")
}

// eachCatalog is eachFormat and both kinds of tables in Glue, for what depends
// on the catalog.
func eachCatalog(t *testing.T, f func(t *testing.T, newDir func() string)) {
	t.Helper()
	inFormats(t, f, "iceberg", "rest", "glue", "hive", "glue-hive")
}

func inFormats(t *testing.T, f func(t *testing.T, newDir func() string), formats ...string) {
	t.Helper()
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			f(t, func() string {
				dir := filepath.Join(t.TempDir(), format)
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if format == "rest" {
					serveREST(t, dir)
				}
				if strings.HasPrefix(format, "glue") {
					serveGlue(t, dir)
				}
				return dir
			})
		})
	}
}

// formatOf is the table format of the sinks in a folder.
func formatOf(dir string) string {
	if strings.HasSuffix(dir, "hive") {
		return "hive"
	}
	return "iceberg"
}

// tripSchema is the table of most tests: an id and a partition.
func tripSchema() types.Schema {
	return types.Schema{
		{Name: "id", Type: types.TypeInt64, NotNull: true},
		{Name: "city", Type: types.NewVarchar(20)},
	}
}

func tripSpec(stream string) connectors.StreamSpec {
	c, err := connectors.LookupSink("s3")
	if err != nil {
		panic(err)
	}
	return connectors.StreamSpec{
		Stream: stream, Table: "trips", Schema: tripSchema(),
		Partition: []connectors.PartitionField{{Name: "city", Column: 1, Transform: "identity"}},
		Options:   c.StreamSpec.MustOptions(), Lanes: 2, MemoryBytes: 64 << 20,
	}
}

func openStream(t testing.TB, s *lake.Sink, spec connectors.StreamSpec) connectors.StreamSink {
	t.Helper()
	stream, err := s.Stream(t.Context(), spec)
	if err != nil {
		t.Fatalf("Stream: %v", err)
	}
	return stream
}

// trips is a batch of rows first … last, in cities by their number.
func trips(alloc memory.Allocator, first, last int64) connectors.Delta {
	ids, cities := array.NewInt64Builder(alloc), array.NewStringBuilder(alloc)
	defer ids.Release()
	defer cities.Release()
	for id := first; id <= last; id++ {
		ids.Append(id)
		if id%5 == 0 {
			cities.AppendNull()
		} else {
			cities.Append(fmt.Sprint("city", id%5))
		}
	}
	columns := []arrow.Array{ids.NewArray(), cities.NewArray()}
	batch := array.NewRecordBatch(tripSchema().Arrow(), columns, last-first+1)
	for _, c := range columns {
		c.Release()
	}
	return connectors.Delta{Batch: batch}
}

// at is a state's position in the source "s": the last id that was read.
func at(state connectors.State) int64 {
	n, err := strconv.ParseInt(string(state.Positions["s"]["0"]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func fromStart(context.Context) (map[string]connectors.Positions, error) {
	return map[string]connectors.Positions{"s": {"0": "0"}}, nil
}

// isDead says which ids of the tests become dead letters.
func isDead(id int64) bool { return id%7 == 3 }

// writeEpoch reads ids up to last, writes them to both lanes and seals them.
func writeEpoch(ctx context.Context, stream connectors.StreamSink, state *connectors.State, last int64) ([]connectors.Sealed, error) {
	var sealed []connectors.Sealed
	from := at(*state) + 1
	middle := (from + last) / 2
	for lane, span := range [][2]int64{{from, middle}, {middle + 1, last}} {
		w := stream.Writer(lane)
		d := trips(memory.DefaultAllocator, span[0], span[1])
		var letters []connectors.DeadLetter
		if keeper, ok := w.(connectors.RecordKeeper); ok && keeper.KeepsRecords() {
			if err := keeper.KeepRecords(ctx, "s", recordsOf(span[0], span[1])); err != nil {
				return nil, err
			}
		}
		d.Sel = []int32{}
		for id := span[0]; id <= span[1]; id++ {
			state.Counters.RecordsIn++
			state.Counters.RowsIn++
			if isDead(id) {
				letters = append(letters, connectors.DeadLetter{
					Source: "s", Position: fmt.Sprint("0/", id), Class: connectors.ClassDecode, Message: "bad",
					Raw: []byte(fmt.Sprint(id)), Attempt: 1, Arrived: time.UnixMilli(id),
				})
				state.Counters.RowsDead++
				continue
			}
			state.Counters.RowsLanded++
			d.Sel = append(d.Sel, int32(id-span[0]))
		}
		err := w.Write(ctx, d)
		d.Batch.Release()
		if err != nil {
			return nil, err
		}
		if err := w.DeadLetter(ctx, letters); err != nil {
			return nil, err
		}
		one, err := w.Seal(ctx)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, one)
	}
	state.Epoch++
	state.Positions = map[string]connectors.Positions{"s": {"0": connectors.Position(fmt.Sprint(last))}}
	return sealed, nil
}

func mustEpoch(t testing.TB, stream connectors.StreamSink, state *connectors.State, last int64) connectors.CommitResult {
	t.Helper()
	sealed, err := writeEpoch(t.Context(), stream, state, last)
	if err != nil {
		t.Fatal(err)
	}
	result, err := stream.Commit(t.Context(), *state, sealed, connectors.CommitInfo{})
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return result
}

func mustBegin(t testing.TB, stream connectors.StreamSink) (connectors.State, bool) {
	t.Helper()
	state, resumed, err := stream.Begin(t.Context(), fromStart)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return state, resumed
}

// readColumn reads one column of all files of a table.
func readColumn(t testing.TB, l catalog.Lake, table string, column int) []string {
	t.Helper()
	tbl, err := l.Table(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	files, err := tbl.Plan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, f := range files {
		data := readFile(t, tbl, f.Path)
		if int64(len(data)) != f.Bytes {
			t.Errorf("file %s has %d bytes, the table says %d", f.Path, len(data), f.Bytes)
		}
		r, err := pqarrow.ReadTable(t.Context(), bytes.NewReader(data), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		if r.NumRows() != f.Rows && f.Rows >= 0 {
			t.Errorf("file %s has %d rows, the table says %d", f.Path, r.NumRows(), f.Rows)
		}
		for _, chunk := range r.Column(column).Data().Chunks() {
			for i := range chunk.Len() {
				if b, ok := chunk.(*array.Binary); ok {
					values = append(values, string(b.Value(i)))
				} else {
					values = append(values, chunk.ValueStr(i))
				}
			}
		}
		r.Release()
	}
	return values
}

func readFile(t testing.TB, tbl catalog.Table, path string) []byte {
	t.Helper()
	f, err := tbl.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, f.Size())
	if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return data
}

func sortedInts(t testing.TB, texts []string) []int64 {
	t.Helper()
	ids := make([]int64, len(texts))
	for i, s := range texts {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = n
	}
	slices.Sort(ids)
	return ids
}

// checkExactlyOnce compares the tables with ids 1 … last, each once.
func checkExactlyOnce(t testing.TB, l catalog.Lake, last int64) {
	t.Helper()
	var rows, dead []int64
	for id := int64(1); id <= last; id++ {
		if isDead(id) {
			dead = append(dead, id)
		} else {
			rows = append(rows, id)
		}
	}
	if got := sortedInts(t, readColumn(t, l, "trips", 0)); !slices.Equal(got, rows) {
		t.Errorf("landed %v, want %v", got, rows)
	}
	if got := sortedInts(t, readColumn(t, l, "_dead_letters", 6)); !slices.Equal(got, dead) {
		t.Errorf("dead letters %v, want %v", got, dead)
	}
}

func code(err error) sqlerror.Code {
	if e := sqlerror.As(err); e != nil {
		return e.Code
	}
	return ""
}

func TestStream_CommitsAndResumes(t *testing.T) { eachCatalog(t, commitsAndResumesTest) }

func commitsAndResumesTest(t *testing.T, newDir func() string) {
	dir := newDir()
	sink := openSink(t, dir, nil)
	if err := sink.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream := openStream(t, sink, tripSpec("s1"))
	state, resumed := mustBegin(t, stream)
	if resumed || state.Generation != 1 || state.Epoch != 0 || at(state) != 0 || state.Positions["s"]["0"] != "0" {
		t.Errorf("first Begin: %+v, resumed %v", state, resumed)
	}
	result := mustEpoch(t, stream, &state, 100)
	if result.Files == 0 || result.Bytes == 0 || result.CommittedAt.IsZero() {
		t.Errorf("result %+v", result)
	}
	mustEpoch(t, stream, &state, 100) // nothing came
	state.Operators = []byte(`{"a":1}`)
	mustEpoch(t, stream, &state, 150)
	checkExactlyOnce(t, sink.Lake(), 150)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}

	sink = openSink(t, dir, nil)
	stream = openStream(t, sink, tripSpec("s1"))
	again, resumed := mustBegin(t, stream)
	if !resumed || again.Generation != 2 || again.Epoch != 3 || at(again) != 150 || again.Counters != state.Counters || string(again.Operators) != `{"a":1}` || !again.Counters.Reconciled() {
		t.Errorf("second Begin: %+v, resumed %v", again, resumed)
	}
	mustEpoch(t, stream, &again, 170)
	checkExactlyOnce(t, sink.Lake(), 170)

	tbl, err := sink.Lake().Table(t.Context(), "trips")
	if err != nil {
		t.Fatal(err)
	}
	commits, err := tbl.Commits(t.Context())
	if err != nil || len(commits) != 6 {
		t.Fatalf("%d commits, %v: %+v", len(commits), err, commits)
	}
	last := commits[0]
	if last.Stream != "s1" || last.Generation != 2 || last.Epoch != 4 || last.RowsLanded != 18 || last.RowsDead != 2 || last.Files == 0 ||
		last.Bytes == 0 || last.CompletedAt.IsZero() || !strings.Contains(last.Positions, "170") {
		t.Errorf("last commit %+v", last)
	}
	infos, err := tbl.Partitions(t.Context())
	if err != nil || len(infos) != 5 {
		t.Errorf("partitions %+v, %v", infos, err)
	}
	files, err := tbl.Plan(t.Context(), []catalog.Predicate{{Column: 1, Op: catalog.OpEqual, Values: []any{"city2"}}})
	if err != nil || len(files) == 0 || len(files) > 7 {
		t.Errorf("city2 lies in %d files, %v", len(files), err)
	}
	for _, f := range files {
		path := "/trips/data/city=city2/s1-"
		if formatOf(dir) == "hive" {
			path = "/trips/city=city2/s1-"
		}
		if f.Partition["city"] != "city2" || !strings.Contains(f.Path, path) {
			t.Errorf("file %+v", f)
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStream_AbortWritesAgain(t *testing.T) { eachFormat(t, abortWritesAgainTest) }

func abortWritesAgainTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	mustEpoch(t, stream, &state, 10)
	before := state
	if _, err := writeEpoch(t.Context(), stream, &state, 30); err != nil {
		t.Fatal(err)
	}
	if err := stream.Writer(0).Write(t.Context(), trips(memory.DefaultAllocator, 31, 33)); err != nil {
		t.Fatal(err)
	}
	if stream.Writer(0).Buffered() == 0 {
		t.Error("nothing is buffered")
	}
	if err := stream.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stream.Writer(0).Buffered() != 0 || stream.Writer(0).Written() != 0 {
		t.Errorf("after Abort %d bytes are buffered, %d written", stream.Writer(0).Buffered(), stream.Writer(0).Written())
	}
	state = before
	mustEpoch(t, stream, &state, 40)
	checkExactlyOnce(t, sink.Lake(), 40)
}

func TestStream_WrongEpochIsRefused(t *testing.T) { eachFormat(t, wrongEpochIsRefusedTest) }

func wrongEpochIsRefusedTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	if _, err := stream.Commit(t.Context(), connectors.State{}, nil, connectors.CommitInfo{}); code(err) != sqlerror.CodeInternal {
		t.Errorf("Commit before Begin: %v", err)
	}
	if err := stream.Writer(0).Write(t.Context(), trips(memory.DefaultAllocator, 1, 2)); code(err) != sqlerror.CodeInternal {
		t.Errorf("Write before Begin: %v", err)
	}
	state, _ := mustBegin(t, stream)
	sealed, err := writeEpoch(t.Context(), stream, &state, 5)
	if err != nil {
		t.Fatal(err)
	}
	wrong := state
	wrong.Epoch++
	if _, err := stream.Commit(t.Context(), wrong, sealed, connectors.CommitInfo{}); code(err) != sqlerror.CodeInternal {
		t.Errorf("Commit of epoch 2 after 0: %v", err)
	}
	wrong = state
	wrong.Generation++
	if _, err := stream.Commit(t.Context(), wrong, sealed, connectors.CommitInfo{}); code(err) != sqlerror.CodeInternal {
		t.Errorf("Commit in the name of generation 2: %v", err)
	}
	if _, err := stream.Commit(t.Context(), state, sealed, connectors.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
}

func TestStream_RetractionsAreRefused(t *testing.T) {
	sink := openSink(t, t.TempDir(), nil)
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	mustBegin(t, stream)
	d := trips(memory.DefaultAllocator, 1, 3)
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.AppendValues([]int64{1, -1, 1}, nil)
	d.Weights = b.NewInt64Array()
	d.Sel = []int32{0, 2}
	if err := stream.Writer(0).Write(t.Context(), d); err != nil {
		t.Errorf("rows of weight 1: %v", err)
	}
	d.Sel = nil
	if err := stream.Writer(0).Write(t.Context(), d); code(err) != sqlerror.CodeUnsupported {
		t.Errorf("a row of weight -1: %v", err)
	}
}

func TestStream_Drop(t *testing.T) { eachCatalog(t, dropTest) }

func dropTest(t *testing.T, newDir func() string) {
	for _, begun := range []bool{true, false} {
		dir := newDir()
		sink := openSink(t, dir, nil)
		stream := openStream(t, sink, tripSpec("s1"))
		state, _ := mustBegin(t, stream)
		mustEpoch(t, stream, &state, 20)
		if !begun {
			stream.Close()
			stream = openStream(t, openSink(t, dir, nil), tripSpec("s1"))
		}
		if err := stream.Drop(t.Context()); err != nil {
			t.Fatalf("begun %v: Drop: %v", begun, err)
		}
		if err := stream.Drop(t.Context()); err != nil {
			t.Errorf("begun %v: Drop again: %v", begun, err)
		}
		stream.Close()
		tbl, err := sink.Lake().Table(t.Context(), "trips")
		if err != nil {
			t.Fatal(err)
		}
		for key := range tbl.Properties() {
			if strings.HasPrefix(key, "leat.stream.") {
				t.Errorf("begun %v: property %s is left", begun, key)
			}
		}
		checkExactlyOnce(t, sink.Lake(), 20)
		// A stream of the same name begins a new life: its files, epochs and dead
		// letters are not taken for those of the old one.
		stream = openStream(t, sink, tripSpec("s1"))
		state, resumed := mustBegin(t, stream)
		generation := int64(1)
		if formatOf(dir) == "hive" {
			generation = 2 // names of files count on
		}
		if resumed || state.Generation != generation || state.Epoch != 0 {
			t.Errorf("begun %v: after Drop Begin gives %+v, resumed %v", begun, state, resumed)
		}
		state.Positions = map[string]connectors.Positions{"s": {"0": "20"}}
		mustEpoch(t, stream, &state, 40)
		checkExactlyOnce(t, sink.Lake(), 40)
		stream.Close()
	}
}

func TestStream_Fencing(t *testing.T) { eachCatalog(t, fencingTest) }

func fencingTest(t *testing.T, newDir func() string) {
	dir := newDir()
	a := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	defer a.Close()
	stateA, _ := mustBegin(t, a)
	mustEpoch(t, a, &stateA, 10)
	sealed, err := writeEpoch(t.Context(), a, &stateA, 20)
	if err != nil {
		t.Fatal(err)
	}
	sinkB := openSink(t, dir, nil)
	b := openStream(t, sinkB, tripSpec("s1"))
	defer b.Close()
	stateB, resumed := mustBegin(t, b)
	if !resumed || at(stateB) != 10 || stateB.Generation != 2 {
		t.Errorf("the second instance begins at %+v", stateB)
	}
	// The first one is a zombie now: whatever it does changes nothing.
	for range 2 {
		_, err = a.Commit(t.Context(), stateA, sealed, connectors.CommitInfo{})
		if code(err) != sqlerror.CodeFenced || sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), "generation 2") {
			t.Errorf("the zombie's commit: %v", err)
		}
	}
	mustEpoch(t, b, &stateB, 30)
	if _, err = a.Commit(t.Context(), stateA, sealed, connectors.CommitInfo{}); code(err) != sqlerror.CodeFenced {
		t.Errorf("the zombie's commit: %v", err)
	}
	if err := a.Drop(t.Context()); code(err) != sqlerror.CodeFenced {
		t.Errorf("the zombie's drop: %v", err)
	}
	mustEpoch(t, b, &stateB, 40)
	checkExactlyOnce(t, sinkB.Lake(), 40)
}

func TestStream_DroppedElsewhere(t *testing.T) { eachCatalog(t, droppedElsewhereTest) }

func droppedElsewhereTest(t *testing.T, newDir func() string) {
	dir := newDir()
	a := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	defer a.Close()
	state, _ := mustBegin(t, a)
	b := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	defer b.Close()
	if err := b.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	sealed, err := writeEpoch(t.Context(), a, &state, 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Commit(t.Context(), state, sealed, connectors.CommitInfo{}); code(err) != sqlerror.CodeFenced {
		t.Errorf("commit of a dropped stream: %v", err)
	}
}

func TestStream_StartsAtOnce(t *testing.T) { eachCatalog(t, startsAtOnceTest) }

func startsAtOnceTest(t *testing.T, newDir func() string) {
	dir := newDir()
	openSink(t, dir, nil)
	const instances = 4
	streams := make([]connectors.StreamSink, instances)
	for i := range streams {
		streams[i] = openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	}
	var group sync.WaitGroup
	states := make([]connectors.State, instances)
	for i := range streams {
		group.Go(func() {
			var err error
			if states[i], _, err = streams[i].Begin(context.Background(), fromStart); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	generations := map[int64]bool{}
	won := 0
	for i, stream := range streams {
		generations[states[i].Generation] = true
		sealed, err := writeEpoch(t.Context(), stream, &states[i], 50)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Commit(t.Context(), states[i], sealed, connectors.CommitInfo{})
		switch {
		case err == nil:
			won++
			if states[i].Generation != instances {
				t.Errorf("generation %d of %d went on", states[i].Generation, instances)
			}
		case code(err) != sqlerror.CodeFenced:
			t.Errorf("Commit: %v", err)
		}
		stream.Close()
	}
	if won != 1 || len(generations) != instances {
		t.Errorf("%d instances went on; generations %v", won, slices.Sorted(maps.Keys(generations)))
	}
	checkExactlyOnce(t, openSink(t, dir, nil).Lake(), 50)
}

// TestStream_TwoIntoOneTable lets two streams, of one process and of two,
// commit to one table.
func TestStream_TwoIntoOneTable(t *testing.T) { eachCatalog(t, twoIntoOneTableTest) }

func twoIntoOneTableTest(t *testing.T, newDir func() string) {
	for _, processes := range []int{1, 2} {
		dir := newDir()
		sinks := []*lake.Sink{openSink(t, dir, nil), openSink(t, dir, nil)}
		var group sync.WaitGroup
		const epochs = 6
		for i, name := range []string{"even", "odd"} {
			spec := tripSpec(name)
			spec.Lanes = 1
			stream := openStream(t, sinks[i%processes], spec)
			group.Go(func() {
				defer stream.Close()
				ctx := context.Background()
				state, _, err := stream.Begin(ctx, fromStart)
				if err != nil {
					t.Error(err)
					return
				}
				for epoch := range int64(epochs) {
					d := trips(memory.DefaultAllocator, epoch*10+1, epoch*10+10)
					for k := range int32(10) {
						if k%2 == int32(i) {
							d.Sel = append(d.Sel, k)
						}
					}
					if err := stream.Writer(0).Write(ctx, d); err != nil {
						t.Error(err)
						return
					}
					sealed, err := stream.Writer(0).Seal(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					state.Epoch++
					state.Counters.RowsLanded += 5
					if _, err := stream.Commit(ctx, state, []connectors.Sealed{sealed}, connectors.CommitInfo{}); err != nil {
						t.Errorf("%s epoch %d: %v", name, state.Epoch, err)
						return
					}
				}
			})
		}
		group.Wait()
		got := sortedInts(t, readColumn(t, sinks[0].Lake(), "trips", 0))
		var want []int64
		for id := int64(1); id <= epochs*10; id++ {
			want = append(want, id)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d processes: landed %v", processes, got)
		}
		for _, name := range []string{"even", "odd"} {
			spec := tripSpec(name)
			stream := openStream(t, sinks[0], spec)
			if state, resumed := mustBegin(t, stream); !resumed || state.Epoch != epochs || state.Counters.RowsLanded != 5*epochs {
				t.Errorf("%d processes: %s resumes at %+v", processes, name, state)
			}
			stream.Close()
		}
	}
}

func TestStream_DifferentSchemas(t *testing.T) { eachCatalog(t, differentSchemasTest) }

func differentSchemasTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	first := openStream(t, sink, tripSpec("first"))
	defer first.Close()
	state, _ := mustBegin(t, first)
	spec := tripSpec("second")
	spec.Schema = append(spec.Schema, types.Column{Name: "extra", Type: types.TypeText})
	_, err := sink.Stream(t.Context(), spec)
	if e := sqlerror.As(err); e == nil || e.Code != sqlerror.CodeConflict || !strings.Contains(e.Hint, "stream first writes") {
		t.Errorf("a second stream with another schema: %v", err)
	}
	spec = tripSpec("second")
	spec.Partition = nil
	if _, err := sink.Stream(t.Context(), spec); code(err) != sqlerror.CodeConflict {
		t.Errorf("a second stream with another partitioning: %v", err)
	}
	spec = tripSpec("second")
	spec.Table = "_dead_letters"
	if _, err := sink.Stream(t.Context(), spec); code(err) != sqlerror.CodeConflict {
		t.Errorf("a stream into the dead letters: %v", err)
	}
	mustEpoch(t, first, &state, 10)
	// The first stream may bring a column, and the files before have none.
	spec = tripSpec("first")
	spec.Schema = append(spec.Schema, types.Column{Name: "extra", Type: types.TypeText})
	spec.Schema[0], spec.Schema[1] = spec.Schema[1], spec.Schema[0]
	spec.Partition[0].Column = 0
	evolved := openStream(t, sink, spec)
	defer evolved.Close()
	state, resumed := mustBegin(t, evolved)
	if !resumed || at(state) != 10 {
		t.Errorf("the evolved stream resumes at %+v", state)
	}
	if err := evolved.Writer(0).Write(t.Context(), trips(memory.DefaultAllocator, 11, 12)); err == nil {
		t.Error("a batch of the old schema was accepted")
	}
	ids, cities, extra := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	ids.Append(11)
	cities.Append("city1")
	extra.Append("x")
	d := connectors.Delta{Batch: array.NewRecordBatch(spec.Schema.Arrow(), []arrow.Array{cities.NewArray(), ids.NewArray(), extra.NewArray()}, 1)}
	if err := evolved.Writer(0).Write(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var sealed []connectors.Sealed
	for lane := range 2 {
		one, err := evolved.Writer(lane).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	state.Epoch++
	if _, err := evolved.Commit(t.Context(), state, sealed, connectors.CommitInfo{}); err != nil {
		t.Fatal(err)
	}
	// The first instance is fenced, like any other.
	tbl, err := sink.Lake().Table(t.Context(), "trips")
	if err != nil || len(tbl.Schema()) != 3 || tbl.Schema()[0].Name != "id" {
		t.Errorf("schema %+v, %v", tbl.Schema(), err)
	}
}

func TestStream_LongPositions(t *testing.T) {
	dir := t.TempDir()
	sink := openSink(t, dir, nil)
	spec := tripSpec("s1")
	spec.Lanes = 1
	stream := openStream(t, sink, spec)
	long := func(epoch int) map[string]connectors.Positions {
		p := connectors.Positions{}
		for i := range 2000 {
			p[fmt.Sprint("split-", i)] = connectors.Position(fmt.Sprintf(`{"offset":%d}`, epoch*1000+i))
		}
		return map[string]connectors.Positions{"s": p}
	}
	state, _, err := stream.Begin(t.Context(), func(context.Context) (map[string]connectors.Positions, error) { return long(0), nil })
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		state.Epoch++
		state.Positions = long(int(state.Epoch))
		one, err := stream.Writer(0).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	stream.Close()
	for generation := int64(2); generation < 4; generation++ {
		stream = openStream(t, openSink(t, dir, nil), spec)
		again, resumed := mustBegin(t, stream)
		if !resumed || !maps.Equal(again.Positions["s"], long(5)["s"]) {
			t.Errorf("generation %d resumes with other positions", generation)
		}
		stream.Close()
	}
	tbl, err := sink.Lake().Table(t.Context(), "trips")
	if err != nil {
		t.Fatal(err)
	}
	if text := tbl.Properties()["leat.stream.s1"]; len(text) > 2000 {
		t.Errorf("the property has %d bytes", len(text))
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "lake/trips/metadata/leat-positions-*")); len(files) > 2 {
		t.Errorf("%d files of positions are left", len(files))
	}
	stream = openStream(t, openSink(t, dir, nil), spec)
	if err := stream.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream.Close()
}

func TestStream_InitialFails(t *testing.T) { eachFormat(t, initialFailsTest) }

func initialFailsTest(t *testing.T, newDir func() string) {
	sink := openSink(t, newDir(), nil)
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	away := errors.New("broker away")
	if _, _, err := stream.Begin(t.Context(), func(context.Context) (map[string]connectors.Positions, error) { return nil, away }); !errors.Is(err, away) {
		t.Errorf("Begin: %v", err)
	}
	if state, resumed := mustBegin(t, stream); resumed || state.Generation != 1 {
		t.Errorf("Begin after a failure: %+v, %v", state, resumed)
	}
	// Beginning again takes the next generation.
	if state, resumed := mustBegin(t, stream); !resumed || state.Generation != 2 {
		t.Errorf("Begin again: %+v, %v", state, resumed)
	}
}

func TestStream_UnknownMetadataIsRefused(t *testing.T) {
	dir := t.TempDir()
	stream := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	state, _ := mustBegin(t, stream)
	mustEpoch(t, stream, &state, 10)
	stream.Close()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := lake.Open(t.Context(), lake.Config{Name: "lake", Store: store, CatalogPath: filepath.Join(dir, "other.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Stream(t.Context(), tripSpec("s1")); code(err) != sqlerror.CodeConflict {
		t.Errorf("a table that the catalog does not know: %v", err)
	}
	spec := tripSpec("s1")
	spec.Adopt = true
	adopted := openStream(t, other, spec)
	defer adopted.Close()
	state, resumed := mustBegin(t, adopted)
	if !resumed || at(state) != 10 {
		t.Errorf("the adopted stream resumes at %+v", state)
	}
	mustEpoch(t, adopted, &state, 20)
	checkExactlyOnce(t, other.Lake(), 20)
}

// Two catalogs that know one folder give the same generation to two instances. Neither
// may overwrite a file that the other has committed.
func TestStream_CatalogsOfOneFolder(t *testing.T) {
	epoch := func(t *testing.T, sink *lake.Sink, adopt bool, last int64) {
		t.Helper()
		spec := tripSpec("s1")
		spec.Adopt = adopt
		stream := openStream(t, sink, spec)
		defer stream.Close()
		state, _ := mustBegin(t, stream)
		mustEpoch(t, stream, &state, last)
	}
	for name, beginning := range map[string]func(t *testing.T, first, second string){
		"adopted": func(*testing.T, string, string) {},
		"copied": func(t *testing.T, first, second string) {
			t.Helper()
			text, err := os.ReadFile(first)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(second, text, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			open := func(catalogFile string) *lake.Sink {
				t.Helper()
				store, err := openFolder(t.Context(), dir)
				if err != nil {
					t.Fatal(err)
				}
				cfg := configIn(dir, store)
				cfg.CatalogPath = filepath.Join(dir, catalogFile)
				sink, err := lake.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := sink.Close(); err != nil {
						t.Error(err)
					}
				})
				return sink
			}
			before := open("before.db")
			epoch(t, before, false, 10)
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			beginning(t, filepath.Join(dir, "before.db"), filepath.Join(dir, "other.db"))
			original, other := open("before.db"), open("other.db")
			epoch(t, other, name == "adopted", 35)
			epoch(t, original, false, 20)
			for _, c := range []struct {
				sink *lake.Sink
				last int64
			}{{original, 20}, {other, 35}} {
				want := 0
				for id := int64(1); id <= c.last; id++ {
					if !isDead(id) {
						want++
					}
				}
				if got := len(readColumn(t, c.sink.Lake(), "trips", 0)); got != want {
					t.Errorf("up to %d the table has %d rows, want %d", c.last, got, want)
				}
			}
		})
	}
}
