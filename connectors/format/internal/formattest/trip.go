package formattest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// Trip is a taxi trip for benchmarks, the same in every format: 20 fields, one of
// them nested, 22 leaves, about 500 bytes as JSON.
type Trip struct {
	TripID                            int64
	Vendor, Medallion                 string
	PickupAt, DropoffAt               time.Time
	PickupLocation, DropoffLocation   int
	Passengers                        int
	Distance                          float64
	RateCode                          string
	Stored                            bool
	Payment                           string
	Fare, Extra, Tax, Tip, Tolls, Sum int64 // hundredths
	Note                              string
	RiderID, RiderOS                  string
	RiderRating                       float64
}

// Trips makes n trips.
func Trips(n int) []Trip {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	trips := make([]Trip, n)
	id := int64(0)
	for i := range trips {
		id += 1 + r.Int64N(5)
		pickup := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(id) * 997 * time.Millisecond)
		trips[i] = Trip{
			TripID: 1_000_000 + id, Vendor: pick("VTS", "CMT", "DDS", "JUNO"), Medallion: fmt.Sprintf("%016x%016x", r.Uint64()>>50, r.Uint64()>>40),
			PickupAt: pickup, DropoffAt: pickup.Add(time.Duration(r.IntN(3600)) * time.Second),
			PickupLocation: 1 + r.IntN(265), DropoffLocation: 1 + r.IntN(265), Passengers: r.IntN(7), Distance: float64(r.IntN(3000)) / 100,
			RateCode: pick("standard", "jfk", "newark", "negotiated"), Stored: r.IntN(2) == 0, Payment: pick("card", "cash", "no charge", "dispute"),
			Fare: r.Int64N(8000), Extra: r.Int64N(300), Tax: 50, Tip: r.Int64N(2000), Sum: r.Int64N(12000),
			Note:    pick("", "quick", "long way round because of the marathon"),
			RiderID: fmt.Sprintf("r-%06d", r.IntN(100000)), RiderOS: pick("ios", "android", "web"), RiderRating: float64(10+r.IntN(40)) / 10,
		}
	}
	return trips
}

// TripFields are the 22 leaves of a trip.
func TripFields(tb testing.TB) []connectors.Field {
	tb.Helper()
	var fields []connectors.Field
	for _, c := range Schema(tb, "trip_id BIGINT", "vendor VARCHAR(10)", "medallion CHAR(32)", "pickup_at TIMESTAMP(3)", "dropoff_at TIMESTAMP(3)",
		"pickup_location_id INT", "dropoff_location_id INT", "passenger_count TINYINT", "trip_distance DOUBLE", "rate_code VARCHAR(20)",
		"store_and_fwd BOOLEAN", "payment_type VARCHAR(20)", "fare DECIMAL(10,2)", "extra DECIMAL(10,2)", "mta_tax DECIMAL(10,2)",
		"tip DECIMAL(10,2)", "tolls DECIMAL(10,2)", "total DECIMAL(10,2)", "note TEXT") {
		fields = append(fields, connectors.Field{Column: c, Path: []string{c.Name}})
	}
	for _, path := range []string{"rider.id", "rider.os", "rider.rating"} {
		fields = append(fields, connectors.Field{Column: types.Column{Name: path, Type: types.TypeText}, Path: strings.Split(path, "."), Mode: connectors.FieldUnquote})
	}
	return fields
}

// Benchmark measures a decoder that makes rows rows of the chunk.
func Benchmark(b *testing.B, format string, fields []connectors.Field, chunk *connectors.Chunk, rows int, options ...string) {
	b.Helper()
	f, err := connectors.LookupFormat(format)
	if err != nil {
		b.Fatal(err)
	}
	config := connectors.DecoderConfig{Fields: fields, Options: f.Spec.MustOptions(options...), Framing: connectors.FramingDocument}
	d, err := f.NewDecoder(config)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	chunk.Data = append(connectors.Grow(nil, len(chunk.Data))[:0], chunk.Data...)
	b.SetBytes(int64(len(chunk.Data)))
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(chunk)
		got := 0
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
			got += len(out.Values)
		}
		if got != rows {
			b.Fatalf("%d rows, want %d", got, rows)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
