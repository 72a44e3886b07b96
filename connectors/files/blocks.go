package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Files of formats that have Blocks are read block by block, of each only what
// holds the wanted fields. Their positions count records. Such a file is the same
// as long as its end is, where it says what it holds.

// maxBlock bounds what is read of a block.
const maxBlock = 1 << 30

// openBlocks goes to a position of a file that is read in blocks.
func (in *input) openBlocks(pos position, layout connectors.Blocks) (same bool, err error) {
	size := in.seen.size
	in.compression = uncompressed
	if !in.versioned {
		if in.window, err = readWindow(in.file, size); err != nil {
			return false, err
		}
		if pos.Done && pos.Size != size || pos.Offset > 0 && !sameCheck(checksum(in.window), pos.Check) {
			return false, nil
		}
	}
	if in.header, in.blocks, err = layout.Open(exactReader{in.file}, size); err != nil {
		var path *fs.PathError
		if sqlerror.As(err) != nil || errors.As(err, &path) {
			return false, err // of the store, not of the content
		}
		return false, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	if in.blocks == nil {
		in.blocks = []connectors.Block{}
	}
	for in.offset < pos.Offset && in.block < len(in.blocks) {
		in.offset += in.blocks[in.block].Rows
		in.block++
	}
	return in.offset == pos.Offset, nil
}

// exactReader reads what is asked for and no more.
type exactReader struct{ file object }

func (r exactReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.file.readExactly(p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

// nextBlock fills c with the next block.
func (in *input) nextBlock(ctx context.Context, c *connectors.Chunk) (ending, error) {
	next, offset := in.block, in.offset
	for next < len(in.blocks) && (in.blocks[next].Rows == 0 || in.blocks[next].Filtered) {
		offset += in.blocks[next].Rows
		next++
	}
	if next == len(in.blocks) {
		c.Filtered = offset - in.offset
		in.offset, in.block = offset, next
		return endComplete, nil
	}
	b := in.blocks[next]
	for _, r := range b.Ranges {
		if err := ctx.Err(); err != nil {
			c.Data = c.Data[:0]
			return endNone, err
		}
		have := len(c.Data)
		if int64(have)+r.Length > maxBlock {
			c.Data = c.Data[:0]
			return endNone, fmt.Errorf("%w: block %d has more than %s of what is wanted", errCorrupt, next, connectors.FormatSize(maxBlock))
		}
		c.Data = connectors.Grow(c.Data, int(r.Length))
		if err := in.file.readExactly(c.Data[have:], r.Offset); err != nil {
			c.Data = c.Data[:0]
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it is shorter than its end says", errCorrupt)
			}
			return endNone, err
		}
		in.bytes += r.Length
	}
	c.Base, c.Block, c.Ranges, c.Header = offset, next, b.Ranges, in.header
	c.Filtered = offset - in.offset
	in.offset, in.block = offset+b.Rows, next+1
	if in.block == len(in.blocks) {
		return endComplete, nil
	}
	return endNone, nil
}

// doneBlocks is the position of a file that was read to its end. Of an object
// there is no checksum, since not all of it was read.
func (in *input) doneBlocks(pos position) position {
	pos.Size = in.seen.size
	if in.versioned {
		pos.Check = "00000000"
		return pos
	}
	pos.Check = checksum(in.window)
	return pos
}
