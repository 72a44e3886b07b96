package kernel

// Shared is an expression that stands in several places of the steps over one
// batch: it is computed where it is needed first, and remembered as far as the
// Context is told to (Remember).
type Shared struct {
	Expr
	places int
}

// memo is what the shared expressions of a batch gave.
type memo struct {
	rows    int // that the step looks at; 0 while nothing is remembered
	vectors []remembered
}

type remembered struct {
	e *Shared
	v Vector
}

// Share makes an expression of which there may be another place, or nil where
// sharing does not pay or something may look at what the expression is made of.
func Share(e Expr) *Shared {
	switch e.(type) {
	case *call, *choice, *coalesce, *logic, *substringIndex:
		return &Shared{Expr: e, places: 1}
	}
	return nil
}

// Again notes that the expression stands in another place, too.
func (s *Shared) Again() { s.places++ }

// Remember lets shared expressions remember what they give for all of the rows
// that a step looks at, which the rows that it looks at somewhere within (those
// that reach a branch of CASE) are among, until Forget. Steps that only narrow
// the selection may follow each other before that.
func (c *Context) Remember(rows int) {
	if c.Warn == nil { // a warning comes as often as the value is needed
		c.memo.rows = rows
	}
}

// Forget ends what Remember began.
func (c *Context) Forget() {
	for i := range c.memo.vectors {
		c.memo.vectors[i].v.Release()
	}
	clear(c.memo.vectors)
	c.memo.vectors, c.memo.rows = c.memo.vectors[:0], 0
}

// Eval implements Expr.
func (s *Shared) Eval(ctx *Context, in *Batch) (Vector, error) {
	if s.places < 2 || ctx.memo.rows == 0 {
		return s.Expr.Eval(ctx, in)
	}
	for _, m := range ctx.memo.vectors {
		if m.e == s {
			m.v.Array.Retain()
			return m.v, nil
		}
	}
	v, err := s.Expr.Eval(ctx, in)
	rows := in.Rows
	if in.Sel != nil {
		rows = len(in.Sel)
	}
	// Failures belong to the one who asks.
	if err == nil && v.Errors == nil && rows == ctx.memo.rows {
		v.Array.Retain()
		ctx.memo.vectors = append(ctx.memo.vectors, remembered{s, v})
	}
	return v, err
}
