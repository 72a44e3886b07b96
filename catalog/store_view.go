package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// View is a stored view. Names are compared without regard to case.
type View struct {
	Database string
	Name     string
	// Select is the query, Definition the whole CREATE VIEW statement.
	Select     string
	Definition string
	// SQLMode is the sql_mode under which both are read.
	SQLMode   string
	CreatedAt time.Time // UTC, in microseconds; set by PutView
}

const viewColumns = "database, name, select_text, definition, sql_mode, created_at"

func scanView(row interface{ Scan(...any) error }) (*View, error) {
	var v View
	var created int64
	err := row.Scan(&v.Database, &v.Name, &v.Select, &v.Definition, &v.SQLMode, &created)
	v.CreatedAt = time.UnixMicro(created).UTC()
	return &v, err
}

// View finds a view; ok is false if there is none.
func (q *queries) View(ctx context.Context, database, name string) (v *View, ok bool, err error) {
	v, err = scanView(q.querier.QueryRowContext(ctx, "SELECT "+viewColumns+" FROM views WHERE database_key = ? AND key = ?", foldName(database), foldName(name)))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, q.wrap("read", err)
	}
	return v, true, nil
}

// Views gives the views of a database, by name.
func (q *queries) Views(ctx context.Context, database string) ([]*View, error) {
	rows, err := q.querier.QueryContext(ctx, "SELECT "+viewColumns+" FROM views WHERE database_key = ? ORDER BY key", foldName(database))
	if err != nil {
		return nil, q.wrap("read", err)
	}
	defer func() { _ = rows.Close() }()
	var list []*View
	for rows.Next() {
		v, err := scanView(rows)
		if err != nil {
			return nil, q.wrap("read", err)
		}
		list = append(list, v)
	}
	return list, q.wrap("read", rows.Err())
}

// PutView stores a new view and sets its time. If the database has one of that
// name the error has CodeExists.
func (tx *Tx) PutView(ctx context.Context, v *View) error {
	if _, ok, err := tx.View(ctx, v.Database, v.Name); err != nil {
		return err
	} else if ok {
		return sqlerror.Userf(sqlerror.CodeExists, "view %s.%s exists", v.Database, v.Name)
	}
	v.CreatedAt = now()
	_, err := tx.exec(ctx, "INSERT INTO views (database_key, key, "+viewColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		foldName(v.Database), foldName(v.Name), v.Database, v.Name, v.Select, v.Definition, v.SQLMode, v.CreatedAt.UnixMicro())
	return err
}

// DeleteView removes a view. If there is none the error has CodeUnknownObject.
func (tx *Tx) DeleteView(ctx context.Context, database, name string) error {
	n, err := tx.exec(ctx, "DELETE FROM views WHERE database_key = ? AND key = ?", foldName(database), foldName(name))
	if err == nil && n == 0 {
		return sqlerror.Userf(sqlerror.CodeUnknownObject, "database %s has no view %s", database, name)
	}
	return err
}

// PutView is Tx.PutView on its own.
func (s *Store) PutView(ctx context.Context, v *View) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.PutView(ctx, v) })
}

// DeleteView is Tx.DeleteView on its own.
func (s *Store) DeleteView(ctx context.Context, database, name string) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.DeleteView(ctx, database, name) })
}
