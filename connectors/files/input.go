package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/leatdb/leat/connectors"
)

// input is an opened file that is read from a position on.
type input struct {
	file        *os.File
	compression compression
	size        int64 // as of when it was opened
	modified    int64 // µs since 1970, as of when it was opened

	offset int64  // of the next byte to hand out, after decompression
	window []byte // the last bytes before offset
	skip   bool   // offset is within a line whose rest is skipped

	// Of compressed files.
	raw   countingReader
	dec   io.ReadCloser
	carry []byte // what follows offset and is decompressed already
	err   error  // why there is no more: io.EOF, or what is wrong
}

// limits bound what is handed out at a time.
type limits struct {
	chunk, record int  // bytes
	document      bool // a file is one payload
}

// ending says what follows the bytes that were handed out.
type ending uint8

const (
	endNone     ending = iota // maybe more
	endComplete               // the end of the file
	endPartial                // an unfinished line, then the end of the file
)

var (
	errTruncated = errors.New("the file ends in the middle of its compressed stream")
	errCorrupt   = errors.New("the file is damaged")
)

// openInput opens a file at pos. same is false when the file does not hold
// what was read up to pos; the input is nil then.
func openInput(ctx context.Context, name string, pos position, forced compression) (in *input, same bool, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if in == nil {
			err = errors.Join(err, file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	i := &input{file: file, compression: forced, size: info.Size(), modified: info.ModTime().UnixMicro(), skip: pos.Skip}
	if forced == "" {
		if i.compression, err = detect(file, name); err != nil {
			return nil, false, err
		}
	}
	if i.compression == uncompressed {
		i.offset = pos.Offset
		if i.window, err = readWindow(file, pos.Offset); errors.Is(err, io.EOF) {
			return nil, false, nil
		} else if err != nil {
			return nil, false, err
		}
		if pos.Offset > 0 && !sameCheck(checksum(i.window), pos.Check) {
			return nil, false, nil
		}
		return i, true, nil
	}
	if pos.Done {
		window, err := readWindow(file, pos.Size)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		if err != nil || !sameCheck(checksum(window), pos.Check) {
			return nil, false, nil
		}
	}
	i.raw.r = file
	if i.dec, err = decompress(i.compression, &i.raw); err != nil {
		i.dec, i.err = nil, noEOF(err)
	}
	if err := i.seek(ctx, pos.Offset); err != nil {
		return nil, false, errors.Join(err, i.closeDecompressor())
	}
	if i.offset != pos.Offset || !pos.Done && pos.Offset > 0 && !sameCheck(checksum(i.window), pos.Check) {
		return nil, false, i.closeDecompressor()
	}
	return i, true, nil
}

// noEOF makes the end of a file before the first byte of a stream what it is.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readWindow reads the bytes before offset that a checksum covers; io.EOF
// means that the file ends before offset.
func readWindow(file *os.File, offset int64) ([]byte, error) {
	window := make([]byte, min(offset, windowBytes), windowBytes)
	if len(window) == 0 {
		return window, nil
	}
	n, err := file.ReadAt(window, offset-int64(len(window)))
	if n == len(window) {
		err = nil
	}
	return window, err
}

// seek decompresses up to offset, which costs the time of reading that far.
func (in *input) seek(ctx context.Context, offset int64) error {
	if offset == 0 || in.err != nil {
		return nil
	}
	buf := make([]byte, 256<<10)
	for in.offset < offset && in.err == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.dec.Read(buf[:min(int64(len(buf)), offset-in.offset)])
		in.consume(buf[:n])
		in.err = err
	}
	if in.raw.err != nil {
		return in.raw.err
	}
	return nil
}

func (in *input) consume(data []byte) {
	in.offset += int64(len(data))
	in.window = lastBytes(in.window, data)
}

// next fills c with the next run of whole lines, or leaves c.Data empty when
// there is none before the end. A line longer than limits.record is handed out
// as its first limits.record+1 bytes, so that the decoder can reject it, and
// the rest is skipped. final makes a last line without a line break count.
func (in *input) next(ctx context.Context, c *connectors.Chunk, l limits, final bool) (ending, error) {
	c.Data, c.Records = c.Data[:0], c.Records[:0]
	if in.dec != nil || in.err != nil {
		// The end of a compressed stream is written, so what comes before is whole.
		final = true
	}
	if in.skip {
		if end, err := in.skipLine(ctx, c, l, final); in.skip || end != endNone || err != nil {
			return end, err
		}
	}
	for want := l.chunk; ; want = min(2*want, max(l.chunk, l.record+1)) {
		end, err := in.fill(c, want)
		if err != nil {
			c.Data = c.Data[:0]
			return endNone, err
		}
		if in.offset == 0 && bytes.HasPrefix(c.Data, byteOrderMark) {
			in.consume(byteOrderMark)
			c.Data = append(c.Data[:0], c.Data[len(byteOrderMark):]...)
		}
		lines := 0
		if !l.document {
			lines = bytes.LastIndexByte(c.Data, '\n') + 1
		}
		rest := len(c.Data) - lines
		switch {
		case lines == 0 && rest > l.record:
			in.take(c, l.record+1)
			in.skip = true
			return endNone, nil
		case lines == 0 && !end && in.err == nil:
			continue
		case end && final && rest <= l.record:
			in.take(c, len(c.Data))
			return endComplete, nil
		case end && rest == 0:
			in.take(c, lines)
			return endComplete, nil
		}
		in.take(c, lines)
		switch {
		case lines > 0:
			return endNone, nil
		case end:
			return endPartial, nil
		}
		return endNone, in.problem()
	}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// skipLine drops what is left of a line that is too long.
func (in *input) skipLine(ctx context.Context, c *connectors.Chunk, l limits, final bool) (ending, error) {
	for {
		c.Data = c.Data[:0]
		end, err := in.fill(c, l.chunk)
		if err != nil {
			c.Data = c.Data[:0]
			return endNone, err
		}
		n := 0
		if !l.document {
			n = bytes.IndexByte(c.Data, '\n') + 1
		}
		in.skip = n == 0
		if in.skip {
			n = len(c.Data)
		}
		in.take(c, n)
		c.Data = c.Data[:0]
		switch {
		case !in.skip:
			return endNone, nil
		case end && final:
			in.skip = false
			return endComplete, nil
		case end:
			return endPartial, nil
		case in.err != nil:
			return endNone, in.problem()
		case ctx.Err() != nil:
			return endNone, ctx.Err()
		}
	}
}

// fill appends to c.Data, which holds what follows offset, until it is want
// bytes long. end reports that the file ends behind it.
func (in *input) fill(c *connectors.Chunk, want int) (end bool, err error) {
	if in.compression == uncompressed {
		have := len(c.Data)
		c.Data = connectors.Grow(c.Data, want-have)
		n, err := in.file.ReadAt(c.Data[have:], in.offset+int64(have))
		c.Data = c.Data[:have+n]
		if err == io.EOF {
			return true, nil
		}
		return false, err
	}
	c.Data = append(connectors.Grow(c.Data, len(in.carry))[:len(c.Data)], in.carry...)
	in.carry = in.carry[:0]
	for len(c.Data) < want && in.err == nil {
		have := len(c.Data)
		c.Data = connectors.Grow(c.Data, want-have)
		n, err := in.dec.Read(c.Data[have:])
		c.Data = c.Data[:have+n]
		in.err = err
	}
	return errors.Is(in.err, io.EOF), nil
}

// take hands out the first n bytes of c.Data and keeps the others.
func (in *input) take(c *connectors.Chunk, n int) {
	c.Base = in.offset
	in.consume(c.Data[:n])
	if in.compression != uncompressed {
		in.carry = append(in.carry[:0], c.Data[n:]...)
	}
	c.Data = c.Data[:n]
}

// problem says why a compressed file cannot be read further.
func (in *input) problem() error {
	switch {
	case in.raw.err != nil:
		return in.raw.err
	case errors.Is(in.err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w (%s, byte %d of the file, byte %d decompressed)", errTruncated, in.compression, in.raw.n, in.offset)
	}
	return fmt.Errorf("%w: %s at about byte %d of the file, byte %d decompressed: %w", errCorrupt, in.compression, in.raw.n, in.offset, in.err)
}

// done is the position of a file that was read to its end.
func (in *input) done() (position, error) {
	pos := position{Offset: in.offset, Done: true, Size: in.offset}
	if in.compression == uncompressed {
		pos.Check = checksum(in.window)
		return pos, nil
	}
	info, err := in.file.Stat()
	if err != nil {
		return pos, err
	}
	pos.Size = info.Size()
	if errors.Is(in.err, io.EOF) {
		pos.Size = in.raw.n // it may have grown since
	}
	window, err := readWindow(in.file, pos.Size)
	pos.Check = checksum(window)
	return pos, err
}

// bytesRead is how many bytes of the file as it is stored were taken.
func (in *input) bytesRead() int64 {
	if in.compression == uncompressed {
		return in.offset
	}
	return in.raw.n
}

func (in *input) closeDecompressor() error {
	if in.dec == nil {
		return nil
	}
	dec := in.dec
	in.dec = nil
	return dec.Close()
}

func (in *input) close() error {
	return errors.Join(in.closeDecompressor(), in.file.Close())
}
