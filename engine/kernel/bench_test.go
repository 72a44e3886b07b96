package kernel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

// benchRows is the size of the batches that lanes work with.
const benchRows = 8192

// benchTable is taxi trips: no NULLs, as in most columns.
func benchTable() *functiontest.Table {
	table := &functiontest.Table{Schema: types.Schema{
		{Name: "id", Type: types.TypeInt64}, {Name: "zone", Type: types.Type{Kind: types.Int32}},
		{Name: "fare", Type: types.NewDecimal(10, 2)}, {Name: "tip", Type: types.TypeFloat64}, {Name: "miles", Type: types.TypeFloat64},
		{Name: "city", Type: types.NewVarchar(20)}, {Name: "note", Type: types.TypeText}, {Name: "at", Type: types.TypeDateTime},
		{Name: "ts", Type: types.Type{Kind: types.Timestamp, Fsp: 6}}, {Name: "iso", Type: types.TypeText}, {Name: "num", Type: types.TypeText},
		{Name: "js", Type: types.TypeJSON}, {Name: "maybe", Type: types.TypeInt64},
	}}
	for i := range benchRows {
		at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 977 * time.Second)
		maybe := any(int64(i % 100))
		if i%5 == 0 {
			maybe = nil
		}
		table.Rows = append(table.Rows, []any{
			int64(i) * 7919, int64(i * 31 % 265), fmt.Sprintf("%d.%02d", i%90, i*7%100), float64(i%17) / 4, float64(i%400) / 10,
			[]string{"New York", "Newark", "Jersey City", "Yonkers", "Hoboken"}[i%5], fmt.Sprintf("trip %d from zone %d", i, i*31%265),
			at.UnixMicro(), at.UnixMicro(), at.Format("2006-01-02T15:04:05Z"), fmt.Sprint(i * 13),
			fmt.Sprintf(`{"device": {"os": "ios", "version": %d}, "rating": %d}`, i%9, i%5), maybe,
		})
	}
	return table
}

func BenchmarkExpressions(b *testing.B) {
	table := benchTable()
	for _, dictionaries := range []bool{false, true} {
		batch := table.Batch(memory.DefaultAllocator, dictionaries, 0)
		exprs := []string{"city = 'Newark'", "upper(city)", "city like 'New%'"}
		if !dictionaries {
			exprs = append(exprs,
				"id + 1", "id * zone", "zone > 100", "fare > 0", "fare * 1.08", "fare + 2.5", "fare / 3", "tip * miles", "tip > 1.5 and miles < 20",
				"fare > 10 and note like '%zone 2%'", "maybe + 1", "coalesce(maybe, 0)", "if(maybe > 50, id, zone)",
				"zone in (1, 5, 9, 44, 100, 230)", "city in ('Newark', 'Yonkers')", "concat(city, '-', note)", "substring(note, 6, 3)",
				"note like '%zone 2%'", "note regexp 'zone [0-9]5'", "month(at)", "hour(ts)", "date(ts)", "date_format(at, '%Y-%m-%d')",
				"at + interval 1 month", "timestampdiff(hour, at, ts)", "cast(iso as datetime)", "cast(num as signed)", "cast(id as char)",
				"cast(fare as double)", "js->>'$.device.os'", "js->'$.rating'", "md5(note)",
			)
		}
		for _, text := range exprs {
			name := text
			if dictionaries {
				name += " of a dictionary"
			}
			b.Run(name, func(b *testing.B) {
				e, err := functiontest.Bind(text, table.Schema)
				if err != nil {
					b.Fatal(err)
				}
				compiled, err := e.Compile(nil)
				if err != nil {
					b.Fatal(err)
				}
				ctx := &kernel.Context{Alloc: memory.DefaultAllocator, Mode: kernel.Mode{Strict: true}, Now: functiontest.Now}
				b.ReportAllocs()
				for b.Loop() {
					v, err := compiled.Eval(ctx, batch)
					if err != nil {
						b.Fatal(err)
					}
					if v.Errors != nil {
						b.Fatal(v.Errors.Row(0))
					}
					v.Release()
				}
				b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
			})
		}
	}
}

func BenchmarkFilterAndTake(b *testing.B) {
	table := benchTable()
	batch := table.Batch(memory.DefaultAllocator, true, 0)
	e, err := functiontest.Bind("fare > 20 and zone < 200", table.Schema)
	if err != nil {
		b.Fatal(err)
	}
	compiled, err := e.Compile(nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx := &kernel.Context{Alloc: memory.DefaultAllocator, Mode: kernel.Mode{Strict: true}}
	sel := make([]int32, 0, benchRows)
	b.Run("filter", func(b *testing.B) {
		for b.Loop() {
			if sel, _, err = kernel.Filter(ctx, compiled, batch, sel[:0]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	})
	b.Run("take", func(b *testing.B) {
		for b.Loop() {
			for _, c := range batch.Columns {
				arr, err := kernel.Take(memory.DefaultAllocator, c, sel)
				if err != nil {
					b.Fatal(err)
				}
				arr.Release()
			}
		}
		b.ReportMetric(float64(len(sel)*len(batch.Columns))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mvalues/s")
	})
}
