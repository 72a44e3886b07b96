// Package measure runs the programs that a benchmark compares, each as a
// process of its own on a set number of cores, and looks at what they wrote.
package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process took.
type Usage struct {
	// Took is from start to exit, or what the program says its work took.
	Took time.Duration
	CPU  time.Duration // user and system
	Peak int64         // bytes of resident memory at most
}

// Run runs a command on the first n cores that this process may use, and
// measures it. A last line of standard output like {"seconds": 1.5} says how
// long the work took without the start of the program. The error of a program
// that fails carries the end of what it printed.
func Run(cmd *exec.Cmd, n int) (Usage, error) { return RunInto(cmd, n, io.Discard) }

// RunInto is Run that keeps the standard output, too.
func RunInto(cmd *exec.Cmd, n int, w io.Writer) (Usage, error) {
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, w), &problems
	cmd.WaitDelay = 5 * time.Second
	begun := time.Now()
	if err := onCores(n, cmd.Start); err != nil {
		return Usage{}, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	err := cmd.Wait()
	u := Usage{Took: time.Since(begun)}
	if err != nil {
		return u, fmt.Errorf("run %s: %w\n%s%s", cmd.Path, err, tail(out.String()), tail(problems.String()))
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.Peak = usage.Maxrss * 1024
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if s := seconds(out.Bytes()); s > 0 {
		u.Took = time.Duration(s * float64(time.Second))
	}
	return u, nil
}

// seconds is what the last line says, or 0.
func seconds(out []byte) float64 {
	out = bytes.TrimSpace(out)
	var said struct{ Seconds float64 }
	if err := json.Unmarshal(out[bytes.LastIndexByte(out, '\n')+1:], &said); err != nil {
		return 0
	}
	return said.Seconds
}

// Pin moves a running process and all its threads to one core, the last that
// this process may use: the broker and the object store are kept off the cores
// that the programs are measured on.
func Pin(pid int) error {
	return pin(pid, func(usable []int) []int { return usable[len(usable)-1:] })
}

// PinFirst moves a running process and all its threads to the first n cores.
func PinFirst(pid, n int) error {
	return pin(pid, func(usable []int) []int { return usable[:min(n, len(usable))] })
}

func pin(pid int, choose func(usable []int) []int) error {
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("read cores: %w", err)
	}
	var usable []int
	for i := range 1024 {
		if all.IsSet(i) {
			usable = append(usable, i)
		}
	}
	for _, i := range choose(usable) {
		some.Set(i)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return fmt.Errorf("choose a core: %w", err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = unix.SchedSetaffinity(id, &some)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("choose a core: %w", err)
		}
	}
	return nil
}

// Idle starts a server, leaves it alone for a while, and returns how many bytes
// of memory it holds then. It is ended by SIGTERM.
func Idle(cmd *exec.Cmd, while time.Duration) (resident int64, err error) {
	var problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &problems, &problems
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return 0, fmt.Errorf("%s ended by itself: %w\n%s", cmd.Path, err, tail(problems.String()))
	case <-time.After(while):
	}
	resident, err = statusBytes(cmd.Process.Pid, "VmRSS:")
	return resident, errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), <-ended)
}

// Peak is how many bytes of memory a running process held at most.
func Peak(pid int) (int64, error) { return statusBytes(pid, "VmHWM:") }

func statusBytes(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read a process's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == field {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("read a process's memory: process %d has ended", pid)
}

// onCores runs f on the first n cores; the processes that it starts stay there.
func onCores(n int, f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("read cores: %w", err)
	}
	if n < 1 || n > all.Count() {
		return fmt.Errorf("choose %d cores: the process may use %d", n, all.Count())
	}
	for i := 0; some.Count() < n && i < 1024; i++ {
		if all.IsSet(i) {
			some.Set(i)
		}
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return fmt.Errorf("choose cores: %w", err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &all)) }()
	return f()
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 2000 {
		s = "… " + s[len(s)-2000:]
	}
	return s
}

// Median is the middle one by f, the upper of two; there must be one.
func Median[T any](list []T, f func(T) time.Duration) T {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b T) int { return int(f(a) - f(b)) })
	return list[len(list)/2]
}
