package logical

import "github.com/leatdb/leat/sql/types"

// ScansInAnyOrder finds the scans of a plan whose rows may come in any order
// without another result: they are grouped, counted or made distinct before anyone
// could tell. Sums of doubles are no such thing, since the last digits depend on
// the order.
func ScansInAnyOrder(root Node) map[*Scan]bool {
	scans := map[*Scan]bool{}
	findScansInAnyOrder(root, false, scans)
	return scans
}

// findScansInAnyOrder adds the scans below n, whose rows may come in any order where
// free is set.
func findScansInAnyOrder(n Node, free bool, scans map[*Scan]bool) {
	if !sameForRow(n) {
		free = false
	}
	switch n := n.(type) {
	case *Scan:
		if free {
			scans[n] = true
		}
		return
	case *Aggregate:
		free = sameForRow(n)
		for _, a := range n.Aggs {
			free = free && a.isOrderless()
		}
	case *Distinct:
		free = true
	case *SetOp:
		free = free || !n.All
	case *Filter, *Project, *Flatten, *Join, *Sort:
	default: // a LIMIT takes the first, and a window function may count them
		free = false
	}
	for _, input := range n.Inputs() {
		findScansInAnyOrder(input, free, scans)
	}
}

// isOrderless reports whether the aggregate is the same for values in any order.
func (a *AggregateExpr) isOrderless() bool {
	switch a.Name {
	case "count", "min", "max", "bit_and", "bit_or", "bit_xor":
		return true
	case "sum", "avg":
		return len(a.Args) == 1 && (a.Args[0].Type().Kind.IsInteger() || a.Args[0].Type().Kind == types.Decimal)
	}
	return false
}

// sameForRow reports whether all that a node computes of a row depends on nothing
// but that row.
func sameForRow(n Node) bool {
	same := true
	for _, e := range Exprs(n) {
		same = same && !IsVolatile(e)
		Walk(e, func(e Expr) bool {
			switch e.(type) {
			case *RowFunc, *Subquery:
				same = false
			}
			return same
		})
	}
	return same
}
