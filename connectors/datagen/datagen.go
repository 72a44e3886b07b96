// Package datagen makes rows up: JSON objects with a value for each declared
// column, for demonstrations, tests and benchmarks.
//
// Row n of a split is a function of the seed, the split and n alone, except for
// columns that hold the current time. So a stream that is stopped and started
// goes on with the row that comes next, and two runs make the same rows.
package datagen

import (
	"context"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// Connector is the registration of connector = 'datagen'.
var Connector = &connectors.SourceConnector{
	Name:          "datagen",
	Doc:           "Rows that are made up, as JSON: one value for each declared column.",
	Spec:          spec,
	Hidden:        hidden,
	Framing:       connectors.FramingDocument,
	Unordered:     true,
	FormatDefault: "json",
	Open:          open,
	Check:         check,
}

func init() { connectors.RegisterSource(Connector) }

var spec = connectors.Spec{
	{Name: "rows_per_second", Kind: connectors.OptionFloat, Max: 1e9, Doc: "How many rows are made a second, 0 for as many as possible; default 100, or 0 when rows is given."},
	{Name: "rows", Kind: connectors.OptionInt, Max: 1 << 62, Doc: "How many rows are made in all; the source is then finished. 0 is no end."},
	{Name: "seed", Kind: connectors.OptionInt, Default: "0", Doc: "Other seeds make other rows."},
	{Name: "splits", Kind: connectors.OptionInt, Default: "1", Min: 1, Max: 1024, Doc: "How many independent sequences of rows there are."},
	{Name: "fields.", Prefix: true, Doc: "fields.<column>.<property> says how a column's values are made, fields.<column>.<member>.… how those of a JSON column's members, <member>[] those of an array's elements. " +
		"Properties: min, max; choices = 'a,b' or with weights 'a:5,b:1'; skew (the exponent of a Zipf distribution over the choices or the range); null_ratio; length = '8' or '4-12' (of a text; of an array its elements); " +
		"sequence = first number; start (a time or 'now'), interval, jitter for times; decimals for FLOAT and DOUBLE; type for members."},
}.With(connectors.SourceOptions)

const (
	hiddenPartition = "_partition"
	hiddenOffset    = "_offset"
)

var hidden = []connectors.Hidden{
	{Name: hiddenPartition, Type: types.Type{Kind: types.Int32}, Doc: "The split that made the row."},
	{Name: hiddenOffset, Type: types.TypeInt64, Doc: "The row's number in its split."},
}

// defaultRate is rows_per_second of a source without an end.
const defaultRate = 100

func open(_ context.Context, cfg connectors.SourceConfig) (connectors.Source, error) {
	s, err := newSource(cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func check(_ context.Context, cfg connectors.SourceConfig) error {
	_, err := newSource(cfg)
	return err
}

// quantum is the least time that a source with a rate waits, so that rows come
// in batches.
const quantum = 10 * time.Millisecond
