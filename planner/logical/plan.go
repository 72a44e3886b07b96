// Package logical is Leat's plan: a small typed tree that the binder makes of
// a SELECT, that rules rewrite, and that is lowered to a dataflow for a stream
// or to DuckDB SQL for an ad hoc query. No type of the MySQL engine is in it.
package logical

import (
	"fmt"
	"strings"

	"github.com/leatdb/leat/sql/types"
)

// OutputColumn is one column that a node passes on.
type OutputColumn struct {
	ID      ColumnID
	Name    string
	Type    types.Type
	NotNull bool
}

// Ref is an expression that reads the column.
func (c OutputColumn) Ref() *Column {
	return &Column{ID: c.ID, Name: c.Name, T: c.Type, Null: !c.NotNull}
}

// Node is a relational operator.
type Node interface {
	// Output is the list of columns, in order.
	Output() []OutputColumn
	// Inputs are the nodes below, in order.
	Inputs() []Node
	// WithInputs is the same node over other inputs, as many of them.
	WithInputs(inputs []Node) Node
	// String is the node in one line, without its inputs, for EXPLAIN.
	String() string
}

// RelationKind says what a Scan reads.
type RelationKind uint8

// The kinds of relation.
const (
	RelationSource RelationKind = iota // live records of a source
	RelationTable                      // a lake table
	RelationSystem                     // a system table
	RelationWork                       // what a recursive UNION has added last; Handle is its *WorkTable
)

// Scan reads a source, a lake table or a system table.
type Scan struct {
	Kind     RelationKind
	Database string // of a table: the sink's name, or the system database
	Name     string
	Columns  []OutputColumn
	// Handle is what the caller of the binder attached to the relation, for
	// its own use when the plan is lowered.
	Handle any
	// Filter holds conjuncts that were pushed down for pruning; they are still
	// evaluated above.
	Filter []Expr
	// Paths describe those of Columns that are no columns of the relation but
	// values below one, extracted by the source's decoder.
	Paths []ColumnPath
}

// ColumnPath is a JSON path that was pushed down to a Scan: the column ID has
// the value that MySQL's column->'$.a.b' gives, or column->>'$.a.b'.
type ColumnPath struct {
	ID ColumnID
	// Path begins with the relation's column; below it are names of object
	// members.
	Path []string
	// Unquote gives a JSON string's content and other values as text.
	Unquote bool
}

// Path is the pushed-down path of a column, or nil for a plain column.
func (n *Scan) Path(id ColumnID) *ColumnPath {
	for i := range n.Paths {
		if n.Paths[i].ID == id {
			return &n.Paths[i]
		}
	}
	return nil
}

// Relation is the name of what is read, that of a table with its database.
func (n *Scan) Relation() string {
	if n.Kind == RelationTable || n.Kind == RelationSystem {
		return n.Database + "." + n.Name
	}
	return n.Name
}

// Filter keeps the rows for which Predicate is true.
type Filter struct {
	Input     Node
	Predicate Expr
}

// NamedExpr is an expression with the column it makes.
type NamedExpr struct {
	Column OutputColumn
	Expr   Expr
}

// Project computes columns.
type Project struct {
	Input Node
	Exprs []NamedExpr
}

// Flatten adds the columns of a JSON_TABLE to each input row, once per row that
// the table makes of it. The input's columns come first in the output.
type Flatten struct {
	Input Node
	Data  Expr // the JSON document or array
	Table *JSONTable
	// Columns are the output columns of Table, in its depth-first order.
	Columns []OutputColumn
	// Outer keeps an input row for which the table is empty, with NULLs (LEFT
	// JOIN).
	Outer bool
}

// JSONTable is the specification of a JSON_TABLE.
type JSONTable struct {
	Path    string
	Columns []JSONTableColumn
}

// JSONTableColumn is a column, or with Nested a NESTED PATH.
type JSONTableColumn struct {
	Name       string
	Type       types.Type
	Path       string
	Ordinality bool // FOR ORDINALITY
	Exists     bool // EXISTS PATH
	OnEmpty    JSONTableDefault
	OnError    JSONTableDefault
	Nested     *JSONTable
}

// JSONTableDefault is an ON EMPTY or ON ERROR clause: NULL by default.
type JSONTableDefault struct {
	Error   bool
	Default *Literal
}

// Aggregate groups. Without GroupBy there is one group, also over no rows.
type Aggregate struct {
	Input   Node
	GroupBy []NamedExpr
	Aggs    []AggregateExpr
	// Rollup adds the groups of all but the last key, and so on to one group of
	// everything, with NULL for the keys left out. The aggregate "grouping" of
	// keys has a bit set for each that is left out, the first key's the highest.
	Rollup bool
}

// AggregateExpr is one aggregate function.
type AggregateExpr struct {
	Column    OutputColumn
	Name      string // lower case: count, sum, avg, min, max, group_concat, …
	Args      []Expr // none for COUNT(*)
	Distinct  bool
	OrderBy   []SortKey // GROUP_CONCAT
	Separator string    // GROUP_CONCAT
}

// JoinKind is the kind of a join.
type JoinKind uint8

// The kinds of join.
const (
	JoinInner JoinKind = iota
	JoinLeft
	JoinRight
	JoinFull
	JoinCross
)

// Join combines two inputs; On is nil for a cross join. With Lateral the right
// side may refer to columns of the left.
type Join struct {
	Kind        JoinKind
	Left, Right Node
	On          Expr
	Lateral     bool
}

// SortKey is one element of ORDER BY. NULLs come first ascending, last
// descending, as in MySQL.
type SortKey struct {
	Expr Expr
	Desc bool
}

// Sort orders.
type Sort struct {
	Input Node
	Keys  []SortKey
}

// Limit passes Count rows (−1: all) after skipping Offset.
type Limit struct {
	Input         Node
	Count, Offset int64
}

// Distinct removes duplicate rows.
type Distinct struct{ Input Node }

// SetOp is UNION, INTERSECT or EXCEPT of inputs of equal width.
type SetOp struct {
	Op          string // "UNION", "INTERSECT", "EXCEPT"
	All         bool
	Left, Right Node
	Columns     []OutputColumn
	// Work makes the UNION recursive: the right side, which reads the work table,
	// is computed again over what it has added last, until it adds nothing.
	Work *WorkTable
}

// WorkTable stands for the rows that a recursive UNION has added last, in the scans
// of its right side.
type WorkTable struct {
	Name    string
	Columns []string // names, in the order of the UNION's columns
}

// Window computes window functions beside the input's columns.
type Window struct {
	Input Node
	Exprs []WindowExpr
}

// WindowExpr is one window function.
type WindowExpr struct {
	Column      OutputColumn
	Name        string
	Args        []Expr
	Distinct    bool
	PartitionBy []Expr
	OrderBy     []SortKey
	Frame       string // "ROWS BETWEEN … AND …" or ""
}

// Values is a list of constant rows; with no columns and one row it is DUAL.
type Values struct {
	Columns []OutputColumn
	Rows    [][]Expr
}

func (n *Scan) Output() []OutputColumn   { return n.Columns }
func (n *Filter) Output() []OutputColumn { return n.Input.Output() }
func (n *Project) Output() []OutputColumn {
	return namedColumns(nil, n.Exprs)
}
func (n *Flatten) Output() []OutputColumn {
	return append(append([]OutputColumn(nil), n.Input.Output()...), n.Columns...)
}
func (n *Aggregate) Output() []OutputColumn {
	out := namedColumns(nil, n.GroupBy)
	for _, a := range n.Aggs {
		out = append(out, a.Column)
	}
	return out
}
func (n *Join) Output() []OutputColumn {
	var out []OutputColumn
	for i, side := range []Node{n.Left, n.Right} {
		for _, c := range side.Output() {
			if n.Kind == JoinFull || n.Kind == JoinLeft && i == 1 || n.Kind == JoinRight && i == 0 {
				c.NotNull = false
			}
			out = append(out, c)
		}
	}
	return out
}
func (n *Sort) Output() []OutputColumn     { return n.Input.Output() }
func (n *Limit) Output() []OutputColumn    { return n.Input.Output() }
func (n *Distinct) Output() []OutputColumn { return n.Input.Output() }
func (n *SetOp) Output() []OutputColumn    { return n.Columns }
func (n *Window) Output() []OutputColumn {
	out := append([]OutputColumn(nil), n.Input.Output()...)
	for _, e := range n.Exprs {
		out = append(out, e.Column)
	}
	return out
}
func (n *Values) Output() []OutputColumn { return n.Columns }

func namedColumns(out []OutputColumn, exprs []NamedExpr) []OutputColumn {
	for _, e := range exprs {
		out = append(out, e.Column)
	}
	return out
}

func (n *Scan) Inputs() []Node      { return nil }
func (n *Filter) Inputs() []Node    { return []Node{n.Input} }
func (n *Project) Inputs() []Node   { return []Node{n.Input} }
func (n *Flatten) Inputs() []Node   { return []Node{n.Input} }
func (n *Aggregate) Inputs() []Node { return []Node{n.Input} }
func (n *Join) Inputs() []Node      { return []Node{n.Left, n.Right} }
func (n *Sort) Inputs() []Node      { return []Node{n.Input} }
func (n *Limit) Inputs() []Node     { return []Node{n.Input} }
func (n *Distinct) Inputs() []Node  { return []Node{n.Input} }
func (n *SetOp) Inputs() []Node     { return []Node{n.Left, n.Right} }
func (n *Window) Inputs() []Node    { return []Node{n.Input} }
func (n *Values) Inputs() []Node    { return nil }

func (n *Scan) WithInputs([]Node) Node       { return n }
func (n *Filter) WithInputs(in []Node) Node  { c := *n; c.Input = in[0]; return &c }
func (n *Project) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }
func (n *Flatten) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }
func (n *Aggregate) WithInputs(in []Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}
func (n *Join) WithInputs(in []Node) Node     { c := *n; c.Left, c.Right = in[0], in[1]; return &c }
func (n *Sort) WithInputs(in []Node) Node     { c := *n; c.Input = in[0]; return &c }
func (n *Limit) WithInputs(in []Node) Node    { c := *n; c.Input = in[0]; return &c }
func (n *Distinct) WithInputs(in []Node) Node { return &Distinct{Input: in[0]} }
func (n *SetOp) WithInputs(in []Node) Node    { c := *n; c.Left, c.Right = in[0], in[1]; return &c }
func (n *Window) WithInputs(in []Node) Node   { c := *n; c.Input = in[0]; return &c }
func (n *Values) WithInputs([]Node) Node      { return n }

func (n *Scan) String() string {
	cols := make([]string, len(n.Columns))
	for i, c := range n.Columns {
		cols[i] = c.Name
	}
	s := "Scan " + n.Relation() + " (" + strings.Join(cols, ", ") + ")"
	if len(n.Filter) > 0 {
		s += " where " + formatExprs(n.Filter, " AND ")
	}
	return s
}
func (n *Filter) String() string { return "Filter " + n.Predicate.String() }
func (n *Project) String() string {
	return "Project " + formatNamed(n.Exprs)
}
func (n *Flatten) String() string {
	kind := "Flatten"
	if n.Outer {
		kind = "Flatten outer"
	}
	cols := make([]string, len(n.Columns))
	for i, c := range n.Columns {
		cols[i] = c.Name
	}
	return kind + " " + n.Data.String() + " " + n.Table.Path + " (" + strings.Join(cols, ", ") + ")"
}
func (n *Aggregate) String() string {
	aggs := make([]string, len(n.Aggs))
	for i, a := range n.Aggs {
		aggs[i] = a.String()
	}
	s := "Aggregate"
	if len(aggs) > 0 {
		s += " " + strings.Join(aggs, ", ")
	}
	if len(n.GroupBy) > 0 {
		s += " by " + formatNamed(n.GroupBy)
	}
	if n.Rollup {
		s += " with rollup"
	}
	return s
}
func (n *Join) String() string {
	s := [...]string{"Inner", "Left", "Right", "Full", "Cross"}[n.Kind] + " join"
	if n.Lateral {
		s += " lateral"
	}
	if n.On != nil {
		s += " on " + n.On.String()
	}
	return s
}
func (n *Sort) String() string { return "Sort " + formatKeys(n.Keys) }
func (n *Limit) String() string {
	s := "Limit all"
	if n.Count >= 0 {
		s = fmt.Sprintf("Limit %d", n.Count)
	}
	if n.Offset > 0 {
		s += fmt.Sprintf(" offset %d", n.Offset)
	}
	return s
}
func (n *Distinct) String() string { return "Distinct" }
func (n *SetOp) String() string {
	s := n.Op
	if n.All {
		s += " ALL"
	}
	if n.Work != nil {
		s = "Recursive " + n.Work.Name + " " + s
	}
	return s
}
func (n *Window) String() string {
	parts := make([]string, len(n.Exprs))
	for i, e := range n.Exprs {
		parts[i] = e.String()
	}
	return "Window " + strings.Join(parts, ", ")
}
func (n *Values) String() string {
	if len(n.Columns) == 0 {
		return "Dual"
	}
	return fmt.Sprintf("Values (%d rows)", len(n.Rows))
}

// String is the aggregate as SQL.
func (a AggregateExpr) String() string {
	args := formatExprs(a.Args, ", ")
	if a.Name == "count" && len(a.Args) == 0 {
		args = "*"
	}
	if a.Distinct {
		args = "DISTINCT " + args
	}
	if len(a.OrderBy) > 0 {
		args += " ORDER BY " + formatKeys(a.OrderBy)
	}
	if a.Name == "group_concat" && a.Separator != "," {
		args += " SEPARATOR '" + a.Separator + "'"
	}
	return strings.ToUpper(a.Name) + "(" + args + ")"
}

// String is the window function as SQL.
func (w WindowExpr) String() string {
	args := formatExprs(w.Args, ", ")
	if w.Name == "count" && len(w.Args) == 0 {
		args = "*"
	}
	if w.Distinct {
		args = "DISTINCT " + args
	}
	var over []string
	if len(w.PartitionBy) > 0 {
		over = append(over, "PARTITION BY "+formatExprs(w.PartitionBy, ", "))
	}
	if len(w.OrderBy) > 0 {
		over = append(over, "ORDER BY "+formatKeys(w.OrderBy))
	}
	if w.Frame != "" {
		over = append(over, w.Frame)
	}
	return strings.ToUpper(w.Name) + "(" + args + ") OVER (" + strings.Join(over, " ") + ")"
}

func formatExprs(exprs []Expr, separator string) string {
	parts := make([]string, len(exprs))
	for i, e := range exprs {
		parts[i] = e.String()
	}
	return strings.Join(parts, separator)
}

func formatKeys(keys []SortKey) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = k.Expr.String()
		if k.Desc {
			parts[i] += " DESC"
		}
	}
	return strings.Join(parts, ", ")
}

func formatNamed(exprs []NamedExpr) string {
	parts := make([]string, len(exprs))
	for i, e := range exprs {
		parts[i] = e.Expr.String()
		if parts[i] != e.Column.Name {
			parts[i] += " AS " + e.Column.Name
		}
	}
	return strings.Join(parts, ", ")
}

// Format prints a plan as an indented tree; the plans of subqueries come before
// the inputs of the node that evaluates them.
func Format(n Node) string {
	var b strings.Builder
	var walk func(n Node, depth int)
	walk = func(n Node, depth int) {
		b.WriteString(strings.Repeat("  ", depth) + n.String() + "\n")
		for _, e := range Exprs(n) {
			Walk(e, func(e Expr) bool {
				if s, ok := e.(*Subquery); ok {
					b.WriteString(strings.Repeat("  ", depth+1) + "Subquery\n")
					walk(s.Plan, depth+2)
				}
				return true
			})
		}
		for _, in := range n.Inputs() {
			walk(in, depth+1)
		}
	}
	walk(n, 0)
	return b.String()
}
