//go:build !linux

package kafka

import "net"

// lowWaterMark does nothing: elsewhere a mark above what the socket may hold would
// stop the connection.
type lowWaterMark struct{}

func newLowWaterMark(net.Conn) *lowWaterMark { return nil }

func (*lowWaterMark) atLeast(int) {}

func (*lowWaterMark) body(int) {}
