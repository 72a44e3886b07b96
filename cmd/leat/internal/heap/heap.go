// Package heap makes the command start sooner: nothing is collected before the
// heap has some size. What packages make when they are initialised, and what the
// first statements are planned with, mostly stays; the collector would go over it
// six times while it grows from nothing, for a few MiB each. It is not for the
// packages that programs import, whose heap is not Leat's.
package heap

import (
	"os"
	"runtime"
	"runtime/debug"
)

// first is how much memory the process has, in bytes, when it collects for the
// first time.
const first = 96 << 20

// Packages that are ready are initialised in the order of their paths: this one,
// which needs little, before most of the others.
func init() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return // somebody knows better
	}
	was := settings{debug.SetGCPercent(-1), debug.SetMemoryLimit(first)}
	// The first collection, which the limit brings about, finds this to be garbage.
	runtime.AddCleanup(new([1 << 10]byte), settings.set, was)
}

// settings are those of the collector.
type settings struct {
	percent int
	limit   int64
}

func (s settings) set() {
	debug.SetGCPercent(s.percent)
	debug.SetMemoryLimit(s.limit)
}
