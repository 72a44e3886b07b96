package files

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compression is how a file is compressed.
type compression string

const (
	uncompressed compression = "none"
	gzipped      compression = "gzip"
	zstandard    compression = "zstd"
)

var magics = []struct {
	compression compression
	magic       []byte
	suffixes    []string
}{
	{gzipped, []byte{0x1f, 0x8b}, []string{".gz", ".gzip"}},
	{zstandard, []byte{0x28, 0xb5, 0x2f, 0xfd}, []string{".zst", ".zstd"}},
	{zstandard, []byte{0x50, 0x2a, 0x4d, 0x18}, nil}, // a skippable frame, as parallel compressors write first
}

// detect finds out how a file is compressed: by its first bytes, and while
// there are too few of them by its name.
func detect(f *os.File, name string) (compression, error) {
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return uncompressed, err
	}
	head = head[:n]
	for _, m := range magics {
		if bytes.HasPrefix(head, m.magic) {
			return m.compression, nil
		}
		if len(head) < len(m.magic) && bytes.HasPrefix(m.magic, head) {
			for _, suffix := range m.suffixes {
				if strings.HasSuffix(strings.ToLower(name), suffix) {
					return m.compression, nil
				}
			}
		}
	}
	return uncompressed, nil
}

// maxWindow bounds the memory that a zstd file can demand: what zstd --long
// takes by default.
const maxWindow = 128 << 20

// decompress opens a decompressing reader. Files of several members or frames
// read as one.
func decompress(c compression, r io.Reader) (io.ReadCloser, error) {
	if c == gzipped {
		return gzip.NewReader(r)
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	return z.IOReadCloser(), nil
}

// countingReader counts the compressed bytes that were taken, and keeps apart
// what is wrong with the file from what is wrong with its content.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
