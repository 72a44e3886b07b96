package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Aggregates of all rows of a source are computed by kernels on several lanes.
// What DuckDB finds, which sees one group, is the reference.
func TestTotalsOfSource(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	for i := range 20_000 {
		switch {
		case i%1000 == 7:
			b.WriteString("broken\n")
		case i%9 == 0:
			fmt.Fprintf(&b, `{"id":%d,"fare":null,"unwanted":{"fare":1}}`+"\n", i)
		default:
			fmt.Fprintf(&b, `{"id":%d,"fare":%d.%02d,"at":"2026-07-%02dT10:00:00.5Z","km":%d.25,"n":%d,"os":"%s"}`+"\n",
				i, i%70-35, i%100, i%28+1, i%50, i%300, []string{"ios", "android", "1", "x2"}[i%4])
		}
	}
	files := filepath.Join(dir, "in")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.ndjson", "b.ndjson"} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE s (id BIGINT, fare DECIMAL(10,2), at TIMESTAMP(3), km DOUBLE, n INT UNSIGNED, os TEXT)
		WITH (connector = 'files', path = '%s', mode = 'once', chunk_bytes = '16KiB')`, files))
	f := func(totals, where string) {
		t.Helper()
		plain := "SELECT " + totals + " FROM s " + where
		if plan := strings.Join(query(t, db, "EXPLAIN "+plain), "\n"); !strings.Contains(plan, "Kernels") {
			t.Errorf("%s: the plan is\n%s", plain, plan)
		}
		// IDs are below a million.
		grouped := "SELECT " + totals + " FROM s " + where + " GROUP BY id > 1000000"
		if plan := strings.Join(query(t, db, "EXPLAIN "+grouped), "\n"); !strings.Contains(plan, "DuckDB") {
			t.Errorf("%s: the plan is\n%s", grouped, plan)
		}
		got, want := query(t, db, plain), query(t, db, grouped)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", plain, got, want)
		}
	}
	f("COUNT(*), COUNT(fare), SUM(fare), AVG(fare), MIN(fare), MAX(fare)", "")
	f("COUNT(*), SUM(id), AVG(id), MIN(at), MAX(at), SUM(km), AVG(km), MIN(n), MAX(n), SUM(n), COUNT(os)", "WHERE fare > 3 AND os <> 'ios'")
	f("MIN(os), MAX(os), MIN(CONCAT(os, id)), MAX(UPPER(os)), MIN(rpad(fare, 9, '-'))", "WHERE os <> '1'")
	f("SUM(fare * 2) + 1, CAST(SUM(km) AS CHAR), CONCAT(COUNT(*), 'x')", "WHERE n BETWEEN 3 AND 200")
	f("COUNT(*), SUM(fare / (id - 5))", "WHERE id < 100") // a division by zero is a warning

	equal(t, "no rows", query(t, db, "SELECT COUNT(*), SUM(fare), MIN(id) FROM s WHERE id < 0"), "0|NULL|NULL")
	equal(t, "HAVING", query(t, db, "SELECT COUNT(*) FROM s HAVING COUNT(*) > 1000000"))
	equal(t, "LIMIT below", query(t, db, "SELECT COUNT(*), MAX(id) FROM (SELECT id FROM s LIMIT 10) AS few"), "10|10")
	equal(t, "LIMIT above", query(t, db, "SELECT COUNT(*) FROM s LIMIT 0"))
	equal(t, "without FROM", query(t, db, "SELECT COUNT(*), SUM(1 + 1)"), "1|2")
	equal(t, "COUNT alone", query(t, db, "SELECT COUNT(*) FROM s"), "39960")
	// A row at a time, with state of its own: one lane.
	equal(t, "RAND", query(t, db, "SELECT COUNT(*) FROM s WHERE RAND() >= 0"), "39960")

	refused(t, db, "SELECT SUM(id * 9223372036854775807) FROM s", sqlerror.CodeOutOfRange, "BIGINT value is out of range")
	refused(t, db, "SELECT SUM(km * 1e308) FROM s", sqlerror.CodeOutOfRange, "DOUBLE value is out of range")
}

// A source that is tailed never ends by itself: the lanes end when what it held
// has been read.
func TestTotalsOfSource_Unbounded(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.ndjson")
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `{"id":%d}`+"\n", i)
	}
	if err := os.WriteFile(input, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE s (id BIGINT) WITH (connector = 'files', path = '%s', mode = 'tail', chunk_bytes = '4KiB')`, input))
	equal(t, "totals", query(t, db, "SELECT COUNT(*), SUM(id), MAX(id) FROM s"), "5000|12497500|4999")
}

func TestTotalsOfSource_Kafka(t *testing.T) {
	cluster := kafkaCluster(t, kfake.SeedTopics(3, "trips"))
	broker := cluster.ListenAddrs()[0]
	var values []string
	for i := range 500 {
		values = append(values, fmt.Sprintf(`{"id":%d,"unwanted":"x"}`, i))
	}
	produce(t, broker, "trips", values...)
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE s (id BIGINT) WITH (connector = 'kafka', brokers = '%s', topic = 'trips', format = 'json', start = 'earliest', chunk_bytes = '2KiB')`, broker))
	equal(t, "totals", query(t, db, "SELECT COUNT(*), SUM(id), MIN(id), COUNT(_offset) FROM s"), "500|124750|0|500")
}

func TestTotalsOfSource_Datagen(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE s (id BIGINT) WITH (connector = 'datagen', rows = 50000)`)
	equal(t, "totals", query(t, db, "SELECT COUNT(*) FROM s"), "50000")
}
