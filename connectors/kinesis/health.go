package kinesis

import "sync"

// health tells the stream whether the service can be reached: it cannot while
// the calls of any shard fail.
type health struct {
	retrying func(error)

	mu      sync.Locker
	failing map[string]bool // by shard
	told    bool
	closed  bool
}

// failed notes that the calls of a shard fail.
func (h *health) failed(shard string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.failing[shard] = true
	if !h.told {
		h.told = true
		h.retrying(err)
	}
}

// succeeded notes that a call of a shard was answered, or that the shard is no
// longer read.
func (h *health) succeeded(shard string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.failing, shard)
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
