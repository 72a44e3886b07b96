//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"errors"
	"fmt"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/information_schema"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// systemDatabase holds the system tables.
const systemDatabase = "leat"

// provider shows the MySQL engine a database for each sink, the system
// database, and those of MySQL that clients ask.
type provider struct{ db *DB }

// Database implements gms.DatabaseProvider.
func (p *provider) Database(ctx *gms.Context, name string) (gms.Database, error) {
	switch lower := strings.ToLower(name); lower {
	case systemDatabase:
		return newSystemDB(p.db), nil
	case gms.InformationSchemaDatabaseName:
		return information_schema.NewInformationSchemaDatabase(), nil
	case "performance_schema", "sys":
		if s := p.db.sink(lower); s != nil { // from when the name was free
			return newLakeDB(p.db, s), nil
		}
		return newPerformanceDB(p.db, lower), nil
	default:
		if s := p.db.sink(lower); s != nil {
			return newLakeDB(p.db, s), nil
		}
	}
	return nil, gms.ErrDatabaseNotFound.New(name)
}

// HasDatabase implements gms.DatabaseProvider.
func (p *provider) HasDatabase(ctx *gms.Context, name string) bool {
	_, err := p.Database(ctx, name)
	return err == nil
}

// AllDatabases implements gms.DatabaseProvider. The catalog adds
// information_schema.
func (p *provider) AllDatabases(*gms.Context) []gms.Database {
	all := []gms.Database{newSystemDB(p.db)}
	for _, s := range p.db.allSinks() {
		d := newLakeDB(p.db, s)
		d.lists = true
		all = append(all, d)
	}
	return all
}

// lakeDB is the database of a sink: its tables, and by their plain names the
// sources, which SHOW TABLES does not list.
type lakeDB struct {
	noRoutines
	db   *DB
	sink *sink
	// lists is whether the database is one of all, as information_schema lists
	// them: what cannot be read is warned of there, so that the others can be seen.
	lists bool
}

func newLakeDB(db *DB, s *sink) *lakeDB {
	return &lakeDB{noRoutines: noRoutines{s.name}, db: db, sink: s}
}

// Name implements gms.Database.
func (d *lakeDB) Name() string { return d.sink.name }

// GetTableNames implements gms.Database.
func (d *lakeDB) GetTableNames(ctx *gms.Context) ([]string, error) {
	s, release := d.db.heldSink(d.sink.name)
	defer release()
	if s == nil {
		return nil, nil
	}
	lake, err := s.readable(ctx)
	if errors.Is(err, errNoTables) {
		return nil, nil
	}
	var names []string
	if err == nil {
		if names, err = lake.Tables(ctx); err != nil {
			err = fmt.Errorf("list tables of %s: %w", d.sink.name, err)
		}
	}
	if err != nil && d.lists && ctx.Err() == nil {
		ctx.Warn(1105, "sink %s is left out: %v", d.sink.name, err)
		return nil, nil
	}
	if err != nil {
		return nil, edgeError(ctx, err)
	}
	shown := names[:0:0]
	for _, n := range names {
		if !strings.HasPrefix(n, "_") {
			shown = append(shown, n)
		}
	}
	return shown, nil
}

// GetTableInsensitive implements gms.Database.
func (d *lakeDB) GetTableInsensitive(ctx *gms.Context, name string) (gms.Table, bool, error) {
	held, release := d.db.heldSink(d.sink.name)
	defer release()
	if held == nil {
		return nil, false, nil
	}
	lake, err := held.readable(ctx)
	if err == nil {
		var t catalog.Table
		drops := d.db.use.now()
		if t, err = lake.Table(ctx, name); err == nil {
			return newLakeTable(d.db, heldTable{t, held, drops})
		}
	}
	if s := d.db.source(name); s != nil {
		return newSourceTable(d.db, d.sink.name, s)
	}
	if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) || errors.Is(err, errNoTables) {
		return nil, false, nil
	}
	if d.lists && ctx.Err() == nil {
		ctx.Warn(1105, "%v", err)
		return &unreadableTable{relationTable{db: d.db, relation: planner.Relation{Database: d.sink.name, Name: name}}, err}, true, nil
	}
	// Iceberg's errors begin like this.
	if act := fmt.Sprintf("load table %s.%s: ", d.sink.name, name); !strings.HasPrefix(err.Error(), act) {
		err = fmt.Errorf("%s%w", act, err)
	}
	return nil, false, edgeError(ctx, err)
}

// DropTable implements gms.TableDropper.
func (d *lakeDB) DropTable(ctx *gms.Context, name string) error {
	return edgeError(ctx, d.db.dropTable(ctx, d.sink, name))
}

// CreateView implements gms.ViewDatabase.
func (d *lakeDB) CreateView(ctx *gms.Context, name, selectText, createText string) error {
	return edgeError(ctx, d.db.createView(ctx, d.sink.name, name, selectText, createText))
}

// DropView implements gms.ViewDatabase.
func (d *lakeDB) DropView(ctx *gms.Context, name string) error {
	return edgeError(ctx, d.db.dropView(ctx, d.sink.name, name))
}

// GetViewDefinition implements gms.ViewDatabase.
func (d *lakeDB) GetViewDefinition(ctx *gms.Context, name string) (gms.ViewDefinition, bool, error) {
	v, ok, err := d.db.store.View(ctx, d.sink.name, name)
	if err != nil || !ok {
		return gms.ViewDefinition{}, false, err
	}
	return viewDefinition(v), true, nil
}

// AllViews implements gms.ViewDatabase.
func (d *lakeDB) AllViews(ctx *gms.Context) ([]gms.ViewDefinition, error) {
	views, err := d.db.store.Views(ctx, d.sink.name)
	if err != nil {
		return nil, err
	}
	definitions := make([]gms.ViewDefinition, len(views))
	for i, v := range views {
		definitions[i] = viewDefinition(v)
	}
	return definitions, nil
}

var (
	_ gms.TableDropper = (*lakeDB)(nil)
	_ gms.ViewDatabase = (*lakeDB)(nil)
)

// relationTable is what the MySQL engine sees of a lake table or a source.
type relationTable struct {
	db       *DB
	relation planner.Relation
	schema   gms.Schema
	columns  types.Schema // of schema
	// projected are the indices in columns to read; nil means all.
	projected []int
}

func newRelationTable(db *DB, relation planner.Relation) (*relationTable, error) {
	schema, err := planner.GMSSchema(relation)
	if err != nil {
		return nil, fmt.Errorf("show table %s to the MySQL engine: %w", relation.Name, err)
	}
	t := &relationTable{db: db, relation: relation, schema: schema, columns: relation.Schema}
	for _, h := range relation.Hidden {
		if relation.Schema.Index(h.Name) < 0 {
			t.columns = append(t.columns[:len(t.columns):len(t.columns)], types.Column{Name: h.Name, Type: h.Type})
		}
	}
	return t, nil
}

// Name implements gms.Table.
func (t *relationTable) Name() string { return t.relation.Name }

// String implements gms.Table.
func (t *relationTable) String() string { return t.relation.Name }

// Collation implements gms.Table.
func (t *relationTable) Collation() gms.CollationID { return gms.Collation_utf8mb4_0900_bin }

// Relation implements planner.RelationTable.
func (t *relationTable) Relation() planner.Relation { return t.relation }

// Schema implements gms.Table.
func (t *relationTable) Schema(*gms.Context) gms.Schema {
	if t.projected == nil {
		return t.schema
	}
	schema := make(gms.Schema, len(t.projected))
	for i, c := range t.projected {
		schema[i] = t.schema[c]
	}
	return schema
}

// PrimaryKeySchema implements gms.PrimaryKeyTable, with the full schema.
func (t *relationTable) PrimaryKeySchema(*gms.Context) gms.PrimaryKeySchema {
	return gms.NewPrimaryKeySchema(t.schema)
}

// Projections implements gms.ProjectedTable.
func (t *relationTable) Projections() []string {
	if t.projected == nil {
		return nil
	}
	names := make([]string, len(t.projected))
	for i, c := range t.projected {
		names[i] = t.schema[c].Name
	}
	return names
}

func (t *relationTable) project(names []string) (relationTable, error) {
	p := *t
	p.projected = make([]int, 0, len(names))
	for _, name := range names {
		i := t.columns.Index(name)
		if i < 0 {
			return p, fmt.Errorf("project table %s: no column %s", t.relation.Name, name)
		}
		p.projected = append(p.projected, i)
	}
	return p, nil
}

func (t *relationTable) selected() []int {
	if t.projected != nil {
		return t.projected
	}
	all := make([]int, len(t.columns))
	for i := range all {
		all[i] = i
	}
	return all
}

// single is the one partition of our tables.
type single struct{}

// Key implements gms.Partition.
func (single) Key() []byte { return []byte("all") }

// Partitions implements gms.Table.
func (t *relationTable) Partitions(*gms.Context) (gms.PartitionIter, error) {
	return gms.PartitionsToPartitionIter(single{}), nil
}

// unreadableTable has the name of a table that cannot be read, and no columns.
type unreadableTable struct {
	relationTable
	err error
}

// PartitionRows implements gms.Table.
func (t *unreadableTable) PartitionRows(*gms.Context, gms.Partition) (gms.RowIter, error) {
	return nil, t.err
}

// RowCount implements gms.StatisticsTable. Without it information_schema.tables repeats
// the rows of the table before.
func (t *unreadableTable) RowCount(*gms.Context) (uint64, bool, error) { return 0, false, nil }

// DataLength implements gms.StatisticsTable.
func (t *unreadableTable) DataLength(*gms.Context) (uint64, error) { return 0, nil }

// lakeTable is a lake table; the MySQL engine reads its rows only for what
// DuckDB cannot evaluate.
type lakeTable struct {
	relationTable
	table heldTable
}

func newLakeTable(db *DB, t heldTable) (gms.Table, bool, error) {
	r, err := newRelationTable(db, planner.Relation{
		Kind: logical.RelationTable, Database: t.sink.name, Name: t.Name(), Schema: t.Schema(), Handle: t,
	})
	if err != nil {
		return nil, false, err
	}
	return &lakeTable{*r, t}, true, nil
}

// WithProjections implements gms.ProjectedTable.
func (t *lakeTable) WithProjections(_ *gms.Context, names []string) (gms.Table, error) {
	p, err := t.project(names)
	return &lakeTable{p, t.table}, err
}

// PartitionRows implements gms.Table.
func (t *lakeTable) PartitionRows(ctx *gms.Context, _ gms.Partition) (gms.RowIter, error) {
	reader, err := t.db.queries.Scan(ctx, t.table, t.selected(), nil)
	if err != nil {
		return nil, edgeError(ctx, fmt.Errorf("read table %s: %w", t.relation.Name, err))
	}
	return newReaderIter(ctx, reader)
}

// RowCount implements gms.StatisticsTable, for information_schema.tables.
func (t *lakeTable) RowCount(ctx *gms.Context) (uint64, bool, error) {
	rows, _, err := t.size(ctx)
	return rows, true, err
}

// DataLength implements gms.StatisticsTable, in bytes of data files.
func (t *lakeTable) DataLength(ctx *gms.Context) (uint64, error) {
	_, bytes, err := t.size(ctx)
	return bytes, err
}

// size is what the table's metadata says; partitions whose rows nobody has
// counted are left out.
func (t *lakeTable) size(ctx *gms.Context) (rows, bytes uint64, err error) {
	table, release, err := t.table.Hold()
	if err != nil {
		return 0, 0, edgeError(ctx, err)
	}
	defer release()
	if s, ok := table.(catalog.Sized); ok {
		if rows, bytes, ok := s.Size(); ok {
			return uint64(max(rows, 0)), uint64(max(bytes, 0)), nil
		}
	}
	partitions, err := table.Partitions(ctx)
	if err != nil {
		return 0, 0, edgeError(ctx, fmt.Errorf("size of table %s: %w", t.relation.Name, err))
	}
	for _, p := range partitions {
		rows += uint64(max(p.Rows, 0))
		bytes += uint64(max(p.Bytes, 0))
	}
	return rows, bytes, nil
}

// sourceTable is a source; reading it peeks at its records.
type sourceTable struct {
	relationTable
	source *source
}

func newSourceTable(db *DB, database string, s *source) (gms.Table, bool, error) {
	if s.err != nil {
		return nil, false, s.err
	}
	var hidden []connectors.Hidden
	hidden = append(hidden, s.connector.Hidden...)
	r, err := newRelationTable(db, planner.Relation{
		Kind: logical.RelationSource, Database: database, Name: s.name, Schema: s.schema, Hidden: hidden, Handle: s,
	})
	if err != nil {
		return nil, false, err
	}
	return &sourceTable{*r, s}, true, nil
}

// WithProjections implements gms.ProjectedTable.
func (t *sourceTable) WithProjections(_ *gms.Context, names []string) (gms.Table, error) {
	p, err := t.project(names)
	return &sourceTable{p, t.source}, err
}

// PartitionRows implements gms.Table.
func (t *sourceTable) PartitionRows(ctx *gms.Context, _ gms.Partition) (gms.RowIter, error) {
	columns := make(types.Schema, 0, len(t.columns))
	for _, i := range t.selected() {
		columns = append(columns, t.columns[i])
	}
	p, err := t.db.peek(ctx, t.source, columns, nil, 1, func(number int, message string) { ctx.Warn(number, "%s", message) })
	if err != nil {
		return nil, edgeError(ctx, err)
	}
	return &peekIter{peek: p, columns: columns, loc: sessionLocation(ctx)}, nil
}

var (
	_ gms.ProjectedTable    = (*lakeTable)(nil)
	_ gms.PrimaryKeyTable   = (*lakeTable)(nil)
	_ gms.StatisticsTable   = (*lakeTable)(nil)
	_ gms.StatisticsTable   = (*unreadableTable)(nil)
	_ gms.ProjectedTable    = (*sourceTable)(nil)
	_ planner.RelationTable = (*lakeTable)(nil)
	_ planner.RelationTable = (*sourceTable)(nil)
)
