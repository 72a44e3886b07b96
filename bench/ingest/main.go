// Command ingest compares leat with other programs on the same job: a file of
// JSON events is decoded, filtered, and written as zstd Parquet in partitions.
// All run as processes of their own on the same file and cores, taking turns,
// and what they wrote must be the same rows. Each table goes to -results as
// Markdown, JSON and a figure. See bench/README.md.
//
//	go run ./bench/ingest -leat bin/leat -table batch
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/peer"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/bench/taxi"
)

type config struct {
	leat, dir, results string
	scratch            string // in dir; for what programs write
	rows               int64
	runs               int
	cores              []int
	partitions         []int
	peers              []string
	budget             time.Duration
	command            string // repeats the table
}

// tables by name: each measures, and adds to its table.
var tables = map[string]func(ctx context.Context, c config) (*report.Table, error){
	"batch":      batch,
	"partitions": partitions,
	"dirty":      dirty,
	"narrow":     narrow,
	"linear":     linear,
	"commits":    commits,
	"memory":     memory,
	"formats":    byFormat,
}

func main() {
	measure.Child()
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		if err := children[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var c config
	var names, cores, parts, peers string
	known := strings.Join(slices.Sorted(maps.Keys(tables)), ", ")
	flag.StringVar(&names, "table", "batch", "`names` of what to measure, of "+known)
	flag.StringVar(&c.leat, "leat", "bin/leat", "the leat `binary`")
	flag.StringVar(&c.dir, "dir", filepath.Join(os.TempDir(), "leat-bench"), "scratch `directory`; the files of events are kept there")
	flag.StringVar(&c.results, "results", "bench/results", "`directory` for the tables; empty for none")
	flag.Int64Var(&c.rows, "rows", 2_300_000, "`events` in the file")
	flag.IntVar(&c.runs, "runs", 5, "`times` each is measured; the median counts")
	flag.StringVar(&cores, "cores", "1,2", "`numbers` of cores")
	flag.StringVar(&parts, "partitions", "12,265", "`numbers` of partitions")
	flag.StringVar(&peers, "peers", "all", "`names` of the peers besides the linked DuckDB, all or none")
	flag.DurationVar(&c.budget, "budget", time.Minute, "a program that has used so much `time` on one line of a table is not run again for it")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if c.runs < 1 || c.rows < 1 {
		return errors.New("-runs and -rows must be above 0")
	}
	if c.cores, err = numbers("-cores", cores); err != nil {
		return err
	}
	c.cores = slices.DeleteFunc(c.cores, func(n int) bool {
		if n > runtime.NumCPU() {
			fmt.Printf("left out: %d cores, since the machine has %d\n", n, runtime.NumCPU())
		}
		return n > runtime.NumCPU()
	})
	if c.partitions, err = numbers("-partitions", parts); err != nil {
		return err
	}
	switch peers {
	case "none", "":
	case "all":
		for _, p := range peer.All() {
			c.peers = append(c.peers, p.Name)
		}
	default:
		c.peers = strings.Split(peers, ",")
		for _, name := range c.peers {
			if !slices.ContainsFunc(peer.All(), func(p peer.Peer) bool { return p.Name == name }) {
				return fmt.Errorf("-peers: there is no peer %q", name)
			}
		}
	}
	defer func() { err = errors.Join(err, peer.Remove()) }()
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	if c.scratch, err = os.MkdirTemp(c.dir, "runs-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.scratch)) }()
	for name := range strings.SplitSeq(names, ",") {
		table, ok := tables[name]
		if !ok {
			return fmt.Errorf("-table: there is no table %q, only %s", name, known)
		}
		c.command = again(name)
		begun := time.Now()
		t, err := table(ctx, c)
		if err != nil {
			return fmt.Errorf("measure %s: %w", name, err)
		}
		fmt.Println()
		if err := t.Markdown(os.Stdout); err != nil {
			return err
		}
		if c.results != "" {
			if err := t.Write(c.results); err != nil {
				return err
			}
		}
		fmt.Printf("%s took %v\n", name, time.Since(begun).Round(time.Second))
	}
	return nil
}

func numbers(name, list string) (n []int, err error) {
	for s := range strings.SplitSeq(list, ",") {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 {
			return nil, fmt.Errorf("%s %q: %q is no number above 0", name, list, s)
		}
		n = append(n, v)
	}
	return n, nil
}

// again is the command that measures a table as this run does: the flags that
// were given, without those of place.
func again(table string) string {
	s := "go run ./bench/ingest -table " + table
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "table", "leat", "dir", "results":
		default:
			s += fmt.Sprintf(" -%s %s", f.Name, f.Value)
		}
	})
	return s
}

// input is a file of events.
type input struct {
	path string
	rows int64
	size int64 // bytes
}

func (c config) input(rows int64, dirt float64) (input, error) {
	in := input{path: filepath.Join(c.dir, fmt.Sprintf("trips-%d-%g.ndjson", rows, dirt)), rows: rows}
	var err error
	in.size, err = taxi.WriteFile(in.path, rows, taxi.NewGenerator(1, taxi.Dirt{Share: dirt}))
	return in, err
}

func (in input) String() string {
	return fmt.Sprintf("%d events of %.0f bytes, %.0f MB", in.rows, float64(in.size)/float64(in.rows), float64(in.size)/1e6)
}

// table is an empty table with what is known before.
func (c config) table(ctx context.Context, name, title string, columns []report.Column, text ...string) *report.Table {
	return &report.Table{
		Name: name, Title: title, Text: text, Command: c.command, Taken: time.Now(), Machine: report.ThisMachine(),
		Versions: []report.Version{report.LeatVersion(ctx, c.leat)}, Columns: columns,
	}
}
