package objectstore

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how many bytes the system has taken for a connection and the other
// side has not acknowledged, as SIOCOUTQ of tcp(7) tells; -1 if it is unknown.
func unsent(c syscall.RawConn) int {
	n := -1
	if c == nil {
		return n
	}
	if err := c.Control(func(fd uintptr) {
		if queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = queued
		}
	}); err != nil {
		return -1
	}
	return n
}
