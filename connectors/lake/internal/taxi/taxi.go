// Package taxi makes batches like those of taxi trips, for benchmarks: 22
// columns of ids and counts, money, times, and strings of few and of many
// values.
package taxi

import (
	"fmt"
	"math/rand/v2"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// JSONBytes is about how long a trip is as JSON; rates are given in it.
const JSONBytes = 500

// choices are the strings of few values, and how many.
var choices = map[string]int{"vendor": 3, "payment": 4, "os": 3, "app": 40, "city": 60}

// Schema is the columns of a batch. The first two suit a partitioning: zone
// has 265 values, month 12.
func Schema() types.Schema {
	var s types.Schema
	add := func(t types.Type, names ...string) {
		for _, name := range names {
			s = append(s, types.Column{Name: name, Type: t})
		}
	}
	add(types.Type{Kind: types.Int32}, "zone", "month", "dropoff_zone", "passengers", "duration_s")
	add(types.TypeInt64, "trip_id", "driver_id")
	add(types.TypeDateTime, "pickup_at", "dropoff_at")
	add(types.TypeFloat64, "distance", "pickup_lat", "pickup_lon")
	add(types.NewDecimal(10, 2), "fare", "tip", "total")
	add(types.NewVarchar(40), "vendor", "payment", "os", "app", "city", "rider", "note")
	return s
}

// Batch is n trips from number first on. The caller releases it.
func Batch(first, n int) arrow.RecordBatch {
	r := rand.New(rand.NewPCG(uint64(first), 7))
	s := Schema()
	columns, fields := make([]arrow.Array, len(s)), s.Arrow().Fields()
	for i, c := range s {
		columns[i] = build(r, c, first, n)
		fields[i].Type = columns[i].DataType()
		defer columns[i].Release()
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(n))
}

func build(r *rand.Rand, c types.Column, first, n int) arrow.Array {
	if k := choices[c.Name]; k > 0 {
		return choice(r, c.Name, k, n)
	}
	b := array.NewBuilder(memory.DefaultAllocator, c.Type.Arrow())
	defer b.Release()
	for row := range n {
		switch b := b.(type) {
		case *array.Int32Builder:
			most := map[string]int{"zone": 265, "month": 12, "dropoff_zone": 265, "passengers": 6, "duration_s": 5000}[c.Name]
			b.Append(int32(r.IntN(most)))
		case *array.Int64Builder:
			if c.Name == "trip_id" {
				b.Append(int64(1_000_000_000 + first + row))
			} else {
				b.Append(int64(r.IntN(50_000)))
			}
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(1_700_000_000_000_000 + int64(first+row)*2000 + int64(r.IntN(60_000))*1000))
		case *array.Float64Builder:
			if c.Name == "distance" {
				b.Append(float64(r.IntN(3000)) / 100)
			} else {
				b.Append(40 + float64(r.IntN(1_000_000))/1e6)
			}
		case *array.Decimal128Builder:
			b.Append(decimal128.FromI64(int64(r.IntN(12_000))))
		case *array.StringBuilder:
			b.Append(fmt.Sprintf("%s-%08x", c.Name, r.Uint32N(1<<30)))
		}
	}
	return b.NewArray()
}

// choice is a dictionary array, as decoders make them.
func choice(r *rand.Rand, name string, k, n int) arrow.Array {
	values := array.NewStringBuilder(memory.DefaultAllocator)
	defer values.Release()
	for v := range k {
		values.Append(fmt.Sprintf("%s number %d", name, v))
	}
	codes := array.NewInt32Builder(memory.DefaultAllocator)
	defer codes.Release()
	for range n {
		codes.Append(int32(min(r.IntN(k), r.IntN(k))))
	}
	dictionary, indices := values.NewArray(), codes.NewArray()
	defer dictionary.Release()
	defer indices.Release()
	return array.NewDictionaryArray(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, indices, dictionary)
}
