//go:build gms_pure_go && duckdb_arrow

package engine

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql/types"
)

// performanceColumns are the tables of MySQL's databases performance_schema and sys
// that clients ask for: a line has its name and its columns, TEXT where no type is
// given, or the table that it is like.
//
//go:embed performance_schema.txt
var performanceColumns string

// performanceTables has the columns of each table by its database and name.
var performanceTables = sync.OnceValue(func() map[string]types.Schema {
	tables := map[string]types.Schema{}
	for line := range strings.Lines(performanceColumns) {
		name, list, _ := strings.Cut(strings.TrimSpace(line), " ")
		if like, ok := strings.CutPrefix(list, "= "); ok {
			tables[name] = tables[like]
			continue
		}
		for _, column := range strings.Split(list, ", ") {
			c := types.Column{Type: types.TypeText}
			typ := ""
			if c.Name, typ, _ = strings.Cut(column, ":"); typ != "" {
				var err error
				if c.Type, err = types.Parse(typ); err != nil {
					panic(fmt.Sprintf("engine: column %s of %s: %v", c.Name, name, err))
				}
			}
			tables[name] = append(tables[name], c)
		}
	}
	return tables
})

// performanceDB is performance_schema or sys. Clients read them when they connect;
// what they measure is not measured here, so that most tables are empty. SHOW
// DATABASES leaves them out.
type performanceDB struct {
	noRoutines
	noViews
	db   *DB
	name string
}

func newPerformanceDB(db *DB, name string) performanceDB {
	return performanceDB{noRoutines{name}, noViews{name}, db, name}
}

// Name implements gms.Database.
func (d performanceDB) Name() string { return d.name }

// GetTableNames implements gms.Database.
func (d performanceDB) GetTableNames(*gms.Context) ([]string, error) {
	var names []string
	for _, full := range slices.Sorted(maps.Keys(performanceTables())) {
		if name, ok := strings.CutPrefix(full, d.name+"."); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// GetTableInsensitive implements gms.Database.
func (d performanceDB) GetTableInsensitive(_ *gms.Context, name string) (gms.Table, bool, error) {
	name = strings.ToLower(name)
	columns, ok := performanceTables()[d.name+"."+name]
	if !ok {
		return nil, false, nil
	}
	schema, err := planner.GMSSchema(planner.Relation{Database: d.name, Name: name, Schema: columns})
	if err != nil {
		return nil, false, err
	}
	return &performanceTable{db: d.db, database: d.name, name: name, schema: schema}, true, nil
}

// forAll are those of its tables that MySQL lets everybody read.
var forAll = map[string][]string{
	"performance_schema": {"global_variables", "session_variables", "global_status", "session_status"},
	"sys":                {"version"},
}

// authorization is the MySQL engine's, by which everybody may read forAll too.
type authorization struct {
	gms.AuthorizationHandler
	db *DB
}

// NewQueryState implements gms.AuthorizationHandler. What it adds to is the session's
// copy of the user's privileges, which the engine makes anew when any are changed.
func (a authorization) NewQueryState(ctx *gms.Context) gms.AuthorizationQueryState {
	privileges := a.db.mysql.Analyzer.Catalog.MySQLDb.UserActivePrivilegeSet(ctx)
	for database, tables := range forAll {
		if a.db.sink(database) != nil {
			continue // from when the name was free
		}
		for _, table := range tables {
			if !privileges.Database(database).Table(table).Has(gms.PrivilegeType_Select) {
				privileges.AddTable(database, table, gms.PrivilegeType_Select)
			}
		}
	}
	return a.AuthorizationHandler.NewQueryState(ctx)
}

// performanceTable is a table of performance_schema or sys.
type performanceTable struct {
	db             *DB
	database, name string
	schema         gms.Schema
}

var _ gms.Table = (*performanceTable)(nil)

// Name implements gms.Table.
func (t *performanceTable) Name() string { return t.name }

// String implements gms.Table.
func (t *performanceTable) String() string { return t.name }

// Schema implements gms.Table.
func (t *performanceTable) Schema(*gms.Context) gms.Schema { return t.schema }

// Collation implements gms.Table.
func (t *performanceTable) Collation() gms.CollationID { return gms.Collation_utf8mb4_0900_ai_ci }

// Partitions implements gms.Table.
func (t *performanceTable) Partitions(*gms.Context) (gms.PartitionIter, error) {
	return gms.PartitionsToPartitionIter(single{}), nil
}

// PartitionRows implements gms.Table.
func (t *performanceTable) PartitionRows(ctx *gms.Context, _ gms.Partition) (gms.RowIter, error) {
	var shows gms.Node
	switch t.database + "." + t.name {
	case "performance_schema.global_variables":
		shows = plan.NewShowVariables(nil, true)
	case "performance_schema.session_variables":
		shows = plan.NewShowVariables(nil, false)
	case "performance_schema.global_status":
		shows = plan.NewShowStatus(true)
	case "performance_schema.session_status":
		shows = plan.NewShowStatus(false)
	case "sys.version":
		version, err := ctx.GetSessionVariable(ctx, "version")
		if err != nil {
			return nil, err
		}
		return gms.RowsToRowIter(gms.NewRow("2.1.2", version)), nil
	default:
		return gms.RowsToRowIter(), nil
	}
	iter, err := t.db.mysql.Analyzer.ExecBuilder.Build(ctx, shows, nil)
	if err != nil {
		return nil, err
	}
	return textIter{iter}, nil
}

// textIter gives the values of rows as text.
type textIter struct{ gms.RowIter }

// Next implements gms.RowIter.
func (it textIter) Next(ctx *gms.Context) (gms.Row, error) {
	row, err := it.RowIter.Next(ctx)
	if err != nil {
		return nil, err
	}
	texts := make(gms.Row, len(row))
	for i, v := range row {
		if texts[i], _, err = gmstypes.LongText.Convert(ctx, v); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
