//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"testing"

	"github.com/leatdb/leat/connectors"
)

func TestSameView(t *testing.T) {
	const view = "CREATE VIEW v AS SELECT a, 'x  y' AS b FROM t WHERE c = 'it\\'s  1' AND COUNT (d) > 0"
	for text, want := range map[string]bool{
		view: true,
		"CREATE  OR REPLACE VIEW v AS\n SELECT a, 'x  y' AS b\nFROM t WHERE c = 'it\\'s  1' AND COUNT (d) > 0": true,
		"CREATE VIEW v AS SELECT 'x  y' AS a, b FROM t WHERE c = 'it\\'s  1' AND COUNT (d) > 0":                false,
		"CREATE VIEW v AS SELECT a, 'x y' AS b FROM t WHERE c = 'it\\'s  1' AND COUNT (d) > 0":                 false,
		"CREATE VIEW v AS SELECT a, 'x  y' AS b FROM t WHERE c = 'it\\'s 1' AND COUNT (d) > 0":                 false,
		"CREATE VIEW v AS SELECT a, 'x  y' AS b FROM t WHERE c = 'it\\'s  1' AND COUNT(d) > 0":                 false,
		"CREATE VIEW v AS SELECT a, 'x  y' AS b FROM t WHERE c = 'it\\'s  1' AND COUNT (d) > 0 'u":             false,
	} {
		if got := sameView(view, text); got != want {
			t.Errorf("sameView of %s = %v", text, got)
		}
	}
	if sameView("CREATE VIEW v AS SELECT a 'x' , b", "CREATE VIEW v AS SELECT a , b 'x'") {
		t.Error("a text has moved")
	}
}

// What an old sink says late does not hide what the new one has said.
func TestRecall_OldAnswer(t *testing.T) {
	s := &stream{}
	old, now := s.beginRecall(), s.beginRecall()
	s.setStored(now, connectors.State{Generation: 2})
	s.setStored(old, connectors.State{Generation: 1})
	if got := s.status().Committed.Generation; got != 2 {
		t.Errorf("generation %d, want 2", got)
	}
}
