package planner

import (
	"slices"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// predicates are the filters right above the scan of a source that compare a
// column with constants, in the order in which they are evaluated. The filters
// stay: a source need not heed predicates.
func predicates(root logical.Node) []connectors.Predicate {
	var filters []logical.Expr
	for n := root; ; n = n.Inputs()[0] {
		switch n := n.(type) {
		case *logical.Filter:
			filters = append(filters, n.Predicate)
		case *logical.Scan:
			var out []connectors.Predicate
			for _, e := range slices.Backward(filters) {
				out = append(out, predicatesOf(n, e)...)
			}
			return out
		default:
			filters = nil
			if len(n.Inputs()) != 1 {
				return nil
			}
		}
	}
}

var comparisons = map[string]connectors.PredicateOp{
	"=": connectors.OpEqual, "in": connectors.OpEqual,
	"<": connectors.OpLess, "<=": connectors.OpLessEqual, ">": connectors.OpGreater, ">=": connectors.OpGreaterEqual,
	"is null": connectors.OpIsNull, "is not null": connectors.OpIsNotNull,
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// predicatesOf are the predicates that together say what e says; none where e
// is no comparison of a column of the scan with constants.
func predicatesOf(scan *logical.Scan, e logical.Expr) []connectors.Predicate {
	call, ok := e.(*logical.Call)
	if !ok {
		return nil
	}
	name, args := call.Func.Name, call.Args
	if name == "and" {
		var out []connectors.Predicate
		for _, a := range args {
			out = append(out, predicatesOf(scan, a)...)
		}
		return out
	}
	if len(args) == 2 && mirrored[name] != "" {
		if _, ok := args[0].(*logical.Literal); ok {
			name, args = mirrored[name], []logical.Expr{args[1], args[0]}
		}
	}
	if len(args) == 0 {
		return nil
	}
	ref, ok := args[0].(*logical.Column)
	if !ok || scan.Path(ref.ID) != nil {
		return nil
	}
	at := slices.IndexFunc(scan.Columns, func(c logical.OutputColumn) bool { return c.ID == ref.ID })
	if at < 0 {
		return nil
	}
	c := scan.Columns[at]
	p := connectors.Predicate{Column: types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}, Text: e.String()}
	for _, a := range args[1:] {
		l, ok := a.(*logical.Literal)
		switch {
		case !ok:
			return nil
		case l.Value == nil && name == "in":
		case l.Value == nil || !comparable(c.Type, l.T):
			return nil
		default:
			p.Values = append(p.Values, l.Value)
		}
	}
	if name == "between" && len(p.Values) == 2 {
		low, high := p, p
		low.Op, low.Values = connectors.OpGreaterEqual, p.Values[:1]
		high.Op, high.Values = connectors.OpLessEqual, p.Values[1:]
		return []connectors.Predicate{low, high}
	}
	p.Op, ok = comparisons[name]
	if !ok || len(p.Values) == 0 && p.Op != connectors.OpIsNull && p.Op != connectors.OpIsNotNull {
		return nil
	}
	return []connectors.Predicate{p}
}

// comparable reports whether values of a column are compared with constants of a
// type as they are, without a conversion of either.
func comparable(column, constant types.Type) bool {
	if constant.Kind == types.Null {
		return false
	}
	switch column.Kind {
	case types.Decimal:
		return constant.Kind == types.Decimal || constant.Kind.IsInteger()
	case types.Float64, types.Date, types.DateTime, types.Timestamp, types.String:
		return constant.Kind == column.Kind
	}
	return column.Kind.IsInteger() && constant.Kind.IsInteger()
}
