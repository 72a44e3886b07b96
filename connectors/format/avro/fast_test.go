package avro_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/avro"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/sql/types"
)

// fastFields draws columns of testSchema, of types that take its values as they
// are and of others.
func fastFields(t testing.TB, r *rand.Rand) []connectors.Field {
	odds := 4 << r.IntN(4) // of many columns one sends nearly every record to the walk
	var fields []connectors.Field
	for _, c := range formattest.Schema(t, "id BIGINT", "id INT", "small TINYINT", "small INT", "small INT NOT NULL", "flag BOOLEAN", "flag INT", "ratio FLOAT", "fare DOUBLE",
		"fare DECIMAL(8,2)", "name TEXT", "name VARCHAR(5)", "name CHAR(5) NOT NULL", "data VARBINARY(20)", "color VARCHAR(5)", "price DECIMAL(18,4)", "price DECIMAL(10,4)",
		"price DECIMAL(18,6)", "price DECIMAL(12,2)", "day DATE", "day DATETIME", "ts3 TIMESTAMP(3)", "ts3 DATETIME(6)", "ts3 TIMESTAMP", "ts6 TIMESTAMP(6)", "ts6 DATETIME(3)",
		"rider JSON", "legs JSON", "missing INT", "name ENUM('a','Zürich')", "id BIGINT UNSIGNED", "name JSON", "name DECIMAL(6,2)", "name DATE", "name INT") {
		if r.IntN(odds) == 0 && (!c.NotNull || r.IntN(4) == 0) {
			fields = append(fields, connectors.Field{Column: c, Path: []string{c.Name}})
		}
	}
	for _, path := range [][]string{{"rider", "score"}, {"rider", "os"}, {"rider", "next", "score"}, {"name", "a"}, {"car", "plate"}, {"car", "speed"}, {"car", "seats"}, {"car", "at", "x"}} {
		if r.IntN(odds) == 0 {
			f := connectors.Field{Column: types.Column{Name: "below", Type: typeLongText}, Path: path, Mode: connectors.FieldUnquote}
			if slices.Contains([]string{"score", "speed", "x"}, path[len(path)-1]) && r.IntN(2) == 0 {
				f.Cast = types.TypeFloat64
			}
			fields = append(fields, f)
		}
	}
	return fields
}

// checkFast compares what the fast path and the walk make of records.
func checkFast(t testing.TB, schema string, fields []connectors.Field, policy connectors.OnFieldError, records ...string) {
	t.Helper()
	format, err := connectors.LookupFormat("avro")
	if err != nil {
		t.Fatal(err)
	}
	config := connectors.DecoderConfig{Fields: fields, Options: format.Spec.MustOptions("schema", schema), OnFieldError: policy}
	formattest.CompareGeneric(t, avro.NewDecoder, config, 300, formattest.Messages(records...))
}

// The fast path makes of every record, damaged ones too, what the walk makes of it.
func TestFast_Differential(t *testing.T) {
	schema := hamba.MustParse(testSchema)
	r := rand.New(rand.NewPCG(7, 8))
	var records []string
	for i := range 600 {
		data, err := hamba.Marshal(schema, random(r, schema, 0))
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			data = formattest.Damage(r, data)
		}
		records = append(records, string(data))
	}
	for range 60 {
		checkFast(t, testSchema, fastFields(t, r), connectors.OnFieldError(r.IntN(2)), records...)
		if t.Failed() {
			return
		}
	}
}

// FuzzFast is TestFast_Differential for any bytes.
func FuzzFast(f *testing.F) {
	schema := hamba.MustParse(testSchema)
	r := rand.New(rand.NewPCG(9, 10))
	for seed := range uint64(40) {
		data, err := hamba.Marshal(schema, random(r, schema, 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		checkFast(t, testSchema, fastFields(t, r), connectors.OnFieldError(r.IntN(2)), string(data))
	})
}

// A field that is cast to DOUBLE is that DOUBLE or a text of it, also where a
// batch has begun with numbers and goes on with what is none, or with NULL.
func TestDecoder_Cast(t *testing.T) {
	const schema = `{"type":"record","name":"r","fields":[{"name":"at","type":{"type":"record","name":"at","fields":[{"name":"x","type":["null","double","string","long"]}]}}]}`
	inner := func(v any) string { return encode(t, schema, map[string]any{"at": map[string]any{"x": v}}) }
	field := connectors.Field{Column: types.Column{Name: "x", Type: typeLongText}, Path: []string{"at", "x"}, Mode: connectors.FieldUnquote}
	numbers := []any{4.5, 0.0, math.Copysign(0, -1), 1e300, 5e-324, nil, 4.0, -2.25}
	for _, values := range [][]any{numbers, append(slices.Clone(numbers), "12.5x", 3.5), append(slices.Clone(numbers), math.NaN(), 1.0), append(slices.Clone(numbers), int64(math.MaxInt64))} {
		var records []string
		for _, v := range values {
			records = append(records, inner(v))
		}
		texts := decodeField(t, "avro", []string{"schema", schema}, field, formattest.Messages(records...))
		cast := field
		cast.Cast = types.TypeFloat64
		got := decodeField(t, "avro", []string{"schema", schema}, cast, formattest.Messages(records...))
		if len(got) != len(values) || len(texts) != len(values) {
			t.Fatalf("%d and %d rows of %d", len(got), len(texts), len(values))
		}
		for i := range got {
			want, wantErr := strconv.ParseFloat(texts[i], 64)
			is, isErr := strconv.ParseFloat(got[i], 64)
			if got[i] != texts[i] && (wantErr != nil || isErr != nil || math.Float64bits(is) != math.Float64bits(want)) {
				t.Errorf("%v: %s, want what %s is cast to", values[i], got[i], texts[i])
			}
		}
	}
}

// Values may be nested as deep on the fast path as on the walk, within records too.
func TestFast_Depth(t *testing.T) {
	const schema = `{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"record","name":"a","fields":[
		{"name":"list","type":{"type":"record","name":"list","fields":[{"name":"next","type":["null","list"]}]}},
		{"name":"items","type":{"type":"array","items":"list"}},
		{"name":"x","type":"string"}]}}]}`
	for _, name := range []string{"x", "items"} { // the list is skipped, or walked over
		f := connectors.Field{Column: types.Column{Name: name, Type: typeLongText}, Path: []string{"a", name}, Mode: connectors.FieldUnquote}
		for n := 45; n < 55; n++ {
			list := strings.Repeat("\x02", n) + "\x00"
			checkFast(t, schema, []connectors.Field{f}, connectors.FieldErrorDeadLetter, list+"\x00\x02x", "\x00\x02"+list+"\x00\x02x")
		}
	}
}
