package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "it's orders.ndjson")
	err := os.WriteFile(file, []byte(`{"id":1,"customer":"ann","amount":"12.50","at":"2026-07-01T10:00:00Z"}
{"id":2,"customer":"bob","amount":0,"at":"2026-07-01T11:00:00Z"}
{"id":3,"customer":"ann","amount":7.5,"at":"2026-07-02T10:00:00Z"}
{"id":4,"customer":"eve","amount":5000,"at":"2026-07-02T10:00:00Z"}
{"id":5,"customer":"bob","amount":1,"at":"2025-07-02T10:00:00Z"}
{"id":6,"customer":"bob","amount":3,"at":"2026-07-03T10:00:00Z"}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	const want = "ann spent 20.00, last on 2026-07-02\nbob spent 3.00, last on 2026-07-03\n"
	for range 2 { // the second run reads nothing twice
		var b strings.Builder
		if err := run(t.Context(), &b, filepath.Join(dir, "data"), file); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("output = %q, want %q", b.String(), want)
		}
	}
}
