package iceberg

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

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
// Its time is that of the clock, and not before the last snapshot's.
func mendSnapshot(s *table.Snapshot, last int64) {
	if s.SchemaID != nil {
		s.SchemaID = new(*s.SchemaID)
	}
	if s.ParentSnapshotID != nil {
		s.ParentSnapshotID = new(*s.ParentSnapshotID)
	}
	s.TimestampMs = max(s.TimestampMs, last)
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

// atClock is the table as if it had not been changed after now, to stage a
// commit on: the library refuses to make a snapshot a minute before the last
// one. What is committed has the last one's time (see mendSnapshot).
func (c *Committer) atClock(t *table.Table) (*table.Table, error) {
	text, err := json.Marshal(t.Metadata())
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	now := time.Now().UnixMilli()
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
			e["timestamp-ms"] = fmt.Append(nil, min(at, now))
		}
		if fields[list], err = json.Marshal(entries); err != nil {
			return nil, err
		}
	}
	fields["last-updated-ms"] = fmt.Append(nil, min(t.Metadata().LastUpdatedMillis(), now))
	if text, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	meta, err := table.ParseMetadataBytes(text)
	if err != nil {
		return nil, err
	}
	return table.New(t.Identifier(), meta, t.MetadataLocation(), c.lake.fileIO, c.lake.backend), nil
}
