package simulation

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// maxPollWait is how long a poll waits for records before it asks again.
const maxPollWait = 5 * time.Second

// The stream's query: WHERE wanted, and a row for each element of doc.
var (
	// decoded are the columns that the decoder makes.
	decoded = types.Schema{
		{Name: "id", Type: types.TypeInt64, NotNull: true},
		{Name: "part", Type: types.TypeInt64, NotNull: true},
		{Name: "doc", Type: types.TypeText},
		{Name: "wanted", Type: types.TypeBool},
	}
	// landed are the columns of the table.
	landed = types.Schema{
		{Name: "id", Type: types.TypeInt64, NotNull: true},
		{Name: "part", Type: types.TypeInt64, NotNull: true},
		{Name: "n", Type: types.TypeInt64},
	}
)

// newPipeline makes the operators of a lane.
func newPipeline() (*operator.Pipeline, error) {
	flatten, err := operator.NewFlatten(&logical.JSONTable{
		Path: "$[*]", Columns: []logical.JSONTableColumn{{Name: "n", Type: types.TypeInt64, Ordinality: true}},
	}, false)
	if err != nil {
		return nil, err
	}
	return operator.NewPipeline(&kernel.Context{Alloc: memory.DefaultAllocator, Mode: kernel.Mode{Strict: true}}, []operator.Operator{
		&operator.Filter{Predicate: kernel.Column(3, types.TypeBool)},
		&operator.Explode{Data: kernel.Column(2, types.TypeText), Flatten: flatten, Keep: []int{0, 1}},
	}, landed), nil
}

// payload is the value as the source has it.
func (v value) payload() []byte {
	switch v.kind {
	case tombstone, blank:
		return nil
	}
	return fmt.Appendf(nil, "%d %d %d", v.id, v.kind, v.rows)
}

// parse reads a payload.
func parse(text []byte) (v value, err error) {
	fields := bytes.Fields(text)
	if len(fields) != 3 {
		return v, fmt.Errorf("%q is no value", text)
	}
	var numbers [3]int64
	for i, f := range fields {
		if numbers[i], err = strconv.ParseInt(string(f), 10, 64); err != nil {
			return v, err
		}
	}
	return value{numbers[0], kind(numbers[1]), int(numbers[2])}, nil
}

// parts is how many partitions the table has.
const parts = 2

// wanted says whether a version of the stream lets the value through.
func (v value) wanted(version int) bool {
	return v.kind != unwanted && (v.kind != disputed || version%2 == 0)
}

// outcome is what has to become of a value: so many rows, or one dead letter.
func (v value) outcome(version int) (rows int, dead bool) {
	switch v.kind {
	case good:
		return 1, false
	case disputed:
		if v.wanted(version) {
			return 1, false
		}
	case exploding:
		return v.rows, false
	case broken, failing:
		return 0, true
	}
	return 0, false
}

// count adds what the stream's counters have to say of a value.
func (v value) count(c *connectors.Counters, version int) {
	c.RecordsIn++
	rows, dead := v.outcome(version)
	switch {
	case v.kind == tombstone || v.kind == blank:
		c.RecordsEmpty++
		return
	case dead:
		c.RowsDead++
	case !v.wanted(version):
		c.RowsFiltered++
	}
	c.RowsIn++
	c.RowsLanded += int64(rows)
	if v.kind == exploding {
		c.RowsExploded += int64(rows) - 1
	}
}

// decoder makes columns of payloads, a few at a time.
type decoder struct {
	version int
	chunk   *connectors.Chunk
	next    int
	batch   arrow.RecordBatch
}

// Reset implements connectors.Decoder.
func (d *decoder) Reset(c *connectors.Chunk) { d.chunk, d.next = c, 0 }

// Next implements connectors.Decoder.
func (d *decoder) Next(maxRows int) (*connectors.Decoded, error) {
	d.Close()
	if d.next == len(d.chunk.Records) {
		return nil, nil
	}
	out := &connectors.Decoded{}
	b := array.NewRecordBuilder(memory.DefaultAllocator, decoded.Arrow())
	defer b.Release()
	for ; d.next < len(d.chunk.Records) && len(out.Values)+len(out.Rejected) < maxRows; d.next++ {
		r := &d.chunk.Records[d.next]
		if r.Null || r.Start == r.End {
			out.Empty++
			continue
		}
		v, err := parse(d.chunk.Data[r.Start:r.End])
		if err != nil {
			return nil, err
		}
		where := connectors.Value{Start: r.Start, End: r.End, Record: int32(d.next)}
		if v.kind == broken {
			out.Rejected = append(out.Rejected, connectors.Rejection{Value: where, Class: connectors.ClassDecode, Message: "broken"})
			continue
		}
		out.Values = append(out.Values, where)
		b.Field(0).(*array.Int64Builder).Append(v.id)
		b.Field(1).(*array.Int64Builder).Append(v.id % parts)
		b.Field(2).(*array.StringBuilder).Append(v.doc())
		b.Field(3).(*array.BooleanBuilder).Append(v.wanted(d.version))
	}
	d.batch = b.NewRecordBatch()
	out.Batch = d.batch
	return out, nil
}

// doc is the array that the query flattens.
func (v value) doc() string {
	switch v.kind {
	case failing:
		return "[1"
	case exploding:
		return "[" + string(bytes.TrimSuffix(bytes.Repeat([]byte("0,"), v.rows), []byte(","))) + "]"
	}
	return "[0]"
}

// Close implements connectors.Decoder.
func (d *decoder) Close() {
	if d.batch != nil {
		d.batch.Release()
		d.batch = nil
	}
}
