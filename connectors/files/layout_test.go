package files_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/pierrec/lz4/v4"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
	_ "github.com/leatdb/leat/connectors/format/csv"
	"github.com/leatdb/leat/sql/sqlerror"
)

func lz4Frame(content string) string {
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

func snappyFrame(content string) string {
	var b bytes.Buffer
	w := snappy.NewBufferedWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

func s2Frame(content string) string {
	var b bytes.Buffer
	w := s2.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

const bzip2Base64 = "QlpoOTFBWSZTWUuVC7sAAAFIAAAQMAAgADDMDHqCcXckU4UJBLlQu7A="

// bzip2Text is "1\n2\n", which Go cannot compress.
func bzip2Text(t *testing.T) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(bzip2Base64)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCompressions(t *testing.T) {
	dir := t.TempDir()
	bz := bzip2Text(t)
	write(t, dir, "a.lz4", lz4Frame("1\n2\n")+lz4Frame("3\n"))
	write(t, dir, "b.gz", snappyFrame("1\n2\n")+snappyFrame("3\n"))
	write(t, dir, "c", s2Frame("1\n2\n")+s2Frame("3\n"))
	write(t, dir, "d.txt", bz+bz)
	write(t, dir, "e.bz2", "BZh1 is how this text begins\n")
	write(t, dir, "f.csv", lz4Frame(strings.Repeat("1\n", 100000)))
	r := open(t, 1, nil, "path", dir)
	defer r.close()
	r.readAll()
	for _, name := range []string{"a.lz4", "b.gz", "c"} {
		r.want(name, "1", "2", "3")
	}
	r.want("d.txt", "1", "2", "1", "2")
	r.want("e.bz2", "BZh1 is how this text begins")
	if n := len(r.lines["f.csv"]); n != 100000 {
		t.Errorf("f.csv: %d lines", n)
	}

	for name, content := range map[string]string{
		"lz4": lz4Frame(numbered(0, 5000)), "snappy": snappyFrame(numbered(0, 50000)), "bzip2": bz, "none": "1\n2\n",
	} {
		dir := t.TempDir()
		write(t, dir, "a", content)
		r := open(t, 1, nil, "path", dir, "compression", name)
		r.readAll()
		r.close()
		if name == "none" {
			continue
		}
		write(t, dir, "a", content[:len(content)-5])
		r = open(t, 1, nil, "path", dir)
		var err error
		for err == nil {
			err = r.poll(0)
		}
		r.close()
		if errors.Is(err, io.EOF) || sqlerror.IsRetryable(err) {
			t.Errorf("truncated %s: %v", name, err)
		}
	}
}

// openCSV opens a source of CSV files.
func openCSV(t *testing.T, known connectors.Positions, options ...string) *reader {
	t.Helper()
	r := &reader{t: t, lines: map[string][]string{}, bases: map[string][]int64{}}
	format, err := connectors.LookupFormat("csv")
	if err != nil {
		t.Fatal(err)
	}
	r.cfg = connectors.SourceConfig{
		Name: "logs", Stream: "s", Lanes: 1, Retrying: func(error) {},
		Options: files.Connector.Spec.With(format.Spec).MustOptions(append([]string{"format", "csv"}, options...)...),
	}
	if r.src, err = files.Connector.Open(t.Context(), r.cfg); err != nil {
		t.Fatal(err)
	}
	r.discover(known == nil, known)
	return r
}

func TestLayout_CutsBetweenRecords(t *testing.T) {
	row := func(n int) string {
		return strings.Repeat("x", n%97) + ",\"a\n" + strings.Repeat("b,\n", n%31) + "\"\"\",c\n"
	}
	var content strings.Builder
	content.WriteString("\xef\xbb\xbf# made by hand\none,\"t\nwo\",three\n")
	header := content.Len()
	for i := range 500 {
		content.WriteString(row(i))
	}
	for name, pack := range map[string]func(string) string{"plain": strings.Clone, "gzip": gz, "lz4": lz4Frame} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a", pack(content.String()))
			var got strings.Builder
			var known connectors.Positions
			chunks := 0
			for {
				// Each chunk is read by a source of its own.
				r := openCSV(t, known, "path", dir, "chunk_bytes", "1024", "comment", "#")
				err := r.poll(0)
				known = r.src.Positions()
				if err == nil {
					chunks++
					if want := content.String()[3:header]; string(r.chunk.Header) != want {
						t.Fatalf("header %q, want %q", r.chunk.Header, want)
					}
					if int(r.chunk.Base) != header+got.Len() {
						t.Fatalf("base %d, want %d", r.chunk.Base, header+got.Len())
					}
					got.Write(r.chunk.Data)
					if !strings.HasSuffix(got.String(), "\"\"\",c\n") {
						t.Fatalf("a chunk ends within a row: %q", r.chunk.Data)
					}
				}
				r.close()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got.String() != content.String()[header:] || chunks < 20 {
				t.Errorf("%d bytes in %d chunks, want %d", got.Len(), chunks, content.Len()-header)
			}
		})
	}
}

func TestLayout_QuoteNeverClosed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "h\n1\n\"2\n"+strings.Repeat("3,\n", 3000)+"\"\"\n4\n")
	r := openCSV(t, nil, "path", dir, "chunk_bytes", "1024", "max_record_bytes", "2000")
	defer r.close()
	r.readAll()
	lines := r.lines["a"]
	if len(lines) != 3004 || !slices.Equal(lines[:3], []string{"1", "\"2", "3,"}) || lines[3003] != "4" {
		t.Errorf("%d lines: %q", len(lines), lines[:min(5, len(lines))])
	}
}

func TestLayout_TailWaitsForHeaderAndRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		name := filepath.Join(dir, "a")
		write(t, dir, "a", "one,")
		r := openCSV(t, nil, "path", dir, "mode", "tail")
		defer r.close()
		r.readIdle()
		r.want("a")
		appendTo(t, name, "two\n1,2\n3,\"4\n")
		ends, err := r.src.Ends(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.readIdle()
		r.want("a", "1,2")
		if p := r.src.Positions(); !r.src.Reached("a", p["a"], ends["a"]) {
			t.Errorf("end %s is not reached at %s though only a part of a record is left", ends["a"], p["a"])
		}
		appendTo(t, name, "5\"\n")
		r.readIdle()
		r.want("a", "1,2", "3,\"4", "5\"")
	})
}
