package hive

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// layout is what a table looks like, as each entry of its log has it.
type layout struct {
	Columns   []column `json:"columns"`
	Partition []string `json:"partition,omitempty"` // names of columns
	// Format of the files: "parquet", "json" or "csv".
	Format string `json:"format"`
	// Options of the files that readers have to know.
	Options map[string]string `json:"options,omitempty"`
	// PathTemplate is that of the files' folders; empty for name=value/….
	PathTemplate string `json:"path_template,omitempty"`
}

// folders take partition values from paths.
type folders struct {
	columns  []string
	template *Template // nil for name=value/…
}

func (l layout) folders() (folders, error) {
	f := folders{columns: l.Partition}
	if l.PathTemplate == "" {
		return f, nil
	}
	var err error
	if f.template, err = ParseTemplate(l.PathTemplate, l.Partition, DataFiles); err != nil {
		return f, fmt.Errorf("path_template %q: %w", l.PathTemplate, err)
	}
	return f, nil
}

// values are the texts of the partition columns in a file's folder below the
// table's, nil where they are not there.
func (f folders) values(folder string) []string {
	if f.template != nil {
		return f.template.Values(folder)
	}
	return partitionTexts(f.columns, folder)
}

// partitionFolder is the part of a file's folder that belongs to its partition.
func (f folders) partitionFolder(folder string) string {
	if f.template != nil {
		return f.template.PartitionFolder(folder)
	}
	return folder
}

type column struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"` // as declared
	NotNull bool   `json:"not_null,omitempty"`
}

func (l layout) find(name string) int {
	return slices.IndexFunc(l.Columns, func(c column) bool { return strings.EqualFold(c.Name, name) })
}

// schema is the table's columns by their declared types.
func (l layout) schema() (types.Schema, error) {
	schema := make(types.Schema, len(l.Columns))
	for i, c := range l.Columns {
		t, err := types.Parse(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		schema[i] = types.Column{Name: c.Name, Type: t, NotNull: c.NotNull}
	}
	return schema, nil
}

// storedType is the plainest type of what files hold of a declared type.
func storedType(t types.Type) (types.Type, error) {
	switch t.Kind {
	case types.Bool:
		return types.TypeBool, nil
	case types.Int8, types.Int16, types.Int32, types.Uint8, types.Uint16:
		return types.Type{Kind: types.Int32}, nil
	case types.Int64, types.Uint32:
		return types.TypeInt64, nil
	case types.Uint64:
		return types.NewDecimal(20, 0), nil
	case types.Float32:
		return types.Type{Kind: types.Float32}, nil
	case types.Float64:
		return types.TypeFloat64, nil
	case types.Decimal:
		if t.Precision < 1 || t.Precision > types.MaxDecimalPrecision || t.Scale < 0 || t.Scale > t.Precision {
			return t, sqlerror.Userf(sqlerror.CodeType, "%s cannot be stored", t).
				WithHint("lake tables hold at most %d digits; CAST the column to a narrower DECIMAL or to DOUBLE", types.MaxDecimalPrecision)
		}
		return types.NewDecimal(t.Precision, t.Scale), nil
	case types.Date:
		return types.TypeDate, nil
	case types.Time:
		return types.Type{Kind: types.Time, Fsp: 6}, nil
	case types.DateTime:
		return types.TypeDateTime, nil
	case types.Timestamp:
		return types.Type{Kind: types.Timestamp, Fsp: 6}, nil
	case types.String, types.JSON:
		return types.TypeText, nil
	case types.Binary:
		return types.TypeBlob, nil
	case types.Null:
		return t, sqlerror.Userf(sqlerror.CodeType, "a column of type NULL cannot be stored").
			WithHint("give it a type, as in CAST(NULL AS CHAR)")
	}
	return t, sqlerror.Userf(sqlerror.CodeUnsupported, "type %s cannot be stored in a lake table", t)
}

// promotes reports whether a reader that expects the type to reads what was
// stored as from.
func promotes(from, to types.Type) bool {
	switch {
	case from.Equal(to):
		return true
	case from.Kind == types.Int32:
		return to.Kind == types.Int64
	case from.Kind == types.Float32:
		return to.Kind == types.Float64
	case from.Kind == types.Decimal:
		return to.Kind == types.Decimal && to.Scale == from.Scale && to.Precision >= from.Precision
	}
	return false
}

// Define makes the table if there is none and checks or evolves it otherwise.
//
// The stream that wrote to the table before, or the first one, may bring new
// columns (as nullable ones) and wider types. A further stream has to fit the
// table as it is. Everything else is refused with sqlerror.CodeConflict and the
// way out.
func (l *Lake) Define(ctx context.Context, d catalog.Definition) (*catalog.Target, error) {
	if err := checkTableName(d.Name); err != nil {
		return nil, err
	}
	if err := checkDefinition(d); err != nil {
		return nil, err
	}
	if err := l.checkTemplate(d); err != nil {
		return nil, err
	}
	c := &Committer{lake: l, name: d.Name, stream: d.Stream, state: l.shared(d.Name)}
	if err := l.checkRegistry(ctx, d); err != nil {
		return nil, err
	}
	// Others may make or change the table at the same time.
	for attempt := 0; ; attempt++ {
		e, err := c.define(ctx, d)
		if err == nil {
			if err := c.registerTable(ctx, e); err != nil {
				return nil, err
			}
			return c.target(e, d)
		}
		if attempt == 10 || !IsConflict(err) {
			return nil, err
		}
	}
}

// checkTemplate refuses a form of folders that does not fit the table.
func (l *Lake) checkTemplate(d catalog.Definition) error {
	if d.PathTemplate == "" {
		return nil
	}
	var names []string
	for _, f := range d.Partition {
		names = append(names, d.Schema[f.Column].Name)
	}
	t, err := ParseTemplate(d.PathTemplate, names, DataFiles)
	if err != nil {
		if e := sqlerror.As(err); e != nil {
			e.About("path_template")
		}
		return err
	}
	if l.opts.Registry != nil && !t.Settled() {
		return badTemplate("its partitions would lie in several folders, and the catalog knows one for each").About("path_template").
			WithHint("put !{timestamp:…} and !{random} behind the last !{partition:…}")
	}
	return nil
}

func checkDefinition(d catalog.Definition) error {
	if len(d.Schema) == len(d.Partition) {
		return sqlerror.Userf(sqlerror.CodeConflict, "table %s would have no columns in its files", d.Name).
			WithHint("a partition column is in the path and not in the file: select another column, too")
	}
	for i, c := range d.Schema {
		if c.Name == "" {
			return sqlerror.Userf(sqlerror.CodeConflict, "column %d of table %s has no name", i+1, d.Name).WithHint("name it with AS")
		}
		if _, err := storedType(c.Type); err != nil {
			if e := sqlerror.As(err); e != nil {
				e.About("column " + c.Name)
			}
			return err
		}
		if d.Schema.Index(c.Name) != i {
			return sqlerror.Userf(sqlerror.CodeConflict, "table %s would have two columns %q", d.Name, c.Name).WithHint("rename one with AS")
		}
	}
	for _, f := range d.Partition {
		if f.Column < 0 || f.Column >= len(d.Schema) {
			return fmt.Errorf("partition field %s: no column %d", f.Name, f.Column)
		}
		c := d.Schema[f.Column]
		switch {
		case f.Transform != "identity":
			return sqlerror.Userf(sqlerror.CodeUnsupported, "partition field %s: %s is a transform of Iceberg, which Hive folders do not have", f.Name, f.Transform).
				WithHint("store the value in a column and partition by that")
		case !strings.EqualFold(f.Name, c.Name):
			return sqlerror.Userf(sqlerror.CodeConflict, "partition field %s is column %s", f.Name, c.Name).WithHint("name the column so")
		case c.Type.Kind == types.Binary || c.Type.Kind == types.JSON:
			return sqlerror.Userf(sqlerror.CodeType, "column %s of type %s cannot be a folder's name", c.Name, c.Type).
				WithHint("partition by a text, as in (HEX(%s) AS name)", c.Name)
		case escapedLen(c.Name) > maxComponent/2:
			return sqlerror.Userf(sqlerror.CodeBadOption, "the name of partition column %.40s… is too long for a folder", c.Name).WithHint("rename it with AS")
		}
	}
	return nil
}

// define is one attempt to bring the table to a definition.
func (c *Committer) define(ctx context.Context, d catalog.Definition) (*entry, error) {
	if err := c.state.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.state.release()
	e, err := c.lake.newestEntry(ctx, c.name)
	if err != nil {
		return nil, err
	}
	c.state.setNewest(e)
	var next *entry
	if e == nil || e.Dropped {
		next, err = c.create(ctx, e, d)
	} else {
		next, err = c.evolve(e, d)
	}
	if err != nil || next == nil {
		return e, err
	}
	return next, c.append(ctx, next)
}

// create is the first entry of a table; e is the last one of an earlier table.
func (c *Committer) create(ctx context.Context, e *entry, d catalog.Definition) (*entry, error) {
	if e != nil {
		// Its end was perhaps cut short.
		if err := c.lake.deleteTable(ctx, c.name, e); err != nil {
			return nil, err
		}
	} else if !d.Adopt {
		found := false
		for info, err := range objectstore.All(ctx, c.lake.opts.Store, c.name+"/", "") {
			if err != nil {
				return nil, err
			}
			if found = isData(strings.TrimPrefix(info.Key, c.name+"/")); found {
				break
			}
		}
		if found {
			// Perhaps another one has made the table since the log was looked for.
			if made, err := c.lake.newestEntry(ctx, c.name); err != nil {
				return nil, err
			} else if made != nil {
				return nil, conflictError(c.name, made.N)
			}
			return nil, sqlerror.Userf(sqlerror.CodeConflict, "%s holds files of which there is no log", c.lake.opts.Store.URI(c.name)).
				WithHint("take them for rows of the table WITH (adopt = true), or choose another table name or path")
		}
	}
	// A table that is listed and has no log is none; one that has a log and is
	// not listed would be forgotten.
	if _, err := c.lake.opts.Store.Put(ctx, registryPrefix+c.name, nil, objectstore.PutOptions{}); err != nil {
		return nil, err
	}
	next := c.follow(&entry{})
	if e != nil {
		next = c.follow(e)
	}
	if next.N == 1 {
		next.Previous = ""
	}
	next.Table = layout{Format: d.Format, Options: maps.Clone(d.Options), PathTemplate: d.PathTemplate}
	for i, col := range d.Schema {
		next.Table.Columns = append(next.Table.Columns, column{ID: i + 1, Name: col.Name, Type: col.Type.String(), NotNull: col.NotNull})
	}
	for _, f := range d.Partition {
		next.Table.Partition = append(next.Table.Partition, d.Schema[f.Column].Name)
	}
	return next, nil
}

// evolve is the entry that brings a table to what the stream writes, nil if it
// is that already.
func (c *Committer) evolve(e *entry, d catalog.Definition) (*entry, error) {
	writers := catalog.Writers{}
	if d.Writers != nil {
		writers = d.Writers(e.State)
	}
	if e.Table.Format != d.Format || !maps.Equal(e.Table.Options, d.Options) {
		return nil, sqlerror.Userf(sqlerror.CodeConflict, "the files of table %s are %s, those of the stream %s",
			d.Name, formatText(e.Table.Format, e.Table.Options), formatText(d.Format, d.Options)).
			WithHint("give the stream the table's format, or write INTO another table")
	}
	if e.Table.PathTemplate != d.PathTemplate {
		return nil, sqlerror.Userf(sqlerror.CodeConflict, "the folders of table %s are %q, those of the stream %q", d.Name, e.Table.PathTemplate, d.PathTemplate).
			WithHint("give the stream the table's path_template, or write INTO another table")
	}
	mayEvolve := writers.Started || len(writers.Others) == 0
	table := e.Table
	table.Columns = slices.Clone(table.Columns)
	last := 0
	for _, col := range table.Columns {
		last = max(last, col.ID)
	}
	changed := false
	for _, col := range d.Schema {
		i := table.find(col.Name)
		if i < 0 {
			if !mayEvolve {
				return nil, catalog.Conflict(d, writers, "column %s is new", col.Name)
			}
			last++
			table.Columns = append(table.Columns, column{ID: last, Name: col.Name, Type: col.Type.String()})
			changed = true
			continue
		}
		have := &table.Columns[i]
		old, err := types.Parse(have.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", have.Name, err)
		}
		from, err := storedType(old)
		if err != nil {
			return nil, err
		}
		to, err := storedType(col.Type)
		if err != nil {
			return nil, err
		}
		if have.NotNull && !col.NotNull {
			have.NotNull, changed = false, true
		}
		if catalog.Includes(old, col.Type) && promotes(to, from) {
			continue
		}
		if !mayEvolve || !catalog.Includes(col.Type, old) || !promotes(from, to) {
			return nil, catalog.Conflict(d, writers, "column %s is %s in the table and %s in the stream", have.Name, old, col.Type)
		}
		have.Type, changed = col.Type.String(), true
	}
	for _, col := range table.Columns {
		if d.Schema.Index(col.Name) >= 0 || writers.Started && !slices.Contains(writers.Columns, col.ID) && !col.NotNull {
			continue
		}
		return nil, catalog.Conflict(d, writers, "column %s of the table is not in the stream", col.Name)
	}
	var partition []string
	for _, f := range d.Partition {
		partition = append(partition, d.Schema[f.Column].Name)
	}
	if !slices.EqualFunc(table.Partition, partition, strings.EqualFold) {
		return nil, sqlerror.Userf(sqlerror.CodeConflict, "table %s is partitioned by %s, the stream by %s", d.Name, namesText(table.Partition), namesText(partition)).
			WithHint("repeat the table's PARTITIONED BY, or write INTO another table")
	}
	if !changed {
		return nil, nil
	}
	next := c.follow(e)
	next.Table = table
	return next, nil
}

func formatText(format string, options map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		format += fmt.Sprintf(", %s = '%s'", name, options[name])
	}
	return format
}

func namesText(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// target describes the table to its writer.
func (c *Committer) target(e *entry, d catalog.Definition) (*catalog.Target, error) {
	target := &catalog.Target{Committer: c, Location: c.lake.opts.Store.URI(c.name)}
	for _, col := range d.Schema {
		i := e.Table.find(col.Name)
		if i < 0 {
			return nil, conflictError(c.name, e.N)
		}
		have := e.Table.Columns[i]
		declared, err := types.Parse(have.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", have.Name, err)
		}
		stored, err := storedType(declared)
		if err != nil {
			return nil, err
		}
		target.Columns = append(target.Columns, catalog.TargetColumn{ID: have.ID, Name: have.Name, Type: stored, Required: have.NotNull})
	}
	for _, have := range e.Table.Columns {
		if !slices.Contains(e.Table.Partition, have.Name) {
			target.FileColumns = append(target.FileColumns, have.Name)
		}
	}
	for i, f := range d.Partition {
		target.Spec = append(target.Spec, catalog.SpecField{PartitionField: f, ID: 1000 + i})
	}
	return target, nil
}
