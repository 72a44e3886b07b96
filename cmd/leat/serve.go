package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/mysqlserver"
)

// Defaults of the flags that serve and others share.
const (
	defaultData  = "./leat-data"
	defaultMySQL = "127.0.0.1:3306"
	defaultHTTP  = "127.0.0.1:8306"
)

type serveFlags struct {
	data, mysql, http   string
	init                fileList
	threads             int
	memory              int
	passwordFile        string
	tlsCert, tlsKey     string
	requireTLS          bool
	logLevel, logFormat string
}

func runServe(ctx context.Context, c *cli, args []string) int {
	var f serveFlags
	fs := c.flags("serve")
	fs.StringVar(&f.data, "data", envOr("LEAT_DATA", defaultData), "data `directory` (LEAT_DATA)")
	fs.StringVar(&f.mysql, "mysql", envOr("LEAT_MYSQL", defaultMySQL), "`address` for MySQL clients (LEAT_MYSQL)")
	fs.StringVar(&f.http, "http", envOr("LEAT_HTTP", defaultHTTP), "`address` for /metrics, /healthz and /readyz, empty for none (LEAT_HTTP)")
	fs.Var(&f.init, "init", "SQL `file` to execute at the start, repeatable; may be given several times")
	fs.IntVar(&f.threads, "threads", 0, "`cores` to use (default all)")
	fs.IntVar(&f.memory, "stream-memory", 256, "`MiB` that each stream may hold in open files")
	fs.StringVar(&f.passwordFile, "password-file", "", "`file` with root's password (or LEAT_PASSWORD)")
	fs.StringVar(&f.tlsCert, "tls-cert", "", "PEM `file` with the certificate for MySQL clients")
	fs.StringVar(&f.tlsKey, "tls-key", "", "PEM `file` with its key")
	fs.BoolVar(&f.requireTLS, "require-tls", false, "refuse MySQL clients without TLS")
	fs.StringVar(&f.logLevel, "log-level", envOr("LEAT_LOG_LEVEL", "info"), "`level`: debug, info, warn or error (LEAT_LOG_LEVEL)")
	fs.StringVar(&f.logFormat, "log-format", "text", "`format` of the log on standard error: text or json")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(c.stderr, "leat serve: unexpected argument %q; SQL files are given with --init\n", fs.Arg(0))
		return exitUsage
	}
	logger, err := newLogger(c, f.logLevel, f.logFormat)
	if err != nil {
		fmt.Fprintln(c.stderr, "leat serve:", err)
		return exitUsage
	}
	if err := serve(ctx, c, f, logger); err != nil {
		return c.fail(err)
	}
	return exitDone
}

func newLogger(c *cli, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(c.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.stderr, options)), nil
	}
	return nil, fmt.Errorf("log format %q is none of text, json", format)
}

// useThreads bounds the cores of the whole process.
func useThreads(n int) {
	if n > 0 {
		runtime.GOMAXPROCS(n)
	}
}

func serve(ctx context.Context, c *cli, f serveFlags, logger *slog.Logger) (err error) {
	useThreads(f.threads)
	tlsConfig, err := loadTLS(f.tlsCert, f.tlsKey)
	if err != nil {
		return err
	}
	db, err := engine.Open(ctx, engine.Config{Dir: f.data, Threads: f.threads, StreamMemory: int64(f.memory) << 20, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := setRootPassword(ctx, db, f.passwordFile); err != nil {
		return err
	}
	// The health port answers before the MySQL port does, so that whoever waits
	// for /readyz sees a process that is alive.
	status := &health{db: db}
	if f.http != "" {
		web, err := startHTTP(f.http, status, logger)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, web.close()) }()
	}
	for _, file := range f.init {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read init file: %w", err)
		}
		if err := db.Script(ctx, string(text), file); err != nil {
			return err
		}
		logger.Info("init file executed", "file", file)
	}
	mysql, err := mysqlserver.Start(db, mysqlserver.Config{Addr: f.mysql, TLS: tlsConfig, RequireTLS: f.requireTLS, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mysql.Close()) }()
	status.serving(mysql.Metrics())
	logger.Info("ready", "version", version(), "mysql", mysql.Addr(), "data", db.Dir())
	<-ctx.Done()
	logger.Info("stopping: committing what has been read")
	return nil
}

func loadTLS(cert, key string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, errors.New("--tls-cert and --tls-key go together")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

func setRootPassword(ctx context.Context, db *engine.DB, file string) error {
	password := os.Getenv("LEAT_PASSWORD")
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read password file: %w", err)
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return fmt.Errorf("password file %s is empty", file)
		}
	}
	if password == "" {
		return nil
	}
	return db.SetPassword(ctx, "root", password)
}
