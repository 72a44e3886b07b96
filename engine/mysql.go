//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	sqle "github.com/dolthub/go-mysql-server"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// libraryUser runs the statements of the process itself. Nobody can log in as
// it: its password is random and forgotten.
const libraryUser = "leat-internal"

// init keeps the analyzer from planning simple SELECTs by a short cut that skips
// adhocRule: it takes that only while this list is empty.
func init() {
	analyzer.AlwaysBeforeDefault = append(analyzer.AlwaysBeforeDefault, analyzer.Rule{
		Id: noShortCutRule,
		Apply: func(_ *gms.Context, _ *analyzer.Analyzer, n gms.Node, _ *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
			return n, transform.SameTree, nil
		},
	})
}

// openMySQL builds the MySQL engine that executes every statement: ours as
// injected nodes, queries over lake tables by way of a rule that hands them to
// DuckDB, and the rest by itself.
func (db *DB) openMySQL(ctx context.Context) error {
	provider := &provider{db: db}
	a := analyzer.NewBuilder(provider).
		AddOverrides(gms.EngineOverrides{Builder: gms.BuilderOverrides{Parser: &parser{db: db}}}).
		AddPreAnalyzeRule(adhocRule, db.lowerAdhoc).
		AddPreAnalyzeRule(warningsRule, orderWarnings).
		AddPreAnalyzeRule(comparisonRule, keepComparisons).
		AddPreAnalyzeRule(tableStatusRule, db.showUnreadable).
		AddPreAnalyzeRule(globalsRule, db.guardGlobals).
		Build()
	a.ExecBuilder.PriorityBuilder = explainer{db}
	db.mysql = sqle.New(a, &sqle.Config{})
	a.Catalog.AuthHandler = authorization{a.Catalog.AuthHandler, db}
	a.Catalog.RegisterFunction(gms.NewContext(ctx), planner.Functions()...)
	users := a.Catalog.MySQLDb
	data, err := db.store.LoadUsers(ctx)
	if err != nil {
		return fmt.Errorf("load users: %w", err)
	}
	gctx := gms.NewContext(ctx)
	if data != nil {
		if err := users.LoadData(gctx, data); err != nil {
			return fmt.Errorf("load users: %w", err)
		}
	}
	editor := users.Editor()
	defer editor.Close()
	if data == nil {
		users.AddSuperUser(editor, "root", "localhost", "")
		users.AddSuperUser(editor, "root", "%", "")
	}
	users.AddEphemeralSuperUser(editor, libraryUser, "localhost", rand.Text())
	users.SetPersister(userStore{db})
	users.SetEnabled(true)
	return nil
}

// userStore keeps users and grants in the catalog.
type userStore struct{ db *DB }

// Persist implements mysql_db.MySQLDbPersistence.
func (s userStore) Persist(ctx *gms.Context, data []byte) error {
	return s.db.store.SaveUsers(ctx, data)
}

var _ mysql_db.MySQLDbPersistence = userStore{}

// MySQL is the MySQL engine behind the database, for servers that speak its
// protocol.
func (db *DB) MySQL() *sqle.Engine { return db.mysql }

// Session is a connection's worth of state: current database, variables,
// prepared statements. It is used by one goroutine at a time.
type Session struct {
	db     *DB
	base   gms.Session
	script bool // a plain CREATE of what is there already alike does nothing
	notes  []string
}

// NewSession begins a session in database lake.
func (db *DB) NewSession() *Session {
	base := gms.NewBaseSessionWithClientServer("localhost", gms.Client{User: libraryUser, Address: "localhost"}, 0)
	base.SetCurrentDatabase(sql.DefaultSink)
	return &Session{db: db, base: base}
}

// libraryKey marks the contexts of statements that the process itself executes;
// the value is where the statement begins in the user's text.
type libraryKey struct{}

// scriptKey marks those of a file that can be executed again and again.
type scriptKey struct{}

// context is the MySQL engine's context for one statement that begins at a
// place of the user's text.
func (s *Session) context(ctx context.Context, query string, at sqlerror.Position) *gms.Context {
	ctx = context.WithValue(context.WithValue(ctx, libraryKey{}, at), scriptKey{}, s.script)
	return gms.NewContext(ctx, gms.WithSession(s.base), gms.WithQuery(query),
		gms.WithMemoryManager(s.db.mysql.MemoryManager), gms.WithProcessList(s.db.mysql.ProcessList))
}

// Notes takes what the statements so far had to say beside their results ("the
// stream resumes from epoch 12").
func (s *Session) Notes() []string {
	notes := s.notes
	s.notes = nil
	return notes
}

// parser reads Leat's own statements and leaves the others to MySQL's parser.
// It implements gms.Parser.
type parser struct {
	db    *DB
	mysql gms.MysqlParser
}

// ParseSimple implements gms.Parser.
func (p *parser) ParseSimple(query string) (sqlparser.Statement, error) {
	stmt, _, err := p.ParseOneWithOptions(context.Background(), query, sqlparser.ParserOptions{})
	return stmt, err
}

// Parse implements gms.Parser.
func (p *parser) Parse(ctx *gms.Context, query string, multi bool) (sqlparser.Statement, string, string, error) {
	return p.ParseWithOptions(ctx, query, ';', multi, gms.LoadSqlMode(ctx).ParserOptions())
}

// ParseOneWithOptions implements gms.Parser.
func (p *parser) ParseOneWithOptions(ctx context.Context, query string, options sqlparser.ParserOptions) (sqlparser.Statement, int, error) {
	stmt, parsed, remainder, err := p.ParseWithOptions(ctx, query, ';', true, options)
	return stmt, len(parsed) + (len(query) - len(parsed) - len(remainder)), err
}

// ParseWithOptions implements gms.Parser.
func (p *parser) ParseWithOptions(ctx context.Context, query string, delimiter rune, multi bool, options sqlparser.ParserOptions) (stmt sqlparser.Statement, parsed, remainder string, err error) {
	query = gms.RemoveSpaceAndDelimiter(query, delimiter)
	parsed = query
	if multi {
		if first, rest, complete := sql.First(query); complete && !isCompound(first) {
			parsed, remainder = strings.TrimSpace(first), rest
		}
	}
	at, _ := ctx.Value(libraryKey{}).(sqlerror.Position)
	ours, err := sql.Parse(parsed, at)
	if err != nil {
		return nil, parsed, remainder, edgeError(ctx, err)
	}
	if ours != nil {
		node := &statementNode{db: p.db, statement: ours}
		return sqlparser.InjectedStatement{Statement: node, Auth: sqlparser.AuthInformation{AuthType: sqlparser.AuthType_IGNORE}}, parsed, remainder, nil
	}
	plain, explain, err := sql.RewriteExplain(parsed)
	if err != nil {
		return nil, parsed, remainder, edgeError(ctx, err)
	}
	rewritten, positions, err := sql.RewriteQuery(plain)
	if err != nil {
		return nil, parsed, remainder, edgeError(ctx, err)
	}
	if isCompound(parsed) {
		stmt, remainder, err = p.parseMySQL(ctx, query, delimiter, multi, options)
	} else {
		stmt, _, err = p.parseMySQL(ctx, rewritten, delimiter, false, options)
	}
	if err != nil {
		if errors.Is(err, sqlparser.ErrEmpty) {
			return nil, parsed, remainder, err
		}
		return nil, parsed, remainder, edgeError(ctx, planner.SyntaxError(err, rewritten, positions, at))
	}
	switch s := stmt.(type) {
	case *sqlparser.Explain:
		// Without it the MySQL engine answers with a made-up row. Its formats are
		// others; explainer takes estimates for JSON.
		s.Plan, s.Analyze = true, explain.Analyze
		if explain.JSON {
			s.ExplainFormat = "estimates"
		}
	case *sqlparser.DDL:
		if from, to := s.SubStatementPositionStart, s.SubStatementPositionEnd; s.ViewSpec != nil && from < to && to <= len(rewritten) {
			// The places are those of the rewritten text; what is stored is the user's.
			s.SubStatementStr = parsed[positions.Offset(from):positions.Offset(to)]
		}
		if gctx, ok := ctx.(*gms.Context); ok && s.ViewSpec != nil && s.OrReplace {
			if err := p.db.replaceView(gctx, s); err != nil {
				return nil, parsed, remainder, edgeError(ctx, err)
			}
		}
	}
	return stmt, parsed, remainder, edgeError(ctx, p.db.prepareSelect(ctx, stmt))
}

// parseMySQL guards against texts at which MySQL's parser panics, such as a
// SELECT with an empty string directly behind it.
func (p *parser) parseMySQL(ctx context.Context, query string, delimiter rune, multi bool, options sqlparser.ParserOptions) (stmt sqlparser.Statement, remainder string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = sqlerror.Userf(sqlerror.CodeSyntax, "the statement cannot be parsed: %v", r)
		}
	}()
	stmt, _, remainder, err = p.mysql.ParseWithOptions(ctx, query, delimiter, multi, options)
	return stmt, remainder, err
}

// isCompound reports statements that contain semicolons of their own.
func isCompound(text string) bool {
	words := strings.Fields(strings.ToUpper(text[:min(len(text), 200)]))
	if len(words) < 2 || words[0] != "CREATE" {
		return false
	}
	for _, w := range words[1:] {
		switch w {
		case "PROCEDURE", "TRIGGER", "EVENT", "FUNCTION":
			return true
		case "TABLE", "VIEW", "SOURCE", "SINK", "STREAM", "USER", "DATABASE", "AS":
			return false
		}
	}
	return false
}

// prepareSelect keeps the metadata columns of sources out of "*".
func (db *DB) prepareSelect(ctx context.Context, stmt sqlparser.Statement) error {
	gctx, ok := ctx.(*gms.Context)
	if !ok {
		return nil
	}
	return planner.PrepareSelect(stmt, planner.CatalogLookup(gctx, db.mysql.Analyzer.Catalog))
}

// statementNode is one of our statements in a plan of the MySQL engine.
type statementNode struct {
	db        *DB
	statement sql.Statement
}

// WithResolvedChildren implements sqlparser.Injectable.
func (n *statementNode) WithResolvedChildren(context.Context, []any) (any, error) { return n, nil }

// Resolved implements gms.Node.
func (n *statementNode) Resolved() bool { return true }

// IsReadOnly implements gms.Node.
func (n *statementNode) IsReadOnly() bool { return true }

// String implements gms.Node.
func (n *statementNode) String() string { return fmt.Sprintf("%T", n.statement) }

// Children implements gms.Node.
func (n *statementNode) Children() []gms.Node { return nil }

// WithChildren implements gms.Node.
func (n *statementNode) WithChildren(*gms.Context, ...gms.Node) (gms.Node, error) { return n, nil }

// Schema implements gms.Node.
func (n *statementNode) Schema(*gms.Context) gms.Schema {
	columns := resultColumns(n.statement)
	if columns == nil {
		return nil
	}
	schema, err := gmsSchema(columns, "")
	if err != nil {
		return nil
	}
	return schema
}

// RowIter implements gms.ExecSourceRel: it executes the statement.
func (n *statementNode) RowIter(ctx *gms.Context, _ gms.Row) (gms.RowIter, error) {
	if err := n.db.authorize(ctx, n.statement); err != nil {
		return nil, edgeError(ctx, err)
	}
	r, err := n.db.execute(ctx, n.statement, false)
	if err != nil {
		return nil, edgeError(ctx, err)
	}
	for _, note := range r.notes {
		ctx.Session.Warn(&gms.Warning{Level: "Note", Code: 1105, Message: note})
	}
	return r.iter(ctx)
}

// edgeError is an error as the caller shall see it: the process itself gets it
// as it is, a MySQL client with its error number.
func edgeError(ctx context.Context, err error) error {
	if err == nil || ctx.Value(libraryKey{}) != nil {
		return err
	}
	if e := sqlerror.As(err); e != nil {
		number, state := e.Code.MySQL()
		return mysql.NewSQLError(number, state, "%s", sqlerror.MySQLMessage(err))
	}
	return err
}

// authorize refuses definitions and their steering to users without the global
// privileges that MySQL asks for tables: CREATE, DROP, and SUPER for the rest.
func (db *DB) authorize(ctx *gms.Context, stmt sql.Statement) error {
	var need gms.PrivilegeType
	switch stmt.(type) {
	case *sql.Show, *sql.ShowCreate, *sql.Describe, *sql.Explain:
		need = gms.PrivilegeType_Select
	case *sql.CreateSource, *sql.CreateSink, *sql.CreateStream, *sql.CreateSecret:
		need = gms.PrivilegeType_Create
	case *sql.Drop:
		need = gms.PrivilegeType_Drop
	default:
		need = gms.PrivilegeType_Super
	}
	users := db.mysql.Analyzer.Catalog.MySQLDb
	if have := users.UserActivePrivilegeSet(ctx); have.Has(need) || have.Has(gms.PrivilegeType_Super) {
		return nil
	}
	// The definitions can be seen by whoever may read in the current database.
	if need == gms.PrivilegeType_Select && users.UserHasPrivileges(ctx, gms.NewPrivilegedOperation(gms.PrivilegeCheckSubject{}, need)) {
		return nil
	}
	return sqlerror.Userf(sqlerror.CodeAuth, "user %s may not do this", ctx.Client().User).
		WithHint("it needs GRANT %s ON *.*", strings.ToUpper(need.String()))
}

// guardGlobals is the rule that refuses SET GLOBAL, by which others would compute
// otherwise, to users without the privilege SUPER.
func (db *DB) guardGlobals(ctx *gms.Context, _ *analyzer.Analyzer, n gms.Node, _ *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
	set, ok := n.(*plan.Set)
	if !ok {
		return n, transform.SameTree, nil
	}
	if db.mysql.Analyzer.Catalog.MySQLDb.UserActivePrivilegeSet(ctx).Has(gms.PrivilegeType_Super) {
		return n, transform.SameTree, nil
	}
	for _, e := range set.Exprs {
		field, ok := e.(*expression.SetField)
		if !ok {
			continue
		}
		if v, ok := field.LeftChild.(*expression.SystemVar); ok && !v.Scope.IsSessionOnly() {
			return nil, transform.SameTree, mysql.NewSQLError(mysql.ERSpecifiedAccessDenied, mysql.SSClientError,
				"Access denied; you need (at least one of) the SUPER privilege(s) for this operation")
		}
	}
	return n, transform.SameTree, nil
}

// AccountWithoutPassword finds an account that can log in without a password.
func (db *DB) AccountWithoutPassword() (user string, found bool) {
	reader := db.mysql.Analyzer.Catalog.MySQLDb.Reader()
	defer reader.Close()
	reader.VisitUsers(func(u *mysql_db.User) {
		if u.AuthString == "" && !u.Locked && !u.IsRole && !found {
			user, found = u.User+"@"+u.Host, true
		}
	})
	return user, found
}

// SetPassword sets an account's password at every host it has, and makes the
// account if there is none.
func (db *DB) SetPassword(ctx context.Context, user, password string) error {
	session := db.NewSession()
	quoted := "'" + strings.ReplaceAll(user, "'", "''") + "'"
	secret := "'" + strings.NewReplacer("\\", "\\\\", "'", "''").Replace(password) + "'"
	for _, host := range []string{"localhost", "%"} {
		at := quoted + "@'" + host + "'"
		for _, statement := range []string{
			"CREATE USER IF NOT EXISTS " + at + " IDENTIFIED BY " + secret,
			"ALTER USER " + at + " IDENTIFIED BY " + secret,
			"GRANT ALL ON *.* TO " + at + " WITH GRANT OPTION",
		} {
			if err := session.exec(ctx, statement, sqlerror.Position{}); err != nil {
				return fmt.Errorf("set password of %s@%s: %w", user, host, err)
			}
		}
	}
	return nil
}
