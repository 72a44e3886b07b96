package kernel_test

import (
	"bytes"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// one evaluates a function of constants.
func one(t *testing.T, strict bool, e kernel.Expr) (any, error) {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	v, err := e.Eval(&kernel.Context{Alloc: alloc, Mode: kernel.Mode{Strict: strict}}, &kernel.Batch{Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	return kernel.Value(v.Array, 0), v.Errors.Row(0)
}

func text(t *testing.T, s string) kernel.Expr {
	t.Helper()
	e, err := kernel.Constant(s, types.TypeText)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func call(t *testing.T, name string, args ...kernel.Expr) kernel.Expr {
	t.Helper()
	e, err := function.Call(name, args...)
	if err != nil {
		t.Skip(err)
	}
	return e
}

func FuzzTextToDateTime(f *testing.F) {
	for _, s := range []string{
		"2024-02-29", "2024-02-29 10:11:12", "2024-02-29T10:11:12Z", "2024-02-29T10:11:12.123456789+05:30", "20240229", "240229101112",
		"2024-2-9 1:2:3", "99.1.2", "2024-02-29 10:11:12 +02:00", "0000-00-00", "2024-02-29T", "10:11:12", "2024-13-01", " 2024-02-29 ", "20240229T101112",
	} {
		f.Add(s)
	}
	layouts := []string{"2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339Nano, "2006-01-02 15:04:05Z07:00"}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := one(t, true, kernel.Cast(text(t, s), types.TypeDateTime))
		for _, layout := range layouts {
			want, parseErr := time.Parse(layout, s)
			if parseErr != nil || want.UTC().Year() < 1 || want.UTC().Year() > 9999 {
				continue
			}
			if _, offset := want.Zone(); offset > 14*3600 || offset < -14*3600 || offset%60 != 0 {
				continue
			}
			if strings.Contains(s, ",") || got == nil && want.Year() == 9999 {
				continue
			}
			micros := want.Round(time.Microsecond).UnixMicro()
			if err != nil || got != micros {
				t.Fatalf("%q is %v, %v; want %d", s, got, err, micros)
			}
		}
		if micros, ok := got.(int64); ok && err == nil && (micros < -62167219200000000 || micros > 253402300799999999) {
			t.Fatalf("%q is %d, out of the calendar", s, micros)
		}
		_, _ = one(t, true, kernel.Cast(text(t, s), types.Type{Kind: types.Time, Fsp: 3}))
		_, _ = one(t, false, kernel.Cast(text(t, s), types.TypeDate))
		_, _ = one(t, false, kernel.Cast(text(t, s), types.Type{Kind: types.Timestamp}))
	})
}

var numberPrefix = regexp.MustCompile(`^[ \t\n\v\f\r]*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)`)

func FuzzTextToNumber(f *testing.F) {
	for _, s := range []string{"1", "-1.5e3", ".5", "5.", "1e", "1e+", "abc", " 12 ", "1e400", "99999999999999999999", "0x10", "-", "1.5.5", "1e-400", "-0", "00012.50"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			t.Skip()
		}
		var prefix, rest string
		if m := numberPrefix.FindStringSubmatch(s); m != nil {
			prefix, rest = m[1], s[len(m[0]):]
		}
		clean := prefix != "" && strings.Trim(rest, " \t\n\v\f\r") == ""

		want, _ := strconv.ParseFloat(prefix, 64)
		finite := !math.IsInf(want, 0)
		want = max(min(want, math.MaxFloat64), -math.MaxFloat64)
		got, _ := one(t, false, kernel.Cast(text(t, s), types.TypeFloat64))
		if got != want {
			t.Fatalf("%q as DOUBLE is %v, want %v", s, got, want)
		}
		if _, err := one(t, true, kernel.Cast(text(t, s), types.TypeFloat64)); (err == nil) != (clean && finite) {
			t.Fatalf("%q as DOUBLE: %v", s, err)
		}

		decimal := types.NewDecimal(20, 5)
		d, _ := one(t, false, kernel.Cast(text(t, s), decimal))
		if exact, ok := new(big.Rat).SetString(prefix); ok && len(prefix) < 60 {
			limit, _ := new(big.Rat).SetString("999999999999999.99999")
			exact = roundRat(exact, 5, false)
			if exact.Cmp(limit) > 0 {
				exact = limit
			} else if exact.Cmp(new(big.Rat).Neg(limit)) < 0 {
				exact.Neg(limit)
			}
			if rat(t, d).Cmp(exact) != 0 {
				t.Fatalf("%q as DECIMAL(20,5) is %v, want %s", s, d, exact.FloatString(5))
			}
		}

		i, _ := one(t, false, kernel.Cast(text(t, s), types.TypeInt64))
		digits := regexp.MustCompile(`^[ \t\n\v\f\r]*([-+]?[0-9]+)`).FindStringSubmatch(s)
		wanted := new(big.Int)
		if digits != nil {
			wanted.SetString(digits[1], 10)
		}
		switch {
		case wanted.IsInt64():
			if i != wanted.Int64() {
				t.Fatalf("%q as BIGINT is %v, want %s", s, i, wanted)
			}
		case wanted.Sign() < 0:
			if i != int64(math.MinInt64) {
				t.Fatalf("%q as BIGINT is %v", s, i)
			}
		}
		_, _ = one(t, true, kernel.Cast(text(t, s), types.TypeUint64))
		_, _ = one(t, true, kernel.Cast(text(t, s), types.TypeJSON))
	})
}

// FuzzLike compares with a regular expression of the pattern.
func FuzzLike(f *testing.F) {
	for _, c := range [][2]string{{"abc", "a%"}, {"abc", "_b_"}, {"日本", "日_"}, {"a%b", `a\%b`}, {"", "%"}, {"aaa", "%a%a%a%a%"}, {`\`, `\\`}, {"a", `a\`}, {"aXbXc", "a%X_"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, s, pattern string) {
		if !utf8.ValidString(s) || !utf8.ValidString(pattern) || len(pattern) > 30 {
			t.Skip()
		}
		var re strings.Builder
		re.WriteString(`(?s)\A`)
		runes := []rune(pattern)
		for i := 0; i < len(runes); i++ {
			switch {
			case runes[i] == '\\' && i+1 < len(runes):
				i++
				re.WriteString(regexp.QuoteMeta(string(runes[i])))
			case runes[i] == '%':
				re.WriteString(".*")
			case runes[i] == '_':
				re.WriteString(".")
			default:
				re.WriteString(regexp.QuoteMeta(string(runes[i])))
			}
		}
		want := regexp.MustCompile(re.String() + `\z`).MatchString(s)
		if got, _ := one(t, true, call(t, "like", text(t, s), text(t, pattern))); got != want {
			t.Fatalf("%q LIKE %q is %v, want %v", s, pattern, got, want)
		}
	})
}

// FuzzTextFunctions compares with the same on slices of characters.
func FuzzTextFunctions(f *testing.F) {
	f.Add("日本語 text", "t", 2, 3)
	f.Add("", "", 0, 0)
	f.Add("a,b,,c", ",", -2, 1)
	f.Fuzz(func(t *testing.T, s, sep string, n, length int) {
		if !utf8.ValidString(s) || !utf8.ValidString(sep) || n > 1000 || n < -1000 || length > 1000 || length < -1000 {
			t.Skip()
		}
		number := func(n int) kernel.Expr {
			e, err := kernel.Constant(int64(n), types.TypeInt64)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		runes := []rune(s)
		check := func(name, want string, args ...kernel.Expr) {
			t.Helper()
			if got, err := one(t, true, call(t, name, args...)); got != want || err != nil {
				t.Fatalf("%s(%q, %q, %d, %d) is %q, %v; want %q", name, s, sep, n, length, got, err, want)
			}
		}
		begin := n - 1
		if n < 0 {
			begin = len(runes) + n
		}
		want := ""
		if n != 0 && begin >= 0 && begin < len(runes) && length > 0 {
			want = string(runes[begin:min(begin+length, len(runes))])
		}
		check("substring", want, text(t, s), number(n), number(length))
		check("left", string(runes[:max(0, min(n, len(runes)))]), text(t, s), number(n))
		check("right", string(runes[len(runes)-max(0, min(n, len(runes))):]), text(t, s), number(n))
		if sep != "" {
			check("replace", strings.ReplaceAll(s, sep, "·"), text(t, s), text(t, sep), text(t, "·"))
			if parts := strings.Split(s, sep); n >= 0 {
				check("substring_index", strings.Join(parts[:min(n, len(parts))], sep), text(t, s), text(t, sep), number(n))
			} else if len(sep) == 1 {
				check("substring_index", strings.Join(parts[max(0, len(parts)+n):], sep), text(t, s), text(t, sep), number(n))
			}
		}
		for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
			runes[i], runes[j] = runes[j], runes[i]
		}
		check("reverse", string(runes), text(t, s))
		if at := strings.Index(s, sep); at >= 0 {
			at = utf8.RuneCountInString(s[:at]) + 1
			if got, _ := one(t, true, call(t, "locate", text(t, sep), text(t, s))); got != int64(at) {
				t.Fatalf("locate(%q, %q) is %v, want %d", sep, s, got, at)
			}
		}
	})
}

// FuzzDateFormat prints and reads back.
func FuzzDateFormat(f *testing.F) {
	f.Add(int64(0), "%Y-%m-%d")
	f.Add(int64(1709209696789012), "%a %b %c %D %d %e %f %H %h %I %i %j %k %l %M %m %p %r %S %s %T %U %u %V %v %W %w %X %x %Y %y %%")
	f.Fuzz(func(t *testing.T, micros int64, format string) {
		if micros < -62135596800e6 || micros > 253402300799e6 || len(format) > 200 {
			t.Skip()
		}
		at, err := kernel.Constant(micros, types.TypeDateTime)
		if err != nil {
			t.Fatal(err)
		}
		printed, _ := one(t, true, call(t, "date_format", at, text(t, format)))
		_, _ = one(t, false, call(t, "str_to_date", text(t, printed.(string)), text(t, format)))
		for _, full := range []string{"%Y-%m-%d %H:%i:%s.%f", "%d %M %Y %r %f", "%Y %j %T.%f", "%X%V %W %T.%f", "%x-%v %a %k:%i:%S.%f"} {
			printed, _ := one(t, true, call(t, "date_format", at, text(t, full)))
			if back, err := one(t, true, call(t, "str_to_date", text(t, printed.(string)), text(t, full))); back != micros || err != nil {
				t.Fatalf("%d printed by %s is %q, which reads as %v, %v", micros, full, printed, back, err)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"a": [1, {"b": null}], "a": "x"}`, "$.a[1].b")
	f.Add(`[1, 2.5, "x", true]`, "$[*]")
	f.Add(`{`, "$**.a")
	f.Fuzz(func(t *testing.T, document, path string) {
		for _, name := range []string{"->", "->>", "json_length", "json_keys", "json_value"} {
			value, _ := one(t, false, call(t, name, text(t, document), text(t, path)))
			if s, ok := value.(string); ok && (name == "->" || name == "json_keys") {
				if valid, _ := one(t, true, call(t, "json_valid", text(t, s))); valid != true {
					t.Fatalf("%s of %q, %q is %q", name, document, path, s)
				}
			}
		}
		for _, name := range []string{"json_type", "json_length", "json_unquote", "json_valid"} {
			_, _ = one(t, false, call(t, name, text(t, document)))
		}
		doc := kernel.Cast(text(t, document), types.TypeJSON)
		if equal, err := one(t, true, call(t, "=", doc, doc)); err == nil && equal != true {
			t.Fatalf("%q is not equal to itself", document)
		}
	})
}

func FuzzUnhex(f *testing.F) {
	f.Add([]byte("\x00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := kernel.Constant(b, types.TypeBlob)
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]string{{"hex", "unhex"}, {"to_base64", "from_base64"}} {
			if got, err := one(t, true, call(t, pair[1], call(t, pair[0], e))); err != nil || !bytes.Equal(got.([]byte), b) {
				t.Fatalf("%s of %x and back is %x, %v", pair[0], b, got, err)
			}
		}
	})
}
