package json_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	bench "github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
)

func benchmark(b *testing.B, g taxi, fields []connectors.Field, set func(*connectors.DecoderConfig), generic bool) {
	g.r = rand.New(rand.NewPCG(1, 2))
	benchmarkChunk(b, chunkOf(g.lines(8192)), fields, set, generic)
}

func benchmarkChunk(b *testing.B, c *connectors.Chunk, fields []connectors.Field, set func(*connectors.DecoderConfig), generic bool) {
	config := connectors.DecoderConfig{Fields: fields}
	if set != nil {
		set(&config)
	}
	d, err := json.NewDecoder(config)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	d.SetGeneric(generic)
	b.SetBytes(int64(len(c.Data)))
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		d.Reset(c)
		rows := 0
		for {
			out, err := d.Next(8192)
			if err != nil {
				b.Fatal(err)
			}
			if out == nil {
				break
			}
			if len(out.Rejected) > 0 {
				b.Fatal(out.Rejected[0].Message)
			}
			rows += len(out.Values)
		}
		if rows != 8192 {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(len(c.Data))*float64(b.N)/1e6/(cpuTime()-before).Seconds(), "MB/cpu-s")
}

// cpuTime is what the process has used so far. Wall time means little on a
// shared machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tripFields are the leaves that the benchmarks' job needs, see bench/taxi.
func tripFields() []connectors.Field {
	var fields []connectors.Field
	for _, f := range [][2]string{
		{"trip_id", "BIGINT"}, {"vendor_id", "INT"}, {"pickup_at", "TIMESTAMP(3)"}, {"dropoff_at", "TIMESTAMP(3)"}, {"passengers", "INT"},
		{"distance_km", "DOUBLE"}, {"pickup_location_id", "INT"}, {"dropoff_location_id", "INT"}, {"rate_code", "VARCHAR(20)"},
		{"pooled", "BOOLEAN"}, {"payment_type", "VARCHAR(20)"}, {"fare", "DECIMAL(10,2)"}, {"extra", "DECIMAL(10,2)"}, {"tax", "DECIMAL(10,2)"},
		{"tip", "DECIMAL(10,2)"}, {"tolls", "DECIMAL(10,2)"}, {"total", "DECIMAL(10,2)"}, {"currency", "CHAR(3)"}, {"note", "VARCHAR(200)"},
	} {
		fields = append(fields, column(f[0], f[1]))
	}
	return append(fields, unquoted("rider", "id"), unquoted("rider", "rating"), unquoted("rider", "os"))
}

// trips are the events of bench/taxi.
func trips(dirt float64) *connectors.Chunk {
	g := bench.NewGenerator(1, bench.Dirt{Share: dirt})
	var data []byte
	for n := range int64(8192) {
		data = append(g.Append(data, n), '\n')
	}
	return chunkOf(data)
}

// BenchmarkDecode decodes taxi events of about 500 bytes; MB/s are of JSON.
func BenchmarkDecode(b *testing.B) {
	twoOf20 := []connectors.Field{column("pickup_location_id", "INT"), column("fare", "DECIMAL(10,2)")}
	b.Run("Trips", func(b *testing.B) { benchmarkChunk(b, trips(0), tripFields(), nil, false) })
	b.Run("TripsDirty10", func(b *testing.B) { benchmarkChunk(b, trips(0.1), tripFields(), nil, false) })
	projected := func(c *connectors.DecoderConfig) { c.Validation = connectors.ValidationProjected }
	head := []connectors.Field{column("trip_id", "BIGINT"), column("vendor_id", "INT")}
	b.Run("TripsNarrow", func(b *testing.B) { benchmarkChunk(b, trips(0), narrowFields(), nil, false) })
	b.Run("TripsNarrowDirty10", func(b *testing.B) { benchmarkChunk(b, trips(0.1), narrowFields(), nil, false) })
	b.Run("TripsNarrowProjected", func(b *testing.B) { benchmarkChunk(b, trips(0), narrowFields(), projected, false) })
	b.Run("TripsHead", func(b *testing.B) { benchmarkChunk(b, trips(0), head, nil, false) })
	b.Run("TripsHeadProjected", func(b *testing.B) { benchmarkChunk(b, trips(0), head, projected, false) })
	b.Run("TripsNone", func(b *testing.B) { benchmarkChunk(b, trips(0), nil, nil, false) })
	b.Run("Stable", func(b *testing.B) { benchmark(b, taxi{}, taxiFields(), nil, false) })
	b.Run("Dirty10", func(b *testing.B) { benchmark(b, taxi{dirty: 0.1}, taxiFields(), nil, false) })
	b.Run("Dirty70", func(b *testing.B) { benchmark(b, taxi{dirty: 0.7}, taxiFields(), nil, false) })
	b.Run("Shuffled", func(b *testing.B) { benchmark(b, taxi{shuffled: true}, taxiFields(), nil, false) })
	b.Run("Spaced", func(b *testing.B) { benchmark(b, taxi{spaced: true}, taxiFields(), nil, false) })
	b.Run("TwoOf20", func(b *testing.B) { benchmark(b, taxi{}, twoOf20, nil, false) })
	b.Run("TwoOf20Projected", func(b *testing.B) {
		benchmark(b, taxi{}, twoOf20, projected, false)
	})
	b.Run("Full", func(b *testing.B) {
		benchmark(b, taxi{}, taxiFields(), func(c *connectors.DecoderConfig) { c.Validation = connectors.ValidationFull }, false)
	})
	b.Run("RiderJSON", func(b *testing.B) {
		benchmark(b, taxi{}, append(taxiFields()[:19], column("rider", "JSON")), nil, false)
	})
	b.Run("Generic", func(b *testing.B) { benchmark(b, taxi{}, taxiFields(), nil, true) })
}
