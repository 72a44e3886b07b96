package operator_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	sqle "github.com/dolthub/go-mysql-server"
	gmsmemory "github.com/dolthub/go-mysql-server/memory"
	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

func mustType(s string) types.Type {
	t, err := types.Parse(s)
	if err != nil {
		panic(err)
	}
	return t
}

func pathColumn(name, typ, path string) logical.JSONTableColumn {
	return logical.JSONTableColumn{Name: name, Type: mustType(typ), Path: path}
}

func ordinality(name string) logical.JSONTableColumn {
	return logical.JSONTableColumn{Name: name, Type: mustType("INT"), Ordinality: true}
}

func nested(path string, columns ...logical.JSONTableColumn) logical.JSONTableColumn {
	return logical.JSONTableColumn{Nested: &logical.JSONTable{Path: path, Columns: columns}}
}

func jsonText(s string) logical.JSONTableDefault {
	return logical.JSONTableDefault{Default: &logical.Literal{Value: s, T: types.TypeText}}
}

// texts makes a column; "NULL" stands for NULL.
func texts(mem memory.Allocator, documents ...string) arrow.Array {
	b := array.NewStringBuilder(mem)
	defer b.Release()
	for _, d := range documents {
		if d == "NULL" {
			b.AppendNull()
		} else {
			b.Append(d)
		}
	}
	return b.NewArray()
}

// expand flattens documents and prints the rows, each with its parent in front,
// then the errors.
func expand(t *testing.T, table *logical.JSONTable, outer bool, set func(*kernel.Context, *kernel.Vector) (rows int, sel []int32), documents ...string) string {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	f, err := operator.NewFlatten(table, outer)
	if err != nil {
		return err.Error()
	}
	ctx := &kernel.Context{Alloc: mem, Mode: kernel.Mode{Strict: true}}
	data := kernel.Vector{Array: texts(mem, documents...)}
	rows, sel := len(documents), []int32(nil)
	if set != nil {
		rows, sel = set(ctx, &data)
	}
	defer data.Release()
	var out string
	for range 2 { // a Flatten is used again
		parents, columns, errs, err := f.Expand(ctx, data, rows, sel)
		if err != nil {
			return err.Error()
		}
		var lines []string
		for k, parent := range parents {
			line := []string{fmt.Sprint(parent)}
			for _, c := range columns {
				if c.Len() != len(parents) {
					t.Errorf("a column has %d rows, parents %d", c.Len(), len(parents))
				}
				line = append(line, printValue(c, k))
			}
			lines = append(lines, strings.Join(line, " "))
		}
		for row := range rows {
			if err := errs.Row(row); err != nil {
				lines = append(lines, fmt.Sprintf("%d fails: %v", row, err))
			}
		}
		for _, c := range columns {
			c.Release()
		}
		again := strings.Join(lines, "\n")
		if out != "" && again != out {
			t.Errorf("the second time\n%s\nthe first\n%s", again, out)
		}
		out = again
	}
	return out
}

func printValue(a arrow.Array, row int) string {
	switch a := a.(type) {
	case *array.Timestamp:
		if !a.IsNull(row) {
			return time.UnixMicro(int64(a.Value(row))).UTC().Format("2006-01-02T15:04:05.999999")
		}
	case *array.Binary:
		if !a.IsNull(row) {
			return fmt.Sprintf("0x%x", a.Value(row))
		}
	case *array.Decimal128:
		if !a.IsNull(row) {
			return a.Value(row).ToString(a.DataType().(*arrow.Decimal128Type).Scale)
		}
	}
	return strings.Replace(a.ValueStr(row), "(null)", "NULL", 1)
}

func TestFlatten(t *testing.T) {
	f := func(table *logical.JSONTable, document, want string) {
		t.Helper()
		if got := expand(t, table, false, nil, document); got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", document, got, want)
		}
	}
	one := func(path string, columns ...logical.JSONTableColumn) *logical.JSONTable {
		return &logical.JSONTable{Path: path, Columns: columns}
	}
	items := one("$[*]", ordinality("n"), pathColumn("a", "INT", "$.a"), pathColumn("b", "VARCHAR(10)", "$.b"))
	f(items, `[{"a":1,"b":"x"},{"b":2.50},{"a":"3","b":true}]`, "0 1 1 x\n0 2 NULL 2.5\n0 3 3 true")
	f(items, `[]`, "")
	f(items, `{"a":1}`, "") // [*] does not take an object for an array
	f(one("$", pathColumn("a", "INT", "$.a")), `{"a":1}`, "0 1")
	f(one("$.x[*]", pathColumn("v", "INT", "$")), `{"x":[1,null,3]}`, "0 1\n0 NULL\n0 3")
	f(one("$.x", pathColumn("v", "INT", "$")), `{}`, "")
	f(one("$[*]", logical.JSONTableColumn{Name: "e", Type: mustType("INT"), Path: "$.a", Exists: true}), `[{"a":null},{}]`, "0 1\n0 0")

	// Siblings come one after the other, each with the others NULL.
	siblings := one("$[*]", pathColumn("id", "INT", "$.id"),
		nested("$.a[*]", ordinality("n"), pathColumn("a", "INT", "$")), nested("$.b[*]", pathColumn("b", "INT", "$")), pathColumn("z", "INT", "$.z"))
	f(siblings, `[{"id":1,"a":[10,11],"b":[20],"z":9},{"id":2,"b":[21]},{"id":3,"a":[12]},{"id":4,"a":[]}]`, strings.Join([]string{
		"0 1 1 10 NULL 9", "0 1 2 11 NULL 9", "0 1 NULL NULL 20 9", "0 2 NULL NULL 21 NULL", "0 3 1 12 NULL NULL", "0 4 NULL NULL NULL NULL",
	}, "\n"))
	deep := one("$[*]", ordinality("i"), nested("$.a[*]", ordinality("j"), nested("$.b[*]", ordinality("k"), pathColumn("v", "INT", "$"))))
	f(deep, `[{"a":[{"b":[1,2]},{}]},{"a":[{"b":[3]}]},{}]`, "0 1 1 1 1\n0 1 1 2 2\n0 1 2 NULL NULL\n0 2 1 1 3\n0 3 NULL NULL NULL")

	// Several matches are an array in a JSON column, an error in others.
	f(one("$", pathColumn("j", "JSON", "$.a[*]"), pathColumn("i", "INT", "$.a[*]")), `{"a":[1,{"bb":1,"a":2.0}]}`, `0 [1, {"a": 2.0, "bb": 1}] NULL`)
	f(one("$", pathColumn("j", "JSON", "$.a")), `{"a":null}`, "0 NULL")
	f(one("$", pathColumn("j", "JSON", "$.a")), `{"a":{"b":1,"a":[]}}`, `0 {"a": [], "b": 1}`)
}

func TestFlatten_Conversion(t *testing.T) {
	f := func(typ, value, want string) {
		t.Helper()
		c := pathColumn("x", typ, "$.x")
		c.OnError = logical.JSONTableDefault{Error: true}
		got := expand(t, &logical.JSONTable{Path: "$", Columns: []logical.JSONTableColumn{c}}, false, nil, `{"x":`+value+`}`)
		if _, reason, ok := strings.Cut(got, "does not fit "+mustType(typ).String()+": "); ok {
			got = "0 error: " + reason
		}
		if got != "0 "+want {
			t.Errorf("%s as %s: %s, want 0 %s", value, typ, got, want)
		}
	}
	const outOfRange, noScalar = "error: out of range", "error: a scalar column holds no array or object, and no more than one value"
	f("INT", "5", "5")
	f("INT", "5.5", "6") // doubles are rounded half to even
	f("INT", "4.5", "4")
	f("INT", "-1e2", "-100")
	f("INT", "true", "1")
	f("INT", "null", "NULL")
	f("INT", `" 7"`, "7")
	f("INT", `"7.0"`, "error: not a whole number")
	f("INT", `"7x"`, "error: not a number")
	f("INT", `""`, "error: not a number")
	f("INT", "3000000000", outOfRange)
	f("INT", "{}", noScalar)
	f("TINYINT", "-128", "-128")
	f("TINYINT", "128", outOfRange)
	f("BOOLEAN", "1", "true")
	f("BOOLEAN", "2", outOfRange)
	f("BIGINT", "-9223372036854775808", "-9223372036854775808")
	f("BIGINT", "9223372036854775808", outOfRange)
	f("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615")
	f("BIGINT UNSIGNED", "-1", outOfRange)
	f("BIGINT UNSIGNED", "1e19", outOfRange) // beyond a signed integer, as a double
	f("MEDIUMINT", "8388608", outOfRange)
	f("MEDIUMINT UNSIGNED", "16777215", "16777215")
	f("DOUBLE", `"1.5e3"`, "1500")
	f("DOUBLE", `"x"`, "error: not a number")
	f("FLOAT", "3.5e38", outOfRange)
	f("DECIMAL(10,2)", "12.345", "12.35")
	f("DECIMAL(10,2)", "-0.005", "-0.01")
	f("DECIMAL(10,2)", `"1e3"`, "1000.00")
	f("DECIMAL(4,2)", "100", outOfRange)
	f("VARCHAR(3)", `"ab   "`, "ab ")
	f("VARCHAR(3)", `"abcd"`, "error: too long")
	f("VARCHAR(10)", `1.0`, "1.0")
	f("VARCHAR(10)", `"\u00e9\n"`, "é\n")
	f("VARCHAR(10)", `[1]`, noScalar)
	f("CHAR(4)", `"ab "`, "ab")
	f("ENUM('a','b')", `"b"`, "b")
	f("ENUM('a','b')", `1`, "a")
	f("ENUM('a','b')", `"c"`, "error: not one of the members")
	f("SET('a','b','c')", `"c,a"`, "a,c")
	f("BINARY(3)", `"a"`, "0x610000")
	f("BIT(4)", "15", "0x0f")
	f("BIT(4)", "16", outOfRange)
	f("DATE", `"2024-07-01 12:00:00"`, "2024-07-01")
	f("DATE", `20240701`, "2024-07-01")
	f("DATE", `1719837296`, "error: not a date") // numbers are no epoch times here
	f("TIME(3)", `"12:34:56.7891"`, "12:34:56.789000")
	f("DATETIME(3)", `"2024-07-01T12:34:56.7896Z"`, "2024-07-01T12:34:56.79")
	f("TIMESTAMP", `"2024-07-01 12:34:56+02:00"`, "2024-07-01T10:34:56")
	f("TIMESTAMP", `true`, "error: not a time")
}

func TestFlatten_EmptyAndError(t *testing.T) {
	f := func(onEmpty, onError logical.JSONTableDefault, document, want string) {
		t.Helper()
		c := pathColumn("x", "INT", "$.x")
		c.OnEmpty, c.OnError = onEmpty, onError
		if got := expand(t, &logical.JSONTable{Path: "$[*]", Columns: []logical.JSONTableColumn{c}}, false, nil, document, "[{\"x\":7}]"); got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", document, got, want)
		}
	}
	null, fails := logical.JSONTableDefault{}, logical.JSONTableDefault{Error: true}
	f(null, null, `[{},{"x":"a"},{"x":null}]`, "0 NULL\n0 NULL\n0 NULL\n1 7")
	f(jsonText("1"), jsonText(`"2"`), `[{},{"x":"a"},{"x":null}]`, "0 1\n0 2\n0 NULL\n1 7")
	f(jsonText("null"), null, `[{}]`, "0 NULL\n1 7")
	f(logical.JSONTableDefault{Default: &logical.Literal{Value: int64(5), T: types.TypeInt64}}, null, `[{}]`, "0 5\n1 7")
	// The rows of the document that were made before the error go with it.
	f(fails, null, `[{"x":1},{},{"x":2}]`, "1 7\n0 fails: missing value for JSON_TABLE column 'x'")
	f(null, fails, `[{"x":1},{"x":"a"}]`, `1 7`+"\n"+`0 fails: JSON_TABLE column 'x': value "a" does not fit INT: not a number`)
	f(null, null, `[{"x":1},`, "1 7\n0 fails: flatten a JSON document: invalid JSON at byte 9: expected a value, found the end of the text")
}

func TestFlatten_Inputs(t *testing.T) {
	table := &logical.JSONTable{Path: "$[*]", Columns: []logical.JSONTableColumn{pathColumn("v", "INT", "$")}}
	f := func(outer bool, set func(*kernel.Context, *kernel.Vector) (int, []int32), want string, documents ...string) {
		t.Helper()
		if got := expand(t, table, outer, set, documents...); got != want {
			t.Errorf("%q\ngot\n%s\nwant\n%s", documents, got, want)
		}
	}
	f(false, nil, "0 1\n0 2\n3 3", "[1,2]", "NULL", "[]", "[3]")
	f(true, nil, "0 1\n0 2\n1 NULL\n2 NULL\n3 3", "[1,2]", "NULL", "[]", "[3]")
	f(false, func(_ *kernel.Context, _ *kernel.Vector) (int, []int32) { return 4, []int32{0, 3} }, "0 1\n3 3", "[1]", "x", "[2]", "[3]")
	f(false, func(_ *kernel.Context, v *kernel.Vector) (int, []int32) { v.Const = true; return 2, nil }, "0 1\n0 2\n1 1\n1 2", "[1,2]")
	f(true, func(_ *kernel.Context, v *kernel.Vector) (int, []int32) {
		v.Errors = v.Errors.Set(0, errors.New("failed before"))
		return 2, nil
	}, "1 2", "[1]", "[2]")
	// A dictionary column, one of whose rows is NULL.
	f(false, func(ctx *kernel.Context, v *kernel.Vector) (int, []int32) {
		codes := array.NewInt32Builder(ctx.Alloc)
		defer codes.Release()
		codes.AppendValues([]int32{1, 0, 1, 0}, []bool{true, true, true, false})
		indices := codes.NewArray()
		defer indices.Release()
		dictionary := v.Array
		defer dictionary.Release()
		dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
		v.Array = array.NewDictionaryArray(dt, indices, dictionary)
		return 4, nil
	}, "0 2\n1 1\n2 2", "[1]", "[2]")
}

func TestFlatten_Zone(t *testing.T) {
	zone := time.FixedZone("+02:00", 7200)
	table := &logical.JSONTable{Path: "$[*]", Columns: []logical.JSONTableColumn{pathColumn("i", "TIMESTAMP", "$"), pathColumn("w", "DATETIME", "$")}}
	got := expand(t, table, false, func(ctx *kernel.Context, _ *kernel.Vector) (int, []int32) { ctx.Location = zone; return 1, nil },
		`["2024-07-01 12:00:00","2024-07-01T12:00:00Z"]`)
	if want := "0 2024-07-01T10:00:00 2024-07-01T12:00:00\n0 2024-07-01T12:00:00 2024-07-01T14:00:00"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNewFlatten_Invalid(t *testing.T) {
	f := func(want string, path string, columns ...logical.JSONTableColumn) {
		t.Helper()
		_, err := operator.NewFlatten(&logical.JSONTable{Path: path, Columns: columns}, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewFlatten = %v, want an error with %q", err, want)
		}
	}
	bad := func(typ string, d logical.JSONTableDefault) logical.JSONTableColumn {
		c := pathColumn("x", typ, "$")
		c.OnEmpty = d
		return c
	}
	f(`invalid JSON path "x"`, "x")
	f(`column x: invalid JSON path "$."`, "$", pathColumn("x", "INT", "$."))
	f(`invalid JSON path "$["`, "$", nested("$[", pathColumn("x", "INT", "$")))
	f(`column x: DEFAULT 'abc' ON EMPTY: invalid JSON at byte 0`, "$", bad("TEXT", jsonText("abc")))
	f(`column x: DEFAULT '"abc"' ON EMPTY does not fit INT: not a number`, "$", bad("INT", jsonText(`"abc"`)))
	f(`column x: DEFAULT '[1]' ON EMPTY does not fit INT`, "$", bad("INT", jsonText(`[1]`)))
	f(`column n: FOR ORDINALITY counts in an integer type, not TEXT`, "$", logical.JSONTableColumn{Name: "n", Type: types.TypeText, Ordinality: true})
}

// TestFlatten_AsMySQLEngine compares rows with those of go-mysql-server for
// documents and tables in which that does as MySQL does.
func TestFlatten_AsMySQLEngine(t *testing.T) {
	provider := gmsmemory.NewDBProvider(gmsmemory.NewDatabase("d"))
	engine := sqle.NewDefault(provider)
	defer engine.Close()
	ctx := gms.NewContext(t.Context(), gms.WithSession(gmsmemory.NewSession(gms.NewBaseSession(), provider)))
	ctx.SetCurrentDatabase("d")

	query := `SELECT * FROM JSON_TABLE('%s', '$[*]' COLUMNS (
		n FOR ORDINALITY, a INT PATH '$.a' DEFAULT '-1' ON EMPTY, s VARCHAR(20) PATH '$.s', d DOUBLE PATH '$.d',
		has INT EXISTS PATH '$.a',
		NESTED PATH '$.l[*]' COLUMNS (m FOR ORDINALITY, v INT PATH '$.v', NESTED PATH '$.k[*]' COLUMNS (w INT PATH '$')),
		NESTED PATH '$.q[*]' COLUMNS (x INT PATH '$.x')
	)) t`
	a := pathColumn("a", "INT", "$.a")
	a.OnEmpty = jsonText("-1")
	table := &logical.JSONTable{Path: "$[*]", Columns: []logical.JSONTableColumn{
		ordinality("n"), a, pathColumn("s", "VARCHAR(20)", "$.s"), pathColumn("d", "DOUBLE", "$.d"),
		{Name: "has", Type: mustType("INT"), Path: "$.a", Exists: true},
		nested("$.l[*]", ordinality("m"), pathColumn("v", "INT", "$.v"), nested("$.k[*]", pathColumn("w", "INT", "$"))),
		nested("$.q[*]", pathColumn("x", "INT", "$.x")),
	}}
	r := rand.New(rand.NewPCG(6, 6))
	list := func(least int, element func() string) string {
		elements := make([]string, least+r.IntN(3))
		for i := range elements {
			elements[i] = element()
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	for range 60 {
		document := list(0, func() string {
			var members []string
			add := func(name, value string) { members = append(members, `"`+name+`":`+value) }
			if r.IntN(4) > 0 {
				add("a", fmt.Sprint(r.IntN(100)))
			}
			add("s", []string{`"x"`, `"some text"`, `"é"`}[r.IntN(3)])
			add("d", fmt.Sprintf("%d.5", r.IntN(100)))
			// The engine makes rows of NULLs of lists that are empty or missing.
			add("l", list(1, func() string {
				return fmt.Sprintf(`{"v":%d,"k":%s}`, r.IntN(10), list(1, func() string { return fmt.Sprint(r.IntN(10)) }))
			}))
			add("q", list(1, func() string { return fmt.Sprintf(`{"x":%d}`, r.IntN(10)) }))
			return "{" + strings.Join(members, ",") + "}"
		})
		got := expand(t, table, false, nil, document)
		schema, iter, _, err := engine.Query(ctx, fmt.Sprintf(query, document))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for {
			row, err := iter.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			line := []string{"0"}
			for i, v := range row {
				if s, ok := v.(string); ok && gmstypes.IsText(schema[i].Type) {
					line = append(line, s)
				} else {
					line = append(line, strings.Replace(fmt.Sprint(v), "<nil>", "NULL", 1))
				}
			}
			lines = append(lines, strings.Join(line, " "))
		}
		if err := iter.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(lines, "\n"); got != want {
			t.Fatalf("%s\ngot\n%s\nwant\n%s", document, got, want)
		}
	}
}

func BenchmarkFlatten(b *testing.B) {
	table := &logical.JSONTable{Path: "$[*]", Columns: []logical.JSONTableColumn{
		ordinality("n"), pathColumn("sku", "VARCHAR(20)", "$.sku"), pathColumn("count", "INT", "$.count"), pathColumn("price", "DECIMAL(10,2)", "$.price"),
	}}
	f, err := operator.NewFlatten(table, false)
	if err != nil {
		b.Fatal(err)
	}
	documents := make([]string, 1000)
	size := 0
	for i := range documents {
		documents[i] = fmt.Sprintf(`[{"sku":"a-%d","count":%d,"price":%d.50},{"sku":"b-%d","count":2,"price":1.25}]`, i, i%7, i%50, i)
		size += len(documents[i])
	}
	ctx := &kernel.Context{Alloc: memory.DefaultAllocator}
	data := kernel.Vector{Array: texts(ctx.Alloc, documents...)}
	defer data.Release()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		_, columns, _, err := f.Expand(ctx, data, len(documents), nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range columns {
			c.Release()
		}
	}
}
