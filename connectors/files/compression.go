package files

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compression is how a file is compressed.
type compression string

const (
	uncompressed compression = "none"
	gzipped      compression = "gzip"
	zstandard    compression = "zstd"
	lz4Framed    compression = "lz4"
	snappyFramed compression = "snappy"
	bzipped      compression = "bzip2"
)

// compressions are the values of the option beside "auto".
var compressions = []string{
	string(uncompressed), string(gzipped), string(zstandard), string(lz4Framed), string(snappyFramed), string(bzipped),
}

var magics = []struct {
	compression compression
	magic       string
	suffixes    []string
}{
	{gzipped, "\x1f\x8b", []string{".gz", ".gzip"}},
	{zstandard, "\x28\xb5\x2f\xfd", []string{".zst", ".zstd"}},
	{zstandard, "\x50\x2a\x4d\x18", nil}, // a skippable frame, as parallel compressors write first
	{lz4Framed, "\x04\x22\x4d\x18", []string{".lz4"}},
	{lz4Framed, "\x02\x21\x4c\x18", nil}, // the frame of early versions
	{snappyFramed, "\xff\x06\x00\x00sNaPpY", []string{".sz", ".snappy"}},
	{snappyFramed, "\xff\x06\x00\x00S2sTwO", []string{".s2"}}, // S2, its extension
	{bzipped, "BZh", []string{".bz2", ".bzip2"}},
}

// longestMagic is the length of the longest of them; bzip2's is read further.
const longestMagic = 10

// detect finds out how a file is compressed: by its first bytes, and while
// there are too few of them by its name.
func detect(f io.ReaderAt, name string) (compression, error) {
	buf := make([]byte, longestMagic)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return uncompressed, err
	}
	head := string(buf[:n])
	for _, m := range magics {
		if strings.HasPrefix(head, m.magic) {
			if m.compression == bzipped && !isBzip2(head) {
				continue // "BZh" may begin a text
			}
			return m.compression, nil
		}
		if len(head) < len(m.magic) && strings.HasPrefix(m.magic, head) {
			for _, suffix := range m.suffixes {
				if strings.HasSuffix(strings.ToLower(name), suffix) {
					return m.compression, nil
				}
			}
		}
	}
	return uncompressed, nil
}

// isBzip2 looks at what follows the magic bytes: the block size, then the digits
// of π that begin a block or those of its square root that end the stream.
func isBzip2(head string) bool {
	return len(head) == longestMagic && head[3] >= '1' && head[3] <= '9' &&
		(head[4:10] == "\x31\x41\x59\x26\x53\x59" || head[4:10] == "\x17\x72\x45\x38\x50\x90")
}

// maxWindow bounds the memory that a zstd file can demand: what zstd --long
// takes by default.
const maxWindow = 128 << 20

// decompress opens a decompressing reader. Files of several members or frames
// read as one.
func decompress(c compression, r io.Reader) (io.ReadCloser, error) {
	switch c {
	case gzipped:
		return gzip.NewReader(r)
	case lz4Framed:
		return io.NopCloser(newLZ4Reader(r)), nil
	case snappyFramed:
		return io.NopCloser(s2.NewReader(r)), nil
	case bzipped:
		return io.NopCloser(bzip2.NewReader(r)), nil
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	return z.IOReadCloser(), nil
}

// lz4Reader reads several frames as one, which the library's reader does not.
type lz4Reader struct {
	in    *bufio.Reader
	frame *lz4.Reader
}

func newLZ4Reader(r io.Reader) *lz4Reader {
	in := bufio.NewReaderSize(r, 64<<10)
	return &lz4Reader{in: in, frame: lz4.NewReader(in)}
}

func (z *lz4Reader) Read(p []byte) (int, error) {
	for {
		n, err := z.frame.Read(p)
		if n > 0 || err == nil {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
		if _, err := z.in.Peek(1); err != nil {
			return 0, err
		}
		z.frame.Reset(z.in)
	}
}

// countingReader counts the compressed bytes that were taken, and keeps apart
// what is wrong with the file from what is wrong with its content.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
	sum bool
	crc uint32 // CRC-32C of what was taken, if sum is set
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.sum {
		c.crc = crc32.Update(c.crc, castagnoli, p[:n])
	}
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
