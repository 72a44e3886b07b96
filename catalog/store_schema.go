package catalog

import (
	"context"
	"fmt"

	"github.com/leatdb/leat/sql/sqlerror"
)

// applicationID marks the SQLite file as a catalog of Leat ("leat" in ASCII).
const applicationID = 0x6c656174

// migrations bring a catalog from one schema version to the next; the version
// (SQLite's user_version) is how many of them have run. New ones are appended.
var migrations = []string{`
CREATE TABLE objects (
  key        TEXT PRIMARY KEY,   -- the name, folded
  kind       TEXT NOT NULL,
  name       TEXT NOT NULL,
  definition TEXT NOT NULL,
  normal     TEXT NOT NULL,
  created_at INTEGER NOT NULL,   -- microseconds since 1970, UTC
  updated_at INTEGER NOT NULL,
  running    INTEGER NOT NULL,
  failure    TEXT NOT NULL,
  columns    BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE views (
  database_key TEXT NOT NULL,
  key          TEXT NOT NULL,
  database     TEXT NOT NULL,
  name         TEXT NOT NULL,
  select_text  TEXT NOT NULL,
  definition   TEXT NOT NULL,
  sql_mode     TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (database_key, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE users (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  data BLOB NOT NULL
) STRICT;
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE secrets (
  key        TEXT PRIMARY KEY,   -- the name, folded
  name       TEXT NOT NULL,
  sealed     BLOB NOT NULL,      -- encrypted
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`}

// prepare checks that the file is a sound catalog and brings it to the newest
// version.
func (s *Store) prepare(ctx context.Context, migrations []string) error {
	var sound string
	if err := s.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&sound); err != nil {
		return err
	}
	if sound != "ok" {
		return s.damaged("open", fmt.Errorf("quick_check: %s", sound))
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	var id, version, tables int
	for pragma, into := range map[string]*int{
		"PRAGMA application_id": &id, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := tx.QueryRowContext(ctx, pragma).Scan(into); err != nil {
			return err
		}
	}
	if id != applicationID && (id != 0 || version != 0 || tables != 0) {
		return sqlerror.Userf(sqlerror.CodeConflict, "open catalog %s: the file is an SQLite database of something else", s.path).
			WithHint("give another data directory")
	}
	if version > len(migrations) {
		return sqlerror.Userf(sqlerror.CodeConflict, "open catalog %s: it has version %d, and this program knows versions up to %d", s.path, version, len(migrations)).
			WithHint("a newer leat has used this data directory; start that one")
	}
	if version == len(migrations) {
		return nil
	}
	for i, m := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, m); err != nil {
			return fmt.Errorf("migrate to version %d: %w", version+i+1, err)
		}
	}
	// Both are in the file's header, so they change with the transaction.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations))); err != nil {
		return err
	}
	return tx.Commit()
}
