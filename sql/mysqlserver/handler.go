//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// handler answers the protocol's commands. Connections and sessions are kept by
// the MySQL engine's own handler; statements are run here, under watch: they end
// when their client is gone, and a panic is an error of the one statement.
type handler struct {
	mysql.Handler
	server   *Server
	engine   *sqle.Engine
	sessions *server.SessionManager
}

var (
	_ mysql.Handler              = (*handler)(nil)
	_ mysql.BinlogReplicaHandler = (*handler)(nil)
)

// NewConnection implements mysql.Handler.
func (h *handler) NewConnection(c *mysql.Conn) {
	if own := connOf(c.Conn); own != nil {
		own.serve(c)
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
	if !c.TLSEnabled() && strings.HasPrefix(reason, "No authentication methods") {
		reason = "the account uses caching_sha2_password, which needs TLS"
	}
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
		return accessDenied(c.User)
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
	return h.guard("USE "+database, func() error { return h.sessions.SetDB(h.server.ctx, c, database) })
}

// ComQuery implements mysql.Handler.
func (h *handler) ComQuery(ctx context.Context, c *mysql.Conn, text string, callback mysql.ResultSpoolFn) error {
	sent := &sent{send: callback}
	return sent.end(c, h.statement(ctx, c, text, func(ctx context.Context) error {
		_, err := h.run(ctx, c, query{text: text, send: sent.rows})
		return err
	}))
}

// ComMultiQuery implements mysql.Handler. The first statement that fails ends
// the text, as in MySQL.
func (h *handler) ComMultiQuery(ctx context.Context, c *mysql.Conn, text string, callback mysql.ResultSpoolFn) (remainder string, err error) {
	sent := &sent{send: callback}
	err = h.statement(ctx, c, text, func(ctx context.Context) (err error) {
		remainder, err = h.run(ctx, c, query{text: text, several: true, send: sent.rows})
		return err
	})
	return remainder, sent.end(c, err)
}

// ComPrepare implements mysql.Handler.
func (h *handler) ComPrepare(ctx context.Context, c *mysql.Conn, text string, _ *mysql.PrepareData) (columns []*querypb.Field, err error) {
	ctx, end := h.watch(ctx, c)
	defer end()
	err = h.guard(text, func() (err error) {
		columns, err = h.prepare(ctx, c, text)
		return err
	})
	return columns, err
}

// ComStmtExecute implements mysql.Handler.
func (h *handler) ComStmtExecute(ctx context.Context, c *mysql.Conn, prepare *mysql.PrepareData, callback func(*sqltypes.Result) error) error {
	return h.statement(ctx, c, prepare.PrepareStmt, func(ctx context.Context) error {
		bindings := prepare.BindVars
		if bindings == nil {
			bindings = map[string]*querypb.BindVariable{}
		}
		_, err := h.run(ctx, c, query{
			text: prepare.PrepareStmt, bindings: bindings, kept: true,
			send: func(r *sqltypes.Result, _ bool) error { return callback(r) },
		})
		return err
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
func (h *handler) statement(ctx context.Context, c *mysql.Conn, text string, run func(context.Context) error) error {
	m := h.server.metrics
	begun := time.Now()
	m.Running.Add(1)
	ctx, end := h.watch(ctx, c)
	err := h.guard(text, func() error { return run(ctx) })
	end()
	m.Running.Add(-1)
	m.Statements.Add(1)
	m.Nanoseconds.Add(int64(time.Since(begun)))
	if err != nil {
		m.Failed.Add(1)
	}
	return err
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
