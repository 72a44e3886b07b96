package kinesis

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/leatdb/leat/connectors"
)

var (
	gzipMagic = []byte{0x1f, 0x8b, 0x08}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// decompressor inflates payloads that are compressed; its memory is reused.
type decompressor struct {
	limit int // of one payload, inflated
	in    bytes.Reader
	gzip  *gzip.Reader
	zstd  *zstd.Decoder
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// isCompressed looks at the first bytes.
func isCompressed(payload []byte) bool {
	return bytes.HasPrefix(payload, gzipMagic) || bytes.HasPrefix(payload, zstdMagic)
}

var errInflated = errors.New("the payload inflates to more than is allowed")

// inflate appends the content of a compressed payload to dst, up to room bytes
// and the limit of one payload. When it fails, dst is as it was.
func (d *decompressor) inflate(dst, payload []byte, room int) ([]byte, error) {
	d.in.Reset(payload)
	var r io.Reader
	var err error
	if bytes.HasPrefix(payload, gzipMagic) {
		if d.gzip == nil {
			d.gzip, err = gzip.NewReader(&d.in)
		} else {
			err = d.gzip.Reset(&d.in)
		}
		r = d.gzip
	} else {
		if d.zstd == nil {
			// A window larger than the payload may be makes no sense.
			window := uint64(max(d.limit, 1<<20))
			d.zstd, err = zstd.NewReader(&d.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
		} else {
			err = d.zstd.Reset(&d.in)
		}
		r = d.zstd
	}
	if err != nil {
		return dst, err
	}
	out, err := connectors.AppendAll(dst, r, 4*len(payload), min(room, d.limit))
	if errors.Is(err, connectors.ErrTooMuch) {
		err = errInflated
	}
	return out, err
}
