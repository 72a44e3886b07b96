//go:build gms_pure_go && duckdb_arrow

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// clientFlags say how a client finds and enters a server.
type clientFlags struct {
	addr, user, passwordFile, database string
	tls, tlsSkipVerify                 bool
	tlsCA                              string
}

func (f *clientFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.addr, "mysql", envOr("LEAT_MYSQL", defaultMySQL), "`address` of the server (LEAT_MYSQL)")
	fs.StringVar(&f.user, "user", "root", "`name` to log in as")
	fs.StringVar(&f.passwordFile, "password-file", "", "`file` with the password (or LEAT_PASSWORD, or MYSQL_PWD)")
	fs.StringVar(&f.database, "database", "", "`database` to begin in (default lake)")
	fs.BoolVar(&f.tls, "tls", false, "use TLS, and check the server's certificate against the system's authorities")
	fs.StringVar(&f.tlsCA, "tls-ca", "", "use TLS, and check the server's certificate against those in the PEM `file`")
	fs.BoolVar(&f.tlsSkipVerify, "tls-skip-verify", false, "use TLS without checking the server's certificate")
}

// config is what the driver needs.
func (f *clientFlags) config() (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName, cfg.Logger = "tcp", f.addr, f.user, f.database, &mysql.NopLogger{}
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return nil, fmt.Errorf("server address %q: %w (write host:port, as in 127.0.0.1:3306)", f.addr, err)
	}
	if cfg.Passwd, err = clientPassword(f.passwordFile); err != nil {
		return nil, err
	}
	if f.tls || f.tlsCA != "" || f.tlsSkipVerify {
		cfg.TLS = &tls.Config{ServerName: host, InsecureSkipVerify: f.tlsSkipVerify, MinVersion: tls.VersionTLS12}
	}
	if f.tlsCA != "" {
		text, err := os.ReadFile(f.tlsCA)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read certificates: %s holds none in PEM", f.tlsCA)
		}
	}
	return cfg, nil
}

// clientPassword is the password from a file, or from the environment.
func clientPassword(file string) (string, error) {
	if file == "" {
		return envOr("LEAT_PASSWORD", os.Getenv("MYSQL_PWD")), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read password file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// textFlag is a flag that may be given several times and remembers that it was.
type textFlag struct {
	parts []string
}

func (f *textFlag) String() string     { return strings.Join(f.parts, ";\n") }
func (f *textFlag) Set(s string) error { f.parts = append(f.parts, s); return nil }

func runSQL(ctx context.Context, c *cli, args []string) int {
	var f clientFlags
	var text textFlag
	fs := c.flags("sql")
	f.register(fs)
	fs.Var(&text, "e", "`SQL` to execute instead of standard input; may be given several times")
	var files fileList
	fs.Var(&files, "f", "`file` of SQL to execute instead of standard input; may be given several times")
	format := fs.String("format", "table", "`format` of rows: table, csv (NULL is an empty field, an empty text \"\") or json (one object a line, binary values in base64)")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(c.stderr, "leat sql: unexpected argument %q; give SQL with -e, in a file with -f or on standard input\n", fs.Arg(0))
		return exitUsage
	}
	if len(text.parts) > 0 && len(files) > 0 {
		fmt.Fprintln(c.stderr, "leat sql: -e and -f exclude each other")
		return exitUsage
	}
	newPrinter, ok := printers[*format]
	if !ok {
		fmt.Fprintf(c.stderr, "leat sql: format %q is none of table, csv, json\n", *format)
		return exitUsage
	}
	cfg, err := f.config()
	if err != nil {
		fmt.Fprintln(c.stderr, "leat sql:", err)
		return exitUsage
	}
	client, err := connectClient(ctx, cfg)
	if err != nil {
		fmt.Fprintf(c.stderr, "leat sql: connect to %s: %s\n", f.addr, describeError(err))
		return exitFailed
	}
	defer client.close()
	client.out, client.err, client.newPrinter = c.stdout, newStatusWriter(c.stderr), newPrinter
	client.timing = isTerminal(c.stdout) && *format == "table"

	if err := client.runInput(ctx, c, f.addr, text, files); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(c.stderr, "leat sql:", err)
		}
		return exitFailed
	}
	return exitDone
}

// runInput executes what the flags give, or else what comes on standard input.
func (s *sqlClient) runInput(ctx context.Context, c *cli, addr string, text textFlag, files fileList) error {
	if len(text.parts) > 0 {
		return s.run(ctx, strings.NewReader(text.String()), false)
	}
	for _, name := range files {
		in, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read SQL: %w", err)
		}
		s.file = name
		err = s.run(ctx, in, false)
		_ = in.Close() // it was only read
		if err != nil {
			return err
		}
	}
	if len(files) > 0 {
		return nil
	}
	interactive := isTerminal(c.stdin)
	if interactive {
		fmt.Fprintf(c.stdout, "Leat at %s. Statements end with ; and \\q quits.\n", addr)
	}
	return s.run(ctx, c.stdin, interactive)
}

// connectClient opens the one connection that statements run on.
func connectClient(ctx context.Context, cfg *mysql.Config) (*sqlClient, error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &sqlClient{pool: pool, conn: conn}, nil
}

func (s *sqlClient) close() {
	_ = s.conn.Close() // what it had to say was said
	_ = s.pool.Close()
}

// describeError is an error of the server with its number, others as they are.
func describeError(err error) string {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return fmt.Sprintf("error %d (%s): %s", e.Number, e.SQLState, e.Message)
	}
	return err.Error()
}
