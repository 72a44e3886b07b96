package measure_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/bench/measure"
)

// The test program looks at files as a benchmark's does.
func TestMain(m *testing.M) {
	measure.Child()
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	u, err := measure.Run(exec.Command("sh", "-c", `echo begun; echo '{"seconds": 1234.5}'`), 1)
	if err != nil {
		t.Fatal(err)
	}
	if u.Took != 1234500*time.Millisecond || u.Peak <= 0 {
		t.Errorf("usage %+v", u)
	}
	// One that does not say counts from start to exit.
	if u, err = measure.Run(exec.Command("sh", "-c", "nproc >&2"), 1); err != nil || u.Took <= 0 || u.Took > time.Minute {
		t.Errorf("usage %+v, %v", u, err)
	}
	out, err := exec.Command("sh", "-c", "command -v nproc").Output()
	if err == nil && len(out) > 0 {
		_, err = measure.Run(exec.Command("sh", "-c", `test "$(nproc)" = 1`), 1)
		if err != nil {
			t.Errorf("not on one core: %v", err)
		}
	}
	if _, err = measure.Run(exec.Command("sh", "-c", "echo the reason >&2; exit 3"), 1); err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("a failing program: %v", err)
	}
	if _, err = measure.Run(exec.Command("true"), 4096); err == nil {
		t.Error("ran on cores that there are not")
	}
}

func TestMedian(t *testing.T) {
	list := []time.Duration{5, 1, 9, 3, 2}
	if m := measure.Median(list, func(d time.Duration) time.Duration { return d }); m != 3 {
		t.Errorf("median %d, want 3", m)
	}
	if list[0] != 5 {
		t.Error("the list was sorted in place")
	}
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	if _, err := measure.Look(t.Context(), dir, "COUNT(*)"); err == nil {
		t.Error("an empty folder is no error")
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// The same rows, with money and times as different programs store them.
	exact := `SELECT i AS trip_id, CAST(i AS DECIMAL(10,2)) / 4 AS total, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_milliseconds(i) AS pickup_at,
  CASE WHEN i > 2 THEN 1 END AS passengers, 4.25 AS rider_rating, 'r' AS rider_id, 'ab' AS note FROM range(10) r(i)`
	loose := `SELECT i AS trip_id, i / 4 AS total, '2026-01-01T00:00:00.00' || i || 'Z' AS pickup_at,
  CASE WHEN i > 2 THEN 1 END AS passengers, CAST(4.25 AS FLOAT) AS rider_rating, 'r' AS rider_id, 'ab' AS note FROM range(10) r(i)`
	one := filepath.Join(dir, "one")
	two := filepath.Join(dir, "two")
	for _, s := range []string{
		"COPY (" + exact + ") TO '" + one + "' (FORMAT parquet, PARTITION_BY (passengers), WRITE_PARTITION_COLUMNS false)",
		"COPY (" + loose + ") TO '" + two + "' (FORMAT parquet, PER_THREAD_OUTPUT)",
	} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	a, err := measure.Look(t.Context(), one, measure.TripSums)
	if err != nil {
		t.Fatal(err)
	}
	b, err := measure.Look(t.Context(), two, measure.TripSums)
	if err != nil {
		t.Fatal(err)
	}
	if a.Files != 2 || a.Bytes == 0 || a.Last.IsZero() {
		t.Errorf("output %+v", a)
	}
	if want := "10 45 1125 17672256000045 7 4250 30"; a.Sums != want || b.Sums != want {
		t.Errorf("sums %q and %q, want %q", a.Sums, b.Sums, want)
	}
}
