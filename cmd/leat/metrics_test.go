package main

import (
	"regexp"
	"strings"
	"testing"
)

// Every metric is there, under its HELP and TYPE, in the format of Prometheus.
func TestMetrics(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, "--init", write(t, dir, "a.sql", clicks(t, dir, 10)))
	code, _, stderr := leat(t, "", "sql", "--mysql", s.mysql, "-e", "FLUSH STREAM clicks", "-e", "SELECT 1")
	wantCode(t, code, exitDone, stderr)
	leat(t, "", "sql", "--mysql", s.mysql, "-e", "SELECT nosuch")
	_, body := get(t, "http://"+s.http+"/metrics")
	sample := regexp.MustCompile(`^[a-z_]+(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? [0-9.e+-]+$`)
	described := ""
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if f := strings.Fields(line); f[0] == "#" {
			described = f[2]
			continue
		}
		if !sample.MatchString(line) || !strings.HasPrefix(line, described) {
			t.Errorf("sample %q under the description of %q", line, described)
		}
	}
	wantText(t, body,
		`leat_build_info{version="`+version()+`",go="go`,
		`leat_stream_state{stream="clicks",state="FAILED"} 0`,
		`leat_stream_rows_in_total{stream="clicks"} 10`, `leat_stream_rows_landed_total{stream="clicks"} 10`,
		`leat_stream_rows_dead_total{stream="clicks"} 0`,
		`leat_stream_commits_total{stream="clicks"} `, `leat_stream_commit_seconds_total{stream="clicks"} `,
		`leat_stream_open_partitions{stream="clicks"} 0`, `# TYPE leat_stream_max_open_partitions gauge`, `leat_stream_last_commit_timestamp_seconds{stream="clicks"} 1`,
		"# TYPE leat_mysql_connections gauge", "leat_mysql_statement_errors_total 1", "leat_mysql_statement_panics_total 0",
		"go_goroutines ", "go_gc_cycles_total ", "process_start_time_seconds ",
	)
	if n := len(regexp.MustCompile(`(?m)^leat_stream_state\{.*\} 1$`).FindAllString(body, -1)); n != 1 {
		t.Errorf("the stream is in %d states", n)
	}
	for _, m := range streamMetrics {
		unknown := m.column == "freshness_ms" || m.column == "lag" || m.column == "millis_behind_latest" || m.column == "max_open_partitions" // NULL for this stream
		if !unknown && !strings.Contains(body, m.name+"{") {
			t.Errorf("metric %s has no sample", m.name)
		}
		if !strings.Contains(body, "# HELP "+m.name+" ") {
			t.Errorf("metric %s has no help", m.name)
		}
	}
}
