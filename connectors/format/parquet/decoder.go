package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
)

// Decoder implements connectors.Decoder for Parquet.
type Decoder struct {
	config connectors.DecoderConfig
	batch  *columns.Batch
	wanted []wanted

	header []byte // that footer was read of
	footer footer
	leaves []int

	chunk  *connectors.Chunk
	memory recycler
	pages  pageMemory // of reader
	reader pqarrow.RecordReader
	record arrow.RecordBatch // that is being taken over
	row    int               // of record, that comes next
	base   int64             // the number of record's first row in the file
	left   int64             // rows of the chunk that reader has not given yet
	cells  []cell
	json   []byte
	raw    []byte

	rest  []int   // fields that are set row by row
	unset []bool  // by field: whether it is one of them
	null  []bool  // by row
	codes []int32 // by number of a word in a dictionary: its code, −1 if it is not known
	// generic has all rows taken one by one, for tests and comparisons.
	generic bool
}

// wanted is how a field is found.
type wanted struct {
	path []string
}

// NewDecoder makes a decoder of Parquet row groups.
func NewDecoder(config connectors.DecoderConfig) (*Decoder, error) {
	batch, err := columns.NewBatch(&config)
	if err != nil {
		return nil, fmt.Errorf("build a Parquet decoder: %w", err)
	}
	d := &Decoder{config: config, batch: batch, cells: make([]cell, len(config.Fields)), unset: make([]bool, len(config.Fields))}
	d.memory = recycler{from: config.Alloc}
	d.pages = pageMemory{recycler: &d.memory, lent: map[*byte][]byte{}}
	for _, f := range config.Fields {
		d.wanted = append(d.wanted, wanted{f.Path})
	}
	return d, nil
}

// Reset begins a new chunk.
func (d *Decoder) Reset(c *connectors.Chunk) {
	d.release()
	d.chunk, d.base, d.left = c, c.Base, -1
}

func (d *Decoder) release() {
	if d.record != nil {
		d.record.Release()
		d.record = nil
	}
	if d.reader != nil {
		d.reader.Release()
		d.reader = nil
	}
	d.pages.reset()
}

// Close frees the buffers.
func (d *Decoder) Close() {
	d.release()
	d.memory.close()
	d.batch.Close()
}

// Next decodes up to maxRows more rows of the chunk.
func (d *Decoder) Next(maxRows int) (*connectors.Decoded, error) {
	if maxRows <= 0 {
		return nil, fmt.Errorf("decode Parquet: maxRows is %d", maxRows)
	}
	d.batch.Begin(maxRows)
	if d.chunk == nil || len(d.chunk.Ranges) == 0 {
		for d.chunk != nil && !d.batch.Full(maxRows) {
			// A source of messages: no payload is a Parquet file in blocks.
			for i, r := range d.chunk.Records {
				d.batch.Reject(connectors.Value{Start: r.Start, End: r.End, Record: int32(i)}, connectors.ClassDecode, "Parquet is read from files only")
			}
			d.chunk = nil
		}
		return d.batch.Finish(0), nil
	}
	if d.left < 0 {
		d.left = 0
		if err := d.open(); err != nil {
			d.broken(err)
		}
	}
	if d.record != nil && int64(d.row) == d.record.NumRows() {
		d.record.Release()
		d.record = nil
	}
	// A batch is of one record, whose rows its dead letters show.
	if d.record == nil && d.left > 0 {
		if err := d.read(); err != nil {
			d.broken(err)
		}
	}
	if d.record != nil {
		n := int(d.record.NumRows())
		if !d.fill(min(n-d.row, maxRows), maxRows) {
			for ; d.row < n && !d.batch.Full(maxRows); d.row++ {
				d.take(d.row)
			}
		}
	}
	out := d.batch.Finish(0)
	if out != nil {
		out.Locate = d.locate
	}
	return out, nil
}

// batchRows is how many rows the library reads at a time.
const batchRows = 8192

// open begins to read the row group.
func (d *Decoder) open() (err error) {
	defer recovered(&err)
	if !bytes.Equal(d.header, d.chunk.Header) || d.header == nil {
		f, err := readFooter(d.chunk.Header)
		if err != nil {
			return err
		}
		d.header, d.footer, d.leaves = slices.Clone(d.chunk.Header), f, f.leaves(d.config.Fields)
		if d.config.Fields == nil {
			d.leaves = f.leaves([]connectors.Field{})
		}
	}
	if d.chunk.Block >= d.footer.meta.NumRowGroups() {
		return errFooter
	}
	d.left = d.footer.meta.RowGroup(d.chunk.Block).NumRows()
	props := pq.NewReaderProperties(&d.pages)
	props.BufferedStreamEnabled = true // else it copies each column before it reads it
	reader, err := file.NewParquetReader(&pieces{chunk: d.chunk}, file.WithMetadata(d.footer.meta), file.WithReadProps(props))
	if err != nil {
		return err
	}
	options := pqarrow.ArrowReadProperties{BatchSize: batchRows}
	for _, leaf := range d.leaves {
		options.SetReadDict(leaf, d.footer.fewWords(d.chunk.Block, leaf))
	}
	arrowReader, err := pqarrow.NewFileReader(reader, options, &d.memory)
	if err != nil {
		return err
	}
	d.reader, err = arrowReader.GetRecordReader(context.Background(), d.leaves, []int{d.chunk.Block})
	return err
}

// recovered makes a panic of the library over damaged bytes an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("it is damaged: %v", r)
	}
}

// read reads the next rows of the row group.
func (d *Decoder) read() (err error) {
	defer recovered(&err)
	record, err := d.reader.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it has fewer rows than the footer says")
		}
		return err
	}
	for _, column := range record.Columns() {
		if err := checkWords(column); err != nil {
			return err
		}
	}
	record.Retain()
	d.record, d.row = record, 0
	d.base = d.chunk.Base + d.footer.meta.RowGroup(d.chunk.Block).NumRows() - d.left
	d.left -= record.NumRows()
	if record.NumRows() == 0 {
		return errors.New("it has fewer rows than the footer says")
	}
	for i, w := range d.wanted {
		if d.cells[i], err = cellOf(record, w.path); err != nil {
			return err
		}
	}
	return nil
}

// checkWords looks for numbers that a dictionary does not have, which the library
// passes on.
func checkWords(values arrow.Array) error {
	switch a := values.(type) {
	case *array.Struct:
		for i := range a.NumField() {
			if err := checkWords(a.Field(i)); err != nil {
				return err
			}
		}
	case array.ListLike:
		return checkWords(a.ListValues())
	case *array.Dictionary:
		indices, ok := a.Indices().(*array.Int32)
		if !ok {
			return nil
		}
		words := uint32(a.Dictionary().Len())
		for i, v := range indices.Int32Values() {
			if uint32(v) >= words && indices.IsValid(i) {
				return errors.New("it has a number beyond its dictionary")
			}
		}
	}
	return nil
}

// broken rejects what is left of the row group.
func (d *Decoder) broken(err error) {
	at := d.base
	if d.record != nil {
		at += d.record.NumRows()
		d.record.Release()
		d.record = nil
	}
	d.batch.Reject(connectors.Value{Start: int32(at - d.base)}, connectors.ClassDecode,
		fmt.Sprintf("row group %d of the Parquet file cannot be read from row %d of the file on: %v", d.chunk.Block, at, err))
	d.left = 0
}

// take makes a row of a row of the record.
func (d *Decoder) take(row int) {
	b := d.batch
	value := connectors.Value{Start: int32(row), End: int32(row + 1)}
	b.BeginRow()
	for i := range d.cells {
		if class, message := d.set(i, &d.cells[i], row); class != "" {
			b.Reject(value, class, message)
			return
		}
	}
	if class, message := b.Missing(); class != "" {
		b.Reject(value, class, message)
		return
	}
	b.Accept(value)
}

// locate shows a row as the JSON of what was read of it.
func (d *Decoder) locate(v connectors.Value) (raw []byte, offset int64, within int32) {
	if d.record != nil && int64(v.Start) < d.record.NumRows() && v.End > v.Start {
		d.raw = append(d.raw[:0], '{')
		for i, f := range d.record.Schema().Fields() {
			if i > 0 {
				d.raw = append(d.raw, ',')
			}
			d.raw = append(mysqljson.AppendQuoted(d.raw, []byte(strings.ToValidUTF8(f.Name, "\ufffd"))), ':')
			d.raw = appendJSON(d.raw, d.record.Column(i), int(v.Start))
		}
		raw = append(d.raw, '}')
		d.raw = raw
	}
	return raw, d.base + int64(v.Start), 0
}

// pieces is the file as far as the chunk has it.
type pieces struct {
	chunk *connectors.Chunk
	at    int64
}

// ReadAt implements io.ReaderAt.
func (p *pieces) ReadAt(b []byte, off int64) (int, error) {
	ranges := p.chunk.Ranges
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].Offset > off }) - 1
	if i < 0 || off >= ranges[i].Offset+ranges[i].Length {
		return 0, io.ErrUnexpectedEOF
	}
	start := int64(0)
	for _, r := range ranges[:i] {
		start += r.Length
	}
	start += off - ranges[i].Offset
	n := copy(b, p.chunk.Data[start:start+ranges[i].Offset+ranges[i].Length-off])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Seek implements io.Seeker.
func (p *pieces) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		p.at = offset
	case io.SeekCurrent:
		p.at += offset
	default:
		return 0, errors.New("seek from the end of a part of a file")
	}
	return p.at, nil
}

// cell is where the values of a field are in a record.
type cell struct {
	values arrow.Array
	above  []arrow.Array // structs around it
	below  *mysqljson.Path
	column bool // it is a column of the file, not a part of one
}

// cellOf finds the field of a path.
func cellOf(record arrow.RecordBatch, path []string) (c cell, err error) {
	at := fieldNamed(record.Schema().Fields(), path[0])
	if at < 0 {
		return cell{}, nil
	}
	c = cell{values: record.Column(at), column: len(path) == 1}
	rest := path[1:]
	for len(rest) > 0 {
		s, ok := c.values.(*array.Struct)
		if !ok {
			break
		}
		i, ok := s.DataType().(*arrow.StructType).FieldIdx(rest[0])
		if !ok {
			break
		}
		c.above = append(c.above, s)
		c.values, rest = s.Field(i), rest[1:]
	}
	if len(rest) > 0 {
		text := []byte{'$'}
		for _, name := range rest {
			if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
				text = append(text, name...)
				continue
			}
			text = mysqljson.AppendQuoted(append(text, '.'), []byte(name))
		}
		below, err := mysqljson.ParsePath(string(text))
		if err != nil {
			return c, fmt.Errorf("path %s: %w", text, err)
		}
		c.below = &below
		c.column = len(rest) == len(path)-1
	}
	return c, nil
}
