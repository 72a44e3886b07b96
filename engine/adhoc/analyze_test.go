//go:build gms_pure_go && duckdb_arrow

package adhoc

import "testing"

// Operators without a type, which DuckDB has at the top of a profile alone, do not
// end the process further down.
func TestReadProfile(t *testing.T) {
	same := func(text string) string { return text }
	a, err := readProfile([]byte(`{"latency": 1, "children": [{"operator_type": "HASH_JOIN", "operator_cardinality": 3, "extra_info": {"Join Type": "INNER"},
		"children": [{"operator_type": "TABLE_SCAN"}, {"operator_cardinality": 2}]}]}`), same)
	if err != nil {
		t.Fatal(err)
	}
	if a.Root.Text != "Hash join; join type INNER" || a.Root.Rows != 3 || len(a.Root.Inputs) != 2 || a.Root.Inputs[0].Text != "Table scan" || a.Root.Inputs[1].Text != "Operator" {
		t.Errorf("read as %+v of %+v", a.Root, a.Root.Inputs)
	}
	if _, err := readProfile([]byte(`{"latency": 1}`), same); err == nil {
		t.Error("a profile without operators is read")
	}
}
