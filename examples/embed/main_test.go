package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{
		"/p0: 300 clicks of 0.55 s\n/p1: 300 clicks of 0.55 s\n/p2: 300 clicks of 0.55 s\n",
		"/p0: 600 clicks of 0.55 s\n/p1: 600 clicks of 0.55 s\n/p2: 600 clicks of 0.55 s\n", // the first run's are still there
	} {
		var b strings.Builder
		if err := run(t.Context(), &b, dir); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("output = %q, want %q", b.String(), want)
		}
	}
}
