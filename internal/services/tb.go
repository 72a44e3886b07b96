package services

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

// TB is what services need of whoever starts them. Every testing.TB is one; Run
// gives one to a program that is no test.
type TB interface {
	Name() string
	Context() context.Context
	TempDir() string
	Cleanup(f func())
	Helper()
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Run runs f as a test would be run: what it starts ends before Run returns, a
// Fatal ends f. Messages go to w, a line each. It reports whether f did not
// fail. Temporary folders of a run that failed are kept, and named.
func Run(ctx context.Context, name string, w io.Writer, f func(t TB)) bool {
	p := &program{name: name, w: w}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.ctx = ctx
	p.goexit(func() { f(p) })
	cancel() // as with a test, before its cleanups
	for {
		p.mu.Lock()
		n := len(p.cleanups)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		last := p.cleanups[n-1]
		p.cleanups = p.cleanups[:n-1]
		p.mu.Unlock()
		p.goexit(last)
	}
	for _, dir := range p.dirs {
		if p.Failed() {
			p.Logf("kept %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			p.Errorf("remove the temporary folder: %v", err)
		}
	}
	return !p.Failed()
}

// program is the TB of Run.
type program struct {
	name string
	ctx  context.Context

	mu       sync.Mutex
	w        io.Writer
	failed   bool
	cleanups []func()
	dirs     []string
}

// goexit runs f where runtime.Goexit ends nothing else.
func (p *program) goexit(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (p *program) Name() string             { return p.name }
func (p *program) Context() context.Context { return p.ctx }
func (p *program) Helper()                  {}

func (p *program) TempDir() string {
	dir, err := os.MkdirTemp("", p.name+"-")
	if err != nil {
		p.Fatalf("make a temporary folder: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirs = append(p.dirs, dir)
	return dir
}

func (p *program) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

func (p *program) Failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

func (p *program) Logf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *program) Errorf(format string, args ...any) {
	p.Logf(format, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = true
}

func (p *program) Fatal(args ...any) {
	p.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}
