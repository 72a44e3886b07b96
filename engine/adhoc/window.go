package adhoc

import (
	"regexp"
	"strings"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

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
// rows, or peers from one end to the other or to the current row; distantFrame
// those by the distance of the one key that the rows are sorted by.
var (
	rowFrame = regexp.MustCompile(`^(?:ROWS BETWEEN (?:UNBOUNDED PRECEDING|CURRENT ROW|\d+ (?:PRECEDING|FOLLOWING)) AND (?:UNBOUNDED FOLLOWING|CURRENT ROW|\d+ (?:PRECEDING|FOLLOWING))` +
		`|RANGE BETWEEN (?:UNBOUNDED PRECEDING|CURRENT ROW) AND (?:UNBOUNDED FOLLOWING|CURRENT ROW))$`)
	distantFrame = regexp.MustCompile(`^RANGE BETWEEN (?:UNBOUNDED PRECEDING|CURRENT ROW|(?:INTERVAL )?\d+ (?:(\w+) )?(?:PRECEDING|FOLLOWING)) AND ` +
		`(?:UNBOUNDED FOLLOWING|CURRENT ROW|(?:INTERVAL )?\d+ (?:(\w+) )?(?:PRECEDING|FOLLOWING))$`)
)

// frame spells a window frame.
func frame(e logical.WindowExpr) (string, error) {
	text := strings.ToUpper(strings.Join(strings.Fields(e.Frame), " "))
	if text == "" || rowFrame.MatchString(text) {
		return text, nil
	}
	refused := sqlerror.Userf(sqlerror.CodeUnsupported, "the window frame %s is not supported here", text)
	units := distantFrame.FindStringSubmatch(text)
	if units == nil || len(e.OrderBy) != 1 {
		return "", refused
	}
	t := e.OrderBy[0].Expr.Type()
	for _, unit := range units[1:] {
		switch unit {
		case "":
			if strings.Contains(text, "INTERVAL") && !t.Kind.IsTemporal() || !strings.Contains(text, "INTERVAL") && !t.Kind.IsNumeric() {
				return "", refused
			}
		case "MICROSECOND", "SECOND", "MINUTE", "HOUR":
			if t.Kind != types.Date && t.Kind != types.DateTime && t.Kind != types.Timestamp {
				return "", refused
			}
		case "DAY", "WEEK", "MONTH", "QUARTER", "YEAR":
			if t.Kind != types.Date && t.Kind != types.DateTime {
				return "", refused
			}
		default:
			return "", refused
		}
	}
	return text, nil
}

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
	text, err := frame(e)
	if err != nil {
		return "", err
	}
	if text != "" {
		clauses = append(clauses, text)
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
