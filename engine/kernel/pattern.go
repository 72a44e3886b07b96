package kernel

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// pattern is a compiled regular expression with shorter ways to the same answer:
// a literal that every match contains, and an automaton. It is not for several
// goroutines.
type pattern struct {
	re *regexp.Regexp
	// literal is in every match, behind at least before and at most beforeMax
	// bytes of it, −1 where there is no bound. It is nil if there is none.
	literal           []byte
	before, beforeMax int
	automaton         *automaton // nil if the pattern is none for it
}

func newPattern(re *regexp.Regexp) *pattern {
	p := &pattern{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return p // regexp has parsed it
	}
	tree = tree.Simplify()
	p.findLiteral(tree)
	if prog, err := syntax.Compile(tree); err == nil {
		p.automaton = newAutomaton(prog)
	}
	return p
}

// findLiteral looks for the longest literal that no match lacks.
func (p *pattern) findLiteral(tree *syntax.Regexp) {
	least, most := 0, 0
	for _, part := range flatten(tree, nil) {
		if part.Op == syntax.OpLiteral && part.Flags&syntax.FoldCase == 0 {
			var text []byte
			for _, r := range part.Rune {
				if r == utf8.RuneError {
					text = nil // it stands for invalid bytes, too
					break
				}
				text = utf8.AppendRune(text, r)
			}
			if len(text) > len(p.literal) {
				p.literal, p.before, p.beforeMax = text, least, most
			}
		}
		low, high := width(part)
		least += low
		if most >= 0 && high >= 0 {
			most += high
		} else {
			most = -1
		}
	}
}

// flatten lists the parts of a sequence, those of groups too.
func flatten(re *syntax.Regexp, parts []*syntax.Regexp) []*syntax.Regexp {
	if re.Op != syntax.OpConcat && re.Op != syntax.OpCapture {
		return append(parts, re)
	}
	for _, sub := range re.Sub {
		parts = flatten(sub, parts)
	}
	return parts
}

// width is how many bytes a match takes at least and at most, −1 for no bound.
func width(re *syntax.Regexp) (least, most int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), utf8.UTFMax * len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, utf8.UTFMax
	case syntax.OpCapture:
		return width(re.Sub[0])
	case syntax.OpQuest:
		_, most = width(re.Sub[0])
		return 0, most
	case syntax.OpStar, syntax.OpPlus:
		least, most = width(re.Sub[0])
		if most != 0 {
			most = -1
		}
		if re.Op == syntax.OpStar {
			least = 0
		}
		return least, most
	case syntax.OpConcat, syntax.OpAlternate:
		for i, sub := range re.Sub {
			low, high := width(sub)
			switch {
			case re.Op == syntax.OpAlternate && i > 0:
				least = min(least, low)
				if most >= 0 && high >= 0 {
					most = max(most, high)
				} else {
					most = -1
				}
			default:
				least += low
				if most >= 0 && high >= 0 {
					most += high
				} else {
					most = -1
				}
			}
		}
		return least, most
	case syntax.OpRepeat:
		return 0, -1
	}
	return 0, 0 // assertions, the empty match, none
}

// match reports whether there is a match in the text.
func (p *pattern) match(s []byte) bool {
	from := 0
	if p.literal != nil {
		at := bytes.Index(s, p.literal)
		if at < 0 {
			return false
		}
		if p.beforeMax >= 0 {
			from = max(0, at-p.beforeMax)
		}
	}
	if a := p.automaton; a != nil && !a.full {
		if found, ok := a.contains(s, from); ok {
			return found
		}
	}
	return p.re.Match(s)
}

// find gives the bounds of the first match in the text, begin −1 if there is
// none.
func (p *pattern) find(s []byte) (begin, end int) {
	if begin, end, ok := p.findFast(s); ok {
		return begin, end
	}
	if m := p.re.FindIndex(s); m != nil {
		return m[0], m[1]
	}
	return -1, -1
}

func (p *pattern) findFast(s []byte) (begin, end int, ok bool) {
	a := p.automaton
	if a != nil && a.anchored && !a.full {
		if end, ok = a.matchAt(s, 0); end < 0 {
			return -1, -1, ok
		}
		return 0, end, ok
	}
	if p.literal == nil || p.beforeMax < 0 {
		if a == nil || a.full {
			return 0, 0, false
		}
		found, ok := a.contains(s, 0)
		return -1, -1, ok && !found
	}
	next := 0 // no match begins before it
	for at := 0; ; {
		i := bytes.Index(s[at:], p.literal)
		if i < 0 {
			return -1, -1, true
		}
		at += i
		if a == nil || a.full {
			return 0, 0, false
		}
		for begin = max(next, at-p.beforeMax); begin <= at-p.before; begin++ {
			end, ok := a.matchAt(s, begin)
			if !ok {
				return 0, 0, false
			}
			if end >= 0 {
				return begin, end, true
			}
		}
		next = max(next, begin)
		at++
	}
}
