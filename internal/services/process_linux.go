package services

import "syscall"

// processAttributes puts the process into a group of its own, so that signals
// reach its children, and has the kernel kill it when the test binary dies
// without cleaning up, as it does on go test's timeout.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
