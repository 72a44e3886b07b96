// Package report keeps what a benchmark has found: a table with everything that
// is needed to judge it and to measure it again. It is written as Markdown for
// people and as JSON for programs; figures are package chart's.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Table is the result of one benchmark.
type Table struct {
	Name     string // of its files, such as "batch"
	Title    string
	Text     []string // what is measured and how, a paragraph each
	Command  string   // repeats it
	Taken    time.Time
	Machine  Machine
	Versions []Version // of the programs that were compared
	Columns  []Column
	Rows     [][]any // string, int64, float64, or nil where there is no value
	LeftOut  []LeftOut
	Notes    []string // what stands out
	Figures  []string // files beside it
}

// Column of a table.
type Column struct {
	Name string
	// Digits after the point of a float64.
	Digits int
}

// Version of a program or library.
type Version struct{ Name, Version string }

// LeftOut is what should have been measured and was not.
type LeftOut struct{ What, Reason string }

// Add appends a row, which must have a value for each column.
func (t *Table) Add(row ...any) error {
	if len(row) != len(t.Columns) {
		return fmt.Errorf("add to table %s: %d values for %d columns", t.Name, len(row), len(t.Columns))
	}
	for i, v := range row {
		switch v.(type) {
		case nil, string, int64, float64:
		default:
			return fmt.Errorf("add to table %s: column %s: a table holds no %T", t.Name, t.Columns[i].Name, v)
		}
	}
	t.Rows = append(t.Rows, row)
	return nil
}

// Leave notes what was left out, once.
func (t *Table) Leave(what, reason string) {
	for _, l := range t.LeftOut {
		if l.What == what {
			return
		}
	}
	t.LeftOut = append(t.LeftOut, LeftOut{what, reason})
}

// cell is a value as text.
func (c Column) cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case float64:
		s := fmt.Sprintf("%.*f", c.Digits, v)
		whole, fraction, _ := strings.Cut(s, ".")
		if fraction != "" {
			fraction = "." + fraction
		}
		return apart(whole) + fraction
	case int64:
		return apart(fmt.Sprint(v))
	}
	return fmt.Sprint(v)
}

// apart sets thousands of digits apart.
func apart(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Markdown writes the table for people.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", t.Title)
	for _, p := range t.Text {
		fmt.Fprintf(&b, "%s\n\n", p)
	}
	t.grid(&b)
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	for _, l := range t.LeftOut {
		fmt.Fprintf(&b, "- **Left out: %s**: %s\n", l.What, l.Reason)
	}
	if len(t.Notes)+len(t.LeftOut) > 0 {
		b.WriteString("\n")
	}
	for _, f := range t.Figures {
		fmt.Fprintf(&b, "![%s](%s)\n\n", t.Title, f)
	}
	fmt.Fprintf(&b, "%s, %s; %s.", t.Taken.UTC().Format("2006-01-02 15:04"), t.Machine, t.Machine.Load())
	for i, v := range t.Versions {
		b.WriteString([...]string{" Versions: ", ", "}[min(i, 1)] + strings.TrimSpace(v.Name+" "+v.Version))
	}
	if len(t.Versions) > 0 {
		b.WriteString(".")
	}
	fmt.Fprintf(&b, "\n\n```sh\n%s\n```\n", t.Command)
	_, err := io.WriteString(w, b.String())
	return err
}

// grid writes the rows, and an empty line.
func (t *Table) grid(b *strings.Builder) {
	row := func(cells func(i int, c Column) string) {
		for i, c := range t.Columns {
			fmt.Fprintf(b, "| %s ", strings.ReplaceAll(cells(i, c), "|", `\|`))
		}
		b.WriteString("|\n")
	}
	row(func(_ int, c Column) string { return c.Name })
	row(func(i int, _ Column) string {
		for _, r := range t.Rows {
			if _, text := r[i].(string); text {
				return "---"
			}
		}
		return "--:"
	})
	for _, r := range t.Rows {
		row(func(i int, c Column) string { return c.cell(r[i]) })
	}
	b.WriteString("\n")
}

// JSON writes the table for programs: rows as objects by column.
func (t *Table) JSON(w io.Writer) error {
	rows := make([]map[string]any, len(t.Rows))
	for i, r := range t.Rows {
		rows[i] = map[string]any{}
		for k, c := range t.Columns {
			rows[i][c.Name] = r[k]
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(map[string]any{
		"name": t.Name, "title": t.Title, "text": t.Text, "command": t.Command, "taken": t.Taken.UTC().Format(time.RFC3339),
		"machine": t.Machine, "versions": t.Versions, "columns": t.Columns, "rows": rows, "left_out": t.LeftOut, "notes": t.Notes, "figures": t.Figures,
	})
}

// Figure is a chart.
type Figure interface {
	WriteTo(w io.Writer) (int64, error)
}

// Draw writes a figure beside the table, as <table>-<name>.svg, or <table>.svg
// without a name.
func (t *Table) Draw(dir, name string, f Figure) error {
	file := t.Name + ".svg"
	if name != "" {
		file = t.Name + "-" + name + ".svg"
	}
	if err := write(filepath.Join(dir, file), func(w io.Writer) error {
		_, err := f.WriteTo(w)
		return err
	}); err != nil {
		return err
	}
	t.Figures = append(t.Figures, file)
	return nil
}

// Write writes the table into dir, as <name>.md and <name>.json.
func (t *Table) Write(dir string) error {
	return errors.Join(
		write(filepath.Join(dir, t.Name+".md"), t.Markdown),
		write(filepath.Join(dir, t.Name+".json"), t.JSON),
	)
}

func write(path string, content func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of results: %w", err)
	}
	var b strings.Builder
	if err := content(&b); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
