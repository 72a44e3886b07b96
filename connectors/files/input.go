package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/leatdb/leat/connectors"
)

// input is an opened file that is read from a position on.
type input struct {
	file        object
	compression compression
	seen        entry // as of when it was opened
	// versioned is set for an object, which is known by its ETag and the checksum
	// of all of it.
	versioned bool
	crc       uint32 // CRC-32C of what was consumed, of an object
	other     bool   // it is not the version of the object that was begun

	offset int64  // of the next byte to hand out, after decompression
	window []byte // the last bytes before offset
	skip   bool   // offset is within a line whose rest is skipped
	headed bool   // the header was read
	header []byte // what precedes the records, as the format's layout says

	// Of files that are read in blocks.
	blocks []connectors.Block
	block  int   // the next one
	bytes  int64 // that were read

	// Of compressed files.
	raw   countingReader
	dec   io.ReadCloser
	carry []byte // what follows offset and is decompressed already
	err   error  // why there is no more: io.EOF, or what is wrong
}

// limits bound what is handed out at a time.
type limits struct {
	chunk, record int               // bytes
	document      bool              // a file is one payload
	text          bool              // a file is lines of text
	layout        connectors.Layout // of the records; nil where they are lines
	blocks        connectors.Blocks // nil where files are read from their beginning
}

// whole reports whether a file means nothing before all of it is there.
func (l *limits) whole() bool { return l.document || l.blocks != nil }

// records is the length of the whole records that data holds.
func (l *limits) records(header, data []byte) int {
	switch {
	case l.document:
		return 0
	case l.layout != nil:
		return l.layout.Records(header, data)
	}
	return bytes.LastIndexByte(data, '\n') + 1
}

// lines reports whether reading can go on at the next line when a record is too
// large, and the last record of a file may lack its end.
func (l *limits) lines() bool { return l.layout == nil || l.layout.Lines() }

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
	errCutOff    = errors.New("the file ends in the middle of a record")
	errUTF16     = errors.New("the file is text in UTF-16, and only UTF-8 is read")
)

// beginsUTF16 reports whether lines of text begin with the byte order mark of
// UTF-16, of which every value would be rejected, or the names of its columns.
func (l *limits) beginsUTF16(data []byte) bool {
	return l.text && (bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")))
}

// openInput opens a file at pos. same is false when the file does not hold
// what was read up to pos; the input is nil then.
func openInput(ctx context.Context, st store, e entry, pos position, forced compression, l *limits) (in *input, same bool, err error) {
	file, err := st.open(ctx, e)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if in == nil {
			err = errors.Join(err, file.Close())
		}
	}()
	i := &input{file: file, compression: forced, versioned: st.immutable(), skip: pos.Skip}
	if i.seen, err = file.stat(); err != nil {
		return nil, false, err
	}
	// Another object may hold what was read, as one does that was damaged and is
	// whole now.
	i.other = i.versioned && pos.Offset > 0 && pos.Check != checksum([]byte(i.seen.version()))
	if i.other && (pos.CRC == 0 || l.blocks != nil) {
		return nil, false, nil
	}
	if l.blocks != nil {
		if same, err = i.openBlocks(pos, l.blocks); err != nil || !same {
			return nil, false, err
		}
		return i, true, nil
	}
	if err := file.ready(ctx, 0); err != nil {
		return nil, false, err
	}
	if forced == "" {
		if i.compression, err = detect(file, e.path); err != nil {
			return nil, false, err
		}
	}
	if i.compression == uncompressed {
		same, err = i.resume(ctx, pos, l)
	} else {
		same, err = i.resumeCompressed(ctx, pos, l)
	}
	if err != nil || !same {
		return nil, false, err
	}
	return i, true, nil
}

// resume goes to a position of a file that is not compressed.
func (in *input) resume(ctx context.Context, pos position, l *limits) (same bool, err error) {
	in.offset, in.crc = pos.Offset, pos.CRC
	if !in.versioned {
		if in.window, err = readWindow(in.file, pos.Offset); errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if pos.Offset > 0 && !sameCheck(checksum(in.window), pos.Check) {
			return false, nil
		}
	}
	if in.other {
		if same, err := in.holds(ctx, pos); !same || err != nil {
			return false, err
		}
	}
	if pos.Offset > 0 {
		if err := in.reloadHeader(io.NewSectionReader(in.file, 0, pos.Offset), l); err != nil {
			return false, err
		}
	}
	return true, in.file.ready(ctx, in.offset)
}

// holds reports whether an object that is not compressed begins with what was
// read of another.
func (in *input) holds(ctx context.Context, pos position) (bool, error) {
	if in.seen.size < pos.Offset {
		return false, nil
	}
	crc, err := prefixCRC(ctx, in.file, pos.Offset)
	return err == nil && crc == pos.CRC, err
}

// prefixCRC is the CRC-32C of the first bytes of an object.
func prefixCRC(ctx context.Context, file object, size int64) (crc uint32, err error) {
	buf := make([]byte, 1<<20)
	for off := int64(0); off < size; {
		if err := file.ready(ctx, off); err != nil {
			return 0, err
		}
		n, err := file.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 && err != nil {
			return 0, err
		}
		crc = crc32.Update(crc, castagnoli, buf[:n])
		off += int64(n)
	}
	return crc, nil
}

// resumeCompressed decompresses up to a position.
func (in *input) resumeCompressed(ctx context.Context, pos position, l *limits) (same bool, err error) {
	if pos.Done && !in.versioned {
		window, err := readWindow(in.file, pos.Size)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if err != nil || !sameCheck(checksum(window), pos.Check) {
			return false, nil
		}
	}
	in.raw.r = io.NewSectionReader(in.file, 0, math.MaxInt64)
	in.raw.sum = in.versioned
	if in.dec, err = decompress(in.compression, &in.raw); err != nil {
		in.dec, in.err = nil, noEOF(err)
	}
	err = nil
	if pos.Offset > 0 {
		err = in.reloadHeader(decompressed{in, pos.Offset}, l)
	}
	if err == nil {
		err = in.seek(ctx, pos.Offset)
	}
	same = in.offset == pos.Offset &&
		(pos.Done || pos.Offset == 0 || in.versioned && (!in.other || in.crc == pos.CRC) || !in.versioned && sameCheck(checksum(in.window), pos.Check))
	if err != nil || !same {
		return false, errors.Join(err, in.closeDecompressor())
	}
	return true, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// noEOF makes the end of a file before the first byte of a stream what it is.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decompressed reads the file from offset on, but not beyond limit.
type decompressed struct {
	in    *input
	limit int64
}

func (d decompressed) Read(p []byte) (int, error) {
	in := d.in
	if in.offset == d.limit {
		return 0, io.EOF
	}
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.dec.Read(p[:min(int64(len(p)), d.limit-in.offset)])
	in.consume(p[:n])
	in.err = err
	return n, err
}

// reloadHeader reads the header of a file that was begun before. What is wrong
// with the file is found out later.
func (in *input) reloadHeader(r io.Reader, l *limits) error {
	if l.layout == nil {
		return nil
	}
	var data []byte
	for end := false; ; {
		text := bytes.TrimPrefix(data, byteOrderMark)
		n, more, err := l.layout.Header(text, end)
		if err != nil || end && more {
			return nil
		}
		if !more {
			in.header, in.headed = text[:n:n], true
			return nil
		}
		data = slices.Grow(data, max(4<<10, len(data)))
		got, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+got]
		end = err != nil
		if err != nil && !errors.Is(err, io.EOF) && in.raw.err != nil {
			return in.raw.err
		}
	}
}

// readHeader takes the header off the beginning of the file. It leaves c.Data
// empty, and in.headed unset when the header is not all there.
func (in *input) readHeader(ctx context.Context, c *connectors.Chunk, l *limits, final bool) (ending, error) {
	for want := 4 << 10; ; want *= 2 {
		end, err := in.fill(ctx, c, want)
		if err != nil {
			return endNone, err
		}
		mark := 0
		if l.beginsUTF16(c.Data) {
			return endNone, errUTF16
		}
		if bytes.HasPrefix(c.Data, byteOrderMark) {
			mark = len(byteOrderMark)
		}
		n, more, err := l.layout.Header(c.Data[mark:], end && final)
		switch {
		case err != nil:
			return endNone, fmt.Errorf("%w: %w", errCorrupt, err)
		case !more:
			in.header, in.headed = slices.Clone(c.Data[mark:mark+n]), true
			in.take(c, mark+n)
			c.Data = c.Data[:0]
			return endNone, nil
		case end && final:
			return endNone, errCutOff
		case end:
			in.take(c, 0)
			return endPartial, nil
		case in.err != nil:
			return endNone, in.problem()
		}
	}
}

// readWindow reads the bytes before offset that a checksum covers; io.EOF
// means that the file ends before offset.
func readWindow(file io.ReaderAt, offset int64) ([]byte, error) {
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
		if err := in.file.ready(ctx, in.raw.n); err != nil {
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
	if in.versioned {
		in.crc = crc32.Update(in.crc, castagnoli, data)
	} else {
		in.window = lastBytes(in.window, data)
	}
}

// next fills c with the next run of whole lines, or leaves c.Data empty when
// there is none before the end. A line longer than limits.record is handed out
// as its first limits.record+1 bytes, so that the decoder can reject it, and
// the rest is skipped. final makes a last line without a line break count.
func (in *input) next(ctx context.Context, c *connectors.Chunk, l limits, final bool) (ending, error) {
	c.Data, c.Records, c.Parts, c.Ranges, c.Filtered = c.Data[:0], c.Records[:0], c.Parts[:0], nil, 0
	if l.blocks != nil {
		return in.nextBlock(ctx, c)
	}
	if in.dec != nil || in.err != nil {
		// The end of a compressed stream is written, so what comes before is whole.
		final = true
	}
	if in.skip {
		if end, err := in.skipLine(ctx, c, l, final); in.skip || end != endNone || err != nil {
			return end, err
		}
	}
	if l.layout != nil && !in.headed {
		if end, err := in.readHeader(ctx, c, &l, final); !in.headed {
			c.Data = c.Data[:0]
			return end, err
		}
	}
	c.Header = in.header
	for want := l.chunk; ; want = min(2*want, max(l.chunk, l.record+1)) {
		end, err := in.fill(ctx, c, want)
		if err != nil {
			c.Data = c.Data[:0]
			return endNone, err
		}
		if in.offset == 0 && l.beginsUTF16(c.Data) {
			c.Data = c.Data[:0]
			return endNone, errUTF16
		}
		if in.offset == 0 && bytes.HasPrefix(c.Data, byteOrderMark) {
			in.consume(byteOrderMark)
			c.Data = append(c.Data[:0], c.Data[len(byteOrderMark):]...)
		}
		whole := l.records(in.header, c.Data)
		rest := len(c.Data) - whole
		switch {
		case whole == 0 && rest > l.record && !l.lines():
			c.Data = c.Data[:0]
			return endNone, fmt.Errorf("%w: a block at byte %d has more than max_record_bytes (%d)", errCorrupt, in.offset, l.record)
		case whole == 0 && rest > l.record:
			in.takeBroken(c, l)
			return endNone, nil
		case whole == 0 && !end && in.err == nil:
			continue
		case end && final && rest > 0 && !l.lines():
			if whole == 0 {
				c.Data = c.Data[:0]
				return endNone, errCutOff
			}
		case end && final && rest <= l.record:
			in.take(c, len(c.Data))
			return endComplete, nil
		case end && rest == 0:
			in.take(c, whole)
			return endComplete, nil
		}
		in.take(c, whole)
		switch {
		case whole > 0:
			return endNone, nil
		case end:
			return endPartial, nil
		}
		return endNone, in.problem()
	}
}

// takeBroken hands out the beginning of a record that is too large, so that the
// decoder can reject it: its first line, if there is one, since a quote that is
// never closed may be all that is wrong; else as much as shows that it is too
// large, and the rest of the line is skipped.
func (in *input) takeBroken(c *connectors.Chunk, l limits) {
	if l.layout != nil {
		if n := bytes.IndexByte(c.Data, '\n') + 1; n > 0 && n <= l.record {
			in.take(c, n)
			return
		}
	}
	in.take(c, l.record+1)
	in.skip = true
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// skipLine drops what is left of a line that is too long.
func (in *input) skipLine(ctx context.Context, c *connectors.Chunk, l limits, final bool) (ending, error) {
	for {
		c.Data = c.Data[:0]
		end, err := in.fill(ctx, c, l.chunk)
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
func (in *input) fill(ctx context.Context, c *connectors.Chunk, want int) (end bool, err error) {
	if in.compression == uncompressed {
		have := len(c.Data)
		if err := in.file.ready(ctx, in.offset+int64(have)); err != nil {
			return false, err
		}
		c.Data = connectors.Grow(c.Data, want-have)
		n, err := in.file.ReadAt(c.Data[have:], in.offset+int64(have))
		c.Data = c.Data[:have+n]
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		return false, err
	}
	c.Data = append(connectors.Grow(c.Data, len(in.carry))[:len(c.Data)], in.carry...)
	in.carry = in.carry[:0]
	for len(c.Data) < want && in.err == nil {
		if err := in.file.ready(ctx, in.raw.n); err != nil {
			in.carry = append(in.carry, c.Data...)
			return false, err
		}
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
	if in.versioned {
		pos.Version = checksum([]byte(in.seen.version()))
	}
	switch {
	case in.blocks != nil:
		return in.doneBlocks(pos), nil
	case in.versioned && in.compression == uncompressed:
		pos.Check = fmt.Sprintf("%08x", in.crc)
		return pos, nil
	case in.versioned:
		pos.Size, pos.Check = in.seen.size, fmt.Sprintf("%08x", in.raw.crc)
		return pos, nil
	case in.compression == uncompressed:
		pos.Check = checksum(in.window)
		return pos, nil
	}
	now, err := in.file.stat()
	if err != nil {
		return pos, err
	}
	pos.Size = now.size
	if errors.Is(in.err, io.EOF) {
		pos.Size = in.raw.n // it may have grown since
	}
	window, err := readWindow(in.file, pos.Size)
	pos.Check = checksum(window)
	return pos, err
}

// bytesRead is how many bytes of the file as it is stored were taken.
func (in *input) bytesRead() int64 {
	if in.blocks != nil {
		return in.bytes
	}
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
