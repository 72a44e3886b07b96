package matcher_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/matcher"
)

// pair is a matcher of all groups, one of some of them, and what both are compared with.
type pair struct {
	all, some *matcher.Matcher
	groups    []int // of some
	re        *regexp.Regexp
}

func newPair(re *regexp.Regexp) pair {
	p := pair{all: matcher.New(re), re: re}
	for g := re.NumSubexp(); g >= 0; g -= 2 {
		p.groups = append(p.groups, g)
	}
	p.some = matcher.New(re, p.groups...)
	return p
}

func equal(got []int32, want []int) bool {
	return slices.EqualFunc(got, want, func(a int32, b int) bool { return int(a) == b })
}

// same compares the matchers with regexp.
func (p pair) same(t *testing.T, s string) {
	t.Helper()
	text := []byte(s)
	if got, want := p.all.Match(text), p.re.Match(text); got != want {
		t.Fatalf("%q matches %q: %v, want %v", p.re, s, got, want)
	}
	want := p.re.FindSubmatchIndex(text)
	begin, end := p.all.Find(text)
	if want == nil && begin != -1 || want != nil && (begin != want[0] || end != want[1]) {
		t.Fatalf("%q in %q: %d to %d, want %v", p.re, s, begin, end, want)
	}
	if got := p.all.Groups(text); !equal(got, want) {
		t.Fatalf("%q in %q: groups %v, want %v", p.re, s, got, want)
	}
	var some []int
	for _, g := range p.groups {
		if want != nil {
			some = append(some, want[2*g:2*g+2]...)
		}
	}
	if got := p.some.Groups(text); !equal(got, some) {
		t.Fatalf("%q in %q: groups %v are %v, want %v", p.re, s, p.groups, got, some)
	}
	all := p.re.FindAllSubmatchIndex(text, -1)
	for _, n := range []int{-1, 2} { // what is found of two at most is the first two of all
		if n > 0 && len(all) > n {
			all = all[:n]
		}
		if got, want := p.all.All(text, n), slices.Concat(all...); !equal(got, want) {
			t.Fatalf("%q in %q: all %v, want %v", p.re, s, got, want)
		}
	}
}

// Random patterns of few letters, so that much matches nearly.
func TestMatcher_Random(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	var build func(depth int) string
	build = func(depth int) string {
		switch n := random.IntN(17); {
		case depth == 0 || n < 5:
			return pick("a", "b", "ab", "ba", "&", "aab", ".", "[ab]", "[^a]", "ä", `\d`, "k", "A", `[^&]*`, `\w`, `\W+`, `[à-ý]`, `\pL`, `\x{FFFD}`, `[^ä]`)
		case n < 9:
			return build(depth-1) + build(depth-1)
		case n < 11:
			return pick("(", "(?:", "(?P<x>") + build(depth-1) + "|" + build(depth-1) + ")"
		case n < 12:
			return pick("(?:", "(") + build(depth-1) + ")" + pick("*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{2,}", "{0,2}?")
		case n < 13:
			return pick("^", "$", `\A`, `\z`, `\b`, `\B`, "(?m:^)", "(?m:$)", "(?:)", "()") + build(depth-1)
		case n < 14:
			return build(depth-1) + pick("$", `\b`, "^", `\z`, `\B`, "(?m:$)", "(|a)*", "($|b)*")
		case n < 15:
			return pick("(?i:", "(?s:", "(?m:", "(?U:", "(?ims:") + build(depth-1) + ")"
		}
		return "(" + build(depth-1) + ")"
	}
	letters := []string{"a", "b", "ab", "&", "A", "K", "1", "\n", "ä", "\xff", "\u212a", "aab", "é", "_", "\xc3", "bbbbbbbbbbbbbbbbbbbb", " "}
	fast := 0
	for range 5000 {
		re, err := regexp.Compile(build(4))
		if err != nil {
			continue
		}
		p := newPair(re)
		for range 12 {
			var s strings.Builder
			for range random.IntN(9) {
				s.WriteString(letters[random.IntN(len(letters)-random.IntN(5))])
			}
			p.same(t, s.String())
		}
		if p.all.States() > 0 {
			fast++
		}
	}
	if fast < 3000 {
		t.Errorf("only %d patterns have an automaton", fast)
	}
}

func TestMatcher_Literal(t *testing.T) {
	for pattern, want := range map[string]string{
		`(&|^)channel_id=[^&]*`: "channel_id=", `zone [0-9]5`: "zone ", `/products/(\d+)/items`: "/products/", `a|b`: "", `(?i)abc`: "", `(abc)+x`: "x", `x\x{FFFD}`: "", `(a(bcd)e)`: "bcd",
	} {
		if got := matcher.New(regexp.MustCompile(pattern)).Literal(); got != want {
			t.Errorf("%s: literal %q, want %q", pattern, got, want)
		}
	}
}

// A pattern that needs more states than there may be goes on with regexp.
func TestMatcher_TooManyStates(t *testing.T) {
	p := newPair(regexp.MustCompile(`a[ab]{14}(b)`))
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var s strings.Builder
		for range 40 {
			s.WriteByte("ab"[random.IntN(2)])
		}
		p.same(t, s.String())
	}
	if p.all.States() != -1 {
		t.Errorf("%d states", p.all.States())
	}
}

// What lies behind a match does not count as passed.
func TestMatcher_TooManyStatesBehindMatches(t *testing.T) {
	m := matcher.New(regexp.MustCompile(`a[ab]{14}(b)|c`))
	random := rand.New(rand.NewPCG(1, 2))
	text := []byte(strings.Repeat("c", 3000))
	for range 3000 {
		text = append(text, "ab"[random.IntN(2)])
	}
	m.All(text, -1)
	if m.States() != -1 {
		t.Errorf("%d states", m.States())
	}
}

// One that is full after much text begins anew, and takes the next text.
func TestMatcher_BeginsAnew(t *testing.T) {
	p := newPair(regexp.MustCompile(`[aA][ab]{14}(b)c`))
	random := rand.New(rand.NewPCG(1, 2))
	letters := func(n int) string {
		var s strings.Builder
		for range n {
			s.WriteByte("ab"[random.IntN(2)])
		}
		return s.String()
	}
	p.same(t, "ab")
	if p.all.States() < 1 {
		t.Errorf("%d states after a short text", p.all.States())
	}
	p.same(t, strings.Repeat("db", 1<<19)+letters(3000))
	if p.all.States() != 0 {
		t.Errorf("%d states after a long text", p.all.States())
	}
	p.same(t, letters(20)+"c")
	if p.all.States() < 1 {
		t.Errorf("%d states after it has begun anew", p.all.States())
	}
}

// What people take logs apart with.
var logs = []struct{ name, pattern, line string }{
	{"combined", `^(?P<host>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "\S+ (?P<path>\S+) [^"]*" (?P<status>\d+) (?P<bytes>\d+) "[^"]*" "(?P<agent>[^"]*)"$`,
		`10.20.30.40 - - [10/Oct/2024:13:55:36 +0000] "GET /trips/1234567/from/132/to/14 HTTP/1.1" 200 5316 "https://example.com/start" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"`},
	{"lazy", `^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) ([^"]*?) (\S+)" (\d{3}) (\d+|-)`,
		`10.20.30.40 - frank [10/Oct/2024:13:55:36 +0000] "GET /trips/1234567/from/132/to/14 HTTP/1.1" 200 - "https://example.com/start" "Mozilla/5.0"`},
	{"syslog", `^<(?P<pri>\d+)>(?P<at>\w{3} +\d+ \d\d:\d\d:\d\d) (?P<host>\S+) (?P<program>[^\[:]+)(?:\[(?P<pid>\d+)\])?: (?P<text>.*)$`,
		`<34>Oct 11 22:14:15 mymachine sshd[4123]: Failed password for invalid user möller from 10.0.0.7 port 53122 ssh2`},
	{"key=value", `level=(?P<level>\w+).*?msg="(?P<msg>[^"]*)".*?\bms=(?P<ms>\d+(?:\.\d+)?)`,
		`ts=2024-05-01T10:00:00Z level=info caller=main.go:12 msg="request served" method=GET path=/a/b status=200 ms=12.75`},
	{"words", `(?i)\b(error|warn(?:ing)?|fatal)\b.*?(\d+)`, `2024-05-01 10:00:00 [main] WARNING disk is nearly full: 93 % of /var`},
	{"java", `^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) +\[(.*?)\] (\w+) +([\w.$]+) - (.*)$`,
		`2024-05-01 10:00:00,123 [http-nio-8080-exec-1] INFO  com.example.shop.OrderService - order 4711 of customer 42 was placed`},
}

func TestMatcher_Logs(t *testing.T) {
	for _, l := range logs {
		t.Run(l.name, func(t *testing.T) {
			p := newPair(regexp.MustCompile(l.pattern))
			if p.re.FindStringSubmatch(l.line) == nil {
				t.Fatal("the line does not match")
			}
			for i := range l.line {
				p.same(t, l.line[:i]+"é"+l.line[i:])
				p.same(t, l.line[:i]+l.line[i+1:])
				p.same(t, l.line[i:])
				p.same(t, l.line[:i]+"\xff \""+l.line[i:])
			}
			p.same(t, l.line)
			if p.all.States() < 0 {
				t.Error("there is no automaton")
			}
			text := []byte(l.line)
			if n := testing.AllocsPerRun(10, func() { p.all.Groups(text) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// States that only one byte leaves go there at once.
func TestMatcher_Jumps(t *testing.T) {
	for pattern, want := range map[string]int{`"[^"]*"`: 2, `^x "([^"]*)" \[(.*)$`: 2, `"[^"é]*"`: 0, `"[^",]*"`: 0} {
		p := newPair(regexp.MustCompile(pattern))
		p.same(t, `x "`+strings.Repeat("ä b", 50)+`" [`+strings.Repeat("ä\xff", 50)+"\n\"")
		if got := p.all.Jumps(); got != want {
			t.Errorf("%s: %d states, want %d", pattern, got, want)
		}
	}
}

// Texts of which a match takes too much memory are regexp's.
func TestMatcher_Notes(t *testing.T) {
	p := newPair(regexp.MustCompile(`^(?:(a)|b)*$`))
	p.same(t, strings.Repeat("ab", 700_000))
	p.same(t, "ab")
}

// What a long text takes is given back.
func TestMatcher_LongText(t *testing.T) {
	p := newPair(regexp.MustCompile(`(?:(a)|b)*;`))
	p.same(t, strings.Repeat("ab", 20_000)+strings.Repeat(";", 20_000))
	p.same(t, "ab;")
	if notes, bounds := p.all.Kept(); notes > 1<<14 || bounds > 1<<16 {
		t.Errorf("memory for %d notes and %d bounds is kept", notes, bounds)
	}
	if notes, bounds := p.all.Kept(); notes == 0 || bounds == 0 {
		t.Errorf("memory for %d notes and %d bounds is kept for the next text", notes, bounds)
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add(`(&|^)channel_id=[^&]*`, "https://x/?a=1&channel_id=apple&b")
	f.Add(`^\d+(\.\d+)?$`, "12.5")
	f.Add(`(?i)error|warn\b`, "an Error")
	f.Add(`(|a)*(b|)+`, "aab")
	f.Add(`(?m)^(.*?)($|\b)`, "a\nb\xff")
	for _, l := range logs {
		f.Add(l.pattern, l.line)
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 200 || len(s) > 1000 {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return
		}
		if tree, err := syntax.Parse(pattern, syntax.Perl); err != nil || tree.MaxCap() > 20 {
			return
		}
		newPair(re).same(t, s)
	})
}

func BenchmarkMatcher(b *testing.B) {
	texts := make([][]byte, 1000)
	for i := range texts {
		s := "https://www.nexmark.com/wxhyvc/ojzjla/wdeabc/item.htm?query=1"
		if i%2 == 0 {
			s += fmt.Sprintf("&channel_id=%d", i*7919)
		}
		texts[i] = []byte(s)
	}
	run := func(name string, texts [][]byte, f func(s []byte)) {
		size := 0
		for _, s := range texts {
			size += len(s)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range texts {
					f(s)
				}
			}
		})
	}
	for _, pattern := range []string{`(&|^)channel_id=[^&]*`, `^https?://[a-z.]+/[a-z]+/`, `[0-9]{4,}`, `item\.(htm|html)\?`} {
		re := regexp.MustCompile(pattern)
		m := matcher.New(re)
		run("match/"+pattern, texts, func(s []byte) { m.Match(s) })
		run("find/"+pattern, texts, func(s []byte) { m.Find(s) })
		run("regexp-match/"+pattern, texts, func(s []byte) { re.Match(s) })
		run("regexp-find/"+pattern, texts, func(s []byte) { re.FindIndex(s) })
	}
	for _, l := range logs {
		re := regexp.MustCompile(l.pattern)
		m := matcher.New(re)
		run("groups/"+l.name, [][]byte{[]byte(l.line)}, func(s []byte) { m.Groups(s) })
		run("regexp-groups/"+l.name, [][]byte{[]byte(l.line)}, func(s []byte) { re.FindSubmatchIndex(s) })
	}
}
