package planner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
)

// FuzzBindStream plans whatever text comes: it is planned, and then the plan
// holds together and compiles, or refused with an error for the user.
func FuzzBindStream(f *testing.F) {
	for _, file := range []string{"stream.txt", "refused.txt", "select.txt", "aggregate.txt", "join.txt", "jsontable.txt", "expression.txt"} {
		content, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range strings.Split(string(content), "=== ")[1:] {
			_, c, _ = strings.Cut(c, "\n")
			c, _, _ = strings.Cut(c, "\n---")
			f.Add(c)
		}
	}
	f.Fuzz(func(t *testing.T, input string) {
		query, partitioned := splitStream(input)
		plan, err := newWorld(t).bind(query, func(in *planner.StreamInput) { in.Stream.PartitionedBy = partitioned })
		if err != nil {
			if sqlerror.As(err) == nil {
				t.Fatalf("%q: no error for the user: %v", input, err)
			}
			return
		}
		if err := logical.Check(plan.Logical); err != nil {
			t.Fatalf("%q: %v", input, err)
		}
		if _, err := plan.Compile(); err != nil {
			t.Fatalf("%q: %v", input, err)
		}
		plan.Explain(planner.ExplainInfo{})
	})
}
