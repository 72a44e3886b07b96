package columns

import (
	"errors"

	"github.com/leatdb/leat/sql/types"
)

// Versions puts together the columns of a sample whose records name the version
// of the schema that they are written with: those of all versions, of two types
// of one column that of the newest version, whose id is the highest.
type Versions struct {
	seen   map[string]bool
	top    int // the highest id
	any    bool
	schema types.Schema
	why    string
}

// Add takes the version that name tells from others and whose id is id; of is
// called for each version once. It gives its columns, or says why records of it
// cannot be read for good.
func (v *Versions) Add(name []byte, id int, of func() (schema types.Schema, why string, err error)) error {
	if v.seen[string(name)] {
		return nil
	}
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	v.seen[string(name)] = true
	schema, why, err := of()
	switch {
	case err != nil:
		return err
	case why != "":
		v.Unreadable(why)
	case !v.any || id > v.top:
		v.any, v.top, v.schema = true, id, merge(schema, v.schema)
	default:
		v.schema = merge(v.schema, schema)
	}
	return nil
}

// Unreadable tells of a record that has no schema, and why.
func (v *Versions) Unreadable(why string) {
	if v.why == "" {
		v.why = why
	}
}

// Schema gives the columns, none of a sample without records. It fails with the
// first reason when no record can be read.
func (v *Versions) Schema() (types.Schema, error) {
	if !v.any && v.why != "" {
		return nil, errors.New("no record of the sample can be read: " + v.why)
	}
	return v.schema, nil
}

// merge adds the columns that a does not have.
func merge(a, b types.Schema) types.Schema {
	for _, c := range b {
		if a.Index(c.Name) < 0 {
			a = append(a, c)
		}
	}
	return a
}
