package columns

import (
	"fmt"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/mysqljson"
)

// Wish is a column that looks for its value in what is nested: Names leads there.
type Wish struct {
	Column int
	Names  []string
}

// Below is a column that takes what a path leads to in a value's JSON text.
type Below struct {
	Column int
	Path   mysqljson.Path
}

// Below is the wish as a path; names in brackets are legs of their own.
func (w Wish) Below() (Below, error) {
	text := []byte{'$'}
	for _, name := range w.Names {
		if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
			text = append(text, name...)
			continue
		}
		text = mysqljson.AppendQuoted(append(text, '.'), []byte(name))
	}
	path, err := mysqljson.ParsePath(string(text))
	if err != nil {
		return Below{}, fmt.Errorf("path %s: %w", text, err)
	}
	return Below{w.Column, path}, nil
}

// SetBelow is SetJSON with what a path leads to in a document; a column whose path
// leads nowhere stays as it is.
func (b *Batch) SetBelow(below Below, doc []byte) (class connectors.ErrorClass, message string) {
	raw, found, err := mysqljson.Lookup(doc, below.Path)
	switch {
	case err != nil:
		return connectors.ClassField, err.Error()
	case found:
		return b.SetJSON(below.Column, raw)
	}
	return "", ""
}
