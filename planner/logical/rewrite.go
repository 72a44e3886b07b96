package logical

// MapExprs is the node with f applied to every expression it evaluates; the
// node itself where f changes none.
func MapExprs(n Node, f func(Expr) Expr) Node {
	changed := false
	apply := func(e Expr) Expr {
		if e == nil {
			return nil
		}
		m := f(e)
		changed = changed || m != e
		return m
	}
	exprs := func(list []Expr) []Expr {
		out := make([]Expr, len(list))
		for i, e := range list {
			out[i] = apply(e)
		}
		return out
	}
	named := func(list []NamedExpr) []NamedExpr {
		out := make([]NamedExpr, len(list))
		for i, e := range list {
			out[i] = NamedExpr{e.Column, apply(e.Expr)}
		}
		return out
	}
	keys := func(list []SortKey) []SortKey {
		out := make([]SortKey, len(list))
		for i, k := range list {
			out[i] = SortKey{apply(k.Expr), k.Desc}
		}
		return out
	}
	var mapped Node
	switch n := n.(type) {
	case *Scan:
		c := *n
		c.Filter = exprs(n.Filter)
		mapped = &c
	case *Filter:
		mapped = &Filter{Input: n.Input, Predicate: apply(n.Predicate)}
	case *Project:
		mapped = &Project{Input: n.Input, Exprs: named(n.Exprs)}
	case *Flatten:
		c := *n
		c.Data = apply(n.Data)
		mapped = &c
	case *Aggregate:
		c := &Aggregate{Input: n.Input, GroupBy: named(n.GroupBy), Rollup: n.Rollup}
		for _, a := range n.Aggs {
			a.Args, a.OrderBy = exprs(a.Args), keys(a.OrderBy)
			c.Aggs = append(c.Aggs, a)
		}
		mapped = c
	case *Join:
		c := *n
		c.On = apply(n.On)
		mapped = &c
	case *Sort:
		mapped = &Sort{Input: n.Input, Keys: keys(n.Keys)}
	case *Window:
		c := &Window{Input: n.Input}
		for _, w := range n.Exprs {
			w.Args, w.PartitionBy, w.OrderBy = exprs(w.Args), exprs(w.PartitionBy), keys(w.OrderBy)
			c.Exprs = append(c.Exprs, w)
		}
		mapped = c
	case *Values:
		c := &Values{Columns: n.Columns}
		for _, row := range n.Rows {
			c.Rows = append(c.Rows, exprs(row))
		}
		mapped = c
	}
	if !changed {
		return n
	}
	return mapped
}

// TransformPlan rebuilds a plan from the leaves up with f applied to each node,
// subqueries within expressions included.
func TransformPlan(n Node, f func(Node) Node) Node {
	inputs := n.Inputs()
	var changed []Node
	for i, in := range inputs {
		if m := TransformPlan(in, f); m != in {
			if changed == nil {
				changed = append([]Node(nil), inputs...)
			}
			changed[i] = m
		}
	}
	if changed != nil {
		n = n.WithInputs(changed)
	}
	n = MapExprs(n, func(e Expr) Expr {
		return Transform(e, func(e Expr) Expr {
			s, ok := e.(*Subquery)
			if !ok {
				return e
			}
			if p := TransformPlan(s.Plan, f); p != s.Plan {
				c := *s
				c.Plan = p
				return &c
			}
			return e
		})
	})
	return f(n)
}

// Substitute replaces references to columns by expressions.
func Substitute(e Expr, by map[ColumnID]Expr) Expr {
	if len(by) == 0 {
		return e
	}
	sub := func(e Expr) Expr {
		if c, ok := e.(*Column); ok {
			if r, ok := by[c.ID]; ok {
				return r
			}
		}
		return e
	}
	return Transform(e, func(e Expr) Expr {
		if s, ok := e.(*Subquery); ok {
			plan := TransformPlan(s.Plan, func(n Node) Node {
				return MapExprs(n, func(e Expr) Expr { return Transform(e, sub) })
			})
			if plan != s.Plan {
				c := *s
				c.Plan = plan
				return &c
			}
			return e
		}
		return sub(e)
	})
}

// References adds the columns that e reads to set; columns that a subquery
// within e reads are among them.
func References(e Expr, set map[ColumnID]bool) {
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *Column:
			set[e.ID] = true
		case *Subquery:
			planReferences(e.Plan, set)
		}
		return true
	})
}

func planReferences(n Node, set map[ColumnID]bool) {
	for _, e := range Exprs(n) {
		References(e, set)
	}
	for _, in := range n.Inputs() {
		planReferences(in, set)
	}
}

// IsVolatile reports whether evaluating e twice may give two results.
func IsVolatile(e Expr) bool {
	volatile := false
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *Call:
			volatile = volatile || e.Func.Volatile
		case *RowFunc:
			volatile = volatile || e.Volatile
		}
		return !volatile
	})
	return volatile
}
