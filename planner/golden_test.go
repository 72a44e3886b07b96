package planner_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
)

var update = flag.Bool("update", false, "write what the planner says into the files of testdata")

// golden runs every case of a file: "=== name", the input, "---", the output.
func golden(t *testing.T, file string, run func(t *testing.T, input string) string) {
	path := filepath.Join("testdata", file)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(content), "=== ")
	var out strings.Builder
	out.WriteString(head)
	for _, c := range strings.Split(rest, "\n=== ") {
		name, body, _ := strings.Cut(c, "\n")
		input, want, _ := strings.Cut(body, "\n---\n")
		input, want = strings.TrimSpace(input), strings.TrimSpace(want)
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			got := strings.TrimSpace(run(t, input))
			if got != want && !*update {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", input, got, want)
			}
			out.WriteString("=== " + name + "\n" + input + "\n---\n" + got + "\n\n")
		})
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.TrimSpace(out.String())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlans prints each query's plan as it was lowered and, where that differs,
// as the rules leave it.
func TestPlans(t *testing.T) {
	for _, file := range []string{"select.txt", "aggregate.txt", "join.txt", "jsontable.txt", "expression.txt"} {
		t.Run(strings.TrimSuffix(file, ".txt"), func(t *testing.T) {
			golden(t, file, func(t *testing.T, input string) string {
				w := newWorld(t)
				node, err := w.lower(input)
				if err != nil {
					var u *planner.Unsupported
					if errors.As(err, &u) {
						return "unsupported: " + u.What
					}
					return "error: " + err.Error()
				}
				if err := logical.Check(node); err != nil {
					t.Error(err)
				}
				var types []string
				for _, c := range node.Output() {
					types = append(types, c.Type.String())
				}
				lowered := logical.Format(node)
				optimised, err := planner.Optimize(node, nil)
				if err != nil {
					t.Fatalf("%v\n%s", err, logical.Format(optimised))
				}
				if again := logical.Format(optimised); again != lowered {
					lowered += "optimised:\n" + again
				}
				return lowered + "types: " + strings.Join(types, ", ")
			})
		})
	}
}
