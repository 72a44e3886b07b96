package iceberg

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	// mostVersions bounds the metadata files that are read, mostReferences the names
	// of data files that are held, eight bytes each.
	mostVersions   = 1000
	mostReferences = 4 << 20
	// deletedAtOnce is how many files one request deletes at most, listedAtOnce how
	// many a folder is asked for.
	deletedAtOnce = 1000
	listedAtOnce  = 64 << 10
)

// RemoveOrphans implements catalog.OrphanRemover. A name counts as referenced when a
// manifest of any snapshot has it, of the table and of all metadata files that lie
// beside its own: those of another catalog that knows the table, of a version that
// somebody may want to put back, or of a commit that did not come about.
func (c *Committer) RemoveOrphans(ctx context.Context, o catalog.Orphans) (removed int, err error) {
	const tries = 3 // who is slow finds snapshots expired and their manifests deleted
	r := &references{io: &fileIO{ctx: ctx, store: c.lake.opts.Store}, seed: maphash.MakeSeed(), read: map[string]bool{}}
	var t *table.Table
	var current string // key of the table's metadata
	var before time.Time
	for try := 1; ; try++ {
		if t, err = c.lake.lookUp(ctx, c.lake.ident(c.name)); err == nil && !o.Fenced(t.Properties()) {
			return 0, nil
		}
		if err == nil {
			current, err = r.io.key(t.MetadataLocation()) // elsewhere, where others may lie too, it has none
		}
		if err == nil {
			before, err = c.lake.olderThan(ctx, current, o.Age)
		}
		if err == nil {
			err = r.add(t.Metadata(), false)
		}
		if err == nil || try == tries || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return 0, catalogError("read the files of "+c.name, err)
	}
	store := c.lake.opts.Store
	if err := c.lake.addVersions(ctx, current, r); err != nil {
		return 0, err
	}
	folder, err := r.io.key(t.Location())
	if err != nil {
		return 0, err
	}
	var orphans []string
	remove := func() error {
		if len(orphans) == 0 {
			return nil
		}
		// Once more, since listing takes its time.
		now, err := c.lake.lookUp(ctx, t.Identifier())
		if err == nil && o.Fenced(now.Properties()) {
			err = r.add(now.Metadata(), false)
		} else if err == nil {
			err = errMoved
		}
		if err != nil {
			return err
		}
		orphans = slices.DeleteFunc(orphans, func(key string) bool { return r.has(path.Base(key)) })
		if len(orphans) == 0 {
			return nil
		}
		if err := store.Delete(ctx, orphans...); err != nil {
			return err
		}
		removed += len(orphans)
		orphans = orphans[:0]
		return nil
	}
	for startAfter, more := "", true; more; {
		var infos []objectstore.Info
		if infos, more, err = store.List(ctx, folder+"/data/", startAfter, listedAtOnce); err != nil {
			return removed, err
		}
		for _, info := range infos {
			startAfter = info.Key
			name := path.Base(info.Key)
			if !info.Modified.Before(before) || !o.Mine(name) || r.has(name) {
				continue
			}
			if orphans = append(orphans, info.Key); len(orphans) == deletedAtOnce {
				if err := remove(); err != nil {
					return removed, err
				}
			}
		}
	}
	err = remove()
	return removed, err
}

var errMoved = sqlerror.Externalf(sqlerror.CodeState, "another instance of the stream has taken over")

// olderThan is the time before which a file is older than age, by the clock of the
// store: when it got the table's newest metadata is the newest time of it that is known.
func (l *Lake) olderThan(ctx context.Context, metadata string, age time.Duration) (time.Time, error) {
	info, err := l.opts.Store.Head(ctx, metadata)
	if err == nil && info.Modified.IsZero() {
		err = sqlerror.Externalf(sqlerror.CodeUnsupported, "%s has no time", l.opts.Store.URI(metadata))
	}
	return info.Modified.Add(-age), err
}

// addVersions adds what other metadata files in the table's folder reference.
func (l *Lake) addVersions(ctx context.Context, current string, r *references) error {
	store := l.opts.Store
	versions := 0
	for info, err := range objectstore.All(ctx, store, path.Dir(current)+"/", "") {
		switch {
		case err != nil:
			return err
		case info.Key == current || !strings.Contains(path.Base(info.Key), ".metadata.json"):
			continue
		}
		if versions++; versions > mostVersions || !strings.HasSuffix(info.Key, metadataSuffix) || strings.HasSuffix(info.Key, ".gz"+metadataSuffix) {
			return sqlerror.Externalf(sqlerror.CodeUnsupported, "the folder of %s has metadata that is compressed, or more than %d versions", store.URI(current), mostVersions)
		}
		text, err := store.Get(ctx, info.Key)
		if errors.Is(err, fs.ErrNotExist) {
			continue // one that a commit has pushed out of the log
		}
		if err != nil {
			return err
		}
		meta, err := table.ParseMetadataBytes(text)
		if err != nil {
			return fmt.Errorf("read %s: %w", store.URI(info.Key), err)
		}
		if err := r.add(meta, true); err != nil {
			return fmt.Errorf("read the files of %s: %w", store.URI(info.Key), err)
		}
	}
	return nil
}

// references are the names of data files that snapshots have, as hashes: of two
// names with the same one both count as referenced. Names alone count, in whatever
// way the folder is spelled.
type references struct {
	io     *fileIO
	seed   maphash.Seed
	read   map[string]bool // manifest lists and manifests
	names  []uint64
	sorted bool
}

// add adds what the snapshots of a version reference. Of an old version some may be
// gone: nobody can read such a snapshot any more.
func (r *references) add(meta table.Metadata, old bool) error {
	for _, s := range meta.Snapshots() {
		if s.ManifestList == "" {
			return sqlerror.Externalf(sqlerror.CodeUnsupported, "snapshot %d has no list of manifests", s.SnapshotID)
		}
		if r.read[s.ManifestList] {
			continue
		}
		err := r.addSnapshot(s, old)
		if err == nil {
			r.read[s.ManifestList] = true
		} else if !old || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (r *references) addSnapshot(s table.Snapshot, old bool) error {
	manifests, err := s.Manifests(r.io)
	if err != nil {
		return err
	}
	var missing error
	for _, m := range manifests {
		if r.read[m.FilePath()] {
			continue
		}
		err := r.addManifest(m)
		switch {
		case err == nil:
			r.read[m.FilePath()] = true
		case old && errors.Is(err, fs.ErrNotExist):
			missing = err // the others count
		default:
			return err
		}
	}
	return missing
}

func (r *references) addManifest(m iceberg.ManifestFile) error {
	for entry, err := range m.Entries(r.io, false) {
		if err != nil {
			return err
		}
		r.names, r.sorted = append(r.names, r.hash(path.Base(entry.DataFile().FilePath()))), false
		if len(r.names) > mostReferences {
			return sqlerror.Externalf(sqlerror.CodeUnsupported, "the table has more than %d files", mostReferences)
		}
	}
	return nil
}

func (r *references) hash(name string) uint64 { return maphash.String(r.seed, name) }

func (r *references) has(name string) bool {
	if !r.sorted {
		slices.Sort(r.names)
		r.names, r.sorted = slices.Compact(r.names), true
	}
	_, found := slices.BinarySearch(r.names, r.hash(name))
	return found
}
