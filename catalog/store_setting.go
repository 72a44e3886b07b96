package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// LoadUsers gives the MySQL user database as SaveUsers has stored it, or nil.
func (q *queries) LoadUsers(ctx context.Context) ([]byte, error) {
	var data []byte
	err := q.querier.QueryRowContext(ctx, "SELECT data FROM users").Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{} // the driver gives nil for an empty blob
	}
	return data, q.wrap("read", err)
}

// SaveUsers stores the MySQL user database: bytes that only its owner reads.
func (tx *Tx) SaveUsers(ctx context.Context, data []byte) error {
	if data == nil {
		data = []byte{} // saved, though empty
	}
	_, err := tx.exec(ctx, "INSERT INTO users (id, data) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data", data)
	return err
}

// Setting gives the value of a setting; ok is false if it is not set.
func (q *queries) Setting(ctx context.Context, key string) (value string, ok bool, err error) {
	err = q.querier.QueryRowContext(ctx, "SELECT value FROM settings WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, q.wrap("read", err)
}

// SetSetting sets a setting.
func (tx *Tx) SetSetting(ctx context.Context, key, value string) error {
	_, err := tx.exec(ctx, "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}

// DeleteSetting unsets a setting, if it is set.
func (tx *Tx) DeleteSetting(ctx context.Context, key string) error {
	_, err := tx.exec(ctx, "DELETE FROM settings WHERE key = ?", key)
	return err
}

// SaveUsers is Tx.SaveUsers on its own.
func (s *Store) SaveUsers(ctx context.Context, data []byte) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.SaveUsers(ctx, data) })
}

// SetSetting is Tx.SetSetting on its own.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, key, value) })
}

// DeleteSetting is Tx.DeleteSetting on its own.
func (s *Store) DeleteSetting(ctx context.Context, key string) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.DeleteSetting(ctx, key) })
}
