package kernel_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

var numbers = &functiontest.Table{
	Schema: types.Schema{{Name: "x", Type: types.TypeInt64}, {Name: "y", Type: types.TypeInt64}, {Name: "s", Type: types.TypeText}},
	Rows: [][]any{
		{int64(1), int64(0), "1"}, {int64(2), int64(1), "two"}, {int64(3), int64(0), "3"}, {nil, int64(0), "four"}, {int64(5), nil, nil},
	},
}

// evaluateRows evaluates an expression in strict mode: each row's value or "!".
func evaluateRows(t *testing.T, table *functiontest.Table, text string, sel []int32) string {
	t.Helper()
	e, err := functiontest.Bind(text, table.Schema)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	compiled, err := e.Compile(nil)
	if err != nil {
		t.Fatalf("compile %s: %v", text, err)
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx := &kernel.Context{Alloc: alloc, Now: functiontest.Now, Mode: kernel.Mode{Strict: true}}
	batch := table.Batch(alloc, false, 0)
	defer functiontest.Release(batch)
	batch.Sel = sel
	v, err := compiled.Eval(ctx, batch)
	if err != nil {
		t.Fatalf("evaluate %s: %v", text, err)
	}
	defer v.Release()
	arr, err := kernel.Expand(ctx, v, batch.Rows)
	if err != nil {
		t.Fatal(err)
	}
	defer arr.Release()
	if sel == nil {
		for i := range batch.Rows {
			sel = append(sel, int32(i))
		}
	}
	var parts []string
	for _, i := range sel {
		if v.Errors.Row(int(i)) != nil {
			parts = append(parts, "!")
			continue
		}
		parts = append(parts, functiontest.Text(kernel.Value(arr, int(i)), e.Type))
	}
	return strings.Join(parts, " ")
}

// What SQL would not have evaluated does not fail a row.
func TestFailuresOfOperandsThatSQLDoesNotEvaluate(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := evaluateRows(t, numbers, text, nil); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	f("x / y", "! 2 ! NULL NULL")
	f("y <> 0 and x / y > 1", "0 1 0 0 NULL")
	f("x / y > 1 and y <> 0", "! 1 ! 0 NULL")
	f("y = 0 or x / y > 1", "1 1 1 1 NULL")
	f("x = 2 and y = 1 and x / y = 2", "0 1 0 0 0")
	f("x / y > 1 or true", "! 1 ! 1 1")
	f("true or x / y > 1", "1 1 1 1 1")
	f("false and x / y > 1", "0 0 0 0 0")
	f("NULL and x / y > 1", "! NULL ! NULL NULL")
	f("not (y <> 0 and x / y > 1)", "1 0 1 1 NULL")
	f("if(y = 0, -1, x / y)", "-1 2 -1 -1 NULL")
	f("if(y = 0, x / y, 7)", "! 7 ! NULL 7")
	f("case when y = 0 then 0 when x / y > 1 then 1 else 2 end", "0 1 0 0 2")
	f("case when x / y > 1 then 1 else 2 end", "! 1 ! 2 2")
	f("case x when 1 then 10 when 2 then cast(s as signed) end", "10 ! NULL NULL NULL")
	f("coalesce(x, cast(s as signed))", "1 2 3 ! 5")
	f("coalesce(cast(s as signed), 9)", "1 ! 3 ! 9")
	f("ifnull(y, cast(s as signed))", "0 1 0 0 NULL")
	f("nullif(y, 0) > 0 and x / y = 2", "! 1 ! NULL NULL")
	f("elt(x, 'one', s, cast(x / y as char))", "one two ! NULL NULL")
	f("1 / 0 > 1 and y = 0", "! ! ! ! !")
	f("y = 0 and 1 / 0 > 1", "! 0 ! ! !")
	f("cast(s as signed) + x", "2 ! 6 ! NULL")
}

func TestFailuresUnderASelection(t *testing.T) {
	if got := evaluateRows(t, numbers, "if(y = 0, -1, x / y)", []int32{0, 3}); got != "-1 -1" {
		t.Error(got)
	}
	if got := evaluateRows(t, numbers, "cast(s as signed) > 0 and x / y > 1", []int32{2, 4}); got != "! NULL" {
		t.Error(got)
	}
}

// An operand after the first is evaluated for the rows only that it decides.
func TestOperandsSeeOnlyTheRowsTheyDecide(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx := &kernel.Context{Alloc: alloc}
	batch := numbers.Batch(alloc, false, 0)
	defer functiontest.Release(batch)
	calls := 0
	counting := kernel.RowFunc(func() func([]any) (any, error) {
		return func([]any) (any, error) { calls++; return true, nil }
	}, types.TypeBool, kernel.Column(0, types.TypeInt64))
	two, err := kernel.Constant(int64(2), types.TypeInt64)
	if err != nil {
		t.Fatal(err)
	}
	is2 := kernel.Call(kernel.FuncCompare(kernel.Equal), types.TypeBool, kernel.Column(0, types.TypeInt64), two)
	for _, c := range []struct {
		name string
		e    kernel.Expr
		want int
	}{
		{"and", kernel.And(is2, counting), 2}, // the row of 2 and the NULL
		{"or", kernel.Or(is2, counting), 4},
		{"if", kernel.If(is2, counting, is2), 1},
		{"coalesce", kernel.Coalesce(is2, counting), 1},
	} {
		calls = 0
		v, err := c.e.Eval(ctx, batch)
		if err != nil {
			t.Fatal(err)
		}
		v.Release()
		if calls != c.want {
			t.Errorf("%s called its operand %d times, want %d", c.name, calls, c.want)
		}
	}
}

func TestFilter(t *testing.T) {
	f := func(text string, sel []int32, want string, failed string) {
		t.Helper()
		e, err := functiontest.Bind(text, numbers.Schema)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := e.Compile(nil)
		if err != nil {
			t.Fatal(err)
		}
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		ctx := &kernel.Context{Alloc: alloc, Mode: kernel.Mode{Strict: true}}
		batch := numbers.Batch(alloc, false, 0)
		defer functiontest.Release(batch)
		batch.Sel = sel
		got, errs, err := kernel.Filter(ctx, compiled, batch, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			t.Errorf("%s: the selection is nil, which means all rows", text)
		}
		if fmt.Sprint(got) != want || fmt.Sprint(errs.Rows()) != failed && !(errs.Len() < 0 && failed == "all") {
			t.Errorf("%s: %v, failed %v; want %s, %s", text, got, errs.Rows(), want, failed)
		}
	}
	f("x > 1", nil, "[1 2 4]", "[]")
	f("x > 1", []int32{0, 2}, "[2]", "[]")
	f("x", nil, "[0 1 2 4]", "[]")
	f("s", nil, "[0 2]", "[1 3]")
	f("s", []int32{0, 1}, "[0]", "[1]")
	f("x / y > 1", nil, "[1]", "[0 2]")
	f("true", nil, "[0 1 2 3 4]", "[]")
	f("true", []int32{3}, "[3]", "[]")
	f("NULL", nil, "[]", "[]")
	f("1 / 0", nil, "[]", "all")
	f("x > 100", nil, "[]", "[]")
}

func TestRowFunc(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx := &kernel.Context{Alloc: alloc}
	batch := numbers.Batch(alloc, true, 2)
	defer functiontest.Release(batch)
	lanes := 0
	e := kernel.RowFunc(func() func([]any) (any, error) {
		lanes++
		return func(row []any) (any, error) {
			switch {
			case row[0] == nil:
				return nil, nil
			case row[1] == "two":
				return nil, errors.New("no two")
			case row[0] == int64(3):
				return "not a decimal", nil
			}
			return fmt.Sprintf("%d.50", row[0]), nil
		}
	}, types.NewDecimal(5, 2), kernel.Column(0, types.TypeInt64), kernel.Column(2, types.TypeText))
	v, err := e.Eval(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	if lanes != 1 {
		t.Errorf("the function was made %d times", lanes)
	}
	if got := fmt.Sprint(v.Errors.Rows()); got != "[1 2]" {
		t.Errorf("failed rows are %s", got)
	}
	if got := v.Errors.Row(1).Error(); got != "no two" {
		t.Errorf("row 1 failed with %s", got)
	}
	for i, want := range map[int]any{0: "1.50", 3: nil, 4: "5.50"} {
		if got := kernel.Value(v.Array, i); got != want {
			t.Errorf("row %d is %v, want %v", i, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	var none *kernel.Errors
	if none.Len() != 0 || none.Row(3) != nil || none.Rows() != nil {
		t.Error("nil has failures")
	}
	first, second := errors.New("first"), errors.New("second")
	e := none.Set(7, first).Set(7, second).Set(2, second)
	if e.Len() != 2 || !errors.Is(e.Row(7), first) || fmt.Sprint(e.Rows()) != "[2 7]" || e.Row(0) != nil {
		t.Errorf("%v", e)
	}
}

// Doubles that SQL has not may come from other systems: they are no numbers,
// but nothing breaks.
func TestDoublesThatAreNoNumbers(t *testing.T) {
	table := &functiontest.Table{
		Schema: types.Schema{{Name: "f", Type: types.TypeFloat64}, {Name: "h", Type: types.Type{Kind: types.Float32}}},
		Rows:   [][]any{{math.NaN(), math.NaN()}, {math.Inf(1), math.Inf(1)}, {math.Inf(-1), math.Inf(-1)}},
	}
	for text, want := range map[string]string{
		"f + 1": "! ! !", "f div 2": "! ! !", "2 div f": "! ! !", "cast(f as signed)": "! ! !", "cast(f as decimal(10,2))": "! ! !",
		"cast(f as char)": "nan inf -inf", "cast(h as char)": "nan inf -inf", "cast(f as json)": "null null null", "cast(f as date)": "! ! !",
		"sqrt(f)": "NULL ! NULL", "f = f": "0 1 1",
	} {
		if got := evaluateRows(t, table, text, nil); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"round(f, 2)", "truncate(f, -1)", "ceil(f)", "f % 3", "from_unixtime(f)", "cast(f as datetime)", "f > 1", "greatest(f, 1e0)", "sec_to_time(f)", "hex(f)"} {
		evaluateRows(t, table, text, nil)
	}
}
