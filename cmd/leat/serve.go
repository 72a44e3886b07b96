//go:build gms_pure_go && duckdb_arrow

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
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
	memory, queryMemory int
	passwordFile        string
	tlsCert, tlsKey     string
	requireTLS, noTLS   bool
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
	fs.IntVar(&f.queryMemory, "query-memory", 0, "`MiB` that ad hoc queries may hold in all (default a quarter of the machine's memory, at most 4096)")
	fs.StringVar(&f.passwordFile, "password-file", "", "`file` with root's password (or LEAT_PASSWORD)")
	fs.StringVar(&f.tlsCert, "tls-cert", "", "PEM `file` with the certificate for MySQL clients (default one of its own, in the data directory)")
	fs.StringVar(&f.tlsKey, "tls-key", "", "PEM `file` with its key")
	fs.BoolVar(&f.requireTLS, "require-tls", false, "refuse MySQL clients without TLS")
	fs.BoolVar(&f.noTLS, "no-tls", false, "offer no TLS to MySQL clients; accounts with caching_sha2_password cannot log in then")
	fs.StringVar(&f.logLevel, "log-level", envOr("LEAT_LOG_LEVEL", "info"), "`level`: debug, info, warn or error (LEAT_LOG_LEVEL)")
	fs.StringVar(&f.logFormat, "log-format", envOr("LEAT_LOG_FORMAT", "auto"), "`format` of the log on standard error: text, json, or auto, which is text at a terminal and else json (LEAT_LOG_FORMAT)")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(c.stderr, "leat serve: unexpected argument %q; SQL files are given with --init\n", fs.Arg(0))
		return exitUsage
	}
	logger, err := newLogger(c.stderr, f.logLevel, f.logFormat)
	if err != nil {
		fmt.Fprintln(c.stderr, "leat serve:", err)
		return exitUsage
	}
	if f.noTLS && (f.requireTLS || f.tlsCert != "" || f.tlsKey != "") {
		fmt.Fprintln(c.stderr, "leat serve: --no-tls goes with no other --tls flag and not with --require-tls")
		return exitUsage
	}
	code, err := serve(ctx, f, logger)
	if err != nil {
		return c.fail(err)
	}
	return code
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	if format == "auto" {
		format = "json"
		if isTerminal(w) {
			format = "text"
		}
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("log format %q is none of auto, text, json", format)
}

// useThreads bounds the cores of the whole process.
func useThreads(n int) {
	if n > 0 {
		runtime.GOMAXPROCS(n)
	}
}

// serve serves until ctx ends, and gives the exit code that the streams' states
// ask for.
func serve(ctx context.Context, f serveFlags, logger *slog.Logger) (code int, err error) {
	useThreads(f.threads)
	// What is wrong with the directory, the flags or the ports shows before a stream
	// does anything: the server may have been started by mistake, beside another.
	db, err := engine.Open(ctx, engine.Config{Dir: f.data, Threads: f.threads, StreamMemory: int64(f.memory) << 20, QueryMemory: int64(f.queryMemory) << 20, Logger: logger, Paused: true})
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := setRootPassword(ctx, db, f.passwordFile); err != nil {
		return exitFailed, err
	}
	var tlsConfig *tls.Config
	if !f.noTLS {
		if tlsConfig, err = serverTLS(db.Dir(), f.tlsCert, f.tlsKey); err != nil {
			return exitFailed, err
		}
	}
	// The HTTP port answers before the MySQL port does, so that whoever waits for
	// /readyz sees a process that is alive.
	status, http := &health{db: db}, ""
	if f.http != "" {
		web, err := startHTTP(f.http, status, logger)
		if err != nil {
			return exitFailed, err
		}
		defer func() { err = errors.Join(err, web.close()) }()
		http = web.addr
	}
	mysql, err := mysqlserver.Listen(db, mysqlserver.Config{Addr: f.mysql, TLS: tlsConfig, RequireTLS: f.requireTLS, Logger: logger})
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, mysql.Close()) }()
	db.StartStreams(ctx)
	for _, file := range f.init {
		text, err := os.ReadFile(file)
		if err != nil {
			return exitFailed, fmt.Errorf("read init file: %w", err)
		}
		if err := db.Script(ctx, string(text), file); err != nil {
			return exitFailed, err
		}
		logger.Info("init file executed", "file", file)
	}
	mysql.Serve()
	status.serving(mysql.Metrics())
	logger.Info("ready", "version", version(), "mysql", mysql.Addr(), "http", http, "data", db.Dir())
	releaseStartup()
	<-ctx.Done()
	logger.Info("stopping: committing what has been read")
	return streamsCode(db), nil
}

// streamsCode is the exit code for streams that need somebody.
func streamsCode(db *engine.DB) int {
	code := exitDone
	for _, name := range db.Streams() {
		st, err := db.Status(name)
		switch {
		case err != nil: // it was dropped in between
		case st.State == dataflow.Fenced:
			return exitFenced
		case st.State == dataflow.Failed:
			code = exitStream
		}
	}
	return code
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
