package dataflow

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// HiddenColumns turns the metadata of a chunk's records into columns beside the
// decoded ones.
type HiddenColumns struct {
	builders []array.Builder
	arrays   []arrow.Array
	rows     []connectors.Value
}

// NewHiddenColumns makes the columns, of the given types.
func NewHiddenColumns(alloc memory.Allocator, columns []types.Type) *HiddenColumns {
	h := &HiddenColumns{}
	for _, t := range columns {
		h.builders = append(h.builders, array.NewBuilder(alloc, t.Arrow()))
	}
	return h
}

func (h *HiddenColumns) release() {
	for _, a := range h.arrays {
		a.Release()
	}
	h.arrays = h.arrays[:0]
}

// Close frees the last arrays and the buffers.
func (h *HiddenColumns) Close() {
	h.release()
	for _, b := range h.builders {
		b.Release()
	}
}

// Take makes one array per hidden column with a row per value. The arrays are
// valid until the next call.
func (h *HiddenColumns) Take(c *connectors.Chunk, values []connectors.Value) ([]arrow.Array, error) {
	h.release()
	if len(c.Hidden) != len(h.builders) {
		return nil, fmt.Errorf("the source gave %d hidden columns instead of %d", len(c.Hidden), len(h.builders))
	}
	if len(c.Parts) > 0 && len(h.builders) > 0 {
		h.rows = append(h.rows[:0], values...)
		for i := range h.rows {
			h.rows[i].Record = int32(c.Part(h.rows[i]))
		}
		values = h.rows
	}
	for i, b := range h.builders {
		b.Reserve(len(values))
		h.fill(b, &c.Hidden[i], values)
		h.arrays = append(h.arrays, b.NewArray())
	}
	return h.arrays, nil
}

func (h *HiddenColumns) fill(b array.Builder, from *connectors.HiddenColumn, values []connectors.Value) {
	ints := func(appendValue func(int64)) {
		for _, v := range values {
			if from.Null != nil && from.Null[v.Record] {
				b.AppendNull()
				continue
			}
			appendValue(from.Ints[v.Record])
		}
	}
	switch b := b.(type) {
	case *array.Int64Builder:
		ints(b.Append)
	case *array.Uint64Builder:
		ints(func(v int64) { b.Append(uint64(v)) })
	case *array.Int32Builder:
		ints(func(v int64) { b.Append(int32(v)) })
	case *array.TimestampBuilder:
		ints(func(v int64) { b.Append(arrow.Timestamp(v)) })
	case *array.StringBuilder:
		for _, v := range values {
			if from.Null != nil && from.Null[v.Record] {
				b.AppendNull()
				continue
			}
			b.BinaryBuilder.Append(from.Bytes[v.Record])
		}
	case *array.BinaryBuilder:
		for _, v := range values {
			if from.Null != nil && from.Null[v.Record] {
				b.AppendNull()
				continue
			}
			b.Append(from.Bytes[v.Record])
		}
	default:
		for range values {
			b.AppendNull()
		}
	}
}
