package iceberg_test

import (
	"cmp"
	"encoding"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	icebergo "github.com/apache/iceberg-go"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/iceberg"
)

// planColumn is a column of TestPlan: how values are drawn (as predicates have
// them), compared, put into bounds and into a partition.
type planColumn struct {
	declared string
	value    func(r *rand.Rand) any
	compare  func(a, b any) int
	literal  func(v any) icebergo.Literal
	// partition is the value as DataFile.Partition has it.
	partition func(v any) any
}

func ordered[T cmp.Ordered](a, b any) int { return cmp.Compare(a.(T), b.(T)) }

func hundredths(v any) int64 {
	f, err := strconv.ParseFloat(v.(string), 64)
	if err != nil {
		panic(err)
	}
	return int64(f*1000 + 0.5*float64(cmp.Compare(f, 0)))
}

func decimalOf(v any) decimal128.Num { return decimal128.FromI64(hundredths(v) / 10) }

var planColumns = []planColumn{
	{"INT", func(r *rand.Rand) any { return int64(r.IntN(20) - 10) }, ordered[int64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(int32(v.(int64))) },
		func(v any) any { return int32(v.(int64)) }},
	{"BIGINT", func(r *rand.Rand) any { return int64(r.IntN(20))*1e12 - 5e12 }, ordered[int64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(v.(int64)) },
		func(v any) any { return v }},
	{"BIGINT UNSIGNED", func(r *rand.Rand) any { return uint64(r.IntN(20)) << 59 }, ordered[uint64],
		func(v any) icebergo.Literal {
			return icebergo.NewLiteral(icebergo.Decimal{Val: decimal128.FromU64(v.(uint64))})
		},
		func(v any) any { return decimal128.FromU64(v.(uint64)) }},
	{"FLOAT", func(r *rand.Rand) any { return float64(r.IntN(20)) / 4 }, ordered[float64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(float32(v.(float64))) },
		func(v any) any { return float32(v.(float64)) }},
	{"DOUBLE", func(r *rand.Rand) any { return float64(r.IntN(20)) / 10 }, ordered[float64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(v.(float64)) },
		func(v any) any { return v }},
	{"DECIMAL(10,2)", func(r *rand.Rand) any { return strconv.FormatFloat(float64(r.IntN(2000)-1000)/100, 'f', 2, 64) },
		func(a, b any) int { return cmp.Compare(hundredths(a), hundredths(b)) },
		func(v any) icebergo.Literal {
			return icebergo.NewLiteral(icebergo.Decimal{Val: decimalOf(v), Scale: 2})
		},
		func(v any) any { return decimalOf(v) }},
	{"DATE", func(r *rand.Rand) any { return int64(r.IntN(40) - 20) }, ordered[int64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(icebergo.Date(v.(int64))) },
		func(v any) any { return int32(v.(int64)) }},
	{"TIME(6)", func(r *rand.Rand) any { return int64(r.IntN(20)) * 1e9 }, ordered[int64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(icebergo.Time(v.(int64))) },
		func(v any) any { return v }},
	{"DATETIME(6)", func(r *rand.Rand) any { return int64(r.IntN(40)-20) * 7e9 }, ordered[int64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(icebergo.Timestamp(v.(int64))) },
		func(v any) any { return v }},
	{"TIMESTAMP(6)", func(r *rand.Rand) any { return int64(r.IntN(40)-20) * 7e9 }, ordered[int64],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(icebergo.Timestamp(v.(int64))) },
		func(v any) any { return v }},
	{"VARCHAR(40)", func(r *rand.Rand) any {
		if r.IntN(6) == 0 {
			return ""
		}
		return strings.Repeat(string(rune('a'+r.IntN(4))), r.IntN(3)) + strings.Repeat("é", r.IntN(20)) + string(rune('a'+r.IntN(4)))
	}, ordered[string],
		func(v any) icebergo.Literal { return icebergo.NewLiteral(v.(string)) },
		func(v any) any { return v }},
	{"BOOLEAN", func(r *rand.Rand) any { return r.IntN(2) == 1 },
		func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) },
		func(v any) icebergo.Literal { return icebergo.NewLiteral(v.(bool)) },
		func(v any) any { return v }},
	{"VARBINARY(10)", func(r *rand.Rand) any { return []byte{byte(r.IntN(8) * 36), byte(r.IntN(256))}[:2*min(1, r.IntN(6))] },
		func(a, b any) int { return slices.Compare(a.([]byte), b.([]byte)) },
		func(v any) icebergo.Literal { return icebergo.NewLiteral(v.([]byte)) },
		func(v any) any { return v }},
}

func bound(t *testing.T, l icebergo.Literal) []byte {
	t.Helper()
	b, err := l.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// matches evaluates a predicate as MySQL does: NULL matches nothing but IS NULL.
func matches(c planColumn, p catalog.Predicate, v any) bool {
	switch p.Op {
	case catalog.OpIsNull:
		return v == nil
	case catalog.OpIsNotNull:
		return v != nil
	}
	if v == nil {
		return false
	}
	if p.Op == catalog.OpIn {
		return slices.ContainsFunc(p.Values, func(w any) bool { return w != nil && c.compare(v, w) == 0 })
	}
	if p.Values[0] == nil {
		return false
	}
	d := c.compare(v, p.Values[0])
	switch p.Op {
	case catalog.OpEqual:
		return d == 0
	case catalog.OpNotEqual:
		return d != 0
	case catalog.OpLess:
		return d < 0
	case catalog.OpLessEqual:
		return d <= 0
	case catalog.OpGreater:
		return d > 0
	}
	return d >= 0
}

// TestPlan makes tables of files with known rows and compares what is planned
// for random predicates with the rows: no file with a matching row may be
// missing, and most others should be.
func TestPlan(t *testing.T) {
	for i, transform := range []string{"", "identity", "bucket[4]", "truncate[3]", "day", "hour"} {
		for k, c := range planColumns {
			if testing.Short() && (i+k)%3 != 0 {
				continue
			}
			spec, err := icebergTransform(transform, c)
			if err != nil {
				continue
			}
			t.Run(c.declared+" "+transform, func(t *testing.T) { testPlan(t, c, transform, spec) })
		}
	}
}

// icebergTransform is the library's transform of a column, nil without one.
func icebergTransform(name string, c planColumn) (icebergo.Transform, error) {
	if name == "" {
		return nil, nil
	}
	tr, err := icebergo.ParseTransform(name)
	if err != nil {
		return nil, err
	}
	types := map[string]icebergo.Type{
		"INT": icebergo.PrimitiveTypes.Int32, "BIGINT": icebergo.PrimitiveTypes.Int64, "BIGINT UNSIGNED": icebergo.DecimalTypeOf(20, 0),
		"FLOAT": icebergo.PrimitiveTypes.Float32, "DOUBLE": icebergo.PrimitiveTypes.Float64, "DECIMAL(10,2)": icebergo.DecimalTypeOf(10, 2),
		"DATE": icebergo.PrimitiveTypes.Date, "TIME(6)": icebergo.PrimitiveTypes.Time, "DATETIME(6)": icebergo.PrimitiveTypes.Timestamp,
		"TIMESTAMP(6)": icebergo.PrimitiveTypes.TimestampTz, "VARCHAR(40)": icebergo.PrimitiveTypes.String,
		"BOOLEAN": icebergo.PrimitiveTypes.Bool, "VARBINARY(10)": icebergo.PrimitiveTypes.Binary,
	}
	if !tr.CanTransform(types[c.declared]) {
		return nil, fmt.Errorf("no %s of %s", name, c.declared)
	}
	return tr, nil
}

// plain is a literal's value as DataFile.Partition has it.
func plain(l icebergo.Literal) any {
	switch v := l.(type) {
	case icebergo.Int32Literal:
		return int32(v)
	case icebergo.Int64Literal:
		return int64(v)
	case icebergo.DateLiteral:
		return int32(v)
	case icebergo.StringLiteral:
		return string(v)
	case icebergo.BinaryLiteral:
		return []byte(v)
	case icebergo.DecimalLiteral:
		return v.Val
	}
	panic(fmt.Sprintf("%T", l))
}

func testPlan(t *testing.T, c planColumn, transform string, tr icebergo.Transform) {
	r := rand.New(rand.NewPCG(uint64(len(c.declared)), uint64(len(transform))))
	l := openLake(t, t.TempDir(), nil)
	d := iceberg.Definition{Name: "t", Schema: schema("pad INT", "c "+c.declared)}
	if tr != nil {
		name := "part"
		if transform == "identity" {
			name = "c"
		}
		d.Partition = []iceberg.PartitionField{{Name: name, Column: 1, Transform: transform}}
	}
	target := define(t, l, d)
	rows := map[string][]any{}
	partitions := map[string]bool{}
	for range 3 {
		var change iceberg.Change
		for range 8 {
			var values []any
			var partition any
			for len(values) < 1+r.IntN(4) {
				var v any
				if r.IntN(6) > 0 {
					v = c.value(r)
				}
				if tr != nil {
					var p any
					switch {
					case v == nil:
					case transform == "identity":
						p = c.partition(v)
					default:
						p = plain(tr.Apply(icebergo.Optional[icebergo.Literal]{Valid: true, Val: c.literal(v)}).Val)
					}
					if len(values) > 0 && fmt.Sprint(p) != fmt.Sprint(partition) {
						if v == nil || r.IntN(20) > 0 {
							continue
						}
						break
					}
					partition = p
				}
				values = append(values, v)
			}
			f := iceberg.DataFile{Path: fmt.Sprintf("file:///x/%d.parquet", written.Add(1)), Rows: int64(len(values)), Bytes: 100}
			if tr != nil {
				f.Partition = []any{partition}
				partitions[fmt.Sprint(partition)] = true
			}
			stats := iceberg.ColumnStats{ID: 2, Bytes: 50, Values: int64(len(values))}
			var least, most any
			for _, v := range values {
				if v == nil {
					stats.Nulls++
					continue
				}
				if least == nil || c.compare(v, least) < 0 {
					least = v
				}
				if most == nil || c.compare(v, most) > 0 {
					most = v
				}
			}
			if least != nil && r.IntN(4) > 0 {
				stats.Lower, stats.Upper = bound(t, c.literal(least)), bound(t, c.literal(most))
			}
			f.Columns = []iceberg.ColumnStats{stats}
			change.Files = append(change.Files, f)
			rows[f.Path] = values
		}
		if _, err := target.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) { return &change, nil }); err != nil {
			t.Fatal(err)
		}
	}
	tbl := loadTable(t, l, "t")
	if tr != nil && !slices.Equal(tbl.PartitionColumns(), []int{1}) {
		t.Errorf("partition columns %v", tbl.PartitionColumns())
	}
	infos, err := tbl.Partitions(t.Context())
	if err != nil || tr != nil && len(infos) != len(partitions) {
		t.Errorf("%d partitions, %v, want %d", len(infos), err, len(partitions))
	}
	kept, needed := 0, 0
	for range 60 {
		var where []catalog.Predicate
		for len(where) == 0 || r.IntN(3) == 0 {
			p := catalog.Predicate{Column: 1, Op: catalog.Op(r.IntN(9))}
			for range 1 + r.IntN(3) {
				v := c.value(r)
				if r.IntN(15) == 0 {
					v = nil
				}
				p.Values = append(p.Values, v)
			}
			if p.Op == catalog.OpIsNull || p.Op == catalog.OpIsNotNull {
				p.Values = nil
			}
			where = append(where, p)
		}
		files, err := tbl.Plan(t.Context(), where)
		if err != nil {
			t.Fatalf("Plan(%v): %v", where, err)
		}
		planned := map[string]bool{}
		for _, f := range files {
			planned[f.Path] = true
		}
		for path, values := range rows {
			has := slices.ContainsFunc(values, func(v any) bool {
				return !slices.ContainsFunc(where, func(p catalog.Predicate) bool { return !matches(c, p, v) })
			})
			if has && !planned[path] {
				t.Errorf("Plan(%+v) left out a file with rows %v", where, values)
			}
			if has {
				needed++
			}
			if planned[path] {
				kept++
			}
		}
	}
	if kept > needed+60*len(rows)/2 && c.declared != "BOOLEAN" {
		t.Errorf("of %d files %d were planned where %d have rows", 60*len(rows), kept, needed)
	}
}

// TestPlan_EmptyStringPartition: the bounds of a manifest's partitions must say
// that there is an empty value, here and to other readers of the table.
func TestPlan_EmptyStringPartition(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	f := func(name string, values ...any) {
		t.Helper()
		target := define(t, l, iceberg.Definition{
			Name: name, Schema: schema("c VARCHAR(10)"), Partition: []iceberg.PartitionField{{Name: "c", Column: 0, Transform: "identity"}},
		})
		var change iceberg.Change
		for _, v := range values {
			change.Files = append(change.Files, iceberg.DataFile{
				Path: fmt.Sprintf("file:///x/%d.parquet", written.Add(1)), Rows: 1, Bytes: 10, Partition: []any{v},
			})
		}
		if _, err := target.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) { return &change, nil }); err != nil {
			t.Fatal(err)
		}
		tbl := loadTable(t, l, name)
		for _, v := range values {
			p := catalog.Predicate{Op: catalog.OpEqual, Values: []any{v}}
			if v == nil {
				p = catalog.Predicate{Op: catalog.OpIsNull}
			}
			files, err := tbl.Plan(t.Context(), []catalog.Predicate{p})
			if err != nil || len(files) != 1 {
				t.Errorf("%s: Plan(%v): %d files, %v, want 1", name, p, len(files), err)
			}
		}
		if files, err := tbl.Plan(t.Context(), []catalog.Predicate{{Op: catalog.OpEqual, Values: []any{"zzz"}}}); err != nil || len(files) != 0 {
			t.Errorf("%s: Plan of a value that is not there: %d files, %v", name, len(files), err)
		}
	}
	f("mixed", "", "north", "south")
	f("alone", "")
	f("with_null", "", nil)
	f("all", nil, "north", "")
	f("none", nil)
}

// TestPlan_WidenedColumn: the bounds of older files are those of the narrower
// type, which the library cannot read as the wider one.
func TestPlan_WidenedColumn(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	add := func(d iceberg.Definition, bounds ...icebergo.Literal) {
		t.Helper()
		target := define(t, l, d)
		f := iceberg.DataFile{Path: fmt.Sprintf("file:///x/%d.parquet", written.Add(1)), Rows: 1, Bytes: 10}
		for i, literal := range bounds {
			b := bound(t, literal)
			f.Columns = append(f.Columns, iceberg.ColumnStats{ID: i + 1, Bytes: 5, Values: 1, Lower: b, Upper: b})
		}
		if _, err := target.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) {
			return &iceberg.Change{Files: []iceberg.DataFile{f}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	add(iceberg.Definition{Name: "t", Schema: schema("i INT", "f FLOAT", "s VARCHAR(5)")},
		icebergo.NewLiteral(int32(5)), icebergo.NewLiteral(float32(0.5)), icebergo.NewLiteral("a"))
	add(iceberg.Definition{Name: "t", Schema: schema("i BIGINT", "f DOUBLE", "s VARCHAR(5)")},
		icebergo.NewLiteral(int64(1)<<40), icebergo.NewLiteral(1e300), icebergo.NewLiteral("b"))
	tbl := loadTable(t, l, "t")
	f := func(column int, value any, least, most int) {
		t.Helper()
		files, err := tbl.Plan(t.Context(), []catalog.Predicate{{Column: column, Op: catalog.OpEqual, Values: []any{value}}})
		if err != nil || len(files) < least || len(files) > most {
			t.Errorf("column %d = %v: %d files, %v", column, value, len(files), err)
		}
	}
	f(0, int64(5), 1, 2)
	f(0, int64(1)<<40, 1, 2)
	f(1, 0.5, 1, 2)
	f(2, "a", 1, 1)
}

// TestPlan_Inexact uses values that the column's type cannot hold exactly.
func TestPlan_Inexact(t *testing.T) {
	l := openLake(t, t.TempDir(), nil)
	target := define(t, l, iceberg.Definition{Name: "t", Schema: schema("i INT", "f FLOAT", "d DECIMAL(5,2)", "j JSON", "e ENUM('b','a')", "u BIGINT UNSIGNED")})
	file := iceberg.DataFile{Path: "file:///x", Rows: 1, Bytes: 10}
	literals := []icebergo.Literal{
		icebergo.NewLiteral(int32(5)), icebergo.NewLiteral(float32(0.1)), icebergo.NewLiteral(icebergo.Decimal{Val: decimal128.FromI64(1001), Scale: 2}),
		icebergo.NewLiteral(`{"a":1}`), icebergo.NewLiteral("b"), icebergo.NewLiteral(icebergo.Decimal{Val: decimal128.FromU64(1 << 63)}),
	}
	for i, literal := range literals {
		b := bound(t, literal)
		file.Columns = append(file.Columns, iceberg.ColumnStats{ID: i + 1, Values: 1, Lower: b, Upper: b})
	}
	if _, err := target.Update(t.Context(), false, func(iceberg.Version) (*iceberg.Change, error) {
		return &iceberg.Change{Files: []iceberg.DataFile{file}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	tbl := loadTable(t, l, "t")
	f := func(want int, column int, op catalog.Op, values ...any) {
		t.Helper()
		files, err := tbl.Plan(t.Context(), []catalog.Predicate{{Column: column, Op: op, Values: values}})
		if err != nil || len(files) != want {
			t.Errorf("column %d op %d %v: %d files, %v, want %d", column, op, values, len(files), err, want)
		}
	}
	f(1, 0, catalog.OpLess, int64(1)<<40)
	f(1, 0, catalog.OpLess, 5.5)
	f(0, 0, catalog.OpLess, int64(5))
	f(1, 1, catalog.OpGreater, 0.1) // float32(0.1) is greater than 0.1
	f(1, 2, catalog.OpGreater, "10.005")
	f(0, 2, catalog.OpGreater, "10.0100")
	f(1, 2, catalog.OpEqual, "10.01")
	f(1, 2, catalog.OpLess, "1e9")
	f(1, 3, catalog.OpEqual, `{"a": 1}`)
	f(1, 4, catalog.OpLess, "a") // 'b' is the first member
	f(0, 4, catalog.OpEqual, "a")
	f(1, 5, catalog.OpEqual, uint64(1)<<63)
	f(0, 5, catalog.OpGreater, uint64(1)<<63)
	f(1, 9, catalog.OpEqual, int64(1))
	f(0, 0, catalog.OpEqual, nil)
}
