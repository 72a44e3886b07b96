package adhoc_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// numbers is a table of the numbers below n.
func numbers(t testing.TB, n int) *table {
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = []any{int64(i)}
	}
	return newTable(t, "numbers", "id BIGINT", rows...)
}

// endless is a cross join of 10¹² rows.
func endless(t testing.TB, p *plans) *logical.Join {
	tab := numbers(t, 10000)
	pairs := &logical.Join{Kind: logical.JoinCross, Left: p.scan(tab), Right: p.scan(tab)}
	return &logical.Join{Kind: logical.JoinCross, Left: pairs, Right: p.scan(tab)}
}

// signalling is an identity kernel that calls f.
func signalling(arg logical.Expr, f func()) *logical.Call {
	return &logical.Call{Args: []logical.Expr{arg}, T: arg.Type(), Null: true, Func: &function.Function{
		Name: "signal",
		Kernel: func(_ *kernel.Context, _ int, args []kernel.Vector, _ types.Type) (kernel.Vector, error) {
			f()
			args[0].Array.Retain()
			return kernel.Vector{Array: args[0].Array, Const: args[0].Const}, nil
		},
	}}
}

// A result streams: what is not read is not computed, and takes no memory.
func TestQuery_LargeResultStreams(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{MemoryBytes: 64 << 20}), &plans{}
	r, err := e.Query(context.Background(), endless(t, p), adhoc.Session{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var rows int64
	for rows < 1_000_000 {
		if !r.Next() {
			t.Fatalf("the result ended after %d rows: %v", rows, r.Err())
		}
		rows += r.RecordBatch().NumRows()
	}
}

func TestQuery_CancelWhileExecuting(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	ctx, cancel := context.WithCancel(context.Background())
	join := endless(t, p)
	call := signalling(ref(join, "id"), cancel)
	r, err := e.Query(ctx, p.aggregate(join, nil, agg("sum", "DECIMAL(38,0)", call)), adhoc.Session{})
	if err == nil {
		_, err = rowsOf(r)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it is cancelled", err)
	}
	// The connection serves the next query.
	equalRows(t, run(t, e, p.aggregate(p.scan(numbers(t, 3)), nil, agg("count", "BIGINT"))), "3")
}

func TestQuery_CancelBetweenBatches(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	ctx, cancel := context.WithCancel(context.Background())
	r, err := e.Query(ctx, endless(t, p), adhoc.Session{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatal(r.Err())
	}
	cancel()
	for r.Next() {
	}
	if !errors.Is(r.Err(), context.Canceled) {
		t.Errorf("error %v, want that it is cancelled", r.Err())
	}
}

func TestQuery_CloseInterrupts(t *testing.T) {
	e, err := adhoc.Open(adhoc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := &plans{}
	join := endless(t, p)
	closed := make(chan error, 1)
	once := sync.OnceFunc(func() { go func() { closed <- e.Close() }() })
	call := signalling(ref(join, "id"), once)
	r, err := e.Query(context.Background(), p.aggregate(join, nil, agg("max", "BIGINT", call)), adhoc.Session{})
	if err == nil {
		_, err = rowsOf(r)
	}
	if se := sqlerror.As(err); se == nil || se.Code != sqlerror.CodeState {
		t.Errorf("error %v, want that the engine is closed", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := e.Query(context.Background(), p.scan(numbers(t, 1)), adhoc.Session{}); sqlerror.As(err) == nil {
		t.Errorf("error %v, want that the engine is closed", err)
	}
}

func TestQuery_Concurrent(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	before := runtime.NumGoroutine()
	e, err := adhoc.Open(adhoc.Config{Threads: 2, Allocator: alloc})
	if err != nil {
		t.Fatal(err)
	}
	tab := numbers(t, 5000)
	var done sync.WaitGroup
	for i := range 16 {
		done.Go(func() {
			p := &plans{}
			s := p.scan(tab)
			call := signalling(ref(s, "id"), func() {})
			for range 10 {
				filtered := &logical.Filter{Input: s, Predicate: infix("<", "BOOLEAN", call, lit(int64(i), "BIGINT"))}
				equalRows(t, run(t, e, p.aggregate(filtered, nil, agg("count", "BIGINT"))), fmt.Sprint(i))
			}
		})
	}
	done.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(4 * time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// Two engines in one process numbered their statements alike, so that one called
// the kernels of the other, or found them gone.
func TestQuery_TwoEngines(t *testing.T) {
	first, second := openEngine(t, adhoc.Config{Threads: 1}), openEngine(t, adhoc.Config{Threads: 1})
	tab := numbers(t, 5000)
	count := func(e *adhoc.Engine, f func()) []string {
		p := &plans{}
		s := p.scan(tab)
		call := signalling(ref(s, "id"), f)
		filtered := &logical.Filter{Input: s, Predicate: infix("<", "BOOLEAN", call, lit(int64(4000), "BIGINT"))}
		return run(t, e, p.aggregate(filtered, nil, agg("count", "BIGINT")))
	}
	var between sync.Once
	meanwhile := func() { between.Do(func() { equalRows(t, count(second, func() {}), "4000") }) }
	equalRows(t, count(first, meanwhile), "4000")
}

// spilling is a query of spillingRows rows, which do not fit into 48 MiB.
func spilling(t *testing.T) logical.Node {
	t.Helper()
	p, tab := &plans{}, numbers(t, 3000)
	pairs := &logical.Join{Kind: logical.JoinCross, Left: p.scan(tab), Right: p.scan(tab)}
	return &logical.Sort{Input: pairs, Keys: []logical.SortKey{desc(ref(pairs.Right, "id")), asc(ref(pairs.Left, "id"))}}
}

const spillingRows = 9_000_000

func countRows(t *testing.T, e *adhoc.Engine, plan logical.Node) (n int64, err error) {
	t.Helper()
	r, err := e.Query(t.Context(), plan, adhoc.Session{})
	if err != nil {
		return 0, err
	}
	defer r.Release()
	for r.Next() {
		n += r.RecordBatch().NumRows()
	}
	return n, r.Err()
}

// What does not fit into memory is spilled, or is an error that says so.
func TestQuery_MemoryLimit(t *testing.T) {
	sorted := spilling(t)
	e := openEngine(t, adhoc.Config{MemoryBytes: 48 << 20})
	if n, err := countRows(t, e, sorted); err != nil || n != spillingRows {
		t.Errorf("%d rows, %v", n, err)
	}
	e, err := adhoc.Open(adhoc.Config{MemoryBytes: 48 << 20, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = countRows(t, e, sorted)
	if se := sqlerror.As(err); se == nil || se.Code != sqlerror.CodeResources || !strings.Contains(se.Hint, "--query-memory") {
		t.Errorf("error %v, want one of resources with the flag that gives more", err)
	}
}

// checkNoRoom runs a query that has to spill, and finds no room.
func checkNoRoom(t *testing.T, e *adhoc.Engine, plan logical.Node) {
	t.Helper()
	n, err := countRows(t, e, plan)
	if se := sqlerror.As(err); se == nil || se.Code != sqlerror.CodeResources || !strings.Contains(se.Hint, "free space") || strings.Contains(err.Error(), "PRAGMA") {
		t.Errorf("the disk is full: %d rows, %v", n, err)
	}
}

// DuckDB keeps to the room that it found at first. The query after one that found none
// has it look again.
func TestQuery_NoRoomToSpill(t *testing.T) {
	e := openEngine(t, adhoc.Config{MemoryBytes: 48 << 20})
	if err := e.Exec("SET max_temp_directory_size = '0B'"); err != nil {
		t.Fatal(err)
	}
	sorted := spilling(t)
	checkNoRoom(t, e, sorted)
	if n, err := countRows(t, e, sorted); err != nil || n != spillingRows {
		t.Errorf("there is room: %d rows, %v", n, err)
	}
}

func TestQuery_Errors(t *testing.T) {
	e, tab, p := openEngine(t, adhoc.Config{}), orders(t), &plans{}
	s := p.scan(tab)
	f := func(plan logical.Node, code sqlerror.Code, text string) {
		t.Helper()
		r, err := e.Query(context.Background(), plan, adhoc.Session{})
		if err == nil {
			_, err = rowsOf(r)
		}
		se := sqlerror.As(err)
		if se == nil || se.Code != code || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %s with %q", err, code, text)
		}
	}
	sub := p.scan(tab)
	f(p.project(s, &logical.Subquery{Op: logical.SubqueryScalar, Plan: p.project(sub, ref(sub, "id")), T: parseType("BIGINT")}),
		sqlerror.CodeCardinality, "Subquery returns more than 1 row")
	f(p.project(s, infix("+", "BIGINT", ref(s, "id"), lit(int64(1<<63-1), "BIGINT"))),
		sqlerror.CodeOutOfRange, "BIGINT value is out of range in '(1 + 9223372036854775807)'")
	failing := signalling(ref(s, "id"), nil)
	failing.Func.Kernel = func(_ *kernel.Context, _ int, args []kernel.Vector, _ types.Type) (kernel.Vector, error) {
		args[0].Array.Retain()
		return kernel.Vector{Array: args[0].Array, Errors: (*kernel.Errors)(nil).Set(0, errors.New("DOUBLE value is out of range"))}, nil
	}
	f(p.project(s, failing), sqlerror.CodeOutOfRange, "DOUBLE value is out of range")
	panicking := signalling(ref(s, "id"), func() { panic("deliberate") })
	f(p.project(s, panicking), sqlerror.CodeInternal, "deliberate")

	gone := &table{name: "t", columns: tab.columns, files: []catalog.DataFile{{Path: filepath.Join(t.TempDir(), "gone.parquet"), Bytes: 1}}}
	f(p.scan(gone), sqlerror.CodeExternal, "gone.parquet")
	old := p.scan(&table{name: "t", columns: columnsOf("id BIGINT")})
	old.Handle = &table{name: "t", columns: columnsOf("other BIGINT")}
	f(old, sqlerror.CodeUnknownObject, "id")
	old.Handle = &table{name: "t", columns: columnsOf("id DATE")}
	f(old, sqlerror.CodeConflict, "id")
}

// arrowTable reads itself, as tables with row-level deletes have to be read.
type arrowTable struct {
	*table
	batches int
}

func (t *arrowTable) ScanArrow(_ context.Context, columns []int) (array.RecordReader, error) {
	schema := t.Schema()
	out := make(types.Schema, len(columns))
	for i, c := range columns {
		out[i] = schema[c]
	}
	var batches []arrow.RecordBatch
	for n := range t.batches {
		b := array.NewRecordBuilder(memory.DefaultAllocator, out.Arrow())
		for i, c := range columns {
			switch c {
			case 0:
				b.Field(i).(*array.Int64Builder).Append(int64(n))
			case 1:
				b.Field(i).(*array.StringBuilder).Append(fmt.Sprint("s", n))
			}
		}
		batches = append(batches, b.NewRecordBatch())
		b.Release()
	}
	r, err := array.NewRecordReader(out.Arrow(), batches)
	for _, b := range batches {
		b.Release()
	}
	return r, err
}

func TestQuery_TableWithDeletes(t *testing.T) {
	e, p := openEngine(t, adhoc.Config{}), &plans{}
	tab := newTable(t, "t", "id BIGINT, s VARCHAR(9)", []any{int64(1), "x"}, []any{int64(2), "y"})
	tab.files[0].Deletes = true
	s := p.scan(tab)
	_, err := e.Query(context.Background(), s, adhoc.Session{})
	if u := (*adhoc.Unsupported)(nil); !errors.As(err, &u) || !strings.Contains(err.Error(), "deletes") {
		t.Errorf("error %v, want Unsupported", err)
	}
	self := &arrowTable{table: tab, batches: 500}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			p := &plans{}
			s := p.scan(tab)
			s.Handle = self
			twice := &logical.SetOp{Op: "UNION", All: true, Left: s, Right: s, Columns: []logical.OutputColumn{p.column("id", types.TypeInt64), p.column("s", types.TypeText)}}
			equalRows(t, run(t, e, p.aggregate(twice, nil, agg("count", "BIGINT"), agg("max", "TEXT", ref(twice, "s")))), "1000|s99")
		})
	}
	done.Wait()
	r, err := e.Scan(context.Background(), self, []int{1}, []catalog.Predicate{{Column: 0, Op: catalog.OpLess, Values: []any{int64(2)}}})
	equalRows(t, mustRows(t, r, err), "s0", "s1")
}
