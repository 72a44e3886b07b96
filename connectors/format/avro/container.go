package avro

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Object container files: a header (magic, a map with the schema and the codec,
// a sync marker), then blocks of records: their number, the length of their
// bytes, the bytes as the codec compresses them, the sync marker.

const (
	magic     = "Obj\x01"
	syncBytes = 16
	// maxHeader bounds the header of a file, whose schema it holds.
	maxHeader = 16 << 20
)

// header is what precedes the blocks of a file.
type header struct {
	schema string
	codec  string
	sync   [syncBytes]byte
}

var (
	errMagic  = errors.New("the file is no Avro object container file: it does not begin with \"Obj\" and the byte 1")
	errHeader = errors.New("the header of the Avro file is damaged")
)

// parseHeader reads the header at the beginning of data; n is 0 when there is
// not enough of it.
func parseHeader(data []byte) (h header, n int, err error) {
	if len(data) < len(magic) {
		if string(data) != magic[:len(data)] {
			return h, 0, errMagic
		}
		return h, 0, nil
	}
	if string(data[:len(magic)]) != magic {
		return h, 0, errMagic
	}
	w := walker{data: data, pos: len(magic)}
	for {
		items := w.block()
		if items == 0 {
			break
		}
		for ; items > 0 && w.err == nil; items-- {
			key := w.bytes()
			value := w.bytes()
			switch string(key) {
			case "avro.schema":
				h.schema = string(value)
			case "avro.codec":
				h.codec = string(value)
			}
		}
	}
	copy(h.sync[:], w.take(syncBytes))
	switch {
	case errors.Is(w.err, errEnds):
		return h, 0, nil
	case w.err != nil:
		return h, 0, fmt.Errorf("%w: %w", errHeader, w.err)
	case h.schema == "":
		return h, 0, fmt.Errorf("%w: it has no schema", errHeader)
	}
	return h, w.pos, nil
}

// layout is where the blocks of a file begin and end.
type layout struct{}

// newLayout refuses options that files do not need.
func newLayout(o connectors.Options) (layout, error) {
	for _, name := range []string{"schema", "schema_file", "schema_registry"} {
		if o.Has(name) {
			return layout{}, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is for messages: Avro files carry their schema", name)
		}
	}
	return layout{}, nil
}

// Header implements connectors.Layout.
func (layout) Header(data []byte, end bool) (n int, more bool, err error) {
	h, n, err := parseHeader(data)
	switch {
	case err != nil:
		return 0, false, err
	case n == 0 && (end || len(data) > maxHeader):
		return 0, false, errHeader
	case n == 0:
		return 0, true, nil
	}
	if _, err := parse(h.schema, nil); err != nil {
		return 0, false, err
	}
	if !knownCodec(h.codec) {
		return 0, false, fmt.Errorf("the Avro file is compressed by the codec %q; known are null, deflate, snappy, zstandard and bzip2", h.codec)
	}
	return n, false, nil
}

// Records counts whole blocks. Where a block is damaged, they go on behind the
// next sync marker.
func (layout) Records(head, data []byte) int {
	sync := head[len(head)-syncBytes:]
	whole := 0
	for whole < len(data) {
		b := splitBlock(data[whole:], sync)
		if b.length == 0 {
			break
		}
		whole += b.length
	}
	return whole
}

// Lines implements connectors.Layout.
func (layout) Lines() bool { return false }

// block is one of a file.
type block struct {
	length int // with everything; 0 when it goes on behind the data
	count  int64
	data   []byte // as it is compressed
	broken bool   // up to and with the sync marker at which the next block begins
}

// splitBlock finds the block at the beginning of data.
func splitBlock(data, sync []byte) (b block) {
	w := walker{data: data}
	b.count = w.long()
	size := w.long()
	switch {
	case errors.Is(w.err, errEnds):
		return block{}
	case w.err != nil || b.count < 0 || size < 0:
	case size > int64(len(data)-w.pos)-syncBytes:
		// Either it goes on, or its length is damaged: a sync marker before its end
		// would have to be chance.
		if !bytes.Contains(data, sync) {
			return block{}
		}
	default:
		b.data = w.take(size)
		if bytes.Equal(w.take(syncBytes), sync) {
			b.length = w.pos
			return b
		}
	}
	if n := bytes.Index(data, sync); n >= 0 {
		return block{length: n + syncBytes, data: data[:n], broken: true}
	}
	return block{}
}

func knownCodec(name string) bool {
	switch name {
	case "", "null", "deflate", "snappy", "zstandard", "bzip2":
		return true
	}
	return false
}

// decompressor decompresses blocks.
type decompressor struct {
	codec string
	limit int // bytes that a block may have
	zstd  *zstd.Decoder
	flate io.ReadCloser
}

var errBlockSize = errors.New("it has too many bytes when it is decompressed")

// append appends the decompressed bytes of a block.
func (d *decompressor) append(dst, data []byte) ([]byte, error) {
	switch d.codec {
	case "snappy":
		if len(data) < 4 {
			return dst, errEnds
		}
		sum := binary.BigEndian.Uint32(data[len(data)-4:])
		data = data[:len(data)-4]
		n, err := snappy.DecodedLen(data)
		if err != nil {
			return dst, err
		}
		if n > d.limit {
			return dst, errBlockSize
		}
		start := len(dst)
		dst = connectors.Grow(dst, n)
		if _, err := snappy.Decode(dst[start:], data); err != nil {
			return dst[:start], err
		}
		if crc32.ChecksumIEEE(dst[start:]) != sum {
			return dst[:start], errors.New("its checksum is wrong")
		}
		return dst, nil
	case "zstandard":
		if d.zstd == nil {
			var err error
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(d.limit))); err != nil {
				return dst, fmt.Errorf("start zstd: %w", err)
			}
		}
		// What is in dst would count as decompressed.
		out, err := connectors.AppendBehind(dst, min(4*len(data), d.limit), func(dst []byte) ([]byte, error) { return d.zstd.DecodeAll(data, dst) })
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			err = errBlockSize
		}
		return out, err
	case "deflate":
		if d.flate == nil {
			d.flate = flate.NewReader(bytes.NewReader(data))
		} else if err := d.flate.(flate.Resetter).Reset(bytes.NewReader(data), nil); err != nil {
			return dst, err
		}
		return d.read(dst, d.flate)
	case "bzip2":
		return d.read(dst, bzip2.NewReader(bytes.NewReader(data)))
	}
	return append(dst, data...), nil
}

func (d *decompressor) read(dst []byte, r io.Reader) ([]byte, error) {
	out, err := connectors.AppendAll(dst, r, 4<<10, d.limit)
	if errors.Is(err, connectors.ErrTooMuch) {
		err = errBlockSize
	}
	return out, err
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}
