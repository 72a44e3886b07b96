// Command nexmark runs the queries of Nexmark that keep no state over a file of
// its events: with Leat into nothing and into Parquet, and with the linked
// DuckDB into Parquet. What both write must be the same rows. See
// bench/README.md.
//
//	go run ./bench/nexmark -leat bin/leat
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/nexmark/event"
	"github.com/leatdb/leat/bench/nexmark/query"
	"github.com/leatdb/leat/bench/report"
)

type config struct {
	leat, dir, results string
	events             int64
	runs, cores        int
	only               []string
	file               string
	size               int64
}

func main() {
	measure.Child()
	if len(os.Args) == 5 && os.Args[1] == childName {
		if err := duckDBChild(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var c config
	var only string
	flag.StringVar(&c.leat, "leat", "bin/leat", "the leat `binary`")
	flag.StringVar(&c.dir, "dir", filepath.Join(os.TempDir(), "leat-bench"), "scratch `directory`; the file of events is kept there")
	flag.StringVar(&c.results, "results", "bench/results", "`directory` for the table; empty for none")
	flag.Int64Var(&c.events, "events", 4_000_000, "`events` in the file")
	flag.IntVar(&c.runs, "runs", 3, "`times` each is measured; the median counts")
	flag.IntVar(&c.cores, "cores", 1, "`number` of cores")
	flag.StringVar(&only, "queries", "", "`names` of the queries, such as q0,q21; default all")
	flag.Parse()
	c.only = strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.measure(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "nexmark:", err)
		os.Exit(1)
	}
}

// outcome is one run.
type outcome struct {
	measure.Usage
	measure.Output
}

func middle(list []outcome) outcome {
	return measure.Median(list, func(o outcome) time.Duration { return o.Took })
}

func (c *config) measure(ctx context.Context) (err error) {
	if c.events < 1 || c.runs < 1 || c.cores < 1 || flag.NArg() > 0 {
		return errors.New("-events, -runs and -cores must be above 0, and there are no other arguments")
	}
	c.file = filepath.Join(c.dir, fmt.Sprintf("nexmark-%d.ndjson", c.events))
	if c.size, err = event.WriteFile(c.file, c.events, event.NewGenerator(1)); err != nil {
		return err
	}
	version, err := measure.DuckDBVersion(ctx)
	if err != nil {
		return err
	}
	command := "go run ./bench/nexmark"
	flag.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"leat", "dir", "results"}, f.Name) {
			command += fmt.Sprintf(" -%s %s", f.Name, f.Value)
		}
	})
	r := &report.Table{
		Name: "nexmark", Title: "Nexmark, the queries without state",
		Text: []string{
			"Events of an auction house, a person to three auctions to 46 bids, are read from a file of JSON; the queries work on the bids. Into nothing (a sink of `connector = 'blackhole'`)" +
				" and into zstd Parquet. Leat's time is that of the whole process, DuckDB's that of its COPY; CPU s is that of the whole process of both, into Parquet. What both write has the same sums.",
			fmt.Sprintf("%d events of %.0f bytes, %.0f MB; %d core(s).", c.events, float64(c.size)/float64(c.events), float64(c.size)/1e6, c.cores),
		},
		Command: command, Taken: time.Now(), Machine: report.ThisMachine(),
		Versions: []report.Version{report.LeatVersion(ctx, c.leat), {Name: "duckdb", Version: version}},
		Columns: []report.Column{{Name: "query"}, {Name: "what"}, {Name: "rows out"}, {Name: "nothing: s", Digits: 2}, {Name: "k events/s"}, {Name: "Parquet: s", Digits: 2},
			{Name: "k events/s to Parquet"}, {Name: "CPU s", Digits: 2}, {Name: "peak MB"}, {Name: "DuckDB: s", Digits: 2}, {Name: "DuckDB: CPU s", Digits: 2}, {Name: "× DuckDB", Digits: 2}, {Name: "runs"}},
	}
	figure := chart.Bars{Title: "Nexmark, the queries without state", Subtitle: fmt.Sprintf("thousands of events a second on %d core(s), more is better; into Parquet, and into nothing", c.cores)}
	for _, q := range query.All {
		if len(c.only) > 0 && !slices.Contains(c.only, q.Name) {
			continue
		}
		var nothing, parquet, duck []outcome
		failed := error(nil)
		for round := range c.runs {
			a, err := c.runLeat(ctx, q, true)
			if err == nil {
				nothing = append(nothing, a)
				a, err = c.runLeat(ctx, q, false)
			}
			if err != nil {
				failed = err
				break
			}
			parquet = append(parquet, a)
			b, err := c.runDuckDB(ctx, q)
			if err != nil {
				return fmt.Errorf("%s: DuckDB: %w", q.Name, err)
			}
			duck = append(duck, b)
			if a.Sums != b.Sums {
				return fmt.Errorf("%s: the results differ: Leat's has %s, DuckDB's %s", q.Name, a.Sums, b.Sums)
			}
			fmt.Printf("%s, round %d: %.2f s into nothing, %.2f s into Parquet, DuckDB %.2f s\n", q.Name, round+1, nothing[round].Took.Seconds(), a.Took.Seconds(), b.Took.Seconds())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if failed != nil {
			r.Leave(q.Name, strings.Join(strings.Fields(fmt.Sprintf("%.500v", failed)), " "))
			fmt.Println(q.Name, "is out:", failed)
			continue
		}
		n, p, d := middle(nothing), middle(parquet), middle(duck)
		rows, _, _ := strings.Cut(p.Sums, " ")
		out, err := strconv.ParseInt(rows, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Name, err)
		}
		rate := func(o outcome) float64 { return float64(c.events) / 1e3 / o.Took.Seconds() }
		if err := r.Add(q.Name, q.What, out, n.Took.Seconds(), rate(n), p.Took.Seconds(), rate(p), p.CPU.Seconds(), float64(p.Peak)/1e6, d.Took.Seconds(), d.CPU.Seconds(),
			d.Took.Seconds()/p.Took.Seconds(), int64(c.runs)); err != nil {
			return err
		}
		if q.Note != "" {
			r.Notes = append(r.Notes, q.Name+": "+q.Note+".")
		}
		figure.Groups = append(figure.Groups, chart.Group{Name: q.Name + ", " + q.What, Bars: []chart.Bar{
			{Name: "leat", Value: rate(p), Ours: true}, {Name: "duckdb", Value: rate(d)}, {Name: "leat into nothing", Value: rate(n), Ours: true}}})
	}
	fmt.Println()
	if c.results != "" {
		if err := r.Draw(c.results, "", figure); err != nil {
			return err
		}
		if err := r.Write(c.results); err != nil {
			return err
		}
	}
	return r.Markdown(os.Stdout)
}

func (c *config) runLeat(ctx context.Context, q query.Query, nothing bool) (o outcome, err error) {
	dir, err := os.MkdirTemp(c.dir, "run-")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, data := filepath.Join(dir, "query.sql"), filepath.Join(dir, "data")
	if err := os.WriteFile(file, []byte(q.Job(c.file, nothing)), 0o644); err != nil {
		return o, err
	}
	o.Usage, err = measure.Run(exec.CommandContext(ctx, c.leat, "run", "--quiet", "--data", data, "--threads", strconv.Itoa(c.cores), file), c.cores)
	if err != nil || nothing {
		return o, err
	}
	o.Output, err = measure.Look(ctx, filepath.Join(data, "lake", query.Stream, "data"), q.Sums)
	return o, err
}

const childName = "nexmark-duckdb"

func (c *config) runDuckDB(ctx context.Context, q query.Query) (o outcome, err error) {
	dir, err := os.MkdirTemp(c.dir, "run-")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	target, options := filepath.Join(dir, "0.parquet"), ""
	if q.Partition != "" {
		target, options = filepath.Join(dir, "out"), ", PARTITION_BY ("+q.Partition+"), WRITE_PARTITION_COLUMNS true"
	}
	copyTo := fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1%s)", q.DuckDB, target, options)
	if o.Usage, err = measure.Run(exec.CommandContext(ctx, self, childName, c.file, strconv.Itoa(c.cores), copyTo), c.cores); err != nil {
		return o, err
	}
	o.Output, err = measure.Look(ctx, dir, q.Sums)
	return o, err
}

// duckDBChild is the peer, in a process of its own.
func duckDBChild(file, threads, copyTo string) (err error) {
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
	var begun time.Time
	for _, s := range []string{"SET threads = " + threads, "SET preserve_insertion_order = false", fmt.Sprintf(query.DuckDBBid, file), copyTo} {
		begun = time.Now()
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"seconds": time.Since(begun).Seconds()})
}
