package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine"
)

func TestRunFiles(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), write(t, dir, "clicks.sql", clicks(t, dir, 1000))
	code, stdout, stderr := leat(t, "", "run", "--data", data, "--threads", "1", file)
	wantCode(t, code, exitDone, stderr)
	wantText(t, stdout, "clicks: FINISHED, 1000 rows in, 1000 landed, 0 filtered, 0 dead, ")
	if strings.Count(stdout, "\n") != 1 {
		t.Errorf("standard output = %q, want a line for each stream", stdout)
	}
	// Again: what has landed stays, and is not read twice.
	code, stdout, stderr = leat(t, "", "run", "--data", data, file)
	wantCode(t, code, exitDone, stderr)
	wantText(t, stdout, "clicks: FINISHED, 1000 rows in, 1000 landed")
	// The environment names the directory, too.
	t.Setenv("LEAT_DATA", data)
	code, stdout, stderr = leat(t, "", "run", write(t, dir, "more.sql", "CREATE STREAM few AS SELECT id FROM clicks_in WHERE id < 3"))
	wantCode(t, code, exitDone, stderr)
	wantText(t, stdout, "clicks: FINISHED", "few: FINISHED, 1000 rows in, 3 landed, 997 filtered, 0 dead")
}

func TestRunFiles_Errors(t *testing.T) {
	dir := t.TempDir()
	f := func(want int, text string, parts ...string) {
		t.Helper()
		file := write(t, dir, "x.sql", text)
		code, _, stderr := leat(t, "", "run", "--data", filepath.Join(t.TempDir(), "data"), file)
		wantCode(t, code, want, stderr)
		wantText(t, stderr, parts...)
	}
	f(exitFailed, "SELECT 1;\n\n  CREATE SOURCE s (id INT)\n  WITH (connector = 'fils', path = 'x')", "x.sql:4:", `"fils"`, "files")
	f(exitFailed, "CREATE SOURCE s (id INT) WITH (connector = 'files', path = '"+dir+"/*', format = 'json', mode = 'once');\nCREATE STREAM t AS SELECT nosuch FROM s", "x.sql:2:", "nosuch")
	f(exitDone, "SELECT 1", "there is no stream to run")
	input := write(t, dir, "broken.ndjson", strings.Repeat("broken\n", 50))
	f(exitStream, "CREATE SOURCE s (id INT) WITH (connector = 'files', path = '"+input+"', format = 'json', mode = 'tail');\nCREATE STREAM t WITH (dead_letter_limit = 10) AS SELECT id FROM s")
	code, _, stderr := leat(t, "", "run", "--data", filepath.Join(dir, "data"), filepath.Join(dir, "away.sql"))
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "away.sql")
}

// A stream without an end runs until the signal, and tells what it has done.
func TestRunFiles_Signal(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "gen.sql", `CREATE SOURCE gen (id BIGINT) WITH (connector = 'datagen', rows_per_second = 100000);
		CREATE STREAM s WITH (commit_interval = '20ms') AS SELECT id FROM gen`)
	cmd, log := process(t, "run", "--data", filepath.Join(dir, "data"), "--log-level", "info", "--log-format", "json", file)
	log.wait(t, "stream begun")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for log.lines.Scan() {
		log.seen.WriteString(log.lines.Text() + "\n")
	}
	log.stdout.Scan()
	wantText(t, log.stdout.Text(), "s: STOPPED, ")
	if code := exitCode(t, cmd); code != exitDone {
		t.Errorf("exit code = %d, want 0:\n%s", code, log.seen.String())
	}
}

func TestProgressLine(t *testing.T) {
	f := func(want string, st engine.StreamStatus) {
		t.Helper()
		if got := progressLine(st); got != want {
			t.Errorf("progressLine = %q, want %q", got, want)
		}
	}
	st := engine.StreamStatus{
		Committed: connectors.State{Counters: connectors.Counters{RowsIn: 1234567, RowsLanded: 1200000, RowsDead: 3}},
		InFlight:  connectors.Counters{RowsIn: 5000}, RowsPerSecond: 1500.4, BytesPerSecond: 2e6,
		Progress: connectors.Progress{BytesRead: 1e8, BytesTotal: 4e8, Lag: -1},
	}
	f("1,234,567 rows in, 1,200,000 landed, 3 dead, 5,000 in flight, 1,500 rows/s, 2 MB/s, 25.0 % of 400 MB, 2m30s left", st)
	st.Progress = connectors.Progress{Lag: 12345, BytesTotal: -1}
	f("1,234,567 rows in, 1,200,000 landed, 3 dead, 5,000 in flight, 1,500 rows/s, 2 MB/s, 12,345 behind", st)
	st.Progress.Lag = -1
	f("1,234,567 rows in, 1,200,000 landed, 3 dead, 5,000 in flight, 1,500 rows/s, 2 MB/s", st)
}

func TestSizeAndThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 KB", 999_600: "1 MB", 1_234_567: "1.23 MB", 5e15: "5e+03 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", -999: "-999"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestStatusWriter(t *testing.T) {
	now := time.Unix(0, 0)
	var b strings.Builder
	w := newStatusWriter(&b)
	w.now = func() time.Time { return now }
	f := func(want string) {
		t.Helper()
		if b.String() != want {
			t.Errorf("written = %q, want %q", b.String(), want)
		}
		b.Reset()
	}
	w.show("soon")
	f("")
	now = now.Add(plainInterval)
	w.show("one", "two")
	f("one\ntwo\n")
	w.show("three")
	f("")
	w.clear()
	f("")

	w.terminal, w.width = true, func() int { return 10 }
	w.show("first", "0123456789ab")
	f("first\n012345678…\n")
	if _, err := w.Write([]byte("log line\n")); err != nil {
		t.Fatal(err)
	}
	f("\x1b[2A\x1b[Jlog line\nfirst\n012345678…\n")
	w.show("next")
	f("\x1b[2A\x1b[Jnext\n")
	w.clear()
	f("\x1b[1A\x1b[J")
}
