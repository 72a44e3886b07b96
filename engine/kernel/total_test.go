package kernel_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// total aggregates batches, each in a total of its own.
func total(t *testing.T, function string, arg, out types.Type, batches ...[]any) (any, error) {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	sum, ok := kernel.NewTotal(function, arg, out)
	if !ok {
		t.Fatalf("no total %s of %s as %s", function, arg, out)
	}
	for _, values := range batches {
		b := array.NewBuilder(alloc, arg.Arrow())
		for _, v := range values {
			if err := kernel.AppendValue(b, v); err != nil {
				t.Fatal(err)
			}
		}
		arr := b.NewArray()
		b.Release()
		part, _ := kernel.NewTotal(function, arg, out)
		// A slice, so that offsets count.
		half := int64(arr.Len() / 2)
		for _, s := range []arrow.Array{array.NewSlice(arr, 0, half), array.NewSlice(arr, half, int64(arr.Len()))} {
			if err := part.Add(s); err != nil {
				s.Release()
				arr.Release()
				return nil, err
			}
			s.Release()
		}
		arr.Release()
		if err := sum.Merge(part); err != nil {
			return nil, err
		}
	}
	arr, err := sum.Array(alloc)
	if err != nil {
		return nil, err
	}
	defer arr.Release()
	if arr.Len() != 1 {
		t.Fatalf("%d rows", arr.Len())
	}
	return kernel.Value(arr, 0), nil
}

func parse(t *testing.T, s string) types.Type {
	t.Helper()
	typ, err := types.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestTotal(t *testing.T) {
	f := func(function, arg, out string, want any, batches ...[]any) {
		t.Helper()
		got, err := total(t, function, parse(t, arg), parse(t, out), batches...)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s of %s %v: %v, want %v", function, arg, batches, got, want)
		}
	}
	f("count", "TEXT", "BIGINT", int64(2), []any{"a", nil}, []any{"b"})
	f("count", "TEXT", "BIGINT", int64(0))
	for _, function := range []string{"sum", "avg", "min", "max"} {
		f(function, "DOUBLE", "DOUBLE", nil, []any{nil}, []any{})
	}
	f("sum", "DECIMAL(10,2)", "DECIMAL(32,2)", "1.25", []any{"-1.00", nil}, []any{"2.25"})
	f("avg", "DECIMAL(10,2)", "DECIMAL(14,6)", "-0.333333", []any{"-1.00", "0.00"}, []any{"0.00"})
	f("avg", "DECIMAL(10,2)", "DECIMAL(14,6)", "0.666667", []any{"1.00", "1.00"}, []any{"0.00"})
	f("sum", "BIGINT", "DECIMAL(38,0)", "18446744073709551612", []any{int64(1<<63 - 1), int64(1<<63 - 1)}, []any{int64(-2)})
	f("sum", "BIGINT UNSIGNED", "DECIMAL(38,0)", "36893488147419103230", []any{uint64(1<<64 - 1)}, []any{uint64(1<<64 - 1)})
	f("sum", "TINYINT", "DECIMAL(25,0)", "-256", []any{int64(-128)}, []any{int64(-128)})
	f("avg", "INT", "DECIMAL(14,4)", "1.5000", []any{int64(1)}, []any{int64(2)})
	f("sum", "DECIMAL(19,9)", "DECIMAL(32,4)", "1.0000", []any{"0.333333333", "0.333333333"}, []any{"0.333333333"})
	f("avg", "DECIMAL(19,9)", "DECIMAL(18,8)", "-0.33333333", []any{"-0.333333333"}, []any{"-0.333333333"})
	f("sum", "DOUBLE", "DOUBLE", 1.5, []any{1.0, nil}, []any{0.5})
	f("avg", "DOUBLE", "DOUBLE", 0.75, []any{1.0, nil}, []any{0.5})
	f("sum", "DOUBLE", "DOUBLE", "DOUBLE value is out of range", []any{1e308, 1e308})
	f("min", "DATE", "DATE", int64(-5), []any{int64(3)}, []any{int64(-5), nil})
	f("max", "TIMESTAMP(3)", "TIMESTAMP(3)", int64(7), []any{nil, int64(7)}, []any{int64(-5)})
	f("max", "INT", "INT", int64(-5), []any{int64(-7)}, []any{int64(-5)})
	f("min", "INT UNSIGNED", "INT UNSIGNED", uint64(5), []any{uint64(7)}, []any{uint64(5)})
	f("max", "FLOAT", "FLOAT", -0.5, []any{-1.5}, []any{-0.5})
	f("min", "DECIMAL(38,2)", "DECIMAL(38,2)", "-3.00", []any{"1.00", "-3.00"}, []any{nil, "2.50"})
	f("min", "TEXT", "TEXT", "", []any{"b", nil, "a"}, []any{"", "a"})
	f("max", "TEXT", "TEXT", "é", []any{"b", nil, "ba"}, []any{"é", "Z"}, []any{"", nil})
	f("max", "VARCHAR(9)", "VARCHAR(9)", "", []any{nil, ""}, []any{nil})
	f("min", "ENUM('z','y')", "ENUM('z','y')", "y", []any{"z", "y"})
	f("min", "TEXT", "TEXT", nil, []any{nil}, []any{})
	nines := strings.Repeat("9", 38)
	f("sum", "DECIMAL(38,0)", "DECIMAL(38,0)", nines, []any{nines, "-5"}, []any{"5"})
	f("sum", "DECIMAL(38,0)", "DECIMAL(38,0)", "DECIMAL value is out of range", []any{nines, "1"})
	f("sum", "DECIMAL(38,0)", "DECIMAL(38,0)", "DECIMAL value is out of range", []any{nines}, []any{nines})
	f("sum", "DECIMAL(38,0)", "DECIMAL(38,0)", "DECIMAL value is out of range", []any{"-" + nines}, []any{"-" + nines})
}

// TestTotal_Dictionary adds up codes; only those of rows with a value count.
func TestTotal_Dictionary(t *testing.T) {
	text := parse(t, "TEXT")
	f := func(function string, want any, codes ...int32) {
		t.Helper()
		values, indices := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt32Builder(memory.DefaultAllocator)
		values.AppendValues([]string{"a", "m", "c", "z"}, nil)
		for _, c := range codes {
			if c < 0 {
				indices.AppendNull()
			} else {
				indices.Append(c)
			}
		}
		dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
		arr := array.NewDictionaryArray(dictionary, indices.NewArray(), values.NewArray())
		total, ok := kernel.NewTotal(function, text, text)
		if !ok {
			t.Fatalf("no total %s", function)
		}
		for i := range int64(len(codes)) {
			if err := total.Add(array.NewSlice(arr, i, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := total.Add(arr); err != nil {
			t.Fatal(err)
		}
		got, err := total.Array(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		if v := kernel.Value(got, 0); v != want {
			t.Errorf("%s of %v: %v, want %v", function, codes, v, want)
		}
	}
	f("min", "c", 1, 2, 2, -1, 1)
	f("max", "m", 1, 2, 2, -1, 1)
	f("max", nil, -1, -1)
}

func TestTotal_None(t *testing.T) {
	f := func(function, arg, out string) {
		t.Helper()
		if _, ok := kernel.NewTotal(function, parse(t, arg), parse(t, out)); ok {
			t.Errorf("there is a total %s of %s", function, arg)
		}
	}
	f("sum", "TEXT", "DOUBLE")
	f("min", "BLOB", "BLOB")
	f("max", "JSON", "JSON")
	f("sum", "DATE", "DOUBLE")
	f("stddev_pop", "DOUBLE", "DOUBLE")
	f("any_value", "INT", "INT")
}

// TestTotal_Exact compares with numbers of any size.
func TestTotal_Exact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, arg := range []string{"DECIMAL(10,2)", "DECIMAL(14,3)", "DECIMAL(15,3)", "DECIMAL(30,6)"} {
		for range 40 {
			typ := parse(t, arg)
			want, n := new(big.Int), int64(0)
			batches := make([][]any, 1+r.IntN(3))
			for i := range batches {
				for range r.IntN(300) {
					if r.IntN(10) == 0 {
						batches[i] = append(batches[i], nil)
						continue
					}
					v := new(big.Int)
					for range typ.Precision {
						v.Add(v.Mul(v, big.NewInt(10)), big.NewInt(r.Int64N(10)))
					}
					if r.IntN(2) == 0 {
						v.Neg(v)
					}
					want.Add(want, v)
					n++
					batches[i] = append(batches[i], decimalText(v, typ.Scale))
				}
			}
			out := types.NewDecimal(min(typ.Precision+22, 38), typ.Scale)
			got, err := total(t, "sum", typ, out, batches...)
			if text := decimalText(want, typ.Scale); err != nil || n > 0 && got != text || n == 0 && got != nil {
				t.Fatalf("sum of %d %s: %v, %v; want %s", n, arg, got, err, text)
			}
			if n == 0 {
				continue
			}
			mean := new(big.Rat).SetFrac(want, new(big.Int).Mul(big.NewInt(n), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.Scale)), nil)))
			got, err = total(t, "avg", typ, types.NewDecimal(typ.Precision+4, typ.Scale+4), batches...)
			text := mean.FloatString(typ.Scale + 4)
			if err != nil || got != text && "-"+fmt.Sprint(got) != text {
				t.Fatalf("average of %d %s: %v, %v; want %s", n, arg, got, err, text)
			}
		}
	}
}

func decimalText(v *big.Int, scale int) string {
	s := fmt.Sprintf("%0*s", scale+1, new(big.Int).Abs(v))
	s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	if v.Sign() < 0 {
		s = "-" + s
	}
	return s
}

// BenchmarkTotal is the cost of SUM a row.
func BenchmarkTotal(b *testing.B) {
	for _, typ := range []string{"DECIMAL(10,2)", "DECIMAL(20,2)", "DOUBLE", "BIGINT"} {
		b.Run(typ, func(b *testing.B) {
			t, err := types.Parse(typ)
			if err != nil {
				b.Fatal(err)
			}
			out := types.NewDecimal(38, t.Scale)
			if t.Kind.IsFloat() {
				out = t
			}
			builder := array.NewBuilder(memory.DefaultAllocator, t.Arrow())
			const rows = 1 << 14
			for i := range int64(rows) {
				if err := kernel.AppendValue(builder, i); err != nil {
					b.Fatal(err)
				}
			}
			arr := builder.NewArray()
			defer arr.Release()
			builder.Release()
			sum, ok := kernel.NewTotal("sum", t, out)
			if !ok {
				b.Fatal("no total")
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := sum.Add(arr); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
