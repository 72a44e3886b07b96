package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// The kinds of Object.
const (
	KindSource = "source"
	KindSink   = "sink"
	KindStream = "stream"
)

// Object is a stored source, sink or stream.
type Object struct {
	Kind string
	// Name is as it was written when the object was created; names are compared
	// without regard to case, and unique over all kinds.
	Name string
	// Definition is the statement that creates the object, secrets as the user
	// wrote them.
	Definition string
	// Normal is the definition's normal form, by which definitions are compared.
	Normal    string
	CreatedAt time.Time // UTC, in microseconds; set by Put
	UpdatedAt time.Time // UTC, in microseconds; set by Put and Replace
	// Running is whether a stream is meant to run: false after STOP STREAM.
	Running bool
	// Failure is why a stream cannot run until somebody does something, or empty.
	Failure string
	// Columns are the inferred columns of a source, as its owner encodes them, or
	// nil.
	Columns []byte
}

const objectColumns = "kind, name, definition, normal, created_at, updated_at, running, failure, columns"

func scanObject(row interface{ Scan(...any) error }) (*Object, error) {
	var o Object
	var created, updated int64
	err := row.Scan(&o.Kind, &o.Name, &o.Definition, &o.Normal, &created, &updated, &o.Running, &o.Failure, &o.Columns)
	o.CreatedAt, o.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return &o, err
}

// Get finds an object of any kind by its name. If there is none the error has
// CodeUnknownObject and proposes the nearest name.
func (q *queries) Get(ctx context.Context, name string) (*Object, error) {
	o, err := scanObject(q.querier.QueryRowContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE key = ?", foldName(name)))
	if err == nil {
		return o, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, q.wrap("read", err)
	}
	return nil, q.unknown(ctx, name)
}

func (q *queries) unknown(ctx context.Context, name string) error {
	objects, err := q.List(ctx, "")
	if err != nil {
		return err
	}
	names := make([]string, len(objects))
	for i := range objects {
		names[i] = objects[i].Name
	}
	e := sqlerror.Userf(sqlerror.CodeUnknownObject, "no source, sink or stream is named %s", name)
	if near := sqlerror.Nearest(name, names); near != "" {
		e = e.WithHint("did you mean %s?", near)
	}
	return e
}

// List gives the objects of a kind, or of all kinds if it is empty, by name.
func (q *queries) List(ctx context.Context, kind string) ([]Object, error) {
	rows, err := q.querier.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE ?1 = '' OR kind = ?1 ORDER BY key", kind)
	if err != nil {
		return nil, q.wrap("read", err)
	}
	defer func() { _ = rows.Close() }()
	var list []Object
	for rows.Next() {
		o, err := scanObject(rows)
		if err != nil {
			return nil, q.wrap("read", err)
		}
		list = append(list, *o)
	}
	return list, q.wrap("read", rows.Err())
}

// Put stores a new object and sets its times. If one of that name exists, of
// whatever kind, the error has CodeExists.
func (tx *Tx) Put(ctx context.Context, o *Object) error {
	if !slices.Contains([]string{KindSource, KindSink, KindStream}, o.Kind) || o.Name == "" {
		return sqlerror.Userf(sqlerror.CodeInternal, "store object %q of kind %q: both have to be given", o.Name, o.Kind)
	}
	switch old, err := tx.Get(ctx, o.Name); {
	case err == nil:
		return exists(o, old)
	case !sqlerror.HasCode(err, sqlerror.CodeUnknownObject):
		return err
	}
	o.CreatedAt = now()
	o.UpdatedAt = o.CreatedAt
	_, err := tx.exec(ctx, "INSERT INTO objects (key, "+objectColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		foldName(o.Name), o.Kind, o.Name, o.Definition, o.Normal, o.CreatedAt.UnixMicro(), o.UpdatedAt.UnixMicro(), o.Running, o.Failure, o.Columns)
	return err
}

func exists(o, old *Object) error {
	e := sqlerror.Userf(sqlerror.CodeExists, "a %s named %s exists", old.Kind, old.Name)
	if old.Kind != o.Kind {
		return e.WithHint("names are unique over sources, sinks and streams")
	}
	return e
}

// Replace stores an object in place of the one of the same name, all of it but
// CreatedAt, which it sets from there. If there is none the error has
// CodeUnknownObject, if it is of another kind CodeExists.
func (tx *Tx) Replace(ctx context.Context, o *Object) error {
	old, err := tx.Get(ctx, o.Name)
	if err != nil {
		return err
	}
	if old.Kind != o.Kind {
		return exists(o, old)
	}
	// A clock that was set back does not make an update older than the object.
	o.CreatedAt, o.UpdatedAt = old.CreatedAt, now()
	if o.UpdatedAt.Before(old.UpdatedAt) {
		o.UpdatedAt = old.UpdatedAt
	}
	_, err = tx.exec(ctx, "UPDATE objects SET name = ?, definition = ?, normal = ?, updated_at = ?, running = ?, failure = ?, columns = ? WHERE key = ?",
		o.Name, o.Definition, o.Normal, o.UpdatedAt.UnixMicro(), o.Running, o.Failure, o.Columns, foldName(o.Name))
	return err
}

// Delete removes an object. If there is none the error has CodeUnknownObject.
func (tx *Tx) Delete(ctx context.Context, name string) error {
	return tx.changeObject(ctx, name, "DELETE FROM objects WHERE key = ?1")
}

// SetRunning stores whether a stream is meant to run. If there is no object of
// that name the error has CodeUnknownObject.
func (tx *Tx) SetRunning(ctx context.Context, name string, running bool) error {
	return tx.changeObject(ctx, name, "UPDATE objects SET running = ?2 WHERE key = ?1", running)
}

// SetFailure stores why an object cannot be used, or that it can with an empty
// failure. If there is no object of that name the error has CodeUnknownObject.
func (tx *Tx) SetFailure(ctx context.Context, name, failure string) error {
	return tx.changeObject(ctx, name, "UPDATE objects SET failure = ?2 WHERE key = ?1", failure)
}

// SetColumns stores the inferred columns of a source. If there is no object of
// that name the error has CodeUnknownObject.
func (tx *Tx) SetColumns(ctx context.Context, name string, columns []byte) error {
	return tx.changeObject(ctx, name, "UPDATE objects SET columns = ?2 WHERE key = ?1", columns)
}

func (tx *Tx) changeObject(ctx context.Context, name, query string, args ...any) error {
	n, err := tx.exec(ctx, query, append([]any{foldName(name)}, args...)...)
	if err == nil && n == 0 {
		return tx.unknown(ctx, name)
	}
	return err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Put is Tx.Put on its own.
func (s *Store) Put(ctx context.Context, o *Object) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Put(ctx, o) })
}

// Replace is Tx.Replace on its own.
func (s *Store) Replace(ctx context.Context, o *Object) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Replace(ctx, o) })
}

// Delete is Tx.Delete on its own.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Delete(ctx, name) })
}

// SetRunning is Tx.SetRunning on its own.
func (s *Store) SetRunning(ctx context.Context, name string, running bool) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.SetRunning(ctx, name, running) })
}

// SetFailure is Tx.SetFailure on its own.
func (s *Store) SetFailure(ctx context.Context, name, failure string) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.SetFailure(ctx, name, failure) })
}

// SetColumns is Tx.SetColumns on its own.
func (s *Store) SetColumns(ctx context.Context, name string, columns []byte) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.SetColumns(ctx, name, columns) })
}
