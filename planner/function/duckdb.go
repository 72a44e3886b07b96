package function

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// DuckDBType is the DuckDB type that holds a type's values: JSON is VARCHAR, an
// instant TIMESTAMPTZ, a wall clock TIMESTAMP.
func DuckDBType(t types.Type) string {
	switch t.Kind {
	case types.Bool:
		return "BOOLEAN"
	case types.Int8:
		return "TINYINT"
	case types.Int16:
		return "SMALLINT"
	case types.Int32, types.Null:
		return "INTEGER"
	case types.Int64:
		return "BIGINT"
	case types.Uint8:
		return "UTINYINT"
	case types.Uint16:
		return "USMALLINT"
	case types.Uint32:
		return "UINTEGER"
	case types.Uint64:
		return "UBIGINT"
	case types.Float32:
		return "FLOAT"
	case types.Float64:
		return "DOUBLE"
	case types.Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case types.Binary:
		return "BLOB"
	case types.Date:
		return "DATE"
	case types.Time:
		return "TIME"
	case types.DateTime:
		return "TIMESTAMP"
	case types.Timestamp:
		return "TIMESTAMPTZ"
	}
	return "VARCHAR"
}

// Finite spells DuckDB's failure where a double is infinite, as MySQL fails. It
// writes the expression three times: what nests many calls applies it once.
func Finite(s string) string {
	return "CASE WHEN isfinite(" + s + ") THEN " + s + " WHEN " + s + " IS NOT NULL THEN error('DOUBLE value is out of range') END"
}

// duckFinite is for functions of doubles that may leave their range.
func duckFinite(name string) func([]string, Binding) string {
	return func(args []string, b Binding) string { return Finite(duckPlain(name)(args, b)) }
}

// notNegative is a number, or 0 instead of a negative one. (DuckDB's greatest
// passes over NULL.)
func notNegative(arg string) string {
	return "CASE WHEN " + arg + " < 0 THEN 0 ELSE " + arg + " END"
}

// duckFirst is left or right.
func duckFirst(name string) func([]string, Binding) string {
	return func(args []string, _ Binding) string {
		return name + "(" + args[0] + ", " + notNegative(args[1]) + ")"
	}
}

// duckFormat spells a call by a format of its arguments.
func duckFormat(format string) func([]string, Binding) string {
	return func(args []string, _ Binding) string {
		given := make([]any, len(args))
		for i, a := range args {
			given[i] = a
		}
		return fmt.Sprintf(format, given...)
	}
}

// duckPlain spells a call of a function that DuckDB has too.
func duckPlain(name string) func([]string, Binding) string {
	return func(args []string, _ Binding) string { return name + "(" + strings.Join(args, ", ") + ")" }
}

// duckJoin writes an operator between the arguments.
func duckJoin(operator string) func([]string, Binding) string {
	return func(args []string, _ Binding) string { return "(" + strings.Join(args, operator) + ")" }
}

// duckTexts is for functions that DuckDB has for texts but not for binaries.
func duckTexts(spell func([]string, Binding) string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		for _, t := range b.Args {
			if t.Kind == types.Binary {
				return ""
			}
		}
		return spell(args, b)
	}
}

// duckOnWall is for functions of one date or time as clocks show it.
func duckOnWall(format string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		return duckFormat(format)([]string{wall(args[0], b.Args[0])}, b)
	}
}

// wall is what clocks show at an instant.
func wall(arg string, t types.Type) string {
	if t.Kind == types.Timestamp {
		return "CAST(" + arg + " AS TIMESTAMP)"
	}
	return arg
}

func duckArithmetic(op string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		x, y := args[0], args[1]
		switch b.Result.Kind {
		case types.Uint64:
			if b.Args[0].Kind != types.Uint64 || b.Args[1].Kind != types.Uint64 {
				return fmt.Sprintf("CAST(CAST(%s AS HUGEINT) %s CAST(%s AS HUGEINT) AS UBIGINT)", x, op, y)
			}
		case types.Decimal:
			if b.Result.Precision > 18 {
				// DuckDB computes in 64 bits unless an operand is wider.
				x = fmt.Sprintf("CAST(%s AS DECIMAL(%d,%d))", x, b.Result.Precision, b.Args[0].Scale)
			}
			return fmt.Sprintf("CAST(%s %s %s AS %s)", x, op, y, DuckDBType(b.Result))
		}
		return "(" + x + " " + op + " " + y + ")"
	}
}

// scaled is the decimal of a type whose digits a HUGEINT has.
func scaled(digits string, t types.Type) string {
	if t.Scale == 0 {
		return fmt.Sprintf("CAST(%s AS %s)", digits, DuckDBType(t))
	}
	return fmt.Sprintf("CAST(CAST(%s AS DECIMAL(38,0)) * CAST(0.%s1 AS DECIMAL(%d,%d)) AS %s)",
		digits, strings.Repeat("0", t.Scale-1), t.Scale, t.Scale, DuckDBType(t))
}

// duckDivide divides doubles; decimals DuckDB divides as doubles.
func duckDivide(args []string, b Binding) string {
	if b.Result.Kind != types.Float64 {
		return ""
	}
	return fmt.Sprintf("(%s / nullif(%s, 0))", args[0], args[1])
}

func duckIntegerDivide(args []string, b Binding) string {
	if !b.Args[0].Kind.IsInteger() || !b.Args[1].Kind.IsInteger() {
		return ""
	}
	return fmt.Sprintf("CAST(CAST(%s AS HUGEINT) // nullif(CAST(%s AS HUGEINT), 0) AS %s)", args[0], args[1], DuckDBType(b.Result))
}

func duckModulo(args []string, b Binding) string {
	switch b.Result.Kind {
	case types.Decimal:
		return fmt.Sprintf("CAST(%s %% nullif(%s, 0) AS %s)", args[0], args[1], DuckDBType(b.Result))
	case types.Float64:
		return fmt.Sprintf("(%s %% nullif(%s, 0))", args[0], args[1])
	}
	return fmt.Sprintf("CAST(CAST(%s AS HUGEINT) %% nullif(CAST(%s AS HUGEINT), 0) AS %s)", args[0], args[1], DuckDBType(b.Result))
}

func duckNegate(args []string, b Binding) string {
	if b.Args[0].Kind == types.Uint64 {
		return "CAST(-CAST(" + args[0] + " AS HUGEINT) AS BIGINT)"
	}
	return "(-" + args[0] + ")"
}

// duckBits computes with BIGINTs, whose bits are those of BIGINT UNSIGNED.
func duckBits(format string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		unsigned := 0
		for _, t := range b.Args {
			if t.Kind == types.Uint64 {
				unsigned++
			}
		}
		s := duckFormat(format)(args, b)
		switch unsigned {
		case len(args):
			return s
		case 0:
			return fmt.Sprintf("CAST(CASE WHEN %[1]s < 0 THEN CAST(%[1]s AS HUGEINT) + 18446744073709551616 ELSE %[1]s END AS UBIGINT)", s)
		}
		return ""
	}
}

func duckBitCount(args []string, b Binding) string {
	if b.Args[0].Kind == types.Uint64 {
		return ""
	}
	return "CAST(bit_count(" + args[0] + ") AS INTEGER)"
}

// duckWhole is ceil or floor.
func duckWhole(name string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		if b.Args[0].Kind.IsInteger() {
			return args[0]
		}
		return "CAST(" + name + "(" + args[0] + ") AS " + DuckDBType(b.Result) + ")"
	}
}

// duckDigits is the constant number of digits that ROUND or TRUNCATE keeps.
func duckDigits(args []string, b Binding) (n int64, ok bool) {
	if len(args) == 1 {
		return 0, true
	}
	n, ok = b.Literal(1).(int64)
	return n, ok && n >= 0
}

func duckRound(args []string, b Binding) string {
	n, ok := duckDigits(args, b)
	switch {
	case !ok:
		return ""
	case b.Args[0].Kind.IsInteger():
		return args[0]
	case b.Args[0].Kind == types.Float64:
		if n > 15 {
			return ""
		}
		return fmt.Sprintf("round_even(%s, %d)", args[0], n)
	case n >= int64(b.Args[0].Scale):
		return fmt.Sprintf("CAST(%s AS %s)", args[0], DuckDBType(b.Result))
	}
	return fmt.Sprintf("CAST(round(%s, %d) AS %s)", args[0], n, DuckDBType(b.Result))
}

func duckTruncate(args []string, b Binding) string {
	n, ok := duckDigits(args, b)
	switch {
	case !ok:
		return ""
	case b.Args[0].Kind.IsInteger():
		return args[0]
	case b.Args[0].Kind == types.Decimal && n >= int64(b.Args[0].Scale):
		return fmt.Sprintf("CAST(%s AS %s)", args[0], DuckDBType(b.Result))
	case n == 0:
		return fmt.Sprintf("CAST(trunc(%s) AS %s)", args[0], DuckDBType(b.Result))
	}
	return ""
}

func duckExtreme(name string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		if b.Result.Kind == types.Binary {
			return ""
		}
		null := make([]string, len(args))
		for i, a := range args {
			null[i] = a + " IS NULL"
		}
		return "CASE WHEN NOT (" + strings.Join(null, " OR ") + ") THEN " + name + "(" + strings.Join(args, ", ") + ") END"
	}
}

// comparesInDuckDB reports whether DuckDB compares two types as MySQL does. It
// brings integers of different sign to a type that holds both.
func comparesInDuckDB(a, b types.Type) bool {
	if a.Kind == types.Decimal && b.Kind == types.Decimal {
		// They are brought to a common type, which has to hold them.
		scale := max(a.Scale, b.Scale)
		return max(a.Precision-a.Scale, b.Precision-b.Scale)+scale <= types.MaxDecimalPrecision
	}
	return comparesWith(a, b) && (a.Kind == types.Binary) == (b.Kind == types.Binary)
}

func duckCompare(op string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		if !comparesInDuckDB(b.Args[0], b.Args[1]) {
			return ""
		}
		return "(" + args[0] + " " + op + " " + args[1] + ")"
	}
}

func duckIn(args []string, b Binding) string {
	for _, t := range b.Args[1:] {
		if !comparesInDuckDB(b.Args[0], t) {
			return ""
		}
	}
	return "(" + args[0] + " IN (" + strings.Join(args[1:], ", ") + "))"
}

func duckBetween(args []string, b Binding) string {
	if !comparesInDuckDB(b.Args[0], b.Args[1]) || !comparesInDuckDB(b.Args[0], b.Args[2]) {
		return ""
	}
	return duckFormat("(%s BETWEEN %s AND %s)")(args, b)
}

// quoteDuckDB writes a text constant.
func quoteDuckDB(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func duckLength(args []string, b Binding) string {
	if b.Args[0].Kind == types.Binary {
		return "CAST(octet_length(" + args[0] + ") AS INTEGER)"
	}
	return "CAST(strlen(" + args[0] + ") AS INTEGER)"
}

// duckSubstring knows the cases in which DuckDB counts otherwise: position 0, a
// position before the beginning, a negative length.
func duckSubstring(args []string, b Binding) string {
	s, position := args[0], args[1]
	rest := ""
	if len(args) == 3 {
		rest = ", " + notNegative(args[2])
	}
	if n, ok := b.Literal(1).(int64); ok && n > 0 {
		return "substring(" + s + ", " + position + rest + ")"
	}
	// NULL arguments make the comparison NULL and so fall to the ELSE.
	return fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL AND (%[2]s = 0 OR %[2]s < -length(%[1]s)) THEN '' "+
		"ELSE substring(%[1]s, CASE WHEN %[2]s < 0 THEN length(%[1]s) + %[2]s + 1 ELSE %[2]s END%[3]s) END", s, position, rest)
}

func duckTrim(args []string, b Binding) string {
	name, what := "trim", "' '"
	if len(args) > 1 {
		// DuckDB's second argument is a set of characters.
		s, ok := b.Literal(1).(string)
		if !ok || len(s) != 1 {
			return ""
		}
		what = quoteDuckDB(s)
	}
	if len(args) == 3 {
		side, _ := b.Literal(2).(string)
		switch strings.ToLower(side) {
		case "leading", "l":
			name = "ltrim"
		case "trailing", "r":
			name = "rtrim"
		case "both", "b":
		default:
			return ""
		}
	}
	return name + "(" + args[0] + ", " + what + ")"
}

func duckReplace(args []string, b Binding) string {
	if from, ok := b.Literal(1).(string); !ok || from == "" {
		return ""
	}
	return duckPlain("replace")(args, b)
}

func duckSubstringIndex(args []string, b Binding) string {
	delimiter, ok1 := b.Literal(1).(string)
	n, ok2 := b.Literal(2).(int64)
	// A longer delimiter may overlap itself: then it matters from which end one
	// looks.
	if !ok1 || !ok2 || len(delimiter) != 1 || n == 0 {
		return ""
	}
	part := fmt.Sprintf("[1:%d]", n)
	list := fmt.Sprintf("string_split(%s, %s)", args[0], quoteDuckDB(delimiter))
	if n < 0 {
		part = fmt.Sprintf("[greatest(len(%s) - %d, 1):]", list, -n-1)
	}
	return fmt.Sprintf("array_to_string(%s%s, %s)", list, part, quoteDuckDB(delimiter))
}

func duckPad(name string) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		n, ok := b.Literal(1).(int64)
		with, ok2 := b.Literal(2).(string)
		if !ok || !ok2 || n < 0 || n > 1<<20 || with == "" {
			return ""
		}
		return fmt.Sprintf("%s(%s, %d, %s)", name, args[0], n, args[2])
	}
}

func duckLike(args []string, b Binding) string {
	pattern, ok := b.Literal(1).(string)
	escape := `\`
	if len(args) == 3 {
		s, known := b.Literal(2).(string)
		if escape = s; !known || len(s) > 1 {
			return ""
		}
	}
	switch {
	case !ok:
		return ""
	case escape == "" || !strings.Contains(pattern, escape):
		return "(" + args[0] + " LIKE " + args[1] + ")"
	case strings.HasSuffix(pattern, escape):
		return "" // what DuckDB refuses
	}
	return "(" + args[0] + " LIKE " + args[1] + " ESCAPE " + quoteDuckDB(escape) + ")"
}

// duckPattern is a constant pattern with the flags of a match type written into
// it, since DuckDB's defaults differ.
func duckPattern(b Binding, matchType string) string {
	pattern, ok := b.Literal(1).(string)
	if !ok {
		return ""
	}
	re, err := kernel.CompileRegexp(pattern, matchType)
	if err != nil {
		return ""
	}
	flags := "(?-s)"
	if strings.HasPrefix(re.String(), "(?") && strings.Contains(matchType, "n") {
		flags = ""
	}
	return quoteDuckDB(flags + re.String())
}

func duckRegexpLike(args []string, b Binding) string {
	matchType := ""
	if len(args) == 3 {
		var ok bool
		if matchType, ok = b.Literal(2).(string); !ok {
			return ""
		}
	}
	p := duckPattern(b, matchType)
	if p == "" {
		return ""
	}
	return "regexp_matches(" + args[0] + ", " + p + ")"
}

func duckRegexpSubstr(args []string, b Binding) string {
	p := duckPattern(b, "")
	if len(args) > 2 || p == "" {
		return ""
	}
	return fmt.Sprintf("CASE WHEN regexp_matches(%[1]s, %[2]s) THEN regexp_extract(%[1]s, %[2]s) END", args[0], p)
}

func duckWeek(args []string, b Binding) string {
	mode := int64(0)
	if len(args) == 2 {
		var ok bool
		if mode, ok = b.Literal(1).(int64); !ok {
			return ""
		}
	}
	x := wall(args[0], b.Args[0])
	switch mode {
	case 0:
		return "CAST(strftime(" + x + ", '%U') AS INTEGER)"
	case 3:
		return "CAST(week(" + x + ") AS INTEGER)"
	case 5:
		return "CAST(strftime(" + x + ", '%W') AS INTEGER)"
	}
	return ""
}

func duckExtract(args []string, b Binding) string {
	u, err := literalUnit(Arg{Literal: b.Literal(0)})
	if err != nil || b.Args[1].Kind == types.Time {
		return ""
	}
	format := map[kernel.Unit]string{
		kernel.Year: "year(%s)", kernel.Quarter: "quarter(%s)", kernel.Month: "month(%s)", kernel.Day: "day(%s)",
		kernel.Hour: "hour(%s)", kernel.Minute: "minute(%s)", kernel.Second: "second(%s)",
		kernel.Microsecond: "microsecond(%s) %% 1000000", kernel.YearMonth: "year(%[1]s) * 100 + month(%[1]s)",
	}[u]
	if format == "" {
		return ""
	}
	return duckFormat("CAST("+format+" AS BIGINT)")([]string{wall(args[1], b.Args[1])}, b)
}

// lastMoment is the end of MySQL's calendar.
const lastMoment = "TIMESTAMP '9999-12-31 23:59:59.999999'"

// duckDateAdd moves a date by DuckDB's intervals, NULL behind the end of the
// calendar.
func duckDateAdd(subtract bool) func([]string, Binding) string {
	return func(args []string, b Binding) string {
		u, err := kernel.ParseUnit(b.Unit(1))
		n, ok := b.Literal(1).(int64)
		if err != nil || u.IsCompound() || b.Args[1].Kind != types.Int64 || !ok || n > 1<<31-1 || n < -(1<<31-1) {
			return ""
		}
		switch b.Args[0].Kind {
		case types.Date, types.DateTime, types.Timestamp:
		default:
			return ""
		}
		if subtract {
			n = -n
		}
		if u == kernel.Quarter {
			u, n = kernel.Month, 3*n
		}
		moved := fmt.Sprintf("(%s + INTERVAL (%d) %s)", wall(args[0], b.Args[0]), n, u)
		in := fmt.Sprintf("%[1]s BETWEEN TIMESTAMP '0000-01-01 00:00:00' AND %[2]s", moved, lastMoment)
		return fmt.Sprintf("CASE WHEN %s THEN CAST(%s AS %s) END", in, moved, DuckDBType(b.Result))
	}
}

// duckTimestampDiff counts whole units, where DuckDB counts boundaries crossed.
func duckTimestampDiff(args []string, b Binding) string {
	u, err := literalUnit(Arg{Literal: b.Literal(0)})
	if err != nil {
		return ""
	}
	from, to := args[1], args[2]
	micros := map[kernel.Unit]int64{
		kernel.Microsecond: 1, kernel.Second: 1e6, kernel.Minute: 60e6, kernel.Hour: 3600e6,
		kernel.Day: 86400e6, kernel.Week: 7 * 86400e6,
	}[u]
	if micros > 0 {
		return fmt.Sprintf("((epoch_us(%s) - epoch_us(%s)) // %d)", to, from, micros)
	}
	months := map[kernel.Unit]int{kernel.Month: 1, kernel.Quarter: 3, kernel.Year: 12}[u]
	// Whole months from x to y, y not before x: a day and time of the month that
	// y has not reached takes one away.
	between := func(x, y string) string {
		return fmt.Sprintf("((year(%[2]s) - year(%[1]s)) * 12 + month(%[2]s) - month(%[1]s) - "+
			"CASE WHEN epoch_us(%[2]s) - epoch_us(date_trunc('month', %[2]s)) < epoch_us(%[1]s) - epoch_us(date_trunc('month', %[1]s)) THEN 1 ELSE 0 END)", x, y)
	}
	return fmt.Sprintf("(CASE WHEN %[1]s <= %[2]s THEN %[3]s ELSE -%[4]s END // %[5]d)", from, to, between(from, to), between(to, from), months)
}

// duckSpecifiers are DATE_FORMAT's as strftime has them.
var duckSpecifiers = map[byte]string{
	'Y': "%Y", 'y': "%y", 'm': "%m", 'c': "%-m", 'd': "%d", 'e': "%-d", 'H': "%H", 'k': "%-H",
	'h': "%I", 'I': "%I", 'l': "%-I", 'i': "%M", 'S': "%S", 's': "%S", 'f': "%f", 'j': "%j",
	'M': "%B", 'b': "%b", 'W': "%A", 'a': "%a", 'p': "%p", 'T': "%H:%M:%S", 'r': "%I:%M:%S %p",
	'w': "%w", 'U': "%U", 'v': "%V", 'x': "%G", '%': "%%",
}

// duckStrftime is a DATE_FORMAT format for strftime, or "".
func duckStrftime(format string) string {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) {
			return ""
		}
		spec, ok := duckSpecifiers[format[i]]
		if !ok {
			return ""
		}
		out.WriteString(spec)
	}
	return out.String()
}

func duckDateFormat(args []string, b Binding) string {
	format, ok := b.Literal(1).(string)
	if !ok {
		return ""
	}
	if format = duckStrftime(format); format == "" {
		return ""
	}
	return "strftime(" + wall(args[0], b.Args[0]) + ", " + quoteDuckDB(format) + ")"
}

// lastUnixSecond is the last second of UNIX_TIMESTAMP and FROM_UNIXTIME.
const lastUnixSecond = 32536771199

func duckUnixTimestamp(args []string, b Binding) string {
	if len(args) == 0 {
		return "CAST(floor(epoch(now())) AS BIGINT)"
	}
	us := "epoch_us(CAST(" + args[0] + " AS TIMESTAMPTZ))"
	in := fmt.Sprintf("CASE WHEN %[1]s BETWEEN 0 AND %[2]d999999 THEN %[1]s WHEN %[1]s IS NOT NULL THEN 0 END", us, lastUnixSecond)
	if b.Result.Kind != types.Decimal {
		return "((" + in + ") // 1000000)"
	}
	unit := strconv.Itoa(1)
	for range 6 - b.Result.Scale {
		unit += "0"
	}
	return scaled("(("+in+") // "+unit+")", b.Result)
}

func duckFromUnixTime(args []string, b Binding) string {
	if b.Args[0].Kind != types.Int64 {
		return ""
	}
	t := fmt.Sprintf("CASE WHEN %[1]s BETWEEN 0 AND %[2]d THEN CAST(make_timestamptz(%[1]s * 1000000) AS TIMESTAMP) END", args[0], lastUnixSecond)
	if len(args) == 1 {
		return t
	}
	return duckDateFormat([]string{t, args[1]}, Binding{
		Args: []types.Type{bigDateTime, b.Args[1]}, Literals: []any{nil, b.Literal(1)},
	})
}

// duckNow cuts the time to the fractional digits of the result.
func duckNow(now string) func([]string, Binding) string {
	return func(_ []string, b Binding) string {
		unit := map[int]string{0: "second", 3: "millisecond", 6: "microsecond"}[b.Result.Fsp]
		if unit == "" {
			return ""
		}
		return "date_trunc('" + unit + "', " + now + ")"
	}
}
