package files

import (
	"sync"
	"time"
)

const (
	// fewAhead is how many objects are fetched ahead at least. More than are needed
	// cost: what lies longer in memory is no longer in the processor's caches.
	fewAhead = 32
	// mostAhead is enough that with requests of 20 ms more than 10,000 small objects
	// are read in a second.
	mostAhead = 256
	// paceTime is how long a fetch counts as the shortest of late.
	paceTime = 5 * time.Second
)

// pace finds how many objects should be fetched ahead: twice as many as are read
// in the time that a request takes when it has not to wait, so that reading gets
// faster as long as requests are what it waits for.
type pace struct {
	mu     sync.Mutex
	window int

	opened int       // objects since begun
	begun  time.Time // when the objects of this round began to be read

	shortest, before time.Duration // of the fetches since turned, and of those before; 0 for none
	turned           time.Time
}

// ahead is how many objects should be under way.
func (p *pace) ahead() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.window, fewAhead)
}

// fetched notes how long a fetch took that ended now.
func (p *pace) fetched(took time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.turned) > paceTime {
		p.shortest, p.before, p.turned = 0, p.shortest, now
	}
	if p.shortest == 0 || took < p.shortest {
		p.shortest = max(took, 1)
	}
}

// read notes that an object that was fetched ahead is read now.
func (p *pace) read(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun.IsZero() {
		p.begun = now
	}
	p.opened++
	took := now.Sub(p.begun)
	if p.opened <= max(p.window, fewAhead) || took <= 0 {
		return
	}
	least := p.shortest
	if p.before > 0 && (least == 0 || p.before < least) {
		least = p.before
	}
	p.window = int(min(mostAhead, 1+2*float64(p.opened)*float64(least)/float64(took)))
	p.opened, p.begun = 0, now
}
