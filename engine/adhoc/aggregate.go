package adhoc

import (
	"fmt"
	"strings"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
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
	if n.Rollup {
		q.groupBy = []string{"ROLLUP (" + strings.Join(q.groupBy, ", ") + ")"}
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

// double is a result of type DOUBLE. Over a window it is not written several
// times, and a sum beyond 1.8e308 is infinite.
func (a *aggregateCall) double(sql string) string {
	if a.over != "" {
		return a.as(sql)
	}
	return function.Finite(a.as(sql))
}

// as spells a conversion to the declared type of the result.
func (a *aggregateCall) as(sql string) string {
	return "CAST(" + sql + " AS " + function.DuckDBType(a.out) + ")"
}

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
	case "grouping":
		sql, err := s.expr(arg)
		if err != nil {
			return "", err
		}
		return a.as("grouping(" + sql + ")"), nil
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
		return a.double(a.of(aggregateNames[a.name], sql)), nil
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
		if a.distinct && e.Type().Kind == types.JSON && !e.Type().Printed {
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
		return a.double(a.of(a.name, sql)), nil
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
	if a.out.Kind != types.Decimal {
		return "", unsupported("AVG of a %s is a %s", t, a.out)
	}
	// The mean is found in units of the result's last digit.
	digits, n := total, a.of("count", sql)
	if t.Scale > 0 {
		digits = "replace(CAST(" + total + " AS VARCHAR), '.', '')"
	}
	digits = "CAST(" + digits + " AS HUGEINT)"
	if missing := a.out.Scale - t.Scale; missing >= 0 {
		digits += " * " + unitsOf(missing)
	} else {
		n += " * " + unitsOf(-missing)
	}
	return a.as(fmt.Sprintf("leat_mean(%s, %s) * %s", digits, n, decimalUnit(a.out.Scale))), nil
}

func unitsOf(n int) string { return "1" + strings.Repeat("0", n) + "::HUGEINT" }

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
	for _, e := range a.args {
		if e.Type().Kind == types.Binary {
			return "", unsupported("GROUP_CONCAT has bytes that may be no text")
		}
	}
	if a.distinct && (len(a.args) > 1 || a.args[0].Type().Kind != types.String) {
		return s.concatDistinct(a)
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
	return s.cut(a.of("string_agg", sql)), nil
}

// concatDistinct is a GROUP_CONCAT of the distinct rows of several values, or of
// distinct values that are no text, sorted, if at all, by the first of these in their
// order. They are put beside their texts, and sorted as values.
func (s *speller) concatDistinct(a *aggregateCall) (string, error) {
	refused := refusedConcat()
	if len(a.args) == 1 {
		refused = unsupported("a DISTINCT GROUP_CONCAT sorts by something else")
	}
	if len(a.order) > len(a.args) {
		return "", refused
	}
	var fields, texts, known []string
	for i, e := range a.args {
		sql, err := s.expr(e)
		if err != nil {
			return "", err
		}
		text, err := s.typed(e, types.TypeText)
		if err != nil {
			return "", err
		}
		if i < len(a.order) {
			key, err := s.expr(a.order[i].Expr)
			if err != nil {
				return "", err
			}
			if key != sql || a.order[i].Desc != a.order[0].Desc || !sortsAsItIs(e.Type()) {
				return "", refused
			}
		}
		fields = append(fields, fmt.Sprintf("a%d := %s", i, sql))
		texts = append(texts, text)
		known = append(known, sql+" IS NOT NULL")
	}
	separator, err := textLiteral(a.separator)
	if err != nil {
		return "", err
	}
	fields = append(fields, "t := "+strings.Join(texts, " || "))
	list := fmt.Sprintf("%s FILTER (WHERE %s)", a.of("list", "struct_pack("+strings.Join(fields, ", ")+")"), strings.Join(known, " AND "))
	if len(a.order) > 0 {
		direction := "ASC"
		if a.order[0].Desc {
			direction = "DESC"
		}
		list = fmt.Sprintf("list_sort(%s, '%s')", list, direction)
	}
	return s.cut(fmt.Sprintf("array_to_string(list_transform(%s, lambda x: x.t), %s)", list, separator)), nil
}

// refusedConcat is for a GROUP_CONCAT that the MySQL engine would give otherwise.
func refusedConcat() error {
	return sqlerror.Userf(sqlerror.CodeUnsupported, "GROUP_CONCAT(DISTINCT …) of several values is sorted by these alone, in their order and one direction, and not by ENUM, SET or JSON").
		WithHint("SELECT DISTINCT in a sub-select, and GROUP_CONCAT what it gives")
}

// cut shortens a text to group_concat_max_len.
func (s *speller) cut(sql string) string {
	limit := s.session.GroupConcatMaxLen
	if limit == 0 {
		limit = defaultGroupConcatMaxLen
	}
	return fmt.Sprintf("leat_cut(%s, %d)", sql, limit)
}

// cutMacro shortens a text to at most n bytes, at the end of a character: no
// character begins with a byte of 80 to BF.
const cutMacro = `CREATE MACRO leat_cut(s, n) AS CASE WHEN strlen(s) <= n THEN s ELSE decode(encode(s)[1:CASE ` +
	`WHEN hex(encode(s)[n + 1:n + 1]) NOT BETWEEN '80' AND 'BF' THEN n WHEN hex(encode(s)[n:n]) NOT BETWEEN '80' AND 'BF' THEN n - 1 ` +
	`WHEN hex(encode(s)[n - 1:n - 1]) NOT BETWEEN '80' AND 'BF' THEN n - 2 ELSE n - 3 END]) END`
