package kafka

import (
	"net"
	"syscall"
)

// lowWaterMark is how many bytes a connection has to have for its reader to be woken.
type lowWaterMark struct {
	conn syscall.RawConn // nil for connections that do not know it, as those of TLS
	set  int
}

func newLowWaterMark(conn net.Conn) lowWaterMark {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return lowWaterMark{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return lowWaterMark{}
	}
	return lowWaterMark{conn: raw, set: 1}
}

// atLeast sets the mark. That it can't be set is no error: the reader is woken earlier.
func (m *lowWaterMark) atLeast(n int) {
	if m.conn == nil || n == m.set {
		return
	}
	err := m.conn.Control(func(fd uintptr) {
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) != nil {
			m.conn = nil
		}
	})
	if err == nil {
		m.set = n
	}
}
