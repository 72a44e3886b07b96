package mysqlserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/mysqlserver"
	"github.com/leatdb/leat/sql/sqlerror"
)

func open(t *testing.T) *engine.DB {
	t.Helper()
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(t.TempDir(), "data"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func serve(t *testing.T, db *engine.DB, cfg mysqlserver.Config) *mysqlserver.Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	s, err := mysqlserver.Start(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
	})
	return s
}

// connect opens one connection; change may alter what it logs in with.
func connect(t *testing.T, s *mysqlserver.Server, change ...func(*mysql.Config)) *sql.Conn {
	t.Helper()
	c, err := dial(t, s, change...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dial(t *testing.T, s *mysqlserver.Server, change ...func(*mysql.Config)) (*sql.Conn, error) {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "tcp", s.Addr(), &mysql.NopLogger{}
	for _, f := range change {
		f(cfg)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { _ = pool.Close() })
	c, err := pool.Conn(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() }) // a test may have closed it
	return c, nil
}

func several(cfg *mysql.Config) { cfg.MultiStatements = true }

func exec(t *testing.T, c *sql.Conn, text string) {
	t.Helper()
	if _, err := c.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query is the rows of a statement as text, columns separated by |. With
// arguments it is prepared on the server, and the binary protocol used.
func query(t *testing.T, c *sql.Conn, text string, args ...any) []string {
	t.Helper()
	rows, err := c.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	got, err := texts(rows)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return got
}

func texts(rows *sql.Rows) ([]string, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []string
	for rows.Next() {
		cells, pointers := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range cells {
			pointers[i] = &cells[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i, c := range cells {
			if row[i] = c.String; !c.Valid {
				row[i] = "NULL"
			}
		}
		all = append(all, strings.Join(row, "|"))
	}
	return all, rows.Err()
}

func wantRows(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("rows = %q, want %q", got, want)
	}
}

// run executes a statement and drops its rows.
func run(t *testing.T, c *sql.Conn, text string, args ...any) error {
	t.Helper()
	rows, err := c.QueryContext(t.Context(), text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	_, err = texts(rows)
	return err
}

// failure is the MySQL error of a statement.
func failure(t *testing.T, c *sql.Conn, text string, args ...any) *mysql.MySQLError {
	t.Helper()
	err := run(t, c, text, args...)
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		t.Fatalf("%s: error = %v, want one of the server", text, err)
	}
	return e
}

// land makes stream name of the lines, and waits until they have landed.
func land(t *testing.T, c *sql.Conn, name, columns string, lines ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	exec(t, c, fmt.Sprintf("CREATE SOURCE %s_in (%s) WITH (connector = 'files', path = '%s', format = 'json', mode = 'once')", name, columns, file))
	exec(t, c, fmt.Sprintf("CREATE STREAM %s AS SELECT * FROM %s_in", name, name))
	exec(t, c, "FLUSH STREAM "+name)
}

func TestServer_Session(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	land(t, c, "clicks", "id BIGINT, at TIMESTAMP(3)", `{"id":1,"at":"2026-07-01T10:00:00.5Z"}`)
	f := func(text string, want ...string) {
		t.Helper()
		wantRows(t, query(t, c, text), want...)
	}
	f("SELECT DATABASE(), USER(), VERSION(), @@version_comment", "lake|root@localhost|"+mysqlserver.Version+"|Leat")
	f("SHOW TABLES", "clicks")
	f("SHOW DATABASES", "information_schema", "lake", "leat", "mysql")
	f("SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = 'lake' ORDER BY ordinal_position", "id|bigint", "at|timestamp(3)")
	f("SELECT table_name FROM information_schema.tables WHERE table_schema = 'lake'", "clicks")
	f("DESCRIBE clicks", "id|bigint|YES||NULL|", "at|timestamp(3)|YES||NULL|")
	exec(t, c, "USE leat")
	f("SELECT stream FROM streams", "clicks")
	f("SELECT at FROM lake.clicks", "2026-07-01 10:00:00.500")
	exec(t, c, "SET time_zone = '+05:30'")
	f("SELECT at FROM lake.clicks", "2026-07-01 15:30:00.500")
	exec(t, c, "SET NAMES utf8mb4")
	f("SELECT 'ä€𝄞'", "ä€𝄞")
}

// SQL must not read or write files of the server's machine.
func TestServer_NoFiles(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRows(t, query(t, c, "SELECT LOAD_FILE('"+secret+"')"), "NULL")
	target := filepath.Join(t.TempDir(), "out")
	_ = failure(t, c, "SELECT 1 INTO OUTFILE '"+target+"'")
	_ = failure(t, c, "SET GLOBAL secure_file_priv = ''")
	if _, err := os.Stat(target); !os.IsNotExist(err) {
		t.Errorf("stat = %v, want no file", err)
	}
}

func TestServer_Errors(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	land(t, c, "clicks", "id BIGINT", `{"id":1}`)
	f := func(text string, number uint16, state, message string) {
		t.Helper()
		e := failure(t, c, text)
		if e.Number != number || string(e.SQLState[:]) != state || !strings.Contains(e.Message, message) {
			t.Errorf("%s: error = %d %s %q, want %d %s %q", text, e.Number, e.SQLState, e.Message, number, state, message)
		}
		if strings.Contains(e.Message, "errno") {
			t.Errorf("%s: message %q tells the number twice", text, e.Message)
		}
	}
	f("SELECT FROM WHERE", 1064, "42000", "line 1, column 13: ")
	f("CREATE SOUCE s (a INT)", 1064, "42000", "line 1, column 8: unknown keyword SOUCE (did you mean SOURCE?)")
	f("CREATE SOURCE s (a INT)\nWITH (connector = 'files', path = 'x', fromat = 'json')", 1231, "42000", `line 2, column 40: source s: unknown option "fromat" (did you mean "format"?)`)
	f("CREATE SOURCE clicks_in (a INT) WITH (connector = 'files', path = 'x', format = 'json')", 1050, "42S01", "line 1, column 15: source clicks_in exists")
	f("DROP SOURCE clicks_in", 3100, "HY000", "line 1, column 13: source clicks_in is used by stream clicks")
	f("FLUSH STREAM click", 1146, "42S02", "line 1, column 14: unknown stream click")
	f("CREATE STREAM s AS SELECT idd FROM clicks_in", 1054, "42S22", "line 1, column 27: unknown column idd (did you mean id?)")
	f("SELECT * FROM click", 1146, "42S02", "line 1, column 15: table not found: click (did you mean clicks?)")
	f("SELECT * FROM lake.click", 1146, "42S02", "(did you mean clicks?)")
	f("SELECT * FROM leat.stream", 1146, "42S02", "(did you mean streams?)")
	f("SELECT * FROM lak.clicks", 1049, "42000", "database not found: lak (did you mean lake?)")
	f("SELECT idd FROM clicks", 1054, "42S22", "(did you mean id?)")
	f("SELECT c.idd FROM clicks c JOIN clicks d ON c.id = d.id", 1054, "42S22", "line 1, column 10: ")
	f("SELECT c.idd FROM clicks c JOIN clicks d ON c.id = d.id", 1054, "42S22", "(did you mean id?)")
	f("SELECT nosuch FROM clicks", 1054, "42S22", "nosuch")
	f("SELECT id, nosuch\nFROM clicks", 1054, "42S22", "line 1, column 12: ")
	f("SELECT id FROM clicks\nWHERE clicks.nosuch = 1", 1054, "42S22", "line 2, column 14: ")
	f("SELECT id, 1 + id AS x, COUNT(*) FROM clicks GROUP BY x", 1055, "42000", "")
	f("SELECT id, COUNT(*) FROM clicks GROUP BY id + 1", 1055, "42000", "")
	f("SELECT id, COUNT(*) FROM clicks", 1140, "42000", "")
	f("SELECT nosuch(1)", 1305, "42000", "nosuch")
	f("USE nosuch", 1049, "42000", "nosuch")
	const streams = "(tables are written by streams: CREATE STREAM … INTO sink.table AS SELECT …)"
	f("INSERT INTO clicks VALUES (1)", 1036, "HY000", streams)
	f("INSERT INTO clicks VALUES (1, 2)", 1036, "HY000", streams)
	f("UPDATE clicks SET id = 2", 1036, "HY000", streams)
	f("DELETE FROM clicks", 1036, "HY000", streams)
	f("TRUNCATE TABLE clicks", 1036, "HY000", streams)
	f("CREATE TABLE x (a INT)", 1036, "HY000", "cannot be created on database lake "+streams)
	f("ALTER TABLE clicks ADD COLUMN x INT", 1036, "HY000", streams)
	f("RENAME TABLE clicks TO x", 1036, "HY000", streams)
	f("CREATE INDEX i ON clicks (id)", 1036, "HY000", streams)
	f("CREATE DATABASE x", 1044, "42000", "(a database is a sink: CREATE SINK, DROP SINK)")
	f("SELECT id FROM clicks INTO OUTFILE '/tmp/x'", 1290, "HY000", "leat sql --format csv")
	f("SELECT @@nosuch", 1193, "HY000", "nosuch")
	f("DROP USER nosuch", 1396, "HY000", "nosuch")
	wantRows(t, query(t, c, "SELECT id FROM clicks"), "1")
}

// The parser of the protocol library panicked on it, and took the connection
// along.
func TestServer_SelectWithoutSpaceBeforeString(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	err := run(t, c, "SELECT''")
	if e := (*mysql.MySQLError)(nil); err != nil && !errors.As(err, &e) {
		t.Errorf("error = %v, want none or one of the server", err)
	}
	wantRows(t, query(t, c, "SELECT 1"), "1")
}

func TestServer_SeveralStatements(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}), several)
	rows, err := c.QueryContext(t.Context(), "SELECT 1; SET @a = ';'; SELECT @a, 'x;y'; -- the end\n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for {
		part, err := texts(rows)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part...)
		if !rows.NextResultSet() {
			break
		}
	}
	wantRows(t, got, "1", ";|x;y")
}

// The library went on with the statements behind one that had failed.
func TestServer_SeveralStatementsEndAtTheFirstError(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}), several)
	_, err := c.ExecContext(t.Context(), "SET @a = 1; SELECT nosuch; SET @a = 2")
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != 1054 {
		t.Fatalf("error = %v, want 1054", err)
	}
	wantRows(t, query(t, c, "SELECT @a"), "1")
}

func TestServer_NotesAreWarnings(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	land(t, c, "clicks", "id BIGINT", `{"id":1}`)
	exec(t, c, "CREATE STREAM IF NOT EXISTS clicks AS SELECT id FROM clicks_in")
	wantRows(t, query(t, c, "SHOW WARNINGS"), "Note|1105|stream clicks exists")
	exec(t, c, "FLUSH STREAM clicks")
	wantRows(t, query(t, c, "SHOW WARNINGS"))
	wantRows(t, query(t, c, "SELECT 1/0"), "NULL")
	wantRows(t, query(t, c, "SHOW WARNINGS"), "Warning|1365|Division by 0")
}

func TestServer_LargeResult(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	const n = 20_000
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":%d,"s":"%s"}`, i, strings.Repeat(string(rune('a'+i%26)), i%300))
	}
	land(t, c, "big", "id BIGINT, s TEXT", lines...)
	f := func(text string, args ...any) {
		t.Helper()
		got := query(t, c, text, args...)
		if len(got) != n {
			t.Fatalf("%d rows, want %d", len(got), n)
		}
		for i, row := range got {
			if want := fmt.Sprintf("%d|%s", i, strings.Repeat(string(rune('a'+i%26)), i%300)); row != want {
				t.Fatalf("row %d = %.40q, want %.40q", i, row, want)
			}
		}
	}
	f("SELECT id, s FROM big ORDER BY id")
	f("SELECT id, s FROM big WHERE id >= ? ORDER BY id", 0)
}

// A value longer than the buffer that rows are encoded in.
func TestServer_LongValue(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	got := query(t, c, "SELECT 'a', REPEAT('x', 5000000), 'b' UNION ALL SELECT 'c', 'd', 'e'")
	wantRows(t, got, "a|"+strings.Repeat("x", 5_000_000)+"|b", "c|d|e")
}

// A client that sends too much is told so, and the others go on.
func TestServer_PacketTooLarge(t *testing.T) {
	cert, roots := certificate(t)
	s := serve(t, open(t), mysqlserver.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	f := func(size int, number uint16, change ...func(*mysql.Config)) {
		t.Helper()
		c := connect(t, s, append(change, func(cfg *mysql.Config) { cfg.MaxAllowedPacket = 1 << 30 })...)
		_, err := c.ExecContext(t.Context(), "SELECT '"+strings.Repeat("x", size)+"'")
		var e *mysql.MySQLError
		if !errors.As(err, &e) || e.Number != number {
			t.Errorf("error of %d bytes = %v, want %d", size, err, number)
		}
	}
	withTLS := func(cfg *mysql.Config) { cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"} }
	f(63<<20, 1064) // a text is at most 16 MiB
	f(70<<20, 1153)
	f(70<<20, 1153, withTLS)
	wantRows(t, query(t, connect(t, s), "SELECT 1"), "1")
}

// wait_timeout ends a connection that says nothing.
func TestServer_IdleConnectionEnds(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	c := connect(t, s)
	exec(t, c, "SET wait_timeout = 1")
	for s.Metrics().Connections.Load() > 0 {
		if t.Context().Err() != nil {
			t.Fatal("the connection is still open")
		}
		runtime.Gosched()
	}
	if err := c.PingContext(t.Context()); err == nil {
		t.Error("the connection still answers")
	}
}

// hang makes a stream whose broker is away, so that FLUSH waits.
func hang(t *testing.T, c *sql.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it is open, but answers nothing
	exec(t, c, fmt.Sprintf("CREATE SOURCE away (id BIGINT) WITH (connector = 'kafka', brokers = '%s', topic = 't', format = 'json', connect_timeout = '100ms')", l.Addr()))
	exec(t, c, "CREATE STREAM hanging AS SELECT id FROM away")
}

// flushing starts a FLUSH that does not end and returns its connection's id and
// where its error comes.
func flushing(ctx context.Context, t *testing.T, c, watcher *sql.Conn) (id string, failed <-chan error) {
	t.Helper()
	id = query(t, c, "SELECT CONNECTION_ID()")[0]
	errs := make(chan error, 1)
	go func() {
		_, err := c.ExecContext(ctx, "FLUSH STREAM hanging")
		errs <- err
	}()
	for !runs(t, watcher) {
		if t.Context().Err() != nil {
			t.Fatal("the statement does not run")
		}
	}
	return id, errs
}

func runs(t *testing.T, c *sql.Conn) bool {
	t.Helper()
	return len(query(t, c, "SELECT id FROM information_schema.processlist WHERE info LIKE 'FLUSH%'")) > 0
}

func TestServer_KillQuery(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	c, other := connect(t, s), connect(t, s)
	hang(t, c)
	id, failed := flushing(t.Context(), t, c, other)
	exec(t, other, "KILL QUERY "+id)
	var e *mysql.MySQLError
	if err := <-failed; !errors.As(err, &e) || e.Number != 1317 || string(e.SQLState[:]) != "70100" {
		t.Errorf("error = %v, want 1317 (70100)", err)
	}
	wantRows(t, query(t, c, "SELECT 1"), "1")
}

// Programs set it and rely on it; it was taken and ignored.
func TestServer_MaxExecutionTime(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	var rows strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&rows, `{"id":%d}`+"\n", i)
	}
	land(t, c, "clicks", "id BIGINT", rows.String())
	const long = " COUNT(*) FROM clicks a, clicks b, clicks c, clicks d WHERE a.id * b.id + c.id * d.id = 7"
	exec(t, c, "SET max_execution_time = 50")
	for _, query := range []string{"SELECT" + long, "/* a program */ SELECT" + long, "-- a program\n# and another\n((SELECT" + long + "))", "EXPLAIN/**/FORMAT=/**/TREE/**/ANALYZE/**/SELECT" + long,
		"/*!50000 SELECT" + long + "*/", "DESC ANALYZE SELECT /*+ MAX_EXECUTION_TIME(60) */" + long, "SELECT /*+ NO_ICP(a) MAX_EXECUTION_TIME(60) */" + long, "WITH x AS (SELECT" + long + ") SELECT * FROM x"} {
		if e := failure(t, c, query); e.Number != 3024 || string(e.SQLState[:]) != "HY000" || !strings.Contains(e.Message, "maximum statement execution time exceeded") {
			t.Errorf("%s: error = %v, want 3024 (HY000)", query, e)
		}
	}
	// A hint counts more, and other statements have no limit.
	wantRows(t, query(t, c, "SELECT /*+ MAX_EXECUTION_TIME(0) */ SLEEP(0.2)"), "0")
	wantRows(t, query(t, c, "-- a program\nSELECT /*+ MAX_EXECUTION_TIME(0) */ SLEEP(0.2)"), "0")
	exec(t, c, "SET max_execution_time = 1")
	exec(t, c, "FLUSH STREAM clicks")
	exec(t, c, "SET max_execution_time = 0")
	wantRows(t, query(t, c, "SELECT COUNT(*) FROM clicks"), "1000")
}

func TestServer_KillConnection(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	c, other := connect(t, s), connect(t, s)
	hang(t, other)
	id, failed := flushing(t.Context(), t, c, other)
	exec(t, other, "KILL "+id)
	if err := <-failed; err == nil {
		t.Error("the statement of a killed connection succeeded")
	}
	for len(query(t, other, "SELECT id FROM information_schema.processlist WHERE id = "+id)) > 0 {
		runtime.Gosched()
	}
}

func TestServer_ClientGoneEndsItsStatement(t *testing.T) {
	f := func(change ...func(*mysql.Config)) {
		t.Helper()
		cert, roots := certificate(t)
		s := serve(t, open(t), mysqlserver.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
		for i := range change {
			change[i] = func(cfg *mysql.Config) { cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"} }
		}
		c, other := connect(t, s, change...), connect(t, s)
		hang(t, other)
		ctx, cancel := context.WithCancel(t.Context())
		_, failed := flushing(ctx, t, c, other)
		cancel() // the driver closes the connection
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want %v", err, context.Canceled)
		}
		for runs(t, other) {
			runtime.Gosched()
		}
	}
	f()
	f(func(*mysql.Config) {}) // with TLS
}

func TestServer_CloseEndsEverything(t *testing.T) {
	db := open(t)
	before := runtime.NumGoroutine()
	s := serve(t, db, mysqlserver.Config{})
	c, other := connect(t, s), connect(t, s)
	idle, err := net.Dial("tcp", s.Addr()) // does not log in
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	hang(t, other)
	_, failed := flushing(t.Context(), t, c, other)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("the statement of a closed server succeeded")
	}
	if n := s.Metrics().Connections.Load(); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
	if n := s.Metrics().Running.Load(); n != 0 {
		t.Errorf("%d statements run after Close", n)
	}
	if err := c.PingContext(t.Context()); err == nil {
		t.Error("a connection answers after Close")
	}
	if err := db.Exec(t.Context(), "DROP STREAM hanging"); err == nil {
		t.Log("stream dropped")
	}
	db.StopStreams()
	if stacks := waitGoroutines(before); stacks != "" {
		t.Errorf("goroutines are left:\n%s", stacks)
	}
}

// waitGoroutines waits until no more goroutines run than before, and returns the
// stacks of all if that does not happen.
func waitGoroutines(before int) string {
	deadline := time.Now().Add(4 * time.Minute)
	for runtime.NumGoroutine() > before+4 { // the client's, and the runtime's own
		if time.Now().After(deadline) {
			b := make([]byte, 1<<20)
			return string(b[:runtime.Stack(b, true)])
		}
		runtime.Gosched()
	}
	return ""
}

func TestServer_ManyConnections(t *testing.T) {
	const n = 100
	s := serve(t, open(t), mysqlserver.Config{MaxConnections: n})
	land(t, connect(t, s), "clicks", "id BIGINT", `{"id":1}`, `{"id":2}`)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range n - 1 {
		c := connect(t, s)
		wait.Go(func() {
			<-start
			for range 3 {
				var sum, arg int64
				if err := c.QueryRowContext(t.Context(), "SELECT SUM(id) FROM clicks").Scan(&sum); err != nil || sum != 3 {
					t.Errorf("sum = %d, %v; want 3", sum, err)
				}
				if err := c.QueryRowContext(t.Context(), "SELECT ? + 0", i).Scan(&arg); err != nil || arg != int64(i) {
					t.Errorf("argument = %d, %v; want %d", arg, err, i)
				}
			}
		})
	}
	if _, err := dial(t, s); err == nil || !strings.Contains(err.Error(), "Too many connections") {
		t.Errorf("error of connection %d = %v, want too many", n+1, err)
	}
	close(start)
	wait.Wait()
	m := s.Metrics()
	if m.Refused.Load() != 1 || m.Connections.Load() != n || m.Connects.Load() != n {
		t.Errorf("refused %d, open %d, accepted %d; want 1, %d, %d", m.Refused.Load(), m.Connections.Load(), m.Connects.Load(), n, n)
	}
}

// A place is free again when a connection ends, however it ends.
func TestServer_ConnectionsEnd(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{MaxConnections: 1})
	for range 20 {
		raw, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Close()
	}
	for {
		c, err := dial(t, s)
		if err == nil {
			wantRows(t, query(t, c, "SELECT 1"), "1")
			return
		}
		if !strings.Contains(err.Error(), "Too many connections") && !errors.Is(err, mysql.ErrInvalidConn) && !strings.Contains(err.Error(), "bad connection") {
			t.Fatal(err)
		}
	}
}

func TestServer_Metrics(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	c := connect(t, s)
	m := s.Metrics()
	before := m.Statements.Load()
	query(t, c, "SELECT 1")
	query(t, c, "SELECT ?", 1)
	_ = failure(t, c, "SELECT nosuch")
	if got := m.Statements.Load() - before; got != 3 {
		t.Errorf("statements = %d, want 3", got)
	}
	if m.Failed.Load() != 1 || m.Panics.Load() != 0 || m.Running.Load() != 0 || m.Nanoseconds.Load() <= 0 {
		t.Errorf("failed %d, panics %d, running %d, %d ns", m.Failed.Load(), m.Panics.Load(), m.Running.Load(), m.Nanoseconds.Load())
	}
}

func TestStart_Refuses(t *testing.T) {
	db := open(t)
	f := func(cfg mysqlserver.Config, code sqlerror.Code, message string) {
		t.Helper()
		s, err := mysqlserver.Start(db, cfg)
		if err == nil {
			_ = s.Close()
		}
		if !sqlerror.HasCode(err, code) || !strings.Contains(err.Error(), message) {
			t.Errorf("Start(%q) = %v, want %s with %q", cfg.Addr, err, code, message)
		}
	}
	f(mysqlserver.Config{Addr: "0.0.0.0:0"}, sqlerror.CodeAuth, "account root@")
	f(mysqlserver.Config{Addr: "[::]:0"}, sqlerror.CodeAuth, "has no password")
	f(mysqlserver.Config{Addr: "192.0.2.1:3306"}, sqlerror.CodeAuth, "--password-file")
	f(mysqlserver.Config{Addr: "localhost"}, sqlerror.CodeBadOption, "write host:port")
	f(mysqlserver.Config{Addr: "127.0.0.1:0", RequireTLS: true}, sqlerror.CodeBadOption, "--tls-cert")
	taken := serve(t, db, mysqlserver.Config{})
	if s, err := mysqlserver.Start(db, mysqlserver.Config{Addr: taken.Addr()}); err == nil {
		_ = s.Close()
		t.Error("a taken port was accepted")
	} else if !strings.Contains(err.Error(), "listen for MySQL clients") {
		t.Errorf("error of a taken port = %v", err)
	}
}

// certificate is one for 127.0.0.1, with the roots that vouch for it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return web.TLS.Certificates[0], roots
}
