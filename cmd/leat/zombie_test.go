package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/services"
)

// instance is a leat serve in a process of its own.
type instance struct {
	cmd   *exec.Cmd
	mysql string
	ended chan struct{} // closed at the end of its log
}

func startInstance(t *testing.T, args ...string) *instance {
	t.Helper()
	cmd, log := process(t, append([]string{"serve", "--mysql", "127.0.0.1:0", "--http", ""}, args...)...)
	i := &instance{cmd: cmd, mysql: log.wait(t, "ready")["mysql"].(string), ended: make(chan struct{})}
	go func() { // the pipe must not fill up
		defer close(i.ended)
		for log.lines.Scan() {
			continue
		}
	}()
	return i
}

func (i *instance) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := i.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// pause stops the process, and returns when none of its threads runs any more.
func (i *instance) pause(t *testing.T) {
	t.Helper()
	i.signal(t, syscall.SIGSTOP)
	if err := services.AwaitStopped(i.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
}

func (i *instance) query(t *testing.T, sql string) string {
	t.Helper()
	code, stdout, stderr := leat(t, "", "sql", "--mysql", i.mysql, "--format", "csv", "-e", sql)
	wantCode(t, code, exitDone, stderr)
	_, rows, _ := strings.Cut(stdout, "\n") // without the head
	return strings.TrimSuffix(rows, "\n")
}

// until asks until the answer is good.
func (i *instance) until(t *testing.T, sql string, good func(string) bool) string {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); ; {
		got := i.query(t, sql)
		if good(got) {
			return got
		}
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("%s: %q", sql, got)
		}
	}
}

// TestServe_Zombie pauses an instance of a stream at some moment of its commits,
// lets another one with its own data directory take over, and wakes the first:
// it stops with exit code 4, and every row is in the table once. Then the two
// change their parts.
func TestServe_Zombie(t *testing.T) {
	t.Run("iceberg", func(t *testing.T) { zombie(t, "iceberg") })
	t.Run("hive", func(t *testing.T) { zombie(t, "hive', format = 'json', compression = 'none") })
}

func zombie(t *testing.T, format string) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in")
	if err := os.Mkdir(input, 0o755); err != nil {
		t.Fatal(err)
	}
	script := write(t, dir, "pipeline.sql", fmt.Sprintf(`
		CREATE SOURCE numbers (id BIGINT) WITH (connector = 'files', path = '%s/*.ndjson', format = 'json', mode = 'tail', discovery_interval = '50ms');
		CREATE SINK lake2 WITH (connector = 's3', path = '%s/lake', catalog_uri = '%[2]s/catalog.db', table_format = '%s', commit_interval = '10ms');
		CREATE STREAM s INTO lake2.t PARTITIONED BY (part) AS SELECT id, id %% 3 AS part FROM numbers;`, input, dir, format))
	open := func(n int) *instance {
		t.Helper()
		return startInstance(t, "--data", filepath.Join(dir, "data"+strconv.Itoa(n%2)), "--init", script)
	}
	rows, files := 0, 0
	more := func() {
		t.Helper()
		for range 20 {
			var b strings.Builder
			for range 50 {
				fmt.Fprintf(&b, "{\"id\":%d}\n", rows)
				rows++
			}
			files++
			// Under its name only when it is whole.
			write(t, dir, "next", b.String())
			if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(input, fmt.Sprintf("%04d.ndjson", files))); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := func(got string) bool { return got == strconv.Itoa(rows) }
	const count = "SELECT COUNT(*) FROM lake2.t"

	more()
	current := open(0)
	current.until(t, count, all)
	for round := range 3 {
		more()
		// It is paused with more or less of this committed.
		current.until(t, count, func(got string) bool { n, _ := strconv.Atoi(got); return n > rows-1000+300*round })
		current.pause(t)
		for format == "iceberg" && services.SQLiteLocked(t, filepath.Join(dir, "catalog.db")) {
			current.signal(t, syscall.SIGCONT)
			current.pause(t)
		}
		next := open(round + 1)
		more()
		next.until(t, count, all)
		current.signal(t, syscall.SIGCONT)
		more()
		because := current.until(t, "SELECT state, because FROM leat.streams", func(got string) bool { return strings.HasPrefix(got, "FENCED") })
		wantText(t, because, "generation "+strconv.Itoa(round+2))
		next.until(t, count, all)
		current.signal(t, syscall.SIGTERM)
		<-current.ended
		wantCode(t, exitCode(t, current.cmd), exitFenced, because)
		current = next
	}
	if got, want := current.query(t, "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM lake2.t"), fmt.Sprintf("%d,%[1]d,%d", rows, rows-1); got != want {
		t.Errorf("the table has %q, want %q", got, want)
	}
	if got, want := current.query(t, "SELECT rows_in, rows_landed FROM leat.stream_metrics"), fmt.Sprintf("%d,%[1]d", rows); got != want {
		t.Errorf("counters are %q, want %q", got, want)
	}
	current.signal(t, syscall.SIGTERM)
	<-current.ended
	wantCode(t, exitCode(t, current.cmd), exitDone, "")
	if strings.HasPrefix(format, "hive") {
		if got := countLines(t, filepath.Join(dir, "lake", "t")); got != rows {
			t.Errorf("a plain reader finds %d rows, want %d", got, rows)
		}
	}
}

// countLines counts the lines of the JSON files below a folder.
func countLines(t *testing.T, dir string) (lines int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		text, err := os.ReadFile(path)
		lines += strings.Count(string(text), "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
