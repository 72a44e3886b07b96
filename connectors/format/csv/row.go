package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/leatdb/leat/connectors"
)

// field is where a field lies in the data, without the quotes around it.
type field struct {
	start, end int32
	quoted     bool
	doubled    bool // it holds doubled quotes
}

// text is the field's content. scratch is used where quotes are doubled.
func (f field) text(data []byte, quote byte, scratch *[]byte) []byte {
	if !f.doubled {
		return data[f.start:f.end]
	}
	raw := data[f.start : int(f.end)+connectors.Padding]
	if cap(*scratch) < len(raw) {
		*scratch = make([]byte, 2*len(raw))
	}
	// Words are copied up to the first quote in each, and what comes behind it, if
	// there is one, is overwritten.
	out, quotes := (*scratch)[:cap(*scratch)], uint64(quote)*ones
	n := int(f.end - f.start)
	from, to := 0, 0
	for from < n {
		x := binary.LittleEndian.Uint64(raw[from:])
		binary.LittleEndian.PutUint64(out[to:], x)
		found := zeroBytes(x ^ quotes)
		k := 8
		if found != 0 {
			k = bits.TrailingZeros64(found)>>3 + 1
		}
		if from+k > n {
			return out[:to+n-from]
		}
		from, to = from+k, to+k
		if found != 0 {
			from++
		}
	}
	return out[:to]
}

// isNull reports whether the field spells NULL.
func (d *dialect) isNull(f field, data []byte, isText bool) bool {
	n := f.end - f.start
	if n == 0 {
		return !isText || d.emptyNull && !f.quoted
	}
	if f.quoted || d.nullLengths>>min(n, 63)&1 == 0 {
		return false
	}
	for _, null := range d.nulls {
		if string(data[f.start:f.end]) == null {
			return true
		}
	}
	return false
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeroBytes has the high bit of each byte set that is zero. Only the lowest one
// is exact.
func zeroBytes(x uint64) uint64 { return (x - ones) &^ x & highs }

// problem says what is wrong with a row.
type problem string

const (
	notClosed  problem = "a quoted field is not closed"
	afterQuote problem = "text follows the closing quote of a field"
)

// row splits the row that begins at data[i], which is followed by
// connectors.Padding bytes at least, and returns the index of the line break
// that ends it, or limit. Of its fields the first most are kept in fields; count
// is how many it has.
func (d *dialect) row(data []byte, i, limit int, fields []field, most int) (_ []field, count, end int, why problem) {
	padded := data[:limit+connectors.Padding]
	delimiters, breaks := uint64(d.delimiter)*ones, uint64('\n')*ones
	fields = fields[:0]
	for {
		f := field{start: int32(i)}
		if i < limit && data[i] == d.quote && d.quote != 0 {
			var ok bool
			if f, i, ok = d.quoted(data, i+1, limit); !ok {
				return fields, count, limit, notClosed
			}
			if i < limit && data[i] == '\r' {
				i++
			}
			if i < limit && data[i] != d.delimiter && data[i] != '\n' {
				return fields, count, i, afterQuote
			}
		} else {
			for i < limit {
				x := binary.LittleEndian.Uint64(padded[i:])
				if found := zeroBytes(x^delimiters) | zeroBytes(x^breaks); found != 0 {
					i += bits.TrailingZeros64(found) >> 3
					break
				}
				i += 8
			}
			i = min(i, limit)
			f.end = int32(i)
			if (i == limit || data[i] == '\n') && i > int(f.start) && data[i-1] == '\r' {
				f.end--
			}
		}
		if count++; len(fields) < most {
			fields = append(fields, f)
		}
		if i >= limit || data[i] == '\n' {
			return fields, count, i, ""
		}
		i++
	}
}

// quoted finds the end of the quoted field whose content begins at i; next is
// behind the closing quote.
func (d *dialect) quoted(data []byte, i, limit int) (f field, next int, ok bool) {
	f = field{start: int32(i), quoted: true}
	quotes := uint64(d.quote) * ones
	for {
		for i+8 <= limit {
			if found := zeroBytes(binary.LittleEndian.Uint64(data[i:]) ^ quotes); found != 0 {
				i += bits.TrailingZeros64(found) >> 3
				break
			}
			i += 8
		}
		for i < limit && data[i] != d.quote {
			i++
		}
		if i == limit {
			return f, limit, false
		}
		if i++; i == limit || data[i] != d.quote {
			f.end = int32(i - 1)
			return f, i, true
		}
		f.doubled = true
		i++
	}
}

// lineEnd is the index of the next line break, or limit.
func lineEnd(data []byte, i, limit int) int {
	if n := bytes.IndexByte(data[i:limit], '\n'); n >= 0 {
		return i + n
	}
	return limit
}

// emptyLine is the index of the line break that ends the line at i if there is
// nothing in it, or if it is a comment; −1 for lines with a row.
func (d *dialect) emptyLine(data []byte, i, limit int) int {
	switch c := data[i]; {
	case c == '\n':
		return i
	case c == '\r' && (i+1 == limit || data[i+1] == '\n'):
		return i + 1
	case c == d.comment && c != 0:
		return lineEnd(data, i, limit)
	}
	return -1
}
