package kinesis

import (
	"math/rand/v2"
	"slices"
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

// gap is the time between two calls.
func (p pace) gap() time.Duration { return time.Second / time.Duration(p.calls) }

// subscribeCalls and takeOverCalls are how many calls have to be possible between
// two subscriptions of a shard, and between one that has begun and the next: with
// the five calls a second that AWS allows that is its second and its five seconds
// (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html).
const subscribeCalls, takeOverCalls = 5, 25

// resubscribe is when to subscribe after a subscription that was asked for at
// sent and is over now, because its time was or because it broke.
func (p pace) resubscribe(sent, now time.Time, ended bool) time.Time {
	if !ended {
		now = now.Add(subscribeCalls * p.gap())
	}
	return latest(now, sent.Add(takeOverCalls*p.gap())) // sooner it would be refused
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// backoff is how long to wait after so many failures in a row: exponentially
// longer, and at random, so that shards do not come back all at once.
func backoff(failures int) time.Duration { return backoffAt(failures, rand.Float64()) }

// backoffAt is backoff with a random number in [0, 1).
func backoffAt(failures int, random float64) time.Duration {
	d := min(maxBackoff, firstBackoff<<min(failures, 10))
	return d/2 + time.Duration(random*float64(d/2))
}
