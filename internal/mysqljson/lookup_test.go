package mysqljson_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/mysqljson"
)

func TestLookup(t *testing.T) {
	f := func(doc, path string, want ...string) {
		t.Helper()
		p, err := mysqljson.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		all, err := mysqljson.LookupAll([]byte(doc), p, nil)
		if err != nil {
			t.Errorf("LookupAll(%s, %s): %v", doc, path, err)
			return
		}
		got := make([]string, len(all))
		for i := range all {
			got[i] = string(all[i])
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("LookupAll(%s, %s) = %q, want %q", doc, path, got, want)
		}
		if !p.Single() {
			return
		}
		value, found, err := mysqljson.Lookup([]byte(doc), p)
		if err != nil || found != (len(want) == 1) || found && string(value) != want[0] {
			t.Errorf("Lookup(%s, %s) = %s, %v, %v; want %q", doc, path, value, found, err, want)
		}
	}
	f(`{"a": 1}`, "$", `{"a": 1}`)
	f(` [1 , 2] `, "$", `[1 , 2]`)
	f(`{"a": 1}`, "$.a", "1")
	f(`{"a": 1}`, "$.b")
	f(`{"a":{"b":[10, 20 ,{"c":"x"}]}}`, "$.a.b[2].c", `"x"`)
	f(`{"a":1,"a":2}`, "$.a", "2")
	f(`{"\u0061":1}`, "$.a", "1")
	f(`{"a":1,"\u0061":{"b":3}}`, "$.a.b", "3")
	f(`{"a":{"b":1},"a":2}`, "$.a.b")
	f(`[1,2,3]`, "$[0]", "1")
	f(`[1,2,3]`, "$[last]", "3")
	f(`[1,2,3]`, "$[last-2]", "1")
	f(`[1,2,3]`, "$[last-3]")
	f(`[1,2,3]`, "$[3]")
	f(`[]`, "$[0]")
	f(`[]`, "$[last]")
	// A value that is no array is taken for an array of one.
	f(`7`, "$[0]", "7")
	f(`{"a":"x"}`, "$.a[0][last]", `"x"`)
	f(`{"a":"x"}`, "$[0].a", `"x"`)
	f(`7`, "$[1]")
	f(`7`, "$[last-1]")
	f(`7`, "$[0 to 3]", "7")
	f(`7`, "$[1 to 3]")
	f(`7`, "$[*]")
	f(`[1,2,3,4]`, "$[1 to 2]", "2", "3")
	f(`[1,2,3,4]`, "$[last-1 to last]", "3", "4")
	f(`[1,2,3,4]`, "$[2 to 9]", "3", "4")
	f(`[1,2,3,4]`, "$[last-9 to 1]", "1", "2")
	f(`[1,2,3,4]`, "$[3 to last-2]")
	f(`[{"a":1},{"b":2},{"a":3}]`, "$[*].a", "1", "3")
	// Members come in MySQL's order.
	f(`{"bb":1,"c":2,"a":3,"c":4}`, "$.*", "3", "4", "1")
	f(`{"a":{"b":1},"b":2,"c":[{"b":3}]}`, "$**.b", "2", "1", "3")
	f(`[[1]]`, "$**[0]", "[1]", "1")
	f(`{"a":[{"a":[1]}]}`, "$**.a**[0]", `{"a":[1]}`, `1`)
	f("{ \"a\" : { \"b\"\n:\t1 } }", "$.a.b", "1")
	f(`{"x":"}]\"{","a":"\\"}`, "$.a", `"\\"`)
}

func TestLookup_Broken(t *testing.T) {
	f := func(doc, path string) {
		t.Helper()
		p, err := mysqljson.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, found, err := mysqljson.Lookup([]byte(doc), p); err == nil {
			t.Errorf("Lookup(%s, %s) = %s, %v; want an error", doc, path, v, found)
		}
	}
	f(``, "$")
	f(``, "$.a")
	f(`{"a":`, "$.a")
	f(`{"a":1`, "$.a")
	f(`{"a" 1}`, "$.a")
	f(`{"a":1 "b":2}`, "$.a")
	f(`{a:1}`, "$.a")
	f(`[1`, "$[1]")
	f(`[1 2]`, "$[1]")
	f(`[[1}]`, "$[1]")
	f(`{"a":"x`, "$.a")
	f(`{"a":"x\`, "$.a")
}

func TestLookupAll_ManyDescents(t *testing.T) {
	// Each ** alone visits every level; together they may not multiply.
	doc := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	p, err := mysqljson.ParsePath("$**.a**.a**.a**.a")
	if err != nil {
		t.Fatal(err)
	}
	all, err := mysqljson.LookupAll([]byte(doc), p, nil)
	if err != nil || len(all) != 4997 {
		t.Errorf("LookupAll found %d values, %v; want 4997", len(all), err)
	}
}

func TestDocument(t *testing.T) {
	var d mysqljson.Document
	for range 2 {
		if err := d.Parse([]byte(` {"b":[{"x":1},{"x":2.50}],"a":null} `)); err != nil {
			t.Fatal(err)
		}
		rows, err := mysqljson.ParsePath("$.b[*]")
		if err != nil {
			t.Fatal(err)
		}
		x, err := mysqljson.ParsePath("$.x")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range d.FindAll(mysqljson.Root, rows, nil) {
			for _, n := range d.FindAll(row, x, nil) {
				normal, err := d.AppendNormal(nil, n)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, d.Kind(n).String(), string(d.Bytes(n)), string(normal))
			}
		}
		if want := "a number 1 1 a number 2.50 2.5"; strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
		if err := d.Parse([]byte("[1")); err == nil {
			t.Error("Parse gives no error")
		}
	}
}
