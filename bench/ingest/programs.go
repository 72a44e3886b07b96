package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/engine"
)

// children are what this program is also called as: peers that are linked into
// it, each in a process of its own so that cores and memory are its.
var children = map[string]func(args []string) error{
	"land-duckdb":  childLandDuckDB,
	"count-duckdb": childCountDuckDB,
	"count-leat":   childCountLeat,
	"write-format": childWriteFormat,
}

// child is the command that calls this program as one of them.
func child(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, self, append([]string{name}, args...)...), nil
}

// leat runs the job as leat run does it, from the start of the process to its
// end, with commits, dead letters and counters. Options are the stream's.
func leat(c config, name string, options []string) program {
	return program{name: name, ours: true, run: func(ctx context.Context, t task, dir string) (result, error) {
		source := taxi.Source("connector = 'files'", "path = '"+t.input.path+"'", "mode = 'once'")
		return runLeat(ctx, c, t, dir, source, "", options)
	}}
}

// runLeat runs a source into a table of the default lake, or of the sink called
// lake that sink creates.
func runLeat(ctx context.Context, c config, t task, dir, source, sink string, options []string) (result, error) {
	into := ""
	if sink != "" {
		into = "INTO bench.trips_landed "
	}
	text := source + sink + fmt.Sprintf("CREATE STREAM trips_landed %s%s WITH (%s) AS\n%s;\n", into, t.layout.PartitionedBy(),
		strings.Join(append([]string{"compression = 'zstd'", "compression_level = 1"}, options...), ", "), taxi.Select)
	file := filepath.Join(dir, "ingest.sql")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return result{}, err
	}
	data := filepath.Join(dir, "data")
	u, err := measure.Run(exec.CommandContext(ctx, c.leat, "run", "--quiet", "--data", data, "--threads", strconv.Itoa(t.cores), file), t.cores)
	if err != nil || sink != "" {
		return result{Usage: u}, err
	}
	table := filepath.Join(data, "lake", "trips_landed")
	o, err := measure.Look(ctx, filepath.Join(table, "data"), measure.TripSums)
	if err != nil {
		return result{}, err
	}
	snapshots, err := filepath.Glob(filepath.Join(table, "metadata", "snap-*.avro"))
	// The first snapshot is that of the start, which has no rows.
	return result{Usage: u, Output: o, commits: int64(len(snapshots)) - 1}, err
}

func landDuckDB(ctx context.Context, t task, dir string) (result, error) {
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return result{}, err
	}
	target := out
	if t.layout.Column == "" {
		target = filepath.Join(out, "0.parquet")
	}
	cmd, err := child(ctx, "land-duckdb", t.input.path, target, strconv.Itoa(t.cores), strconv.Itoa(t.layout.Partitions))
	if err != nil {
		return result{}, err
	}
	u, err := measure.Run(cmd, t.cores)
	if err != nil {
		return result{}, err
	}
	o, err := measure.Look(ctx, out, measure.TripSums)
	return result{Usage: u, Output: o}, err
}

// duckDB opens the linked DuckDB, tuned as its documentation advises for
// partitioned writes.
func duckDB(threads string, f func(conn *sql.Conn) error) (err error) {
	ctx := context.Background()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range []string{
		"SET threads = " + threads, "SET preserve_insertion_order = false",
		"SET partitioned_write_max_open_files = 300", "SET partitioned_write_flush_threshold = 200000",
	} {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return f(conn)
}

func childLandDuckDB(args []string) error {
	partitions, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	return duckDB(args[2], func(conn *sql.Conn) error {
		begun := time.Now()
		if _, err := conn.ExecContext(context.Background(), taxi.Copy(args[0], args[1], taxi.NewLayout(partitions))+";"); err != nil {
			return err
		}
		return say(time.Since(begun))
	})
}

// say prints how long the work took as measure.Run reads it.
func say(took time.Duration) error {
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"seconds": took.Seconds()})
}

func childCountDuckDB(args []string) error {
	return duckDB(args[1], func(conn *sql.Conn) error {
		begun := time.Now()
		var rows int64
		var fare, tip string
		if err := conn.QueryRowContext(context.Background(), fmt.Sprintf(`SELECT COUNT(*), CAST(SUM(fare) AS VARCHAR), CAST(SUM(tip) AS VARCHAR)
FROM read_json('%s', format = 'newline_delimited', columns = {fare: 'DECIMAL(10,2)', tip: 'DECIMAL(10,2)'})`, args[0])).Scan(&rows, &fare, &tip); err != nil {
			return err
		}
		took := time.Since(begun)
		fmt.Println(rows, fare, tip)
		return say(took)
	})
}

// childCountLeat asks the engine as a program that embeds it does. The source has
// the options that follow the input, the cores and the folder.
func childCountLeat(args []string) (err error) {
	ctx := context.Background()
	threads, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	db, err := engine.Open(ctx, engine.Config{Dir: args[2], Threads: threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Exec(ctx, taxi.Source(append([]string{"connector = 'files'", "path = '" + args[0] + "'", "mode = 'once'"}, args[3:]...)...)); err != nil {
		return err
	}
	begun := time.Now()
	r, err := db.Query(ctx, "SELECT COUNT(*), CAST(SUM(fare) AS CHAR), CAST(SUM(tip) AS CHAR) FROM trips")
	if err != nil {
		return err
	}
	defer r.Release()
	var row []string
	for r.Next() {
		for _, column := range r.RecordBatch().Columns() {
			row = append(row, strings.Clone(column.ValueStr(0))) // the batch is gone with the next one
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	took := time.Since(begun)
	fmt.Println(strings.Join(row, " "))
	return say(took)
}
