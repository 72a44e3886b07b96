package planner

import (
	"fmt"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// parse reads a statement that sql.RewriteQuery has prepared. The parser panics
// on some texts, an empty string right after SELECT among them.
func parse(text string) (stmt sqlparser.Statement, err error) {
	defer func() {
		if r := recover(); r != nil {
			stmt, err = nil, fmt.Errorf("syntax error: %v", r)
		}
	}()
	return sqlparser.Parse(text)
}

// bindOnly binds a prepared statement without analysing it. The binder panics
// on some statements that the parser lets through.
func bindOnly(ctx *gms.Context, cat gms.Catalog, stmt sqlparser.Statement, text string) (n gms.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("the query cannot be bound: %v", r)
		}
	}()
	n, _, err = planbuilder.New(ctx, cat, nil).BindOnly(stmt, text, nil)
	return n, err
}
