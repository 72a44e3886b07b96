package planner_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"
	"github.com/dolthub/go-mysql-server/sql/variables"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func TestMain(m *testing.M) {
	variables.InitSystemVariables()
	os.Exit(m.Run())
}

// table is the smallest RelationTable.
type table struct{ rel planner.Relation }

func (t *table) Name() string               { return t.rel.Name }
func (t *table) String() string             { return t.rel.Name }
func (t *table) Relation() planner.Relation { return t.rel }
func (t *table) Collation() gms.CollationID { return gms.Collation_Default }
func (t *table) Schema(*gms.Context) gms.Schema {
	s, err := planner.GMSSchema(t.rel)
	if err != nil {
		panic(err)
	}
	return s
}
func (t *table) Partitions(*gms.Context) (gms.PartitionIter, error) { return nil, nil }
func (t *table) PartitionRows(*gms.Context, gms.Partition) (gms.RowIter, error) {
	return nil, nil
}

// database has tables, views, and the sources that unqualified names may mean.
type database struct {
	name    string
	tables  map[string]*table
	sources map[string]*table
	views   map[string]string
}

func (d *database) Name() string { return d.name }
func (d *database) GetTableInsensitive(_ *gms.Context, name string) (gms.Table, bool, error) {
	if t, ok := d.tables[strings.ToLower(name)]; ok {
		return t, true, nil
	}
	if t, ok := d.sources[strings.ToLower(name)]; ok {
		return t, true, nil
	}
	return nil, false, nil
}
func (d *database) GetTableNames(*gms.Context) ([]string, error) {
	var names []string
	for n := range d.tables {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}
func (d *database) CreateView(*gms.Context, string, string, string) error { return nil }
func (d *database) DropView(*gms.Context, string) error                   { return nil }
func (d *database) AllViews(*gms.Context) ([]gms.ViewDefinition, error)   { return nil, nil }
func (d *database) GetViewDefinition(_ *gms.Context, name string) (gms.ViewDefinition, bool, error) {
	def, ok := d.views[strings.ToLower(name)]
	return gms.ViewDefinition{Name: name, CreateViewStatement: def}, ok, nil
}

type provider struct{ databases []*database }

func (p *provider) Database(_ *gms.Context, name string) (gms.Database, error) {
	for _, d := range p.databases {
		if strings.EqualFold(d.name, name) {
			return d, nil
		}
	}
	return nil, gms.ErrDatabaseNotFound.New(name)
}
func (p *provider) HasDatabase(ctx *gms.Context, name string) bool {
	_, err := p.Database(ctx, name)
	return err == nil
}
func (p *provider) AllDatabases(*gms.Context) []gms.Database {
	var out []gms.Database
	for _, d := range p.databases {
		out = append(out, d)
	}
	return out
}

func schema(t testing.TB, columns ...string) types.Schema {
	t.Helper()
	var s types.Schema
	for _, c := range columns {
		c, notNull := strings.CutSuffix(c, " NOT NULL")
		name, typ, _ := strings.Cut(c, " ")
		parsed, err := types.Parse(typ)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, types.Column{Name: name, Type: parsed, NotNull: notNull})
	}
	return s
}

// world is a catalog with two sources, two lake tables and some views.
type world struct {
	ctx *gms.Context
	cat gms.Catalog
	db  *database
}

func newWorld(t testing.TB) *world {
	hidden := []connectors.Hidden{
		{Name: "_offset", Type: types.TypeInt64},
		{Name: "_timestamp", Type: types.Type{Kind: types.Timestamp, Fsp: 3}},
		{Name: "_key", Type: types.Type{Kind: types.Binary}},
	}
	source := func(name string, columns ...string) *table {
		return &table{planner.Relation{
			Kind: logical.RelationSource, Name: name, Schema: schema(t, columns...), Hidden: hidden, Handle: "handle of " + name,
		}}
	}
	lake := func(name string, columns ...string) *table {
		return &table{planner.Relation{Kind: logical.RelationTable, Database: "lake", Name: name, Schema: schema(t, columns...)}}
	}
	db := &database{
		name: "lake",
		sources: map[string]*table{
			"trips": source("trips", "trip_id BIGINT NOT NULL", "pickup_location_id INT", "pickup_at TIMESTAMP(3)",
				"fare DECIMAL(10,2)", "rider JSON", "Region VARCHAR(20)", "stops JSON"),
			"clicks": source("clicks", "id BIGINT", "u VARCHAR(20)", "at DATETIME(6)", "flag BOOLEAN", "price DOUBLE", "payload JSON", "n TINYINT UNSIGNED"),
		},
		tables: map[string]*table{
			"orders":    lake("orders", "id BIGINT", "customer INT", "amount DECIMAL(12,2)", "day DATE", "note VARCHAR(40)"),
			"customers": lake("customers", "id INT NOT NULL", "name VARCHAR(30)", "city VARCHAR(30)"),
		},
		views: map[string]string{
			"cheap":   "CREATE VIEW cheap AS SELECT trip_id AS id, fare FROM trips WHERE fare < 10",
			"renamed": "CREATE VIEW renamed (a, b) AS SELECT fare, trip_id FROM trips",
			"totals":  "CREATE VIEW totals AS SELECT customer, SUM(amount) AS total FROM orders GROUP BY customer",
		},
	}
	ctx := gms.NewContext(context.Background(), gms.WithSession(gms.NewBaseSession()))
	ctx.SetCurrentDatabase("lake")
	a := analyzer.NewBuilder(&provider{[]*database{db}}).Build()
	a.Catalog.RegisterFunction(ctx, planner.Functions()...)
	return &world{ctx: ctx, cat: a.Catalog, db: db}
}

// lower binds and lowers a query.
func (w *world) lower(query string) (logical.Node, error) {
	stmt, err := sqlparser.Parse(query)
	if err != nil {
		return nil, err
	}
	if err := planner.PrepareSelect(stmt, planner.CatalogLookup(w.ctx, w.cat)); err != nil {
		return nil, err
	}
	bound, _, err := planbuilder.New(w.ctx, w.cat, nil).BindOnly(stmt, query, nil)
	if err != nil {
		return nil, err
	}
	return planner.Lower(w.ctx, bound)
}

// bind plans a stream.
func (w *world) bind(query string, change func(*planner.StreamInput)) (*planner.StreamPlan, error) {
	in := planner.StreamInput{
		Stream:      &sql.CreateStream{Name: sql.Ident{Name: "s"}, Query: query, QueryPos: sqlerror.Position{Line: 1, Column: 1}},
		TableFormat: "iceberg", Strict: true,
		Names: []string{"trips", "clicks"},
	}
	if change != nil {
		change(&in)
	}
	return planner.BindStream(w.ctx, w.cat, in)
}
