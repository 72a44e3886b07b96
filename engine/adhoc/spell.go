package adhoc

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// maxStatement bounds the spelling of a plan, in bytes: DuckDB's spellings
// repeat arguments, so that deep expressions can grow beyond reason.
const maxStatement = 1 << 20

// Session is what an ad hoc query depends on of the MySQL session that asks.
type Session struct {
	// Location is the session's time_zone; nil is UTC. Zones are known by their
	// IANA name, or as an offset of the name "+05:00".
	Location *time.Location
	// GroupConcatMaxLen bounds a GROUP_CONCAT in bytes, as group_concat_max_len
	// does; 0 is MySQL's default, 1024.
	GroupConcatMaxLen int
	// MaxRecursion bounds the steps of a recursive common table expression, as
	// cte_max_recursion_depth does; 0 is MySQL's default, 1000.
	MaxRecursion int
	// Now is the time of the query; zero is that of the call.
	Now time.Time
	// Warn, if it is not nil, is told of values that kernels cut, clamped or made
	// NULL, from several threads at once and until the reader is released.
	Warn func(error)
}

// Statement is a plan spelled for DuckDB.
type Statement struct {
	// SQL is one SELECT. It reads the relations by their names; Query defines
	// those in front of it, since which files they are is known only then.
	SQL string
	// Relations are the tables that are read, one for each Scan of the plan.
	Relations []Relation

	kernels []bridged
	columns []logical.OutputColumn
}

// Relation is a table in a Statement.
type Relation struct {
	Name string // t0, t1, …
	Scan *logical.Scan
	// where are the predicates that can leave out files.
	where []columnPredicate
}

// Spell writes a plan as DuckDB SQL with MySQL's meaning. Column c<id> of the
// statement is the plan's column of that id. A plan that DuckDB cannot run with
// exactly MySQL's result is an *Unsupported.
func Spell(plan logical.Node, session Session) (*Statement, error) {
	return spell(plan, session, 0)
}

// spell numbers the kernels that the statement calls from group on.
func spell(plan logical.Node, session Session, group int64) (*Statement, error) {
	s := &speller{session: session, group: group}
	q, err := s.node(plan, nil)
	if err != nil {
		return nil, err
	}
	sql := q.render()
	if len(sql) > maxStatement {
		return nil, unsupported("its spelling is too long (%d bytes)", len(sql))
	}
	return &Statement{SQL: sql, Relations: s.relations, kernels: s.kernels, columns: plan.Output()}, nil
}

func unsupported(format string, args ...any) error {
	return &Unsupported{Reason: fmt.Sprintf(format, args...)}
}

// speller is the state of spelling one plan.
type speller struct {
	session   Session
	group     int64
	relations []Relation
	kernels   []bridged
	derived   int // names of derived tables given out
	works     map[*logical.WorkTable]workTable
}

func columnName(id logical.ColumnID) string { return "c" + strconv.Itoa(int(id)) }

// node spells a relational operator. where are conjuncts that hold for every row
// of n that reaches the result, for pruning only.
func (s *speller) node(n logical.Node, where []logical.Expr) (*selection, error) {
	switch n := n.(type) {
	case *logical.Scan:
		return s.scan(n, where)
	case *logical.Filter:
		return s.filter(n, where)
	case *logical.Project:
		return s.project(n, where)
	case *logical.Aggregate:
		return s.aggregate(n)
	case *logical.Window:
		return s.window(n)
	case *logical.Join:
		return s.join(n, where)
	case *logical.Sort:
		return s.sort(n, where)
	case *logical.Limit:
		return s.limit(n)
	case *logical.Distinct:
		return s.distinct(n, where)
	case *logical.SetOp:
		return s.setOp(n)
	case *logical.Values:
		return s.values(n)
	case *logical.Flatten:
		return nil, unsupported("it flattens JSON (JSON_TABLE)")
	}
	return nil, unsupported("it has a %T", n)
}

func (s *speller) scan(n *logical.Scan, where []logical.Expr) (*selection, error) {
	if work, ok := n.Handle.(*logical.WorkTable); ok {
		return s.workTable(n, work)
	}
	if _, ok := n.Handle.(Rows); n.Kind != logical.RelationTable && !ok {
		return nil, unsupported("%s is a source", n.Name)
	}
	if len(n.Paths) > 0 {
		return nil, unsupported("a scan of %s reads below a column", n.Name)
	}
	name := "t" + strconv.Itoa(len(s.relations))
	s.relations = append(s.relations, Relation{Name: name, Scan: n, where: predicates(n, where, s.session.Location)})
	return &selection{from: name, items: passed(n.Columns)}, nil
}

func (s *speller) filter(n *logical.Filter, where []logical.Expr) (*selection, error) {
	q, err := s.node(n.Input, conjuncts(n.Predicate, where))
	if err != nil {
		return nil, err
	}
	if q.computed || q.distinct || q.limited {
		q = s.wrap(q)
	}
	condition, err := s.condition(n.Predicate)
	if err != nil {
		return nil, err
	}
	q.where = append(q.where, condition)
	return q, nil
}

func (s *speller) project(n *logical.Project, where []logical.Expr) (*selection, error) {
	q, err := s.node(n.Input, where)
	if err != nil {
		return nil, err
	}
	if q.narrow(n.Exprs) {
		return q, nil
	}
	if q.computed || q.distinct || q.limited {
		q = s.wrap(q)
	}
	if q.items, err = s.named(n.Exprs); err != nil {
		return nil, err
	}
	q.computed = true
	return q, nil
}

// named spells expressions, each of the type that its column declares.
func (s *speller) named(exprs []logical.NamedExpr) ([]item, error) {
	items := make([]item, len(exprs))
	for i, e := range exprs {
		sql, err := s.typed(e.Expr, e.Column.Type)
		if err != nil {
			return nil, err
		}
		items[i] = item{id: e.Column.ID, sql: sql}
	}
	return items, nil
}

func (s *speller) join(n *logical.Join, where []logical.Expr) (*selection, error) {
	if n.Lateral && (n.Kind == logical.JoinRight || n.Kind == logical.JoinFull) {
		return nil, unsupported("a LATERAL table is on the outer side of a join")
	}
	// What holds above the join holds below it on the sides that are not filled
	// up with NULLs, and the join's own condition on those that may lose rows.
	var left, right, on []logical.Expr
	if n.On != nil {
		on = conjuncts(n.On, nil)
	}
	switch n.Kind {
	case logical.JoinInner, logical.JoinCross:
		left = append(on, where...)
		right = left
	case logical.JoinLeft:
		left, right = where, on
	case logical.JoinRight:
		left, right = on, where
	}
	l, err := s.node(n.Left, left)
	if err != nil {
		return nil, err
	}
	r, err := s.node(n.Right, right)
	if err != nil {
		return nil, err
	}
	items := append(append([]item(nil), passed(n.Left.Output())...), passed(n.Right.Output())...)
	word := map[logical.JoinKind]string{
		logical.JoinInner: "JOIN", logical.JoinLeft: "LEFT JOIN", logical.JoinRight: "RIGHT JOIN", logical.JoinFull: "FULL JOIN",
		logical.JoinCross: "JOIN",
	}[n.Kind]
	from := s.table(l) + " " + word + " "
	if n.Lateral {
		from += "LATERAL (" + r.render() + ") AS " + s.name()
	} else {
		from += s.table(r)
	}
	condition := "TRUE"
	if n.On != nil {
		if condition, err = s.condition(n.On); err != nil {
			return nil, err
		}
	}
	return &selection{from: "(" + from + " ON " + condition + ")", items: items}, nil
}

func (s *speller) sort(n *logical.Sort, where []logical.Expr) (*selection, error) {
	q, err := s.node(n.Input, where)
	if err != nil {
		return nil, err
	}
	plain := true
	for _, k := range n.Keys {
		c, ok := k.Expr.(*logical.Column)
		plain = plain && ok && sortsAsItIs(c.T)
	}
	if q.limited || (q.computed || q.distinct) && !plain {
		q = s.wrap(q)
	}
	q.order = nil
	for _, k := range n.Keys {
		key, err := s.sortKey(k)
		if err != nil {
			return nil, err
		}
		if plain {
			key.id, key.plain = k.Expr.(*logical.Column).ID, true
		}
		q.order = append(q.order, key)
	}
	return q, nil
}

// sortsAsItIs reports whether MySQL orders values of the type as DuckDB does
// what holds them.
func sortsAsItIs(t types.Type) bool {
	return t.Kind != types.JSON && t.Name != "ENUM" && t.Name != "SET"
}

// sortKey spells an element of ORDER BY: an ENUM sorts by its place in the
// declaration.
func (s *speller) sortKey(k logical.SortKey) (orderKey, error) {
	t := k.Expr.Type()
	sql, err := s.expr(k.Expr)
	if err != nil {
		return orderKey{}, err
	}
	switch {
	case t.Name == "ENUM":
		members := make([]string, len(t.Members))
		for i, m := range t.Members {
			members[i] = quoteText(m)
		}
		sql = fmt.Sprintf("CASE WHEN %s IS NOT NULL THEN COALESCE(list_position([%s], %s), 0) END", sql, strings.Join(members, ", "), sql)
	case !sortsAsItIs(t):
		return orderKey{}, unsupported("it sorts by a %s", t.Kind)
	}
	if k.Desc {
		return orderKey{sql: sql, suffix: " DESC NULLS LAST"}, nil
	}
	return orderKey{sql: sql, suffix: " NULLS FIRST"}, nil
}

func (s *speller) limit(n *logical.Limit) (*selection, error) {
	q, err := s.node(n.Input, nil)
	if err != nil {
		return nil, err
	}
	if q.limited {
		q = s.wrap(q)
	}
	q.limited, q.count, q.offset = true, n.Count, n.Offset
	return q, nil
}

func (s *speller) distinct(n *logical.Distinct, where []logical.Expr) (*selection, error) {
	if err := groupable(n.Input.Output(), "DISTINCT"); err != nil {
		return nil, err
	}
	q, err := s.node(n.Input, where)
	if err != nil {
		return nil, err
	}
	if q.limited || q.distinct {
		q = s.wrap(q)
	}
	// SELECT DISTINCT sorts what it puts out, so the keys have to be in it.
	for _, k := range q.order {
		if !k.plain || !q.has(k.id) {
			return nil, unsupported("it sorts the rows of a DISTINCT by something else")
		}
	}
	q.distinct = true
	return q, nil
}

// groupable refuses columns whose equality is not that of their representation.
func groupable(columns []logical.OutputColumn, what string) error {
	for _, c := range columns {
		if c.Type.Kind == types.JSON && !c.Type.Printed {
			return unsupported("%s compares JSON documents (%s)", what, c.Name)
		}
	}
	return nil
}

func (s *speller) setOp(n *logical.SetOp) (*selection, error) {
	if n.Work != nil {
		return s.recursive(n)
	}
	if !n.All {
		if err := groupable(n.Columns, n.Op); err != nil {
			return nil, err
		}
	}
	left, err := s.operand(n.Left, n.Columns)
	if err != nil {
		return nil, err
	}
	right, err := s.operand(n.Right, n.Columns)
	if err != nil {
		return nil, err
	}
	op := n.Op
	switch op {
	case "UNION", "INTERSECT", "EXCEPT":
	default:
		return nil, unsupported("it has a %s", n.Op)
	}
	if n.All {
		op += " ALL"
	}
	return &selection{from: "((" + left + ") " + op + " (" + right + ")) AS " + s.name(), items: passed(n.Columns)}, nil
}

// operand spells a side of a set operation with the columns of the whole.
func (s *speller) operand(n logical.Node, columns []logical.OutputColumn) (string, error) {
	q, err := s.node(n, nil)
	if err != nil {
		return "", err
	}
	out := n.Output()
	if len(out) != len(columns) {
		return "", fmt.Errorf("a set operation of %d columns has %d on one side", len(columns), len(out))
	}
	q = s.wrap(q)
	for i, c := range out {
		sql, err := s.typed(c.Ref(), columns[i].Type)
		if err != nil {
			return "", err
		}
		q.items[i] = item{id: columns[i].ID, sql: sql}
	}
	q.computed = true
	return q.render(), nil
}

func (s *speller) values(n *logical.Values) (*selection, error) {
	if len(n.Columns) == 0 && len(n.Rows) == 1 {
		return &selection{}, nil
	}
	if len(n.Columns) == 0 || len(n.Rows) == 0 {
		return s.nothing(n.Columns), nil
	}
	rows := make([]string, len(n.Rows))
	for i, row := range n.Rows {
		if len(row) != len(n.Columns) {
			return nil, fmt.Errorf("row %d of VALUES has %d columns, %d are due", i+1, len(row), len(n.Columns))
		}
		cells := make([]string, len(row))
		for j, e := range row {
			sql, err := s.typed(e, n.Columns[j].Type)
			if err != nil {
				return nil, err
			}
			cells[j] = sql
		}
		rows[i] = "(" + strings.Join(cells, ", ") + ")"
	}
	return &selection{
		from:  "(VALUES " + strings.Join(rows, ", ") + ") AS " + s.name() + "(" + columnList(n.Columns) + ")",
		items: passed(n.Columns),
	}, nil
}

// nothing is a relation of no rows.
func (s *speller) nothing(columns []logical.OutputColumn) *selection {
	q := &selection{where: []string{"FALSE"}, computed: true}
	for _, c := range columns {
		q.items = append(q.items, item{id: c.ID, sql: "NULL::" + function.DuckDBType(c.Type)})
	}
	return q
}

func columnList(columns []logical.OutputColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = columnName(c.ID)
	}
	return strings.Join(names, ", ")
}
