package json

import (
	"fmt"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// maxInferred bounds the columns that Infer proposes.
const maxInferred = 2000

// Infer proposes a schema from sampled chunks: a column for each member, in the
// order in which they appear first. A member's type is the narrowest that holds
// all its values: BOOLEAN; BIGINT, BIGINT UNSIGNED, DECIMAL(38, s) where DOUBLE would
// lose digits of large numbers, DOUBLE; DATE, TIMESTAMP(6);
// LONGTEXT for other and for mixed single values; JSON where an object or array
// is among them; LONGTEXT where all are null. Records that do not parse are
// passed over. It fails when the samples hold no record.
func Infer(chunks []*connectors.Chunk, config connectors.DecoderConfig) (types.Schema, error) {
	in := inference{index: map[string]int{}}
	frames := framer{framing: config.Framing}
	for _, c := range chunks {
		frames.reset(c, c.Data)
		for frames.next() {
			start := frames.pos
			end, err := in.add(frames.data[:frames.bound(start)], start)
			if err != nil {
				end, _ = frames.brokenOff(start, err)
			}
			frames.pos = end
		}
	}
	return in.schema()
}

// inference collects what is known of each member.
type inference struct {
	index   map[string]int // by lower-case name, since columns differ in more than case
	members []inferred
	records int
}

type inferred struct {
	name   string
	traits columns.Traits
}

// add looks at the value at doc[start] and returns where it ends.
func (in *inference) add(doc []byte, start int) (end int, err error) {
	if end, err = mysqljson.Scan(doc, start); err != nil || doc[start] != '{' {
		return end, err
	}
	members, err := mysqljson.Members(doc[start:end])
	if err != nil {
		return 0, err
	}
	in.records++
	for _, m := range members {
		key := strings.ToLower(m.Name)
		i, ok := in.index[key]
		if !ok {
			if len(in.members) >= maxInferred || m.Name == "" {
				continue
			}
			i = len(in.members)
			in.index[key] = i
			in.members = append(in.members, inferred{name: m.Name})
		}
		in.members[i].traits = in.members[i].traits.With(columns.JSONTraits(m.Value))
	}
	return end, nil
}

func (in *inference) schema() (types.Schema, error) {
	if len(in.members) == 0 {
		return nil, fmt.Errorf("infer columns from JSON: no object with members among the sampled records (%d objects); declare the columns", in.records)
	}
	schema := make(types.Schema, len(in.members))
	for i, m := range in.members {
		schema[i] = types.Column{Name: m.name, Type: m.traits.Type()}
	}
	return schema, nil
}
