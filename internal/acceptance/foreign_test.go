//go:build services

package acceptance_test

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

//go:embed testdata/foreign.py
var foreign string

// testForeignWriter lets two streams of two processes and pyiceberg write to one
// table at a time; pyiceberg also rewrites data files and expires snapshots, and
// one leat is killed meanwhile. No row is lost or repeated, and no position. The
// streams leave time between their commits: pyiceberg gives up after four tries.
func (e *environment) testForeignWriter(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "catalog.db")
	var (
		leats []*services.Leat
		stops []func() int
	)
	for i, name := range []string{"left", "right"} {
		e.kafka.CreateTopic("foreign_"+name, 2, nil)
		stop, produced := e.produceSteadily(t, "foreign_"+name, 2)
		stops = append(stops, func() int { stop(); return int(produced.Load()) })
		leats = append(leats, e.serve(t, e.source("f_in", "foreign_"+name, "")+
			strings.Replace(e.sink("mixed"), "commit_interval = '500ms'", "commit_interval = '2s', catalog_uri = '"+shared+"'", 1)+
			fmt.Sprintf("CREATE STREAM s_%s INTO mixed.t PARTITIONED BY (part) AS SELECT id * 2 + %d AS id, CAST(id DIV 1000 AS SIGNED) AS part FROM f_in;", name, i)))
		eventually(t, leats[i], "SELECT commits > 1 FROM leat.stream_metrics", "1")
	}
	script := func(mode string) string {
		return strings.TrimSpace(string(services.RunPython(t, foreign, shared, e.s3.Endpoint, e.s3.Region, e.s3.AccessKey, e.s3.SecretKey, "mixed", "t", mode)))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		script("write")
	}()
	eventually(t, leats[1], "SELECT commits > 5 FROM leat.stream_metrics", "1")
	leats[1].Kill()
	leats[1].Restart()
	<-done
	rows := 0
	for i, l := range leats {
		n := stops[i]()
		rows += n
		name := []string{"left", "right"}[i]
		typed(t, l, "FLUSH STREAM s_"+name)
		want(t, l, "SELECT rows_in, rows_landed FROM leat.stream_metrics", fmt.Sprintf("%d\t%[1]d", n))
		want(t, l, fmt.Sprintf("SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM mixed.t WHERE id %% 2 = %d AND id < 1000000000", i),
			fmt.Sprintf("%d\t%[1]d\t%d", n, 2*(n-1)+i))
		want(t, l, "SELECT COUNT(*), COUNT(DISTINCT id) FROM mixed.t WHERE id >= 1000000000", "12\t12")
	}
	if got, want := script("read"), fmt.Sprintf(`{"ours": %d, "ours_distinct": %[1]d, "theirs": 12, "theirs_distinct": 12}`, rows); got != want {
		t.Errorf("pyiceberg reads %s, want %s", got, want)
	}
}
