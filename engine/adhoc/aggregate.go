package adhoc

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// defaultGroupConcatMaxLen is MySQL's group_concat_max_len, in bytes.
const defaultGroupConcatMaxLen = 1024

func (s *speller) aggregate(n *logical.Aggregate) (*selection, error) {
	groups := make([]logical.OutputColumn, len(n.GroupBy))
	for i, g := range n.GroupBy {
		groups[i] = g.Column
	}
	if err := groupable(groups, "GROUP BY"); err != nil {
		return nil, err
	}
	q, err := s.node(n.Input, nil)
	if err != nil {
		return nil, err
	}
	if q.computed || q.distinct || q.limited {
		q = s.wrap(q)
	}
	q.order = nil
	if q.items, err = s.named(n.GroupBy); err != nil {
		return nil, err
	}
	for _, it := range q.items {
		q.groupBy = append(q.groupBy, columnName(it.id))
	}
	for _, a := range n.Aggs {
		sql, err := s.aggregateCall(&aggregateCall{
			name: strings.ToLower(a.Name), args: a.Args, distinct: a.Distinct, order: a.OrderBy, separator: a.Separator, out: a.Column.Type,
		})
		if err != nil {
			return nil, err
		}
		q.items = append(q.items, item{id: a.Column.ID, sql: sql})
	}
	if len(q.items) == 0 {
		return nil, unsupported("it groups by nothing")
	}
	q.computed = true
	return q, nil
}

// aggregateCall is an aggregate function, of an Aggregate or over a window.
type aggregateCall struct {
	name      string
	args      []logical.Expr
	distinct  bool
	order     []logical.SortKey
	separator string
	out       types.Type
	over      string // " OVER (…)" or empty
}

// of spells one call of a DuckDB aggregate.
func (a *aggregateCall) of(function, arg string) string {
	if a.distinct {
		arg = "DISTINCT " + arg
	}
	return function + "(" + arg + ")" + a.over
}

// as spells a conversion to the declared type of the result.
func (a *aggregateCall) as(sql string) string { return "CAST(" + sql + " AS " + function.DuckDBType(a.out) + ")" }

// aggregateNames are MySQL's synonyms.
var aggregateNames = map[string]string{
	"std": "stddev_pop", "stddev": "stddev_pop", "stddev_pop": "stddev_pop", "stddev_samp": "stddev_samp",
	"variance": "var_pop", "var_pop": "var_pop", "var_samp": "var_samp",
	"bit_and": "bit_and", "bit_or": "bit_or", "bit_xor": "bit_xor",
}

func (s *speller) aggregateCall(a *aggregateCall) (string, error) {
	if a.distinct && a.over != "" {
		return "", unsupported("%s over a window is DISTINCT", a.name)
	}
	switch a.name {
	case "count":
		return s.count(a)
	case "group_concat":
		return s.groupConcat(a)
	}
	if len(a.args) != 1 {
		return "", unsupported("%s has %d arguments", a.name, len(a.args))
	}
	arg := a.args[0]
	switch a.name {
	case "sum", "avg":
		return s.sum(a, arg)
	case "min", "max":
		if arg.Type().Kind == types.JSON {
			return "", unsupported("%s compares JSON documents", a.name)
		}
		sql, err := s.typed(arg, a.out)
		if err != nil {
			return "", err
		}
		return a.of(a.name, sql), nil
	case "any_value":
		sql, err := s.typed(arg, a.out)
		if err != nil {
			return "", err
		}
		return a.of("any_value", sql), nil
	case "std", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp":
		sql, err := s.typed(arg, types.TypeFloat64)
		if err != nil {
			return "", err
		}
		return a.as(a.of(aggregateNames[a.name], sql)), nil
	case "bit_and", "bit_or", "bit_xor":
		sql, err := s.typed(arg, types.TypeUint64)
		if err != nil {
			return "", err
		}
		none := "0"
		if a.name == "bit_and" {
			none = "18446744073709551615"
		}
		return a.as("COALESCE(" + a.of(a.name, sql) + ", " + none + ")"), nil
	}
	return "", unsupported("DuckDB has nothing that means %s", strings.ToUpper(a.name))
}

func (s *speller) count(a *aggregateCall) (string, error) {
	if len(a.args) == 0 {
		return a.as(a.of("count", "*")), nil
	}
	args := make([]string, len(a.args))
	for i, e := range a.args {
		if a.distinct && e.Type().Kind == types.JSON {
			return "", unsupported("COUNT DISTINCT compares JSON documents")
		}
		sql, err := s.expr(e)
		if err != nil {
			return "", err
		}
		args[i] = sql
	}
	if len(args) == 1 {
		return a.as(a.of("count", args[0])), nil
	}
	// Rows with a NULL among the arguments do not count.
	present := make([]string, len(args))
	for i, sql := range args {
		present[i] = sql + " IS NOT NULL"
	}
	return a.as(a.of("count", "CASE WHEN "+strings.Join(present, " AND ")+" THEN row("+strings.Join(args, ", ")+") END")), nil
}

// sum spells SUM and AVG: exact ones as DECIMAL, the rest as DOUBLE.
func (s *speller) sum(a *aggregateCall, arg logical.Expr) (string, error) {
	t := arg.Type()
	exact := t.Kind.IsInteger() || t.Kind == types.Decimal || t.Kind == types.Bool
	if !exact || a.out.Kind.IsFloat() {
		sql, err := s.typed(arg, types.TypeFloat64)
		if err != nil {
			return "", err
		}
		return a.as(a.of(a.name, sql)), nil
	}
	if t.Kind == types.Bool {
		t = types.Type{Kind: types.Int32}
	}
	sql, err := s.typed(arg, t)
	if err != nil {
		return "", err
	}
	total := a.of("sum", sql)
	if a.name == "sum" {
		return a.as(total), nil
	}
	if a.out.Kind != types.Decimal || a.out.Scale < t.Scale {
		return "", unsupported("AVG of a %s is a %s", t, a.out)
	}
	// The mean is found in units of the result's last digit.
	digits := total
	if t.Scale > 0 {
		digits = "replace(CAST(" + total + " AS VARCHAR), '.', '')"
	}
	digits = "CAST(" + digits + " AS HUGEINT)"
	return a.as(fmt.Sprintf("leat_mean(%s * %s, %s) * %s", digits, "1"+strings.Repeat("0", a.out.Scale-t.Scale)+"::HUGEINT", a.of("count", sql),
		decimalUnit(a.out.Scale))), nil
}

// meanMacro divides exactly and rounds half away from zero.
const meanMacro = `CREATE MACRO leat_mean(total, n) AS CASE WHEN n > 0 THEN CAST(CASE WHEN total < 0 ` +
	`THEN -((n - 2 * total) // (2 * n)) ELSE (2 * total + n) // (2 * n) END AS DECIMAL(38,0)) END`

// decimalUnit is 10^−scale as a DECIMAL.
func decimalUnit(scale int) string {
	if scale == 0 {
		return "1"
	}
	return "0." + strings.Repeat("0", scale-1) + "1"
}

func (s *speller) groupConcat(a *aggregateCall) (string, error) {
	if a.over != "" || len(a.args) == 0 {
		return "", unsupported("GROUP_CONCAT is used in a way that MySQL does not have")
	}
	parts := make([]string, len(a.args))
	for i, e := range a.args {
		sql, err := s.typed(e, types.TypeText)
		if err != nil {
			return "", err
		}
		parts[i] = sql
	}
	arg := strings.Join(parts, " || ")
	if len(parts) > 1 {
		arg = "(" + arg + ")"
	}
	keys := make([]string, len(a.order))
	for i, k := range a.order {
		key, err := s.sortKey(k)
		if err != nil {
			return "", err
		}
		if a.distinct && key.sql != arg {
			return "", unsupported("a DISTINCT GROUP_CONCAT sorts by something else")
		}
		keys[i] = key.sql + key.suffix
	}
	separator, err := textLiteral(a.separator)
	if err != nil {
		return "", err
	}
	sql := arg + ", " + separator
	if len(keys) > 0 {
		sql += " ORDER BY " + strings.Join(keys, ", ")
	}
	limit := s.session.GroupConcatMaxLen
	if limit == 0 {
		limit = defaultGroupConcatMaxLen
	}
	return fmt.Sprintf("leat_cut(%s, %d)", a.of("string_agg", sql), limit), nil
}

// cutMacro shortens a text to at most n bytes, at the end of a character: no
// character begins with a byte of 80 to BF.
const cutMacro = `CREATE MACRO leat_cut(s, n) AS CASE WHEN strlen(s) <= n THEN s ELSE decode(encode(s)[1:CASE ` +
	`WHEN hex(encode(s)[n + 1:n + 1]) NOT BETWEEN '80' AND 'BF' THEN n WHEN hex(encode(s)[n:n]) NOT BETWEEN '80' AND 'BF' THEN n - 1 ` +
	`WHEN hex(encode(s)[n - 1:n - 1]) NOT BETWEEN '80' AND 'BF' THEN n - 2 ELSE n - 3 END]) END`

func (s *speller) window(n *logical.Window) (*selection, error) {
	q, err := s.node(n.Input, nil)
	if err != nil {
		return nil, err
	}
	if q.computed || q.distinct || q.limited {
		q = s.wrap(q)
	}
	for _, e := range n.Exprs {
		sql, err := s.windowCall(e)
		if err != nil {
			return nil, err
		}
		q.items = append(q.items, item{id: e.Column.ID, sql: sql})
	}
	q.computed = true
	return q, nil
}

// rowFrame matches the frames that mean the same in DuckDB: those that count
// rows, or peers from one end to the other or to the current row.
var rowFrame = regexp.MustCompile(`^(?:ROWS (?:UNBOUNDED PRECEDING|CURRENT ROW|\d+ PRECEDING)` +
	`|ROWS BETWEEN (?:UNBOUNDED PRECEDING|CURRENT ROW|\d+ (?:PRECEDING|FOLLOWING)) AND (?:UNBOUNDED FOLLOWING|CURRENT ROW|\d+ (?:PRECEDING|FOLLOWING))` +
	`|RANGE (?:UNBOUNDED PRECEDING|CURRENT ROW)` +
	`|RANGE BETWEEN (?:UNBOUNDED PRECEDING|CURRENT ROW) AND (?:UNBOUNDED FOLLOWING|CURRENT ROW))$`)

func (s *speller) windowCall(e logical.WindowExpr) (string, error) {
	var clauses []string
	for i, p := range e.PartitionBy {
		if p.Type().Kind == types.JSON {
			return "", unsupported("PARTITION BY compares JSON documents")
		}
		sql, err := s.expr(p)
		if err != nil {
			return "", err
		}
		if i == 0 {
			sql = "PARTITION BY " + sql
		} else {
			clauses[0] += ", " + sql
			continue
		}
		clauses = append(clauses, sql)
	}
	var keys []string
	for _, k := range e.OrderBy {
		key, err := s.sortKey(k)
		if err != nil {
			return "", err
		}
		keys = append(keys, key.sql+key.suffix)
	}
	if len(keys) > 0 {
		clauses = append(clauses, "ORDER BY "+strings.Join(keys, ", "))
	}
	if frame := strings.ToUpper(strings.Join(strings.Fields(e.Frame), " ")); frame != "" {
		if !rowFrame.MatchString(frame) {
			return "", unsupported("the window frame is %s", e.Frame)
		}
		clauses = append(clauses, frame)
	}
	over := " OVER (" + strings.Join(clauses, " ") + ")"
	a := &aggregateCall{name: strings.ToLower(e.Name), args: e.Args, distinct: e.Distinct, out: e.Column.Type, over: over}

	args := make([]string, len(e.Args))
	switch a.name {
	case "row_number", "rank", "dense_rank", "percent_rank", "cume_dist":
		if len(e.Args) != 0 {
			return "", unsupported("%s has arguments", a.name)
		}
	case "ntile":
		if len(e.Args) != 1 {
			return "", unsupported("%s has %d arguments", a.name, len(e.Args))
		}
		sql, err := s.typed(e.Args[0], types.TypeInt64)
		if err != nil {
			return "", err
		}
		args[0] = sql
	case "lag", "lead", "first_value", "last_value", "nth_value":
		if len(e.Args) == 0 {
			return "", unsupported("%s has no argument", a.name)
		}
		for i, arg := range e.Args {
			t := e.Column.Type
			if i == 1 {
				t = types.TypeInt64
			}
			sql, err := s.typed(arg, t)
			if err != nil {
				return "", err
			}
			args[i] = sql
		}
	default:
		return s.aggregateCall(a)
	}
	return a.as(a.name + "(" + strings.Join(args, ", ") + ")" + over), nil
}
