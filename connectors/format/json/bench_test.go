package json_test

import (
	"math/rand/v2"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
)

func benchmark(b *testing.B, g taxi, fields []connectors.Field, set func(*connectors.DecoderConfig), generic bool) {
	g.r = rand.New(rand.NewPCG(1, 2))
	c := chunkOf(g.lines(8192))
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
}

// BenchmarkDecode decodes taxi events of about 500 bytes; MB/s are of JSON.
func BenchmarkDecode(b *testing.B) {
	twoOf20 := []connectors.Field{column("pickup_location_id", "INT"), column("fare", "DECIMAL(10,2)")}
	b.Run("Stable", func(b *testing.B) { benchmark(b, taxi{}, taxiFields(), nil, false) })
	b.Run("Dirty10", func(b *testing.B) { benchmark(b, taxi{dirty: 0.1}, taxiFields(), nil, false) })
	b.Run("Dirty70", func(b *testing.B) { benchmark(b, taxi{dirty: 0.7}, taxiFields(), nil, false) })
	b.Run("Shuffled", func(b *testing.B) { benchmark(b, taxi{shuffled: true}, taxiFields(), nil, false) })
	b.Run("Spaced", func(b *testing.B) { benchmark(b, taxi{spaced: true}, taxiFields(), nil, false) })
	b.Run("TwoOf20", func(b *testing.B) { benchmark(b, taxi{}, twoOf20, nil, false) })
	b.Run("TwoOf20Projected", func(b *testing.B) {
		benchmark(b, taxi{}, twoOf20, func(c *connectors.DecoderConfig) { c.Validation = connectors.ValidationProjected }, false)
	})
	b.Run("Full", func(b *testing.B) {
		benchmark(b, taxi{}, taxiFields(), func(c *connectors.DecoderConfig) { c.Validation = connectors.ValidationFull }, false)
	})
	b.Run("RiderJSON", func(b *testing.B) {
		benchmark(b, taxi{}, append(taxiFields()[:19], column("rider", "JSON")), nil, false)
	})
	b.Run("Generic", func(b *testing.B) { benchmark(b, taxi{}, taxiFields(), nil, true) })
}
