package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestServe_KilledCounts kills a server while its stream lands rows, again and
// again: what it counts afterwards is what can be read, to the row.
func TestServe_KilledCounts(t *testing.T) {
	for _, format := range []string{"iceberg", "hive"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			script := write(t, dir, "pipeline.sql", fmt.Sprintf(`
				CREATE SOURCE gen (id BIGINT) WITH (connector = 'datagen', rows_per_second = 20000);
				CREATE SINK k WITH (connector = 's3', path = '%s/lake', table_format = '%s', commit_interval = '30ms');
				CREATE STREAM s INTO k.t AS SELECT id, 1 / (id %% 10) AS inverse FROM gen WHERE id %% 3 <> 1;`, dir, format))
			const counted, landed = "SELECT rows_landed, rows_dead, rows_in - rows_landed - rows_dead - rows_filtered, rows_in_flight FROM leat.streams", "SELECT rows_landed FROM leat.streams"
			number := func(text string) int { n, _ := strconv.Atoi(text); return n }
			last := 0
			for round := range 3 {
				server := startInstance(t, "--data", filepath.Join(dir, "data"), "--init", script)
				if round > 0 {
					server.query(t, "STOP STREAM s")
					rows, letters := server.query(t, "SELECT COUNT(*) FROM k.t"), server.query(t, "SELECT COUNT(*) FROM leat.dead_letters")
					if got, want := server.query(t, counted), fmt.Sprintf("%s,%s,0,0", rows, letters); got != want || number(rows) < last || number(letters) == 0 {
						t.Errorf("after %d kills: counted %s, want %s, at least %d of them landed", round, got, want, last)
					}
					server.query(t, "START STREAM s")
				}
				// While it runs, no more is counted than can be read.
				for begun := last; last <= begun+1000; {
					last = number(server.until(t, landed, func(got string) bool { return got != "NULL" && got != "" }))
					if got := number(server.query(t, "SELECT COUNT(*) FROM k.t")); got < last {
						t.Errorf("%d rows are counted, %d can be read", last, got)
					}
				}
				server.signal(t, syscall.SIGKILL)
				<-server.ended
				_ = server.cmd.Wait() // it was killed
			}
		})
	}
}
