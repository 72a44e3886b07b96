package kafka

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lowWaterMark is how many bytes a connection has to have for its reader to be woken,
// SO_RCVLOWAT in socket(7). Linux caps it at half of what the socket may hold.
type lowWaterMark struct {
	conn      syscall.RawConn
	encrypted bool // what it has is not yet what its reader gets

	mu  sync.Mutex
	set int // what was set; 0 if that can't be done
}

// lowersMarks reports whether readers are woken when their mark is lowered below what is
// there, which Linux does from 4.18 on. Systems that only look like Linux claim to be
// older.
var lowersMarks = sync.OnceValue(func() bool {
	var name unix.Utsname
	var major, minor int
	if unix.Uname(&name) != nil {
		return false
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 4 || major == 4 && minor >= 18
})

// newLowWaterMark returns nil for connections that have none.
func newLowWaterMark(conn net.Conn) *lowWaterMark {
	if !lowersMarks() {
		return nil
	}
	encrypted, ok := conn.(*tls.Conn)
	if ok {
		conn = encrypted.NetConn()
	}
	tcp, isTCP := conn.(*net.TCPConn)
	if !isTCP {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return &lowWaterMark{conn: raw, encrypted: ok, set: 1}
}

// atLeast sets the mark. That it can't be set is no error: the reader is woken earlier.
func (m *lowWaterMark) atLeast(n int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n == m.set || m.set == 0 {
		return
	}
	err := m.conn.Control(func(fd uintptr) {
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) != nil {
			n = 0
		}
	})
	if err == nil {
		m.set = n
	}
}

// body sets the mark for a reader that can do with n bytes.
func (m *lowWaterMark) body(n int) {
	if m != nil && !m.encrypted {
		m.atLeast(min(lowWater, n))
	}
}
