package files

import "time"

// SetMaxMessages bounds the messages that a source holds until the function that
// it returns is called.
func SetMaxMessages(n int) (restore func()) {
	old := maxMessages
	maxMessages = n
	return func() { maxMessages = old }
}

// Pace shows pace to tests.
type Pace struct{ p pace }

// Ahead is pace.ahead.
func (p *Pace) Ahead() int { return p.p.ahead() }

// Fetched is pace.fetched.
func (p *Pace) Fetched(took time.Duration, now time.Time) { p.p.fetched(took, now) }

// Read is pace.read.
func (p *Pace) Read(now time.Time) { p.p.read(now) }
