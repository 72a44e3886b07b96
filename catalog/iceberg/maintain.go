package iceberg

import (
	"context"
	"errors"
	"strings"
	"time"

	icebergio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

const (
	// leastSnapshots are kept whatever their age.
	leastSnapshots = 100
	// mostSnapshots bounds the table's metadata, which is written anew with each
	// commit, whatever the retention: with commits every ten seconds it is never
	// reached within an hour.
	mostSnapshots = 500
)

// Maintain keeps the cost of commits and of planning flat: it merges small
// manifests and expires snapshots that are older than retention, keeping the
// newest 100 and never more than the newest 500. Streams read their state from
// the table's properties, so expiry takes none away. It gives way to commits of
// others: what it leaves undone the next call does.
func (c *Committer) Maintain(ctx context.Context, retention time.Duration) error {
	if err := c.state.acquire(ctx); err != nil {
		return err
	}
	defer c.state.release()
	t, err := c.newest(ctx, false)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, *table.Table, time.Duration) (*table.Table, error){
		c.mergeManifests, c.expire,
	} {
		next, err := step(ctx, t, retention)
		if next == nil {
			c.state.newest = nil
		}
		if err != nil {
			return catalogError("maintain table "+c.name, err)
		}
		t = next
		c.state.newest = t
	}
	return nil
}

func (c *Committer) mergeManifests(ctx context.Context, t *table.Table, _ time.Duration) (*table.Table, error) {
	tx, err := c.lake.newChange(t)
	if err != nil {
		return t, err
	}
	if err := tx.AssertRefSnapshotID(""); err != nil {
		return t, err
	}
	result, err := tx.RewriteManifests(ctx)
	if err != nil || result.IsNoOp() {
		return t, err
	}
	next, err := tx.commit(ctx)
	if next != nil {
		c.forgetMerged(ctx, next)
	}
	return next, err
}

// forgetMerged drops the manifests from the cache that were merged into others:
// each merge makes one of all files, and older snapshots keep the last ten.
func (c *Committer) forgetMerged(ctx context.Context, t *table.Table) {
	head := t.CurrentSnapshot()
	io, err := c.lake.fileIO(ctx)
	if err != nil || head == nil {
		return
	}
	kept := map[string]bool{}
	if err := eachManifest(io, *head, func(path string) { kept[path] = true }); err != nil {
		return // they go with their age
	}
	c.lake.files.forget(t.Location()+"/metadata/", func(name string) bool {
		return !kept[name] && strings.HasSuffix(name, ".avro") && !isManifestList(name)
	})
}

func (c *Committer) expire(ctx context.Context, t *table.Table, retention time.Duration) (*table.Table, error) {
	if len(t.Metadata().Snapshots()) <= leastSnapshots {
		return t, nil
	}
	tx, err := c.lake.newChange(t)
	if err != nil {
		return t, err
	}
	snapshots := tx.base.Metadata().Snapshots()
	if over := len(snapshots) - mostSnapshots; over > 0 {
		youngest := time.UnixMilli(snapshots[over-1].TimestampMs)
		retention = max(0, min(retention, time.Since(youngest)-time.Millisecond))
	}
	history, linear := appendOnly(t.Metadata())
	if err := tx.date(ctx); err != nil {
		return t, err
	}
	// Without deletions and branches no data file loses its last reference, so
	// the library need not search the whole table for such files. Where the clock
	// is behind, those of other tables stay.
	if err := tx.ExpireSnapshots(table.WithOlderThan(retention), table.WithRetainLast(leastSnapshots), table.WithPostCommit(!linear && !tx.behind)); err != nil {
		return t, err
	}
	// A table that is returned was committed, also when deleting files failed
	// because another process was faster.
	next, err := tx.commit(ctx)
	if next == nil {
		return nil, err
	}
	if linear {
		// What cannot be deleted now is left behind and read by nobody.
		_ = c.deleteExpired(ctx, history, next.Metadata())
	}
	return next, nil
}

// appendOnly reports whether the snapshots are one line in which no data file
// was ever removed, and lists them from the oldest.
func appendOnly(meta table.Metadata) ([]table.Snapshot, bool) {
	refs := 0
	for range meta.Refs() {
		refs++
	}
	snapshots := meta.Snapshots()
	for i, s := range snapshots {
		if i > 0 && (s.ParentSnapshotID == nil || *s.ParentSnapshotID != snapshots[i-1].SnapshotID) {
			return nil, false
		}
		if s.Summary == nil {
			return nil, false
		}
		switch s.Summary.Operation {
		case table.OpAppend:
		case table.OpReplace:
			if deleted := s.Summary.Properties["deleted-data-files"]; deleted != "" && deleted != "0" {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	head := meta.CurrentSnapshot()
	return snapshots, refs == 1 && head != nil && head.SnapshotID == snapshots[len(snapshots)-1].SnapshotID
}

// deleteExpired deletes the manifest lists of expired snapshots and the
// manifests that only they named. In a line of snapshots a manifest that the
// oldest kept one does not name is named by no later one.
func (c *Committer) deleteExpired(ctx context.Context, history []table.Snapshot, after table.Metadata) error {
	io, err := c.lake.fileIO(ctx)
	if err != nil {
		return err
	}
	gone := 0
	for gone < len(history) && after.SnapshotByID(history[gone].SnapshotID) == nil {
		gone++
	}
	if gone == 0 || gone == len(history) {
		return nil
	}
	kept := map[string]bool{}
	if err := eachManifest(io, history[gone], func(path string) { kept[path] = true }); err != nil {
		return err
	}
	doomed := map[string]bool{}
	var failed error
	for _, s := range history[:gone] {
		doomed[s.ManifestList] = true
		failed = errors.Join(failed, eachManifest(io, s, func(path string) {
			if !kept[path] {
				doomed[path] = true
			}
		}))
	}
	names := make([]string, 0, len(doomed))
	for name := range doomed {
		names = append(names, name)
	}
	c.lake.deleteFiles(ctx, names)
	return failed
}

func eachManifest(io icebergio.IO, s table.Snapshot, visit func(path string)) error {
	manifests, err := s.Manifests(io)
	if err != nil {
		return err
	}
	for _, m := range manifests {
		visit(m.FilePath())
	}
	return nil
}
