//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"
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
		shown.Catalog = listingCatalog{status.Catalog, &provider{db: db}}
		return &shown, transform.NewTree, nil
	})
}

// listingCatalog finds a table in the databases as information_schema lists them,
// which have one also for the name of a table that cannot be read. Which names a
// user may see, their list has decided.
type listingCatalog struct {
	gms.Catalog
	provider *provider
}

// Table implements gms.Catalog.
func (c listingCatalog) Table(ctx *gms.Context, database, name string) (gms.Table, gms.Database, error) {
	for _, d := range c.provider.AllDatabases(ctx) {
		if strings.EqualFold(d.Name(), database) {
			if t, ok, err := d.GetTableInsensitive(ctx, name); ok || err != nil {
				return t, d, err
			}
		}
	}
	return c.Catalog.Table(ctx, database, name)
}
