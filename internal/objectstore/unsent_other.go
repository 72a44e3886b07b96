//go:build !linux

package objectstore

import "syscall"

// unsent is unknown here.
func unsent(syscall.RawConn) int { return -1 }
