package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBetweenRowByRowAsMySQL8 has the MySQL engine, which evaluates row by row what has
// a SLEEP in it, say of BETWEEN what MySQL says.
func TestBetweenRowByRowAsMySQL8(t *testing.T) {
	t.Parallel()
	w := openColumns(t)
	asked := 0
	same := func(query string, want []answer) {
		if got := w.ask(t, query); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, MySQL gives %v", query, got, want)
		}
		asked++
	}
	isBetween := func(expr string) bool {
		expr = strings.ToLower(expr)
		return strings.Contains(expr, "between") && !strings.Contains(expr, "over")
	}
	recorded(t, "columns.txt", func(expr string, want []answer) {
		if isBetween(expr) {
			same("SELECT "+expr+" FROM landed WHERE SLEEP(0) = 0 ORDER BY k", want)
		}
	})
	recorded(t, "constants.txt", func(expr string, want answer) {
		if isBetween(expr) {
			same("SELECT "+expr+" FROM landed WHERE SLEEP(0) = 0 AND k = 0", []answer{want})
		}
	})
	if asked < 30 {
		t.Errorf("only %d are recorded", asked)
	}
}

// TestBetweenEverywhere has the kernels, DuckDB and the MySQL engine, which evaluates
// row by row what has a SLEEP in it, say the same of BETWEEN, whatever it compares.
func TestBetweenEverywhere(t *testing.T) {
	t.Parallel()
	w := openColumns(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	numbers := []string{"m", "i", "u", "d", "h", "f", "b", "5", "-0.05", "1.5e1", "TRUE", "NULL", "9007199254740993", "j"}
	texts := []string{"s", "num", "q", "'5'", "'1.50'", "'x'", "''", "'9007199254740993'", "' 7'"}
	times := []string{"da", "dt", "dv", "ts", "q", "'2024-02-29'", "'2000-01-01 00:00:00.5'", "'2024-02'", "''", "DATE '1999-12-31'", "TIMESTAMP '2024-02-29 10:11:12'", "NULL", "20240101"}
	of := func(list ...string) string { return list[rnd.IntN(len(list))] }
	for n := range 200 {
		list := append(texts, numbers...)
		if n%3 == 0 {
			list = times
		}
		expr := fmt.Sprintf("%s %sBETWEEN %s AND %s", of(list...), of("", "NOT "), of(list...), of(list...))
		kernels := w.ask(t, "SELECT "+expr+" FROM c")
		for _, query := range []string{
			"SELECT " + expr + " FROM landed ORDER BY k",
			"SELECT " + expr + " FROM landed WHERE SLEEP(0) = 0 ORDER BY k",
			"SELECT " + expr + ", JSON_DEPTH(js) FROM landed ORDER BY k",
		} {
			if got := w.ask(t, query); fmt.Sprint(got) != fmt.Sprint(kernels) {
				t.Errorf("%s: %v, kernels give %v", query, got, kernels)
			}
		}
	}
}

// TestBetweenInConditions has conditions of joins, groups and sub-selects with a BETWEEN
// hold row by row as they do elsewhere.
func TestBetweenInConditions(t *testing.T) {
	t.Parallel()
	w := openColumns(t)
	for _, query := range []string{
		"SELECT a.k, b.k FROM landed a JOIN landed b ON a.num BETWEEN b.i AND '50' WHERE a.k >= 0 ORDER BY 1, 2",
		"SELECT a.k, b.k FROM landed a LEFT JOIN landed b ON a.da NOT BETWEEN '2000-01-01' AND b.dt WHERE a.k >= 0 ORDER BY 1, 2",
		"SELECT k FROM landed WHERE k >= 0 AND NOT (num BETWEEN i AND '5') ORDER BY k",
		"SELECT k FROM landed WHERE k >= 0 AND (SELECT MAX(num) FROM sales JOIN landed x USING (k)) BETWEEN m AND '1e9' ORDER BY k",
		"SELECT b, MAX(num) BETWEEN MIN(i) AND '5' FROM landed WHERE k >= 0 GROUP BY b HAVING MAX(num) BETWEEN -100 AND 'x' OR b IS NOT NULL ORDER BY b",
		"SELECT k, CASE WHEN s BETWEEN 0 AND 'z' THEN 'in' ELSE 'out' END FROM (SELECT * FROM landed WHERE q NOT BETWEEN 3 AND 'a') x WHERE k >= 0 ORDER BY k",
	} {
		want := w.askRows(t, query)
		rowByRow := strings.Replace(query, "k >= 0", "k >= 0 AND SLEEP(0) = 0", 1)
		if got := w.askRows(t, rowByRow); len(got) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, without SLEEP %v", rowByRow, got, want)
		}
	}
}
