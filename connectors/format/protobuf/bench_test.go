package protobuf_test

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/sql/types"
)

const tripProto = `syntax = "proto3"; import "google/protobuf/timestamp.proto";
message Rider { string id = 1; string os = 2; double rating = 3; }
message Trip {
  int64 trip_id = 1; string vendor = 2; string medallion = 3; google.protobuf.Timestamp pickup_at = 4; google.protobuf.Timestamp dropoff_at = 5;
  int32 pickup_location_id = 6; int32 dropoff_location_id = 7; int32 passenger_count = 8; double trip_distance = 9; string rate_code = 10; bool store_and_fwd = 11;
  string payment_type = 12; double fare = 13; double extra = 14; double mta_tax = 15; double tip = 16; double tolls = 17; double total = 18; string note = 19; Rider rider = 20;
}`

func tripPayloads(n int) []string {
	var payloads []string
	for _, t := range formattest.Trips(n) {
		var b []byte
		varint := func(n protowire.Number, v uint64) {
			if v != 0 {
				b = protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
			}
		}
		text := func(n protowire.Number, v string) {
			if v != "" {
				b = protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
			}
		}
		double := func(n protowire.Number, v float64) {
			if v != 0 {
				b = protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
			}
		}
		bit := map[bool]uint64{true: 1}
		varint(1, uint64(t.PickupAt.Unix()))
		varint(2, uint64(t.PickupAt.Nanosecond()))
		pickup := string(b)
		b = b[:0:0]
		varint(1, uint64(t.DropoffAt.Unix()))
		varint(2, uint64(t.DropoffAt.Nanosecond()))
		dropoff := string(b)
		b = b[:0:0]
		text(1, t.RiderID)
		text(2, t.RiderOS)
		double(3, t.RiderRating)
		rider := string(b)
		b = b[:0:0]
		varint(1, uint64(t.TripID))
		text(2, t.Vendor)
		text(3, t.Medallion)
		text(4, pickup)
		text(5, dropoff)
		varint(6, uint64(t.PickupLocation))
		varint(7, uint64(t.DropoffLocation))
		varint(8, uint64(t.Passengers))
		double(9, t.Distance)
		text(10, t.RateCode)
		varint(11, bit[t.Stored])
		text(12, t.Payment)
		for i, cents := range []int64{t.Fare, t.Extra, t.Tax, t.Tip, t.Tolls, t.Sum} {
			double(protowire.Number(13+i), float64(cents)/100)
		}
		text(19, t.Note)
		text(20, rider)
		payloads = append(payloads, string(b))
	}
	return payloads
}

// BenchmarkDecode decodes taxi trips; MB/s are of Protobuf.
func BenchmarkDecode(b *testing.B) {
	const rows = 8192
	payloads := tripPayloads(rows)
	fields := formattest.TripFields(b)
	for i := range fields {
		if fields[i].Column.Type.Kind == types.Decimal {
			fields[i].Column.Type = types.TypeFloat64 // what the messages have
		}
	}
	options := []string{"schema", tripProto, "message", "Trip"}
	b.Run("All", func(b *testing.B) {
		formattest.Benchmark(b, "protobuf", fields, formattest.Messages(payloads...), rows, options...)
	})
	b.Run("TwoOf20", func(b *testing.B) {
		formattest.Benchmark(b, "protobuf", []connectors.Field{fields[5], fields[12]}, formattest.Messages(payloads...), rows, options...)
	})
	b.Run("Nested", func(b *testing.B) {
		column := formattest.Schema(b, "rider JSON")[0]
		formattest.Benchmark(b, "protobuf", []connectors.Field{{Column: column, Path: []string{"rider"}}}, formattest.Messages(payloads...), rows, options...)
	})
}
