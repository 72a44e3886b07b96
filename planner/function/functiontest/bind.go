// Package functiontest tests functions of the registry as they are written in
// SQL: it binds the text of an expression, evaluates it with its kernels in
// every form that arguments may have, and asks the MySQL engine for the results
// to compare with. It is for tests only.
package functiontest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// Expr is a bound expression: a column, a constant, a call, a cast or a CASE.
type Expr struct {
	Type types.Type
	// Column is the index of a column, −1 otherwise.
	Column  int
	Literal bool
	Value   any
	// Func and Binding are of a call; Cast marks a conversion; Case a CASE, whose
	// arguments are cond, value, …, and the else value if their number is odd.
	Func       *function.Function
	Binding    function.Binding
	Cast, Case bool
	Unit       string // of an INTERVAL, whose number is the one argument
	Args       []*Expr
}

// Bind parses a SQL expression over the columns of a schema and binds it as the
// planner does.
func Bind(text string, schema types.Schema) (*Expr, error) {
	stmt, err := sqlparser.Parse("SELECT " + text)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", text, err)
	}
	b := binder{schema}
	return b.bind(stmt.(*sqlparser.Select).SelectExprs[0].(*sqlparser.AliasedExpr).Expr)
}

type binder struct{ schema types.Schema }

func (b binder) all(es ...sqlparser.Expr) ([]*Expr, error) {
	out := make([]*Expr, len(es))
	for i, e := range es {
		var err error
		if out[i], err = b.bind(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b binder) call(name string, es ...sqlparser.Expr) (*Expr, error) {
	args, err := b.all(es...)
	if err != nil {
		return nil, err
	}
	return Call(name, args...)
}

func text(s string) *sqlparser.SQLVal { return sqlparser.NewStrVal([]byte(s)) }

func (b binder) bind(e sqlparser.Expr) (*Expr, error) {
	switch e := e.(type) {
	case *sqlparser.SQLVal:
		return literal(e)
	case *sqlparser.NullVal:
		return constant(nil, types.TypeNull), nil
	case sqlparser.BoolVal:
		return constant(bool(e), types.TypeBool), nil
	case *sqlparser.ColName:
		i := b.schema.Index(e.Name.String())
		if i < 0 {
			return nil, fmt.Errorf("no column %s", e.Name)
		}
		return &Expr{Type: b.schema[i].Type, Column: i}, nil
	case *sqlparser.ParenExpr:
		return b.bind(e.Expr)
	case *sqlparser.AndExpr:
		return b.call("and", e.Left, e.Right)
	case *sqlparser.OrExpr:
		return b.call("or", e.Left, e.Right)
	case *sqlparser.XorExpr:
		return b.call("xor", e.Left, e.Right)
	case *sqlparser.NotExpr:
		return b.call("not", e.Expr)
	case *sqlparser.ComparisonExpr:
		return b.comparison(e)
	case *sqlparser.RangeCond:
		between, err := b.call("between", e.Left, e.From, e.To)
		if err != nil || !strings.HasPrefix(e.Operator, "not") {
			return between, err
		}
		return Call("not", between)
	case *sqlparser.IsExpr:
		return b.call(e.Operator, e.Expr)
	case *sqlparser.BinaryExpr:
		return b.call(e.Operator, e.Left, e.Right)
	case *sqlparser.UnaryExpr:
		return b.unary(e)
	case *sqlparser.IntervalExpr:
		value, err := b.bind(e.Expr)
		if err != nil {
			return nil, err
		}
		return &Expr{Type: value.Type, Column: -1, Unit: strings.ToUpper(e.Unit), Args: []*Expr{value}}, nil
	case *sqlparser.FuncExpr:
		var args []sqlparser.Expr
		for _, a := range e.Exprs {
			args = append(args, a.(*sqlparser.AliasedExpr).Expr)
		}
		return b.call(e.Name.Lowered(), args...)
	case *sqlparser.TimestampFuncExpr:
		return b.call(strings.ToLower(e.Name), text(e.Unit), e.Expr1, e.Expr2)
	case *sqlparser.ExtractFuncExpr:
		return b.call("extract", text(e.Unit), e.Expr)
	case *sqlparser.SubstrExpr:
		args := []sqlparser.Expr{e.Name, e.From}
		if e.Name == nil {
			args[0] = e.StrVal
		}
		if e.To != nil {
			args = append(args, e.To)
		}
		return b.call("substring", args...)
	case *sqlparser.TrimExpr:
		return b.call("trim", e.Str, e.Pattern, text(map[string]string{"l": "LEADING", "t": "TRAILING", "r": "TRAILING", "b": "BOTH"}[strings.ToLower(e.Dir)]))
	case *sqlparser.ConvertExpr:
		return b.convert(e)
	case *sqlparser.CaseExpr:
		return b.caseExpr(e)
	}
	return nil, fmt.Errorf("bind %T", e)
}

func (b binder) comparison(e *sqlparser.ComparisonExpr) (*Expr, error) {
	args := []sqlparser.Expr{e.Left, e.Right}
	op := strings.TrimPrefix(e.Operator, "not ")
	switch op {
	case "in":
		args = append(args[:1], e.Right.(sqlparser.ValTuple)...)
	case "like":
		if e.Escape != nil {
			args = append(args, e.Escape)
		}
	}
	call, err := b.call(op, args...)
	if err != nil || op == e.Operator {
		return call, err
	}
	return Call("not", call)
}

func (b binder) unary(e *sqlparser.UnaryExpr) (*Expr, error) {
	switch e.Operator {
	case sqlparser.UMinusStr:
		if v, ok := e.Expr.(*sqlparser.SQLVal); ok && v.Type != sqlparser.StrVal {
			return literal(&sqlparser.SQLVal{Type: v.Type, Val: append([]byte{'-'}, v.Val...)})
		}
		return b.call("neg", e.Expr)
	case sqlparser.UPlusStr:
		return b.bind(e.Expr)
	case sqlparser.TildaStr:
		return b.call("~", e.Expr)
	case sqlparser.BangStr:
		return b.call("not", e.Expr)
	}
	return nil, fmt.Errorf("unary operator %s", e.Operator)
}

func (b binder) convert(e *sqlparser.ConvertExpr) (*Expr, error) {
	arg, err := b.bind(e.Expr)
	if err != nil {
		return nil, err
	}
	name := strings.ToUpper(e.Type.Type)
	switch name {
	case "SIGNED":
		return cast(arg, types.TypeInt64), nil
	case "UNSIGNED":
		return cast(arg, types.TypeUint64), nil
	case "CHAR", "BINARY":
		t := types.TypeText
		if name == "BINARY" {
			t = types.TypeBlob
		}
		if e.Type.Length != nil {
			n, err := strconv.Atoi(string(e.Type.Length.Val))
			if err != nil {
				return nil, err
			}
			t.Name, t.Length = "VARCHAR", n
			if name == "BINARY" {
				t.Name = "BINARY"
			}
		}
		return cast(arg, t), nil
	}
	if e.Type.Length != nil {
		name += "(" + string(e.Type.Length.Val)
		if e.Type.Scale != nil {
			name += "," + string(e.Type.Scale.Val)
		}
		name += ")"
	}
	t, err := types.Parse(name)
	if err != nil {
		return nil, err
	}
	return cast(arg, t), nil
}

func (b binder) caseExpr(e *sqlparser.CaseExpr) (*Expr, error) {
	out := &Expr{Column: -1, Case: true, Type: types.TypeNull}
	for _, w := range e.Whens {
		cond := w.Cond
		if e.Expr != nil {
			cond = &sqlparser.ComparisonExpr{Operator: "=", Left: e.Expr, Right: w.Cond}
		}
		args, err := b.all(cond, w.Val)
		if err != nil {
			return nil, err
		}
		out.Args = append(out.Args, args...)
	}
	if e.Else != nil {
		value, err := b.bind(e.Else)
		if err != nil {
			return nil, err
		}
		out.Args = append(out.Args, value)
	}
	for i, a := range out.Args {
		if i%2 == 1 || i == len(out.Args)-1 && e.Else != nil {
			out.Type = function.Common(out.Type, a.Type)
		}
	}
	for i, a := range out.Args {
		if i%2 == 1 || i == len(out.Args)-1 && e.Else != nil {
			out.Args[i] = cast(a, out.Type)
		}
	}
	return out, nil
}

func constant(v any, t types.Type) *Expr { return &Expr{Type: t, Column: -1, Literal: true, Value: v} }

func cast(e *Expr, t types.Type) *Expr {
	if e.Type.Equal(t) {
		return e
	}
	if e.Unit != "" {
		return &Expr{Type: t, Column: -1, Unit: e.Unit, Args: []*Expr{cast(e.Args[0], t)}}
	}
	return &Expr{Type: t, Column: -1, Cast: true, Args: []*Expr{e}}
}

func literal(v *sqlparser.SQLVal) (*Expr, error) {
	s := string(v.Val)
	switch v.Type {
	case sqlparser.StrVal:
		return constant(s, types.NewVarchar(max(1, len([]rune(s))))), nil
	case sqlparser.IntVal:
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return constant(i, types.TypeInt64), nil
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return constant(u, types.TypeUint64), nil
		}
		return constant(s, types.NewDecimal(len(strings.TrimPrefix(s, "-")), 0)), nil
	case sqlparser.FloatVal:
		if strings.ContainsAny(s, "eE") {
			f, err := strconv.ParseFloat(s, 64)
			return constant(f, types.TypeFloat64), err
		}
		whole, fraction, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
		return constant(s, types.NewDecimal(max(1, len(strings.TrimLeft(whole, "0"))+len(fraction)), len(fraction))), nil
	}
	return nil, fmt.Errorf("literal %s", s)
}

// Call binds a call of a function with its implicit casts.
func Call(name string, args ...*Expr) (*Expr, error) {
	f, ok := function.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("no function %s", name)
	}
	known := make([]function.Arg, len(args))
	for i, a := range args {
		known[i] = function.Arg{Type: a.Type, Nullable: true, Unit: a.Unit}
		if a.Unit != "" {
			a = a.Args[0]
		}
		known[i].Literal, known[i].IsLiteral = a.Value, a.Literal
	}
	bound, err := f.Resolve(known)
	if err != nil {
		return nil, err
	}
	out := &Expr{Type: bound.Result, Column: -1, Func: f, Binding: bound}
	for i, a := range args {
		out.Args = append(out.Args, cast(a, bound.Args[i]))
	}
	return out, nil
}

// Compile makes the kernel expression; constants, where given, stand in for the
// columns.
func (e *Expr) Compile(constants []any) (kernel.Expr, error) {
	switch {
	case e.Column >= 0 && constants != nil:
		return kernel.Constant(constants[e.Column], e.Type)
	case e.Column >= 0:
		return kernel.Column(e.Column, e.Type), nil
	case e.Literal:
		return kernel.Constant(e.Value, e.Type)
	}
	args := make([]kernel.Expr, len(e.Args))
	for i, a := range e.Args {
		var err error
		if args[i], err = a.Compile(constants); err != nil {
			return nil, err
		}
	}
	switch {
	case e.Unit != "":
		return kernel.Interval(args[0], e.Unit)
	case e.Cast:
		return kernel.Cast(args[0], e.Type), nil
	case e.Case:
		var whens []kernel.When
		for ; len(args) >= 2; args = args[2:] {
			whens = append(whens, kernel.When{Cond: args[0], Then: args[1]})
		}
		if len(args) == 1 {
			return kernel.Case(whens, args[0]), nil
		}
		return kernel.Case(whens, nil), nil
	}
	return e.Func.Compile(args, e.Type)
}
