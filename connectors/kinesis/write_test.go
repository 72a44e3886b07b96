package kinesis_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/sql/types"
)

// rowsToSend is a batch of rows of about 120 bytes under keys of which there are
// so many.
func rowsToSend(n, keys int) connectors.Delta {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "who", Type: arrow.BinaryTypes.String}, {Name: "note", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("u%d", i%keys))
		b.Field(2).(*array.StringBuilder).Append("something that is said of this row, and of each other")
	}
	return connectors.Delta{Batch: b.NewRecordBatch(), Position: func(dst []byte, value int32) []byte {
		return strconv.AppendInt(append(dst, "shardId-000000000000@"...), int64(value), 10)
	}}
}

func sinkSpec(keyed bool) connectors.StreamSpec {
	spec := connectors.StreamSpec{
		Stream: "s", Table: "out", Selected: 3, Retrying: func(error) {},
		Schema:  types.Schema{{Name: "id", Type: types.TypeInt64}, {Name: "who", Type: types.TypeText}, {Name: "note", Type: types.TypeText}},
		Options: kinesis.SinkConnector.Spec.MustOptions(),
	}
	if keyed {
		spec.Exprs = map[string]int{"partition_key": 1}
	}
	return spec
}

// BenchmarkSinkWriter makes records of rows and queues them for calls that are
// answered at once: what a row costs beside the call.
func BenchmarkSinkWriter(b *testing.B) {
	const rows = 8192
	d := rowsToSend(rows, 5000)
	defer d.Batch.Release()
	for _, keyed := range []bool{false, true} {
		b.Run(fmt.Sprintf("keyed=%t", keyed), func(b *testing.B) {
			w, _, closed, err := kinesis.SinkWriter(sinkSpec(keyed))
			if err != nil {
				b.Fatal(err)
			}
			defer closed()
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if err := w.Write(b.Context(), d); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/(cpuTime(b)-before).Seconds(), "rows/cpu-s")
		})
	}
}

// A row costs no allocation of its own. A call costs some, and time passes only when
// nobody has anything to do, so that calls are full however slow the machine is; what
// earlier tests still do at times is left out by taking the least of several rounds.
func TestSinkWriter_Allocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 8192
		d := rowsToSend(rows, 5000)
		defer d.Batch.Release()
		w, _, closed, err := kinesis.SinkWriter(sinkSpec(true))
		if err != nil {
			t.Fatal(err)
		}
		defer closed()
		least := math.Inf(1)
		for range 10 {
			least = min(least, testing.AllocsPerRun(1, func() {
				if err := w.Write(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}))
		}
		if least > rows/4 {
			t.Errorf("%.0f allocations for %d rows", least, rows)
		}
	})
}
