package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// failureLife is how long a broker that is not tried again counts as failing:
	// it may have left the cluster.
	failureLife = 30 * time.Second
	// badReads is how often in a row a connection has to end instead of an answer
	// until its broker counts as failing: one that was idle for long is cut by the
	// broker, and made anew.
	badReads = 2
)

// health tells the stream whether the brokers can be reached. The client
// reconnects by itself and says nothing; its hooks do.
type health struct {
	now      func() time.Time
	retrying func(error)
	explain  func(error) error

	mu      sync.Mutex
	failing map[int32]failure // by broker id; seeds have negative ones
	slow    error             // of a commit that does not come through
	told    bool
	closed  bool
	expiry  *time.Timer // of the failures, while there is trouble
}

var errCut = errors.New("the connection ended")

type failure struct {
	err   error
	at    time.Time
	reads int // connections in a row that have ended; 0 for one that was not made
}

// counts reports whether the broker is in trouble.
func (f failure) counts() bool { return f.reads == 0 || f.reads >= badReads }

var (
	_ kgo.HookBrokerConnect = (*health)(nil)
	_ kgo.HookBrokerRead    = (*health)(nil)
)

// OnBrokerConnect is called after each dial.
func (h *health) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing[meta.NodeID] = failure{err: err, at: h.now()}
	h.tell()
}

// OnBrokerRead is called after each response, or when a connection has ended
// without one.
func (h *health) OnBrokerRead(meta kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, new(*kgo.ErrFirstReadEOF)):
		return // the second is an error of what was asked, too
	case err != nil:
		f := h.failing[meta.NodeID]
		if f.err == nil || f.reads > 0 {
			f.reads++
			if errors.Is(err, os.ErrDeadlineExceeded) {
				f.reads = badReads // who is silent has not cut an idle connection
			}
		}
		f.err, f.at = fmt.Errorf("%w: %w", errCut, err), h.now()
		h.failing[meta.NodeID] = f
	case len(h.failing) == 0:
		return
	default:
		for id := range h.failing {
			// That a seed does not answer means nothing once another broker does.
			if id == meta.NodeID || id < 0 {
				delete(h.failing, id)
			}
		}
	}
	h.tell()
}

// committed notes that all brokers that are needed have answered.
func (h *health) committed() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.failing)
	h.slow = nil
	h.tell()
}

// watch tells of a commit that has not come through after a while, although
// brokers may answer, until stop is called.
func (h *health) watch(patience time.Duration) (stop func()) {
	if h == nil {
		return func() {}
	}
	waits := func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.slow = err
		h.tell()
	}
	timer := time.AfterFunc(patience, func() { waits(fmt.Errorf("%w within %s", errNoCommit, patience)) })
	return func() {
		if !timer.Stop() {
			waits(nil)
		}
	}
}

// tell tells the stream of trouble that has begun or ended. The caller holds the
// lock.
func (h *health) tell() {
	if h.closed {
		return
	}
	now := h.now()
	for id, f := range h.failing {
		if now.Sub(f.at) > failureLife {
			delete(h.failing, id)
		}
	}
	err := h.newest()
	if err == nil {
		err = h.slow
	}
	switch {
	case err != nil && !h.told:
		h.told = true
		h.retrying(h.explain(err))
	case err == nil && h.told:
		h.told = false
		h.retrying(nil)
	}
	if h.expiry != nil {
		h.expiry.Stop()
		h.expiry = nil
	}
	if len(h.failing) > 0 {
		// A client with nothing to do does not try a broker again.
		h.expiry = time.AfterFunc(failureLife, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.tell()
		})
	}
}

func (h *health) close() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.expiry != nil {
		h.expiry.Stop()
	}
}

// last is the newest failure, or nil.
func (h *health) last() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest()
}

func (h *health) newest() error {
	var newest failure
	for _, f := range h.failing {
		if f.counts() && (newest.err == nil || f.at.After(newest.at)) {
			newest = f
		}
	}
	return newest.err
}
