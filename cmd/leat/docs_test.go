package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql"
)

// block is a fenced block of a document.
type block struct {
	at       string // file:line of its first line
	language string
	text     string
}

func document(t *testing.T, name string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var open *block
	for i, line := range strings.SplitAfter(string(text), "\n") {
		switch language, fence := strings.CutPrefix(line, "```"); {
		case fence && open == nil:
			open = &block{at: fmt.Sprintf("%s:%d", name, i+2), language: strings.TrimSpace(language)}
		case fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Fatalf("%s: the block is not closed", open.at)
	}
	return blocks
}

// exchange is a statement that is typed at a prompt, and what is answered.
type exchange struct{ statement, answer string }

func session(text string) []exchange {
	var all []exchange
	typing := false
	for line := range strings.Lines(text) {
		typed, first := strings.CutPrefix(line, "mysql> ")
		if !first {
			typed, _ = strings.CutPrefix(line, "    -> ")
		}
		switch {
		case first:
			all = append(all, exchange{statement: typed})
		case typing:
			all[len(all)-1].statement += typed
		case strings.TrimSpace(line) != "":
			all[len(all)-1].answer += line
		}
		if first || typing {
			typing = !strings.HasSuffix(typed, ";\n")
		}
	}
	return all
}

// Whoever types what README says sees what README shows.
func TestREADME_FiveMinutes(t *testing.T) {
	s, dir := serveTest(t), t.TempDir()
	// Of a file's name the lane, the file's number and what is random differ.
	random, widths := regexp.MustCompile(`-\d+-\d+-[0-9a-f]{8}\.parquet`), regexp.MustCompile(`([ -])[ -]+`)
	statements := 0
	for _, b := range document(t, "README.md") {
		events, isFile := strings.CutPrefix(b.text, "mkdir -p /tmp/clicks && cat > /tmp/clicks/1.ndjson <<'END'\n")
		switch {
		case isFile:
			events, _, _ = strings.Cut(events, "END\n")
			write(t, dir, "1.ndjson", events)
		case strings.HasPrefix(b.text, "$ find leat-data"):
			_, want, _ := strings.Cut(b.text, "\n")
			files, err := filepath.Glob(filepath.Join(s.data, "lake/visits/data/*/*.parquet"))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(strings.Join(files, "\n")+"\n", s.data, "leat-data")
			if random.ReplaceAllString(got, "") != random.ReplaceAllString(want, "") {
				t.Errorf("%s: the files are\n%swant\n%s", b.at, got, want)
			}
		case strings.HasPrefix(b.text, "mysql> "):
			for _, e := range session(b.text) {
				statements++
				statement := strings.ReplaceAll(e.statement, "/tmp/clicks", dir)
				if stream, ok := strings.CutPrefix(statement, "CREATE STREAM "); ok { // a second later …
					statement += "FLUSH STREAM " + strings.Fields(stream)[0]
				}
				_, stdout, stderr := leat(t, statement, "sql", "--mysql", s.mysql)
				got := stdout + strings.Replace(stderr, "leat sql: error ", "ERROR ", 1)
				if strings.HasPrefix(stderr, "warning: ") { // which clients only count
					got = stdout
				}
				// Clients are not of one mind about the width of columns.
				if widths.ReplaceAllString(got, "$1") != widths.ReplaceAllString(e.answer, "$1") {
					t.Errorf("%s: %s\ngot\n%swant\n%s", b.at, e.statement, got, e.answer)
				}
			}
		}
	}
	if statements < 9 {
		t.Errorf("README has %d statements at a prompt, want 9 or more", statements)
	}
}

// inputs are what the documents' queries read and do not define, or do not declare
// columns of.
const inputs = `
CREATE SOURCE trips (id BIGINT, trip_id BIGINT, pickup_location_id INT, pickup_at TIMESTAMP(3), fare DECIMAL(10,2), rider JSON) WITH (connector = 'push');
CREATE SOURCE orders (id BIGINT, items JSON) WITH (connector = 'push');
CREATE SOURCE m (id BIGINT, names TEXT, readings JSON) WITH (connector = 'push');
CREATE SOURCE pm (granPeriod JSON, measTypes TEXT, measValue JSON) WITH (connector = 'push');
`

// What the documents say can be said: statements are parsed, options known, and
// queries bound.
func TestDocuments_Statements(t *testing.T) {
	s := serveTest(t, "--init", write(t, t.TempDir(), "inputs.sql", inputs))
	abridged := strings.NewReplacer("(…)", "(id INT)", "AS SELECT …", "AS SELECT 1 FROM m", "'…'", "'x'")
	options, queries := 0, 0
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "docs/sql.md", "docs/reliability.md"} {
		for _, b := range document(t, name) {
			if b.language != "sql" || strings.Contains(b.text, "[IF NOT EXISTS]") {
				continue // no example, but the grammar
			}
			script, err := sql.Split(abridged.Replace(b.text), "")
			if err != nil {
				t.Errorf("%s: %v", b.at, err)
			}
			secrets := map[string]bool{}
			for _, one := range script {
				statement, err := sql.Parse(one.Text, one.Pos)
				if err != nil {
					t.Errorf("%s: %v", b.at, err)
				}
				query := ""
				switch statement := statement.(type) {
				case *sql.CreateSecret:
					secrets[statement.Name.Name] = true
				case *sql.CreateSource:
					options++
					err = sourceOptions(statement.Options, secrets)
				case *sql.CreateSink:
					options++
					err = sinkOptions(statement.Options)
				case *sql.CreateStream:
					query = statement.Query
				case nil:
					if strings.HasPrefix(one.Text, "SELECT o.") || strings.HasPrefix(one.Text, "SELECT m.") {
						query = one.Text
					}
				}
				if err != nil {
					t.Errorf("%s: %s\n%v", b.at, one.Text, err)
				}
				if query == "" {
					continue
				}
				queries++
				if code, _, stderr := leat(t, "EXPLAIN CREATE STREAM x AS "+query, "sql", "--mysql", s.mysql); code != exitDone {
					t.Errorf("%s: %s\n%s", b.at, query, stderr)
				}
			}
		}
	}
	if options < 10 || queries < 8 {
		t.Errorf("the documents have %d sources and sinks and %d queries, want 10 and 8 or more", options, queries)
	}
}

func option(options []sql.Option, name, otherwise string) string {
	for _, o := range options {
		if o.Name == name {
			return o.Value
		}
	}
	return otherwise
}

// check checks options as a definition's are.
func check(spec connectors.Spec, options []sql.Option, secret bool) error {
	var raw []connectors.RawOption
	for _, o := range options {
		if o.Name != "secret" && !strings.HasPrefix(o.Value, "${") {
			raw = append(raw, connectors.RawOption{Name: o.Name, Value: o.Value, Pos: o.Pos, NamePos: o.NamePos})
		}
	}
	if secret { // which may hold what is required
		for i := range spec {
			spec[i].Required = false
		}
	}
	_, err := spec.NewOptions(raw)
	return err
}

func sourceOptions(options []sql.Option, secrets map[string]bool) error {
	c, err := connectors.LookupSource(option(options, "connector", ""))
	if err != nil {
		return err
	}
	spec := c.Spec.With(connectors.SourceOptions)
	f, err := connectors.LookupFormat(option(options, "format", "json"))
	if err != nil {
		return err
	}
	return check(spec.With(f.Spec), options, secrets[option(options, "secret", "")])
}

func sinkOptions(options []sql.Option) error {
	c, err := connectors.LookupSink(option(options, "connector", ""))
	if err != nil {
		return err
	}
	return check(c.Spec.With(connectors.Spec{{Name: "connector"}}), options, false)
}
