package files

import (
	"time"

	"github.com/leatdb/leat/connectors"
)

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

// AwaitFetched waits for all objects that a source fetches ahead.
func AwaitFetched(src connectors.Source) {
	b := src.(*source).store.(*bucket)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.expected {
		r.fetches.Wait()
	}
}
