package avro_test

import (
	"math/big"
	"testing"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
)

const tripSchema = `{"type":"record","name":"trip","fields":[
	{"name":"trip_id","type":"long"},{"name":"vendor","type":["null","string"]},{"name":"medallion","type":"string"},
	{"name":"pickup_at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"dropoff_at","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"pickup_location_id","type":"int"},{"name":"dropoff_location_id","type":"int"},{"name":"passenger_count","type":["null","int"]},
	{"name":"trip_distance","type":"double"},{"name":"rate_code","type":"string"},{"name":"store_and_fwd","type":"boolean"},{"name":"payment_type","type":"string"},
	{"name":"fare","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},{"name":"extra","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
	{"name":"mta_tax","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},{"name":"tip","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
	{"name":"tolls","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},{"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
	{"name":"note","type":["null","string"]},
	{"name":"rider","type":{"type":"record","name":"rider","fields":[{"name":"id","type":"string"},{"name":"os","type":"string"},{"name":"rating","type":"double"}]}}]}`

func tripPayloads(b *testing.B, n int) []string {
	schema := hamba.MustParse(tripSchema)
	money := func(cents int64) *big.Rat { return big.NewRat(cents, 100) }
	var payloads []string
	for _, t := range formattest.Trips(n) {
		data, err := hamba.Marshal(schema, map[string]any{
			"trip_id": t.TripID, "vendor": t.Vendor, "medallion": t.Medallion, "pickup_at": t.PickupAt, "dropoff_at": t.DropoffAt,
			"pickup_location_id": t.PickupLocation, "dropoff_location_id": t.DropoffLocation, "passenger_count": t.Passengers,
			"trip_distance": t.Distance, "rate_code": t.RateCode, "store_and_fwd": t.Stored, "payment_type": t.Payment,
			"fare": money(t.Fare), "extra": money(t.Extra), "mta_tax": money(t.Tax), "tip": money(t.Tip), "tolls": money(t.Tolls), "total": money(t.Sum),
			"note": t.Note, "rider": map[string]any{"id": t.RiderID, "os": t.RiderOS, "rating": t.RiderRating},
		})
		if err != nil {
			b.Fatal(err)
		}
		payloads = append(payloads, string(data))
	}
	return payloads
}

// BenchmarkDecode decodes taxi trips; MB/s are of Avro.
func BenchmarkDecode(b *testing.B) {
	const rows = 8192
	payloads := tripPayloads(b, rows)
	b.Run("All", func(b *testing.B) {
		formattest.Benchmark(b, "avro", formattest.TripFields(b), formattest.Messages(payloads...), rows, "schema", tripSchema)
	})
	b.Run("TwoOf20", func(b *testing.B) {
		fields := formattest.TripFields(b)
		formattest.Benchmark(b, "avro", []connectors.Field{fields[5], fields[12]}, formattest.Messages(payloads...), rows, "schema", tripSchema)
	})
	b.Run("Nested", func(b *testing.B) {
		column := formattest.Schema(b, "rider JSON")[0]
		formattest.Benchmark(b, "avro", []connectors.Field{{Column: column, Path: []string{"rider"}}}, formattest.Messages(payloads...), rows, "schema", tripSchema)
	})
}
