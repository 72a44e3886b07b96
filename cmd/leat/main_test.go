package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// mainVariable makes the test binary be leat itself, for tests of signals and
// exit codes.
const mainVariable = "LEAT_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	for _, name := range []string{"LEAT_DATA", "LEAT_MYSQL", "LEAT_HTTP", "LEAT_PASSWORD", "MYSQL_PWD", "LEAT_LOG_LEVEL", "LEAT_LOG_FORMAT"} {
		_ = os.Unsetenv(name) // what the developer has set is not meant for the tests
	}
	os.Exit(m.Run())
}

// leat runs a command in this process.
func leat(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), &cli{strings.NewReader(stdin), &out, &err}, args)
	return code, out.String(), err.String()
}

func wantCode(t *testing.T, code, want int, stderr string) {
	t.Helper()
	if code != want {
		t.Errorf("exit code = %d, want %d; standard error:\n%s", code, want, stderr)
	}
}

func wantText(t *testing.T, got string, parts ...string) {
	t.Helper()
	var missing []string
	for _, part := range parts {
		if !strings.Contains(got, part) {
			missing = append(missing, part)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%q does not contain %q", got, missing)
	}
}

// write writes a file of the test's folder and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// clicks is a script that lands n rows of a file in table clicks.
func clicks(t *testing.T, dir string, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":%d,"name":"n%d"}`+"\n", i, i)
	}
	input := write(t, dir, "clicks.ndjson", b.String())
	return "CREATE SOURCE clicks_in (id BIGINT, name VARCHAR(20))\n  WITH (connector = 'files', path = '" + input + "', format = 'json', mode = 'once');\n" +
		"CREATE STREAM clicks AS SELECT id, name FROM clicks_in;\n"
}

// logReader takes a JSON log and finds lines in it.
type logReader struct {
	lines  *bufio.Scanner
	seen   bytes.Buffer
	stdout *bufio.Scanner // of a process
}

// wait reads up to the line with the message.
func (l *logReader) wait(t *testing.T, message string) map[string]any {
	t.Helper()
	for l.lines.Scan() {
		l.seen.Write(append(l.lines.Bytes(), '\n'))
		var line map[string]any
		if err := json.Unmarshal(l.lines.Bytes(), &line); err == nil && line["msg"] == message {
			return line
		}
	}
	t.Fatalf("the log ended without %q:\n%s", message, l.seen.String())
	return nil
}

// served is a leat serve in this process.
type served struct {
	mysql, http, data string
	log               *logReader
	cancel            context.CancelFunc
	once              sync.Once
	code              chan int
	ended             int
}

// serveTest starts leat serve and waits until it is ready.
func serveTest(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{data: filepath.Join(t.TempDir(), "data"), code: make(chan int, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	r, w := io.Pipe()
	s.log = &logReader{lines: bufio.NewScanner(r)}
	args = append([]string{"serve", "--data", s.data, "--mysql", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)
	go func() {
		s.code <- run(ctx, &cli{strings.NewReader(""), io.Discard, w}, args)
		_ = w.Close() // the reader sees the end
	}()
	t.Cleanup(func() { s.stop() })
	ready := s.log.wait(t, "ready")
	s.mysql, s.http = ready["mysql"].(string), ready["http"].(string)
	go func() { // the pipe must not fill up
		for s.log.lines.Scan() {
			continue
		}
	}()
	return s
}

// stop ends the server as a signal does, and returns its exit code.
func (s *served) stop() int {
	s.once.Do(func() {
		s.cancel()
		s.ended = <-s.code
	})
	return s.ended
}

// process starts leat as a process of its own.
func process(t *testing.T, args ...string) (*exec.Cmd, *logReader) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), mainVariable+"=1")
	log := &logReader{}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log.stdout = bufio.NewScanner(stdout)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended already, unless the test failed
		_ = cmd.Wait()
	})
	log.lines = bufio.NewScanner(stderr)
	return cmd, log
}

// exitCode waits for the end of a process.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestRun_Usage(t *testing.T) {
	f := func(want int, text string, args ...string) {
		t.Helper()
		code, stdout, stderr := leat(t, "", args...)
		wantCode(t, code, want, stderr)
		wantText(t, stdout+stderr, text)
		if (want == exitDone) != (stderr == "") {
			t.Errorf("leat %q: standard error = %q with exit code %d", args, stderr, code)
		}
	}
	f(exitUsage, "Usage: leat COMMAND")
	f(exitDone, "Usage: leat COMMAND", "help")
	f(exitDone, "3 a stream FAILED", "--help")
	f(exitDone, "leat ", "version")
	f(exitDone, "leat ", "--version")
	f(exitUsage, `unknown command "sevre"; did you mean "serve"?`, "sevre")
	f(exitUsage, `unknown command "sevre"; did you mean "serve"?`, "help", "sevre")
	for _, name := range []string{"serve", "run", "sql", "demo", "doctor"} {
		f(exitDone, "leat "+name+": ", name, "--help")
		f(exitDone, "leat "+name+": ", "help", name)
		f(exitUsage, "leat "+name+": unknown flag --nosuch; run 'leat "+name+" --help' for the list\n", name, "--nosuch")
	}
	f(exitUsage, "leat serve: unknown flag --dat; did you mean --data?\n", "serve", "--dat", "x")
	f(exitUsage, `leat run: invalid value "many" for flag -threads: parse error`, "run", "--threads", "many", "x.sql")
	f(exitUsage, `invalid value "much" for flag -query-memory: parse error`, "serve", "--query-memory", "much")
	f(exitUsage, `unexpected argument "x.sql"; SQL files are given with --init`, "serve", "x.sql")
	f(exitUsage, "--no-tls goes with no other", "serve", "--no-tls", "--require-tls")
	f(exitUsage, `log level "loud" is none of`, "serve", "--log-level", "loud")
	f(exitUsage, `log format "xml" is none of`, "serve", "--log-format", "xml")
	f(exitUsage, "name at least one SQL file", "run")
	f(exitUsage, `format "xml" is none of`, "sql", "--format", "xml")
	f(exitUsage, `unexpected argument "SELECT 1"`, "sql", "SELECT 1")
	f(exitUsage, "-e and -f exclude each other", "sql", "-e", "SELECT 1", "-f", "x.sql")
	f(exitUsage, "write host:port", "sql", "--mysql", "here", "-e", "SELECT 1")
	f(exitUsage, "--duration at most 30s", "demo", "--duration", "1h")
	f(exitUsage, "SQL files are given with --init", "doctor", "x.sql")
}
