// Package parquet reads Parquet files: a row group at a time, and of it only the
// column chunks that the query needs.
//
// Columns find their fields by name, the exact one first, else one that differs
// only in case; a path into a struct reads only what lies there. Structs, lists
// and maps are JSON, bytes in it base64. A position counts rows of the file. The
// dead letter of a row has, in place of bytes, the JSON of what was read of it.
package parquet

import (
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name:       "parquet",
		Doc:        "Parquet files, of which only the columns are read that the query needs.",
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Check:      check,
		Infer:      Infer,
		Blocks: func(o connectors.Options, fields []connectors.Field, predicates []connectors.Predicate) (connectors.Blocks, error) {
			return blocks{fields: fields, predicates: predicates, nulls: o.String("on_field_error") == "null"}, nil
		},
	})
}

func check(o connectors.Options) (types.Schema, error) {
	if c := o.String("connector"); c != "" && c != "files" {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "format = 'parquet' is for files, not for the messages of connector = '%s'", c)
	}
	return nil, nil
}
