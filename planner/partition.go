package planner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// partition binds PARTITIONED BY and the expressions of options. It returns the
// plan and the output columns with what these store beside the query's own, and
// the columns of the options.
func (b *streamBinder) partition(root logical.Node, scan *logical.Scan, output types.Schema) (logical.Node, types.Schema, []connectors.PartitionField, map[string]int, error) {
	if len(b.in.Stream.PartitionedBy) == 0 && len(b.in.Exprs) == 0 {
		return root, output, nil, nil, nil
	}
	p := &partitionBinder{b: b, scan: scan, output: output, top: &logical.Project{}, carry: map[logical.ColumnID]bool{}, clause: "PARTITIONED BY"}
	for i, c := range root.Output() {
		p.columns = append(p.columns, c)
		p.top.Exprs = append(p.top.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
		p.top.Exprs[i].Column.Name = output[i].Name
	}
	for _, c := range scan.Columns {
		if output.Index(c.Name) < 0 {
			p.columns = append(p.columns, c)
		}
	}
	for _, e := range b.in.Stream.PartitionedBy {
		if err := p.bind(e); err != nil {
			return nil, nil, nil, nil, p.refuse(err, e)
		}
	}
	var exprs map[string]int
	for _, o := range b.in.Exprs {
		e := sql.PartitionExpr{ExprText: o.Text, Pos: o.Pos, Name: "_" + o.Option, NamePos: o.Pos}
		p.clause = "option " + o.Option
		column, err := p.option(e)
		if err != nil {
			return nil, nil, nil, nil, p.refuse(err, e)
		}
		if exprs == nil {
			exprs = map[string]int{}
		}
		exprs[o.Option] = column
	}
	p.top.Input = carry(root, scan, p.carry)
	return p.top, p.output, p.fields, exprs, nil
}

// refuse is the error about an expression.
func (p *partitionBinder) refuse(err error, e sql.PartitionExpr) error {
	var u *Unsupported
	if errors.As(err, &u) {
		err = sqlerror.Userf(sqlerror.CodeUnsupported, "%s cannot use %s", p.clause, u.What)
	}
	if rich := sqlerror.As(err); rich != nil {
		return rich.At(e.Pos)
	}
	return fmt.Errorf("bind expression %s: %w", e.ExprText, err)
}

// option is the column with the values of an option's expression.
func (p *partitionBinder) option(e sql.PartitionExpr) (int, error) {
	expr, err := parsePartition(e)
	if err != nil {
		return 0, err
	}
	if c, ok := expr.(*sqlparser.ColName); ok {
		return p.stored(c, e)
	}
	return p.value(expr, e)
}

type partitionBinder struct {
	b    *streamBinder
	scan *logical.Scan
	// columns are what expressions can name: the query's outputs, then the
	// source's columns that none of them shadows.
	columns []logical.OutputColumn
	top     *logical.Project
	output  types.Schema
	fields  []connectors.PartitionField
	// carry holds source columns that have to be passed up to the top.
	carry map[logical.ColumnID]bool
	// clause is what is being bound, for messages.
	clause string
}

func (p *partitionBinder) bind(e sql.PartitionExpr) error {
	expr, err := parsePartition(e)
	if err != nil {
		return err
	}
	if f, ok := expr.(*sqlparser.FuncExpr); ok {
		if done, err := p.transform(f, e); done || err != nil {
			return err
		}
	}
	if c, ok := expr.(*sqlparser.ColName); ok && (e.Name == "" || strings.EqualFold(e.Name, c.Name.String())) {
		column, err := p.stored(c, e)
		if err != nil {
			return err
		}
		return p.add(connectors.PartitionField{Name: p.output[column].Name, Column: column, Transform: "identity"}, e)
	}
	if e.Name == "" {
		return sqlerror.Userf(sqlerror.CodeSyntax, "the partition expression %s needs a name", e.ExprText).
			WithHint("write (%s AS name): its values are stored in a column of that name", e.ExprText)
	}
	return p.expression(expr, e)
}

// parsePartition reads one element of PARTITIONED BY.
func parsePartition(e sql.PartitionExpr) (sqlparser.Expr, error) {
	text, _, err := sql.RewriteQuery("SELECT " + e.ExprText)
	if err != nil {
		return nil, err
	}
	syntax := sqlerror.Userf(sqlerror.CodeSyntax, "%s is no expression to partition by", e.ExprText)
	stmt, err := parse(text)
	if err != nil {
		return nil, syntax
	}
	sel, ok := stmt.(*sqlparser.Select)
	if !ok || len(sel.SelectExprs) != 1 || len(sel.From) > 0 || sel.Where != nil || sel.Limit != nil || len(sel.OrderBy) > 0 || sel.With != nil {
		return nil, syntax
	}
	aliased, ok := sel.SelectExprs[0].(*sqlparser.AliasedExpr)
	if !ok || !aliased.As.IsEmpty() {
		return nil, syntax
	}
	return withoutBrackets(aliased.Expr), nil
}

// stored is the index among the output columns of a column that is named; a
// source column that the query does not select is added.
func (p *partitionBinder) stored(name *sqlparser.ColName, e sql.PartitionExpr) (int, error) {
	if q := name.Qualifier.Name.String(); q != "" && !strings.EqualFold(q, p.scan.Name) {
		return 0, sqlerror.Userf(sqlerror.CodeUnknownObject, "unknown relation %s", q)
	}
	want := name.Name.String()
	if i := p.output.Index(want); i >= 0 {
		return i, nil
	}
	for _, c := range p.columns {
		if strings.EqualFold(c.Name, want) {
			p.carry[c.ID] = true
			p.store(p.b.lowerer.newColumn(c.Name, c.Type, c.NotNull), c.Ref(), c.NotNull)
			return len(p.output) - 1, nil
		}
	}
	names := make([]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = c.Name
	}
	err := sqlerror.Userf(sqlerror.CodeUnknownColumn, "unknown column %s in %s", want, p.clause)
	if near := sqlerror.Nearest(want, names); near != "" {
		err = err.WithHint("did you mean %s?", near)
	}
	return 0, err
}

func (p *partitionBinder) store(c logical.OutputColumn, e logical.Expr, notNull bool) {
	p.output = append(p.output, types.Column{Name: c.Name, Type: c.Type, NotNull: notNull})
	p.top.Exprs = append(p.top.Exprs, logical.NamedExpr{Column: c, Expr: e})
}

// add appends a field of the partition spec.
func (p *partitionBinder) add(f connectors.PartitionField, e sql.PartitionExpr) error {
	c := p.output[f.Column]
	if c.Type.Kind == types.JSON {
		return sqlerror.Userf(sqlerror.CodeType, "column %s is JSON, which cannot be partitioned by", c.Name).
			WithHint("partition by a value in it, as in (%s->>'$.key' AS name)", c.Name)
	}
	for _, other := range p.fields {
		if strings.EqualFold(other.Name, f.Name) || other.Column == f.Column && other.Transform == f.Transform {
			return sqlerror.Userf(sqlerror.CodeExists, "%s is partitioned by twice", e.ExprText)
		}
	}
	p.fields = append(p.fields, f)
	return nil
}

// transform recognises the functions that are Iceberg's own partition
// transforms; it reports false for anything else.
func (p *partitionBinder) transform(f *sqlparser.FuncExpr, e sql.PartitionExpr) (bool, error) {
	name := f.Name.Lowered()
	var args []sqlparser.Expr
	for _, a := range f.Exprs {
		aliased, ok := a.(*sqlparser.AliasedExpr)
		if !ok {
			return false, nil
		}
		args = append(args, aliased.Expr)
	}
	transform, suffix := "", ""
	switch name {
	case "days", "hours":
		transform, suffix = strings.TrimSuffix(name, "s"), "_"+strings.TrimSuffix(name, "s")
		if len(args) != 1 {
			return true, sqlerror.Userf(sqlerror.CodeSyntax, "%s takes one column", strings.ToUpper(name))
		}
	case "bucket", "truncate":
		n, ok := countOf(args)
		if name == "truncate" && !ok {
			return false, nil // MySQL's own TRUNCATE(x, d)
		}
		if !ok {
			return true, sqlerror.Userf(sqlerror.CodeSyntax, "BUCKET takes a number of buckets, from 1 on, and a column").
				WithHint("write BUCKET(16, column)")
		}
		args = args[1:]
		transform, suffix = fmt.Sprintf("%s[%d]", name, n), "_"+strings.TrimSuffix(name, "ate")
	default:
		return false, nil
	}
	column, ok := args[0].(*sqlparser.ColName)
	if !ok {
		return true, sqlerror.Userf(sqlerror.CodeUnsupported, "%s takes a column, not an expression", strings.ToUpper(name)).
			WithHint("select the expression under a name and partition by that")
	}
	if p.b.in.TableFormat == "hive" {
		return true, sqlerror.Userf(sqlerror.CodeUnsupported, "%s is a partition transform of Iceberg, which Hive folders do not have", strings.ToUpper(name)).
			WithHint("store the value in a column, as in (DATE(%s) AS day)", column.Name.String())
	}
	i, err := p.stored(column, e)
	if err != nil {
		return true, err
	}
	if c := p.output[i]; !transforms(name, c.Type) {
		return true, sqlerror.Userf(sqlerror.CodeType, "%s cannot be applied to column %s of type %s", strings.ToUpper(name), c.Name, c.Type)
	}
	field := connectors.PartitionField{Name: e.Name, Column: i, Transform: transform}
	if field.Name == "" {
		field.Name = p.output[i].Name + suffix
	}
	if p.output.Index(field.Name) >= 0 {
		return true, sqlerror.Userf(sqlerror.CodeExists, "the partition %s has the name of a column", field.Name).
			WithHint("name it, as in (%s AS name)", e.ExprText)
	}
	return true, p.add(field, e)
}

// countOf is the positive whole number that (n, column) begins with.
func countOf(args []sqlparser.Expr) (int, bool) {
	if len(args) != 2 {
		return 0, false
	}
	v, ok := args[0].(*sqlparser.SQLVal)
	if !ok || v.Type != sqlparser.IntVal {
		return 0, false
	}
	n, err := strconv.Atoi(string(v.Val))
	return n, err == nil && n > 0
}

// transforms reports whether Iceberg's specification defines a transform for a
// type (https://iceberg.apache.org/spec/#partition-transforms).
func transforms(name string, t types.Type) bool {
	k := t.Kind
	switch name {
	case "days":
		return k == types.Date || k == types.DateTime || k == types.Timestamp
	case "hours":
		return k == types.DateTime || k == types.Timestamp
	case "truncate":
		return k.IsInteger() || k == types.Decimal || k == types.String || k == types.Binary
	}
	return k.IsInteger() || k == types.Decimal || k == types.String || k == types.Binary || k.IsTemporal()
}

// rowName is how the bound tree of a partition expression names the row that
// lands. Users cannot spell it.
const rowName = "\x00row"

// expression stores the values of an expression in a column of its own and
// partitions by that.
func (p *partitionBinder) expression(expr sqlparser.Expr, e sql.PartitionExpr) error {
	if p.output.Index(e.Name) >= 0 {
		return sqlerror.Userf(sqlerror.CodeExists, "the partition column %s has the name of a column of the query", e.Name).
			At(e.NamePos).WithHint("partition by the column itself, or take another name")
	}
	column, err := p.value(expr, e)
	if err != nil {
		return err
	}
	return p.add(connectors.PartitionField{Name: e.Name, Column: column, Transform: "identity"}, e)
}

// value stores the values of an expression and returns their column.
func (p *partitionBinder) value(expr sqlparser.Expr, e sql.PartitionExpr) (int, error) {
	lowered, err := p.lower(expr, e)
	if err != nil {
		return 0, err
	}
	if lowered.Type().Kind == types.Null {
		return 0, sqlerror.Userf(sqlerror.CodeType, "the expression %s is always NULL", e.ExprText)
	}
	refs := references(lowered)
	for _, c := range p.scan.Columns {
		if refs[c.ID] {
			p.carry[c.ID] = true
		}
	}
	c := p.b.lowerer.newColumn(e.Name, lowered.Type(), !lowered.Nullable())
	p.store(c, lowered, false)
	return len(p.output) - 1, nil
}

// lower binds an expression as SELECT expr FROM (a row of the named columns).
func (p *partitionBinder) lower(expr sqlparser.Expr, e sql.PartitionExpr) (logical.Expr, error) {
	ignore := sqlparser.AuthInformation{AuthType: sqlparser.AuthType_IGNORE}
	row := &sqlparser.Select{}
	l := *p.b.lowerer
	l.row = &scope{}
	for _, c := range p.columns {
		t, err := GMSType(c.Type)
		if err != nil {
			return nil, err
		}
		row.SelectExprs = append(row.SelectExprs, &sqlparser.AliasedExpr{
			Expr: sqlparser.InjectedExpr{Auth: ignore, Expression: &placeholder{t: t, null: !c.NotNull}},
			As:   sqlparser.NewColIdent(c.Name),
		})
		l.row.cols = append(l.row.cols, boundColumn{name: c.Name, col: c})
	}
	unqualify(expr, p.scan.Name)
	stmt := &sqlparser.Select{
		SelectExprs: sqlparser.SelectExprs{&sqlparser.AliasedExpr{Expr: expr, As: sqlparser.NewColIdent(e.Name)}},
		From: sqlparser.TableExprs{&sqlparser.AliasedTableExpr{
			Auth: ignore, Expr: &sqlparser.Subquery{Select: row}, As: sqlparser.NewTableIdent(rowName),
		}},
	}
	if err := PrepareSelect(stmt, func(string, string) (Relation, bool) { return Relation{}, false }); err != nil {
		return nil, err
	}
	bound, err := bindOnly(p.b.ctx, p.b.cat, stmt, e.ExprText)
	if err != nil {
		text := &queryText{text: e.ExprText, at: e.Pos, relations: []Relation{{Schema: schemaOf(p.columns)}}}
		return nil, text.bindError(err)
	}
	node, _, err := l.query(bound, nil)
	p.b.lowerer.last = l.last
	if err != nil {
		return nil, err
	}
	project, ok := node.(*logical.Project)
	if ok {
		_, ok = project.Input.(*logical.Values)
	}
	if !ok || len(project.Exprs) != 1 || hasSubquery(project.Exprs[0].Expr) {
		return nil, unsupported("aggregates, window functions or subqueries")
	}
	return project.Exprs[0].Expr, nil
}

// unqualify drops the source's name before columns: the row has none.
func unqualify(expr sqlparser.Expr, source string) {
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		if c, ok := n.(*sqlparser.ColName); ok && strings.EqualFold(c.Qualifier.Name.String(), source) {
			c.Qualifier = sqlparser.TableName{}
		}
		return true, nil
	}, expr)
}

func schemaOf(cols []logical.OutputColumn) types.Schema {
	out := make(types.Schema, len(cols))
	for i, c := range cols {
		out[i] = types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}
	}
	return out
}

// rowColumns is the scope of the row of a partition expression.
func (l *lowerer) rowColumns(n *plan.SubqueryAlias) (logical.Node, *scope) {
	values := &logical.Values{Columns: l.row.outputs()}
	s := &scope{cols: append([]boundColumn(nil), l.row.cols...)}
	i := 0
	n.Columns().ForEach(func(id gms.ColumnId) {
		if i < len(s.cols) {
			s.cols[i].id, s.cols[i].table = id, n.Name()
		}
		i++
	})
	return values, s
}

// placeholder stands for a column of the row while the MySQL engine binds.
type placeholder struct {
	t    gms.Type
	null bool
}

// WithResolvedChildren is called by the MySQL engine's binder.
func (p *placeholder) WithResolvedChildren(context.Context, []any) (any, error) { return p, nil }

func (p *placeholder) Resolved() bool               { return true }
func (p *placeholder) String() string               { return "?" }
func (p *placeholder) Type(*gms.Context) gms.Type   { return p.t }
func (p *placeholder) IsNullable(*gms.Context) bool { return p.null }
func (p *placeholder) Children() []gms.Expression   { return nil }
func (p *placeholder) Eval(*gms.Context, gms.Row) (any, error) {
	return nil, errors.New("evaluate a placeholder")
}

func (p *placeholder) CollationCoercibility(ctx *gms.Context) (gms.CollationID, byte) {
	return p.t.CollationCoercibility(ctx)
}

func (p *placeholder) WithChildren(*gms.Context, ...gms.Expression) (gms.Expression, error) {
	return p, nil
}

// carry passes columns of the scan up to the top of a plan of filters,
// projections and flattening.
func carry(n logical.Node, scan *logical.Scan, ids map[logical.ColumnID]bool) logical.Node {
	if len(ids) == 0 || n == logical.Node(scan) {
		return n
	}
	below := carry(n.Inputs()[0], scan, ids)
	p, ok := n.(*logical.Project)
	if !ok {
		return n.WithInputs([]logical.Node{below})
	}
	out := &logical.Project{Input: below, Exprs: append([]logical.NamedExpr(nil), p.Exprs...)}
	has := map[logical.ColumnID]bool{}
	for _, e := range p.Exprs {
		has[e.Column.ID] = true
	}
	for _, c := range scan.Columns {
		if ids[c.ID] && !has[c.ID] {
			out.Exprs = append(out.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
		}
	}
	return out
}
