package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/leatdb/leat/catalog/glue/gluetest"
)

// diagnose runs the doctor with ports that are free.
func diagnose(t *testing.T, want int, args ...string) string {
	t.Helper()
	code, stdout, stderr := leat(t, "", append([]string{"doctor", "--mysql", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	if code != want {
		t.Errorf("exit code = %d, want %d:\n%s%s", code, want, stdout, stderr)
	}
	return stdout
}

// verdict checks the doctor's lines about something.
func verdict(t *testing.T, report, verdict, what string, parts ...string) {
	t.Helper()
	for line := range strings.Lines(report) {
		if f, found := strings.CutPrefix(line, verdict); found && strings.HasPrefix(strings.TrimSpace(f), what+"  ") {
			wantText(t, line, parts...)
			return
		}
	}
	t.Errorf("no line says %s of %q:\n%s", verdict, what, report)
}

func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	r := diagnose(t, exitDone, "--data", data)
	verdict(t, r, "warn", "data directory", "does not exist yet")
	if _, err := os.Stat(data); err == nil {
		t.Error("the doctor has made the data directory")
	}
	s := serveTest(t, "--data", data, "--init", write(t, dir, "a.sql", clicks(t, dir, 3)))
	r = diagnose(t, exitDone, "--data", data)
	verdict(t, r, "warn", "lock", "a running leat has the directory open")
	verdict(t, r, "ok", "sink lake", "can be written")
	verdict(t, r, "ok", "source clicks_in", "can be read")
	s.stop()
	r = diagnose(t, exitDone, "--data", data)
	verdict(t, r, "ok", "lock", "no process")
	verdict(t, r, "ok", "disk space", "are free")
	verdict(t, r, "ok", "definitions", "1 sources, 0 sinks, 1 streams")
	verdict(t, r, "ok", "stream clicks", "it fits its source and its table")
	verdict(t, r, "ok", "clock", "20")

	file := write(t, dir, "file", "")
	verdict(t, diagnose(t, exitFailed, "--data", file), "FAIL", "data directory", "is a file", "--data")
	taken := serveTest(t)
	verdict(t, diagnose(t, exitDone, "--data", data, "--mysql", taken.mysql), "warn", "MySQL port", "could not listen", "--mysql")
}

func TestDoctor_Systems(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	answering := gofakes3.New(backend).Server()
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("lifecycle") {
			_, _ = w.Write([]byte("<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>"))
			return
		}
		answering.ServeHTTP(w, r)
	}))
	defer store.Close()
	broker, err := startBroker()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	s3 := "endpoint = '" + store.URL + "', region = 'us-east-1', path_style = true, access_key_id = 'k', secret_access_key = 'hush', "
	kafka := "WITH (connector = 'kafka', format = 'json', brokers = "
	dir := t.TempDir()
	file := write(t, dir, "systems.sql", `
		CREATE SINK good WITH (connector = 's3', `+s3+`path = 's3://lake/x');
		CREATE SINK away WITH (connector = 's3', `+s3+`path = 's3://nosuch/x');
		CREATE SOURCE topicless (id BIGINT) `+kafka+`'`+broker.ListenAddrs()[0]+`', topic = 'nosuch');
		CREATE SOURCE brokerless (id BIGINT) `+kafka+`'127.0.0.1:1', topic = 't');
		CREATE SOURCE fileless (id BIGINT) WITH (connector = 'files', format = 'json', mode = 'once', path = '`+dir+`/nosuch.json');
		CREATE STREAM s INTO god AS SELECT id FROM topicless;`)
	r := diagnose(t, exitFailed, "--data", filepath.Join(dir, "data"), "--init", file)
	verdict(t, r, "ok", "sink good", "can be written")
	verdict(t, r, "warn", "sink good", "after 2 days", "AbortIncompleteMultipartUpload")
	verdict(t, r, "FAIL", "sink away", "nosuch")
	verdict(t, r, "FAIL", "source topicless", "nosuch")
	verdict(t, r, "FAIL", "source brokerless", "127.0.0.1:1")
	verdict(t, r, "FAIL", "source fileless", "nosuch.json")
	verdict(t, r, "FAIL", "stream s", "there is no sink god; did you mean good?")
	if strings.Contains(r, "hush") {
		t.Errorf("a secret is shown:\n%s", r)
	}
	r = diagnose(t, exitFailed, "--data", filepath.Join(dir, "data"), "--init", write(t, dir, "broken.sql", "SELECT 1;\nCREATE SNK x WITH ()"))
	verdict(t, r, "FAIL", "file "+filepath.Join(dir, "broken.sql"), "broken.sql:2:8", "SINK")
}

// The doctor asks the Glue Data Catalog, with what a secret of the same file
// holds.
func TestDoctor_Glue(t *testing.T) {
	server := &gluetest.Server{}
	catalog := httptest.NewServer(server)
	defer catalog.Close()
	dir := t.TempDir()
	file := write(t, dir, "glue.sql", `
		CREATE SECRET aws WITH (access_key_id = 'k', secret_access_key = 'hush', catalog_region = 'eu-central-1', catalog_endpoint = '`+catalog.URL+`');
		CREATE SINK folders WITH (connector = 's3', path = '`+dir+`/folders', table_format = 'hive', catalog = 'glue', secret = 'aws');
		CREATE SINK tables WITH (connector = 's3', path = '`+dir+`/tables', catalog = 'glue', secret = 'aws');`)
	r := diagnose(t, exitDone, "--data", filepath.Join(dir, "data"), "--init", file)
	verdict(t, r, "ok", "sink folders", "its catalog answers")
	verdict(t, r, "ok", "sink tables", "its catalog answers")
	server.Fault = func(string, int) gluetest.Fault { return gluetest.Denied }
	r = diagnose(t, exitFailed, "--data", filepath.Join(dir, "data"), "--init", file)
	verdict(t, r, "FAIL", "sink folders", "AccessDeniedException", "glue:GetDatabase")
	verdict(t, r, "FAIL", "sink tables", "AccessDeniedException", "glue:GetDatabase")
	if strings.Contains(r, "hush") {
		t.Errorf("a secret is shown:\n%s", r)
	}
}
