//go:build !cgo || purego

package parquetfile

import (
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// zstdCodec is the Go implementation, for builds without a C compiler or with
// the tag purego.
type zstdCodec struct{ encoder *zstd.Encoder }

func newZstd(level int) (codec, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return zstdCodec{encoder}, nil
}

func (c zstdCodec) compress(dst, src []byte) ([]byte, error) {
	return c.encoder.EncodeAll(src, dst), nil
}

func (zstdCodec) parquet() compress.Compression { return compress.Codecs.Zstd }
