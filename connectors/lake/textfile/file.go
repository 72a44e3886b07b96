// Package textfile writes the text files of Hive folders: JSON, a value a line
// (https://github.com/ndjson/ndjson-spec), and CSV (RFC 4180, lines ended by LF).
//
// Rows come in the column buffers of package parquetfile. Each batch of them is
// compressed on its own: gzip and zstd files are sequences of members or frames,
// as their formats allow.
package textfile

import (
	"context"
	"errors"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// Format is how a row is written.
type Format string

// The formats.
const (
	JSON Format = "json"
	CSV  Format = "csv"
)

// Column is one column of a file.
type Column struct {
	Name             string
	Type             parquetfile.Type
	Precision, Scale int // of a Decimal
	// Embedded says that strings of the column are JSON values themselves.
	Embedded bool
	// Source is the column's index in the rows, negative where they do not have
	// it, so that it is NULL.
	Source int
}

// Options say how files are encoded.
type Options struct {
	Format      Format
	Compression parquetfile.Compression // none, gzip or zstd
	Level       int                     // 0 is the codec's default
	// Header is a first line of column names in CSV files.
	Header bool
}

// Encoder makes the files of one lane.
type Encoder struct {
	columns    []Column
	options    Options
	compressor *parquetfile.Compressor
	keys       [][]byte // `"name":` by column
	cursors    []parquetfile.Cursor
	text       []byte
	packed     []byte
}

// NewEncoder makes an encoder.
func NewEncoder(columns []Column, options Options) (*Encoder, error) {
	c, err := parquetfile.NewCompressor(options.Compression, options.Level)
	if err != nil {
		return nil, err
	}
	e := &Encoder{columns: columns, options: options, compressor: c, cursors: make([]parquetfile.Cursor, len(columns))}
	for _, col := range columns {
		e.keys = append(e.keys, append(appendJSONString(nil, []byte(col.Name)), ':'))
	}
	return e, nil
}

// File is a file that is being written. It belongs to the encoder's lane.
type File struct {
	encoder *Encoder
	sink    parquetfile.Sink
	at      int64
	rows    int64
	err     error
}

// NewFile begins a file.
func (e *Encoder) NewFile(sink parquetfile.Sink) *File { return &File{encoder: e, sink: sink} }

// WriteRows writes rows to the sink and releases them. After an error the file is
// useless.
func (f *File) WriteRows(ctx context.Context, rows *parquetfile.Rows) error {
	if f.err != nil || rows.Len() == 0 {
		return f.err
	}
	e := f.encoder
	e.text = e.text[:0]
	if f.at == 0 && e.options.Format == CSV && e.options.Header {
		e.text = e.appendHeader(e.text)
	}
	e.appendRows(rows)
	f.rows += int64(rows.Len())
	rows.Release()
	text := e.text
	if e.options.Compression != parquetfile.None {
		if e.packed, f.err = e.compressor.Compress(e.packed[:0], text); f.err != nil {
			return f.err
		}
		text = e.packed
	}
	if f.err = f.sink.Write(ctx, text); f.err == nil {
		f.at += int64(len(text))
	}
	return f.err
}

// Size is how many bytes the file has so far.
func (f *File) Size() int64 { return f.at }

// Held is the memory that the file takes, in bytes: none, all is in the sink.
func (f *File) Held() int64 { return 0 }

// Finish ends the file.
func (f *File) Finish(context.Context) (parquetfile.Footer, error) {
	if f.err != nil {
		return parquetfile.Footer{}, f.err
	}
	f.err = errors.New("the file is finished")
	return parquetfile.Footer{Rows: f.rows, Bytes: f.at}, nil
}

// Discard ends a file that will not be finished.
func (f *File) Discard() {
	if f.err == nil {
		f.err = errors.New("the file was discarded")
	}
}
