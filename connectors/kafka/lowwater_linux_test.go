package kafka

import (
	"net"
	"runtime"
	"syscall"
	"testing"
)

// mark is the low-water mark that a connection has.
func (c *fetchConn) mark(t *testing.T) (n int) {
	t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlErr := raw.Control(func(fd uintptr) {
		n, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT)
	})
	if err != nil || controlErr != nil {
		t.Fatal(err, controlErr)
	}
	return n
}

// While nobody waits for fetches their readers sleep, until somebody waits, or long.
func TestFetches_Sleep(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := newFetches(64 << 20)
	defer f.sleep(false)
	var dialer net.Dialer
	connect := func() (client *fetchConn, broker net.Conn) {
		conn, err := f.dial(dialer.DialContext)(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		broker, err = listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(); broker.Close() })
		return conn.(*fetchConn), broker
	}
	fetching, broker := connect()
	if !lowersMarks() {
		if fetching.wake != nil {
			t.Error("a kernel that does not wake readers has a mark to lower")
		}
		return
	}
	other, _ := connect()
	write := func(c net.Conn, b []byte) {
		t.Helper()
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	write(other, request(18, 3, 1, 20))
	f.sleep(true)
	f.stall.Stop()
	write(fetching, request(fetchKey, 12, 1, 300))
	if n := fetching.mark(t); n <= lowWater/8 {
		t.Errorf("the mark of a connection that fetches is %d", n)
	}
	if n := other.mark(t); n != 1 {
		t.Errorf("the mark of a connection that does not fetch is %d", n)
	}

	// A short answer is read when somebody waits for it, or when nobody has for long.
	for _, wake := range []func(){
		func() { f.sleep(false) },
		func() { f.stall.Reset(0) },
	} {
		f.sleep(true)
		f.stall.Stop()
		write(broker, []byte{0, 0, 0, 0})
		done := make(chan error)
		go func() {
			_, err := fetching.Read(make([]byte, 10))
			done <- err
		}()
		wake()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for fetching.mark(t) != 1 {
			runtime.Gosched()
		}
	}

	// Where answers are read, the mark is for the next one again.
	body := fetched(12, 1, map[int32][]byte{0: make([]byte, 2*lowWater)})
	f.sleep(false)
	f.asleep = true
	done := make(chan error)
	go func() {
		_, err := fetching.Read(make([]byte, 10))
		done <- err
	}()
	write(broker, body)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := fetching.mark(t); n <= lowWater {
		t.Errorf("the mark is %d after an answer", n)
	}

	fetching.Close()
	f.fetching(fetching) // somebody was about to write
	if len(f.conns) != 0 {
		t.Error("a closed connection is not forgotten")
	}
}
