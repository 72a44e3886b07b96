package hive

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// checkRegistry refuses a table whose name another one has in the registry, where
// case does not count.
func (l *Lake) checkRegistry(ctx context.Context, d catalog.Definition) error {
	if l.opts.Registry == nil {
		return nil
	}
	names, err := l.Tables(ctx)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(names, func(s string) bool { return s != d.Name && strings.EqualFold(s, d.Name) }); i >= 0 {
		return sqlerror.Userf(sqlerror.CodeConflict, "table %s differs from table %s only in case, which the catalog does not tell apart", d.Name, names[i]).
			WithHint("write INTO %s.%s, or choose another name", l.opts.Namespace, names[i])
	}
	return l.opts.Registry.CheckTable(ctx, catalog.RegisteredTable{Name: d.Name, Location: l.opts.Store.URI(d.Name)})
}

// registered describes the table of an entry to the registry.
func (l *Lake) registered(name string, e *entry) (catalog.RegisteredTable, error) {
	t := catalog.RegisteredTable{Name: name, Location: l.opts.Store.URI(name), Format: e.Table.Format, Options: e.Table.Options}
	var err error
	if t.Schema, err = e.Table.schema(); err != nil {
		return t, err
	}
	t.Stored = slices.Clone(t.Schema)
	for i := range t.Stored {
		if t.Stored[i].Type, err = storedType(t.Schema[i].Type); err != nil {
			return t, err
		}
		if t.Schema[i].Type.Kind == types.Uint64 && slices.Contains(e.Table.Partition, t.Schema[i].Name) {
			t.Stored[i].Type = t.Schema[i].Type
		}
	}
	for _, c := range e.Table.Partition {
		i := e.Table.find(c)
		if i < 0 {
			return t, fmt.Errorf("partition column %s is no column", c)
		}
		t.Partition = append(t.Partition, i)
	}
	return t, nil
}

// registerTable brings the registry to what an entry says of the table. One that
// the registry did not know any more gets all its partitions again.
func (c *Committer) registerTable(ctx context.Context, e *entry) error {
	r := c.lake.opts.Registry
	if r == nil {
		return nil
	}
	t, err := c.lake.registered(c.name, e)
	if err != nil {
		return err
	}
	made, err := r.DefineTable(ctx, t)
	if err != nil {
		return fmt.Errorf("register table %s: %w", c.name, err)
	}
	if !made || len(t.Partition) == 0 {
		return nil
	}
	c.state.m.Lock()
	clear(c.state.registered)
	c.state.m.Unlock()
	all, err := c.lake.partitions(ctx, c.name, e)
	if err != nil {
		return err
	}
	return c.addPartitions(ctx, t, all)
}

// partitions are those of the files that are in the table's folder.
func (l *Lake) partitions(ctx context.Context, table string, e *entry) ([]partition, error) {
	var list []partition
	places, err := e.Table.folders()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	err = l.list(ctx, table, func(rel string, _ objectstore.Info) {
		if p, ok := places.partitionOf(rel); ok && !seen[p.key()] {
			seen[p.key()] = true
			list = append(list, p)
		}
	})
	return list, err
}

// partitionOf is the partition of a file, by its key below the table's folder;
// ok is false where the file lies in none.
func (f folders) partitionOf(rel string) (p partition, ok bool) {
	folder, _ := cutLast(rel)
	values := f.values(folder)
	if len(f.columns) == 0 || values == nil {
		return p, false
	}
	return partition{Values: values, Folder: f.partitionFolder(folder)}, true
}

func (p partition) key() string { return strings.Join(p.Values, "\x00") }

// unregistered are the partitions of an entry's files that the registry is not
// known to have.
func (c *Committer) unregistered(e *entry) ([]partition, error) {
	if len(e.Table.Partition) == 0 {
		return nil, nil
	}
	places, err := e.Table.folders()
	if err != nil {
		return nil, err
	}
	var list []partition
	seen := map[string]bool{}
	c.state.m.Lock()
	defer c.state.m.Unlock()
	for _, f := range e.Files {
		p, ok := places.partitionOf(strings.TrimPrefix(f.Key, c.name+"/"))
		if !ok || seen[p.key()] || c.state.registered[p.key()] {
			continue
		}
		seen[p.key()] = true
		list = append(list, p)
	}
	return list, nil
}

// register makes the partitions of an entry known; newest is the log's last one,
// which knows the table as it is now.
func (c *Committer) register(ctx context.Context, newest, e *entry) error {
	r := c.lake.opts.Registry
	if r == nil || len(e.Register) == 0 || newest.Dropped {
		return nil
	}
	c.state.m.Lock()
	missing := slices.DeleteFunc(slices.Clone(e.Register), func(p partition) bool { return c.state.registered[p.key()] })
	c.state.m.Unlock()
	if len(missing) == 0 {
		return nil
	}
	t, err := c.lake.registered(c.name, newest)
	if err != nil {
		return err
	}
	err = c.addPartitions(ctx, t, missing)
	if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		// Somebody has taken the table out of the registry.
		if err = c.registerTable(ctx, newest); err == nil {
			err = c.addPartitions(ctx, t, missing)
		}
	}
	return err
}

func (c *Committer) addPartitions(ctx context.Context, t catalog.RegisteredTable, list []partition) error {
	if len(list) == 0 {
		return nil
	}
	partitions := make([]catalog.RegisteredPartition, len(list))
	for i, p := range list {
		partitions[i] = catalog.RegisteredPartition{Values: p.Values, Location: t.Location + "/" + p.Folder}
	}
	if err := c.lake.opts.Registry.AddPartitions(ctx, t, partitions); err != nil {
		return fmt.Errorf("register partitions of table %s: %w", c.name, err)
	}
	c.state.m.Lock()
	for _, p := range list {
		c.state.registered[p.key()] = true
	}
	c.state.m.Unlock()
	return nil
}
