package lake

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icebergo "github.com/apache/iceberg-go"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/types"
)

// routerColumn is a partition column: how it is stored, how a value gets into
// an array, and the library's literal of it.
type routerColumn struct {
	stored  types.Type
	iceberg icebergo.Type
	arrow   arrow.DataType
	append  func(b array.Builder, r *rand.Rand) icebergo.Literal
}

func pick(r *rand.Rand) int64 {
	switch r.IntN(10) {
	case 0:
		return math.MaxInt32
	case 1:
		return math.MinInt32
	}
	return int64(r.IntN(200) - 100)
}

func word(r *rand.Rand) string {
	return strings.Repeat("é", r.IntN(4)) + string(rune('a'+r.IntN(3))) + strings.Repeat("x", r.IntN(20))
}

var timestampType = &arrow.TimestampType{Unit: arrow.Microsecond}

func routerColumns() []routerColumn {
	micros := func(r *rand.Rand) int64 { return pick(r) * 1_234_567_891 }
	narrow := &arrow.Decimal128Type{Precision: 12, Scale: 2}
	wide := &arrow.Decimal128Type{Precision: 30, Scale: 2}
	return []routerColumn{
		{types.Type{Kind: types.Bool}, icebergo.PrimitiveTypes.Bool, arrow.FixedWidthTypes.Boolean, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := r.IntN(2) == 1
			b.(*array.BooleanBuilder).Append(v)
			return icebergo.NewLiteral(v)
		}},
		{types.Type{Kind: types.Int32}, icebergo.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int32, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := int32(pick(r))
			b.(*array.Int32Builder).Append(v)
			return icebergo.NewLiteral(v)
		}},
		{types.Type{Kind: types.Int32}, icebergo.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int8, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := int8(r.IntN(256) - 128)
			b.(*array.Int8Builder).Append(v)
			return icebergo.NewLiteral(int32(v))
		}},
		{types.TypeInt64, icebergo.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Int64, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := pick(r) << (r.IntN(2) * 30)
			b.(*array.Int64Builder).Append(v)
			return icebergo.NewLiteral(v)
		}},
		{types.Type{Kind: types.Float32}, icebergo.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float32, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := float32(pick(r)) / 4
			b.(*array.Float32Builder).Append(v)
			return icebergo.NewLiteral(v)
		}},
		{types.TypeFloat64, icebergo.PrimitiveTypes.Float64, arrow.PrimitiveTypes.Float64, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := float64(pick(r)) / 4
			b.(*array.Float64Builder).Append(v)
			return icebergo.NewLiteral(v)
		}},
		{types.NewDecimal(12, 2), icebergo.DecimalTypeOf(12, 2), narrow, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := decimal128.FromI64(pick(r))
			b.(*array.Decimal128Builder).Append(v)
			return icebergo.NewLiteral(icebergo.Decimal{Val: v, Scale: 2})
		}},
		{types.NewDecimal(30, 2), icebergo.DecimalTypeOf(30, 2), wide, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := decimal128.FromI64(pick(r)).Mul(decimal128.FromI64(1 << 40))
			b.(*array.Decimal128Builder).Append(v)
			return icebergo.NewLiteral(icebergo.Decimal{Val: v, Scale: 2})
		}},
		{types.NewDecimal(20, 0), icebergo.DecimalTypeOf(20, 0), arrow.PrimitiveTypes.Uint64, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := uint64(pick(r)) << (r.IntN(2) * 20)
			b.(*array.Uint64Builder).Append(v)
			return icebergo.NewLiteral(icebergo.Decimal{Val: decimal128.FromU64(v)})
		}},
		{types.TypeDate, icebergo.PrimitiveTypes.Date, arrow.FixedWidthTypes.Date32, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := int32(pick(r)) >> 12
			b.(*array.Date32Builder).Append(arrow.Date32(v))
			return icebergo.NewLiteral(icebergo.Date(v))
		}},
		{types.Type{Kind: types.Time}, icebergo.PrimitiveTypes.Time, arrow.FixedWidthTypes.Time64us, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := int64(r.IntN(50)) * 1e9
			b.(*array.Time64Builder).Append(arrow.Time64(v))
			return icebergo.NewLiteral(icebergo.Time(v))
		}},
		{types.Type{Kind: types.DateTime}, icebergo.PrimitiveTypes.Timestamp, timestampType, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := micros(r) >> 10
			b.(*array.TimestampBuilder).Append(arrow.Timestamp(v))
			return icebergo.NewLiteral(icebergo.Timestamp(v))
		}},
		{types.TypeText, icebergo.PrimitiveTypes.String, arrow.BinaryTypes.String, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := word(r)
			b.(*array.StringBuilder).Append(v)
			return icebergo.NewLiteral(v)
		}},
		{types.TypeText, icebergo.PrimitiveTypes.String, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := word(r)
			if err := b.(*array.BinaryDictionaryBuilder).AppendString(v); err != nil {
				panic(err)
			}
			return icebergo.NewLiteral(v)
		}},
		{types.TypeBlob, icebergo.PrimitiveTypes.Binary, arrow.BinaryTypes.Binary, func(b array.Builder, r *rand.Rand) icebergo.Literal {
			v := []byte(word(r))
			b.(*array.BinaryBuilder).Append(v)
			return icebergo.NewLiteral(v)
		}},
	}
}

// TestRouter compares the partition of each row with the library's transforms.
func TestRouter(t *testing.T) {
	columns := routerColumns()
	transforms := []string{"identity", "bucket[16]", "truncate[3]", "day", "hour"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		target := &catalog.Target{}
		var chosen []routerColumn
		var applied []icebergo.Transform
		for len(chosen) < 1+r.IntN(3) {
			c, name := columns[r.IntN(len(columns))], transforms[r.IntN(len(transforms))]
			tr, err := icebergo.ParseTransform(name)
			if err != nil {
				t.Fatal(err)
			}
			if !tr.CanTransform(c.iceberg) {
				continue
			}
			field := catalog.SpecField{PartitionField: catalog.PartitionField{Name: fmt.Sprint("p", len(chosen)), Column: len(chosen), Transform: name}}
			target.Columns = append(target.Columns, catalog.TargetColumn{Name: "c", Type: c.stored})
			target.Spec = append(target.Spec, field)
			chosen, applied = append(chosen, c), append(applied, tr)
		}
		router, err := newRouter(target)
		if err != nil {
			t.Fatal(err)
		}
		paths := map[string]string{}
		for batch := range 3 {
			n := 1 + r.IntN(300)
			arrays := make([]arrow.Array, len(chosen))
			want := make([]string, n)
			for i, c := range chosen {
				b := array.NewBuilder(memory.DefaultAllocator, c.arrow)
				for row := range n {
					if r.IntN(8) == 0 {
						b.AppendNull()
						want[row] += "NULL|"
						continue
					}
					literal := c.append(b, r)
					out := applied[i].Apply(icebergo.Optional[icebergo.Literal]{Valid: true, Val: literal})
					want[row] += literalText(out.Val) + "|"
				}
				arrays[i] = b.NewArray()
			}
			var rows []int32
			for row := range n {
				if r.IntN(5) > 0 {
					rows = append(rows, int32(row))
				}
			}
			groups, err := router.route(arrays, rows)
			if err != nil {
				t.Fatal(err)
			}
			seen, total := map[int32]bool{}, 0
			for _, g := range groups {
				if seen[g.part] {
					t.Fatalf("seed %d: partition %d comes twice", seed, g.part)
				}
				seen[g.part] = true
				total += len(g.rows)
				p := router.parts[g.part]
				got := ""
				for _, v := range p.values {
					got += valueString(v) + "|"
				}
				if other, ok := paths[got]; ok && other != p.path {
					t.Errorf("seed %d: partition %s has paths %s and %s", seed, got, other, p.path)
				}
				paths[got] = p.path
				last := int32(-1)
				for _, row := range g.rows {
					if want[row] != got {
						t.Fatalf("seed %d batch %d %+v: row %d is in %s, want %s", seed, batch, target.Spec, row, got, want[row])
					}
					if row <= last {
						t.Fatalf("seed %d: rows of a group are not ascending: %v", seed, g.rows)
					}
					last = row
				}
			}
			if total != len(rows) {
				t.Fatalf("seed %d: %d of %d rows were routed", seed, total, len(rows))
			}
		}
		for key, path := range paths {
			if path == "" || strings.Contains(path, "..") || len(path) > 300 {
				t.Errorf("seed %d: partition %s has path %q", seed, key, path)
			}
		}
		router.reset()
	}
}

func literalText(l icebergo.Literal) string {
	switch l := l.(type) {
	case icebergo.DecimalLiteral:
		return l.Val.BigInt().String()
	case icebergo.BinaryLiteral:
		return fmt.Sprintf("%x", []byte(l))
	case icebergo.DateLiteral:
		return fmt.Sprint(int32(l))
	case icebergo.TimeLiteral:
		return fmt.Sprint(int64(l))
	case icebergo.TimestampLiteral:
		return fmt.Sprint(int64(l))
	case icebergo.StringLiteral:
		return string(l)
	}
	return l.String()
}

func valueString(v any) string {
	if v == nil {
		return "NULL"
	}
	return valueText(v)
}

func TestPartitionPath(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		got := safeName(s, 20)
		if want != "" && got != want || strings.ContainsAny(got, "/\\%?#= \x00") || strings.Contains(got, "..") || len(got) > 40 || got == "" {
			t.Errorf("safeName(%q) = %q, want %q", s, got, want)
		}
	}
	f("city1", "city1")
	f("2024-01-02", "2024-01-02")
	f("a.b", "a.b")
	f("", "")
	f("..", "")
	f("../../etc/passwd", "")
	f("a/b", "")
	f("ü", "")
	f(strings.Repeat("x", 300), "")
	f("a\x00b", "")
	f("%2e%2e", "")
	if safeName("a/b", 20) == safeName("a_b", 20) || safeName(strings.Repeat("x", 300), 20) == safeName(strings.Repeat("x", 301), 20) {
		t.Error("two values share a folder")
	}
}
