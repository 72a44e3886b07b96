package objectstore

import (
	"context"
	"sync"
)

// Stalls tells a part of a program when requests to a store stand still, and
// when bytes move again. It may be used from any goroutine.
type Stalls struct {
	retrying func(error)

	mu sync.Mutex // held while retrying is called, so that the last word is true
	// still is how many requests stand still; told says that retrying was told of
	// some and has not heard since that it is over.
	still int
	told  bool
}

// NewStalls tells retrying why nothing moves, and nil when the store answers
// again. It waits for nobody.
func NewStalls(retrying func(error)) *Stalls { return &Stalls{retrying: retrying} }

type stallsKey struct{}

// Context lets s be told of requests under the context.
func (s *Stalls) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, stallsKey{}, s)
}

func stallsOf(ctx context.Context) *Stalls {
	s, _ := ctx.Value(stallsKey{}).(*Stalls)
	return s
}

// begin notes that a request stands still.
func (s *Stalls) begin(why error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.still++
	s.told = true
	s.retrying(why)
}

// end notes that a request that stood still does so no more. Where it was given
// up, a later one has to show that the store answers.
func (s *Stalls) end(moved bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.still--
	s.over(moved)
}

// answered notes that the store has answered a request.
func (s *Stalls) answered() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over(true)
}

// over ends what was told. The caller holds the lock.
func (s *Stalls) over(moved bool) {
	if moved && s.told && s.still == 0 {
		s.told = false
		s.retrying(nil)
	}
}
