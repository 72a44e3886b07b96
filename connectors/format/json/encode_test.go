package json_test

import (
	stdjson "encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/sql/types"
)

// arrayOf makes an array of one type from values; nil is NULL.
func arrayOf(t testing.TB, mem memory.Allocator, typ types.Type, values ...any) arrow.Array {
	t.Helper()
	b := array.NewBuilder(mem, typ.Arrow())
	defer b.Release()
	for _, v := range values {
		switch b := b.(type) {
		case *array.Decimal128Builder:
			if v != nil {
				b.Append(v.(decimal128.Num))
				continue
			}
		case *array.TimestampBuilder:
			if v != nil {
				b.Append(arrow.Timestamp(v.(int64)))
				continue
			}
		case *array.Time64Builder:
			if v != nil {
				b.Append(arrow.Time64(v.(int64)))
				continue
			}
		case *array.Date32Builder:
			if v != nil {
				b.Append(arrow.Date32(v.(int32)))
				continue
			}
		case *array.Int64Builder:
			if v != nil {
				b.Append(v.(int64))
				continue
			}
		case *array.Uint64Builder:
			if v != nil {
				b.Append(v.(uint64))
				continue
			}
		case *array.Int8Builder:
			if v != nil {
				b.Append(v.(int8))
				continue
			}
		case *array.Float64Builder:
			if v != nil {
				b.Append(v.(float64))
				continue
			}
		case *array.BooleanBuilder:
			if v != nil {
				b.Append(v.(bool))
				continue
			}
		case *array.StringBuilder:
			if v != nil {
				b.Append(v.(string))
				continue
			}
		case *array.BinaryBuilder:
			if v != nil {
				b.Append(v.([]byte))
				continue
			}
		default:
			t.Fatalf("no values for %T", b)
		}
		b.AppendNull()
	}
	return b.NewArray()
}

func TestEncoder_Values(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	one := func(typ types.Type, value any, want, decimals string) {
		t.Helper()
		a := arrayOf(t, mem, typ, nil, value)
		defer a.Release()
		for _, c := range []struct {
			text bool
			want string
		}{{false, want}, {true, decimals}} {
			e := json.NewEncoder(types.Schema{{Name: `a "b"`, Type: typ}}, json.EncoderOptions{DecimalText: c.text})
			if err := e.Bind([]arrow.Array{a}); err != nil {
				t.Fatal(err)
			}
			if got := string(e.AppendRow(nil, 1)); got != `{"a \"b\"":`+c.want+`}` {
				t.Errorf("%s %v: %s, want %s", typ, value, got, c.want)
			}
			if got := string(e.AppendRow(nil, 0)); got != `{"a \"b\"":null}` {
				t.Errorf("%s NULL: %s", typ, got)
			}
		}
	}
	micros := func(text string) int64 {
		at, err := time.Parse("2006-01-02T15:04:05.999999", text)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMicro()
	}
	g := func(typ types.Type, value any, want string) {
		t.Helper()
		one(typ, value, want, want)
	}
	g(types.TypeBool, true, "true")
	g(types.Type{Kind: types.Int8}, int8(-128), "-128")
	g(types.TypeInt64, int64(math.MinInt64), "-9223372036854775808")
	g(types.TypeUint64, uint64(math.MaxUint64), "18446744073709551615")
	g(types.TypeFloat64, 0.1, "0.1")
	g(types.TypeFloat64, 1e300, "1e+300")
	g(types.TypeFloat64, 100000.0, "100000")
	g(types.TypeFloat64, math.Inf(1), "null")
	g(types.TypeText, "a\"\\\n\t\x01é\xff", `"a\"\\\n\t\u0001é`+"\uFFFD"+`"`)
	g(types.TypeBlob, []byte("hi"), `"aGk="`)
	g(types.TypeJSON, "{\"a\":\n[1]}", `{"a": [1]}`)
	g(types.TypeDate, int32(0), `"1970-01-01"`)
	g(types.TypeDate, int32(-719162), `"0001-01-01"`)
	g(types.TypeDate, int32(2932896), `"9999-12-31"`)
	g(types.TypeDate, int32(11016), `"2000-02-29"`)
	g(types.Type{Kind: types.Time, Fsp: 2}, int64(86399_990_000), `"23:59:59.99"`)
	g(types.Type{Kind: types.Timestamp, Fsp: 3}, micros("2026-07-01T09:15:02.123456"), `"2026-07-01T09:15:02.123Z"`)
	g(types.Type{Kind: types.Timestamp}, micros("1969-12-31T23:59:59.5"), `"1969-12-31T23:59:59Z"`)
	g(types.Type{Kind: types.DateTime, Fsp: 6}, micros("0001-01-01T00:00:00.000001"), `"0001-01-01T00:00:00.000001"`)
	decimal := func(text string, scale int32) any {
		n, err := decimal128.FromString(text, 38, scale)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, text := range []string{"0.00", "-0.01", "12.30", "-9999999999999999.99", "123456789012345678901234567890123456.78"} {
		one(types.NewDecimal(38, 2), decimal(text, 2), text, `"`+text+`"`)
	}
	one(types.NewDecimal(20, 0), decimal("-18446744073709551615", 0), "-18446744073709551615", `"-18446744073709551615"`)
}

// Dates and text agree with the standard library over random values.
func TestEncoder_AgreesWithTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	mem := memory.DefaultAllocator
	date := types.Type{Kind: types.Timestamp, Fsp: 6}
	for range 5000 {
		var s strings.Builder
		for range random.IntN(20) {
			s.WriteRune(rune(random.IntN(1 << (4 + random.IntN(13)))))
		}
		// Years 0 to 9999.
		micros := random.Int64N(315537897600_000000) - 62135596800_000000
		d := decimal128.New(random.Int64()>>(1+random.IntN(62)), random.Uint64())
		columns := []arrow.Array{arrayOf(t, mem, types.TypeText, s.String()), arrayOf(t, mem, date, micros), arrayOf(t, mem, types.NewDecimal(38, 4), d)}
		e := json.NewEncoder(types.Schema{{Name: "s", Type: types.TypeText}, {Name: "at", Type: date}, {Name: "d", Type: types.NewDecimal(38, 4)}}, json.EncoderOptions{DecimalText: true})
		if err := e.Bind(columns); err != nil {
			t.Fatal(err)
		}
		row := e.AppendRow(nil, 0)
		var got struct{ S, At, D string }
		if err := stdjson.Unmarshal(row, &got); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if want := time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000Z"); got.S != s.String() || got.At != want || got.D != d.ToString(4) {
			t.Fatalf("%s: want %q, %s, %s", row, s.String(), want, d.ToString(4))
		}
		// The bound of a row's size holds.
		sizes := make([]int, 1)
		e.AddText(sizes)
		if most := sizes[0] + e.Fixed(); len(row) > most {
			t.Fatalf("%d bytes, at most %d: %s", len(row), most, row)
		}
	}
}
