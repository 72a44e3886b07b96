package mysqlserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// handler stands between the protocol library and the MySQL engine's handler. It
// ends statements whose client is gone, makes panics into errors of the one
// statement, and counts.
type handler struct {
	mysql.Handler
	server *Server
}

var (
	_ mysql.Handler              = (*handler)(nil)
	_ mysql.BinlogReplicaHandler = (*handler)(nil)
)

// NewConnection implements mysql.Handler.
func (h *handler) NewConnection(c *mysql.Conn) {
	if own := connOf(c.Conn); own != nil {
		own.serve()
	}
	h.server.metrics.Connects.Add(1)
	h.server.metrics.Connections.Add(1)
	h.Handler.NewConnection(c)
}

// ConnectionClosed implements mysql.Handler.
func (h *handler) ConnectionClosed(c *mysql.Conn) {
	defer func() {
		h.server.metrics.Connections.Add(-1)
		if own := connOf(c.Conn); own != nil {
			own.done()
		}
	}()
	h.Handler.ConnectionClosed(c)
}

// ConnectionAborted implements mysql.Handler.
func (h *handler) ConnectionAborted(c *mysql.Conn, reason string) error {
	h.server.metrics.LoginErrors.Add(1)
	h.server.logger.Warn("MySQL client refused", "address", c.RemoteAddr().String(), "reason", reason)
	return h.Handler.ConnectionAborted(c, reason)
}

// ConnectionAuthenticated implements mysql.Handler. It refuses what the library
// lets pass: a client that goes on without the TLS that is required, and one
// from another machine whose account has no password.
func (h *handler) ConnectionAuthenticated(c *mysql.Conn) error {
	if h.server.tlsOnly && !c.TLSEnabled() {
		return mysql.NewSQLError(3159, "HY000", "Connections using insecure transport are prohibited while --require-tls is set")
	}
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return mysql.NewSQLError(mysql.ERAccessDeniedError, mysql.SSAccessDeniedError, "Access denied for user '%s'", c.User)
	}
	if !isLoopback(host) && !h.hasPassword(c.User, host) {
		return mysql.NewSQLError(mysql.ERAccessDeniedError, mysql.SSAccessDeniedError, "Access denied for user '%s'@'%s' (an account without a password can be used on the server's own machine only)", c.User, host)
	}
	if own := connOf(c.Conn); own != nil {
		if err := own.login(); err != nil {
			return err
		}
	}
	return h.Handler.ConnectionAuthenticated(c)
}

func (h *handler) hasPassword(user, host string) bool {
	users := h.server.db.MySQL().Analyzer.Catalog.MySQLDb
	reader := users.Reader()
	defer reader.Close()
	account := users.GetUser(reader, user, host, false)
	return account != nil && account.AuthString != ""
}

// ComInitDB implements mysql.Handler.
func (h *handler) ComInitDB(c *mysql.Conn, database string) error {
	return h.guard("USE "+database, func() error { return h.Handler.ComInitDB(c, database) })
}

// ComQuery implements mysql.Handler.
func (h *handler) ComQuery(ctx context.Context, c *mysql.Conn, query string, callback mysql.ResultSpoolFn) error {
	return h.statement(ctx, c, query, func(ctx context.Context) error {
		return h.Handler.ComQuery(ctx, c, query, callback)
	})
}

// ComMultiQuery implements mysql.Handler. The first statement that fails ends
// the text, as in MySQL.
func (h *handler) ComMultiQuery(ctx context.Context, c *mysql.Conn, query string, callback mysql.ResultSpoolFn) (remainder string, err error) {
	err = h.statement(ctx, c, query, func(ctx context.Context) (err error) {
		remainder, err = h.Handler.ComMultiQuery(ctx, c, query, callback)
		return err
	})
	if err != nil {
		return "", err
	}
	return remainder, nil
}

// ComPrepare implements mysql.Handler.
func (h *handler) ComPrepare(ctx context.Context, c *mysql.Conn, query string, prepare *mysql.PrepareData) (fields []*querypb.Field, err error) {
	ctx, end := h.watch(ctx, c)
	defer end()
	err = h.guard(query, func() (err error) {
		fields, err = h.Handler.ComPrepare(ctx, c, query, prepare)
		return err
	})
	return fields, err
}

// ComStmtExecute implements mysql.Handler.
func (h *handler) ComStmtExecute(ctx context.Context, c *mysql.Conn, prepare *mysql.PrepareData, callback func(*sqltypes.Result) error) error {
	return h.statement(ctx, c, prepare.PrepareStmt, func(ctx context.Context) error {
		return h.Handler.ComStmtExecute(ctx, c, prepare, callback)
	})
}

// ComResetConnection implements mysql.Handler.
func (h *handler) ComResetConnection(c *mysql.Conn) error {
	return h.guard("COM_RESET_CONNECTION", func() error { return h.Handler.ComResetConnection(c) })
}

// ParserOptionsForConnection implements mysql.Handler.
func (h *handler) ParserOptionsForConnection(c *mysql.Conn) (options sqlparser.ParserOptions, err error) {
	err = h.guard("COM_STMT_PREPARE", func() (err error) {
		options, err = h.Handler.ParserOptionsForConnection(c)
		return err
	})
	return options, err
}

var errNoReplication = errors.New("replication is not available: the server keeps no binary log")

// ComRegisterReplica implements mysql.BinlogReplicaHandler.
func (h *handler) ComRegisterReplica(*mysql.Conn, string, uint16, string, string) error {
	return errNoReplication
}

// ComBinlogDumpGTID implements mysql.BinlogReplicaHandler.
func (h *handler) ComBinlogDumpGTID(*mysql.Conn, string, uint64, mysql.GTIDSet) error {
	return errNoReplication
}

// statement runs one statement under watch, and counts it.
func (h *handler) statement(ctx context.Context, c *mysql.Conn, query string, run func(context.Context) error) error {
	m := h.server.metrics
	begun := time.Now()
	m.Running.Add(1)
	ctx, end := h.watch(ctx, c)
	err := h.guard(query, func() error { return run(ctx) })
	end()
	m.Running.Add(-1)
	m.Statements.Add(1)
	m.Nanoseconds.Add(int64(time.Since(begun)))
	if err != nil {
		m.Failed.Add(1)
	}
	return err
}

// guard runs a part of the library and makes a panic an error of it.
func (h *handler) guard(query string, run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = h.fault(query, fmt.Sprint(p), string(debug.Stack()))
		}
	}()
	return h.clientError(query, run())
}

// fault logs a panic and is the error that the client gets for it.
func (h *handler) fault(query, reason, stack string) error {
	h.server.metrics.Panics.Add(1)
	h.server.logger.Error("statement failed by a fault of the server", "statement", shorten(query), "panic", reason, "stack", stack)
	return mysql.NewSQLError(mysql.ERUnknownError, mysql.SSUnknownSQLState, "internal error, the server's log has the details: %s", reason)
}

// recovered is how the library reports panics of the goroutines that it starts
// for a statement: the reason, then the stack.
const recovered = "panic recovered: "

// clientError is an error as the client shall see it.
func (h *handler) clientError(query string, err error) error {
	if err == nil {
		return nil
	}
	var e *mysql.SQLError
	if !errors.As(err, &e) {
		e = mysql.NewSQLErrorFromError(err).(*mysql.SQLError) //nolint:errorlint // it makes exactly this type
	}
	if reason, stack, ok := strings.Cut(e.Message, "\n"); ok && strings.HasPrefix(reason, recovered) {
		return h.fault(query, strings.TrimPrefix(reason, recovered), stack)
	}
	if e.Num == mysql.ERUnknownError && strings.HasSuffix(e.Message, context.Canceled.Error()) {
		return mysql.NewSQLError(mysql.ERQueryInterrupted, "70100", "Query execution was interrupted")
	}
	return e
}

func shorten(query string) string {
	const most = 300
	if len(query) > most {
		return strings.ToValidUTF8(query[:most], "") + "…"
	}
	return query
}

// hangUpInterval is how often a client is looked after while it waits for its
// statement.
const hangUpInterval = 200 * time.Millisecond

// watch gives a statement a context that ends when the client hangs up or the
// server is closed. end must be called.
func (h *handler) watch(ctx context.Context, c *mysql.Conn) (watched context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	forget := context.AfterFunc(h.server.ctx, cancel)
	own := connOf(c.Conn)
	if own == nil {
		return ctx, func() { forget(); cancel() }
	}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		tick := time.NewTicker(hangUpInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if hungUp(own.Conn) {
					cancel()
					return
				}
			}
		}
	}()
	return ctx, func() {
		forget()
		cancel()
		<-watching
	}
}
