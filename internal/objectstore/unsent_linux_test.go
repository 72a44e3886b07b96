package objectstore

import (
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
)

// TestUnsent sees bytes wait in a socket whose other side does not read, and
// go when it does: a slow line moves them, a dead one does not.
func TestUnsent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	// What is sent is more than the receiver takes and less than both keep.
	if err := far.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if err := near.(*net.TCPConn).SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	raw, err := near.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if n := unsent(raw); n != 0 {
		t.Errorf("%d bytes wait before anything was written", n)
	}
	const size = 400 << 10
	if _, err := near.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if n := unsent(raw); n <= 0 || n > size {
		t.Errorf("%d bytes wait of %d that nobody has read", n, size)
	}
	if _, err := io.CopyN(io.Discard, far, size); err != nil {
		t.Fatal(err)
	}
	for unsent(raw) != 0 { // the last acknowledgement is on its way
		runtime.Gosched()
	}
	if n := unsent(nil); n != -1 {
		t.Errorf("%d bytes wait on no connection", n)
	}
}
