package connectors_test

import (
	"bytes"
	"testing"

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
