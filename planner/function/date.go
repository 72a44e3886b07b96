package function

import (
	"errors"
	"fmt"
	"strings"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// dateArg is the type as which functions of dates see an argument.
func dateArg(a Arg) types.Type {
	switch a.Type.Kind {
	case types.Date, types.DateTime, types.Timestamp:
		return a.Type
	}
	return bigDateTime
}

// timeArg is the type as which functions of times of day see an argument.
func timeArg(a Arg) types.Type {
	switch a.Type.Kind {
	case types.Time, types.DateTime, types.Timestamp:
		return a.Type
	case types.Date:
		return bigDateTime
	}
	return bigTime
}

// dateArgs binds a function that casts its arguments by these.
func dateArgs(result types.Type, casts ...func(Arg) types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b := Binding{Result: result, Nullable: anyNullable(args)}
		for i, a := range args {
			t := casts[i](a)
			b.Args = append(b.Args, t)
			// A text that is no date is NULL.
			b.Nullable = b.Nullable || !a.Type.Kind.IsTemporal() && t.Kind.IsTemporal()
		}
		return b, nil
	}
}

func always(t types.Type) func(Arg) types.Type { return func(Arg) types.Type { return t } }

var (
	toDate = always(types.TypeDate)
	toInt  = always(types.TypeInt64)
)

// byType is the Build of a function whose kernel depends on its first argument's
// type.
func byType(of func(types.Type) kernel.Func) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		return kernel.Call(of(args[0].Type()), out, args...), nil
	}
}

// byFirst makes a kernel of one that depends on its first argument's type.
func byFirst(of func(types.Type) kernel.Func) kernel.Func {
	return byArrayType(func(ts []types.Type) kernel.Func { return of(ts[0]) })
}

// compiled is the kernel of functions that Build alone makes sense of.
func compiled(name string) kernel.Func {
	return func(*kernel.Context, int, []kernel.Vector, types.Type) (kernel.Vector, error) {
		return kernel.Vector{}, fmt.Errorf("call of %s was not compiled", name)
	}
}

func partFunction(name, doc string, part kernel.DatePart, arg func(Arg) types.Type, duck string) *Function {
	of := func(t types.Type) kernel.Func { return kernel.FuncDatePart(part, t) }
	f := &Function{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1,
		Bind: dateArgs(typeInt, arg), Kernel: byFirst(of), Build: byType(of),
	}
	if duck != "" {
		spell := duckOnWall("CAST(" + duck + " AS INTEGER)")
		f.DuckDB = func(args []string, b Binding) string {
			if b.Args[0].Kind == types.Time {
				return "" // DuckDB's are within a day
			}
			return spell(args, b)
		}
	}
	return f
}

// literalUnit is the unit that a constant argument names.
func literalUnit(a Arg) (kernel.Unit, error) {
	s, ok := a.Literal.(string)
	if !ok {
		return 0, errors.New("the unit must be a constant")
	}
	u, err := kernel.ParseUnit(s)
	if err != nil {
		return 0, sqlerror.Userf(sqlerror.CodeType, "%w", err)
	}
	return u, nil
}

// intervalType is the type of an interval's number.
func intervalType(value Arg, u kernel.Unit) types.Type {
	switch {
	case u.IsCompound():
		return types.TypeText
	case u == kernel.Second && !value.Type.Kind.IsInteger() && value.Type.Kind != types.Bool:
		return types.NewDecimal(24, 6)
	}
	return types.TypeInt64
}

// intervalFsp is how many fractional digits an interval has.
func intervalFsp(value Arg, u kernel.Unit) int {
	switch {
	case u.HasMicros():
		return 6
	case u != kernel.Second || value.Type.Kind.IsInteger() || value.Type.Kind == types.Bool:
		return 0
	case value.Type.Kind == types.Decimal:
		return min(value.Type.Scale, 6)
	}
	return 6
}

// bindDateAdd binds date ± INTERVAL value unit.
func bindDateAdd(args []Arg) (Binding, error) {
	u := kernel.Day // ADDDATE takes a number of days
	if args[1].Unit != "" {
		var err error
		if u, err = kernel.ParseUnit(args[1].Unit); err != nil {
			return Binding{}, err
		}
	}
	fsp := intervalFsp(args[1], u)
	b := Binding{Args: []types.Type{args[0].Type, intervalType(args[1], u)}, Nullable: true}
	switch t := args[0].Type; t.Kind {
	case types.Date:
		b.Result = types.TypeDate
		if !u.IsDate() {
			b.Result = types.Type{Kind: types.DateTime, Fsp: fsp}
		}
	case types.Time:
		b.Result = types.Type{Kind: types.Time, Fsp: max(fsp, t.Fsp)}
		if u.IsDate() {
			b.Args[0] = bigDateTime
			b.Result.Kind = types.DateTime
		}
	case types.DateTime, types.Timestamp:
		b.Result = types.Type{Kind: types.DateTime, Fsp: max(fsp, t.Fsp)}
	case types.String, types.Binary, types.JSON, types.Null:
		b.Args[0], b.Result = types.TypeText, types.TypeText
	default:
		b.Args[0] = bigDateTime
		b.Result = types.Type{Kind: types.DateTime, Fsp: fsp}
	}
	return b, nil
}

func buildDateAdd(subtract bool) func([]kernel.Expr, types.Type) (kernel.Expr, error) {
	return func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		value, u, ok := kernel.IntervalUnit(args[1])
		if !ok {
			value, u = args[1], kernel.Day
		}
		return kernel.Call(kernel.FuncDateAdd(args[0].Type(), u, subtract), out, args[0], value), nil
	}
}

// orDateAdd extends + or − to dates and INTERVALs.
func orDateAdd(f *Function, subtract bool) *Function {
	bind, build, duck := f.Bind, f.Build, f.DuckDB
	f.Bind = func(args []Arg) (Binding, error) {
		switch {
		case args[1].Unit != "":
			return bindDateAdd(args)
		case args[0].Unit != "" && !subtract:
			b, err := bindDateAdd([]Arg{args[1], args[0]})
			if err == nil {
				b.Args[0], b.Args[1] = b.Args[1], b.Args[0]
			}
			return b, err
		case args[0].Unit != "":
			return Binding{}, errors.New("nothing can be subtracted from an INTERVAL")
		}
		return bind(args)
	}
	add := buildDateAdd(subtract)
	f.Build = func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
		if _, _, ok := kernel.IntervalUnit(args[1]); ok {
			return add(args, out)
		}
		if _, _, ok := kernel.IntervalUnit(args[0]); ok {
			return add([]kernel.Expr{args[1], args[0]}, out)
		}
		return build(args, out)
	}
	f.DuckDB = func(args []string, b Binding) string {
		if b.Unit(0) != "" {
			return duckDateAdd(subtract)([]string{args[1], args[0]}, b.swapped())
		}
		if b.Unit(1) != "" {
			return duckDateAdd(subtract)(args, b)
		}
		return duck(args, b)
	}
	return f
}

// swapped is the binding of a call with its two arguments exchanged.
func (b Binding) swapped() Binding {
	b.Args = []types.Type{b.Args[1], b.Args[0]}
	b.Literals = []any{b.Literal(1), b.Literal(0)}
	b.Units = []string{b.Unit(1), b.Unit(0)}
	return b
}

// fspArg is the constant number of fractional digits that NOW and its kin take.
func fspArg(args []Arg) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	switch n := args[0].Literal.(type) {
	case int64:
		if n >= 0 && n <= 6 {
			return int(n), nil
		}
	case uint64:
		if n <= 6 {
			return int(n), nil
		}
	}
	return 0, sqlerror.Userf(sqlerror.CodeType, "the number of fractional digits must be a constant from 0 to 6")
}

func clockFunction(name, doc string, kind types.Kind, utc bool, duck func([]string, Binding) string) *Function {
	most := 1
	if kind == types.Date {
		most = 0
	}
	return &Function{
		Name: name, Doc: doc, MinArgs: 0, MaxArgs: most,
		Bind: func(args []Arg) (Binding, error) {
			fsp, err := fspArg(args)
			b := asTheyAre(args, types.Type{Kind: kind, Fsp: fsp})
			b.Nullable = false
			return b, err
		},
		Kernel: kernel.FuncNow(utc), DuckDB: duck,
	}
}

// converted is a function that is a conversion to a type.
func converted(name, doc string, result func(Arg) types.Type) *Function {
	return &Function{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1,
		Bind: func(args []Arg) (Binding, error) {
			t := result(args[0])
			nullable := args[0].Nullable || !args[0].Type.Kind.IsTemporal()
			return Binding{Args: []types.Type{t}, Result: t, Nullable: nullable}, nil
		},
		Kernel: kernel.FuncSame, DuckDB: duckFormat("%s"),
	}
}

// fspOf is how many fractional digits of a second an argument's values have.
func fspOf(a Arg) int {
	switch k := a.Type.Kind; {
	case k == types.Time || k == types.DateTime || k == types.Timestamp:
		return a.Type.Fsp
	case k == types.Date || k.IsInteger() || k == types.Bool:
		return 0
	case k == types.Decimal:
		return min(a.Type.Scale, 6)
	case isString(k) && a.IsLiteral:
		s, _ := a.Literal.(string)
		_, fraction, _ := strings.Cut(s, ".")
		return min(len(fraction)-len(strings.TrimLeft(fraction, "0123456789")), 6)
	}
	return 6
}

func bindUnixTimestamp(args []Arg) (Binding, error) {
	b := Binding{Result: types.TypeInt64, Nullable: anyNullable(args)}
	if len(args) == 0 {
		return b, nil
	}
	t, fsp := dateArg(args[0]), fspOf(args[0])
	if !args[0].Type.Kind.IsTemporal() || args[0].Type.Kind == types.Time {
		t.Fsp = fsp
		b.Nullable = true
	}
	b.Args = []types.Type{t}
	if fsp > 0 {
		b.Result = types.NewDecimal(11+fsp, fsp)
	}
	return b, nil
}

func bindFromUnixTime(args []Arg) (Binding, error) {
	t := numeric(args[0])
	fsp := fspOf(args[0])
	switch t.Kind {
	case types.Uint64:
		t = types.TypeInt64
	case types.Float64:
		t, fsp = types.NewDecimal(24, 6), 6
	}
	b := Binding{Args: []types.Type{t}, Result: types.Type{Kind: types.DateTime, Fsp: fsp}, Nullable: true}
	if len(args) == 2 {
		b.Args = append(b.Args, types.TypeText)
		b.Result = types.TypeText
	}
	return b, nil
}

func buildFromUnixTime(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
	if len(args) == 1 {
		return kernel.Call(kernel.FuncFromUnixTime, out, args...), nil
	}
	t := kernel.Call(kernel.FuncFromUnixTime, bigDateTime, args[0])
	return kernel.Call(kernel.FuncDateFormat(bigDateTime), out, t, args[1]), nil
}

func bindStrToDate(args []Arg) (Binding, error) {
	b := Binding{Args: []types.Type{textType(args[0]), textType(args[1])}, Result: bigDateTime, Nullable: true}
	if format, ok := args[1].Literal.(string); ok {
		kind, fsp := kernel.FormatKind(format)
		b.Result = types.Type{Kind: kind, Fsp: fsp}
	}
	return b, nil
}

func bindExtract(args []Arg) (Binding, error) {
	u, err := literalUnit(args[0])
	if err != nil {
		return Binding{}, err
	}
	t := timeArg(args[1])
	switch u {
	case kernel.DayHour, kernel.DayMinute, kernel.DaySecond, kernel.DayMicrosecond:
		if args[1].Type.Kind != types.Time {
			t = dateArg(args[1])
		}
	case kernel.Year, kernel.Quarter, kernel.Month, kernel.Week, kernel.Day, kernel.YearMonth:
		t = dateArg(args[1])
	}
	return Binding{Args: []types.Type{types.TypeText, t}, Result: types.TypeInt64, Nullable: true}, nil
}

func bindTimestampDiff(args []Arg) (Binding, error) {
	u, err := literalUnit(args[0])
	if err == nil && u.IsCompound() {
		err = sqlerror.Userf(sqlerror.CodeType, "%s is no unit to count in", u)
	}
	b := Binding{Args: []types.Type{types.TypeText, bigDateTime, bigDateTime}, Result: types.TypeInt64, Nullable: true}
	return b, err
}

// bindTimestampAdd is TIMESTAMPADD(unit, n, date), another way to write + INTERVAL.
func bindTimestampAdd(args []Arg) (Binding, error) {
	u, err := literalUnit(args[0])
	if err != nil {
		return Binding{}, err
	}
	n := args[1]
	n.Unit = u.String()
	b, err := bindDateAdd([]Arg{args[2], n})
	if err != nil {
		return b, err
	}
	b.Args = []types.Type{types.TypeText, b.Args[1], b.Args[0]}
	return b, nil
}

// constantUnit is the unit that a constant expression names.
func constantUnit(e kernel.Expr) (kernel.Unit, error) {
	v, _ := kernel.ConstantValue(e)
	return literalUnit(Arg{Literal: v})
}

// weekFunction is WEEK, WEEKOFYEAR or YEARWEEK; mode is what it uses without a
// second argument.
func weekFunction(name, doc string, most int, mode int64, withYear bool, duck func([]string, Binding) string) *Function {
	of := func(t types.Type) kernel.Func { return kernel.FuncWeek(t, withYear) }
	return &Function{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: most,
		Bind: dateArgs(typeInt, dateArg, toInt), Kernel: byFirst(of),
		Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
			if len(args) == 1 {
				m, err := kernel.Constant(mode, types.TypeInt64)
				if err != nil {
					return nil, err
				}
				args = []kernel.Expr{args[0], m}
			}
			return kernel.Call(of(args[0].Type()), out, args...), nil
		},
		DuckDB: duck,
	}
}

func init() {
	register(
		partFunction("year", "Year.", kernel.PartYear, dateArg, "year(%s)"),
		partFunction("quarter", "Quarter, 1 to 4.", kernel.PartQuarter, dateArg, "quarter(%s)"),
		partFunction("month", "Month, 1 to 12.", kernel.PartMonth, dateArg, "month(%s)"),
		partFunction("dayofmonth", "Day of the month.", kernel.PartDay, dateArg, "day(%s)"),
		partFunction("dayofweek", "Day of the week, 1 is Sunday.", kernel.PartDayOfWeek, dateArg, "dayofweek(%s) + 1"),
		partFunction("dayofyear", "Day of the year.", kernel.PartDayOfYear, dateArg, "dayofyear(%s)"),
		partFunction("weekday", "Day of the week, 0 is Monday.", kernel.PartWeekday, dateArg, "isodow(%s) - 1"),
		partFunction("to_days", "Days since the year 0.", kernel.PartToDays, dateArg, "datediff('day', DATE '1970-01-01', CAST(%s AS DATE)) + 719528"),
		partFunction("hour", "Hour, of a TIME perhaps beyond 23.", kernel.PartHour, timeArg, "hour(%s)"),
		partFunction("minute", "Minute.", kernel.PartMinute, timeArg, "minute(%s)"),
		partFunction("second", "Second.", kernel.PartSecond, timeArg, "second(%s)"),
		partFunction("microsecond", "Microsecond.", kernel.PartMicrosecond, timeArg, "microsecond(%s) %% 1000000"),
		partFunction("time_to_sec", "Seconds of a TIME, or since midnight.", kernel.PartTimeToSec, timeArg, "hour(%[1]s) * 3600 + minute(%[1]s) * 60 + second(%[1]s)"),
		weekFunction("week", "Week of the year, counted as the mode (0 to 7) says.", 2, 0, false, duckWeek),
		weekFunction("weekofyear", "Week of the year by ISO 8601.", 1, 3, false, duckOnWall("CAST(week(%s) AS INTEGER)")),
		weekFunction("yearweek", "Year and week as one number.", 2, 0, true, nil),
		&Function{
			Name: "to_seconds", Doc: "Seconds since the year 0.", MinArgs: 1, MaxArgs: 1,
			Bind: dateArgs(types.TypeInt64, dateArg),
			Kernel: byFirst(func(t types.Type) kernel.Func {
				return kernel.FuncDatePart(kernel.PartToSeconds, t)
			}),
			Build: byType(func(t types.Type) kernel.Func { return kernel.FuncDatePart(kernel.PartToSeconds, t) }),
		},
		&Function{
			Name: "extract", Doc: "Part of a date or time that a unit names; of compound units the numbers one after another.",
			MinArgs: 2, MaxArgs: 2,
			Bind: bindExtract, Kernel: compiled("extract"),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				u, err := constantUnit(args[0])
				if err != nil {
					return nil, err
				}
				return kernel.Call(kernel.FuncExtract(u, args[1].Type()), out, args[1]), nil
			},
			DuckDB: duckExtract,
		},
		converted("date", "The date of a date and time.", toDate),
		converted("time", "The time of day.", func(a Arg) types.Type {
			return types.Type{Kind: types.Time, Fsp: fspOf(a)}
		}),
		&Function{
			Name: "date_add", Doc: "Date moved by an INTERVAL, to the month's last day where it has not so many.",
			MinArgs: 2, MaxArgs: 2,
			Bind: bindDateAdd, Kernel: compiled("date_add"), Build: buildDateAdd(false), DuckDB: duckDateAdd(false),
		},
		&Function{
			Name: "date_sub", Doc: "Date moved back by an INTERVAL.", MinArgs: 2, MaxArgs: 2,
			Bind: bindDateAdd, Kernel: compiled("date_sub"), Build: buildDateAdd(true), DuckDB: duckDateAdd(true),
		},
		&Function{
			Name: "timestampadd", Doc: "Date moved by so many units.", MinArgs: 3, MaxArgs: 3,
			Bind: bindTimestampAdd, Kernel: compiled("timestampadd"),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				u, err := constantUnit(args[0])
				if err != nil {
					return nil, err
				}
				return kernel.Call(kernel.FuncDateAdd(args[2].Type(), u, false), out, args[2], args[1]), nil
			},
			DuckDB: func(args []string, b Binding) string {
				u, err := literalUnit(Arg{Literal: b.Literal(0)})
				if err != nil {
					return ""
				}
				return duckDateAdd(false)([]string{args[2], args[1]}, Binding{
					Args: []types.Type{b.Args[2], b.Args[1]}, Result: b.Result,
					Literals: []any{b.Literal(2), b.Literal(1)}, Units: []string{"", u.String()},
				})
			},
		},
		&Function{
			Name: "timestampdiff", Doc: "Whole units from the first date to the second.", MinArgs: 3, MaxArgs: 3,
			Bind: bindTimestampDiff, Kernel: compiled("timestampdiff"),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				u, err := constantUnit(args[0])
				if err != nil {
					return nil, err
				}
				return kernel.Call(kernel.FuncTimestampDiff(u), out, args[1:]...), nil
			},
			DuckDB: duckTimestampDiff,
		},
		&Function{
			Name: "datediff", Doc: "Days from the second date to the first.", MinArgs: 2, MaxArgs: 2,
			Bind: dateArgs(typeInt, toDate, toDate), Kernel: kernel.FuncDateDiff, DuckDB: duckFormat("CAST(%s - %s AS INTEGER)"),
		},
		&Function{
			Name: "last_day", Doc: "Last day of the month.", MinArgs: 1, MaxArgs: 1,
			Bind: dateArgs(types.TypeDate, toDate), Kernel: kernel.FuncLastDay, DuckDB: duckPlain("last_day"),
		},
		&Function{
			Name: "makedate", Doc: "Date of a year and a day of the year.", MinArgs: 2, MaxArgs: 2,
			Bind: orNull(dateArgs(types.TypeDate, toInt, toInt)), Kernel: kernel.FuncMakeDate,
		},
		&Function{
			Name: "maketime", Doc: "Time of hour, minute and second.", MinArgs: 3, MaxArgs: 3,
			Bind: func(args []Arg) (Binding, error) {
				second := types.TypeInt64
				fsp := fspOf(args[2])
				if fsp > 0 {
					second = types.NewDecimal(24, 6)
				}
				return Binding{
					Args:   []types.Type{types.TypeInt64, types.TypeInt64, second},
					Result: types.Type{Kind: types.Time, Fsp: fsp}, Nullable: true,
				}, nil
			},
			Kernel: kernel.FuncMakeTime,
		},
		&Function{
			Name: "from_days", Doc: "Date of so many days since the year 0.", MinArgs: 1, MaxArgs: 1,
			Bind: orNull(dateArgs(types.TypeDate, toInt)), Kernel: kernel.FuncFromDays,
		},
		&Function{
			Name: "sec_to_time", Doc: "Time of so many seconds.", MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				t, fsp := types.TypeInt64, fspOf(args[0])
				if fsp > 0 {
					t = types.NewDecimal(24, 6)
				}
				return Binding{Args: []types.Type{t}, Result: types.Type{Kind: types.Time, Fsp: fsp}, Nullable: true}, nil
			},
			Kernel: kernel.FuncSecToTime,
		},
		&Function{
			Name: "date_format", Doc: "Date and time printed as a format with % says.", MinArgs: 2, MaxArgs: 2,
			Bind: dateArgs(types.TypeText, dateArg, textType), Kernel: byFirst(kernel.FuncDateFormat),
			Build: byType(kernel.FuncDateFormat), DuckDB: duckDateFormat,
		},
		&Function{
			Name: "time_format", Doc: "Time of day printed as a format with % says.", MinArgs: 2, MaxArgs: 2,
			Bind: orNull(dateArgs(types.TypeText, always(bigTime), textType)), Kernel: byFirst(kernel.FuncDateFormat),
			Build: byType(kernel.FuncDateFormat),
		},
		&Function{
			Name: "str_to_date", Doc: "Date, time or both that a text says in a format with %.", MinArgs: 2, MaxArgs: 2,
			Bind: bindStrToDate, Kernel: kernel.FuncStrToDate,
		},
		&Function{
			Name: "dayname", Doc: "English name of the day.", MinArgs: 1, MaxArgs: 1,
			Bind: dateArgs(types.TypeText, toDate), Kernel: kernel.FuncDayName, DuckDB: duckPlain("dayname"),
		},
		&Function{
			Name: "monthname", Doc: "English name of the month.", MinArgs: 1, MaxArgs: 1,
			Bind: dateArgs(types.TypeText, toDate), Kernel: kernel.FuncMonthName, DuckDB: duckPlain("monthname"),
		},
		&Function{
			Name: "unix_timestamp", Doc: "Seconds since 1970 of a date and time, of now without an argument.", MinArgs: 0, MaxArgs: 1,
			Bind: bindUnixTimestamp,
			Kernel: byArrayType(func(ts []types.Type) kernel.Func {
				if len(ts) == 0 {
					return kernel.FuncNow(true)
				}
				return kernel.FuncUnixTimestamp(ts[0])
			}),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				if len(args) == 0 {
					return kernel.Call(kernel.FuncNow(true), out), nil
				}
				return kernel.Call(kernel.FuncUnixTimestamp(args[0].Type()), out, args...), nil
			},
			DuckDB: duckUnixTimestamp,
		},
		&Function{
			Name: "from_unixtime", Doc: "Date and time of seconds since 1970, perhaps printed in a format with %.", MinArgs: 1, MaxArgs: 2,
			Bind: bindFromUnixTime, Kernel: kernel.FuncFromUnixTime, Build: buildFromUnixTime, DuckDB: duckFromUnixTime,
		},
		&Function{
			Name: "convert_tz", Doc: "Date and time of one time zone in another.", MinArgs: 3, MaxArgs: 3,
			Bind: func(args []Arg) (Binding, error) {
				t := types.Type{Kind: types.DateTime, Fsp: fspOf(args[0])}
				return Binding{Args: []types.Type{t, textType(args[1]), textType(args[2])}, Result: t, Nullable: true}, nil
			},
			Kernel: kernel.FuncConvertTZ,
		},
		clockFunction("now", "The time of the step.", types.DateTime, false, duckNow("CAST(now() AS TIMESTAMP)")),
		clockFunction("sysdate", "The time of the step.", types.DateTime, false, duckNow("CAST(now() AS TIMESTAMP)")),
		clockFunction("curdate", "Today.", types.Date, false, duckFormat("CAST(now() AS DATE)")),
		clockFunction("curtime", "The time of day of the step.", types.Time, false, nil),
		clockFunction("utc_timestamp", "The time of the step in UTC.", types.DateTime, true, duckNow("(now() AT TIME ZONE 'UTC')")),
		clockFunction("utc_date", "Today in UTC.", types.Date, true, duckFormat("CAST(now() AT TIME ZONE 'UTC' AS DATE)")),
		clockFunction("utc_time", "The time of day of the step in UTC.", types.Time, true, nil),
	)
}
