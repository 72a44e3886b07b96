package files_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
)

// FuzzLines compares what is handed out, stopping and resuming after each
// chunk, with a plain split of the content.
func FuzzLines(f *testing.F) {
	f.Add("1\n22\n333", uint16(10), uint8(0))
	f.Add("\xef\xbb\xbf1\n\n\r\n"+strings.Repeat("x", 5000)+"\ny", uint16(100), uint8(1))
	f.Add("", uint16(0), uint8(2))
	f.Fuzz(func(t *testing.T, content string, record uint16, kind uint8) {
		limit := int(record)%3000 + 1
		stored := content
		switch kind % 3 {
		case 1:
			stored = gz(content)
		case 2:
			stored = zst(content)
		default:
			if strings.HasPrefix(content, "\x1f\x8b") || strings.HasPrefix(content, "\x28\xb5\x2f\xfd") || strings.HasPrefix(content, "\x50\x2a\x4d\x18") {
				t.Skip("compressed by chance")
			}
		}
		var want []string
		if text := strings.TrimPrefix(content, "\xef\xbb\xbf"); text != "" {
			want = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		}
		cut := func(lines []string) []string {
			lines = slices.Clone(lines)
			for i, l := range lines {
				lines[i] = l[:min(len(l), limit+1)]
			}
			return lines
		}
		dir := t.TempDir()
		write(t, dir, "a", stored)
		var got []string
		var known connectors.Positions
		for {
			r := open(t, 1, known, "path", dir, "chunk_bytes", "1024", "max_record_bytes", strconv.Itoa(limit))
			err := r.poll(0)
			if err == nil && bytes.IndexByte(r.chunk.Data, '\n') < 0 && len(r.chunk.Data) > limit+1 && len(r.chunk.Data) > 1024 {
				t.Errorf("a line of %d bytes, limit %d", len(r.chunk.Data), limit)
			}
			got = append(got, r.lines["a"]...)
			known = r.src.Positions()
			r.close()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(cut(got), cut(want)) {
			t.Errorf("lines %q, want %q", cut(got), cut(want))
		}
	})
}

// FuzzPositions feeds positions that no source made: an error or a read, never
// a panic.
func FuzzPositions(f *testing.F) {
	f.Add(`{"v":1,"finished":1,"files":"AQIDBAUGBwgJCgs"}`, `{"offset":2,"check":"0011223344556677"}`)
	f.Add(`{"v":1,"finished":0,"files":""}`, `{"offset":9,"done":true,"size":4}`)
	f.Fuzz(func(t *testing.T, ledger, position string) {
		dir := t.TempDir()
		write(t, dir, "a", "1\n2\n")
		r := tryOpen(t, 1, "path", dir, "on_data_loss", "skip")
		defer r.close()
		if _, err := r.tryDiscover(false, connectors.Positions{"/finished": connectors.Position(ledger), "a": connectors.Position(position)}); err != nil {
			return
		}
		r.readAll()
		r.commit()
		if _, err := r.tryDiscover(false, r.src.Positions()); err != nil {
			t.Errorf("own positions are refused: %v", err)
		}
	})
}
