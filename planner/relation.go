package planner

import (
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// Relation is what a name in FROM stands for: a source, a lake table or a system
// table.
type Relation struct {
	Kind     logical.RelationKind
	Database string // of a table: the sink's name, or the system database
	Name     string
	Schema   types.Schema
	// Hidden are the source's metadata columns (_offset, _timestamp, …): they can
	// be named, but * does not contain them.
	Hidden []connectors.Hidden
	// Handle is passed on to the Scan, for whoever runs the plan.
	Handle any
}

// RelationTable is implemented by the tables of the MySQL engine that stand for
// a Relation; Lower knows a table by it.
type RelationTable interface {
	gms.Table
	Relation() Relation
}

// Lookup finds the relation that a name in FROM means; an empty database is the
// session's current one. It reports false for views and other tables.
type Lookup func(database, table string) (Relation, bool)

// CatalogLookup finds relations in the MySQL engine's catalog.
func CatalogLookup(ctx *gms.Context, cat gms.Catalog) Lookup {
	return func(database, table string) (Relation, bool) {
		if database == "" {
			database = ctx.GetCurrentDatabase()
		}
		db, err := cat.Database(ctx, database)
		if err != nil {
			return Relation{}, false
		}
		if views, ok := db.(gms.ViewDatabase); ok {
			if _, isView, err := views.GetViewDefinition(ctx, table); err != nil || isView {
				return Relation{}, false
			}
		}
		t, _, err := cat.DatabaseTable(ctx, db, table)
		if err != nil {
			return Relation{}, false
		}
		rel, ok := t.(RelationTable)
		if !ok {
			return Relation{}, false
		}
		return rel.Relation(), true
	}
}

// columns are all columns that can be named: the schema's, then the hidden ones.
func (r Relation) columns() types.Schema {
	cols := append(types.Schema(nil), r.Schema...)
	for _, h := range r.Hidden {
		cols = append(cols, types.Column{Name: h.Name, Type: h.Type})
	}
	return cols
}

// isHidden reports whether name is a metadata column.
func (r Relation) isHidden(name string) bool {
	if r.Schema.Index(name) >= 0 {
		return false
	}
	for _, h := range r.Hidden {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

// GMSSchema is the schema that a RelationTable has to show to the MySQL engine:
// the columns, then the hidden ones. A hidden column of the name of a declared
// one is shadowed by it.
func GMSSchema(rel Relation) (gms.Schema, error) {
	var schema gms.Schema
	for i, c := range rel.columns() {
		if i >= len(rel.Schema) && !rel.isHidden(c.Name) {
			continue
		}
		t, err := GMSType(c.Type)
		if err != nil {
			return nil, err
		}
		schema = append(schema, &gms.Column{
			Name: c.Name, Type: t, Nullable: !c.NotNull,
			Source: rel.Name, DatabaseSource: rel.Database,
		})
	}
	return schema, nil
}
