package services

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports for services lie below those that kernels give to outgoing
// connections (32768 and up on Linux, 49152 on others): a client's socket must
// not take the port of a broker that is down and about to be started again.
const (
	firstPort = 15000
	lastPort  = 31999
)

var ports struct {
	sync.Mutex
	taken map[int]bool
}

// FreeAddresses returns n addresses 127.0.0.1:port that nothing listens on, that
// no outgoing connection takes, and that this process never hands out again: for
// servers that come later, or go and come again.
func FreeAddresses(t TB, n int) []string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = map[int]bool{}
	}
	var found []string
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if ports.taken[port] {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("close the probe of port %d: %v", port, err)
		}
		ports.taken[port] = true
		if found = append(found, address); len(found) == n {
			return found
		}
	}
	t.Fatalf("find %d free ports between %d and %d: got %d", n, firstPort, lastPort, len(found))
	return nil
}
