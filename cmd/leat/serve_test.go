package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/leatdb/leat/engine"
)

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, "--init", write(t, dir, "a.sql", clicks(t, dir, 10)), "--init", write(t, dir, "b.sql", "CREATE VIEW v AS SELECT COUNT(*) AS n FROM lake.clicks"))
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/nosuch": 404} {
		if status, body := get(t, "http://"+s.http+path); status != want {
			t.Errorf("%s = %d %s, want %d", path, status, body, want)
		}
	}
	code, stdout, stderr := leat(t, "", "sql", "--mysql", s.mysql, "--format", "csv", "-e", "FLUSH STREAM clicks", "-e", "SELECT n FROM v")
	wantCode(t, code, exitDone, stderr)
	wantText(t, stdout, "n\n10\n")
	wantCode(t, s.stop(), exitDone, "")
	if r, err := http.Get("http://" + s.http + "/healthz"); err == nil {
		_ = r.Body.Close()
		t.Error("the HTTP port answers after the end")
	}
}

func TestServe_InitIsRepeatable(t *testing.T) {
	dir := t.TempDir()
	data, script := filepath.Join(dir, "data"), clicks(t, dir, 3)
	file := write(t, dir, "pipeline.sql", script)
	for range 2 {
		s := serveTest(t, "--data", data, "--init", file)
		code, stdout, stderr := leat(t, "", "sql", "--mysql", s.mysql, "--format", "csv", "-e", "SELECT stream FROM leat.streams")
		wantCode(t, code, exitDone, stderr)
		wantText(t, stdout, "clicks\n")
		wantCode(t, s.stop(), exitDone, "")
	}
	f := func(text string, parts ...string) {
		t.Helper()
		changed := write(t, dir, "changed.sql", text)
		code, _, stderr := leat(t, "", "serve", "--data", data, "--mysql", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "error", "--init", changed)
		wantCode(t, code, exitFailed, stderr)
		wantText(t, stderr, append(parts, changed)...)
	}
	f(strings.Replace(script, "SELECT id, name", "SELECT id", 1), ":3:", "defined differently", "CREATE OR REPLACE STREAM")
	f("-- a comment\n\nCREATE STREM x AS SELECT 1;", ":3:8: ", "did you mean STREAM?")
	f("SELECT 1;\nSELECT nosuch FROM lake.clicks;", ":2:", "nosuch")
	code, _, stderr := leat(t, "", "serve", "--data", data, "--mysql", "127.0.0.1:0", "--http", "", "--log-level", "error", "--init", filepath.Join(dir, "away.sql"))
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "read init file", "away.sql")
}

func TestServe_Environment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LEAT_DATA", filepath.Join(dir, "from-environment"))
	t.Setenv("LEAT_MYSQL", "0.0.0.0:0")
	t.Setenv("LEAT_HTTP", "127.0.0.1:0")
	code, _, stderr := leat(t, "", "serve", "--log-level", "error")
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "MySQL address 0.0.0.0:0 can be reached from other machines", "--password-file")
	if _, err := os.Stat(filepath.Join(dir, "from-environment", "leat.db")); err != nil {
		t.Error(err)
	}
}

func TestServe_Password(t *testing.T) {
	dir := t.TempDir()
	password := write(t, dir, "password", "it's s€cret\n")
	s := serveTest(t, "--password-file", password)
	code, _, stderr := leat(t, "", "sql", "--mysql", s.mysql, "-e", "SELECT 1")
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "error 1045 (28000)", "Access denied for user 'root'")
	code, _, stderr = leat(t, "", "sql", "--mysql", s.mysql, "-e", "SELECT 1", "--password-file", password)
	wantCode(t, code, exitDone, stderr)
	for _, name := range []string{"LEAT_PASSWORD", "MYSQL_PWD"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "it's s€cret")
			code, _, stderr := leat(t, "", "sql", "--mysql", s.mysql, "-e", "SELECT 1")
			wantCode(t, code, exitDone, stderr)
		})
	}
	empty := write(t, dir, "empty", "\n")
	code, _, stderr = leat(t, "", "serve", "--data", filepath.Join(dir, "data"), "--mysql", "127.0.0.1:0", "--http", "", "--log-level", "error", "--password-file", empty)
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "is empty")
}

// The data directory's own certificate is kept, and replaced once it has
// expired.
func TestServe_Certificate(t *testing.T) {
	s := serveTest(t)
	ca := filepath.Join(s.data, certificateFile)
	f := func(want int, flags ...string) {
		t.Helper()
		code, stdout, stderr := leat(t, "", append([]string{"sql", "--mysql", s.mysql, "--format", "csv", "-e", "SELECT 1"}, flags...)...)
		wantCode(t, code, want, stderr)
		if want == exitDone && stdout != "1\n1\n" {
			t.Errorf("standard output = %q", stdout)
		}
	}
	f(exitDone)
	f(exitDone, "--tls-ca", ca)
	f(exitDone, "--tls-skip-verify")
	f(exitFailed, "--tls") // nobody vouches for it
	f(exitUsage, "--tls-ca", filepath.Join(s.data, "leat.db"))
	before, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(s.data, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v; want one that only its owner reads", info.Mode(), err)
	}
	s.stop()
	later := serveTest(t, "--data", s.data)
	if after, err := os.ReadFile(ca); err != nil || string(after) != string(before) {
		t.Errorf("the certificate has changed, %v", err)
	}
	later.stop()

	expired := t.TempDir()
	cert, key := filepath.Join(expired, certificateFile), filepath.Join(expired, keyFile)
	if err := keepCertificate(cert, key, processStart.Add(-2*certificateLifetime)); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := serverTLS(expired, "", ""); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(cert); err != nil || string(now) == string(old) {
		t.Errorf("the expired certificate is still there, %v", err)
	}
	if _, err := serverTLS(expired, cert, ""); err == nil || !strings.Contains(err.Error(), "go together") {
		t.Errorf("error = %v", err)
	}
	write(t, expired, certificateFile, "broken")
	if _, err := serverTLS(expired, "", ""); err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("error = %v", err)
	}
}

// readyz tells when statements are served; a stream that is RETRYING is started.
func TestServe_ReadyWhileRetrying(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, "--init", write(t, dir, "away.sql", `CREATE SOURCE away (id BIGINT)
		WITH (connector = 'kafka', brokers = '127.0.0.1:1', topic = 't', format = 'json', connect_timeout = '100ms');
		CREATE STREAM waiting AS SELECT id FROM away`))
	if status, body := get(t, "http://"+s.http+"/readyz"); status != 200 {
		t.Errorf("readyz = %d %s, want 200", status, body)
	}
	_, stdout, _ := leat(t, "", "sql", "--mysql", s.mysql, "--format", "csv", "-e", "SELECT state FROM leat.streams")
	wantText(t, stdout, "RETRYING")
	_, body := get(t, "http://"+s.http+"/metrics")
	wantText(t, body, `leat_stream_state{stream="waiting",state="RETRYING"} 1`)
}

func TestServe_FailedStreamIsExitCode3(t *testing.T) {
	dir := t.TempDir()
	input := write(t, dir, "in.ndjson", strings.Repeat("broken\n", 50))
	s := serveTest(t, "--init", write(t, dir, "a.sql", "CREATE SOURCE bad (id BIGINT) WITH (connector = 'files', path = '"+input+"', format = 'json', mode = 'tail');"+
		"CREATE STREAM s WITH (dead_letter_limit = 10) AS SELECT id FROM bad"))
	for {
		_, stdout, stderr := leat(t, "", "sql", "--mysql", s.mysql, "--format", "csv", "-e", "SELECT state FROM leat.streams")
		if strings.Contains(stdout, "FAILED") {
			break
		}
		if stderr != "" {
			t.Fatal(stderr)
		}
	}
	wantCode(t, s.stop(), exitStream, "")
}

func serveProcess(t *testing.T, data string, args ...string) (stop func(os.Signal), wait func() (code int, by syscall.Signal), log *logReader) {
	t.Helper()
	cmd, log := process(t, append([]string{"serve", "--data", data, "--mysql", "127.0.0.1:0", "--http", ""}, args...)...)
	log.wait(t, "ready")
	stop = func(s os.Signal) {
		t.Helper()
		if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	wait = func() (int, syscall.Signal) {
		t.Helper()
		for log.lines.Scan() {
			log.seen.WriteString(log.lines.Text() + "\n")
		}
		code := exitCode(t, cmd)
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			return code, status.Signal()
		}
		return code, 0
	}
	return stop, wait, log
}

func TestServe_SIGTERMCommits(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	cmd, log := process(t, "serve", "--data", data, "--mysql", "127.0.0.1:0", "--http", "", "--init", write(t, dir, "a.sql", `
		CREATE SOURCE gen (id BIGINT) WITH (connector = 'datagen', rows_per_second = 100000);
		CREATE STREAM s WITH (commit_interval = '1h') AS SELECT id FROM gen;`))
	mysql := log.wait(t, "ready")["mysql"].(string)
	read := int64(0)
	for read == 0 {
		_, stdout, stderr := leat(t, "", "sql", "--mysql", mysql, "--format", "csv", "-e", "SELECT rows_in_flight FROM leat.stream_metrics")
		if _, err := fmt.Sscanf(stdout, "rows_in_flight\n%d\n", &read); err != nil {
			t.Fatal(err, stdout, stderr)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for log.lines.Scan() { // to its end
		log.seen.WriteString(log.lines.Text() + "\n")
	}
	if code := exitCode(t, cmd); code != exitDone {
		t.Fatalf("exit code = %d, want 0:\n%s", code, log.seen.String())
	}
	db, err := engine.Open(t.Context(), engine.Config{Dir: data, Paused: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(t.Context(), "SELECT COUNT(*) FROM lake.s")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	if !rows.Next() || rows.RecordBatch().Column(0).(*array.Int64).Value(0) < read {
		t.Errorf("fewer than the %d rows that had been read were committed", read)
	}
}

// A store that stops answering keeps the first signal's commit from coming
// through.
func TestServe_SecondInterruptKills(t *testing.T) {
	dir := t.TempDir()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	answering := gofakes3.New(backend).Server()
	var silent atomic.Bool
	over := make(chan struct{})
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			<-over
			return
		}
		answering.ServeHTTP(w, r)
	}))
	defer store.Close()
	defer close(over)
	stop, wait, log := serveProcess(t, filepath.Join(dir, "data"), "--init", write(t, dir, "a.sql", `CREATE SINK remote WITH (connector = 's3', path = 's3://lake/x',
		endpoint = '`+store.URL+`', region = 'us-east-1', path_style = true, access_key_id = 'k', secret_access_key = 's', commit_interval = '1h');
		CREATE SOURCE gen (id BIGINT) WITH (connector = 'datagen', rows_per_second = 1000);
		CREATE STREAM s INTO remote AS SELECT id FROM gen;`))
	silent.Store(true)
	stop(syscall.SIGTERM)
	log.wait(t, "stopping: committing what has been read")
	for range 100 {
		stop(syscall.SIGTERM) // as timeout(1) does
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if code, by := wait(); by != syscall.SIGINT {
			t.Errorf("exit code = %d, signal %v, want the end by the interrupt", code, by)
		}
	}()
	for {
		select {
		case <-ended:
			return
		default:
			stop(syscall.SIGINT) // again, until the first signal's handling has begun
		}
	}
}

func TestServe_OpenTwice(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	_, _, _ = serveProcess(t, data)
	code, _, stderr := leat(t, "", "serve", "--data", data, "--mysql", "127.0.0.1:0", "--http", "")
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "already open by another process", "--data")
	s := serveTest(t)
	code, _, stderr = leat(t, "", "serve", "--data", s.data, "--mysql", "127.0.0.1:0", "--http", "")
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "already open by this process")
}

// A server that was started by mistake, beside another, leaves its streams alone.
func TestServe_TakenPorts(t *testing.T) {
	s := serveTest(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	before := serveTest(t, "--data", data, "--init", write(t, dir, "a.sql", `
		CREATE SOURCE gen (id BIGINT) WITH (connector = 'datagen', rows_per_second = 1000);
		CREATE STREAM s AS SELECT id FROM gen;`))
	wantCode(t, before.stop(), exitDone, "")
	f := func(part, hint string, args ...string) {
		t.Helper()
		code, _, stderr := leat(t, "", append([]string{"serve", "--data", data}, args...)...)
		wantCode(t, code, exitFailed, stderr)
		wantText(t, stderr, part, hint)
		if strings.Contains(stderr, "stream") {
			t.Errorf("a stream was started: %s", stderr)
		}
	}
	f("listen for MySQL clients", "give another address with --mysql", "--mysql", s.mysql, "--http", "127.0.0.1:0")
	f("listen for HTTP", "give another address with --http", "--mysql", "127.0.0.1:0", "--http", s.http)
	f("can be reached from other machines", "--password-file", "--mysql", "0.0.0.0:0", "--http", "127.0.0.1:0")
	after := serveTest(t, "--data", data)
	_, stdout, _ := leat(t, "", "sql", "--mysql", after.mysql, "--format", "csv", "-e", "FLUSH STREAM s", "-e", "SELECT MAX(generation) FROM leat.commits")
	wantText(t, stdout, "\n2\n")
}
