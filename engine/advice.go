//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Advise says more of an error that the MySQL engine has of a statement: where the
// name stands that it is about, no place where it is about none, and in a hint what
// may have been meant or what to do, which may be empty. ctx is the statement's own.
func (db *DB) Advise(ctx *gms.Context, err error, statement string) (at sqlerror.Position, hint string) {
	switch {
	case IsWrite(err):
		return at, "tables are written by streams: CREATE STREAM … INTO sink.table AS SELECT …"
	case gms.ErrImmutableDatabaseProvider.Is(err):
		return at, "a database is a sink: CREATE SINK, DROP SINK"
	case gms.ErrSecureFilePriv.Is(err):
		return at, "the server writes no files for clients; leat sql --format csv prints rows"
	}
	name, at := planner.NamePosition(err, statement)
	var candidates []string
	switch {
	case name == "" || gms.ErrAmbiguousColumnName.Is(err):
		return at, ""
	case gms.ErrTableNotFound.Is(err):
		candidates = db.tableNames()
	case gms.ErrDatabaseNotFound.Is(err):
		candidates = append(db.names(sql.KindSink), systemDatabase)
	case gms.ErrFunctionNotFound.Is(err):
		return at, planner.FunctionHint(name)
	case gms.ErrInvalidArgumentNumber.Is(err):
		return at, planner.ArgumentsHint(name)
	default:
		name = name[strings.LastIndexByte(name, '.')+1:]
		candidates = db.columnsOf(ctx, statement)
	}
	near := sqlerror.Nearest(name, candidates)
	if near == "" {
		return at, ""
	}
	if strings.EqualFold(near, name) {
		return at, db.missingTable(name)
	}
	return at, "did you mean " + near + "?"
}

// missingTable says why a table is not there that something has the name of.
func (db *DB) missingTable(name string) string {
	for _, s := range db.allStreams() {
		if strings.EqualFold(s.table, name) {
			return fmt.Sprintf("stream %s, which is %s, writes to %s.%s; SHOW STREAMS says more", s.name, s.status().State, s.sink, s.table)
		}
	}
	return ""
}

// IsWrite reports whether an error of the MySQL engine refuses to change a table.
func IsWrite(err error) bool {
	return gms.ErrCreateTableNotSupported.Is(err) || gms.ErrAlterTableNotSupported.Is(err) || gms.ErrRenameTableNotSupported.Is(err) ||
		gms.ErrInsertIntoMismatchValueCount.Is(err) || gms.ErrTemporaryTableNotSupported.Is(err) || plan.ErrInsertIntoNotSupported.Is(err) || plan.ErrReplaceIntoNotSupported.Is(err) ||
		plan.ErrUpdateNotSupported.Is(err) || plan.ErrDeleteFromNotSupported.Is(err) || plan.ErrTruncateNotSupported.Is(err) || plan.ErrNotIndexable.Is(err)
}

// tableNames are the names that may stand in FROM, as far as they are known without
// asking a catalog.
func (db *DB) tableNames() []string {
	names := append(db.names(sql.KindSource), slices.Collect(maps.Keys(systemTables))...)
	for _, s := range db.allStreams() {
		names = append(names, s.table)
	}
	return append(names, deadLettersTable)
}

// columnsOf are the columns of the tables that a statement names, as far as they can
// be found.
func (db *DB) columnsOf(ctx *gms.Context, statement string) []string {
	parsed, _, _, err := db.mysql.Parser.Parse(ctx, statement, false)
	if err != nil {
		return nil
	}
	var names []string
	_ = sqlparser.Walk(func(node sqlparser.SQLNode) (bool, error) {
		table, ok := node.(sqlparser.TableName)
		if !ok || table.IsEmpty() {
			return true, nil
		}
		database := table.DbQualifier.String()
		if database == "" {
			database = ctx.GetCurrentDatabase()
		}
		t, _, err := db.mysql.Analyzer.Catalog.Table(ctx, database, table.Name.String())
		if err != nil {
			return true, nil
		}
		for _, c := range t.Schema(ctx) {
			names = append(names, c.Name)
		}
		return true, nil
	}, parsed)
	return names
}
