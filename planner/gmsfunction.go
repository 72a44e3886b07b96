package planner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	gmsfunction "github.com/dolthub/go-mysql-server/sql/expression/function"
	"github.com/dolthub/go-mysql-server/sql/expression/function/aggregation"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/types"
)

// Functions are what the MySQL engine has to be told of before it can bind
// MySQL's queries: functions of the registry that it has not, and the marks
// that RewriteQuery and PrepareSelect leave.
func Functions() []gms.Function {
	var list []gms.Function
	added := map[string]string{sql.IntervalMark: "interval"} // functions of the registry by what the engine knows them as
	for name := range ownMeaning {
		added[ownMark+name] = name
	}
	for _, name := range []string{
		"addtime", "subtime", "period_add", "period_diff", "makedate", "maketime", "sec_to_time", "to_seconds", "utc_date", "utc_time",
		"split", sql.ZipFunction, bitNot, "aes_encrypt", "aes_decrypt",
	} {
		added[name] = name
	}
	for _, mark := range slices.Sorted(maps.Keys(added)) {
		f, ok := function.Lookup(added[mark])
		if !ok {
			panic("planner: no function " + added[mark])
		}
		list = append(list, gms.FunctionN{Name: mark, Fn: func(_ *gms.Context, args ...gms.Expression) (gms.Expression, error) {
			if len(args) < f.MinArgs || f.MaxArgs >= 0 && len(args) > f.MaxArgs {
				return nil, gms.ErrInvalidArgumentNumber.New(f.Name, f.MinArgs, len(args))
			}
			return &registryCall{operands: args, f: f}, nil
		}})
	}
	for _, name := range []string{"session_user", "system_user"} {
		list = append(list, gms.Function0{Name: name, Fn: gmsfunction.NewUser})
	}
	return append(list,
		gms.Function0{Name: "current_role", Fn: func(*gms.Context) gms.Expression { return expression.NewLiteral("NONE", gmstypes.LongText) }},
		gms.FunctionN{Name: sql.RollupMark, Fn: func(_ *gms.Context, args ...gms.Expression) (gms.Expression, error) {
			return &groupingMark{operands: args, name: sql.RollupMark}, nil
		}},
		gms.FunctionN{Name: "grouping", Fn: func(_ *gms.Context, args ...gms.Expression) (gms.Expression, error) {
			if len(args) == 0 {
				return nil, gms.ErrInvalidArgumentNumber.New("GROUPING", "1 or more", 0)
			}
			return &groupingMark{operands: args, name: "grouping"}, nil
		}},
		gms.FunctionN{Name: windowMark, Fn: newWindowCall},
		gms.Function1{Name: sql.AnyMark, Fn: func(_ *gms.Context, q gms.Expression) gms.Expression {
			return &quantifierMark{operands: operands{q}, name: sql.AnyMark}
		}},
		gms.Function1{Name: sql.AllMark, Fn: func(_ *gms.Context, q gms.Expression) gms.Expression {
			return &quantifierMark{operands: operands{q}, name: sql.AllMark}
		}},
	)
}

// windowMark is the function that window functions are called by which the engine
// has not, or has with another type; their name is its first argument. It is a name
// that the engine takes for one of a window function, and has no function of.
const windowMark = "count_distinct"

// addedWindows are these functions, with the number of their arguments.
var addedWindows = map[string]int{"cume_dist": 0, "nth_value": 2, ntile: 1}

const ntile = "ntile"

func newWindowCall(_ *gms.Context, args ...gms.Expression) (gms.Expression, error) {
	if len(args) > 0 {
		if l, ok := args[0].(*expression.Literal); ok {
			name, _ := l.Value().(string)
			if n, ok := addedWindows[name]; ok {
				if len(args)-1 != n {
					return nil, gms.ErrInvalidArgumentNumber.New(strings.ToUpper(name), n, len(args)-1)
				}
				return &windowCall{operands: args[1:], name: name}, nil
			}
		}
	}
	return nil, gms.ErrFunctionNotFound.New(windowMark)
}

// ownMeaning are functions that the engine has, but with so many arguments (-1: with
// any) otherwise; PrepareSelect puts ownMark before their names.
var ownMeaning = map[string]int{"timestamp": 2, "utc_timestamp": 1, "greatest": -1, "least": -1, "json_pretty": 1}

const ownMark = "leat_"

// bitNot is the operator ~, which the engine cannot bind.
const bitNot = "~"

// operands are what expressions of the engine have in common.
type operands []gms.Expression

// Children implements gms.Expression.
func (o operands) Children() []gms.Expression { return o }

// Resolved implements gms.Expression.
func (o operands) Resolved() bool {
	for _, e := range o {
		if !e.Resolved() {
			return false
		}
	}
	return true
}

// IsNullable implements gms.Expression.
func (o operands) IsNullable(*gms.Context) bool { return true }

func (o operands) format(name string) string {
	args := make([]string, len(o))
	for i, e := range o {
		args[i] = e.String()
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// registryCall is a call of a function of the registry. Plans replace it by its
// kernel; where the engine evaluates it, the kernel is given one row.
type registryCall struct {
	operands
	f *function.Function
}

// FunctionName implements gms.FunctionExpression.
func (c *registryCall) FunctionName() string { return c.f.Name }

// Description implements gms.FunctionExpression.
func (c *registryCall) Description() string { return c.f.Doc }

// String implements gms.Expression.
func (c *registryCall) String() string { return c.format(c.f.Name) }

// WithChildren implements gms.Expression.
func (c *registryCall) WithChildren(_ *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	return &registryCall{operands: children, f: c.f}, nil
}

// Type implements gms.Expression.
func (c *registryCall) Type(ctx *gms.Context) gms.Type {
	args := make([]function.Arg, len(c.operands))
	for i, e := range c.operands {
		t, err := FromGMSType(e.Type(ctx))
		if err != nil {
			return gmstypes.LongText
		}
		args[i] = function.Arg{Type: t, Nullable: true}
	}
	b, err := c.f.Resolve(args)
	if err != nil {
		return gmstypes.LongText
	}
	t, err := GMSType(b.Result)
	if err != nil {
		return gmstypes.LongText
	}
	return t
}

// Eval implements gms.Expression. Only what is constant in the query is to the
// kernel: comparisons ask.
func (c *registryCall) Eval(ctx *gms.Context, row gms.Row) (any, error) {
	args := make([]kernel.Expr, len(c.operands))
	in := &kernel.Batch{Rows: 1, Columns: make([]arrow.Array, len(c.operands))}
	for i, e := range c.operands {
		v, err := e.Eval(ctx, row)
		if err != nil {
			return nil, err
		}
		t, err := FromGMSType(e.Type(ctx))
		if err != nil {
			return nil, err
		}
		value, err := FromGMSValue(ctx, v, t, nil)
		if err != nil {
			return nil, err
		}
		if args[i], err = kernel.Constant(value, t); err != nil {
			return nil, err
		}
		if !isConstant(e) {
			one, err := args[i].Eval(nil, in)
			if err != nil {
				return nil, err
			}
			args[i], in.Columns[i] = kernel.Column(i, t), one.Array
		}
	}
	call, err := function.Call(c.f.Name, args...)
	if err != nil {
		return nil, err
	}
	kctx := &kernel.Context{Alloc: memory.NewGoAllocator(), Now: ctx.QueryTime(), Warn: func(err error) { ctx.Warn(1292, "%s", err) }}
	v, err := call.Eval(kctx, in)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", c, err)
	}
	defer v.Release()
	if err := v.Errors.Row(0); err != nil {
		return nil, err
	}
	return GMSValue(kernel.Value(v.Array, 0), call.Type(), nil)
}

// MixedBetween makes a call of the registry's function of a BETWEEN whose operands do
// not all compare as texts, or all as exact numbers; ok is false for the others, which
// the engine evaluates as MySQL does.
func MixedBetween(ctx *gms.Context, e *expression.Between) (call gms.Expression, ok bool) {
	children := e.Children()
	texts, exact := true, true
	for _, c := range children {
		t, err := FromGMSType(c.Type(ctx))
		if err != nil {
			return nil, false
		}
		k := t.Kind
		texts = texts && (k == types.Null || k == types.String)
		exact = exact && (k == types.Null || k.IsNumeric() && !k.IsFloat())
	}
	f, found := function.Lookup("between")
	if texts || exact || !found {
		return nil, false
	}
	return &registryCall{operands: children, f: f}, true
}

// groupingMark is WITH ROLLUP, as an element of GROUP BY, or a call of GROUPING.
type groupingMark struct {
	operands
	name string
}

// FunctionName implements gms.FunctionExpression.
func (m *groupingMark) FunctionName() string { return m.name }

// Description implements gms.FunctionExpression.
func (m *groupingMark) Description() string { return "tells the rows of WITH ROLLUP apart" }

// String implements gms.Expression.
func (m *groupingMark) String() string { return m.format(m.name) }

// WithChildren implements gms.Expression.
func (m *groupingMark) WithChildren(_ *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	return &groupingMark{operands: children, name: m.name}, nil
}

// Type implements gms.Expression.
func (m *groupingMark) Type(*gms.Context) gms.Type { return gmstypes.Int64 }

// Eval implements gms.Expression: the engine has no WITH ROLLUP.
func (m *groupingMark) Eval(*gms.Context, gms.Row) (any, error) {
	if m.name == sql.RollupMark {
		return nil, errors.New("GROUP BY … WITH ROLLUP is not supported in this query")
	}
	return nil, errors.New("GROUPING is for queries with GROUP BY … WITH ROLLUP")
}

// quantifierMark is ANY (SELECT …) or ALL (SELECT …), as the right side of a
// comparison.
type quantifierMark struct {
	operands
	name string
}

func (m *quantifierMark) all() bool { return m.name == sql.AllMark }

// FunctionName implements gms.FunctionExpression.
func (m *quantifierMark) FunctionName() string { return m.name }

// Description implements gms.FunctionExpression.
func (m *quantifierMark) Description() string { return "any or all rows of a sub-select" }

// String implements gms.Expression.
func (m *quantifierMark) String() string { return m.format(m.name) }

// WithChildren implements gms.Expression.
func (m *quantifierMark) WithChildren(_ *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	return &quantifierMark{operands: children, name: m.name}, nil
}

// Type implements gms.Expression.
func (m *quantifierMark) Type(ctx *gms.Context) gms.Type { return m.operands[0].Type(ctx) }

// Eval implements gms.Expression: the engine has no such comparisons.
func (m *quantifierMark) Eval(*gms.Context, gms.Row) (any, error) {
	return nil, errors.New("comparisons with ANY or ALL of a sub-select, but for = ANY and <> ALL, are not supported in this query")
}

// windowCall is a call of a window function that only DuckDB evaluates, or of
// NTILE.
type windowCall struct {
	operands
	name   string
	window *gms.WindowDefinition
	id     gms.ColumnId
}

var (
	_ gms.WindowAdaptableExpression = (*windowCall)(nil)
	_ gms.FunctionExpression        = (*windowCall)(nil)
)

// FunctionName implements gms.FunctionExpression.
func (c *windowCall) FunctionName() string { return c.name }

// Description implements gms.FunctionExpression.
func (c *windowCall) Description() string { return "a window function" }

// String implements gms.Expression.
func (c *windowCall) String() string {
	if c.window == nil {
		return c.format(c.name)
	}
	return c.format(c.name) + " " + c.window.String()
}

// Type implements gms.Expression.
func (c *windowCall) Type(ctx *gms.Context) gms.Type {
	switch {
	case c.name == ntile:
		return gmstypes.Uint64
	case len(c.operands) == 0:
		return gmstypes.Float64
	}
	return c.operands[0].Type(ctx)
}

// IsNullable implements gms.Expression.
func (c *windowCall) IsNullable(*gms.Context) bool { return len(c.operands) > 0 && c.name != ntile }

// Resolved implements gms.Expression.
func (c *windowCall) Resolved() bool {
	return c.operands.Resolved() && (c.window == nil || operands(c.window.ToExpressions()).Resolved())
}

// Children implements gms.Expression: the arguments, then those of the window.
func (c *windowCall) Children() []gms.Expression {
	children := append([]gms.Expression(nil), c.operands...)
	if c.window != nil {
		children = append(children, c.window.ToExpressions()...)
	}
	return children
}

// WithChildren implements gms.Expression.
func (c *windowCall) WithChildren(ctx *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	n := *c
	n.operands = children[:len(c.operands)]
	if c.window != nil {
		var err error
		if n.window, err = c.window.FromExpressions(ctx, children[len(c.operands):]); err != nil {
			return nil, err
		}
	}
	return &n, nil
}

// Window implements gms.WindowAdaptableExpression.
func (c *windowCall) Window() *gms.WindowDefinition { return c.window }

// WithWindow implements gms.WindowAdaptableExpression.
func (c *windowCall) WithWindow(_ *gms.Context, window *gms.WindowDefinition) gms.WindowAdaptableExpression {
	n := *c
	n.window = window
	return &n
}

// Id implements gms.IdExpression.
func (c *windowCall) Id() gms.ColumnId { return c.id } //nolint:staticcheck // named by the interface

// WithId implements gms.IdExpression.
func (c *windowCall) WithId(id gms.ColumnId) gms.IdExpression { //nolint:staticcheck // named by the interface
	n := *c
	n.id = id
	return &n
}

// NewWindowFunction implements gms.WindowAdaptableExpression: the engine has but
// NTILE.
func (c *windowCall) NewWindowFunction(*gms.Context) (gms.WindowFunction, error) {
	if c.name == ntile {
		return aggregation.NewNTile(c.operands[0]), nil
	}
	return nil, fmt.Errorf("%s is not supported in this query", strings.ToUpper(c.name))
}

// Eval implements gms.Expression.
func (c *windowCall) Eval(*gms.Context, gms.Row) (any, error) {
	return nil, gms.ErrWindowUnsupported.New(c.name)
}
