package planner

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
)

// FuzzMemberPath compares with the MySQL engine: the value below the members
// that were read must be what the engine finds by the path.
func FuzzMemberPath(f *testing.F) {
	for _, s := range []string{"$.a", "$.a.b", `$."a b".c`, `$."\"".x`, "$", "$[0]", "$.a[1]", "$.*", "$.$x._y", `$."ä".ö`, " $.a ", `$."".a`, `$."a.b"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		members, ok := memberPath(path)
		if !ok {
			return
		}
		if len(members) == 0 {
			t.Fatalf("%q is a path of nothing", path)
		}
		for _, m := range members {
			if name, rest, ok := plainMember(strings.ReplaceAll(m, " ", "_")); !ok || rest != "" || name == "" {
				return // the engine does not read every quoted name as MySQL does
			}
		}
		var doc any = "found"
		for _, m := range slices.Backward(members) {
			doc = map[string]any{m: doc}
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		found, err := gmstypes.LookupJSONValue(context.Background(), gmstypes.JSONDocument{Val: back}, strings.TrimSpace(path))
		if err != nil {
			return // a path that the engine does not take
		}
		if found == nil {
			t.Fatalf("%q was read as %q, but the engine finds nothing there in %s", path, members, text)
		}
		if v, err := found.ToInterface(context.Background()); err != nil || v != "found" {
			t.Fatalf("%q was read as %q, but the engine finds %v in %s", path, members, v, text)
		}
	})
}
