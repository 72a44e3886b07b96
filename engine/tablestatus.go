//go:build gms_pure_go && duckdb_arrow

package engine

import (
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"

	"github.com/leatdb/leat/planner"
)

// showUnreadable is the rule that has SHOW TABLE STATUS list a table that cannot be
// read by its name, with a warning, so that the others can be seen.
func (db *DB) showUnreadable(ctx *gms.Context, _ *analyzer.Analyzer, n gms.Node, _ *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
	return transform.Node(ctx, n, func(_ *gms.Context, n gms.Node) (gms.Node, transform.TreeIdentity, error) {
		status, ok := n.(*plan.ShowTableStatus)
		if !ok {
			return n, transform.SameTree, nil
		}
		shown := *status
		shown.Catalog = lenientCatalog{status.Catalog, db}
		return &shown, transform.NewTree, nil
	})
}

// lenientCatalog has a table also for the name of one that cannot be read.
type lenientCatalog struct {
	gms.Catalog
	db *DB
}

// Table implements gms.Catalog.
func (c lenientCatalog) Table(ctx *gms.Context, database, name string) (gms.Table, gms.Database, error) {
	t, d, err := c.Catalog.Table(ctx, database, name)
	if err == nil || ctx.Err() != nil || gms.ErrDatabaseAccessDeniedForUser.Is(err) || gms.ErrTableAccessDeniedForUser.Is(err) {
		return t, d, err
	}
	ctx.Warn(1105, "table %s.%s cannot be read: %v", database, name, err)
	return &unreadableTable{relationTable{db: c.db, relation: planner.Relation{Database: database, Name: name}}, err}, d, nil
}
