package planner_test

import (
	"strings"
	"testing"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/planner"
)

// TestLowering_AgreesWithTheEngine evaluates expressions as a lane does and as
// the MySQL engine does, over the same rows. That the kernels themselves are
// MySQL's is tested beside them; this is about operands, their order and their
// casts.
func TestLowering_AgreesWithTheEngine(t *testing.T) {
	expressions := []string{
		"id * 2 + n", "id DIV 3", "id % 4", "-id", "id & 6", "id | 1", "id ^ 5", "id << 2", "id >> 1",
		"price - id", "id / 4", "price / 4",
		"id = n", "id <> n", "id < n", "id <= n", "id > n", "id >= n", "id <=> NULL", "NOT id = 3", "NOT (id > 2)",
		"id = 1 AND flag", "id = 1 OR flag", "id = 1 XOR flag", "flag IS TRUE", "flag IS NOT TRUE", "flag IS FALSE", "u IS NULL", "u IS NOT NULL",
		"id BETWEEN 1 AND 3", "id NOT BETWEEN 1 AND 3", "id IN (1, 3)", "id NOT IN (1, 3)",
		"u LIKE 'a%'", "u NOT LIKE '%c'", "u LIKE 'a|%' ESCAPE '|'", "u REGEXP '^a'", "u NOT REGEXP 'c$'",
		"CASE WHEN id > 1 THEN 'x' WHEN flag THEN 'y' ELSE 'z' END", "CASE id WHEN 1 THEN 'one' WHEN 2 THEN 'two' END",
		"IF(id > 1, u, 'no')", "COALESCE(u, 'none')", "IFNULL(u, 'none')", "NULLIF(id, 2)",
		"CAST(id AS CHAR)", "CAST(id AS DECIMAL(10,2))", "CAST(at AS DATE)", "CAST(id AS DOUBLE)", "CONVERT(u USING utf8mb4)",
		"CONCAT(u, '-', id)", "LOWER(u)", "UPPER(u)", "SUBSTRING(u, 2)", "SUBSTRING(u, 2, 1)", "SUBSTRING(u, -2)", "LENGTH(u)", "CHAR_LENGTH(u)",
		"REPLACE(u, 'a', 'xy')", "SUBSTRING_INDEX(u, 'b', 1)", "LPAD(u, 6, '*')", "RPAD(u, 6, '*')", "LEFT(u, 2)", "RIGHT(u, 2)",
		"TRIM(u)", "TRIM('a' FROM u)", "TRIM(LEADING 'a' FROM u)", "TRIM(TRAILING 'c' FROM u)", "LTRIM(u)", "RTRIM(u)", "LOCATE('b', u)", "INSTR(u, 'b')",
		"YEAR(at)", "MONTH(at)", "DAY(at)", "HOUR(at)", "MINUTE(at)", "SECOND(at)", "DATE(at)", "DATE_FORMAT(at, '%Y/%m %H')", "EXTRACT(DAY FROM at)",
		"at + INTERVAL 1 DAY", "at - INTERVAL id HOUR", "INTERVAL 2 MONTH + at", "DATE_ADD(at, INTERVAL 3 MINUTE)", "TIMESTAMPADD(WEEK, 1, at)", "TIMESTAMPDIFF(DAY, '2024-01-01', at)", "DATEDIFF(at, '2024-01-01')",
		"FLOOR(price)", "CEIL(price)", "ABS(-id)", "MOD(id, 3)", "GREATEST(id, n)", "LEAST(id, n)",
		"MD5(u)", "SHA2(u, 256)", "payload->'$.k'", "payload->>'$.k'", "JSON_EXTRACT(payload, '$.l[0]')", "payload->>'$.m.n'",
		"SOUNDEX(u)", "JSON_LENGTH(payload)", "CONV(id, 10, 2)", "FIELD(u, 'x', 'abc')",
	}
	w := newWorld(t)
	for _, e := range expressions {
		t.Run(e, func(t *testing.T) {
			query := "SELECT " + allColumns + e + " AS x FROM clicks"
			compiled := mustBind(t, query, nil)
			bound := engineExpression(t, w, query)
			for _, row := range clicks {
				got, ok := lastColumn(t, compiled, row)
				if !ok {
					continue // the decoder evaluates the path
				}
				gmsRow := make(gms.Row, 1+len(row)) // the engine counts columns from 1
				for i, v := range row {
					held, err := planner.GMSValue(v, compiled.Output[i].Type, nil)
					if err != nil {
						t.Fatal(err)
					}
					gmsRow[i+1] = held
				}
				v, err := bound.Eval(w.ctx, gmsRow)
				if err != nil {
					t.Fatal(err)
				}
				out := compiled.Output[len(row)].Type
				if v, err = planner.FromGMSValue(w.ctx, v, out, nil); err != nil {
					t.Fatalf("%v as %s: %v", v, out, err)
				}
				if want := printed(v); got != want {
					t.Errorf("row %v: a lane gives %s, the engine %s (%s)", row, got, want, out)
				}
			}
		})
	}
}

// TestLowering_WhereTheEngineIsNotMySQL pins what MySQL 8 does.
func TestLowering_WhereTheEngineIsNotMySQL(t *testing.T) {
	f := func(e string, row int, want string) {
		t.Helper()
		got, _ := lastColumn(t, mustBind(t, "SELECT "+allColumns+e+" AS x FROM clicks", nil), clicks[row])
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s is %s, want %s", e, got, want)
		}
	}
	f("(id, n) IN ((1, 200), (2, 2))", 0, "true")
	f("(id, n) IN ((1, 200), (2, 2))", 2, "false")
	f("(id, n) IN ((1, 200), (2, 2))", 3, "NULL")
	f("(id, u) = (2, 'b')", 1, "true")
	f("(id, u) = (2, 'b')", 3, "NULL")
	f("ROUND(price)", 2, "0")
	f("ROUND(price, 1)", 0, "1.2")
	f("CAST(price AS SIGNED)", 2, "0")
	f("CAST(price AS SIGNED)", 1, "-8")
	f("CAST(u AS CHAR(2))", 1, "b")
	f("CAST(u AS CHAR(2))", 0, "failed: ")
	f("n - id", 0, "199")
	f("id - n", 0, "failed: ")
}

// clicks are rows of the source of that name.
var clicks = [][]any{
	{int64(1), "abc", at(2024, 1, 2, 3, 4, 5), true, 1.25, `{"k": "v", "l": [1, 2], "m": {"n": null}}`, uint64(200)},
	{int64(2), "b", at(2023, 12, 31, 23, 59, 59), false, -7.75, `{"k": 3}`, uint64(2)},
	{int64(3), " ac ", at(2024, 2, 29, 0, 0, 0), nil, 0.5, `{"l": ["x"], "m": {"n": "o"}}`, uint64(0)},
	{nil, nil, nil, nil, nil, nil, nil},
}

const allColumns = "id, u, at, flag, price, payload, n, "

// lastColumn is what a lane gives for the last column of a query that begins
// with all of the source's; it reports false where a decoder has to extract
// something.
func lastColumn(t *testing.T, p *planner.StreamPlan, row []any) (string, bool) {
	t.Helper()
	var input []any
	for _, f := range p.Source.Fields {
		i := p.Output.Index(f.Column.Name)
		if i < 0 || i >= len(row) {
			return "", false
		}
		input = append(input, row[i])
	}
	out := run(t, p, newContext(t), input)[0]
	if i := strings.LastIndex(out, " | "); i >= 0 {
		return out[i+3:], true
	}
	return out, true
}

func at(year, month, day, hour, minute, second int) int64 {
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).UnixMicro()
}

// engineExpression is the last column of a query as the MySQL engine evaluates it.
func engineExpression(t *testing.T, w *world, query string) gms.Expression {
	t.Helper()
	stmt, err := sqlparser.Parse(query)
	if err != nil {
		t.Fatal(err)
	}
	bound, _, err := planbuilder.New(w.ctx, w.cat, nil).BindOnly(stmt, query, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := bound.(*plan.Project)
	if !ok {
		t.Fatalf("the engine made a %T", bound)
	}
	return p.Projections[len(p.Projections)-1]
}
