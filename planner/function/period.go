package function

import (
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// timeOperand is the type as which ADDTIME sees an argument. A DATE is the time
// 00:00, as in MySQL.
func timeOperand(a Arg) types.Type {
	switch a.Type.Kind {
	case types.Time, types.DateTime:
		return a.Type
	case types.Timestamp:
		return types.Type{Kind: types.DateTime, Fsp: a.Type.Fsp}
	case types.Date:
		return types.Type{Kind: types.Time}
	}
	return types.TypeText
}

// areDates reports whether both arguments are dates, one perhaps as a constant text.
func areDates(a, b Arg) bool {
	date := func(a Arg) bool {
		s, ok := a.Literal.(string)
		return a.Type.Kind == types.Date || ok && isString(a.Type.Kind) && kernel.IsDateOnly(s)
	}
	return date(a) && date(b) && (a.Type.Kind == types.Date || b.Type.Kind == types.Date)
}

// bindAddTime is ADDTIME's and SUBTIME's: a TIME or DATETIME stays one, anything
// else gives text.
func bindAddTime(args []Arg) (Binding, error) {
	first, second := timeOperand(args[0]), timeOperand(args[1])
	b := Binding{Args: []types.Type{first, second}, Result: types.TypeText, Nullable: true}
	if args[0].Type.Kind != types.Date && first.Kind != types.String {
		b.Result = types.Type{Kind: first.Kind, Fsp: max(first.Fsp, fspOf(args[1]))}
	}
	return b, nil
}

func buildAddTime(subtract bool) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		return kernel.Call(kernel.FuncAddTime(args[0].Type(), args[1].Type(), subtract), out, args...), nil
	}
}

// timestampFunction is TIMESTAMP(x), a conversion, and TIMESTAMP(date, time).
func timestampFunction() *Function {
	one := converted("timestamp", "A date and time, perhaps with a time added.", func(a Arg) types.Type {
		return types.Type{Kind: types.DateTime, Fsp: fspOf(a)}
	})
	f := *one
	f.MaxArgs = 2
	f.Bind = func(args []Arg) (Binding, error) {
		if len(args) == 1 {
			return one.Bind(args)
		}
		t := types.Type{Kind: types.DateTime, Fsp: fspOf(args[0])}
		return Binding{
			Args: []types.Type{t, timeOperand(args[1])}, Nullable: true,
			Result: types.Type{Kind: types.DateTime, Fsp: max(t.Fsp, fspOf(args[1]))},
		}, nil
	}
	f.Build = func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		if len(args) == 1 {
			return kernel.Call(one.Kernel, out, args...), nil
		}
		return buildAddTime(false)(args, out)
	}
	f.DuckDB = func(args []string, b Binding) string {
		if len(args) == 1 {
			return one.DuckDB(args, b)
		}
		return ""
	}
	return &f
}

// TimeOfDay passes a TIME on that a table can hold, which has no other name in SQL.
var TimeOfDay = &Function{
	Name: "time_of_day", MinArgs: 1, MaxArgs: 1,
	Bind:   func(args []Arg) (Binding, error) { return asTheyAre(args, args[0].Type), nil },
	Kernel: kernel.FuncTimeOfDay,
}

func init() {
	register(
		&Function{
			Name: "addtime", Doc: "Time, or date and time, with a time added.", MinArgs: 2, MaxArgs: 2,
			Bind: bindAddTime, Kernel: compiled("addtime"), Build: buildAddTime(false),
		},
		&Function{
			Name: "subtime", Doc: "Time, or date and time, with a time taken off.", MinArgs: 2, MaxArgs: 2,
			Bind: bindAddTime, Kernel: compiled("subtime"), Build: buildAddTime(true),
		},
		&Function{
			Name: "timediff", Doc: "Time from the second time, or date and time, to the first.", MinArgs: 2, MaxArgs: 2,
			Bind: func(args []Arg) (Binding, error) {
				b := Binding{
					Args: []types.Type{timeOperand(args[0]), timeOperand(args[1])}, Nullable: true,
					Result: types.Type{Kind: types.Time, Fsp: max(fspOf(args[0]), fspOf(args[1]))},
				}
				if areDates(args[0], args[1]) {
					b.Args = []types.Type{{Kind: types.DateTime}, {Kind: types.DateTime}}
				}
				return b, nil
			},
			Kernel: compiled("timediff"),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				return kernel.Call(kernel.FuncTimeDiff(args[0].Type(), args[1].Type()), out, args...), nil
			},
		},
		timestampFunction(),
		&Function{
			Name: "period_add", Doc: "Month YYYYMM so many months later.", MinArgs: 2, MaxArgs: 2,
			Fails: FailsForValues,
			Bind:  strict(types.TypeInt64, types.TypeInt64, types.TypeInt64), Kernel: kernel.FuncPeriodAdd,
		},
		&Function{
			Name: "period_diff", Doc: "Months from the second month YYYYMM to the first.", MinArgs: 2, MaxArgs: 2,
			Fails: FailsForValues,
			Bind:  strict(types.TypeInt64, types.TypeInt64, types.TypeInt64), Kernel: kernel.FuncPeriodDiff,
		},
	)
}
