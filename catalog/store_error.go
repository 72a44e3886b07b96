package catalog

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/leatdb/leat/sql/sqlerror"
)

// wrap says which catalog an error of SQLite is about and what can be done. act
// is a verb: "read", "change".
func (q *queries) wrap(act string, err error) error {
	if err == nil || sqlerror.As(err) != nil {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s catalog: %w", act, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s catalog %s: %w", act, q.path, err)
	}
	const primary = 0xff // the rest of a code says more about the same
	switch e.Code() & primary {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return sqlerror.Externalf(sqlerror.CodeLocked, "%s catalog %s: another process holds its lock: %w", act, q.path, err)
	case sqlite3.SQLITE_FULL:
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s catalog %s: no space is left: %w", act, q.path, err).
			WithHint("free space on the disk of the data directory")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return q.damaged(act, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s catalog %s: %w", act, q.path, err).Final().
			WithHint("it has to be a file that this user may read and write")
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s catalog %s: %w", act, q.path, err)
}

func (q *queries) damaged(act string, err error) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s catalog %s: the file is damaged or no catalog: %w", act, q.path, err).Final().
		WithHint("restore it from a backup, or move it away and run the definitions again: what streams have done is in their tables")
}
