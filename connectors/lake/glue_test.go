package lake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/catalog/glue/gluetest"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// checkRegistered verifies that what a log knows as completed is in the folder's
// Glue Data Catalog, if it has one.
func checkRegistered(t testing.TB, dir, table string, entries []logEntry, completed int64) {
	t.Helper()
	server, ok := glueServers.Load(dir)
	if !ok {
		return
	}
	have := server.(*gluetest.Server).Partitions("lake", table)
	for _, e := range entries {
		for _, p := range e.Register {
			if e.N <= completed && !slices.Contains(have, strings.Join(p.Values, "/")) {
				t.Errorf("partition %q of commit %d is completed and not registered: %q", p.Values, e.N, have)
			}
		}
	}
}

// glueDir is a folder whose tables are in a Glue Data Catalog.
func glueDir(t *testing.T, format string) (string, *gluetest.Server) {
	t.Helper()
	dir := t.TempDir() + "/glue-" + format
	return dir, serveGlue(t, dir)
}

// TestFault_GlueAnswers lets Glue refuse each call that changes something, lose
// its answer, or throttle it, once and for longer than the SDK's patience:
// nothing is lost and nothing lands twice.
func TestFault_GlueAnswers(t *testing.T) {
	for format, ops := range map[string][]string{
		"iceberg": {"UpdateTable", "CreateTable"},
		"hive":    {"BatchCreatePartition", "CreateTable"},
	} {
		f := func(fault func(op string, n int) gluetest.Fault) *gluetest.Server {
			t.Helper()
			dir, server := glueDir(t, format)
			server.Fault = fault
			synctest.Test(t, func(t *testing.T) {
				for try := 0; ; try++ {
					_, _, err := run(t.Context(), dir, nil)
					if err == nil {
						return
					}
					if try == 3 || !sqlerror.IsRetryable(err) {
						t.Fatal(err)
					}
				}
			})
			server.Fault = nil
			checkRun(t, dir)
			return server
		}
		plain := f(nil)
		for _, op := range ops {
			total := plain.Calls(op)
			if total == 0 {
				t.Fatalf("%s: no %s", format, op)
			}
			for n := range total {
				for _, fault := range []gluetest.Fault{gluetest.Throttle, gluetest.Fail, gluetest.Lost} {
					for _, times := range []int{1, 4} {
						if (3*n+int(fault)+2*times)%min(stride(), 5) != 0 && n > 0 {
							continue
						}
						f(func(call string, at int) gluetest.Fault {
							if call == op && at >= n && at < n+times {
								return fault
							}
							return gluetest.Pass
						})
						if t.Failed() {
							t.Fatalf("%s: fault %d at %s %d of %d, %d times", format, fault, op, n, total, times)
						}
					}
				}
			}
		}
	}
}

// writeCities lands one row in each of n partitions.
func writeCities(ctx context.Context, t *testing.T, stream connectors.StreamSink, state connectors.State, first, n int64) (connectors.State, error) {
	t.Helper()
	d := manyCities(1000*state.Epoch, first, n)
	defer d.Batch.Release()
	if err := stream.Writer(0).Write(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var sealed []connectors.Sealed
	for lane := range 2 {
		one, err := stream.Writer(lane).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	state.Epoch++
	state.Counters.RecordsIn += n
	state.Counters.RowsIn += n
	state.Counters.RowsLanded += n
	_, err := stream.Commit(ctx, state, sealed, connectors.CommitInfo{})
	return state, err
}

// TestGlue_Partitions registers the partitions of a commit in batches before it
// counts as completed, and another process does so where the first one died.
func TestGlue_Partitions(t *testing.T) {
	dir, server := glueDir(t, "hive")
	sink := openSink(t, dir, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	spec := tripSpec("s1")
	spec.Retrying = func(err error) {
		if err != nil {
			cancel() // whoever waits for the catalog is stopped
		}
	}
	var told []string
	spec.Doing = func(text string) { told = append(told, text) }
	registered := func(total string) {
		t.Helper()
		for _, done := range []string{"100", "200", total} {
			if text := "registering partitions of trips: " + done + " of " + total; !slices.Contains(told, text) {
				t.Errorf("nobody was told of %s", text)
			}
		}
		if told[len(told)-1] != "" {
			t.Errorf("the last that was told is %s", told[len(told)-1])
		}
		told = nil
	}
	stream := openStream(t, sink, spec)
	state, _ := mustBegin(t, stream)
	state, err := writeCities(ctx, t, stream, state, 0, 230)
	registered("230")
	if err != nil {
		t.Fatal(err)
	}
	if n, calls := len(server.Partitions("lake", "trips")), server.Calls("BatchCreatePartition"); n != 230 || calls != 3 {
		t.Errorf("%d partitions by %d calls", n, calls)
	}
	// Those that are known are not registered again.
	if state, err = writeCities(ctx, t, stream, state, 0, 230); err != nil || server.Calls("BatchCreatePartition") != 3 {
		t.Errorf("the same partitions again: %v, %d calls", err, server.Calls("BatchCreatePartition"))
	}
	p := server.Partition("lake", "trips", "c7")
	sd, _ := p["StorageDescriptor"].(map[string]any)
	if want := "file://" + dir + "/lake/trips/city=c7/"; sd["Location"] != want {
		t.Errorf("location %v, want %s", sd["Location"], want)
	}
	completedOf := func() (done, open int) {
		t.Helper()
		table, err := openSink(t, dir, nil).Lake().Table(t.Context(), "trips")
		if err != nil {
			t.Fatal(err)
		}
		commits, err := table.Commits(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			if c.CompletedAt.IsZero() {
				open++
			} else {
				done++
			}
		}
		return done, open
	}
	// The catalog refuses: the rows are decided, and the commit is not completed.
	server.Fault = func(op string, _ int) gluetest.Fault {
		if op == "BatchCreatePartition" {
			return gluetest.Denied
		}
		return gluetest.Pass
	}
	if state, err = writeCities(ctx, t, stream, state, 500, 3); err != nil || ctx.Err() == nil {
		t.Errorf("a commit whose partitions are not registered: %v, %v", err, ctx.Err())
	}
	if _, open := completedOf(); open != 1 {
		t.Errorf("%d commits are not completed, want 1", open)
	}
	checkPlainReader(t, dir)
	_ = stream.Close()
	server.Fault = nil
	next := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	defer next.Close()
	after, resumed := mustBegin(t, next)
	if !resumed || after.Epoch != state.Epoch || len(server.Partitions("lake", "trips")) != 233 {
		t.Errorf("epoch %d, want %d, and %d partitions", after.Epoch, state.Epoch, len(server.Partitions("lake", "trips")))
	}
	checkPlainReader(t, dir)
	// Whoever drops the table from the catalog gets it back, with all partitions.
	server.Remove("lake", "trips")
	told = nil
	third := openStream(t, openSink(t, dir, nil), spec)
	registered("233")
	defer third.Close()
	mustBegin(t, third)
	if n := len(server.Partitions("lake", "trips")); n != 233 {
		t.Errorf("%d partitions after the table was dropped from the catalog", n)
	}
}

// TestGlue_Table describes a table and its growth.
func TestGlue_Table(t *testing.T) {
	dir, server := glueDir(t, "hive")
	spec := tripSpec("s1")
	spec.Schema = types.Schema{
		{Name: "Id", Type: types.TypeInt64, NotNull: true}, {Name: "city", Type: types.NewVarchar(20)},
		{Name: "big", Type: types.Type{Kind: types.Uint64}}, {Name: "at", Type: types.Type{Kind: types.Timestamp, Fsp: 3}},
		{Name: "fare", Type: types.NewDecimal(10, 2)}, {Name: "day", Type: types.TypeDate}, {Name: "j", Type: types.Type{Kind: types.JSON}},
	}
	describe := func(table map[string]any) string {
		sd, _ := table["StorageDescriptor"].(map[string]any)
		var parts []string
		for _, list := range []any{sd["Columns"], table["PartitionKeys"]} {
			columns, _ := list.([]any)
			for _, c := range columns {
				column := c.(map[string]any)
				parts = append(parts, fmt.Sprint(column["Name"], " ", column["Type"]))
			}
			parts = append(parts, "|")
		}
		return strings.Join(parts, ", ")
	}
	stream := openStream(t, openSink(t, dir, nil), spec)
	mustBegin(t, stream)
	_ = stream.Close()
	table := server.Table("lake", "trips")
	const columns = "id bigint, big decimal(20,0), at timestamp, fare decimal(10,2), day date, j string"
	if got := describe(table); got != columns+", |, city string, |" {
		t.Errorf("columns %s", got)
	}
	parameters, _ := table["Parameters"].(map[string]any)
	if parameters["leat.type.big"] != "BIGINT UNSIGNED" || parameters["classification"] != "parquet" || parameters["EXTERNAL"] != "TRUE" || table["TableType"] != "EXTERNAL_TABLE" {
		t.Errorf("parameters %v", parameters)
	}
	if v := server.Versions("lake", "trips"); v != 1 {
		t.Errorf("%d versions", v)
	}
	// The same again changes nothing; a new column is a new version, also of the
	// partitions.
	stream = openStream(t, openSink(t, dir, nil), spec)
	mustBegin(t, stream)
	_ = stream.Close()
	if v := server.Versions("lake", "trips"); v != 1 {
		t.Errorf("%d versions without a change", v)
	}
	spec.Schema = append(spec.Schema, types.Column{Name: "tip", Type: types.TypeFloat64})
	stream = openStream(t, openSink(t, dir, nil), spec)
	defer stream.Close()
	if got := describe(server.Table("lake", "trips")); got != columns+", tip double, |, city string, |" || server.Versions("lake", "trips") != 2 {
		t.Errorf("grown columns %s in %d versions", got, server.Versions("lake", "trips"))
	}
	// Names that differ in case only, and tables of others, are refused.
	wrong := tripSpec("s2")
	wrong.Table = "Trips"
	if _, err := openSink(t, dir, nil).Stream(t.Context(), wrong); !sqlerror.HasCode(err, sqlerror.CodeConflict) || !strings.Contains(err.Error(), "case") {
		t.Errorf("table Trips: %v", err)
	}
	server.Put("lake", map[string]any{"Name": "taken", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": map[string]any{"Location": "s3://elsewhere/taken/"}})
	for _, format := range []string{"hive", "iceberg"} {
		wrong.Table = "Taken"
		other := strings.TrimSuffix(dir, "hive") + format
		glueServers.Store(other, server)
		if _, err := openSink(t, other, nil).Stream(t.Context(), wrong); !sqlerror.HasCode(err, sqlerror.CodeConflict) || !strings.Contains(err.Error(), "elsewhere") {
			t.Errorf("%s: the name of another's table: %v", format, err)
		}
		glueServers.Delete(other)
	}
	glueServers.Store(dir, server)
	sink := openSink(t, dir, nil)
	_ = stream.Close()
	if err := sink.Lake().DropTable(t.Context(), "trips"); err != nil || server.Versions("lake", "trips") != 0 {
		t.Errorf("DropTable: %v, %d versions", err, server.Versions("lake", "trips"))
	}
	if err := sink.Lake().DropTable(t.Context(), "taken"); !sqlerror.HasCode(err, sqlerror.CodeUnsupported) {
		t.Errorf("DropTable of another's table: %v", err)
	}
}

// TestGlue_PartitionsGrow gives partitions the columns that a table gets.
func TestGlue_PartitionsGrow(t *testing.T) {
	dir, server := glueDir(t, "hive")
	server.PageSize = 40
	stream := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	state, _ := mustBegin(t, stream)
	if _, err := writeCities(t.Context(), t, stream, state, 0, 130); err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	spec := tripSpec("s1")
	spec.Schema = append(spec.Schema, types.Column{Name: "tip", Type: types.TypeFloat64})
	stream = openStream(t, openSink(t, dir, nil), spec)
	defer stream.Close()
	for i := range 130 {
		p := server.Partition("lake", "trips", fmt.Sprint("c", i))
		sd, _ := p["StorageDescriptor"].(map[string]any)
		if columns, _ := sd["Columns"].([]any); len(columns) != 2 {
			t.Fatalf("columns of partition %d: %v", i, columns)
		}
	}
	if n := server.Calls("BatchUpdatePartition"); n != 2 {
		t.Errorf("%d calls", n)
	}
}

// manyCities is a batch of n rows, each in a city of its own.
func manyCities(base, first, n int64) connectors.Delta {
	ids, cities := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	defer ids.Release()
	defer cities.Release()
	for id := first; id < first+n; id++ {
		ids.Append(base + id)
		cities.Append(fmt.Sprint("c", id))
	}
	columns := []arrow.Array{ids.NewArray(), cities.NewArray()}
	defer columns[0].Release()
	defer columns[1].Release()
	return connectors.Delta{Batch: array.NewRecordBatch(tripSchema().Arrow(), columns, n)}
}
