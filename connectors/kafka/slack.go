package kafka

import (
	"sync/atomic"
	"time"
)

const (
	// slackAfter is how much one poll has to bring for a source to be busy, and
	// slackFor how long it is so without records.
	slackAfter = 1 << 20
	slackFor   = time.Second
)

// slackHeld tells that a source of the process holds the slack.
var slackHeld atomic.Bool

// slack is memory that nobody touches. The client makes a buffer for each response,
// which is garbage as soon as it was read, and the collector runs when there is as
// much garbage as memory in use. Leat's heap is small, so that it would run at every
// second response; slack counts as in use. It costs addresses only where the runtime
// has it fresh from the system; memory that it had before it clears, which makes it
// resident until the runtime gives it back. One source of the process is enough to
// hold it, while it is busy.
type slack struct {
	memory []byte
	read   int64 // the source's bytesRead at the last poll
}

// update is told before a poll how much the source has read so far, and returns
// how long the poll may wait before idle is called; 0 for ever.
func (l *slack) update(read int64, size int) time.Duration {
	busy := read-l.read >= slackAfter
	l.read = read
	if busy && l.memory == nil && slackHeld.CompareAndSwap(false, true) {
		l.memory = make([]byte, size)
	}
	if l.memory == nil {
		return 0
	}
	return slackFor
}

// idle gives the slack up.
func (l *slack) idle() {
	if l.memory != nil {
		l.memory = nil
		slackHeld.Store(false)
	}
}
