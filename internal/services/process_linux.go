package services

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes puts the process into a group of its own, so that signals
// reach its children, and has the kernel kill it when the test binary dies
// without cleaning up, as it does on go test's timeout.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// AwaitStopped waits until SIGSTOP has stopped all threads of a child. Until then one
// that was in the middle of a system call, as in getting a lock, still ends it. It is
// an error if the process has ended.
func AwaitStopped(pid int) error {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != unix.EINTR {
			if err != nil {
				return fmt.Errorf("wait until process %d has stopped: %w", pid, err)
			}
			return nil
		}
	}
}
