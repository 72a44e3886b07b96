package kinesis

import (
	"math/rand/v2"
	"time"
)

// pace is how fast a shard is read.
type pace struct {
	calls int64 // a second
	bytes int64 // a second
	idle  time.Duration
}

// after is how long after a call that gave so many bytes the next one may be
// made at the earliest, and how long after it is made unless somebody waits.
// A call may give 10 MB at once; the five seconds that they stand for have then
// to pass without a call.
func (p pace) after(bytes int64, atTip bool) (earliest, usual time.Duration) {
	earliest = time.Duration(max(int64(time.Second)/p.calls, int64(float64(bytes)/float64(p.bytes)*float64(time.Second))))
	if atTip {
		return earliest, max(earliest, p.idle)
	}
	return earliest, earliest
}

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// backoff is how long to wait after so many failures in a row: exponentially
// longer, and at random, so that shards do not come back all at once.
func backoff(failures int) time.Duration {
	d := min(maxBackoff, firstBackoff<<min(failures, 10))
	return d/2 + rand.N(d/2)
}
