//go:build !linux

package services

import "syscall"

// processAttributes puts the process into a group of its own, so that signals
// reach its children.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// AwaitStopped has no way here to wait until SIGSTOP has stopped all threads of a child.
func AwaitStopped(int) error { return nil }
