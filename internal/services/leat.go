package services

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	// The driver "mysql" is what Leat.DB opens.
	_ "github.com/go-sql-driver/mysql"
)

// leatTags are the build tags that Leat needs.
const leatTags = "gms_pure_go,duckdb_arrow"

// Leat is a running leat serve with its own data directory. Addresses and data
// stay the same over restarts.
type Leat struct {
	*Process
	MySQL string // host:port for MySQL clients; user root has no password
	HTTP  string // host:port of /readyz and /metrics
	Data  string // the data directory
}

// LeatBinary is the path of the leat that is tested: $LEAT_BIN, or else one that
// is built from this checkout into the cache folder.
func LeatBinary(t TB) string {
	t.Helper()
	if path := os.Getenv("LEAT_BIN"); path != "" {
		if !filepath.IsAbs(path) {
			t.Fatalf("LEAT_BIN %s is relative: tests run in other folders", path)
		}
		return path
	}
	cache, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockFile(filepath.Join(cache, "leat.lock"))
	if err != nil {
		t.Fatalf("build leat: %v", err)
	}
	defer unlock()
	path := filepath.Join(cache, "leat")
	if _, err := run(t.Context(), "", nil, "go", "build", "-trimpath", "-tags", leatTags, "-o", path, "github.com/leatdb/leat/cmd/leat"); err != nil {
		t.Fatalf("build leat: %v", err)
	}
	return path
}

// StartLeat starts the binary's leat serve with further arguments, such as
// --init FILE, and returns when statements are served and all streams have
// started or are RETRYING.
func StartLeat(t TB, binary string, args ...string) *Leat {
	t.Helper()
	address := FreeAddresses(t, 2)
	l := &Leat{MySQL: address[0], HTTP: address[1], Data: filepath.Join(t.TempDir(), "data")}
	l.Process = start(t, command{
		name:    "leat",
		program: binary,
		args:    append([]string{"serve", "--data", l.Data, "--mysql", l.MySQL, "--http", l.HTTP, "--log-level", "debug"}, args...),
		ready: func(ctx context.Context, _ []byte) error {
			_, err := l.Get(ctx, "/readyz")
			return err
		},
	})
	return l
}

// Get asks the HTTP port; an answer other than 200 is an error.
func (l *Leat) Get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.HTTP+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// DB returns connections to the MySQL port, closed with the test.
func (l *Leat) DB() *sql.DB {
	l.t.Helper()
	db, err := sql.Open("mysql", "root@tcp("+l.MySQL+")/?interpolateParams=true")
	if err != nil {
		l.t.Fatalf("connect to leat: %v", err)
	}
	l.t.Cleanup(func() { _ = db.Close() })
	return db
}

// Client types statements into the stock client mariadb and returns what it
// prints: rows with tabs between columns, without a head.
func (l *Leat) Client(statements string) (stdout string, err error) {
	l.t.Helper()
	host, port, _ := strings.Cut(l.MySQL, ":")
	cmd := exec.CommandContext(l.t.Context(), MySQLClient(l.t), "--no-defaults", "--batch", "--skip-column-names",
		"--host", host, "--port", port, "--user", "root")
	cmd.Stdin = strings.NewReader(statements)
	var out, problem strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("mariadb client: %w: %s", err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}
