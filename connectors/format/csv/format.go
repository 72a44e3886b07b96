// Package csv decodes CSV and TSV rows into Arrow columns: one pass over the
// bytes, without an allocation per row.
//
// The grammar is RFC 4180's, read generously: rows end with LF or CRLF; a field
// that begins with a quote goes on to the next quote that is not doubled, over
// line breaks too; a quote elsewhere is a character like others. Empty lines
// are no rows. A row that cannot be read ends with its line, and the next line
// begins anew.
//
// Fields become columns by the names in the file's header, the exact name first,
// else one that differs only in case, or without a header by their place among
// the declared columns. A name that a header repeats is name_2 there, then name_3. Values convert as MySQL's LOAD DATA would convert them
// (see columns.Builder.ConvertText).
package csv

import (
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

func init() {
	connectors.RegisterFormat(format("csv", ",", "Comma-separated values: rows of files, with or without a header, or rows as payloads of messages."))
	connectors.RegisterFormat(format("tsv", `\t`, "Tab-separated values: csv with another delimiter."))
}

func format(name, delimiter, doc string) *connectors.Format {
	return &connectors.Format{
		Name: name,
		Doc:  doc,
		Spec: connectors.Spec{
			{Name: "header", Kind: connectors.OptionBool, Default: "true", Doc: "Whether the first row of a file names the columns; a name that comes again is name_2, then name_3. Messages have such a row only when this is set to true."},
			{Name: "delimiter", Default: delimiter, Doc: `What separates fields: one ASCII character, \t for a tab.`},
			{Name: "quote", Default: `"`, Doc: "What surrounds fields that hold delimiters, line breaks or quotes, which are then doubled; '' means that nothing does."},
			{Name: "comment", Doc: "Lines that begin with this character are passed over."},
			{Name: "skip_lines", Kind: connectors.OptionInt, Default: "0", Max: 1000, Doc: "How many lines of a file come before its header or first row."},
			{Name: "null_values", Kind: connectors.OptionList, Default: `\N`, Doc: "Fields without quotes that spell NULL."},
			{Name: "empty_as_null", Kind: connectors.OptionBool, Default: "true", Doc: "Whether an empty field without quotes is NULL. In columns that are no text any empty field is."},
			{Name: "ragged_rows", Default: "dead_letter", Choices: []string{"dead_letter", "fill"}, Doc: "What happens to rows with fewer or more fields than the header or the declared columns: they become dead letters, or missing fields NULL and surplus ones are passed over."},
		},
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Infer:      Infer,
		Layout: func(o connectors.Options) (connectors.Layout, error) {
			d, err := newDialect(o)
			if err != nil {
				return nil, err
			}
			return layout{d}, nil
		},
	}
}

// dialect is what the options say of the grammar.
type dialect struct {
	delimiter byte
	quote     byte // 0 for none
	comment   byte // 0 for none
	header    bool
	// headerAsked says that the option was given, so that messages have a header
	// too.
	headerAsked bool
	skipLines   int
	nulls       []string
	nullLengths uint64 // bit n: a spelling of NULL has n bytes (63 and more: bit 63)
	emptyNull   bool
	fill        bool
}

func newDialect(o connectors.Options) (dialect, error) {
	d := dialect{
		header: o.Bool("header"), headerAsked: o.Has("header"), skipLines: int(o.Int("skip_lines")),
		nulls: o.List("null_values"), emptyNull: o.Bool("empty_as_null"), fill: o.String("ragged_rows") == "fill",
	}
	for _, n := range d.nulls {
		d.nullLengths |= 1 << min(len(n), 63)
	}
	var err error
	if d.delimiter, err = character(o, "delimiter", false); err != nil {
		return d, err
	}
	if d.quote, err = character(o, "quote", true); err != nil {
		return d, err
	}
	if d.comment, err = character(o, "comment", true); err != nil {
		return d, err
	}
	switch {
	case d.delimiter == d.quote, d.comment != 0 && (d.comment == d.delimiter || d.comment == d.quote):
		return d, sqlerror.Userf(sqlerror.CodeBadOption, "delimiter, quote and comment of a CSV format must be different characters")
	}
	return d, nil
}

// character reads an option that is one character.
func character(o connectors.Options, name string, optional bool) (byte, error) {
	text := o.String(name)
	switch {
	case text == `\t`:
		return '\t', nil
	case text == "" && optional:
		return 0, nil
	case len(text) != 1 || text[0] >= 0x80 || text[0] == '\n' || text[0] == '\r' || text[0] == 0:
		return 0, sqlerror.Userf(sqlerror.CodeBadOption, "%s %q is not one ASCII character", name, text).
			WithHint(`write for example %s = ';', or '\\t' for a tab`, name)
	}
	return text[0], nil
}
