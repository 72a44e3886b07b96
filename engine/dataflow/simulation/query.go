package simulation

import (
	"bytes"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	_ "github.com/leatdb/leat/connectors/format/json" // what the source's records are
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// maxPollWait is how long a poll waits for records before it asks again.
const maxPollWait = 5 * time.Second

// The source's columns, and the stream's query over them: WHERE wanted, and a row
// for each element of doc. Every other version of the query reads the odd ones.
var (
	declared = types.Schema{
		{Name: "id", Type: types.TypeInt64, NotNull: true},
		{Name: "part", Type: types.TypeInt64, NotNull: true},
		{Name: "wanted_even", Type: types.TypeBool}, {Name: "even", Type: types.TypeJSON},
		{Name: "wanted_odd", Type: types.TypeBool}, {Name: "odd", Type: types.TypeJSON},
	}
	// landed are the columns of the table.
	landed = types.Schema{
		{Name: "id", Type: types.TypeInt64, NotNull: true},
		{Name: "part", Type: types.TypeInt64, NotNull: true},
		{Name: "n", Type: types.TypeInt64},
	}
)

// newDecoder makes the decoder of a lane, for what a version of the query reads.
func newDecoder(version int) (connectors.Decoder, error) {
	format, err := connectors.LookupFormat("json")
	if err != nil {
		return nil, err
	}
	parity := [...]string{"even", "odd"}[version%2]
	return format.NewDecoder(connectors.DecoderConfig{
		Schema: declared, Alloc: memory.DefaultAllocator, MaxRecordBytes: 1 << 20,
		Fields: []connectors.Field{
			{Column: declared[0], Path: []string{"id"}},
			{Column: declared[1], Path: []string{"part"}},
			{Column: types.Column{Name: "doc", Type: types.TypeText}, Path: []string{parity, "doc"}, Mode: connectors.FieldUnquote},
			{Column: types.Column{Name: "wanted", Type: types.TypeBool}, Path: []string{"wanted_" + parity}},
		},
	})
}

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
	text := fmt.Appendf(nil, `{"id":%d,"kind":%d,"rows":%d`, v.id, v.kind, v.rows)
	if v.kind == broken {
		return append(text, `,"broken`...)
	}
	return fmt.Appendf(text, `,"part":%d,"wanted_even":%v,"wanted_odd":%v,"even":{"doc":"%s"},"odd":{"doc":"%s"}}`,
		v.id%parts, v.wanted(0), v.wanted(1), v.doc(0), v.doc(1))
}

// parse reads a payload.
func parse(text []byte) (v value, err error) {
	if _, err := fmt.Sscanf(string(text), `{"id":%d,"kind":%d,"rows":%d`, &v.id, &v.kind, &v.rows); err != nil {
		return v, fmt.Errorf("%q is no value: %w", text, err)
	}
	return v, nil
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
	case broken:
		return 0, true
	case failing:
		if version%2 == 0 {
			return 0, true
		}
		return 1, false
	}
	return 0, false
}

// count adds what the stream's counters have to say of a record.
func (v value) count(c *connectors.Counters, version int) {
	c.RecordsIn++
	if v.kind == tombstone || v.kind == blank {
		c.RecordsEmpty++
		return
	}
	v.become(c, version)
}

// become adds what becomes of a value, whether the source has it or a dead
// letter.
func (v value) become(c *connectors.Counters, version int) {
	rows, dead := v.outcome(version)
	switch {
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

// doc is the array that the query flattens.
func (v value) doc(version int) string {
	switch v.kind {
	case failing:
		if version%2 == 0 {
			return "[1"
		}
	case exploding:
		return "[" + string(bytes.TrimSuffix(bytes.Repeat([]byte("0,"), v.rows), []byte(","))) + "]"
	}
	return "[0]"
}
