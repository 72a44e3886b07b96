package lake_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/internal/taxi"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLane writes taxi trips into 1, 12, 265 and 3,180 partitions of a
// local table and commits them; MB/s are of the JSON that the rows were. Wall
// time means little on a shared machine, so the CPU's is reported beside it.
func BenchmarkLane(b *testing.B) {
	const batches, rowsPerBatch, rounds = 32, 8192, 4
	var input []arrow.RecordBatch
	for i := range batches {
		input = append(input, taxi.Batch(i*rowsPerBatch, rowsPerBatch))
	}
	zone := connectors.PartitionField{Name: "zone", Column: 0, Transform: "identity"}
	month := connectors.PartitionField{Name: "month", Column: 1, Transform: "identity"}
	for _, partition := range [][]connectors.PartitionField{nil, {month}, {zone}, {zone, month}} {
		parts := 1
		for _, p := range partition {
			parts *= map[string]int{"zone": 265, "month": 12}[p.Name]
		}
		b.Run(fmt.Sprint("partitions=", parts), func(b *testing.B) {
			sink := openSink(b, b.TempDir(), nil)
			spec := tripSpec("s1")
			spec.Schema, spec.Partition, spec.Lanes, spec.MemoryBytes = taxi.Schema(), partition, 1, 256<<20
			stream := openStream(b, sink, spec)
			defer stream.Close()
			state, _ := mustBegin(b, stream)
			w := stream.Writer(0)
			b.SetBytes(rounds * batches * rowsPerBatch * taxi.JSONBytes)
			b.ReportAllocs()
			before, written := cpuTime(), int64(0)
			for b.Loop() {
				for range rounds {
					for _, batch := range input {
						if err := w.Write(b.Context(), connectors.Delta{Batch: batch}); err != nil {
							b.Fatal(err)
						}
					}
				}
				one, err := w.Seal(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				state.Epoch++
				if _, err := stream.Commit(b.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
					b.Fatal(err)
				}
				written = one.Bytes()
			}
			cpu := (cpuTime() - before) / time.Duration(b.N)
			b.ReportMetric(rounds*batches*rowsPerBatch*taxi.JSONBytes/1e6/cpu.Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(written)/(rounds*batches*rowsPerBatch), "bytes/row")
		})
	}
}
