package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/leatdb/leat/connectors"
)

// The codecs of a batch's attributes (Kafka documentation, "Record Batch").
const (
	codecGzip   = 1
	codecSnappy = 2
	codecLz4    = 3
	codecZstd   = 4
)

// mostInflated bounds what a batch may be when it is decompressed, in bytes. Producers
// bound batches by megabytes.
const mostInflated = 1 << 30

var (
	errInflated = errors.New("the records decompress to more than is allowed")
	errFraming  = errors.New("the frames of snappy are malformed")
)

// decompressor decompresses the records of batches for one lane. Its memory is used
// again.
type decompressor struct {
	most int // bytes of a batch
	in   bytes.Reader
	gzip *gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// append appends the decompressed bytes of src. When it fails, dst is as it was.
func (d *decompressor) append(dst, src []byte, codec uint16) (out []byte, err error) {
	switch codec {
	case codecGzip:
		d.in.Reset(src)
		if d.gzip == nil {
			d.gzip, err = gzip.NewReader(&d.in)
		} else {
			err = d.gzip.Reset(&d.in)
		}
		if err != nil {
			return dst, err
		}
		return d.read(dst, d.gzip, expansion*len(src))
	case codecSnappy:
		return d.appendSnappy(dst, src)
	case codecLz4:
		d.in.Reset(src)
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(&d.in)
		} else {
			d.lz4.Reset(&d.in)
		}
		return d.read(dst, d.lz4, expansion*len(src))
	case codecZstd:
		if d.zstd == nil {
			d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(d.most)))
			if err != nil {
				return dst, fmt.Errorf("start zstd: %w", err)
			}
		}
		// What is in dst would count as decompressed.
		out, err = connectors.AppendBehind(dst, expansion*len(src), func(dst []byte) ([]byte, error) { return d.zstd.DecodeAll(src, dst) })
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			err = errInflated
		}
		return out, err
	}
	return dst, fmt.Errorf("unknown compression %d", codec)
}

// read appends what r has; guess is how much that may be.
func (d *decompressor) read(dst []byte, r io.Reader, guess int) ([]byte, error) {
	out, err := connectors.AppendAll(dst, r, guess, d.most)
	if errors.Is(err, connectors.ErrTooMuch) {
		err = errInflated
	}
	return out, err
}

// xerial begins what Java's producers write: a version and a compatible version of four
// bytes each, and then blocks with their lengths before them (snappy-java,
// SnappyOutputStream). Other producers write one block and nothing else.
var xerial = []byte("\x82SNAPPY\x00")

func (d *decompressor) appendSnappy(dst, src []byte) ([]byte, error) {
	if len(src) < 16 || !bytes.HasPrefix(src, xerial) {
		return d.appendBlock(dst, src, len(dst))
	}
	start, out := len(dst), dst
	for src = src[16:]; len(src) > 0; {
		if len(src) < 4 {
			return dst, errFraming
		}
		n := uint64(binary.BigEndian.Uint32(src))
		if src = src[4:]; n > uint64(len(src)) {
			return dst, errFraming
		}
		var err error
		if out, err = d.appendBlock(out, src[:n], start); err != nil {
			return dst, err
		}
		src = src[n:]
	}
	return out, nil
}

// appendBlock appends a block of a batch whose decompressed bytes begin at start.
func (d *decompressor) appendBlock(dst, block []byte, start int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return dst, err
	}
	if n > d.most-(len(dst)-start) {
		return dst, errInflated
	}
	out := connectors.Grow(dst, n)
	if _, err := s2.Decode(out[len(dst):], block); err != nil {
		return dst, err
	}
	return out, nil
}
