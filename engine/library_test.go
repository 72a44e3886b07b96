package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

func openSQL(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("leat", dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close sql.DB: %v", err)
		}
	})
	return db
}

func TestDriver_Placeholders(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	mustExec(t, db, `
		CREATE SOURCE src (id INT, s VARCHAR(20), d DECIMAL(8,2), f DOUBLE, b VARBINARY(10), t DATETIME(6), o BOOLEAN) WITH (connector = 'push');
		CREATE STREAM t AS SELECT * FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Send(t.Context(), []byte(`{"id":1,"s":"it's","d":1.50,"f":0.1,"b":"ab","t":"2026-07-01 10:00:00.123456","o":true} {"id":2}`)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `FLUSH STREAM t`)
	q := openSQL(t, dir)
	f := func(where string, args ...any) {
		t.Helper()
		var id int
		if err := q.QueryRowContext(t.Context(), `SELECT id FROM t WHERE `+where, args...).Scan(&id); err != nil || id != 1 {
			t.Errorf("%s %v: %d, %v", where, args, id, err)
		}
	}
	f(`id = ?`, 1)
	f(`id = ?`, int64(1))
	f(`id < ? AND id > ?`, 2, 0)
	f(`s = ?`, "it's")
	f(`s LIKE ? AND id = ?`, "it%", 1)
	f(`d = ?`, "1.5")
	f(`f = ?`, 0.1)
	f(`b = ?`, []byte("ab"))
	f(`t = ?`, time.Date(2026, 7, 1, 10, 0, 0, 123456000, time.UTC))
	f(`o = ?`, true)
	f(`id IN (?, ?)`, 1, 7)
	f(`COALESCE(?, id) = 1 AND id = 1`, nil)

	var (
		id    int
		s     sql.NullString
		d     string
		at    time.Time
		o     bool
		bytes []byte
	)
	if err := q.QueryRowContext(t.Context(), `SELECT id, s, d, t, o, b FROM t WHERE id = ?`, 1).Scan(&id, &s, &d, &at, &o, &bytes); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 7, 1, 10, 0, 0, 123456000, time.UTC); s.String != "it's" || d != "1.50" || !at.Equal(want) || !o || string(bytes) != "ab" {
		t.Errorf("%v %v %v %v %v %q", id, s, d, at, o, bytes)
	}
	stmt, err := q.PrepareContext(t.Context(), `SELECT COUNT(*) FROM t WHERE id <= ?`)
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for i := range 3 {
		var n int
		if err := stmt.QueryRowContext(t.Context(), i).Scan(&n); err != nil || n != i {
			t.Errorf("id <= %d: %d, %v", i, n, err)
		}
	}
	fails := func(query string, args ...any) {
		t.Helper()
		var id int
		if err := q.QueryRowContext(t.Context(), query, args...).Scan(&id); err == nil || errors.Is(err, sql.ErrNoRows) {
			t.Errorf("%s with %d arguments was accepted", query, len(args))
		}
	}
	fails(`SELECT id FROM t WHERE id = ?`)
	fails(`SELECT id FROM t WHERE id = ? AND s = ?`, 1)
	fails(`SELECT id FROM t WHERE id = ?`, 1, 2)
	fails(`SELECT id FROM t WHERE id = ?`, sql.Named("id", 1))
	fails(`SELECT 1; SELECT 2`)
	fails(`DROP STREAM ?`, "t")
	if _, err := q.BeginTx(t.Context(), nil); err == nil {
		t.Error("a transaction began")
	}
}

// A context that ends ends the query.
func TestQuery_ContextEnds(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	mustExec(t, db, `CREATE SOURCE src (id INT) WITH (connector = 'push'); CREATE STREAM t AS SELECT id FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Send(t.Context(), []byte(strings.Repeat(`{"id":1}`, 10_000))); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `FLUSH STREAM t`)
	const (
		// DuckDB's, and row by row the MySQL engine's.
		endless = `SELECT SUM(a.id * b.id + c.id * d.id) FROM t a, t b, t c, t d`
		rows    = `WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 500) SELECT COUNT(*) FROM r a, r b, r c, r d WHERE a.n * b.n > c.n`
	)
	q := openSQL(t, dir)
	for name, run := range map[string]func(context.Context) error{
		"Query": func(ctx context.Context) error {
			r, err := db.Query(ctx, endless)
			if err != nil {
				return err
			}
			defer r.Release()
			for r.Next() {
			}
			return r.Err()
		},
		"Exec":         func(ctx context.Context) error { return db.Exec(ctx, endless) },
		"RowByRow":     func(ctx context.Context) error { return db.Exec(ctx, rows) },
		"database/sql": func(ctx context.Context) error { var n int; return q.QueryRowContext(ctx, endless).Scan(&n) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- run(ctx) }()
			select {
			case err := <-done:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("err=%v", err)
				}
			case <-time.After(patience):
				t.Fatal("it does not end")
			}
		})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Exec(cancelled, `SELECT 1`); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// A statement that takes longer than its context allows fails with the context's
// error, and one that fails for a row fails though nobody asks for rows.
func TestDriver_ErrorsOfContextAndRows(t *testing.T) {
	q := openSQL(t, filepath.Join(t.TempDir(), "data"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := q.ExecContext(ctx, `SELECT SLEEP(60)`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Exec: %v", err)
	}
	var v any
	if err := q.QueryRowContext(ctx, `SELECT SLEEP(60)`).Scan(&v); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("QueryRow: %v", err)
	}
	if _, err := q.ExecContext(t.Context(), `SELECT 9223372036854775807 + ?`, 1); err == nil {
		t.Error("a row that is out of range is no error")
	}
}

// A folder that is open is shared by database/sql, which leaves it open; one
// that it opened itself it closes with the last of its users.
func TestDriver_SharesTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	locked := func(want bool) {
		t.Helper()
		db, err := engine.Open(t.Context(), engine.Config{Dir: dir})
		if err == nil {
			err = db.Close()
		} else if want && sqlerror.HasCode(err, sqlerror.CodeLocked) {
			return
		}
		if err != nil || want {
			t.Errorf("Open: %v, want locked %v", err, want)
		}
	}
	a, b := openSQL(t, dir), openSQL(t, dir)
	for _, db := range []*sql.DB{a, b} {
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.ExecContext(t.Context(), `CREATE SOURCE src (id INT) WITH (connector = 'push')`); err != nil {
		t.Fatal(err)
	}
	var name string
	if err := b.QueryRowContext(t.Context(), `SELECT source FROM leat.sources`).Scan(&name); err != nil || name != "src" {
		t.Errorf("%q, %v", name, err)
	}
	locked(true)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	locked(true)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	locked(false)

	first, err := engine.Open(t.Context(), engine.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	c := openSQL(t, dir)
	if err := c.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	locked(true)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after sql.DB has closed", query(t, first, `SELECT source FROM leat.sources`), "src")

	// The program closes the folder and opens it again beneath database/sql.
	d := openSQL(t, dir)
	if err := d.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.PingContext(t.Context()); !sqlerror.HasCode(err, sqlerror.CodeState) {
		t.Errorf("the folder is closed: %v", err)
	}
	second := open(t, dir)
	if err := d.QueryRowContext(t.Context(), `SELECT source FROM leat.sources`).Scan(&name); err != nil || name != "src" {
		t.Errorf("the folder is open again: %q, %v", name, err)
	}
	equal(t, "the second", query(t, second, `SELECT source FROM leat.sources`), "src")
}

// After Close everything says so, and nothing panics.
// TestFlush_SourceKnowsWhatIsCommitted: Flush used to return before the source was
// told of the commit that it had waited for.
func TestFlush_SourceKnowsWhatIsCommitted(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `
		CREATE SOURCE src (id INT) WITH (connector = 'push');
		CREATE STREAM s AS SELECT * FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		if err := src.SendAt(t.Context(), "journal", i, fmt.Appendf(nil, `{"id":%d}`, i)); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		if offset, ok := src.Committed("journal"); offset != i || !ok {
			t.Fatalf("committed %d, %t after the flush of %d", offset, ok, i)
		}
	}
}

func TestClose_EverythingAfterIsAnError(t *testing.T) {
	db, err := engine.Open(t.Context(), engine.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `CREATE SOURCE src (id INT) WITH (connector = 'push'); CREATE STREAM t AS SELECT id FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	session := db.NewSession()
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for what, f := range map[string]func() error{
		"Exec":         func() error { return db.Exec(ctx, `SELECT 1`) },
		"Session.Exec": func() error { return session.Exec(ctx, `CREATE STREAM u AS SELECT id FROM src`) },
		"Query":        func() error { _, err := db.Query(ctx, `SELECT * FROM t`); return err },
		"Flush":        func() error { return db.Flush(ctx, "t") },
		"Script":       func() error { return db.Script(ctx, `SELECT 1`, "x.sql") },
		"Send":         func() error { return src.Send(ctx, []byte(`{"id":1}`)) },
	} {
		if err := f(); err == nil || ctx.Err() != nil {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
}

// lifetime opens a folder, uses what there is to use and closes it.
func lifetime(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.ndjson"), `{"id":1,"items":[1,2]}`+"\nbroken\n"+strings.Repeat(`{"id":2,"items":[3]}`+"\n", 1000))
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, "data"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.RegisterFunc("half", func(x float64) float64 { return x / 2 }); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, fmt.Sprintf(`
		CREATE SOURCE f (id INT, items JSON) WITH (connector = 'files', path = '%s', mode = 'once');
		CREATE SOURCE p (id INT, s VARCHAR(10)) WITH (connector = 'push');
		CREATE STREAM a PARTITIONED BY (id) AS SELECT f.id, half(f.id) AS h, i.item FROM f, UNNEST(f.items) AS i(item INT PATH '$');
		CREATE STREAM b AS SELECT id, CONCAT(s, id) AS s FROM p WHERE 10 / id > 1;
		CREATE STREAM later AS SELECT id FROM p`, filepath.Join(dir, "a.ndjson")))
	src, err := db.Source("p")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{`{"id":1,"s":"x"}`, `{"id":0}`, `{"id":"y"}`, `{"id":100}`} {
		if err := src.Send(t.Context(), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, db, `FLUSH STREAM b; STOP STREAM later; START STREAM later`)
	await(t, db, "a", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "a", query(t, db, `SELECT COUNT(*), SUM(h) FROM a`), "1002|1001")
	equal(t, "b", query(t, db, `SELECT s FROM b`), "x1")
	query(t, db, `SELECT * FROM f LIMIT 3`)
	query(t, db, `SELECT a.id, SOUNDEX(b.s) FROM a JOIN b ON a.id = b.id LIMIT 2`)
	query(t, db, `SELECT * FROM leat.dead_letters`)
	if _, err := db.Query(t.Context(), `SELECT nope FROM a`); err == nil {
		t.Error("an unknown column was accepted")
	}
	// A reader that is not read to its end.
	r, err := db.Query(t.Context(), `SELECT * FROM a`)
	if err != nil {
		t.Fatal(err)
	}
	r.Next()
	r.Release()
	q, err := sql.Open("leat", filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := q.QueryContext(t.Context(), `SELECT * FROM a`) //nolint:rowserrcheck // left in the middle on purpose
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	if err := errors.Join(rows.Close(), q.Close(), db.Close()); err != nil { //nolint:sqlclosecheck // before the databases
		t.Error(err)
	}
}

func TestClose_LeavesNoGoroutine(t *testing.T) {
	lifetime(t) // what libraries start once stays
	before := runtime.NumGoroutine()
	lifetime(t)
	awaitGoroutines(t, before)
}

// awaitGoroutines waits until there are no more goroutines than before.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
}

func TestClose_LeavesNoArrowMemory(t *testing.T) {
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	before := memory.DefaultAllocator
	memory.DefaultAllocator = checked
	defer func() { memory.DefaultAllocator = before }()
	lifetime(t)
	checked.AssertSize(t, 0)
}

// Streams that were stopped together go on together, those alone that no statement has
// stopped; of a database that is closed none does.
func TestDB_StartStreams(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE gen (id BIGINT) WITH (connector = 'datagen', rows_per_second = 10);
		CREATE STREAM a AS SELECT id FROM gen; CREATE STREAM b AS SELECT id FROM gen; STOP STREAM b`)
	want := func(a, b string) {
		t.Helper()
		await(t, db, "a", func(st engine.StreamStatus) bool { return string(st.State) == a })
		if st, err := db.Status("b"); err != nil || string(st.State) != b {
			t.Errorf("stream b is %s, %v, want %s", st.State, err, b)
		}
	}
	want("RUNNING", "STOPPED")
	db.StopStreams()
	want("STOPPED", "STOPPED")
	db.StartStreams(t.Context())
	want("RUNNING", "STOPPED")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db.StartStreams(t.Context())
	if st, err := db.Status("a"); err != nil || st.State != "STOPPED" || st.Reason != nil {
		t.Errorf("after Close stream a is %s (%v), %v", st.State, st.Reason, err)
	}
}

// Senders, queries and statements of several goroutines do not disturb each
// other.
func TestDB_ManyGoroutines(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE src (id INT) WITH (connector = 'push'); CREATE STREAM t WITH (commit_interval = '20ms') AS SELECT id FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	const senders, each = 4, 200
	var wait sync.WaitGroup
	for n := range senders {
		wait.Go(func() {
			for i := range each {
				if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d}`, n*each+i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wait.Go(func() {
			for range 5 {
				query(t, db, `SELECT COUNT(*) FROM t`)
				query(t, db, `SHOW STREAMS`)
				query(t, db, `SHOW CREATE STREAM t`)
				mustExec(t, db, fmt.Sprintf(`ALTER STREAM t SET (commit_interval = '%dms')`, 10+n))
				mustExec(t, db, fmt.Sprintf(`CREATE STREAM s%d AS SELECT id FROM src; FLUSH STREAM s%d; DROP STREAM s%d`, n, n, n))
			}
		})
	}
	wait.Wait()
	mustExec(t, db, `FLUSH STREAM t`)
	equal(t, "landed", query(t, db, `SELECT COUNT(*), COUNT(DISTINCT id) FROM t`), fmt.Sprintf("%d|%d", senders*each, senders*each))
}

// It said that no stream reads the source, and to create one.
func TestSource_SendAfterClose(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE clicks (id BIGINT) WITH (connector = 'push'); CREATE STREAM s AS SELECT id FROM clicks`)
	src, err := db.Source("clicks")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := src.Send(t.Context(), []byte(`{"id":1}`)); !sqlerror.HasCode(err, sqlerror.CodeState) || !strings.Contains(err.Error(), "the database is closed") {
		t.Errorf("error = %v, want that the database is closed", err)
	}
}
