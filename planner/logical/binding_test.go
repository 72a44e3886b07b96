package logical_test

import (
	"slices"
	"testing"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

func TestCall_Binding(t *testing.T) {
	call := func(name string, ty types.Type, args ...logical.Expr) *logical.Call {
		f, ok := function.Lookup(name)
		if !ok {
			t.Fatalf("no function %s", name)
		}
		return &logical.Call{Func: f, Args: args, T: ty}
	}
	decimal := types.NewDecimal(14, 6)
	column := &logical.Column{ID: 1, Name: "d", T: types.NewDecimal(10, 2)}
	three := &logical.Literal{Value: int64(3), T: types.TypeInt64}
	quotient := call("/", decimal, column, three)

	b := call("date_add", types.TypeDate, &logical.Column{T: types.TypeDate}, &logical.Interval{Value: three, Unit: "DAY"}).Binding()
	if b.Unit(1) != "DAY" || b.Literal(1) != int64(3) || b.Unit(0) != "" || b.Literal(0) != nil || !b.Args[0].Equal(types.TypeDate) {
		t.Errorf("%+v", b)
	}
	for name, c := range map[string]struct {
		call *logical.Call
		want []bool
	}{
		"a quotient":         {call("*", decimal, quotient, three), []bool{true, false}},
		"computed of one":    {call("*", decimal, call("+", decimal, quotient, column), column), []bool{true, false}},
		"a rounded one":      {call("*", decimal, call("round", decimal, quotient), column), []bool{false, false}},
		"in a CASE":          {call("*", decimal, column, &logical.Case{Whens: []logical.When{{Cond: column, Then: quotient}}, T: decimal}), []bool{false, true}},
		"cast":               {call("*", decimal, &logical.Cast{Arg: quotient, T: types.NewDecimal(20, 8)}, column), []bool{true, false}},
		"of doubles":         {call("*", types.TypeFloat64, call("/", types.TypeFloat64, column, three), three), []bool{false, false}},
		"none":               {call("*", decimal, column, three), []bool{false, false}},
		"the quotient's own": {quotient, []bool{false, false}},
	} {
		if got := c.call.Binding().Quotients; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
