package function_test

import (
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{
		"CONCAT": "concat", "!=": "<>", "Substr": "substring", "mod": "%", "current_timestamp": "now", "rlike": "regexp_like", "isnull": "is null",
	} {
		if f, ok := function.Lookup(name); !ok || f.Name != want {
			t.Errorf("%s is %v, want %s", name, f, want)
		}
	}
	if _, ok := function.Lookup("no_such_function"); ok {
		t.Error("found a function that there is not")
	}
	last := ""
	for _, f := range function.All() {
		if f.Name <= last {
			t.Errorf("%s comes after %s", f.Name, last)
		}
		last = f.Name
		if f.Name != strings.ToLower(f.Name) || f.Doc == "" || f.Kernel == nil || f.Bind == nil {
			t.Errorf("%s is incomplete", f.Name)
		}
	}
}

// TestResultTypes pins the types that MySQL gives to expressions.
func TestResultTypes(t *testing.T) {
	for text, want := range map[string]string{
		"i + 1": "BIGINT", "n + n": "BIGINT", "u + i": "BIGINT UNSIGNED", "i - u": "BIGINT UNSIGNED", "b + 1": "BIGINT",
		"i + 1.5": "DECIMAL(21,1)", "d + e": "DECIMAL(19,6)", "d * 1.08": "DECIMAL(13,4)", "d * n": "DECIMAL(20,2)", "big * big": "DECIMAL(38,20)",
		"d / 3": "DECIMAL(14,6)", "1 / 3": "DECIMAL(5,4)", "i / m": "DECIMAL(23,4)", "d / e": "DECIMAL(20,6)", "f / 2": "DOUBLE", "s + 1": "DOUBLE",
		"i div m": "BIGINT", "u div m": "BIGINT UNSIGNED", "d div e": "BIGINT", "i % u": "BIGINT", "u % i": "BIGINT UNSIGNED", "d % e": "DECIMAL(18,6)",
		"-u": "BIGINT", "-d": "DECIMAL(10,2)", "-s": "DOUBLE", "dt + 0": "DECIMAL(21,6)", "da + 0": "BIGINT", "i & 1": "BIGINT UNSIGNED",
		"round(d)": "DECIMAL(9,0)", "round(d, 1)": "DECIMAL(10,1)", "round(d, 5)": "DECIMAL(13,5)", "round(i, -1)": "BIGINT", "round(f, 2)": "DOUBLE",
		"round(d, m)": "DECIMAL(10,2)", "truncate(d, 1)": "DECIMAL(9,1)", "ceil(d)": "BIGINT", "floor(big)": "DECIMAL(29,0)", "ceil(s)": "DOUBLE",
		"abs(d)": "DECIMAL(10,2)", "sign(d)": "INT", "sqrt(i)": "DOUBLE", "pi()": "DOUBLE", "greatest(i, d)": "DECIMAL(21,2)", "greatest(i, s)": "TEXT",
		"i = s": "BOOLEAN", "s like 'a'": "BOOLEAN", "i in (1)": "BOOLEAN", "b and c": "BOOLEAN", "i is null": "BOOLEAN", "s regexp 'a'": "BOOLEAN",
		"if(b, i, d)": "DECIMAL(21,2)", "if(b, i, u)": "DECIMAL(20,0)", "if(b, n, i)": "BIGINT", "if(b, 1, 'x')": "TEXT", "if(b, NULL, da)": "DATE",
		"if(b, da, dt)": "DATETIME(6)", "if(b, da, s)": "TEXT", "if(b, w, s)": "BLOB", "if(b, c, 5)": "BIGINT", "if(b, js, js)": "JSON",
		"coalesce(s, r)": "VARCHAR(40)", "ifnull(f, d)": "DOUBLE", "nullif(d, 1)": "DECIMAL(10,2)", "case when b then ts else ts end": "TIMESTAMP(6)",
		"concat(s, i)": "TEXT", "concat(w, s)": "BLOB", "length(s)": "INT", "md5(s)": "TEXT", "unhex(s)": "BLOB", "crc32(s)": "BIGINT UNSIGNED",
		"substring(w, 1)": "BLOB", "locate('a', s)": "INT", "find_in_set(s, r)": "INT",
		"year(dt)": "INT", "to_seconds(dt)": "BIGINT", "date(dt)": "DATE", "time(dt)": "TIME(6)", "last_day(dt)": "DATE", "datediff(dt, da)": "INT",
		"dt + interval 1 day": "DATETIME(6)", "da + interval 1 day": "DATE", "da + interval 1 hour": "DATETIME", "ts - interval 5 second": "DATETIME(6)",
		"da + interval 1 microsecond": "DATETIME(6)", "da + interval 1.5 second": "DATETIME(1)", "s + interval 1 day": "TEXT",
		"tm + interval 1 minute": "TIME(6)", "timestampdiff(day, da, dt)": "BIGINT", "extract(year from dt)": "BIGINT",
		"unix_timestamp(da)": "BIGINT", "unix_timestamp(dt)": "DECIMAL(17,6)", "unix_timestamp()": "BIGINT", "from_unixtime(i)": "DATETIME",
		"from_unixtime(d)": "DATETIME(2)", "from_unixtime(i, '%Y')": "TEXT", "now()": "DATETIME", "now(3)": "DATETIME(3)", "curdate()": "DATE",
		"str_to_date(s, '%Y-%m-%d')": "DATE", "str_to_date(s, '%H:%i')": "TIME", "str_to_date(s, '%Y %H.%f')": "DATETIME(6)", "str_to_date(s, r)": "DATETIME(6)",
		"js->'$.a'": "JSON", "js->>'$.a'": "TEXT", "json_length(js)": "INT", "json_object('a', i)": "JSON", "json_valid(s)": "BOOLEAN",
	} {
		e, err := functiontest.Bind(text, functiontest.Schema)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := e.Type.String(); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

func TestCommon(t *testing.T) {
	f := func(want string, of ...string) {
		t.Helper()
		var ts []types.Type
		for _, s := range of {
			ty, err := types.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			ts = append(ts, ty)
		}
		if got := function.Common(ts...).String(); got != want {
			t.Errorf("%v is %s, want %s", of, got, want)
		}
	}
	f("NULL", "NULL")
	f("INT", "NULL", "INT")
	f("INT", "TINYINT", "INT", "BOOLEAN")
	f("SMALLINT", "TINYINT UNSIGNED", "TINYINT")
	f("BIGINT", "INT UNSIGNED", "INT")
	f("DECIMAL(20,0)", "BIGINT UNSIGNED", "INT")
	f("DECIMAL(12,2)", "INT", "DECIMAL(5,2)")
	f("DOUBLE", "INT", "FLOAT")
	f("FLOAT", "FLOAT", "FLOAT")
	f("DOUBLE", "DECIMAL(5,2)", "DOUBLE")
	f("VARCHAR(20)", "VARCHAR(10)", "CHAR(20)")
	f("TEXT", "VARCHAR(10)", "TEXT")
	f("TEXT", "INT", "VARCHAR(5)")
	f("BLOB", "BLOB", "TEXT")
	f("DATETIME(3)", "DATETIME(3)", "DATE")
	f("TIMESTAMP(6)", "TIMESTAMP(6)", "TIMESTAMP")
	f("DATETIME", "TIMESTAMP", "DATETIME")
	f("TEXT", "DATE", "INT")
	f("JSON", "JSON", "JSON")
	f("TEXT", "JSON", "INT")
}

func TestNullable(t *testing.T) {
	f := func(name string, want bool, nullable ...bool) {
		t.Helper()
		fn, _ := function.Lookup(name)
		var args []function.Arg
		for _, n := range nullable {
			args = append(args, function.Arg{Type: types.TypeInt64, Nullable: n})
		}
		b, err := fn.Resolve(args)
		if err != nil {
			t.Fatal(err)
		}
		if b.Nullable != want {
			t.Errorf("%s of %v is nullable: %v", name, nullable, b.Nullable)
		}
	}
	f("+", false, false, false)
	f("+", true, false, true)
	f("/", true, false, false) // by zero
	f("coalesce", false, true, false)
	f("coalesce", true, true, true)
	f("<=>", false, true, true)
	f("is null", false, true)
	f("if", false, true, false, false)
	f("nullif", true, false, false)
	f("from_unixtime", true, false)
}

// TestBindErrors: what is wrong with a constant is said when it is bound, by an
// error that the user is shown.
func TestBindErrors(t *testing.T) {
	for text, want := range map[string]string{
		"s regexp '('":                      "missing closing",
		"s regexp '(?=a)'":                  "regular expression",
		"s regexp ''":                       "Illegal argument",
		"regexp_like(s, 'a', 'z')":          "match type",
		"s like 'a' escape 'ab'":            "ESCAPE",
		"js->'a.b'":                         "path",
		"json_extract(js, '$.a', '$[')":     "path",
		"json_object('a')":                  "pairs",
		"now(9)":                            "fractional digits",
		"timestampdiff(`DAY_HOUR`, dt, dv)": "",
	} {
		_, err := functiontest.Bind(text, functiontest.Schema)
		if want == "" {
			continue // the parser's
		}
		if err == nil || !strings.Contains(err.Error(), want) || sqlerror.As(err) == nil {
			t.Errorf("%s: %v, want a user's error with %q", text, err, want)
		}
	}
	concat, _ := function.Lookup("concat")
	if _, err := concat.Resolve(nil); err == nil || !strings.Contains(err.Error(), "at least 1") {
		t.Errorf("no arguments: %v", err)
	}
	if _, err := functiontest.Bind("interval 1 day - da", functiontest.Schema); err == nil {
		t.Error("something subtracted from an INTERVAL")
	}
	if _, err := function.Call("no_such_function"); err == nil {
		t.Error("a call of a function that there is not")
	}
}

func TestFormat(t *testing.T) {
	for name, c := range map[string][]string{
		"(a + b)": {"+", "a", "b"}, "(NOT a)": {"not", "a"}, "(-a)": {"neg", "a"}, "(a IS NOT NULL)": {"is not null", "a"},
		"(a IN (b, c))": {"in", "a", "b", "c"}, "(a BETWEEN b AND c)": {"between", "a", "b", "c"}, "(a LIKE b ESCAPE c)": {"like", "a", "b", "c"},
		"EXTRACT(YEAR FROM a)": {"extract", "'YEAR'", "a"}, "CONCAT(a, b)": {"concat", "a", "b"},
	} {
		f, _ := function.Lookup(c[0])
		if got := f.Format(c[1:]); got != name {
			t.Errorf("%s, want %s", got, name)
		}
	}
}

// TestKernelsAgreeWithCompiledCalls: the kernel that a function names does what
// compiling a call does, where it can be called by itself.
func TestKernelsAgreeWithCompiledCalls(t *testing.T) {
	table := functiontest.Sample(5, 60)
	batch := table.Batch(memory.DefaultAllocator, false, 0)
	defer functiontest.Release(batch)
	ctx := &kernel.Context{Alloc: memory.DefaultAllocator, Now: functiontest.Now, Location: time.UTC}
	for _, text := range []string{
		"i + j", "d / e", "b and c", "b or c", "if(b, i, j)", "coalesce(i, j)", "ifnull(s, r)", "nullif(i, j)", "elt(m, s, r)", "s in ('a', r)",
		"i between 1 and j", "s like 'a%'", "year(dt)", "hour(tm)", "week(da, 1)", "yearweek(da, 3)", "date_format(dt, '%Y')", "unix_timestamp(dt)", "unix_timestamp()",
		"from_unixtime(n)", "json_object('a', i)", "json_array(i, s, d)", "json_unquote(s)", "to_seconds(dt)", "hex(s)", "trim(s)", "b is not true",
		"date(dt)", "time(tm)", "round(d, 1)", "truncate(f, 1)", "ceil(d)", "log(f, g)", "atan2(f, g)", "field(s, r, 'a')", "instr(s, 'a')",
		"s regexp 'a'", "strcmp(s, r)", "i <=> j", "b xor c", "json_valid(s)", "now()", "pi()",
	} {
		e, err := functiontest.Bind(text, table.Schema)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		compiled, err := e.Compile(nil)
		if err != nil {
			t.Fatal(err)
		}
		var args []kernel.Expr
		for _, a := range e.Args {
			c, err := a.Compile(nil)
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, c)
		}
		var results [2][]string
		for k, expr := range []kernel.Expr{compiled, kernel.Call(e.Func.Kernel, e.Type, args...)} {
			v, err := expr.Eval(ctx, batch)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			arr, err := kernel.Expand(ctx, v, batch.Rows)
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch.Rows {
				if v.Errors.Row(i) != nil {
					results[k] = append(results[k], "error")
					continue
				}
				results[k] = append(results[k], functiontest.Text(kernel.Value(arr, i), e.Type))
			}
			arr.Release()
			v.Release()
		}
		for i := range results[0] {
			if results[0][i] != results[1][i] {
				t.Errorf("%s: row %d %s: compiled %s, the kernel %s", text, i, table.Show(e, i), results[0][i], results[1][i])
				break
			}
		}
	}
}
