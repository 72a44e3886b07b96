package parquet

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/sql/types"
)

// Most columns take the values of theirs in the file as they are, and are filled
// column by column. The rest is set row by row. Where any value does not fit, all
// rows of the batch are taken one by one, which finds those that are rejected.

// filling is how far a column was filled.
type filling uint8

const (
	filled  filling = iota
	byRow           // its values need conversion; nothing was written
	misfits         // a value does not fit, or may not
)

// fill makes rows of the next n rows of the record. It reports false where they
// have to be taken one by one, and has made none then.
func (d *Decoder) fill(n, maxRows int) bool {
	if d.generic {
		return false
	}
	if !d.fillColumns(n) || !d.fillRows(n) {
		d.batch.Begin(maxRows)
		return false
	}
	d.row += n
	return true
}

// fillColumns writes the columns that take n rows of values as they are, and notes
// the others. It reports false where a value does not fit.
func (d *Decoder) fillColumns(n int) bool {
	d.rest = d.rest[:0]
	clear(d.unset)
	for i := range d.cells {
		switch d.fillColumn(i, &d.cells[i], n) {
		case misfits:
			return false
		case byRow:
			d.rest = append(d.rest, i)
			d.unset[i] = true
		}
	}
	return true
}

// fillRows sets the other columns of n rows. It reports false where a row would be
// rejected.
func (d *Decoder) fillRows(n int) bool {
	b := d.batch
	b.BeginDirect(nil) // a row that was rejected may have left NULLs
	for row := d.row; row < d.row+n; row++ {
		if len(d.rest) > 0 {
			b.BeginDirect(d.unset)
			for _, i := range d.rest {
				if class, _ := d.set(i, &d.cells[i], row); class != "" {
					return false
				}
			}
			if class, _ := b.Missing(); class != "" {
				return false
			}
		}
		b.Accept(connectors.Value{Start: int32(row), End: int32(row + 1)})
	}
	return true
}

// fillColumn writes column i of n rows.
func (d *Decoder) fillColumn(i int, c *cell, n int) filling {
	to := d.batch.Columns[i]
	from, end := d.row, d.row+n
	if c.values == nil || c.below != nil || to.Field.Mode != connectors.FieldColumn && c.values.NullN() > 0 {
		return byRow
	}
	null := d.nullRows(c, from, n)
	if null != nil && to.Field.Column.NotNull {
		return misfits
	}
	switch a := c.values.(type) {
	case *array.Boolean:
		if !to.DirectBool() {
			return byRow
		}
		for row := range n {
			switch {
			case null != nil && null[row]:
				to.SetNull(row)
			case a.Value(from + row):
				to.SetBit(row, 1)
			default:
				to.SetBit(row, 0)
			}
		}
		return filled
	case *array.Int8:
		return fillInts(to, a.Int8Values()[from:end], null)
	case *array.Int16:
		return fillInts(to, a.Int16Values()[from:end], null)
	case *array.Int32:
		return fillInts(to, a.Int32Values()[from:end], null)
	case *array.Int64:
		return fillInts(to, a.Int64Values()[from:end], null)
	case *array.Uint8:
		return fillInts(to, a.Uint8Values()[from:end], null)
	case *array.Uint16:
		return fillInts(to, a.Uint16Values()[from:end], null)
	case *array.Uint32:
		return fillInts(to, a.Uint32Values()[from:end], null)
	case *array.Uint64:
		if to.Type.Kind != types.Uint64 || to.Field.Mode != connectors.FieldColumn {
			return byRow
		}
		return fillEach(to, a.Uint64Values()[from:end], null, func(row int, v uint64) bool {
			to.Int64s[row] = int64(v)
			return true
		})
	case *array.Float64:
		if !to.DirectDouble() {
			return byRow
		}
		return fillEach(to, a.Float64Values()[from:end], null, to.SetDouble)
	case *array.Decimal128:
		factor, below, ok := to.DirectDecimal(int(a.DataType().(*arrow.Decimal128Type).Scale))
		if !ok {
			return byRow
		}
		return fillEach(to, a.Values()[from:end], null, func(row int, v decimal128.Num) bool {
			x := int64(v.LowBits())
			to.SetDecimal64(row, x*factor)
			return v.HighBits() == x>>63 && x < below && x > -below
		})
	case *array.Date32:
		if !to.DirectDate() {
			return byRow
		}
		return fillEach(to, a.Date32Values()[from:end], null, func(row int, v arrow.Date32) bool {
			to.Int32s[row] = int32(v)
			return columns.IsDate(int64(v))
		})
	case *array.Timestamp:
		return fillMoments(to, a.TimestampValues()[from:end], a.DataType().(*arrow.TimestampType).Unit, null)
	case *array.String:
		if !to.DirectText(!c.column) {
			return byRow
		}
		return fillTexts(to, a, from, n, null)
	case *array.Dictionary:
		words, ok := a.Dictionary().(*array.String)
		indices, wide := a.Indices().(*array.Int32)
		if !ok || !wide || words.NullN() > 0 || !to.DirectText(!c.column) {
			return byRow
		}
		return d.fillWords(to, words, indices.Int32Values()[from:end], null)
	}
	return byRow
}

// nullRows says which of n rows are NULL; nil if none is.
func (d *Decoder) nullRows(c *cell, from, n int) []bool {
	var null []bool
	note := func(a arrow.Array) {
		if a.NullN() == 0 {
			return
		}
		if null == nil {
			d.null = append(d.null[:0], make([]bool, n)...)
			null = d.null
		}
		for row := range n {
			null[row] = null[row] || a.IsNull(from+row)
		}
	}
	note(c.values)
	for _, s := range c.above {
		note(s)
	}
	return null
}

// fillEach writes values by set, which reports false for one that does not fit.
func fillEach[T any](to *columns.Builder, values []T, null []bool, set func(row int, v T) bool) filling {
	for row, v := range values {
		if null != nil && null[row] {
			to.SetNull(row)
		} else if !set(row, v) {
			return misfits
		}
	}
	return filled
}

func fillInts[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](to *columns.Builder, values []T, null []bool) filling {
	if !to.DirectInt() {
		return byRow
	}
	low, high := to.Low, to.High
	for row, v := range values {
		switch v := int64(v); {
		case null != nil && null[row]:
			to.SetNull(row)
		case v < low || v > high:
			return misfits
		default:
			to.SetInt(row, v)
		}
	}
	return filled
}

func fillMoments(to *columns.Builder, values []arrow.Timestamp, unit arrow.TimeUnit, null []bool) filling {
	kept, factor := to.MomentUnit(), microsIn(unit)
	if kept == 0 || factor == 0 {
		return byRow
	}
	most := math.MaxInt64 / factor
	for row, v := range values {
		if null != nil && null[row] {
			continue
		}
		v := int64(v)
		if v > most || v < -most || !columns.IsMoment(v*factor) {
			return misfits
		}
		if v *= factor; kept == 1000 && v%1000 != 0 || kept != 1000 && kept > factor && v%kept != 0 {
			return byRow
		}
		to.Int64s[row] = v
	}
	if null != nil {
		for row := range values {
			if null[row] {
				to.SetNull(row)
			}
		}
	}
	return filled
}

func fillTexts(to *columns.Builder, a *array.String, from, n int, null []bool) filling {
	texts := textsOf(a)
	for row := range n {
		if null != nil && null[row] {
			to.SetNull(row)
		} else if !texts.set(to, row, from+row) {
			return misfits
		}
	}
	return filled
}

// fillWords writes texts of a dictionary. Those that the builder numbers are looked
// up there once.
func (d *Decoder) fillWords(to *columns.Builder, words *array.String, indices []int32, null []bool) filling {
	d.codes = d.codes[:0]
	for range words.Len() {
		d.codes = append(d.codes, -1)
	}
	texts := textsOf(words)
	for row, i := range indices {
		switch {
		case null != nil && null[row]:
			to.SetNull(row)
		case to.Codes != nil && d.codes[i] >= 0:
			to.Codes[row] = d.codes[i]
		case !texts.set(to, row, int(i)):
			return misfits
		case to.Codes != nil:
			d.codes[i] = to.Codes[row]
		}
	}
	return filled
}

// texts are the values of an array of strings.
type texts struct {
	content []byte
	offsets []int32
}

func textsOf(a *array.String) texts {
	t := texts{offsets: a.ValueOffsets()}
	if b := a.Data().Buffers()[2]; b != nil {
		t.content = b.Bytes()
	}
	return t
}

// set writes the i-th text at a row, false if it may not fit.
func (t texts) set(to *columns.Builder, row, i int) bool {
	at, n := t.content[t.offsets[i]:], int(t.offsets[i+1]-t.offsets[i])
	if len(at) < columns.MostInterned && n <= columns.MostInterned {
		var last [2 * columns.MostInterned]byte
		copy(last[:], at)
		return to.SetString(row, last[:], n)
	}
	return to.SetString(row, at, n)
}
