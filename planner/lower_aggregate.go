package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/expression/function/aggregation"
	"github.com/dolthub/go-mysql-server/sql/expression/function/aggregation/window"
	"github.com/dolthub/go-mysql-server/sql/plan"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// groupBy lowers GROUP BY. The engine's node computes the aggregates, and passes
// on the columns that expressions above need, grouped or not. An expression
// above that is one of the grouping expressions becomes a reference to it.
func (l *lowerer) groupBy(n *plan.GroupBy, outer *scope) (logical.Node, *scope, error) {
	child, in, err := l.node(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	in = in.within(outer)
	agg := &logical.Aggregate{Input: child}
	s := &scope{outer: outer, computed: map[string]logical.OutputColumn{}}
	grouped := map[logical.ColumnID]bool{}
	agg.Rollup = slices.ContainsFunc(n.GroupByExprs, isRollup)
	var documents []document
	for _, e := range n.GroupByExprs {
		if isRollup(e) {
			continue
		}
		if err := l.bytesOnly("GROUP BY", in, e); err != nil {
			return nil, nil, err
		}
		lowered, err := l.expr(e, in)
		if err != nil {
			return nil, nil, err
		}
		if a, ok := e.(*expression.Alias); ok {
			e = a.Child
		}
		c, isColumn := lowered.(*logical.Column)
		isDocument := lowered.Type().Kind == types.JSON
		switch {
		case agg.Rollup && isDocument:
			d := l.rolledDocument(agg, lowered)
			if isColumn {
				grouped[c.ID], d.of = true, c.ID
			}
			documents = append(documents, d)
			s.computed[e.String()] = d.shown
			continue
		case isColumn:
			if !grouped[c.ID] {
				grouped[c.ID] = true
				agg.GroupBy = append(agg.GroupBy, logical.NamedExpr{
					Column: logical.OutputColumn{ID: c.ID, Name: c.Name, Type: c.T, NotNull: !c.Null}, Expr: c,
				})
			}
			continue
		case isDocument:
			s.computed[e.String()] = l.addDocument(agg, lowered)
			continue
		}
		col := l.newColumn(lowered.String(), lowered.Type(), !lowered.Nullable())
		agg.GroupBy = append(agg.GroupBy, logical.NamedExpr{Column: col, Expr: lowered})
		s.computed[e.String()] = col
	}
	for _, e := range n.SelectDeps {
		b, err := l.groupOutput(e, in, agg, grouped)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range documents {
			if b.col.ID == d.of {
				b.col = d.shown
			}
		}
		s.cols = append(s.cols, b)
	}
	if !agg.Rollup {
		return agg, s, nil
	}
	node, err := l.rollup(agg, s, documents)
	return node, s, err
}

// document is a key of a GROUP BY … WITH ROLLUP that is JSON. Documents are grouped
// by what compares as they do, and one of the equal ones is shown, NULL in totals.
type document struct {
	of              logical.ColumnID // the column that is the key, or 0
	key, any, shown logical.OutputColumn
}

func (l *lowerer) rolledDocument(agg *logical.Aggregate, e logical.Expr) document {
	any := l.addDocument(agg, e)
	return document{key: agg.GroupBy[len(agg.GroupBy)-1].Column, any: any, shown: l.newColumn(any.Name, any.Type, false)}
}

// jsonOrder is bytes that compare as what e gives, which is JSON.
func jsonOrder(e logical.Expr) logical.Expr {
	return &logical.Call{Func: function.JSONOrder, Args: []logical.Expr{e}, T: types.TypeBlob, Null: e.Nullable()}
}

func isRollup(e gms.Expression) bool {
	if a, ok := e.(*expression.Alias); ok {
		e = a.Child
	}
	m, ok := e.(*groupingMark)
	return ok && m.name == sql.RollupMark
}

// rollup completes GROUP BY … WITH ROLLUP: keys may be NULL, GROUPING finds its
// columns, and the rows come as MySQL gives them, each total behind what it
// sums up.
func (l *lowerer) rollup(agg *logical.Aggregate, s *scope, documents []document) (logical.Node, error) {
	s.grouping = map[logical.ColumnID]logical.OutputColumn{}
	// The keys are computed below, so that they are columns where they are named.
	below := &logical.Project{Input: agg.Input}
	taken := map[logical.ColumnID]bool{}
	for _, c := range agg.Input.Output() {
		taken[c.ID] = true
		below.Exprs = append(below.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
	}
	var keys []logical.SortKey
	for i, g := range agg.GroupBy {
		key := g.Column
		if !taken[key.ID] {
			below.Exprs = append(below.Exprs, g)
			agg.Input = below
		}
		agg.GroupBy[i].Expr = key.Ref()
		key.NotNull = false
		agg.GroupBy[i].Column = key
		is := logical.AggregateExpr{Name: "grouping", Args: []logical.Expr{agg.GroupBy[i].Expr}}
		is.Column = l.newColumn("grouping", types.TypeInt64, true)
		agg.Aggs = append(agg.Aggs, is)
		s.grouping[key.ID] = is.Column
		keys = append(keys, logical.SortKey{Expr: is.Column.Ref()}, logical.SortKey{Expr: key.Ref()})
	}
	for text, c := range s.computed {
		c.NotNull = false
		s.computed[text] = c
	}
	for i, c := range s.cols {
		if _, ok := s.grouping[c.col.ID]; ok {
			s.cols[i].col.NotNull = false
		}
	}
	if len(documents) == 0 {
		return &logical.Sort{Input: agg, Keys: keys}, nil
	}
	above := &logical.Project{Input: agg}
	for _, c := range agg.Output() {
		above.Exprs = append(above.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
	}
	for i := range s.cols {
		if a := s.cols[i].average; a != nil {
			a.above = above
		}
	}
	for _, d := range documents {
		is := s.grouping[d.key.ID]
		s.grouping[d.shown.ID] = is
		shown, err := bindCall([]logical.Expr{is.Ref(), &logical.Literal{T: d.shown.Type}, d.any.Ref()}, "if")
		if err != nil {
			return nil, err
		}
		above.Exprs = append(above.Exprs, logical.NamedExpr{Column: d.shown, Expr: shown})
	}
	return &logical.Sort{Input: above, Keys: keys}, nil
}

// groupingOf lowers GROUPING(a, b), a number with one bit for each key.
func (l *lowerer) groupingOf(e *groupingMark, s *scope) (logical.Expr, error) {
	var bits logical.Expr = intLiteral(0)
	for _, o := range e.operands {
		key, err := l.expr(o, s)
		if err != nil {
			return nil, err
		}
		c, ok := key.(*logical.Column)
		var is logical.OutputColumn
		for in := s; in != nil && ok && is.ID == 0; in = in.outer {
			is = in.grouping[c.ID]
		}
		if is.ID == 0 {
			return nil, sqlerror.Userf(sqlerror.CodeSyntax, "the argument of GROUPING(%s) is no key of a GROUP BY … WITH ROLLUP", o)
		}
		if bits, err = bindCall([]logical.Expr{bits, intLiteral(2)}, "*"); err != nil {
			return nil, err
		}
		if bits, err = bindCall([]logical.Expr{bits, is.Ref()}, "+"); err != nil {
			return nil, err
		}
	}
	return bits, nil
}

func (l *lowerer) groupOutput(e gms.Expression, in *scope, agg *logical.Aggregate, grouped map[logical.ColumnID]bool) (boundColumn, error) {
	if f, ok := e.(*expression.GetField); ok {
		c, ok := in.resolve(f)
		if !ok {
			return boundColumn{}, l.unresolved(f)
		}
		if grouped[c.col.ID] || !in.owns(c) {
			return c, nil
		}
		// A stream is refused for its grouping, whatever it groups by.
		strict := !l.continuous && gms.LoadSqlMode(l.ctx).ModeEnabled(gms.OnlyFullGroupBy)
		any := logical.AggregateExpr{Name: "any_value", Args: []logical.Expr{c.col.Ref()}}
		any.Column = l.newColumn(c.name, c.col.Type, false)
		agg.Aggs = append(agg.Aggs, any)
		c.col, c.ungrouped = any.Column, strict
		return c, nil
	}
	f, ok := e.(gms.WindowAdaptableExpression)
	if !ok {
		return boundColumn{}, unsupported("%s beside aggregates", e)
	}
	a, err := l.aggregate(f, in)
	if err != nil {
		return boundColumn{}, err
	}
	agg.Aggs = append(agg.Aggs, a)
	b := boundColumn{id: f.Id(), name: e.String(), col: a.Column}
	if t := a.Column.Type; a.Name == "avg" && t.Kind == types.Decimal && t.Precision < types.MaxDecimalPrecision {
		b.average = &average{of: a, agg: agg}
	}
	return b, nil
}

// average is an exact AVG. MySQL computes with more digits of it than it shows, as
// with those of any quotient.
type average struct {
	of       logical.AggregateExpr
	agg      *logical.Aggregate
	above    *logical.Project // passes on what agg gives; nil if there is none
	quotient logical.Expr     // nil until it is asked for
}

// operand lowers what a function computes with.
func (l *lowerer) operand(e gms.Expression, s *scope) (logical.Expr, error) {
	if f, ok := e.(*expression.GetField); ok {
		if c, ok := s.resolve(f); ok && c.average != nil {
			return l.quotientOf(c.average)
		}
	}
	return l.expr(e, s)
}

// quotientOf is an AVG as the sum by the count.
func (l *lowerer) quotientOf(a *average) (logical.Expr, error) {
	if a.quotient != nil {
		return a.quotient, nil
	}
	var parts []logical.Expr
	for _, name := range []string{"sum", "count"} {
		t, err := aggregateType(name, a.of.Args)
		if err != nil {
			return nil, err
		}
		part := logical.AggregateExpr{Name: name, Args: a.of.Args, Distinct: a.of.Distinct}
		part.Column = l.newColumn(part.String(), t, name == "count")
		a.agg.Aggs = append(a.agg.Aggs, part)
		if a.above != nil {
			a.above.Exprs = append(a.above.Exprs, logical.NamedExpr{Column: part.Column, Expr: part.Column.Ref()})
		}
		parts = append(parts, part.Column.Ref())
	}
	quotient, err := bindCall(parts, "/")
	if call, ok := quotient.(*logical.Call); ok && call.T.Scale == a.of.Column.Type.Scale {
		call.T = a.of.Column.Type // which is wide enough, and leaves room for products
	}
	a.quotient = quotient
	return quotient, err
}

// owns reports whether the column is of the scope itself and not of an outer one.
func (s *scope) owns(b boundColumn) bool {
	for _, c := range s.cols {
		if c.col.ID == b.col.ID {
			return true
		}
	}
	return false
}

var aggregateNames = map[string]string{
	"count": "count", "sum": "sum", "avg": "avg", "min": "min", "max": "max",
	"any_value": "any_value", "anyvalue": "any_value", "first": "first", "last": "last",
	"bit_and": "bit_and", "bitand": "bit_and", "bit_or": "bit_or", "bitor": "bit_or",
	"bit_xor": "bit_xor", "bitxor": "bit_xor",
	"stddevpop": "stddev_pop", "stddevsamp": "stddev_samp", "varpop": "var_pop", "varsamp": "var_samp",
	"jsonarray": "json_arrayagg",
}

func (l *lowerer) aggregate(e gms.WindowAdaptableExpression, in *scope) (logical.AggregateExpr, error) {
	a := logical.AggregateExpr{}
	var operands []gms.Expression
	switch e := e.(type) {
	case *aggregation.GroupConcat:
		return l.groupConcat(e, in)
	case *aggregation.CountDistinct:
		a.Name, a.Distinct, operands = "count", true, e.Children()
	default:
		name, ok := aggregateName(e)
		if !ok {
			return a, unsupported("the aggregate function %s", e)
		}
		a.Name, operands = name, e.Children()
		if w := e.Window(); w != nil { // they follow the operands
			operands = operands[:len(operands)-len(w.ToExpressions())]
		}
	}
	if len(operands) == 1 {
		if d, ok := operands[0].(*expression.DistinctExpression); ok {
			a.Distinct, operands = true, d.Children()
		}
	}
	// COUNT(*) is bound as COUNT(1).
	if lit, ok := single(operands).(*expression.Literal); a.Name == "count" && !a.Distinct && ok && lit.Value() != nil {
		operands = nil
	}
	if a.Distinct || a.Name == "min" || a.Name == "max" {
		if err := l.bytesOnly(strings.ToUpper(a.Name), in, operands...); err != nil {
			return a, err
		}
	}
	for _, o := range operands {
		arg, err := l.expr(o, in)
		if err != nil {
			return a, err
		}
		if a.Distinct && a.Name == "count" && arg.Type().Kind == types.JSON {
			arg = jsonOrder(arg)
		}
		a.Args = append(a.Args, arg)
	}
	t, err := aggregateType(a.Name, a.Args)
	if err != nil {
		return a, err
	}
	a.Column = l.newColumn(a.String(), t, a.Name == "count")
	if a.Name == "sum" || a.Name == "avg" {
		a.Args[0] = allDigits(a.Args[0])
	}
	return a, nil
}

// allDigits is a DECIMAL with those digits that MySQL sums of it: of a quotient more
// than its type tells (see kernel.Rounded).
func allDigits(e logical.Expr) logical.Expr {
	if !logical.HasQuotient(e) {
		return e
	}
	return &logical.Cast{Arg: e, T: kernel.WithScale(e.Type(), fullScale(e)), Null: e.Nullable(), Implicit: true}
}

// fullScale is how many digits behind the point a DECIMAL is computed with.
func fullScale(e logical.Expr) int {
	most := e.Type().Scale
	scales := func(of []logical.Expr) (scales []int) {
		for _, child := range of {
			if child.Type().Kind == types.Decimal {
				scales = append(scales, fullScale(child))
			}
		}
		return scales
	}
	if c, ok := e.(*logical.Call); ok && len(c.Args) == 2 && c.Func.Infix {
		if s := scales(c.Args); len(s) == 2 {
			switch c.Func.Name {
			case "/":
				return kernel.DivisionScale(s[0], s[1])
			case "*":
				return s[0] + s[1]
			}
		}
	}
	for _, s := range scales(e.Children()) {
		most = max(most, s)
	}
	return most
}

func single(list []gms.Expression) gms.Expression {
	if len(list) == 1 {
		return list[0]
	}
	return nil
}

func aggregateName(e gms.Expression) (string, bool) {
	f, ok := e.(gms.FunctionExpression)
	if !ok {
		return "", false
	}
	name, ok := aggregateNames[strings.ToLower(f.FunctionName())]
	return name, ok
}

// aggregateType is MySQL's: sums and averages of exact numbers are exact.
func aggregateType(name string, args []logical.Expr) (types.Type, error) {
	var t types.Type
	if len(args) > 0 {
		t = args[0].Type()
	}
	switch name {
	case "count":
		return types.TypeInt64, nil
	case "sum", "avg":
		precision, scale, exact := digits(t)
		switch {
		case !exact:
			return types.TypeFloat64, nil
		case name == "sum": // what does not fit in front of the point is an error
			return types.NewDecimal(min(precision+22, types.MaxDecimalPrecision), scale), nil
		}
		return capDecimal(precision+4, min(scale+4, 30)), nil
	case "min", "max", "any_value", "first", "last":
		return t, nil
	case "bit_and", "bit_or", "bit_xor":
		return types.TypeUint64, nil
	case "stddev_pop", "stddev_samp", "var_pop", "var_samp":
		return types.TypeFloat64, nil
	case "json_arrayagg":
		return types.TypeJSON, nil
	}
	return types.Type{}, fmt.Errorf("no type for aggregate %s", name)
}

// digits are the decimal digits that MySQL reckons for an exact number.
func digits(t types.Type) (precision, scale int, exact bool) {
	switch t.Kind {
	case types.Bool:
		return 1, 0, true
	case types.Int8, types.Uint8:
		return 3, 0, true
	case types.Int16, types.Uint16:
		return 5, 0, true
	case types.Int32, types.Uint32:
		return 10, 0, true
	case types.Int64:
		return 19, 0, true
	case types.Uint64:
		return 20, 0, true
	case types.Decimal:
		return t.Precision, t.Scale, true
	}
	return 0, 0, false
}

// groupConcat reads the parts of a GROUP_CONCAT that the engine keeps to itself
// off its text, which is put together from those of the operands.
func (l *lowerer) groupConcat(e *aggregation.GroupConcat, in *scope) (logical.AggregateExpr, error) {
	children := e.Children() // those of ORDER BY first
	for keys := len(children) - 1; keys >= 0; keys-- {
		a, ok := groupConcatParts(e.String(), children[keys:], children[:keys])
		if !ok {
			continue
		}
		var err error
		if a.Args, err = l.exprs(children[keys:], in); err != nil {
			return a, err
		}
		for i := range a.OrderBy {
			if a.OrderBy[i].Expr, err = l.sortable(children[i], in); err != nil {
				return a, err
			}
		}
		a.Column = l.newColumn(a.String(), types.TypeText, false)
		return a, nil
	}
	return logical.AggregateExpr{}, unsupported("%s", e)
}

// groupConcatParts takes "group_concat(distinct a, b order by c DESC separator
// ',')" apart, given how its operands and its sort keys print.
func groupConcatParts(text string, operands, keys []gms.Expression) (logical.AggregateExpr, bool) {
	a := logical.AggregateExpr{Name: "group_concat"}
	rest, ok := strings.CutPrefix(text, "group_concat(")
	if !ok {
		return a, false
	}
	if after, ok := strings.CutPrefix(rest, "distinct distinct"); ok {
		a.Distinct, rest = true, strings.TrimLeft(after, " ")
	}
	before := ""
	for _, o := range operands {
		if rest, ok = strings.CutPrefix(rest, before+o.String()); !ok {
			return a, false
		}
		before = ", "
	}
	before = " order by "
	for _, k := range keys {
		if rest, ok = strings.CutPrefix(rest, before+k.String()+" "); !ok {
			return a, false
		}
		ascending, isAscending := strings.CutPrefix(rest, "ASC")
		descending, isDescending := strings.CutPrefix(rest, "DESC")
		switch {
		case isAscending:
			rest = ascending
		case isDescending:
			rest = descending
		default:
			return a, false
		}
		a.OrderBy = append(a.OrderBy, logical.SortKey{Desc: isDescending})
		before = ", "
	}
	if rest, ok = strings.CutPrefix(rest, " separator '"); !ok {
		return a, false
	}
	a.Separator, ok = strings.CutSuffix(rest, "')")
	return a, ok
}

// window lowers window functions; the columns of the input stay beside them.
func (l *lowerer) window(n *plan.Window, outer *scope) (logical.Node, *scope, error) {
	child, in, err := l.node(n.Child, outer)
	if err != nil {
		return nil, nil, err
	}
	in = in.within(outer)
	w := &logical.Window{Input: child}
	s := &scope{outer: outer}
	for _, e := range n.SelectExprs {
		if f, ok := e.(*expression.GetField); ok {
			c, ok := in.resolve(f)
			if !ok {
				return nil, nil, l.unresolved(f)
			}
			s.cols = append(s.cols, c)
			continue
		}
		f, ok := e.(gms.WindowAdaptableExpression)
		if !ok || f.Window() == nil {
			return nil, nil, unsupported("%s beside window functions", e)
		}
		x, err := l.windowFunction(f, in)
		if err != nil {
			return nil, nil, err
		}
		w.Exprs = append(w.Exprs, x)
		s.cols = append(s.cols, boundColumn{id: f.Id(), name: e.String(), col: x.Column})
	}
	return w, s, nil
}

func (l *lowerer) windowFunction(e gms.WindowAdaptableExpression, in *scope) (logical.WindowExpr, error) {
	x := logical.WindowExpr{}
	var t types.Type
	var err error
	notNull := true
	switch e := e.(type) {
	case *windowCall:
		t = types.TypeFloat64
		if e.name == ntile {
			t = types.TypeUint64
			x.Args, err = l.exprs(e.operands, in)
		} else if len(e.operands) > 0 {
			notNull = false
			if x.Args, err = l.exprs(e.operands, in); err == nil {
				t = x.Args[0].Type()
			}
		}
	case *window.RowNumber, *window.Rank, *window.DenseRank:
		t = types.TypeUint64
	case *window.PercentRank:
		t = types.TypeFloat64
	case *window.FirstValue, *window.LastValue:
		notNull = false
		if x.Args, err = l.exprs(operandsOf(e), in); err == nil {
			t = x.Args[0].Type()
		}
	case *window.Lag, *window.Lead:
		notNull = false
		if x.Args, err = l.offsetFunction(e, in); err == nil {
			t = x.Args[0].Type()
		}
	default:
		var a logical.AggregateExpr
		if a, err = l.aggregate(e, in); err == nil {
			x.Args, x.Distinct, t, notNull = a.Args, a.Distinct, a.Column.Type, a.Column.NotNull
			if len(a.OrderBy) > 0 || a.Name == "group_concat" {
				err = unsupported("%s", e)
			}
			x.Name = a.Name
		}
	}
	if err != nil {
		return x, err
	}
	if x.Name == "" {
		x.Name = strings.ToLower(e.(gms.FunctionExpression).FunctionName())
	}
	def := e.Window()
	if err := l.bytesOnly("PARTITION BY", in, def.PartitionBy...); err != nil {
		return x, err
	}
	if x.PartitionBy, err = l.exprs(def.PartitionBy, in); err != nil {
		return x, err
	}
	if x.OrderBy, err = l.sortKeys(def.OrderBy, in); err != nil {
		return x, err
	}
	if def.Frame != nil {
		if x.Frame, err = frameOf(def.Frame); err != nil {
			return x, err
		}
	}
	x.Column = l.newColumn(x.String(), t, notNull)
	return x, nil
}

// frameOf spells a window frame. (The engine's own text is wrong where one end is
// unbounded.)
func frameOf(f gms.WindowFrame) (string, error) {
	unit := "ROWS"
	if strings.HasPrefix(f.String(), "RANGE") {
		unit = "RANGE"
	}
	var failed error
	bound := func(e gms.Expression, direction string) string {
		interval := ""
		if i, ok := e.(*expression.Interval); ok {
			e, interval = i.Child, strings.ToUpper(i.Unit)
		}
		lit, ok := e.(*expression.Literal)
		n, err := int64(0), error(nil)
		if ok {
			n, err = strconv.ParseInt(fmt.Sprint(lit.Value()), 10, 64)
		}
		if !ok || err != nil || n < 0 {
			failed = sqlerror.Userf(sqlerror.CodeUnsupported, "the window frame %s is not supported", f).WithHint("write whole numbers, as in INTERVAL 7 DAY PRECEDING")
			return ""
		}
		if n == unboundedFrame {
			return "UNBOUNDED " + direction
		}
		if interval != "" {
			return fmt.Sprintf("INTERVAL %d %s %s", n, interval, direction)
		}
		return fmt.Sprint(n, " ", direction)
	}
	from, to := "CURRENT ROW", "CURRENT ROW"
	switch {
	case f.UnboundedPreceding():
		from = "UNBOUNDED PRECEDING"
	case f.StartNPreceding() != nil:
		from = bound(f.StartNPreceding(), "PRECEDING")
	case f.StartNFollowing() != nil:
		from = bound(f.StartNFollowing(), "FOLLOWING")
	}
	switch {
	case f.UnboundedFollowing():
		to = "UNBOUNDED FOLLOWING"
	case f.EndNPreceding() != nil:
		to = bound(f.EndNPreceding(), "PRECEDING")
	case f.EndNFollowing() != nil:
		to = bound(f.EndNFollowing(), "FOLLOWING")
	}
	return unit + " BETWEEN " + from + " AND " + to, failed
}

// operandsOf are the operands of a pure window function, which the engine lists
// behind those of its OVER clause.
func operandsOf(e gms.WindowAdaptableExpression) []gms.Expression {
	return e.Children()[len(e.Window().ToExpressions()):]
}

func (l *lowerer) exprs(list []gms.Expression, s *scope) ([]logical.Expr, error) {
	var out []logical.Expr
	for _, e := range list {
		lowered, err := l.expr(e, s)
		if err != nil {
			return nil, err
		}
		out = append(out, lowered)
	}
	return out, nil
}

// offsetFunction gives LAG and LEAD their operands back: the value, the offset,
// which the engine keeps to itself but prints, and the default if there is one.
func (l *lowerer) offsetFunction(e gms.WindowAdaptableExpression, in *scope) ([]logical.Expr, error) {
	operands := operandsOf(e)
	name := strings.ToLower(e.(gms.FunctionExpression).FunctionName())
	rest, ok := strings.CutPrefix(e.String(), name+"("+operands[0].String()+", ")
	end := strings.IndexAny(rest, ",)")
	if !ok || end < 0 {
		return nil, unsupported("%s", e)
	}
	offset, err := strconv.ParseInt(rest[:end], 10, 64)
	if err != nil {
		return nil, unsupported("%s", e)
	}
	args, err := l.exprs(operands, in)
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return []logical.Expr{args[0], intLiteral(offset)}, nil
	}
	t := args[0].Type()
	if both := commonType(args...); both.Kind != t.Kind || both.Scale != t.Scale {
		t = both
	}
	return []logical.Expr{coerce(args[0], t), intLiteral(offset), coerce(args[1], t)}, nil
}
