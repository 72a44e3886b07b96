package all_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
)

var update = flag.Bool("update", false, "write docs/options.md")

// docs/options.md is made of the specifications that statements are checked
// against, so that it cannot say anything else.
func TestReference(t *testing.T) {
	const path = "../../docs/options.md"
	want := reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/options.md is not what the specifications say; write it by: make reference")
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString(`# Options

Made of the program's own specifications by ` + "`make reference`" + `. An option that is not listed here is refused, with the nearest one that is.

Durations are written as ` + "`500ms`, `10s`, `1h30m`, `7d`; sizes as `4096`, `128MB` (powers of 1000), `64MiB` (powers of 1024)" + `; lists are separated by commas.
` + "`${env:NAME}`, `${file:/path}` and `${aws-secret:name#key}` (AWS Secrets Manager) may stand anywhere in a value" + `. Secrets are never printed.
` + "`secret = 'name'`" + ` takes the options of a secret that CREATE SECRET has stored; none of them may be given beside it.

## Every source

These are left out below.

`)
	table(&b, connectors.SourceOptions, nil)
	for _, c := range connectors.Sources() {
		fmt.Fprintf(&b, "\n## Source `%s`\n\n%s\n\n", c.Name, c.Doc)
		table(&b, c.Spec, connectors.SourceOptions)
		if len(c.Hidden) > 0 {
			b.WriteString("\nHidden columns, which `SELECT *` leaves out:\n\n| column | type | |\n|---|---|---|\n")
			for _, h := range c.Hidden {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", h.Name, h.Type, h.Doc)
			}
		}
	}
	for _, f := range connectors.Formats() {
		fmt.Fprintf(&b, "\n## Format `%s`\n\n%s\n", f.Name, f.Doc)
		if len(f.Spec) > 0 {
			b.WriteString("\n")
			table(&b, f.Spec, nil)
		}
	}
	for _, c := range connectors.Sinks() {
		fmt.Fprintf(&b, "\n## Sink `%s`\n\n%s\nA stream may give those marked ○ in its own `WITH (…)`; `ALTER STREAM … SET` changes those marked ●.\n\n", c.Name, c.Doc)
		b.WriteString("| option | type | default | | |\n|---|---|---|---|---|\n")
		for _, o := range c.Spec {
			mark := ""
			if s := c.StreamSpec.Find(o.Name); s != nil {
				mark = "○"
				if s.Runtime {
					mark = "●"
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", o.Name, kind(o), standard(o), mark, doc(o))
		}
		var own connectors.Spec
		for _, o := range c.StreamSpec {
			if c.Spec.Find(o.Name) == nil {
				own = append(own, o)
			}
		}
		if len(own) > 0 {
			b.WriteString("\nOf the stream only:\n\n")
			table(&b, own, nil)
		}
	}
	return b.String()
}

// table prints the options of spec that are not in except as they stand there.
func table(b *strings.Builder, spec, except connectors.Spec) {
	b.WriteString("| option | type | default | |\n|---|---|---|---|\n")
	for _, o := range spec {
		if e := except.Find(o.Name); e != nil && e.Default == o.Default && e.Doc == o.Doc {
			continue
		}
		name := o.Name
		if o.Prefix {
			name += "…"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, kind(o), standard(o), doc(o))
	}
}

func kind(o connectors.OptionSpec) string {
	switch o.Kind {
	case connectors.OptionBool:
		return "boolean"
	case connectors.OptionInt:
		return "integer"
	case connectors.OptionFloat:
		return "number"
	case connectors.OptionDuration:
		return "duration"
	case connectors.OptionSize:
		return "size"
	case connectors.OptionList:
		return "list"
	case connectors.OptionExpression:
		return "expression"
	}
	if len(o.Choices) > 0 {
		return "`" + strings.Join(o.Choices, "` `") + "`"
	}
	return "text"
}

func standard(o connectors.OptionSpec) string {
	switch {
	case o.Required:
		return "required"
	case o.Default != "":
		return "`" + strings.ReplaceAll(o.Default, "|", `\|`) + "`"
	}
	return ""
}

func doc(o connectors.OptionSpec) string {
	text := strings.ReplaceAll(o.Doc, "|", `\|`)
	if o.Secret {
		text += " Secret."
	}
	return text
}
