package csv

import (
	"bytes"

	"github.com/leatdb/leat/connectors"
)

// layout is where the rows of a file begin and end.
type layout struct{ dialect dialect }

// maxHeader bounds the header of a file.
const maxHeader = 1 << 20

// Header is the lines to be skipped and, where there is one, the row of names
// with the comments before it.
func (l layout) Header(data []byte, end bool) (n int, more bool, err error) {
	d := &l.dialect
	i := 0
	for range d.skipLines {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			return l.unfinished(data, end)
		}
		i += n + 1
	}
	if !d.header {
		return i, false, nil
	}
	for i < len(data) {
		if e := d.emptyLine(data, i, len(data)); e >= 0 {
			if e >= len(data) {
				break
			}
			i = e + 1
			continue
		}
		_, _, stop, why := d.row(padded(data), i, len(data), nil, 0)
		if why == afterQuote || why == notClosed && end {
			stop = lineEnd(data, i, len(data))
		}
		if stop < len(data) {
			return stop + 1, false, nil
		}
		break
	}
	return l.unfinished(data, end)
}

func (l layout) unfinished(data []byte, end bool) (n int, more bool, err error) {
	if end || len(data) >= maxHeader {
		// What is wrong with it shows when the rows are decoded.
		return len(data), false, nil
	}
	return 0, true, nil
}

// padded is data with readable bytes behind it.
func padded(data []byte) []byte {
	if cap(data)-len(data) >= connectors.Padding {
		return data
	}
	return append(connectors.Grow(nil, len(data))[:0], data...)
}

// Records looks at the quotes only: a line break ends a row unless it lies in
// quotes.
func (l layout) Records(_, data []byte) int {
	d := &l.dialect
	row := 0  // where the current row begins
	from := 0 // what lies before has been looked at; it is not within quotes
	for at := 0; d.quote != 0; {
		n := bytes.IndexByte(data[at:], d.quote)
		if n < 0 {
			break
		}
		q := at + n
		if q > 0 && data[q-1] != d.delimiter && data[q-1] != '\n' {
			at = q + 1
			continue
		}
		if n := bytes.LastIndexByte(data[from:q], '\n'); n >= 0 {
			row = from + n + 1
		}
		if d.comment != 0 && data[row] == d.comment {
			at = lineEnd(data, q, len(data))
			from = at
			continue
		}
		_, next, ok := d.quoted(data, q+1, len(data))
		if !ok {
			return row
		}
		if next < len(data) && data[next] == '\r' {
			next++
		}
		if next < len(data) && data[next] != d.delimiter && data[next] != '\n' {
			next = lineEnd(data, row, len(data)) // the row cannot be read
		}
		at, from = next, next
	}
	if n := bytes.LastIndexByte(data[from:], '\n'); n >= 0 {
		return from + n + 1
	}
	return row
}

// Lines implements connectors.Layout.
func (layout) Lines() bool { return true }
