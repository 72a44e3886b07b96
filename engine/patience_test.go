//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/catalog"
)

// A stream whose last commit had files by the ten thousands could not be dropped:
// finishing them took longer than a sink may take to answer.
func TestDropStream_WaitsWhileTheSinkMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := whileItMoves(t.Context(), dropPatience)
		defer cancel()
		for range 20 {
			time.Sleep(dropPatience - time.Second)
			catalog.Progress(ctx, catalog.Step{})
		}
		time.Sleep(dropPatience - time.Second)
		if ctx.Err() != nil {
			t.Error("given up while it moved")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("not given up though it stands still")
		}
	})
}
