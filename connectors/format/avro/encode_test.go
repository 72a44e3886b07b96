package avro_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	hamba "github.com/hamba/avro/v2"

	"github.com/leatdb/leat/connectors/format/avro"
	"github.com/leatdb/leat/sql/types"
)

// What the encoder writes another library reads by the schema that it gives.
func TestEncoder_AgreesWithAnotherLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	mem := memory.DefaultAllocator
	schema := types.Schema{
		{Name: "n", Type: types.TypeInt64}, {Name: "left_out", Type: types.TypeInt64}, {Name: "s", Type: types.TypeText, NotNull: true},
		{Name: "d", Type: types.NewDecimal(38, 2)}, {Name: "f", Type: types.TypeFloat64}, {Name: "u", Type: types.TypeUint64},
	}
	members := []int{0, 2, 3, 4, 5}
	e, text, err := avro.NewEncoder("a-topic.name", schema, members)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := hamba.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for range 2000 {
		n, f, u := random.Int64()>>random.IntN(64), random.NormFloat64(), random.Uint64()>>random.IntN(64)
		if random.IntN(2) == 0 {
			n = -n
		}
		d := decimal128.FromI64(n).Mul(decimal128.FromI64(random.Int64N(1 << 40)))
		s := string(make([]byte, random.IntN(200)))
		null := random.IntN(4) == 0
		ints, strs, decs := array.NewInt64Builder(mem), array.NewStringBuilder(mem), array.NewDecimal128Builder(mem, &arrow.Decimal128Type{Precision: 38, Scale: 2})
		floats, uints := array.NewFloat64Builder(mem), array.NewUint64Builder(mem)
		strs.Append(s)
		if null {
			ints.AppendNull()
			decs.AppendNull()
			floats.AppendNull()
			uints.AppendNull()
		} else {
			ints.Append(n)
			decs.Append(d)
			floats.Append(f)
			uints.Append(u)
		}
		a := ints.NewArray()
		if err := e.Bind([]arrow.Array{a, a, strs.NewArray(), decs.NewArray(), floats.NewArray(), uints.NewArray()}); err != nil {
			t.Fatal(err)
		}
		row := e.AppendRow(nil, 0)
		var got map[string]any
		if err := hamba.Unmarshal(parsed, row, &got); err != nil {
			t.Fatalf("%x: %v", row, err)
		}
		if got["s"] != s {
			t.Fatalf("%q", got["s"])
		}
		if null {
			if got["n"] != nil || got["d"] != nil || got["f"] != nil || got["u"] != nil {
				t.Fatalf("%v", got)
			}
			continue
		}
		unscaled := new(big.Rat).Mul(rat(t, got["d"]), big.NewRat(100, 1))
		if got["n"] != n || got["f"] != f || unscaled.Cmp(new(big.Rat).SetInt(d.BigInt())) != 0 || rat(t, got["u"]).Cmp(new(big.Rat).SetUint64(u)) != 0 {
			t.Fatalf("%d %s %v %d: %v", n, d.BigInt(), f, u, got)
		}
	}
}

// rat is a decimal as the other library gives it.
func rat(t *testing.T, v any) *big.Rat {
	t.Helper()
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		for _, inner := range m {
			v = inner
		}
	}
	switch v := v.(type) {
	case *big.Rat:
		return v
	case big.Rat:
		return &v
	}
	t.Fatalf("a decimal as %T", v)
	return nil
}
