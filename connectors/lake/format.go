package lake

import (
	"context"
	"slices"
	"strings"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/connectors/lake/textfile"
	"github.com/leatdb/leat/sql/types"
)

// fileEncoder makes the files of one lane in one format.
type fileEncoder interface {
	NewFile(sink parquetfile.Sink) dataFile
}

// dataFile is a file that is being written; the methods are those of
// parquetfile.File.
type dataFile interface {
	WriteRows(ctx context.Context, rows *parquetfile.Rows) error
	Size() int64
	Held() int64
	Finish(ctx context.Context) (parquetfile.Footer, error)
	Discard()
}

// detachable is a dataFile of which, before it is begun in its sink, all can be
// taken to join it with what other lanes have of the same partition.
type detachable interface {
	Begun() bool
	Detach() (*parquetfile.Part, error)
}

type parquetEncoder struct{ *parquetfile.Encoder }

// NewFile implements fileEncoder.
func (e parquetEncoder) NewFile(sink parquetfile.Sink) dataFile { return e.Encoder.NewFile(sink) }

type textEncoder struct{ *textfile.Encoder }

// NewFile implements fileEncoder.
func (e textEncoder) NewFile(sink parquetfile.Sink) dataFile { return e.Encoder.NewFile(sink) }

func newFileEncoder(s *streamSink, pool *parquetfile.Pool) (fileEncoder, error) {
	encoding := s.settings.Load().encoding
	format := s.spec.Options.String("format")
	if format == "parquet" {
		e, err := parquetfile.NewEncoder(s.schema, pool, encoding)
		if err != nil {
			return nil, err
		}
		return parquetEncoder{e}, nil
	}
	e, err := textfile.NewEncoder(textColumns(s), textfile.Options{
		Format: textfile.Format(format), Compression: encoding.Compression, Level: encoding.Level, Header: s.spec.Options.Bool("header"),
	})
	if err != nil {
		return nil, err
	}
	return textEncoder{e}, nil
}

// textColumns are all columns of the table's files, in its order, since columns
// of CSV files are found by their place. Those that the stream does not write
// are NULL.
func textColumns(s *streamSink) []textfile.Column {
	var columns []textfile.Column
	for _, name := range s.target.FileColumns {
		c := textfile.Column{Name: name, Source: slices.IndexFunc(s.schema.Columns(), func(c parquetfile.Column) bool { return strings.EqualFold(c.Name, name) })}
		if c.Source >= 0 {
			have := s.schema.Columns()[c.Source]
			c.Type, c.Precision, c.Scale = have.Type, have.Precision, have.Scale
			i := s.spec.Schema.Index(name)
			c.Embedded = i >= 0 && s.spec.Schema[i].Type.Kind == types.JSON
		}
		columns = append(columns, c)
	}
	return columns
}
