package services_test

import (
	"os"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

func TestRun(t *testing.T) {
	f := func(want bool, messages string, run func(t services.TB)) {
		t.Helper()
		var log strings.Builder
		if got := services.Run(t.Context(), "run", &log, run); got != want || log.String() != messages {
			t.Errorf("it reports %v and says %q, want %v and %q", got, log.String(), want, messages)
		}
	}
	var dir string
	f(true, "cleanup context canceled\nfirst\n", func(t services.TB) {
		dir = t.TempDir()
		t.Cleanup(func() { t.Logf("first") })
		t.Cleanup(func() { t.Logf("cleanup %v", t.Context().Err()) })
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	f(false, "no 1\ncleanup\n", func(t services.TB) {
		t.Cleanup(func() { t.Logf("cleanup") })
		t.Fatalf("no %d", 1)
		t.Logf("not reached")
	})
	f(false, "in cleanup\nfirst\n", func(t services.TB) {
		t.Cleanup(func() { t.Logf("first") })
		t.Cleanup(func() { t.Fatal("in cleanup") })
	})
}

// A process can be killed before it is ready, and ends by itself when told.
func TestProcess_LaunchAndExit(t *testing.T) {
	cacheOfTest(t)
	in := makeFIFO(t)
	p := services.StartProcess(t, shell("echo up; read line < "+in+"; exit 3"))
	p.Kill()
	p.Launch()
	p.Kill()
	p.Launch()
	p.Await()
	if err := os.WriteFile(in, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if code := p.Exit(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
}
