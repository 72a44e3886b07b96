package connectors

import "github.com/apache/arrow-go/v18/arrow"

// BatchSchema is the schema of batches whose columns of text are dictionary
// arrays, or values that the text would be cast to, in some and plain arrays in
// others.
type BatchSchema struct {
	base, last *arrow.Schema
}

// NewBatchSchema is the schema of batches whose columns are base's, or others in
// place of text.
func NewBatchSchema(base *arrow.Schema) *BatchSchema { return &BatchSchema{base, base} }

// Of is the schema of a batch of these columns.
func (s *BatchSchema) Of(columns []arrow.Array) *arrow.Schema {
	for i, c := range columns {
		if !sameRepresentation(s.last.Field(i).Type, c.DataType()) {
			s.last = s.derive(columns)
			break
		}
	}
	return s.last
}

func sameRepresentation(a, b arrow.DataType) bool { return a == b || a.ID() == b.ID() }

func (s *BatchSchema) derive(columns []arrow.Array) *arrow.Schema {
	fields := s.base.Fields()
	for i, c := range columns {
		if fields[i].Type.ID() != c.DataType().ID() {
			fields[i].Type = c.DataType()
		}
	}
	metadata := s.base.Metadata()
	return arrow.NewSchema(fields, &metadata)
}
