//go:build gms_pure_go && duckdb_arrow

package engine_test

import (
	"context"
	"fmt"
	"testing"
)

// A row of a partition that hardly gets any, and rows that come long after their
// time, land with the next commit by the clock, however busy other partitions are
// and though nobody flushes.
func TestSlowPartitionsAndLateRowsLandByTheClock(t *testing.T) {
	for _, format := range []string{"iceberg", "hive"} {
		t.Run(format, func(t *testing.T) {
			db := open(t, t.TempDir())
			mustExec(t, db, `CREATE SINK w WITH (connector = 's3', path = '`+t.TempDir()+`', table_format = '`+format+`', commit_interval = '50ms');
				CREATE SOURCE events (id INT, at TIMESTAMP) WITH (connector = 'push', format = 'json');
				CREATE STREAM s INTO w PARTITIONED BY (DATE(at) AS day) AS SELECT id, at FROM events`)
			src, err := db.Source("events")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			slow := []string{"2026-11-01 10:00:00", "1999-12-31 23:59:59", "2026-10-31 09:00:00"}
			for i, at := range slow {
				send := func(id int, at string) {
					t.Helper()
					if err := src.Send(ctx, fmt.Appendf(nil, `{"id":%d,"at":"%s"}`, id, at)); err != nil {
						t.Fatal(err)
					}
				}
				send(i+1, at)
				// The busy partition goes on until the other one is seen.
				for busy := 0; ; busy++ {
					send(1000+busy, "2026-11-02 00:00:00")
					if busy%50 != 0 {
						continue
					}
					if got := query(t, db, fmt.Sprintf(`SELECT COUNT(*) FROM w.s WHERE day = DATE('%s')`, at[:10])); got[0] == "1" {
						break
					}
				}
			}
			equal(t, "partitions", query(t, db, `SELECT COUNT(DISTINCT day) FROM w.s`), "4")
		})
	}
}
