//go:build !unix

package kafka

import "net"

// lowWaterMark does nothing where sockets have none.
type lowWaterMark struct{}

func newLowWaterMark(net.Conn) lowWaterMark { return lowWaterMark{} }

func (*lowWaterMark) atLeast(int) {}
