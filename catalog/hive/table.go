package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// tableVersion is a table as of one entry of its log; it implements
// catalog.Table.
type tableVersion struct {
	lake       *Lake
	name       string
	entry      *entry
	schema     types.Schema
	partitions []int
	folders    folders
}

func newTable(l *Lake, name string, e *entry) (*tableVersion, error) {
	v := &tableVersion{lake: l, name: name, entry: e}
	var err error
	if v.schema, err = e.Table.schema(); err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "table %s: %w", name, err)
	}
	if v.folders, err = e.Table.folders(); err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "table %s: %w", name, err)
	}
	for _, c := range e.Table.Partition {
		i := e.Table.find(c)
		if i < 0 {
			return nil, sqlerror.Userf(sqlerror.CodeConflict, "table %s is partitioned by %s, which is no column of it", name, c)
		}
		v.partitions = append(v.partitions, i)
	}
	return v, nil
}

func (v *tableVersion) Name() string                  { return v.name }
func (v *tableVersion) Schema() types.Schema          { return v.schema }
func (v *tableVersion) PartitionColumns() []int       { return v.partitions }
func (v *tableVersion) Location() string              { return v.lake.opts.Store.URI(v.name) }
func (v *tableVersion) Properties() map[string]string { return v.entry.State }

// FieldIDs is nil: in plain folders columns are found by their names.
func (v *tableVersion) FieldIDs() []int { return nil }

func (v *tableVersion) Version() string { return strconv.FormatInt(v.entry.N, 10) }

// list visits the data files of the folder.
func (l *Lake) list(ctx context.Context, table string, visit func(rel string, info objectstore.Info)) error {
	prefix := table + "/"
	internal := prefix + internalFolder + "/"
	for after, more := "", true; more; {
		var infos []objectstore.Info
		var err error
		infos, more, err = l.opts.Store.List(ctx, prefix, after, 0)
		if err != nil {
			return fmt.Errorf("list the files of table %s: %w", table, err)
		}
		for _, info := range infos {
			if strings.HasPrefix(info.Key, internal) {
				if after < internal {
					// The log may be longer than the data: the next page begins behind it.
					after, more = strings.TrimSuffix(internal, "/")+"0", true
				}
				continue
			}
			if info.Key <= after {
				continue
			}
			after = info.Key
			if rel := strings.TrimPrefix(info.Key, prefix); isData(rel) {
				visit(rel, info)
			}
		}
	}
	return nil
}

// Plan implements catalog.Table: the files of the folder that a plain reader
// sees, less those of commits that are newer than this version or whose files
// are not all there yet.
func (v *tableVersion) Plan(ctx context.Context, where []catalog.Predicate) ([]catalog.DataFile, error) {
	c := &Committer{lake: v.lake, name: v.name, state: v.lake.shared(v.name)}
	open, err := c.undone(ctx, v.entry)
	if err != nil {
		return nil, err
	}
	epochs := v.epochs()
	rows := v.knownRows()
	var files []catalog.DataFile
	seen := map[string]bool{}
	var bad error
	err = v.lake.list(ctx, v.name, func(rel string, info objectstore.Info) {
		seen[info.Key] = true
		folders, name := cutLast(rel)
		if n, parsed := ParseFileName(name); parsed {
			if last, ok := epochs[n.Stream]; ok && n.Generation > last.dropped && n.Epoch > last.epoch {
				return
			}
		}
		texts := []string{}
		if len(v.partitions) > 0 {
			if texts = v.folders.values(folders); texts == nil {
				return // a file that lies in no partition
			}
		}
		f, match, err := v.file(info, name, texts, where)
		if err != nil && bad == nil {
			bad = fmt.Errorf("file %s: %w", info.Key, err)
		}
		if match {
			f.Rows = -1
			if n, ok := rows[info.Key]; ok {
				f.Rows = n
			}
			files = append(files, f)
		}
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, err
	}
	incomplete := map[string]bool{}
	for _, e := range open {
		if slices.ContainsFunc(e.Files, func(f decided) bool { return !seen[f.Key] }) {
			for _, f := range e.Files {
				incomplete[v.lake.opts.Store.URI(f.Key)] = true
			}
		}
	}
	if len(incomplete) > 0 {
		files = slices.DeleteFunc(files, func(f catalog.DataFile) bool { return incomplete[f.Path] })
	}
	return files, nil
}

func cutLast(rel string) (folders, name string) {
	i := strings.LastIndexByte(rel, '/')
	if i < 0 {
		return "", rel
	}
	return rel[:i], rel[i+1:]
}

// lastEpoch is the last epoch of a stream, and the last generation of the
// streams of its name that were dropped before it was made.
type lastEpoch struct{ epoch, dropped int64 }

// epochs are the last epochs of the streams, by their names in files.
func (v *tableVersion) epochs() map[string]lastEpoch {
	epochs := map[string]lastEpoch{}
	for key, text := range v.entry.State {
		name, ok := strings.CutPrefix(key, streamKey)
		var record struct {
			Epoch int64 `json:"epoch"`
		}
		if ok && json.Unmarshal([]byte(text), &record) == nil {
			epochs[Safe(name)] = lastEpoch{record.Epoch, v.entry.Generations[name]}
		}
	}
	return epochs
}

// knownRows are the rows of files, by key, of the entries that were read so far.
func (v *tableVersion) knownRows() map[string]int64 {
	rows := map[string]int64{}
	s := v.lake.shared(v.name)
	s.m.Lock()
	defer s.m.Unlock()
	for _, e := range s.entries {
		for _, f := range e.Files {
			rows[f.Key] = f.Rows
		}
	}
	for _, f := range v.entry.Files {
		rows[f.Key] = f.Rows
	}
	return rows
}

// file describes a file, and says whether it may have rows for which all
// predicates are true.
func (v *tableVersion) file(info objectstore.Info, name string, texts []string, where []catalog.Predicate) (catalog.DataFile, bool, error) {
	_, extension, _ := cutExtension(name)
	f := catalog.DataFile{
		Path: v.lake.opts.Store.URI(info.Key), Format: extensions[extension].format, Compression: extensions[extension].compression,
		Bytes: info.Size, Options: v.entry.Table.Options,
	}
	match, err := place(&f, v.schema, v.partitions, texts, where)
	return f, match, err
}

// place gives a file the values of its partition, by their texts, and says
// whether it may have rows for which all predicates are true.
func place(f *catalog.DataFile, schema types.Schema, partitions []int, texts []string, where []catalog.Predicate) (bool, error) {
	if len(texts) == 0 {
		return true, nil
	}
	f.Partition, f.Constants = make(map[string]any, len(texts)), make(map[int]any, len(texts))
	for i, text := range texts {
		column := partitions[i]
		value, err := parseValue(text, schema[column].Type)
		if err != nil {
			return false, fmt.Errorf("column %s: %w", schema[column].Name, err)
		}
		f.Constants[column] = value
		f.Partition[schema[column].Name] = nil
		if value != nil {
			f.Partition[schema[column].Name] = text
		}
		for _, p := range where {
			if p.Column == column && !mayHold(p, value, schema[column].Type) {
				return false, nil
			}
		}
	}
	return true, nil
}

// Partitions implements catalog.Table.
func (v *tableVersion) Partitions(ctx context.Context) ([]catalog.PartitionInfo, error) {
	// The log knows the rows of its files.
	if _, err := v.history(ctx); err != nil {
		return nil, err
	}
	files, err := v.Plan(ctx, nil)
	if err != nil {
		return nil, err
	}
	return partitionsOf(files, v.schema, v.partitions), nil
}

// partitionsOf sums files up by their partitions, whose columns partitions names;
// rows are −1 where a file does not tell its own.
func partitionsOf(files []catalog.DataFile, schema types.Schema, partitions []int) []catalog.PartitionInfo {
	byKey := map[string]*catalog.PartitionInfo{}
	for _, f := range files {
		key := ""
		for _, c := range partitions {
			if text, ok := f.Partition[schema[c].Name].(string); ok {
				key += strconv.Quote(text)
			}
			key += ","
		}
		p := byKey[key]
		if p == nil {
			p = &catalog.PartitionInfo{Values: f.Partition}
			byKey[key] = p
		}
		p.Files++
		p.Bytes += f.Bytes
		if f.Rows < 0 || p.Rows < 0 {
			p.Rows = -1
		} else {
			p.Rows += f.Rows
		}
	}
	infos := make([]catalog.PartitionInfo, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		infos = append(infos, *byKey[key])
	}
	return infos
}

// Open implements catalog.Table.
func (v *tableVersion) Open(ctx context.Context, name string) (catalog.File, error) {
	key, err := v.lake.opts.Store.Key(name)
	if err != nil {
		return nil, err
	}
	return v.lake.opts.Store.Open(ctx, key)
}
