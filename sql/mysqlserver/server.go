// Package mysqlserver is Leat's MySQL port: listener, login, TLS and the wire
// protocol's encoding. Statements are executed by package engine.
package mysqlserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/dolthub/go-mysql-server/server"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/sirupsen/logrus"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Version is what the server says it is to clients, which look for a number of
// MySQL's in it.
const Version = "8.0.40-leat"

// Config says how to listen.
type Config struct {
	// Addr is host:port; an empty host means localhost. Port 0 takes a free one.
	Addr string
	// TLS is offered to clients when it is set. Passwords of accounts with
	// caching_sha2_password travel only over TLS, except on the loopback
	// interface.
	TLS *tls.Config
	// RequireTLS refuses connections without it.
	RequireTLS bool
	// MaxConnections at a time; default 512.
	MaxConnections uint64
	Logger         *slog.Logger
}

// Server is a running MySQL port.
type Server struct {
	server   *server.Server
	listener net.Listener
	done     chan struct{}
	metrics  *Metrics
}

// Metrics count what the server has done.
type Metrics struct {
	Connections atomic.Int64 // open now
	Connects    atomic.Int64
	Statements  atomic.Int64
	Failed      atomic.Int64
	Nanoseconds atomic.Int64 // spent in statements
}

// ClientConnected implements server.ServerEventListener.
func (m *Metrics) ClientConnected() { m.Connections.Add(1); m.Connects.Add(1) }

// ClientDisconnected implements server.ServerEventListener.
func (m *Metrics) ClientDisconnected() { m.Connections.Add(-1) }

// QueryStarted implements server.ServerEventListener.
func (m *Metrics) QueryStarted() { m.Statements.Add(1) }

// QueryCompleted implements server.ServerEventListener.
func (m *Metrics) QueryCompleted(success bool, duration time.Duration) {
	if !success {
		m.Failed.Add(1)
	}
	m.Nanoseconds.Add(int64(duration))
}

// Start listens and serves until Close. An address that is not on the loopback
// interface is refused while an account has no password.
func Start(db *engine.DB, cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 512
	}
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "MySQL address %q: %w", cfg.Addr, err).WithHint("write host:port, as in 127.0.0.1:3306")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	loopback := isLoopback(host)
	if !loopback {
		if user, ok := db.AccountWithoutPassword(); ok {
			return nil, sqlerror.Userf(sqlerror.CodeAuth, "MySQL address %s can be reached from other machines, and account %s has no password", cfg.Addr, user).
				WithHint("give it one with --password-file or LEAT_PASSWORD, or listen on 127.0.0.1")
		}
	}
	quietLibraryLog(cfg.Logger)
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for MySQL clients: %w", err)
	}
	s := &Server{listener: listener, done: make(chan struct{}), metrics: &Metrics{}}
	s.server, err = server.NewServer(server.Config{
		Listener: listener, Protocol: "tcp", Address: listener.Addr().String(), Version: Version,
		TLSConfig: cfg.TLS, RequireSecureTransport: cfg.RequireTLS, MaxConnections: cfg.MaxConnections,
		AllowClearTextWithoutTLS: loopback, MaxLoggedQueryLen: -1,
	}, db.MySQL(), gms.NewContext, newSession, s.metrics)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start MySQL server: %w", err), listener.Close())
	}
	go func() {
		defer close(s.done)
		if err := s.server.Start(); err != nil {
			cfg.Logger.Error("MySQL server ended", "error", err)
		}
	}()
	cfg.Logger.Info("listening for MySQL clients", "address", s.Addr())
	return s, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
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

// Close stops listening, ends the connections and waits.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.done
	if err != nil {
		return fmt.Errorf("close MySQL server: %w", err)
	}
	return nil
}

// quietLibraryLog sends the protocol library's warnings to our log, and nothing
// else to nowhere.
func quietLibraryLog(logger *slog.Logger) {
	logrus.SetOutput(io.Discard)
	logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	logrus.AddHook(logHook{logger})
}

type logHook struct{ logger *slog.Logger }

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire implements logrus.Hook.
func (h logHook) Fire(e *logrus.Entry) error {
	h.logger.Debug(e.Message, "from", "mysql protocol", "level", e.Level.String())
	return nil
}
