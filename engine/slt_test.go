package engine_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/internal/slt"
	"github.com/leatdb/leat/sql/mysqlserver"
	"github.com/leatdb/leat/sql/types"
)

var (
	update = flag.Bool("update", false, "rewrite the expected rows of testdata/slt")
	seed   = flag.Uint64("slt.seed", 1, "chooses where the scripts are killed")
)

// serveEnv makes the test binary a server of the folder that it names, so that
// it can be killed.
const serveEnv = "LEAT_TEST_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		if err := serveCommands(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestScripts runs every script of testdata/slt in three ways that have to
// answer alike: by the library, over the wire, and over the wire of another
// process that is killed between two steps.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/slt/*.slt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		script, err := slt.Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(script.Name, func(t *testing.T) {
			run := func(mode string, open func(dir string) (sltDatabase, error), opts slt.Options) {
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					opts.Dir = t.TempDir()
					db, err := open(filepath.Join(opts.Dir, "data"))
					if err != nil {
						t.Fatal(err)
					}
					if opts.Log != nil {
						opts.Log = t.Logf
					}
					if opts.KillBefore > 0 {
						t.Logf("killed before line %d", script.Steps[opts.KillBefore].Line)
					}
					if err := script.Run(t.Context(), db, opts); err != nil {
						t.Error(err)
					}
					checkCounters(t, db)
					if err := db.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				})
			}
			run("Library", openLibrary, slt.Options{Update: *update, Log: t.Logf})
			if *update {
				return
			}
			run("Wire", openWire, slt.Options{})
			run("Killed", openProcess, slt.Options{KillBefore: killPoint(script, *seed)})
		})
	}
}

// checkCounters looks whether what the streams of a script have read is accounted
// for.
func checkCounters(t *testing.T, db sltDatabase) {
	t.Helper()
	r, err := db.Query(t.Context(), `SELECT stream, rows_in, rows_exploded, rows_landed, rows_filtered, rows_dead, rows_replayed FROM leat.stream_metrics
		WHERE rows_in + rows_exploded <> rows_landed + rows_filtered + rows_dead OR rows_replayed > rows_in`, nil)
	if err != nil {
		t.Error(err)
		return
	}
	for _, row := range r.Rows {
		t.Errorf("counters do not reconcile: %q", row)
	}
}

// killPoint chooses a step of the script.
func killPoint(script *slt.Script, seed uint64) int {
	points := script.KillPoints()
	if len(points) == 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, script.Name)
	return points[rand.New(rand.NewPCG(seed, h.Sum64())).IntN(len(points))]
}

type sltDatabase interface {
	slt.Database
	Close() error
}

// sltSplit is the split that scripts push to.
const sltSplit = "slt"

func openEngine(ctx context.Context, dir string) (*engine.DB, error) {
	db, err := engine.Open(ctx, engine.Config{Dir: dir, Threads: 2, QueryMemory: 512 << 20})
	if err != nil {
		return nil, err
	}
	for name, fn := range map[string]any{
		"half":  func(x float64) float64 { return x / 2 },
		"greet": func(name *string) string { return "hello " + deref(name, "nobody") },
		"even": func(n int64) (bool, error) {
			if n < 0 {
				return false, errors.New("negative numbers are not welcome")
			}
			return n%2 == 0, nil
		},
	} {
		if err := db.RegisterFunc(name, fn); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

func deref(s *string, none string) string {
	if s == nil {
		return none
	}
	return *s
}

func pushTo(ctx context.Context, db *engine.DB, source string, offset int64, payload []byte) error {
	src, err := db.Source(source)
	if err != nil {
		return err
	}
	return src.SendAt(ctx, sltSplit, offset, payload)
}

// library runs scripts by the Go API.
type library struct {
	dir     string
	db      *engine.DB
	session *engine.Session
	bound   *sql.DB // for placeholders, which only the database/sql driver has
}

func openLibrary(dir string) (sltDatabase, error) {
	l := &library{dir: dir}
	return l, l.open(context.Background())
}

func (l *library) open(ctx context.Context) (err error) {
	if l.db, err = openEngine(ctx, l.dir); err != nil {
		return err
	}
	l.session = l.db.NewSession()
	l.bound, err = sql.Open("leat", l.dir)
	return err
}

func (l *library) Close() error { return errors.Join(l.bound.Close(), l.db.Close()) }

func (l *library) Exec(ctx context.Context, statement string) ([]string, error) {
	l.session.Notes()
	if err := l.session.Exec(ctx, statement); err != nil {
		return nil, err
	}
	notes := l.session.Notes()
	warnings, err := l.Query(ctx, "SHOW WARNINGS", nil)
	if err != nil {
		return nil, err
	}
	for _, row := range warnings.Rows {
		notes = append(notes, string(row[2]))
	}
	return notes, nil
}

func (l *library) Query(ctx context.Context, query string, args []any) (*slt.Result, error) {
	if args != nil {
		return readRows(l.bound.QueryContext(ctx, query, args...))
	}
	reader, err := l.session.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	result := &slt.Result{}
	var columns types.Schema
	for _, f := range reader.Schema().Fields() {
		c, err := types.FromArrow(f)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
		result.Columns = append(result.Columns, slt.Column{Name: c.Name, Class: classOf(c.Type)})
	}
	loc, err := l.location(ctx, columns)
	if err != nil {
		return nil, err
	}
	for reader.Next() {
		batch := reader.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([][]byte, len(columns))
			for j, c := range columns {
				row[j] = text(kernel.Value(batch.Column(j), i), c.Type, loc)
			}
			result.Rows = append(result.Rows, row)
		}
	}
	return result, reader.Err()
}

// location is the session's zone, in which instants are shown.
func (l *library) location(ctx context.Context, columns types.Schema) (*time.Location, error) {
	instants := false
	for _, c := range columns {
		instants = instants || c.Type.Kind == types.Timestamp
	}
	if !instants {
		return time.UTC, nil
	}
	reader, err := l.session.Query(ctx, "SELECT @@time_zone")
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	if !reader.Next() {
		return nil, errors.Join(reader.Err(), errors.New("no time zone"))
	}
	return kernel.LoadZone(fmt.Sprint(kernel.Value(reader.RecordBatch().Column(0), 0)), time.UTC)
}

func (l *library) Push(ctx context.Context, source string, offset int64, payload []byte) error {
	return pushTo(ctx, l.db, source, offset, payload)
}

func (l *library) Restart(ctx context.Context) error {
	if err := l.Close(); err != nil {
		return err
	}
	return l.open(ctx)
}

// Kill cannot end the process of the tests; Killed does it to another one.
func (l *library) Kill(ctx context.Context) error { return l.Restart(ctx) }

func classOf(t types.Type) slt.Class {
	switch k := t.Kind; {
	case k == types.Bool || k.IsInteger():
		return slt.Integer
	case k == types.Float32 || k == types.Float64:
		return slt.Real
	case k == types.Decimal:
		return slt.Decimal
	case k == types.Binary:
		return slt.Binary
	case k == types.JSON:
		return slt.JSON
	case k == types.Date || k == types.Time || k == types.DateTime || k == types.Timestamp:
		return slt.Time
	}
	return slt.Text
}

// text is a value as MySQL's text protocol shows it.
func text(v any, t types.Type, loc *time.Location) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case bool:
		if v {
			return []byte("1")
		}
		return []byte("0")
	case float64:
		bits := 64
		if t.Kind == types.Float32 {
			bits = 32
		}
		return strconv.AppendFloat(nil, v, 'g', -1, bits)
	case []byte:
		return append([]byte{}, v...)
	case int64:
		fraction := ""
		if t.Fsp > 0 {
			fraction = "." + strings.Repeat("0", t.Fsp)
		}
		switch t.Kind {
		case types.Date:
			return time.Unix(v*86400, 0).UTC().AppendFormat(nil, "2006-01-02")
		case types.DateTime:
			return time.UnixMicro(v).UTC().AppendFormat(nil, "2006-01-02 15:04:05"+fraction)
		case types.Timestamp:
			return time.UnixMicro(v).In(loc).AppendFormat(nil, "2006-01-02 15:04:05"+fraction)
		case types.Time:
			sign := ""
			if v < 0 {
				sign, v = "-", -v
			}
			of := time.UnixMicro(v).UTC()
			return fmt.Appendf(nil, "%s%02d%s", sign, v/3_600_000_000, of.Format(":04:05"+fraction))
		}
	}
	return fmt.Append([]byte{}, v)
}

// wire runs scripts over a MySQL connection to this process.
type wire struct {
	dir    string
	db     *engine.DB
	server *mysqlserver.Server
	client client
}

func openWire(dir string) (sltDatabase, error) {
	w := &wire{dir: dir}
	return w, w.open(context.Background())
}

func (w *wire) open(ctx context.Context) (err error) {
	if w.db, err = openEngine(ctx, w.dir); err != nil {
		return err
	}
	if w.server, err = mysqlserver.Start(w.db, mysqlserver.Config{Addr: "127.0.0.1:0"}); err != nil {
		return err
	}
	return w.client.connect(ctx, w.server.Addr())
}

func (w *wire) Close() error { return errors.Join(w.client.close(), w.server.Close(), w.db.Close()) }

func (w *wire) Exec(ctx context.Context, statement string) ([]string, error) {
	return w.client.exec(ctx, statement)
}

func (w *wire) Query(ctx context.Context, query string, args []any) (*slt.Result, error) {
	return readRows(w.client.conn.QueryContext(ctx, query, args...))
}

func (w *wire) Push(ctx context.Context, source string, offset int64, payload []byte) error {
	return pushTo(ctx, w.db, source, offset, payload)
}

func (w *wire) Restart(ctx context.Context) error {
	if err := w.Close(); err != nil {
		return err
	}
	return w.open(ctx)
}

// Kill cannot end the process of the tests; Killed does it to another one.
func (w *wire) Kill(ctx context.Context) error { return w.Restart(ctx) }

// client is one MySQL connection.
type client struct {
	pool *sql.DB
	conn *sql.Conn
}

func (c *client) connect(ctx context.Context, addr string) error {
	cfg := mysqldriver.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName = "root", "tcp", addr, "lake"
	cfg.AllowNativePasswords = true
	connector, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return err
	}
	c.pool = sql.OpenDB(connector)
	c.conn, err = c.pool.Conn(ctx)
	return err
}

func (c *client) close() error {
	if c.conn == nil {
		return c.pool.Close()
	}
	return errors.Join(c.conn.Close(), c.pool.Close())
}

func (c *client) exec(ctx context.Context, statement string) ([]string, error) {
	if _, err := c.conn.ExecContext(ctx, statement); err != nil {
		return nil, err
	}
	warnings, err := readRows(c.conn.QueryContext(ctx, "SHOW WARNINGS"))
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, row := range warnings.Rows {
		notes = append(notes, string(row[2]))
	}
	return notes, nil
}

// readRows reads all rows of a database/sql query.
func readRows(rows *sql.Rows, err error) (*slt.Result, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columnTypes, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	result := &slt.Result{}
	for _, c := range columnTypes {
		result.Columns = append(result.Columns, slt.Column{Name: c.Name(), Class: classNamed(c.DatabaseTypeName())})
	}
	for rows.Next() {
		row := make([]sql.RawBytes, len(columnTypes))
		dest := make([]any, len(row))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		values := make([][]byte, len(row))
		for i, v := range row {
			if v != nil {
				values[i] = append([]byte{}, v...)
			}
		}
		result.Rows = append(result.Rows, values)
	}
	return result, rows.Err()
}

// classNamed is the class of a type as database/sql drivers name it.
func classNamed(name string) slt.Class {
	name = strings.TrimPrefix(strings.TrimSuffix(name, " UNSIGNED"), "UNSIGNED ")
	switch name {
	case "BOOLEAN", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT":
		return slt.Integer
	case "FLOAT", "DOUBLE":
		return slt.Real
	case "DECIMAL":
		return slt.Decimal
	case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "BIT":
		return slt.Binary
	case "DATE", "TIME", "DATETIME", "TIMESTAMP", "YEAR":
		return slt.Time
	case "JSON":
		return slt.JSON
	}
	return slt.Text
}

// process runs scripts over a MySQL connection to a process of its own, which
// can be killed.
type process struct {
	dir    string
	cmd    *osexec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
	client client
}

func openProcess(dir string) (sltDatabase, error) {
	p := &process{dir: dir}
	return p, p.open(context.Background())
}

func (p *process) open(ctx context.Context) (err error) {
	p.cmd = osexec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), serveEnv+"="+p.dir)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.stdout = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	addr, err := p.answer()
	if err != nil {
		return errors.Join(err, p.kill())
	}
	return p.client.connect(ctx, addr)
}

// command is what the process is told on its standard input.
type command struct {
	Source string `json:",omitempty"` // push Data to it
	Offset int64  `json:",omitempty"`
	Data   []byte `json:",omitempty"`
}

// reply is what it says, first of all its address.
type reply struct{ Text, Error string }

func (p *process) answer() (string, error) {
	if !p.stdout.Scan() {
		return "", errors.Join(p.stdout.Err(), errors.New("the process has ended"))
	}
	var r reply
	if err := json.Unmarshal(p.stdout.Bytes(), &r); err != nil {
		return "", err
	}
	if r.Error != "" {
		return "", errors.New(r.Error)
	}
	return r.Text, nil
}

// serveCommands opens the folder, serves MySQL clients and takes commands until
// its input ends.
func serveCommands(dir string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	db, err := openEngine(ctx, dir)
	if err != nil {
		return err
	}
	server, err := mysqlserver.Start(db, mysqlserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	say := json.NewEncoder(out)
	if err := say.Encode(reply{Text: server.Addr()}); err != nil {
		return err
	}
	commands := json.NewDecoder(in)
	for {
		var c command
		if err := commands.Decode(&c); err == io.EOF {
			return errors.Join(server.Close(), db.Close())
		} else if err != nil {
			return err
		}
		var r reply
		if err := pushTo(ctx, db, c.Source, c.Offset, c.Data); err != nil {
			r.Error = err.Error()
		}
		if err := say.Encode(r); err != nil {
			return err
		}
	}
}

func (p *process) Exec(ctx context.Context, statement string) ([]string, error) {
	return p.client.exec(ctx, statement)
}

func (p *process) Query(ctx context.Context, query string, args []any) (*slt.Result, error) {
	return readRows(p.client.conn.QueryContext(ctx, query, args...))
}

func (p *process) Push(_ context.Context, source string, offset int64, payload []byte) error {
	if err := json.NewEncoder(p.stdin).Encode(command{Source: source, Offset: offset, Data: payload}); err != nil {
		return err
	}
	_, err := p.answer()
	return err
}

func (p *process) Restart(ctx context.Context) error {
	if err := p.Close(); err != nil {
		return err
	}
	return p.open(ctx)
}

func (p *process) Kill(ctx context.Context) error {
	if err := p.kill(); err != nil {
		return err
	}
	return p.open(ctx)
}

func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = p.cmd.Wait() // it says that the process was killed
	if p.client.pool != nil {
		_ = p.client.close() // its connection is gone
		p.client = client{}
	}
	return nil
}

func (p *process) Close() error {
	err := p.client.close()
	p.client = client{}
	return errors.Join(err, p.stdin.Close(), p.cmd.Wait())
}
