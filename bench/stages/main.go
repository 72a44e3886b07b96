//go:build gms_pure_go && duckdb_arrow

// Command stages says where the time of ingesting goes: a file of JSON events
// lands as partitioned zstd Parquet, as in bench/ingest, under the CPU profiler,
// and each sample counts for the stage in whose code it fell. Times are of the
// CPU, so that they mean something on a machine that does other things too.
//
//	go run ./bench/stages -partitions 12,265
//	go run ./bench/stages -nexmark all
//
// With -partitions narrow nothing lands: COUNT and SUM of two fields are asked of
// the file, as in bench/ingest's table of that name. With -nexmark it is the
// queries of bench/nexmark over its events, from a file to Parquet.
//
// The profiles of each run stay in the scratch directory, for go tool pprof.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/leatdb/leat/bench/nexmark/event"
	"github.com/leatdb/leat/bench/nexmark/query"
	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/engine"
)

type config struct {
	dir     string
	rows    int64
	runs    int
	threads int
	dirt    float64
	memory  int64
}

var layouts = map[string]string{
	"1":    "",
	"12":   "PARTITIONED BY (MONTH(pickup_at) AS month)",
	"265":  "PARTITIONED BY (pickup_location_id)",
	"500":  "PARTITIONED BY (BUCKET(500, trip_id))",
	"3180": "PARTITIONED BY (pickup_location_id, MONTH(pickup_at) AS month)",
	"5000": "PARTITIONED BY (BUCKET(5000, trip_id))",
	narrow: "",
}

// narrow stands for a query of two fields.
const narrow = "narrow"

func main() {
	var c config
	var partitions, nexmark string
	flag.StringVar(&c.dir, "dir", filepath.Join(os.TempDir(), "leat-bench"), "scratch `directory`")
	flag.Int64Var(&c.rows, "rows", 2_300_000, "`events` in the file")
	flag.IntVar(&c.runs, "runs", 3, "`times` each is run; all samples count together")
	flag.IntVar(&c.threads, "threads", 1, "`cores` that leat uses")
	flag.StringVar(&partitions, "partitions", "12,265", "`numbers` of partitions: 1, 12, 265, 500, 3180, 5000, or narrow")
	flag.StringVar(&nexmark, "nexmark", "", "`queries` of Nexmark instead, such as q0,q21, or all")
	flag.Float64Var(&c.dirt, "dirt", 0, "`share` of lines with escapes, nulls, spaces or another field order")
	flag.Int64Var(&c.memory, "stream-memory", 256, "`MiB` that the stream may hold in open files")
	flag.Parse()
	if flag.Arg(0) == "run" {
		exit(run(context.Background(), c, flag.Arg(1), flag.Arg(2), flag.Arg(3)))
		return
	}
	if nexmark != "" {
		names := strings.Split(nexmark, ",")
		if nexmark == "all" {
			names = names[:0]
			for _, q := range query.All {
				names = append(names, q.Name)
			}
		}
		for _, name := range names {
			if !slices.ContainsFunc(query.All, named(name)) {
				exit(fmt.Errorf("-nexmark %q: there is no query %q without state", nexmark, name))
			}
			exit(measure(c, name))
		}
		return
	}
	for _, p := range strings.Split(partitions, ",") {
		if _, ok := layouts[p]; !ok {
			exit(fmt.Errorf("-partitions %q: %q is none of 1, 12, 265, 500, 3180, 5000, narrow", partitions, p))
		}
		exit(measure(c, p))
	}
}

func named(name string) func(query.Query) bool {
	return func(q query.Query) bool { return q.Name == name }
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stages:", err)
		os.Exit(1)
	}
}

// run does the job in this process and writes its profiles.
func run(ctx context.Context, c config, input, what, profiles string) (err error) {
	runtime.GOMAXPROCS(c.threads)
	runtime.SetBlockProfileRate(int(time.Millisecond))
	dir, err := os.MkdirTemp(c.dir, "stages-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cpu, err := os.Create(filepath.Join(profiles, "cpu.pprof"))
	if err != nil {
		return err
	}
	defer cpu.Close()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	db, err := engine.Open(ctx, engine.Config{Dir: dir, Threads: c.threads, StreamMemory: c.memory << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if i := slices.IndexFunc(query.All, named(what)); i >= 0 {
		err = land(ctx, c, db, query.All[i].Job(input, false), query.Stream)
	} else if what == narrow {
		err = count(ctx, c, db, input)
	} else {
		err = land(ctx, c, db, taxi.Job(input, layouts[what]), "trips_landed")
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"allocs", "block"} {
		f, err := os.Create(filepath.Join(profiles, name+".pprof"))
		if err != nil {
			return err
		}
		if err := errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// land runs the job, which makes a stream.
func land(ctx context.Context, c config, db *engine.DB, job, stream string) error {
	if err := db.Script(ctx, job, "job.sql"); err != nil {
		return err
	}
	if err := db.Wait(ctx); err != nil {
		return err
	}
	status, err := db.Status(stream)
	if err != nil {
		return err
	}
	if n := status.Committed.Counters; status.Reason != nil || n.RowsIn != c.rows || n.RowsDead != 0 {
		return fmt.Errorf("%d rows in, %d dead, want %d and none: %w", n.RowsIn, n.RowsDead, c.rows, status.Reason)
	}
	return nil
}

// count asks the narrow query.
func count(ctx context.Context, c config, db *engine.DB, input string) error {
	if err := db.Exec(ctx, taxi.Source("connector = 'files'", "path = '"+input+"'", "mode = 'once'")); err != nil {
		return err
	}
	r, err := db.Query(ctx, "SELECT COUNT(*), SUM(fare), SUM(tip) FROM trips")
	if err != nil {
		return err
	}
	defer r.Release()
	rows := ""
	for r.Next() {
		rows = r.RecordBatch().Column(0).ValueStr(0)
	}
	if want := strconv.FormatInt(c.rows, 10); r.Err() == nil && rows != want {
		return fmt.Errorf("%s rows counted, want %s", rows, want)
	}
	return r.Err()
}

// measure runs the job in processes of its own and prints its stages.
func measure(c config, what string) (err error) {
	var input, title string
	var size int64
	switch {
	case slices.ContainsFunc(query.All, named(what)):
		title, input = what, filepath.Join(c.dir, fmt.Sprintf("nexmark-%d.ndjson", c.rows))
		size, err = event.WriteFile(input, c.rows, event.NewGenerator(1))
	default:
		if title = what + " partitions"; what == narrow {
			title = "COUNT and SUM of two fields"
		}
		input = filepath.Join(c.dir, fmt.Sprintf("trips-%d-%g.ndjson", c.rows, c.dirt))
		size, err = taxi.WriteFile(input, c.rows, taxi.NewGenerator(1, taxi.Dirt{Share: c.dirt}))
	}
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var total tally
	var wall, cpu, kernel time.Duration
	var peak int64
	for n := range c.runs {
		profiles := filepath.Join(c.dir, fmt.Sprintf("profile-%s-%d", what, n+1))
		if err := os.MkdirAll(profiles, 0o755); err != nil {
			return err
		}
		cmd := exec.Command(self, "-dir", c.dir, "-rows", strconv.FormatInt(c.rows, 10), "-threads", strconv.Itoa(c.threads),
			"-stream-memory", strconv.FormatInt(c.memory, 10), "run", input, what, profiles)
		cmd.Stderr = os.Stderr
		begun := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("run the job: %w", err)
		}
		wall += time.Since(begun)
		kernel += cmd.ProcessState.SystemTime()
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			peak = max(peak, usage.Maxrss*1024)
		}
		if err := total.add(filepath.Join(profiles, "cpu.pprof")); err != nil {
			return err
		}
	}
	runs := float64(c.runs)
	mb := float64(size) / 1e6
	fmt.Printf("%s, %d events, %.0f MB, %d cores: %.2f s, CPU %.2f s (%.0f MB/s a core; %.2f s in the kernel), peak %.0f MB; means of %d\n",
		title, c.rows, mb, c.threads, wall.Seconds()/runs, cpu.Seconds()/runs, mb/(cpu.Seconds()/runs), kernel.Seconds()/runs, float64(peak)/1e6, c.runs)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stage\tCPU s\tshare\tMB/s\t")
	for i, s := range stages {
		share := float64(total.stage[i]) / float64(max(total.samples, 1))
		seconds := share * cpu.Seconds() / runs
		rate := "-"
		if seconds > 0 {
			rate = fmt.Sprintf("%.0f", mb/seconds)
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.1f %%\t%s\t\n", s.name, seconds, 100*share, rate)
	}
	return w.Flush()
}
