package columns

import (
	"bytes"
	"fmt"

	"github.com/leatdb/leat/connectors"
)

// LineDecoder implements connectors.Decoder for formats whose values are lines
// of text, or whole payloads with framing 'document': Decode makes a row of
// each. Empty ones are counted.
type LineDecoder struct {
	Batch *Batch
	// Enter begins a payload; header is that of a file. It may be nil.
	Enter func(header []byte)
	// Decode sets the columns of a row from a line, which holds no line break at
	// its end. A class rejects it.
	Decode func(line []byte) (class connectors.ErrorClass, message string)

	data Payloads
}

// Reset begins a new chunk.
func (d *LineDecoder) Reset(c *connectors.Chunk) { d.data.Reset(c) }

// Close frees the buffers.
func (d *LineDecoder) Close() { d.Batch.Close() }

// Next decodes up to maxRows more lines of the chunk.
func (d *LineDecoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode lines: maxRows is %d", maxRows)
	}
	d.Batch.Begin(maxRows)
	for taken := 0; !d.Batch.Full(maxRows) && taken < MaxBatchBytes; {
		if d.data.Pos >= d.data.Limit {
			if !d.data.Next() {
				break
			}
			if d.Enter != nil {
				header, _ := d.data.File()
				d.Enter(header)
			}
			continue
		}
		start := d.data.Pos
		end := d.data.Line(d.Batch.config.Framing)
		taken += d.data.Pos - start
		if start == end {
			d.data.Empty++
			continue
		}
		value := d.data.Value(start, end)
		if d.Batch.TooLarge(value) {
			continue
		}
		if class, message := d.Decode(d.data.Data[start:end]); class != "" {
			d.Batch.Reject(value, class, message)
			continue
		}
		d.Batch.Accept(value)
	}
	return d.Batch.Finish(d.data.TakeEmpty()), nil
}

// Line takes the line that begins at Pos, or with framing 'document' the rest of
// the payload, and returns its end without the line break.
func (p *Payloads) Line(framing connectors.Framing) (end int) {
	start := p.Pos
	end, p.Pos = p.Limit, p.Limit
	if framing == connectors.FramingLines {
		if n := bytes.IndexByte(p.Data[start:p.Limit], '\n'); n >= 0 {
			end, p.Pos = start+n, start+n+1
		}
	} else if end > start && p.Data[end-1] == '\n' {
		end--
	}
	if end > start && p.Data[end-1] == '\r' {
		end--
	}
	return end
}
