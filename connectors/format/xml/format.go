// Package xml decodes XML documents: each element that record_path leads to is a
// value.
//
// An element is JSON: its text where it has neither attributes nor elements in
// it; else an object with its attributes as "@name", the elements in it by their
// names, several of one name as an array, and text beside them as "#text". The
// option array_elements names elements that are arrays also where there is one of
// them, so that JSON_TABLE and UNNEST find what they look for. Names are taken
// without their namespaces, space around texts is cut.
//
// A column is the element or else the attribute of its name in the record. The
// column parents, unless the record has one itself, is what the elements around
// the record had before it: an object by their names, of their attributes and
// elements.
//
// Documents are read whole, and may have no more than max_record_bytes. Entities that a document declares are not expanded: a
// document that uses one cannot be read.
package xml

import (
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name: "xml",
		Doc:  "XML documents, of which each element at record_path is a value; attributes and elements within it are JSON, attributes as \"@name\", text beside them as \"#text\", several elements of one name as an array. The column parents is what lies around the record.",
		Spec: connectors.Spec{
			{Name: "record_path", Required: true, Doc: "The names of the elements that lead to a record, from the document's own on: 'measCollecFile/measData/measInfo'. A * stands for any name."},
			{Name: "array_elements", Kind: connectors.OptionList, Doc: "Names of elements that are arrays in JSON also where there is only one of them: 'measValue,r'."},
		},
		Documents:  true,
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Check:      check,
		Infer:      Infer,
	})
}

func check(o connectors.Options) (types.Schema, error) {
	_, err := recordPath(o)
	return nil, err
}

// recordPath is the names that lead to a record.
func recordPath(o connectors.Options) ([]string, error) {
	names := strings.Split(strings.Trim(o.String("record_path"), "/"), "/")
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "@[]()'\": ") {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"record_path\": %q is no name of an element", name).
				WithHint("write the names of elements from the document's own on, without namespaces: 'list/item'")
		}
	}
	return names, nil
}
