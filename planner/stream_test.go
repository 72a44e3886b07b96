package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// splitStream takes a test's input apart into the SELECT and the elements of
// PARTITIONED BY, as the statement's parser would.
func splitStream(input string) (query string, partitioned []sql.PartitionExpr) {
	query, list, _ := strings.Cut(input, "\nPARTITIONED BY ")
	line := 1 + strings.Count(query, "\n") + 1
	depth, start := 0, 0
	element := func(end int) {
		text := list[start:end]
		column := len("PARTITIONED BY ") + start + 1 + len(text) - len(strings.TrimLeft(text, " "))
		e := sql.PartitionExpr{ExprText: strings.TrimSpace(text), Pos: sqlerror.Position{Line: line, Column: column}}
		if i := strings.LastIndex(e.ExprText, " AS "); i >= 0 {
			e.ExprText, e.Name = e.ExprText[:i], e.ExprText[i+4:]
			e.NamePos = sqlerror.Position{Line: line, Column: column + i + 4}
		}
		partitioned = append(partitioned, e)
	}
	for i, r := range list {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			element(i)
			start = i + 1
		}
	}
	if list != "" {
		element(len(list))
	}
	return query, partitioned
}

func bindInput(t *testing.T, input string, change func(*planner.StreamInput)) (*planner.StreamPlan, error) {
	query, partitioned := splitStream(input)
	return newWorld(t).bind(query, func(in *planner.StreamInput) {
		in.Stream.PartitionedBy = partitioned
		if change != nil {
			change(in)
		}
	})
}

func TestBindStream(t *testing.T) {
	golden(t, "stream.txt", func(t *testing.T, input string) string {
		plan, err := bindInput(t, input, nil)
		if err != nil {
			return "error: " + err.Error()
		}
		if err := logical.Check(plan.Logical); err != nil {
			t.Error(err)
		}
		var b strings.Builder
		b.WriteString(logical.Format(plan.Logical))
		for _, f := range plan.Source.Fields {
			if f.Mode != connectors.FieldColumn || len(f.Path) != 1 || f.Path[0] != f.Column.Name {
				fmt.Fprintf(&b, "field %q %s mode %d\n", f.Path, f.Column.Type, f.Mode)
			}
		}
		if len(plan.Source.Hidden) > 0 {
			fmt.Fprintf(&b, "hidden %s\n", strings.Join(plan.Source.Hidden, ", "))
		}
		var out []string
		for _, c := range plan.Output {
			s := c.Name + " " + c.Type.String()
			if c.NotNull {
				s += " NOT NULL"
			}
			out = append(out, s)
		}
		fmt.Fprintf(&b, "lands %s\n", strings.Join(out, ", "))
		for _, p := range plan.Partition {
			fmt.Fprintf(&b, "partition %s: %s of %s\n", p.Name, p.Transform, plan.Output[p.Column].Name)
		}
		if len(plan.RowFuncs) > 0 {
			fmt.Fprintf(&b, "row by row %s\n", strings.Join(plan.RowFuncs, ", "))
		}
		return b.String()
	})
}

// TestBindStream_Refused prints what is wrong with each query; it always is the
// user's to mend.
func TestBindStream_Refused(t *testing.T) {
	golden(t, "refused.txt", func(t *testing.T, input string) string {
		plan, err := bindInput(t, input, nil)
		if err == nil {
			return "accepted\n" + logical.Format(plan.Logical)
		}
		rich := sqlerror.As(err)
		if rich == nil || rich.Kind != sqlerror.User {
			t.Errorf("not a user error: %v", err)
			return "error: " + err.Error()
		}
		if rich.Pos.Line == 0 {
			t.Errorf("no position: %v", err)
		}
		return fmt.Sprintf("%s: %s", rich.Code, err)
	})
}

func TestBindStream_HiveHasNoTransforms(t *testing.T) {
	_, err := bindInput(t, "SELECT id, at FROM clicks\nPARTITIONED BY DAYS(at)", func(in *planner.StreamInput) { in.TableFormat = "hive" })
	if !sqlerror.HasCode(err, sqlerror.CodeUnsupported) || !strings.Contains(err.Error(), "(DATE(at) AS day)") {
		t.Errorf("err=%v, want a refusal that shows the way out", err)
	}
}

func TestBindStream_PositionsAreOfTheStatement(t *testing.T) {
	_, err := newWorld(t).bind("SELECT id,\n  prise FROM clicks", func(in *planner.StreamInput) {
		in.Stream.QueryPos = sqlerror.Position{File: "p.sql", Line: 7, Column: 4}
	})
	if rich := sqlerror.As(err); rich == nil || rich.Pos.String() != "p.sql:8:3" {
		t.Errorf("err=%v, want it at p.sql:8:3", err)
	}
}

func TestBindStream_SourceHandle(t *testing.T) {
	plan, err := newWorld(t).bind("SELECT fare FROM cheap", nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Source.Name != "trips" || plan.Source.Handle != "handle of trips" {
		t.Errorf("source %s, handle %v", plan.Source.Name, plan.Source.Handle)
	}
}

func TestExplain(t *testing.T) {
	info := planner.ExplainInfo{
		Sink: "lake", Table: "trips", TableFormat: "iceberg", Compression: "zstd", Path: "s3://bucket/warehouse",
		Connector: "kafka", Format: "json", CommitInterval: 10 * time.Second, TargetFileSize: 128 << 20,
		Lanes: 2, Splits: 3, Partitions: 4,
	}
	infos := map[string]planner.ExplainInfo{"full": info, "bare": {}}
	unknown := info
	unknown.Partitions, unknown.Splits, unknown.CommitInterval = 0, -1, 5*time.Minute
	infos["unknown"] = unknown
	spare := info
	spare.Splits, spare.Lanes, spare.CommitInterval = 1, 3, time.Hour
	spare.Reading = []string{"told of new records by a bell", "and by a horn"}
	infos["spare"] = spare
	golden(t, "explain.txt", func(t *testing.T, input string) string {
		which, input, _ := strings.Cut(input, "\n")
		plan, err := bindInput(t, input, nil)
		if err != nil {
			return "error: " + err.Error()
		}
		return plan.Explain(infos[which])
	})
}

func TestBindStream_Casts(t *testing.T) {
	f := func(query string, loc *time.Location, want ...string) {
		t.Helper()
		plan, err := newWorld(t).bind(query, func(in *planner.StreamInput) { in.Location = loc })
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var got []string
		for _, f := range plan.Source.Fields {
			if f.Mode == connectors.FieldUnquote {
				got = append(got, fmt.Sprintf("%s %s", f.Path[len(f.Path)-1], f.Cast))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	const a = "CAST(rider->>'$.a' AS "
	east := time.FixedZone("east", 3600)
	f("SELECT "+a+"SIGNED) AS a FROM trips WHERE "+a+"SIGNED) > 1", nil, "a BIGINT")
	f("SELECT "+a+"DATETIME(3)) AS a, CAST(rider->>'$.b' AS DATE) AS b, CAST(rider->>'$.c' AS DECIMAL(9,2)) AS c FROM trips", nil, "a DATETIME(3)", "b DATE", "c DECIMAL(9,2)")
	f("SELECT "+a+"DATETIME) AS a, CAST(rider->>'$.b' AS DATE) AS b FROM trips", east, "a NULL", "b DATE")
	// Of what is read otherwise too.
	f("SELECT "+a+"SIGNED) AS a, "+a+"UNSIGNED) AS b FROM trips", nil, "a NULL")
	f("SELECT "+a+"SIGNED) AS a, "+a+"SIGNED) AS b, rider->>'$.a' AS c FROM trips", nil, "a NULL")
	f("SELECT "+a+"SIGNED) AS a FROM trips WHERE rider->>'$.a' LIKE '1%'", nil, "a NULL")
	f("SELECT UPPER(rider->>'$.a') AS a, "+a+"CHAR) AS b FROM trips", nil, "a NULL")
}

func TestBindStream_Predicates(t *testing.T) {
	f := func(query string, want ...string) {
		t.Helper()
		plan, err := newWorld(t).bind(query, nil)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var got []string
		for _, p := range plan.Source.Predicates {
			got = append(got, fmt.Sprintf("%s %d %v", p.Column.Name, p.Op, p.Values))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	const from = "SELECT trip_id FROM trips WHERE "
	f(from+"trip_id > 5", "trip_id 3 [5]")
	f(from+"5 >= trip_id AND fare < 10.5", "trip_id 2 [5]", "fare 1 [10.5]")
	f(from+"trip_id BETWEEN 1 AND 9", "trip_id 4 [1]", "trip_id 2 [9]")
	f(from+"pickup_location_id IN (1, NULL, 3)", "pickup_location_id 0 [1 3]")
	f(from+"Region = 'x' AND Region IS NOT NULL AND fare IS NULL", "Region 0 [x]", "Region 6 []", "fare 5 []")
	f(from+"pickup_at >= '2026-01-01 00:00:00'", "pickup_at 4 [1767225600000000]")
	f("SELECT * FROM (SELECT trip_id AS a, fare FROM trips) AS q WHERE a = 7", "trip_id 0 [7]")
	f("SELECT trip_id, s.v FROM trips, UNNEST(stops) AS s(v INT) WHERE trip_id = 7 AND v > 3", "trip_id 0 [7]")
	// What is no comparison of a column with constants of its kind.
	f(from + "trip_id > 5 OR fare > 1")
	f(from + "NOT trip_id > 5")
	f(from + "trip_id + 1 > 5")
	f(from + "trip_id > pickup_location_id")
	f(from + "trip_id = 1.5")
	f(from + "trip_id <> 5")
	f(from + "trip_id = '5'")
	f(from + "trip_id = NULL")
	f(from + "rider->>'$.os' = 'x'")
	f(from + "_offset > 5")
	f(from + "RAND() > 0.5")
	f("SELECT u FROM clicks WHERE flag = 1 AND price > 1", "price 3 [1]")
}
