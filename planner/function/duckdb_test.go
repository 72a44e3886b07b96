package function_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

// spelled are expressions for functions that the expressions of the kernels'
// tests have no spelling for, because a cast in them has none.
var spelled = []string{
	"f div 1", "n div m", "cast(5 as unsigned) div m", "cast(3 as unsigned) + u", "u - i", "-u", "~n", "n & m", "n | 8", "n ^ m",
	"bit_count(n)", "round(d, 1)", "round(e, 4)", "round(f, 1)", "round(d)", "truncate(d, 0)", "truncate(d, 5)", "truncate(f, 0)",
	"i in (1, 2.5, d)", "nullif(s, r)", "nullif(m, 1)", "elt(m, s, r)", "left(s, m)", "right(s, m)", "trim(s)",
	"trim(both 'a' from s)", "trim(leading 'a' from s)", "trim(trailing 'c' from s)", "length(w)", "sha2(s, 0)", "hex(s)", "hex(w)",
	"md5(s)", "regexp_like(s, 'A.', 'n')", "regexp_like(s, '^a', 'im')", "week(da, 5)", "extract(year_month from dt)",
	"extract(microsecond from dt)", "timestampadd(week, 2, dt)", "dt + interval 40 year", "da + interval 9000 year", "ts - interval 1 month",
	"ts + interval 5 microsecond", "from_unixtime(n)", "from_unixtime(n, '%Y-%m-%d %T')", "unix_timestamp(ts)", "unix_timestamp(dt)",
	"hour(ts)", "microsecond(tm)", "time_to_sec(tm)", "time_to_sec(dt)", "second(dt)", "date_format(ts, '%e/%c/%y %l:%i %p')", "b is true", "log(2, f)",
	"greatest(da, dd)", "least(s, r, 'a')", "concat_ws(s, r, NULL)", "locate(r, s)", "sign(e)", "s <=> r", "ts = dt", "da < dt",
	"ceil(f)", "floor(big)", "pow(f, 2)", "ifnull(d, i)", "if(m > 0, d, i)", "monthname(dd)", "to_days(dd)", "weekofyear(dd)",
	"pi() * f", "atan2(f, g)", "timestampdiff(day, utc_date(), curdate())",
	"timestampdiff(hour, utc_timestamp(), now())", "timestampdiff(hour, sysdate(), now(3))", "exp(f)",
	"unix_timestamp() > 0", "substring(s, m, m)", "substring_index(s, ',', -2)", "substring_index(s, '.', 2)", "s regexp 'é'",
	"regexp_substr(s, 'b+')", "s like 'a|%%' escape '|'", "s like '%\\_%'", "lpad(s, 7, 'xy')", "rpad(s, 3, 'é')",
	"timestamp(da)", "date(ts)", "time(tm)", "m <=> 1", "s between 'a' and r", "date_sub(dt, interval 1 day)", "yearweek(da)",
}

// TestDuckDBSpellsWithMySQLsMeaning runs every spelling over random rows and
// compares with the kernels, which are tested against MySQL.
func TestDuckDBSpellsWithMySQLsMeaning(t *testing.T) {
	file, err := os.ReadFile("../../engine/kernel/testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	expressions := append(strings.Split(strings.TrimSpace(string(file)), "\n"), spelled...)
	compareSpellings(t, functiontest.Sample(2, 120), time.UTC, expressions, used)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	compareSpellings(t, functiontest.Sample(3, 40), berlin, expressions, used)
	for _, f := range function.All() {
		if f.DuckDB != nil && !used[f.Name] {
			t.Errorf("no spelling of %s was tried", f.Name)
		}
	}
}

func compareSpellings(t *testing.T, table *functiontest.Table, zone *time.Location, expressions []string, used map[string]bool) {
	t.Helper()
	now := functiontest.Now.Format("(TIMESTAMPTZ '2006-01-02 15:04:05.999999+00')") // DuckDB has no clock to set
	db := load(t, table, zone)
	for _, text := range expressions {
		e, err := functiontest.Bind(text, table.Schema)
		if err != nil {
			continue // said in another test
		}
		query, ok := e.DuckDB(table.Schema, used)
		if !ok {
			continue
		}
		query = strings.ReplaceAll(query, "now()", now)
		t.Run(zone.String()+"/"+text, func(t *testing.T) {
			_, want := table.Check(t, text, zone)
			for i, got := range ask(t, db, query, e.Type, len(table.Rows)) {
				same := functiontest.Same(got.Text, want[i].Text, e.Type)
				if (got.Err != nil) != (want[i].Err != nil) || got.Err == nil && !same {
					t.Errorf("row %d %s: DuckDB has %s, want %s\n%s", i, table.Show(e, i), got, want[i], query)
					return
				}
			}
		})
	}
}

// load puts the table into DuckDB.
func load(t *testing.T, table *functiontest.Table, zone *time.Location) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	columns := []string{"row_number_ INTEGER"}
	for _, c := range table.Schema {
		columns = append(columns, `"`+c.Name+`" `+function.DuckDBType(c.Type))
	}
	var tuples []string
	for i, row := range table.Rows {
		values := []string{fmt.Sprint(i)}
		for k, v := range row {
			value := functiontest.DuckDBLiteral(v, table.Schema[k].Type)
			if table.Schema[k].Type.Kind == types.Timestamp && v != nil {
				value = strings.Replace(value, "' AS", "+00' AS", 1)
			}
			values = append(values, value)
		}
		tuples = append(tuples, "("+strings.Join(values, ", ")+")")
	}
	for _, statement := range []string{
		"SET TimeZone = '" + zone.String() + "'", "CREATE TABLE t (" + strings.Join(columns, ", ") + ")",
		"INSERT INTO t VALUES " + strings.Join(tuples, ", "),
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement[:min(len(statement), 200)], err)
		}
	}
	return db
}

// ask evaluates a spelled expression over every row. Its type has to be the one
// that was bound.
func ask(t *testing.T, db *sql.DB, query string, want types.Type, rows int) []functiontest.Outcome {
	t.Helper()
	out := make([]functiontest.Outcome, rows)
	var name string
	if err := db.QueryRow("SELECT typeof(" + query + ") FROM t LIMIT 1").Scan(&name); err == nil {
		name = strings.Replace(name, "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", 1)
		if name != function.DuckDBType(want) {
			t.Errorf("type is %s, want %s\n%s", name, function.DuckDBType(want), query)
		}
	}
	printed := "CAST(" + query + " AS VARCHAR)"
	if want.Kind == types.Bool {
		printed = "CAST(CAST(" + query + " AS INTEGER) AS VARCHAR)"
	}
	read := func(statement string) error {
		result, err := db.Query(statement)
		if err != nil {
			return err
		}
		defer func() { _ = result.Close() }()
		for result.Next() {
			var i int
			var s sql.NullString
			if err := result.Scan(&i, &s); err != nil {
				return err
			}
			if out[i] = (functiontest.Outcome{Text: "NULL"}); s.Valid {
				out[i].Text = functiontest.Text(s.String, want)
			}
		}
		return result.Err()
	}
	if read("SELECT row_number_, "+printed+" FROM t") == nil {
		return out
	}
	for i := range out { // one row's error ends a query
		if err := read(fmt.Sprintf("SELECT row_number_, %s FROM t WHERE row_number_ = %d", printed, i)); err != nil {
			out[i].Err = err
		}
	}
	return out
}
