package kernel

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/sql/types"
)

// When is one arm of a Case.
type When struct{ Cond, Then Expr }

// choice is CASE: each row takes the value of the first arm whose condition is
// TRUE. Conditions are evaluated for rows that are still open, values for the
// rows that take them; what would fail elsewhere does not matter.
type choice struct {
	whens    []When
	fallback Expr // nil for NULL
	t        types.Type
}

// Case is CASE WHEN … THEN … ELSE … END; without an else (nil) it is NULL. All
// values have been cast to one type; untyped NULLs may stand among them.
func Case(whens []When, fallback Expr) Expr {
	c := &choice{fallback: fallback}
	for _, w := range whens {
		c.whens = append(c.whens, When{truth(w.Cond), w.Then})
		c.t = typedFirst(c.t, w.Then.Type())
	}
	if fallback != nil {
		c.t = typedFirst(c.t, fallback.Type())
	}
	branches := []Expr{fallback}
	for _, w := range whens {
		branches = append(branches, w.Then)
	}
	full, ok := unroundedBranches(c.t, branches...)
	if !ok {
		return c
	}
	wide := &choice{fallback: full[0]}
	if fallback != nil {
		wide.t = full[0].Type()
	}
	for i, w := range c.whens {
		wide.whens = append(wide.whens, When{w.Cond, full[i+1]})
		wide.t = typedFirst(full[i+1].Type(), wide.t)
	}
	return &rounded{Cast(wide, c.t), wide}
}

func typedFirst(t, u types.Type) types.Type {
	if t.Kind == types.Null {
		return u
	}
	return t
}

// If is IF(cond, then, otherwise).
func If(cond, then, otherwise Expr) Expr {
	return Case([]When{{cond, then}}, otherwise)
}

// Coalesce is the first argument that is not NULL; later ones are not evaluated
// for the row.
func Coalesce(args ...Expr) Expr {
	c := &coalesce{args: args}
	for _, a := range args {
		c.t = typedFirst(c.t, a.Type())
	}
	full, ok := unroundedBranches(c.t, args...)
	if !ok {
		return c
	}
	wide := &coalesce{args: full}
	for _, a := range full {
		wide.t = typedFirst(wide.t, a.Type())
	}
	return &rounded{Cast(wide, c.t), wide}
}

// NullIf is NULL where equal (the comparison of value with the other argument)
// is TRUE, else value.
func NullIf(value, equal Expr) Expr {
	return Case([]When{{equal, nullConstant(value.Type())}}, value)
}

func (c *choice) Type() types.Type { return c.t }

func (c *choice) Eval(ctx *Context, in *Batch) (Vector, error) {
	open := ctx.scratch.takeWords(wordCount(in.Rows))
	hit := ctx.scratch.takeWords(wordCount(in.Rows))
	defer ctx.scratch.giveWords(open)
	defer ctx.scratch.giveWords(hit)
	openRows(open, in)

	m := newMerge(ctx, c.t, in.Rows)
	defer m.close()
	var errs *Errors
	batch := *in
	for _, w := range c.whens {
		if !anySet(open, in.Rows) {
			break
		}
		sel := appendSet(ctx.scratch.takeSelection(), open, in.Rows)
		batch.Sel = sel
		cond, err := w.Cond.Eval(ctx, &batch)
		ctx.scratch.giveSelection(sel)
		if err != nil {
			return Vector{}, err
		}
		// A row whose condition fails is settled: it takes no value.
		failed := cond.Errors.keep(in.Rows, func(i int) bool { return wordBit(open, i) })
		errs = errs.merge(failed)
		value, valid := boolsOrNull(cond)
		for k := range hit {
			hit[k] = value.word(k) & valid.word(k) & open[k]
			open[k] &^= hit[k]
		}
		cond.Release()
		if failed.Len() < 0 {
			clear(hit)
			clear(open)
		}
		for _, i := range failed.Rows() {
			hit[i>>6] &^= 1 << (i & 63)
			open[i>>6] &^= 1 << (i & 63)
		}
		if err := m.branch(w.Then, in, hit); err != nil {
			return Vector{}, err
		}
	}
	if c.fallback != nil {
		if err := m.branch(c.fallback, in, open); err != nil {
			return Vector{}, err
		}
	}
	v, err := m.finish()
	v.Errors = errs.merge(v.Errors)
	return v, err
}

// openRows marks the rows of the batch that matter.
func openRows(open []uint64, in *Batch) {
	if in.Sel == nil {
		fillWords(open, ^uint64(0))
		if len(open) > 0 {
			open[len(open)-1] = lastWord(in.Rows)
		}
		return
	}
	clear(open)
	for _, i := range in.Sel {
		setBit(open, int(i))
	}
}

// coalesce gives each row its first value that is not NULL.
type coalesce struct {
	args []Expr
	t    types.Type
}

func (c *coalesce) Type() types.Type { return c.t }

func (c *coalesce) Eval(ctx *Context, in *Batch) (Vector, error) {
	open := ctx.scratch.takeWords(wordCount(in.Rows))
	hit := ctx.scratch.takeWords(wordCount(in.Rows))
	defer ctx.scratch.giveWords(open)
	defer ctx.scratch.giveWords(hit)
	openRows(open, in)

	m := newMerge(ctx, c.t, in.Rows)
	defer m.close()
	for nth, a := range c.args {
		if !anySet(open, in.Rows) {
			break
		}
		batch := *in
		if nth > 0 {
			sel := appendSet(ctx.scratch.takeSelection(), open, in.Rows)
			defer ctx.scratch.giveSelection(sel)
			batch.Sel = sel
		}
		v, err := a.Eval(ctx, &batch)
		if err != nil {
			return Vector{}, err
		}
		if nth == 0 && v.Array.NullN() == 0 {
			return v, nil
		}
		v.Errors = v.Errors.keep(in.Rows, func(i int) bool { return wordBit(open, i) })
		valid := validsOf(v)
		for k := range hit {
			hit[k] = valid.word(k) & open[k]
			open[k] &^= hit[k]
		}
		// A row that fails is settled.
		for _, i := range v.Errors.Rows() {
			open[i>>6] &^= 1 << (i & 63)
		}
		if v.Errors.Len() < 0 {
			clear(open)
		}
		if err := m.take(v, hit); err != nil {
			return Vector{}, err
		}
	}
	return m.finish()
}

// merge puts a column together from vectors that each give some of its rows.
type merge struct {
	frame
	parts []Vector
	// part is which of the parts gives a row, from 1; 0 is NULL.
	part  []uint16
	words []uint64 // part's memory
}

// maxParts is how many branches a merge can tell apart.
const maxParts = math.MaxUint16

func newMerge(ctx *Context, t types.Type, rows int) *merge {
	words := ctx.scratch.takeWords((rows + 3) / 4)
	clear(words)
	part := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))[:rows]
	return &merge{frame: frame{ctx: ctx, rows: rows, out: t}, part: part, words: words}
}

func (m *merge) close() {
	m.ctx.scratch.giveWords(m.words)
	for _, v := range m.parts {
		v.Release()
	}
}

// branch evaluates e for the rows that are set and takes its values for them.
func (m *merge) branch(e Expr, in *Batch, rows []uint64) error {
	sel := appendSet(m.ctx.scratch.takeSelection(), rows, in.Rows)
	defer func() { m.ctx.scratch.giveSelection(sel) }()
	if len(sel) == 0 {
		return nil
	}
	batch := Batch{Columns: in.Columns, Rows: in.Rows, Sel: sel}
	v, err := e.Eval(m.ctx, &batch)
	if err != nil {
		return err
	}
	v.Errors = v.Errors.keep(in.Rows, func(i int) bool { return wordBit(rows, i) })
	return m.take(v, rows)
}

// take takes over a vector, whose values are those of the rows that are set.
func (m *merge) take(v Vector, rows []uint64) error {
	m.errs = m.errs.merge(v.Errors)
	v.Errors = nil
	if v.Array.DataType().ID() == arrow.NULL {
		v.Release()
		return nil
	}
	err := v.decode(m.ctx)
	m.parts = append(m.parts, v)
	if err != nil {
		return err
	}
	if len(m.parts) > maxParts {
		return fmt.Errorf("evaluate a CASE of more than %d branches", maxParts)
	}
	if got, want := v.Array.DataType(), m.out.Arrow(); !arrow.TypeEqual(got, want) {
		return fmt.Errorf("branch of type %s in an expression of type %s", got, want)
	}
	number := uint16(len(m.parts))
	valid := validsOf(v)
	for k, w := range rows {
		w &= valid.word(k)
		if k == len(rows)-1 {
			w &= lastWord(m.rows)
		}
		part := m.part[k<<6:]
		if w == ^uint64(0) {
			part = part[:64]
			for i := range part {
				part[i] = number
			}
			continue
		}
		for i := 0; w != 0; i, w = i+1, w>>1 {
			part[i] |= number & -uint16(w&1) // no two parts give one row
		}
	}
	return nil
}

// finish makes the column.
func (m *merge) finish() (Vector, error) {
	if len(m.parts) == 0 {
		v := nullVector(m.ctx, m.out)
		v.Errors = m.errs
		return v, nil
	}
	m.valid = m.ctx.scratch.takeWords(wordCount(m.rows))
	for k := range m.valid {
		block := m.part[k<<6 : min(k<<6+64, m.rows)]
		var w uint64
		for _, p := range block {
			w >>= 1
			if p != 0 {
				w |= 1 << 63
			}
		}
		m.valid[k] = w >> (64 - len(block))
	}
	var err error
	switch m.out.Arrow().ID() {
	case arrow.BOOL:
		views := make([]bools, len(m.parts))
		for i, v := range m.parts {
			views[i] = boolsOf(v)
		}
		out := boolOut(&m.frame)
		for i, p := range m.part {
			if p != 0 && views[p-1].at(i) {
				setBit(out, i)
			}
		}
	case arrow.STRING, arrow.BINARY:
		views := make([]texts, len(m.parts))
		for i, v := range m.parts {
			views[i] = textsOf(v)
		}
		out := newTextOut(&m.frame)
		for i, p := range m.part {
			if p != 0 {
				out.start(i)
				out.buf = append(out.buf, views[p-1].at(i)...)
			}
		}
		err = out.finish()
	case arrow.DECIMAL128:
		mergeFixed[decimal128.Num](m)
	default:
		switch m.out.Arrow().(arrow.FixedWidthDataType).Bytes() {
		case 1:
			mergeFixed[int8](m)
		case 2:
			mergeFixed[int16](m)
		case 4:
			mergeFixed[int32](m)
		case 8:
			mergeFixed[int64](m)
		}
	}
	return m.frame.finish(err)
}

func mergeFixed[T any](m *merge) {
	views := make([]view[T], len(m.parts)+1)
	views[0] = view[T]{make([]T, 1), 0}
	for i, v := range m.parts {
		views[i+1] = viewOf[T](v)
	}
	out := fixedOut[T](&m.frame)
	for i, p := range m.part {
		out[i] = views[p].at(i)
	}
}
