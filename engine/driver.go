//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/engine/kernel"
	leatsql "github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() { sql.Register("leat", sqlDriver{}) }

// sqlDriver is the database/sql driver "leat"; its data source name is the data
// directory. A directory that the process has open already is shared.
type sqlDriver struct{}

// Open implements driver.Driver.
func (d sqlDriver) Open(name string) (driver.Conn, error) {
	c, err := d.OpenConnector(name)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext.
func (sqlDriver) OpenConnector(name string) (driver.Connector, error) {
	if name == "" {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "the data source name is empty").WithHint("it is the data directory: sql.Open(\"leat\", \"leat-data\")")
	}
	dir, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", name, err)
	}
	return &connector{dir: dir}, nil
}

// connector opens the directory with the first connection, and closes it with
// the sql.DB unless somebody else has opened it.
type connector struct {
	dir string
	mu  sync.Mutex
	db  *DB
	own bool
}

// shared counts the connectors of each database that a connector opened.
var shared struct {
	sync.Mutex
	users map[*DB]int
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.db != nil && c.db.ctx.Err() != nil {
		// Who opened the directory has closed it, and may have opened it again.
		if openedAt(c.dir) == nil {
			return nil, c.db.closedError()
		}
		c.db = nil
	}
	if c.db == nil {
		if err := c.open(ctx); err != nil {
			return nil, err
		}
	}
	return &conn{session: c.db.NewSession()}, nil
}

// openedAt is the database that this process has open in a directory, or nil.
func openedAt(dir string) *DB {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	opened.Lock()
	defer opened.Unlock()
	return opened.dirs[dir]
}

func (c *connector) open(ctx context.Context) error {
	shared.Lock()
	defer shared.Unlock()
	if shared.users == nil {
		shared.users = map[*DB]int{}
	}
	db := openedAt(c.dir)
	if db == nil {
		var err error
		if db, err = Open(ctx, Config{Dir: c.dir}); err != nil {
			return err
		}
		shared.users[db] = 0
	}
	if _, ours := shared.users[db]; ours {
		shared.users[db]++
		c.own = true
	}
	c.db = db
	return nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return sqlDriver{} }

// Close implements io.Closer for sql.DB.Close.
func (c *connector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	db, own := c.db, c.own
	c.db = nil
	if db == nil || !own {
		return nil
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.users[db]--; shared.users[db] > 0 {
		return nil
	}
	delete(shared.users, db)
	return db.Close()
}

// conn is one connection: a session.
type conn struct{ session *Session }

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) { return &stmt{c, query}, nil }

// Close implements driver.Conn.
func (c *conn) Close() error { return nil }

// Begin implements driver.Conn: there are no transactions.
func (c *conn) Begin() (driver.Tx, error) {
	return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "transactions are not available: tables are written by streams")
}

// Ping implements driver.Pinger.
func (c *conn) Ping(context.Context) error { return c.session.db.closedError() }

// IsValid implements driver.Validator: the pool drops connections to a database
// that was closed.
func (c *conn) IsValid() bool { return c.session.db.closedError() == nil }

// ResetSession implements driver.SessionResetter.
func (c *conn) ResetSession(context.Context) error {
	if !c.IsValid() {
		return driver.ErrBadConn
	}
	return nil
}

// ExecContext implements driver.ExecerContext. Without arguments the text may
// hold several statements.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 {
		return driver.ResultNoRows, ended(ctx, c.session.Exec(ctx, query))
	}
	rows, err := c.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	dest := make([]driver.Value, len(rows.Columns()))
	for err == nil {
		err = rows.Next(dest)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return driver.ResultNoRows, err
}

// ended is the error of a statement, which is that of its context when this has
// ended: callers look for context.DeadlineExceeded.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	bindings, err := bindings(args)
	if err != nil {
		return nil, err
	}
	script, err := leatsql.Split(query, "")
	if err != nil {
		return nil, err
	}
	if len(script) != 1 {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "expected one statement, found %d", len(script))
	}
	if n := leatsql.Placeholders(script[0].Text); n != len(args) {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "the statement has %d placeholders, and there are %d arguments", n, len(args)).At(script[0].Pos)
	}
	reader, err := c.session.queryBound(ctx, script[0].Text, script[0].Pos, bindings)
	if err != nil {
		return nil, ended(ctx, placed(err, script[0].Pos))
	}
	return newDriverRows(ctx, reader)
}

// bindings are the placeholders' values as the MySQL engine names them.
func bindings(args []driver.NamedValue) (map[string]sqlparser.Expr, error) {
	if len(args) == 0 {
		return nil, nil
	}
	bound := make(map[string]sqlparser.Expr, len(args))
	for _, a := range args {
		if a.Name != "" {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "named arguments are not available; use ?")
		}
		bound["v"+strconv.Itoa(a.Ordinal)] = literal(a.Value)
	}
	return bound, nil
}

func literal(v driver.Value) sqlparser.Expr {
	switch v := v.(type) {
	case nil:
		return &sqlparser.NullVal{}
	case int64:
		return sqlparser.NewIntVal(strconv.AppendInt(nil, v, 10))
	case float64:
		return sqlparser.NewFloatVal(strconv.AppendFloat(nil, v, 'g', -1, 64))
	case bool:
		return sqlparser.BoolVal(v)
	case []byte:
		return sqlparser.NewHexVal(fmt.Appendf(nil, "%x", v))
	case time.Time:
		return sqlparser.NewStrVal(v.UTC().AppendFormat(nil, "2006-01-02 15:04:05.999999"))
	}
	return sqlparser.NewStrVal(fmt.Append(nil, v))
}

// stmt is a prepared statement: its text, bound when it is executed.
type stmt struct {
	c     *conn
	query string
}

// Close implements driver.Stmt.
func (s *stmt) Close() error { return nil }

// NumInput implements driver.Stmt: the engine checks the number.
func (s *stmt) NumInput() int { return -1 }

// Exec implements driver.Stmt.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// Query implements driver.Stmt.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

func named(args []driver.Value) []driver.NamedValue {
	n := make([]driver.NamedValue, len(args))
	for i, a := range args {
		n[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return n
}

// driverRows reads Arrow batches row by row.
type driverRows struct {
	ctx     context.Context
	reader  array.RecordReader
	columns types.Schema
	batch   arrow.RecordBatch
	row     int
}

func newDriverRows(ctx context.Context, reader array.RecordReader) (*driverRows, error) {
	r := &driverRows{ctx: ctx, reader: reader}
	for _, f := range reader.Schema().Fields() {
		c, err := types.FromArrow(f)
		if err != nil {
			reader.Release()
			return nil, err
		}
		r.columns = append(r.columns, c)
	}
	return r, nil
}

// Columns implements driver.Rows.
func (r *driverRows) Columns() []string {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = c.Name
	}
	return names
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *driverRows) ColumnTypeDatabaseTypeName(i int) string { return r.columns[i].Type.Kind.String() }

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *driverRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	return !r.columns[i].NotNull, true
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *driverRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	t := r.columns[i].Type
	return int64(t.Precision), int64(t.Scale), t.Kind == types.Decimal
}

// Close implements driver.Rows.
func (r *driverRows) Close() error {
	if r.reader != nil {
		r.reader.Release()
		r.reader = nil
	}
	return nil
}

// Next implements driver.Rows.
func (r *driverRows) Next(dest []driver.Value) error {
	for r.batch == nil || r.row == int(r.batch.NumRows()) {
		if !r.reader.Next() {
			if err := r.reader.Err(); err != nil && !errors.Is(err, io.EOF) {
				return ended(r.ctx, err)
			}
			return io.EOF
		}
		r.batch, r.row = r.reader.RecordBatch(), 0
	}
	for i := range dest {
		dest[i] = driverValue(kernel.Value(r.batch.Column(i), r.row), r.columns[i].Type)
	}
	r.row++
	return nil
}

// driverValue is a value as database/sql drivers for MySQL give it.
func driverValue(v any, t types.Type) driver.Value {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int64:
		switch t.Kind {
		case types.Date:
			return time.Unix(v*86400, 0).UTC()
		case types.DateTime, types.Timestamp:
			return time.UnixMicro(v).UTC()
		case types.Time:
			s := string(kernel.AppendTime(nil, v, 6))
			return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
		}
		return v
	}
	return v
}

var (
	_ driver.DriverContext    = sqlDriver{}
	_ io.Closer               = (*connector)(nil)
	_ driver.QueryerContext   = (*conn)(nil)
	_ driver.ExecerContext    = (*conn)(nil)
	_ driver.Pinger           = (*conn)(nil)
	_ driver.SessionResetter  = (*conn)(nil)
	_ driver.Validator        = (*conn)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
	_ driver.StmtExecContext  = (*stmt)(nil)
)
