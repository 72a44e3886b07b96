package parquetfile_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/connectors/lake/internal/taxi"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/sql/types"
)

// cpuTime is what the process has used so far. Wall time means little on a
// shared machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type discard struct{ n int64 }

func (d *discard) Write(_ context.Context, p []byte) error {
	d.n += int64(len(p))
	return nil
}

// BenchmarkFile appends and encodes taxi trips into one file; MB/s are of the
// JSON that the rows were.
func BenchmarkFile(b *testing.B) {
	const batches, rowsPerBatch = 16, 8192
	var input [][]arrow.Array
	for i := range batches {
		input = append(input, taxi.Batch(i*rowsPerBatch, rowsPerBatch).Columns())
	}
	all := make([]int32, rowsPerBatch)
	for i := range all {
		all[i] = int32(i)
	}
	stored := map[types.Kind]parquetfile.Type{
		types.Int32: parquetfile.Int, types.Int64: parquetfile.Long, types.DateTime: parquetfile.Timestamp,
		types.Float64: parquetfile.Double, types.Decimal: parquetfile.Decimal, types.String: parquetfile.String,
	}
	var columns []parquetfile.Column
	for i, c := range taxi.Schema() {
		columns = append(columns, parquetfile.Column{Name: c.Name, ID: i + 1, Type: stored[c.Type.Kind], Precision: c.Type.Precision, Scale: c.Type.Scale})
	}
	schema, err := parquetfile.NewSchema(columns)
	if err != nil {
		b.Fatal(err)
	}
	for _, compression := range []parquetfile.Compression{parquetfile.Zstd, parquetfile.Snappy, parquetfile.None} {
		b.Run(string(compression), func(b *testing.B) {
			pool := &parquetfile.Pool{Most: 256 << 20}
			encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{Compression: compression})
			if err != nil {
				b.Fatal(err)
			}
			appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, pool)
			b.SetBytes(batches * rowsPerBatch * taxi.JSONBytes)
			b.ReportAllocs()
			var out discard
			before := cpuTime()
			for b.Loop() {
				out.n = 0
				w := encoder.NewFile(&out)
				for _, columns := range input {
					if err := appender.Bind(columns); err != nil {
						b.Fatal(err)
					}
					appender.Append(rows, all)
					if rows.Len() >= 20_000 {
						if err := w.WriteRows(b.Context(), rows); err != nil {
							b.Fatal(err)
						}
					}
				}
				if err := w.WriteRows(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
				if _, err := w.Finish(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			cpu := (cpuTime() - before) / time.Duration(b.N)
			b.ReportMetric(batches*rowsPerBatch*taxi.JSONBytes/1e6/cpu.Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(out.n)/(batches*rowsPerBatch), "bytes/row")
		})
	}
}
