// Package avro decodes Avro records into Arrow columns: messages in the wire
// format of a Confluent schema registry, messages of one given schema, and
// Avro's object container files. See https://avro.apache.org/docs/1.12.0/specification/
//
// A schema is compiled once, for the columns that are wanted, into a plan that
// walks over the bytes of a record: wanted values go straight into the columns,
// others are skipped. Columns find their fields by name, the exact one first,
// else one that differs only in case, whatever version of the schema a record
// was written with; fields that a version lacks are NULL. A schema that is no
// record gives one column, named value.
//
// Records, arrays and maps are JSON objects and arrays; a union is the value of
// its branch; bytes in JSON are base64. Instants, dates and times of day are
// what the column's type makes of them, in JSON texts as MySQL writes them.
package avro

import (
	"fmt"
	"os"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name: "avro",
		Doc:  "Avro records: messages with the header of a Confluent schema registry, messages of one given schema, or object container files (.avro).",
		Spec: connectors.Spec{
			{Name: "schema", Doc: "The Avro schema of all messages, as JSON, where they come without the header of a registry. Files carry theirs."},
			{Name: "schema_file", Doc: "A file that holds the schema, in place of schema."},
		}.With(schemaregistry.Options),
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Check:      check,
		Infer:      Infer,
		Layout:     func(o connectors.Options) (connectors.Layout, error) { return newLayout(o) },
	})
}

// given is the schema that the options give, nil where they give none.
func given(o connectors.Options) (hamba.Schema, error) {
	text, option := o.String("schema"), "schema"
	if name := o.String("schema_file"); name != "" {
		if text != "" {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "options \"schema\" and \"schema_file\" exclude each other")
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"schema_file\": %w", err)
		}
		text, option = string(content), "schema_file"
	}
	switch {
	case text == "":
		return nil, nil
	case o.Has("schema_registry"):
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "options %q and \"schema_registry\" exclude each other", option).
			WithHint("messages in the registry's wire format name their schema themselves")
	}
	schema, err := parse(text, nil)
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %w", option, err)
	}
	return schema, nil
}

// parse reads a schema, which may use those of others.
func parse(text string, others *hamba.SchemaCache) (hamba.Schema, error) {
	cache := &hamba.SchemaCache{}
	cache.AddAll(others)
	schema, err := hamba.ParseWithCache(text, "", cache)
	if err != nil {
		return nil, fmt.Errorf("read Avro schema: %w", err)
	}
	return schema, nil
}

// check verifies the options of messages, and gives the columns of a given
// schema.
func check(o connectors.Options) (types.Schema, error) {
	schema, err := given(o)
	if err != nil {
		return nil, err
	}
	registry, err := schemaregistry.New(o)
	if err != nil {
		return nil, err
	}
	registry.Close()
	if o.String("connector") == "files" {
		_, err := newLayout(o)
		return nil, err
	}
	if schema == nil && registry == nil {
		return nil, errNoSchema()
	}
	if schema == nil {
		return nil, nil
	}
	return columnsOf(schema), nil
}

func errNoSchema() error {
	return sqlerror.Userf(sqlerror.CodeBadOption, "Avro messages need the option \"schema_registry\", \"schema\" or \"schema_file\"").
		WithHint("messages that begin with a zero byte and a schema id need schema_registry = 'http://…:8081'")
}
