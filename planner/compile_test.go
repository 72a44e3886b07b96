package planner_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql/types"
)

// run runs a lane's filters and projections over rows given as the Go values of
// the input columns, and prints what comes out: NULL, values, or the failure.
func run(t *testing.T, plan *planner.StreamPlan, ctx *kernel.Context, input ...[]any) []string {
	t.Helper()
	lane, err := plan.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var columns []arrow.Array
	for i, f := range plan.Source.Fields {
		b := array.NewBuilder(ctx.Alloc, f.Column.Type.Arrow())
		for _, row := range input {
			if err := kernel.AppendValue(b, row[i]); err != nil {
				t.Fatalf("column %s: %v", f.Column.Name, err)
			}
		}
		columns = append(columns, b.NewArray())
		b.Release()
	}
	batch := &kernel.Batch{Columns: columns, Rows: len(input)}
	failed := map[int]error{}
	for _, step := range lane.Steps {
		rows := batch.Rows
		if batch.Sel != nil {
			rows = len(batch.Sel)
		}
		ctx.Remember(rows)
		switch step := step.(type) {
		case *planner.FilterStep:
			sel, errs, err := kernel.Filter(ctx, step.Predicate, batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch.Rows {
				if err := errs.Row(i); err != nil {
					failed[i] = err
				}
			}
			batch.Sel = append([]int32{}, sel...)
		case *planner.ProjectStep:
			projected := make([]arrow.Array, len(step.Exprs))
			for i, e := range step.Exprs {
				v, err := e.Eval(ctx, batch)
				if err != nil {
					t.Fatal(err)
				}
				for r := range batch.Rows {
					if err := v.Errors.Row(r); err != nil && failed[r] == nil {
						failed[r] = err
					}
				}
				if projected[i], err = kernel.Expand(ctx, v, batch.Rows); err != nil {
					t.Fatal(err)
				}
				v.Release()
				if got, want := projected[i].DataType(), step.Schema[i].Type.Arrow(); !arrow.TypeEqual(got, want) && got.ID() != arrow.DICTIONARY {
					t.Errorf("column %s is %s, want %s", step.Schema[i].Name, got, want)
				}
			}
			ctx.Forget()
			for _, c := range columns {
				c.Release()
			}
			columns = projected
			batch.Columns = projected
		default:
			t.Fatalf("step %T in a test without flattening", step)
		}
	}
	sel := batch.Sel
	if sel == nil {
		for i := range batch.Rows {
			sel = append(sel, int32(i))
		}
	}
	var out []string
	for _, r := range sel {
		if err := failed[int(r)]; err != nil {
			out = append(out, "failed: "+err.Error())
			continue
		}
		var values []string
		for _, c := range columns {
			values = append(values, printed(kernel.Value(c, int(r))))
		}
		out = append(out, strings.Join(values, " | "))
	}
	for _, c := range columns {
		c.Release()
	}
	return out
}

func printed(v any) string {
	if b, ok := v.([]byte); ok {
		return fmt.Sprintf("x'%x'", b)
	}
	if v == nil {
		return "NULL"
	}
	return fmt.Sprint(v)
}

func newContext(t *testing.T) *kernel.Context {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	t.Cleanup(func() { alloc.AssertSize(t, 0) })
	return &kernel.Context{Alloc: alloc, Mode: kernel.Mode{Strict: true}, Now: time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func mustBind(t *testing.T, query string, change func(*planner.StreamInput)) *planner.StreamPlan {
	t.Helper()
	query, partitioned := splitStream(query)
	plan, err := newWorld(t).bind(query, func(in *planner.StreamInput) {
		in.Stream.PartitionedBy = partitioned
		if change != nil {
			change(in)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestCompile_FilterAndProject(t *testing.T) {
	plan := mustBind(t, `SELECT trip_id + 1 AS next, fare * 2 AS twice, rider->>'$.os' AS os, CASE WHEN fare > 5 THEN 'far' ELSE 'near' END AS how
		FROM trips WHERE fare > 1 AND region LIKE 'a%'
PARTITIONED BY UPPER(region) AS r`, nil)
	// The fields are trip_id, fare, Region and the path.
	got := run(t, plan, newContext(t),
		[]any{int64(1), "10.00", "ab", "linux"},
		[]any{int64(2), "1.00", "ab", "linux"},
		[]any{int64(3), "2.50", "ax", nil},
		[]any{int64(4), "9.00", "b", "x"},
		[]any{int64(5), nil, "a", "x"},
	)
	want(t, got, "2 | 20.00 | linux | far | AB", "4 | 5.00 | NULL | near | AX")
}

func TestCompile_TwoProjections(t *testing.T) {
	plan := mustBind(t, "SELECT x, CONCAT(x, x) AS y FROM (SELECT LOWER(u) AS x, id FROM clicks WHERE id > 1) a WHERE x <> 'b'", nil)
	got := run(t, plan, newContext(t), []any{int64(1), "A"}, []any{int64(2), "B"}, []any{int64(3), "C"})
	want(t, got, "c | cc")
}

// A failing row does not take the others with it, and a row that a filter takes
// away does not fail.
func TestCompile_FailedRows(t *testing.T) {
	plan := mustBind(t, "SELECT x FROM (SELECT id, CAST(u AS SIGNED) AS x FROM clicks) a WHERE id > 1", nil)
	got := run(t, plan, newContext(t), []any{int64(1), "no number"}, []any{int64(2), "12"}, []any{int64(3), "x"})
	if len(got) != 2 || got[0] != "12" || !strings.HasPrefix(got[1], "failed: ") {
		t.Errorf("got %q, want 12 and a failure", got)
	}
}

func TestCompile_RowFunc(t *testing.T) {
	f := func(columns string, row []any, wanted string) {
		t.Helper()
		plan := mustBind(t, "SELECT "+columns+" AS x FROM clicks", nil)
		if len(plan.RowFuncs) == 0 {
			t.Fatalf("%s has a kernel; take another function for the test", columns)
		}
		got := run(t, plan, newContext(t), row)
		want(t, got, wanted)
	}
	f("SOUNDEX(u)", []any{"Robert"}, "R163")
	f("SOUNDEX(u)", []any{nil}, "NULL")
	f("IS_IPV4(CONCAT('10.0.0.', id))", []any{int64(7)}, "true")
	f("JSON_SET(payload, '$.a', id)", []any{int64(5), `{"b": [1]}`}, `{"a": 5, "b": [1]}`)
	f("JSON_DEPTH(payload)", []any{"[1, 2]"}, "2")
	f("CHAR(65, id)", []any{int64(66)}, "x'4142'")
	f("u COLLATE utf8mb4_general_ci = 'ABC'", []any{"abc"}, "true")
	f("u COLLATE utf8mb4_general_ci IN ('x', 'ABC')", []any{"abc"}, "true")
}

// TestCompile_RowFuncWarnings: a warning fails the row where SQL is strict, and
// is nothing where it is not.
func TestCompile_RowFuncWarnings(t *testing.T) {
	const query = "SELECT HEX(INET6_ATON(u)) AS x FROM clicks"
	strict := mustBind(t, query, nil)
	got := run(t, strict, newContext(t), []any{"10.0.0.1"}, []any{"nonsense"}, []any{"10.0.0.2"})
	if len(got) != 3 || got[0] != "0A000001" || !strings.Contains(got[1], "failed: ") || got[2] != "0A000002" {
		t.Errorf("strict: %q", got)
	}
	lenient := mustBind(t, query, func(in *planner.StreamInput) { in.Strict = false })
	want(t, run(t, lenient, newContext(t), []any{"10.0.0.1"}, []any{"nonsense"}), "0A000001", "NULL")
}

// TestCompile_RowFuncPerLane: two lanes do not share an evaluation.
func TestCompile_RowFuncPerLane(t *testing.T) {
	plan := mustBind(t, "SELECT SOUNDEX(u) AS x FROM clicks", nil)
	done := make(chan []string)
	for range 4 {
		go func() {
			lane, err := plan.Compile()
			if err != nil {
				done <- []string{err.Error()}
				return
			}
			alloc := memory.NewGoAllocator()
			b := array.NewStringBuilder(alloc)
			for i := range 1000 {
				b.Append(fmt.Sprint("Robert", i))
			}
			project := lane.Steps[0].(*planner.ProjectStep)
			v, err := project.Exprs[0].Eval(&kernel.Context{Alloc: alloc}, &kernel.Batch{Columns: []arrow.Array{b.NewArray()}, Rows: 1000})
			if err != nil {
				done <- []string{err.Error()}
				return
			}
			done <- []string{printed(kernel.Value(v.Array, 999))}
		}()
	}
	for range 4 {
		want(t, <-done, "R163")
	}
}

func TestCompile_Clock(t *testing.T) {
	plan := mustBind(t, "SELECT NOW() AS a, CURDATE() AS b, id FROM clicks", nil)
	got := run(t, plan, newContext(t), []any{int64(1)})
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	want(t, got, fmt.Sprintf("%d | %d | 1", at.UnixMicro(), at.Unix()/86400))
}

func TestCompile_Flatten(t *testing.T) {
	plan := mustBind(t, `SELECT t.trip_id, d.name, t.fare FROM trips t, UNNEST(t.stops) AS d(name VARCHAR(20), version INT)
		WHERE t.region = 'a' AND d.version > 3`, nil)
	lane, err := plan.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range lane.Steps {
		kinds = append(kinds, strings.TrimPrefix(fmt.Sprintf("%T", s), "*planner."))
	}
	want(t, kinds, "FilterStep", "FlattenStep", "FilterStep", "ProjectStep")
	// The fields are trip_id, fare, Region, stops; the filter on the region comes
	// first, so that the column is not kept, nor is what is flattened.
	flatten := lane.Steps[1].(*planner.FlattenStep)
	if fmt.Sprint(flatten.Keep) != "[0 1]" {
		t.Errorf("keeps columns %v, want [0 1]", flatten.Keep)
	}
	var names []string
	for _, c := range flatten.Schema {
		names = append(names, c.Name+" "+c.Type.String())
	}
	want(t, names, "trip_id BIGINT", "fare DECIMAL(10,2)", "name VARCHAR(20)", "version INT")
	if flatten.Outer || flatten.Data.Type().Kind != types.JSON || len(flatten.Table.Columns) != 2 {
		t.Errorf("step %+v", flatten)
	}
	project := lane.Steps[3].(*planner.ProjectStep)
	if len(project.Exprs) != 3 || len(project.Schema) != 3 {
		t.Errorf("projects %d columns", len(project.Exprs))
	}
}

// TestCompile_Timezone: what a TIMESTAMP shows depends on the stream's zone.
func TestCompile_Timezone(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	plan := mustBind(t, "SELECT HOUR(pickup_at) AS h, trip_id FROM trips", func(in *planner.StreamInput) { in.Location = tokyo })
	ctx := newContext(t)
	ctx.Location = tokyo
	got := run(t, plan, ctx, []any{int64(1), time.Date(2024, 5, 6, 20, 0, 0, 0, time.UTC).UnixMicro()})
	want(t, got, "5 | 1")
}

// The two ways to evaluate a function, over 10,000 rows.
func BenchmarkLane_Kernel(b *testing.B)   { benchmarkLane(b, "UPPER(u)") }
func BenchmarkLane_RowByRow(b *testing.B) { benchmarkLane(b, "SOUNDEX(u)") }

func benchmarkLane(b *testing.B, expression string) {
	plan, err := newWorld(b).bind("SELECT "+expression+" AS x FROM clicks", nil)
	if err != nil {
		b.Fatal(err)
	}
	lane, err := plan.Compile()
	if err != nil {
		b.Fatal(err)
	}
	const rows = 10_000
	alloc := memory.NewGoAllocator()
	builder := array.NewStringBuilder(alloc)
	for i := range rows {
		builder.Append(fmt.Sprint("name", i))
	}
	batch := &kernel.Batch{Columns: []arrow.Array{builder.NewArray()}, Rows: rows}
	ctx := &kernel.Context{Alloc: alloc}
	e := lane.Steps[0].(*planner.ProjectStep).Exprs[0]
	b.ReportAllocs()
	for b.Loop() {
		v, err := e.Eval(ctx, batch)
		if err != nil {
			b.Fatal(err)
		}
		v.Release()
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkBindStream(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		if _, err := w.bind("SELECT trip_id, fare * 1.08 AS gross, rider->>'$.device.os' AS os FROM trips WHERE fare > 0", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCompile_Shared compares expressions that have parts in common, some of which
// fail where they are not needed, with the same computed in each place.
func TestCompile_Shared(t *testing.T) {
	parts := []string{
		"LOWER(u)", "CONCAT(u, id)", "10 DIV (id - 2)", "n - id", "price * id", "HOUR(at)", "SUBSTRING_INDEX(SUBSTRING_INDEX(u, 'b', 1), 'b', -1)", "payload->>'$.k'",
		"CASE WHEN id > 1 THEN u ELSE LOWER(u) END", "COALESCE(u, 'none')", "(id = 2 OR u LIKE 'a%')", "CAST(price * id AS CHAR)", "DATE_FORMAT(at, '%H')", "(1 / id)",
	}
	forms := []string{
		"CASE %[1]s WHEN %[2]s THEN 'x' WHEN 'abc' THEN %[1]s ELSE %[2]s END", "IF(id > 2, %[1]s, %[2]s)", "COALESCE(NULLIF(%[1]s, %[2]s), %[2]s, %[1]s)", "CONCAT(%[1]s, %[2]s, %[1]s)",
		"(id <> 2 AND %[1]s > 1) OR %[2]s = 'x'", "IF(id <> 2, IF(%[2]s IS NULL, %[1]s, 'y'), 'z')",
	}
	r := rand.New(rand.NewPCG(1, 2))
	form := func() string {
		return fmt.Sprintf(forms[r.IntN(len(forms))], parts[r.IntN(len(parts))], parts[r.IntN(len(parts))])
	}
	failures := 0
	for range 150 {
		query := fmt.Sprintf("SELECT id, u, at, flag, price, payload, n, %s AS a, %s AS b, %s AS c FROM clicks WHERE id < 3 OR %s IS NOT NULL", form(), form(), parts[r.IntN(len(parts))], form())
		plan := mustBind(t, query, nil)
		var input [][]any
		for _, row := range append(clicks, clicks...) {
			var values []any
			for _, f := range plan.Source.Fields {
				if i := plan.Output.Index(f.Column.Name); i >= 0 && i < len(row) {
					values = append(values, row[i])
				} else {
					values = append(values, "v") // a path that the decoder evaluates
				}
			}
			input = append(input, values)
		}
		for _, strict := range []bool{true, false} {
			ctx, plain := newContext(t), newContext(t)
			ctx.Mode.Strict, plain.Mode.Strict = strict, strict
			plain.Warn = func(error) {}
			got, wanted := run(t, plan, ctx, input...), run(t, plan, plain, input...)
			want(t, got, wanted...)
			failures += strings.Count(strings.Join(got, "\n"), "failed: ")
		}
		if t.Failed() {
			t.Fatal(query)
		}
	}
	if failures == 0 {
		t.Error("no row failed")
	}
	for _, v := range run(t, mustBind(t, "SELECT id, u, at, flag, price, payload, n, IF(RAND(id) = RAND(id), RAND() = RAND(), 'seeded') AS x FROM clicks", nil), newContext(t), clicks[0]) {
		if !strings.HasSuffix(v, "false") && !strings.HasSuffix(v, " 0") {
			t.Errorf("two calls of RAND gave one value: %s", v)
		}
	}
}

// A long expression, of which each part could stand in another place, too, costs
// what its length is, not the square of that.
func TestCompile_Long(t *testing.T) {
	plan := mustBind(t, "SELECT id"+strings.Repeat(" + n", 1000)+" AS total FROM clicks", nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := plan.Compile(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 50<<20 {
		t.Errorf("compiling 1000 terms took %d MB", got>>20)
	}
}
