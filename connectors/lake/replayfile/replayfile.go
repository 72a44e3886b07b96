// Package replayfile is the file that holds the dead letters of a replay, from
// the commit that begins it until they have all been read again. Letters stand
// in blocks, which are read whole; a position is where a block begins.
//
// A block is the length of its body and the body's CRC-32C, four bytes each in
// big-endian order, then the body: letter after letter, its texts with their
// lengths before them, its numbers as varints.
package replayfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/leatdb/leat/connectors"
)

const (
	// blockBytes and blockLetters end a block.
	blockBytes   = 1 << 20
	blockLetters = 4096
	// headerBytes come before a block's body.
	headerBytes = 8
	// firstRead is how much is read before the length of a block is known.
	firstRead = 256 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer makes the blocks of a file.
type Writer struct {
	block   []byte
	letters int
}

// Append adds a letter. It returns a block when that is full, valid until the
// next call, and nil otherwise.
func (w *Writer) Append(d *connectors.DeadLetter) []byte {
	if w.letters == 0 {
		w.block = append(w.block[:0], make([]byte, headerBytes)...)
	}
	for _, text := range [...]string{d.ID, d.Source, d.Position, string(d.Class), d.Message} {
		w.block = binary.AppendUvarint(w.block, uint64(len(text)))
		w.block = append(w.block, text...)
	}
	for _, text := range [...][]byte{d.Raw, d.Header, d.Hidden} {
		w.block = binary.AppendUvarint(w.block, uint64(len(text)))
		w.block = append(w.block, text...)
	}
	arrived := int64(0)
	if !d.Arrived.IsZero() {
		arrived = d.Arrived.UnixMicro()
	}
	w.block = binary.AppendVarint(w.block, arrived)
	w.block = binary.AppendUvarint(w.block, uint64(max(d.Attempt, 1)))
	w.letters++
	if len(w.block) >= blockBytes || w.letters >= blockLetters {
		return w.Finish()
	}
	return nil
}

// Finish returns the last block, nil if there is none.
func (w *Writer) Finish() []byte {
	if w.letters == 0 {
		return nil
	}
	w.letters = 0
	body := w.block[headerBytes:]
	binary.BigEndian.PutUint32(w.block, uint32(len(body)))
	binary.BigEndian.PutUint32(w.block[4:], crc32.Checksum(body, castagnoli))
	return w.block
}

// File is what blocks are read from.
type File interface {
	io.ReaderAt
	Size() int64
}

// Read appends the letters of the block at offset to letters and returns where
// the next one begins. It fails where no whole block begins at offset.
func Read(f File, offset int64, letters []connectors.DeadLetter) ([]connectors.DeadLetter, int64, error) {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("block at %d of %d bytes: "+format, append([]any{offset, f.Size()}, args...)...)
	}
	left := f.Size() - offset
	if offset < 0 || left < headerBytes {
		return letters, offset, damaged("there is none")
	}
	block := make([]byte, min(left, firstRead))
	if err := readFull(f, block, offset); err != nil {
		return letters, offset, fmt.Errorf("read block at %d: %w", offset, err)
	}
	length := int64(binary.BigEndian.Uint32(block))
	sum := binary.BigEndian.Uint32(block[4:])
	if length > left-headerBytes {
		return letters, offset, damaged("it is cut off")
	}
	if end := headerBytes + int(length); end > len(block) {
		first := len(block)
		whole := make([]byte, end)
		copy(whole, block)
		block = whole
		if err := readFull(f, block[first:], offset+int64(first)); err != nil {
			return letters, offset, fmt.Errorf("read block at %d: %w", offset, err)
		}
	} else {
		block = block[:end]
	}
	body := block[headerBytes:]
	if crc32.Checksum(body, castagnoli) != sum {
		return letters, offset, damaged("its checksum is wrong")
	}
	p := parser{rest: body}
	for len(p.rest) > 0 {
		d := connectors.DeadLetter{ID: string(p.text()), Source: string(p.text()), Position: string(p.text())}
		d.Class, d.Message = connectors.ErrorClass(p.text()), string(p.text())
		d.Raw, d.Header, d.Hidden = p.text(), p.text(), p.text()
		if arrived := p.varint(); arrived != 0 {
			d.Arrived = time.UnixMicro(arrived).UTC()
		}
		d.Attempt = int(p.uvarint())
		if p.broken {
			return letters, offset, damaged("a letter is cut off")
		}
		letters = append(letters, d)
	}
	return letters, offset + int64(len(block)), nil
}

// readFull reads all of p.
func readFull(f File, p []byte, offset int64) error {
	n, err := f.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// parser takes a body apart.
type parser struct {
	rest   []byte
	broken bool
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.broken, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.rest)
	if n <= 0 {
		p.broken, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) text() []byte {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.broken, p.rest = true, nil
		return nil
	}
	text := p.rest[:n:n]
	p.rest = p.rest[n:]
	return text
}
