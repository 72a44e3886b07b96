package logical

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// ColumnID names a column uniquely within a whole plan, however often it is
// passed on; two scans of one table have different ids.
type ColumnID int

// Expr is a bound, typed scalar expression. Expressions are immutable; rules
// build new ones with WithChildren.
type Expr interface {
	// Type is the MySQL type of the result.
	Type() types.Type
	// Nullable reports whether the result can be NULL.
	Nullable() bool
	// Children are the operands, in order.
	Children() []Expr
	// WithChildren is the same expression over other operands, as many of them.
	WithChildren(children []Expr) Expr
	// String is the expression as SQL, for EXPLAIN.
	String() string
}

// Column is a reference to a column of the input.
type Column struct {
	ID   ColumnID
	Name string
	T    types.Type
	Null bool
}

// Literal is a constant. Value is nil or the Go value of its type's kind: bool,
// int64, uint64, float64, string (also for DECIMAL, as digits), []byte, and for
// dates and times int64 as in Arrow (days; µs).
type Literal struct {
	Value any
	T     types.Type
}

// Call is a function, operator or cast of the registry. Operators are functions
// named as in SQL: "+", "=", "and", "not", "is null", "like", "between", "in".
type Call struct {
	Func *function.Function
	Args []Expr
	T    types.Type
	Null bool
}

// Cast converts explicitly (CAST, CONVERT) or where MySQL converts by itself.
type Cast struct {
	Arg  Expr
	T    types.Type
	Null bool
	// Implicit casts are not printed.
	Implicit bool
}

// Case is CASE WHEN … THEN … ELSE … END. A CASE with an operand is bound with
// the comparisons written out. Else is nil for NULL.
type Case struct {
	Whens []When
	Else  Expr
	T     types.Type
}

// When is one arm of a Case.
type When struct{ Cond, Then Expr }

// Interval is the INTERVAL n unit operand of date arithmetic.
type Interval struct {
	Value Expr
	Unit  string // "SECOND", "DAY", "YEAR_MONTH", … in upper case
}

// RowFunc is a scalar function that has no kernel: Eval is called once per row
// with the operands' values. It is how every other function of the MySQL
// engine, and every Go function a program registers, works in a stream.
type RowFunc struct {
	Name string
	Args []Expr
	T    types.Type
	// Eval takes Go values as in Literal (DECIMAL as string) and returns one; a
	// returned error fails the row. It may not keep row, and is called from one
	// goroutine at a time; New makes one for each lane.
	New func() func(row []any) (any, error)
	// Volatile functions give another value for the same operands, so that they
	// are evaluated exactly where the query has them.
	Volatile bool
	// Spelling is the call as SQL with OperandMark(i) for operand i, since
	// constants are no operands; without one it is Name over the operands.
	Spelling string
}

// OperandMark stands for an operand in RowFunc.Spelling.
func OperandMark(i int) string { return fmt.Sprintf("\x00%d\x00", i) }

// Subquery is a query used as an expression. Ad hoc queries only.
type Subquery struct {
	Op   SubqueryOp
	Arg  Expr // the left side of IN
	Plan Node
	T    types.Type
}

// SubqueryOp says how a Subquery is used.
type SubqueryOp uint8

// The uses of a subquery.
const (
	SubqueryScalar SubqueryOp = iota
	SubqueryExists
	SubqueryIn
)

func (e *Column) Type() types.Type          { return e.T }
func (e *Column) Nullable() bool            { return e.Null }
func (e *Column) Children() []Expr          { return nil }
func (e *Column) WithChildren([]Expr) Expr  { return e }
func (e *Column) String() string            { return e.Name }
func (e *Literal) Type() types.Type         { return e.T }
func (e *Literal) Nullable() bool           { return e.Value == nil }
func (e *Literal) Children() []Expr         { return nil }
func (e *Literal) WithChildren([]Expr) Expr { return e }
func (e *Call) Type() types.Type            { return e.T }
func (e *Call) Nullable() bool              { return e.Null }
func (e *Call) Children() []Expr            { return e.Args }
func (e *Cast) Type() types.Type            { return e.T }
func (e *Cast) Nullable() bool              { return e.Null }
func (e *Cast) Children() []Expr            { return []Expr{e.Arg} }
func (e *Case) Type() types.Type            { return e.T }
func (e *Interval) Type() types.Type        { return e.Value.Type() }
func (e *Interval) Nullable() bool          { return e.Value.Nullable() }
func (e *Interval) Children() []Expr        { return []Expr{e.Value} }
func (e *RowFunc) Type() types.Type         { return e.T }
func (e *RowFunc) Nullable() bool           { return true }
func (e *RowFunc) Children() []Expr         { return e.Args }
func (e *Subquery) Type() types.Type        { return e.T }
func (e *Subquery) Nullable() bool          { return e.Op != SubqueryExists }

// Children of a subquery is the left side of IN; the plan is no child.
func (e *Subquery) Children() []Expr {
	if e.Arg == nil {
		return nil
	}
	return []Expr{e.Arg}
}

// WithChildren replaces the operands.
func (e *Call) WithChildren(c []Expr) Expr {
	return &Call{Func: e.Func, Args: c, T: e.T, Null: e.Null}
}

// Binding is what the function's DuckDB spelling has to know of the call.
func (e *Call) Binding() function.Binding {
	b := function.Binding{Result: e.T, Nullable: e.Null, Args: make([]types.Type, len(e.Args)),
		Literals: make([]any, len(e.Args)), Units: make([]string, len(e.Args)), Quotients: make([]bool, len(e.Args))}
	for i, a := range e.Args {
		b.Args[i], b.Quotients[i] = a.Type(), HasQuotient(a)
		if interval, ok := a.(*Interval); ok {
			b.Units[i], a = interval.Unit, interval.Value
		}
		if literal, ok := a.(*Literal); ok {
			b.Literals[i] = literal.Value
		}
	}
	return b
}

// HasQuotient reports whether a DECIMAL is a quotient, or computed of one in a way
// that keeps its digits.
func HasQuotient(e Expr) bool {
	if e.Type().Kind != types.Decimal {
		return false
	}
	if c, ok := e.(*Call); ok {
		switch c.Func.Name {
		case "/":
			return true
		case "+", "-", "*", "%", "neg", "abs", "if", "ifnull", "coalesce", "nullif":
		default:
			return false
		}
	}
	return slices.ContainsFunc(e.Children(), HasQuotient)
}

// WithChildren replaces the operand.
func (e *Cast) WithChildren(c []Expr) Expr {
	return &Cast{Arg: c[0], T: e.T, Null: e.Null, Implicit: e.Implicit}
}

// WithChildren replaces the value.
func (e *Interval) WithChildren(c []Expr) Expr { return &Interval{Value: c[0], Unit: e.Unit} }

// WithChildren replaces the operands.
func (e *RowFunc) WithChildren(c []Expr) Expr {
	n := *e
	n.Args = c
	return &n
}

// WithChildren replaces the left side of IN.
func (e *Subquery) WithChildren(c []Expr) Expr {
	n := *e
	if len(c) > 0 {
		n.Arg = c[0]
	}
	return &n
}

// Nullable is true unless every outcome is not.
func (e *Case) Nullable() bool {
	if e.Else == nil || e.Else.Nullable() {
		return true
	}
	for _, w := range e.Whens {
		if w.Then.Nullable() {
			return true
		}
	}
	return false
}

// Children are cond, then, cond, then, …, else (if there is one).
func (e *Case) Children() []Expr {
	var c []Expr
	for _, w := range e.Whens {
		c = append(c, w.Cond, w.Then)
	}
	if e.Else != nil {
		c = append(c, e.Else)
	}
	return c
}

// WithChildren replaces the arms, in the order of Children.
func (e *Case) WithChildren(c []Expr) Expr {
	n := &Case{T: e.T}
	for i := range e.Whens {
		n.Whens = append(n.Whens, When{c[2*i], c[2*i+1]})
	}
	if e.Else != nil {
		n.Else = c[len(c)-1]
	}
	return n
}

func (e *Literal) String() string {
	switch v := e.Value.(type) {
	case nil:
		return "NULL"
	case string:
		if e.T.Kind == types.Decimal {
			return v
		}
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	case bool:
		if v {
			return "TRUE"
		}
		return "FALSE"
	case int64:
		if e.T.Kind.IsTemporal() {
			return FormatTemporal(v, e.T)
		}
	}
	return fmt.Sprint(e.Value)
}

func (e *Call) String() string {
	args := make([]string, len(e.Args))
	for i, a := range e.Args {
		args[i] = a.String()
	}
	return e.Func.Format(args)
}

func (e *Cast) String() string {
	if e.Implicit {
		return e.Arg.String()
	}
	return "CAST(" + e.Arg.String() + " AS " + e.T.String() + ")"
}

func (e *Case) String() string {
	var b strings.Builder
	b.WriteString("CASE")
	for _, w := range e.Whens {
		b.WriteString(" WHEN " + w.Cond.String() + " THEN " + w.Then.String())
	}
	if e.Else != nil {
		b.WriteString(" ELSE " + e.Else.String())
	}
	return b.String() + " END"
}

func (e *Interval) String() string { return "INTERVAL " + e.Value.String() + " " + e.Unit }

func (e *RowFunc) String() string {
	args := make([]string, len(e.Args))
	for i, a := range e.Args {
		args[i] = a.String()
	}
	if e.Spelling == "" {
		return e.Name + "(" + strings.Join(args, ", ") + ")"
	}
	s := e.Spelling
	for i, a := range args {
		s = strings.ReplaceAll(s, OperandMark(i), a)
	}
	return s
}

func (e *Subquery) String() string {
	switch e.Op {
	case SubqueryExists:
		return "EXISTS (…)"
	case SubqueryIn:
		return e.Arg.String() + " IN (…)"
	}
	return "(…)"
}

// Walk calls f for e and everything below it, parents first, until f returns
// false for a branch.
func Walk(e Expr, f func(Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	for _, c := range e.Children() {
		Walk(c, f)
	}
}

// Transform rebuilds e from the leaves up with f applied to each expression.
func Transform(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	children := e.Children()
	var changed []Expr
	for i, c := range children {
		if n := Transform(c, f); n != c {
			if changed == nil {
				changed = append([]Expr(nil), children...)
			}
			changed[i] = n
		}
	}
	if changed != nil {
		e = e.WithChildren(changed)
	}
	return f(e)
}
