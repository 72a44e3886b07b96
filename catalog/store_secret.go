package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Secret is a stored secret. Names are compared without regard to case.
type Secret struct {
	Name      string
	Sealed    []byte    // encrypted by the caller
	CreatedAt time.Time // UTC, in microseconds; set by PutSecret
}

func scanSecret(row interface{ Scan(...any) error }) (*Secret, error) {
	var s Secret
	var created int64
	err := row.Scan(&s.Name, &s.Sealed, &created)
	s.CreatedAt = time.UnixMicro(created).UTC()
	return &s, err
}

// Secret finds a secret; the error has CodeUnknownObject if there is none.
func (q *queries) Secret(ctx context.Context, name string) (*Secret, error) {
	s, err := scanSecret(q.querier.QueryRowContext(ctx, "SELECT name, sealed, created_at FROM secrets WHERE key = ?", foldName(name)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no secret %s", name)
	}
	return s, q.wrap("read", err)
}

// Secrets gives all secrets, by name.
func (q *queries) Secrets(ctx context.Context) ([]*Secret, error) {
	rows, err := q.querier.QueryContext(ctx, "SELECT name, sealed, created_at FROM secrets ORDER BY key")
	if err != nil {
		return nil, q.wrap("read", err)
	}
	defer func() { _ = rows.Close() }()
	var list []*Secret
	for rows.Next() {
		s, err := scanSecret(rows)
		if err != nil {
			return nil, q.wrap("read", err)
		}
		list = append(list, s)
	}
	return list, q.wrap("read", rows.Err())
}

// PutSecret stores a secret and sets its time, in the place of one of its name
// if there is one.
func (s *Store) PutSecret(ctx context.Context, secret *Secret) error {
	return s.Update(ctx, func(tx *Tx) error {
		secret.CreatedAt = now()
		_, err := tx.exec(ctx, `INSERT INTO secrets (key, name, sealed, created_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET name = excluded.name, sealed = excluded.sealed, created_at = excluded.created_at`,
			foldName(secret.Name), secret.Name, secret.Sealed, secret.CreatedAt.UnixMicro())
		return err
	})
}

// DeleteSecret removes a secret. If there is none the error has
// CodeUnknownObject.
func (s *Store) DeleteSecret(ctx context.Context, name string) error {
	return s.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, "DELETE FROM secrets WHERE key = ?", foldName(name))
		if err == nil && n == 0 {
			return sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no secret %s", name)
		}
		return err
	})
}
