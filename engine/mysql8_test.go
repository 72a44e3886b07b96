package engine_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/internal/mysqlfloat"
	"github.com/leatdb/leat/internal/slt"
)

// answer is what a MySQL 8.0 server (utf8mb4_bin, UTC, its default sql_mode)
// gave for an expression: a value's text, NULL, or the number of an error.
type answer struct {
	text  string
	null  bool
	error int
}

func (a *answer) UnmarshalJSON(data []byte) error {
	*a = answer{null: string(data) == "null"}
	if data[0] == '{' {
		var failed struct{ Error int }
		err := json.Unmarshal(data, &failed)
		a.error = failed.Error
		return err
	}
	return json.Unmarshal(data, &a.text)
}

func (a answer) String() string {
	switch {
	case a.error != 0:
		return fmt.Sprint("error ", a.error)
	case a.null:
		return "NULL"
	}
	return "'" + a.text + "'"
}

// recorded reads lines of an expression, a tab, and its answers as JSON.
func recorded[T any](t *testing.T, name string, f func(expr string, want T)) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata/mysql8", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		expr, answers, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			t.Fatalf("%s: no tab in %q", name, lines.Text())
		}
		var want T
		if err := json.Unmarshal([]byte(answers), &want); err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		f(expr, want)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// askRows gives a query's rows, or one error.
func (w *wire) askRows(t *testing.T, query string) [][]answer {
	t.Helper()
	r, err := w.Query(t.Context(), query, nil)
	if failed := (*mysqldriver.MySQLError)(nil); errors.As(err, &failed) {
		return [][]answer{{{error: int(failed.Number)}}}
	}
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	answers := make([][]answer, len(r.Rows))
	for i, row := range r.Rows {
		for j, text := range row {
			null := text == nil
			if f, err := strconv.ParseFloat(string(text), 64); err == nil && r.Columns[j].Class == slt.Real {
				text = mysqlfloat.AppendDouble(nil, f) // the driver writes what it has read anew
			}
			answers[i] = append(answers[i], answer{text: string(text), null: null})
		}
	}
	return answers
}

// ask gives the first column of a query's rows, or one error.
func (w *wire) ask(t *testing.T, query string) []answer {
	t.Helper()
	var answers []answer
	for _, row := range w.askRows(t, query) {
		answers = append(answers, row[0])
	}
	return answers
}

func openMySQL8(t *testing.T) *wire {
	t.Helper()
	db, err := openWire(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db.(*wire)
}

// TestConstantsAsMySQL8 has SELECTs without FROM say what MySQL says.
func TestConstantsAsMySQL8(t *testing.T) {
	t.Parallel()
	w := openMySQL8(t)
	recorded(t, "constants.txt", func(expr string, want answer) {
		if got := w.ask(t, "SELECT "+expr); len(got) != 1 || got[0] != want {
			t.Errorf("SELECT %s: %v, MySQL gives %v", expr, got, want)
		}
	})
}

// TestColumnsAsMySQL8 has peeks at a source, and queries of a lake table that it
// has landed in, say what MySQL says of the same rows.
func TestColumnsAsMySQL8(t *testing.T) {
	t.Parallel()
	w := openColumns(t)
	recorded(t, "columns.txt", func(expr string, want []answer) {
		fails := false
		for _, a := range want {
			fails = fails || a.error != 0
		}
		for _, from := range []string{"c", "landed"} {
			if !fails {
				query := "SELECT " + expr + " FROM " + from
				if from == "landed" {
					query += " ORDER BY k"
				}
				if got := w.ask(t, query); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: %v, MySQL gives %v", query, got, want)
				}
				continue
			}
			for k, a := range want { // a row that fails fails the query
				query := fmt.Sprintf("SELECT %s FROM %s WHERE k = %d", expr, from, k)
				if got := w.ask(t, query); len(got) != 1 || got[0] != a {
					t.Errorf("%s: %v, MySQL gives %v", query, got, a)
				}
			}
		}
	})
}

// TestColumnsBesideRowFunctions has a query say the same when it calls a function
// that is evaluated row by row as well: one more expression must not hand the
// others to the MySQL engine, whose ROUND of a DECIMAL, DATEDIFF and paths through
// JSON arrays are not MySQL's.
func TestColumnsBesideRowFunctions(t *testing.T) {
	t.Parallel()
	w := openColumns(t)
	recorded(t, "columns.txt", func(expr string, want []answer) {
		if slices.ContainsFunc(want, func(a answer) bool { return a.error != 0 }) {
			return
		}
		query := "SELECT " + expr + ", JSON_DEPTH(js) FROM landed ORDER BY k"
		if got := w.ask(t, query); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, MySQL gives %v", query, got, want)
		}
	})
	for query, want := range map[string]string{
		"SELECT JSON_DEPTH(JSON_EXTRACT(js, '$[1].a')) FROM landed WHERE k = 1":               "NULL",
		"SELECT MAX(JSON_DEPTH(js)) FROM landed":                                              "'4'",
		"SELECT a.k FROM landed a JOIN landed b ON SOUNDEX(a.s) = SOUNDEX(b.s) WHERE b.k = 0": "'0'",
		"SELECT SOUNDEX(s), COUNT(*) FROM landed WHERE k < 2 GROUP BY SOUNDEX(s) ORDER BY 1":  "'A120'",
	} {
		if got := w.ask(t, query); len(got) == 0 || fmt.Sprint(got[0]) != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
}

// TestQueriesAsMySQL8 has groups, windows, joins and sub-selects over a lake
// table say what MySQL says.
func TestQueriesAsMySQL8(t *testing.T) {
	t.Parallel()
	w := openColumns(t)
	same := func(query string, want [][]answer) {
		got := w.askRows(t, query)
		if !strings.Contains(strings.ToLower(query[strings.LastIndex(query, ")")+1:]), "order by") {
			for _, rows := range [][][]answer{got, want} {
				slices.SortFunc(rows, func(a, b []answer) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n%v, MySQL gives\n%v", query, got, want)
		}
	}
	recorded(t, "queries.txt", same)
	recorded(t, "analyst.txt", same)
}

// openColumns opens a database with the recorded rows as source c and as lake
// tables landed and sales, and with lake tables cust and orders.
func openColumns(t *testing.T) *wire {
	t.Helper()
	w := openMySQL8(t)
	folder, err := filepath.Abs("testdata/mysql8")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(folder, "rows.json")
	for _, statement := range []string{
		`CREATE SOURCE c (k INT, i BIGINT, j BIGINT, n INT, m INT, u BIGINT UNSIGNED, f DOUBLE, g DOUBLE, d DECIMAL(10,2), e DECIMAL(18,6), h DECIMAL(38,10),
			s VARCHAR(50), r VARCHAR(50), num VARCHAR(50), q VARCHAR(50), b BOOLEAN, c BOOLEAN, da DATE, dd DATE, dt DATETIME(3), dv DATETIME(6),
			ts TIMESTAMP(3), tm TIME(6), js JSON) WITH (connector = 'files', path = '` + dir + `', format = 'json')`,
		"CREATE STREAM landed AS SELECT * FROM c",
		"CREATE STREAM sales AS SELECT k, i, m, d, f, s, b, da, dt, ts, js FROM c",
		`CREATE SOURCE cust_source (id INT, name VARCHAR(20), country VARCHAR(2), balance DECIMAL(8,2), born DATE, code VARCHAR(10), tags JSON)
			WITH (connector = 'files', path = '` + filepath.Join(folder, "cust.json") + `', format = 'json')`,
		`CREATE SOURCE orders_source (id INT, cust INT, qty INT, price DECIMAL(8,2), rate DECIMAL(6,4), w DOUBLE, at DATETIME(3), ts TIMESTAMP(3), d DATE, t TIME,
			status VARCHAR(10), bits INT, big BIGINT UNSIGNED, ok BOOLEAN, doc JSON)
			WITH (connector = 'files', path = '` + filepath.Join(folder, "orders.json") + `', format = 'json')`,
		"CREATE STREAM cust AS SELECT * FROM cust_source",
		"CREATE STREAM orders AS SELECT * FROM orders_source",
		"FLUSH STREAM landed",
		"FLUSH STREAM sales",
		"FLUSH STREAM cust",
		"FLUSH STREAM orders",
	} {
		if _, err := w.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// TestDistinctDocuments has DISTINCT tell JSON documents apart as GROUP BY does: 1 and
// 1.0 are equal, and members have no order.
func TestDistinctDocuments(t *testing.T) {
	t.Parallel()
	w := openMySQL8(t)
	file := filepath.Join(t.TempDir(), "in.json")
	lines := `{"k": 1, "a": {"v": 1}}
{"k": 1, "a": {"v": 1.0}}
{"k": 2, "a": {"v": "1"}}
{"k": 2, "a": {"v": null}}
{"k": 2, "a": {}}
{"k": 2, "a": {}}
{"k": 2, "a": {"v": {"x": 1, "y": [2.0]}}}
{"k": 2, "a": {"v": {"y": [2], "x": 1}}}
{"k": 3}
`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE SOURCE documents (k INT, a JSON) WITH (connector = 'files', path = '" + file + "', format = 'json')",
		"CREATE STREAM t AS SELECT k, a FROM documents",
		"FLUSH STREAM t",
	} {
		if _, err := w.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"SELECT COUNT(*) FROM (SELECT a->'$.v' FROM t GROUP BY a->'$.v') g":                                     "['5']",
		"SELECT COUNT(*) FROM (SELECT DISTINCT a->'$.v' FROM t) d":                                              "['5']",
		"SELECT COUNT(*) FROM (SELECT DISTINCT a FROM t) d":                                                     "['6']",
		"SELECT COUNT(*) FROM (SELECT DISTINCT JSON_ARRAY(a->'$.v') FROM t) d":                                  "['4']",
		"SELECT COUNT(*) FROM t WHERE k = 1 GROUP BY a->'$.v' WITH ROLLUP":                                      "['2' '2']",
		"SELECT a->'$.v' FROM t WHERE k = 2 AND a->'$.v.x' IS NULL GROUP BY a->'$.v' WITH ROLLUP":               "[NULL 'null' '\"1\"' NULL]",
		"SELECT AVG(k) * 3 FROM t WHERE k = 1 GROUP BY a->'$.v' WITH ROLLUP":                                    "['3.0000' '3.0000']",
		"SELECT COUNT(DISTINCT a->'$.v') FROM t":                                                                "['4']",
		"SELECT COUNT(DISTINCT a) FROM t":                                                                       "['5']",
		"SELECT COUNT(DISTINCT k, a) FROM t":                                                                    "['5']",
		"SELECT COUNT(DISTINCT JSON_ARRAY(a->'$.v')) FROM t":                                                    "['4']",
		"SELECT d.k FROM (SELECT DISTINCT a->'$.v' v, k, a->'$.v' w FROM t) d ORDER BY d.k":                     "['1' '2' '2' '2' '2' '3']",
		"SELECT DISTINCT JSON_TYPE(a->'$.v.y') FROM t ORDER BY 1":                                               "[NULL 'ARRAY']",
		"SELECT DISTINCT a->'$.v.x' FROM t ORDER BY a->'$.v.x'":                                                 "[NULL '1']",
		"SELECT k FROM t WHERE k = 3 UNION ALL (SELECT DISTINCT k FROM t WHERE a->'$.v' = 1)":                   "['3' '1']",
		"SELECT COUNT(*) FROM ((SELECT DISTINCT k, a->'$.v' FROM t) UNION ALL (SELECT 7, CAST('7' AS JSON))) u": "['7']",
	} {
		if got := w.ask(t, query); fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
}

// TestFilteredRowsFailNoQuery has functions that fail for some value of a column
// whose Parquet pages are dictionaries asked for the other rows only: DuckDB
// would evaluate a function that cannot fail once for each entry.
func TestFilteredRowsFailNoQuery(t *testing.T) {
	t.Parallel()
	w := openMySQL8(t)
	for _, statement := range []string{
		`CREATE SOURCE g (id INT, x DOUBLE, s VARCHAR(10), p VARCHAR(10)) WITH (connector = 'datagen', rows = '5000', splits = '1',
			'fields.id.sequence' = '0', 'fields.x.choices' = '1,1000', 'fields.s.choices' = 'nope,[]', 'fields.p.choices' = '$.a,(')`,
		"CREATE STREAM t AS SELECT * FROM g",
	} {
		if _, err := w.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	await(t, w.db, "t", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	for _, query := range []string{
		"SELECT COUNT(EXP(x)) > 0 FROM t WHERE x < 2",
		"SELECT COUNT(POW(10, x)) > 0 FROM t WHERE x < 2",
		"SELECT COUNT(PERIOD_ADD(x, 1)) > 0 FROM t WHERE x < 2",
		"SELECT COUNT(PERIOD_DIFF(x, 1)) > 0 FROM t WHERE x < 2",
		"SELECT COUNT(JSON_DEPTH(s)) > 0 FROM t WHERE s <> 'nope'",
		"SELECT COUNT(JSON_CONTAINS_PATH('{}', 'one', p)) > 0 FROM t WHERE p <> '('",
		"SELECT COUNT(JSON_EXTRACT('{}', p)) = 0 FROM t WHERE p <> '('",
		"SELECT COUNT('a' REGEXP p) > 0 FROM t WHERE p <> '('",
		"SELECT COUNT(SOUNDEX(s)) > 0 FROM t WHERE s <> 'nope'",
	} {
		if got := w.ask(t, query); fmt.Sprint(got) != "['1']" {
			t.Errorf("%s: %v", query, got)
		}
	}
}

// TestJSONTableUnderLimit has a LIMIT end the flattening of a lake table: a value
// far behind the rows that are shown is not looked at.
func TestJSONTableUnderLimit(t *testing.T) {
	t.Parallel()
	w := openMySQL8(t)
	file := filepath.Join(t.TempDir(), "in.json")
	lines := strings.Repeat(`{"a": [1, 2]}`+"\n", 20000) + `{"a": ["x"]}` + "\n"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE SOURCE many (a JSON) WITH (connector = 'files', path = '" + file + "', format = 'json')",
		"CREATE STREAM t AS SELECT a FROM many",
		"FLUSH STREAM t",
	} {
		if _, err := w.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const from = " FROM t, JSON_TABLE(t.a, '$[*]' COLUMNS (n FOR ORDINALITY, v INT PATH '$' ERROR ON ERROR)) j"
	for query, want := range map[string]string{
		"SELECT v" + from + " LIMIT 3":                             "['1' '2' '1']",
		"SELECT v * 10" + from + " LIMIT 2 OFFSET 1":               "['20' '10']",
		"SELECT v" + from + " LIMIT 0":                             "[]",
		"SELECT COUNT(*) FROM (SELECT v" + from + " LIMIT 5000) x": "['5000']",
	} {
		if got := w.ask(t, query); fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	if got := w.ask(t, "SELECT SUM(v)"+from); len(got) != 1 || got[0].error == 0 {
		t.Errorf("the last value was not looked at: %v", got)
	}
}
