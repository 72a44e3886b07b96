package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
	"github.com/leatdb/leat/sql/sqlerror"
)

// reader drives a source as a stream does.
type reader struct {
	t     *testing.T
	cfg   connectors.SourceConfig
	src   connectors.Source
	lines map[string][]string // by split, in the order of their polls
	bases map[string][]int64
	chunk connectors.Chunk
	retry []error
	mu    sync.Mutex
}

func open(t *testing.T, lanes int, known connectors.Positions, options ...string) *reader {
	t.Helper()
	r := tryOpen(t, lanes, options...)
	r.discover(known == nil, known)
	return r
}

func tryOpen(t *testing.T, lanes int, options ...string) *reader {
	t.Helper()
	r := &reader{t: t, lines: map[string][]string{}, bases: map[string][]int64{}}
	r.cfg = connectors.SourceConfig{
		Name: "logs", Stream: "s", Options: files.Connector.Spec.MustOptions(options...), Lanes: lanes,
		Retrying: func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.retry = append(r.retry, err)
		},
		Now: time.Now,
	}
	src, err := files.Connector.Open(t.Context(), r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.src = src
	return r
}

func (r *reader) close() {
	r.t.Helper()
	if err := r.src.Close(); err != nil {
		r.t.Error(err)
	}
}

// discover lists and assigns.
func (r *reader) discover(first bool, known connectors.Positions) []string {
	r.t.Helper()
	ids, err := r.tryDiscover(first, known)
	if err != nil {
		r.t.Fatal(err)
	}
	return ids
}

func (r *reader) tryDiscover(first bool, known connectors.Positions) ([]string, error) {
	splits, err := r.src.Splits(r.t.Context(), first, known)
	if err != nil {
		return nil, err
	}
	all := connectors.Positions{}
	maps.Copy(all, known)
	var ids []string
	for _, s := range splits {
		if _, ok := all[s.ID]; !ok {
			all[s.ID] = s.Start
		}
		if s.ID != "/finished" {
			ids = append(ids, s.ID)
		}
	}
	return ids, r.src.Assign(r.t.Context(), all)
}

// poll takes one chunk.
func (r *reader) poll(lane int) error {
	r.t.Helper()
	err := r.src.Poll(r.t.Context(), lane, &r.chunk)
	if err == nil {
		r.take(&r.chunk)
	}
	return err
}

func (r *reader) take(c *connectors.Chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cap(c.Data) < len(c.Data)+connectors.Padding {
		r.t.Errorf("no padding behind %d bytes", len(c.Data))
	}
	for _, p := range parts(c) {
		r.bases[p.Split] = append(r.bases[p.Split], p.Base)
		text := strings.TrimSuffix(string(c.Data[p.Start:p.End]), "\n")
		r.lines[p.Split] = append(r.lines[p.Split], strings.Split(text, "\n")...)
	}
}

// parts are those of a chunk, also of one split.
func parts(c *connectors.Chunk) []connectors.Part {
	if len(c.Parts) > 0 {
		return c.Parts
	}
	return []connectors.Part{{Split: c.Split, End: int32(len(c.Data)), Base: c.Base}}
}

// readAll polls until the end.
func (r *reader) readAll() {
	r.t.Helper()
	for {
		err := r.poll(0)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// readIdle polls until there is nothing for a while. It runs in a bubble.
func (r *reader) readIdle() {
	r.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Second)
		err := r.src.Poll(ctx, 0, &r.chunk)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
		r.take(&r.chunk)
	}
}

func (r *reader) want(split string, lines ...string) {
	r.t.Helper()
	if got := r.lines[split]; !slices.Equal(got, lines) {
		r.t.Errorf("%s: lines %q, want %q", split, got, lines)
	}
}

func (r *reader) commit() connectors.Positions {
	p := r.src.Positions()
	one := r.src.(connectors.SplitPositioner)
	for id, at := range p {
		if got := one.Position(id); id != "/finished" && got != at {
			r.t.Errorf("%s: position %q, but %q of Positions", id, got, at)
		}
	}
	if got := one.Position("no such file"); got != "" {
		r.t.Errorf("position %q of no file", got)
	}
	r.src.(connectors.Acknowledger).Committed(p)
	return p
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return full
}

func appendTo(t *testing.T, name, content string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func gz(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

func zst(content string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte(content), nil))
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `{"id":%d}`+"\n", i)
	}
	return b.String()
}

func TestOnce_ReadsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.json", "1\n2\n")
	write(t, dir, "a.json", "3\n4")
	write(t, dir, "sub/c.json", "\xef\xbb\xbf5\n")
	write(t, dir, "empty.json", "")
	write(t, dir, "d.json.gz", gz("6\n7\n")+gz("8\n9"))
	write(t, dir, "misnamed.gz", "10\n")
	write(t, dir, "e.json", zst("11\n")+zst("12\n"))
	for _, hidden := range []string{".h.json", "_h.json", "h.json.tmp", ".d/x.json", "_temporary/x.json"} {
		write(t, dir, hidden, "no\n")
	}
	r := open(t, 1, nil, "path", dir)
	defer r.close()
	r.readAll()
	r.want("a.json", "3", "4")
	r.want("b.json", "1", "2")
	r.want("sub/c.json", "5")
	r.want("d.json.gz", "6", "7", "8", "9")
	r.want("misnamed.gz", "10")
	r.want("e.json", "11", "12")
	if len(r.lines) != 6 {
		t.Errorf("splits %v", slices.Sorted(maps.Keys(r.lines)))
	}
	if r.bases["sub/c.json"][0] != 3 {
		t.Errorf("base %d behind the byte order mark, want 3", r.bases["sub/c.json"][0])
	}
	p := r.src.Progress()
	if p.Splits != 6 || p.Finished != 6 || p.BytesRead != p.BytesTotal || p.BytesRead == 0 || p.Lag != -1 || p.Behind.IsZero() {
		t.Errorf("progress %+v", p)
	}
	if !r.src.Bounded() {
		t.Error("mode = 'once' is not bounded")
	}
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.json", "b.csv", "x/a.json", "x/y/a.json", "x/data/a.json", "data/data/a.json", "_d/a.json", ".e/a.json", "lit[1].json"} {
		write(t, dir, name, "1\n")
	}
	if err := os.Symlink(filepath.Join(dir, "a.json"), filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	f := func(path string, want ...string) {
		t.Helper()
		r := tryOpen(t, 1, "path", path)
		defer r.close()
		ids := r.discover(true, nil)
		if !slices.Equal(ids, want) {
			t.Errorf("%s: %q, want %q", path, ids, want)
		}
	}
	all := []string{"a.json", "b.csv", "data/data/a.json", "link.json", "lit[1].json", "x/a.json", "x/data/a.json", "x/y/a.json"}
	f(dir, all...)
	f("file://"+dir, all...)
	f(dir+"/", all...)
	f(dir+"/a.json", "a.json")
	f(dir+"/_d/a.json", "a.json")
	f(dir+"/lit[1].json", "lit[1].json")
	f(dir+"/*.json", "a.json", "link.json", "lit[1].json")
	f(dir+"/[ab].*", "a.json", "b.csv")
	f(dir+"/*/a.json", "x/a.json")
	f(dir+"/x/**", "a.json", "data/a.json", "y/a.json")
	f(dir+"/**/a.json", "a.json", "data/data/a.json", "x/a.json", "x/data/a.json", "x/y/a.json")
	f(dir+"/**/data/*.json", "data/data/a.json", "x/data/a.json")
	f(dir+"/**/data/**/a.json", "data/data/a.json", "x/data/a.json")
	f(dir+"/_*/a.json", "_d/a.json")
	f(dir + "/none*.json")

	r := tryOpen(t, 1, "path", dir, "recursive", "no")
	defer r.close()
	if ids := r.discover(true, nil); !slices.Equal(ids, []string{"a.json", "b.csv", "link.json", "lit[1].json"}) {
		t.Errorf("not recursive: %q", ids)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.json", "1\n")
	f := func(want string, options ...string) {
		t.Helper()
		cfg := connectors.SourceConfig{Name: "logs", Options: files.Connector.Spec.MustOptions(options...)}
		err := files.Connector.Check(t.Context(), cfg)
		switch {
		case want == "" && err != nil:
			t.Errorf("%v: %v", options, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || sqlerror.IsRetryable(err)):
			t.Errorf("%v: %v, want %q, not retryable", options, err, want)
		}
	}
	f("", "path", dir)
	f("", "path", dir+"/*.json")
	f("", "path", dir+"/*.csv", "mode", "tail")
	f("source logs: path "+dir+"/missing does not exist", "path", dir+"/missing")
	f("source logs: path "+dir+"/missing/*.json does not exist", "path", dir+"/missing/*.json")
	f("no file matches", "path", dir+"/*.csv")
	f("is no pattern", "path", dir+"/[a")
	f("not gs://", "path", "gs://bucket/x")
	f("path is empty", "path", "")
	f("neither a file nor a folder", "path", "/dev/null")
}

func TestChunks_NeverSplitALine(t *testing.T) {
	for name, pack := range map[string]func(string) string{
		"plain": func(s string) string { return s }, "gzip": gz, "zstd": zst,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			content := numbered(0, 5000)
			write(t, dir, "a.json", pack(content))
			r := open(t, 1, nil, "path", dir, "chunk_bytes", "1024")
			defer r.close()
			r.readAll()
			if got := strings.Join(r.lines["a.json"], "\n") + "\n"; got != content {
				t.Error("lines differ from the file's")
			}
			if n := len(r.bases["a.json"]); n < 50 {
				t.Errorf("%d chunks, want many", n)
			}
			if !slices.IsSorted(r.bases["a.json"]) {
				t.Error("chunks are out of order")
			}
		})
	}
}

func TestLongLines(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, pack := range map[string]func(string) string{"plain": func(s string) string { return s }, "gzip": gz} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a", pack("1\n"+long(5000)+"\n2\n"+long(100000)+"\n"+long(5001)+"\n3\n"+long(20000)))
			r := open(t, 1, nil, "path", dir, "chunk_bytes", "1024", "max_record_bytes", "5000")
			defer r.close()
			r.readAll()
			r.want("a", "1", long(5000), "2", long(5001), long(5001), "3", long(5001))
			if cap(r.chunk.Data) > 16<<10 {
				t.Errorf("chunk grew to %d bytes", cap(r.chunk.Data))
			}
			// Resuming at any chunk gives the same rest.
			for stop := range len(r.bases["a"]) {
				first := open(t, 1, nil, "path", dir, "chunk_bytes", "1024", "max_record_bytes", "5000")
				for range stop {
					if err := first.poll(0); err != nil {
						t.Fatal(err)
					}
				}
				second := open(t, 1, first.src.Positions(), "path", dir, "chunk_bytes", "1024", "max_record_bytes", "5000")
				second.readAll()
				if got := append(first.lines["a"], second.lines["a"]...); !slices.Equal(got, r.lines["a"]) {
					t.Errorf("stopped after %d chunks: %d lines, want %d", stop, len(got), len(r.lines["a"]))
				}
				first.close()
				second.close()
			}
		})
	}
}

func TestResume_ExactlyWhereItStopped(t *testing.T) {
	for name, pack := range map[string]func(string) string{
		"plain": func(s string) string { return s }, "gzip": gz, "zstd": zst,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a", pack(numbered(0, 500)))
			write(t, dir, "b", pack(numbered(500, 1000)))
			all := map[string][]string{}
			var known connectors.Positions
			for {
				r := open(t, 1, known, "path", dir, "chunk_bytes", "1024")
				err := r.poll(0)
				if err == nil {
					err = r.poll(0)
				}
				for id, lines := range r.lines {
					all[id] = append(all[id], lines...)
				}
				known = r.commit()
				r.close()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for id, content := range map[string]string{"a": numbered(0, 500), "b": numbered(500, 1000)} {
				if strings.Join(all[id], "\n")+"\n" != content {
					t.Errorf("%s: %d lines, some lost or repeated", id, len(all[id]))
				}
			}
			// A later run reads only what is new, also what was appended.
			appendTo(t, filepath.Join(dir, "b"), pack("more\n"))
			write(t, dir, "c", pack("new\n"))
			r := open(t, 1, known, "path", dir)
			defer r.close()
			r.readAll()
			if len(r.lines) != 2 {
				t.Errorf("read %v again", slices.Sorted(maps.Keys(r.lines)))
			}
			r.want("b", "more")
			r.want("c", "new")
		})
	}
}

func TestLedger_KeepsPositionsCompact(t *testing.T) {
	dir := t.TempDir()
	const n = 1000
	for i := range n {
		write(t, dir, fmt.Sprintf("%04d.json", i), numbered(i, i+1))
	}
	r := open(t, 1, nil, "path", dir)
	r.readAll()
	if got := len(r.src.Positions()); got != n+1 {
		t.Errorf("%d positions before the commit, want %d", got, n+1)
	}
	r.commit()
	positions := r.src.Positions()
	if len(positions) != 1 {
		t.Errorf("%d positions after the commit, want the ledger alone", len(positions))
	}
	if size := len(positions["/finished"]); size > 30*n {
		t.Errorf("ledger of %d bytes, want no more than 30 a file", size)
	}
	if p := r.src.Progress(); p.Splits != n || p.Finished != n {
		t.Errorf("progress %+v", p)
	}
	if !r.src.Reached("0007.json", "", connectors.Position(`{"offset":9}`)) {
		t.Error("a file of the ledger is not reached")
	}
	r.close()

	again := open(t, 1, positions, "path", dir)
	defer again.close()
	again.readAll()
	if len(again.lines) != 0 {
		t.Errorf("%d files read again", len(again.lines))
	}
}

func TestLedger_ForgetsWhatVanished(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		write(t, dir, fmt.Sprint(i), fmt.Sprintln(i))
	}
	now := time.Now()
	run := func(known connectors.Positions) (*reader, connectors.Positions) {
		r := tryOpen(t, 1, "path", dir, "forget_after", "1h")
		r.close()
		r.cfg.Now = func() time.Time { return now }
		src, err := files.Connector.Open(t.Context(), r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.src = src
		r.discover(known == nil, known)
		r.readAll()
		r.commit()
		r.discover(false, r.src.Positions())
		defer r.close()
		return r, r.src.Positions()
	}
	_, known := run(nil)
	for i := range 8 {
		if err := os.Remove(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	_, known = run(known)
	if !strings.Contains(string(known["/finished"]), `"finished":10`) {
		t.Errorf("forgot at once: %s", known["/finished"])
	}
	write(t, dir, "0", "0\n") // came back, as from an outage of the disk
	now = now.Add(2 * time.Hour)
	r, known := run(known)
	if !strings.Contains(string(known["/finished"]), `"finished":3`) {
		t.Errorf("kept what is long gone: %s", known["/finished"])
	}
	if len(r.lines) != 0 {
		t.Errorf("read again: %v", r.lines)
	}
}

func TestReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", numbered(0, 300))
	first := open(t, 1, nil, "path", dir, "chunk_bytes", "1024")
	if err := first.poll(0); err != nil {
		t.Fatal(err)
	}
	half := first.src.Positions()
	first.close()

	t.Run("SameContentAgain", func(t *testing.T) {
		write(t, dir, "a", numbered(0, 300))
		r := open(t, 1, half, "path", dir)
		defer r.close()
		r.readAll()
		if got := len(first.lines["a"]) + len(r.lines["a"]); got != 300 {
			t.Errorf("%d lines, want 300", got)
		}
	})
	write(t, dir, "a", numbered(1000, 1300))
	t.Run("Fail", func(t *testing.T) {
		r := tryOpen(t, 1, "path", dir)
		defer r.close()
		_, err := r.tryDiscover(false, half)
		var loss *connectors.DataLossError
		if !errors.As(err, &loss) || loss.Loss.Split != "a" || sqlerror.IsRetryable(err) || !sqlerror.HasCode(err, sqlerror.CodeDataLoss) {
			t.Errorf("err=%v", err)
		}
	})
	t.Run("Skip", func(t *testing.T) {
		r := open(t, 1, half, "path", dir, "on_data_loss", "skip")
		defer r.close()
		r.readAll()
		if len(r.lines["a"]) != 300 {
			t.Errorf("%d lines of the new file, want 300", len(r.lines["a"]))
		}
		lost := r.src.(connectors.DataLossRecorder).TakeDataLoss()
		if len(lost) != 1 || lost[0].Split != "a" || lost[0].Records != -1 {
			t.Errorf("lost %+v", lost)
		}
	})
	t.Run("Vanished", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
		r := tryOpen(t, 1, "path", dir)
		defer r.close()
		if _, err := r.tryDiscover(false, half); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) {
			t.Errorf("err=%v", err)
		}
		s := open(t, 1, half, "path", dir, "on_data_loss", "skip")
		defer s.close()
		s.readAll()
		if lost := s.src.(connectors.DataLossRecorder).TakeDataLoss(); len(lost) != 1 {
			t.Errorf("lost %+v", lost)
		}
		if !s.src.Reached("a", s.src.Positions()["a"], `{"offset":99999}`) {
			t.Error("a flush waits for a file that has vanished")
		}
	})
}

func TestReplaced_AfterItWasRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", numbered(0, 10))
	r := open(t, 1, nil, "path", dir)
	r.readAll()
	uncommitted := r.src.Positions()
	r.commit()
	folded := r.src.Positions()
	r.close()
	write(t, dir, "a", numbered(10, 30))
	for name, known := range map[string]connectors.Positions{"Uncommitted": uncommitted, "Folded": folded} {
		t.Run(name, func(t *testing.T) {
			r := open(t, 1, known, "path", dir)
			defer r.close()
			r.readAll()
			if len(r.lines["a"]) != 20 {
				t.Errorf("%d lines of the new file, want 20", len(r.lines["a"]))
			}
		})
	}
}

func TestDamaged(t *testing.T) {
	content := numbered(0, 20000)
	packed := gz(content)
	f := func(name, content, want string, least int) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a.gz", content)
			write(t, dir, "b", "next\n")
			r := open(t, 1, nil, "path", dir, "chunk_bytes", "4096")
			defer r.close()
			var err error
			for err == nil {
				err = r.poll(0)
			}
			if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "file a.gz") || sqlerror.IsRetryable(err) {
				t.Errorf("err=%v, want %q", err, want)
			}
			if len(r.lines["a.gz"]) < least {
				t.Errorf("%d lines before the damage, want at least %d", len(r.lines["a.gz"]), least)
			}
			s := open(t, 1, nil, "path", dir, "on_data_loss", "skip")
			defer s.close()
			s.readAll()
			s.want("b", "next")
			lost := s.src.(connectors.DataLossRecorder).TakeDataLoss()
			if len(lost) != 1 || !strings.Contains(lost[0].Reason, want) {
				t.Errorf("lost %+v", lost)
			}
			s.commit()
			if p := s.src.Positions(); len(p) != 1 {
				t.Errorf("positions %v, want the ledger alone", p)
			}
		})
	}
	f("Truncated", packed[:len(packed)/2], fmt.Sprintf("middle of its compressed stream (gzip, byte %d of the file", len(packed)/2), 5000)
	f("TruncatedHeader", packed[:5], "middle of its compressed stream", 0)
	f("TruncatedSecondMember", packed+packed[:200], "middle of its compressed stream", 20000)
	f("Corrupt", packed[:len(packed)-8]+"\x00\x00\x00\x00"+packed[len(packed)-4:], "the file is damaged: gzip", 19000)
	f("TruncatedZstd", zst(content)[:2000], "middle of its compressed stream (zstd", 0)
	f("UTF16LittleEndian", "\xff\xfe1\x00\n\x00", "text in UTF-16, and only UTF-8 is read", 0)
	f("UTF16BigEndian", "\xfe\xff\x001\x00\n", "text in UTF-16", 0)
	f("UTF16Compressed", gz("\xff\xfe1\x00\n\x00"), "text in UTF-16", 0)
}

func TestLanes_ShareOneFileAndSplitMany(t *testing.T) {
	for name, n := range map[string]int{"OneFile": 1, "ManyFiles": 20} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var want []string
			for i := range n {
				content := numbered(i*100000, i*100000+20000/n)
				write(t, dir, fmt.Sprintf("%02d", i), content)
				want = append(want, strings.Split(strings.TrimSuffix(content, "\n"), "\n")...)
			}
			const lanes = 4
			r := open(t, lanes, nil, "path", dir, "chunk_bytes", "1024")
			defer r.close()
			var wg sync.WaitGroup
			for lane := range lanes {
				wg.Go(func() {
					var c connectors.Chunk
					for {
						err := r.src.Poll(t.Context(), lane, &c)
						if errors.Is(err, io.EOF) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
						r.take(&c)
						r.src.Positions()
						r.src.Progress()
					}
				})
			}
			wg.Wait()
			var got []string
			for _, lines := range r.lines {
				got = append(got, lines...)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%d lines, want %d, each once", len(got), len(want))
			}
		})
	}
}

func TestPoll_ContextEndsWithNothingConsumed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1\n")
	r := open(t, 1, nil, "path", dir)
	defer r.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.src.Poll(ctx, 0, &r.chunk); !errors.Is(err, context.Canceled) {
		t.Errorf("err=%v", err)
	}
	if p := r.src.Positions(); len(p["a"]) != 0 {
		t.Errorf("positions %v", p)
	}
	r.readAll()
	r.want("a", "1")
}

func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := write(t, dir, "a.log", "1\n2\nunfin")
		r := open(t, 1, nil, "path", dir, "mode", "tail")
		defer r.close()
		if r.src.Bounded() {
			t.Error("tail is bounded")
		}
		r.readIdle()
		r.want("a.log", "1", "2")

		ends, err := r.src.Ends(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for id, end := range ends {
			if !r.src.Reached(id, r.src.Positions()[id], end) {
				t.Errorf("a flush waits for the unfinished line: %s", end)
			}
		}

		appendTo(t, a, "ished\n3\n")
		r.readIdle()
		r.want("a.log", "1", "2", "unfinished", "3")

		write(t, dir, "b.log.gz", gz("4\n5"))
		if ids := r.discover(false, r.commit()); !slices.Equal(ids, []string{"b.log.gz"}) {
			t.Errorf("discovered %q", ids)
		}
		r.readIdle()
		r.want("b.log.gz", "4", "5")

		// What is committed and idle leaves the positions, and comes back when it
		// grows.
		time.Sleep(2 * time.Minute)
		r.commit()
		if p := r.src.Positions(); len(p) != 1 {
			t.Errorf("positions %v", p)
		}
		appendTo(t, a, "6\n")
		if ids := r.discover(false, r.src.Positions()); !slices.Equal(ids, []string{"a.log"}) {
			t.Errorf("discovered %q", ids)
		}
		r.readIdle()
		r.want("a.log", "1", "2", "unfinished", "3", "6")

		// Rotation: the name holds another file.
		if err := os.Rename(a, filepath.Join(dir, ".old")); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "a.log", "7\n")
		r.readIdle()
		r.want("a.log", "1", "2", "unfinished", "3", "6", "7")

		if err := os.Remove(a); err != nil {
			t.Fatal(err)
		}
		r.readIdle()
		known := r.commit()
		if len(r.src.Positions()) != 1 {
			t.Errorf("a file that is gone stays a split: %v", known)
		}
	})
}

func TestTail_Flush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "a", "1\n2\n3")
		write(t, dir, "b.gz", gz("4\n"))
		r := open(t, 1, nil, "path", dir, "mode", "tail")
		defer r.close()
		write(t, dir, "c", "5\n") // not assigned yet
		ends, err := r.src.Ends(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ids := slices.Sorted(maps.Keys(ends)); !slices.Equal(ids, []string{"a", "b.gz", "c"}) {
			t.Fatalf("ends of %q", ids)
		}
		reached := func() (n int) {
			p := r.src.Positions()
			for id, end := range ends {
				if r.src.Reached(id, p[id], end) {
					n++
				}
			}
			return n
		}
		if n := reached(); n != 0 {
			t.Errorf("%d reached before anything was read", n)
		}
		r.readIdle()
		if n := reached(); n != 2 {
			t.Errorf("%d reached, want 2", n)
		}
		r.discover(false, r.src.Positions())
		r.readIdle()
		if n := reached(); n != 3 {
			t.Errorf("%d reached, want 3", n)
		}
		r.commit()
		if n := reached(); n != 3 {
			t.Errorf("%d reached after the commit, want 3", n)
		}
	})
}

func TestTail_TruncatedGzipWaitsForItsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		packed := gz(numbered(0, 3000))
		a := write(t, dir, "a.gz", packed[:len(packed)/2])
		r := open(t, 1, nil, "path", dir, "mode", "tail", "chunk_bytes", "4096")
		defer r.close()
		r.readIdle()
		if len(r.retry) != 1 || !strings.Contains(r.retry[0].Error(), "file a.gz") {
			t.Errorf("told %v", r.retry)
		}
		appendTo(t, a, packed[len(packed)/2:])
		r.readIdle()
		if got := strings.Join(r.lines["a.gz"], "\n") + "\n"; got != numbered(0, 3000) {
			t.Errorf("%d lines, want 3000, each once", len(r.lines["a.gz"]))
		}
		if len(r.retry) != 2 || r.retry[1] != nil {
			t.Errorf("told %v, want the recovery", r.retry)
		}
	})
}

func TestTail_LastLineTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := write(t, dir, "a", "1\n2")
		r := open(t, 1, nil, "path", dir, "mode", "tail", "last_line_timeout", "10s")
		defer r.close()
		r.readIdle()
		r.want("a", "1")
		time.Sleep(10 * time.Second)
		r.readIdle()
		r.want("a", "1", "2")
		appendTo(t, a, "\n3\n")
		r.readIdle()
		r.want("a", "1", "2", "", "3")
	})
}

func TestTail_Truncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "a", "1\n2\n3\n")
		r := open(t, 1, nil, "path", dir, "mode", "tail")
		defer r.close()
		r.readIdle()
		write(t, dir, "a", "") // copytruncate
		r.readIdle()
		write(t, dir, "a", "4\n")
		r.readIdle()
		r.want("a", "1", "2", "3", "4")
	})
}

func TestDocument_FileIsOnePayload(t *testing.T) {
	dir := t.TempDir()
	doc := "{\n \"a\": 1\n}\n"
	write(t, dir, "a.json", doc)
	write(t, dir, "large.json", strings.Repeat("x", 5000))
	r := open(t, 1, nil, "path", dir, "framing", "document", "max_record_bytes", "1000", "chunk_bytes", "1024")
	defer r.close()
	for {
		err := r.src.Poll(t.Context(), 0, &r.chunk)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		r.lines[r.chunk.Split] = append(r.lines[r.chunk.Split], string(r.chunk.Data))
		if len(r.chunk.Records) != 1 || int(r.chunk.Records[0].End) != len(r.chunk.Data) {
			t.Errorf("records %v", r.chunk.Records)
		}
	}
	r.want("a.json", doc)
	r.want("large.json", strings.Repeat("x", 1001))
}

func TestTail_DocumentWaitsUntilItIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := write(t, dir, "a.json", "{\n")
		r := open(t, 1, nil, "path", dir, "mode", "tail", "framing", "document", "tail_interval", "1s")
		defer r.close()
		for range 5 {
			time.Sleep(700 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
			if err := r.src.Poll(ctx, 0, &r.chunk); err == nil {
				t.Fatalf("read an unfinished document: %q", r.chunk.Data)
			}
			cancel()
			appendTo(t, a, "\n")
		}
		appendTo(t, a, "}")
		if err := r.src.Poll(t.Context(), 0, &r.chunk); err != nil {
			t.Fatal(err)
		}
		if got := string(r.chunk.Data); got != "{\n\n\n\n\n\n}" {
			t.Errorf("document %q", got)
		}
	})
}

func TestHiddenColumns(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)
	if err := os.Chtimes(write(t, dir, "x/a", "1\n"), at, at); err != nil {
		t.Fatal(err)
	}
	r := tryOpen(t, 1, "path", dir)
	r.close()
	r.cfg.Hidden = []string{"_modified", "_file"}
	src, err := files.Connector.Open(t.Context(), r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.src = src
	defer r.close()
	r.discover(true, nil)
	if err := r.poll(0); err != nil {
		t.Fatal(err)
	}
	h := r.chunk.Hidden
	if len(h) != 2 || len(h[0].Ints) != 1 || h[0].Ints[0] != at.UnixMicro() || len(h[1].Bytes) != 1 || string(h[1].Bytes[0]) != "x/a" {
		t.Errorf("hidden %+v", h)
	}
}

func TestInvalidUTF8Name(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a\xff\xfeb", "1\n")
	r := open(t, 1, nil, "path", dir)
	defer r.close()
	r.readAll()
	r.want("a%FF%FEb", "1")
}

func TestDamagedPositions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1\n")
	for _, known := range []connectors.Positions{
		{"/finished": "x"}, {"/finished": `{"v":3}`}, {"/finished": `{"v":1,"finished":1,"files":""}`},
		{"/finished": `{"v":1,"finished":1,"files":"/////////////w"}`}, {"/finished": `{"v":1,"finished":1,"files":"AQ"}`},
		{"a": "x"}, {"a": `{"offset":-1}`},
	} {
		r := tryOpen(t, 1, "path", dir)
		if _, err := r.tryDiscover(false, known); err == nil {
			t.Errorf("%v: no error", known)
		}
		r.close()
	}
}

func BenchmarkPoll(b *testing.B) {
	dir := b.TempDir()
	line := strings.Repeat("x", 499) + "\n"
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, []byte(strings.Repeat(line, 256<<20/500)), 0o666); err != nil {
		b.Fatal(err)
	}
	cfg := connectors.SourceConfig{Options: files.Connector.Spec.MustOptions("path", name)}
	b.SetBytes(256 << 20 / 500 * 500)
	var c connectors.Chunk
	for b.Loop() {
		src, err := files.Connector.Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := src.Splits(b.Context(), true, nil); err != nil {
			b.Fatal(err)
		}
		if err := src.Assign(b.Context(), connectors.Positions{"a": ""}); err != nil {
			b.Fatal(err)
		}
		for {
			if err := src.Poll(b.Context(), 0, &c); err != nil {
				break
			}
		}
		if err := src.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplits10000(b *testing.B) {
	dir := b.TempDir()
	for i := range 10000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("1\n"), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	cfg := connectors.SourceConfig{Options: files.Connector.Spec.MustOptions("path", dir)}
	for b.Loop() {
		src, err := files.Connector.Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		splits, err := src.Splits(b.Context(), true, nil)
		if err != nil {
			b.Fatal(err)
		}
		positions := connectors.Positions{}
		for _, s := range splits {
			positions[s.ID] = s.Start
		}
		if err := src.Assign(b.Context(), positions); err != nil {
			b.Fatal(err)
		}
		if err := src.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
