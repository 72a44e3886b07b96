package services_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

// Whoever looks at what a paused process left behind must not see it change.
func TestProcess_PauseStopsAtOnce(t *testing.T) {
	cacheOfTest(t)
	p := services.StartProcess(t, shell("echo up; exec dd if=/dev/zero of="+filepath.Join(t.TempDir(), "synced")+" bs=4k count=1000000 conv=notrunc oflag=dsync"))
	for range 100 {
		p.Pause()
		p.Pause() // no harm
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(stat, []byte(") T ")) {
			t.Fatalf("the process goes on: %s", stat)
		}
		p.Resume()
	}
}
