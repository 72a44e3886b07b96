package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leatdb/leat/engine"
)

// Grouped, distinct and joined rows of a source are read on several lanes. One lane
// is the reference.
func TestGroupsOfSource(t *testing.T) {
	dir := t.TempDir()
	cluster := kafkaCluster(t, kfake.SeedTopics(3, "trips"))
	broker := cluster.ListenAddrs()[0]
	files := filepath.Join(dir, "in")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		var lines []string
		for i := range 6_000 {
			switch {
			case i%1000 == 7:
				lines = append(lines, "broken")
			case i%9 == 0:
				lines = append(lines, fmt.Sprintf(`{"id":%d,"fare":null,"unwanted":{"fare":1}}`, i))
			default:
				lines = append(lines, fmt.Sprintf(`{"id":%d,"fare":%d.%02d,"at":"2026-07-%02dT10:00:00.5Z","km":%d.1,"os":"%s"}`,
					i, i%70-35, i%100, i%28+1, i%50, []string{"ios", "android", "Ios", "x2"}[(i+n)%4]))
			}
		}
		if err := os.WriteFile(filepath.Join(files, fmt.Sprintf("%d.ndjson", n)), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			produce(t, broker, "trips", lines[:2000]...)
		}
	}
	columns := `(id BIGINT, fare DECIMAL(10,2), at TIMESTAMP(3), km DOUBLE, os TEXT)`
	script := fmt.Sprintf(`CREATE SOURCE s %s WITH (connector = 'files', path = '%s', mode = 'once', chunk_bytes = '16KiB');
		CREATE SOURCE one %s WITH (connector = 'files', path = '%s/0.ndjson', mode = 'once', chunk_bytes = '16KiB');
		CREATE SOURCE k %s WITH (connector = 'kafka', brokers = '%s', topic = 'trips', format = 'json', start = 'earliest', chunk_bytes = '8KiB');
		CREATE SOURCE g (id BIGINT) WITH (connector = 'datagen', rows = 20000)`, columns, files, columns, files, columns, broker)
	// Which of the rows that fail is named is the one that a lane comes upon first.
	failed := regexp.MustCompile(`\(\d+ \*`)
	anyRow := func(err error) string { return failed.ReplaceAllString(err.Error(), "(id *") }
	run := func(db *engine.DB, text string) []string {
		t.Helper()
		s := db.NewSession()
		r, err := s.Query(t.Context(), text)
		if err != nil {
			return []string{anyRow(err)}
		}
		defer r.Release()
		var rows []string
		for r.Next() {
			rows = append(rows, fmt.Sprint(r.RecordBatch()))
		}
		if err := r.Err(); err != nil {
			rows = append(rows, anyRow(err))
		}
		return rows
	}
	var dbs []*engine.DB
	for _, threads := range []int{1, 4} {
		db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, fmt.Sprint(threads)), Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, script)
		dbs = append(dbs, db)
	}
	for _, from := range []string{"s", "one", "k"} {
		for i, text := range []string{
			`SELECT os, COUNT(*), COUNT(fare), SUM(fare), AVG(fare), MIN(fare), MAX(at), MIN(km), COUNT(DISTINCT id), SUM(DISTINCT fare) FROM %s GROUP BY os ORDER BY os`,
			`SELECT id %% 100 AS g, BIT_XOR(id), SUM(id) FROM %s WHERE fare > 3 GROUP BY g HAVING COUNT(*) > 1 ORDER BY g LIMIT 50`,
			`SELECT DISTINCT os, fare FROM %s ORDER BY os, fare`,
			`SELECT os FROM %[1]s UNION SELECT CAST(id AS CHAR) FROM %[1]s ORDER BY os`,
			`SELECT DATE(at) AS day, os, COUNT(*) FROM %s GROUP BY day, os WITH ROLLUP ORDER BY day, os, COUNT(*)`,
			`SELECT a.os, COUNT(*), MAX(b.fare) FROM %[1]s AS a JOIN (SELECT DISTINCT id, fare FROM %[1]s) AS b ON a.id = b.id GROUP BY a.os ORDER BY a.os`,
			`SELECT COUNT(*) FROM %s GROUP BY fare / (id - id) IS NULL`,
			`SELECT os, SUM(id * 9223372036854775807) FROM %s GROUP BY os`,
		} {
			if from == "k" && i > 2 {
				break // each connects anew
			}
			text = fmt.Sprintf(text, from)
			want, got := run(dbs[0], text), run(dbs[1], text)
			if !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("%s: on four lanes\n%s\non one\n%s", text, got, want)
			}
		}
	}
	// What depends on the order of rows is as on one lane.
	for _, text := range []string{
		`SELECT os, SUM(km) FROM one GROUP BY os ORDER BY os`,
		`SELECT os, LENGTH(GROUP_CONCAT(id)), MD5(GROUP_CONCAT(id)) FROM (SELECT * FROM one WHERE id < 200) AS few GROUP BY os ORDER BY os`,
		`SELECT id, ROW_NUMBER() OVER () AS n FROM one ORDER BY n LIMIT 100`,
		`SELECT SUM(id), COUNT(DISTINCT os) FROM (SELECT id, os FROM one LIMIT 5000) AS first`,
	} {
		if want, got := run(dbs[0], text), run(dbs[1], text); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: with four lanes\n%s\nwith one\n%s", text, got, want)
		}
	}
	equal(t, "datagen", query(t, dbs[1], `SELECT SUM(n) FROM (SELECT COUNT(*) AS n FROM g GROUP BY id) AS d`), "20000")
}

// A query that is given up ends its lanes.
func TestGroupsOfSource_GivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.ndjson")
	lines := strings.Repeat(`{"id":1}`+"\n", 200_000)
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE s (id BIGINT) WITH (connector = 'files', path = '%s', mode = 'once', chunk_bytes = '4KiB')`, path))
	text := `SELECT id, COUNT(*) FROM s GROUP BY id`
	equal(t, "all of it", query(t, db, text), "1|200000")
	before := runtime.NumGoroutine()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if r, err := db.Query(ctx, text); err == nil {
			for r.Next() {
				continue
			}
			r.Release()
		}
		cancel()
	}
	awaitGoroutines(t, before)
}
