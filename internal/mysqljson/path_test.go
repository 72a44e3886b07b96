package mysqljson_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/mysqljson"
)

func TestParsePath(t *testing.T) {
	f := func(in, want string, single bool) {
		t.Helper()
		p, err := mysqljson.ParsePath(in)
		if err != nil {
			t.Errorf("ParsePath(%q): %v", in, err)
			return
		}
		if p.String() != want || p.Single() != single {
			t.Errorf("ParsePath(%q) = %s, single %v; want %s, %v", in, p, p.Single(), want, single)
		}
		if again, err := mysqljson.ParsePath(p.String()); err != nil || again.String() != want {
			t.Errorf("ParsePath(%q) = %s, %v; want it unchanged", p, again, err)
		}
	}
	f("$", "$", true)
	f(" $ . a [ 0 ] ", "$.a[0]", true)
	f("$.a.b", "$.a.b", true)
	f(`$."a-b"."c d"`, `$."a-b"."c d"`, true)
	f(`$."ab"`, `$.ab`, true)
	f(`$."a\u0062\n"`, `$."ab\n"`, true)
	f(`$.""`, `$.""`, true)
	f("$.größe", "$.größe", true)
	f("$.$a_1", "$.$a_1", true)
	f("$[last]", "$[last]", true)
	f("$[last - 2]", "$[last-2]", true)
	f("$[1 to 3]", "$[1 to 3]", false)
	f("$[last-3 to last]", "$[last-3 to last]", false)
	f("$[0 to last-1]", "$[0 to last-1]", false)
	f("$[*]", "$[*]", false)
	f("$.*", "$.*", false)
	f("$**.a", "$**.a", false)
	f("$.a**[*]", "$.a**[*]", false)
}

func TestParsePath_Invalid(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		_, err := mysqljson.ParsePath(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePath(%q) = %v; want an error with %q", in, err, want)
		}
	}
	f("", "character 1: expected $")
	f("a", "character 1: expected $")
	f("$a", "character 2: expected ., [ or **")
	f("$.", "character 3: expected a member name")
	f("$.1", "character 3: expected a member name")
	f("$.a-b", "character 4: expected ., [ or **")
	f("$.ä-b", "character 4: expected ., [ or **")
	f(`$."a`, "between double quotes")
	f(`$."\x"`, "between double quotes")
	f("$[", "expected a number")
	f("$[]", "expected a number")
	f("$[-1]", "expected a number")
	f("$[4294967296]", "expected a number")
	f("$[1", "expected ]")
	f("$[1to 2]", "expected ]")
	f("$[1 to2]", "expected a space after to")
	f("$[3 to 1]", "the range ends before it begins")
	f("$[last to last-1]", "the range ends before it begins")
	f("$**", "may not end with **")
	f("$***.a", "expected . or [")
	f("$.a\xff", "UTF-8")
}
