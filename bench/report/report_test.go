package report_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/bench/report"
)

func table(t *testing.T) *report.Table {
	t.Helper()
	r := &report.Table{
		Name: "speed", Title: "Speed", Text: []string{"How fast."}, Command: "make bench-speed",
		Taken:    time.Date(2026, 7, 1, 12, 30, 0, 0, time.UTC),
		Machine:  report.Machine{CPU: "Test CPU", Cores: 2, MemoryGiB: 16, Kernel: "linux 6", Go: "go1.26", LoadBefore: 0.25},
		Versions: []report.Version{{Name: "leat", Version: "v1"}, {Name: "DuckDB", Version: "v1.5.5"}},
		Columns:  []report.Column{{Name: "program"}, {Name: "rows"}, {Name: "seconds", Digits: 2}},
	}
	for _, row := range [][]any{{"leat", int64(2300000), 1234.567}, {"a|b", int64(-5), nil}} {
		if err := r.Add(row...); err != nil {
			t.Fatal(err)
		}
	}
	r.Leave("flink", "not installed")
	r.Leave("flink", "another reason")
	return r
}

func TestTable_Add(t *testing.T) {
	r := table(t)
	if err := r.Add("too few"); err == nil {
		t.Error("a short row was taken")
	}
	if err := r.Add("x", 5, nil); err == nil {
		t.Error("an int was taken, which Markdown would show otherwise than an int64")
	}
	if len(r.Rows) != 2 || len(r.LeftOut) != 1 {
		t.Errorf("%d rows, %d left out", len(r.Rows), len(r.LeftOut))
	}
}

func TestTable_Markdown(t *testing.T) {
	var b strings.Builder
	if err := table(t).Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Speed\n\nHow fast.\n\n| program | rows | seconds |\n| --- | --: | --: |\n| leat | 2,300,000 | 1,234.57 |\n| a\\|b | -5 | – |\n",
		"- **Left out: flink**: not installed\n",
		"2026-07-01 12:30, Test CPU, 2 cores, 16 GiB, linux 6, go1.26; load before it 0.2. Versions: leat v1, DuckDB v1.5.5.\n",
		"```sh\nmake bench-speed\n```\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestTable_Write(t *testing.T) {
	r, dir := table(t), filepath.Join(t.TempDir(), "results")
	if err := r.Draw(dir, "mb", chart.Bars{Title: "x", Groups: []chart.Group{{Bars: []chart.Bar{{Name: "leat", Value: 1}}}}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "speed.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rows    []map[string]any
		Figures []string
		Command string
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 2 || got.Rows[0]["rows"] != 2300000.0 || got.Rows[1]["seconds"] != nil || got.Command != "make bench-speed" {
		t.Errorf("JSON %+v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, got.Figures[0])); err != nil {
		t.Error(err)
	}
	if err := r.Draw(dir, "", broken{}); err == nil {
		t.Error("a figure that cannot be drawn was written")
	}
	if _, err := os.Stat(filepath.Join(dir, "speed.svg")); err == nil {
		t.Error("a figure that cannot be drawn left a file")
	}
}

type broken struct{}

func (broken) WriteTo(io.Writer) (int64, error) { return 0, io.ErrUnexpectedEOF }

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	r := table(t)
	r.Figures = []string{"speed.svg"}
	if err := r.Write(filepath.Join(dir, "bench", "results")); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(dir, "README.md")
	const before, after = "# Title\n<!-- results: speed program, seconds -->\n", "<!-- end of results -->\nText.\n<!-- results: other -->\nkept\n<!-- end of results -->\n"
	if err := os.WriteFile(document, []byte(before+"old\n"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	want := before + "\n| program | seconds |\n| --- | --: |\n| leat | 1,234.57 |\n| a\\|b | – |\n\n- Left out: flink: not installed\n\n" +
		"![Speed](bench/results/speed.svg)\n\n2026-07-01, Test CPU, 2 cores, 16 GiB, linux 6, go1.26; leat v1; DuckDB v1.5.5; `make bench-speed`; [all of it](bench/results/speed.md).\n\n" + after
	for range 2 { // the second time changes nothing
		names, err := report.Publish(document, filepath.Join(dir, "bench", "results"))
		if err != nil || len(names) != 1 || names[0] != "speed" {
			t.Fatalf("published %v, %v", names, err)
		}
		got, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
	// A place that names no columns gets all of them, and ends where it ends.
	if err := os.WriteFile(document, []byte("<!-- results: speed -->\nold\n<!-- end of results -->\nText.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := report.Publish(document, filepath.Join(dir, "bench", "results")); err != nil || len(names) != 1 {
		t.Fatalf("published %v, %v", names, err)
	}
	if got, err := os.ReadFile(document); err != nil || !strings.HasPrefix(string(got), "<!-- results: speed -->\n\n| program |") || !strings.HasSuffix(string(got), "<!-- end of results -->\nText.\n") {
		t.Errorf("all columns: %v\n%s", err, got)
	}
	if err := os.WriteFile(document, []byte("<!-- results: speed colour -->\n<!-- end of results -->"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Publish(document, filepath.Join(dir, "bench", "results")); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("a column that there is not: %v", err)
	}
}
