// Command ingest compares leat with DuckDB on the same job: a file of JSON
// events is decoded, filtered, and written as zstd Parquet in partitions. Both
// run as processes of their own on the same file and cores, taking turns.
//
//	go run ./bench/ingest -leat bin/leat
package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the peer, in the version that leat links
	"golang.org/x/sys/unix"

	"github.com/leatdb/leat/bench/taxi"
)

type config struct {
	leat, dir  string
	rows       int64
	runs       int
	cores      []int
	partitions []string
	dirt       float64
}

// layout is a way to partition: how leat says it and how DuckDB does.
type layout struct {
	name         string
	leat, duckdb string // PARTITIONED BY (…); the extra column of DuckDB's SELECT
	column       string
}

var layouts = map[string]layout{
	"1":   {name: "1"},
	"12":  {"12", "PARTITIONED BY (MONTH(pickup_at) AS month)", ", month(pickup_at) AS month", "month"},
	"265": {"265", "PARTITIONED BY (pickup_location_id)", "", "pickup_location_id"},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "duckdb" {
		if err := runDuckDB(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "duckdb:", err)
			os.Exit(1)
		}
		return
	}
	var c config
	var cores, partitions string
	flag.StringVar(&c.leat, "leat", "bin/leat", "the leat `binary`")
	flag.StringVar(&c.dir, "dir", filepath.Join(os.TempDir(), "leat-bench"), "scratch `directory`")
	flag.Int64Var(&c.rows, "rows", 2_300_000, "`events` in the file")
	flag.IntVar(&c.runs, "runs", 5, "`times` each is measured; the median counts")
	flag.StringVar(&cores, "cores", "1,2", "`numbers` of cores")
	flag.StringVar(&partitions, "partitions", "12,265", "`numbers` of partitions: 1, 12, 265")
	flag.Float64Var(&c.dirt, "dirt", 0, "`share` of lines with escapes, nulls, spaces or another field order")
	flag.Parse()
	for _, s := range strings.Split(cores, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			fail(fmt.Errorf("-cores %q: %q is no number of cores", cores, s))
		}
		if n > runtime.NumCPU() {
			fmt.Printf("left out: %d cores, since the machine has %d\n", n, runtime.NumCPU())
			continue
		}
		c.cores = append(c.cores, n)
	}
	for _, s := range strings.Split(partitions, ",") {
		if _, ok := layouts[s]; !ok {
			fail(fmt.Errorf("-partitions %q: %q is none of 1, 12, 265", partitions, s))
		}
		c.partitions = append(c.partitions, s)
	}
	if err := compare(context.Background(), c); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "ingest:", err)
	os.Exit(1)
}

// measurement is one run of one program.
type measurement struct {
	took    time.Duration
	peak    int64 // bytes of resident memory
	out     int64 // bytes of Parquet
	files   int
	rows    int64
	revenue string // SUM(total), to see that both did the same
}

func compare(ctx context.Context, c config) error {
	input := filepath.Join(c.dir, fmt.Sprintf("trips-%d-%g.ndjson", c.rows, c.dirt))
	size, err := taxi.WriteFile(input, c.rows, taxi.NewGenerator(1, taxi.Dirt{Share: c.dirt}))
	if err != nil {
		return err
	}
	version, err := duckDBVersion(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d events, %.0f MB (%.0f bytes each), %s, %d cores, %s; DuckDB %s; median of %d\n",
		c.rows, float64(size)/1e6, float64(size)/float64(c.rows), cpuName(), runtime.NumCPU(), runtime.Version(), version, c.runs)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "cores\tpartitions\tprogram\tseconds\trows/s\tMB/s\tpeak MB\tout MB\tfiles\tratio\t")
	for _, cores := range c.cores {
		for _, p := range c.partitions {
			var leat, duck []measurement
			for run := range c.runs {
				first, second := measureLeat, measureDuckDB
				if run%2 == 1 {
					first, second = second, first
				}
				a, err := first(ctx, c, input, cores, layouts[p])
				if err != nil {
					return err
				}
				b, err := second(ctx, c, input, cores, layouts[p])
				if err != nil {
					return err
				}
				if run%2 == 1 {
					a, b = b, a
				}
				if a.rows != b.rows || a.revenue != b.revenue {
					return fmt.Errorf("the results differ: leat %d rows, sum %s; DuckDB %d rows, sum %s", a.rows, a.revenue, b.rows, b.revenue)
				}
				leat, duck = append(leat, a), append(duck, b)
			}
			l, d := median(leat), median(duck)
			ratio := float64(d.took) / float64(l.took)
			line := func(name string, m measurement, ratio string) {
				s := m.took.Seconds()
				fmt.Fprintf(w, "%d\t%s\t%s\t%.2f\t%.0f\t%.0f\t%.0f\t%.1f\t%d\t%s\t\n", cores, p, name, s,
					float64(c.rows)/s, float64(size)/1e6/s, float64(m.peak)/1e6, float64(m.out)/1e6, m.files, ratio)
			}
			line("leat", l, fmt.Sprintf("%.2f", ratio))
			line("duckdb", d, "1")
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func median(list []measurement) measurement {
	slices.SortFunc(list, func(a, b measurement) int { return cmp.Compare(a.took, b.took) })
	return list[len(list)/2]
}

// onCores runs a command on the first n cores and measures it.
func onCores(cmd *exec.Cmd, n int) (took time.Duration, peak int64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, 0, fmt.Errorf("read cores: %w", err)
	}
	for i := 0; some.Count() < n && i < 1024; i++ {
		if all.IsSet(i) {
			some.Set(i)
		}
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return 0, 0, fmt.Errorf("choose cores: %w", err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &all) }()
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss * 1024
	}
	return took, peak, nil
}

// query is what leat is asked to do.
func leatSQL(input string, l layout) string {
	return fmt.Sprintf(`CREATE SOURCE trips (%s) WITH (connector = 'files', path = '%s', format = 'json', mode = 'once');
CREATE STREAM trips_landed %s WITH (compression = 'zstd') AS
SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id, rate_code,
  pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider->>'$.id' AS rider_id,
  CAST(rider->>'$.rating' AS DOUBLE) AS rider_rating, rider->>'$.os' AS rider_os, note
FROM trips WHERE fare > 0;
`, taxi.Columns, input, l.leat)
}

func measureLeat(_ context.Context, c config, input string, cores int, l layout) (m measurement, err error) {
	dir, err := os.MkdirTemp(c.dir, "leat-")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "ingest.sql")
	if err := os.WriteFile(file, []byte(leatSQL(input, l)), 0o644); err != nil {
		return m, err
	}
	cmd := exec.Command(c.leat, "run", "--quiet", "--data", filepath.Join(dir, "data"), "--threads", strconv.Itoa(cores), file)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if m.took, m.peak, err = onCores(cmd, cores); err != nil {
		return m, fmt.Errorf("run leat: %w: %s%s", err, out.String(), problems.String())
	}
	return m, m.look(filepath.Join(dir, "data", "lake", "trips_landed", "data"))
}

func measureDuckDB(_ context.Context, c config, input string, cores int, l layout) (m measurement, err error) {
	dir, err := os.MkdirTemp(c.dir, "duckdb-")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	cmd := exec.Command(self, "duckdb", input, filepath.Join(dir, "out"), strconv.Itoa(cores), l.name)
	var problems strings.Builder
	cmd.Stderr = &problems
	if m.took, m.peak, err = onCores(cmd, cores); err != nil {
		return m, fmt.Errorf("run DuckDB: %w: %s", err, problems.String())
	}
	return m, m.look(filepath.Join(dir, "out"))
}

// runDuckDB is the peer: DuckDB's own pipeline, tuned as its documentation
// advises for partitioned writes.
func runDuckDB(args []string) error {
	input, out, threads, l := args[0], args[1], args[2], layouts[args[3]]
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	target := "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
	if l.column != "" {
		target += ", PARTITION_BY (" + l.column + "), WRITE_PARTITION_COLUMNS true"
	} else {
		out += ".parquet"
	}
	for _, statement := range []string{
		"SET threads = " + threads,
		"SET preserve_insertion_order = false",
		"SET partitioned_write_max_open_files = 300",
		"SET partitioned_write_flush_threshold = 200000",
		fmt.Sprintf(`COPY (SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id,
  rate_code, pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider.id AS rider_id, rider.rating AS rider_rating,
  rider.os AS rider_os, note%s
FROM read_json('%s', format = 'newline_delimited', columns = {trip_id: 'BIGINT', vendor_id: 'INTEGER', pickup_at: 'TIMESTAMP', dropoff_at: 'TIMESTAMP',
  passengers: 'INTEGER', distance_km: 'DOUBLE', pickup_location_id: 'INTEGER', dropoff_location_id: 'INTEGER', rate_code: 'VARCHAR', pooled: 'BOOLEAN',
  payment_type: 'VARCHAR', fare: 'DECIMAL(10,2)', extra: 'DECIMAL(10,2)', tax: 'DECIMAL(10,2)', tip: 'DECIMAL(10,2)', tolls: 'DECIMAL(10,2)',
  total: 'DECIMAL(10,2)', currency: 'VARCHAR', rider: 'STRUCT(id VARCHAR, rating DOUBLE, os VARCHAR)', note: 'VARCHAR'})
WHERE fare > 0) TO '%s' %s)`, l.duckdb, input, out, target),
	} {
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// look counts what lies in a folder of Parquet files.
func (m *measurement) look(dir string) error {
	var paths []string
	root := dir
	if _, err := os.Stat(root); err != nil {
		root = dir + ".parquet"
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		m.files++
		m.out += info.Size()
		paths = append(paths, path)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look at the result: %w", err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	list, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	query := "SELECT COUNT(*), CAST(SUM(total) AS VARCHAR) FROM read_parquet(" + strings.ReplaceAll(string(list), `"`, "'") + ", hive_partitioning = false)"
	if err := db.QueryRow(query).Scan(&m.rows, &m.revenue); err != nil {
		return fmt.Errorf("read the result back: %w", err)
	}
	return nil
}

func duckDBVersion(ctx context.Context) (version string, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return "", err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	return version, err
}

// cpuName is the processor as Linux names it.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for _, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(name, "\t :")
		}
	}
	return runtime.GOARCH
}
