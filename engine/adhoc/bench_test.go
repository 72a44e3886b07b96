package adhoc_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/logical"
)

// benchmarkRows is large enough for both cores to have work.
const benchmarkRows = 1_000_000

func benchmarkTable(b *testing.B) *table {
	rows := make([][]any, benchmarkRows)
	for i := range rows {
		rows[i] = []any{int64(i), int64(i % 200), fmt.Sprintf("%d.%02d", i%1000, i%100), fmt.Sprintf("name %d", i%5000)}
	}
	return newTable(b, "t", "id BIGINT, place INT, fare DECIMAL(10,2), name VARCHAR(20)", rows...)
}

func benchmarkQuery(b *testing.B, plan func(p *plans, s *logical.Scan) logical.Node) {
	e, p, tab := openEngine(b, adhoc.Config{}), &plans{}, benchmarkTable(b)
	n := plan(p, p.scan(tab))
	b.ReportAllocs()
	for b.Loop() {
		r, err := e.Query(context.Background(), n, adhoc.Session{})
		if err != nil {
			b.Fatal(err)
		}
		for r.Next() {
		}
		if err := r.Err(); err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
	b.ReportMetric(float64(benchmarkRows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkQuery_Fetch(b *testing.B) {
	benchmarkQuery(b, func(_ *plans, s *logical.Scan) logical.Node { return s })
}

func BenchmarkQuery_GroupBy(b *testing.B) {
	benchmarkQuery(b, func(p *plans, s *logical.Scan) logical.Node {
		return p.aggregate(s, p.named(ref(s, "place")), agg("count", "BIGINT"), agg("avg", "DECIMAL(16,6)", ref(s, "fare")))
	})
}

// BenchmarkQuery_Kernel calls the kernel of a conversion that DuckDB has not
// with MySQL's meaning.
func BenchmarkQuery_Kernel(b *testing.B) {
	benchmarkQuery(b, func(p *plans, s *logical.Scan) logical.Node {
		return p.aggregate(s, nil, agg("sum", "DECIMAL(38,0)", &logical.Cast{Arg: ref(s, "name"), T: parseType("BIGINT")}))
	})
}

func BenchmarkSpell(b *testing.B) {
	p := &plans{}
	s := p.scan(trips())
	g := p.aggregate(&logical.Filter{Input: s, Predicate: infix(">", "BOOLEAN", ref(s, "id"), lit(int64(5), "BIGINT"))}, p.named(ref(s, "os")), agg("count", "BIGINT"))
	plan := &logical.Sort{Input: g, Keys: []logical.SortKey{desc(ref(g, "agg"))}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := adhoc.Spell(plan, adhoc.Session{}); err != nil {
			b.Fatal(err)
		}
	}
}
