package iceberg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go/table"
)

// snapshotOf is the snapshot that an update adds, nil for other updates. The
// library does not export the update's type, only its field.
func snapshotOf(u table.Update) *table.Snapshot {
	if u.Action() != table.UpdateAddSnapshot {
		return nil
	}
	v := reflect.Indirect(reflect.ValueOf(u))
	if v.Kind() != reflect.Struct {
		return nil
	}
	field := v.FieldByName("Snapshot")
	if !field.IsValid() || !field.CanInterface() {
		return nil
	}
	s, _ := field.Interface().(*table.Snapshot)
	return s
}

// mendSnapshot makes a staged snapshot fit to be kept and to be committed.
//
// Ids in it point into the transaction that made it (iceberg-go 0.7.0), which
// holds the data files that it adds and the metadata that it was built on, whose
// last snapshot points into the transaction before: in memory, no commit would
// ever be forgotten.
//
// Its time is that of the clock, and behind the last snapshot's, so that they can
// be told apart by age.
func mendSnapshot(s *table.Snapshot, last int64) {
	if s.SchemaID != nil {
		s.SchemaID = new(*s.SchemaID)
	}
	if s.ParentSnapshotID != nil {
		s.ParentSnapshotID = new(*s.ParentSnapshotID)
	}
	s.TimestampMs = max(s.TimestampMs, last+1)
}

// lastTime is when a table was changed last, in milliseconds since 1970, by the
// clock of whoever did it.
func lastTime(meta table.Metadata) int64 {
	last := meta.LastUpdatedMillis()
	for entry := range meta.SnapshotLogs() {
		last = max(last, entry.TimestampMs)
	}
	return last
}

// clockTolerance is less than the minute by which the library, and catalogs, let
// a snapshot be older than the one before it.
const clockTolerance = 30 * time.Second

// behind reports whether the clock was turned back, or is behind that of another
// writer, by more than a snapshot may be older than the last.
func behind(last int64) bool { return time.Now().Add(clockTolerance).UnixMilli() < last }

// atClock is the table as if it had been changed last now, with all before as far
// back as it was, to stage a commit on: the library refuses to make a snapshot a
// minute before the last one, and tells ages by the clock. What is committed has
// the last one's time (see mendSnapshot).
func (l *Lake) atClock(t *table.Table, last int64) (*table.Table, error) {
	text, err := json.Marshal(t.Metadata())
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	ahead := last - time.Now().UnixMilli()
	for _, list := range []string{"snapshots", "snapshot-log", "metadata-log"} {
		var entries []map[string]json.RawMessage
		if fields[list] == nil {
			continue
		}
		if err := json.Unmarshal(fields[list], &entries); err != nil {
			return nil, err
		}
		for _, e := range entries {
			var at int64
			if err := json.Unmarshal(e["timestamp-ms"], &at); err != nil {
				return nil, err
			}
			e["timestamp-ms"] = fmt.Append(nil, at-ahead)
		}
		if fields[list], err = json.Marshal(entries); err != nil {
			return nil, err
		}
	}
	fields["last-updated-ms"] = fmt.Append(nil, t.Metadata().LastUpdatedMillis()-ahead)
	if text, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	meta, err := table.ParseMetadataBytes(text)
	if err != nil {
		return nil, err
	}
	return table.New(t.Identifier(), meta, t.MetadataLocation(), l.fileIO, l.backend), nil
}

// change is a change of a table that no stream has a part in.
type change struct {
	*table.Transaction
	lake   *Lake
	base   *table.Table // to stage it on
	last   int64        // when the table was changed last, in milliseconds since 1970
	behind bool         // the clock is behind that
}

// newChange begins a change.
func (l *Lake) newChange(t *table.Table) (*change, error) {
	c := &change{lake: l, base: t, last: lastTime(t.Metadata())}
	if c.behind = behind(c.last); c.behind {
		var err error
		if c.base, err = l.atClock(t, c.last); err != nil {
			return nil, err
		}
	}
	c.Transaction = c.base.NewTransaction()
	return c, nil
}

// commit commits the change. A table without error was committed; also with one
// where files could not be deleted.
func (c *change) commit(ctx context.Context) (*table.Table, error) {
	if !c.behind {
		return c.Commit(ctx)
	}
	tc, err := c.TableCommit()
	if err != nil {
		return nil, err
	}
	dated := false
	for _, u := range tc.Updates {
		if s := snapshotOf(u); s != nil {
			mendSnapshot(s, c.last)
			dated = true
		}
	}
	if !dated {
		return nil, errUndated
	}
	meta, location, err := c.lake.backend.CommitTable(ctx, tc.Identifier, tc.Requirements, tc.Updates)
	if err != nil {
		return nil, err
	}
	return table.New(c.base.Identifier(), meta, location, c.lake.fileIO, c.lake.backend), nil
}

// date gives a change that makes no snapshot one without files, if the clock is
// behind: metadata has the time of the snapshot that comes with it, or else of
// the clock, and the library refuses one that is a minute before the last.
func (c *change) date(ctx context.Context) error {
	if !c.behind {
		return nil
	}
	return appendNothing(ctx, c.Transaction, nil)
}

var errUndated = errors.New("the clock is behind the table's last change")

// appendNothing makes a snapshot without files.
func appendNothing(ctx context.Context, tx *table.Transaction, summary map[string]string) error {
	empty, err := array.NewRecordReader(arrow.NewSchema(nil, nil), nil)
	if err != nil {
		return err
	}
	defer empty.Release()
	return tx.Append(ctx, empty, summary)
}
