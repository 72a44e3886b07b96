package parquetfile_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// jsonBytesPerRow is how long a taxi trip is as JSON; rates are given in it.
const jsonBytesPerRow = 500

// taxiColumns are 22 columns as a taxi trip has them: ids and counts, money,
// times, and strings of few and of many values.
func taxiColumns() []parquetfile.Column {
	var columns []parquetfile.Column
	add := func(t parquetfile.Type, names ...string) {
		for _, name := range names {
			columns = append(columns, parquetfile.Column{Name: name, ID: len(columns) + 1, Type: t, Precision: 10, Scale: 2})
		}
	}
	add(parquetfile.Long, "trip_id", "driver_id")
	add(parquetfile.Int, "pickup_location", "dropoff_location", "passengers", "duration_s")
	add(parquetfile.Timestamp, "pickup_at", "dropoff_at")
	add(parquetfile.Double, "distance", "pickup_lat", "pickup_lon")
	add(parquetfile.Decimal, "fare", "tip", "tolls", "total")
	add(parquetfile.String, "vendor", "payment", "os", "app", "city")
	add(parquetfile.String, "rider", "note")
	return columns
}

// taxiBatch makes rows from row first on.
func taxiBatch(first, n int) []arrow.Array {
	r := rand.New(rand.NewPCG(uint64(first), 7))
	columns := taxiColumns()
	arrays := make([]arrow.Array, len(columns))
	choice := map[string]int{"vendor": 3, "payment": 4, "os": 3, "app": 40, "city": 60}
	for i, c := range columns {
		switch c.Type {
		case parquetfile.Long:
			b := array.NewInt64Builder(memory.DefaultAllocator)
			for row := range n {
				if c.Name == "trip_id" {
					b.Append(int64(1_000_000_000 + first + row))
				} else {
					b.Append(int64(r.IntN(50_000)))
				}
			}
			arrays[i] = b.NewArray()
		case parquetfile.Int:
			b := array.NewInt32Builder(memory.DefaultAllocator)
			for range n {
				b.Append(int32(r.IntN(map[string]int{"passengers": 6, "duration_s": 5000}[c.Name]+1) + r.IntN(265)*len(c.Name)/16))
			}
			arrays[i] = b.NewArray()
		case parquetfile.Timestamp:
			b := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Microsecond})
			for row := range n {
				b.Append(arrow.Timestamp(1_700_000_000_000_000 + int64(first+row)*2000 + int64(r.IntN(60_000))*1000))
			}
			arrays[i] = b.NewArray()
		case parquetfile.Double:
			b := array.NewFloat64Builder(memory.DefaultAllocator)
			for range n {
				if c.Name == "distance" {
					b.Append(float64(r.IntN(3000)) / 100)
				} else {
					b.Append(40 + float64(r.IntN(1_000_000))/1e6)
				}
			}
			arrays[i] = b.NewArray()
		case parquetfile.Decimal:
			b := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 10, Scale: 2})
			for range n {
				b.Append(decimal128.FromI64(int64(r.IntN(12000))))
			}
			arrays[i] = b.NewArray()
		case parquetfile.String:
			values := array.NewStringBuilder(memory.DefaultAllocator)
			if k := choice[c.Name]; k > 0 {
				for v := range k {
					values.Append(fmt.Sprintf("%s number %d", c.Name, v))
				}
				codes := array.NewInt32Builder(memory.DefaultAllocator)
				for range n {
					codes.Append(int32(min(r.IntN(k), r.IntN(k))))
				}
				dict, indices := values.NewArray(), codes.NewArray()
				arrays[i] = array.NewDictionaryArray(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, indices, dict)
			} else {
				for range n {
					values.Append(fmt.Sprintf("%s-%08x", c.Name, r.Uint32N(1<<30)))
				}
				arrays[i] = values.NewArray()
			}
		}
	}
	return arrays
}

// cpuTime is what the process has used so far.
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

// BenchmarkFile appends and encodes into one file; MB/s are of the JSON that
// the rows were.
func BenchmarkFile(b *testing.B) {
	const batches, rowsPerBatch = 16, 8192
	var input [][]arrow.Array
	for i := range batches {
		input = append(input, taxiBatch(i*rowsPerBatch, rowsPerBatch))
	}
	all := make([]int32, rowsPerBatch)
	for i := range all {
		all[i] = int32(i)
	}
	schema, err := parquetfile.NewSchema(taxiColumns())
	if err != nil {
		b.Fatal(err)
	}
	for _, compression := range []parquetfile.Compression{parquetfile.Zstd, parquetfile.None} {
		b.Run(string(compression), func(b *testing.B) {
			pool := &parquetfile.Pool{Most: 256 << 20}
			encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{Compression: compression})
			if err != nil {
				b.Fatal(err)
			}
			appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, pool)
			b.SetBytes(batches * rowsPerBatch * jsonBytesPerRow)
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
			// Wall time means little on a shared machine.
			cpu := (cpuTime() - before) / time.Duration(b.N)
			b.ReportMetric(batches*rowsPerBatch*jsonBytesPerRow/1e6/cpu.Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(out.n)/(batches*rowsPerBatch), "bytes/row")
		})
	}
}
