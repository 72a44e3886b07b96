package mysqljson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leatdb/leat/internal/mysqljson"
)

func TestValid(t *testing.T) {
	f := func(doc string, offset int) {
		t.Helper()
		err := mysqljson.Valid([]byte(doc))
		if offset < 0 {
			if err != nil {
				t.Errorf("Valid(%.60q): %v", doc, err)
			}
			return
		}
		var se *mysqljson.SyntaxError
		if !errors.As(err, &se) || se.Offset != offset {
			t.Errorf("Valid(%.60q) = %v; want an error at byte %d", doc, err, offset)
		}
	}
	f(` {"a" : [1, -2.5e+7, "x\u00e9\ud83d\ude00", true, false, null, {}, []] } `, -1)
	f(`"€ and 😀"`, -1)
	f(strings.Repeat("[", mysqljson.MaxDepth)+strings.Repeat("]", mysqljson.MaxDepth), -1)
	f(strings.Repeat(`{"a":`, mysqljson.MaxDepth)+"1"+strings.Repeat("}", mysqljson.MaxDepth), -1)
	f(strings.Repeat("[", mysqljson.MaxDepth+1), mysqljson.MaxDepth)
	f(``, 0)
	f(`  `, 2)
	f(`nul`, 0)
	f(`nulls`, 4)
	f(`01`, 0)
	f(`-`, 1)
	f(`1.`, 2)
	f(`1e`, 2)
	f(`1e+`, 3)
	f(`.5`, 0)
	f(`+1`, 0)
	f(`[1,]`, 3)
	f(`[1 2]`, 3)
	f(`[1}`, 2)
	f(`{"a":1]`, 6)
	f(`{"a"}`, 4)
	f(`{"a":}`, 5)
	f(`{,}`, 1)
	f(`{1:2}`, 1)
	f(`"abc`, 4)
	f(`"ab`+"\n"+`c"`, 3)
	f(`"\x"`, 1)
	f(`"\u12g4"`, 1)
	f(`"\ud83d"`, 1)
	f(`"\ud83d\u0041"`, 1)
	f(`"\ude00"`, 1)
	f("\"\xff\"", 1)
	f("\"\xed\xa0\x80\"", 1)
	f(`{"a":1}x`, 7)
}

// validSlow says by other means whether doc is what Valid accepts.
func validSlow(doc []byte) bool {
	return json.Valid(doc) && utf8.Valid(doc) && !halfSurrogate(doc)
}

func halfSurrogate(doc []byte) bool {
	for i := 0; i < len(doc); i++ {
		if doc[i] != '\\' {
			continue
		}
		i++
		if doc[i] != 'u' {
			continue
		}
		r, _ := strconv.ParseUint(string(doc[i+1:i+5]), 16, 32)
		i += 4
		switch {
		case r >= 0xdc00 && r <= 0xdfff:
			return true
		case r >= 0xd800 && r < 0xdc00:
			if !bytes.HasPrefix(doc[i+1:], []byte(`\u`)) {
				return true
			}
			low, _ := strconv.ParseUint(string(doc[i+3:i+7]), 16, 32)
			if low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 6
		}
	}
	return false
}

// normalSlow prints a decoded document in normal form.
func normalSlow(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		var names []string
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		})
		parts := make([]string, len(names))
		for i, name := range names {
			parts[i] = normalSlow(name) + ": " + normalSlow(v[name])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = normalSlow(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(err)
		}
		s := strings.TrimSuffix(b.String(), "\n")
		return strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029").Replace(s)
	case json.Number:
		s := v.String()
		if s == "-0" {
			return "0"
		}
		if !strings.ContainsAny(s, ".eE") {
			if _, err := strconv.ParseInt(s, 10, 64); err == nil {
				return s
			}
			if _, err := strconv.ParseUint(s, 10, 64); err == nil {
				return s
			}
		}
		f, err := v.Float64()
		if err != nil {
			panic(err)
		}
		s = string(mysqljson.AppendDouble(nil, f))
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	}
	return fmt.Sprint(v)
}

func checkAgainstStandardLibrary(t *testing.T, doc []byte) {
	t.Helper()
	valid := validSlow(doc)
	if err := mysqljson.Valid(doc); (err == nil) != valid {
		t.Fatalf("Valid(%q) = %v, want %v", doc, err, valid)
	}
	if !valid {
		return
	}
	if end, err := mysqljson.Skip(bytes.TrimLeft(doc, " \t\r\n"), 0); err != nil || end != len(bytes.Trim(doc, " \t\r\n")) {
		t.Fatalf("Skip(%q) = %d, %v", doc, end, err)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	want, tooBig := func() (s string, tooBig bool) {
		defer func() { tooBig = recover() != nil }()
		return normalSlow(v), false
	}()
	got, err := mysqljson.AppendNormal(nil, doc)
	if tooBig || err != nil && strings.Contains(err.Error(), "too big") {
		return
	}
	if err != nil || string(got) != want {
		t.Fatalf("AppendNormal(%q) = %q, %v; want %q", doc, got, err, want)
	}
	if again, err := mysqljson.AppendNormal(nil, got); err != nil || !bytes.Equal(again, got) {
		t.Fatalf("AppendNormal(%q) = %q, %v; want it unchanged", got, again, err)
	}
	if s, ok := v.(string); ok {
		if got, err := mysqljson.AppendUnquoted(nil, doc); err != nil || string(got) != s {
			t.Fatalf("AppendUnquoted(%q) = %q, %v; want %q", doc, got, err, s)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e+7,"x\u00e9\ud83d\ude00\n",true,false,null,{},[]]}`, `"\ud83d"`, `[01]`, `{"a":1,"a":2,"":3}`, "\"\xff\"",
		`1e400`, ` 18446744073709551616 `, `"\u2028\\u2028"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) { checkAgainstStandardLibrary(t, doc) })
}

func TestIndexed_Depth(t *testing.T) {
	for _, more := range []int{0, 1} {
		n := mysqljson.MaxDepth + more
		doc := []byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n))
		var indexed mysqljson.Indexed
		if got, want := indexed.Read(doc), mysqljson.Valid(doc); (got == nil) != (more == 0) || (want == nil) != (more == 0) {
			t.Errorf("%d levels: Read %v, Valid %v", n, got, want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("$.a[0].*[last-1 to last]**.\"x y\"", `{"a":[{"x y":[1,2]}]}`)
	f.Add("$.b", ` {"a" : 1, "\u0062":"x\n" ,"b":{"c":[ ]} } `)
	f.Add("$[0].b.c", `{"b":{"c":{}},"b":{"c":-0.5},"bb":[true]}`)
	f.Add("$.a", `{"a":[1}`)
	f.Fuzz(func(t *testing.T, path, doc string) {
		p, err := mysqljson.ParsePath(path)
		if err != nil {
			return
		}
		var indexed mysqljson.Indexed
		valid, read := mysqljson.Valid([]byte(doc)), indexed.Read([]byte(doc))
		if (valid == nil) != (read == nil) || valid != nil && valid.Error() != read.Error() {
			t.Fatalf("Read(%q) = %v, Valid %v", doc, read, valid)
		}
		if again, err := mysqljson.ParsePath(p.String()); err != nil || again.String() != p.String() {
			t.Fatalf("ParsePath(%q) = %q; parsed again %q, %v", path, p, again, err)
		}
		all, err := mysqljson.LookupAll([]byte(doc), p, nil)
		if !p.Single() || err != nil || mysqljson.Valid([]byte(doc)) != nil {
			return
		}
		value, found, err := mysqljson.Lookup([]byte(doc), p)
		if err != nil || found != (len(all) == 1) || found && !bytes.Equal(value, all[0]) {
			t.Fatalf("Lookup(%q, %q) = %q, %v, %v; LookupAll %q", doc, p, value, found, err, all)
		}
		again, foundAgain, err := indexed.Lookup(p)
		if err != nil || foundAgain != found || !bytes.Equal(again, value) {
			t.Fatalf("Indexed.Lookup(%q, %q) = %q, %v, %v; Lookup %q, %v", doc, p, again, foundAgain, err, value, found)
		}
	})
}

// randomValue appends a random JSON value, spaced and escaped at random.
func randomValue(r *rand.Rand, b []byte, depth int) []byte {
	space := func() {
		if r.IntN(8) == 0 {
			b = append(b, " \t\r\n"[r.IntN(4)])
		}
	}
	str := func() {
		b = append(b, '"')
		for range r.IntN(20) {
			switch r.IntN(12) {
			case 0:
				b = append(b, []string{`\n`, `\"`, `\\`, `\/`, `\u0041`, `\u00e9`, `\ud83d\ude00`, `\u0000`}[r.IntN(8)]...)
			case 1:
				b = append(b, "é€😀\u2028"...)
			default:
				b = append(b, byte('a'+r.IntN(26)))
			}
		}
		b = append(b, '"')
	}
	space()
	switch k := r.IntN(9); {
	case k < 2 && depth > 0:
		b = append(b, '[')
		for i := range r.IntN(5) {
			if i > 0 {
				b = append(b, ',')
			}
			b = randomValue(r, b, depth-1)
		}
		space()
		b = append(b, ']')
	case k < 5 && depth > 0:
		b = append(b, '{')
		for i := range r.IntN(5) {
			if i > 0 {
				b = append(b, ',')
			}
			space()
			if r.IntN(2) == 0 {
				b = append(b, '"', byte('a'+r.IntN(3)), '"')
			} else {
				str()
			}
			space()
			b = append(b, ':')
			b = randomValue(r, b, depth-1)
		}
		b = append(b, '}')
	case k < 6:
		str()
	case k < 7:
		b = append(b, []string{"true", "false", "null"}[r.IntN(3)]...)
	default:
		b = strconv.AppendInt(b, r.Int64()>>r.IntN(64), 10)
		if r.IntN(2) == 0 {
			b = fmt.Appendf(b, ".%d", r.IntN(1000))
		}
		if r.IntN(4) == 0 {
			b = fmt.Appendf(b, "e%d", r.IntN(40)-20)
		}
	}
	space()
	return b
}

func TestAgainstStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		doc := randomValue(r, nil, 4)
		checkAgainstStandardLibrary(t, doc)
		// Break it in one place.
		if len(doc) > 0 {
			i := r.IntN(len(doc))
			switch r.IntN(3) {
			case 0:
				doc[i] = "\"\\{}[],:0 x\xff\x01"[r.IntN(13)]
			case 1:
				doc = slices.Delete(doc, i, i+1)
			default:
				doc = doc[:i]
			}
			checkAgainstStandardLibrary(t, doc)
		}
	}
}

func BenchmarkValid(b *testing.B) {
	doc := randomValue(rand.New(rand.NewPCG(3, 5)), nil, 9)
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if err := mysqljson.Valid(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendNormal(b *testing.B) {
	doc := []byte(`{"trip_id":123456,"rider":{"name":"Ann","device":{"os":"ios","version":"17.1"}},"fare":12.5,"tags":["a","b"]}`)
	var dst []byte
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		var err error
		if dst, err = mysqljson.AppendNormal(dst[:0], doc); err != nil {
			b.Fatal(err)
		}
	}
}
