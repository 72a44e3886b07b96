package parquetfile

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
)

// Compression names a codec for pages.
type Compression string

// The codecs.
const (
	None   Compression = "none"
	Snappy Compression = "snappy"
	Gzip   Compression = "gzip"
	Zstd   Compression = "zstd"
)

// codec compresses pages for one lane.
type codec interface {
	// compress appends the compressed src to dst.
	compress(dst, src []byte) ([]byte, error)
	parquet() compress.Compression
}

// newCodec makes a codec. Level 0 is the codec's own default: 1 for zstd, the
// fastest for gzip.
func newCodec(name Compression, level int) (codec, error) {
	switch name {
	case None:
		return plainCodec{}, nil
	case Snappy:
		return snappyCodec{}, nil
	case Gzip:
		if level == 0 {
			level = gzip.BestSpeed
		}
		w, err := gzip.NewWriterLevel(nil, level)
		if err != nil {
			return nil, fmt.Errorf("compression gzip: level %d is not between 1 and 9", level)
		}
		return &gzipCodec{w: w}, nil
	case Zstd:
		if level == 0 {
			level = 1
		}
		if level < 1 || level > 22 {
			return nil, fmt.Errorf("compression zstd: level %d is not between 1 and 22", level)
		}
		return newZstd(level)
	}
	return nil, fmt.Errorf("unknown compression %q", name)
}

type plainCodec struct{}

func (plainCodec) compress(dst, src []byte) ([]byte, error) { return append(dst, src...), nil }
func (plainCodec) parquet() compress.Compression            { return compress.Codecs.Uncompressed }

type snappyCodec struct{}

func (snappyCodec) compress(dst, src []byte) ([]byte, error) {
	most := s2.MaxEncodedLen(len(src))
	if most < 0 {
		return nil, fmt.Errorf("a page of %d bytes is too large for snappy", len(src))
	}
	at := len(dst)
	if cap(dst)-at < most {
		dst = append(make([]byte, 0, 2*(at+most)), dst...)
	}
	return dst[:at+len(s2.EncodeSnappy(dst[at:at+most], src))], nil
}

func (snappyCodec) parquet() compress.Compression { return compress.Codecs.Snappy }

type gzipCodec struct{ w *gzip.Writer }

func (c *gzipCodec) compress(dst, src []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	c.w.Reset(out)
	if _, err := c.w.Write(src); err != nil {
		return nil, err
	}
	if err := c.w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (*gzipCodec) parquet() compress.Compression { return compress.Codecs.Gzip }
