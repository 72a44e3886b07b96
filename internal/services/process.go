package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// readyTimeout bounds a start. It is long because test binaries are linked
	// at the same time on the same few cores.
	readyTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
	logTailBytes = 8 << 10
)

// command is what start runs.
type command struct {
	// name is the service's, for messages and the log file.
	name    string
	program string
	args    []string
	// env is added to the environment of the test.
	env []string
	// dir is the working directory; "" is the test's.
	dir string
	// ready returns nil once the service serves; it is asked again and again
	// while the process lives. log is what this run of the process has printed.
	ready func(ctx context.Context, log []byte) error
}

// Process is a running service. Its methods fail the test when the system
// refuses what they ask for, so they are for the test's own goroutine.
//
// Kill, Launch and Await are for tests that end a service before it is up.
//
// The log file outlives the test, in the folder log of the cache. When the test
// has failed its last lines are printed, and a process that ended although
// nobody asked it to fails the test.
type Process struct {
	t       TB
	command command
	logPath string

	mu    sync.Mutex
	alive *incarnation // nil while stopped or killed
	last  *incarnation // the latest that was started
}

// incarnation is one run of the program, from start to exit.
type incarnation struct {
	pid      int
	logStart int64
	exited   chan struct{}
	err      error // what Wait returned, to be read once exited is closed
}

// failure is how the process ended; ending well is a failure in a service.
func (run *incarnation) failure() error {
	if run.err == nil {
		return errors.New("exit status 0")
	}
	return run.err
}

// killed tells whether SIGKILL ended the process.
func (run *incarnation) killed() bool {
	exit, ok := errors.AsType[*exec.ExitError](run.err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

var (
	notInFileName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

	logNamesMu sync.Mutex
	logNames   = map[string]int{}
)

// logName is kafka.test-TestX-kafka.log for the first broker of TestX in
// package kafka, the same in each run, so that logs do not pile up.
func logName(t TB, service string) string {
	name := notInFileName.ReplaceAllString(filepath.Base(os.Args[0])+"-"+t.Name()+"-"+service, "_")
	logNamesMu.Lock()
	defer logNamesMu.Unlock()
	logNames[name]++
	if n := logNames[name]; n > 1 {
		return fmt.Sprintf("%s-%d.log", name, n)
	}
	return name + ".log"
}

// start runs the command until the test ends, and returns when it is ready.
func start(t TB, c command) *Process {
	t.Helper()
	p := launch(t, c)
	p.Await()
	return p
}

// launch is start without waiting.
func launch(t TB, c command) *Process {
	t.Helper()
	cache, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, command: c, logPath: filepath.Join(cache, "log", logName(t, c.name))}
	if err := os.MkdirAll(filepath.Dir(p.logPath), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.logPath, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.Launch()
	return p
}

// Launch starts a process that was killed or stopped again, and does not wait
// until it is ready.
func (p *Process) Launch() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive != nil {
		p.t.Fatalf("start %s: it runs already, as process %d", p.command.name, p.alive.pid)
	}
	run, err := p.spawn()
	if err != nil {
		p.t.Fatalf("start %s: %v", p.command.name, err)
	}
	p.alive, p.last = run, run
}

// Await waits until the process is ready; one that ends before fails the test.
func (p *Process) Await() {
	p.t.Helper()
	p.mu.Lock()
	run := p.alive
	p.mu.Unlock()
	if run == nil {
		p.t.Fatalf("wait for %s: it does not run", p.command.name)
	}
	if err := p.awaitReady(run); err != nil {
		p.t.Fatalf("start %s: %v", p.command.name, err)
	}
}

// Check fails the test if the process has ended although nobody asked it to.
func (p *Process) Check() {
	p.t.Helper()
	p.mu.Lock()
	run := p.alive
	p.mu.Unlock()
	if run == nil {
		p.t.Fatalf("check %s: it does not run", p.command.name)
		return
	}
	select {
	case <-run.exited:
		p.t.Fatalf("%s ended by itself: %v", p.command.name, run.failure())
	default:
	}
}

// Exit waits until the process has ended by itself and returns its exit status.
// Not to end within a minute fails the test.
func (p *Process) Exit() int {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive != nil {
		p.await(p.alive, "wait for the end of "+p.command.name)
		p.alive = nil
	}
	exit, ok := errors.AsType[*exec.ExitError](p.last.err)
	if !ok {
		return 0
	}
	return exit.ExitCode()
}

func (p *Process) spawn() (*incarnation, error) {
	log, err := os.OpenFile(p.logPath, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own copy
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.command.program, p.command.args...)
	cmd.Env = append(os.Environ(), p.command.env...)
	cmd.Dir = p.command.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes()

	run := &incarnation{logStart: size, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel kills the child when the thread that started it ends (see
		// processAttributes), so that thread has to be kept until the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		run.pid = cmd.Process.Pid
		started <- nil
		run.err = cmd.Wait()
		close(run.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return run, nil
}

func (p *Process) awaitReady(run *incarnation) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), readyTimeout)
	defer cancel()
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		log, err := p.logFrom(run.logStart)
		if err == nil {
			attempt, done := context.WithTimeout(ctx, 2*time.Second)
			err = p.command.ready(attempt, log)
			done()
		}
		if err == nil {
			return nil
		}
		select {
		case <-run.exited:
			return fmt.Errorf("process ended before it was ready: %w", run.failure())
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", readyTimeout, err)
		case <-again.C:
		}
	}
}

func (p *Process) logFrom(offset int64) ([]byte, error) {
	log, err := os.Open(p.logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close() // it was only read
	if _, err := log.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(log)
}

// PID is the process's id while it runs, else 0.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive == nil {
		return 0
	}
	return p.alive.pid
}

// LogPath is the file with all that the process has printed, restarts included.
func (p *Process) LogPath() string { return p.logPath }

// Kill ends the process and its children at once, as a crash would (SIGKILL).
// Killing what does not run is an error of the test.
func (p *Process) Kill() {
	p.t.Helper()
	p.end(syscall.SIGKILL)
}

// Stop asks the process to end (SIGTERM) and waits until it has; after a minute
// the test fails. A paused process is resumed first, else it would never hear.
func (p *Process) Stop() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
	p.end(syscall.SIGTERM)
}

// Restart starts the process again on the same ports and data, and returns when
// it is ready. One that still runs is stopped before.
func (p *Process) Restart() {
	p.t.Helper()
	p.mu.Lock()
	runs := p.alive != nil
	p.mu.Unlock()
	if runs {
		p.Stop()
	}
	p.Launch()
	p.Await()
}

// Pause freezes the process (SIGSTOP): its connections stay open and nothing
// answers, as with a hung machine. On Linux all its threads stand still afterwards.
func (p *Process) Pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	if pid := p.PID(); pid != 0 {
		if err := AwaitStopped(pid); err != nil {
			p.t.Fatalf("pause %s: %v", p.command.name, err)
		}
	}
}

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
}

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive == nil {
		p.t.Fatalf("send %v to %s: it does not run", s, p.command.name)
	}
	// The process leads a group of its own; a negative id means the group.
	if err := syscall.Kill(-p.alive.pid, s); err != nil {
		p.t.Fatalf("send %v to %s: %v", s, p.command.name, err)
	}
}

func (p *Process) end(s syscall.Signal) {
	p.t.Helper()
	p.signal(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.await(p.alive, fmt.Sprintf("send %v to %s", s, p.command.name))
	p.alive = nil
}

// await fails the test unless the run ends in time.
func (p *Process) await(run *incarnation, act string) {
	p.t.Helper()
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-run.exited:
	case <-timeout.C:
		p.t.Fatalf("%s: it still runs after %v", act, stopTimeout)
	}
}

// close ends what still runs when the test ends. Data is thrown away after it,
// so there is no need to be gentle.
func (p *Process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive != nil {
		// Also when the leader is gone: it may have left children.
		if err := syscall.Kill(-p.alive.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			p.t.Errorf("kill %s: %v", p.command.name, err)
		}
		<-p.alive.exited
		if !p.alive.killed() {
			p.t.Errorf("%s ended by itself: %v", p.command.name, p.alive.failure())
		}
		p.alive = nil
	}
	if !p.t.Failed() {
		return
	}
	log, err := os.ReadFile(p.logPath)
	if err != nil {
		p.t.Errorf("read the log of %s: %v", p.command.name, err)
		return
	}
	p.t.Logf("end of %s:\n%s", p.logPath, tail(log, logTailBytes))
}

// answers is the readiness of a server that answers GET of url with 200.
func answers(url string) func(context.Context, []byte) error {
	return func(ctx context.Context, _ []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return nil
	}
}
