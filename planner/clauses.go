package planner

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/sqlerror"
)

// checkClauses refuses what a query says that would be left out of its plan: the
// MySQL engine's binder drops it without a word. MySQL refuses most of it too.
func checkClauses(q *sqlparser.Select) error {
	if err := checkWindows(q); err != nil {
		return err
	}
	if err := checkTables(q.From); err != nil {
		return err
	}
	return checkDistinctOrder(q)
}

// checkWindows has window functions stand where a query can have them, with
// windows that there are.
func checkWindows(q *sqlparser.Select) error {
	nodes := []sqlparser.SQLNode{q.GroupBy}
	for _, w := range []*sqlparser.Where{q.Where, q.Having} {
		if w != nil {
			nodes = append(nodes, w)
		}
	}
	var misplaced *sqlparser.FuncExpr
	windowFunctions(func(f *sqlparser.FuncExpr) { misplaced = f }, nodes...)
	if misplaced != nil {
		return sqlerror.Userf(sqlerror.CodeSyntax, "the window function %s cannot be used in WHERE, GROUP BY and HAVING", strings.ToUpper(misplaced.Name.String())).
			WithHint("compute it in a sub-select, and filter around that")
	}
	named := namedWindows(q)
	var failed error
	check := func(def *sqlparser.WindowDef) {
		if def.NameRef.IsEmpty() || failed != nil {
			return
		}
		from, ok := named[def.NameRef.Lowered()]
		switch {
		case !ok:
			failed = sqlerror.Userf(sqlerror.CodeSyntax, "window %s is not defined", def.NameRef)
		case len(def.PartitionBy) > 0:
			failed = sqlerror.Userf(sqlerror.CodeSyntax, "a window that begins from %s cannot have a PARTITION BY of its own", def.NameRef)
		case len(def.OrderBy) > 0 && ordered(from, named):
			failed = sqlerror.Userf(sqlerror.CodeSyntax, "a window that begins from %s cannot have an ORDER BY of its own, since %[1]s has one", def.NameRef)
		case from.Frame != nil && (len(def.OrderBy) > 0 || def.Frame != nil):
			failed = sqlerror.Userf(sqlerror.CodeSyntax, "window %s has a frame, so no other window can begin from it", def.NameRef)
		}
	}
	for _, def := range q.Window {
		check(def)
	}
	eachWindow(q, func(f *sqlparser.FuncExpr) {
		check((*sqlparser.WindowDef)(f.Over))
		name := f.Name.Lowered()
		switch {
		case failed != nil:
		case f.Distinct && name != "min" && name != "max": // to which it is all the same
			failed = sqlerror.Userf(sqlerror.CodeUnsupported, "DISTINCT within the window function %s is not supported", strings.ToUpper(name)).
				WithHint("number the rows of each value in a sub-select, ROW_NUMBER() OVER (PARTITION BY …), and take the first ones")
		case (name == "ntile" || name == "nth_value") && len(f.Exprs) > 0 && isZero(f.Exprs[len(f.Exprs)-1]):
			failed = sqlerror.Userf(sqlerror.CodeArgument, "Incorrect arguments to %s: it counts from 1", name)
		case name == "json_objectagg":
			failed = sqlerror.Userf(sqlerror.CodeUnsupported, "JSON_OBJECTAGG is no window function")
		}
	})
	return failed
}

// ordered reports whether a window, or one that it begins from, has an ORDER BY.
func ordered(def *sqlparser.WindowDef, named map[string]*sqlparser.WindowDef) bool {
	for range len(named) {
		if len(def.OrderBy) > 0 {
			return true
		}
		from, ok := named[def.NameRef.Lowered()]
		if !ok {
			return false
		}
		def = from
	}
	return false
}

func isZero(e sqlparser.SelectExpr) bool {
	a, ok := e.(*sqlparser.AliasedExpr)
	if !ok {
		return false
	}
	v, ok := a.Expr.(*sqlparser.SQLVal)
	return ok && v.Type == sqlparser.IntVal && strings.Trim(string(v.Val), "0") == ""
}

// checkTables refuses what names a part of a table, or a way to read it.
func checkTables(from sqlparser.TableExprs) error {
	return sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		switch n := n.(type) {
		case *sqlparser.Subquery:
			return false, nil
		case *sqlparser.AliasedTableExpr:
			if len(n.Partitions) > 0 {
				return false, sqlerror.Userf(sqlerror.CodeUnsupported, "PARTITION (%s) is not supported", n.Partitions[0]).
					WithHint("say in WHERE what the partition's columns are: other partitions are not read then")
			}
			if n.Hints != nil && len(n.Hints.Indexes) > 0 {
				return false, sqlerror.Userf(sqlerror.CodeUnsupported, "there is no index %s", n.Hints.Indexes[0]).
					WithHint("tables and sources have no indexes: leave the hint out")
			}
		}
		return true, nil
	}, from)
}

// checkDistinctOrder refuses to sort distinct rows by what is not in them: of the
// rows that became one, nobody says which one's.
func checkDistinctOrder(q *sqlparser.Select) error {
	if !q.QueryOpts.Distinct || len(q.OrderBy) == 0 {
		return nil
	}
	selected := map[string]bool{}
	columns := map[string]bool{}
	for _, e := range q.SelectExprs {
		a, ok := e.(*sqlparser.AliasedExpr)
		if !ok {
			return nil // a star: what it stands for is not known yet
		}
		selected[textOf(a.Expr)] = true
		if !a.As.IsEmpty() {
			columns[a.As.Lowered()] = true
		}
		if c, ok := a.Expr.(*sqlparser.ColName); ok {
			columns[c.Name.Lowered()] = true
		}
	}
	return sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		switch n := n.(type) {
		case *sqlparser.Subquery:
			return false, nil
		case *sqlparser.ColName:
			if name := n.Name.Lowered(); !columns[name] && !strings.HasPrefix(name, "@") {
				return false, sqlerror.Userf(sqlerror.CodeSyntax, "ORDER BY %s is not in the list of SELECT DISTINCT", n.Name).
					WithHint("select it too, or GROUP BY instead and order by MIN(%s)", n.Name)
			}
		}
		e, ok := n.(sqlparser.Expr)
		return !ok || !selected[textOf(e)], nil
	}, q.OrderBy)
}

// textOf is a text that equal expressions have in common: without the case of names,
// the tables of columns, and brackets around all of it, with functions and operators
// under one of their names.
func textOf(e sqlparser.Expr) string {
	buf := sqlparser.NewTrackedBuffer(func(buf *sqlparser.TrackedBuffer, n sqlparser.SQLNode) {
		switch n := n.(type) {
		case *sqlparser.ColName:
			buf.Myprintf("%v", n.Name)
			return
		case *sqlparser.SQLVal:
			if n.Type == sqlparser.StrVal {
				buf.WriteString("'" + hex.EncodeToString(n.Val) + "'")
				return
			}
		case *sqlparser.BinaryExpr:
			switch n.Operator {
			case sqlparser.JSONExtractOp:
				buf.Myprintf("json_extract(%v, %v)", n.Left, n.Right)
				return
			case sqlparser.JSONUnquoteExtractOp:
				buf.Myprintf("json_unquote(json_extract(%v, %v))", n.Left, n.Right)
				return
			}
		case *sqlparser.SubstrExpr:
			if n.Name != nil && n.To != nil {
				buf.Myprintf("substring(%v, %v, %v)", n.Name, n.From, n.To)
				return
			}
		case *sqlparser.FuncExpr:
			if f, ok := function.Lookup(n.Name.String()); ok && n.Qualifier.IsEmpty() {
				named := *n
				named.Name = sqlparser.NewColIdent(f.Name)
				named.Format(buf)
				return
			}
		}
		n.Format(buf)
	})
	buf.Myprintf("%v", withoutBrackets(e))
	return strings.ToLower(buf.String())
}

// mostDigits bounds the length of a type in a CAST: digits, or those of the seconds'
// fraction.
var mostDigits = map[string]int{"decimal": 65, "datetime": 6, "time": 6}

// lengthOf is a number in brackets behind a type; none is 0.
func lengthOf(v *sqlparser.SQLVal) int {
	if v == nil {
		return 0
	}
	n, err := strconv.Atoi(string(v.Val))
	if err != nil {
		return math.MaxInt
	}
	return n
}

// checkCast refuses casts whose character set or type would be dropped.
func checkCast(e *sqlparser.ConvertExpr) error {
	switch charset := strings.ToLower(e.Type.Charset); charset {
	case "", "utf8mb4", "utf8mb3", "utf8", "binary":
	default:
		return sqlerror.Userf(sqlerror.CodeUnsupported, "CAST to the character set %s is not supported: text is utf8mb4", charset)
	}
	if most, ok := mostDigits[strings.ToLower(e.Type.Type)]; ok && lengthOf(e.Type.Length) > most {
		return sqlerror.Userf(sqlerror.CodeType, "too-big precision %s of %s: the maximum is %d", e.Type.Length.Val, strings.ToUpper(e.Type.Type), most)
	}
	if strings.EqualFold(e.Type.Type, "decimal") && e.Type.Scale != nil && lengthOf(e.Type.Scale) > lengthOf(e.Type.Length) {
		return sqlerror.Userf(sqlerror.CodeType, "DECIMAL(%s,%s) has more digits behind the point than in all", e.Type.Length.Val, e.Type.Scale.Val)
	}
	if strings.EqualFold(e.Type.Type, "year") {
		return sqlerror.Userf(sqlerror.CodeUnsupported, "CAST … AS YEAR is not supported").WithHint("YEAR(…) is the year of a date")
	}
	return nil
}

// windowFunctions calls f for the window functions of nodes, not for those of
// their sub-selects.
func windowFunctions(f func(*sqlparser.FuncExpr), nodes ...sqlparser.SQLNode) {
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		switch n := n.(type) {
		case *sqlparser.Subquery:
			return false, nil
		case *sqlparser.FuncExpr:
			if n.Over != nil {
				f(n)
			}
		}
		return true, nil
	}, nodes...)
}
