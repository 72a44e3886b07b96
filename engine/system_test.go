package engine_test

import (
	"context"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

// TestSystemTables_Types looks at what the library gives of system tables: bytes
// are bytes, and sums are exact.
func TestSystemTables_Types(t *testing.T) {
	db := open(t, t.TempDir())
	for query, want := range map[string]arrow.Type{
		"SELECT raw FROM leat.dead_letters":                           arrow.BINARY,
		"SELECT LEFT(raw, 3) FROM leat.dead_letters":                  arrow.BINARY,
		"SELECT SUBSTRING(raw, 2) FROM leat.dead_letters ORDER BY 1":  arrow.BINARY,
		"SELECT SUM(bytes) FROM leat.files":                           arrow.DECIMAL128,
		"SELECT ROUND(bytes / 1024, 1) FROM leat.files":               arrow.DECIMAL128,
		"SELECT MAX(last_commit_at) FROM leat.stream_metrics":         arrow.TIMESTAMP,
		"SELECT committed_at FROM leat.commits ORDER BY committed_at": arrow.TIMESTAMP,
	} {
		r, err := db.Query(t.Context(), query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if got := r.Schema().Field(0).Type.ID(); got != want {
			t.Errorf("%s: the column is %s, want %s", query, got, want)
		}
		r.Release()
	}
}

// TestSystemTables_Cancelled has queries end when nobody waits for them any more,
// with an error and not with the rows so far.
func TestSystemTables_Cancelled(t *testing.T) {
	db := open(t, t.TempDir())
	for _, query := range []string{
		"SELECT path FROM leat.files", "SELECT COUNT(*) FROM leat.commits", "SELECT raw FROM leat.dead_letters",
		"SELECT stream FROM leat.streams ORDER BY stream", "SELECT raw FROM leat.dead_letters GROUP BY raw",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, err := db.Query(ctx, query)
		if err == nil {
			for r.Next() {
				t.Errorf("%s: there are rows", query)
			}
			err = r.Err()
			r.Release()
		}
		if err == nil {
			t.Errorf("%s: no error", query)
		}
	}
}
