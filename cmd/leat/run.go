//go:build gms_pure_go && duckdb_arrow

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
	format := fs.String("log-format", envOr("LEAT_LOG_FORMAT", "text"), "`format` of the log on standard error: text or json (LEAT_LOG_FORMAT)")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() == 0 {
		fmt.Fprintln(c.stderr, "leat run: name at least one SQL file")
		return exitUsage
	}
	status := newStatusWriter(c.stderr)
	logger, err := newLogger(status, *level, *format)
	if err != nil {
		fmt.Fprintln(c.stderr, "leat run:", err)
		return exitUsage
	}
	useThreads(*threads)
	db, err := engine.Open(ctx, engine.Config{Dir: *data, Threads: *threads, StreamMemory: int64(*memory) << 20, Logger: logger})
	if err != nil {
		return c.fail(err)
	}
	if *quiet {
		status = nil
	}
	code := c.runFiles(ctx, db, fs.Args(), status)
	if err := db.Close(); err != nil {
		return c.fail(err)
	}
	return code
}

// progressInterval is how often progress is looked at.
const progressInterval = 500 * time.Millisecond

// runFiles executes the files and waits for their streams. status may be nil.
func (c *cli) runFiles(ctx context.Context, db *engine.DB, files []string, status *statusWriter) int {
	begun := time.Now()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return c.fail(fmt.Errorf("read SQL file: %w", err))
		}
		if err := db.Script(ctx, string(text), file); err != nil {
			return c.fail(err)
		}
	}
	if len(db.Streams()) == 0 {
		fmt.Fprintln(c.stderr, "leat run: there is no stream to run; the files create none")
	}
	waited := make(chan error, 1)
	go func() { waited <- db.Wait(ctx) }()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-tick.C:
			if status != nil {
				status.show(progressLines(db)...)
			}
		case err := <-waited:
			if err != nil { // a signal: commit what has been read
				db.StopStreams()
			}
			ended = true
		}
	}
	if status != nil {
		status.clear()
	}
	return c.summary(db, time.Since(begun))
}

// progressLines is a line for each stream that is at work.
func progressLines(db *engine.DB) []string {
	var lines []string
	for _, name := range db.Streams() {
		st, err := db.Status(name)
		if err != nil {
			continue
		}
		switch st.State {
		case dataflow.Running:
			lines = append(lines, name+": "+progressLine(st))
		case dataflow.Retrying, dataflow.Starting:
			line := fmt.Sprintf("%s: %s", name, st.State)
			if st.Reason != nil {
				line += fmt.Sprintf(" since %s: %v", st.Since.Format(time.TimeOnly), st.Reason)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func progressLine(st engine.StreamStatus) string {
	n := st.Committed.Counters
	line := fmt.Sprintf("%s rows in, %s landed, %s dead, %s in flight, %s rows/s, %s/s", thousands(n.RowsIn), thousands(n.RowsLanded),
		thousands(n.RowsDead), thousands(st.InFlight.RowsIn), thousands(int64(st.RowsPerSecond)), size(int64(st.BytesPerSecond)))
	if p := st.Progress; p.BytesTotal > 0 {
		line += fmt.Sprintf(", %.1f %% of %s", 100*float64(min(p.BytesRead, p.BytesTotal))/float64(p.BytesTotal), size(p.BytesTotal))
		if left := p.BytesTotal - p.BytesRead; left > 0 && st.BytesPerSecond > 0 {
			line += fmt.Sprintf(", %s left", time.Duration(float64(left)/st.BytesPerSecond*float64(time.Second)).Round(time.Second))
		}
	} else if p.Lag >= 0 {
		line += fmt.Sprintf(", %s behind", thousands(p.Lag))
	}
	return line
}

// size is a number of bytes for people, in three digits.
func size(n int64) string {
	f, unit := float64(n), 0
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	for f >= 999.5 && unit < len(units)-1 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.3g %s", f, units[unit])
}

// thousands is a number with its digits in groups of three.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// summary prints one line for each stream and gives the exit code.
func (c *cli) summary(db *engine.DB, took time.Duration) int {
	for _, name := range db.Streams() {
		if st, err := db.Status(name); err == nil {
			summarise(c.stdout, name, st, took)
		}
	}
	return streamsCode(db)
}

func summarise(w io.Writer, name string, st engine.StreamStatus, took time.Duration) {
	n := st.Committed.Counters
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
