package kernel_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine/kernel"
)

// samePattern compares the shorter ways with regexp.
func samePattern(t *testing.T, p kernel.Pattern, re *regexp.Regexp, s string) {
	t.Helper()
	if got, want := p.Match([]byte(s)), re.MatchString(s); got != want {
		t.Fatalf("%q matches %q: %v, want %v", re, s, got, want)
	}
	begin, end := p.Find([]byte(s))
	want := re.FindStringIndex(s)
	if want == nil {
		want = []int{-1, -1}
	}
	if begin != want[0] || end != want[1] {
		t.Fatalf("%q in %q: %d to %d, want %v", re, s, begin, end, want)
	}
}

// Random patterns of few letters, so that much matches nearly.
func TestPattern_Random(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	var build func(depth int) string
	build = func(depth int) string {
		switch n := random.IntN(15); {
		case depth == 0 || n < 5:
			return []string{"a", "b", "ab", "ba", "&", "aab", ".", "[ab]", "[^a]", "ä", "\\d", "k", "A"}[random.IntN(13)]
		case n < 9:
			return build(depth-1) + build(depth-1)
		case n < 10:
			return "(" + build(depth-1) + "|" + build(depth-1) + ")"
		case n < 11:
			return "(?:" + build(depth-1) + ")" + []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{2,}"}[random.IntN(9)]
		case n < 12:
			return []string{"^", "$", "\\A", "\\z", "\\b", "(?m:^)", "(?m:$)", "(?:)", "()"}[random.IntN(9)] + build(depth-1)
		case n < 13:
			return build(depth-1) + []string{"$", "\\b", "^", "\\z"}[random.IntN(4)]
		case n < 14:
			return "(?i:" + build(depth-1) + ")"
		}
		return "(" + build(depth-1) + ")"
	}
	letters := []string{"a", "b", "ab", "&", "A", "K", "1", "\n", "ä", "\xff", "\u212a", "aab"}
	fast := 0
	for range 6000 {
		re, err := regexp.Compile(build(4))
		if err != nil {
			continue
		}
		p := kernel.NewPattern(re)
		for range 12 {
			var s strings.Builder
			for range random.IntN(9) {
				s.WriteString(letters[random.IntN(len(letters)-random.IntN(5))])
			}
			samePattern(t, p, re, s.String())
		}
		if p.States() > 0 {
			fast++
		}
	}
	if fast < 2000 {
		t.Errorf("only %d patterns have an automaton", fast)
	}
}

func TestPattern_Literal(t *testing.T) {
	for pattern, want := range map[string]string{
		`(&|^)channel_id=[^&]*`: "channel_id=", `zone [0-9]5`: "zone ", `/products/(\d+)/items`: "/products/", `a|b`: "", `(?i)abc`: "", `(abc)+x`: "x", `x\x{FFFD}`: "", `(a(bcd)e)`: "bcd",
	} {
		if got := kernel.NewPattern(regexp.MustCompile(pattern)).Literal(); got != want {
			t.Errorf("%s: literal %q, want %q", pattern, got, want)
		}
	}
}

// A pattern that needs more states than there may be goes on with regexp.
func TestPattern_TooManyStates(t *testing.T) {
	re := regexp.MustCompile(`a[ab]{14}b`)
	p := kernel.NewPattern(re)
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var s strings.Builder
		for range 40 {
			s.WriteByte("ab"[random.IntN(2)])
		}
		samePattern(t, p, re, s.String())
	}
	if p.States() != -1 {
		t.Errorf("%d states", p.States())
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`(&|^)channel_id=[^&]*`, "https://x/?a=1&channel_id=apple&b")
	f.Add(`^\d+(\.\d+)?$`, "12.5")
	f.Add(`(?i)error|warn\b`, "an Error")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 100 || len(s) > 1000 {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return
		}
		if tree, err := syntax.Parse(pattern, syntax.Perl); err != nil || tree.MaxCap() > 20 {
			return
		}
		samePattern(t, kernel.NewPattern(re), re, s)
	})
}

func BenchmarkPattern(b *testing.B) {
	texts := make([][]byte, 1000)
	size := 0
	for i := range texts {
		s := "https://www.nexmark.com/wxhyvc/ojzjla/wdeabc/item.htm?query=1"
		if i%2 == 0 {
			s += fmt.Sprintf("&channel_id=%d", i*7919)
		}
		texts[i] = []byte(s)
		size += len(s)
	}
	for _, pattern := range []string{`(&|^)channel_id=[^&]*`, `^https?://[a-z.]+/[a-z]+/`, `[0-9]{4,}`, `item\.(htm|html)\?`} {
		re := regexp.MustCompile(pattern)
		p := kernel.NewPattern(re)
		for name, f := range map[string]func(s []byte){
			"match": func(s []byte) { p.Match(s) }, "find": func(s []byte) { p.Find(s) },
			"regexp-match": func(s []byte) { re.Match(s) }, "regexp-find": func(s []byte) { re.FindIndex(s) },
		} {
			b.Run(name+"/"+pattern, func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					for _, s := range texts {
						f(s)
					}
				}
			})
		}
	}
}
