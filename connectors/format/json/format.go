// Package json decodes JSON records into Arrow columns: one pass over the
// bytes, driven by the declared schema, without a tree or a map per record.
//
// A record's members become columns by name: the exact name first, else one
// that differs only in case. Names in paths below a column are exact, as in
// MySQL's JSON paths. Of duplicate members the last counts. Values convert as
// MySQL's INSERT would convert them (see column.convert), with two exceptions:
// a number with a fraction does not fit an integer column, and numbers in DATE,
// DATETIME and TIMESTAMP columns are epoch times (see mysqljson.EpochMicros).
//
// Two decoders share one meaning. The generic one (walk.go) validates, finds
// where each wanted value lies, converts, and explains what is wrong. In front
// of it a fast one (template.go) predicts from earlier records which bytes come
// between two values, so that in steady state names, separators and nesting are
// one comparison; it understands whatever is usual and leaves the rest of the
// record types, and every error, to the generic one.
package json

import (
	"github.com/leatdb/leat/connectors"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name:       "json",
		Doc:        "JSON objects, one after another: a file of lines, or the payload of a message.",
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Infer:      Infer,
	})
}
