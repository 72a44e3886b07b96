package iceberg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Committer commits to one table. Committers of one table in one process take
// turns; those of other processes are noticed by the catalog.
type Committer struct {
	lake  *Lake
	name  string
	state *shared
}

// Committer is a committer of an existing table.
func (l *Lake) Committer(ctx context.Context, name string) (*Committer, error) {
	t, err := l.load(ctx, name)
	if err != nil {
		return nil, err
	}
	return l.committer(t.Identifier()[1]), nil
}

func (l *Lake) committer(name string) *Committer {
	return &Committer{lake: l, name: name, state: l.shared(name)}
}

// Version is what a table is at one moment.
type Version = catalog.Version

func versionOf(t *table.Table) Version {
	v := Version{Properties: t.Properties(), Location: t.Location()}
	if s := t.CurrentSnapshot(); s != nil {
		v.SnapshotID = s.SnapshotID
	}
	return v
}

// Change is what one commit does to a table.
type Change = catalog.Change

// Update implements catalog.Committer.
func (c *Committer) Update(ctx context.Context, fresh bool, decide func(Version) (*Change, error)) (Version, error) {
	if err := c.state.acquire(ctx); err != nil {
		return Version{}, err
	}
	defer c.state.release()
	t, err := c.newest(ctx, fresh)
	if err != nil {
		return Version{}, err
	}
	change, err := decide(versionOf(t))
	if err != nil || change == nil {
		return versionOf(t), err
	}
	committed, err := c.commit(ctx, t, change)
	if err != nil {
		c.state.newest = nil
		if errors.Is(err, fs.ErrNotExist) && c.movedOn(ctx, t) {
			// What the version was made of has been tidied up since.
			err = fmt.Errorf("commit to %s: %w: others have committed since: %v", c.name, table.ErrCommitFailed, err) //nolint:errorlint // nothing is missing of what there is now
		}
		return versionOf(t), err
	}
	c.state.newest = committed
	return versionOf(committed), nil
}

// movedOn reports whether the catalog has a newer version of a table.
func (c *Committer) movedOn(ctx context.Context, t *table.Table) bool {
	now, err := c.lake.lookUp(ctx, t.Identifier())
	return err == nil && now.MetadataLocation() != t.MetadataLocation()
}

// Settle implements catalog.Committer: a commit makes its files visible itself.
func (c *Committer) Settle(context.Context) error { return nil }

// Sweep implements catalog.Committer: files that are in no commit are deleted by
// who wrote them.
func (c *Committer) Sweep(context.Context, func(string) bool) error { return nil }

// newest is the version to build on.
func (c *Committer) newest(ctx context.Context, fresh bool) (*table.Table, error) {
	if c.state.newest != nil && !fresh {
		return c.state.newest, nil
	}
	t, err := c.lake.lookUp(ctx, c.lake.ident(c.name))
	if isNoTable(err) {
		return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "table %s.%s was dropped", c.lake.opts.Namespace, c.name)
	}
	if err != nil {
		return nil, catalogError("load table "+c.name, err)
	}
	t = c.lake.bind(t)
	c.state.newest = t
	if c.state.failed != nil {
		c.lake.cleanUp(ctx, c.state.failed, t)
		c.state.failed = nil
	}
	return t, nil
}

func (c *Committer) commit(ctx context.Context, t *table.Table, change *Change) (*table.Table, error) {
	last := lastTime(t.Metadata())
	if behind(last) {
		var err error
		if t, err = c.lake.atClock(t, last); err != nil {
			return nil, fmt.Errorf("stage commit to %s: %w", c.name, err)
		}
	}
	tx := t.NewTransaction()
	// First of all, so that the library never replays this on another head.
	if err := tx.AssertRefSnapshotID(""); err != nil {
		return nil, fmt.Errorf("stage commit to %s: %w", c.name, err)
	}
	if err := c.stage(ctx, t, tx, change); err != nil {
		return nil, catalogError("stage commit to "+c.name, err)
	}
	staged, err := tx.StagedTable()
	if err != nil {
		return nil, fmt.Errorf("stage commit to %s: %w", c.name, err)
	}
	// From here on files are left behind if the commit does not come about.
	c.state.failed = &attempt{base: t.CurrentSnapshot(), snapshot: *staged.CurrentSnapshot()}
	tc, err := tx.TableCommit()
	if err != nil {
		return nil, fmt.Errorf("stage commit to %s: %w", c.name, err)
	}
	if c.lake.backend.comparesProperties {
		for key := range change.Set {
			tc.Requirements = append(tc.Requirements, newSameProperty(t, key))
		}
		for _, key := range change.Remove {
			tc.Requirements = append(tc.Requirements, newSameProperty(t, key))
		}
	}
	for _, u := range tc.Updates {
		if s := snapshotOf(u); s != nil {
			mendSnapshot(s, last)
		}
	}
	meta, location, err := c.lake.backend.CommitTable(ctx, tc.Identifier, tc.Requirements, tc.Updates)
	if err != nil {
		return nil, catalogError("commit to "+c.name, err)
	}
	c.state.failed = nil
	c.lake.deleteOldMetadata(ctx, t.Metadata(), meta)
	return table.New(t.Identifier(), meta, location, c.lake.fileIO, c.lake.backend), nil
}

func (c *Committer) stage(ctx context.Context, t *table.Table, tx *table.Transaction, change *Change) error {
	if len(change.Files) == 0 {
		// Adding no files would make no snapshot, and requirements compare
		// snapshots only: an empty append makes one.
		if err := appendNothing(ctx, tx, change.Summary); err != nil {
			return err
		}
	} else {
		files := make([]iceberg.DataFile, len(change.Files))
		for i, f := range change.Files {
			file, err := buildFile(f, t)
			if err != nil {
				return &sqlerror.Error{Code: sqlerror.CodeInternal, Err: err}
			}
			files[i] = file
		}
		if err := tx.AddDataFiles(ctx, files, change.Summary, table.WithoutDuplicateCheck(), table.WithoutAutoNameMapping()); err != nil {
			return err
		}
	}
	if err := tx.SetProperties(change.Set); err != nil {
		return err
	}
	return tx.RemoveProperties(change.Remove)
}

// sameProperty requires that a property has not changed since it was read. The
// snapshot alone does not show it: others may commit properties without one.
type sameProperty struct {
	key, value string
	set        bool
}

func newSameProperty(t *table.Table, key string) sameProperty {
	value, set := t.Properties()[key]
	return sameProperty{key, value, set}
}

// Validate implements the library's Requirement.
func (r sameProperty) Validate(meta table.Metadata) error {
	if meta == nil {
		return fmt.Errorf("%w: the table is gone", table.ErrCommitFailed)
	}
	if value, set := meta.Properties()[r.key]; set != r.set || value != r.value {
		return fmt.Errorf("%w: property %s has changed", table.ErrCommitFailed, r.key)
	}
	return nil
}

// GetType implements the library's Requirement.
func (r sameProperty) GetType() string { return "leat-same-property" }

// deleteOldMetadata deletes the metadata files that a commit pushed out of the
// log. A failure leaves a file behind that nobody reads.
func (l *Lake) deleteOldMetadata(ctx context.Context, before, after table.Metadata) {
	if !after.Properties().GetBool(table.MetadataDeleteAfterCommitEnabledKey, false) {
		return
	}
	kept := map[string]bool{}
	for entry := range after.PreviousFiles() {
		kept[entry.MetadataFile] = true
	}
	var old []string
	for entry := range before.PreviousFiles() {
		if !kept[entry.MetadataFile] {
			old = append(old, entry.MetadataFile)
		}
	}
	l.deleteFiles(ctx, old)
}

func (l *Lake) deleteFiles(ctx context.Context, names []string) {
	io := &fileIO{ctx: ctx, store: l.opts.Store, files: l.files}
	_, _ = io.DeleteFiles(ctx, names)
}

// attempt is a commit that was staged and not known to have happened.
type attempt struct {
	base     *table.Snapshot
	snapshot table.Snapshot
}

// cleanUp deletes the manifests of an attempt that can never succeed any more:
// the table's head has moved on without it.
func (l *Lake) cleanUp(ctx context.Context, a *attempt, t *table.Table) {
	head := t.CurrentSnapshot()
	moved := (head == nil) != (a.base == nil) || head != nil && head.SnapshotID != a.base.SnapshotID
	if !moved || t.SnapshotByID(a.snapshot.SnapshotID) != nil {
		return
	}
	io, err := l.fileIO(ctx)
	if err != nil {
		return
	}
	manifests, err := a.snapshot.Manifests(io)
	if err != nil {
		return
	}
	orphans := []string{a.snapshot.ManifestList}
	for _, m := range manifests {
		if m.SnapshotID() == a.snapshot.SnapshotID {
			orphans = append(orphans, m.FilePath())
		}
	}
	l.deleteFiles(ctx, orphans)
}

// IsConflict reports whether a commit failed because another one came first.
func IsConflict(err error) bool {
	return err != nil && (errors.Is(err, table.ErrCommitFailed) || strings.Contains(err.Error(), "requirement failed"))
}
