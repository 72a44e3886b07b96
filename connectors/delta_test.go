package connectors_test

import (
	"bytes"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
)

func TestGrow_KeepsDataAndPadding(t *testing.T) {
	var data []byte
	var want []byte
	for i := range 200 {
		data = connectors.Grow(data, i)
		for j := len(data) - i; j < len(data); j++ {
			data[j] = byte(i)
			want = append(want, byte(i))
		}
		if cap(data) < len(data)+connectors.Padding {
			t.Fatalf("cap=%d, want at least %d", cap(data), len(data)+connectors.Padding)
		}
	}
	if !bytes.Equal(data, want) {
		t.Error("content changed while growing")
	}
}

func TestCounters_Reconciled(t *testing.T) {
	c := connectors.Counters{RowsIn: 10, RowsExploded: 5, RowsLanded: 12, RowsFiltered: 2, RowsDead: 1}
	if !c.Reconciled() {
		t.Error("counters that add up are not reconciled")
	}
	c.Add(connectors.Counters{RecordsIn: 3, RecordsEmpty: 2, RowsIn: 1})
	if c.Reconciled() || c.RowsIn != 11 || c.RecordsIn != 3 || c.RecordsEmpty != 2 {
		t.Errorf("after Add: %+v", c)
	}
}

func TestDelta_OnlyInserts(t *testing.T) {
	f := func(weights []int64, sel []int32, ok bool) {
		t.Helper()
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		b.AppendValues([]int64{1, 2, 3}, nil)
		rows := b.NewInt64Array()
		defer rows.Release()
		batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil), []arrow.Array{rows}, 3)
		defer batch.Release()
		d := connectors.Delta{Batch: batch, Sel: sel}
		if weights != nil {
			b.AppendValues(weights, nil)
			d.Weights = b.NewInt64Array()
			defer d.Weights.Release()
		}
		if err := d.OnlyInserts("s", "a topic"); (err == nil) != ok {
			t.Errorf("%v of %v: err=%v", sel, weights, err)
		}
	}
	f(nil, nil, true)
	f([]int64{1, 1, 1}, nil, true)
	f([]int64{1, -1, 1}, nil, false)
	f([]int64{1, -1, 1}, []int32{0, 2}, true)
	f([]int64{1, 1, 2}, []int32{0, 2}, false)
}
