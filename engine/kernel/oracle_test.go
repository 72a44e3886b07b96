package kernel_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

// sampleRows is how many rows the expressions are evaluated over.
const sampleRows = 80

// differing are expressions of which some rows are not compared, each with the
// reason; what MySQL gives there is in pinned_test.go.
var differing = []struct {
	reason string
	skip   func(got functiontest.Outcome, want functiontest.Result) bool
	exprs  []string
}{
	{
		"the engine's integers wrap around where MySQL fails with error 1690",
		func(got functiontest.Outcome, _ functiontest.Result) bool { return got.Err != nil },
		[]string{"i + j", "i - j", "i * m", "i + 1", "1 - i", "u + u", "-u", "abs(i)", "pow(f, 2)"},
	},
	{
		"the engine fails or panics where MySQL has a result",
		func(_ functiontest.Outcome, want functiontest.Result) bool { return want.Err != nil },
		[]string{
			"repeat(s, m)", "from_base64(s)", "da + interval m day", "da - interval m month", "da + interval m second",
			"regexp_replace(s, 'a', 'X', 2)", "cast(s as json)", "str_to_date(q, '%Y-%m-%d')", "log10(f)", "truncate(f, 1)",
			"js->>'$.b.c[2].d'",
		},
	},
	{
		"a member's path into an array finds the members of its elements in the engine, nothing in MySQL",
		func(_ functiontest.Outcome, want functiontest.Result) bool {
			return want.Err != nil || strings.HasPrefix(functiontest.Text(want.Value, types.TypeJSON), "[")
		},
		[]string{"js->'$.a'", "js->'$.b'", "js->>'$.a'", "js->>'$.b.c'", "json_extract(js, '$.a')"},
	},
	{
		"the engine's decimals that do not fit become 0, MySQL's the greatest of the type",
		func(_ functiontest.Outcome, want functiontest.Result) bool {
			return want.Value == nil || functiontest.Text(want.Value, types.NewDecimal(1, 0)) == "0"
		},
		[]string{"cast(i as decimal(10,2))", "cast(f as decimal(10,2))", "cast(d as decimal(5,1))", "cast(num as decimal(10,2))", "cast(js as decimal(10,2))"},
	},
}

// TestEvaluatedAsMySQL compares every kernel with the MySQL engine's row by row
// evaluation, over random rows, for every form that arguments may have.
func TestEvaluatedAsMySQL(t *testing.T) {
	file, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := functiontest.Sample(1, sampleRows)
	c := comparer{table: table}
	for text := range strings.Lines(string(file)) {
		if text = strings.TrimSpace(text); text != "" {
			t.Run(text, func(t *testing.T) {
				c.compare(t, text, func(functiontest.Outcome, functiontest.Result) bool { return false })
			})
		}
	}
	for _, group := range differing {
		for _, text := range group.exprs {
			t.Run(text, func(t *testing.T) { c.compare(t, text, group.skip) })
		}
	}
}

type comparer struct {
	table  *functiontest.Table
	oracle *functiontest.Oracle
}

func (c *comparer) compare(t *testing.T, text string, skip func(functiontest.Outcome, functiontest.Result) bool) {
	t.Helper()
	e, got := c.table.Check(t, text, time.UTC)
	// The engine's rounding functions change the decimals of its table.
	if spoils := strings.ContainsAny(text, "de") && (strings.Contains(text, "round") || strings.Contains(text, "ceil") ||
		strings.Contains(text, "floor") || strings.Contains(text, "truncate")); c.oracle == nil || spoils {
		var err error
		if c.oracle, err = functiontest.NewOracle(c.table.Schema, c.table.Rows); err != nil {
			t.Fatal(err)
		}
		if spoils {
			defer func() { c.oracle = nil }()
		}
	}
	compared := 0
	for i, want := range c.oracle.Eval(text) {
		if skip(got[i], want) {
			continue
		}
		compared++
		wanted := "error: " + errorText(want.Err)
		if want.Err == nil {
			wanted = functiontest.Text(want.Value, e.Type)
		}
		if got[i].Err != nil && want.Err != nil {
			continue
		}
		if got[i].Err != nil || want.Err != nil || !functiontest.Same(got[i].Text, wanted, e.Type) {
			t.Errorf("row %d %s: %s, the MySQL engine has %s", i, c.table.Show(e, i), got[i], wanted)
			return
		}
	}
	if compared < sampleRows/10 {
		t.Errorf("only %d rows were compared", compared)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestFormsAgree evaluates what is pinned, not compared with the engine, for
// every form that arguments may have.
func TestFormsAgree(t *testing.T) {
	file, err := os.ReadFile("testdata/forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := functiontest.Sample(4, sampleRows)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(file)) {
		if text = strings.TrimSpace(text); text != "" {
			t.Run(text, func(t *testing.T) { table.Check(t, text, berlin) })
		}
	}
}
