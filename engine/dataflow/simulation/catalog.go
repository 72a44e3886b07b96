package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	icebergcatalog "github.com/apache/iceberg-go/catalog"
	icebergio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched/seeded"
)

// service is what a catalog knows, for all processes.
type service struct {
	w *world
	// rest says that the service validates commits itself, by the requirements
	// that it knows. Otherwise it only swaps the location of a table's metadata
	// when that is what the client believes, as a database does.
	rest       bool
	namespaces map[string]bool
	tables     map[string]string         // location of the metadata by table
	parsed     map[string]table.Metadata // by location, also of files that are deleted
}

func newService(w *world, rest bool) *service {
	return &service{w: w, rest: rest, namespaces: map[string]bool{}, tables: map[string]string{}, parsed: map[string]table.Metadata{}}
}

// metadata is a table's current metadata, nil if there is no such table.
func (s *service) metadata(name string) table.Metadata { return s.parsed[s.tables[name]] }

// connection is a process's way to the catalog. It implements the library's
// Catalog as its own catalogs do.
type connection struct {
	icebergcatalog.Catalog // nil: what is not implemented is not called
	s                      *service
	p                      *seeded.Process
	store                  *client
}

func (c *connection) call(ctx context.Context, what string, effect func() error) error {
	return c.s.w.call(ctx, c.p, theCatalog, what, effect, nil)
}

// CatalogType implements the library's Catalog.
func (c *connection) CatalogType() icebergcatalog.Type { return "simulated" }

// CheckNamespaceExists implements the library's Catalog.
func (c *connection) CheckNamespaceExists(ctx context.Context, ident table.Identifier) (found bool, err error) {
	err = c.call(ctx, "look up namespace", func() error { found = c.s.namespaces[ident[0]]; return nil })
	return found, err
}

// CreateNamespace implements the library's Catalog.
func (c *connection) CreateNamespace(ctx context.Context, ident table.Identifier, _ iceberg.Properties) error {
	return c.call(ctx, "create namespace", func() error {
		if c.s.namespaces[ident[0]] {
			return icebergcatalog.ErrNamespaceAlreadyExists
		}
		c.s.namespaces[ident[0]] = true
		return nil
	})
}

// ListTables implements the library's Catalog.
func (c *connection) ListTables(ctx context.Context, _ table.Identifier) iter.Seq2[table.Identifier, error] {
	return func(yield func(table.Identifier, error) bool) {
		var names []string
		if err := c.call(ctx, "list tables", func() error {
			names = slices.Sorted(maps.Keys(c.s.tables))
			return nil
		}); err != nil {
			yield(nil, err)
			return
		}
		for _, name := range names {
			if !yield(table.Identifier{"lake", name}, nil) {
				return
			}
		}
	}
}

// LoadTable implements the library's Catalog.
func (c *connection) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	name := icebergcatalog.TableNameFromIdent(ident)
	var location string
	if err := c.call(ctx, "look up table "+name, func() error {
		var ok bool
		if location, ok = c.s.tables[name]; !ok {
			return fmt.Errorf("%w: %s", icebergcatalog.ErrNoSuchTable, name)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if !c.s.rest {
		if _, err := c.get(ctx, location); err != nil {
			return nil, err
		}
	}
	return table.New(ident, c.s.parsed[location], location, c.open, c), nil
}

// get reads a metadata file, as a client does that finds it by its location.
func (c *connection) get(ctx context.Context, location string) ([]byte, error) {
	key, err := keyOf(location)
	if err != nil {
		return nil, err
	}
	return c.store.Get(ctx, key)
}

func (c *connection) open(context.Context) (icebergio.IO, error) {
	return nil, errors.New("a table is to be bound to its lake's store")
}

// CreateTable implements the library's Catalog.
func (c *connection) CreateTable(ctx context.Context, ident table.Identifier, schema *iceberg.Schema, opts ...icebergcatalog.CreateTableOpt) (*table.Table, error) {
	cfg := icebergcatalog.NewCreateTableCfg()
	for _, opt := range opts {
		opt(&cfg)
	}
	name := icebergcatalog.TableNameFromIdent(ident)
	meta, err := table.NewMetadata(schema, cfg.PartitionSpec, cfg.SortOrder, cfg.Location, cfg.Properties)
	if err != nil {
		return nil, err
	}
	location, err := c.stage(ctx, meta, "")
	if err != nil {
		return nil, err
	}
	if err := c.call(ctx, "create table "+name, func() error {
		if _, ok := c.s.tables[name]; ok {
			return fmt.Errorf("%w: %s", icebergcatalog.ErrTableAlreadyExists, name)
		}
		c.s.accept(name, location, meta, nil)
		return nil
	}); err != nil {
		return nil, err
	}
	return c.LoadTable(ctx, ident)
}

// stage writes a metadata file, unless the service does that.
func (c *connection) stage(ctx context.Context, meta table.Metadata, before string) (string, error) {
	location, data, err := encode(meta, before)
	if err != nil || c.s.rest {
		return location, err
	}
	key, err := keyOf(location)
	if err != nil {
		return "", err
	}
	_, err = c.store.Put(ctx, key, data, objectstore.PutOptions{})
	return location, err
}

// encode makes the file of a metadata version that follows the one at before.
func encode(meta table.Metadata, before string) (location string, data []byte, err error) {
	version := 0
	if before != "" {
		number, _, _ := strings.Cut(path.Base(before), "-")
		if version, err = strconv.Atoi(number); err != nil {
			return "", nil, err
		}
		version++
	}
	provider, err := table.LoadLocationProvider(meta.Location(), meta.Properties())
	if err != nil {
		return "", nil, err
	}
	if location, err = provider.NewTableMetadataFileLocation(version); err != nil {
		return "", nil, err
	}
	data, err = json.Marshal(meta)
	return location, data, err
}

// CommitTable implements the library's Catalog.
func (c *connection) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (meta table.Metadata, location string, err error) {
	name := icebergcatalog.TableNameFromIdent(ident)
	by, _ := ctx.Value(senderKey{}).(*sender)
	if c.s.w.cfg.Unpinned {
		reqs = nil
	}
	if c.s.rest {
		err = c.call(ctx, "commit "+name, func() error {
			before := c.s.tables[name]
			if meta, err = apply(c.s.parsed[before], before, reqs, updates); err != nil {
				return err
			}
			var data []byte
			if location, data, err = encode(meta, before); err != nil {
				return err
			}
			key, err := keyOf(location)
			if err != nil {
				return err
			}
			c.s.w.bucket.put(key, data)
			c.s.accept(name, location, meta, by)
			return nil
		})
		return meta, location, err
	}
	current, err := c.LoadTable(ctx, ident)
	if err != nil {
		return nil, "", err
	}
	if meta, err = apply(current.Metadata(), current.MetadataLocation(), reqs, updates); err != nil {
		return nil, "", err
	}
	if location, err = c.stage(ctx, meta, current.MetadataLocation()); err != nil {
		return nil, "", err
	}
	err = c.call(ctx, "commit "+name, func() error {
		if c.s.tables[name] != current.MetadataLocation() {
			return fmt.Errorf("%w: the metadata of %s has moved", table.ErrCommitFailed, name)
		}
		c.s.accept(name, location, meta, by)
		return nil
	})
	return meta, location, err
}

// apply validates and carries out an update.
func apply(base table.Metadata, location string, reqs []table.Requirement, updates []table.Update) (table.Metadata, error) {
	if base == nil {
		return nil, icebergcatalog.ErrNoSuchTable
	}
	for _, r := range reqs {
		if err := r.Validate(base); err != nil {
			return nil, err
		}
	}
	return table.UpdateTableMetadata(base, updates, location)
}

// accept makes a version the table's current one, and shows it to the model.
func (s *service) accept(name, location string, meta table.Metadata, by *sender) {
	before := s.metadata(name)
	s.tables[name], s.parsed[location] = location, meta
	s.w.s.Note("%s is now at %s", name, path.Base(location))
	if err := s.w.model.metadata(name, before, meta, by); err != nil {
		s.w.s.Fail(err)
	}
}

// bucketIO lets the library read from the bucket at once, for the model.
type bucketIO struct{ b *bucket }

func (f bucketIO) Open(name string) (icebergio.File, error) {
	key, err := keyOf(name)
	o, ok := f.b.objects[key]
	if err != nil || !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memoryFile{Reader: bytes.NewReader(o.data), name: name}, nil
}

func (bucketIO) Remove(string) error { return errors.ErrUnsupported }

type memoryFile struct {
	*bytes.Reader
	fs.FileInfo
	name string
}

func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *memoryFile) Name() string               { return path.Base(f.name) }
func (f *memoryFile) Size() int64                { return f.Reader.Size() }
func (f *memoryFile) Mode() fs.FileMode          { return 0o444 }
func (f *memoryFile) IsDir() bool                { return false }
