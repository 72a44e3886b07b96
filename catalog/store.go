package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// Store keeps the definitions of a data directory in one SQLite file: sources,
// sinks and streams (Object), views, the MySQL user database and settings. What a
// method has changed when it returns survives a crash of the machine. Methods
// may be called at the same time; changes happen one after another.
//
// Errors are *sqlerror.Error with CodeExists, CodeUnknownObject or CodeConflict for
// what the caller asked, and External ones that name the file for what SQLite
// reports: CodeLocked (retryable) while another process writes, CodeExternal for
// a full disk (retryable) or a damaged file.
type Store struct {
	queries
	db *sql.DB
	// writing is taken by the one change that happens: SQLite would make the
	// others poll for the lock.
	writing chan struct{}
}

// Tx is a change of several things that happen together; see Store.Update.
type Tx struct {
	queries
	tx *sql.Tx
}

// queries is what reads, in a transaction or on its own.
type queries struct {
	querier querier
	path    string
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// storePragmas are set on each connection. A commit is on disk when it returns.
var storePragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"}

// maxStoreConnections bounds how many readers work at a time.
const maxStoreConnections = 4

// Open opens the store in the file at path and creates it if there is none, so
// that only its owner can read it: definitions hold secrets. A file of an older
// version is brought up to date; one of a newer version, one that is no
// catalog, and one that is damaged are refused.
func Open(path string) (*Store, error) {
	return open(path, storePragmas, migrations)
}

func open(path string, pragmas, migrations []string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	db.SetMaxOpenConns(maxStoreConnections)
	db.SetMaxIdleConns(maxStoreConnections)
	s := &Store{queries: queries{querier: db, path: path}, db: db, writing: make(chan struct{}, 1)}
	if err := s.prepare(context.Background(), migrations); err != nil {
		_ = db.Close() // the reason matters more
		return nil, s.wrap("open", err)
	}
	return s, nil
}

// createPrivate makes an empty file that only its owner can read, unless the
// file exists. SQLite gives its journals the same mode.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

// Close closes the file. Changes that are going on fail.
func (s *Store) Close() error { return s.wrap("close", s.db.Close()) }

// Update makes the changes of fn together, or none if fn or the commit returns
// an error, which Update returns. Within fn only tx may be used: a change by
// another method of the store would wait for fn to end.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return s.wrap("change", ctx.Err())
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap("change", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := fn(&Tx{queries: queries{querier: tx, path: s.path}, tx: tx}); err != nil {
		return err
	}
	return s.wrap("change", tx.Commit())
}

// exec runs one statement and returns how many rows it changed.
func (tx *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := tx.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, tx.wrap("change", err)
	}
	n, err := result.RowsAffected()
	return n, tx.wrap("change", err)
}

// foldName is a key that names which differ only in case share, as
// strings.EqualFold compares them.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
