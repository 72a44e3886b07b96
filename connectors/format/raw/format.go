// Package raw takes records as they are: a line of a file, or the payload of a
// message, is the value of the source's only column.
package raw

import (
	"fmt"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name:       "raw",
		Doc:        "Lines of text, or payloads as they are, as the one column of the source.",
		NewDecoder: NewDecoder,
		Infer:      infer,
	})
}

// NewDecoder makes a decoder whose one column is the record. It fails when the
// source has several columns.
func NewDecoder(config connectors.DecoderConfig) (connectors.Decoder, error) {
	if len(config.Schema) > 1 {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "format 'raw' has one column, and %d are declared", len(config.Schema)).
			WithHint("declare one column, such as line TEXT, and take it apart in the query; format 'regex' gives several")
	}
	batch, err := columns.NewBatch(&config)
	if err != nil {
		return nil, fmt.Errorf("build a raw decoder: %w", err)
	}
	d := &columns.LineDecoder{Batch: batch}
	d.Decode = func(line []byte) (class connectors.ErrorClass, message string) {
		for i := range batch.Columns {
			if class, message = batch.Set(i, line); class != "" {
				break
			}
		}
		return class, message
	}
	return d, nil
}

func infer(chunks []*connectors.Chunk, config connectors.DecoderConfig) (types.Schema, error) {
	name := "line"
	if config.Framing == connectors.FramingDocument {
		name = "payload"
	}
	for _, c := range chunks {
		valid := len(c.Records) > 0 || utf8.Valid(c.Data)
		for _, r := range c.Records {
			valid = valid && utf8.Valid(c.Data[r.Start:r.End])
		}
		if !valid {
			return types.Schema{{Name: name, Type: types.Type{Kind: types.Binary, Name: "LONGBLOB"}}}, nil
		}
	}
	return types.Schema{{Name: name, Type: types.Type{Kind: types.String, Name: "LONGTEXT"}}}, nil
}
