package csv

import (
	"errors"
	"fmt"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/sql/types"
)

// maxInferred bounds the columns that Infer proposes.
const maxInferred = 2000

// Infer proposes a schema from sampled chunks: a column for each name of the
// headers, or for each field (c1, c2, …) where there are none. Its type is the
// narrowest that holds all fields that are not NULL: BOOLEAN; BIGINT, BIGINT
// UNSIGNED, DECIMAL(38, s) where DOUBLE would lose digits of large numbers, DOUBLE; DATE, TIMESTAMP(6); JSON where all are objects or arrays;
// else LONGTEXT. Rows that cannot be read, and fields behind the last name, are
// passed over. It fails when the samples hold no row.
func Infer(chunks []*connectors.Chunk, config connectors.DecoderConfig) (types.Schema, error) {
	d, err := newDialect(config.Options)
	if err != nil {
		return nil, err
	}
	var schema types.Schema
	var traits []columns.Traits
	index := map[string]int{} // by lower-case name, since columns differ in more than case
	column := func(name string) int {
		key := strings.ToLower(name)
		if i, ok := index[key]; ok {
			return i
		}
		if len(schema) == maxInferred {
			return -1
		}
		index[key] = len(schema)
		schema = append(schema, types.Column{Name: name})
		traits = append(traits, columns.Traits{})
		return len(schema) - 1
	}
	var payloads columns.Payloads
	var fields []field
	var scratch []byte
	rows := 0
	for _, c := range chunks {
		for payloads.Reset(c); payloads.Next(); {
			data, i, limit := payloads.Data, payloads.Pos, payloads.Limit
			header, file := payloads.File()
			if !file && d.headerAsked && d.header {
				n, _, _ := layout{d}.Header(data[i:limit], true)
				header, i = data[i:i+n], i+n
			}
			names, err := layout{d}.names(header)
			if err != nil {
				return nil, err
			}
			named := len(names) > 0
			for i < limit {
				if end := d.emptyLine(data, i, limit); end >= 0 {
					i = end + 1
					continue
				}
				var end int
				var why problem
				fields, _, end, why = d.row(data, i, limit, fields, maxInferred)
				if why != "" {
					i = lineEnd(data, i, limit) + 1
					continue
				}
				i = end + 1
				rows++
				for k, f := range fields {
					for !named && k >= len(names) {
						names = append(names, fmt.Sprintf("c%d", len(names)+1))
					}
					if k >= len(names) || names[k] == "" {
						continue
					}
					at := column(names[k])
					if at >= 0 && !d.isNull(f, data, true) {
						traits[at] = traits[at].With(columns.TextTraits(f.text(data, d.quote, &scratch)))
					}
				}
			}
		}
	}
	if rows == 0 || len(schema) == 0 {
		return nil, errors.New("infer columns from CSV: no row among the sampled data; declare the columns")
	}
	for i := range schema {
		schema[i].Type = traits[i].TextType()
	}
	return schema, nil
}
