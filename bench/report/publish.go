package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// published is what JSON has written of a table.
type published struct {
	Title    string
	Command  string
	Taken    time.Time
	Machine  Machine
	Versions []Version
	Rows     []map[string]any
	Columns  []Column
	LeftOut  []LeftOut `json:"left_out"`
	Notes    []string
	Figures  []string
}

// A place for a result in a document: a comment that names the table and maybe
// the columns to show, what was put there before, and a comment that ends it.
var place = regexp.MustCompile(`(?s)<!-- results: (\S+)( [^\n]*?)? -->\n.*?<!-- end of results -->`)

// Publish puts the tables of a folder of results into the places that a Markdown
// document has for them, such as
//
//	<!-- results: batch program, MB/s -->
//	<!-- end of results -->
//
// with all columns when none is named. Figures are linked from the document's
// own folder. A table that was not measured leaves its place as it is. It
// returns the names of the tables that were put in.
func Publish(document, results string) (names []string, err error) {
	text, err := os.ReadFile(document)
	if err != nil {
		return nil, fmt.Errorf("publish results: %w", err)
	}
	link, err := filepath.Rel(filepath.Dir(document), results)
	if err != nil {
		return nil, fmt.Errorf("publish results: %w", err)
	}
	var problems error
	out := place.ReplaceAllStringFunc(string(text), func(old string) string {
		m := place.FindStringSubmatch(old)
		content, err := os.ReadFile(filepath.Join(results, m[1]+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			return old
		}
		var p published
		if err == nil {
			err = json.Unmarshal(content, &p)
		}
		var b strings.Builder
		if err == nil {
			err = p.markdown(&b, filepath.ToSlash(link), m[1], strings.TrimSpace(m[2]))
		}
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("publish %s: %w", m[1], err))
			return old
		}
		names = append(names, m[1])
		return "<!-- results: " + m[1] + m[2] + " -->\n" + b.String() + "<!-- end of results -->"
	})
	if problems != nil || out == string(text) {
		return names, problems
	}
	if err := os.WriteFile(document, []byte(out), 0o644); err != nil {
		return nil, fmt.Errorf("publish results: %w", err)
	}
	return names, nil
}

func (p *published) markdown(b *strings.Builder, link, name, columns string) error {
	t := Table{Name: name, Title: p.Title, Columns: p.Columns}
	if columns != "" {
		t.Columns = nil
		for want := range strings.SplitSeq(columns, ",") {
			want = strings.TrimSpace(want)
			found := false
			for _, c := range p.Columns {
				if c.Name == want {
					t.Columns, found = append(t.Columns, c), true
				}
			}
			if !found {
				return fmt.Errorf("the table has no column %q", want)
			}
		}
	}
	for _, row := range p.Rows {
		cells := make([]any, len(t.Columns))
		for i, c := range t.Columns {
			cells[i] = row[c.Name]
		}
		t.Rows = append(t.Rows, cells)
	}
	b.WriteString("\n")
	t.grid(b)
	for _, n := range p.Notes {
		fmt.Fprintf(b, "- %s\n", n)
	}
	for _, l := range p.LeftOut {
		fmt.Fprintf(b, "- Left out: %s: %s\n", l.What, l.Reason)
	}
	if len(p.Notes)+len(p.LeftOut) > 0 {
		b.WriteString("\n")
	}
	for _, f := range p.Figures {
		fmt.Fprintf(b, "![%s](%s/%s)\n\n", p.Title, link, f)
	}
	fmt.Fprintf(b, "%s, %s;%s `%s`; [all of it](%s/%s.md).\n\n", p.Taken.UTC().Format(time.DateOnly), p.Machine, versions(p.Versions), p.Command, link, name)
	return nil
}

func versions(list []Version) string {
	var b strings.Builder
	for _, v := range list {
		fmt.Fprintf(&b, " %s %s;", v.Name, v.Version)
	}
	return b.String()
}
