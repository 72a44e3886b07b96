package planner

import (
	"slices"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// StreamInput is a CREATE STREAM with what else its plan depends on.
type StreamInput struct {
	Stream *sql.CreateStream
	// Strict and Location are what the stream's options sql_mode and timezone
	// say; a nil Location is UTC.
	Strict   bool
	Location *time.Location
	// TableFormat of the sink, "iceberg" or "hive": Hive folders know no
	// transforms.
	TableFormat string
	// Exprs are expressions over the row that options of the stream give.
	Exprs []OptionExpr
	// Names are the sources that exist, for hints.
	Names []string
}

// OptionExpr is an expression that is the value of an option.
type OptionExpr struct {
	Option string
	Text   string
	Pos    sqlerror.Position // of the text
}

// StreamPlan is the plan of a continuous query: what the source's decoder
// builds, what a lane computes of it, and what lands.
type StreamPlan struct {
	Name    string
	Logical logical.Node
	Source  StreamSource
	// Output is what lands, in order: the query's columns, of which there are
	// Selected, then the partition columns that are stored beside them and the
	// source columns carried along for partitioning, then what expressions of
	// options need.
	Output    types.Schema
	Selected  int
	Partition []connectors.PartitionField
	// Exprs has the column of Output with an option's expression, by the option.
	Exprs map[string]int
	// RowFuncs are the functions that are evaluated row by row for want of a
	// kernel, each once.
	RowFuncs []string
	// Notes are sentences for the user about the plan.
	Notes []string
}

// StreamSource is what a stream reads of its one source. A lane's input columns
// are those of Fields, then those of Hidden.
type StreamSource struct {
	Name   string
	Handle any
	Fields []connectors.Field
	Hidden []string
	// Predicates are what WHERE says of single columns. What is not of the source's
	// records (a hidden column) is left out.
	Predicates []connectors.Predicate
}

// BindStream plans a CREATE STREAM. What a continuous query cannot do is refused
// here, with the reason, the place and the way out: errors are *sqlerror.Error
// but for faults of the planner itself.
func BindStream(ctx *gms.Context, cat gms.Catalog, in StreamInput) (*StreamPlan, error) {
	b := &streamBinder{
		ctx: ctx, cat: cat, in: in,
		query:   &queryText{text: in.Stream.Query, at: in.Stream.QueryPos, tables: append(tableNames(ctx, cat), in.Names...)},
		lowerer: &lowerer{ctx: ctx, strict: in.Strict, loc: in.Location, continuous: true},
	}
	root, err := b.bindQuery()
	if err != nil {
		return nil, err
	}
	scan, err := b.check(root)
	if err != nil {
		return nil, err
	}
	output, err := b.outputColumns(root)
	if err != nil {
		return nil, err
	}
	selected := len(output)
	root, output, partition, exprs, err := b.partition(root, scan, output)
	if err != nil {
		return nil, err
	}
	boundTimes(root.(*logical.Project), scan)
	if root, err = Optimize(root, in.Location); err != nil {
		return nil, err
	}
	plan := &StreamPlan{Name: in.Stream.Name.Name, Output: output, Selected: selected, Partition: partition, Exprs: exprs}
	plan.setSource(root, b.lowerer.relations[0], in.Location)
	plan.RowFuncs = rowFuncs(plan.Logical)
	for _, f := range plan.RowFuncs {
		plan.Notes = append(plan.Notes, strings.ToUpper(f)+" is evaluated row by row, which is slow")
	}
	// What constant arguments are wrong with (a regular expression, a unit) comes
	// out when they are compiled: here, and not when the stream starts.
	if _, err := plan.compile(); err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeType, "%w", err).At(b.query.position(0))
	}
	return plan, nil
}

type streamBinder struct {
	ctx     *gms.Context
	cat     gms.Catalog
	in      StreamInput
	query   *queryText
	lowerer *lowerer
}

// bindQuery parses, binds and lowers the SELECT.
func (b *streamBinder) bindQuery() (logical.Node, error) {
	query, at := b.in.Stream.Query, b.in.Stream.QueryPos
	text, positions, err := sql.RewriteQuery(query)
	if err != nil {
		if rich := sqlerror.As(err); rich != nil {
			return nil, rich.Within(at)
		}
		return nil, err
	}
	stmt, err := parse(text)
	if err != nil {
		return nil, SyntaxError(err, text, positions, at)
	}
	if _, ok := stmt.(sqlparser.SelectStatement); !ok {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "expected a SELECT").At(b.query.position(0))
	}
	lookup := CatalogLookup(b.ctx, b.cat)
	b.query.relations = relationsOf(stmt, lookup)
	if err := PrepareSelect(stmt, lookup); err != nil {
		return nil, b.query.refuse(err)
	}
	bound, err := bindOnly(b.ctx, b.cat, stmt, text)
	if err != nil {
		return nil, b.query.bindError(err)
	}
	node, err := b.lowerer.root(bound)
	if err != nil {
		return nil, b.query.refuse(err)
	}
	return node, nil
}

// tableNames are the tables of the session's database, for hints; a database
// that cannot list them gives none.
func tableNames(ctx *gms.Context, cat gms.Catalog) []string {
	db, err := cat.Database(ctx, ctx.GetCurrentDatabase())
	if err != nil {
		return nil
	}
	names, err := db.GetTableNames(ctx)
	if err != nil {
		return nil
	}
	return names
}

// relationsOf are the relations that a statement names anywhere, for hints.
func relationsOf(stmt sqlparser.Statement, lookup Lookup) []Relation {
	var out []Relation
	_ = sqlparser.Walk(func(node sqlparser.SQLNode) (bool, error) {
		if t, ok := node.(*sqlparser.AliasedTableExpr); ok {
			if name, ok := t.Expr.(sqlparser.TableName); ok {
				if rel, ok := lookup(name.DbQualifier.String(), name.Name.String()); ok {
					out = append(out, rel)
				}
			}
		}
		return true, nil
	}, stmt)
	return out
}

// check refuses everything but filters, projections and flattening over one
// source.
func (b *streamBinder) check(root logical.Node) (*logical.Scan, error) {
	refuse := func(at sqlerror.Position, hint, what string) error {
		return sqlerror.Userf(sqlerror.CodeUnsupported, "a stream cannot use %s yet", what).At(at).WithHint("%s", hint)
	}
	const adHoc = "land the rows with a stream and query its table"
	q := b.query
	for n := root; ; n = n.Inputs()[0] {
		for _, e := range logical.Exprs(n) {
			if hasSubquery(e) {
				return nil, refuse(q.lastKeyword("SELECT"), adHoc, "a subquery in an expression")
			}
		}
		switch n := n.(type) {
		case *logical.Filter, *logical.Project, *logical.Flatten:
		case *logical.Scan:
			if n.Kind == logical.RelationSource {
				return n, nil
			}
			return nil, refuse(q.find(n.Name), "FROM must name a source; tables are queried ad hoc", "the table "+n.Database+"."+n.Name+" as its input")
		case *logical.Join:
			return nil, refuse(q.keyword("JOIN", ","), "make a stream of each source and join their tables in ad hoc queries", "a join")
		case *logical.Aggregate:
			if len(n.GroupBy) == 0 {
				return nil, refuse(q.find(n.Aggs[0].Name), adHoc, "the aggregate function "+strings.ToUpper(n.Aggs[0].Name))
			}
			return nil, refuse(q.keyword("GROUP"), adHoc, "GROUP BY")
		case *logical.Window:
			return nil, refuse(q.keyword("OVER"), adHoc, "the window function "+strings.ToUpper(n.Exprs[0].Name))
		case *logical.Sort:
			return nil, refuse(q.keyword("ORDER"), "rows land as they come; order them when you query the table", "ORDER BY")
		case *logical.Limit:
			return nil, refuse(q.keyword("LIMIT"), "a stream runs until it is dropped; SELECT … LIMIT from the source shows some records", "LIMIT")
		case *logical.Distinct:
			return nil, refuse(q.keyword("DISTINCT"), adHoc, "DISTINCT")
		case *logical.SetOp:
			return nil, refuse(q.keyword("UNION", "INTERSECT", "EXCEPT"), "make one stream per query; several streams may write to one table", n.Op)
		case *logical.Values:
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "a stream has to read a source").
				At(q.position(0)).WithHint("add FROM and the name of a source")
		default:
			return nil, refuse(q.position(0), adHoc, n.String())
		}
	}
}

func hasSubquery(e logical.Expr) bool {
	found := false
	logical.Walk(e, func(e logical.Expr) bool {
		_, ok := e.(*logical.Subquery)
		found = found || ok
		return !found
	})
	return found
}

// outputColumns are the columns that the query lands. They are NOT NULL only
// where a column of the source is passed on that is: an expression promises
// nothing about the stream's next version.
func (b *streamBinder) outputColumns(root logical.Node) (types.Schema, error) {
	var out types.Schema
	for _, e := range root.(*logical.Project).Exprs {
		c := types.Column{Name: e.Column.Name, Type: e.Column.Type}
		if ref, ok := e.Expr.(*logical.Column); ok {
			c.NotNull = !ref.Null
		}
		if c.Type.Kind == types.Null {
			return nil, sqlerror.Userf(sqlerror.CodeType, "column %s has no type", c.Name).
				At(b.query.find(c.Name)).WithHint("give NULL a type, as in CAST(NULL AS CHAR) AS %s", c.Name)
		}
		if out.Index(c.Name) >= 0 {
			return nil, sqlerror.Userf(sqlerror.CodeExists, "two columns are named %s", c.Name).
				At(b.query.lastKeyword(c.Name)).WithHint("give one of them another name with AS")
		}
		out = append(out, c)
	}
	return out, nil
}

// boundTimes has what a stream computes as a TIME fit a table: those of the source
// have been looked at when they were decoded.
func boundTimes(p *logical.Project, scan *logical.Scan) {
	for i, e := range p.Exprs {
		if e.Expr.Type().Kind != types.Time {
			continue
		}
		if c, ok := e.Expr.(*logical.Column); ok && slices.ContainsFunc(scan.Columns, func(s logical.OutputColumn) bool { return s.ID == c.ID }) {
			continue
		}
		p.Exprs[i].Expr = &logical.Call{Func: function.TimeOfDay, Args: []logical.Expr{e.Expr}, T: e.Expr.Type(), Null: e.Expr.Nullable()}
	}
}

// setSource derives what the decoder builds of the optimised plan's scan, whose
// columns it puts in the order of a lane's input.
func (p *StreamPlan) setSource(root logical.Node, rel Relation, loc *time.Location) {
	scan := sourceScan(root)
	casts := onlyCasts(root, loc)
	ordered := *scan
	ordered.Columns = nil
	var hidden []logical.OutputColumn
	for _, c := range scan.Columns {
		path := scan.Path(c.ID)
		if path == nil && rel.isHidden(c.Name) {
			hidden = append(hidden, c)
			p.Source.Hidden = append(p.Source.Hidden, c.Name)
			continue
		}
		f := connectors.Field{Column: types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}, Path: []string{c.Name}}
		if path != nil {
			f.Path, f.Mode = path.Path, connectors.FieldExtract
			if path.Unquote {
				f.Mode, f.Cast = connectors.FieldUnquote, casts[c.ID]
			}
		}
		ordered.Columns = append(ordered.Columns, c)
		p.Source.Fields = append(p.Source.Fields, f)
	}
	ordered.Columns = append(ordered.Columns, hidden...)
	p.Source.Name, p.Source.Handle = scan.Name, scan.Handle
	for _, c := range predicates(root) {
		if !rel.isHidden(c.Column.Name) {
			p.Source.Predicates = append(p.Source.Predicates, c)
		}
	}
	p.Logical = logical.TransformPlan(root, func(n logical.Node) logical.Node {
		if n == logical.Node(scan) {
			return &ordered
		}
		return n
	})
}

// onlyCasts are the types that columns are cast to of which nothing is read but
// that cast of their text; loc is the zone in which the plan is evaluated.
func onlyCasts(root logical.Node, loc *time.Location) map[logical.ColumnID]types.Type {
	casts := map[logical.ColumnID]types.Type{}
	read := func(id logical.ColumnID, as types.Type) {
		if known, ok := casts[id]; ok && !known.Equal(as) {
			as = types.Type{}
		}
		casts[id] = as
	}
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		for _, e := range logical.Exprs(n) {
			logical.Walk(e, func(e logical.Expr) bool {
				switch e := e.(type) {
				case *logical.Cast:
					if ref, ok := e.Arg.(*logical.Column); ok && kernel.Precast(ref.T, e.T, loc) {
						read(ref.ID, e.T)
						return false
					}
				case *logical.Column:
					read(e.ID, types.Type{})
				}
				return true
			})
		}
		return n
	})
	return casts
}

// rowFuncs are the names of the functions of a plan that have no kernel.
func rowFuncs(root logical.Node) []string {
	var names []string
	seen := map[string]bool{}
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		for _, e := range logical.Exprs(n) {
			logical.Walk(e, func(e logical.Expr) bool {
				if f, ok := e.(*logical.RowFunc); ok && !seen[f.Name] {
					seen[f.Name] = true
					names = append(names, f.Name)
				}
				return true
			})
		}
		return n
	})
	return names
}
