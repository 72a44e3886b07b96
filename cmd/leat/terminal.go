//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// plainInterval is how often a status is printed where it cannot be rewritten.
const plainInterval = 5 * time.Second

// statusWriter shows a status of a few lines that changes: at a terminal it is
// rewritten in place, elsewhere it is printed anew every plainInterval. What else
// is written to it comes out above the status. It is safe for use by several
// goroutines.
type statusWriter struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	width    func() int
	now      func() time.Time
	shown    []string // the status that stands at the terminal's end
	printed  time.Time
}

func newStatusWriter(w io.Writer) *statusWriter {
	return &statusWriter{w: w, terminal: isTerminal(w), width: func() int { return terminalWidth(w) }, now: time.Now}
}

// show replaces the status by lines.
func (s *statusWriter) show(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal {
		var b bytes.Buffer
		s.erase(&b)
		s.shown = append(s.shown[:0], lines...)
		s.draw(&b)
		_, _ = s.w.Write(b.Bytes()) // nobody is left to be told
		return
	}
	now := s.now()
	if s.printed.IsZero() {
		// The first is not due at once: what ends soon needs no progress.
		s.printed = now
	}
	if now.Sub(s.printed) < plainInterval {
		return
	}
	s.printed = now
	for _, line := range lines {
		fmt.Fprintln(s.w, line)
	}
}

// clear removes the status.
func (s *statusWriter) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.erase(&b)
	s.shown = s.shown[:0]
	_, _ = s.w.Write(b.Bytes()) // as above
}

// Write implements io.Writer for what stays, such as log lines.
func (s *statusWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.shown) == 0 {
		return s.w.Write(p)
	}
	var b bytes.Buffer
	s.erase(&b)
	b.Write(p)
	if !bytes.HasSuffix(p, []byte("\n")) {
		b.WriteByte('\n')
	}
	s.draw(&b)
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// erase moves to the status's first line and clears from there:
// https://en.wikipedia.org/wiki/ANSI_escape_code#CSI_(Control_Sequence_Introducer)_sequences
func (s *statusWriter) erase(b *bytes.Buffer) {
	if n := len(s.shown); n > 0 {
		fmt.Fprintf(b, "\x1b[%dA\x1b[J", n)
	}
}

// draw writes the status, each line cut to one of the terminal.
func (s *statusWriter) draw(b *bytes.Buffer) {
	width := s.width()
	for _, line := range s.shown {
		if utf8.RuneCountInString(line) > width {
			line = string([]rune(line)[:max(0, width-1)]) + "…"
		}
		b.WriteString(line + "\n")
	}
}

const defaultWidth = 80
