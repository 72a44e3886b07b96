package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Text of few values is dictionary arrays in some batches and plain arrays in
// others, and the dictionaries grow, end in the middle of a batch and begin
// anew. None of that shows in what filters, expressions, partitions and the
// encoders make of it.
func TestLowCardinalityText(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.ndjson")
	const rows = 60_000
	r := rand.New(rand.NewPCG(7, 7))
	var lines strings.Builder
	var flat, exploded, hive []string
	null := func(s string) string { // as the results spell it
		if s == "null" {
			return "NULL"
		}
		return strings.Trim(s, `"`)
	}
	for id := range rows {
		epoch := id / 5000
		status := fmt.Sprintf(`"s%d"`, r.IntN(3+epoch))
		kind := []string{`"bad"`, `"good"`, `null`, `""`}[r.IntN(4)]
		code := fmt.Sprintf(`"c%d"`, epoch/3*10+r.IntN(3))
		if epoch == 2 && r.IntN(200) == 0 {
			code = `"a code too long for a dictionary"`
		}
		opSys := fmt.Sprintf(`"%c"`, 'a'+byte(epoch*2+r.IntN(2)))
		if epoch == 4 {
			opSys = fmt.Sprintf(`"os %d"`, r.IntN(1000))
		}
		fmt.Fprintf(&lines, `{"id":%d,"status":%s,"kind":%s,"code":%s,"j":{"os":%s},"tags":[%s,%s]}`+"\n", id, status, kind, code, opSys, status, code)
		if kind == `"bad"` {
			continue
		}
		s, k, c, o := null(status), null(kind), null(code), null(opSys)
		both, upper, choice := s+"/"+k, strings.ToUpper(k), o
		if k == "NULL" {
			both, upper = "NULL", "NULL"
		}
		if s == "s1" {
			choice = k
		}
		flat = append(flat, fmt.Sprintf("%d|%s|%s|%s|%s|%s|%s|%s", id, s, k, c, o, both, upper, choice))
		exploded = append(exploded, fmt.Sprintf("%d|%s|%s", id, k, s), fmt.Sprintf("%d|%s|%s", id, k, c))
		if k == "" {
			k = "NULL" // in a folder's name
		}
		hive = append(hive, fmt.Sprintf("%d|%s|%s|%s", id, k, c, both))
	}
	if err := os.WriteFile(input, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`
		CREATE SOURCE src (id BIGINT, status VARCHAR(20), kind VARCHAR(10), code TEXT, j JSON, tags JSON)
			WITH (connector = 'files', path = '%[1]s', format = 'json', mode = 'once', chunk_bytes = '40KiB');
		CREATE SINK parquet WITH (connector = 's3', path = '%[2]s/parquet', table_format = 'hive');
		CREATE SINK json WITH (connector = 's3', path = '%[2]s/json', table_format = 'hive', format = 'json');
		CREATE SINK csv WITH (connector = 's3', path = '%[2]s/csv', table_format = 'hive', format = 'csv');
		CREATE STREAM flat PARTITIONED BY (status, TRUNCATE(1, o)) AS SELECT id, status, kind, code, j->>'$.os' AS o, CONCAT(status, '/', kind) AS b, UPPER(kind) AS u,
			CASE WHEN status = 's1' THEN kind ELSE j->>'$.os' END AS choice FROM src WHERE kind <> 'bad' OR kind IS NULL;
		CREATE STREAM exploded PARTITIONED BY (kind) AS SELECT src.id, src.kind, x.tag FROM src, JSON_TABLE(src.tags, '$[*]' COLUMNS (tag VARCHAR(40) PATH '$')) AS x
			WHERE COALESCE(src.kind, '') <> 'bad'`, input, dir))
	for _, sink := range []string{"parquet", "json", "csv"} {
		mustExec(t, db, fmt.Sprintf(`CREATE STREAM %[1]s_rows INTO %[1]s.t PARTITIONED BY (kind) AS
			SELECT id, code, CONCAT(status, '/', kind) AS b, kind FROM src WHERE COALESCE(kind, '') <> 'bad'`, sink))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := db.Wait(ctx); err != nil {
		t.Fatalf("%v; %v", err, query(t, db, "SHOW STREAMS"))
	}
	same := func(what string, got, want []string) {
		t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%s: got %q, want %q", what, got[i], want[i])
				return
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
		}
	}
	same("flat", query(t, db, `SELECT id, status, kind, code, o, b, u, choice FROM flat`), flat)
	same("exploded", query(t, db, `SELECT id, kind, tag FROM exploded`), exploded)
	same("parquet", query(t, db, `SELECT id, kind, code, b FROM parquet.t`), hive)
	same("json", query(t, db, `SELECT id, kind, code, b FROM json.t`), slices.Clone(hive))
	same("csv", query(t, db, `SELECT id, kind, code, b FROM csv.t`), slices.Clone(hive))
	same("pruned", query(t, db, `SELECT id FROM flat WHERE status = 's7' AND o LIKE 'k%'`), ids(flat, func(f []string) bool { return f[1] == "s7" && f[4][0] == 'k' }))
}

// ids are the first fields of the rows that a condition keeps.
func ids(rows []string, keep func(fields []string) bool) []string {
	var out []string
	for _, row := range rows {
		if f := strings.Split(row, "|"); keep(f) {
			out = append(out, f[0])
		}
	}
	return out
}
