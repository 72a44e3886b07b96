package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// failureLife is how long a broker that is not tried again counts as failing:
// it may have left the cluster.
const failureLife = 30 * time.Second

// health tells the stream whether the brokers can be reached. The client
// reconnects by itself and says nothing; its hooks do.
type health struct {
	now      func() time.Time
	retrying func(error)
	explain  func(error) error

	mu      sync.Mutex
	failing map[int32]failure // by broker id; seeds have negative ones
	told    bool
	closed  bool
}

type failure struct {
	err error
	at  time.Time
}

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
	if h.closed {
		return
	}
	h.failing[meta.NodeID] = failure{err: err, at: h.now()}
	if !h.told {
		h.told = true
		h.retrying(h.explain(err))
	}
}

// OnBrokerRead is called after each response: the broker answers again.
func (h *health) OnBrokerRead(meta kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.failing) == 0 {
		return
	}
	now := h.now()
	for id, f := range h.failing {
		// That a seed does not answer means nothing once another broker does.
		if id == meta.NodeID || id < 0 || now.Sub(f.at) > failureLife {
			delete(h.failing, id)
		}
	}
	if len(h.failing) == 0 && h.told && !h.closed {
		h.told = false
		h.retrying(nil)
	}
}

func (h *health) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// last is the newest failure, or nil.
func (h *health) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var newest failure
	for _, f := range h.failing {
		if newest.err == nil || f.at.After(newest.at) {
			newest = f
		}
	}
	return newest.err
}
