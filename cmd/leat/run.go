package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
)

func runRun(ctx context.Context, c *cli, args []string) int {
	fs := c.flags("run")
	data := fs.String("data", envOr("LEAT_DATA", defaultData), "data `directory` (LEAT_DATA)")
	threads := fs.Int("threads", 0, "`cores` to use (default all)")
	memory := fs.Int("stream-memory", 256, "`MiB` that each stream may hold in open files")
	quiet := fs.Bool("quiet", false, "no progress on standard error")
	level := fs.String("log-level", envOr("LEAT_LOG_LEVEL", "warn"), "`level`: debug, info, warn or error (LEAT_LOG_LEVEL)")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() == 0 {
		fmt.Fprintln(c.stderr, "leat run: name at least one SQL file")
		return exitUsage
	}
	logger, err := newLogger(c, *level, "text")
	if err != nil {
		fmt.Fprintln(c.stderr, "leat run:", err)
		return exitUsage
	}
	useThreads(*threads)
	db, err := engine.Open(ctx, engine.Config{Dir: *data, Threads: *threads, StreamMemory: int64(*memory) << 20, Logger: logger})
	if err != nil {
		return c.fail(err)
	}
	code := c.runFiles(ctx, db, fs.Args(), *quiet)
	if err := db.Close(); err != nil {
		return c.fail(err)
	}
	return code
}

// runFiles executes the files and waits for their streams.
func (c *cli) runFiles(ctx context.Context, db *engine.DB, files []string, quiet bool) int {
	started := time.Now()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return c.fail(fmt.Errorf("read SQL file: %w", err))
		}
		if err := db.Script(ctx, string(text), file); err != nil {
			return c.fail(err)
		}
	}
	waited := make(chan error, 1)
	waitCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { waited <- db.Wait(waitCtx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !quiet {
				c.progress(db)
			}
		case err := <-waited:
			if err != nil && ctx.Err() != nil {
				db.StopStreams()
			}
			return c.summary(db, time.Since(started))
		}
	}
}

// progress prints a line for each stream that is at work.
func (c *cli) progress(db *engine.DB) {
	for _, name := range db.Streams() {
		st, err := db.Status(name)
		if err != nil {
			continue
		}
		switch st.State {
		case dataflow.Running:
			fmt.Fprintf(c.stderr, "%s: %s\n", name, progressLine(st))
		case dataflow.Retrying, dataflow.Starting:
			fmt.Fprintf(c.stderr, "%s: %s", name, st.State)
			if st.Reason != nil {
				fmt.Fprintf(c.stderr, " since %s: %v", st.Since.Format(time.TimeOnly), st.Reason)
			}
			fmt.Fprintln(c.stderr)
		}
	}
}

func progressLine(st engine.StreamStatus) string {
	line := fmt.Sprintf("%d rows in, %d landed, %d dead, %.0f rows/s, %s/s", st.Counters.RowsIn, st.Counters.RowsLanded, st.Counters.RowsDead, st.RowsPerSecond, size(int64(st.BytesPerSecond)))
	if p := st.Progress; p.BytesTotal > 0 {
		line += fmt.Sprintf(", %.1f %% of %s", 100*float64(min(p.BytesRead, p.BytesTotal))/float64(p.BytesTotal), size(p.BytesTotal))
		if left := p.BytesTotal - p.BytesRead; left > 0 && st.BytesPerSecond > 0 {
			line += fmt.Sprintf(", %s left", time.Duration(float64(left)/st.BytesPerSecond*float64(time.Second)).Round(time.Second))
		}
	} else if p.Lag >= 0 {
		line += fmt.Sprintf(", %d behind", p.Lag)
	}
	return line
}

func size(n int64) string {
	f, unit := float64(n), 0
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	for f >= 1000 && unit < len(units)-1 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.3g %s", f, units[unit])
}

// summary prints one line for each stream and gives the exit code.
func (c *cli) summary(db *engine.DB, took time.Duration) int {
	code := exitDone
	for _, name := range db.Streams() {
		st, err := db.Status(name)
		if err != nil {
			continue
		}
		c.summarise(c.stdout, name, st, took)
		switch {
		case st.State == dataflow.Fenced:
			code = exitFenced
		case st.State == dataflow.Failed && code != exitFenced:
			code = exitStream
		}
	}
	return code
}

func (c *cli) summarise(w io.Writer, name string, st engine.StreamStatus, took time.Duration) {
	n := st.Counters
	fmt.Fprintf(w, "%s: %s, %d rows in, %d landed, %d filtered, %d dead, %d files, %s in %s",
		name, st.State, n.RowsIn, n.RowsLanded, n.RowsFiltered, n.RowsDead, st.Files, size(st.BytesOut), took.Round(time.Millisecond))
	if seconds := took.Seconds(); seconds > 0 && st.BytesIn > 0 {
		fmt.Fprintf(w, ", %s/s", size(int64(float64(st.BytesIn)/seconds)))
	}
	if st.Reason != nil {
		fmt.Fprintf(w, ": %v", st.Reason)
	}
	fmt.Fprintln(w)
}
