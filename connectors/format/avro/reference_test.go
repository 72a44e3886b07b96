package avro_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/internal/mysqljson"
)

// The reference: the library decodes a record into a tree, this file writes the
// tree as JSON, and the JSON format makes columns of it.

// textOf is the JSON text of a value that the library has decoded.
func textOf(schema hamba.Schema, v any) string {
	if ref, ok := schema.(*hamba.RefSchema); ok {
		schema = ref.Schema()
	}
	quote := func(s string) string { return string(mysqljson.AppendQuoted(nil, []byte(s))) }
	logical := hamba.LogicalType("")
	if l, ok := schema.(hamba.LogicalTypeSchema); ok && l.Logical() != nil {
		logical = l.Logical().Type()
	}
	switch schema := schema.(type) {
	case *hamba.RecordSchema:
		var members []string
		for _, f := range schema.Fields() {
			members = append(members, quote(f.Name())+":"+textOf(f.Type(), v.(map[string]any)[f.Name()]))
		}
		return "{" + strings.Join(members, ",") + "}"
	case *hamba.ArraySchema:
		var items []string
		for _, item := range v.([]any) {
			items = append(items, textOf(schema.Items(), item))
		}
		return "[" + strings.Join(items, ",") + "]"
	case *hamba.MapSchema:
		var members []string
		for name, item := range v.(map[string]any) {
			members = append(members, quote(name)+":"+textOf(schema.Values(), item))
		}
		slices.Sort(members)
		return "{" + strings.Join(members, ",") + "}"
	case *hamba.UnionSchema:
		if v == nil {
			return "null"
		}
		for _, branch := range schema.Types() {
			if branch.Type() != hamba.Null { // the tests have one other
				if m, ok := v.(map[string]any); ok {
					for _, name := range []string{"t.rider", "t.at"} {
						if inner, ok := m[name]; ok {
							v = inner
						}
					}
				}
				return textOf(branch, v)
			}
		}
	case *hamba.FixedSchema:
		if d, ok := schema.Logical().(*hamba.DecimalLogicalSchema); ok {
			return v.(*big.Rat).FloatString(d.Scale())
		}
		return quote(base64.StdEncoding.EncodeToString(bytesOf(v)))
	case *hamba.PrimitiveSchema:
		if d, ok := schema.Logical().(*hamba.DecimalLogicalSchema); ok {
			return v.(*big.Rat).FloatString(d.Scale())
		}
	}
	switch logical {
	case hamba.Date:
		return quote(v.(time.Time).UTC().Format("2006-01-02"))
	case hamba.TimeMillis, hamba.TimeMicros:
		return quote(time.Unix(0, 0).UTC().Add(v.(time.Duration)).Format("15:04:05.000000"))
	case hamba.TimestampMillis, hamba.TimestampMicros:
		return quote(v.(time.Time).UTC().Format("2006-01-02 15:04:05.000000"))
	}
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quote(v)
	case []byte:
		return quote(base64.StdEncoding.EncodeToString(v))
	case float32:
		text, _ := json.Marshal(v)
		return decimalPoint(string(text))
	case float64:
		text, _ := json.Marshal(v)
		return decimalPoint(string(text))
	}
	return fmt.Sprint(v)
}

// decimalPoint makes a number one that is no integer.
func decimalPoint(number string) string {
	if strings.ContainsAny(number, ".e") {
		return number
	}
	return number + ".0"
}

// bytesOf is the content of the array that a fixed is decoded to.
func bytesOf(v any) []byte {
	if b, ok := v.([]byte); ok {
		return b
	}
	return fmt.Append(nil, v)
}

// testSchema has every type that the reference knows.
const testSchema = `{"type":"record","name":"event","namespace":"t","fields":[
	{"name":"id","type":"long"},
	{"name":"small","type":["null","int"]},
	{"name":"flag","type":"boolean"},
	{"name":"ratio","type":"float"},
	{"name":"fare","type":["double","null"]},
	{"name":"name","type":["null","string"]},
	{"name":"data","type":"bytes"},
	{"name":"color","type":{"type":"enum","name":"color","symbols":["RED","GREEN","BLUE"]}},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}},
	{"name":"wide","type":{"type":"fixed","name":"wide","size":16,"logicalType":"decimal","precision":38,"scale":10}},
	{"name":"day","type":{"type":"int","logicalType":"date"}},
	{"name":"at","type":{"type":"int","logicalType":"time-millis"}},
	{"name":"at6","type":{"type":"long","logicalType":"time-micros"}},
	{"name":"ts3","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"ts6","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
	{"name":"rider","type":["null",{"type":"record","name":"rider","fields":[
		{"name":"os","type":"color"},
		{"name":"tags","type":{"type":"array","items":"string"}},
		{"name":"score","type":["null","double"]},
		{"name":"next","type":["null","rider"]}]}]},
	{"name":"car","type":{"type":"record","name":"car","fields":[{"name":"plate","type":["null","string"]},{"name":"speed","type":["double","null"]},
		{"name":"seats","type":"int"},{"name":"at","type":["null",{"type":"record","name":"at","fields":[{"name":"x","type":"double"}]}]}]}},
	{"name":"legs","type":{"type":"array","items":{"type":"record","name":"leg","fields":[{"name":"n","type":"int"},{"name":"to","type":"string"}]}}},
	{"name":"labels","type":{"type":"map","values":["null","long"]}}]}`

// random makes a value of a schema for the library to encode.
func random(r *rand.Rand, schema hamba.Schema, depth int) any {
	if ref, ok := schema.(*hamba.RefSchema); ok {
		schema = ref.Schema()
	}
	text := func() string {
		return []string{"", "a", "night rider", "Zürich", "\"quoted\"\n", "12", "2024-02-29", "a longer text with more than sixteen bytes"}[r.IntN(8)]
	}
	number := func() int64 { return r.Int64() >> r.IntN(63) }
	logical := hamba.LogicalType("")
	if l, ok := schema.(hamba.LogicalTypeSchema); ok && l.Logical() != nil {
		logical = l.Logical().Type()
	}
	moment := time.Unix(r.Int64N(4e9)-1e9, r.Int64N(1e9)).UTC()
	switch logical {
	case hamba.Decimal:
		digits := schema.(hamba.LogicalTypeSchema).Logical().(*hamba.DecimalLogicalSchema)
		n := big.NewInt(number() >> 8)
		return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits.Scale())), nil))
	case hamba.Date:
		return moment.Truncate(24 * time.Hour)
	case hamba.TimeMillis:
		return time.Duration(r.Int64N(86_400_000)) * time.Millisecond
	case hamba.TimeMicros:
		return time.Duration(r.Int64N(86_400_000_000)) * time.Microsecond
	case hamba.TimestampMillis:
		return moment.Truncate(time.Millisecond)
	case hamba.TimestampMicros:
		return moment.Truncate(time.Microsecond)
	}
	switch schema := schema.(type) {
	case *hamba.RecordSchema:
		m := map[string]any{}
		for _, f := range schema.Fields() {
			m[f.Name()] = random(r, f.Type(), depth+1)
		}
		return m
	case *hamba.ArraySchema:
		items := []any{}
		for range r.IntN(4) {
			items = append(items, random(r, schema.Items(), depth+1))
		}
		return items
	case *hamba.MapSchema:
		m := map[string]any{}
		for i := range r.IntN(2) { // one member at most: the order of more is not told
			m[text()+fmt.Sprint(i)] = random(r, schema.Values(), depth+1)
		}
		return m
	case *hamba.UnionSchema:
		if r.IntN(3) == 0 || depth > 4 {
			return nil
		}
		for _, branch := range schema.Types() {
			if branch.Type() != hamba.Null {
				v := random(r, branch, depth)
				if _, ok := v.(map[string]any); ok {
					name := "t.at"
					if branch.Type() == hamba.Ref {
						branch = branch.(*hamba.RefSchema).Schema()
					}
					if named, ok := branch.(hamba.NamedSchema); ok {
						name = named.FullName()
					}
					v = map[string]any{name: v}
				}
				return v
			}
		}
	case *hamba.EnumSchema:
		return schema.Symbols()[r.IntN(len(schema.Symbols()))]
	}
	switch schema.Type() {
	case hamba.Boolean:
		return r.IntN(2) == 0
	case hamba.Int:
		return int(int32(number()))
	case hamba.Long:
		return number()
	case hamba.Float:
		return float32(r.NormFloat64())
	case hamba.Double:
		return float64(r.IntN(1e6)) / 100
	case hamba.Bytes:
		return []byte(text())
	}
	return text()
}
