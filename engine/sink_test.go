//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"testing"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Who holds a sink reads it, though it is replaced before it is opened; the last
// holder closes it, and nobody opens it after that.
func TestSink_IsHeldWhileReplaced(t *testing.T) {
	db, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	define := func() {
		t.Helper()
		if err := db.Exec(t.Context(), "CREATE OR REPLACE SINK k WITH (connector = 's3', path = '"+t.TempDir()+"')"); err != nil {
			t.Fatal(err)
		}
	}
	define()
	s, release := db.heldSink("k")
	define()
	if lake, err := s.readable(t.Context()); err != nil {
		t.Errorf("read what is held: %v", err)
	} else if names, err := lake.Tables(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("tables %v, %v, want none", names, err)
	}
	release()
	if s.handle != nil {
		t.Error("the last holder leaves it open")
	}
	if _, err := s.readable(t.Context()); !sqlerror.IsRetryable(err) {
		t.Errorf("read what nobody holds: %v", err)
	}
}
