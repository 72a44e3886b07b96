// Package tmpfstest gives tests a small file system of their own, which can be full.
package tmpfstest

import (
	"os"
	"syscall"
	"testing"
)

// Mount puts a file system at dir until the test ends; size is that of mount(8), such
// as "6m". Where that is not allowed, as it may not be for who is not root, the test is
// skipped; with CI set in the environment it fails.
func Mount(t testing.TB, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a file system: %v", err)
		}
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}
