package hive

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Foreign is a table of plain folders that has no log: a catalog says where its
// files lie. What is in the folders when it is read is its content. It
// implements catalog.Table.
type Foreign struct {
	TableName   string
	Columns     types.Schema
	Partition   []int // indices in Columns
	URI         string
	VersionText string
	Props       map[string]string
	// Format of the files is "parquet", "json", "csv" or catalog.FormatDelimited, whatever their
	// names end with; of text the end tells the compression.
	Format  string
	Options map[string]string
	// Store opens places with the sink's credentials.
	Store objectstore.Store
	// Folders lists the folders of the partitions, or the one of a table that has
	// none.
	Folders func(ctx context.Context) ([]catalog.RegisteredPartition, error)
}

var _ catalog.Table = (*Foreign)(nil)

// Name implements catalog.Table.
func (f *Foreign) Name() string { return f.TableName }

// Schema implements catalog.Table.
func (f *Foreign) Schema() types.Schema { return f.Columns }

// FieldIDs implements catalog.Table: columns are found by name.
func (f *Foreign) FieldIDs() []int { return nil }

// PartitionColumns implements catalog.Table.
func (f *Foreign) PartitionColumns() []int { return f.Partition }

// Location implements catalog.Table.
func (f *Foreign) Location() string { return f.URI }

// Version implements catalog.Table.
func (f *Foreign) Version() string { return f.VersionText }

// Properties implements catalog.Table.
func (f *Foreign) Properties() map[string]string { return f.Props }

// Commits implements catalog.Table: others keep no record of theirs.
func (f *Foreign) Commits(context.Context) ([]catalog.Commit, error) { return nil, nil }

// Plan implements catalog.Table.
func (f *Foreign) Plan(ctx context.Context, where []catalog.Predicate) ([]catalog.DataFile, error) {
	folders, err := f.Folders(ctx)
	if err != nil {
		return nil, err
	}
	var files []catalog.DataFile
	for _, folder := range folders {
		if len(folder.Values) != len(f.Partition) {
			return nil, sqlerror.Externalf(sqlerror.CodeExternal, "table %s: a partition has %d values, there are %d partition columns", f.TableName, len(folder.Values), len(f.Partition)).Final()
		}
		var placed catalog.DataFile
		match, err := place(&placed, f.Columns, f.Partition, folder.Values, where)
		if err != nil {
			return nil, fmt.Errorf("table %s, %s: %w", f.TableName, folder.Location, err)
		}
		if !match {
			continue
		}
		found, err := f.list(ctx, folder.Location)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			one.Partition, one.Constants = placed.Partition, placed.Constants
			files = append(files, one)
		}
	}
	return files, nil
}

// list names the data files of a folder and of those below.
func (f *Foreign) list(ctx context.Context, location string) ([]catalog.DataFile, error) {
	store, err := f.Store.At(strings.TrimRight(location, "/"))
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", f.TableName, err)
	}
	var files []catalog.DataFile
	for info, err := range objectstore.All(ctx, store, "", "") {
		if err != nil {
			return nil, fmt.Errorf("list the files of table %s: %w", f.TableName, err)
		}
		if hidden(info.Key) || info.Size == 0 {
			continue
		}
		compression, err := f.compression(info.Key)
		if err != nil {
			return nil, err
		}
		files = append(files, catalog.DataFile{
			Path: store.URI(info.Key), Format: f.Format, Compression: compression, Options: f.Options, Rows: -1, Bytes: info.Size,
		})
	}
	return files, nil
}

// compression goes by the end of a key, as Hive does.
func (f *Foreign) compression(key string) (string, error) {
	if f.Format == "parquet" {
		return "", nil
	}
	switch end := path.Ext(key); end {
	case ".gz":
		return "gzip", nil
	case ".zst":
		return "zstd", nil
	case ".bz2", ".snappy", ".lz4", ".lzo", ".deflate":
		return "", sqlerror.Userf(sqlerror.CodeUnsupported, "table %s cannot be read: file %s is compressed as %s", f.TableName, key, end[1:]).
			WithHint("gzip and zstd can be read")
	}
	return "none", nil
}

// hidden reports whether Hive leaves a key out.
func hidden(rel string) bool {
	for segment := range strings.SplitSeq(rel, "/") {
		if segment == "" || segment[0] == '_' || segment[0] == '.' {
			return true
		}
	}
	return false
}

// Partitions implements catalog.Table.
func (f *Foreign) Partitions(ctx context.Context) ([]catalog.PartitionInfo, error) {
	files, err := f.Plan(ctx, nil)
	if err != nil {
		return nil, err
	}
	return partitionsOf(files, f.Columns, f.Partition), nil
}

// Open implements catalog.Table.
func (f *Foreign) Open(ctx context.Context, name string) (catalog.File, error) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return nil, fmt.Errorf("file %s of table %s has no folder", name, f.TableName)
	}
	store, err := f.Store.At(name[:i])
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", f.TableName, err)
	}
	return store.Open(ctx, name[i+1:])
}
