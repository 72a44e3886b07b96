package functiontest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// Now is the time of the step in all evaluations. East of Greenwich it is
// another day already.
var Now = time.Date(2024, 2, 29, 23, 34, 56, 789012000, time.UTC)

// Table is rows of a schema, with values as in a logical.Literal.
type Table struct {
	Schema types.Schema
	Rows   [][]any
}

// Batch makes a batch of the table, its text columns as dictionaries if wanted,
// with so many rows before those of the table, sliced off.
func (tab *Table) Batch(alloc memory.Allocator, dictionaries bool, before int) *kernel.Batch {
	batch := &kernel.Batch{Rows: len(tab.Rows)}
	for k, c := range tab.Schema {
		dt := c.Type.Arrow()
		dictionary := dictionaries && c.Type.Kind == types.String
		if dictionary {
			dt = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: dt}
		}
		b := array.NewBuilder(alloc, dt)
		for i := range before + len(tab.Rows) {
			v := any(nil)
			if i >= before {
				v = tab.Rows[i-before][k]
			} else if len(tab.Rows) > 0 {
				v = tab.Rows[(i*7)%len(tab.Rows)][k]
			}
			if err := kernel.AppendValue(b, v); err != nil {
				panic(fmt.Sprintf("column %s: %v", c.Name, err))
			}
		}
		arr := b.NewArray()
		b.Release()
		if before > 0 {
			whole := arr
			arr = array.NewSlice(whole, int64(before), int64(whole.Len()))
			whole.Release()
		}
		batch.Columns = append(batch.Columns, arr)
	}
	return batch
}

// Release frees a batch.
func Release(b *kernel.Batch) {
	for _, c := range b.Columns {
		c.Release()
	}
}

// Outcome is a row's result: its value as Text prints it, or an error.
type Outcome struct {
	Text string
	Err  error
}

func (o Outcome) String() string {
	if o.Err != nil {
		return "error: " + o.Err.Error()
	}
	return o.Text
}

// evaluate evaluates a compiled expression over a batch; rows outside of the
// selection are left out (empty).
func evaluate(t *testing.T, e kernel.Expr, ctx *kernel.Context, in *kernel.Batch) []Outcome {
	t.Helper()
	v, err := e.Eval(ctx, in)
	if err != nil {
		t.Fatalf("evaluate: %v", err)
	}
	defer v.Release()
	out := make([]Outcome, in.Rows)
	arr, err := kernel.Expand(ctx, v, in.Rows)
	if err != nil {
		t.Fatalf("expand: %v", err)
	}
	defer arr.Release()
	valueType := arr.DataType()
	if d, ok := valueType.(*arrow.DictionaryType); ok {
		valueType = d.ValueType
	}
	if want := e.Type().Arrow(); !arrow.TypeEqual(valueType, want) {
		t.Fatalf("result is %s, want %s", valueType, want)
	}
	put := func(i int) {
		if out[i].Err = v.Errors.Row(i); out[i].Err == nil {
			out[i].Text = Text(kernel.Value(arr, i), e.Type())
		}
	}
	if in.Sel == nil {
		for i := range out {
			put(i)
		}
	}
	for _, i := range in.Sel {
		put(int(i))
	}
	return out
}

// Check evaluates an expression outside strict mode over the table in every
// form that its columns may have (plain, dictionaries, sliced, selected, each
// row as constants), fails the test where they do not agree, and gives the
// rows' results. In strict mode rows that do not fail have to have the same.
func (tab *Table) Check(t *testing.T, text string, zone *time.Location) (*Expr, []Outcome) {
	t.Helper()
	e, err := Bind(text, tab.Schema)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	compiled, err := e.Compile(nil)
	if err != nil {
		t.Fatalf("compile %s: %v", text, err)
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx := &kernel.Context{Alloc: alloc, Now: Now, Location: zone}
	batch := tab.Batch(alloc, false, 0)
	defer Release(batch)
	want := evaluate(t, compiled, ctx, batch)

	same := func(form string, got []Outcome, rows []int32) {
		t.Helper()
		for _, i := range rows {
			if (got[i].Err == nil) != (want[i].Err == nil) || got[i].Err == nil && got[i].Text != want[i].Text {
				t.Errorf("%s: row %d %s: as %s %s, else %s", text, i, tab.show(e, int(i)), form, got[i], want[i])
				return
			}
		}
	}
	all := make([]int32, len(tab.Rows))
	some := make([]int32, 0, len(tab.Rows))
	for i := range all {
		all[i] = int32(i)
		if i%3 == 1 || i%7 == 2 {
			some = append(some, int32(i))
		}
	}
	for _, form := range []struct {
		name         string
		dictionaries bool
		before       int
		sel          []int32
	}{
		{"dictionaries", true, 0, nil},
		{"a slice", false, 13, nil},
		{"sliced dictionaries", true, 5, nil},
		{"a selection", false, 0, some},
		{"a selection of dictionaries", true, 3, some},
		{"an empty selection", false, 0, []int32{}},
	} {
		b := tab.Batch(alloc, form.dictionaries, form.before)
		b.Sel = form.sel
		rows := form.sel
		if rows == nil {
			rows = all
		}
		same(form.name, evaluate(t, compiled, ctx, b), rows)
		Release(b)
	}

	for i, row := range tab.Rows {
		c, err := e.Compile(row)
		if err != nil {
			t.Fatalf("compile %s of constants: %v", text, err)
		}
		got := make([]Outcome, len(tab.Rows))
		got[i] = evaluate(t, c, ctx, &kernel.Batch{Rows: 1})[0]
		same("constants", got, []int32{int32(i)})
		if t.Failed() {
			break
		}
	}

	strict := &kernel.Context{Alloc: alloc, Now: Now, Location: zone, Mode: kernel.Mode{Strict: true}}
	for i, got := range evaluate(t, compiled, strict, batch) {
		if got.Err == nil && (want[i].Err != nil || got.Text != want[i].Text) {
			t.Errorf("%s: row %d %s: strict %s, else %s", text, i, tab.show(e, i), got, want[i])
			break
		}
	}
	empty := &Table{Schema: tab.Schema}
	none := empty.Batch(alloc, false, 0)
	evaluate(t, compiled, ctx, none)
	Release(none)
	return e, want
}

// show prints the columns that an expression reads in a row.
func (tab *Table) show(e *Expr, i int) string {
	var parts []string
	var walk func(*Expr)
	walk = func(e *Expr) {
		if e.Column >= 0 {
			parts = append(parts, tab.Schema[e.Column].Name+"="+Literal(tab.Rows[i][e.Column], e.Type))
		}
		for _, a := range e.Args {
			walk(a)
		}
	}
	walk(e)
	return "(" + strings.Join(parts, ", ") + ")"
}

// Show prints the columns that an expression reads in a row, for messages.
func (tab *Table) Show(e *Expr, i int) string { return tab.show(e, i) }
