//go:build gms_pure_go && duckdb_arrow

// Package mysqlserver is Leat's MySQL port: listener, login, TLS and the wire
// protocol's encoding. Statements are executed by package engine.
package mysqlserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/server"
	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/mysql"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Version is what the server says it is to clients, which look for a number of
// MySQL's in it.
const Version = "8.0.40-leat"

const defaultMaxConnections = 512

// Config says how to listen.
type Config struct {
	// Addr is host:port; an empty host means localhost. Port 0 takes a free one.
	Addr string
	// TLS is offered to clients when it is set. Accounts made with
	// caching_sha2_password need it, since their password travels in full.
	TLS *tls.Config
	// RequireTLS refuses connections without it.
	RequireTLS bool
	// MaxConnections at a time; those beyond get MySQL's error 1040. Default 512.
	MaxConnections int
	// Logger takes what the server has to say; default none.
	Logger *slog.Logger
}

// Server is a running MySQL port.
type Server struct {
	db       *engine.DB
	logger   *slog.Logger
	server   *server.Server
	listener *listener
	metrics  *Metrics
	tlsOnly  bool

	ctx    context.Context // ends the statements that run
	cancel context.CancelFunc
	done   chan struct{} // nil until Serve
}

// Start listens and serves until Close.
func Start(db *engine.DB, cfg Config) (*Server, error) {
	s, err := Listen(db, cfg)
	if err == nil {
		s.Serve()
	}
	return s, err
}

// Listen takes the port, which Close gives back; who connects waits for Serve. An
// address that is not on the loopback interface is refused while an account has no
// password; accounts that lose theirs later can log in over the loopback interface
// only.
func Listen(db *engine.DB, cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = defaultMaxConnections
	}
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "MySQL address %q: %w", cfg.Addr, err).WithHint("write host:port, as in 127.0.0.1:3306")
	}
	if cfg.RequireTLS && cfg.TLS == nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "TLS is required of MySQL clients, and there is no certificate").WithHint("give one with --tls-cert and --tls-key")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if user, ok := db.AccountWithoutPassword(); ok && !isLoopback(host) {
		return nil, sqlerror.Userf(sqlerror.CodeAuth, "MySQL address %s can be reached from other machines, and account %s has no password", cfg.Addr, user).
			WithHint("give it one with --password-file or LEAT_PASSWORD, or listen on 127.0.0.1")
	}
	tcp, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "listen for MySQL clients: %w", err).WithHint("give another address with --mysql, or end what listens there")
	}
	adoptLibraryLog(cfg.Logger)
	if err := setServerVariables(cfg); err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	s := &Server{
		db: db, logger: cfg.Logger, metrics: &Metrics{},
		tlsOnly: cfg.RequireTLS,
	}
	s.listener = newListener(tcp, cfg.MaxConnections, func() { s.metrics.Refused.Add(1) })
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.server, err = server.NewServer(server.Config{
		Listener: s.listener, Protocol: "tcp", Address: s.Addr(), Version: Version,
		TLSConfig: cfg.TLS, RequireSecureTransport: cfg.RequireTLS, MaxLoggedQueryLen: -1,
		ProtocolListenerFactory: func(cfg server.Config, l mysql.ListenerConfig, events server.ServerEventListener) (server.ProtocolListener, error) {
			l.AuthServer = newLogins(db.MySQL().Analyzer.Catalog.MySQLDb)
			return server.MySQLProtocolListenerFactory(cfg, l, events)
		},
		Options: []server.Option{func(e *sqle.Engine, sessions *server.SessionManager, h mysql.Handler) (*sqle.Engine, *server.SessionManager, mysql.Handler) {
			return e, sessions, &handler{Handler: h, server: s, engine: e, sessions: sessions}
		}},
	}, db.MySQL(), gms.NewContext, newSession, nil)
	if err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("start MySQL server: %w", err), tcp.Close())
	}
	cfg.Logger.Info("listening for MySQL clients", "address", s.Addr())
	return s, nil
}

// Serve serves from now on, until Close. It is called once, by who closes the server.
func (s *Server) Serve() {
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.server.Listener.Accept()
	}()
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// setServerVariables replaces what the protocol library says of itself. Its
// variables are the process's. Nothing is a folder from which or into which SQL
// may read and write files of the server.
func setServerVariables(cfg Config) error {
	tlsState := "DISABLED"
	if cfg.TLS != nil {
		tlsState = "YES"
	}
	variables := []gms.SystemVariable{
		&gms.MysqlSystemVariable{Name: "have_ssl", Scope: gms.GetMysqlScope(gms.SystemVariableScope_Global), Type: gmstypes.NewSystemStringType("have_ssl"), Default: tlsState},
		&gms.MysqlSystemVariable{Name: "have_openssl", Scope: gms.GetMysqlScope(gms.SystemVariableScope_Global), Type: gmstypes.NewSystemStringType("have_openssl"), Default: tlsState},
		&gms.MysqlSystemVariable{Name: "innodb_version", Scope: gms.GetMysqlScope(gms.SystemVariableScope_Global), Type: gmstypes.NewSystemStringType("innodb_version"), Default: Version},
		&gms.MysqlSystemVariable{Name: "optimizer_switch", Scope: gms.GetMysqlScope(gms.SystemVariableScope_Both), Dynamic: true, Type: gmstypes.NewSystemStringType("optimizer_switch"), Default: ""},
		&gms.MysqlSystemVariable{Name: "profiling", Scope: gms.GetMysqlScope(gms.SystemVariableScope_Both), Dynamic: true, Type: gmstypes.NewSystemBoolType("profiling"), Default: int8(0)},
	}
	gms.SystemVariables.AddSystemVariables(variables)
	err := gms.SystemVariables.AssignValues(map[string]any{
		"version": Version, "version_comment": "Leat", "secure_file_priv": "/dev/null",
		"max_allowed_packet": int64(maxPacket), "max_connections": int64(cfg.MaxConnections), "wait_timeout": int64(defaultIdle / time.Second),
	})
	if err != nil {
		return fmt.Errorf("set server variables: %w", err)
	}
	return nil
}

// newSession begins a connection's session in database lake.
func newSession(ctx context.Context, conn *mysql.Conn, addr string) (gms.Session, error) {
	session, err := gms.BaseSessionFromConnection(ctx, conn, addr)
	if err != nil {
		return nil, fmt.Errorf("begin session: %w", err)
	}
	session.SetCurrentDatabase(sql.DefaultSink)
	return session, nil
}

// Addr is the address the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Metrics of the server.
func (s *Server) Metrics() *Metrics { return s.metrics }

// Close stops listening, cancels the statements that run, ends the connections
// and waits for them.
func (s *Server) Close() error {
	s.server.Listener.Close()
	if s.done != nil {
		<-s.done
	}
	s.cancel()
	s.listener.endConnections()
	return nil
}
