package adhoc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	sqle "github.com/dolthub/go-mysql-server"
	gmsmemory "github.com/dolthub/go-mysql-server/memory"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"
	"github.com/dolthub/go-mysql-server/sql/variables"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/planner/logical"
)

// world has the same tables in a lake and in the MySQL engine's memory.
type world struct {
	adhoc  *adhoc.Engine
	oracle *sqle.Engine
	ctx    *gms.Context // of the oracle
	bind   *gms.Context
	cat    gms.Catalog
}

var initVariables = sync.OnceFunc(variables.InitSystemVariables)

// relationTable is a lake table as the binder sees it.
type relationTable struct{ rel planner.Relation }

func (t *relationTable) Name() string                                       { return t.rel.Name }
func (t *relationTable) String() string                                     { return t.rel.Name }
func (t *relationTable) Relation() planner.Relation                         { return t.rel }
func (t *relationTable) Collation() gms.CollationID                         { return gms.Collation_Default }
func (t *relationTable) Partitions(*gms.Context) (gms.PartitionIter, error) { return nil, nil }
func (t *relationTable) PartitionRows(*gms.Context, gms.Partition) (gms.RowIter, error) {
	return nil, nil
}
func (t *relationTable) Schema(*gms.Context) gms.Schema {
	s, err := planner.GMSSchema(t.rel)
	if err != nil {
		panic(err)
	}
	return s
}

type relationDatabase map[string]*relationTable

func (d relationDatabase) Name() string { return "lake" }
func (d relationDatabase) GetTableInsensitive(_ *gms.Context, name string) (gms.Table, bool, error) {
	t, ok := d[strings.ToLower(name)]
	return t, ok, nil
}
func (d relationDatabase) GetTableNames(*gms.Context) ([]string, error)          { return nil, nil }
func (d relationDatabase) CreateView(*gms.Context, string, string, string) error { return nil }
func (d relationDatabase) DropView(*gms.Context, string) error                   { return nil }
func (d relationDatabase) AllViews(*gms.Context) ([]gms.ViewDefinition, error)   { return nil, nil }
func (d relationDatabase) GetViewDefinition(*gms.Context, string) (gms.ViewDefinition, bool, error) {
	return gms.ViewDefinition{}, false, nil
}

type relationProvider struct{ db relationDatabase }

func (p relationProvider) Database(_ *gms.Context, name string) (gms.Database, error) {
	if strings.EqualFold(name, "lake") {
		return p.db, nil
	}
	return nil, gms.ErrDatabaseNotFound.New(name)
}
func (p relationProvider) HasDatabase(_ *gms.Context, name string) bool {
	return strings.EqualFold(name, "lake")
}
func (p relationProvider) AllDatabases(*gms.Context) []gms.Database { return []gms.Database{p.db} }

// rows of a table for a world; each table's is written to several files.
type data struct {
	name, columns string
	rows          [][]any
}

func newWorld(t testing.TB, tables ...data) *world {
	t.Helper()
	initVariables()
	w := &world{adhoc: openEngine(t, adhoc.Config{})}
	db := gmsmemory.NewDatabase("lake")
	provider := gmsmemory.NewDBProvider(db)
	w.oracle = sqle.NewDefault(provider)
	w.ctx = gms.NewContext(context.Background(), gms.WithSession(gmsmemory.NewSession(gms.NewBaseSession(), provider)))
	w.ctx.SetCurrentDatabase("lake")
	w.bind = gms.NewContext(context.Background(), gms.WithSession(gms.NewBaseSession()))
	w.bind.SetCurrentDatabase("lake")
	relations := relationDatabase{}
	w.mustAsk(t, "SET time_zone = '+00:00'")
	w.mustAsk(t, "SET sql_mode = ''")
	for _, d := range tables {
		tab := &table{name: d.name, columns: columnsOf(d.columns)}
		schema := tab.Schema()
		var definitions []string
		for _, c := range schema {
			definitions = append(definitions, c.Name+" "+c.Type.String())
		}
		w.mustAsk(t, "CREATE TABLE "+d.name+" ("+strings.Join(definitions, ", ")+")")
		dir := t.TempDir()
		for i, chunk := range slices.Collect(slices.Chunk(d.rows, 37)) {
			tab.files = append(tab.files, writeParquet(t, filepath.Join(dir, fmt.Sprint(i, ".parquet")), tab.columns, chunk))
			var tuples []string
			for _, row := range chunk {
				var values []string
				for j, v := range row {
					values = append(values, functiontest.Literal(v, schema[j].Type))
				}
				tuples = append(tuples, "("+strings.Join(values, ", ")+")")
			}
			w.mustAsk(t, "INSERT INTO "+d.name+" VALUES "+strings.Join(tuples, ", "))
		}
		relations[d.name] = &relationTable{planner.Relation{
			Kind: logical.RelationTable, Database: "lake", Name: d.name, Schema: schema, Handle: catalog.Table(tab),
		}}
	}
	w.cat = analyzer.NewBuilder(relationProvider{relations}).Build().Catalog
	return w
}

// ask has the MySQL engine answer.
func (w *world) ask(query string) (rows []gms.Row, err error) {
	_, iter, _, err := w.oracle.Query(w.ctx, query)
	if err != nil {
		return nil, err
	}
	defer iter.Close(w.ctx)
	for {
		row, err := iter.Next(w.ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
}

func (w *world) mustAsk(t testing.TB, query string) []gms.Row {
	t.Helper()
	rows, err := w.ask(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return rows
}

// plan binds a query.
func (w *world) plan(query string) (logical.Node, error) {
	stmt, err := sqlparser.Parse(query)
	if err != nil {
		return nil, err
	}
	if err := planner.PrepareSelect(stmt, planner.CatalogLookup(w.bind, w.cat)); err != nil {
		return nil, err
	}
	bound, _, err := planbuilder.New(w.bind, w.cat, nil).BindOnly(stmt, query, nil)
	if err != nil {
		return nil, err
	}
	return planner.Lower(w.bind, bound)
}

// answer runs a plan; rows are Go values as in logical.Literal.
func (w *world) answer(plan logical.Node, session adhoc.Session) ([][]any, error) {
	r, err := w.adhoc.Query(context.Background(), plan, session)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var rows [][]any
	for r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([]any, batch.NumCols())
			for j, c := range batch.Columns() {
				row[j] = valueOf(c, i)
			}
			rows = append(rows, row)
		}
	}
	return rows, r.Err()
}

func valueOf(c arrow.Array, i int) any {
	if c.IsNull(i) || c.DataType().ID() == arrow.NULL {
		return nil
	}
	switch c := c.(type) {
	case *array.String:
		return strings.Clone(c.Value(i))
	case *array.Binary:
		return slices.Clone(c.Value(i))
	}
	return kernel.Value(c, i)
}

// printed is a row as text, each value as functiontest prints it.
func printed(row []any, schema []logical.OutputColumn) string {
	parts := make([]string, len(row))
	for i, v := range row {
		parts[i] = functiontest.Text(v, schema[i].Type)
	}
	return strings.Join(parts, " | ")
}

// compare answers a query both ways. A query that ends in ORDER BY has to give
// the rows in the same order.
func (w *world) compare(t *testing.T, query string) {
	t.Helper()
	plan, err := w.plan(query)
	if err != nil {
		t.Errorf("%s: bind: %v", query, err)
		return
	}
	held, err := w.ask(query)
	if err != nil {
		t.Errorf("%s: the MySQL engine: %v", query, err)
		return
	}
	optimized, err := planner.Optimize(plan, nil)
	if err != nil {
		t.Errorf("%s: optimize: %v", query, err)
		return
	}
	schema := plan.Output()
	var want []string
	for _, r := range held {
		row := make([]any, len(r))
		for i, v := range r {
			if row[i], err = planner.FromGMSValue(w.ctx, v, schema[i].Type, nil); err != nil {
				t.Errorf("%s: column %s: %v as %s: %v", query, schema[i].Name, v, schema[i].Type, err)
				return
			}
		}
		want = append(want, printed(row, schema))
	}
	ordered := strings.Contains(query[strings.LastIndex(query, ")")+1:], "ORDER BY")
	if !ordered {
		slices.Sort(want)
	}
	for name, plan := range map[string]logical.Node{"as bound": plan, "optimized": optimized} {
		rows, err := w.answer(plan, adhoc.Session{})
		s, _ := adhoc.Spell(plan, adhoc.Session{})
		spelled := "nothing"
		if s != nil {
			spelled = s.SQL
		}
		if err != nil {
			t.Errorf("%s (%s): %v\nspelled %s", query, name, err, spelled)
			continue
		}
		var got []string
		for _, row := range rows {
			got = append(got, printed(row, schema))
		}
		if !ordered {
			slices.Sort(got)
		}
		if i := firstDifference(got, want, schema); i >= 0 {
			at := func(list []string) string {
				if i < len(list) {
					return list[i]
				}
				return "nothing"
			}
			t.Errorf("%s (%s): %d rows, the MySQL engine has %d; row %d is\n%s\nwant\n%s\nspelled %s", query, name, len(got), len(want), i, at(got), at(want), spelled)
		}
	}
}

// firstDifference is −1 if there is none.
func firstDifference(got, want []string, schema []logical.OutputColumn) int {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			return i
		}
		if got[i] == want[i] {
			continue
		}
		g, w := strings.Split(got[i], " | "), strings.Split(want[i], " | ")
		if len(g) != len(w) || len(g) != len(schema) {
			return i
		}
		for j := range g {
			if !functiontest.Same(g[j], w[j], schema[j].Type) {
				return i
			}
		}
	}
	return -1
}

// sampleTables are two tables with NULLs, repetitions and values at the edges.
func sampleTables(seed uint64) []data {
	rnd := rand.New(rand.NewPCG(seed, 1))
	null := func(share float64, v any) any {
		if rnd.Float64() < share {
			return nil
		}
		return v
	}
	words := []string{"", "a", "B", "b", "ab", "abc", "Zürich", "ß", "10", "9", "1.5e1", " x", "x ", "%", "a_b", "it's", "日本", "😀"}
	base := time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC)
	trips := data{name: "trips", columns: `id BIGINT, place INT, fare DECIMAL(10,2), os VARCHAR(20), w DOUBLE, day DATE, dt DATETIME(6), at TIMESTAMP(6),
		u BIGINT UNSIGNED, ok BOOLEAN, tiny TINYINT, b VARBINARY(8), f FLOAT`}
	for i := range 200 {
		at := base.Add(time.Duration(rnd.IntN(400*24)) * time.Hour).Add(time.Duration(rnd.IntN(3600e6)) * time.Microsecond)
		trips.rows = append(trips.rows, []any{
			int64(i), null(0.1, int64(rnd.IntN(12)-2)), null(0.1, fmt.Sprintf("%d.%02d", rnd.IntN(300)-50, rnd.IntN(100))),
			null(0.1, words[rnd.IntN(len(words))]), null(0.1, float64(rnd.IntN(2000)-500)/8), null(0.1, at.Unix()/86400),
			null(0.1, at.UnixMicro()), null(0.1, at.UnixMicro()), null(0.1, []uint64{0, 1, 5, 1 << 40, 1<<63 + 5, 1<<64 - 1}[rnd.IntN(6)]),
			null(0.2, rnd.IntN(2) == 0), null(0.1, int64(rnd.IntN(256)-128)), null(0.1, []byte(words[rnd.IntN(4)])), null(0.1, float64(rnd.IntN(100))/4),
		})
	}
	places := data{name: "places", columns: "id INT, name VARCHAR(20), area DECIMAL(6,3), parent INT"}
	for i := range 10 {
		places.rows = append(places.rows, []any{null(0.1, int64(i)), null(0.1, words[rnd.IntN(len(words))]), null(0.2, fmt.Sprintf("%d.%03d", rnd.IntN(50), rnd.IntN(1000))), null(0.3, int64(rnd.IntN(10)))})
	}
	return []data{trips, places, {name: "nothing", columns: "id BIGINT, s VARCHAR(5), d DECIMAL(5,2)"}}
}

func TestDifferential_Queries(t *testing.T) {
	w := newWorld(t, sampleTables(1)...)
	for _, query := range differentialQueries {
		t.Run(query, func(t *testing.T) { w.compare(t, query) })
	}
}

var differentialQueries = []string{
	"SELECT * FROM trips",
	"SELECT * FROM nothing",
	"SELECT 1, 'a', NULL, 1.50, 2e3, TRUE, -9223372036854775808, 18446744073709551615",
	"SELECT id, fare FROM trips WHERE fare > 10 AND place = 3",
	"SELECT id FROM trips WHERE fare > 10.005 OR place IS NULL",
	"SELECT id FROM trips WHERE os = 'a'",
	"SELECT id FROM trips WHERE os > 'a'",
	"SELECT id FROM trips WHERE os IN ('a', 'B', 'Zürich') AND NOT ok",
	"SELECT id FROM trips WHERE place IN (1, 2, NULL)",
	"SELECT id FROM trips WHERE place NOT IN (1, 2)",
	"SELECT id FROM trips WHERE place NOT IN (1, NULL)",
	"SELECT id FROM trips WHERE place BETWEEN 2 AND 5 AND fare NOT BETWEEN 0 AND 100",
	"SELECT id FROM trips WHERE day >= '2024-06-01' AND day < '2024-07-01'",
	"SELECT id FROM trips WHERE dt >= '2024-06-01' AND at < '2024-07-01 12:30:00'",
	"SELECT id FROM trips WHERE day = DATE '2024-03-01' OR dt > TIMESTAMP '2025-01-01 00:00:00'",
	"SELECT id FROM trips WHERE u > 9223372036854775807",
	"SELECT id FROM trips WHERE u = 5",
	"SELECT id FROM trips WHERE ok",
	"SELECT id FROM trips WHERE place",
	"SELECT id FROM trips WHERE ok IS NOT TRUE",
	"SELECT id FROM trips WHERE os LIKE 'a%' OR os LIKE '%b' OR os LIKE 'a\\_b'",
	"SELECT id FROM trips WHERE place <=> NULL",
	"SELECT id FROM trips WHERE w = 0.5 OR w < -10",
	"SELECT id FROM trips WHERE place = '3'",
	"SELECT id FROM trips WHERE os = 10",
	"SELECT id FROM trips WHERE b = 'a' OR b = x'42'",
	"SELECT id, place + tiny, place - fare, place * w, fare * fare, fare / 3, place / 4, place DIV 2, place % 3, -fare, w / 0, place DIV 0 FROM trips",
	"SELECT id, IF(ok, place, fare), IFNULL(os, 'none'), COALESCE(place, tiny, 0), NULLIF(place, 3), CASE WHEN place > 3 THEN 'big' WHEN ok THEN 'ok' END FROM trips",
	"SELECT id, CONCAT(os, '-', place), UPPER(os), LOWER(os), LENGTH(os), CHAR_LENGTH(os), SUBSTRING(os, 2, 2), TRIM(os), REPLACE(os, 'a', 'xx'), LEFT(os, 2), RIGHT(os, 1) FROM trips",
	"SELECT id, YEAR(day), MONTH(dt), DAYOFMONTH(at), HOUR(dt), MINUTE(at), SECOND(dt), DATE(at), DAYOFWEEK(day), DATEDIFF(dt, '2024-01-01') FROM trips",
	"SELECT id, DATE_FORMAT(dt, '%Y-%m-%d %H:%i:%s.%f'), day + INTERVAL 1 MONTH, dt - INTERVAL 90 MINUTE, TIMESTAMPDIFF(DAY, '2024-01-01', dt) FROM trips",
	"SELECT id, CAST(fare AS SIGNED), CAST(place AS CHAR), CAST(os AS SIGNED), CAST(os AS DECIMAL(10,2)), CAST(dt AS DATE), CAST(fare AS DOUBLE), CAST(place AS DECIMAL(8,2)), CAST(tiny AS UNSIGNED) FROM trips",
	"SELECT id, ROUND(fare, 1), FLOOR(fare), CEIL(w), ABS(place), MOD(place, 3), GREATEST(place, tiny), LEAST(fare, place) FROM trips",
	"SELECT id, MD5(os), SHA2(os, 256), LPAD(os, 5, '*'), SUBSTRING_INDEX(os, 'b', 1), LOCATE('b', os) FROM trips",

	"SELECT COUNT(*), COUNT(place), COUNT(DISTINCT place), COUNT(DISTINCT place, os), SUM(place), SUM(fare), SUM(w), AVG(place), AVG(fare), AVG(w), MIN(fare), MAX(os), MIN(dt), MAX(u), MIN(b) FROM trips",
	"SELECT COUNT(*), SUM(id), AVG(d), MAX(s), MIN(id), GROUP_CONCAT(s) FROM nothing",
	"SELECT place, COUNT(*), SUM(fare), AVG(fare), MAX(day) FROM trips GROUP BY place",
	"SELECT os, place, COUNT(*) FROM trips GROUP BY os, place ORDER BY os, place",
	"SELECT place % 3 AS r, SUM(w) AS s FROM trips GROUP BY r HAVING s > 0 ORDER BY r DESC",
	"SELECT place, GROUP_CONCAT(id ORDER BY id), GROUP_CONCAT(DISTINCT os ORDER BY os SEPARATOR '|') FROM trips GROUP BY place",
	"SELECT ok, SUM(tiny), AVG(tiny), STDDEV(place), VAR_SAMP(fare) FROM trips GROUP BY ok",
	"SELECT BIT_AND(place), BIT_OR(u), BIT_XOR(id) FROM trips WHERE place > 0",
	"SELECT MONTH(day) AS m, COUNT(*) FROM trips WHERE YEAR(day) = 2024 GROUP BY m ORDER BY m",
	"SELECT SUM(place) + COUNT(*) * 2, MAX(fare) - MIN(fare) FROM trips",
	"SELECT COUNT(*) FROM trips WHERE FALSE GROUP BY place",
	"SELECT DISTINCT place FROM trips",
	"SELECT DISTINCT place, ok FROM trips ORDER BY place DESC, ok",
	"SELECT SUM(DISTINCT place), AVG(DISTINCT place) FROM trips",

	"SELECT id, place FROM trips ORDER BY place, id DESC",
	"SELECT id FROM trips ORDER BY os DESC, id LIMIT 10 OFFSET 5",
	"SELECT id FROM trips ORDER BY fare * 2, id LIMIT 7",
	"SELECT id, os AS name FROM trips ORDER BY name, 1",
	"SELECT id FROM trips ORDER BY w IS NULL, w DESC, id LIMIT 3",

	"SELECT t.id, p.name FROM trips t JOIN places p ON t.place = p.id",
	"SELECT t.id, p.name FROM trips t LEFT JOIN places p ON t.place = p.id AND p.area > 10",
	"SELECT t.id, p.name FROM trips t RIGHT JOIN places p ON t.place = p.id",
	"SELECT p.name, COUNT(t.id), SUM(t.fare) FROM places p LEFT JOIN trips t ON t.place = p.id GROUP BY p.name",
	"SELECT a.id, b.id FROM places a, places b WHERE a.parent = b.id",
	"SELECT a.id, b.id FROM places a CROSS JOIN places b WHERE a.area < b.area",
	"SELECT * FROM places a JOIN places b USING (id)",
	"SELECT t.id FROM trips t LEFT JOIN places p ON t.place = p.id WHERE p.id IS NULL",
	"SELECT a.id, c.id FROM places a LEFT JOIN places b ON a.parent = b.id LEFT JOIN places c ON b.parent = c.id",

	"SELECT id FROM trips WHERE place IN (SELECT id FROM places)",
	"SELECT id FROM trips WHERE place NOT IN (SELECT id FROM places WHERE id IS NOT NULL)",
	"SELECT id FROM trips t WHERE EXISTS (SELECT 1 FROM places p WHERE p.id = t.place AND p.area > 20)",
	"SELECT id FROM trips t WHERE NOT EXISTS (SELECT 1 FROM places p WHERE p.id = t.place)",
	"SELECT id, (SELECT MAX(area) FROM places p WHERE p.id = t.place) FROM trips t",
	"SELECT id FROM trips WHERE fare > (SELECT AVG(fare) FROM trips)",
	"SELECT x.place, x.n FROM (SELECT place, COUNT(*) AS n FROM trips GROUP BY place) x WHERE x.n > 5",
	"WITH c AS (SELECT place, SUM(fare) AS s FROM trips GROUP BY place) SELECT a.place, a.s - b.s FROM c a JOIN c b ON a.place = b.place + 1",
	"SELECT id FROM (SELECT id, fare FROM trips ORDER BY fare DESC, id LIMIT 5) x ORDER BY id",
	"SELECT p.id, l.n FROM places p, LATERAL (SELECT COUNT(*) AS n FROM trips t WHERE t.place = p.id) l",

	"SELECT id FROM places UNION SELECT place FROM trips",
	"SELECT id FROM places UNION ALL SELECT parent FROM places",
	"SELECT id FROM places INTERSECT SELECT parent FROM places",
	"SELECT id FROM places EXCEPT SELECT parent FROM places",
	"SELECT id, name FROM places UNION SELECT fare, os FROM trips ORDER BY 1, 2 LIMIT 20",
	"SELECT * FROM (VALUES ROW(1, 'a'), ROW(2, NULL)) v",

	"SELECT id, ROW_NUMBER() OVER (ORDER BY id), RANK() OVER (PARTITION BY place ORDER BY fare), DENSE_RANK() OVER (ORDER BY place) FROM trips",
	"SELECT id, SUM(fare) OVER (PARTITION BY place ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), AVG(place) OVER (PARTITION BY ok) FROM trips",
	"SELECT id, LAG(fare) OVER (ORDER BY id), LEAD(os, 2) OVER (ORDER BY id DESC), FIRST_VALUE(place) OVER (PARTITION BY ok ORDER BY id) FROM trips",
	"SELECT id, COUNT(*) OVER (), MAX(dt) OVER (PARTITION BY place) FROM trips ORDER BY id",
}
