package services_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

// recorder is a test inside a test: it may fail.
type recorder struct {
	testing.TB
	failed   bool
	log      strings.Builder
	cleanups []func()
}

// record runs f as a test of its own, with its cleanups.
func record(t *testing.T, f func(t services.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	inGoroutine := func(f func()) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f()
		}()
		<-ended
	}
	inGoroutine(func() { f(r) })
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		inGoroutine(r.cleanups[i])
	}
	return r
}

func (r *recorder) messages() string { return r.log.String() }
func (r *recorder) Helper()          {}
func (r *recorder) Failed() bool     { return r.failed }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Skip(args ...any) { r.TB.Error("a missing service skipped a test") }
func (r *recorder) SkipNow()         { r.TB.Error("a missing service skipped a test") }

func (r *recorder) Logf(format string, args ...any) { fmt.Fprintf(&r.log, format+"\n", args...) }

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	r.Logf(format, args...)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.exit()
}

func (r *recorder) Fatal(args ...any) {
	r.Errorf("%s", fmt.Sprint(args...))
	r.exit()
}

func (r *recorder) exit() { runtime.Goexit() }

// shell is a command that is ready when it has printed "up".
func shell(script string) services.Command {
	return services.Command{
		Name:    "shell",
		Program: "sh",
		Args:    []string{"-c", script},
		Ready: func(_ context.Context, log []byte) error {
			if !bytes.Contains(log, []byte("up\n")) {
				return errors.New("it is not up")
			}
			return nil
		},
	}
}

// cacheOfTest has the logs of a test in a folder of its own.
func cacheOfTest(t *testing.T) {
	t.Helper()
	t.Setenv("LEAT_SERVICES_DIR", t.TempDir())
}

func TestProcess_KillAndRestart(t *testing.T) {
	cacheOfTest(t)
	p := services.StartProcess(t, shell("echo up; exec sleep 1000"))
	p.Kill()
	p.Restart()
	p.Restart() // of one that runs
	p.Stop()
	log, err := os.ReadFile(p.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(log), "up\n"); got != 3 {
		t.Errorf("the log tells of %d starts, want 3:\n%s", got, log)
	}
}

// A run is not ready because the one before it was.
func TestProcess_ReadyLooksAtItsOwnRun(t *testing.T) {
	cacheOfTest(t)
	once := filepath.Join(t.TempDir(), "once")
	r := record(t, func(t services.TB) {
		p := services.StartProcess(t, shell("test -e "+once+" && exit 7; touch "+once+"; echo up; exec sleep 1000"))
		p.Kill()
		p.Restart()
	})
	if !r.failed || !strings.Contains(r.messages(), "ended before it was ready: exit status 7") {
		t.Errorf("failed=%v messages=%q, want a failed restart", r.failed, r.messages())
	}
}

func TestProcess_StopResumesFirst(t *testing.T) {
	cacheOfTest(t)
	p := services.StartProcess(t, shell("echo up; exec sleep 1000"))
	p.Pause()
	p.Stop()
}

func TestProcess_PauseAndResume(t *testing.T) {
	cacheOfTest(t)
	in, out := makeFIFO(t), makeFIFO(t)
	p := services.StartProcess(t, shell("echo up; read line < "+in+"; echo \"$line\" > "+out+"; exec sleep 1000"))
	p.Pause()
	p.Resume()
	if err := os.WriteFile(in, []byte("still here\n"), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != "still here\n" {
		t.Errorf("it said %q, %v, want %q", got, err, "still here\n")
	}
}

// The end of a service has to be the end of what it started, too.
func TestProcess_KillReachesChildren(t *testing.T) {
	cacheOfTest(t)
	f := func(end func(p *services.Process)) {
		t.Helper()
		fifo, ended := openFIFO(t)
		r := record(t, func(t services.TB) {
			end(services.StartProcess(t, shell("exec 3> "+fifo+"; sleep 1000 & echo up; wait")))
		})
		if r.failed {
			t.Errorf("failed: %s", r.messages())
		}
		if _, err := io.ReadAll(ended); err != nil {
			t.Fatal(err)
		}
	}
	f(func(p *services.Process) { p.Kill() })
	f(func(p *services.Process) {}) // the end of the test kills
}

func TestProcess_EndsByItself(t *testing.T) {
	cacheOfTest(t)
	in := makeFIFO(t)
	fifo, ended := openFIFO(t)
	r := record(t, func(tb services.TB) {
		services.StartProcess(tb, shell("exec 3> "+fifo+"; echo up; read line < "+in+"; echo last words; exit 3"))
		if err := os.WriteFile(in, []byte("go\n"), 0); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadAll(ended); err != nil {
			tb.Fatal(err)
		}
	})
	if !r.failed || !strings.Contains(r.messages(), "ended by itself: exit status 3") || !strings.Contains(r.messages(), "last words") {
		t.Errorf("failed=%v messages=%q, want a failure with the exit status and the log", r.failed, r.messages())
	}
}

func TestProcess_WrongUse(t *testing.T) {
	cacheOfTest(t)
	f := func(want string, use func(t services.TB)) {
		t.Helper()
		r := record(t, use)
		if !r.failed || !strings.Contains(r.messages(), want) {
			t.Errorf("failed=%v messages=%q, want %q", r.failed, r.messages(), want)
		}
	}
	f("no such file", func(t services.TB) {
		services.StartProcess(t, services.Command{Name: "nothing", Program: "/no/such/program"})
	})
	f("it does not run", func(t services.TB) {
		p := services.StartProcess(t, shell("echo up; exec sleep 1000"))
		p.Kill()
		p.Kill()
	})
}

func makeFIFO(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openFIFO makes a FIFO and opens it for reading: the read ends when the last
// process that has it open for writing is gone.
func openFIFO(t *testing.T) (path string, reader *os.File) {
	t.Helper()
	path = makeFIFO(t)
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return path, reader
}
