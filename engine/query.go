//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/expression/function/aggregation"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"
	"github.com/dolthub/go-mysql-server/sql/transform"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Exec executes the statements of a text, separated by semicolons, in a session
// of their own. Rows that they return are dropped. It stops at the first that
// fails; errors.As finds an *Error with its place.
func (db *DB) Exec(ctx context.Context, text string) error {
	return db.NewSession().Exec(ctx, text)
}

// Query executes one statement and returns its rows as Arrow batches, which the
// caller releases. Column metadata keeps the declared SQL types. ctx has to
// live as long as the rows are read.
func (db *DB) Query(ctx context.Context, text string) (array.RecordReader, error) {
	return db.NewSession().Query(ctx, text)
}

// Exec is DB.Exec within the session.
func (s *Session) Exec(ctx context.Context, text string) error {
	script, err := sql.Split(text, "")
	if err != nil {
		return err
	}
	for _, stmt := range script {
		if err := s.exec(ctx, stmt.Text, stmt.Pos); err != nil {
			return placed(err, stmt.Pos)
		}
	}
	return nil
}

func (s *Session) exec(ctx context.Context, text string, at sqlerror.Position) error {
	r, err := s.query(ctx, text, at)
	if err != nil {
		return err
	}
	defer r.Release()
	for r.Next() {
		continue
	}
	return r.Err()
}

// Query is DB.Query within the session.
func (s *Session) Query(ctx context.Context, text string) (array.RecordReader, error) {
	script, err := sql.Split(text, "")
	if err != nil {
		return nil, err
	}
	if len(script) != 1 {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "expected one statement, found %d", len(script)).
			WithHint("use Exec for several")
	}
	r, err := s.query(ctx, script[0].Text, script[0].Pos)
	if err != nil {
		return nil, placed(err, script[0].Pos)
	}
	return r, nil
}

func (s *Session) query(ctx context.Context, text string, at sqlerror.Position) (array.RecordReader, error) {
	return s.queryBound(ctx, text, at, nil)
}

// queryBound is query with values for the placeholders.
func (s *Session) queryBound(ctx context.Context, text string, at sqlerror.Position, bindings map[string]sqlparser.Expr) (_ array.RecordReader, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &sqlerror.Error{Code: sqlerror.CodeInternal, Object: "statement", Pos: at, Message: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	if err := s.db.closedError(); err != nil {
		return nil, err
	}
	gctx := s.context(ctx, text, at)
	ours, err := sql.Parse(text, at)
	if err != nil {
		return nil, err
	}
	if ours != nil {
		if len(bindings) > 0 {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "this statement takes no placeholders").At(at)
		}
		r, err := s.db.execute(gctx, ours, s.script)
		if err != nil {
			return nil, err
		}
		s.notes = append(s.notes, r.notes...)
		return r.reader()
	}
	if r, err := s.db.queryColumns(gctx, text, bindings); r != nil || err != nil {
		return r, err
	}
	schema, iter, _, err := s.db.mysql.QueryWithBindings(gctx, text, nil, bindings, nil)
	if err != nil {
		return nil, s.db.libraryError(gctx, err, text, at)
	}
	if schema == nil || isOK(schema) {
		if err := drain(gctx, iter); err != nil {
			return nil, s.db.libraryError(gctx, err, text, at)
		}
		return (&result{}).reader()
	}
	return newRowReader(gctx, schema, iter)
}

// queryColumns executes a SELECT over tables and sources, or over nothing,
// without turning its batches into rows. It returns nil for every other
// statement, and for those that cannot be bound: the MySQL engine says why.
func (db *DB) queryColumns(ctx *gms.Context, text string, bindings map[string]sqlparser.Expr) (array.RecordReader, error) {
	stmt, _, _, err := db.mysql.Parser.Parse(ctx, text, false)
	if sqlerror.As(err) != nil {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	if _, ok := stmt.(sqlparser.SelectStatement); !ok {
		return nil, nil
	}
	binder := planbuilder.New(ctx, db.mysql.Analyzer.Catalog, nil)
	if len(bindings) > 0 {
		binder.SetBindings(bindings)
	}
	bound, _, err := binder.BindOnly(stmt, text, nil)
	if err != nil {
		return nil, nil
	}
	ctx.ClearWarnings()
	node, _, err := db.lowerAdhoc(ctx, nil, bound, nil, nil, nil)
	if gms.ErrColumnNotFound.Is(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, ok := node.(*adhocNode)
	if !ok {
		return nil, nil
	}
	r, err := n.open(ctx)
	if unsupported := (*adhoc.Unsupported)(nil); errors.As(err, &unsupported) {
		return nil, nil
	}
	return r, err
}

// isOK reports the schema by which the MySQL engine says "OK, n rows affected".
func isOK(schema gms.Schema) bool {
	return len(schema) == 1 && schema[0].Name == "__ok_result__"
}

// libraryError gives errors of the MySQL engine about a statement, which begins at
// at, a kind, a place and a hint where they have one.
func (db *DB) libraryError(ctx *gms.Context, err error, text string, at sqlerror.Position) error {
	if sqlerror.As(err) != nil {
		return err
	}
	var code sqlerror.Code
	switch {
	case gms.ErrSyntaxError.Is(err):
		code = sqlerror.CodeSyntax
	case gms.ErrTableNotFound.Is(err), gms.ErrDatabaseNotFound.Is(err), gms.ErrFunctionNotFound.Is(err):
		code = sqlerror.CodeUnknownObject
	case gms.ErrColumnNotFound.Is(err), gms.ErrTableColumnNotFound.Is(err), gms.ErrUnknownColumn.Is(err):
		code = sqlerror.CodeUnknownColumn
	case gms.ErrInvalidArgumentNumber.Is(err):
		code = sqlerror.CodeArgument
	case IsWrite(err), gms.ErrImmutableDatabaseProvider.Is(err), gms.ErrSecureFilePriv.Is(err):
		code = sqlerror.CodeUnsupported
	case gms.ErrTableAlreadyExists.Is(err), gms.ErrExistingView.Is(err):
		code = sqlerror.CodeExists
	default:
		return err
	}
	e := &sqlerror.Error{Code: code, Kind: sqlerror.User, Err: err}
	place, hint := db.Advise(ctx, err, text)
	e.Hint = hint
	if place.Line != 0 {
		e.Pos = place.Within(at)
	}
	return e
}

// The ids of our rules; the analyzer only prints them, and its own are small.
const (
	adhocRule analyzer.RuleId = 1<<20 + iota
	noShortCutRule
	warningsRule
	comparisonRule
	tableStatusRule
	globalsRule
)

// lowerAdhoc replaces a SELECT that reads lake tables, system tables or sources, or
// computes something of nothing, by a node that kernels or DuckDB execute. What has no
// form there stays as it is, and the MySQL engine evaluates it row by row.
func (db *DB) lowerAdhoc(ctx *gms.Context, _ *analyzer.Analyzer, n gms.Node, scope *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
	if !isSelect(n) {
		return n, transform.SameTree, nil
	}
	if ctx.Value(rowByRowKey{}) != nil || !scope.IsEmpty() {
		return leftRowByRow(ctx, n)
	}
	reads := readsOf(ctx, n)
	if reads.other {
		return leftRowByRow(ctx, n)
	}
	n = limited(ctx, n)
	lowered, err := planner.Lower(ctx, n)
	if err == nil && reads == (relationKinds{}) && !computes(lowered) {
		return leftRowByRow(ctx, n)
	}
	if err == nil && !db.isDirect(lowered, reads) {
		if reads.source || reads.system {
			lowered = planner.Prune(lowered)
		}
		session := adhocSession(ctx, nil)
		_, err = adhoc.Spell(db.withFlattened(db.withRows(lowered, nil), session), session)
		if err != nil && reads.lake && flattens(lowered) { // the MySQL engine's JSON_TABLE is another one
			err = sqlerror.Userf(sqlerror.CodeUnsupported, "JSON_TABLE is not supported in this query: %v", err)
		}
	}
	if e := sqlerror.As(err); e != nil && (e.Code == sqlerror.CodeUnsupported || e.Code == sqlerror.CodeJSONPath) {
		return nil, transform.SameTree, edgeError(ctx, err) // the MySQL engine would give something wrong
	}
	if gms.ErrColumnNotFound.Is(err) { // it would take the name for that of a variable
		return nil, transform.SameTree, err
	}
	if err != nil {
		db.cfg.Logger.Debug("query goes row by row", "reason", err)
		return leftRowByRow(ctx, n)
	}
	node, err := newAdhocNode(db, lowered, n, reads)
	if err != nil {
		return nil, transform.SameTree, err
	}
	return node, transform.NewTree, nil
}

// leftRowByRow leaves a query to the MySQL engine, unless it would give something wrong:
// its GROUP_CONCAT has the first of several values alone.
func leftRowByRow(ctx *gms.Context, n gms.Node) (gms.Node, transform.TreeIdentity, error) {
	several := false
	transform.InspectExpressions(ctx, n, func(_ *gms.Context, e gms.Expression) bool {
		if c, ok := e.(*aggregation.GroupConcat); ok && len(c.OutputExpressions()) > 1 {
			several = true
		}
		return !several
	})
	if several {
		return nil, transform.SameTree, edgeError(ctx, sqlerror.Userf(sqlerror.CodeUnsupported, "GROUP_CONCAT of several values is not supported in this query").
			WithHint("GROUP_CONCAT(CONCAT(a, b)) has them as one value"))
	}
	return n, transform.SameTree, nil
}

// isDirect reports whether kernels alone run a plan.
func (db *DB) isDirect(lowered logical.Node, reads relationKinds) bool {
	if reads.lake {
		return false
	}
	_, ok := planner.CompileQuery(lowered)
	return ok
}

// limited applies the variable sql_select_limit, by which graphical clients
// protect themselves, to a query without a LIMIT of its own.
func limited(ctx *gms.Context, n gms.Node) gms.Node {
	isDefault, value := gms.HasDefaultValue(ctx, ctx.Session, "sql_select_limit")
	limit, ok := value.(int64)
	if isDefault || !ok || limit < 0 {
		return n
	}
	switch root := n.(type) {
	case *plan.Limit, *plan.TopN:
		return n
	case *plan.SetOp:
		if root.Limit != nil {
			return n
		}
	}
	return plan.NewLimit(expression.NewLiteral(limit, gmstypes.Int64), n)
}

// rowByRowKey marks the context of a query that DuckDB has refused.
type rowByRowKey struct{}

// isSelect reports whether the root of a plan is that of a query.
func isSelect(n gms.Node) bool {
	switch n.(type) {
	case *plan.Project, *plan.Filter, *plan.Sort, *plan.Limit, *plan.Offset, *plan.GroupBy, *plan.Having, *plan.Distinct,
		*plan.SetOp, *plan.Window, *plan.JoinNode, *plan.SubqueryAlias, *plan.TableAlias, *plan.ResolvedTable, *plan.TopN:
		return true
	}
	return false
}

// relationKinds says what a query reads.
type relationKinds struct {
	lake, source, system bool
	other                bool // a table of the MySQL engine
}

func readsOf(ctx *gms.Context, n gms.Node) relationKinds {
	var reads relationKinds
	transform.InspectWithOpaque(ctx, n, func(ctx *gms.Context, n gms.Node) bool {
		t, ok := n.(*plan.ResolvedTable)
		if !ok {
			return true
		}
		switch table := t.Table.(type) {
		case *lakeTable:
			reads.lake = true
		case *sourceTable:
			reads.source = true
		case *systemTable:
			reads.system = true
		default:
			reads.other = reads.other || !plan.IsDualTable(table)
		}
		return true
	})
	return reads
}

// adhocNode is a query that kernels or DuckDB execute.
type adhocNode struct {
	db     *DB
	plan   logical.Node
	reads  relationKinds
	schema gms.Schema
	bound  gms.Node // what the MySQL engine evaluates if nobody else does
}

func newAdhocNode(db *DB, lowered logical.Node, bound gms.Node, reads relationKinds) (*adhocNode, error) {
	schema, err := clientSchema(lowered.Output())
	if err != nil {
		return nil, err
	}
	return &adhocNode{db: db, plan: lowered, reads: reads, schema: schema, bound: bound}, nil
}

// open begins to run the query; an *adhoc.Unsupported says that only the MySQL
// engine can.
func (n *adhocNode) open(ctx *gms.Context) (array.RecordReader, error) {
	if !n.reads.lake {
		if q, ok := planner.CompileQuery(n.plan); ok {
			return n.db.direct(ctx, q, nil)
		}
	}
	plan, session, w := n.onDuckDB(ctx)
	r, err := n.db.queries.Query(ctx, plan, session)
	if err != nil {
		return nil, err
	}
	return &warningReader{r, ctx, w}, nil
}

// onDuckDB is what DuckDB is given to run, and where warnings come.
func (n *adhocNode) onDuckDB(ctx *gms.Context) (logical.Node, adhoc.Session, *warnings) {
	w := &warnings{}
	session := adhocSession(ctx, w.add)
	return n.db.withFlattened(n.db.withRows(n.plan, w.addNumber), session), session, w
}

// Resolved implements gms.Node.
func (n *adhocNode) Resolved() bool { return true }

// IsReadOnly implements gms.Node.
func (n *adhocNode) IsReadOnly() bool { return true }

// String implements gms.Node.
func (n *adhocNode) String() string { return strings.Join(n.explained().lines(), "\n") }

// Schema implements gms.Node.
func (n *adhocNode) Schema(*gms.Context) gms.Schema { return n.schema }

// Children implements gms.Node.
func (n *adhocNode) Children() []gms.Node { return nil }

// WithChildren implements gms.Node.
func (n *adhocNode) WithChildren(*gms.Context, ...gms.Node) (gms.Node, error) { return n, nil }

// RowIter implements gms.ExecSourceRel.
func (n *adhocNode) RowIter(ctx *gms.Context, _ gms.Row) (gms.RowIter, error) {
	reader, err := n.open(ctx)
	if unsupported := (*adhoc.Unsupported)(nil); errors.As(err, &unsupported) {
		n.db.cfg.Logger.Debug("query goes row by row", "reason", err)
		ctx, analyzed, err := n.rowByRow(ctx)
		if err != nil {
			return nil, err
		}
		return n.db.mysql.Analyzer.ExecBuilder.Build(ctx, analyzed, nil)
	}
	if err != nil {
		return nil, edgeError(ctx, err)
	}
	it, err := newReaderIter(ctx, reader)
	if err != nil {
		return nil, err
	}
	for i, c := range n.plan.Output() {
		it.columns[i].Type.Printed = c.Type.Printed
	}
	return it, nil
}

// rowByRow is the query as the MySQL engine evaluates it, and the context for that.
func (n *adhocNode) rowByRow(ctx *gms.Context) (*gms.Context, gms.Node, error) {
	ctx = ctx.WithContext(context.WithValue(ctx.Context, rowByRowKey{}, true))
	analyzed, err := n.db.mysql.Analyzer.Analyze(ctx, n.bound, nil, nil)
	return ctx, analyzed, err
}
