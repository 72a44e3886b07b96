package mysqljson_test

import (
	"math"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/mysqljson"
)

func TestAppendNormal(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := mysqljson.AppendNormal([]byte("x"), []byte(in))
		if err != nil || string(got) != "x"+want {
			t.Errorf("AppendNormal(%s) = %s, %v; want x%s", in, got, err, want)
		}
	}
	f(`{"b":1,"aa":2,"a":3,"b":4}`, `{"a": 3, "b": 4, "aa": 2}`)
	f(`{"a":{"a":1,"a":{"c":[],"b":{}}}}`, `{"a": {"a": {"b": {}, "c": []}}}`)
	f(`{"\u0062":1,"a":2,"b":3}`, `{"a": 2, "b": 3}`)
	f("[ 1 ,\n\"x\", true,false , null]", `[1, "x", true, false, null]`)
	f(`"a\u0041\/\"\\\b\f\n\r\t\u001f\u007f\u00e9\ud83d\ude00"`, `"aA/\"\\\b\f\n\r\t\u001f`+"\x7fé😀\"")
	f(`"é"`, `"é"`)
	// Numbers.
	f(`0`, `0`)
	f(`-0`, `0`)
	f(`-0.0`, `-0.0`)
	f(`1.0`, `1.0`)
	f(`1e2`, `100.0`)
	f(`1E+2`, `100.0`)
	f(`1.50`, `1.5`)
	f(`9223372036854775807`, `9223372036854775807`)
	f(`-9223372036854775808`, `-9223372036854775808`)
	f(`18446744073709551615`, `18446744073709551615`)
	f(`18446744073709551616`, `1.8446744073709552e19`)
	f(`-9223372036854775809`, `-9.223372036854776e18`)
	f(`1e14`, `100000000000000.0`)
	f(`1e15`, `1e15`)
	f(`1e20`, `1e20`)
	f(`1234567890123456.5`, `1234567890123456.5`)
	f(`0.00001`, `0.00001`)
	f(`1e-15`, `0.000000000000001`)
	f(`1e-16`, `1e-16`)
	f(`1.5e-20`, `1.5e-20`)
	f(`1e-400`, `0.0`)
	f(`1.7976931348623157e308`, `1.7976931348623157e308`)
	f(`5e-324`, `5e-324`)
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	f(deep, deep)
}

func TestAppendNormal_Invalid(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := mysqljson.AppendNormal([]byte("x"), []byte(in))
		if err == nil || err.Error() != want || string(got) != "x" {
			t.Errorf("AppendNormal(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
	f(`[1e400]`, `invalid JSON at byte 1: number 1e400 is too big for a double`)
	f(`{"a":1,}`, `invalid JSON at byte 7: expected the name of a member, found '}'`)
	f(`1 2`, `invalid JSON at byte 2: expected the end of the text, found '2'`)
}

func TestAppendUnquoted(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := mysqljson.AppendUnquoted(nil, []byte(in))
		if err != nil || string(got) != want {
			t.Errorf("AppendUnquoted(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
	f(`"a\"b"`, `a"b`)
	f(` "\ud83d\ude00\u00e9" `, `😀é`)
	f(`null`, `null`)
	f(`{"b":1,"a":"\u0041"}`, `{"a": "A", "b": 1}`)
	f(`1.0`, `1.0`)
}

func TestAppendDouble(t *testing.T) {
	f := func(in float64, want string) {
		t.Helper()
		if got := string(mysqljson.AppendDouble(nil, in)); got != want {
			t.Errorf("AppendDouble(%v) = %s, want %s", in, got, want)
		}
	}
	f(0, "0")
	f(math.Copysign(0, -1), "-0")
	f(1, "1")
	f(-1.25, "-1.25")
	f(100, "100")
	f(123456789012345, "123456789012345")
	f(999999999999999, "999999999999999")
	f(1234567890123456, "1.234567890123456e15")
	f(-1e15, "-1e15")
	f(1e100, "1e100")
	f(-1e-7, "-0.0000001")
}
