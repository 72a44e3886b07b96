package json_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// taxi generates trip events of 20 members and about 500 bytes, with a nested
// object: 22 leaves.
type taxi struct {
	r        *rand.Rand
	dirty    float64 // the part of lines with an escape, a null, a missing member or spaces
	shuffled bool    // another order of members in every line
	spaced   bool    // ", " and ": " as many encoders write
	trip     int64
}

var taxiTypes = []struct{ name, typ string }{
	{"trip_id", "BIGINT"}, {"vendor", "VARCHAR(10)"}, {"medallion", "CHAR(32)"},
	{"pickup_at", "TIMESTAMP(3)"}, {"dropoff_at", "TIMESTAMP(3)"},
	{"pickup_location_id", "INT"}, {"dropoff_location_id", "INT"}, {"passenger_count", "TINYINT"},
	{"trip_distance", "DOUBLE"}, {"rate_code", "VARCHAR(20)"}, {"store_and_fwd", "BOOLEAN"}, {"payment_type", "VARCHAR(20)"},
	{"fare", "DECIMAL(10,2)"}, {"extra", "DECIMAL(10,2)"}, {"mta_tax", "DECIMAL(10,2)"}, {"tip", "DECIMAL(10,2)"},
	{"tolls", "DECIMAL(10,2)"}, {"total", "DECIMAL(10,2)"}, {"note", "TEXT"},
	{"rider", "JSON"},
}

func mustType(s string) types.Type {
	t, err := types.Parse(s)
	if err != nil {
		panic(err)
	}
	return t
}

func column(name, typ string) connectors.Field {
	return connectors.Field{Column: types.Column{Name: name, Type: mustType(typ)}, Path: []string{name}}
}

func unquoted(path ...string) connectors.Field {
	return connectors.Field{Column: types.Column{Name: strings.Join(path, "_"), Type: types.TypeText}, Path: path, Mode: connectors.FieldUnquote}
}

// taxiFields are the 22 leaves of an event.
func taxiFields() []connectors.Field {
	var fields []connectors.Field
	for _, t := range taxiTypes[:19] {
		fields = append(fields, column(t.name, t.typ))
	}
	return append(fields, unquoted("rider", "id"), unquoted("rider", "device", "os"), unquoted("rider", "rating"))
}

func (g *taxi) event(b []byte) []byte {
	r := g.r
	g.trip += 1 + r.Int64N(5)
	pickup := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(g.trip) * 997 * time.Millisecond)
	dropoff := pickup.Add(time.Duration(r.IntN(3600)) * time.Second)
	money := func(most int) string { n := r.IntN(most); return fmt.Sprintf("%d.%02d", n/100, n%100) }
	pick := func(s ...string) string { return `"` + s[r.IntN(len(s))] + `"` }
	values := []string{
		fmt.Sprint(1_000_000 + g.trip),
		pick("VTS", "CMT", "DDS", "JUNO"),
		fmt.Sprintf(`"%016x%016x"`, r.Uint64()>>50, r.Uint64()>>40),
		pickup.Format(`"2006-01-02T15:04:05.000Z"`), dropoff.Format(`"2006-01-02T15:04:05.000Z"`),
		fmt.Sprint(1 + r.IntN(265)), fmt.Sprint(1 + r.IntN(265)), fmt.Sprint(r.IntN(7)),
		money(3000), pick("standard", "jfk", "newark", "negotiated"), pick("x")[:0] + []string{"true", "false"}[r.IntN(2)],
		pick("card", "cash", "no charge", "dispute"),
		money(8000), money(300), "0.5", money(2000), "0", money(12000), pick("", "quick", "long way round because of the marathon"),
		fmt.Sprintf(`{"id":"r-%06d","device":{"os":%s},"rating":%d.%d}`, r.IntN(100000), pick("ios", "android", "web"), 1+r.IntN(4), r.IntN(10)),
	}
	names := make([]string, len(values))
	for i := range names {
		names[i] = taxiTypes[i].name
	}
	comma, colon := ",", ":"
	if g.spaced {
		comma, colon = ", ", ": "
	}
	if r.Float64() < g.dirty {
		switch i := r.IntN(19); r.IntN(4) {
		case 0:
			values[18] = `"said \"no\"\n\u00e9"`
		case 1:
			values[i] = "null"
		case 2:
			values = append(values[:i], values[i+1:]...)
			names = append(names[:i], names[i+1:]...)
		default:
			comma, colon = " ,\t", " : "
		}
	}
	if g.shuffled {
		r.Shuffle(len(values), func(i, j int) {
			values[i], values[j] = values[j], values[i]
			names[i], names[j] = names[j], names[i]
		})
	}
	b = append(b, '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, comma...)
		}
		b = append(b, '"')
		b = append(b, names[i]...)
		b = append(b, '"')
		b = append(b, colon...)
		b = append(b, v...)
	}
	return append(b, '}')
}

func (g *taxi) lines(n int) []byte {
	var b []byte
	for range n {
		b = append(g.event(b), '\n')
	}
	return b
}

// chunkOf makes a chunk of lines.
func chunkOf(data []byte) *connectors.Chunk {
	padded := connectors.Grow(nil, len(data))
	copy(padded, data)
	// What lies behind a chunk may be anything.
	copy(padded[len(data):cap(padded)], bytes.Repeat([]byte(`"}{,1:`), connectors.Padding))
	return &connectors.Chunk{Split: "s", Data: padded}
}

// chunkOfRecords makes a chunk of payloads; nil ones are tombstones.
func chunkOfRecords(payloads ...[]byte) *connectors.Chunk {
	var data []byte
	var records []connectors.Record
	for i, p := range payloads {
		start := len(data)
		data = append(data, p...)
		records = append(records, connectors.Record{Start: int32(start), End: int32(len(data)), Offset: int64(100 + i), Null: p == nil})
	}
	c := chunkOf(data)
	c.Records = records
	return c
}
