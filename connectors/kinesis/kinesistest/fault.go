package kinesistest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Fault makes calls fail or slow. The zero value of a field means any, or none.
type Fault struct {
	// Operation is of which calls: GetRecords, ListShards, …; SubscribeToShardEvent
	// is each event that a subscription sends.
	Operation string
	Contains  string // a text that their request has, such as a shard's id
	Every     int    // only each n-th of them
	Times     int    // no more than so many

	Delay time.Duration // before the answer
	// Code is the error's name, such as ThrottlingException, Status its HTTP
	// status (default 400).
	Code   string
	Status int
	// Cut breaks the connection instead of an answer, and in the middle of an event.
	Cut bool
	// End ends a subscription instead of an event, as when its time is over.
	End bool
	// Then is called before the answer, without any lock held.
	Then func()

	seen, done int
}

// Inject switches a fault on; the function switches it off again.
func (s *Server) Inject(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, g := range s.faults {
			if g == &f {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
				return
			}
		}
	}
}

var (
	errCut = errors.New("the connection is cut")
	errEnd = errors.New("the subscription ends")
)

// fault applies what is switched on to a call.
func (s *Server) fault(ctx context.Context, operation string, body []byte) error {
	var hits []*Fault
	s.mu.Lock()
	for _, f := range s.faults {
		if f.Operation != "" && f.Operation != operation || !strings.Contains(string(body), f.Contains) {
			continue
		}
		if f.seen++; f.Every > 1 && f.seen%f.Every != 0 || f.Times > 0 && f.done >= f.Times {
			continue
		}
		f.done++
		hits = append(hits, f)
	}
	s.mu.Unlock()
	for _, f := range hits {
		if f.Delay > 0 {
			timer := time.NewTimer(f.Delay)
			select {
			case <-ctx.Done():
				timer.Stop()
				return errCut
			case <-timer.C:
			}
		}
		if f.Then != nil {
			f.Then()
		}
		if f.Cut {
			return errCut
		}
		if f.End {
			return errEnd
		}
		if f.Code != "" {
			status := f.Status
			if status == 0 {
				status = http.StatusBadRequest
			}
			return &apiError{status: status, code: f.Code, message: "injected"}
		}
	}
	return nil
}
