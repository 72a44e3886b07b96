//go:build unix

package objectstore

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFile locks a file until it is closed, or its process dies.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// hold locks a file that was just made, and reports whether it still has its
// name: who sweeps may have come first.
func hold(f *os.File) bool {
	if err := lockFile(f); errors.Is(err, unix.EWOULDBLOCK) {
		return false
	}
	// Where files cannot be locked nobody sweeps.
	info, err := f.Stat()
	if err != nil {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Nlink > 0
}
