package iceberg

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/iceberg-go"
	sqlcatalog "github.com/apache/iceberg-go/catalog/sql"
	"github.com/apache/iceberg-go/table"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/leatdb/leat/sql/sqlerror"
)

// CatalogPath is the file that a catalog_uri names: a path, or a URI as
// SQLAlchemy and pyiceberg write it (sqlite:////absolute, sqlite:///relative).
// A relative path is below dir.
func CatalogPath(uri, dir string) (string, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok:
		rest = uri
	case scheme == "file":
	case scheme == "sqlite":
		rest = strings.TrimPrefix(rest, "/")
	default:
		return "", sqlerror.Userf(sqlerror.CodeUnsupported, "catalog_uri %q: only SQLite files are supported", uri).
			WithHint("write /path/catalog.db or sqlite:////path/catalog.db")
	}
	if rest == "" || strings.HasSuffix(rest, "/") || strings.ContainsRune(rest, 0) {
		return "", sqlerror.Userf(sqlerror.CodeBadOption, "catalog_uri %q names no file", uri)
	}
	if !filepath.IsAbs(rest) {
		rest = filepath.Join(dir, rest)
	}
	return filepath.Clean(rest), nil
}

// openSQLite opens the catalog in the schema that Iceberg's JDBC catalogs
// share. Every commit is on disk before it is reported, and writers wait for
// each other up to five seconds.
func openSQLite(ctx context.Context, opts Options, props iceberg.Properties) (*backend, error) {
	if err := os.MkdirAll(filepath.Dir(opts.CatalogPath), 0o755); err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "make the folder of the catalog: %w", err)
	}
	dsn := url.URL{Scheme: "file", Path: opts.CatalogPath, RawQuery: url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, sqliteError("open catalog "+opts.CatalogPath, err)
	}
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, sqliteError("open catalog "+opts.CatalogPath, err)
	}
	cat, err := sqlcatalog.NewCatalog(opts.CatalogName, db, sqlcatalog.SQLite, props)
	if err != nil {
		_ = db.Close()
		return nil, sqliteError("open catalog "+opts.CatalogPath, err)
	}
	return &backend{
		Catalog:            cat,
		comparesProperties: true,
		register: func(ctx context.Context, ident table.Identifier, metadataLocation string) error {
			_, err := db.ExecContext(ctx, `INSERT INTO iceberg_tables
				(catalog_name, table_namespace, table_name, metadata_location) VALUES (?, ?, ?, ?)`,
				opts.CatalogName, ident[0], ident[1], metadataLocation)
			return err
		},
		check: func(ctx context.Context) error {
			if err := db.PingContext(ctx); err != nil {
				return sqliteError("open catalog "+opts.CatalogPath, err)
			}
			return nil
		},
		close: func() error { return errors.Join(cat.Close(), db.Close()) },
	}, nil
}

// sqliteError classifies what the catalog's database says. What is not known
// may pass by itself.
func sqliteError(op string, err error) error {
	e := sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", op, err)
	failure, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return e
	}
	switch failure.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		e.Code = sqlerror.CodeLocked
		return e.WithHint("another process holds the catalog; it is tried again")
	case sqlite3.SQLITE_FULL:
		return e.WithHint("the disk is full; free space and work goes on")
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		e.Code = sqlerror.CodeAuth
		return e.WithHint("the process must be able to write the file and its folder")
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return e.Final().WithHint("the file is no SQLite database or is damaged; restore it from a backup, or move it away and take each table over: CREATE OR REPLACE STREAM … WITH (adopt = 'true')")
	}
	return e
}
