package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatdb/leat/engine/dataflow"
)

// TestDeadLetterLimit: a stream that rejects too much fails, with what it has
// read committed, and goes on behind it.
func TestDeadLetterLimit(t *testing.T) {
	db := open(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	mustExec(t, db, `CREATE SOURCE noise (id INT) WITH (connector = 'push');
		CREATE STREAM s WITH (commit_interval = '1h', dead_letter_limit = '2') AS SELECT id FROM noise`)
	send := func(payloads ...string) {
		t.Helper()
		src, err := db.Source("noise")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range payloads {
			if err := src.Send(ctx, []byte(p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(`{"id": 1}`, `{"id": "a"}`, `{"id": "b"}`, `{"id": "c"}`)
	if err := db.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	st, err := db.Status("s")
	if err != nil || st.State != dataflow.Failed {
		t.Fatalf("state=%s, %v, want FAILED", st.State, err)
	}
	for _, want := range []string{"3 values were rejected within a minute, more than dead_letter_limit 2", `the first were: field id: expected INT, found "a"`, "START STREAM s"} {
		if !strings.Contains(st.Reason.Error(), want) {
			t.Errorf("reason %q does not say %q", st.Reason, want)
		}
	}
	equal(t, "letters", query(t, db, "SELECT CAST(raw AS CHAR), replay FROM leat.dead_letters ORDER BY raw"), `{"id": "a"}|NULL`, `{"id": "b"}|NULL`, `{"id": "c"}|NULL`)
	if err := db.Exec(ctx, "REPLAY DEAD_LETTERS FOR STREAM s"); err == nil || !strings.Contains(err.Error(), "stream is FAILED") || !strings.Contains(err.Error(), "dead_letter_limit") {
		t.Errorf("replay of a failed stream: %v", err)
	}
	mustExec(t, db, "ALTER STREAM s SET (dead_letter_limit = '0'); START STREAM s")
	send(`{"id": "d"}`, `{"id": 2}`)
	mustExec(t, db, "FLUSH STREAM s")
	equal(t, "rows", query(t, db, "SELECT id FROM s ORDER BY id"), "1", "2")
	equal(t, "counters", query(t, db, "SELECT rows_in, rows_landed, rows_dead, rows_replayed FROM leat.stream_metrics"), "6|2|4|0")
}

// TestReplay_Killed kills the process while letters are being replayed, also by
// several statements at once, and expects each to land once.
func TestReplay_Killed(t *testing.T) {
	for _, format := range []string{"iceberg", "hive"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			killReplays(t, format)
		})
	}
}

func killReplays(t *testing.T, format string) {
	const values = 2000
	r := rand.New(rand.NewPCG(*seed, 4))
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range values {
		fmt.Fprintf(&lines, `{"id": %d, "v": "%s%d"}`+"\n", i, []string{"", "x"}[i%2], i)
	}
	if err := os.WriteFile(filepath.Join(dir, "in", "a.ndjson"), []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	opened, err := openProcess(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	p := opened.(*process)
	defer func() { _ = p.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exec := func(statement string) {
		t.Helper()
		if _, err := p.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	ask := func(query string) string {
		t.Helper()
		result, err := p.Query(ctx, query, nil)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var cells []string
		for _, c := range result.Rows[0] {
			cells = append(cells, string(c))
		}
		return strings.Join(cells, "|")
	}
	create := "STREAM s INTO k.s WITH (commit_interval = '50ms') AS SELECT id, CAST(%s AS SIGNED) AS v FROM src"
	exec(fmt.Sprintf("CREATE SINK k WITH (connector = 's3', path = '%s', table_format = '%s')", filepath.Join(dir, "lake"), format))
	exec(fmt.Sprintf("CREATE SOURCE src (id INT, v VARCHAR(20)) WITH (connector = 'files', path = '%s', mode = 'tail')", filepath.Join(dir, "in", "*.ndjson")))
	exec("CREATE " + fmt.Sprintf(create, "v"))
	exec("FLUSH STREAM s")
	if got := ask("SELECT COUNT(*), COUNT(replay) FROM leat.dead_letters"); got != fmt.Sprintf("%d|0", values/2) {
		t.Fatalf("letters %s", got)
	}
	exec("CREATE OR REPLACE " + fmt.Sprintf(create, "REPLACE(v, 'x', '')"))
	for round := range 8 {
		var group sync.WaitGroup
		pool := p.client.pool
		for n := range 2 {
			group.Go(func() {
				// Some letters are wanted by both. Whether it is answered is not known.
				_, _ = pool.ExecContext(ctx, fmt.Sprintf("REPLAY DEAD_LETTERS FOR STREAM s WHERE MOD(CRC32(letter), 9) IN (%d, %d)", round, round+n))
			})
		}
		timer := time.NewTimer(time.Duration(r.IntN(700)) * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if err := p.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		group.Wait()
	}
	exec("REPLAY DEAD_LETTERS FOR STREAM s")
	exec("FLUSH STREAM s")
	want := fmt.Sprintf("%d|%d|0|%d", values, values, values-1)
	if got := ask("SELECT COUNT(*), COUNT(DISTINCT id), MIN(v), MAX(v) FROM k.s"); got != want {
		t.Errorf("table: %s, want %s", got, want)
	}
	if got := ask("SELECT COUNT(*), COUNT(DISTINCT letter), COUNT(replay), MAX(attempt) FROM leat.dead_letters"); got != fmt.Sprintf("%d|%d|%d|1", values/2, values/2, values/2) {
		t.Errorf("letters: %s", got)
	}
	if got := ask("SELECT rows_in, rows_landed, rows_dead, rows_replayed FROM leat.stream_metrics"); got != fmt.Sprintf("%d|%d|%d|%d", values*3/2, values, values/2, values/2) {
		t.Errorf("counters: %s", got)
	}
	left, err := filepath.Glob(filepath.Join(dir, "lake", "_dead_letters", "_leat", "replay", "s-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files of replays are left: %v, %v", left, err)
	}
	t.Logf("%s replays", ask("SELECT COUNT(DISTINCT replay) FROM leat.dead_letters"))
}
